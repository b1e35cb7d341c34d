/*
 * The ceilings of purchases: what counts for them, that no two processes pass them together, and
 * random purchases against a model of a few lines.
 */

#include "any.h"
#include "till.h"
#include "unit.h"

#include "json/edge.h"

#define MINUTE_MS    (INT64_C(60) * 1000)
#define HOUR_MS      (60 * MINUTE_MS)
#define DAY_MS       (24 * HOUR_MS)
#define STEPS        300
#define PAYMENTS_MAX 400

static struct ceilings *ceilings_new(const char *text)
{
	struct err err = ERR_INIT;
	json_t *root = edge_parse(slice_of(text), &err);
	struct ceilings *c;

	ck_assert_msg(root != NULL, "%s", err.text);
	c = ceilings_create(root);
	json_decref(root);
	return c;
}

/* The clock of the payments stands at this time of 2026, some seconds more at the test's end. */
static void clock_at(const char *text)
{
	struct walltime t;

	ck_assert(walltime_parse(slice_of(text), &t));
	clock_offset_ms = t.ms - clock_wall().ms;
}

static void open_house(struct house *h, const char *path, const char *config)
{
	edge_init();
	house_ceilings = ceilings_new(config);
	house_open(h, path, NULL);
}

static void close_house(struct house *h)
{
	house_close(h);
	ceilings_destroy((struct ceilings *)(uintptr_t)house_ceilings);
	house_ceilings = NULL;
}

static enum pay_outcome checkout(struct house *h, struct asked *a, int64_t cents, int64_t minimum)
{
	asked_init(a, h->org, cents, NULL);
	a->request.minimum = (struct microusd){minimum * MICROUSD_PER_CENT};
	payments_checkout(h->payments, &a->request);
	house_run(h);
	ck_assert_int_eq(a->done, 1);
	return a->request.outcome;
}

/* Its outcome, or the ceiling that refused it, negative. */
static int buy(struct house *h, int64_t cents)
{
	static int count;
	char key[32];
	struct asked a;
	int outcome;

	(void)snprintf(key, sizeof(key), "key %d", count++);
	outcome = house_buy(h, &a, cents, key);
	if (outcome == PAY_BOUND)
		outcome = -(int)a.request.ceiling;
	asked_finish(&a);
	return outcome;
}

START_TEST(an_org_has_its_own_ceilings_and_the_rest_those_of_all)
{
	struct ceilings *c = ceilings_new("{\"purchases\":{\"per_day_usd\":20.5},"
					  "\"orgs\":{\"acme\":{\"purchases\":{\"per_call_usd\":0}},"
					  "\"other\":{}}}");

	ck_assert_int_eq(ceilings_of(c, "acme")->per_call.v, 0);
	ck_assert_int_eq(ceilings_of(c, "acme")->per_day.v, 20500000);
	ck_assert_int_eq(ceilings_of(c, "acme")->per_month.v, 3000 * MICROUSD_PER_USD);
	ck_assert_int_eq(ceilings_of(c, "other")->per_call.v, 500 * MICROUSD_PER_USD);
	ck_assert_int_eq(ceilings_of(c, "nobody")->per_day.v, 20500000);
	ceilings_destroy(c);
	c = ceilings_new("{}");
	ck_assert_int_eq(ceilings_of(c, "default")->per_call.v, 500 * MICROUSD_PER_USD);
	ck_assert_int_eq(ceilings_of(c, "default")->per_day.v, 1000 * MICROUSD_PER_USD);
	ck_assert_int_eq(ceilings_of(c, "default")->per_month.v, 3000 * MICROUSD_PER_USD);
	ceilings_destroy(c);
}
END_TEST

START_TEST(the_exact_ceiling_may_be_bought_and_a_cent_more_may_not)
{
	struct house h;

	clock_at("2026-04-30T12:35:00Z");
	open_house(&h, store_new(),
		   "{\"purchases\":{\"per_call_usd\":50,\"per_day_usd\":100,"
		   "\"per_month_usd\":130}}");
	ck_assert_int_eq(buy(&h, 5001), -CEILING_PER_CALL);
	ck_assert_int_eq(buy(&h, 5000), PAY_OK);
	ck_assert_int_eq(buy(&h, 4900), PAY_OK);
	ck_assert_int_eq(buy(&h, 501), -CEILING_PER_DAY);
	ck_assert_int_eq(buy(&h, 4000), -CEILING_PER_MONTH);
	clock_at("2026-05-01T00:05:00Z");
	ck_assert_int_eq(buy(&h, 5000), PAY_OK);
	ck_assert_int_eq(buy(&h, 5000), PAY_OK);
	ck_assert_int_eq(buy(&h, 500), -CEILING_PER_DAY);
	clock_at("2026-05-02T00:05:00Z");
	ck_assert_int_eq(buy(&h, 3001), -CEILING_PER_MONTH);
	ck_assert_int_eq(buy(&h, 3000), PAY_OK);
	house_proves_itself(&h);
	close_house(&h);
}
END_TEST

START_TEST(zero_means_that_nothing_may_be_bought)
{
	struct house h;

	open_house(&h, store_new(), "{\"orgs\":{\"default\":{\"purchases\":{\"per_day_usd\":0}}}}");
	ck_assert_int_eq(buy(&h, 500), -CEILING_PER_DAY);
	ck_assert_int_eq(house_count(&h), 0);
	close_house(&h);
}
END_TEST

START_TEST(an_open_page_counts_until_it_is_over_and_a_decline_never)
{
	struct house h;
	struct asked a;

	clock_at("2026-04-10T12:35:00Z");
	open_house(&h, store_new(), "{\"purchases\":{\"per_day_usd\":100}}");
	ck_assert_int_eq(house_top_up(&h, &a, 6000), PAY_OK);
	asked_finish(&a);
	ck_assert_int_eq(buy(&h, 4001), -CEILING_PER_DAY);
	ck_assert_int_eq(buy(&h, 502), PAY_DECLINED);
	ck_assert_int_eq(buy(&h, 4000), PAY_OK);
	/* The next day it is open still, and the day after no more. */
	clock_at("2026-04-11T12:25:00Z");
	ck_assert_int_eq(buy(&h, 4001), -CEILING_PER_DAY);
	clock_at("2026-04-11T12:45:00Z");
	ck_assert_int_eq(buy(&h, 10000), PAY_OK);
	house_proves_itself(&h);
	close_house(&h);
}
END_TEST

START_TEST(the_same_page_is_given_again_where_no_second_one_may_be)
{
	struct house h;
	struct asked a, b;

	clock_at("2026-04-10T12:35:00Z");
	open_house(&h, store_new(), "{\"purchases\":{\"per_day_usd\":100}}");
	ck_assert_int_eq(house_top_up(&h, &a, 6000), PAY_OK);
	clock_at("2026-04-10T12:45:00Z");
	ck_assert_int_eq(house_top_up(&h, &b, 6000), PAY_OK);
	ck_assert(id_eq(a.request.payment.id, b.request.payment.id));
	asked_finish(&b);
	ck_assert_int_eq(house_top_up(&h, &b, 6001), PAY_BOUND);
	asked_finish(&b);
	asked_finish(&a);
	close_house(&h);
}
END_TEST

START_TEST(what_is_bought_by_hand_is_not_bound_and_does_not_count)
{
	struct house h;
	struct asked a;

	open_house(&h, store_new(), "{\"purchases\":{\"per_call_usd\":20,\"per_day_usd\":20}}");
	asked_init(&a, h.org, 900000, NULL)->request.is_operator = true;
	payments_top_up(h.payments, &a.request);
	house_run(&h);
	ck_assert_int_eq(a.request.outcome, PAY_OK);
	asked_finish(&a);
	ck_assert_int_eq(buy(&h, 2000), PAY_OK);
	ck_assert_int_eq(buy(&h, 500), -CEILING_PER_DAY);
	close_house(&h);
}
END_TEST

START_TEST(a_page_for_who_ran_out_fits_the_ceiling_or_is_not_made)
{
	struct house h;
	struct asked a;

	open_house(&h, store_new(), "{\"purchases\":{\"per_call_usd\":12.34}}");
	ck_assert_int_eq(checkout(&h, &a, 2000, 1235), PAY_BOUND);
	ck_assert_int_eq(a.request.ceiling, CEILING_PER_CALL);
	asked_finish(&a);
	ck_assert_int_eq(checkout(&h, &a, 2000, 1234), PAY_OK);
	ck_assert_int_eq(a.request.payment.credit.v, 1234);
	asked_finish(&a);
	close_house(&h);
	/* Less than can be paid at all. */
	open_house(&h, store_new(), "{\"purchases\":{\"per_call_usd\":4.99}}");
	ck_assert_int_eq(checkout(&h, &a, 500, 100), PAY_BOUND);
	asked_finish(&a);
	close_house(&h);
}
END_TEST

static void trouble_is(struct house *h, const char *text)
{
	struct reload_view view;

	ck_assert(reload_view_read(wallet_db(h->wallet), h->org, &view) == DB_OK);
	ck_assert_int_eq(view.declines, 0);
	if (text)
		ck_assert_msg(view.last_trouble && strstr(view.last_trouble, text), "%s",
			      view.last_trouble ? view.last_trouble : "none");
	else
		ck_assert_ptr_null(view.last_trouble);
	reload_view_finish(&view);
}

START_TEST(a_reload_beyond_the_ceiling_waits_for_its_reset_and_says_so)
{
	struct house h;

	clock_at("2026-04-10T12:35:00Z");
	open_house(&h, store_new(), "{\"purchases\":{\"per_call_usd\":45,\"per_day_usd\":50}}");
	house_prefers(&h, true, 5000, 2000, -1);
	house_watch(&h);
	/* Two steps of three fit. */
	ck_assert_int_eq(house_tokens(&h), 4100);
	clock_at("2026-04-10T12:45:00Z");
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 4100);
	trouble_is(&h,
		   "$50.00 a day; $40.00 are bought or about to be, and $20.00 more do not fit; "
		   "the next try is not before 2026-04-11T00:00:00Z");
	ck_assert(house_prefs(&h).auto_reload_enabled);
	ck_assert_int_eq(h.payments->watch.cooling_count, 1);
	/* The timer's own way, not another settlement's. */
	clock_at("2026-04-11T00:05:00Z");
	h.payments->watch.timer.fn(h.payments->watch.timer.arg);
	house_run(&h);
	ck_assert_int_eq(house_tokens(&h), 6100);
	trouble_is(&h, NULL);
	/* A step that no purchase may be. */
	house_prefers(&h, true, 9000, 5000, -1);
	clock_at("2026-04-12T00:05:00Z");
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 6100);
	trouble_is(&h, "at most $45.00 each");
	house_proves_itself(&h);
	close_house(&h);
}
END_TEST

/* Two processes ask at the same time, again and again: the sum stays within the ceiling. */
START_TEST(two_processes_do_not_pass_a_ceiling_together)
{
	const char *path = store_new();
	struct house houses[2];
	struct asked asked[24];
	int bought = 0;

	clock_at("2026-04-10T12:35:00Z");
	edge_init();
	house_ceilings = ceilings_new("{\"purchases\":{\"per_day_usd\":50}}");
	for (size_t i = 0; i < 2; i++)
		house_open(&houses[i], path, NULL);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		struct house *h = &houses[i % 2];
		char key[32];

		(void)snprintf(key, sizeof(key), "key %zu", i);
		payments_buy(h->payments, &asked_init(&asked[i], h->org, 700, key)->request);
		house_turns(h, 1);
	}
	for (size_t i = 0; i < 2; i++)
		house_run(&houses[i]);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		ck_assert_int_eq(asked[i].done, 1);
		bought += asked[i].request.outcome == PAY_OK;
		if (asked[i].request.outcome != PAY_OK)
			ck_assert_int_eq(asked[i].request.outcome, PAY_BOUND);
		asked_finish(&asked[i]);
	}
	ck_assert_int_eq(bought, 7);
	house_proves_itself(&houses[0]);
	house_close(&houses[1]);
	close_house(&houses[0]);
}
END_TEST

struct model_payment {
	struct id id;
	int64_t amount, created_ms, paid_ms; /* paid_ms 0: not paid */
	bool is_over, by_hand;
};

struct model {
	struct model_payment payments[PAYMENTS_MAX];
	size_t count;
};

static struct walltime now(void)
{
	return house_now(&clock_offset_ms);
}

static bool is_open(const struct model_payment *p)
{
	return !p->is_over && !p->paid_ms && now().ms - p->created_ms < DAY_MS;
}

static int model_refuses(const struct model *m, int64_t amount)
{
	int64_t day = 0, month = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_payment *p = &m->payments[i];
		struct walltime paid = {.ms = p->paid_ms};

		if (p->by_hand)
			continue;
		if (is_open(p) || (p->paid_ms && walltime_day(paid) == walltime_day(now())))
			day += p->amount;
		if (is_open(p) || (p->paid_ms && walltime_month(paid) == walltime_month(now())))
			month += p->amount;
	}
	if (amount > 5000)
		return CEILING_PER_CALL;
	if (month + amount > 30000)
		return CEILING_PER_MONTH;
	return day + amount > 10000 ? CEILING_PER_DAY : CEILING_NONE;
}

static void step_buy(struct house *h, struct model *m)
{
	static const int64_t AMOUNTS[] = {500, 502, 503, 2345, 4999, 5000, 5001};
	int64_t amount = AMOUNTS[any(ARRAY_LEN(AMOUNTS))];
	bool is_page = any(3) == 0, by_hand = any(8) == 0;
	struct model_payment *p = &m->payments[m->count];
	int refused = by_hand ? CEILING_NONE : model_refuses(m, amount);
	struct asked a;
	char key[32];

	/* Amounts of pages differ, so that none answers for another. */
	if (is_page) {
		amount = 1000 + (int64_t)m->count;
		refused = by_hand ? CEILING_NONE : model_refuses(m, amount);
	}
	(void)snprintf(key, sizeof(key), "key %zu %lld", m->count, (long long)any(INT64_MAX));
	asked_init(&a, h->org, amount, key)->request.is_operator = by_hand;
	if (is_page)
		payments_top_up(h->payments, &a.request);
	else
		payments_buy(h->payments, &a.request);
	house_run(h);
	if (a.request.outcome == PAY_RATE_LIMITED) {
		asked_finish(&a); /* the brake on the card comes first */
		return;
	}
	if (refused) {
		ck_assert_int_eq(a.request.outcome, PAY_BOUND);
		ck_assert_int_eq(a.request.ceiling, refused);
		asked_finish(&a);
		return;
	}
	ck_assert_int_eq(a.request.outcome, is_page         ? PAY_OK
					    : amount == 502 ? PAY_DECLINED
					    : amount == 503 ? PAY_ACTION_REQUIRED
							    : PAY_OK);
	*p = (struct model_payment){
		.id = a.request.payment.id,
		.amount = amount,
		.created_ms = a.request.payment.created.ms,
		.by_hand = by_hand,
		.is_over = !is_page && amount == 502,
	};
	if (!is_page && a.request.outcome == PAY_OK)
		p->paid_ms = a.request.payment.finished.ms;
	m->count++;
	ck_assert_int_lt(m->count, PAYMENTS_MAX);
	asked_finish(&a);
}

static void step_pay(struct house *h, struct model *m)
{
	struct model_payment *p;
	struct asked a;

	if (!m->count)
		return;
	p = &m->payments[any((int64_t)m->count)];
	if (!is_open(p))
		return;
	ck_assert_int_eq(house_pay(h, &a, p->id), PAY_OK);
	p->paid_ms = a.request.payment.finished.ms;
	asked_finish(&a);
}

static void run_model(uint64_t start)
{
	static const char CONFIG[] = "{\"purchases\":{\"per_call_usd\":50,\"per_day_usd\":100,"
				     "\"per_month_usd\":300}}";
	static const int64_t WAITS_MS[] = {10 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, 23 * HOUR_MS,
					   25 * HOUR_MS};
	struct model *m = xzalloc(sizeof(*m));
	const char *path = store_new();
	struct house h;

	seed = start;
	clock_at("2027-12-30T20:35:00Z");
	open_house(&h, path, CONFIG);
	for (int i = 0; i < STEPS; i++) {
		switch (any(6)) {
		case 0:
			clock_offset_ms += WAITS_MS[any(ARRAY_LEN(WAITS_MS))];
			break;
		case 1:
			step_pay(&h, m);
			break;
		case 2:
			if (any(4) == 0) {
				close_house(&h);
				open_house(&h, path, CONFIG);
			}
			break;
		default:
			step_buy(&h, m);
			break;
		}
	}
	house_proves_itself(&h);
	close_house(&h);
	free(m);
}

START_TEST(random_purchases_are_bound_as_the_model_says)
{
	const char *given = getenv("SEED");
	uint64_t start = given ? strtoull(given, NULL, 10) : (uint64_t)clock_boot().ms;

	for (int i = 0; i < 4; i++) {
		printf("SEED=%llu\n", (unsigned long long)start);
		(void)fflush(stdout);
		run_model(start * 2 + 1);
		start += 1000003;
	}
}
END_TEST

UNIT_MAIN("ceilings", an_org_has_its_own_ceilings_and_the_rest_those_of_all,
	  the_exact_ceiling_may_be_bought_and_a_cent_more_may_not,
	  zero_means_that_nothing_may_be_bought,
	  an_open_page_counts_until_it_is_over_and_a_decline_never,
	  the_same_page_is_given_again_where_no_second_one_may_be,
	  what_is_bought_by_hand_is_not_bound_and_does_not_count,
	  a_page_for_who_ran_out_fits_the_ceiling_or_is_not_made,
	  a_reload_beyond_the_ceiling_waits_for_its_reset_and_says_so,
	  two_processes_do_not_pass_a_ceiling_together,
	  random_purchases_are_bound_as_the_model_says)
