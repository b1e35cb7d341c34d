/*
 * The SQLite engine. WAL, kept between runs (a WAL that must grow costs a commit 70 % more),
 * synchronous=FULL, pages of 2048 bytes, checkpoints by the connection that commits. All that
 * writes or checkpoints happens within a turn of the turnstile: SQLite up to 3.51.2 can corrupt a
 * WAL that is written and checkpointed by two connections at once.
 */

#include "db/sqlite.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bound ids, hashes and names are copied here, not by SQLite, which would allocate each. They stand
 * until the statement has run; what does not fit is SQLite's to copy. */
#define SCRATCH_BYTES 512

struct sqlite_stmt {
	struct db_stmt base;
	sqlite3_stmt *handle;
	size_t scratch_used;
	int scratch_last; /* the parameter that was copied last */
	char scratch[SCRATCH_BYTES];
};

struct sqlite_db *sqlite_of(struct db *db)
{
	return container_of(db, struct sqlite_db, base);
}

static sqlite3_stmt *handle_of(const struct db_stmt *s)
{
	return ((const struct sqlite_stmt *)(const void *)s)->handle;
}

enum db_status sqlite_status(struct db *db, int rc)
{
	sqlite3 *handle = sqlite_of(db)->handle;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return DB_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return db_fail(db, DB_BUSY, "another program holds the store");
	case SQLITE_FULL:
		return db_fail(db, DB_FULL, "no space left for the store");
	case SQLITE_CONSTRAINT:
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
	case SQLITE_MISMATCH:
		die("sqlite: %s", sqlite3_errmsg(handle));
	case SQLITE_NOMEM:
		out_of_memory(0);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return db_fail(db, DB_BROKEN,
			       "%s; 'farebox ledger verify' says more, a backup helps",
			       sqlite3_errmsg(handle));
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return db_fail(db, DB_BROKEN,
			       "%s; farebox must be its owner and may write it and its folder",
			       sqlite3_errmsg(handle));
	default:
		return db_fail(db, DB_FAILED, "%s (%d)", sqlite3_errmsg(handle), rc);
	}
}

/* Writes over what a failed commit left in the log, within our turn. */
static void bury_remains(struct sqlite_db *q)
{
	static const char TOUCH[] = "BEGIN IMMEDIATE;"
				    "UPDATE migration SET at_ms = at_ms WHERE version = 1;"
				    "COMMIT;";

	if (!q->has_remains)
		return;
	if (sqlite3_exec(q->handle, TOUCH, NULL, NULL, NULL) == SQLITE_OK)
		q->has_remains = false;
	else if (!sqlite3_get_autocommit(q->handle))
		(void)sqlite3_exec(q->handle, "ROLLBACK", NULL, NULL, NULL);
}

void sqlite_leave_turn(struct sqlite_db *q)
{
	if (q->has_turn)
		turn_leave(&q->turn);
	q->has_turn = false;
}

enum db_status sqlite_exec(struct db *db, const char *sql)
{
	return sqlite_status(db, sqlite3_exec(sqlite_of(db)->handle, sql, NULL, NULL, NULL));
}

static void sqlite_close(struct db *db)
{
	struct sqlite_db *q = sqlite_of(db);

	/* The last to close checkpoints, so closing takes its turn; without one it leaves that to
	 * the next. */
	if (q->handle) {
		int64_t wait_ms = q->is_hurried ? HURRY_WAIT_MS : CLOSE_WAIT_MS;

		if (!q->is_left && !db->is_refused)
			q->has_turn = turn_take(&q->turn, wait_ms);
		(void)sqlite3_busy_timeout(q->handle, (int)wait_ms);
		if (q->has_turn && store_file_look(&q->file) == STORE_SAME)
			bury_remains(q);
		/* The log is moved into the file only when there is time for it. */
		if (!q->has_turn || q->is_hurried)
			(void)sqlite3_db_config(q->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
						NULL);
		CHECK(sqlite3_close(q->handle) == SQLITE_OK);
	}
	sqlite_leave_turn(q);
	turn_close(&q->turn);
	store_file_finish(&q->file);
	free(q);
}

static enum db_status leave(struct sqlite_db *q, enum db_status status, const char *why)
{
	q->is_left = true;
	return db_fail(&q->base, status, "%s", why);
}

static enum db_status status_of_file(struct sqlite_db *q, enum store_state state)
{
	switch (state) {
	case STORE_SAME:
		return DB_OK;
	case STORE_GONE:
		return leave(q, DB_MOVED, "the file that was open is gone");
	case STORE_OTHER:
		return leave(q, DB_MOVED, "another file lies there than the one that was open");
	case STORE_LINKED:
		return db_fail(&q->base, DB_BROKEN,
			       "it has a second name (a hard link), and a store may have one only: "
			       "remove the other");
	case STORE_BESIDE:
		return db_fail(&q->base, DB_REOPEN, "a file beside it was removed or replaced");
	case STORE_FAULT:
		break;
	}
	return db_fail(&q->base, DB_FAILED, "%s", strerror(errno));
}

static enum db_status sqlite_check(struct db *db)
{
	return status_of_file(sqlite_of(db), store_file_look(&sqlite_of(db)->file));
}

/* The lock file was removed or replaced: others may take their turns at a new one already. */
static enum db_status renew_turn(struct sqlite_db *q, int64_t wait_ms)
{
	struct turn fresh = TURN_INIT;
	struct err err = ERR_INIT;

	if (!turn_open(&fresh, q->file.path, &err)) {
		turn_close(&fresh);
		return db_fail(&q->base, DB_FAILED, "%s", err.text);
	}
	if (!turn_take(&fresh, wait_ms)) {
		turn_close(&fresh);
		return db_fail(&q->base, DB_BUSY, "another process has its turn");
	}
	turn_close(&q->turn);
	q->turn = fresh;
	return DB_OK;
}

/*
 * The log was removed while it was open, and what was committed to it is in no file that has a
 * name. Nobody else can have begun another (opening the store refuses to while we have it open), so
 * it is brought home to the store itself.
 */
static enum db_status save_log(struct sqlite_db *q)
{
	int frames = 0, saved = 0;
	int rc = sqlite3_wal_checkpoint_v2(q->handle, "main", SQLITE_CHECKPOINT_FULL, &frames,
					   &saved);

	if (rc != SQLITE_OK || frames != saved)
		return db_fail(&q->base, DB_BUSY,
			       "its log was removed, and %d pages of it are not saved yet",
			       frames - saved);
	log_fault("event=log_removed file=%s pages_saved=%d", log_quote(q->file.path), saved);
	return leave(q, DB_REOPEN, "its log was removed");
}

/* Within the turn: something beside the file is not what is open. */
static enum db_status settle(struct sqlite_db *q, int64_t wait_ms)
{
	bool is_there, has_index;
	enum db_status status = DB_OK;
	enum store_state state;

	if (!store_file_has(&q->file, STORE_LOCK, &is_there))
		status = renew_turn(q, wait_ms);
	if (status != DB_OK)
		return status;
	state = store_file_look(&q->file);
	if (state != STORE_SAME && state != STORE_BESIDE)
		return status_of_file(q, state);
	if (store_file_has(&q->file, STORE_LOG, &is_there)) {
		log_warn("event=store_reopened file=%s reason=%s", log_quote(q->file.path),
			 log_quote("a file beside it was removed or replaced"));
		return leave(q, DB_REOPEN, "a file beside it was removed or replaced");
	}
	if (!is_there && (store_file_has(&q->file, STORE_INDEX, &has_index) || !has_index))
		return save_log(q);
	return leave(q, DB_DOUBT, "its log was replaced by another");
}

void sqlite_set_busy_wait(struct sqlite_db *q, struct boottime until)
{
	int64_t left_ms = until.ms - clock_boot().ms;

	(void)sqlite3_busy_timeout(q->handle, left_ms > 0 ? (int)left_ms : 0);
}

static void sqlite_hurry(struct db *db)
{
	struct sqlite_db *q = sqlite_of(db);

	q->is_hurried = true;
	(void)sqlite3_busy_timeout(q->handle, HURRY_WAIT_MS);
}

/* One wait for both: for the turn among ourselves, and for a program that takes none. */
static enum db_status sqlite_begin(struct db *db, int64_t wait_ms)
{
	struct sqlite_db *q = sqlite_of(db);
	struct boottime until = boottime_after(clock_boot(), wait_ms);
	enum db_status status;

	if (!turn_take(&q->turn, wait_ms))
		return db_fail(db, DB_BUSY, "another process has its turn");
	q->has_turn = true;
	status = sqlite_check(db);
	if (status == DB_REOPEN)
		status = settle(q, until.ms - clock_boot().ms);
	if (status == DB_OK) {
		sqlite_set_busy_wait(q, until);
		bury_remains(q);
		status = db->engine->run(db_stmt(db, "BEGIN IMMEDIATE"), NULL, NULL, -1);
		sqlite_set_busy_wait(q,
				     boottime_after(clock_boot(),
						    q->is_hurried ? HURRY_WAIT_MS : STORE_WAIT_MS));
	}
	if (status != DB_OK)
		sqlite_leave_turn(q);
	return status;
}

/* What was replaced while it was committed. The commit stands in a file that nobody will find;
 * where only its log was, somebody may have saved that before: a look at the ids tells. */
static enum db_status status_of_commit(struct sqlite_db *q)
{
	enum db_status status = sqlite_check(&q->base);

	if (status == DB_MOVED)
		return status;
	return status == DB_REOPEN ? DB_UNKNOWN : DB_OK;
}

static enum db_status sqlite_commit(struct db *db)
{
	struct sqlite_db *q = sqlite_of(db);
	struct sqlite_stmt *s = container_of(db_stmt(db, "COMMIT"), struct sqlite_stmt, base);
	int rc = sqlite3_step(s->handle);
	enum db_status status = sqlite_status(db, rc);

	(void)sqlite3_reset(s->handle);
	if (!sqlite3_get_autocommit(q->handle))
		(void)sqlite3_exec(q->handle, "ROLLBACK", NULL, NULL, NULL);
	/* The log may be on disk although its sync failed. Once something else stands in its place
	 * it is certain that nothing happened; before that only a look at the ids can tell. */
	if ((rc & 0xff) == SQLITE_IOERR) {
		q->has_remains = true;
		bury_remains(q);
		status = q->has_remains ? DB_UNKNOWN : DB_FAILED;
	}
	if (status == DB_OK)
		status = status_of_commit(q);
	sqlite_leave_turn(q);
	return status;
}

static void sqlite_rollback(struct db *db)
{
	struct sqlite_db *q = sqlite_of(db);

	if (!sqlite3_get_autocommit(q->handle))
		(void)sqlite3_exec(q->handle, "ROLLBACK", NULL, NULL, NULL);
	sqlite_leave_turn(q);
}

static enum db_status sqlite_read_begin(struct db *db)
{
	return sqlite_exec(db, "BEGIN");
}

static void sqlite_read_end(struct db *db)
{
	if (!sqlite3_get_autocommit(sqlite_of(db)->handle))
		(void)sqlite_exec(db, "COMMIT");
}

static int prepare(struct sqlite_stmt *s, struct db *db, const char *sql)
{
	int rc = sqlite3_prepare_v3(sqlite_of(db)->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
				    &s->handle, NULL);

	if ((rc & 0xff) == SQLITE_ERROR)
		die("sqlite: %s in: %s", sqlite3_errmsg(sqlite_of(db)->handle), sql);
	if (rc == SQLITE_NOMEM)
		out_of_memory(0);
	if (rc != SQLITE_OK)
		return rc;
	s->base.columns = sqlite3_column_count(s->handle);
	CHECK(s->base.columns <= DB_STMT_COLUMNS_MAX);
	for (int i = 0; i < s->base.columns; i++)
		s->base.names[i] = xstrdup(sqlite3_column_name(s->handle, i));
	return rc;
}

/* A store that cannot be read just now has no tables, either: running the statement says so. */
static struct db_stmt *sqlite_prepare(struct db *db, const char *sql)
{
	struct sqlite_stmt *s = xzalloc(sizeof(*s));

	(void)prepare(s, db, sql);
	return &s->base;
}

static void sqlite_finalize(struct db_stmt *s)
{
	(void)sqlite3_finalize(handle_of(s));
	for (int i = 0; i < s->columns; i++)
		free(s->names[i]);
	free(container_of(s, struct sqlite_stmt, base));
}

static void sqlite_reset(struct db_stmt *s)
{
	(void)sqlite3_reset(handle_of(s));
	(void)sqlite3_clear_bindings(handle_of(s));
}

/* Nothing is bound to a statement that could not be prepared. */
static bool is_bound(const struct db_stmt *s, int rc)
{
	return rc == SQLITE_OK || !handle_of(s);
}

static void sqlite_bind_i64(struct db_stmt *s, int at, int64_t v)
{
	CHECK(is_bound(s, sqlite3_bind_int64(handle_of(s), at, v)));
}

static void sqlite_bind_null(struct db_stmt *s, int at)
{
	CHECK(is_bound(s, sqlite3_bind_null(handle_of(s), at)));
}

/* A copy that lives until the statement is bound anew; NULL when there is no room. */
static const char *keep(struct db_stmt *base, struct slice bytes)
{
	struct sqlite_stmt *s = container_of(base, struct sqlite_stmt, base);
	char *at;

	if (base->bound <= s->scratch_last)
		s->scratch_used = 0;
	s->scratch_last = base->bound;
	if (bytes.len > SCRATCH_BYTES - s->scratch_used)
		return NULL;
	at = s->scratch + s->scratch_used;
	if (bytes.len)
		memcpy(at, bytes.p, bytes.len);
	s->scratch_used += bytes.len;
	return at;
}

static void sqlite_bind_text(struct db_stmt *s, int at, struct slice text)
{
	const char *kept = keep(s, text);

	CHECK(is_bound(s,
		       sqlite3_bind_text64(handle_of(s), at, kept ? kept : text.p, text.len,
					   kept ? SQLITE_STATIC : SQLITE_TRANSIENT, SQLITE_UTF8)));
}

static void sqlite_bind_blob(struct db_stmt *s, int at, struct slice bytes)
{
	const char *kept = keep(s, bytes);

	CHECK(is_bound(s, sqlite3_bind_blob64(handle_of(s), at, kept ? kept : bytes.p, bytes.len,
					      kept ? SQLITE_STATIC : SQLITE_TRANSIENT)));
}

static enum db_status sqlite_run(struct db_stmt *s, db_row_fn *fn, void *arg, int64_t changes)
{
	struct db *db = s->db;
	sqlite3_stmt *handle = handle_of(s);
	struct db_row row = {.stmt = s};
	enum db_status status;
	int rc;

	if (!handle) {
		rc = prepare(container_of(s, struct sqlite_stmt, base), db, s->sql);
		/* What was bound is gone: from the next time on it works. */
		return rc == SQLITE_OK ? db_fail(db, DB_CONFLICT, "could be read again only now")
				       : sqlite_status(db, rc);
	}
	CHECK(s->bound == sqlite3_bind_parameter_count(handle));
	while ((rc = sqlite3_step(handle)) == SQLITE_ROW) {
		if (fn)
			fn(arg, &row);
	}
	status = sqlite_status(db, rc);
	if (status == DB_OK && changes >= 0 && sqlite3_changes64(sqlite_of(db)->handle) != changes)
		die("%lld rows changed, not %lld: %s",
		    (long long)sqlite3_changes64(sqlite_of(db)->handle), (long long)changes,
		    s->sql);
	(void)sqlite3_reset(handle);
	return status;
}

static enum db_status sqlite_flush(struct db *db)
{
	(void)db;
	return DB_OK;
}

static bool sqlite_row_is_null(const struct db_row *row, int column)
{
	return sqlite3_column_type(handle_of(row->stmt), column) == SQLITE_NULL;
}

static int64_t sqlite_row_i64(const struct db_row *row, int column)
{
	CHECK(sqlite3_column_type(handle_of(row->stmt), column) == SQLITE_INTEGER);
	return sqlite3_column_int64(handle_of(row->stmt), column);
}

static const char *sqlite_row_text(const struct db_row *row, int column)
{
	CHECK(sqlite3_column_type(handle_of(row->stmt), column) == SQLITE_TEXT);
	return (const char *)sqlite3_column_text(handle_of(row->stmt), column);
}

static struct slice sqlite_row_blob(const struct db_row *row, int column)
{
	sqlite3_stmt *handle = handle_of(row->stmt);
	const void *p = sqlite3_column_blob(handle, column);

	return (struct slice){.p = p, .len = (size_t)sqlite3_column_bytes(handle, column)};
}

const struct db_engine SQLITE_ENGINE = {
	.name = "sqlite",
	.close = sqlite_close,
	.hurry = sqlite_hurry,
	.begin = sqlite_begin,
	.check = sqlite_check,
	.accept = sqlite_accept,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.read_begin = sqlite_read_begin,
	.read_end = sqlite_read_end,
	.script = sqlite_exec,
	.prepare = sqlite_prepare,
	.finalize = sqlite_finalize,
	.reset = sqlite_reset,
	.bind_i64 = sqlite_bind_i64,
	.bind_null = sqlite_bind_null,
	.bind_text = sqlite_bind_text,
	.bind_blob = sqlite_bind_blob,
	.run = sqlite_run,
	.flush = sqlite_flush,
	.row_is_null = sqlite_row_is_null,
	.row_i64 = sqlite_row_i64,
	.row_text = sqlite_row_text,
	.row_blob = sqlite_row_blob,
};
