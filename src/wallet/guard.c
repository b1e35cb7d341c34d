/*
 * The spend guard: the same call (a chain of keys, tool, arguments) that is released or made too
 * often within a window is refused for a window. Decided in the batch of the hold, for all
 * processes together; what is refused leaves no mark.
 *
 * A row counts one digest in one period, which is as long as the window. Its marks say what
 * happened in which sixtieth of the period, so that the last two rows give a window that slides by
 * a sixtieth: items of seven bytes, in order, the slot (1), made (3) and released (3). All marks of
 * a batch fall into one slot, and its row is written once.
 */

#include "wallet/internal.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS          60
#define ITEM_BYTES     7
#define COUNT_MAX      0xffffff
#define DIGEST_BYTES   16
#define PURGE_ROWS_MAX 4096
#define TABLE_SIZE_MIN 16

struct guard_row {
	uint8_t digest[DIGEST_BYTES];
	bool is_used;
	bool is_dirty;
	/* Of this period, but for its last slot when that is now. */
	uint8_t *marks; /* owned; NULL for none */
	size_t marks_len;
	/* Within the window, before this slot. */
	int64_t made_before, released_before;
	/* In this slot. */
	int64_t made, released;
	int64_t closed_until_ms;
};

struct moment {
	int64_t period;
	int slot;
	int64_t window_ms;
};

static struct moment moment_of(const struct batch *b)
{
	int64_t window_ms = b->w->config.guard.window_s * 1000;
	struct moment m = {.window_ms = window_ms};

	CHECK(window_ms > 0);
	m.period = b->steady.ms / window_ms;
	m.slot = (int)(b->steady.ms % window_ms * SLOTS / window_ms);
	return m;
}

static int64_t count_at(const uint8_t *p)
{
	return (int64_t)p[0] << 16 | p[1] << 8 | p[2];
}

static void count_put(uint8_t *p, int64_t count)
{
	count = count < COUNT_MAX ? count : COUNT_MAX;
	p[0] = (uint8_t)(count >> 16);
	p[1] = (uint8_t)(count >> 8);
	p[2] = (uint8_t)count;
}

static void make_digest(const struct wallet_cmd *cmd, struct id subject, uint8_t *out)
{
	uint8_t bytes[sizeof(subject.b) + sizeof(cmd->digest.b)];
	struct digest digest;

	memcpy(bytes, subject.b, sizeof(subject.b));
	memcpy(bytes + sizeof(subject.b), cmd->digest.b, sizeof(cmd->digest.b));
	digest = sha256(bytes, sizeof(bytes));
	memcpy(out, digest.b, DIGEST_BYTES);
}

/* The place of a digest: its row, or the free one where it would stand. */
static struct guard_row *place(struct batch *b, const uint8_t *digest)
{
	size_t at;

	memcpy(&at, digest, sizeof(at));
	for (at &= b->guards_size - 1;; at = (at + 1) & (b->guards_size - 1)) {
		struct guard_row *row = &b->guards[at];

		if (!row->is_used || memcmp(row->digest, digest, DIGEST_BYTES) == 0)
			return row;
	}
}

static void take_item(struct guard_row *row, const struct moment *m, const uint8_t *item)
{
	if (item[0] == m->slot) {
		row->made += count_at(item + 1);
		row->released += count_at(item + 4);
		return;
	}
	row->made_before += count_at(item + 1);
	row->released_before += count_at(item + 4);
	row->marks = xrealloc_array(row->marks, row->marks_len + ITEM_BYTES, 1);
	memcpy(row->marks + row->marks_len, item, ITEM_BYTES);
	row->marks_len += ITEM_BYTES;
}

static void read_guard(void *arg, const struct db_row *from)
{
	struct batch *b = arg;
	struct moment m = moment_of(b);
	struct slice digest = db_row_blob(from, "digest"), marks;
	bool is_now = db_row_i64(from, "period") == m.period;
	int64_t closed_until_ms = db_row_i64(from, "closed_until_ms");
	struct guard_row *row;

	CHECK(digest.len == DIGEST_BYTES);
	row = place(b, (const uint8_t *)digest.p);
	CHECK(row->is_used);
	if (closed_until_ms > row->closed_until_ms)
		row->closed_until_ms = closed_until_ms;
	marks = db_row_blob(from, "marks");
	CHECK(marks.len % ITEM_BYTES == 0 && marks.len <= SLOTS * ITEM_BYTES);
	for (size_t at = 0; at < marks.len; at += ITEM_BYTES) {
		const uint8_t *item = (const uint8_t *)marks.p + at;

		if (is_now) {
			take_item(row, &m, item);
		} else if (item[0] > m.slot) {
			row->made_before += count_at(item + 1);
			row->released_before += count_at(item + 4);
		}
	}
}

static bool is_watched(const struct wallet_cmd *cmd)
{
	return (cmd->op == WALLET_OP_HOLD && cmd->is_guarded) ||
	       (cmd->op == WALLET_OP_RELEASE && cmd->guard != GUARD_NO_MARK);
}

static struct id subject_of(const struct batch *b, const struct wallet_cmd *cmd)
{
	const struct key_row *key;

	if (cmd->op == WALLET_OP_RELEASE)
		return cmd->subject;
	if (id_is_none(cmd->caller.key))
		return cmd->caller.org;
	key = batch_key(b, cmd->caller.key);
	return key ? key->root : ID_NONE;
}

/* One period at a time: for a list of them SQLite builds a table of its own in each call. */
static void queue_guard(struct batch *b, int64_t period, const uint8_t *digest)
{
	static const char SQL[] = "SELECT period, digest, marks, closed_until_ms FROM guard "
				  "WHERE period = $1 AND digest = $2";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_i64(s, period);
	db_bind_blob(s, digest, DIGEST_BYTES);
	db_queue(s, read_guard, b);
}

void guards_read(struct batch *b)
{
	size_t count = 0;
	struct moment m;

	for (const struct wallet_cmd *cmd = b->w->batch.first; cmd; cmd = cmd->next)
		count += is_watched(cmd);
	if (!count)
		return;
	m = moment_of(b);
	for (b->guards_size = TABLE_SIZE_MIN; b->guards_size < 2 * count;)
		b->guards_size *= 2;
	b->guards = xarray(b->guards_size, sizeof(*b->guards));
	memset(b->guards, 0, b->guards_size * sizeof(*b->guards));
	for (const struct wallet_cmd *cmd = b->w->batch.first; cmd; cmd = cmd->next) {
		uint8_t digest[DIGEST_BYTES];
		struct guard_row *row;

		if (!is_watched(cmd))
			continue;
		make_digest(cmd, subject_of(b, cmd), digest);
		row = place(b, digest);
		if (row->is_used)
			continue;
		memcpy(row->digest, digest, DIGEST_BYTES);
		row->is_used = true;
		queue_guard(b, m.period, digest);
		queue_guard(b, m.period - 1, digest);
	}
}

static struct guard_row *row_of(struct batch *b, const struct wallet_cmd *cmd)
{
	uint8_t digest[DIGEST_BYTES];
	struct guard_row *row;

	make_digest(cmd, cmd->subject, digest);
	row = place(b, digest);
	CHECK(row->is_used);
	return row;
}

bool guard_is_open(struct batch *b, struct wallet_cmd *cmd)
{
	const struct guard_row *row;
	int64_t left_ms;

	if (!cmd->is_guarded)
		return true;
	row = row_of(b, cmd);
	left_ms = row->closed_until_ms - b->steady.ms;
	/* More than a window is left only after the clock stepped back. */
	if (left_ms <= 0 || left_ms > b->w->config.guard.window_s * 1000)
		return true;
	cmd->retry_after_ms = left_ms;
	cmd->seen.made = row->made_before + row->made;
	cmd->seen.released = row->released_before + row->released;
	return false;
}

/* After a mark: closes when it was one too many, unless it is closed already. */
static void close_if_due(struct batch *b, struct guard_row *row)
{
	const struct guard_config *guard = &b->w->config.guard;
	bool is_due = (guard->repeated && row->made_before + row->made >= guard->repeated) ||
		      (guard->released && row->released_before + row->released >= guard->released);

	row->is_dirty = true;
	if (is_due && row->closed_until_ms <= b->steady.ms)
		row->closed_until_ms = b->steady.ms + guard->window_s * 1000;
}

void guard_made(struct batch *b, const struct wallet_cmd *cmd)
{
	struct guard_row *row;

	if (!cmd->is_guarded || !b->w->config.guard.repeated)
		return;
	row = row_of(b, cmd);
	row->made++;
	close_if_due(b, row);
}

/* As if the call had not been made: the youngest mark goes. */
static void unmake(struct guard_row *row)
{
	row->is_dirty = true;
	if (row->made > 0) {
		row->made--;
		return;
	}
	for (size_t at = row->marks_len; at; at -= ITEM_BYTES) {
		uint8_t *made = row->marks + at - ITEM_BYTES + 1;

		if (!count_at(made))
			continue;
		count_put(made, count_at(made) - 1);
		row->made_before--;
		return;
	}
}

void guard_end(struct batch *b, const struct wallet_cmd *cmd)
{
	const struct guard_config *guard = &b->w->config.guard;
	struct guard_row *row;

	switch (cmd->guard) {
	case GUARD_NO_MARK:
		return;
	case GUARD_RELEASED:
		if (!guard->released)
			return;
		row = row_of(b, cmd);
		row->released++;
		close_if_due(b, row);
		return;
	case GUARD_NO_NEWS:
		if (guard->repeated)
			unmake(row_of(b, cmd));
		return;
	}
}

static void write_guard(struct batch *b, const struct guard_row *row, const struct moment *m)
{
	static const char SQL[] =
		"INSERT INTO guard (period, digest, marks, closed_until_ms) "
		"VALUES ($1, $2, $3, $4) ON CONFLICT (period, digest) DO UPDATE SET "
		"marks = excluded.marks, closed_until_ms = excluded.closed_until_ms";
	uint8_t marks[SLOTS * ITEM_BYTES];
	size_t len = row->marks_len;
	struct db_stmt *s = db_stmt(b->db, SQL);

	if (len)
		memcpy(marks, row->marks, len);
	if (row->made || row->released) {
		CHECK(len + ITEM_BYTES <= sizeof(marks));
		marks[len] = (uint8_t)m->slot;
		count_put(marks + len + 1, row->made);
		count_put(marks + len + 4, row->released);
		len += ITEM_BYTES;
	}
	db_bind_i64(s, m->period);
	db_bind_blob(s, row->digest, DIGEST_BYTES);
	db_bind_blob(s, marks, len);
	db_bind_i64(s, row->closed_until_ms);
	db_queue_write(s, 1);
}

void guards_write(struct batch *b)
{
	struct moment m;

	if (!b->guards)
		return;
	m = moment_of(b);
	for (size_t i = 0; i < b->guards_size; i++) {
		if (b->guards[i].is_dirty)
			write_guard(b, &b->guards[i], &m);
	}
}

void guards_finish(struct batch *b)
{
	for (size_t i = 0; i < b->guards_size; i++)
		free(b->guards[i].marks);
	free(b->guards);
}

struct purge_edge {
	bool is_there;
	int64_t period;
	uint8_t digest[DIGEST_BYTES];
};

static void read_edge(void *arg, const struct db_row *row)
{
	struct purge_edge *edge = arg;
	struct slice digest = db_row_blob(row, "digest");

	CHECK(digest.len == DIGEST_BYTES);
	edge->is_there = true;
	edge->period = db_row_i64(row, "period");
	memcpy(edge->digest, digest.p, DIGEST_BYTES);
}

/* The periods of another window's length are others: with a new configuration rows may live
 * shorter or longer than they should, once. */
bool guard_purge(struct batch *b)
{
	static const char EDGE[] = "SELECT period, digest FROM guard WHERE period < $1 "
				   "ORDER BY period, digest LIMIT 1 OFFSET 4095";
	static const char PIECE[] =
		"DELETE FROM guard WHERE period < $1 OR (period = $2 AND digest <= $3)";
	static const char ALL[] = "DELETE FROM guard WHERE period < $1";
	struct purge_edge edge = {.is_there = false};
	struct db_stmt *s;
	int64_t keep;

	static_assert(PURGE_ROWS_MAX == 4096, "stands in EDGE, less one");
	if (!b->w->config.guard.window_s)
		return false;
	keep = moment_of(b).period - 1;
	s = db_stmt(b->db, EDGE);
	db_bind_i64(s, keep);
	db_queue(s, read_edge, &edge);
	db_wait(b->db);
	s = db_stmt(b->db, edge.is_there ? PIECE : ALL);
	db_bind_i64(s, edge.is_there ? edge.period : keep);
	if (edge.is_there) {
		db_bind_i64(s, edge.period);
		db_bind_blob(s, edge.digest, DIGEST_BYTES);
	}
	db_queue_write(s, -1);
	return edge.is_there;
}

void guard_queue_work(struct wallet *w, struct db *db, db_row_fn *count, void *arg)
{
	static const char SQL[] = "SELECT count(*) AS n FROM (SELECT 1 FROM guard "
				  "WHERE period < $1 LIMIT 1) AS old";
	struct db_stmt *s;

	if (!w->config.guard.window_s)
		return;
	s = db_stmt(db, SQL);
	db_bind_i64(s, wallet_now(w).ms / (w->config.guard.window_s * 1000) - 1);
	db_queue(s, count, arg);
}
