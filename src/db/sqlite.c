/*
 * The SQLite engine. WAL, kept between runs (a WAL that must grow costs a commit 70 % more),
 * synchronous=FULL, pages of 2048 bytes, checkpoints by the connection that commits. All that
 * writes or checkpoints happens within a turn of the turnstile: SQLite up to 3.51.2 can corrupt a
 * WAL that is written and checkpointed by two connections at once.
 */

#include "base/limits.h"
#include "db/engine.h"
#include "db/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOSE_WAIT_MS 100

struct sqlite_db {
	struct db base;
	sqlite3 *handle;
	struct turn turn;
	bool has_turn;
	/* A commit whose sync failed is in the log behind its end: the next opening would take it
	 * for done, unless something is written over it. */
	bool has_remains;
};

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

static struct sqlite_db *of(struct db *db)
{
	return container_of(db, struct sqlite_db, base);
}

static sqlite3_stmt *handle_of(const struct db_stmt *s)
{
	return ((const struct sqlite_stmt *)(const void *)s)->handle;
}

static enum db_status status_of(struct db *db, int rc)
{
	sqlite3 *handle = of(db)->handle;

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
		die("sqlite: out of memory");
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

static void leave_turn(struct sqlite_db *q)
{
	if (q->has_turn)
		turn_leave(&q->turn);
	q->has_turn = false;
}

static enum db_status exec(struct db *db, const char *sql)
{
	return status_of(db, sqlite3_exec(of(db)->handle, sql, NULL, NULL, NULL));
}

static void sqlite_close(struct db *db)
{
	struct sqlite_db *q = of(db);

	/* The last to close checkpoints, so closing takes its turn; without one it leaves that to
	 * the next. */
	if (q->handle) {
		q->has_turn = turn_take(&q->turn, CLOSE_WAIT_MS);
		if (q->has_turn)
			bury_remains(q);
		else
			(void)sqlite3_db_config(q->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
						NULL);
		CHECK(sqlite3_close(q->handle) == SQLITE_OK);
	}
	leave_turn(q);
	turn_close(&q->turn);
	free(q);
}

static enum db_status sqlite_begin(struct db *db, int64_t wait_ms)
{
	struct sqlite_db *q = of(db);
	enum db_status status;

	if (!turn_take(&q->turn, wait_ms))
		return db_fail(db, DB_BUSY, "another process has its turn");
	q->has_turn = true;
	bury_remains(q);
	status = db->engine->run(db_stmt(db, "BEGIN IMMEDIATE"), NULL, NULL, -1);
	if (status != DB_OK)
		leave_turn(q);
	return status;
}

static enum db_status sqlite_commit(struct db *db)
{
	struct sqlite_db *q = of(db);
	struct sqlite_stmt *s = container_of(db_stmt(db, "COMMIT"), struct sqlite_stmt, base);
	int rc = sqlite3_step(s->handle);
	enum db_status status = status_of(db, rc);

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
	leave_turn(q);
	return status;
}

static void sqlite_rollback(struct db *db)
{
	struct sqlite_db *q = of(db);

	if (!sqlite3_get_autocommit(q->handle))
		(void)sqlite3_exec(q->handle, "ROLLBACK", NULL, NULL, NULL);
	leave_turn(q);
}

static enum db_status sqlite_read_begin(struct db *db)
{
	return exec(db, "BEGIN");
}

static void sqlite_read_end(struct db *db)
{
	if (!sqlite3_get_autocommit(of(db)->handle))
		(void)exec(db, "COMMIT");
}

static struct db_stmt *sqlite_prepare(struct db *db, const char *sql)
{
	struct sqlite_stmt *s = xzalloc(sizeof(*s));
	int rc = sqlite3_prepare_v3(of(db)->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->handle,
				    NULL);

	if (rc != SQLITE_OK)
		die("sqlite: %s in: %s", sqlite3_errmsg(of(db)->handle), sql);
	s->base.columns = sqlite3_column_count(s->handle);
	CHECK(s->base.columns <= DB_STMT_COLUMNS_MAX);
	for (int i = 0; i < s->base.columns; i++)
		s->base.names[i] = xstrdup(sqlite3_column_name(s->handle, i));
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

static void sqlite_bind_i64(struct db_stmt *s, int at, int64_t v)
{
	CHECK(sqlite3_bind_int64(handle_of(s), at, v) == SQLITE_OK);
}

static void sqlite_bind_null(struct db_stmt *s, int at)
{
	CHECK(sqlite3_bind_null(handle_of(s), at) == SQLITE_OK);
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

	CHECK(sqlite3_bind_text64(handle_of(s), at, kept ? kept : text.p, text.len,
				  kept ? SQLITE_STATIC : SQLITE_TRANSIENT,
				  SQLITE_UTF8) == SQLITE_OK);
}

static void sqlite_bind_blob(struct db_stmt *s, int at, struct slice bytes)
{
	const char *kept = keep(s, bytes);

	CHECK(sqlite3_bind_blob64(handle_of(s), at, kept ? kept : bytes.p, bytes.len,
				  kept ? SQLITE_STATIC : SQLITE_TRANSIENT) == SQLITE_OK);
}

static enum db_status sqlite_run(struct db_stmt *s, db_row_fn *fn, void *arg, int64_t changes)
{
	struct db *db = s->db;
	sqlite3_stmt *handle = handle_of(s);
	struct db_row row = {.stmt = s};
	enum db_status status;
	int rc;

	CHECK(s->bound == sqlite3_bind_parameter_count(handle));
	while ((rc = sqlite3_step(handle)) == SQLITE_ROW) {
		if (fn)
			fn(arg, &row);
	}
	status = status_of(db, rc);
	if (status == DB_OK && changes >= 0 && sqlite3_changes64(of(db)->handle) != changes)
		die("%lld rows changed, not %lld: %s", (long long)sqlite3_changes64(of(db)->handle),
		    (long long)changes, s->sql);
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

static const struct db_engine SQLITE = {
	.name = "sqlite",
	.close = sqlite_close,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.read_begin = sqlite_read_begin,
	.read_end = sqlite_read_end,
	.script = exec,
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

/* Makes the folders above path, private ones. */
static bool make_folders(const char *path, struct err *err)
{
	CLEANUP(free_charp) char *folder = xstrdup(path);

	for (char *p = folder + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(folder, 0700) != 0 && errno != EEXIST)
			return err_set(err, "%s: %s", folder, strerror(errno));
		*p = '/';
	}
	return true;
}

/*
 * The file exists and only its owner may read it, before SQLite copies its mode to the log. A file
 * that is there already is not opened: closing a second descriptor would drop the POSIX locks that
 * another connection of this process holds on it.
 */
static bool make_file(const char *path, struct err *err)
{
	struct stat st;
	int fd;

	if (!make_folders(path, err))
		return false;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd);
	else if (errno != EEXIST)
		return err_set(err, "%s: %s", path, strerror(errno));
	if (stat(path, &st) != 0)
		return err_set(err, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, "%s: not a regular file", path);
	return true;
}

static enum db_status configure(struct db *db)
{
	static const char PRAGMAS[] = "PRAGMA page_size = 2048;"
				      "PRAGMA journal_mode = WAL;"
				      "PRAGMA synchronous = FULL;"
				      "PRAGMA wal_autocheckpoint = 2000;"
				      "PRAGMA cache_size = -2000;"
				      "PRAGMA temp_store = MEMORY;"
				      "PRAGMA trusted_schema = OFF;";
	sqlite3 *handle = of(db)->handle;
	int keep_wal = 1;

	(void)sqlite3_extended_result_codes(handle, 1);
	(void)sqlite3_busy_timeout(handle, STORE_WAIT_MS);
	(void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_wal);
	return exec(db, PRAGMAS);
}

enum db_status db_sqlite_open(const char *path, int64_t wait_ms, struct db **out, struct err *err)
{
	struct sqlite_db *q;
	enum db_status status;
	int rc;

	/* One thread uses SQLite: its locks and its memory statistics are cost without use. Refused
	 * when it runs already, and then set already. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (!make_file(path, err))
		return DB_FAILED;
	q = xzalloc(sizeof(*q));
	q->base.engine = &SQLITE;
	q->turn = (struct turn)TURN_INIT;
	if (!turn_open(&q->turn, path, err)) {
		sqlite_close(&q->base);
		return DB_FAILED;
	}
	if (!turn_take(&q->turn, wait_ms)) {
		err_set(err, "%s: another process holds its lock", path);
		sqlite_close(&q->base);
		return DB_BUSY;
	}
	q->has_turn = true;
	rc = sqlite3_open_v2(path, &q->handle,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			     NULL);
	CHECK(q->handle);
	status = status_of(&q->base, rc);
	if (status == DB_OK)
		status = configure(&q->base);
	leave_turn(q);
	if (status != DB_OK) {
		err_set(err, "%s: %s", path, db_error(&q->base));
		sqlite_close(&q->base);
		return status;
	}
	*out = &q->base;
	return DB_OK;
}
