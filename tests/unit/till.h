#ifndef TILL_H
#define TILL_H

/* A house with a wallet and payments on a store, and a till whose world outlives the house: what
 * was charged there stays charged when the process is gone. */

#include "payments/room.h"
#include "payments/stripe_store.h"
#include "store.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define CHARGES_MAX 64

/* Shared with children. */
struct world {
	enum gateway_result answer; /* to a charge; SUCCEEDED by default */
	bool never_retry;
	bool is_silent;  /* does not answer */
	bool is_lost;    /* charges, and the answer is lost */
	bool is_unheard; /* what it answers rests on no request that was kept */
	bool kills;      /* keeps its request, charges, and the process is gone */
	int calls;
	int charges; /* successful ones, each payment once */
	struct id charged[CHARGES_MAX];
};

struct till {
	struct gateway gateway;
	struct loop *loop;
	struct wallet *wallet;
	struct world *world;
};

static inline struct world *world_create(void)
{
	void *p = mmap(NULL, sizeof(struct world), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(p != MAP_FAILED);
	return p;
}

static inline void till_done(void *arg)
{
	struct gateway_call *call = arg;

	call->done(call);
}

static inline void till_answer(struct till *till, struct gateway_call *call,
			       enum gateway_result result)
{
	call->result = result;
	loop_timer_init(&call->timer, till->loop, till_done, call);
	if (!till->world->is_silent)
		loop_timer_in(&call->timer, 0);
}

static inline bool till_has(const struct world *world, struct id payment)
{
	for (int i = 0; i < world->charges; i++) {
		if (id_eq(world->charged[i], payment))
			return true;
	}
	return false;
}

static inline void till_kept(struct wallet_cmd *cmd)
{
	struct world *world = cmd->arg;
	const struct payment_note *note = container_of(cmd->riders->next, struct payment_note,
						       rider);

	ck_assert_int_eq(cmd->outcome, WALLET_OK);
	if (!note->is_over)
		world->charged[world->charges++] = note->payment;
	_exit(0);
}

/* As a real one: the bytes are durable before they go out. Then the process is killed. */
static inline void till_keep(struct till *till, struct id payment)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});
	struct request_keep *keep;
	char key[ID_TEXT_SIZE];

	payment_id_text(payment, key);
	keep = request_keep_create("till", key, "/charge", slice_of("x=1"), clock_wall());
	wallet_cmd_add_rider(cmd, &keep->rider);
	wallet_cmd_add_rider(cmd, &payment_note_create(payment, NULL)->rider);
	cmd->done = till_kept;
	cmd->arg = till->world;
	wallet_submit(till->wallet, cmd);
}

static inline void till_charge(struct gateway *g, struct gateway_call *call)
{
	struct till *till = container_of(g, struct till, gateway);
	struct world *world = till->world;
	struct id id = call->payment->id;

	world->calls++;
	if (world->kills) {
		till_keep(till, id);
		return;
	}
	if (till_has(world, id)) {
		till_answer(till, call, GATEWAY_SUCCEEDED);
		return;
	}
	if (world->answer == GATEWAY_SUCCEEDED) {
		ck_assert_int_lt(world->charges, CHARGES_MAX);
		world->charged[world->charges++] = id;
	}
	call->never_retry = world->never_retry;
	call->is_unheard = world->is_unheard;
	if (world->answer == GATEWAY_DECLINED || world->answer == GATEWAY_REFUSED)
		call->reason = xstrdup("no: says the till");
	if (world->answer == GATEWAY_OPEN || world->answer == GATEWAY_ACTION_REQUIRED)
		call->url = xstrdup("https://till.invalid/");
	till_answer(till, call, world->is_lost ? GATEWAY_UNKNOWN : world->answer);
}

static inline void till_invoice(struct gateway *g, struct gateway_call *call)
{
	call->url = xstrdup("https://till.invalid/invoice");
	till_answer(container_of(g, struct till, gateway), call, GATEWAY_OPEN);
}

static inline void till_portal(struct gateway *g, struct gateway_call *call)
{
	call->reason = xstrdup("org.email is missing");
	till_answer(container_of(g, struct till, gateway), call, GATEWAY_REFUSED);
}

static inline void till_ask(struct gateway *g, struct gateway_call *call)
{
	struct till *till = container_of(g, struct till, gateway);

	till->world->calls++;
	till_answer(till, call,
		    till_has(till->world, call->payment->id) ? GATEWAY_SUCCEEDED : GATEWAY_OPEN);
}

static inline void till_cancel(struct gateway *g, struct gateway_call *call)
{
	struct till *till = container_of(g, struct till, gateway);

	till_answer(till, call,
		    till_has(till->world, call->payment->id) ? GATEWAY_SUCCEEDED
							     : GATEWAY_CANCELLED);
}

static inline void till_abort(struct gateway *g, struct gateway_call *call)
{
	(void)g;
	loop_timer_cancel(&call->timer);
}

static inline void till_destroy(struct gateway *g)
{
	free(container_of(g, struct till, gateway));
}

static inline struct gateway *till_create(struct loop *loop, struct wallet *wallet,
					  struct world *world)
{
	struct till *till = xzalloc(sizeof(*till));

	till->loop = loop;
	till->wallet = wallet;
	till->world = world;
	till->gateway = (struct gateway){
		.name = "till",
		.charge = till_charge,
		.invoice = till_invoice,
		.portal = till_portal,
		.ask = till_ask,
		.cancel = till_cancel,
		.abort = till_abort,
		.destroy = till_destroy,
	};
	return &till->gateway;
}

struct house {
	struct loop *loop;
	struct wallet *wallet;
	struct payments *payments;
	struct id org;
	int64_t turns_left;
	struct loop_timer kick;
};

/* What the tests add to the wall clock. */
static int64_t clock_offset_ms;

static inline struct walltime house_now(void *arg)
{
	int64_t offset_ms = *(int64_t *)arg;

	return (struct walltime){.ms = clock_wall().ms + offset_ms};
}

/* The house's clock goes on to 11:00 on the 15th: far from the ends of a day and of a month. */
static inline void house_mid_month(void)
{
	struct walltime now = house_now(&clock_offset_ms);
	struct walltime next = walltime_next_month(now);

	clock_offset_ms += next.ms - now.ms + (INT64_C(14) * 24 + 11) * 60 * 60 * 1000;
}

static inline bool house_is_idle(const struct house *h)
{
	return wallet_is_idle(h->wallet) && !h->payments->jobs && !h->payments->ready;
}

static inline bool house_turn_end(void *arg)
{
	struct house *h = arg;
	int64_t retry_ms;

	(void)wallet_turn(h->wallet, &retry_ms);
	if (--h->turns_left <= 0)
		loop_stop(h->loop);
	return true; /* the turns are counted, not waited for */
}

static inline void house_kick(void *arg)
{
	(void)arg;
}

/* Of the houses that are opened from now on. */
static const struct ceilings *house_ceilings;

/* world NULL: the sandbox. */
static inline void house_open(struct house *h, const char *path, struct world *world)
{
	struct payments_config config = {
		.mode = PAYMENTS_SANDBOX,
		.fee_percent = {.digits = 55, .scale = 1},
		.fee_minimum = {80},
		.ceilings = house_ceilings,
		.now = house_now,
		.now_arg = &clock_offset_ms,
	};

	*h = (struct house){.loop = loop_create()};
	h->wallet = store_wallet(path, 100);
	h->payments = world ? payments_create_with(h->loop, h->wallet, &config,
						   till_create(h->loop, h->wallet, world))
			    : payments_create(h->loop, NULL, h->wallet, &config, NULL);
	h->org = store_default_org(h->wallet);
	loop_set_turn_end(h->loop, house_turn_end, h);
	loop_timer_init(&h->kick, h->loop, house_kick, h);
}

static inline void house_close(struct house *h)
{
	payments_destroy(h->payments);
	wallet_destroy(h->wallet);
	loop_destroy(h->loop);
}

static inline void house_turns(struct house *h, int64_t n)
{
	if (n <= 0)
		return;
	h->turns_left = n;
	loop_timer_in(&h->kick, 0);
	loop_run(h->loop);
	loop_timer_cancel(&h->kick);
}

/* Until nothing is under way. */
static inline void house_run(struct house *h)
{
	for (int i = 0; i < 1000; i++) {
		house_turns(h, 1);
		if (house_is_idle(h))
			return;
	}
	ck_abort_msg("still not idle");
}

struct asked {
	struct pay_request request;
	int done;
};

static inline void asked_done(struct pay_request *request)
{
	struct asked *a = request->arg;

	a->done++;
}

static inline struct asked *asked_init(struct asked *a, struct id org, int64_t cents,
				       const char *key)
{
	*a = (struct asked){.request = {
				    .org = org,
				    .amount = {cents},
				    .idempotency_key = key,
				    .done = asked_done,
				    .arg = a,
			    }};
	return a;
}

/* One request to its end; the result is finished by asked_finish. */
static inline enum pay_outcome house_buy(struct house *h, struct asked *a, int64_t cents,
					 const char *key)
{
	payments_buy(h->payments, &asked_init(a, h->org, cents, key)->request);
	house_run(h);
	ck_assert_int_eq(a->done, 1);
	return a->request.outcome;
}

static inline enum pay_outcome house_top_up(struct house *h, struct asked *a, int64_t cents)
{
	payments_top_up(h->payments, &asked_init(a, h->org, cents, NULL)->request);
	house_run(h);
	ck_assert_int_eq(a->done, 1);
	return a->request.outcome;
}

static inline enum pay_outcome house_pay(struct house *h, struct asked *a, struct id payment)
{
	payments_sandbox_pay(h->payments, payment, &asked_init(a, h->org, 0, NULL)->request);
	house_run(h);
	ck_assert_int_eq(a->done, 1);
	return a->request.outcome;
}

static inline void asked_finish(struct asked *a)
{
	pay_request_finish(&a->request);
}

static inline void house_prefers(struct house *h, bool enabled, int64_t threshold_cents,
				 int64_t amount_cents, int64_t budget_cents)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_PREFERENCES,
						   (struct caller){.org = h->org});

	cmd->sets_enabled = cmd->sets_threshold = cmd->sets_amount = cmd->sets_budget = true;
	cmd->prefs.auto_reload_enabled = enabled;
	ck_assert(microusd_from_tokens(&cmd->prefs.auto_reload_threshold, threshold_cents));
	ck_assert(microusd_from_tokens(&cmd->prefs.auto_reload_amount, amount_cents));
	cmd->prefs.has_budget = budget_cents >= 0;
	ck_assert(microusd_from_tokens(&cmd->prefs.budget_limit, budget_cents));
	ck_assert_int_eq(store_run(h->wallet, cmd).outcome, WALLET_OK);
}

/* Takes tokens out of the balance; false when the budget is used up. */
static inline bool house_spend(struct house *h, int64_t tokens)
{
	struct wallet_cmd *hold = store_hold(h->wallet, h->org, tokens);
	struct id call = hold->id;
	struct ran ran = store_run(h->wallet, hold);

	if (ran.outcome == WALLET_OVER_BUDGET)
		return false;
	ck_assert_int_eq(ran.outcome, WALLET_OK);
	ran = store_run(h->wallet,
			store_end(WALLET_OP_CAPTURE, h->org, call, ran.lease, tokens, tokens));
	ck_assert_int_eq(ran.outcome, WALLET_OK);
	return true;
}

static inline void house_watch(struct house *h)
{
	payments_watch(h->payments, h->org);
	house_run(h);
}

static inline int64_t house_tokens(struct house *h)
{
	return store_tokens(h->wallet, h->org);
}

static inline struct preferences house_prefs(struct house *h)
{
	struct wallet_view view = {0};
	bool is_there = false;

	ck_assert(wallet_view_read(wallet_db(h->wallet), h->org, &is_there, &view) == DB_OK);
	return view.prefs;
}

/* The newest payment first. */
static inline struct payment_list house_list(struct house *h)
{
	struct payment_list list = {0};

	ck_assert(payment_list_read(wallet_db(h->wallet), payments_gateway_name(h->payments),
				    h->org, ID_NONE, 500, &list) == DB_OK);
	return list;
}

static inline size_t house_count(struct house *h)
{
	struct payment_list list = house_list(h);
	size_t count = list.count;

	payment_list_finish(&list);
	return count;
}

/* State of the newest payment. */
static inline enum payment_state house_state(struct house *h)
{
	struct payment_list list = house_list(h);
	enum payment_state state;

	ck_assert_int_gt(list.count, 0);
	state = list.items[0].state;
	payment_list_finish(&list);
	return state;
}

static inline int64_t house_faults(struct house *h, struct buf *text)
{
	int64_t faults = -1;

	ck_assert(payments_verify(wallet_db(h->wallet), &faults, text) == DB_OK);
	return faults;
}

/* Ledger and payments agree. */
static inline void house_proves_itself(struct house *h)
{
	struct buf text = BUF_INIT;
	int64_t faults = house_faults(h, &text);

	ck_assert_msg(faults == 0, "%s", buf_text(&text));
	buf_finish(&text);
	store_proves_itself(h->wallet, 0);
}

#endif
