#ifndef DB_DB_H
#define DB_DB_H

/*
 * One connection to the store: a small driver interface with an engine behind it (sqlite.c;
 * another one implements struct db_engine and shares every statement and rule).
 *
 * A statement is a static SQL text with $1, $2, ... in order of first use; it is prepared once a
 * connection. Within a transaction work is queued: an engine may run it at once (SQLite) or send
 * it and collect the answers later (pipelining). Rows reach the row function no later than
 * db_flush. The first failure sticks: what is queued after it does nothing, and db_flush and
 * db_commit return it, so callers check in one place.
 *
 *	db_begin(db); db_queue(s1); db_flush(db); ...decide...; db_queue_write(s2, 1);
 *db_commit(db);
 *
 * Outside a transaction db_queue and db_flush read from the last committed state.
 */

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "base/money.h"

enum db_status {
	DB_OK,
	DB_BUSY,     /* another process has its turn; nothing happened, try again */
	DB_CONFLICT, /* serialization failure or deadlock; nothing happened, try again */
	DB_UNKNOWN,  /* the commit may or may not have happened: look the ids up */
	DB_FULL,     /* no space; nothing happened */
	DB_FAILED,   /* the store cannot be used now; db_error says why; nothing happened */
	DB_BROKEN,   /* nor later, unless a person does something: not ours, newer, damaged,
		      * read-only; nothing happened */
	/* What is open is not what lies at its place; close it and open that. */
	DB_MOVED,  /* another store, or none: nothing happened there, whatever was committed here */
	DB_REOPEN, /* the same store with all that was committed; nothing happened, try again */
	DB_DOUBT,  /* the same store, but what was committed last may be missing there */
};

enum db_purpose {
	DB_MAKE, /* make it where there is none, and bring its tables up to date */
	DB_KEEP, /* it was there before: where it is gone or empty, none is made */
	DB_LOOK, /* read only: no mode, no table of it is changed */
};

struct db;
struct db_stmt;
struct db_row;

typedef void db_row_fn(void *arg, const struct db_row *row);

/* url: a file path. Creates the file (0600) and its folders (0700) and brings the tables up to
 * date. Takes turns with other processes while it does; DB_BUSY after wait_ms. A file that is
 * refused is not changed, and nothing is left beside it. The same as db_open_for DB_MAKE. */
enum db_status db_open(const char *url, int64_t wait_ms, struct db **out, struct err *err);
enum db_status db_open_for(enum db_purpose purpose, const char *url, int64_t wait_ms,
			   struct db **out, struct err *err);
/* NULL is allowed. Closing may checkpoint, so it takes its turn, too. */
void db_close(struct db *db);
/* The process is being ended: reads and the closing hardly wait for others any more, and closing
 * leaves the log as it is to the next opening. */
void db_hurry(struct db *db);
/* Why the last operation failed; borrowed until the next. */
const char *db_error(const struct db *db);
/* For doctor and logs: "sqlite". */
const char *db_engine_name(const struct db *db);

/* Where the time of this store comes from; this machine's clocks unless others are set (copied). */
const struct clocks *db_clocks(const struct db *db);
void db_set_clocks(struct db *db, const struct clocks *clocks);

/* The number of the last migration that the store has seen. */
MUST_USE enum db_status db_version_read(struct db *db, int64_t *out);

/* Waits for its turn among processes at most wait_ms (DB_BUSY), then begins a write transaction. */
MUST_USE enum db_status db_begin(struct db *db, int64_t wait_ms);
/* Before reads outside of a transaction: whether what is open is what lies at its place. On another
 * status than DB_OK, db_begin settles what is to become of it. */
MUST_USE enum db_status db_check(struct db *db);
/* Durable when it returns DB_OK. On any other status the transaction is over. */
MUST_USE enum db_status db_commit(struct db *db);
/* Also after a failure; a transaction that is over already is allowed. */
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);
/* A consistent view over several reads, without a turn; ended by db_read_end. */
MUST_USE enum db_status db_read_begin(struct db *db);
void db_read_end(struct db *db);

/* Finds or prepares; sql must be a static text (it is looked up by its address). Bindings start
 * empty and are filled in order of $1, $2, ... */
struct db_stmt *db_stmt(struct db *db, const char *sql);
void db_bind_i64(struct db_stmt *s, int64_t v);
void db_bind_bool(struct db_stmt *s, bool v);
void db_bind_null(struct db_stmt *s);
void db_bind_text(struct db_stmt *s, const char *text); /* NULL binds null; copied */
void db_bind_slice(struct db_stmt *s, struct slice text);
void db_bind_blob(struct db_stmt *s, const void *p, size_t len);
void db_bind_id(struct db_stmt *s, struct id id); /* ID_NONE binds null */
void db_bind_microusd(struct db_stmt *s, struct microusd a);
void db_bind_cents(struct db_stmt *s, struct cents c);
void db_bind_walltime(struct db_stmt *s, struct walltime t);

/* Queues a read; fn is called for each row. */
void db_queue(struct db_stmt *s, db_row_fn *fn, void *arg);
/* Queues a write that must change exactly n rows; another count is our bug or a broken store and
 * dies. n < 0: any count. */
void db_queue_write(struct db_stmt *s, int64_t n);
MUST_USE enum db_status db_flush(struct db *db);
/* Within a transaction: waits until what was queued has been read. A failure sticks until
 * db_flush or db_commit. */
void db_wait(struct db *db);

/* Columns by name; a name that is not there or a wrong type dies. Borrowed until the row function
 * returns. */
int64_t db_row_i64(const struct db_row *row, const char *name);
bool db_row_bool(const struct db_row *row, const char *name);
bool db_row_is_null(const struct db_row *row, const char *name);
const char *db_row_text(const struct db_row *row, const char *name); /* NULL for null */
struct slice db_row_blob(const struct db_row *row, const char *name);
struct id db_row_id(const struct db_row *row, const char *name); /* ID_NONE for null */
struct microusd db_row_microusd(const struct db_row *row, const char *name);
struct cents db_row_cents(const struct db_row *row, const char *name);
struct walltime db_row_walltime(const struct db_row *row, const char *name);

#endif
