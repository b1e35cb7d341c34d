/*
 * The raw limit: what SQLite on this disk can do at best with the rows of paid calls, without
 * JSON, pipes, decisions or hashing. A call is two durable transactions, one that holds and one
 * that captures; with a batch of N, each transaction carries N calls and one wallet row.
 *
 *	bench-raw STORE BATCH WARMUP_S SECONDS
 *
 * prints one line of JSON. STORE is made when it is not there.
 */

#include "base/embedded.h"
#include "bench.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRICE 10000

enum statement {
	BEGIN,
	READ_WALLET,
	READ_LEASE,
	ADD_ENTRY,
	ADD_HOLD,
	END_HOLD,
	WRITE_WALLET,
	COMMIT,
	STATEMENTS_COUNT,
};

static const char *const SQL[STATEMENTS_COUNT] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[READ_WALLET] =
		"SELECT org, available_microusd, held_microusd, seq, head, month, "
		"captured_month_microusd, auto_reload_enabled, auto_reload_threshold_microusd, "
		"auto_reload_amount_microusd, budget_limit_microusd FROM wallet WHERE org = ?1",
	[READ_LEASE] = "SELECT id FROM lease WHERE id = ?1 AND is_revoked = 0",
	[ADD_ENTRY] = "INSERT INTO entry (org, seq, kind, from_account, to_account, "
		      "amount_microusd, ref, api_key, tool, is_closing, price_version, at_ms, "
		      "note, hash) "
		      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, 'bench_echo', ?8, 1, ?9, NULL, "
		      "?10)",
	[ADD_HOLD] = "INSERT INTO hold (id, org, api_key, tool, amount_microusd, lease, "
		     "price_version, idempotency_day, idempotency_key) "
		     "VALUES (?1, ?2, NULL, 'bench_echo', ?3, ?4, 1, NULL, NULL)",
	[END_HOLD] = "DELETE FROM hold WHERE id = ?1",
	[WRITE_WALLET] =
		"UPDATE wallet SET available_microusd = ?1, held_microusd = ?2, seq = ?3, "
		"head = ?4, month = ?5, captured_month_microusd = ?6, auto_reload_enabled = ?7, "
		"auto_reload_threshold_microusd = ?8, auto_reload_amount_microusd = ?9, "
		"budget_limit_microusd = ?10 WHERE org = ?11",
	[COMMIT] = "COMMIT",
};

struct raw {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS_COUNT];
	unsigned char org[16], lease[16], hash[32];
	int64_t available, held, seq, captured;
	int64_t calls;
	int64_t start_ms;
};

static void fail(struct raw *raw, const char *what)
{
	fprintf(stderr, "bench-raw: %s: %s\n", what, sqlite3_errmsg(raw->db));
	exit(1);
}

static void exec(struct raw *raw, const char *sql)
{
	if (sqlite3_exec(raw->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail(raw, sql);
}

/* The next id: rising, as those of the wallet. */
static void make_id(const struct raw *raw, int64_t call, unsigned char out[16])
{
	int64_t ms = raw->start_ms + call / 64;

	memset(out, 0x5a, 16);
	for (int i = 0; i < 6; i++)
		out[i] = (unsigned char)(ms >> (8 * (5 - i)));
	for (int i = 0; i < 4; i++)
		out[6 + i] = (unsigned char)(call >> (8 * (3 - i)));
}

/* Runs a bound statement; the last row's columns are not looked at. */
static void step(struct raw *raw, enum statement which)
{
	sqlite3_stmt *s = raw->statements[which];
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		;
	if (rc != SQLITE_DONE)
		fail(raw, SQL[which]);
	(void)sqlite3_reset(s);
}

static void bind_blob(sqlite3_stmt *s, int at, const unsigned char *p, int len)
{
	(void)sqlite3_bind_blob(s, at, p, len, SQLITE_STATIC);
}

static void add_entry(struct raw *raw, bool is_capture, const unsigned char id[16])
{
	sqlite3_stmt *s = raw->statements[ADD_ENTRY];

	bind_blob(s, 1, raw->org, 16);
	(void)sqlite3_bind_int64(s, 2, ++raw->seq);
	(void)sqlite3_bind_int64(s, 3, is_capture ? 6 : 5);
	(void)sqlite3_bind_int64(s, 4, is_capture ? 2 : 1);
	(void)sqlite3_bind_int64(s, 5, is_capture ? 3 : 2);
	(void)sqlite3_bind_int64(s, 6, PRICE);
	bind_blob(s, 7, id, 16);
	(void)sqlite3_bind_int64(s, 8, is_capture);
	(void)sqlite3_bind_int64(s, 9, raw->start_ms);
	bind_blob(s, 10, raw->hash, 32);
	step(raw, ADD_ENTRY);
}

static void write_wallet(struct raw *raw)
{
	sqlite3_stmt *s = raw->statements[WRITE_WALLET];

	(void)sqlite3_bind_int64(s, 1, raw->available);
	(void)sqlite3_bind_int64(s, 2, raw->held);
	(void)sqlite3_bind_int64(s, 3, raw->seq);
	bind_blob(s, 4, raw->hash, 32);
	(void)sqlite3_bind_int64(s, 5, 202601);
	(void)sqlite3_bind_int64(s, 6, raw->captured);
	(void)sqlite3_bind_int64(s, 7, 0);
	(void)sqlite3_bind_int64(s, 8, 5000000);
	(void)sqlite3_bind_int64(s, 9, 20000000);
	(void)sqlite3_bind_null(s, 10);
	bind_blob(s, 11, raw->org, 16);
	step(raw, WRITE_WALLET);
}

static void hold(struct raw *raw, int batch)
{
	unsigned char id[16];

	step(raw, BEGIN);
	bind_blob(raw->statements[READ_WALLET], 1, raw->org, 16);
	step(raw, READ_WALLET);
	bind_blob(raw->statements[READ_LEASE], 1, raw->lease, 16);
	step(raw, READ_LEASE);
	for (int i = 0; i < batch; i++) {
		sqlite3_stmt *s = raw->statements[ADD_HOLD];

		make_id(raw, raw->calls + i, id);
		add_entry(raw, false, id);
		bind_blob(s, 1, id, 16);
		bind_blob(s, 2, raw->org, 16);
		(void)sqlite3_bind_int64(s, 3, PRICE);
		bind_blob(s, 4, raw->lease, 16);
		step(raw, ADD_HOLD);
	}
	raw->available -= (int64_t)batch * PRICE;
	raw->held += (int64_t)batch * PRICE;
	write_wallet(raw);
	step(raw, COMMIT);
}

static void capture(struct raw *raw, int batch)
{
	unsigned char id[16];

	step(raw, BEGIN);
	for (int i = 0; i < batch; i++) {
		make_id(raw, raw->calls + i, id);
		add_entry(raw, true, id);
		bind_blob(raw->statements[END_HOLD], 1, id, 16);
		step(raw, END_HOLD);
	}
	raw->held -= (int64_t)batch * PRICE;
	raw->captured += (int64_t)batch * PRICE;
	write_wallet(raw);
	step(raw, COMMIT);
	raw->calls += batch;
}

/* The tables of the program itself, unless the store has them. */
static void make_tables(struct raw *raw)
{
	sqlite3_stmt *s;
	bool is_new;

	if (sqlite3_prepare_v2(raw->db, "SELECT 1 FROM sqlite_schema WHERE name = 'entry'", -1, &s,
			       NULL) != SQLITE_OK)
		fail(raw, "sqlite_schema");
	is_new = sqlite3_step(s) != SQLITE_ROW;
	(void)sqlite3_finalize(s);
	for (size_t i = 0; is_new && i < EMBEDDED_FILES_COUNT; i++) {
		if (strstr(EMBEDDED_FILES[i].name, ".sqlite.sql"))
			exec(raw, EMBEDDED_FILES[i].text);
	}
}

static void open_store(struct raw *raw, const char *path)
{
	int keep_wal = 1;

	if (sqlite3_open_v2(path, &raw->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		fail(raw, path);
	(void)sqlite3_file_control(raw->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_wal);
	exec(raw, "PRAGMA page_size = 2048; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		  "PRAGMA wal_autocheckpoint = 2000; PRAGMA cache_size = -2000;"
		  "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;");
	make_tables(raw);
	make_id(raw, getpid(), raw->org);
	make_id(raw, getpid() + 1, raw->lease);
	memset(raw->hash, 0xa5, sizeof(raw->hash));
	raw->available = INT64_MAX / 2;
}

static void add_rows(struct raw *raw)
{
	static const char WALLET[] =
		"INSERT INTO wallet VALUES (?1, 0, 0, 0, zeroblob(32), 0, 0, 0, 0, 0, NULL)";
	static const char LEASE[] = "INSERT INTO lease VALUES (?1, zeroblob(16), 0, 0)";
	const unsigned char *const ids[] = {raw->org, raw->lease};
	const char *const texts[] = {WALLET, LEASE};

	for (int i = 0; i < 2; i++) {
		sqlite3_stmt *s;

		if (sqlite3_prepare_v2(raw->db, texts[i], -1, &s, NULL) != SQLITE_OK)
			fail(raw, texts[i]);
		bind_blob(s, 1, ids[i], 16);
		if (sqlite3_step(s) != SQLITE_DONE)
			fail(raw, texts[i]);
		(void)sqlite3_finalize(s);
	}
	for (int i = 0; i < STATEMENTS_COUNT; i++) {
		if (sqlite3_prepare_v3(raw->db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &raw->statements[i], NULL) != SQLITE_OK)
			fail(raw, SQL[i]);
	}
}

int main(int argc, char **argv)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	struct histogram *h = calloc(1, sizeof(*h));
	int64_t start, begun, ended, warm_ns, run_ns, counted = 0;
	int batch;

	if (argc != 5 || !raw || !h) {
		fputs("usage: bench-raw STORE BATCH WARMUP_S SECONDS\n", stderr);
		return 2;
	}
	batch = (int)strtol(argv[2], NULL, 10);
	warm_ns = (int64_t)(strtod(argv[3], NULL) * 1e9);
	run_ns = (int64_t)(strtod(argv[4], NULL) * 1e9);
	raw->start_ms = now_ns() / 1000000 + INT64_C(1700000000000);
	open_store(raw, argv[1]);
	add_rows(raw);
	start = now_ns();
	do {
		begun = now_ns();
		hold(raw, batch);
		capture(raw, batch);
		ended = now_ns();
		if (begun >= start + warm_ns) {
			histogram_add(h, ended - begun);
			counted += batch;
		}
	} while (ended < start + warm_ns + run_ns);
	printf("{\"rate\":%.1f,\"calls\":%lld,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
	       (double)counted * 1e9 / (double)(ended - start - warm_ns), (long long)counted,
	       histogram_us(h, 0.5), histogram_us(h, 0.99), (double)h->max_ns / 1e3);
	for (int i = 0; i < STATEMENTS_COUNT; i++)
		(void)sqlite3_finalize(raw->statements[i]);
	(void)sqlite3_close(raw->db);
	free(h);
	free(raw);
	return 0;
}
