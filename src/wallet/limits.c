/*
 * What a chain of keys may spend, and how fast it may call. Decided in the batch of the hold, from
 * rows that are read once and written once, so that calls in any number of processes cannot pass a
 * limit together. Callers without limits read and write nothing here.
 */

#include "wallet/internal.h"

#include "wallet/account.h"

#include <stdlib.h>
#include <string.h>

#define US_PER_S  INT64_C(1000000)
#define US_PER_MS INT64_C(1000)

static void read_limit(void *arg, const struct db_row *row)
{
	struct limit_row *limit = arg;

	limit->exists = true;
	limit->limits.has_daily = !db_row_is_null(row, "daily_microusd");
	if (limit->limits.has_daily)
		limit->limits.daily = db_row_microusd(row, "daily_microusd");
	limit->limits.has_monthly = !db_row_is_null(row, "monthly_microusd");
	if (limit->limits.has_monthly)
		limit->limits.monthly = db_row_microusd(row, "monthly_microusd");
	limit->limits.rate.calls = db_row_i64(row, "rate_calls");
	limit->limits.rate.per_s = db_row_i64(row, "rate_per_s");
	limit->day = db_row_i64(row, "day");
	limit->captured_day = db_row_microusd(row, "captured_day_microusd");
	limit->month = db_row_i64(row, "month");
	limit->captured_month = db_row_microusd(row, "captured_month_microusd");
	limit->held = db_row_microusd(row, "held_microusd");
}

/* A day or month that has passed counts nothing. Only forward: a wall clock that steps back must
 * not open a limit again. */
static void roll(struct walltime now, struct limit_row *limit)
{
	int64_t day = walltime_day(now), month = walltime_month(now);

	if (limit->day < day) {
		limit->day = day;
		limit->captured_day = MICROUSD_ZERO;
	}
	if (limit->month < month) {
		limit->month = month;
		limit->captured_month = MICROUSD_ZERO;
	}
}

struct limit_row *batch_limit(struct batch *b, struct id key)
{
	static const char SQL[] =
		"SELECT daily_microusd, monthly_microusd, rate_calls, rate_per_s, day, "
		"captured_day_microusd, month, captured_month_microusd, held_microusd "
		"FROM key_limit WHERE key = $1";
	struct limit_row *limit;
	struct db_stmt *s;

	for (size_t i = 0; i < b->limits_count; i++) {
		if (id_eq(b->limits[i].key, key))
			return b->limits[i].exists ? &b->limits[i] : NULL;
	}
	b->limits = xrealloc_array(b->limits, b->limits_count + 1, sizeof(*b->limits));
	limit = &b->limits[b->limits_count++];
	*limit = (struct limit_row){.key = key};
	s = db_stmt(b->db, SQL);
	db_bind_id(s, key);
	db_queue(s, read_limit, limit);
	db_wait(b->db); /* a failure sticks and is seen by batch_run */
	roll(b->now, limit);
	return limit->exists ? limit : NULL;
}

/* Captures and open holds. */
static struct microusd used(const struct limit_row *limit, bool is_daily)
{
	return microusd_plus_capped(is_daily ? limit->captured_day : limit->captured_month,
				    limit->held);
}

static struct microusd room(struct microusd limit, struct microusd used)
{
	struct microusd left = MICROUSD_ZERO;

	return microusd_sub(&left, limit, used) ? microusd_max(left, MICROUSD_ZERO) : MICROUSD_ZERO;
}

struct microusd limit_room(const struct limit_row *limit)
{
	struct microusd left = {INT64_MAX};

	if (limit->limits.has_daily)
		left = microusd_min(left, room(limit->limits.daily, used(limit, true)));
	if (limit->limits.has_monthly)
		left = microusd_min(left, room(limit->limits.monthly, used(limit, false)));
	return left;
}

enum db_status key_room_read(struct db *db, struct id key, struct microusd *out)
{
	static const char SQL[] =
		"SELECT daily_microusd, monthly_microusd, rate_calls, rate_per_s, day, "
		"captured_day_microusd, month, captured_month_microusd, held_microusd "
		"FROM api_key JOIN key_limit ON key_limit.key = coalesce(api_key.root, api_key.id) "
		"WHERE api_key.id = $1";
	struct walltime now = clock_of_reader(db);
	struct limit_row limit = {.exists = false};
	struct db_stmt *s = db_stmt(db, SQL);
	enum db_status status;

	db_bind_id(s, key);
	db_queue(s, read_limit, &limit);
	status = db_flush(db);
	if (status != DB_OK)
		return status;
	roll(now, &limit);
	*out = limit_room(&limit);
	return DB_OK;
}

enum wallet_outcome limit_check(const struct limit_row *limit, struct wallet_cmd *cmd,
				struct microusd amount)
{
	const struct key_limits *l = &limit->limits;

	cmd->key_limit.used = used(limit, true);
	cmd->key_limit.limit = l->daily;
	cmd->key_limit.resets = walltime_of_day(limit->day + 1);
	if (l->has_daily && microusd_cmp(amount, room(l->daily, cmd->key_limit.used)) > 0)
		return WALLET_OVER_KEY_DAY;
	cmd->key_limit.used = used(limit, false);
	cmd->key_limit.limit = l->monthly;
	cmd->key_limit.resets = walltime_next_month(walltime_of_month(limit->month));
	if (l->has_monthly && microusd_cmp(amount, room(l->monthly, cmd->key_limit.used)) > 0)
		return WALLET_OVER_KEY_MONTH;
	return WALLET_OK;
}

void limit_hold(struct limit_row *limit, struct microusd amount)
{
	limit->held = microusd_plus(limit->held, amount);
	limit->is_dirty = true;
}

void limit_end(struct limit_row *limit, struct microusd held, struct microusd captured)
{
	limit->held = microusd_minus(limit->held, held);
	CHECK(microusd_sign(limit->held) >= 0);
	limit->captured_day = microusd_plus_capped(limit->captured_day, captured);
	limit->captured_month = microusd_plus_capped(limit->captured_month, captured);
	limit->is_dirty = true;
}

static void read_chain(void *arg, const struct db_row *row)
{
	struct key_row *key = arg;

	key->root = db_row_is_null(row, "root") ? db_row_id(row, "id") : db_row_id(row, "root");
	key->is_limited = db_row_bool(row, "is_limited");
}

struct limit_row *limit_of_key(struct batch *b, struct id key)
{
	static const char SQL[] = "SELECT id, root, is_limited FROM api_key WHERE id = $1";
	struct key_row found = {.is_limited = false};
	struct db_stmt *s;

	if (id_is_none(key))
		return NULL;
	s = db_stmt(b->db, SQL);
	db_bind_id(s, key);
	db_queue(s, read_chain, &found);
	db_wait(b->db);
	return found.is_limited ? batch_limit(b, found.root) : NULL;
}

static void bind_optional(struct db_stmt *s, bool has, struct microusd amount)
{
	if (has)
		db_bind_microusd(s, amount);
	else
		db_bind_null(s);
}

void limit_write_new(struct batch *b, struct id key, const struct key_limits *limits)
{
	static const char SQL[] =
		"INSERT INTO key_limit (key, daily_microusd, monthly_microusd, rate_calls, "
		"rate_per_s, day, captured_day_microusd, month, captured_month_microusd, "
		"held_microusd) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, 0, 0) "
		"ON CONFLICT (key) DO NOTHING";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, key);
	bind_optional(s, limits->has_daily, limits->daily);
	bind_optional(s, limits->has_monthly, limits->monthly);
	db_bind_i64(s, limits->rate.calls);
	db_bind_i64(s, limits->rate.per_s);
	db_bind_i64(s, walltime_day(b->now));
	db_bind_i64(s, walltime_month(b->now));
	db_queue_write(s, -1);
}

void limits_write(struct batch *b)
{
	static const char SQL[] =
		"UPDATE key_limit SET day = $1, captured_day_microusd = $2, month = $3, "
		"captured_month_microusd = $4, held_microusd = $5 WHERE key = $6";

	for (size_t i = 0; i < b->limits_count; i++) {
		const struct limit_row *limit = &b->limits[i];
		struct db_stmt *s;

		if (!limit->is_dirty)
			continue;
		s = db_stmt(b->db, SQL);
		db_bind_i64(s, limit->day);
		db_bind_microusd(s, limit->captured_day);
		db_bind_i64(s, limit->month);
		db_bind_microusd(s, limit->captured_month);
		db_bind_microusd(s, limit->held);
		db_bind_id(s, limit->key);
		db_queue_write(s, 1);
	}
}

static void read_rate(void *arg, const struct db_row *row)
{
	struct rate_row *rate = arg;

	rate->full_at_us = db_row_i64(row, "full_at_us");
}

static struct rate_row *rate_row(struct batch *b, struct id subject, const char *tool)
{
	static const char SQL[] = "SELECT full_at_us FROM rate WHERE subject = $1 AND tool = $2";
	struct rate_row *rate;
	struct db_stmt *s;

	for (size_t i = b->rates_count; i; i--) {
		rate = &b->rates[i - 1];
		if (id_eq(rate->subject, subject) && strcmp(rate->tool, tool) == 0)
			return rate;
	}
	if (b->rates_count == b->rates_size) {
		b->rates_size = b->rates_size ? 2 * b->rates_size : 4;
		b->rates = xrealloc_array(b->rates, b->rates_size, sizeof(*b->rates));
	}
	rate = &b->rates[b->rates_count++];
	*rate = (struct rate_row){.subject = subject, .tool = tool};
	s = db_stmt(b->db, SQL);
	db_bind_id(s, subject);
	db_bind_text(s, tool);
	db_queue(s, read_rate, rate);
	db_wait(b->db);
	return rate;
}

/* The time in which one call comes back, up: never more than was allowed. */
static int64_t interval_us(struct rate_limit limit)
{
	return (limit.per_s * US_PER_S + limit.calls - 1) / limit.calls;
}

/*
 * When the bucket would be full after this call: the generic cell rate algorithm, its whole state
 * one time. After another boot with another clock the bucket may be said to be full later than it
 * can be: by a little, then it is empty; by more than it takes to fill, then that says nothing, or
 * it would be empty until that time comes.
 */
static int64_t full_after(const struct batch *b, const struct rate_row *rate,
			  struct rate_limit limit)
{
	int64_t now_us = b->steady.ms * US_PER_MS;
	int64_t whole_us = interval_us(limit) * limit.calls;
	int64_t most_us = now_us + whole_us;
	int64_t full_us = rate->full_at_us;

	if (full_us < now_us || full_us > most_us + whole_us)
		full_us = now_us;

	return (full_us < most_us ? full_us : most_us) + interval_us(limit);
}

bool rate_has_room(struct batch *b, struct id subject, const char *tool, struct rate_limit limit,
		   int64_t *out_wait_ms)
{
	int64_t now_us = b->steady.ms * US_PER_MS, wait_us;

	if (!limit.calls)
		return true;
	wait_us = full_after(b, rate_row(b, subject, tool), limit) - now_us -
		  interval_us(limit) * limit.calls;
	if (wait_us <= 0)
		return true;
	*out_wait_ms = (wait_us + US_PER_MS - 1) / US_PER_MS;
	return false;
}

void rate_take(struct batch *b, struct id subject, const char *tool, struct rate_limit limit)
{
	struct rate_row *rate;

	if (!limit.calls)
		return;
	rate = rate_row(b, subject, tool);
	rate->full_at_us = full_after(b, rate, limit);
	rate->is_dirty = true;
}

void rates_write(struct batch *b)
{
	static const char SQL[] =
		"INSERT INTO rate (subject, tool, full_at_us) VALUES ($1, $2, $3) "
		"ON CONFLICT (subject, tool) DO UPDATE SET full_at_us = excluded.full_at_us";

	for (size_t i = 0; i < b->rates_count; i++) {
		const struct rate_row *rate = &b->rates[i];
		struct db_stmt *s;

		if (!rate->is_dirty)
			continue;
		s = db_stmt(b->db, SQL);
		db_bind_id(s, rate->subject);
		db_bind_text(s, rate->tool);
		db_bind_i64(s, rate->full_at_us);
		db_queue_write(s, 1);
	}
}
