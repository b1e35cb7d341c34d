/*
 * Random requests, crashes and jumps of the clock against a reference model of a few lines:
 * whatever the order, each payment has the state that the model says, and the balance is the
 * model's.
 */

#include "any.h"
#include "till.h"
#include "unit.h"

#define MINUTE_MS    (INT64_C(60) * 1000)
#define HOUR_MS      (60 * MINUTE_MS)
#define STEPS        250
#define PAYMENTS_MAX 500
#define KEYS         4

struct model_payment {
	struct id id;
	enum payment_kind kind;
	enum payment_state state;
	int64_t amount;
	int key; /* -1: none */
	int64_t created_ms, finished_ms;
};

struct model {
	struct model_payment payments[PAYMENTS_MAX];
	size_t count;
	int64_t balance;
	bool enabled;
	int64_t threshold, amount, budget; /* budget < 0: none */
	int64_t declines, not_before_ms;
};

/* One random thing to do; kind RELOAD is a look at the balance. */
struct op {
	enum payment_kind kind;
	int64_t amount;
	int key;
};

static int64_t now_ms(void)
{
	return clock_wall().ms + clock_offset_ms;
}

static bool waits(const struct model_payment *p)
{
	return p->state == PAYMENT_OPEN || p->state == PAYMENT_REQUIRES_ACTION;
}

static bool is_expired(const struct model_payment *p)
{
	return waits(p) && now_ms() - p->created_ms >= 24 * HOUR_MS;
}

static bool is_over(const struct model_payment *p)
{
	return p->state == PAYMENT_FAILED || p->state == PAYMENT_CANCELLED;
}

/* The payment that answers to op, NULL for a new one. */
static struct model_payment *model_earlier(struct model *m, const struct op *op, bool *out_conflict)
{
	*out_conflict = false;
	for (size_t i = m->count; i--;) {
		struct model_payment *p = &m->payments[i];

		if (op->key >= 0) {
			if (p->kind != PAYMENT_BUY || p->key != op->key)
				continue;
			*out_conflict = p->amount != op->amount;
			return is_over(p) || is_expired(p) ? NULL : p;
		}
		if (p->kind == op->kind && p->amount == op->amount && !is_over(p) &&
		    p->created_ms > now_ms() - 5 * MINUTE_MS &&
		    (op->kind == PAYMENT_BUY || p->state == PAYMENT_OPEN))
			return p;
	}
	return NULL;
}

/* Whether the card was declined too often to be tried by a new buy. */
static bool model_brakes(const struct model *m, const struct op *op)
{
	int declines = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_payment *p = &m->payments[i];

		declines += p->kind == PAYMENT_BUY && p->state == PAYMENT_FAILED &&
			    p->finished_ms > now_ms() - 10 * MINUTE_MS;
	}
	return op->kind == PAYMENT_BUY && declines >= BUY_DECLINES_MAX;
}

static int64_t model_reload(const struct model *m)
{
	struct walltime now = {.ms = now_ms()};
	int64_t room = 50000, steps;

	if (!m->enabled || m->balance >= m->threshold || now.ms < m->not_before_ms)
		return 0;
	if (m->budget >= 0) {
		int64_t rest = m->budget;

		for (size_t i = 0; i < m->count; i++) {
			const struct model_payment *p = &m->payments[i];
			struct walltime created = {.ms = p->created_ms};

			if (p->kind == PAYMENT_RELOAD && p->state == PAYMENT_SUCCEEDED &&
			    walltime_month(created) == walltime_month(now))
				rest -= p->amount;
		}
		room = rest < 0 ? 0 : rest < room ? rest : room;
	}
	steps = (m->threshold - m->balance + m->amount - 1) / m->amount;
	if (steps > room / m->amount)
		steps = room / m->amount;
	return steps * m->amount;
}

static void model_reload_ended(struct model *m, struct model_payment *p)
{
	m->not_before_ms = p->created_ms + MINUTE_MS;
	if (p->amount == 502 && ++m->declines < 3)
		m->not_before_ms = p->created_ms + (HOUR_MS << (m->declines - 1));
	else if (p->amount == 502 || p->amount == 503)
		m->enabled = false;
	if (p->amount != 502 || !m->enabled)
		m->declines = 0;
}

static void expire_all(struct model *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (is_expired(&m->payments[i]))
			m->payments[i].state = PAYMENT_CANCELLED;
	}
}

/* The payment that a new row comes to. */
static struct model_payment *model_add(struct model *m, const struct op *op, int64_t amount)
{
	struct model_payment *p;

	/* Of two invoices over the same sum only the new one is to be paid. */
	for (size_t i = 0; i < m->count && op->kind == PAYMENT_TOP_UP; i++) {
		p = &m->payments[i];
		if (p->kind != PAYMENT_TOP_UP || p->state != PAYMENT_OPEN || p->amount != amount)
			continue;
		p->state = PAYMENT_CANCELLED;
		expire_all(m); /* the look that ends it sees the others, too */
	}
	p = &m->payments[m->count++];
	ck_assert_int_lt(m->count, PAYMENTS_MAX);
	*p = (struct model_payment){.kind = op->kind, .amount = amount, .key = op->key};
	p->state = op->kind == PAYMENT_TOP_UP ? PAYMENT_OPEN
		   : amount == 502            ? PAYMENT_FAILED
		   : amount == 503            ? PAYMENT_REQUIRES_ACTION
					      : PAYMENT_SUCCEEDED;
	if (op->kind == PAYMENT_RELOAD && p->state == PAYMENT_REQUIRES_ACTION)
		p->state = PAYMENT_FAILED;
	if (p->state == PAYMENT_SUCCEEDED)
		m->balance += amount;
	return p;
}

static enum pay_outcome model_outcome(const struct model_payment *p)
{
	switch (p->state) {
	case PAYMENT_SUCCEEDED:
	case PAYMENT_OPEN:
		return PAY_OK;
	case PAYMENT_REQUIRES_ACTION:
		return PAY_ACTION_REQUIRED;
	case PAYMENT_FAILED:
		return PAY_DECLINED;
	case PAYMENT_CREATED:
	case PAYMENT_SUBMITTED:
	case PAYMENT_CANCELLED:
	case PAYMENT_REFUNDED:
	case PAYMENT_DISPUTED:
		break;
	}
	ck_abort_msg("state %d", (int)p->state);
}

static const char *key_text(int key)
{
	static const char *const KEY_TEXTS[KEYS] = {"one", "two", "three", "four"};

	return key < 0 ? NULL : KEY_TEXTS[key];
}

static void begin(struct house *h, const struct op *op, struct asked *a)
{
	asked_init(a, h->org, op->amount, key_text(op->key));
	if (op->kind == PAYMENT_BUY)
		payments_buy(h->payments, &a->request);
	else if (op->kind == PAYMENT_TOP_UP)
		payments_top_up(h->payments, &a->request);
	else
		payments_watch(h->payments, h->org);
}

/* What the newest row tells the model of a payment that it has just added. */
static void learn(struct house *h, struct model *m)
{
	struct payment_list list = house_list(h);
	struct model_payment *p = &m->payments[m->count - 1];

	ck_assert_int_eq(list.count, m->count);
	p->id = list.items[0].id;
	p->created_ms = list.items[0].created.ms;
	p->finished_ms = list.items[0].finished.ms;
	if (p->kind == PAYMENT_RELOAD)
		model_reload_ended(m, p);
	payment_list_finish(&list);
}

static void do_op(struct house *h, struct model *m, const struct op *op)
{
	bool is_conflict;
	struct model_payment *p = model_earlier(m, op, &is_conflict);
	bool is_replay = p != NULL;
	bool is_braked = !p && model_brakes(m, op);
	struct asked a;

	if (op->kind == PAYMENT_RELOAD) {
		int64_t amount = model_reload(m);

		begin(h, op, &a);
		house_run(h);
		if (amount) {
			(void)model_add(m, op, amount);
			learn(h, m);
		}
		return;
	}
	begin(h, op, &a);
	house_run(h);
	ck_assert_int_eq(a.done, 1);
	if (is_conflict) {
		ck_assert_int_eq(a.request.outcome, PAY_CONFLICT);
	} else if (is_braked) {
		ck_assert_int_eq(a.request.outcome, PAY_RATE_LIMITED);
	} else {
		if (!p) {
			p = model_add(m, op, op->amount);
			learn(h, m);
		}
		ck_assert_int_eq(a.request.outcome, model_outcome(p));
		ck_assert_int_eq(a.request.is_replayed, is_replay);
		ck_assert(id_eq(a.request.payment.id, p->id));
		if (a.request.has_after)
			ck_assert_int_eq(a.request.after.available.v,
					 m->balance * MICROUSD_PER_CENT);
	}
	asked_finish(&a);
}

/* The process ends somewhere in the middle; the next one picks up what stands in the store. */
static void do_crash(struct house *h, struct model *m, const char *path, const struct op *op)
{
	bool is_conflict;
	bool is_new = !model_earlier(m, op, &is_conflict) && !is_conflict && !model_brakes(m, op);
	int64_t amount = op->kind == PAYMENT_RELOAD ? model_reload(m) : op->amount;
	struct asked a;

	begin(h, op, &a);
	house_turns(h, any(5));
	house_close(h);
	if (a.done)
		asked_finish(&a);
	house_open(h, path, NULL);
	payments_resume(h->payments);
	house_run(h);
	expire_all(m);
	if (house_count(h) == m->count)
		return;
	ck_assert(is_new && amount > 0);
	(void)model_add(m, op, amount);
	learn(h, m);
}

static void do_pay(struct house *h, struct model *m)
{
	struct model_payment *p;
	enum pay_outcome expected;
	struct asked a;

	if (!m->count)
		return;
	p = &m->payments[m->count - 1 - (size_t)any(m->count < 8 ? (int64_t)m->count : 8)];
	expected = waits(p) && !is_expired(p) ? PAY_OK : PAY_BAD_REQUEST;
	if (is_expired(p))
		p->state = PAYMENT_CANCELLED;
	if (expected == PAY_OK) {
		p->state = PAYMENT_SUCCEEDED;
		m->balance += p->amount;
	}
	ck_assert_int_eq(house_pay(h, &a, p->id), expected);
	asked_finish(&a);
}

static void do_prefer(struct house *h, struct model *m)
{
	static const int64_t AMOUNTS[] = {2000, 502, 503, 251, 700};

	m->enabled = any(4) > 0;
	m->threshold = any(2) ? 500 : 3000;
	m->amount = AMOUNTS[any(ARRAY_LEN(AMOUNTS))];
	m->budget = any(2) ? -1 : 10000;
	house_prefers(h, m->enabled, m->threshold, m->amount, m->budget);
}

static struct op any_op(void)
{
	static const int64_t AMOUNTS[] = {500, 502, 503, 700};
	struct op op = {.kind = (enum payment_kind)(1 + any(3)), .key = -1};

	op.amount = AMOUNTS[any(ARRAY_LEN(AMOUNTS))];
	if (op.kind == PAYMENT_BUY && any(2))
		op.key = (int)any(KEYS);
	return op;
}

static void do_spend(struct house *h, struct model *m)
{
	int64_t tokens = m->balance ? any(m->balance + 1) : 0;

	if (house_spend(h, tokens))
		m->balance -= tokens;
}

static void step(struct house *h, struct model *m, const char *path)
{
	/* No sum of them is on the millisecond what a rule counts. */
	static const int64_t WAITS_MS[] = {MINUTE_MS, 4 * MINUTE_MS + 700, HOUR_MS, 25 * HOUR_MS};
	struct op op = any_op();

	switch (any(10)) {
	case 0:
		clock_offset_ms += WAITS_MS[any(ARRAY_LEN(WAITS_MS))];
		return;
	case 1:
		do_prefer(h, m);
		return;
	case 2:
		do_spend(h, m);
		return;
	case 3:
		payments_resume(h->payments);
		house_run(h);
		expire_all(m);
		return;
	case 4:
	case 5:
		do_pay(h, m);
		return;
	case 6:
		do_crash(h, m, path, &op);
		return;
	default:
		do_op(h, m, &op);
		return;
	}
}

static void compare(struct house *h, const struct model *m)
{
	struct payment_list list = house_list(h);

	ck_assert_int_eq(house_tokens(h), m->balance);
	ck_assert_int_eq(list.count, m->count);
	ck_assert_int_eq(house_prefs(h).auto_reload_enabled, m->enabled);
	for (size_t i = 0; i < m->count; i++) {
		const struct model_payment *p = &m->payments[i];
		const struct payment_view *view = &list.items[m->count - 1 - i];

		ck_assert(id_eq(p->id, view->id));
		ck_assert_int_eq(p->state, view->state);
		ck_assert_int_eq(p->amount, view->credit.v);
	}
	payment_list_finish(&list);
}

static void run(uint64_t start)
{
	struct model *m = xzalloc(sizeof(*m));
	const char *path = store_new();
	struct house h;

	seed = start;
	clock_offset_ms = 0;
	house_mid_month();
	m->balance = 100;
	house_open(&h, path, NULL);
	house_prefers(&h, false, 500, 2000, -1);
	m->threshold = 500;
	m->amount = 2000;
	m->budget = -1;
	for (int i = 0; i < STEPS; i++) {
		step(&h, m, path);
		compare(&h, m);
	}
	house_proves_itself(&h);
	house_close(&h);
	free(m);
}

START_TEST(random_requests_come_to_what_the_model_says)
{
	uint64_t start = (uint64_t)clock_boot().ms;
	const char *given = getenv("SEED");

	if (given)
		start = strtoull(given, NULL, 10);
	for (int i = 0; i < 4; i++) {
		printf("SEED=%llu\n", (unsigned long long)start);
		(void)fflush(stdout);
		run(start * 2 + 1);
		start += 1000003;
	}
}
END_TEST

UNIT_MAIN("payments_model", random_requests_come_to_what_the_model_says)
