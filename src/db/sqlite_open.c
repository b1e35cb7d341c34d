/*
 * Opening a store: first it is found out, without changing anything, whether the file is one of
 * ours; then, within a turn, modes, log and marks are put in order.
 */

#include "base/limits.h"
#include "db/sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* STORE_APPLICATION_ID. */
static const char MARK[] = "PRAGMA application_id = 0x66626f78;";

static enum db_status configure(struct db *db, enum db_purpose purpose, struct boottime until)
{
	static const char PAGES[] = "PRAGMA page_size = 2048;";
	static const char LOG[] = "PRAGMA journal_mode = WAL;";
	static const char PRAGMAS[] = "PRAGMA synchronous = FULL;"
				      "PRAGMA wal_autocheckpoint = 2000;"
				      "PRAGMA cache_size = -2000;"
				      "PRAGMA temp_store = MEMORY;"
				      "PRAGMA trusted_schema = OFF;"
				      /* The first read opens the log. */
				      "PRAGMA user_version;";
	sqlite3 *handle = sqlite_of(db)->handle;
	enum db_status status = DB_OK;
	int keep_wal = 1;

	(void)sqlite3_extended_result_codes(handle, 1);
	sqlite_set_busy_wait(sqlite_of(db), until);
	(void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_wal);
	/* Before there is a log, so that the file itself says whose it is from then on. */
	if (sqlite_of(db)->kind == STORE_IS_NEW)
		status = sqlite_exec(db, PAGES);
	if (status == DB_OK && sqlite_of(db)->kind == STORE_IS_NEW)
		status = sqlite_exec(db, MARK);
	if (status == DB_OK && purpose != DB_LOOK)
		status = sqlite_exec(db, LOG);
	return status == DB_OK ? sqlite_exec(db, PRAGMAS) : status;
}

static void read_count(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = db_row_i64(row, "n");
}

enum db_status sqlite_accept(struct db *db, bool may_change)
{
	static const char SQL[] =
		"SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table' AND name IN "
		"('migration', 'org', 'wallet', 'entry', 'hold', 'lease', 'api_key', 'fact', "
		"'idempotency')";
	int64_t count = 0;
	enum db_status status;

	db_queue(db_stmt(db, SQL), read_count, &count);
	status = db_flush(db);
	if (status != DB_OK)
		return status;
	if (count != 9)
		return db_fail(db, DB_BROKEN, "tables are missing in it; restore a backup");
	return may_change && sqlite_of(db)->kind == STORE_IS_MARKLESS ? sqlite_exec(db, MARK)
								      : DB_OK;
}

/* Under the turn: everything that may change the file or what is beside it. */
static enum db_status take_possession(struct sqlite_db *q, enum db_purpose purpose,
				      struct boottime until, struct err *err)
{
	enum db_status status = DB_OK;
	int has_moved = 0;

	/* What it is may have changed while we waited. */
	(void)sqlite3_file_control(q->handle, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
	if (has_moved || store_file_look(&q->file) == STORE_OTHER) {
		err_set(err, "%s: was replaced while it was opened", q->file.path);
		return DB_BUSY;
	}
	if (q->kind == STORE_IS_NEW)
		status = store_identify(q->handle, q->file.path, purpose, &q->kind, err);
	if (status == DB_OK)
		status = store_file_claim(&q->file, &q->turn, purpose, err);
	if (status != DB_OK)
		return status;
	if (purpose == DB_KEEP && !store_file_has_log(&q->file) &&
	    !store_is_whole(q->handle, q->file.path)) {
		err_set(err, "%s: is being copied just now, or was cut short", q->file.path);
		return DB_FAILED;
	}
	status = configure(&q->base, purpose, until);
	if (status == DB_OK && purpose == DB_LOOK)
		status = sqlite_accept(&q->base, false);
	if (status == DB_OK)
		store_file_mark(&q->file, &q->turn, purpose);
	return status;
}

static enum db_status open_file(struct sqlite_db *q, const char *path, enum db_purpose purpose,
				struct err *err)
{
	enum db_status status = store_file_find(&q->file, path, purpose, err);
	int rc;

	if (status != DB_OK)
		return status;
	rc = sqlite3_open_v2(q->file.path, &q->handle,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			     NULL);
	if (!q->handle)
		out_of_memory(0);
	status = sqlite_status(&q->base, rc);
	if (status == DB_FAILED && access(q->file.path, R_OK) != 0) {
		err_set(err, "%s: may not be read; farebox must be its owner, mode 600", path);
		status = DB_BROKEN;
	}
	if (status != DB_OK)
		return status;
	status = store_identify(q->handle, q->file.path, purpose, &q->kind, err);
	if (status == DB_OK && sqlite3_db_readonly(q->handle, "main") == 1) {
		err_set(err, "%s: may not be written; farebox must be its owner, mode 600", path);
		status = DB_BROKEN;
	}
	if (status == DB_OK && purpose != DB_LOOK)
		status = store_file_narrow(&q->file, err);
	return status;
}

static enum db_status open_all(struct sqlite_db *q, const char *path, enum db_purpose purpose,
			       int64_t wait_ms, struct err *err)
{
	struct boottime until = boottime_after(clock_boot(), wait_ms);
	enum db_status status = open_file(q, path, purpose, err);

	if (status != DB_OK)
		return status;
	if (!turn_open(&q->turn, q->file.path, err))
		return errno == EACCES || errno == EROFS || errno == EPERM || errno == ELOOP
			       ? DB_BROKEN
			       : DB_FAILED;
	if (!turn_take(&q->turn, wait_ms)) {
		err_set(err, "%s: another process holds its lock", path);
		return DB_BUSY;
	}
	q->has_turn = true;
	status = take_possession(q, purpose, until, err);
	sqlite_leave_turn(q);
	return status;
}

enum db_status db_sqlite_open(const char *path, enum db_purpose purpose, int64_t wait_ms,
			      struct db **out, struct err *err)
{
	struct sqlite_db *q = xzalloc(sizeof(*q));
	enum db_status status;

	/* One thread uses SQLite: its locks and its memory statistics are cost without use. Refused
	 * when it runs already, and then set already. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	q->base.engine = &SQLITE_ENGINE;
	/* Closing checkpoints, which a look does not do. */
	q->is_left = purpose == DB_LOOK;
	q->turn = (struct turn)TURN_INIT;
	status = open_all(q, path, purpose, wait_ms, err);
	if (status != DB_OK) {
		if (!err_is_set(err))
			err_set(err, "%s: %s", path, db_error(&q->base));
		q->is_left = true;
		db_close(&q->base);
		return status;
	}
	*out = &q->base;
	return DB_OK;
}
