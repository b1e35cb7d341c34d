#include "till.h"
#include "unit.h"

#define MINUTE_MS (INT64_C(60) * 1000)
#define HOUR_MS   (60 * MINUTE_MS)

/* Amounts in cents; available may be negative; budget < 0: none. */
struct rule_case {
	int64_t available, threshold, step, budget, reloaded;
	int64_t expected; /* 0: nothing */
};

static struct reload_facts facts_of(const struct rule_case *c)
{
	return (struct reload_facts){
		.prefs = {.auto_reload_enabled = true,
			  .auto_reload_threshold = {c->threshold * MICROUSD_PER_CENT},
			  .auto_reload_amount = {c->step * MICROUSD_PER_CENT},
			  .has_budget = c->budget >= 0,
			  .budget_limit = {c->budget * MICROUSD_PER_CENT}},
		.available = {c->available * MICROUSD_PER_CENT},
		.reloaded = {c->reloaded * MICROUSD_PER_CENT},
	};
}

START_TEST(a_reload_is_the_fewest_steps_that_close_the_gap_within_the_limits)
{
	static const struct rule_case CASES[] = {
		{100, 500, 2000, -1, 0, 2000},
		{499, 500, 2000, -1, 0, 2000},
		{500, 500, 2000, -1, 0, 0},
		{0, 2000, 2000, -1, 0, 2000},
		{-1, 2000, 2000, -1, 0, 4000},
		{0, 5000, 2000, -1, 0, 6000},
		{0, 500, 100, -1, 0, 500},
		{0, 501, 100, -1, 0, 600},
		/* at most $500, in whole steps */
		{-100000, 500, 2000, -1, 0, 50000},
		{-100000, 500, 30000, -1, 0, 30000},
		{0, 500, 50000, -1, 0, 50000},
		{0, 500, 50001, -1, 0, 0},
		/* at most the rest of the budget */
		{0, 500, 2000, 2000, 0, 2000},
		{0, 500, 2000, 1999, 0, 0},
		{0, 5000, 2000, 4500, 0, 4000},
		{0, 5000, 2000, 10000, 5500, 4000},
		{0, 5000, 2000, 10000, 8001, 0},
		{0, 5000, 2000, 10000, 12000, 0},
		{0, 500, 2000, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		struct reload_facts f = facts_of(&CASES[i]);
		struct cents amount = {0};
		enum reload_verdict verdict = reload_decide(&f, (struct walltime){.ms = 0},
							    &amount);

		ck_assert_msg((verdict == RELOAD_DUE) == (CASES[i].expected > 0), "case %zu", i);
		ck_assert_int_eq(amount.v, CASES[i].expected);
	}
}
END_TEST

START_TEST(a_reload_needs_the_switch_a_free_place_and_a_cool_card)
{
	struct rule_case low = {0, 500, 2000, -1, 0, 0};
	struct reload_facts f = facts_of(&low);
	struct cents amount;

	f.not_before.ms = 1000;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 999}, &amount) == RELOAD_COOLING);
	ck_assert(reload_decide(&f, (struct walltime){.ms = 1000}, &amount) == RELOAD_DUE);
	/* The longest pause is two hours: any longer one is of a clock that was set back. */
	f.not_before.ms = 2 * HOUR_MS;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 0}, &amount) == RELOAD_COOLING);
	f.not_before.ms++;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 0}, &amount) == RELOAD_DUE);
	f.in_flight = true;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 1000}, &amount) == RELOAD_IN_FLIGHT);
	f.prefs.auto_reload_enabled = false;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 1000}, &amount) == RELOAD_NOT_WANTED);
	/* The ends of the numbers. */
	f = facts_of(&low);
	f.available.v = INT64_MIN;
	f.prefs.auto_reload_threshold.v = INT64_MAX;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 0}, &amount) == RELOAD_DUE);
	ck_assert_int_eq(amount.v, 50000);
	f.prefs.auto_reload_amount.v = INT64_MAX;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 0}, &amount) == RELOAD_NO_ROOM);
	f.prefs.auto_reload_amount.v = 0;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 0}, &amount) == RELOAD_NOT_WANTED);
	f.prefs.auto_reload_amount.v = 1; /* less than a cent cannot be charged */
	f.prefs.has_budget = true;
	f.prefs.budget_limit.v = 1;
	ck_assert(reload_decide(&f, (struct walltime){.ms = 0}, &amount) == RELOAD_NO_ROOM);
}
END_TEST

START_TEST(declines_wait_an_hour_then_two_and_the_third_switches_off)
{
	struct walltime now = {.ms = 5000};
	struct reload_decline d = reload_declined(0, false, now);

	ck_assert(!d.switches_off && d.declines == 1 && d.not_before.ms == 5000 + HOUR_MS);
	d = reload_declined(1, false, now);
	ck_assert(!d.switches_off && d.declines == 2 && d.not_before.ms == 5000 + 2 * HOUR_MS);
	d = reload_declined(2, false, now);
	ck_assert(d.switches_off && d.declines == 0);
	d = reload_declined(0, true, now);
	ck_assert(d.switches_off && d.declines == 0);
}
END_TEST

static struct reload_view view_of(struct house *h)
{
	struct reload_view view;

	ck_assert(reload_view_read(wallet_db(h->wallet), h->org, &view) == DB_OK);
	return view;
}

static void trouble_holds(struct house *h, const char *text)
{
	struct reload_view view = view_of(h);

	ck_assert(!view.in_flight);
	if (text)
		ck_assert_msg(view.last_trouble && strstr(view.last_trouble, text), "%s",
			      view.last_trouble);
	else
		ck_assert_ptr_null(view.last_trouble);
	reload_view_finish(&view);
}

START_TEST(below_the_threshold_one_charge_closes_the_gap)
{
	struct world *world = world_create();
	struct payment_list list;
	struct house h;

	house_open(&h, store_new(), world);
	house_prefers(&h, true, 5000, 2000, -1);
	house_watch(&h);
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_tokens(&h), 6100);
	list = house_list(&h);
	ck_assert_int_eq(list.count, 1);
	ck_assert_int_eq(list.items[0].kind, PAYMENT_RELOAD);
	ck_assert_int_eq(list.items[0].credit.v, 6000);
	payment_list_finish(&list);
	house_watch(&h);
	ck_assert_int_eq(world->calls, 1);
	trouble_holds(&h, NULL);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_look_that_finds_nothing_to_do_writes_nothing)
{
	struct house h;

	house_open(&h, store_new(), NULL);
	for (int i = 0; i < 100; i++)
		payments_watch(h.payments, h.org);
	ck_assert_int_eq(h.payments->watch.orgs_count, 1);
	house_turns(&h, 1);
	ck_assert(house_is_idle(&h));
	house_prefers(&h, true, 50, 2000, -1); /* enough is there */
	house_watch(&h);
	house_prefers(&h, true, 500, 2000, 1000); /* no room in the budget */
	payments_watch(h.payments, h.org);
	house_turns(&h, 1);
	ck_assert(house_is_idle(&h));
	ck_assert_int_eq(house_count(&h), 0);
	house_close(&h);
}
END_TEST

START_TEST(more_orgs_than_the_limit_are_looked_at_later)
{
	struct house h;

	house_open(&h, store_new(), NULL);
	for (int i = 0; i < RELOAD_WATCH_MAX + 100; i++)
		payments_watch(h.payments, wallet_new_id(h.wallet));
	ck_assert_int_eq(h.payments->watch.orgs_count, RELOAD_WATCH_MAX);
	house_run(&h);
	ck_assert_int_eq(h.payments->watch.orgs_count, 0);
	house_close(&h);
}
END_TEST

START_TEST(processes_that_see_the_low_balance_at_once_make_one_reload)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct house h, g;

	house_open(&h, path, world);
	house_open(&g, path, world);
	house_prefers(&h, true, 500, 2000, -1);
	for (int i = 0; i < 20; i++) {
		payments_watch(h.payments, h.org);
		payments_watch(g.payments, g.org);
		/* At different paces. */
		house_turns(&h, 1 + i % 2);
		house_turns(&g, 1);
	}
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_count(&h), 1);
	ck_assert_int_eq(house_tokens(&g), 2100);
	house_proves_itself(&h);
	house_close(&g);
	house_close(&h);
}
END_TEST

START_TEST(reloads_are_a_minute_apart_and_the_next_comes_by_itself)
{
	struct world *world = world_create();
	struct house h;
	int64_t rest_ms;

	house_open(&h, store_new(), world);
	house_prefers(&h, true, 500, 2000, -1);
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 2100);
	ck_assert(house_spend(&h, 2000));
	house_watch(&h);
	ck_assert_int_eq(world->charges, 1);
	ck_assert(loop_timer_is_set(&h.payments->watch.timer));
	clock_offset_ms += MINUTE_MS - 20000;
	house_watch(&h);
	ck_assert_int_eq(world->charges, 1);
	/* The timer waits for the rest of the minute and not for less. */
	rest_ms = h.payments->watch.timer.at.ms - clock_boot().ms;
	ck_assert(rest_ms > 0 && rest_ms <= 20000);
	clock_offset_ms += 20000;
	loop_timer_in(&h.payments->watch.timer, 0);
	while (world->charges == 1)
		house_turns(&h, 1);
	house_run(&h);
	ck_assert_int_eq(house_tokens(&h), 2100);
	ck_assert_int_eq(world->charges, 2);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(the_budget_bounds_reloads_of_the_month_and_not_purchases_by_hand)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;

	house_mid_month();
	house_open(&h, store_new(), world);
	house_prefers(&h, true, 500, 2000, 5000);
	ck_assert_int_eq(house_buy(&h, &a, 9000, NULL), PAY_OK); /* does not count */
	asked_finish(&a);
	house_prefers(&h, true, 5000, 2000, -1);
	ck_assert(house_spend(&h, 9100));
	/* A decline does not count either. */
	world->answer = GATEWAY_DECLINED;
	house_prefers(&h, true, 3000, 2000, 5000);
	house_watch(&h);
	ck_assert_int_eq(house_state(&h), PAYMENT_FAILED);
	clock_offset_ms += HOUR_MS + MINUTE_MS;
	world->answer = GATEWAY_SUCCEEDED;
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 4000);
	house_prefers(&h, true, 9000, 2000, 5000); /* $10 are left, $20 would be needed */
	clock_offset_ms += 2 * MINUTE_MS;
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 4000);
	house_prefers(&h, true, 9000, 1000, 5000);
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 5000);
	/* The next month. */
	clock_offset_ms += 32 * 24 * HOUR_MS;
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 9000);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_bank_that_wants_the_user_switches_auto_reload_off_at_once)
{
	struct house h;

	house_open(&h, store_new(), NULL);
	house_prefers(&h, true, 500, 503, -1);
	house_watch(&h);
	ck_assert(!house_prefs(&h).auto_reload_enabled);
	ck_assert_int_eq(house_prefs(&h).auto_reload_threshold.v, 500 * MICROUSD_PER_CENT);
	ck_assert_int_eq(house_state(&h), PAYMENT_FAILED);
	trouble_holds(&h, "authentication_required");
	clock_offset_ms += 10 * HOUR_MS;
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 1);
	/* On again with a card that works: the trouble is over. */
	house_prefers(&h, true, 500, 600, -1);
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 700);
	trouble_holds(&h, NULL);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(never_retry_advice_and_a_missing_card_switch_it_off_at_once)
{
	static const struct {
		enum gateway_result answer;
		bool never_retry;
		const char *trouble;
	} CASES[] = {
		{GATEWAY_DECLINED, true, "no: says the till; auto-reload is switched off"},
		{GATEWAY_OPEN, false, "no saved card"},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		struct world *world = world_create();
		struct house h;

		house_open(&h, store_new(), world);
		house_prefers(&h, true, 500, 2000, -1);
		world->answer = CASES[i].answer;
		world->never_retry = CASES[i].never_retry;
		house_watch(&h);
		ck_assert(!house_prefs(&h).auto_reload_enabled);
		ck_assert_int_eq(house_state(&h), PAYMENT_FAILED);
		trouble_holds(&h, CASES[i].trouble);
		house_close(&h);
	}
}
END_TEST

START_TEST(three_declines_one_and_two_hours_apart_switch_it_off)
{
	struct house h;

	house_open(&h, store_new(), NULL);
	house_prefers(&h, true, 500, 251, -1); /* two steps: 5.02 */
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 1);
	ck_assert_int_eq(h.payments->watch.cooling_count, 1);
	ck_assert(loop_timer_is_set(&h.payments->watch.timer));
	trouble_holds(&h, "card_declined");
	trouble_holds(&h, "the next try is not before");
	clock_offset_ms += HOUR_MS - 20000;
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 1);
	clock_offset_ms += 21000;
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 2);
	clock_offset_ms += 2 * HOUR_MS - 20000;
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 2);
	ck_assert(house_prefs(&h).auto_reload_enabled);
	clock_offset_ms += 21000;
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 3);
	ck_assert(!house_prefs(&h).auto_reload_enabled);
	trouble_holds(&h, "switched off");
	clock_offset_ms += 100 * HOUR_MS;
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 3);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_success_between_declines_starts_the_count_again)
{
	struct world *world = world_create();
	struct house h;

	house_open(&h, store_new(), world);
	house_prefers(&h, true, 500, 2000, -1);
	for (int round = 0; round < 2; round++) {
		world->answer = GATEWAY_DECLINED;
		for (int i = 0; i < 2; i++) {
			house_watch(&h);
			trouble_holds(&h, "no: says the till");
			clock_offset_ms += 3 * HOUR_MS;
		}
		world->answer = GATEWAY_SUCCEEDED;
		house_watch(&h);
		trouble_holds(&h, NULL);
		ck_assert_int_eq(house_tokens(&h), 2100);
		ck_assert(house_spend(&h, 2000));
		clock_offset_ms += HOUR_MS;
	}
	ck_assert(house_prefs(&h).auto_reload_enabled);
	house_close(&h);
}
END_TEST

START_TEST(a_reload_left_in_flight_at_another_till_neither_blocks_nor_counts)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct house h;

	house_open(&h, path, world);
	house_prefers(&h, true, 500, 2000, 2000);
	world->answer = GATEWAY_UNKNOWN;
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 1);
	house_close(&h);
	clock_offset_ms += 2 * MINUTE_MS;
	house_open(&h, path, NULL); /* the sandbox */
	house_watch(&h);
	ck_assert_int_eq(house_tokens(&h), 2100);
	house_close(&h);
	/* Back again it comes to its end, beside the other. */
	house_open(&h, path, world);
	world->answer = GATEWAY_SUCCEEDED;
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_tokens(&h), 4100);
	ck_assert_int_eq(world->charges, 1);
	trouble_holds(&h, NULL);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(an_outage_is_not_a_decline)
{
	struct world *world = world_create();
	struct reload_view view;
	struct house h;

	house_open(&h, store_new(), world);
	house_prefers(&h, true, 500, 2000, -1);
	world->answer = GATEWAY_UNKNOWN;
	house_watch(&h);
	for (int i = 0; i < 5; i++) {
		clock_offset_ms += 3 * HOUR_MS;
		house_watch(&h);
		payments_resume(h.payments);
		house_run(&h);
	}
	/* One payment, asked about again and again. */
	ck_assert_int_eq(house_count(&h), 1);
	view = view_of(&h);
	ck_assert(view.in_flight && !view.last_trouble);
	ck_assert(house_prefs(&h).auto_reload_enabled);
	ck_assert(loop_timer_is_set(&h.payments->look->timer));
	world->answer = GATEWAY_SUCCEEDED;
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_tokens(&h), 2100);
	trouble_holds(&h, NULL);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_sibling_that_died_in_a_reload_is_noticed)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct house h, sibling;

	house_open(&h, path, world);
	house_prefers(&h, true, 500, 2000, -1);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert(!loop_timer_is_set(&h.payments->look->timer));
	house_open(&sibling, path, world);
	world->is_silent = true;
	payments_watch(sibling.payments, sibling.org);
	house_turns(&sibling, 4);
	house_close(&sibling);
	world->is_silent = false;
	house_watch(&h);
	ck_assert(loop_timer_is_set(&h.payments->look->timer));
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_tokens(&h), 2100);
	house_close(&h);
}
END_TEST

START_TEST(a_decline_found_after_a_crash_counts_on)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct house h;

	house_open(&h, path, world);
	house_prefers(&h, true, 500, 2000, -1);
	world->answer = GATEWAY_DECLINED;
	for (int i = 0; i < 2; i++) {
		house_watch(&h);
		clock_offset_ms += 3 * HOUR_MS;
	}
	world->is_silent = true;
	payments_watch(h.payments, h.org);
	house_turns(&h, 4);
	house_close(&h);
	world->is_silent = false;
	house_open(&h, path, world);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_count(&h), 3);
	ck_assert(!house_prefs(&h).auto_reload_enabled);
	trouble_holds(&h, "switched off");
	house_close(&h);
}
END_TEST

UNIT_MAIN("reload", a_reload_is_the_fewest_steps_that_close_the_gap_within_the_limits,
	  a_reload_needs_the_switch_a_free_place_and_a_cool_card,
	  declines_wait_an_hour_then_two_and_the_third_switches_off,
	  below_the_threshold_one_charge_closes_the_gap,
	  a_look_that_finds_nothing_to_do_writes_nothing,
	  more_orgs_than_the_limit_are_looked_at_later,
	  processes_that_see_the_low_balance_at_once_make_one_reload,
	  reloads_are_a_minute_apart_and_the_next_comes_by_itself,
	  the_budget_bounds_reloads_of_the_month_and_not_purchases_by_hand,
	  a_bank_that_wants_the_user_switches_auto_reload_off_at_once,
	  never_retry_advice_and_a_missing_card_switch_it_off_at_once,
	  three_declines_one_and_two_hours_apart_switch_it_off,
	  a_success_between_declines_starts_the_count_again,
	  a_reload_left_in_flight_at_another_till_neither_blocks_nor_counts,
	  an_outage_is_not_a_decline, a_sibling_that_died_in_a_reload_is_noticed,
	  a_decline_found_after_a_crash_counts_on)
