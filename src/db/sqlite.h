#ifndef DB_SQLITE_H
#define DB_SQLITE_H

/*
 * What the files of the SQLite engine share: sqlite.c runs it, sqlite_open.c opens it.
 */

#include "db/engine.h"
#include "db/sqlite_identity.h"
#include "db/store_file.h"
#include "db/turn.h"

#include <sqlite3.h>

struct sqlite_db {
	struct db base;
	sqlite3 *handle;
	struct turn turn;
	bool has_turn;
	bool is_hurried;
	struct store_file file;
	enum store_kind kind;
	/* What lies at the path is not ours to write any more: closing leaves it as it is. */
	bool is_left;
	/* A commit whose sync failed is in the log behind its end: the next opening would take it
	 * for done, unless something is written over it. */
	bool has_remains;
};

extern const struct db_engine SQLITE_ENGINE;

struct sqlite_db *sqlite_of(struct db *db);
/* The status of a result of SQLite's; what is our bug dies. */
enum db_status sqlite_status(struct db *db, int rc);
enum db_status sqlite_exec(struct db *db, const char *sql);
/* SQLite's own wait, for programs that know nothing of the turnstile. */
void sqlite_set_busy_wait(struct sqlite_db *q, struct boottime until);
void sqlite_leave_turn(struct sqlite_db *q);
/* In the transaction that migrated it, or before one reads it: whether it is complete. Says whose
 * it is where it does not yet, if it may. */
enum db_status sqlite_accept(struct db *db, bool may_change);

#endif
