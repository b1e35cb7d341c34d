#include "till.h"
#include "unit.h"

#define MINUTE_MS (INT64_C(60) * 1000)
#define DAY_MS    (24 * 60 * MINUTE_MS)

START_TEST(a_state_becomes_only_what_the_table_allows)
{
	static const char *const TABLE[] = {
		/* from: 1 created ... 9 disputed; to in the same order */
		".xxxxxx..", "..xxxxx..", "....xxx..", "....x.x..", ".......xx",
		"....x....", "....x....", "....x...x", "....x..x.",
	};

	for (int from = 1; from <= 9; from++) {
		for (int to = 1; to <= 9; to++)
			ck_assert_msg(payment_may_become((enum payment_state)from,
							 (enum payment_state)to) ==
					      (TABLE[from - 1][to - 1] == 'x'),
				      "%d -> %d", from, to);
	}
	ck_assert_str_eq(payment_state_name(PAYMENT_REQUIRES_ACTION), "requires_action");
	ck_assert_str_eq(payment_kind_name(PAYMENT_TOP_UP), "top_up");
}
END_TEST

START_TEST(the_fee_is_five_and_a_half_percent_and_eighty_cents_at_least)
{
	static const int64_t TABLE[][2] = {
		{500, 80},    {1000, 80},       {1454, 80},  {1455, 80},  {1464, 81},   {2000, 110},
		{10000, 550}, {1000000, 55000}, {2009, 110}, {2010, 111}, {12345, 679},
	};
	struct house h;

	house_open(&h, store_new(), NULL);
	for (size_t i = 0; i < ARRAY_LEN(TABLE); i++)
		ck_assert_int_eq(payments_fee(h.payments, (struct cents){TABLE[i][0]}).v,
				 TABLE[i][1]);
	house_close(&h);
}
END_TEST

START_TEST(a_buy_charges_the_card_once_and_grants_once)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;

	house_open(&h, store_new(), world);
	ck_assert_int_eq(house_buy(&h, &a, 2500, NULL), PAY_OK);
	ck_assert(a.request.has_after && !a.request.is_replayed);
	ck_assert_int_eq(a.request.after.available.v, 2600 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(a.request.payment.state, PAYMENT_SUCCEEDED);
	ck_assert_int_eq(a.request.payment.credit.v, 2500);
	ck_assert_int_eq(a.request.payment.fee.v, 0);
	ck_assert(a.request.payment.finished.ms >= a.request.payment.created.ms);
	asked_finish(&a);
	ck_assert_int_eq(house_tokens(&h), 2600);
	ck_assert_int_eq(world->charges, 1);
	ck_assert(payments_is_idle(h.payments));
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_buy_commits_two_batches)
{
	struct asked a;
	struct house h;
	int turns = 0;

	/* The row, then grant and state; between them the till's turn. */
	house_open(&h, store_new(), NULL);
	payments_buy(h.payments, &asked_init(&a, h.org, 500, NULL)->request);
	for (; !a.done; turns++)
		house_turns(&h, 1);
	ck_assert_int_le(turns, 3);
	asked_finish(&a);
	house_close(&h);
}
END_TEST

START_TEST(the_same_amount_within_five_minutes_answers_with_the_first_receipt)
{
	struct world *world = world_create();
	struct asked a, b;
	struct house h;
	struct id first;

	house_open(&h, store_new(), world);
	ck_assert_int_eq(house_buy(&h, &a, 2500, NULL), PAY_OK);
	first = a.request.payment.id;
	asked_finish(&a);
	clock_offset_ms += 5 * MINUTE_MS - 60000;
	ck_assert_int_eq(house_buy(&h, &b, 2500, NULL), PAY_OK);
	ck_assert(b.request.is_replayed && id_eq(b.request.payment.id, first));
	ck_assert(b.request.has_after);
	ck_assert_int_eq(b.request.after.available.v, 2600 * MICROUSD_PER_TOKEN);
	asked_finish(&b);
	ck_assert_int_eq(house_buy(&h, &b, 2600, NULL), PAY_OK);
	ck_assert(!b.request.is_replayed);
	asked_finish(&b);
	ck_assert_int_eq(world->charges, 2);
	clock_offset_ms += 61000;
	ck_assert_int_eq(house_buy(&h, &b, 2500, NULL), PAY_OK);
	ck_assert(!b.request.is_replayed && !id_eq(b.request.payment.id, first));
	asked_finish(&b);
	ck_assert_int_eq(world->charges, 3);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_key_buys_once_at_any_time_and_a_new_key_buys_again)
{
	struct world *world = world_create();
	struct asked a, b, c;
	struct house h;

	house_open(&h, store_new(), world);
	ck_assert_int_eq(house_buy(&h, &a, 2500, "one"), PAY_OK);
	ck_assert_int_eq(house_buy(&h, &b, 2500, "two"), PAY_OK);
	ck_assert(!b.request.is_replayed);
	ck_assert_int_eq(world->charges, 2);
	/* A later one that failed does not hide the one that succeeded. */
	world->answer = GATEWAY_DECLINED;
	ck_assert_int_eq(house_buy(&h, &c, 2500, "three"), PAY_DECLINED);
	asked_finish(&c);
	ck_assert_int_eq(house_buy(&h, &c, 2500, NULL), PAY_OK);
	ck_assert(c.request.is_replayed && id_eq(c.request.payment.id, b.request.payment.id));
	asked_finish(&c);
	clock_offset_ms += 40 * DAY_MS;
	ck_assert_int_eq(house_buy(&h, &c, 2500, "one"), PAY_OK);
	ck_assert(c.request.is_replayed && id_eq(c.request.payment.id, a.request.payment.id));
	ck_assert_int_eq(world->charges, 2);
	asked_finish(&a);
	asked_finish(&b);
	asked_finish(&c);
	house_close(&h);
}
END_TEST

START_TEST(the_same_key_with_another_amount_is_a_conflict)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;

	house_open(&h, store_new(), world);
	ck_assert_int_eq(house_buy(&h, &a, 2500, "one"), PAY_OK);
	asked_finish(&a);
	ck_assert_int_eq(house_buy(&h, &a, 2600, "one"), PAY_CONFLICT);
	asked_finish(&a);
	world->answer = GATEWAY_DECLINED;
	ck_assert_int_eq(house_buy(&h, &a, 700, "two"), PAY_DECLINED);
	asked_finish(&a);
	ck_assert_int_eq(house_buy(&h, &a, 800, "two"), PAY_CONFLICT);
	asked_finish(&a);
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_count(&h), 2);
	house_close(&h);
}
END_TEST

START_TEST(a_decline_makes_room_for_a_new_attempt_under_a_new_id)
{
	struct world *world = world_create();
	static const char *const KEYS[] = {NULL, "one"};
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), world);
	for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
		world->answer = GATEWAY_DECLINED;
		ck_assert_int_eq(house_buy(&h, &a, 700 + (int64_t)i, KEYS[i]), PAY_DECLINED);
		ck_assert_str_eq(a.request.payment.reason, "no: says the till");
		ck_assert(!a.request.has_after);
		world->answer = GATEWAY_SUCCEEDED;
		ck_assert_int_eq(house_buy(&h, &b, 700 + (int64_t)i, KEYS[i]), PAY_OK);
		ck_assert(!b.request.is_replayed);
		ck_assert(!id_eq(a.request.payment.id, b.request.payment.id));
		asked_finish(&a);
		asked_finish(&b);
		ck_assert_int_eq(house_buy(&h, &b, 700 + (int64_t)i, KEYS[i]), PAY_OK);
		ck_assert(b.request.is_replayed);
		asked_finish(&b);
	}
	ck_assert_int_eq(world->charges, 2);
	ck_assert_int_eq(house_count(&h), 4);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(two_buys_at_once_are_one_charge_and_two_receipts)
{
	struct world *world = world_create();
	struct asked asked[5];
	struct house h;

	house_open(&h, store_new(), world);
	for (int i = 0; i < 5; i++) {
		payments_buy(h.payments, &asked_init(&asked[i], h.org, 2500, NULL)->request);
		house_turns(&h, i / 2); /* some in one turn, some while the till thinks */
	}
	house_run(&h);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(asked[i].done, 1);
		ck_assert_int_eq(asked[i].request.outcome, PAY_OK);
		ck_assert_int_eq(asked[i].request.is_replayed, i > 0);
		ck_assert(asked[i].request.has_after);
		asked_finish(&asked[i]);
	}
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_tokens(&h), 2600);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(two_processes_buying_the_same_are_one_charge)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct asked a, b;
	struct house h, g;

	house_open(&h, path, world);
	house_open(&g, path, world);
	payments_buy(h.payments, &asked_init(&a, h.org, 2500, "one")->request);
	payments_buy(g.payments, &asked_init(&b, g.org, 2500, "one")->request);
	for (int i = 0; i < 20; i++) {
		house_turns(&h, 1);
		house_turns(&g, 1);
	}
	ck_assert(a.done == 1 && b.done == 1);
	ck_assert(a.request.outcome == PAY_OK && b.request.outcome == PAY_OK);
	ck_assert(!a.request.is_replayed && b.request.is_replayed);
	ck_assert(id_eq(a.request.payment.id, b.request.payment.id));
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_tokens(&g), 2600);
	asked_finish(&a);
	asked_finish(&b);
	house_proves_itself(&h);
	house_close(&g);
	house_close(&h);
}
END_TEST

START_TEST(without_a_till_every_request_says_so_in_a_later_turn)
{
	struct payments_config config = {.mode = PAYMENTS_OFF};
	struct asked asked[4];
	struct house h;

	house_open(&h, store_new(), NULL);
	payments_destroy(h.payments);
	h.payments = payments_create(h.loop, NULL, h.wallet, &config, NULL);
	ck_assert(!payments_is_on(h.payments) && !payments_is_sandbox(h.payments));
	payments_buy(h.payments, &asked_init(&asked[0], h.org, 2500, NULL)->request);
	payments_top_up(h.payments, &asked_init(&asked[1], h.org, 2500, NULL)->request);
	payments_portal(h.payments, &asked_init(&asked[2], h.org, 0, NULL)->request);
	payments_sandbox_pay(h.payments, h.org, &asked_init(&asked[3], h.org, 0, NULL)->request);
	payments_resume(h.payments);
	payments_watch(h.payments, h.org);
	ck_assert_int_eq(asked[0].done, 0);
	house_run(&h);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(asked[i].done, 1);
		ck_assert_int_eq(asked[i].request.outcome, PAY_NOT_CONFIGURED);
		asked_finish(&asked[i]);
	}
	house_close(&h);
}
END_TEST

START_TEST(amounts_and_keys_out_of_range_and_unknown_orgs_are_refused)
{
	static const int64_t BAD[] = {0, -500, 499, 1000001, INT64_MAX, INT64_MIN};
	char long_key[IDEMPOTENCY_KEY_BYTES_MAX + 2];
	struct asked a;
	struct house h;

	house_open(&h, store_new(), NULL);
	for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
		ck_assert_int_eq(house_buy(&h, &a, BAD[i], NULL), PAY_BAD_REQUEST);
		ck_assert_ptr_nonnull(strstr(a.request.err.text, "amount_usd"));
		asked_finish(&a);
	}
	memset(long_key, 'k', sizeof(long_key));
	long_key[sizeof(long_key) - 1] = '\0';
	ck_assert_int_eq(house_buy(&h, &a, 500, long_key), PAY_BAD_REQUEST);
	asked_finish(&a);
	ck_assert_int_eq(house_buy(&h, &a, 500, ""), PAY_BAD_REQUEST);
	asked_finish(&a);
	ck_assert_int_eq(house_buy(&h, &a, 500, long_key + 1), PAY_OK);
	asked_finish(&a);
	ck_assert_int_eq(house_buy(&h, &a, 1000000, NULL), PAY_OK);
	asked_finish(&a);
	payments_buy(h.payments, &asked_init(&a, wallet_new_id(h.wallet), 500, NULL)->request);
	house_run(&h);
	ck_assert_int_eq(a.request.outcome, PAY_BAD_REQUEST);
	asked_finish(&a);
	ck_assert_int_eq(house_count(&h), 2);
	house_close(&h);
}
END_TEST

START_TEST(a_refused_request_says_what_to_change_and_no_card_says_where_to_pay)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;

	house_open(&h, store_new(), world);
	world->answer = GATEWAY_REFUSED;
	ck_assert_int_eq(house_buy(&h, &a, 2500, NULL), PAY_BAD_REQUEST);
	ck_assert_str_eq(a.request.err.text, "no: says the till");
	asked_finish(&a);
	ck_assert_int_eq(house_state(&h), PAYMENT_FAILED);
	world->answer = GATEWAY_OPEN;
	ck_assert_int_eq(house_buy(&h, &a, 2500, NULL), PAY_NEEDS_CARD);
	ck_assert_str_eq(a.request.payment.url, "https://till.invalid/");
	asked_finish(&a);
	house_close(&h);
}
END_TEST

UNIT_MAIN("payments", a_state_becomes_only_what_the_table_allows,
	  the_fee_is_five_and_a_half_percent_and_eighty_cents_at_least,
	  a_buy_charges_the_card_once_and_grants_once, a_buy_commits_two_batches,
	  the_same_amount_within_five_minutes_answers_with_the_first_receipt,
	  a_key_buys_once_at_any_time_and_a_new_key_buys_again,
	  the_same_key_with_another_amount_is_a_conflict,
	  a_decline_makes_room_for_a_new_attempt_under_a_new_id,
	  two_buys_at_once_are_one_charge_and_two_receipts,
	  two_processes_buying_the_same_are_one_charge,
	  without_a_till_every_request_says_so_in_a_later_turn,
	  amounts_and_keys_out_of_range_and_unknown_orgs_are_refused,
	  a_refused_request_says_what_to_change_and_no_card_says_where_to_pay)
