/*
 * The callers' idempotency keys: a table of their own, keyed by day, org and key, written only by
 * calls that carry one. Today's and yesterday's rows count, if they are not older than a day, and
 * so do those of days that are still to come: they were written before the clock stepped back.
 */

#include "wallet/internal.h"

#include "base/limits.h"

#include <string.h>

#define DAY_MS          (INT64_C(24) * 60 * 60 * 1000)
/* Of one batch: what more there is waits for the next. */
#define PURGE_MAX       200
#define PURGE_BYTES_MAX (INT64_C(4) * 1024 * 1024)

struct found {
	bool is_there;
	int64_t day;
	struct digest digest;
	struct id call;
	struct walltime at;
	bool is_settled;
	int64_t entry_seq;
	char *result;
	size_t result_len;
};

static void read_found(void *arg, const struct db_row *row)
{
	struct found *f = arg;
	struct slice digest = db_row_blob(row, "digest");
	struct slice result;

	f->is_there = true;
	f->day = db_row_i64(row, "day");
	CHECK(digest.len == sizeof(f->digest.b));
	memcpy(f->digest.b, digest.p, digest.len);
	f->call = db_row_id(row, "call");
	f->at = db_row_walltime(row, "at_ms");
	f->is_settled = !db_row_is_null(row, "entry_seq");
	if (!f->is_settled)
		return;
	f->entry_seq = db_row_i64(row, "entry_seq");
	if (db_row_is_null(row, "result"))
		return;
	result = db_row_blob(row, "result");
	f->result = xstrndup(result.len ? result.p : "", result.len);
	f->result_len = result.len;
}

static struct found find(struct batch *b, const struct wallet_cmd *cmd, int64_t day)
{
	static const char SQL[] = "SELECT day, digest, call, at_ms, entry_seq, result "
				  "FROM idempotency WHERE day = $1 AND org = $2 AND key = $3";
	struct db_stmt *s = db_stmt(b->db, SQL);
	struct found f = {0};

	db_bind_i64(s, day);
	db_bind_id(s, cmd->caller.org);
	db_bind_text(s, cmd->idempotency_key);
	db_queue(s, read_found, &f);
	db_wait(b->db);
	return f;
}

static void read_latest(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = db_row_i64(row, "day");
}

/* The last day of which there are keys; nearly always today. */
static int64_t latest_day(struct batch *b)
{
	static const char SQL[] = "SELECT day FROM idempotency ORDER BY day DESC LIMIT 1";

	if (!b->has_latest_key_day) {
		b->has_latest_key_day = true;
		db_queue(db_stmt(b->db, SQL), read_latest, &b->latest_key_day);
		db_wait(b->db);
	}
	return b->latest_key_day;
}

/* Days are looked at from the last to the first: the youngest row is the one that counts. */
static struct found find_any(struct batch *b, const struct wallet_cmd *cmd)
{
	int64_t today = walltime_day(b->now), latest = latest_day(b);
	const int64_t days[] = {latest, latest - 1, today + 1, today, today - 1};
	struct found f = {0};

	for (size_t i = 0; i < ARRAY_LEN(days) && !f.is_there; i++) {
		/* The first two are of a clock that was far ahead. */
		if (i < 2 ? days[i] > today + 1 : days[i] <= today || days[i] <= latest)
			f = find(b, cmd, days[i]);
	}
	return f;
}

/* The overrun of a model, where there is one, and the entry that ends the hold. */
static void read_charge(void *arg, const struct db_row *row)
{
	struct wallet_cmd *cmd = arg;
	struct slice hash = db_row_blob(row, "hash");

	cmd->stored_charge = microusd_plus(cmd->stored_charge,
					   db_row_microusd(row, "amount_microusd"));
	if (!db_row_bool(row, "is_closing"))
		return;
	CHECK(hash.len == sizeof(cmd->stored_receipt.b));
	memcpy(cmd->stored_receipt.b, hash.p, hash.len);
}

enum wallet_outcome idempotency_find(struct batch *b, struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"SELECT amount_microusd, is_closing, hash FROM entry "
		"WHERE org = $1 AND seq BETWEEN $2 AND $3 AND ref = $4 AND kind = 6";
	struct found f = find_any(b, cmd);
	struct db_stmt *s;

	if (!f.is_there || b->now.ms - f.at.ms >= IDEMPOTENCY_HOURS * DAY_MS / 24) {
		free_charp(&f.result);
		return WALLET_OK;
	}
	if (!digest_eq(&f.digest, &cmd->digest)) {
		free_charp(&f.result);
		return WALLET_CONFLICT;
	}
	cmd->stored_call = f.call;
	if (!f.is_settled)
		return WALLET_IN_FLIGHT;
	cmd->stored = f.result;
	cmd->stored_len = f.result_len;
	cmd->stored_charge = MICROUSD_ZERO;
	static_assert(ENTRY_CAPTURE == 6, "stands in SQL");
	s = db_stmt(b->db, SQL);
	db_bind_id(s, cmd->caller.org);
	db_bind_i64(s, f.entry_seq - 1);
	db_bind_i64(s, f.entry_seq);
	db_bind_id(s, f.call);
	db_queue(s, read_charge, cmd);
	db_wait(b->db);
	return WALLET_REPLAY;
}

void idempotency_begin(struct batch *b, struct wallet_cmd *cmd)
{
	static const char SQL[] = "INSERT INTO idempotency (day, org, key, digest, call, at_ms) "
				  "VALUES ($1, $2, $3, $4, $5, $6)";
	struct db_stmt *s = db_stmt(b->db, SQL);

	cmd->idempotency_day = walltime_day(b->now);
	db_bind_i64(s, cmd->idempotency_day);
	db_bind_id(s, cmd->caller.org);
	db_bind_text(s, cmd->idempotency_key);
	db_bind_blob(s, cmd->digest.b, sizeof(cmd->digest.b));
	db_bind_id(s, cmd->id);
	db_bind_walltime(s, b->now);
	db_queue_write(s, 1);
}

void idempotency_keep(struct batch *b, struct wallet_cmd *cmd, int64_t entry_seq)
{
	static const char SQL[] = "UPDATE idempotency SET entry_seq = $1, result = $2 "
				  "WHERE day = $3 AND org = $4 AND key = $5";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_i64(s, entry_seq);
	if (cmd->result && cmd->result_len <= STORED_RESULT_BYTES_MAX)
		db_bind_blob(s, cmd->result, cmd->result_len);
	else
		db_bind_null(s);
	db_bind_i64(s, cmd->idempotency_day);
	db_bind_id(s, cmd->caller.org);
	db_bind_text(s, cmd->idempotency_key);
	db_queue_write(s, 1);
}

void idempotency_drop(struct batch *b, struct id org, int64_t day, const char *key)
{
	static const char SQL[] = "DELETE FROM idempotency WHERE day = $1 AND org = $2 "
				  "AND key = $3 AND entry_seq IS NULL";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_i64(s, day);
	db_bind_id(s, org);
	db_bind_text(s, key);
	db_queue_write(s, 1);
}

struct purge_list {
	struct {
		int64_t day;
		struct id org;
		char *key;
	} items[PURGE_MAX];
	size_t count;
	int64_t bytes;
	bool is_cut;
};

static void read_purge(void *arg, const struct db_row *row)
{
	struct purge_list *list = arg;

	if (list->count == PURGE_MAX || list->bytes >= PURGE_BYTES_MAX) {
		list->is_cut = true;
		return;
	}
	list->bytes += db_row_i64(row, "bytes");
	list->items[list->count].day = db_row_i64(row, "day");
	list->items[list->count].org = db_row_id(row, "org");
	list->items[list->count].key = xstrdup(db_row_text(row, "key"));
	list->count++;
}

bool idempotency_purge(struct batch *b)
{
	static const char FIND[] = "SELECT day, org, key, coalesce(length(result), 0) AS bytes "
				   "FROM idempotency WHERE day < $1 AND entry_seq IS NOT NULL "
				   "ORDER BY day LIMIT 201";
	static const char DELETE[] =
		"DELETE FROM idempotency WHERE day = $1 AND org = $2 AND key = $3";
	struct purge_list list = {.count = 0};
	struct db_stmt *s = db_stmt(b->db, FIND);

	db_bind_i64(s, walltime_day(b->now) - 1);
	db_queue(s, read_purge, &list);
	db_wait(b->db);
	for (size_t i = 0; i < list.count; i++) {
		s = db_stmt(b->db, DELETE);
		db_bind_i64(s, list.items[i].day);
		db_bind_id(s, list.items[i].org);
		db_bind_text(s, list.items[i].key);
		db_queue_write(s, 1);
		free_charp(&list.items[i].key);
	}
	return list.is_cut;
}
