/*
 * How a batch is applied: read each row that the commands name once, decide all outcomes in memory
 * in order of submission, write entries and holds as they come and each wallet row once. On an
 * engine that pipelines, the reads are one round trip and the writes another.
 */

#include "wallet/internal.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

static struct row *row_add(struct batch *b, struct id org)
{
	if (b->rows_count == b->rows_size) {
		b->rows_size = b->rows_size ? 2 * b->rows_size : 4;
		b->rows = xrealloc_array(b->rows, b->rows_size, sizeof(*b->rows));
	}
	b->rows_last = b->rows_count++;
	b->rows[b->rows_last] = (struct row){.view = {.org = org}};
	ceiling_of_name(b->w, "", &b->rows[b->rows_last].view);
	return &b->rows[b->rows_last];
}

static struct row *row_find(struct batch *b, struct id org)
{
	/* Nearly always the one that was asked for last. */
	if (b->rows_count && id_eq(b->rows[b->rows_last].view.org, org))
		return &b->rows[b->rows_last];
	for (size_t i = 0; i < b->rows_count; i++) {
		if (id_eq(b->rows[i].view.org, org)) {
			b->rows_last = i;
			return &b->rows[i];
		}
	}
	return NULL;
}

static void read_row(void *arg, const struct db_row *from)
{
	struct batch *b = arg;
	struct row *row = row_find(b, db_row_id(from, "org"));
	struct slice head = db_row_blob(from, "head");

	CHECK(row && head.len == sizeof(row->head.b));
	memcpy(row->head.b, head.p, head.len);
	row->exists = true;
	wallet_view_of_row(from, &row->view);
}

static void read_name(void *arg, const struct db_row *from)
{
	struct batch *b = arg;
	struct row *row = row_find(b, db_row_id(from, "id"));

	CHECK(row);
	ceiling_of_name(b->w, db_row_text(from, "name"), &row->view);
}

/* The name counts only where the configuration has ceilings by name. */
static void queue_name(struct batch *b, struct id org)
{
	static const char SQL[] = "SELECT id, name FROM org WHERE id = $1";
	struct db_stmt *s;

	if (!b->w->config.ceilings.count)
		return;
	s = db_stmt(b->db, SQL);
	db_bind_id(s, org);
	db_queue(s, read_name, b);
}

static void queue_row(struct batch *b, struct id org)
{
	static const char SQL[] =
		"SELECT org, available_microusd, held_microusd, seq, head, month, "
		"captured_month_microusd, auto_reload_enabled, auto_reload_threshold_microusd, "
		"auto_reload_amount_microusd, budget_limit_microusd, play_microusd, live_seq "
		"FROM wallet WHERE org = $1";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, org);
	db_queue(s, read_row, b);
	queue_name(b, org);
}

/* A month that has passed counts nothing. */
static void roll_month(struct batch *b, struct row *row)
{
	int64_t month = walltime_month(b->now);

	/* Only forward: a wall clock that steps back must not open the budget again. */
	if (row->exists && row->view.month < month) {
		row->view.month = month;
		row->view.captured_month = MICROUSD_ZERO;
	}
}

struct row *batch_row(struct batch *b, struct id org)
{
	struct row *row = row_find(b, org);

	if (row)
		return row;
	row = row_add(b, org);
	queue_row(b, org);
	db_wait(b->db); /* a failure sticks and is seen by batch_run */
	row = row_find(b, org);
	roll_month(b, row);
	return row;
}

struct row *batch_row_new(struct batch *b, struct id org)
{
	struct row *row = batch_row(b, org);

	CHECK(!row->exists);
	row->exists = true;
	row->is_new = true;
	row->is_dirty = true;
	row->view.is_live = store_is_live(b->db);
	row->view.month = walltime_month(b->now);
	row->view.prefs.auto_reload_threshold = (struct microusd){5 * MICROUSD_PER_USD};
	row->view.prefs.auto_reload_amount = (struct microusd){20 * MICROUSD_PER_USD};
	return row;
}

static void key_add(struct batch *b, struct id id)
{
	for (size_t i = b->keys_count; i; i--) {
		if (id_eq(b->keys[i - 1].id, id))
			return;
	}
	if (b->keys_count == b->keys_size) {
		b->keys_size = b->keys_size ? 2 * b->keys_size : 4;
		b->keys = xrealloc_array(b->keys, b->keys_size, sizeof(*b->keys));
	}
	b->keys[b->keys_count++] = (struct key_row){.id = id};
}

static void read_key(void *arg, const struct db_row *row)
{
	struct batch *b = arg;
	struct id id = db_row_id(row, "id");

	for (size_t i = 0; i < b->keys_count; i++) {
		if (!id_eq(b->keys[i].id, id))
			continue;
		b->keys[i].org = db_row_id(row, "org");
		b->keys[i].root = db_row_is_null(row, "root") ? id : db_row_id(row, "root");
		b->keys[i].is_limited = db_row_bool(row, "is_limited");
		b->keys[i].is_good = true;
	}
}

const struct key_row *batch_key(const struct batch *b, struct id key)
{
	for (size_t i = 0; i < b->keys_count; i++) {
		if (id_eq(b->keys[i].id, key))
			return &b->keys[i];
	}
	return NULL;
}

bool key_is_good(struct batch *b, struct caller caller)
{
	const struct key_row *key;

	if (id_is_none(caller.key))
		return true;
	key = batch_key(b, caller.key);
	return key && key->is_good && id_eq(key->org, caller.org);
}

static void lease_add(struct batch *b, struct id id)
{
	for (size_t i = b->leases_count; i; i--) {
		if (id_eq(b->leases[i - 1].id, id))
			return;
	}
	if (b->leases_count == b->leases_size) {
		b->leases_size = b->leases_size ? 2 * b->leases_size : 4;
		b->leases = xrealloc_array(b->leases, b->leases_size, sizeof(*b->leases));
	}
	b->leases[b->leases_count++] = (struct lease_row){.id = id};
}

static void read_lease(void *arg, const struct db_row *row)
{
	struct batch *b = arg;
	struct id id = db_row_id(row, "id");

	for (size_t i = 0; i < b->leases_count; i++) {
		if (id_eq(b->leases[i].id, id))
			b->leases[i].is_good = true;
	}
}

bool lease_is_good(struct batch *b, struct id lease)
{
	for (size_t i = 0; i < b->leases_count; i++) {
		if (id_eq(b->leases[i].id, lease))
			return b->leases[i].is_good;
	}
	return false;
}

/* What a command needs to know of the store before it can be decided. */
static void collect(struct batch *b, const struct wallet_cmd *cmd)
{
	bool is_call = cmd->op == WALLET_OP_HOLD || cmd->op == WALLET_OP_LOOKUP;
	bool is_end = cmd->op == WALLET_OP_CAPTURE || cmd->op == WALLET_OP_RELEASE;
	bool is_change = cmd->op == WALLET_OP_KEY_CREATE || cmd->op == WALLET_OP_PREFERENCES;

	if (!id_is_none(cmd->caller.org) && !row_find(b, cmd->caller.org))
		(void)row_add(b, cmd->caller.org);
	if ((is_call || is_change) && !id_is_none(cmd->caller.key))
		key_add(b, cmd->caller.key);
	/* A lookup may be decided to be a hold. */
	if (is_call && !id_is_none(b->w->lease))
		lease_add(b, b->w->lease);
	if (is_end)
		lease_add(b, cmd->lease);
}

static enum db_status read_all(struct batch *b)
{
	static const char KEY[] = "SELECT id, org, root, is_limited FROM api_key "
				  "WHERE id = $1 AND revoked_ms IS NULL";
	static const char LEASE[] = "SELECT id FROM lease WHERE id = $1 AND is_revoked = 0";
	enum db_status status;
	struct db_stmt *s;

	for (size_t i = 0; i < b->rows_count; i++)
		queue_row(b, b->rows[i].view.org);
	for (size_t i = 0; i < b->keys_count; i++) {
		s = db_stmt(b->db, KEY);
		db_bind_id(s, b->keys[i].id);
		db_queue(s, read_key, b);
	}
	for (size_t i = 0; i < b->leases_count; i++) {
		s = db_stmt(b->db, LEASE);
		db_bind_id(s, b->leases[i].id);
		db_queue(s, read_lease, b);
	}
	status = db_flush(b->db);
	for (size_t i = 0; i < b->rows_count; i++)
		roll_month(b, &b->rows[i]);
	return status;
}

static void apply(struct batch *b, struct wallet_cmd *cmd)
{
	switch (cmd->op) {
	case WALLET_OP_HOLD:
		apply_hold(b, cmd);
		return;
	case WALLET_OP_LOOKUP:
		apply_lookup(b, cmd);
		return;
	case WALLET_OP_CAPTURE:
		apply_capture(b, cmd);
		return;
	case WALLET_OP_RELEASE:
		apply_release(b, cmd);
		return;
	case WALLET_OP_GRANT:
		apply_grant(b, cmd);
		return;
	case WALLET_OP_TAKE:
		apply_take(b, cmd);
		return;
	case WALLET_OP_VOID_PLAY:
		apply_void_play(b, cmd);
		return;
	case WALLET_OP_ORG_CREATE:
		apply_org_create(b, cmd);
		return;
	case WALLET_OP_ORG_DEFAULT:
		apply_org_default(b, cmd);
		return;
	case WALLET_OP_ORG_RENAME:
		apply_org_rename(b, cmd);
		return;
	case WALLET_OP_ORG_EMAIL:
		apply_org_email(b, cmd);
		return;
	case WALLET_OP_KEY_CREATE:
		apply_key_create(b, cmd);
		return;
	case WALLET_OP_KEY_REVOKE:
		apply_key_revoke(b, cmd);
		return;
	case WALLET_OP_PREFERENCES:
		apply_preferences(b, cmd);
		return;
	case WALLET_OP_SWEEP:
		apply_sweep(b, cmd);
		return;
	case WALLET_OP_BELIEVE_CLOCK:
		apply_believe_clock(b, cmd);
		return;
	case WALLET_OP_RIDERS:
		cmd->outcome = WALLET_OK;
		return;
	}
	die("wallet op %d", (int)cmd->op);
}

static void apply_with_riders(struct batch *b, struct wallet_cmd *cmd)
{
	const struct row *row;

	/* A batch that is tried again starts from nothing. */
	free(cmd->stored);
	cmd->stored = NULL;
	cmd->stored_len = 0;
	cmd->now = b->now;
	if (cmd->decide)
		cmd->decide(cmd, b->db);
	apply(b, cmd);
	row = row_find(b, cmd->caller.org);
	if (row)
		cmd->after = row->view;
	for (struct rider *rider = cmd->riders; rider && cmd->outcome != WALLET_UNAVAILABLE;
	     rider = rider->next)
		rider->apply(rider, b->db, cmd);
}

static void bind_row(struct db_stmt *s, const struct row *row)
{
	const struct preferences *prefs = &row->view.prefs;

	db_bind_microusd(s, row->view.available);
	db_bind_microusd(s, row->view.held);
	db_bind_i64(s, row->view.seq);
	db_bind_blob(s, row->head.b, sizeof(row->head.b));
	db_bind_i64(s, row->view.month);
	db_bind_microusd(s, row->view.captured_month);
	db_bind_bool(s, prefs->auto_reload_enabled);
	db_bind_microusd(s, prefs->auto_reload_threshold);
	db_bind_microusd(s, prefs->auto_reload_amount);
	if (prefs->has_budget)
		db_bind_microusd(s, prefs->budget_limit);
	else
		db_bind_null(s);
	db_bind_microusd(s, row->view.play);
	db_bind_id(s, row->view.org);
}

static void write_rows(struct batch *b)
{
	static const char UPDATE[] =
		"UPDATE wallet SET available_microusd = $1, held_microusd = $2, seq = $3, "
		"head = $4, month = $5, captured_month_microusd = $6, auto_reload_enabled = $7, "
		"auto_reload_threshold_microusd = $8, auto_reload_amount_microusd = $9, "
		"budget_limit_microusd = $10, play_microusd = $11 WHERE org = $12";
	static const char INSERT[] =
		"INSERT INTO wallet (available_microusd, held_microusd, seq, head, month, "
		"captured_month_microusd, auto_reload_enabled, auto_reload_threshold_microusd, "
		"auto_reload_amount_microusd, budget_limit_microusd, play_microusd, org, "
		"live_seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
		"(SELECT 0 FROM live WHERE id = 1))";

	for (size_t i = 0; i < b->rows_count; i++) {
		struct row *row = &b->rows[i];
		struct db_stmt *s;

		if (!row->is_dirty)
			continue;
		s = db_stmt(b->db, row->is_new ? INSERT : UPDATE);
		bind_row(s, row);
		db_queue_write(s, 1);
	}
}

/* What there was no time for goes back to the front of the queue. */
static void put_back(struct wallet *w, struct wallet_cmd *last_applied)
{
	struct wallet_cmd *rest = last_applied->next, *tail = last_applied;
	size_t n = 0;

	for (; tail->next; n++)
		tail = tail->next;
	last_applied->next = NULL;
	w->batch.last = &last_applied->next;
	w->batch.count -= n;
	tail->next = w->queue.first;
	if (!w->queue.first)
		w->queue.last = &tail->next;
	w->queue.first = rest;
	w->queue.count += n;
}

enum db_status batch_run(struct wallet *w, struct batch *b)
{
	struct boottime began = clock_boot();
	enum db_status status;
	int64_t applied = 0;

	status = clock_begin(b);
	if (status != DB_OK)
		return status;
	for (const struct wallet_cmd *cmd = w->batch.first; cmd; cmd = cmd->next)
		collect(b, cmd);
	status = read_all(b);
	if (status != DB_OK)
		return status;
	guards_read(b);
	status = db_flush(b->db);
	if (status != DB_OK)
		return status;
	for (struct wallet_cmd *cmd = w->batch.first; cmd; cmd = cmd->next) {
		apply_with_riders(b, cmd);
		if (++applied % 64 == 0 && cmd->next && clock_boot().ms - began.ms > BATCH_MS_MAX) {
			put_back(w, cmd);
			break;
		}
	}
	write_rows(b);
	limits_write(b);
	rates_write(b);
	guards_write(b);
	usage_sums_write(b);
	return db_flush(b->db);
}

void batch_finish(struct batch *b)
{
	free(b->rows);
	free(b->keys);
	free(b->leases);
	free(b->limits);
	free(b->rates);
	usage_sums_finish(b);
	guards_finish(b);
}
