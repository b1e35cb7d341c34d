#include "till.h"
#include "unit.h"

#include "payments/mirror_store.h"

static struct mirror_entry entry(int64_t seq, enum entry_kind kind, int64_t microusd)
{
	struct mirror_entry e = {.seq = seq, .kind = kind, .to = ACCOUNT_REVENUE};

	e.amount.v = microusd;
	e.ref.b[15] = (uint8_t)seq;
	e.at.ms = 1000 * seq;
	return e;
}

START_TEST(what_is_less_than_a_unit_is_carried_and_never_lost)
{
	static const int64_t AMOUNTS[] = {1, 299, 300, 399, 1, 999, 1000, 1001, 5300, 0, 17};
	int64_t spent = 0, units = 0, carried = 0;

	for (int round = 0; round < 500; round++) {
		struct mirror_plan plan = {.seq = 10 * round, .sum = {carried}};
		struct microusd remainder;

		for (int i = 0; i < 3; i++) {
			int64_t amount = AMOUNTS[(size_t)(3 * round + i) % ARRAY_LEN(AMOUNTS)];
			struct mirror_entry e = entry(10 * round + i + 1, ENTRY_CAPTURE, amount);

			ck_assert(mirror_plan_add(&plan, &e));
			spent += amount;
		}
		units += mirror_plan_units(&plan, &remainder);
		carried = remainder.v;
		ck_assert_int_ge(carried, 0);
		ck_assert_int_lt(carried, 1000);
		ck_assert_int_eq(units * 1000 + carried, spent);
		mirror_plan_finish(&plan);
	}
}
END_TEST

START_TEST(only_captures_are_usage_and_the_last_names_the_event)
{
	static const enum entry_kind OTHERS[] = {
		ENTRY_STARTER, ENTRY_GRANT,    ENTRY_PURCHASE,         ENTRY_RELOAD,
		ENTRY_HOLD,    ENTRY_RELEASE,  ENTRY_EXPIRE,           ENTRY_REFUND,
		ENTRY_DISPUTE, ENTRY_WRITEOFF, ENTRY_DISPUTE_REVERSAL, ENTRY_ADJUSTMENT};
	struct mirror_plan plan = {.seq = 4};
	struct mirror_entry first = entry(5, ENTRY_CAPTURE, 2000), e;
	struct microusd remainder;

	ck_assert(mirror_plan_add(&plan, &first));
	for (size_t i = 0; i < ARRAY_LEN(OTHERS); i++) {
		e = entry(6 + (int64_t)i, OTHERS[i], 7000);
		ck_assert(mirror_plan_add(&plan, &e));
	}
	/* A call that cost nothing does not name it. */
	e = entry(30, ENTRY_CAPTURE, 0);
	ck_assert(mirror_plan_add(&plan, &e));
	ck_assert_int_eq(mirror_plan_units(&plan, &remainder), 2);
	ck_assert(id_eq(plan.call, first.ref));
	ck_assert_int_eq(plan.at.ms, 5000);
	ck_assert_int_eq(plan.next_seq, 30);
	/* The starter tokens, a grant, a purchase and a reload. */
	ck_assert_uint_eq(plan.grants_count, 4);
	mirror_plan_finish(&plan);
}
END_TEST

START_TEST(a_sum_that_is_full_leaves_the_rest_to_the_next_event)
{
	struct mirror_plan plan = {.sum = {INT64_MAX - 10}};
	struct mirror_entry fits = entry(1, ENTRY_CAPTURE, 10), over = entry(2, ENTRY_CAPTURE, 1);

	ck_assert(mirror_plan_add(&plan, &fits));
	ck_assert(!mirror_plan_add(&plan, &over));
	ck_assert_int_eq(plan.next_seq, 1);
	ck_assert_int_eq(plan.sum.v, INT64_MAX);
	mirror_plan_finish(&plan);
}
END_TEST

static void run_rider(struct wallet *w, struct rider *rider)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});

	wallet_cmd_add_rider(cmd, rider);
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
}

static struct mirror_work read_work(struct wallet *w, struct id org, struct walltime now)
{
	struct mirror_work work = {.has_row = false};

	ck_assert(mirror_work_read(wallet_db(w), "till", org, now, &work) == DB_OK);
	return work;
}

static void change(struct wallet *w, enum mirror_change_kind kind, struct id org,
		   struct mirror_work *work)
{
	struct mirror_change *c = mirror_change_create(kind, "till", org, work);

	c->now = clock_wall();
	run_rider(w, &c->rider);
}

static void start(struct wallet *w, struct walltime since)
{
	struct mirror_start_list list = {.items = NULL};
	bool is_started = false;

	ck_assert(mirror_start_read(wallet_db(w), "till", since, &is_started, &list) == DB_OK);
	run_rider(w, mirror_start_create("till", since, &list));
}

START_TEST(two_processes_that_plan_at_once_make_one_event)
{
	struct walltime now = clock_wall();
	struct mirror_work one, other, after;
	struct house h;

	house_open(&h, store_new(), world_create());
	start(h.wallet, now);
	ck_assert(house_spend(&h, 5));
	one = read_work(h.wallet, h.org, now);
	other = read_work(h.wallet, h.org, now);
	ck_assert(!one.has_event && one.plan.next_seq == other.plan.next_seq);
	change(h.wallet, MIRROR_PLANNED, h.org, &one);
	ck_assert(house_spend(&h, 3));
	/* The one that was late: what it read is old by now. */
	change(h.wallet, MIRROR_PLANNED, h.org, &other);
	after = read_work(h.wallet, h.org, now);
	ck_assert(after.has_grant); /* the starter tokens, once */
	change(h.wallet, MIRROR_GRANT_TOLD, h.org, &after);
	after = read_work(h.wallet, h.org, now);
	ck_assert(!after.has_grant && after.has_event);
	ck_assert_int_eq(after.units, 50);
	/* Told by both. */
	other = read_work(h.wallet, h.org, now);
	change(h.wallet, MIRROR_USAGE_TOLD, h.org, &after);
	change(h.wallet, MIRROR_USAGE_TOLD, h.org, &other);
	after = read_work(h.wallet, h.org, now);
	ck_assert(!after.has_event);
	ck_assert_int_eq(after.units_told, 50);
	change(h.wallet, MIRROR_PLANNED, h.org, &after);
	after = read_work(h.wallet, h.org, now);
	ck_assert_int_eq(after.units, 30);
	mirror_work_finish(&after);
	house_close(&h);
}
END_TEST

START_TEST(one_process_has_the_turn_until_it_runs_out)
{
	struct walltime now = clock_wall();
	struct id a, b;
	struct house h;
	struct {
		struct id *holder;
		int64_t after_ms;
		bool is_ours;
	} cases[] = {
		{&a, 0, true},
		{&b, 1, false},
		{&a, 1, true},
		{&b, MIRROR_TURN_MS, false},
		{&b, MIRROR_TURN_MS + 1, true},
		{&a, MIRROR_TURN_MS + 2, false},
		/* A clock that was set back keeps nobody out. */
		{&a, -MIRROR_TURN_MS, true},
	};

	house_open(&h, store_new(), world_create());
	a = wallet_new_id(h.wallet);
	b = wallet_new_id(h.wallet);
	start(h.wallet, now);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct walltime at = {.ms = now.ms + cases[i].after_ms};
		struct mirror_claim *c = mirror_claim_create("till", *cases[i].holder, at);
		struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});
		struct rider rider = c->rider;

		/* Its result is read after the command is gone. */
		c->rider.destroy = NULL;
		wallet_cmd_add_rider(cmd, &c->rider);
		ck_assert_int_eq(store_run(h.wallet, cmd).outcome, WALLET_OK);
		ck_assert_msg(c->is_ours == cases[i].is_ours, "case %zu", i);
		rider.destroy(&c->rider);
	}
	house_close(&h);
}
END_TEST

START_TEST(the_start_takes_the_balance_of_then_and_leaves_what_came_before)
{
	struct mirror_start_list list = {.items = NULL};
	struct walltime now;
	bool is_started = false;
	struct house h;

	house_open(&h, store_new(), world_create());
	ck_assert(house_spend(&h, 30));
	now = clock_wall();
	while (clock_wall().ms == now.ms)
		;
	now = clock_wall();
	ck_assert(house_spend(&h, 20));
	ck_assert(mirror_start_read(wallet_db(h.wallet), "till", now, &is_started, &list) == DB_OK);
	ck_assert(!is_started);
	ck_assert_uint_eq(list.count, 1);
	ck_assert_int_eq(list.items[0].balance.v, 70 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(list.items[0].seq, 3); /* starter, hold, capture */
	run_rider(h.wallet, mirror_start_create("till", now, &list));
	ck_assert(mirror_start_read(wallet_db(h.wallet), "till", now, &is_started, &list) == DB_OK);
	ck_assert(is_started);
	house_close(&h);
}
END_TEST

START_TEST(the_view_counts_what_is_behind)
{
	struct mirror_view view = {.is_started = false};
	struct house h;

	house_open(&h, store_new(), world_create());
	ck_assert(mirror_view_read(wallet_db(h.wallet), payments_gateway_name(h.payments), &view) ==
		  DB_OK);
	ck_assert(!view.is_started);
	start(h.wallet, clock_wall());
	ck_assert(house_spend(&h, 1));
	ck_assert(mirror_view_read(wallet_db(h.wallet), payments_gateway_name(h.payments), &view) ==
		  DB_OK);
	ck_assert(view.is_started && !view.trouble);
	ck_assert_int_ge(view.lag_entries, 2);
	mirror_view_finish(&view);
	house_close(&h);
}
END_TEST

UNIT_MAIN("mirror", what_is_less_than_a_unit_is_carried_and_never_lost,
	  only_captures_are_usage_and_the_last_names_the_event,
	  a_sum_that_is_full_leaves_the_rest_to_the_next_event,
	  two_processes_that_plan_at_once_make_one_event,
	  one_process_has_the_turn_until_it_runs_out,
	  the_start_takes_the_balance_of_then_and_leaves_what_came_before,
	  the_view_counts_what_is_behind)
