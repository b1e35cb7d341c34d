#include "db/db.h"
#include "db/turn.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static char *store(void)
{
	unit_folder(folder, sizeof(folder));
	return xasprintf("%s/deep/er/wallet.db", folder);
}

static struct db *open_store(const char *path)
{
	struct err err = ERR_INIT;
	struct db *db = NULL;

	ck_assert_msg(db_open(path, 1000, &db, &err) == DB_OK, "%s", err.text);
	return db;
}

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void count_row(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = db_row_i64(row, "n");
}

static int64_t count(struct db *db)
{
	int64_t n = -1;

	db_queue(db_stmt(db, "SELECT count(*) AS n FROM fact"), count_row, &n);
	ck_assert(db_flush(db) == DB_OK);
	return n;
}

static void add_fact(struct db *db, const char *name)
{
	static const char SQL[] = "INSERT INTO fact (name, org, entry_seq) VALUES ($1, $2, $3)";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_text(s, name);
	db_bind_blob(s, "x", 1);
	db_bind_i64(s, 1);
	db_queue_write(s, 1);
}

START_TEST(a_new_store_is_private_and_migrated_once)
{
	CLEANUP(free_charp) char *path = store();
	struct db *db = open_store(path);
	struct stat st;

	ck_assert(stat(path, &st) == 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(count(db), 0);
	db_close(db);
	db = open_store(path);
	ck_assert_int_eq(count(db), 0);
	db_close(db);
}
END_TEST

START_TEST(a_rolled_back_transaction_leaves_nothing)
{
	CLEANUP(free_charp) char *path = store();
	struct db *db = open_store(path);

	ck_assert(db_begin(db, 100) == DB_OK);
	add_fact(db, "a");
	db_rollback(db);
	ck_assert_int_eq(count(db), 0);
	ck_assert(db_begin(db, 100) == DB_OK);
	add_fact(db, "b");
	ck_assert(db_commit(db) == DB_OK);
	ck_assert_int_eq(count(db), 1);
	db_close(db);
}
END_TEST

START_TEST(a_second_writer_waits_for_its_turn_and_gives_up_in_time)
{
	CLEANUP(free_charp) char *path = store();
	struct db *one = open_store(path), *two = open_store(path);
	struct boottime start;

	ck_assert(db_begin(one, 100) == DB_OK);
	add_fact(one, "a");
	start = clock_boot();
	ck_assert(db_begin(two, 60) == DB_BUSY);
	ck_assert_int_ge(clock_boot().ms - start.ms, 50);
	ck_assert_int_lt(clock_boot().ms - start.ms, UNIT_AT_ONCE_MS);
	ck_assert_int_eq(count(two), 0);
	ck_assert(db_commit(one) == DB_OK);
	ck_assert(db_begin(two, 60) == DB_OK);
	add_fact(two, "b");
	ck_assert(db_commit(two) == DB_OK);
	ck_assert_int_eq(count(one), 2);
	db_close(two);
	db_close(one);
}
END_TEST

START_TEST(a_killed_process_gives_its_turn_back)
{
	CLEANUP(free_charp) char *path = store();
	struct db *db;
	int ready[2], status;
	pid_t child;
	char c;

	ck_assert(pipe(ready) == 0);
	child = fork();
	if (child == 0) {
		db = open_store(path);
		if (db_begin(db, 100) == DB_OK)
			(void)!write(ready[1], "x", 1);
		(void)pause();
		_exit(0);
	}
	ck_assert(read(ready[0], &c, 1) == 1);
	(void)kill(child, SIGKILL);
	ck_assert(waitpid(child, &status, 0) == child);
	db = open_store(path);
	ck_assert(db_begin(db, 1000) == DB_OK);
	db_rollback(db);
	db_close(db);
}
END_TEST

START_TEST(ledger_entries_are_never_changed)
{
	CLEANUP(free_charp) char *path = store();
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct db *db = open_store(path);
		static const char INSERT[] =
			"INSERT INTO entry (org, seq, kind, from_account, to_account, "
			"amount_microusd, is_closing, price_version, at_ms, hash) "
			"VALUES ($1, 1, 1, 5, 1, 10, 0, 0, 0, $1)";
		struct db_stmt *s;

		(void)close(STDERR_FILENO);
		if (db_begin(db, 100) != DB_OK)
			_exit(1);
		s = db_stmt(db, INSERT);
		db_bind_blob(s, "o", 1);
		db_queue_write(s, 1);
		db_queue_write(db_stmt(db, "UPDATE entry SET amount_microusd = 11"), 1);
		_exit(0);
	}
	ck_assert(waitpid(child, &status, 0) == child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x", status);
}
END_TEST

START_TEST(a_store_of_a_newer_program_is_refused)
{
	CLEANUP(free_charp) char *path = store();
	struct err err = ERR_INIT;
	struct db *db = open_store(path);

	ck_assert(db_begin(db, 100) == DB_OK);
	db_queue_write(db_stmt(db, "INSERT INTO migration VALUES (9000, 'x', 0)"), 1);
	ck_assert(db_commit(db) == DB_OK);
	db_close(db);
	ck_assert(db_open(path, 100, &db, &err) == DB_BROKEN);
	ck_assert_ptr_nonnull(strstr(err.text, "newer farebox"));
}
END_TEST

START_TEST(what_cannot_be_a_store_is_named)
{
	struct err err = ERR_INIT;
	struct db *db;

	ck_assert(db_open("/dev/null", 100, &db, &err) == DB_BROKEN);
	ck_assert_ptr_nonnull(strstr(err.text, "/dev/null"));
	err = (struct err)ERR_INIT;
	ck_assert(db_open("/proc/nowhere/wallet.db", 100, &db, &err) == DB_BROKEN);
	ck_assert(err_is_set(&err));
}
END_TEST

static char *beside(const char *path, const char *suffix)
{
	return xasprintf("%s%s", path, suffix);
}

static void put_another(const char *path)
{
	CLEANUP(free_charp) char *other = beside(path, ".other");

	db_close(open_store(other));
	ck_assert(rename(other, path) == 0);
}

START_TEST(a_store_that_is_replaced_is_noticed_before_a_read_a_batch_and_an_answer)
{
	CLEANUP(free_charp) char *path = store();
	struct db *db = open_store(path);

	ck_assert(db_check(db) == DB_OK);
	ck_assert(db_begin(db, 100) == DB_OK);
	add_fact(db, "a");
	put_another(path);
	ck_assert(db_commit(db) == DB_MOVED);
	ck_assert(db_check(db) == DB_MOVED);
	ck_assert(db_begin(db, 100) == DB_MOVED);
	db_close(db);
	db = open_store(path);
	ck_assert_int_eq(count(db), 0);
	db_close(db);
}
END_TEST

START_TEST(what_is_in_a_removed_log_is_brought_home)
{
	static const char *const SUFFIXES[] = {"-wal", "-shm", "-queue", "-lock"};

	for (size_t i = 0; i < ARRAY_LEN(SUFFIXES); i++) {
		CLEANUP(free_charp) char *path = store();
		CLEANUP(free_charp) char *part = beside(path, SUFFIXES[i]);
		struct db *db = open_store(path);

		ck_assert(db_begin(db, 100) == DB_OK);
		add_fact(db, "a");
		ck_assert(db_commit(db) == DB_OK);
		ck_assert(unlink(part) == 0);
		ck_assert(db_check(db) == DB_REOPEN);
		ck_assert_msg(db_begin(db, 100) == DB_REOPEN, "%s: %s", SUFFIXES[i], db_error(db));
		db_close(db);
		db = open_store(path);
		ck_assert_int_eq(count(db), 1);
		db_close(db);
	}
}
END_TEST

START_TEST(a_commit_to_a_log_that_was_removed_is_looked_up)
{
	CLEANUP(free_charp) char *path = store();
	CLEANUP(free_charp) char *log = beside(path, "-wal");
	struct db *db = open_store(path);

	ck_assert(db_begin(db, 100) == DB_OK);
	add_fact(db, "a");
	ck_assert(unlink(log) == 0);
	ck_assert(db_commit(db) == DB_UNKNOWN);
	ck_assert(db_begin(db, 100) == DB_REOPEN);
	db_close(db);
	db = open_store(path);
	ck_assert_int_eq(count(db), 1);
	db_close(db);
}
END_TEST

START_TEST(a_log_in_the_place_of_another_is_not_trusted)
{
	CLEANUP(free_charp) char *path = store();
	CLEANUP(free_charp) char *log = beside(path, "-wal");
	struct db *db = open_store(path);

	ck_assert(unlink(log) == 0);
	put_file(log, "");
	ck_assert(db_begin(db, 100) == DB_DOUBT);
	db_close(db);
}
END_TEST

START_TEST(only_who_may_make_a_store_makes_one)
{
	static const enum db_purpose PURPOSES[] = {DB_KEEP, DB_LOOK};
	CLEANUP(free_charp) char *path = store();
	struct db *db = NULL;
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(PURPOSES); i++) {
		CLEANUP(free_charp) char *file = xasprintf("%s/empty.db", folder);
		struct err err = ERR_INIT;

		ck_assert(db_open_for(PURPOSES[i], path, 100, &db, &err) == DB_FAILED);
		ck_assert(err_is_set(&err));
		put_file(file, "");
		ck_assert(db_open_for(PURPOSES[i], file, 100, &db, NULL) == DB_FAILED);
		ck_assert(stat(file, &st) == 0 && st.st_size == 0);
		ck_assert(unlink(file) == 0 && rmdir(folder) == 0 && mkdir(folder, 0700) == 0);
	}
	db_close(open_store(path));
	ck_assert(db_open_for(DB_LOOK, path, 100, &db, NULL) == DB_OK);
	ck_assert_int_eq(count(db), 0);
	db_close(db);
}
END_TEST

UNIT_MAIN("db", a_new_store_is_private_and_migrated_once, a_rolled_back_transaction_leaves_nothing,
	  a_second_writer_waits_for_its_turn_and_gives_up_in_time,
	  a_killed_process_gives_its_turn_back, ledger_entries_are_never_changed,
	  a_store_of_a_newer_program_is_refused, what_cannot_be_a_store_is_named,
	  a_store_that_is_replaced_is_noticed_before_a_read_a_batch_and_an_answer,
	  what_is_in_a_removed_log_is_brought_home, a_commit_to_a_log_that_was_removed_is_looked_up,
	  a_log_in_the_place_of_another_is_not_trusted, only_who_may_make_a_store_makes_one)
