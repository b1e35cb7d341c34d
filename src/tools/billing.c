/*
 * buy_tokens, top_up_credits, billing_portal, list_invoices. A cancelled call drops its reply; the
 * payment runs on.
 */

#include "base/limits.h"
#include "tools/internal.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

#define INVOICES_DEFAULT 20
/* After this the till's answer is not waited for: the payment goes on in the background. */
#define TILL_MS_MAX      45000

struct billing {
	struct tool_call *call;
	struct pay_request request;
	struct money_list list;
	int64_t limit;
	struct id after;
};

static void billing_finish(struct tool_call *call)
{
	struct billing *b = call->state;

	if (b->request.payments)
		payments_abandon(&b->request);
	pay_request_finish(&b->request);
	money_list_finish(&b->list);
	free(b);
}

static struct billing *begin(struct tool_call *call, void (*done)(struct pay_request *request))
{
	struct billing *b = xzalloc(sizeof(*b));
	struct boottime till = boottime_after(clock_boot(), TILL_MS_MAX);

	b->call = call;
	b->request.org = call->caller.org;
	b->request.is_operator = call->options.is_operator && !call->is_keyed;
	b->request.deadline = call->deadline.ms < till.ms ? call->deadline : till;
	b->request.done = done;
	b->request.arg = b;
	call->state = b;
	call->finish = billing_finish;
	return b;
}

/* The schema has bounded it to whole cents. */
static bool read_cents(struct tool_call *call, struct cents *out)
{
	struct decimal usd;

	if (edge_decimal(json_object_get(call->arguments, "amount_usd"), false, &usd) &&
	    cents_from_usd_exact(out, usd))
		return true;
	tool_call_bad_field(call, "amount_usd", "must be an amount in whole cents");
	return false;
}

static struct microusd usd_of(struct cents c)
{
	struct microusd a;

	CHECK(microusd_from_cents(&a, c));
	return a;
}

static void reply_payment_error(struct tool_call *call, const struct pay_request *r,
				enum error_code code)
{
	struct tool_error error;
	struct emit e;

	tool_error_init(&error, code);
	if (r->payment.reason)
		tool_error_message(&error, "%s", r->payment.reason);
	emit_init(&e, &error.members);
	emit_key_id(&e, "payment_id", "pay", r->payment.id);
	if (r->payment.url)
		emit_key_text(&e, "url", r->payment.url);
	emit_sandbox(&e, call->tools);
	tool_call_error(call, &error);
}

static void reply_conflict(struct tool_call *call)
{
	struct tool_error error;

	tool_error_init(&error, ERROR_IDEMPOTENCY_CONFLICT);
	tool_error_message(&error, "This idempotency_key was used for another amount.");
	tool_call_error(call, &error);
}

static void reply_bad_request(struct tool_call *call, const struct pay_request *r)
{
	struct tool_error error;

	tool_error_init(&error, ERROR_INVALID_ARGUMENTS);
	tool_error_message(&error, "%s", r->err.text);
	tool_call_error(call, &error);
}

static void reply_trouble(struct tool_call *call, const struct pay_request *r, enum error_code code)
{
	struct tool_error error;

	if (code == ERROR_STORE_UNAVAILABLE)
		tool_error_store(call->tools, &error);
	else
		tool_error_init(&error, code);
	if (err_is_set(&r->err))
		tool_error_message(&error, "%s", r->err.text);
	/* The commit may have been durable all the same. */
	if (error.code == ERROR_STORE_UNAVAILABLE)
		tool_error_hint(&error, "Call again with the same arguments: what was recorded is "
					"found, and not paid for twice.");
	if (code == ERROR_UPSTREAM_ERROR)
		tool_error_hint(&error, "Nothing was charged. Try again later.");
	else if (code == ERROR_PAYMENTS_NOT_CONFIGURED && err_is_set(&r->err) &&
		 strcmp(r->err.text, PLAY_REFUSED) == 0)
		tool_error_hint(&error, "Nothing was bought. The operator sets a live key in "
					"STRIPE_SECRET_KEY, or FAREBOX_STORE to another store "
					"for trying things out.");
	else if (err_is_set(&r->err) && code == ERROR_PAYMENTS_NOT_CONFIGURED)
		tool_error_hint(&error, "Nothing was charged. The operator looks the Stripe key "
					"over: 'farebox doctor' names what is wrong with it.");
	tool_call_error(call, &error);
}

/* The saved card is not asked again; another one, or a page, is not braked. */
static void reply_braked(struct tool_call *call, const struct pay_request *r)
{
	struct tool_error error;
	struct emit e;

	tool_error_init(&error, ERROR_RATE_LIMITED);
	tool_error_message(&error, "The saved card was declined too often in a short time.");
	tool_error_hint(&error,
			"Nothing was charged, and the card was not asked again. Do not retry "
			"before retry_after_s. Ask the user to pay with another card: "
			"top_up_credits makes a page to pay at, and billing_portal is where "
			"the saved card is changed.");
	emit_init(&e, &error.members);
	emit_key_i64(&e, "retry_after_s", (r->retry_after_ms + 999) / 1000);
	emit_sandbox(&e, call->tools);
	tool_call_error(call, &error);
}

static void reply_bound(struct tool_call *call, const struct pay_request *r)
{
	struct walltime resets = ceiling_resets(&r->room, r->ceiling);
	CLEANUP(free_charp)
	char *why = ceiling_text(&r->room, r->ceiling, usd_of(r->amount));
	struct tool_error error;
	struct emit e;

	tool_error_init(&error, ERROR_PURCHASE_LIMIT);
	tool_error_message(&error, "Nothing was bought: %s.", why);
	emit_init(&e, &error.members);
	emit_key_text(&e, "limit", ceiling_name(r->ceiling));
	emit_key_usd(&e, "limit_usd", ceiling_limit(&r->room, r->ceiling));
	emit_key_usd(&e, "spent_usd", ceiling_spent(&r->room, r->ceiling));
	if (resets.ms) {
		emit_key(&e, "resets_at");
		emit_walltime(&e, resets);
	}
	emit_sandbox(&e, call->tools);
	tool_call_error(call, &error);
}

/* True when the request came to something that has a result; else the call has ended. */
static bool has_result(struct tool_call *call, const struct pay_request *r)
{
	switch (r->outcome) {
	case PAY_OK:
	case PAY_NEEDS_CARD:
	case PAY_PENDING:
		return true;
	case PAY_DECLINED:
		reply_payment_error(call, r, ERROR_PAYMENT_DECLINED);
		return false;
	case PAY_ACTION_REQUIRED:
		reply_payment_error(call, r, ERROR_PAYMENT_ACTION_REQUIRED);
		return false;
	case PAY_CONFLICT:
		reply_conflict(call);
		return false;
	case PAY_NOT_CONFIGURED:
		reply_trouble(call, r, ERROR_PAYMENTS_NOT_CONFIGURED);
		return false;
	case PAY_BAD_REQUEST:
		reply_bad_request(call, r);
		return false;
	case PAY_RATE_LIMITED:
		reply_braked(call, r);
		return false;
	case PAY_BOUND:
		reply_bound(call, r);
		return false;
	case PAY_UNAVAILABLE:
		/* With a text it is the payment service. */
		reply_trouble(call, r,
			      err_is_set(&r->err) ? ERROR_UPSTREAM_ERROR : ERROR_STORE_UNAVAILABLE);
		return false;
	}
	die("pay outcome %d", (int)r->outcome);
}

static void emit_bought(struct emit *e, const struct pay_request *r)
{
	struct microusd credit = usd_of(r->payment.credit);

	if (r->outcome == PAY_PENDING) {
		emit_key_text(e, "status", "pending");
	} else if (r->outcome == PAY_NEEDS_CARD) {
		emit_key_text(e, "status", "requires_payment");
		emit_key_text(e, "url", r->payment.url);
	} else {
		emit_key_text(e, "status", "succeeded");
	}
	emit_key_usd(e, "amount_usd", credit);
	if (r->outcome == PAY_OK) {
		emit_key_tokens(e, "tokens", credit);
		emit_key_tokens(e, "balance_tokens", wallet_spendable(&r->after));
	}
	emit_key_id(e, "payment_id", "pay", r->payment.id);
	if (r->outcome == PAY_OK)
		emit_key_bool(e, "replayed", r->is_replayed);
}

static void buy_done(struct pay_request *r)
{
	struct billing *b = r->arg;
	struct tool_call *call = b->call;
	struct buf out = BUF_INIT;
	struct emit e;

	if (!has_result(call, r))
		return;
	emit_init(&e, &out);
	emit_object(&e);
	emit_bought(&e, r);
	emit_sandbox(&e, call->tools);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void buy_start(struct tool_call *call)
{
	struct billing *b;
	struct cents amount;

	if (!read_cents(call, &amount))
		return;
	b = begin(call, buy_done);
	b->request.amount = amount;
	b->request.idempotency_key = json_string_value(
		json_object_get(call->arguments, "idempotency_key"));
	payments_buy(call->tools->config.payments, &b->request);
}

/* The same amount again finds this payment, so nothing is made twice. */
static void reply_no_page(struct tool_call *call, const struct pay_request *r)
{
	struct tool_error error;
	struct emit e;

	tool_error_init(&error, ERROR_UPSTREAM_ERROR);
	tool_error_message(&error, "The payment service has not made the page yet.");
	tool_error_hint(&error, "Ask for the same amount again: it goes on with the same payment.");
	emit_init(&e, &error.members);
	emit_key_id(&e, "payment_id", "pay", r->payment.id);
	tool_call_error(call, &error);
}

static void top_up_done(struct pay_request *r)
{
	struct billing *b = r->arg;
	struct tool_call *call = b->call;
	struct microusd credit, fee;
	struct buf out = BUF_INIT;
	struct emit e;

	if (!has_result(call, r))
		return;
	if (!r->payment.url) {
		reply_no_page(call, r);
		return;
	}
	credit = usd_of(r->payment.credit);
	fee = usd_of(r->payment.fee);
	emit_init(&e, &out);
	emit_object(&e);
	emit_key_text(&e, "url", r->payment.url);
	emit_key_usd(&e, "credit_usd", credit);
	emit_key_usd(&e, "fee_usd", fee);
	emit_key_usd(&e, "total_usd", microusd_plus(credit, fee));
	emit_key_text(&e, "status", payment_state_name(r->payment.state));
	emit_key_id(&e, "payment_id", "pay", r->payment.id);
	emit_sandbox(&e, call->tools);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void top_up_start(struct tool_call *call)
{
	struct billing *b;
	struct cents amount;

	if (!read_cents(call, &amount))
		return;
	b = begin(call, top_up_done);
	b->request.amount = amount;
	payments_top_up(call->tools->config.payments, &b->request);
}

/* The tool has no arguments: what is refused is how the operator set it up. */
static void reply_no_portal(struct tool_call *call, const struct pay_request *r)
{
	struct tool_error error;

	tool_error_init(&error, ERROR_PAYMENTS_NOT_CONFIGURED);
	tool_error_message(&error, "%s", r->err.text);
	tool_error_hint(&error, "The operator saves the portal's settings in the Stripe dashboard, "
				"Settings > Billing > Customer portal; 'farebox doctor' says what "
				"else is missing.");
	tool_call_error(call, &error);
}

static void portal_done(struct pay_request *r)
{
	struct billing *b = r->arg;
	struct tool_call *call = b->call;
	struct buf out = BUF_INIT;
	struct emit e;

	if (r->outcome == PAY_BAD_REQUEST) {
		reply_no_portal(call, r);
		return;
	}
	if (!has_result(call, r))
		return;
	emit_init(&e, &out);
	emit_object(&e);
	emit_key_text(&e, "url", r->url);
	emit_sandbox(&e, call->tools);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void portal_start(struct tool_call *call)
{
	struct billing *b = begin(call, portal_done);

	payments_portal(call->tools->config.payments, &b->request);
}

static bool invoices_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct billing *b = call->state;

	if (money_list_read(db, payments_gateway_name(call->tools->config.payments),
			    call->caller.org, b->after, (size_t)b->limit, &b->list) != DB_OK)
		query->is_failed = true;
	return true;
}

static const char *type_name(enum money_item_type type)
{
	switch (type) {
	case MONEY_INVOICE:
		return "invoice";
	case MONEY_CHARGE:
		return "charge";
	case MONEY_REFUND:
		return "refund";
	case MONEY_DISPUTE:
		return "dispute";
	}
	die("money item type %d", (int)type);
}

static void emit_item(struct emit *e, const struct money_item *item)
{
	emit_object(e);
	if (item->ref)
		emit_key_text(e, "id", item->ref);
	else
		emit_key_id(e, "id", "pay", item->id);
	emit_key_text(e, "type", type_name(item->type));
	emit_key_text(e, "status", item->status);
	emit_key_usd(e, "amount_usd", usd_of(item->amount));
	emit_key(e, "created");
	emit_walltime(e, item->created);
	emit_key_text(e, "url", item->url);
	emit_object_end(e);
}

static void invoices_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	struct billing *b = call->state;
	struct buf out = BUF_INIT;
	struct emit e;

	if (query->is_failed) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	emit_init(&e, &out);
	emit_object(&e);
	emit_key(&e, "items");
	emit_array(&e);
	for (size_t i = 0; i < b->list.count; i++)
		emit_item(&e, &b->list.items[i]);
	emit_array_end(&e);
	emit_key(&e, "next_cursor");
	if (b->list.has_more)
		emit_id(&e, "pay", b->list.items[b->list.count - 1].id);
	else
		emit_null(&e);
	emit_sandbox(&e, call->tools);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

/* The list is our own; what the till knows more of it was asked for first. */
static void invoices_refreshed(struct pay_request *r)
{
	struct billing *b = r->arg;

	tool_call_query(b->call, invoices_step, invoices_done);
}

static void invoices_start(struct tool_call *call)
{
	const json_t *cursor = json_object_get(call->arguments, "cursor");
	const json_t *limit = json_object_get(call->arguments, "limit");
	struct billing *b;

	if (!payments_is_on(call->tools->config.payments)) {
		tool_call_fail(call, ERROR_PAYMENTS_NOT_CONFIGURED);
		return;
	}
	b = begin(call, invoices_refreshed);
	b->limit = INVOICES_DEFAULT;
	if (limit)
		CHECK(edge_i64(limit, &b->limit));
	if (cursor && !id_parse("pay", edge_slice(cursor), &b->after)) {
		tool_call_bad_field(call, "cursor", "is not a next_cursor of an earlier answer");
		return;
	}
	b->request.wants_news = true;
	payments_refresh(call->tools->config.payments, &b->request);
}

const struct tool_entry TOOLS_BILLING[] = {
	{.name = "buy_tokens", .scope = SCOPE_BILLING, .start = buy_start},
	{.name = "top_up_credits", .scope = SCOPE_BILLING, .start = top_up_start},
	{.name = "billing_portal", .scope = SCOPE_BILLING, .start = portal_start},
	{.name = "list_invoices", .scope = SCOPE_CALL, .start = invoices_start},
	{.name = NULL},
};
