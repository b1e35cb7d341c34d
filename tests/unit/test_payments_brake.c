#include "till.h"
#include "unit.h"

#include "base/limits.h"

/* Buys of different amounts at once; how many came to that. */
static int buy_at_once(struct house *h, size_t n, int64_t first_cents, enum pay_outcome outcome)
{
	struct asked asked[8];
	int count = 0;

	ck_assert_uint_le(n, ARRAY_LEN(asked));
	for (size_t i = 0; i < n; i++)
		payments_buy(
			h->payments,
			&asked_init(&asked[i], h->org, first_cents + (int64_t)i, NULL)->request);
	for (size_t i = 0; i < n; i++) {
		while (!asked[i].done)
			house_turns(h, 1);
		count += asked[i].request.outcome == outcome;
		ck_assert(outcome != PAY_RATE_LIMITED ||
			  asked[i].request.outcome != PAY_RATE_LIMITED ||
			  (asked[i].request.retry_after_ms > BUY_BRAKE_MS - 60 * 1000 &&
			   asked[i].request.retry_after_ms <= BUY_BRAKE_MS));
		asked_finish(&asked[i]);
	}
	return count;
}

START_TEST(after_ten_declined_buys_the_card_is_left_alone_for_ten_minutes)
{
	struct world *world = world_create();
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), world);
	ck_assert_int_eq(house_buy(&h, &a, 900, "good"), PAY_OK);
	asked_finish(&a);
	world->answer = GATEWAY_DECLINED;
	for (int64_t cents = 500; cents < 500 + BUY_DECLINES_MAX; cents++) {
		ck_assert_int_eq(house_buy(&h, &a, cents, NULL), PAY_DECLINED);
		asked_finish(&a);
	}
	ck_assert_int_eq(buy_at_once(&h, 1, 600, PAY_RATE_LIMITED), 1);
	ck_assert_int_eq(world->calls, BUY_DECLINES_MAX + 1);
	/* What was bought before is answered, and a page to pay at is made. */
	ck_assert_int_eq(house_buy(&h, &a, 900, "good"), PAY_OK);
	ck_assert(a.request.is_replayed);
	payments_top_up(h.payments, &asked_init(&b, h.org, 600, NULL)->request);
	house_run(&h);
	ck_assert_int_eq(b.request.outcome, PAY_OK);
	asked_finish(&a);
	asked_finish(&b);
	clock_offset_ms += BUY_BRAKE_MS;
	world->answer = GATEWAY_SUCCEEDED;
	ck_assert_int_eq(house_buy(&h, &a, 600, NULL), PAY_OK);
	asked_finish(&a);
	clock_offset_ms = 0;
	house_close(&h);
}
END_TEST

START_TEST(what_was_refused_for_another_reason_is_no_decline)
{
	struct world *world = world_create();
	struct house h;

	house_open(&h, store_new(), world);
	world->answer = GATEWAY_REFUSED;
	for (int64_t cents = 500; cents < 505; cents++)
		ck_assert_int_eq(buy_at_once(&h, 1, cents, PAY_BAD_REQUEST), 1);
	house_close(&h);
}
END_TEST

START_TEST(buys_at_once_do_not_pass_the_brake_together)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct payment_list list;
	struct house h;
	int failed = 0;

	house_open(&h, path, world);
	/* With a card that pays they wait for each other, and all are paid. */
	ck_assert_int_eq(buy_at_once(&h, 8, 500, PAY_OK), 8);
	world->answer = GATEWAY_DECLINED;
	for (int i = 0; i < 3; i++) {
		if (fork() == 0) {
			struct house child;

			house_open(&child, path, world);
			(void)buy_at_once(&child, 4, 1000 + 100 * i, PAY_DECLINED);
			_exit(0);
		}
	}
	for (int i = 0; i < 3; i++) {
		int status;

		ck_assert(wait(&status) > 0 && status == 0);
	}
	list = house_list(&h);
	for (size_t i = 0; i < list.count; i++)
		failed += list.items[i].state == PAYMENT_FAILED;
	ck_assert_uint_eq(list.count, 8 + BUY_DECLINES_MAX);
	payment_list_finish(&list);
	ck_assert_int_eq(failed, BUY_DECLINES_MAX);
	house_close(&h);
}
END_TEST

START_TEST(a_buy_that_waits_behind_others_and_is_given_up_is_not_begun)
{
	struct world *world = world_create();
	struct asked asked[BUY_DECLINES_MAX + 1];
	struct house h;

	house_open(&h, store_new(), world);
	world->is_silent = true;
	for (int i = 0; i <= BUY_DECLINES_MAX; i++) {
		payments_buy(h.payments, &asked_init(&asked[i], h.org, 500 + i, NULL)->request);
		house_turns(&h, 3);
	}
	ck_assert_int_eq(world->charges, BUY_DECLINES_MAX);
	payments_abandon(&asked[BUY_DECLINES_MAX].request);
	world->is_silent = false;
	for (struct job *job = h.payments->jobs; job; job = job->next) {
		if (job->phase == JOB_TILL)
			loop_timer_in(&job->call.timer, 0);
	}
	while (h.payments->jobs)
		house_turns(&h, 1);
	ck_assert_int_eq(world->charges, BUY_DECLINES_MAX);
	ck_assert_uint_eq(house_count(&h), BUY_DECLINES_MAX);
	for (int i = 0; i <= BUY_DECLINES_MAX; i++) {
		ck_assert_int_eq(asked[i].done, i < BUY_DECLINES_MAX);
		asked_finish(&asked[i]);
	}
	house_close(&h);
}
END_TEST

UNIT_MAIN("payments_brake", a_buy_that_waits_behind_others_and_is_given_up_is_not_begun,
	  after_ten_declined_buys_the_card_is_left_alone_for_ten_minutes,
	  what_was_refused_for_another_reason_is_no_decline,
	  buys_at_once_do_not_pass_the_brake_together)
