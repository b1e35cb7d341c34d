/*
 * What time the wallet believes it is. Its clocks are a fake machine's: the wall clock jumps, the
 * boot clock does not, and a new boot is another id.
 */

#include "store.h"
#include "unit.h"
#include "wallet/clock.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define YEAR_MS   (365 * DAY_MS)

/* 2031-03-10T12:00:00Z. */
#define NOON_MS INT64_C(1930910400000)

struct machine {
	struct clocks clocks;
	int64_t wall_ms, boot_ms;
	const char *path;
	struct wallet *w;
	struct id org;
};

static struct walltime machine_wall(void *arg)
{
	return (struct walltime){.ms = ((const struct machine *)arg)->wall_ms};
}

static struct boottime machine_boot(void *arg)
{
	return (struct boottime){.ms = ((const struct machine *)arg)->boot_ms};
}

static struct wallet *open_wallet(struct machine *m)
{
	struct wallet_config config = {
		.store = m->path, .default_org = "default", .clocks = &m->clocks};

	ck_assert(microusd_from_tokens(&config.starter, 1000));
	return wallet_create(&config);
}

static void machine_start(struct machine *m)
{
	*m = (struct machine){.wall_ms = NOON_MS, .boot_ms = HOUR_MS, .path = store_new()};
	m->clocks = (struct clocks){
		.wall = machine_wall, .boot = machine_boot, .boot_id = {1}, .arg = m};
	m->w = open_wallet(m);
	m->org = store_default_org(m->w);
}

static void machine_stop(struct machine *m)
{
	store_proves_itself(m->w, -1);
	wallet_destroy(m->w);
}

/* Time goes by: both clocks move. */
static void pass(struct machine *m, int64_t ms)
{
	m->wall_ms += ms;
	m->boot_ms += ms;
}

static void reboot(struct machine *m, int64_t wall_ms)
{
	wallet_destroy(m->w);
	m->clocks.boot_id[0]++;
	m->boot_ms = MINUTE_MS;
	m->wall_ms = wall_ms;
	m->w = open_wallet(m);
	ck_assert(wallet_open_now(m->w, 1000, NULL));
}

static enum wallet_outcome believe(struct machine *m)
{
	return store_run(m->w, wallet_cmd_create(WALLET_OP_BELIEVE_CLOCK,
						 (struct caller){.org = ID_NONE}))
		.outcome;
}

/* A call of so many tokens, held and charged. */
static enum wallet_outcome charge(struct machine *m, int64_t tokens)
{
	struct wallet_cmd *hold = store_hold(m->w, m->org, tokens);
	struct id call = hold->id;
	struct ran ran = store_run(m->w, hold);

	if (ran.outcome != WALLET_OK)
		return ran.outcome;
	return store_run(m->w,
			 store_end(WALLET_OP_CAPTURE, m->org, call, ran.lease, tokens, tokens))
		.outcome;
}

static void set_budget(struct machine *m, int64_t tokens)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_PREFERENCES,
						   (struct caller){.org = m->org});

	cmd->sets_budget = true;
	cmd->prefs.has_budget = true;
	ck_assert(microusd_from_tokens(&cmd->prefs.budget_limit, tokens));
	ck_assert_int_eq(store_run(m->w, cmd).outcome, WALLET_OK);
}

/* One call under an idempotency key; what the store answered. */
static struct ran keyed(struct machine *m, const char *key, bool is_ended)
{
	struct wallet_cmd *cmd = store_hold(m->w, m->org, 10);
	struct id call = cmd->id;
	struct ran ran;

	cmd->idempotency_key = xstrdup(key);
	ran = store_run(m->w, cmd);
	if (ran.outcome != WALLET_OK || !is_ended)
		return ran;
	cmd = store_end(WALLET_OP_CAPTURE, m->org, call, ran.lease, 10, 10);
	cmd->idempotency_key = xstrdup(key);
	cmd->idempotency_day = ran.idempotency_day;
	ck_assert_int_eq(store_run(m->w, cmd).outcome, WALLET_OK);
	return ran;
}

static enum wallet_outcome rated(struct machine *m)
{
	struct wallet_cmd *cmd = store_hold(m->w, m->org, 1);

	cmd->rate = (struct rate_limit){.calls = 2, .per_s = 60};
	return store_run(m->w, cmd).outcome;
}

START_TEST(a_jump_ahead_does_not_open_the_budget_until_the_boot_clock_moved_as_far)
{
	struct machine m;

	machine_start(&m);
	set_budget(&m, 100);
	ck_assert_int_eq(charge(&m, 100), WALLET_OK);
	m.wall_ms += 40 * DAY_MS;
	ck_assert_int_eq(charge(&m, 1), WALLET_OVER_BUDGET);
	ck_assert_int_eq(wallet_now(m.w).ms, NOON_MS);
	/* The clock is set right again, and the month does end. */
	m.wall_ms -= 40 * DAY_MS;
	pass(&m, 40 * DAY_MS);
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	machine_stop(&m);
}
END_TEST

START_TEST(time_goes_on_behind_a_jump_that_is_not_believed)
{
	struct machine m;

	machine_start(&m);
	set_budget(&m, 100);
	ck_assert_int_eq(charge(&m, 100), WALLET_OK);
	m.wall_ms += 10 * YEAR_MS;
	ck_assert_int_eq(charge(&m, 1), WALLET_OVER_BUDGET);
	pass(&m, 21 * DAY_MS); /* the last day of March */
	ck_assert_int_eq(charge(&m, 1), WALLET_OVER_BUDGET);
	pass(&m, DAY_MS);
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	machine_stop(&m);
}
END_TEST

START_TEST(another_boot_is_believed)
{
	struct machine m;

	machine_start(&m);
	set_budget(&m, 100);
	ck_assert_int_eq(charge(&m, 100), WALLET_OK);
	reboot(&m, NOON_MS + 40 * DAY_MS);
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	machine_stop(&m);
}
END_TEST

START_TEST(the_operators_word_is_believed_by_every_process)
{
	struct machine m;
	struct wallet *other;

	machine_start(&m);
	set_budget(&m, 100);
	ck_assert_int_eq(charge(&m, 100), WALLET_OK);
	m.wall_ms += 40 * DAY_MS;
	ck_assert_int_eq(charge(&m, 1), WALLET_OVER_BUDGET);
	other = m.w;
	m.w = open_wallet(&m);
	ck_assert_int_eq(believe(&m), WALLET_OK);
	wallet_destroy(m.w);
	m.w = other;
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	ck_assert_int_eq(wallet_now(m.w).ms, m.wall_ms);
	machine_stop(&m);
}
END_TEST

START_TEST(periods_that_a_wrong_clock_began_come_back_at_the_operators_word)
{
	struct machine m;

	machine_start(&m);
	set_budget(&m, 100);
	/* Booted with a clock ten years ahead, which is believed. */
	reboot(&m, NOON_MS + 10 * YEAR_MS);
	ck_assert_int_eq(charge(&m, 60), WALLET_OK);
	m.wall_ms -= 10 * YEAR_MS;
	ck_assert_int_eq(charge(&m, 60), WALLET_OVER_BUDGET);
	ck_assert_int_eq(believe(&m), WALLET_OK);
	/* What was spent counts for the month that it is. */
	ck_assert_int_eq(charge(&m, 41), WALLET_OVER_BUDGET);
	ck_assert_int_eq(charge(&m, 40), WALLET_OK);
	pass(&m, 22 * DAY_MS);
	ck_assert_int_eq(charge(&m, 100), WALLET_OK);
	machine_stop(&m);
}
END_TEST

START_TEST(a_rate_is_not_frozen_by_a_clock_that_was_years_ahead)
{
	struct machine m;

	machine_start(&m);
	reboot(&m, NOON_MS + 10 * YEAR_MS);
	ck_assert_int_eq(rated(&m), WALLET_OK);
	ck_assert_int_eq(rated(&m), WALLET_OK);
	ck_assert_int_eq(rated(&m), WALLET_RATE_LIMITED);
	m.wall_ms -= 10 * YEAR_MS;
	pass(&m, MINUTE_MS);
	ck_assert_int_eq(rated(&m), WALLET_OK);
	machine_stop(&m);
}
END_TEST

START_TEST(a_step_back_leaves_a_spent_rate_spent)
{
	struct machine m;

	machine_start(&m);
	ck_assert_int_eq(rated(&m), WALLET_OK);
	ck_assert_int_eq(rated(&m), WALLET_OK);
	m.wall_ms -= 30 * 1000;
	ck_assert_int_eq(rated(&m), WALLET_RATE_LIMITED);
	m.wall_ms -= 10 * HOUR_MS;
	ck_assert_int_eq(rated(&m), WALLET_RATE_LIMITED);
	/* By the boot clock it fills again. */
	pass(&m, MINUTE_MS / 2);
	ck_assert_int_eq(rated(&m), WALLET_OK);
	ck_assert_int_eq(rated(&m), WALLET_RATE_LIMITED);
	machine_stop(&m);
}
END_TEST

START_TEST(a_key_is_known_when_the_clock_steps_back_over_midnight)
{
	struct machine m;
	struct ran ran;

	machine_start(&m);
	pass(&m, 12 * HOUR_MS + MINUTE_MS);
	ck_assert_int_eq(keyed(&m, "k", true).outcome, WALLET_OK);
	m.wall_ms -= 2 * MINUTE_MS;
	ran = keyed(&m, "k", true);
	ck_assert_int_eq(ran.outcome, WALLET_REPLAY);
	ck_assert_int_eq(ran.stored_charge.v, 10 * MICROUSD_PER_TOKEN);
	machine_stop(&m);
}
END_TEST

START_TEST(a_key_in_flight_is_known_when_the_clock_steps_back_over_midnight)
{
	struct machine m;

	machine_start(&m);
	pass(&m, 12 * HOUR_MS + MINUTE_MS);
	ck_assert_int_eq(keyed(&m, "k", false).outcome, WALLET_OK);
	m.wall_ms -= 2 * MINUTE_MS;
	ck_assert_int_eq(keyed(&m, "k", false).outcome, WALLET_IN_FLIGHT);
	machine_stop(&m);
}
END_TEST

START_TEST(a_key_is_known_when_the_clock_steps_back_by_many_days)
{
	struct machine m;

	machine_start(&m);
	pass(&m, 9 * DAY_MS);
	ck_assert_int_eq(keyed(&m, "early", true).outcome, WALLET_OK);
	pass(&m, DAY_MS);
	ck_assert_int_eq(keyed(&m, "late", true).outcome, WALLET_OK);
	m.wall_ms -= 10 * DAY_MS;
	ck_assert_int_eq(keyed(&m, "late", true).outcome, WALLET_REPLAY);
	ck_assert_int_eq(keyed(&m, "early", true).outcome, WALLET_REPLAY);
	ck_assert_int_eq(keyed(&m, "other", true).outcome, WALLET_OK);
	machine_stop(&m);
}
END_TEST

START_TEST(a_key_is_known_for_a_day_and_no_longer)
{
	struct machine m;

	machine_start(&m);
	ck_assert_int_eq(keyed(&m, "k", true).outcome, WALLET_OK);
	pass(&m, DAY_MS - 1);
	ck_assert_int_eq(keyed(&m, "k", true).outcome, WALLET_REPLAY);
	pass(&m, 1);
	ck_assert_int_eq(keyed(&m, "k", true).outcome, WALLET_OK);
	machine_stop(&m);
}
END_TEST

START_TEST(keys_are_purged_only_by_a_day_that_is_believed)
{
	struct machine m;

	machine_start(&m);
	ck_assert_int_eq(keyed(&m, "k", true).outcome, WALLET_OK);
	m.wall_ms += 30 * DAY_MS;
	ck_assert_int_eq(
		store_run(m.w, wallet_cmd_create(WALLET_OP_SWEEP, (struct caller){.org = ID_NONE}))
			.outcome,
		WALLET_OK);
	ck_assert_int_eq(keyed(&m, "k", true).outcome, WALLET_REPLAY);
	machine_stop(&m);
}
END_TEST

START_TEST(a_clock_set_right_bit_by_bit_is_believed)
{
	struct machine m;

	machine_start(&m);
	for (int i = 0; i < 50; i++) {
		pass(&m, HOUR_MS);
		m.wall_ms += 30 * 1000;
		ck_assert_int_eq(charge(&m, 1), WALLET_OK);
		ck_assert_int_eq(wallet_now(m.w).ms, m.wall_ms);
	}
	machine_stop(&m);
}
END_TEST

START_TEST(a_machine_that_boots_in_the_past_and_is_set_right_is_believed)
{
	struct machine m;

	machine_start(&m);
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	reboot(&m, 0);
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	m.wall_ms = NOON_MS + DAY_MS;
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	ck_assert_int_eq(wallet_now(m.w).ms, m.wall_ms);
	/* Once: the next jump is as any other. */
	m.wall_ms += DAY_MS;
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	ck_assert_int_eq(wallet_now(m.w).ms, m.wall_ms - DAY_MS);
	machine_stop(&m);
}
END_TEST

START_TEST(what_the_clock_did_is_kept_for_the_operator)
{
	struct clock_belief belief;
	struct machine m;

	machine_start(&m);
	m.wall_ms += DAY_MS;
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	m.wall_ms -= DAY_MS;
	m.wall_ms -= HOUR_MS;
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	m.wall_ms += HOUR_MS;
	ck_assert_int_eq(charge(&m, 1), WALLET_OK);
	ck_assert(clock_belief_read(wallet_db(m.w), &belief) == DB_OK);
	ck_assert_int_eq(belief.ahead_ms, DAY_MS);
	ck_assert_int_eq(belief.ahead_seen.ms, NOON_MS + DAY_MS);
	ck_assert_int_eq(belief.back_ms, HOUR_MS);
	ck_assert_int_eq(belief.back_seen.ms, NOON_MS - HOUR_MS);
	ck_assert_int_eq(believe(&m), WALLET_OK);
	ck_assert(clock_belief_read(wallet_db(m.w), &belief) == DB_OK);
	ck_assert_int_eq(belief.ahead_ms, 0);
	ck_assert_int_eq(belief.back_ms, 0);
	machine_stop(&m);
}
END_TEST

UNIT_MAIN("wallet_clock", a_jump_ahead_does_not_open_the_budget_until_the_boot_clock_moved_as_far,
	  time_goes_on_behind_a_jump_that_is_not_believed, another_boot_is_believed,
	  the_operators_word_is_believed_by_every_process,
	  periods_that_a_wrong_clock_began_come_back_at_the_operators_word,
	  a_rate_is_not_frozen_by_a_clock_that_was_years_ahead,
	  a_step_back_leaves_a_spent_rate_spent,
	  a_key_is_known_when_the_clock_steps_back_over_midnight,
	  a_key_in_flight_is_known_when_the_clock_steps_back_over_midnight,
	  a_key_is_known_when_the_clock_steps_back_by_many_days,
	  a_key_is_known_for_a_day_and_no_longer, keys_are_purged_only_by_a_day_that_is_believed,
	  a_clock_set_right_bit_by_bit_is_believed,
	  a_machine_that_boots_in_the_past_and_is_set_right_is_believed,
	  what_the_clock_did_is_kept_for_the_operator)
