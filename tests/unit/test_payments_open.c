#include "till.h"
#include "unit.h"

#include <sqlite3.h>

#define MINUTE_MS (INT64_C(60) * 1000)
#define DAY_MS    (24 * 60 * MINUTE_MS)

static void sql(const char *path, const char *text)
{
	char *why = NULL;
	sqlite3 *db;

	ck_assert(sqlite3_open(path, &db) == SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, &why) == SQLITE_OK, "%s", why);
	sqlite3_close(db);
}

START_TEST(the_sandbox_declines_5_02_and_wants_the_user_at_5_03)
{
	char expected[128], id[ID_TEXT_SIZE];
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), NULL);
	ck_assert(payments_is_sandbox(h.payments) && payments_is_on(h.payments));
	ck_assert_int_eq(house_buy(&h, &a, 502, NULL), PAY_DECLINED);
	ck_assert_ptr_nonnull(a.request.payment.reason);
	asked_finish(&a);
	ck_assert_int_eq(house_buy(&h, &a, 503, NULL), PAY_ACTION_REQUIRED);
	payment_id_text(a.request.payment.id, id);
	(void)snprintf(expected, sizeof(expected), "https://sandbox.invalid/pay/%s", id);
	ck_assert_str_eq(a.request.payment.url, expected);
	/* Not a second one: the first waits for the user. */
	ck_assert_int_eq(house_buy(&h, &b, 503, NULL), PAY_ACTION_REQUIRED);
	ck_assert(b.request.is_replayed && id_eq(a.request.payment.id, b.request.payment.id));
	ck_assert_str_eq(b.request.payment.url, expected);
	asked_finish(&b);
	ck_assert_int_eq(house_tokens(&h), 100);
	ck_assert_int_eq(house_pay(&h, &b, a.request.payment.id), PAY_OK);
	asked_finish(&b);
	ck_assert_int_eq(house_tokens(&h), 603);
	ck_assert_int_eq(house_buy(&h, &b, 503, NULL), PAY_OK);
	ck_assert(b.request.is_replayed);
	asked_finish(&a);
	asked_finish(&b);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_top_up_stays_open_until_it_is_paid)
{
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), NULL);
	ck_assert_int_eq(house_top_up(&h, &a, 2000), PAY_OK);
	ck_assert_int_eq(a.request.payment.state, PAYMENT_OPEN);
	ck_assert_int_eq(a.request.payment.fee.v, 110);
	ck_assert_ptr_nonnull(strstr(a.request.payment.url, "https://sandbox.invalid/pay/pay_"));
	ck_assert_int_eq(house_tokens(&h), 100);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_state(&h), PAYMENT_OPEN);
	/* The fee is paid beside the credit, it is not credited. */
	ck_assert_int_eq(house_pay(&h, &b, a.request.payment.id), PAY_OK);
	ck_assert_int_eq(b.request.after.available.v, 2100 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(b.request.payment.state, PAYMENT_SUCCEEDED);
	asked_finish(&a);
	asked_finish(&b);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(the_same_top_up_within_five_minutes_is_the_first_one_while_it_is_open)
{
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), NULL);
	ck_assert_int_eq(house_top_up(&h, &a, 2000), PAY_OK);
	ck_assert_int_eq(house_top_up(&h, &b, 2000), PAY_OK);
	ck_assert(b.request.is_replayed && id_eq(a.request.payment.id, b.request.payment.id));
	ck_assert_str_eq(a.request.payment.url, b.request.payment.url);
	asked_finish(&b);
	/* A buy of that amount is something else. */
	ck_assert_int_eq(house_buy(&h, &b, 2000, NULL), PAY_OK);
	ck_assert(!b.request.is_replayed);
	asked_finish(&b);
	ck_assert_int_eq(house_pay(&h, &b, a.request.payment.id), PAY_OK);
	asked_finish(&b);
	ck_assert_int_eq(house_top_up(&h, &b, 2000), PAY_OK);
	ck_assert(!b.request.is_replayed);
	asked_finish(&b);
	clock_offset_ms += 5 * MINUTE_MS;
	ck_assert_int_eq(house_top_up(&h, &b, 2000), PAY_OK);
	ck_assert(!b.request.is_replayed);
	asked_finish(&b);
	asked_finish(&a);
	house_close(&h);
}
END_TEST

START_TEST(paying_twice_credits_once)
{
	const char *path = store_new();
	struct house server, one, two;
	struct asked a, b, c;

	house_open(&server, path, NULL);
	ck_assert_int_eq(house_top_up(&server, &a, 2000), PAY_OK);
	house_open(&one, path, NULL);
	house_open(&two, path, NULL);
	/* Both have read that it is open before either pays. */
	payments_sandbox_pay(one.payments, a.request.payment.id,
			     &asked_init(&b, ID_NONE, 0, NULL)->request);
	payments_sandbox_pay(two.payments, a.request.payment.id,
			     &asked_init(&c, ID_NONE, 0, NULL)->request);
	for (int i = 0; i < 10; i++) {
		house_turns(&one, 1);
		house_turns(&two, 1);
	}
	ck_assert(b.request.outcome == PAY_OK && !b.request.is_replayed);
	ck_assert(c.request.outcome == PAY_OK && c.request.is_replayed);
	asked_finish(&b);
	asked_finish(&c);
	ck_assert_int_eq(house_pay(&one, &b, a.request.payment.id), PAY_BAD_REQUEST);
	ck_assert_ptr_nonnull(strstr(b.request.err.text, "succeeded"));
	asked_finish(&b);
	asked_finish(&a);
	ck_assert_int_eq(house_tokens(&server), 2100);
	house_proves_itself(&server);
	house_close(&two);
	house_close(&one);
	house_close(&server);
}
END_TEST

START_TEST(only_an_open_payment_of_ones_own_can_be_paid)
{
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), NULL);
	ck_assert_int_eq(house_pay(&h, &a, wallet_new_id(h.wallet)), PAY_BAD_REQUEST);
	ck_assert(id_is_none(a.request.payment.id));
	asked_finish(&a);
	ck_assert_int_eq(house_buy(&h, &a, 502, NULL), PAY_DECLINED);
	ck_assert_int_eq(house_pay(&h, &b, a.request.payment.id), PAY_BAD_REQUEST);
	asked_finish(&b);
	asked_finish(&a);
	ck_assert_int_eq(house_top_up(&h, &a, 2000), PAY_OK);
	payments_sandbox_pay(h.payments, a.request.payment.id,
			     &asked_init(&b, wallet_new_id(h.wallet), 0, NULL)->request);
	house_run(&h);
	ck_assert_int_eq(b.request.outcome, PAY_BAD_REQUEST);
	ck_assert(id_is_none(b.request.payment.id));
	asked_finish(&a);
	asked_finish(&b);
	ck_assert_int_eq(house_tokens(&h), 100);
	house_close(&h);
}
END_TEST

START_TEST(open_payments_expire_after_a_day_at_the_next_look)
{
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), NULL);
	ck_assert_int_eq(house_top_up(&h, &a, 2000), PAY_OK);
	ck_assert_int_eq(house_buy(&h, &b, 503, "key"), PAY_ACTION_REQUIRED);
	asked_finish(&b);
	clock_offset_ms += DAY_MS - 20000;
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_state(&h), PAYMENT_REQUIRES_ACTION);
	ck_assert(loop_timer_is_set(&h.payments->look->timer));
	clock_offset_ms += 21000;
	/* Paying is a look, too. */
	ck_assert_int_eq(house_pay(&h, &b, a.request.payment.id), PAY_BAD_REQUEST);
	ck_assert_int_eq(b.request.payment.state, PAYMENT_CANCELLED);
	asked_finish(&b);
	asked_finish(&a);
	ck_assert_int_eq(house_state(&h), PAYMENT_REQUIRES_ACTION);
	/* What has expired does not answer for its key any more. */
	ck_assert_int_eq(house_buy(&h, &b, 503, "key"), PAY_ACTION_REQUIRED);
	ck_assert(!b.request.is_replayed);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_pay(&h, &a, b.request.payment.id), PAY_OK);
	asked_finish(&a);
	asked_finish(&b);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert(!loop_timer_is_set(&h.payments->look->timer));
	ck_assert_int_eq(house_tokens(&h), 603);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_payer_who_is_faster_than_the_cancel_gets_the_credit)
{
	const char *path = store_new();
	struct house h, payer;
	struct asked a, b;

	house_open(&h, path, NULL);
	ck_assert_int_eq(house_top_up(&h, &a, 2000), PAY_OK);
	house_open(&payer, path, NULL);
	payments_sandbox_pay(payer.payments, a.request.payment.id,
			     &asked_init(&b, ID_NONE, 0, NULL)->request);
	house_turns(&payer, 1); /* has read that it is open */
	ck_assert_int_eq(b.done, 0);
	clock_offset_ms += DAY_MS;
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_state(&h), PAYMENT_CANCELLED);
	house_run(&payer);
	ck_assert_int_eq(b.request.outcome, PAY_OK);
	ck_assert_int_eq(house_state(&h), PAYMENT_SUCCEEDED);
	asked_finish(&a);
	asked_finish(&b);
	house_proves_itself(&h);
	house_close(&payer);
	house_close(&h);
}
END_TEST

START_TEST(the_portal_is_a_url_for_the_org)
{
	char expected[128], org[ID_TEXT_SIZE];
	struct world *world = world_create();
	struct asked a;
	struct house h;

	house_open(&h, store_new(), NULL);
	payments_portal(h.payments, &asked_init(&a, h.org, 0, NULL)->request);
	ck_assert(!payments_is_idle(h.payments));
	house_run(&h);
	ck_assert_int_eq(a.request.outcome, PAY_OK);
	id_text("org", h.org, org);
	(void)snprintf(expected, sizeof(expected), "https://sandbox.invalid/portal/%s", org);
	ck_assert_str_eq(a.request.url, expected);
	asked_finish(&a);
	house_close(&h);
	house_open(&h, store_new(), world);
	payments_portal(h.payments, &asked_init(&a, h.org, 0, NULL)->request);
	house_run(&h);
	ck_assert_int_eq(a.request.outcome, PAY_BAD_REQUEST);
	ck_assert_str_eq(a.request.err.text, "org.email is missing");
	asked_finish(&a);
	house_close(&h);
}
END_TEST

START_TEST(the_looks_get_rarer_and_stop_when_nothing_is_left)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;
	struct look *look;

	house_open(&h, store_new(), world);
	look = h.payments->look;
	payments_resume(h.payments);
	house_run(&h);
	ck_assert(!loop_timer_is_set(&look->timer));
	ck_assert_int_eq(house_top_up(&h, &a, 2000), PAY_OK);
	ck_assert(loop_timer_is_set(&look->timer));
	ck_assert_int_le(look->timer.at.ms - clock_boot().ms, 60 * 1000);
	for (int i = 0; i < 10; i++) {
		payments_resume(h.payments);
		house_run(&h);
		ck_assert(loop_timer_is_set(&look->timer));
	}
	ck_assert_int_gt(look->timer.at.ms - clock_boot().ms, 59 * 60 * 1000);
	ck_assert_int_le(look->timer.at.ms - clock_boot().ms, 60 * 60 * 1000);
	/* Paid at the till: the look finds it. */
	world->charged[world->charges++] = a.request.payment.id;
	asked_finish(&a);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert(!loop_timer_is_set(&look->timer));
	ck_assert_int_eq(house_state(&h), PAYMENT_SUCCEEDED);
	ck_assert_int_eq(house_tokens(&h), 2100);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(a_look_goes_through_all_pages)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;

	house_open(&h, store_new(), world);
	for (int i = 0; i < PAYMENT_LOOK_ROWS + 5; i++) {
		ck_assert_int_eq(house_top_up(&h, &a, 1000 + i), PAY_OK);
		asked_finish(&a);
	}
	clock_offset_ms += DAY_MS;
	payments_resume(h.payments);
	house_run(&h);
	for (int i = 0; i < 1; i++) {
		struct payment_list list = house_list(&h);

		ck_assert_int_eq(list.count, PAYMENT_LOOK_ROWS + 5);
		for (size_t n = 0; n < list.count; n++)
			ck_assert_int_eq(list.items[n].state, PAYMENT_CANCELLED);
		payment_list_finish(&list);
	}
	house_close(&h);
}
END_TEST

START_TEST(the_list_is_newest_first_and_goes_on_after_a_cursor)
{
	struct payment_list list;
	struct asked a;
	struct house h;

	house_open(&h, store_new(), NULL);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(house_buy(&h, &a, 1000 + i, NULL), PAY_OK);
		asked_finish(&a);
	}
	ck_assert(payment_list_read(wallet_db(h.wallet), "sandbox", h.org, ID_NONE, 2, &list) ==
		  DB_OK);
	ck_assert(list.count == 2 && list.has_more);
	ck_assert_int_eq(list.items[0].credit.v, 1004);
	ck_assert_int_eq(list.items[1].credit.v, 1003);
	for (struct id after = list.items[1].id; true;) {
		payment_list_finish(&list);
		ck_assert(payment_list_read(wallet_db(h.wallet), "sandbox", h.org, after, 3,
					    &list) == DB_OK);
		ck_assert(list.count == 3 && !list.has_more);
		ck_assert_int_eq(list.items[2].credit.v, 1000);
		break;
	}
	payment_list_finish(&list);
	ck_assert(payment_list_read(wallet_db(h.wallet), "sandbox", wallet_new_id(h.wallet),
				    ID_NONE, 3, &list) == DB_OK);
	ck_assert(list.count == 0 && !list.has_more);
	payment_list_finish(&list);
	house_close(&h);
}
END_TEST

START_TEST(a_dispute_is_not_undone_by_late_news_of_the_payment)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct asked a;
	struct house h;

	house_open(&h, path, world);
	ck_assert_int_eq(house_top_up(&h, &a, 2000), PAY_OK);
	world->charged[world->charges++] = a.request.payment.id;
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_state(&h), PAYMENT_SUCCEEDED);
	/* Another process disputes it while this one has just heard that it is paid. */
	sql(path, "UPDATE payment SET state = 4, finished_ms = NULL");
	payments_resume(h.payments);
	house_turns(&h, 1);
	sql(path, "UPDATE payment SET state = 9, finished_ms = 1");
	house_run(&h);
	ck_assert_int_eq(house_state(&h), PAYMENT_DISPUTED);
	ck_assert_int_eq(house_tokens(&h), 2100);
	asked_finish(&a);
	house_close(&h);
}
END_TEST

UNIT_MAIN("payments_open", the_sandbox_declines_5_02_and_wants_the_user_at_5_03,
	  a_top_up_stays_open_until_it_is_paid,
	  the_same_top_up_within_five_minutes_is_the_first_one_while_it_is_open,
	  paying_twice_credits_once, only_an_open_payment_of_ones_own_can_be_paid,
	  open_payments_expire_after_a_day_at_the_next_look,
	  a_payer_who_is_faster_than_the_cancel_gets_the_credit, the_portal_is_a_url_for_the_org,
	  the_looks_get_rarer_and_stop_when_nothing_is_left, a_look_goes_through_all_pages,
	  the_list_is_newest_first_and_goes_on_after_a_cursor,
	  a_dispute_is_not_undone_by_late_news_of_the_payment)
