/*
 * What refuses a hold beside its price: limits of a key, rates, the spend guard; and what of an
 * overrun is charged. All decided in the batch of the hold.
 */

#include "store.h"
#include "unit.h"

struct house {
	struct wallet *w;
	struct id org;
};

static struct house house_open(int64_t starter_tokens, struct guard_config guard)
{
	struct wallet_config config = {
		.store = store_new(), .default_org = "default", .guard = guard};
	struct house h;

	ck_assert(microusd_from_tokens(&config.starter, starter_tokens));
	h.w = wallet_create(&config);
	h.org = store_default_org(h.w);
	return h;
}

/* For what a day or a month allows. */
static struct house house_of_a_day(void)
{
	store_within_a_day();
	return house_open(100, (struct guard_config){0});
}

static void house_close(struct house *h)
{
	store_proves_itself(h->w, -1);
	wallet_destroy(h->w);
}

/* Changes rows as if time had passed. */
static void change(struct house *h, const char *sql)
{
	struct db *db = wallet_db(h->w);

	ck_assert(db_begin(db, 1000) == DB_OK);
	db_queue_write(db_stmt(db, sql), -1);
	ck_assert(db_commit(db) == DB_OK);
}

static struct wallet_cmd *key_cmd(struct house *h, struct id *out)
{
	struct wallet_cmd *cmd = wallet_cmd_create(
		WALLET_OP_KEY_CREATE, (struct caller){.org = h->org, .scopes = SCOPES_ALL});

	*out = cmd->id = wallet_new_id(h->w);
	memcpy(cmd->hash.b, cmd->id.b, sizeof(cmd->id.b));
	cmd->scopes = SCOPE_CALL;
	cmd->prefix = xstrdup("fbx_test");
	cmd->label = xstrdup("");
	return cmd;
}

static struct id key_with(struct house *h, int64_t daily, int64_t monthly, struct rate_limit rate)
{
	struct id key;
	struct wallet_cmd *cmd = key_cmd(h, &key);

	cmd->limits.has_daily = daily >= 0;
	cmd->limits.has_monthly = monthly >= 0;
	cmd->limits.rate = rate;
	ck_assert(microusd_from_tokens(&cmd->limits.daily, daily));
	ck_assert(microusd_from_tokens(&cmd->limits.monthly, monthly));
	ck_assert_int_eq(store_run(h->w, cmd).outcome, WALLET_OK);
	return key;
}

static struct id rotate(struct house *h, struct id old)
{
	struct id key;
	struct wallet_cmd *cmd = key_cmd(h, &key);

	cmd->replaces = old;
	ck_assert_int_eq(store_run(h->w, cmd).outcome, WALLET_OK);
	return key;
}

/* A call: what its hold gave, and what its end needs. */
struct held {
	struct ran ran;
	struct id id, key, subject;
	bool is_limited;
	int64_t tokens;
	int64_t retry_after_ms;
	struct microusd limit, used;
	int64_t made, released;
};

static void note_held(struct wallet_cmd *cmd)
{
	struct held *held = container_of(cmd->arg, struct held, ran);

	store_note(cmd);
	held->subject = cmd->subject;
	held->is_limited = cmd->is_limited;
	held->retry_after_ms = cmd->retry_after_ms;
	held->limit = cmd->key_limit.limit;
	held->used = cmd->key_limit.used;
	held->made = cmd->seen.made;
	held->released = cmd->seen.released;
}

static struct wallet_cmd *hold_cmd(struct house *h, struct id key, int64_t tokens, int what)
{
	struct wallet_cmd *cmd = store_hold(h->w, h->org, tokens);

	cmd->caller.key = key;
	cmd->is_guarded = what >= 0;
	cmd->digest.b[0] = (uint8_t)what;
	return cmd;
}

static void submit_hold(struct house *h, struct wallet_cmd *cmd, int64_t tokens, struct held *out)
{
	*out = (struct held){.id = cmd->id, .key = cmd->caller.key, .tokens = tokens};
	cmd->done = note_held;
	cmd->arg = &out->ran;
	wallet_submit(h->w, cmd);
}

/* what: the arguments; -1: not guarded. */
static struct held hold(struct house *h, struct id key, int64_t tokens, int what)
{
	struct held held;

	submit_hold(h, hold_cmd(h, key, tokens, what), tokens, &held);
	store_turns(h->w);
	ck_assert(held.ran.is_done);
	return held;
}

static struct wallet_cmd *end_cmd(struct house *h, const struct held *held, enum wallet_op op,
				  int64_t tokens)
{
	struct wallet_cmd *cmd = store_end(op, h->org, held->id, held->ran.lease, held->tokens,
					   tokens);

	cmd->caller.key = held->key;
	cmd->subject = held->subject;
	cmd->is_limited = held->is_limited;
	return cmd;
}

static void capture(struct house *h, const struct held *held, int64_t tokens)
{
	ck_assert_int_eq(store_run(h->w, end_cmd(h, held, WALLET_OP_CAPTURE, tokens)).outcome,
			 WALLET_OK);
}

static void release(struct house *h, const struct held *held, int what, enum guard_mark mark)
{
	struct wallet_cmd *cmd = end_cmd(h, held, WALLET_OP_RELEASE, 0);

	cmd->guard = mark;
	cmd->digest.b[0] = (uint8_t)what;
	ck_assert_int_eq(store_run(h->w, cmd).outcome, WALLET_OK);
}

static const struct rate_limit NO_RATE = {0};
static const struct guard_config NO_GUARD = {0};

START_TEST(a_key_spends_its_daily_limit_to_the_last_token_and_no_more)
{
	struct house h = house_of_a_day();
	struct id key = key_with(&h, 10, -1, NO_RATE);
	struct held a = hold(&h, key, 6, -1), b;

	ck_assert_int_eq(a.ran.outcome, WALLET_OK);
	b = hold(&h, key, 5, -1);
	ck_assert_int_eq(b.ran.outcome, WALLET_OVER_KEY_DAY);
	ck_assert_int_eq(b.limit.v, 10 * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(b.used.v, 6 * MICROUSD_PER_TOKEN);
	capture(&h, &a, 2);
	ck_assert_int_eq(hold(&h, key, 9, -1).ran.outcome, WALLET_OVER_KEY_DAY);
	b = hold(&h, key, 8, -1);
	ck_assert_int_eq(b.ran.outcome, WALLET_OK);
	release(&h, &b, 0, GUARD_NO_MARK);
	b = hold(&h, key, 8, -1);
	capture(&h, &b, 8);
	/* Other keys, and callers without one, are not touched. */
	ck_assert_int_eq(hold(&h, key_with(&h, -1, -1, NO_RATE), 20, -1).ran.outcome, WALLET_OK);
	ck_assert_int_eq(hold(&h, ID_NONE, 20, -1).ran.outcome, WALLET_OK);
	/* The next day. */
	change(&h, "UPDATE key_limit SET day = day - 1");
	ck_assert_int_eq(hold(&h, key, 10, -1).ran.outcome, WALLET_OK);
	house_close(&h);
}
END_TEST

START_TEST(a_month_is_longer_than_its_days)
{
	struct house h = house_of_a_day();
	struct id key = key_with(&h, 10, 15, NO_RATE);
	struct held a = hold(&h, key, 10, -1);

	capture(&h, &a, 10);
	change(&h, "UPDATE key_limit SET day = day - 1");
	ck_assert_int_eq(hold(&h, key, 6, -1).ran.outcome, WALLET_OVER_KEY_MONTH);
	a = hold(&h, key, 5, -1);
	ck_assert_int_eq(a.ran.outcome, WALLET_OK);
	capture(&h, &a, 5);
	change(&h, "UPDATE key_limit SET day = day - 1, month = month - 1");
	ck_assert_int_eq(hold(&h, key, 10, -1).ran.outcome, WALLET_OK);
	house_close(&h);
}
END_TEST

/* An agent that may rotate its key must not get a fresh limit by it. */
START_TEST(a_rotated_key_keeps_its_limits_and_what_was_spent)
{
	struct house h = house_of_a_day();
	struct id key = key_with(&h, 10, -1, (struct rate_limit){.calls = 4, .per_s = 86400});
	struct held a = hold(&h, key, 3, -1), b = hold(&h, key, 3, -1);
	struct id next;

	capture(&h, &a, 3);
	next = rotate(&h, rotate(&h, key));
	ck_assert_int_eq(hold(&h, key, 1, -1).ran.outcome, WALLET_UNAUTHENTICATED);
	ck_assert_int_eq(hold(&h, next, 5, -1).ran.outcome, WALLET_OVER_KEY_DAY);
	ck_assert_int_eq(hold(&h, next, 4, -1).ran.outcome, WALLET_OK);
	/* A hold of the old key ends under the same limit. */
	release(&h, &b, 0, GUARD_NO_MARK);
	ck_assert_int_eq(hold(&h, next, 3, -1).ran.outcome, WALLET_OK);
	ck_assert_int_eq(hold(&h, next, 0, -1).ran.outcome, WALLET_RATE_LIMITED);
	house_close(&h);
}
END_TEST

START_TEST(calls_of_one_batch_cannot_pass_a_limit_together)
{
	struct house h = house_open(1000, NO_GUARD);
	struct id key = key_with(&h, 7, -1, NO_RATE);
	static struct held held[200];
	int passed = 0;

	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		submit_hold(&h, hold_cmd(&h, key, 2, -1), 2, &held[i]);
	store_turns(h.w);
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		passed += held[i].ran.outcome == WALLET_OK;
	ck_assert_int_eq(passed, 3);
	house_close(&h);
}
END_TEST

START_TEST(a_limited_hold_that_expires_gives_its_room_back)
{
	struct house h = house_open(100, NO_GUARD);
	struct id key = key_with(&h, 10, -1, NO_RATE);

	ck_assert_int_eq(hold(&h, key, 10, -1).ran.outcome, WALLET_OK);
	change(&h, "UPDATE lease SET is_revoked = 1");
	ck_assert_int_eq(
		store_run(h.w, wallet_cmd_create(WALLET_OP_SWEEP, (struct caller){0})).outcome,
		WALLET_OK);
	ck_assert_int_eq(hold(&h, key, 10, -1).ran.outcome, WALLET_OK);
	house_close(&h);
}
END_TEST

START_TEST(a_rate_lets_so_many_pass_and_refills_evenly)
{
	struct house h = house_open(100, NO_GUARD);
	struct rate_limit rate = {.calls = 3, .per_s = 30};
	struct held held;

	for (int i = 0; i < 12; i++) {
		struct wallet_cmd *cmd = hold_cmd(&h, ID_NONE, 0, -1);

		/* One comes back after each ten seconds; what is refused does not count. */
		if (i == 6)
			change(&h, "UPDATE rate SET full_at_us = full_at_us - 10000000");
		if (i == 9)
			change(&h, "UPDATE rate SET full_at_us = full_at_us - 900000000");
		cmd->rate = rate;
		submit_hold(&h, cmd, 0, &held);
		store_turns(h.w);
		if (i < 3 || i == 6 || i >= 9) {
			ck_assert_msg(held.ran.outcome == WALLET_OK, "call %d", i);
			continue;
		}
		ck_assert_msg(held.ran.outcome == WALLET_RATE_LIMITED, "call %d", i);
		ck_assert_int_gt(held.retry_after_ms, 0);
		ck_assert_int_le(held.retry_after_ms, 10000);
	}
	house_close(&h);
}
END_TEST

START_TEST(a_call_that_was_released_too_often_is_refused_for_a_window)
{
	struct house h = house_open(100, (struct guard_config){5, 100, 600});
	struct held held;

	for (int i = 0; i < 5; i++) {
		held = hold(&h, ID_NONE, 1, 1);
		ck_assert_int_eq(held.ran.outcome, WALLET_OK);
		release(&h, &held, 1, GUARD_RELEASED);
	}
	for (int i = 0; i < 3; i++) {
		held = hold(&h, ID_NONE, 1, 1);
		ck_assert_int_eq(held.ran.outcome, WALLET_LOOP);
		/* What is refused leaves no mark. */
		ck_assert_int_eq(held.made, 5);
		ck_assert_int_eq(held.released, 5);
		ck_assert_int_gt(held.retry_after_ms, 590000);
		ck_assert_int_le(held.retry_after_ms, 600000);
	}
	ck_assert_int_eq(hold(&h, ID_NONE, 1, 2).ran.outcome, WALLET_OK);
	ck_assert_int_eq(hold(&h, key_with(&h, -1, -1, NO_RATE), 1, 1).ran.outcome, WALLET_OK);
	/* The window is over. */
	change(&h, "UPDATE guard SET period = period - 2, closed_until_ms = closed_until_ms - "
		   "600001");
	held = hold(&h, ID_NONE, 1, 1);
	ck_assert_int_eq(held.ran.outcome, WALLET_OK);
	release(&h, &held, 1, GUARD_RELEASED);
	ck_assert_int_eq(hold(&h, ID_NONE, 1, 1).ran.outcome, WALLET_OK);
	house_close(&h);
}
END_TEST

START_TEST(the_same_call_repeated_too_often_is_refused_in_one_batch_too)
{
	struct house h = house_open(1000, (struct guard_config){5, 100, 600});
	static struct held held[250];
	int passed = 0;

	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		submit_hold(&h, hold_cmd(&h, ID_NONE, 1, 1), 1, &held[i]);
		if (i == 60)
			store_turns(h.w);
	}
	store_turns(h.w);
	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		passed += held[i].ran.outcome == WALLET_OK;
		ck_assert(held[i].ran.outcome == WALLET_OK || held[i].ran.outcome == WALLET_LOOP);
	}
	ck_assert_int_eq(passed, 100);
	house_close(&h);
}
END_TEST

/* A detector that says "unchanged" is asked again and again, and that is what it is for. */
START_TEST(no_news_leaves_no_mark)
{
	struct house h = house_open(100, (struct guard_config){2, 3, 600});

	for (int i = 0; i < 20; i++) {
		struct held held = hold(&h, ID_NONE, 1, 1);

		ck_assert_int_eq(held.ran.outcome, WALLET_OK);
		release(&h, &held, 1, GUARD_NO_NEWS);
	}
	house_close(&h);
}
END_TEST

START_TEST(zero_switches_each_half_of_the_guard_off)
{
	struct house h = house_open(100, (struct guard_config){0, 4, 600});
	struct held held;

	for (int i = 0; i < 4; i++) {
		held = hold(&h, ID_NONE, 1, 1);
		ck_assert_int_eq(held.ran.outcome, WALLET_OK);
		release(&h, &held, 1, GUARD_RELEASED);
	}
	ck_assert_int_eq(hold(&h, ID_NONE, 1, 1).ran.outcome, WALLET_LOOP);
	house_close(&h);
	h = house_open(100, (struct guard_config){2, 0, 600});
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(hold(&h, ID_NONE, 1, 1).ran.outcome, WALLET_OK);
	house_close(&h);
}
END_TEST

START_TEST(old_marks_are_purged)
{
	struct house h = house_open(100, (struct guard_config){5, 100, 60});
	struct db *db = wallet_db(h.w);

	ck_assert_int_eq(hold(&h, ID_NONE, 1, 1).ran.outcome, WALLET_OK);
	change(&h, "UPDATE guard SET period = period - 3");
	ck_assert_int_eq(hold(&h, ID_NONE, 1, 2).ran.outcome, WALLET_OK);
	(void)store_run(h.w, wallet_cmd_create(WALLET_OP_SWEEP, (struct caller){0}));
	ck_assert(db_begin(db, 1000) == DB_OK);
	/* One row is left, and it is the young one. */
	db_queue_write(db_stmt(db, "DELETE FROM guard"), 1);
	ck_assert(db_commit(db) == DB_OK);
	house_close(&h);
}
END_TEST

struct over {
	struct ran ran;
	struct microusd charged, written_off;
};

static void note_over(struct wallet_cmd *cmd)
{
	struct over *over = container_of(cmd->arg, struct over, ran);

	store_note(cmd);
	over->charged = cmd->charged;
	over->written_off = cmd->written_off;
}

/* In tokens: used is what the model used; cap -1: none. */
static void assert_overrun(struct house *h, struct id key, int64_t held_tokens, int64_t used,
			   int64_t cap, int64_t charged)
{
	struct held held = hold(h, key, held_tokens, -1);
	struct wallet_cmd *cmd;
	struct over over;

	ck_assert_int_eq(held.ran.outcome, WALLET_OK);
	cmd = end_cmd(h, &held, WALLET_OP_CAPTURE, used);
	cmd->may_exceed = true;
	cmd->has_cap = cap >= 0;
	ck_assert(microusd_from_tokens(&cmd->cap, cap));
	over = (struct over){.ran = {.is_done = false}};
	cmd->done = note_over;
	cmd->arg = &over.ran;
	wallet_submit(h->w, cmd);
	store_turns(h->w);
	ck_assert_int_eq(over.ran.outcome, WALLET_OK);
	ck_assert_int_eq(over.charged.v, charged * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(over.written_off.v, (used - charged) * MICROUSD_PER_TOKEN);
}

START_TEST(an_overrun_is_charged_as_far_as_everything_allows)
{
	struct house h = house_of_a_day();
	struct id key = key_with(&h, 20, 18, NO_RATE);
	struct wallet_cmd *cmd;

	assert_overrun(&h, ID_NONE, 5, 5, -1, 5);
	assert_overrun(&h, ID_NONE, 5, 8, -1, 8);
	assert_overrun(&h, ID_NONE, 5, 8, 6, 6);
	assert_overrun(&h, ID_NONE, 5, 8, 5, 5);
	assert_overrun(&h, key, 5, 10, -1, 10);
	assert_overrun(&h, key, 5, 20, -1, 8); /* 18 a month */
	ck_assert_int_eq(store_tokens(h.w, h.org), 58);
	cmd = wallet_cmd_create(WALLET_OP_PREFERENCES, (struct caller){.org = h.org});
	cmd->sets_budget = cmd->prefs.has_budget = true;
	ck_assert(microusd_from_tokens(&cmd->prefs.budget_limit, 42 + 7));
	ck_assert_int_eq(store_run(h.w, cmd).outcome, WALLET_OK);
	assert_overrun(&h, ID_NONE, 5, 50, -1, 7);
	cmd = wallet_cmd_create(WALLET_OP_PREFERENCES, (struct caller){.org = h.org});
	cmd->sets_budget = true;
	ck_assert_int_eq(store_run(h.w, cmd).outcome, WALLET_OK);
	assert_overrun(&h, ID_NONE, 5, 1000, -1, 51);
	ck_assert_int_eq(store_tokens(h.w, h.org), 0);
	house_close(&h);
}
END_TEST

UNIT_MAIN("limits", a_key_spends_its_daily_limit_to_the_last_token_and_no_more,
	  a_month_is_longer_than_its_days, a_rotated_key_keeps_its_limits_and_what_was_spent,
	  calls_of_one_batch_cannot_pass_a_limit_together,
	  a_limited_hold_that_expires_gives_its_room_back,
	  a_rate_lets_so_many_pass_and_refills_evenly,
	  a_call_that_was_released_too_often_is_refused_for_a_window,
	  the_same_call_repeated_too_often_is_refused_in_one_batch_too, no_news_leaves_no_mark,
	  zero_switches_each_half_of_the_guard_off, old_marks_are_purged,
	  an_overrun_is_charged_as_far_as_everything_allows)
