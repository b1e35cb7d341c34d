#ifndef DB_ENGINE_H
#define DB_ENGINE_H

/*
 * What an engine implements. Only files of this room include it. db.c keeps what all engines
 * share: the statement cache, the sticky status, the rule that a write changes what it said.
 */

#include "db/db.h"

#define DB_STMT_COLUMNS_MAX 32
#define DB_STMTS_MAX        256

struct db_engine;

struct db {
	const struct db_engine *engine;
	enum db_status status; /* sticky until the transaction ends */
	bool in_transaction;
	struct clocks clocks;
	bool is_refused;                     /* closing leaves it as it was found */
	struct db_stmt *stmts[DB_STMTS_MAX]; /* open addressing by the address of the text */
	char error[256];
};

/* An engine embeds this at the start of its own statement. */
struct db_stmt {
	struct db *db;
	const char *sql;
	int bound;
	int columns;
	char *names[DB_STMT_COLUMNS_MAX];
};

/* One row of a result; what stands in it is the engine's. */
struct db_row {
	const struct db_stmt *stmt;
};

struct db_engine {
	const char *name;
	void (*close)(struct db *db);
	void (*hurry)(struct db *db);
	enum db_status (*begin)(struct db *db, int64_t wait_ms);
	/* Whether what is open is what lies at its place. */
	enum db_status (*check)(struct db *db);
	/* In the transaction that migrated it: whether it is complete. Says whose it is where it
	 * does not yet, if it may. */
	enum db_status (*accept)(struct db *db, bool may_change);
	enum db_status (*commit)(struct db *db);
	void (*rollback)(struct db *db);
	enum db_status (*read_begin)(struct db *db);
	void (*read_end)(struct db *db);
	/* Runs a text of several statements, for migrations. */
	enum db_status (*script)(struct db *db, const char *sql);
	struct db_stmt *(*prepare)(struct db *db, const char *sql);
	void (*finalize)(struct db_stmt *s);
	void (*reset)(struct db_stmt *s);
	/* at counts from 1. */
	void (*bind_i64)(struct db_stmt *s, int at, int64_t v);
	void (*bind_null)(struct db_stmt *s, int at);
	void (*bind_text)(struct db_stmt *s, int at, struct slice text);
	void (*bind_blob)(struct db_stmt *s, int at, struct slice bytes);
	/* changes < 0: any count; a read has -2. */
	enum db_status (*run)(struct db_stmt *s, db_row_fn *fn, void *arg, int64_t changes);
	enum db_status (*flush)(struct db *db);
	bool (*row_is_null)(const struct db_row *row, int column);
	int64_t (*row_i64)(const struct db_row *row, int column);
	const char *(*row_text)(const struct db_row *row, int column);
	struct slice (*row_blob)(const struct db_row *row, int column);
};

/* Sets the text of db_error and returns status. */
enum db_status db_fail(struct db *db, enum db_status status, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Opens the file under its turnstile; *out is ready for migrations. */
enum db_status db_sqlite_open(const char *path, enum db_purpose purpose, int64_t wait_ms,
			      struct db **out, struct err *err);
/* Runs in the open transaction of the caller. With may_change false, older tables are refused, too.
 */
enum db_status db_migrate(struct db *db, bool may_change, struct err *err);

#endif
