#include "till.h"
#include "unit.h"

#include <sqlite3.h>

#define HOUR_MS     (INT64_C(60) * 60 * 1000)
/* For what comes sooner, and must not be hung for. */
#define PATIENCE_MS (20 * 1000)

static void sql(const char *path, const char *text)
{
	char *why = NULL;
	sqlite3 *db;

	ck_assert(sqlite3_open(path, &db) == SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, &why) == SQLITE_OK, "%s", why);
	sqlite3_close(db);
}

static struct microusd usd_of_cents(int64_t cents)
{
	struct microusd m;

	ck_assert(microusd_from_tokens(&m, cents));
	return m;
}

/* A page over an amount, which an open payment over minimum answers; its payment. */
static struct id checkout(struct house *h, int64_t cents, int64_t minimum, bool *out_is_new)
{
	struct asked a;
	struct id id;

	asked_init(&a, h->org, cents, NULL)->request.minimum = usd_of_cents(minimum);
	payments_checkout(h->payments, &a.request);
	house_run(h);
	ck_assert_int_eq(a.done, 1);
	ck_assert(a.request.outcome == PAY_OK && a.request.payment.url);
	*out_is_new = !a.request.is_replayed;
	id = a.request.payment.id;
	asked_finish(&a);
	return id;
}

static bool makes_new(struct house *h, int64_t cents, int64_t minimum)
{
	bool is_new;

	(void)checkout(h, cents, minimum, &is_new);
	return is_new;
}

static struct id top_up(struct house *h, int64_t cents)
{
	struct asked a;
	struct id id;

	ck_assert_int_eq(house_top_up(h, &a, cents), PAY_OK);
	id = a.request.payment.id;
	asked_finish(&a);
	return id;
}

static void wait_start(struct house *h, struct asked *a, struct id payment, int64_t ms)
{
	asked_init(a, h->org, 0, NULL)->request.deadline = boottime_after(clock_boot(), ms);
	payments_wait(h->payments, payment, &a->request);
}

/* Turns of both until the first has its answer, or so long. */
static void run_both(struct house *h, struct house *other, const struct asked *a, int64_t ms)
{
	struct boottime until = boottime_after(clock_boot(), ms);

	while (!a->done && clock_boot().ms < until.ms) {
		house_turns(h, 1);
		if (other)
			house_turns(other, 1);
		(void)usleep(2000);
	}
}

static void run(struct house *h, const struct asked *a, int64_t ms)
{
	run_both(h, NULL, a, ms);
}

START_TEST(the_oldest_open_payment_that_covers_what_is_missing_is_offered_again)
{
	struct id first, second, id;
	struct house h;
	bool is_new;

	house_open(&h, store_new(), NULL);
	first = checkout(&h, 500, 20, &is_new);
	ck_assert(is_new);
	second = top_up(&h, 2000);
	id = checkout(&h, 500, 500, &is_new);
	ck_assert(!is_new && id_eq(id, first));
	id = checkout(&h, 600, 501, &is_new);
	ck_assert(!is_new && id_eq(id, second));
	id = checkout(&h, 2100, 2001, &is_new);
	ck_assert(is_new);
	ck_assert(!makes_new(&h, 2100, 2100));
	ck_assert_int_eq(house_count(&h), 3);
	house_close(&h);
}
END_TEST

START_TEST(a_page_that_cannot_be_paid_in_peace_is_not_offered_again)
{
	const char *path = store_new();
	struct asked a;
	struct house h;
	struct id id;
	bool is_new;

	house_open(&h, path, NULL);
	id = checkout(&h, 500, 20, &is_new);
	clock_offset_ms += 23 * HOUR_MS - 60000;
	ck_assert(!makes_new(&h, 500, 20));
	clock_offset_ms += 61000;
	ck_assert(makes_new(&h, 500, 20));
	/* Paid, of a reload, of another org, of another till. */
	ck_assert_int_eq(house_pay(&h, &a, id), PAY_OK);
	asked_finish(&a);
	ck_assert(!makes_new(&h, 500, 20));
	sql(path, "UPDATE payment SET kind = 3");
	ck_assert(makes_new(&h, 500, 20));
	sql(path, "UPDATE payment SET org = x'00112233445566778899aabbccddeeff' WHERE kind = 4");
	ck_assert(makes_new(&h, 500, 20));
	sql(path, "UPDATE payment SET gateway = 'stripe'");
	ck_assert(makes_new(&h, 500, 20));
	house_close(&h);
}
END_TEST

START_TEST(who_waits_goes_on_when_another_process_hears_of_the_payment)
{
	const char *path = store_new();
	struct house h, payer;
	struct asked a, b;
	struct id id;

	house_open(&h, path, NULL);
	id = top_up(&h, 2000);
	wait_start(&h, &a, id, 20000);
	run(&h, &a, 400);
	ck_assert(!a.done && !payments_is_idle(h.payments));
	house_open(&payer, path, NULL);
	ck_assert_int_eq(house_pay(&payer, &b, id), PAY_OK);
	asked_finish(&b);
	run(&h, &a, PATIENCE_MS);
	ck_assert(a.done == 1 && a.request.outcome == PAY_OK);
	ck_assert_int_eq(a.request.payment.state, PAYMENT_SUCCEEDED);
	asked_finish(&a);
	/* And who comes late does not wait. */
	wait_start(&h, &a, id, 0);
	run(&h, &a, PATIENCE_MS);
	ck_assert(a.done == 1 && a.request.outcome == PAY_OK);
	asked_finish(&a);
	ck_assert(payments_is_idle(h.payments));
	house_proves_itself(&h);
	house_close(&payer);
	house_close(&h);
}
END_TEST

START_TEST(who_waits_in_vain_hears_that_it_is_pending_and_where)
{
	struct boottime began = clock_boot();
	struct house h;
	struct asked a;
	struct id id;

	house_open(&h, store_new(), NULL);
	id = top_up(&h, 2000);
	wait_start(&h, &a, id, 700);
	run(&h, &a, PATIENCE_MS);
	ck_assert(a.done == 1 && a.request.outcome == PAY_PENDING && a.request.payment.url);
	ck_assert_int_ge(clock_boot().ms - began.ms, 700);
	asked_finish(&a);
	house_close(&h);
}
END_TEST

START_TEST(there_is_no_waiting_for_what_cannot_come)
{
	const char *path = store_new();
	struct house h;
	struct asked a;
	struct id id;

	house_open(&h, path, NULL);
	wait_start(&h, &a, wallet_new_id(h.wallet), 20000);
	run(&h, &a, PATIENCE_MS);
	ck_assert(a.done == 1 && a.request.outcome == PAY_BAD_REQUEST);
	asked_finish(&a);
	id = top_up(&h, 2000);
	sql(path, "UPDATE payment SET state = 7, finished_ms = 1");
	wait_start(&h, &a, id, 20000);
	run(&h, &a, PATIENCE_MS);
	ck_assert(a.done == 1 && a.request.outcome == PAY_DECLINED);
	asked_finish(&a);
	/* Another org's is as none. */
	sql(path, "UPDATE payment SET org = x'00112233445566778899aabbccddeeff'");
	wait_start(&h, &a, id, 20000);
	run(&h, &a, PATIENCE_MS);
	ck_assert(a.done == 1 && a.request.outcome == PAY_BAD_REQUEST);
	asked_finish(&a);
	house_close(&h);
}
END_TEST

START_TEST(who_gives_up_is_told_nothing_and_leaves_nothing_behind)
{
	struct house h;
	struct asked a;
	struct id id;

	house_open(&h, store_new(), NULL);
	id = top_up(&h, 2000);
	wait_start(&h, &a, id, 20000);
	payments_abandon(&a.request);
	for (int i = 0; i < 1000 && !payments_is_idle(h.payments); i++) {
		house_turns(&h, 1);
		(void)usleep(2000);
	}
	ck_assert(payments_is_idle(h.payments));
	ck_assert_int_eq(a.done, 0);
	asked_finish(&a);
	/* The room may go while somebody waits. */
	wait_start(&h, &a, id, 20000);
	house_turns(&h, 3);
	house_close(&h);
	ck_assert_int_eq(a.done, 0);
}
END_TEST

static int told;

static void on_told(struct pay_request *request)
{
	(void)request;
	told++;
}

START_TEST(one_process_asks_the_till_after_two_seconds_and_all_go_on)
{
	struct world *world = world_create();
	struct boottime began = clock_boot();
	const char *path = store_new();
	struct house h, other;
	struct asked a, b;
	int calls;
	struct id id;

	house_open(&h, path, world);
	house_open(&other, path, world);
	id = top_up(&h, 2000);
	/* As a till far away: only who asks it hears of the payment. */
	h.payments->gateway->is_remote = other.payments->gateway->is_remote = true;
	world->charged[world->charges++] = id;
	calls = world->calls;
	wait_start(&h, &a, id, 20000);
	wait_start(&other, &b, id, 20000);
	a.request.progress = b.request.progress = on_told;
	run_both(&h, &other, &a, PATIENCE_MS);
	run_both(&other, &h, &b, PATIENCE_MS);
	ck_assert(a.done == 1 && a.request.outcome == PAY_OK);
	ck_assert(b.done == 1 && b.request.outcome == PAY_OK);
	ck_assert_int_ge(clock_boot().ms - began.ms, 2000);
	ck_assert_int_eq(world->calls - calls, 1);
	ck_assert_int_ge(told, 1);
	asked_finish(&a);
	asked_finish(&b);
	house_proves_itself(&h);
	house_close(&other);
	house_close(&h);
}
END_TEST

UNIT_MAIN("payments_wait", the_oldest_open_payment_that_covers_what_is_missing_is_offered_again,
	  a_page_that_cannot_be_paid_in_peace_is_not_offered_again,
	  who_waits_goes_on_when_another_process_hears_of_the_payment,
	  who_waits_in_vain_hears_that_it_is_pending_and_where,
	  there_is_no_waiting_for_what_cannot_come,
	  who_gives_up_is_told_nothing_and_leaves_nothing_behind,
	  one_process_asks_the_till_after_two_seconds_and_all_go_on)
