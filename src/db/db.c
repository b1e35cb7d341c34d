#include "db/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum db_status db_fail(struct db *db, enum db_status status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(db->error, sizeof(db->error), fmt, ap);
	va_end(ap);
	return status;
}

static enum db_status prepare_tables(struct db *db, enum db_purpose purpose, int64_t wait_ms,
				     struct err *err)
{
	enum db_status status = db_begin(db, wait_ms);

	if (status != DB_OK)
		return status;
	status = db_migrate(db, purpose != DB_LOOK, err);
	if (status == DB_OK && purpose == DB_LOOK) {
		db_rollback(db);
		return DB_OK;
	}
	if (status == DB_OK)
		status = db->engine->accept(db, true);
	return status == DB_OK ? db_commit(db) : status;
}

enum db_status db_open_for(enum db_purpose purpose, const char *url, int64_t wait_ms,
			   struct db **out, struct err *err)
{
	struct boottime until = boottime_after(clock_boot(), wait_ms);
	enum db_status status;
	struct db *db = NULL;

	if (strncmp(url, "postgres://", 11) == 0 || strncmp(url, "postgresql://", 13) == 0) {
		err_set(err, "this build has no PostgreSQL engine; give a file path");
		return DB_BROKEN;
	}
	status = db_sqlite_open(url, purpose, wait_ms, &db, err);
	if (status != DB_OK)
		return status;
	status = prepare_tables(db, purpose, until.ms - clock_boot().ms, err);
	if (status != DB_OK) {
		if (!err_is_set(err))
			err_set(err, "%s: %s", url, db_error(db));
		db_rollback(db);
		db->is_refused = true;
		db_close(db);
		return status;
	}
	clocks_init(&db->clocks);
	*out = db;
	return DB_OK;
}

enum db_status db_open(const char *url, int64_t wait_ms, struct db **out, struct err *err)
{
	return db_open_for(DB_MAKE, url, wait_ms, out, err);
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < DB_STMTS_MAX; i++) {
		if (db->stmts[i])
			db->engine->finalize(db->stmts[i]);
	}
	db->engine->close(db);
}

const struct clocks *db_clocks(const struct db *db)
{
	return &db->clocks;
}

void db_set_clocks(struct db *db, const struct clocks *clocks)
{
	db->clocks = *clocks;
}

void db_hurry(struct db *db)
{
	db->engine->hurry(db);
}

const char *db_error(const struct db *db)
{
	return db->error;
}

const char *db_engine_name(const struct db *db)
{
	return db->engine->name;
}

enum db_status db_begin(struct db *db, int64_t wait_ms)
{
	enum db_status status;

	CHECK(!db->in_transaction);
	db->error[0] = '\0';
	db->status = DB_OK;
	status = db->engine->begin(db, wait_ms);
	db->in_transaction = status == DB_OK;
	return status;
}

enum db_status db_check(struct db *db)
{
	CHECK(!db->in_transaction);
	return db->engine->check(db);
}

enum db_status db_commit(struct db *db)
{
	enum db_status status;

	CHECK(db->in_transaction);
	status = db_flush(db);
	if (status != DB_OK) {
		db_rollback(db);
		return status;
	}
	db->in_transaction = false;
	return db->engine->commit(db);
}

void db_rollback(struct db *db)
{
	if (!db->in_transaction)
		return;
	db->in_transaction = false;
	db->engine->rollback(db);
	db->status = DB_OK;
}

bool db_in_transaction(const struct db *db)
{
	return db->in_transaction;
}

enum db_status db_read_begin(struct db *db)
{
	CHECK(!db->in_transaction);
	db->status = DB_OK;
	return db->engine->read_begin(db);
}

void db_read_end(struct db *db)
{
	db->engine->read_end(db);
	db->status = DB_OK;
}

struct db_stmt *db_stmt(struct db *db, const char *sql)
{
	size_t slot = ((uintptr_t)sql >> 4) % DB_STMTS_MAX;

	for (size_t tries = 0; tries < DB_STMTS_MAX; tries++) {
		struct db_stmt *s = db->stmts[slot];

		if (!s) {
			s = db->engine->prepare(db, sql);
			s->db = db;
			s->sql = sql;
			db->stmts[slot] = s;
		}
		if (s->sql == sql) {
			s->bound = 0;
			return s;
		}
		slot = (slot + 1) % DB_STMTS_MAX;
	}
	die("more than %d statements", DB_STMTS_MAX);
}

void db_bind_i64(struct db_stmt *s, int64_t v)
{
	s->db->engine->bind_i64(s, ++s->bound, v);
}

void db_bind_bool(struct db_stmt *s, bool v)
{
	db_bind_i64(s, v);
}

void db_bind_null(struct db_stmt *s)
{
	s->db->engine->bind_null(s, ++s->bound);
}

void db_bind_text(struct db_stmt *s, const char *text)
{
	if (text)
		db_bind_slice(s, slice_of(text));
	else
		db_bind_null(s);
}

void db_bind_slice(struct db_stmt *s, struct slice text)
{
	s->db->engine->bind_text(s, ++s->bound, text);
}

void db_bind_blob(struct db_stmt *s, const void *p, size_t len)
{
	s->db->engine->bind_blob(s, ++s->bound, (struct slice){.p = p, .len = len});
}

void db_bind_id(struct db_stmt *s, struct id id)
{
	if (id_is_none(id))
		db_bind_null(s);
	else
		db_bind_blob(s, id.b, sizeof(id.b));
}

void db_bind_microusd(struct db_stmt *s, struct microusd a)
{
	db_bind_i64(s, a.v);
}

void db_bind_cents(struct db_stmt *s, struct cents c)
{
	db_bind_i64(s, c.v);
}

void db_bind_walltime(struct db_stmt *s, struct walltime t)
{
	db_bind_i64(s, t.ms);
}

static void run(struct db_stmt *s, db_row_fn *fn, void *arg, int64_t changes)
{
	struct db *db = s->db;

	if (db->status == DB_OK)
		db->status = db->engine->run(s, fn, arg, changes);
	else
		db->engine->reset(s);
}

void db_queue(struct db_stmt *s, db_row_fn *fn, void *arg)
{
	run(s, fn, arg, -2);
}

void db_queue_write(struct db_stmt *s, int64_t n)
{
	CHECK(s->db->in_transaction);
	run(s, NULL, NULL, n < 0 ? -1 : n);
}

enum db_status db_flush(struct db *db)
{
	enum db_status status = db->status;

	if (status == DB_OK)
		status = db->status = db->engine->flush(db);
	/* Outside of a transaction nothing is left that could be half done. */
	if (!db->in_transaction)
		db->status = DB_OK;
	return status;
}

void db_wait(struct db *db)
{
	CHECK(db->in_transaction);
	if (db->status == DB_OK)
		db->status = db->engine->flush(db);
}

static int column(const struct db_row *row, const char *name)
{
	const struct db_stmt *s = row->stmt;

	for (int i = 0; i < s->columns; i++) {
		if (strcmp(s->names[i], name) == 0)
			return i;
	}
	die("no column %s in: %s", name, s->sql);
}

int64_t db_row_i64(const struct db_row *row, const char *name)
{
	return row->stmt->db->engine->row_i64(row, column(row, name));
}

bool db_row_bool(const struct db_row *row, const char *name)
{
	return db_row_i64(row, name) != 0;
}

bool db_row_is_null(const struct db_row *row, const char *name)
{
	return row->stmt->db->engine->row_is_null(row, column(row, name));
}

const char *db_row_text(const struct db_row *row, const char *name)
{
	int c = column(row, name);
	const struct db_engine *engine = row->stmt->db->engine;

	return engine->row_is_null(row, c) ? NULL : engine->row_text(row, c);
}

struct slice db_row_blob(const struct db_row *row, const char *name)
{
	return row->stmt->db->engine->row_blob(row, column(row, name));
}

struct id db_row_id(const struct db_row *row, const char *name)
{
	struct slice bytes;
	struct id id;

	if (db_row_is_null(row, name))
		return ID_NONE;
	bytes = db_row_blob(row, name);
	CHECK(bytes.len == sizeof(id.b));
	memcpy(id.b, bytes.p, sizeof(id.b));
	return id;
}

struct microusd db_row_microusd(const struct db_row *row, const char *name)
{
	return (struct microusd){db_row_i64(row, name)};
}

struct cents db_row_cents(const struct db_row *row, const char *name)
{
	return (struct cents){db_row_i64(row, name)};
}

struct walltime db_row_walltime(const struct db_row *row, const char *name)
{
	return (struct walltime){db_row_i64(row, name)};
}
