#include "store.h"
#include "unit.h"

#include <sqlite3.h>

START_TEST(a_new_org_has_its_starter_grant_once)
{
	const char *path = store_new();
	struct wallet *w = store_wallet(path, 100);
	struct id org = store_default_org(w);

	ck_assert_int_eq(store_tokens(w, org), 100);
	wallet_destroy(w);
	w = store_wallet(path, 100);
	ck_assert(id_eq(store_default_org(w), org));
	ck_assert_int_eq(store_tokens(w, org), 100);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(three_holds_of_30_fit_in_100_and_the_fourth_does_not)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w);
	struct ran ran[50];
	int ok = 0;

	for (size_t i = 0; i < ARRAY_LEN(ran); i++)
		store_submit(w, store_hold(w, org, 30), &ran[i]);
	store_turns(w);
	for (size_t i = 0; i < ARRAY_LEN(ran); i++) {
		if (ran[i].outcome == WALLET_OK)
			ok++;
		else
			ck_assert_int_eq(ran[i].outcome, WALLET_INSUFFICIENT);
	}
	ck_assert_int_eq(ok, 3);
	ck_assert_int_eq(ran[49].after.available.v, 10 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(ran[49].after.held.v, 90 * MICROUSD_PER_TOKEN);
	store_proves_itself(w, 3);
	wallet_destroy(w);
}
END_TEST

START_TEST(the_exact_balance_can_be_held_and_one_more_cannot)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w);
	struct wallet_cmd *cmd = store_hold(w, org, 100);

	cmd->amount.v += 1;
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_INSUFFICIENT);
	ck_assert_int_eq(store_run(w, store_hold(w, org, 100)).outcome, WALLET_OK);
	ck_assert_int_eq(store_run(w, store_hold(w, org, 0)).outcome, WALLET_OK);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_capture_of_less_gives_the_rest_back)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w), call;
	struct wallet_cmd *hold = store_hold(w, org, 30);
	struct ran ran;

	store_within_a_day();
	call = hold->id;
	ran = store_run(w, hold);
	ran = store_run(w, store_end(WALLET_OP_CAPTURE, org, call, ran.lease, 30, 12));
	ck_assert_int_eq(ran.outcome, WALLET_OK);
	ck_assert_int_eq(ran.after.available.v, 88 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(ran.after.held.v, 0);
	ck_assert_int_eq(ran.after.captured_month.v, 12 * MICROUSD_PER_TOKEN);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_released_hold_is_back_and_counts_as_refunded)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w), call;
	struct wallet_cmd *hold = store_hold(w, org, 30);
	int64_t today = walltime_day(clock_wall());
	struct usage usage;
	struct ran ran;

	call = hold->id;
	ran = store_run(w, hold);
	ran = store_run(w, store_end(WALLET_OP_RELEASE, org, call, ran.lease, 30, 0));
	ck_assert_int_eq(ran.outcome, WALLET_OK);
	ck_assert_int_eq(store_tokens(w, org), 100);
	usage_init(&usage, org, today - 1, today + 1, USAGE_BY_TOOL);
	ck_assert(usage_step(&usage, wallet_db(w)));
	ck_assert_int_eq(usage.groups_count, 1);
	ck_assert_str_eq(usage.groups[0].name, "echo");
	ck_assert_int_eq(usage.totals.calls, 1);
	ck_assert_int_eq(usage.totals.charged, 0);
	ck_assert_int_eq(usage.totals.refunded, 1);
	ck_assert_int_eq(usage.totals.refunded_amount.v, 30 * MICROUSD_PER_TOKEN);
	usage_finish(&usage);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_dead_process_leaves_no_hold)
{
	const char *path = store_new();
	struct wallet *dead = store_wallet(path, 100), *w;
	struct id org = store_default_org(dead), call;
	struct wallet_cmd *hold = store_hold(dead, org, 30);
	sqlite3 *db;
	struct ran ran;

	call = hold->id;
	ran = store_run(dead, hold);
	ck_assert_int_eq(store_tokens(dead, org), 70);
	/* Its lease ran out. */
	ck_assert(sqlite3_open(path, &db) == SQLITE_OK);
	ck_assert(sqlite3_exec(db, "UPDATE lease SET expires_boot_ms = 1", NULL, NULL, NULL) ==
		  SQLITE_OK);
	(void)sqlite3_close(db);
	w = store_wallet(path, 100);
	ck_assert(wallet_open_now(w, 1000, NULL));
	wallet_tick(w);
	store_turns(w);
	ck_assert_int_eq(store_tokens(w, org), 100);
	store_proves_itself(w, 0);
	/* It was only asleep: its capture comes too late and takes nothing. */
	ran = store_run(dead, store_end(WALLET_OP_CAPTURE, org, call, ran.lease, 30, 30));
	ck_assert_int_eq(ran.outcome, WALLET_GONE);
	ck_assert_int_eq(store_tokens(w, org), 100);
	/* It goes on under a new lease. */
	hold = store_hold(dead, org, 10);
	call = hold->id;
	ran = store_run(dead, hold);
	ck_assert_int_eq(ran.outcome, WALLET_OK);
	ran = store_run(dead, store_end(WALLET_OP_CAPTURE, org, call, ran.lease, 10, 10));
	ck_assert_int_eq(ran.outcome, WALLET_OK);
	store_proves_itself(w, 0);
	wallet_destroy(dead);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_living_process_keeps_its_holds_although_it_overslept)
{
	const char *path = store_new();
	struct wallet *w = store_wallet(path, 100);
	struct id org = store_default_org(w);
	sqlite3 *db;

	ck_assert_int_eq(store_run(w, store_hold(w, org, 30)).outcome, WALLET_OK);
	ck_assert(sqlite3_open(path, &db) == SQLITE_OK);
	ck_assert(sqlite3_exec(db, "UPDATE lease SET expires_boot_ms = 1", NULL, NULL, NULL) ==
		  SQLITE_OK);
	(void)sqlite3_close(db);
	wallet_submit(w, wallet_cmd_create(WALLET_OP_SWEEP, (struct caller){0}));
	store_turns(w);
	ck_assert_int_eq(store_tokens(w, org), 70);
	store_proves_itself(w, 1);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_fact_credits_once)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w);
	struct ran a, b;

	store_submit(w, store_grant(w, org, 500, "payment:1"), &a);
	store_submit(w, store_grant(w, org, 500, "payment:1"), &b);
	store_turns(w);
	ck_assert_int_eq(a.outcome, WALLET_OK);
	ck_assert_int_eq(b.outcome, WALLET_DUPLICATE);
	ck_assert_int_eq(store_run(w, store_grant(w, org, 500, "payment:1")).outcome,
			 WALLET_DUPLICATE);
	ck_assert_int_eq(store_tokens(w, org), 600);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_grant_that_does_not_fit_the_ledger_is_refused)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w);
	struct wallet_cmd *cmd = store_grant(w, org, 1, NULL);

	cmd->amount.v = INT64_MAX;
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OVERFLOW);
	ck_assert_int_eq(store_tokens(w, org), 100);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

static struct ran set_budget(struct wallet *w, struct id org, int64_t tokens)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_PREFERENCES,
						   (struct caller){.org = org});

	cmd->sets_budget = true;
	cmd->prefs.has_budget = true;
	ck_assert(microusd_from_tokens(&cmd->prefs.budget_limit, tokens));
	return store_run(w, cmd);
}

START_TEST(a_grant_leaves_room_for_what_is_held_to_come_back)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w), call;
	struct wallet_cmd *cmd = store_hold(w, org, 30);
	struct ran ran;

	call = cmd->id;
	ran = store_run(w, cmd);
	cmd = store_grant(w, org, 1, NULL);
	cmd->amount.v = INT64_MAX -
			70 * MICROUSD_PER_TOKEN; /* the ledger's end, without the hold */
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OVERFLOW);
	cmd = store_grant(w, org, 1, NULL);
	cmd->amount.v = INT64_MAX - 100 * MICROUSD_PER_TOKEN;
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	ran = store_run(w, store_end(WALLET_OP_RELEASE, org, call, ran.lease, 30, 0));
	ck_assert_int_eq(ran.outcome, WALLET_OK);
	ck_assert(ran.after.available.v == INT64_MAX);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_clock_that_steps_back_does_not_open_the_budget_again)
{
	const char *path = store_new();
	struct wallet *w = store_wallet(path, 1000);
	struct id org = store_default_org(w);
	sqlite3 *db;

	ck_assert_int_eq(set_budget(w, org, 100).outcome, WALLET_OK);
	ck_assert(sqlite3_open(path, &db) == SQLITE_OK);
	ck_assert(sqlite3_exec(db,
			       "UPDATE wallet SET month = 999912, captured_month_microusd = 950000",
			       NULL, NULL, NULL) == SQLITE_OK);
	(void)sqlite3_close(db);
	ck_assert_int_eq(store_run(w, store_hold(w, org, 10)).outcome, WALLET_OVER_BUDGET);
	ck_assert_int_eq(store_run(w, store_hold(w, org, 5)).outcome, WALLET_OK);
	wallet_destroy(w);
}
END_TEST

START_TEST(money_taken_back_may_leave_a_debt_that_stops_paid_calls)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w);
	struct wallet_cmd *cmd = store_grant(w, org, 150, "refund:1");
	struct ran ran;

	cmd->op = WALLET_OP_TAKE;
	cmd->kind = ENTRY_REFUND;
	ran = store_run(w, cmd);
	ck_assert_int_eq(ran.outcome, WALLET_OK);
	ck_assert_int_eq(ran.after.available.v, -50 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(store_run(w, store_hold(w, org, 1)).outcome, WALLET_INSUFFICIENT);
	ck_assert_int_eq(store_run(w, store_hold(w, org, 0)).outcome, WALLET_INSUFFICIENT);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(the_budget_bounds_captures_and_open_holds_together)
{
	struct wallet *w = store_wallet(store_new(), 1000);
	struct id org = store_default_org(w), call;
	struct wallet_cmd *hold;
	struct ran ran[200];
	int ok = 0;

	store_within_a_day();
	ck_assert_int_eq(set_budget(w, org, 100).outcome, WALLET_OK);
	hold = store_hold(w, org, 40);
	call = hold->id;
	ran[0] = store_run(w, hold);
	ck_assert_int_eq(
		store_run(w, store_end(WALLET_OP_CAPTURE, org, call, ran[0].lease, 40, 40)).outcome,
		WALLET_OK);
	/* 60 are left: 200 parallel calls of 10 cannot pass it together. */
	for (size_t i = 0; i < ARRAY_LEN(ran); i++)
		store_submit(w, store_hold(w, org, 10), &ran[i]);
	store_turns(w);
	for (size_t i = 0; i < ARRAY_LEN(ran); i++)
		ok += ran[i].outcome == WALLET_OK;
	ck_assert_int_eq(ok, 6);
	ck_assert_int_eq(ran[199].outcome, WALLET_OVER_BUDGET);
	wallet_destroy(w);
}
END_TEST

START_TEST(keys_resolve_until_they_are_revoked)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w);
	struct wallet_cmd *cmd = wallet_cmd_create(
		WALLET_OP_KEY_CREATE, (struct caller){.org = org, .scopes = SCOPES_ALL});
	char key[API_KEY_SIZE];
	struct caller caller;
	struct digest hash;
	bool found;

	api_key_make(key);
	ck_assert(api_key_looks_right(slice_of(key)));
	hash = api_key_hash(slice_of(key));
	cmd->id = wallet_new_id(w);
	cmd->hash = hash;
	cmd->scopes = SCOPE_CALL;
	cmd->prefix = xstrndup(key, API_KEY_PREFIX_LEN);
	cmd->label = xstrdup("test");
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	ck_assert(key_find_by_hash(wallet_db(w), &hash, &found, &caller) == DB_OK && found);
	ck_assert(id_eq(caller.org, org));
	cmd = store_hold(w, org, 10);
	cmd->caller = caller;
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	cmd = wallet_cmd_create(WALLET_OP_KEY_REVOKE, (struct caller){.org = org});
	cmd->id = caller.key;
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	ck_assert(key_find_by_hash(wallet_db(w), &hash, &found, &caller) == DB_OK && !found);
	cmd = store_hold(w, org, 10);
	cmd->caller = caller;
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_UNAUTHENTICATED);
	wallet_destroy(w);
}
END_TEST

static struct wallet_cmd *keyed_hold(struct wallet *w, struct id org, const char *key, char args)
{
	struct wallet_cmd *cmd = store_hold(w, org, 30);

	cmd->idempotency_key = xstrdup(key);
	cmd->digest = sha256(&args, 1);
	return cmd;
}

START_TEST(an_idempotency_key_charges_once_and_replays)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w), call;
	struct wallet_cmd *cmd = keyed_hold(w, org, "k", 'a');
	struct ran first, again, other, end;
	struct digest receipt;

	call = cmd->id;
	store_submit(w, cmd, &first);
	store_submit(w, keyed_hold(w, org, "k", 'a'), &again);
	store_submit(w, keyed_hold(w, org, "k", 'b'), &other);
	store_turns(w);
	ck_assert_int_eq(first.outcome, WALLET_OK);
	ck_assert_int_eq(again.outcome, WALLET_IN_FLIGHT);
	ck_assert_int_eq(other.outcome, WALLET_CONFLICT);
	cmd = store_end(WALLET_OP_CAPTURE, org, call, first.lease, 30, 30);
	cmd->idempotency_key = xstrdup("k");
	cmd->idempotency_day = first.idempotency_day;
	cmd->result = xstrdup("{\"answer\":1}");
	cmd->result_len = strlen(cmd->result);
	end = store_run(w, cmd);
	ck_assert_int_eq(end.outcome, WALLET_OK);
	receipt = end.receipt;
	/* Also on an empty wallet. */
	ck_assert_int_eq(store_run(w, store_hold(w, org, 70)).outcome, WALLET_OK);
	again = store_run(w, keyed_hold(w, org, "k", 'a'));
	ck_assert_int_eq(again.outcome, WALLET_REPLAY);
	ck_assert_str_eq(again.stored, "{\"answer\":1}");
	ck_assert_int_eq(again.stored_charge.v, 30 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(store_run(w, keyed_hold(w, org, "k", 'b')).outcome, WALLET_CONFLICT);
	ck_assert(digest_eq(&receipt, &end.receipt));
	store_proves_itself(w, 1);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_released_call_is_not_stored)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w), call;
	struct wallet_cmd *cmd = keyed_hold(w, org, "k", 'a');
	struct ran ran;

	call = cmd->id;
	ran = store_run(w, cmd);
	cmd = store_end(WALLET_OP_RELEASE, org, call, ran.lease, 30, 0);
	cmd->idempotency_key = xstrdup("k");
	cmd->idempotency_day = ran.idempotency_day;
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	ck_assert_int_eq(store_run(w, keyed_hold(w, org, "k", 'b')).outcome, WALLET_OK);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_changed_entry_is_found)
{
	static const char *const TAMPERINGS[] = {
		"UPDATE entry SET amount_microusd = amount_microusd + 1 WHERE seq = 2",
		"DELETE FROM entry WHERE seq = 2",
		"UPDATE entry SET tool = 'other' WHERE seq = 2",
		"UPDATE wallet SET available_microusd = available_microusd + 1",
		"UPDATE wallet SET held_microusd = held_microusd + 1",
		"DELETE FROM hold",
		"UPDATE hold SET amount_microusd = 1",
		"DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)",
	};

	for (size_t i = 0; i < ARRAY_LEN(TAMPERINGS); i++) {
		const char *path = store_new();
		struct wallet *w = store_wallet(path, 100);
		struct id org = store_default_org(w);
		struct verify_report report;
		sqlite3 *db;

		ck_assert_int_eq(store_run(w, store_hold(w, org, 5)).outcome, WALLET_OK);
		ck_assert_int_eq(store_run(w, store_hold(w, org, 6)).outcome, WALLET_OK);
		store_proves_itself(w, 2);
		ck_assert(sqlite3_open(path, &db) == SQLITE_OK);
		(void)sqlite3_exec(db, "DROP TRIGGER entry_is_never_updated", NULL, NULL, NULL);
		(void)sqlite3_exec(db, "DROP TRIGGER entry_is_never_deleted", NULL, NULL, NULL);
		ck_assert(sqlite3_exec(db, TAMPERINGS[i], NULL, NULL, NULL) == SQLITE_OK);
		(void)sqlite3_close(db);
		ck_assert(ledger_verify(wallet_db(w), &report) == DB_OK);
		ck_assert_msg(report.faults > 0, "%s", TAMPERINGS[i]);
		verify_report_finish(&report);
		wallet_destroy(w);
	}
}
END_TEST

START_TEST(a_busy_store_costs_time_but_no_command)
{
	const char *path = store_new();
	struct wallet *w = store_wallet(path, 100);
	struct id org = store_default_org(w);
	struct wallet_cmd *late = store_hold(w, org, 30), *patient = store_hold(w, org, 30);
	struct ran late_ran, patient_ran;
	int64_t retry_ms = -1;
	struct err err = ERR_INIT;
	struct db *other;

	ck_assert(db_open(path, 1000, &other, &err) == DB_OK);
	ck_assert(db_begin(other, 1000) == DB_OK);
	late->deadline = boottime_after(clock_boot(), 10);
	store_submit(w, late, &late_ran);
	store_submit(w, patient, &patient_ran);
	(void)wallet_turn(w, &retry_ms);
	ck_assert_int_ge(retry_ms, 0);
	ck_assert(late_ran.is_done && late_ran.outcome == WALLET_UNAVAILABLE);
	ck_assert(!patient_ran.is_done);
	db_rollback(other);
	store_turns(w);
	ck_assert(patient_ran.is_done && patient_ran.outcome == WALLET_OK);
	ck_assert_int_eq(store_tokens(w, org), 70);
	store_proves_itself(w, 1);
	db_close(other);
	wallet_destroy(w);
}
END_TEST

START_TEST(without_a_store_there_is_no_service)
{
	struct wallet *w = store_wallet("/proc/nowhere/wallet.db", 100);
	struct ran ran = store_run(w, store_hold(w, wallet_new_id(w), 1));

	ck_assert_int_eq(ran.outcome, WALLET_UNAVAILABLE);
	ck_assert_str_ne(wallet_trouble(w), "");
	wallet_destroy(w);
}
END_TEST

START_TEST(an_org_name_is_taken_once)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct ran ran[2];

	(void)store_default_org(w);
	for (size_t i = 0; i < 2; i++) {
		struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_ORG_CREATE,
							   (struct caller){0});

		cmd->id = wallet_new_id(w);
		cmd->name = xstrdup("acme");
		ck_assert(microusd_from_tokens(&cmd->amount, 100));
		store_submit(w, cmd, &ran[i]);
	}
	store_turns(w);
	ck_assert_int_eq(ran[0].outcome, WALLET_OK);
	ck_assert_int_eq(ran[0].after.available.v, 100 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(ran[1].outcome, WALLET_DUPLICATE);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(an_address_is_that_of_one_org)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct id org = store_default_org(w);
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_ORG_CREATE, (struct caller){0});
	struct id other = cmd->id = wallet_new_id(w);
	struct org_view view;
	bool is_there = false;

	cmd->name = xstrdup("acme");
	cmd->email = xstrdup("a@acme.example");
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	cmd = wallet_cmd_create(WALLET_OP_ORG_EMAIL, (struct caller){.org = org});
	cmd->email = xstrdup("b@example.com");
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	ck_assert_int_eq(org_find(wallet_db(w), org, &is_there, &view), DB_OK);
	ck_assert_str_eq(view.email, "b@example.com");
	org_view_finish(&view);
	ck_assert_int_eq(org_find(wallet_db(w), other, &is_there, &view), DB_OK);
	ck_assert_str_eq(view.email, "a@acme.example");
	org_view_finish(&view);
	cmd = wallet_cmd_create(WALLET_OP_ORG_EMAIL, (struct caller){.org = wallet_new_id(w)});
	cmd->email = xstrdup("c@example.com");
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_NO_ORG);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

UNIT_MAIN("wallet", a_new_org_has_its_starter_grant_once,
	  three_holds_of_30_fit_in_100_and_the_fourth_does_not,
	  the_exact_balance_can_be_held_and_one_more_cannot, a_capture_of_less_gives_the_rest_back,
	  a_released_hold_is_back_and_counts_as_refunded, a_dead_process_leaves_no_hold,
	  a_living_process_keeps_its_holds_although_it_overslept, a_fact_credits_once,
	  a_grant_that_does_not_fit_the_ledger_is_refused,
	  a_grant_leaves_room_for_what_is_held_to_come_back,
	  a_clock_that_steps_back_does_not_open_the_budget_again,
	  money_taken_back_may_leave_a_debt_that_stops_paid_calls,
	  the_budget_bounds_captures_and_open_holds_together, keys_resolve_until_they_are_revoked,
	  an_idempotency_key_charges_once_and_replays, a_released_call_is_not_stored,
	  a_changed_entry_is_found, a_busy_store_costs_time_but_no_command,
	  without_a_store_there_is_no_service, an_org_name_is_taken_once,
	  an_address_is_that_of_one_org)
