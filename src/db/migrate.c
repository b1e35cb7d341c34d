/*
 * Migrations: schemas/sql/NNNN_NAME.ENGINE.sql in order of their numbers, each run once, in the
 * transaction of db_open. A store that a newer program wrote is refused.
 */

#include "base/embedded.h"
#include "db/engine.h"

#include <stdio.h>
#include <string.h>

static void read_version(void *arg, const struct db_row *row)
{
	int64_t *version = arg;

	*version = db_row_i64(row, "version");
}

/* "sql/0001_ledger.sqlite.sql" is number 1 of engine "sqlite"; -1 for other files. */
static int64_t migration_number(const char *name, const char *engine)
{
	CLEANUP(free_charp) char *suffix = xasprintf(".%s.sql", engine);
	size_t len = strlen(name), suffix_len = strlen(suffix);
	int64_t number;

	if (strncmp(name, "sql/", 4) != 0 || len < 4 + 5 + suffix_len ||
	    strcmp(name + len - suffix_len, suffix) != 0)
		return -1;
	if (!parse_i64((struct slice){.p = name + 4, .len = 4}, 1, 9999, &number))
		return -1;
	return number;
}

static enum db_status apply(struct db *db, const struct embedded_file *file, int64_t number)
{
	static const char SQL[] =
		"INSERT INTO migration (version, name, at_ms) VALUES ($1, $2, $3)";
	enum db_status status = db->engine->script(db, file->text);
	struct db_stmt *s;

	if (status != DB_OK)
		return status;
	s = db_stmt(db, SQL);
	db_bind_i64(s, number);
	db_bind_text(s, file->name);
	db_bind_walltime(s, clock_wall());
	db_queue_write(s, 1);
	return db_flush(db);
}

enum db_status db_version_read(struct db *db, int64_t *out)
{
	static const char SQL[] = "SELECT coalesce(max(version), 0) AS version FROM migration";

	db_queue(db_stmt(db, SQL), read_version, out);
	return db_flush(db);
}

static enum db_status refuse_newer(struct db *db, int64_t version, int64_t newest, struct err *err)
{
	err_set(err,
		"the store has tables of version %d, this program knows %d; use a newer farebox",
		(int)version, (int)newest);
	return db_fail(db, DB_BROKEN, "the store is newer than the program");
}

static enum db_status refuse_older(struct db *db, int64_t version, struct err *err)
{
	err_set(err, "the store has tables of version %d, which the next call brings up to date",
		(int)version);
	return db_fail(db, DB_FAILED, "the store is older than the program");
}

static int64_t newest_of(const char *engine)
{
	int64_t newest = 0;

	for (size_t i = 0; i < EMBEDDED_FILES_COUNT; i++) {
		int64_t number = migration_number(EMBEDDED_FILES[i].name, engine);

		if (number < 0)
			continue;
		CHECK(number == newest + 1);
		newest = number;
	}
	return newest;
}

enum db_status db_migrate(struct db *db, bool may_change, struct err *err)
{
	static const char TABLE[] = "CREATE TABLE IF NOT EXISTS migration ("
				    "version BIGINT NOT NULL PRIMARY KEY, "
				    "name TEXT NOT NULL, at_ms BIGINT NOT NULL)";
	int64_t version = 0, newest = newest_of(db->engine->name);
	enum db_status status = may_change ? db->engine->script(db, TABLE) : DB_OK;

	if (status != DB_OK)
		return status;
	status = db_version_read(db, &version);
	if (status != DB_OK)
		return status;
	if (version > newest)
		return refuse_newer(db, version, newest, err);
	if (version < newest && !may_change)
		return refuse_older(db, version, err);
	for (size_t i = 0; i < EMBEDDED_FILES_COUNT; i++) {
		const struct embedded_file *file = &EMBEDDED_FILES[i];
		int64_t number = migration_number(file->name, db->engine->name);

		if (number <= version)
			continue;
		status = apply(db, file, number);
		if (status != DB_OK)
			return status;
	}
	return DB_OK;
}
