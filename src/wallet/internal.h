#ifndef WALLET_INTERNAL_H
#define WALLET_INTERNAL_H

/*
 * What the files of this room share: the wallet's own state, and a batch while it is applied.
 */

#include "wallet/clock.h"
#include "wallet/verify.h"
#include "wallet/wallet.h"

struct cmd_list {
	struct wallet_cmd *first;
	struct wallet_cmd **last;
	size_t count;
};

struct query_line {
	struct wallet_query *first, *last;
	size_t count;
};

/* Where the ledger of each org stood when the store was left. */
struct witness {
	struct witness_head *heads;
	size_t count;
	bool is_taken;
};

struct wallet {
	struct wallet_config config;
	char *store, *default_org, *default_email;
	struct db *db;
	struct id_source ids;
	struct err trouble;
	struct err default_trouble; /* nobody is the default org */
	int64_t wait_ms;            /* for other processes, in one turn */
	bool is_broken;             /* the trouble does not pass by itself */
	bool had_store;             /* no new one is made any more */
	int64_t openings;
	struct witness witness;
	bool is_doubtful; /* what was committed last may be missing in the next opening */
	/* Holds under these stand in a store that was replaced. */
	struct id *lost_leases;
	size_t lost_count;
	bool is_killed;

	struct cmd_list queue;
	/* The batch that is being tried; not empty only while the store is busy. */
	struct cmd_list batch;
	/* Its commit may have happened: proof is the entry that it wrote last. */
	bool is_unsure;
	struct id unsure_org;
	int64_t unsure_seq;
	struct digest unsure_head;
	int64_t unsure_holds_delta;

	struct query_line queries;
	struct query_line crowd; /* long ones that wait for others of their org */

	struct id lease; /* ID_NONE: none is held */
	struct boottime lease_written;
	int64_t holds_open;
	bool sweeps; /* a sweep is queued */
	struct wallet_query tick;
	int64_t tick_work;

	struct clocks clocks;
	struct clock_belief clock, tick_clock;
	bool clock_told_ahead, clock_told_back; /* in the log */
};

/* A wallet row as the batch sees it: read once, changed in memory, written once. */
struct row {
	struct wallet_view view;
	struct digest head;
	bool exists;
	bool is_new;
	bool is_dirty;
};

/* An API key or lease that commands of the batch name. */
struct key_row {
	struct id id;
	struct id org;
	struct id root;
	bool is_good;
	bool is_limited;
};

/* What a chain of keys may spend and has spent: read once, written once. */
struct limit_row {
	struct id key;
	struct key_limits limits;
	int64_t day, month;
	struct microusd captured_day, captured_month, held;
	bool exists;
	bool is_dirty;
};

struct rate_row {
	struct id subject;
	const char *tool; /* borrowed from a command; "" for the key's own */
	int64_t full_at_us;
	bool is_dirty;
};

struct lease_row {
	struct id id;
	bool is_good;
};

struct batch {
	struct wallet *w;
	struct db *db;
	struct walltime now;    /* as it is believed */
	struct walltime steady; /* the same, but it does not step back: for rates and the guard */
	struct boottime boot;
	struct clock_belief clock; /* the wallet's once the batch is committed */
	struct row *rows;
	size_t rows_count, rows_size, rows_last;
	struct key_row *keys;
	size_t keys_count, keys_size;
	struct lease_row *leases;
	size_t leases_count, leases_size;
	struct limit_row *limits;
	size_t limits_count;
	struct rate_row *rates;
	size_t rates_count, rates_size;
	struct usage_sum *sums; /* usage_sums.c */
	size_t sums_count, sums_size;
	struct guard_row *guards; /* guard.c; a table by digest */
	size_t guards_count, guards_size;
	/* idempotency.c: the last day of which there are keys. */
	bool has_latest_key_day;
	int64_t latest_key_day;
	bool lease_is_fresh; /* ours was written in this batch, or is not due */
	/* Set by the commands. */
	int64_t holds_delta;
	bool wants_more_sweep;
	struct id last_org; /* of the entry written last */
};

void cmd_list_init(struct cmd_list *list);
void cmd_list_push(struct cmd_list *list, struct wallet_cmd *cmd);
struct wallet_cmd *cmd_list_pop(struct cmd_list *list);

/* batch.c: reads what the commands need, applies them in order, writes the wallet rows. Commands
 * beyond the time limit go back to the queue. */
enum db_status batch_run(struct wallet *w, struct batch *b);
void batch_finish(struct batch *b);
/* The row of an org; loads it when it is not there. exists is false when there is none. */
struct row *batch_row(struct batch *b, struct id org);
struct row *batch_row_new(struct batch *b, struct id org);

/* queries.c: steps of the queries until the time of a turn is over; true when there are more. */
bool queries_run(struct wallet *w);
/* The store cannot be read: those whose time is over fail, or all of them. */
void queries_fail(struct wallet *w, bool all);
void queries_fail_all(struct wallet *w);

/* account.c: the column scopes of a key. */
unsigned scopes_of_row(const struct db_row *row);
/* account.c: a row with all columns of the wallet table but head. */
void wallet_view_of_row(const struct db_row *row, struct wallet_view *view);

/* ceiling.c: has_ceiling and ceiling of the org of this name. */
void ceiling_of_name(const struct wallet *w, const char *name, struct wallet_view *view);
/* Whether the budget may be set so by somebody who is not the operator. */
bool ceiling_allows(const struct wallet_view *view, const struct preferences *wanted);

/* ledger.c: appends an entry and moves the row's sums; the receipt is its hash. */
struct entry_values {
	enum entry_kind kind;
	enum account from, to;
	struct microusd amount;
	struct id ref;
	struct id key;
	const char *tool;
	bool is_closing;
	int64_t price_version;
	const char *note;
	bool is_play, is_real; /* as of struct play_entry */
};
/* False when the sums would overflow; nothing is written then. */
MUST_USE bool batch_entry(struct batch *b, struct row *row, const struct entry_values *e,
			  struct digest *out_receipt);

/* hold.c, credit.c, key.c, org.c, lease.c: one command each. */
void apply_hold(struct batch *b, struct wallet_cmd *cmd);
void apply_lookup(struct batch *b, struct wallet_cmd *cmd);
void apply_capture(struct batch *b, struct wallet_cmd *cmd);
void apply_release(struct batch *b, struct wallet_cmd *cmd);
void apply_grant(struct batch *b, struct wallet_cmd *cmd);
void apply_take(struct batch *b, struct wallet_cmd *cmd);
void apply_org_create(struct batch *b, struct wallet_cmd *cmd);
void apply_org_default(struct batch *b, struct wallet_cmd *cmd);
void apply_org_email(struct batch *b, struct wallet_cmd *cmd);
void apply_org_rename(struct batch *b, struct wallet_cmd *cmd);
void apply_key_create(struct batch *b, struct wallet_cmd *cmd);
void apply_key_revoke(struct batch *b, struct wallet_cmd *cmd);
void apply_preferences(struct batch *b, struct wallet_cmd *cmd);
void apply_sweep(struct batch *b, struct wallet_cmd *cmd);

/* clock.c: the time of the batch; a jump of the clock is judged, logged and noted. */
enum db_status clock_begin(struct batch *b);
void clock_queue_read(struct db *db, struct clock_belief *out);
/* What time it is for who reads the store. */
struct walltime clock_of_reader(struct db *db);
void apply_believe_clock(struct batch *b, struct wallet_cmd *cmd);

/* usage_sums.c: each entry passes by, and what it adds is written at the end. */
void usage_sums_count(struct batch *b, const struct ledger_entry *e);
void usage_sums_write(struct batch *b);
void usage_sums_finish(struct batch *b);

/* play.c. */
void apply_void_play(struct batch *b, struct wallet_cmd *cmd);
bool store_is_live(struct db *db);
/* Marks the store as live, in a transaction of its own, unless it is. */
MUST_USE enum db_status live_mark(struct db *db, int64_t wait_ms, struct walltime now);

/* verify_play.c: what is left of an org's play money, followed through its entries. */
struct play_check {
	bool has_live;
	int64_t live_seq, base_seq;
	struct microusd base, stored;
	void *payments; /* search tree of the ids of those that were no real ones */
};
MUST_USE enum db_status play_check_open(struct play_check *c, struct db *db, struct id org);
void play_check_entry(struct play_check *c, const struct ledger_entry *e, bool is_real,
		      struct wallet_view *view);
/* Of a hold that begins with this entry. */
bool play_check_is_real(const struct play_check *c, const struct ledger_entry *e);
void play_check_finish(struct play_check *c);

/* limits.c: the limits of a chain of keys; NULL when it has none (or the read failed: that
 * sticks). */
struct limit_row *batch_limit(struct batch *b, struct id key);
/* WALLET_OK, or which of the two is passed; fills cmd->key_limit. */
enum wallet_outcome limit_check(const struct limit_row *limit, struct wallet_cmd *cmd,
				struct microusd amount);
/* What may be captured beyond the open holds. */
struct microusd limit_room(const struct limit_row *limit);
/* Moves of a hold's amount, and of what was captured in its end. */
void limit_hold(struct limit_row *limit, struct microusd amount);
void limit_end(struct limit_row *limit, struct microusd held, struct microusd captured);
void limit_write_new(struct batch *b, struct id key, const struct key_limits *limits);
/* The limits of the key that made a hold which expired; NULL for none. */
struct limit_row *limit_of_key(struct batch *b, struct id key);
void limits_write(struct batch *b);

/* limits.c: true when a call may pass now, else *out_wait_ms; rate_take counts it. */
bool rate_has_room(struct batch *b, struct id subject, const char *tool, struct rate_limit limit,
		   int64_t *out_wait_ms);
void rate_take(struct batch *b, struct id subject, const char *tool, struct rate_limit limit);
void rates_write(struct batch *b);

/* guard.c: the same call again and again. Reads what the commands of the batch need. */
void guards_read(struct batch *b);
bool guard_is_open(struct batch *b, struct wallet_cmd *cmd);
void guard_made(struct batch *b, const struct wallet_cmd *cmd);
void guard_end(struct batch *b, const struct wallet_cmd *cmd);
void guards_write(struct batch *b);
void guards_finish(struct batch *b);
/* Deletes what no window reaches any more, a bounded piece; true when there is more. */
bool guard_purge(struct batch *b);
void guard_queue_work(struct wallet *w, struct db *db, db_row_fn *count, void *arg);

/* idempotency.c. */
enum wallet_outcome idempotency_find(struct batch *b, struct wallet_cmd *cmd);
void idempotency_begin(struct batch *b, struct wallet_cmd *cmd);
void idempotency_keep(struct batch *b, struct wallet_cmd *cmd, int64_t entry_seq);
void idempotency_drop(struct batch *b, struct id org, int64_t day, const char *key);
/* Deletes the keys of the days before yesterday, a bounded piece; true when there is more. */
bool idempotency_purge(struct batch *b);

/* lease.c: makes sure that the holds of this batch stand under a lease that is written. */
void lease_ensure(struct batch *b);
bool lease_is_good(struct batch *b, struct id lease);
bool key_is_good(struct batch *b, struct caller caller);
/* Of a key that the batch has read; NULL when it has not. */
const struct key_row *batch_key(const struct batch *b, struct id key);

/* reopen.c. A store is left: where it stood. */
void witness_take(struct witness *witness, struct db *db);
void witness_finish(struct witness *witness);
/* Whether the entries that it saw are in the store that was opened since; logs how many are not. */
bool witness_confirms(const struct witness *witness, struct db *db, const char *store);
/* The holds of this process were of a store that is gone. */
void wallet_forget_leases(struct wallet *w);
bool lease_is_lost(const struct wallet *w, struct id lease);

#endif
