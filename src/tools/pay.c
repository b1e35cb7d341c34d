/*
 * Pay and continue: a caller who ran out of credits and whose client can open pages gets one to pay
 * at, and calls again; that call waits for the payment and goes on. "Accept" only means consent, so
 * what counts is the payment.
 *
 * On 2026-07-28 the client carries a requestState to the next call: who may use it, for what, until
 * when, and an HMAC over it all under a key of the store, so that another process knows it. On
 * 2025-11-25 this process remembers what it offered.
 */

#include "base/limits.h"
#include "tools/paid.h"
#include "tools/pay_store.h"
#include "wallet/account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STATE_VERSION 1

/* As it is sealed and sent, in hex. */
struct sealed {
	uint8_t version;
	uint8_t org[16], key[16], payment[16];
	uint8_t digest[32];
	uint8_t expires_ms[8];
	uint8_t seal[32]; /* over all before it */
} __attribute__((packed));

#define STATE_TEXT_LEN (2 * sizeof(struct sealed))
static_assert(STATE_TEXT_LEN <= PAY_STATE_TEXT_MAX, "it is kept while the store is asked");

void pay_finish(struct paid *paid)
{
	if (paid->is_asking)
		payments_abandon(&paid->request);
	paid->is_asking = false;
	if (paid->request.payments)
		pay_request_finish(&paid->request);
	if (paid->key)
		paid->key->paid = NULL;
}

void paid_refuse_state(struct paid *paid, const char *text)
{
	struct tool_reply reply;

	tool_reply_init(&reply);
	reply.invalid_params = text;
	tool_call_reply(paid->call, &reply);
}

static bool open_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct paid *paid = call->state;
	struct payment_list list = {.count = 0};
	struct walltime now = wallet_now(call->tools->config.wallet);

	if (payment_list_read(db, payments_gateway_name(call->tools->config.payments),
			      call->caller.org, ID_NONE, PAY_OPEN_LOOKED_AT, &list) != DB_OK)
		return true;
	for (size_t i = 0; i < list.count && !paid->open.url; i++) {
		const struct payment_view *p = &list.items[i];
		struct microusd credit;

		if (payment_is_payable(p->state) && p->url && p->expires.ms > now.ms &&
		    microusd_from_cents(&credit, p->credit) &&
		    microusd_cmp(credit, paid->shortfall) >= 0) {
			paid->open.url = xstrdup(p->url);
			paid->open.credit = credit;
		}
	}
	payment_list_finish(&list);
	return true;
}

static void open_done(struct wallet_query *query)
{
	/* Without the list the refusal stands as well, only without a URL. */
	paid_reply(tool_call_of(query)->state);
}

/* The refusal as an error, with the page of a payment that is open already. */
static void refuse(struct paid *paid)
{
	tool_call_query(paid->call, open_step, open_done);
}

bool pay_may_offer(const struct tool_call *call)
{
	const struct tools_config *config = &call->tools->config;
	const json_t *client = call->client_name
				       ? json_object_get(config->clients, call->client_name)
				       : NULL;
	const char *pay = json_string_value(json_object_get(client, "pay"));

	if (!payments_is_on(config->payments))
		return false;
	return pay ? strcmp(pay, "url") == 0 : call->options.has_url_elicitation;
}

static void ask(struct paid *paid, void (*done)(struct pay_request *request),
		struct boottime deadline)
{
	if (paid->request.payments)
		pay_request_finish(&paid->request);
	paid->request = (struct pay_request){
		.org = paid->call->caller.org,
		.deadline = deadline,
		.done = done,
		.arg = paid,
	};
	paid->is_asking = true;
}

static void waited(struct pay_request *request)
{
	struct paid *paid = request->arg;

	paid->is_asking = false;
	paid->has_waited = true;
	if (request->outcome == PAY_OK) {
		paid_run(paid);
		return;
	}
	if (request->outcome != PAY_PENDING) {
		refuse(paid);
		return;
	}
	paid->open.is_pending = true;
	if (request->payment.url &&
	    microusd_from_cents(&paid->open.credit, request->payment.credit))
		paid->open.url = xstrdup(request->payment.url);
	paid_reply(paid);
}

static void still_waiting(struct pay_request *request)
{
	struct paid *paid = request->arg;

	if (paid->call->progress)
		paid->call->progress(paid->call->arg, "Waiting for the payment");
}

/* As long as the tool still has its time afterwards. */
static void wait_for_payment(struct paid *paid, struct id payment)
{
	const struct tool_call *call = paid->call;
	struct boottime until = {.ms = call->deadline.ms - call->tool->priced->timeout_ms};
	struct boottime now = clock_boot();

	ask(paid, waited, until.ms > now.ms ? until : now);
	paid->request.progress = still_waiting;
	payments_wait(call->tools->config.payments, payment, &paid->request);
}

static char *message_of(const struct paid *paid)
{
	const struct meter_call *meter = &paid->meter;
	const struct pay_request *request = &paid->request;
	char needed[MONEY_TEXT_SIZE], there[MONEY_TEXT_SIZE], bought[MONEY_TEXT_SIZE];
	char usd[MONEY_TEXT_SIZE];
	struct microusd credit, fee;

	CHECK(microusd_from_cents(&credit, request->payment.credit) &&
	      microusd_from_cents(&fee, request->payment.fee));
	tokens_text(meter->needed, needed);
	tokens_text(wallet_spendable(&meter->after), there);
	tokens_text(credit, bought);
	usd_text_people(microusd_plus(credit, fee), usd);
	return xasprintf("%s needs %s tokens, %s are left. Buy %s tokens for $%s?",
			 paid->call->tool->name, needed, there, bought, usd);
}

static void offer(struct paid *paid, TAKES char *state)
{
	const struct payment_view *payment = &paid->request.payment;
	char id[ID_TEXT_SIZE];
	struct tool_reply reply;

	id_text("pay", payment->id, id);
	tool_reply_init(&reply);
	reply.pay = (struct tool_pay){
		.url = xstrdup(payment->url),
		.message = message_of(paid),
		.payment = xstrdup(id),
		.state = state,
	};
	tool_call_reply(paid->call, &reply);
}

static struct digest seal_of(const struct sealed *s, const uint8_t key[32])
{
	return hmac_sha256(
		(struct slice){.p = (const char *)key, .len = 32},
		(struct slice){.p = (const char *)s, .len = offsetof(struct sealed, seal)});
}

static void put_time(uint8_t out[8], struct walltime t)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(t.ms >> (56 - 8 * i));
}

static struct walltime get_time(const uint8_t in[8])
{
	struct walltime t = {.ms = 0};

	for (int i = 0; i < 8; i++)
		t.ms = t.ms << 8 | in[i];
	return t;
}

static void fill_state(const struct paid *paid, struct id payment, struct walltime expires,
		       struct sealed *out)
{
	const struct tool_call *call = paid->call;

	*out = (struct sealed){.version = STATE_VERSION};
	memcpy(out->org, call->caller.org.b, sizeof(out->org));
	memcpy(out->key, call->caller.key.b, sizeof(out->key));
	memcpy(out->payment, payment.b, sizeof(out->payment));
	memcpy(out->digest, paid->meter.digest.b, sizeof(out->digest));
	put_time(out->expires_ms, expires);
}

static void with_key(struct paid *paid, wallet_cmd_fn *done)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, paid->call->caller);

	paid->key = pay_key_create(paid);
	wallet_cmd_add_rider(cmd, &paid->key->rider);
	cmd->deadline = paid->call->deadline;
	cmd->done = done;
	wallet_submit(paid->call->tools->config.wallet, cmd);
}

/* NULL when nobody is left, or the store has failed, which has been answered. */
static struct paid *key_answered(struct wallet_cmd *cmd)
{
	struct pay_key *key = container_of(cmd->riders, struct pay_key, rider);
	struct paid *paid = key->paid;

	if (!paid)
		return NULL;
	paid->key = NULL;
	if (cmd->outcome == WALLET_OK)
		return paid;
	tool_call_fail(paid->call, ERROR_STORE_UNAVAILABLE);
	return NULL;
}

static void offer_with_state(struct wallet_cmd *cmd)
{
	struct pay_key *key = container_of(cmd->riders, struct pay_key, rider);
	struct paid *paid = key_answered(cmd);
	struct walltime expires = {.ms = key->now.ms + PAY_STATE_MS};
	struct sealed state;
	struct digest seal;
	char *text;

	if (!paid)
		return;
	fill_state(paid, paid->request.payment.id, expires, &state);
	seal = seal_of(&state, key->key);
	memcpy(state.seal, seal.b, sizeof(state.seal));
	text = xzalloc(STATE_TEXT_LEN + 1);
	hex_encode((const uint8_t *)&state, sizeof(state), text);
	offer(paid, text);
}

/* What this process offered to clients that carry nothing. True when it was this very call's. */
static bool was_offered(struct tools *tools, const struct paid *paid, bool *out_is_same_call)
{
	for (size_t i = 0; i < ARRAY_LEN(tools->offers); i++) {
		const struct pay_offer *o = &tools->offers[i];

		if (id_eq(o->payment, paid->request.payment.id)) {
			*out_is_same_call = digest_eq(&o->digest, &paid->meter.digest);
			return true;
		}
	}
	return false;
}

static void remember(struct tools *tools, const struct paid *paid)
{
	tools->offers[tools->offers_next++ % ARRAY_LEN(tools->offers)] = (struct pay_offer){
		.payment = paid->request.payment.id,
		.digest = paid->meter.digest,
	};
}

static bool can_be_paid(const struct pay_request *request)
{
	const struct payment_view *p = &request->payment;

	return p->url && payment_is_payable(p->state);
}

static void has_page(struct pay_request *request)
{
	struct paid *paid = request->arg;
	bool is_same_call;

	paid->is_asking = false;
	/* The open page may be one of buy_tokens. */
	if (request->outcome != PAY_OK && request->outcome != PAY_ACTION_REQUIRED &&
	    request->outcome != PAY_NEEDS_CARD) {
		refuse(paid);
	} else if (!can_be_paid(request)) {
		/* Paid a moment ago. */
		paid->has_waited = true;
		paid_run(paid);
	} else if (paid->call->options.carries_state) {
		with_key(paid, offer_with_state);
	} else if (!was_offered(paid->call->tools, paid, &is_same_call)) {
		remember(paid->call->tools, paid);
		offer(paid, NULL);
	} else if (is_same_call) {
		wait_for_payment(paid, request->payment.id);
	} else {
		refuse(paid);
	}
}

static void make_page(struct paid *paid)
{
	struct microusd amount = paid_proposal(&paid->meter, paid->shortfall);
	const struct tool_call *call = paid->call;

	ask(paid, has_page, paid->call->deadline);
	if (!cents_from_microusd_exact(&paid->request.amount, amount)) {
		paid->is_asking = false;
		refuse(paid);
		return;
	}
	paid->request.minimum = paid->shortfall;
	/* Who may not buy has one page open, and cannot heap them up. */
	if (!tool_call_may(call, SCOPE_BILLING))
		paid->request.page_of = id_is_none(call->caller.key) ? call->caller.org
								     : call->caller.key;
	payments_checkout(paid->call->tools->config.payments, &paid->request);
}

static void decide(struct paid *paid)
{
	if (paid->has_waited || !pay_may_offer(paid->call))
		refuse(paid);
	else if (paid->has_state)
		wait_for_payment(paid, paid->payment);
	else
		make_page(paid);
}

static bool newest_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct paid *paid = call->state;
	struct payment_list list = {.count = 0};

	if (payment_list_read(db, payments_gateway_name(call->tools->config.payments),
			      call->caller.org, ID_NONE, PAY_OPEN_LOOKED_AT, &list) != DB_OK)
		return true;
	for (size_t i = 0; i < list.count && !paid->newest.ms; i++) {
		const struct payment_view *p = &list.items[i];

		if (payment_is_payable(p->state))
			paid->newest = p->created;
	}
	payment_list_finish(&list);
	return true;
}

static void refreshed(struct pay_request *request)
{
	struct paid *paid = request->arg;

	paid->is_asking = false;
	paid_run(paid);
}

static void newest_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	struct payments *payments = call->tools->config.payments;
	struct paid *paid = call->state;

	if (call->is_cancelled || !paid->newest.ms ||
	    !payments_refused(payments, call->caller.org, paid->newest)) {
		decide(paid);
		return;
	}
	ask(paid, refreshed, call->deadline);
	payments_refresh(payments, &paid->request);
}

void pay_instead(struct paid *paid)
{
	paid->shortfall = paid_shortfall(&paid->meter);
	/* The payment that a state names is waited for in any case. */
	if (paid->has_looked || paid->has_waited || paid->has_state) {
		decide(paid);
		return;
	}
	paid->has_looked = true;
	tool_call_query(paid->call, newest_step, newest_done);
}

/* The caller's own state, for this call, in time. NULL, or what is wrong. */
static const char *fault_of_state(struct paid *paid, const struct sealed *state,
				  const struct pay_key *key)
{
	struct digest seal = seal_of(state, key->key), given;
	struct walltime expires = get_time(state->expires_ms);
	struct sealed expected;
	struct id payment;

	memcpy(given.b, state->seal, sizeof(given.b));
	memcpy(payment.b, state->payment, sizeof(payment.b));
	fill_state(paid, payment, expires, &expected);
	if (!digest_eq(&seal, &given) ||
	    memcmp(&expected, state, offsetof(struct sealed, seal)) != 0)
		return "requestState is not of this call";
	if (expires.ms < key->now.ms)
		return "requestState has expired: call again without it";
	paid->payment = payment;
	paid->seal = seal;
	paid->state_expires = expires;
	paid->has_state = true;
	return NULL;
}

static bool view_step(struct wallet_query *query, struct db *db)
{
	struct paid *paid = tool_call_of(query)->state;
	bool is_there;

	if (wallet_view_read(db, paid->call->caller.org, &is_there, &paid->meter.after) != DB_OK)
		query->is_failed = true;
	return true;
}

static void view_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	struct paid *paid = call->state;
	struct meter_call *meter = &paid->meter;

	if (query->is_failed) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	if (!price_bound(meter->price, meter->arguments, meter->own_key != NULL, &meter->needed,
			 NULL))
		meter->needed = MICROUSD_ZERO;
	meter->outcome = METER_INSUFFICIENT;
	paid->shortfall = paid_shortfall(meter);
	refuse(paid);
}

static void check_state(struct wallet_cmd *cmd)
{
	struct pay_key *key = container_of(cmd->riders, struct pay_key, rider);
	struct paid *paid = key_answered(cmd);
	struct sealed state;
	const char *fault;

	if (!paid)
		return;
	CHECK(hex_decode(slice_of(paid->state_text), (uint8_t *)&state));
	fault = fault_of_state(paid, &state, key);
	if (fault)
		paid_refuse_state(paid, fault);
	else if (paid->call->options.answer == PAY_ANSWER_NO)
		tool_call_query(paid->call, view_step, view_done);
	else
		paid_run(paid);
}

void pay_resume(struct paid *paid)
{
	struct tool_call *call = paid->call;
	const char *text = call->options.request_state;
	struct sealed state;

	if (strlen(text) != STATE_TEXT_LEN || !hex_decode(slice_of(text), (uint8_t *)&state)) {
		paid_refuse_state(paid, "requestState is none of ours");
		return;
	}
	memcpy(paid->state_text, text, STATE_TEXT_LEN);
	/* For its digest, which the state names. */
	meter_prepare(call, call->tool, call->arguments, call->idempotency_key, &paid->meter);
	with_key(paid, check_state);
}

void pay_spend(struct meter_call *meter, struct wallet_cmd *hold)
{
	struct paid *paid = container_of(meter, struct paid, meter);

	pay_seal_spend(hold, &paid->seal, paid->state_expires);
}

void pay_cancel(struct paid *paid)
{
	if (paid->is_asking)
		payments_abandon(&paid->request);
	else if (paid->key)
		paid->key->paid = NULL; /* its state would be accepted, and the call run */
	else
		return; /* an answer is on its way */
	paid->is_asking = false;
	paid->key = NULL;
	paid->meter.outcome = METER_CANCELLED;
	paid_reply(paid);
}
