#include "till.h"
#include "unit.h"

#include <sqlite3.h>

static void sql(const char *path, const char *text)
{
	char *why = NULL;
	sqlite3 *db;

	ck_assert(sqlite3_open(path, &db) == SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, &why) == SQLITE_OK, "%s", why);
	sqlite3_close(db);
}

START_TEST(a_store_that_cannot_be_used_charges_nothing)
{
	struct world *world = world_create();
	struct payments_config config = {.mode = PAYMENTS_SANDBOX};
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), world);
	payments_destroy(h.payments);
	wallet_destroy(h.wallet);
	h.wallet = store_wallet("/dev/null/wallet.db", 0);
	h.payments = payments_create_with(h.loop, h.wallet, &config,
					  till_create(h.loop, h.wallet, world));
	ck_assert_int_eq(house_buy(&h, &a, 500, NULL), PAY_UNAVAILABLE);
	payments_sandbox_pay(h.payments, h.org, &asked_init(&b, h.org, 0, NULL)->request);
	payments_watch(h.payments, h.org);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(b.request.outcome, PAY_UNAVAILABLE);
	ck_assert_int_eq(world->calls, 0);
	asked_finish(&a);
	asked_finish(&b);
	house_close(&h);
}
END_TEST

START_TEST(a_till_that_does_not_answer_is_pending_and_goes_on)
{
	struct world *world = world_create();
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), world);
	world->is_silent = true;
	payments_buy(h.payments, &asked_init(&a, h.org, 2500, NULL)->request);
	house_turns(&h, 2);
	payments_buy(h.payments, &asked_init(&b, h.org, 2500, NULL)->request);
	b.request.answer_by = boottime_after(clock_boot(), 60 * 1000);
	a.request.answer_by = boottime_after(clock_boot(), 20);
	jobs_set_answer_timer(h.payments);
	while (!a.done)
		house_turns(&h, 1);
	ck_assert_int_eq(a.request.outcome, PAY_PENDING);
	ck_assert_int_eq(a.request.payment.state, PAYMENT_SUBMITTED);
	ck_assert_int_eq(b.done, 0);
	ck_assert(!payments_is_idle(h.payments));
	/* It answers after all. */
	world->is_silent = false;
	loop_timer_in(&h.payments->jobs->call.timer, 0);
	house_run(&h);
	ck_assert_int_eq(b.done, 1);
	ck_assert_int_eq(b.request.outcome, PAY_OK);
	ck_assert_int_eq(house_tokens(&h), 2600);
	asked_finish(&a);
	asked_finish(&b);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(the_callers_deadline_comes_before_the_tills_time)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;

	house_open(&h, store_new(), world);
	world->is_silent = true;
	asked_init(&a, h.org, 2500, NULL);
	a.request.deadline = boottime_after(clock_boot(), 30);
	payments_buy(h.payments, &a.request);
	while (!a.done)
		house_turns(&h, 1);
	ck_assert_int_eq(a.request.outcome, PAY_PENDING);
	asked_finish(&a);
	house_close(&h);
}
END_TEST

START_TEST(a_lost_answer_is_asked_for_again_and_not_charged_again)
{
	struct world *world = world_create();
	struct asked a, b;
	struct house h;

	house_open(&h, store_new(), world);
	world->is_lost = true;
	ck_assert_int_eq(house_buy(&h, &a, 2500, NULL), PAY_PENDING);
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_tokens(&h), 100);
	ck_assert(loop_timer_is_set(&h.payments->look->timer));
	/* The user tries again: the same payment. */
	ck_assert_int_eq(house_buy(&h, &b, 2500, NULL), PAY_OK);
	ck_assert(b.request.is_replayed && id_eq(a.request.payment.id, b.request.payment.id));
	asked_finish(&a);
	asked_finish(&b);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_tokens(&h), 2600);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

START_TEST(an_abandoned_request_hears_nothing_and_its_payment_goes_on)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;

	house_open(&h, store_new(), world);
	for (int turns = 0; turns < 2; turns++) {
		payments_buy(h.payments, &asked_init(&a, h.org, 1000 + turns, NULL)->request);
		house_turns(&h, turns);
		payments_abandon(&a.request);
		asked_finish(&a);
		house_run(&h);
		ck_assert_int_eq(a.done, 0);
		ck_assert_int_eq(world->charges, turns + 1);
	}
	ck_assert_int_eq(house_tokens(&h), 100 + 2001);
	house_close(&h);
}
END_TEST

/* What a request does in a process that is killed after some turns. */
typedef void begin_fn(struct house *h);

static struct asked killed;

static void begin_buy(struct house *h)
{
	payments_buy(h->payments, &asked_init(&killed, h->org, 2500, NULL)->request);
}

static void begin_top_up(struct house *h)
{
	payments_top_up(h->payments, &asked_init(&killed, h->org, 2500, NULL)->request);
}

static void begin_reload(struct house *h)
{
	payments_watch(h->payments, h->org);
}

static void kill_after(begin_fn *begin, const char *path, struct world *world, int turns)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct house h;

		house_open(&h, path, world);
		begin(&h);
		house_turns(&h, turns);
		_exit(0); /* nothing is put in order */
	}
	ck_assert(waitpid(child, &status, 0) == child && status == 0);
}

START_TEST(a_buy_killed_at_any_turn_is_one_charge_and_one_grant)
{
	for (int turns = 0; turns < 6; turns++) {
		struct world *world = world_create();
		const char *path = store_new();
		struct asked a;
		struct house h;
		bool was_made;

		kill_after(begin_buy, path, world, turns);
		house_open(&h, path, world);
		was_made = house_count(&h) == 1;
		ck_assert_int_eq(was_made, turns > 0);
		payments_resume(h.payments);
		house_run(&h);
		ck_assert_int_eq(world->charges, was_made);
		ck_assert_int_eq(house_tokens(&h), was_made ? 2600 : 100);
		ck_assert(!was_made || house_state(&h) == PAYMENT_SUCCEEDED);
		/* Its caller knows nothing and asks again. */
		ck_assert_int_eq(house_buy(&h, &a, 2500, NULL), PAY_OK);
		ck_assert_int_eq(a.request.is_replayed, was_made);
		asked_finish(&a);
		ck_assert_int_eq(world->charges, 1);
		ck_assert_int_eq(house_tokens(&h), 2600);
		ck_assert_int_eq(house_count(&h), 1);
		house_proves_itself(&h);
		house_close(&h);
	}
}
END_TEST

START_TEST(a_top_up_killed_at_any_turn_is_one_invoice)
{
	for (int turns = 0; turns < 6; turns++) {
		const char *path = store_new();
		struct asked a, b;
		struct house h;

		kill_after(begin_top_up, path, NULL, turns);
		house_open(&h, path, NULL);
		/* Without a look first: asking again is enough. */
		ck_assert_int_eq(house_top_up(&h, &a, 2500), PAY_OK);
		ck_assert_int_eq(a.request.payment.state, PAYMENT_OPEN);
		ck_assert_int_eq(house_pay(&h, &b, a.request.payment.id), PAY_OK);
		asked_finish(&b);
		asked_finish(&a);
		ck_assert_int_eq(house_count(&h), 1);
		ck_assert_int_eq(house_tokens(&h), 2600);
		house_proves_itself(&h);
		house_close(&h);
	}
}
END_TEST

START_TEST(a_reload_killed_at_any_turn_is_one_charge_and_frees_its_place)
{
	for (int turns = 0; turns < 7; turns++) {
		struct world *world = world_create();
		const char *path = store_new();
		struct reload_view view;
		struct house h;

		house_open(&h, path, world);
		house_prefers(&h, true, 500, 2000, -1);
		house_close(&h);
		kill_after(begin_reload, path, world, turns);
		house_open(&h, path, world);
		payments_resume(h.payments);
		house_watch(&h);
		house_run(&h);
		ck_assert_int_eq(world->charges, 1);
		ck_assert_int_eq(house_tokens(&h), 2100);
		ck_assert_int_eq(house_count(&h), 1);
		ck_assert(reload_view_read(wallet_db(h.wallet), h.org, &view) == DB_OK);
		ck_assert(!view.in_flight && !view.last_trouble);
		house_proves_itself(&h);
		house_close(&h);
	}
}
END_TEST

START_TEST(a_room_taken_down_at_any_turn_leaves_the_store_right)
{
	for (int turns = 0; turns < 5; turns++) {
		struct world *world = world_create();
		const char *path = store_new();
		struct asked buy, top_up, portal;
		struct house h;

		house_open(&h, path, world);
		house_prefers(&h, true, 500, 2000, -1);
		payments_watch(h.payments, h.org);
		payments_buy(h.payments, &asked_init(&buy, h.org, 2500, NULL)->request);
		payments_top_up(h.payments, &asked_init(&top_up, h.org, 2500, NULL)->request);
		payments_portal(h.payments, &asked_init(&portal, h.org, 0, NULL)->request);
		house_turns(&h, turns);
		payments_destroy(h.payments);
		store_turns(h.wallet);
		/* Those that heard nothing may be abandoned still. */
		payments_abandon(&buy.request);
		asked_finish(&buy);
		asked_finish(&top_up);
		asked_finish(&portal);
		wallet_destroy(h.wallet);
		loop_destroy(h.loop);
		house_open(&h, path, world);
		payments_resume(h.payments);
		house_run(&h);
		house_proves_itself(&h);
		house_close(&h);
	}
}
END_TEST

START_TEST(verify_names_payments_and_grants_that_do_not_match)
{
	const char *path = store_new();
	struct buf text = BUF_INIT;
	struct asked a;
	struct house h;

	house_open(&h, path, NULL);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(house_buy(&h, &a, 1000 + i, NULL), PAY_OK);
		asked_finish(&a);
	}
	ck_assert_int_eq(house_top_up(&h, &a, 1000), PAY_OK);
	asked_finish(&a);
	ck_assert_int_eq(house_faults(&h, &text), 0);
	sql(path, "UPDATE payment SET state = 6 WHERE credit_cents = 1001;"
		  "UPDATE payment SET credit_cents = 999 WHERE credit_cents = 1002;"
		  "DELETE FROM payment WHERE credit_cents = 1003;"
		  "UPDATE payment SET state = 5 WHERE state = 4;");
	ck_assert_int_eq(house_faults(&h, &text), 4);
	ck_assert_ptr_nonnull(strstr(buf_text(&text), "did not succeed\n"));
	ck_assert_ptr_nonnull(strstr(buf_text(&text), "of another org, kind or amount\n"));
	ck_assert_ptr_nonnull(strstr(buf_text(&text), "without a payment\n"));
	ck_assert_ptr_nonnull(strstr(buf_text(&text), "has no grant in the ledger\n"));
	buf_finish(&text);
	house_close(&h);
}
END_TEST

static void apply_twice(struct house *h, struct rider *rider, const struct wallet_cmd *cmd)
{
	struct db *db = wallet_db(h->wallet);

	for (int i = 0; i < 2; i++) {
		ck_assert(db_begin(db, 1000) == DB_OK);
		rider->apply(rider, db, cmd);
		ck_assert(db_commit(db) == DB_OK);
	}
}

START_TEST(riders_applied_again_after_a_commit_of_unknown_outcome_come_to_the_same)
{
	static const struct purchase_till till = {.gateway = "sandbox"};
	struct wallet_cmd cmd = {.outcome = WALLET_OK};
	struct payment_view p = {.kind = PAYMENT_BUY, .state = PAYMENT_SUBMITTED, .credit = {700}};
	struct payment_insert *insert;
	struct payment_change *change;
	struct reload_claim *claim;
	struct house h;

	house_open(&h, store_new(), NULL);
	house_prefers(&h, true, 500, 2000, -1);
	p.id = wallet_new_id(h.wallet);
	p.org = h.org;
	p.created = house_now(&clock_offset_ms);
	insert = payment_insert_create(&p, "one", &till);
	apply_twice(&h, &insert->rider, &cmd);
	ck_assert_int_eq(insert->outcome, PAYMENT_INSERT_MADE);
	insert->rider.destroy(&insert->rider);
	change = payment_change_create(p.id, PAYMENT_OPEN, p.created);
	change->url = xstrdup("https://x.invalid/");
	apply_twice(&h, &change->rider, &cmd);
	ck_assert_int_eq(change->after.state, PAYMENT_OPEN);
	ck_assert_str_eq(change->after.url, "https://x.invalid/");
	change->rider.destroy(&change->rider);
	cmd.after.prefs = house_prefs(&h);
	p.id = wallet_new_id(h.wallet);
	p.kind = PAYMENT_RELOAD;
	claim = reload_claim_create(&p, &till);
	apply_twice(&h, &claim->rider, &cmd);
	ck_assert_int_eq(claim->verdict, RELOAD_DUE);
	ck_assert_int_eq(claim->payment.credit.v, 2000);
	claim->rider.destroy(&claim->rider);
	ck_assert_int_eq(house_count(&h), 2);
	house_close(&h);
}
END_TEST

/* The row of a buy whose commit failed in its last step: it is there all the same. */
static void insert_lost(const struct house *h, const char *path)
{
	char text[256], id[ID_TEXT_SIZE], org[ID_TEXT_SIZE];

	id_text("x", h->payments->jobs->payment.id, id);
	id_text("x", h->org, org);
	(void)snprintf(text, sizeof(text),
		       "INSERT INTO payment (id, org, kind, state, attempt, credit_cents, "
		       "fee_cents, gateway, created_ms) "
		       "VALUES (x'%s', x'%s', 1, 2, 1, 2500, 0, 'till', 1)",
		       id + 2, org + 2);
	sql(path, text);
}

/* Another process has its turn until the caller is told that the store is not there. */
static void answer_without_store(struct house *h, struct house *other, struct asked *a)
{
	ck_assert(db_begin(wallet_db(other->wallet), 1000) == DB_OK);
	while (!a->done)
		house_turns(h, 1);
	db_rollback(wallet_db(other->wallet));
	ck_assert_int_eq(a->request.outcome, PAY_UNAVAILABLE);
	ck_assert(id_is_none(a->request.payment.id));
	asked_finish(a);
}

static struct asked *begin_lost(struct house *h, struct asked *a, const char *path)
{
	asked_init(a, h->org, 2500, NULL);
	a->request.deadline = boottime_after(clock_boot(), 300);
	payments_buy(h->payments, &a->request);
	insert_lost(h, path);
	return a;
}

START_TEST(a_buy_that_was_said_not_to_have_happened_is_never_charged)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct house h, other;
	struct asked a;

	house_open(&h, path, world);
	house_open(&other, path, world);
	answer_without_store(&h, &other, begin_lost(&h, &a, path));
	house_run(&h);
	ck_assert_int_eq(house_state(&h), PAYMENT_CANCELLED);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(world->calls, 0);
	house_proves_itself(&h);
	house_close(&other);
	house_close(&h);
}
END_TEST

static void begin_look(struct house *h)
{
	payments_resume(h->payments);
}

START_TEST(a_buy_that_is_taken_back_while_a_sibling_charges_it_is_credited_by_a_look)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct house h, other;
	struct asked a;

	house_open(&h, path, world);
	house_open(&other, path, world);
	begin_lost(&h, &a, path);
	/* The sibling's look finds the row, charges it, and is killed before it has an answer. */
	world->kills = true;
	kill_after(begin_look, path, world, 100);
	world->kills = false;
	ck_assert_int_eq(world->charges, 1);
	answer_without_store(&h, &other, &a);
	house_run(&h);
	ck_assert_int_eq(house_tokens(&h), 100);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(world->charges, 1);
	ck_assert_int_eq(house_state(&h), PAYMENT_SUCCEEDED);
	ck_assert_int_eq(house_tokens(&h), 2600);
	payments_resume(h.payments);
	house_run(&h);
	ck_assert_int_eq(house_tokens(&h), 2600);
	house_proves_itself(&h);
	house_close(&other);
	house_close(&h);
}
END_TEST

START_TEST(what_is_decided_without_the_till_holds_only_while_nobody_has_asked_it)
{
	static const enum gateway_result ENDS[] = {GATEWAY_CANCELLED, GATEWAY_REFUSED,
						   GATEWAY_FORBIDDEN};

	for (size_t i = 0; i < 2 * ARRAY_LEN(ENDS); i++) {
		struct world *world = world_create();
		const char *path = store_new();
		bool was_asked = i % 2;
		struct house h;
		struct asked a;

		house_open(&h, path, world);
		world->answer = ENDS[i / 2];
		world->is_unheard = true;
		payments_buy(h.payments, &asked_init(&a, h.org, 2500, NULL)->request);
		house_turns(&h, 1);
		if (was_asked) {
			world->kills = true;
			kill_after(begin_look, path, world, 100);
			world->kills = false;
		}
		house_run(&h);
		ck_assert_int_eq(payment_is_in_flight(house_state(&h)), was_asked);
		ck_assert(!was_asked || a.request.outcome == PAY_PENDING);
		asked_finish(&a);
		payments_resume(h.payments);
		house_run(&h);
		ck_assert_int_eq(house_tokens(&h), was_asked ? 2600 : 100);
		house_proves_itself(&h);
		house_close(&h);
	}
}
END_TEST

START_TEST(a_store_that_is_busy_at_the_grant_makes_it_pending_not_lost)
{
	struct world *world = world_create();
	const char *path = store_new();
	struct house h, other;
	struct asked a;

	house_open(&h, path, world);
	house_open(&other, path, world);
	asked_init(&a, h.org, 2500, NULL);
	a.request.deadline = boottime_after(clock_boot(), 400);
	payments_buy(h.payments, &a.request);
	house_turns(&h, 1);
	ck_assert(db_begin(wallet_db(other.wallet), 1000) == DB_OK);
	while (!a.done)
		house_turns(&h, 1);
	db_rollback(wallet_db(other.wallet));
	ck_assert_int_eq(a.request.outcome, PAY_PENDING);
	ck_assert_int_eq(world->charges, 1);
	asked_finish(&a);
	house_run(&h);
	ck_assert_int_eq(house_tokens(&h), 2600);
	ck_assert_int_eq(world->calls, 1);
	house_proves_itself(&h);
	house_close(&other);
	house_close(&h);
}
END_TEST

UNIT_MAIN("payments_faults", a_store_that_cannot_be_used_charges_nothing,
	  a_till_that_does_not_answer_is_pending_and_goes_on,
	  the_callers_deadline_comes_before_the_tills_time,
	  a_lost_answer_is_asked_for_again_and_not_charged_again,
	  an_abandoned_request_hears_nothing_and_its_payment_goes_on,
	  a_buy_killed_at_any_turn_is_one_charge_and_one_grant,
	  a_top_up_killed_at_any_turn_is_one_invoice,
	  a_reload_killed_at_any_turn_is_one_charge_and_frees_its_place,
	  a_room_taken_down_at_any_turn_leaves_the_store_right,
	  verify_names_payments_and_grants_that_do_not_match,
	  riders_applied_again_after_a_commit_of_unknown_outcome_come_to_the_same,
	  a_buy_that_was_said_not_to_have_happened_is_never_charged,
	  a_buy_that_is_taken_back_while_a_sibling_charges_it_is_credited_by_a_look,
	  what_is_decided_without_the_till_holds_only_while_nobody_has_asked_it,
	  a_store_that_is_busy_at_the_grant_makes_it_pending_not_lost)
