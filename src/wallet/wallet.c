/*
 * The wallet's life and its turns: commands are queued, applied as one batch, their callbacks run
 * after the commit. The store is opened with the first of them.
 */

#include "wallet/internal.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/watchdog.h"
#include "wallet/account.h"

#include <stdlib.h>
#include <string.h>

void cmd_list_init(struct cmd_list *list)
{
	list->first = NULL;
	list->last = &list->first;
	list->count = 0;
}

void cmd_list_push(struct cmd_list *list, struct wallet_cmd *cmd)
{
	cmd->next = NULL;
	*list->last = cmd;
	list->last = &cmd->next;
	list->count++;
}

struct wallet_cmd *cmd_list_pop(struct cmd_list *list)
{
	struct wallet_cmd *cmd = list->first;

	if (!cmd)
		return NULL;
	list->first = cmd->next;
	if (!list->first)
		list->last = &list->first;
	list->count--;
	cmd->next = NULL;
	return cmd;
}

struct wallet *wallet_create(const struct wallet_config *config)
{
	struct wallet *w = xzalloc(sizeof(*w));

	w->config = *config;
	w->store = xstrdup(config->store);
	w->default_org = xstrdup(config->default_org);
	w->default_email = config->default_email ? xstrdup(config->default_email) : NULL;
	w->wait_ms = STORE_WAIT_MS;
	cmd_list_init(&w->queue);
	cmd_list_init(&w->batch);
	id_source_init(&w->ids);
	if (config->clocks)
		w->clocks = *config->clocks;
	else
		clocks_init(&w->clocks);
	return w;
}

static void lap(struct wallet *w, const char *what, const char *detail)
{
	watchdog_lap(w->config.watchdog, what, detail);
}

static void finish_cmd(struct wallet *w, struct wallet_cmd *cmd)
{
	if (cmd->done)
		cmd->done(cmd);
	lap(w, "the end of a command", NULL);
	wallet_cmd_destroy(cmd);
}

static void drop_lease(struct wallet *w)
{
	static const char SQL[] = "DELETE FROM lease WHERE id = $1 AND is_revoked = 0 "
				  "AND NOT EXISTS (SELECT 1 FROM hold WHERE hold.lease = lease.id)";
	struct db_stmt *s;

	/* Nobody is waited for on the way out: else the lease runs out by itself. */
	if (!w->db || id_is_none(w->lease) || db_begin(w->db, 0) != DB_OK)
		return;
	s = db_stmt(w->db, SQL);
	db_bind_id(s, w->lease);
	db_queue_write(s, -1);
	if (db_commit(w->db) != DB_OK)
		log_debug("event=lease_left reason=%s", log_quote(db_error(w->db)));
}

struct wallet_cmd *wallet_cmd_create(enum wallet_op op, struct caller caller)
{
	struct wallet_cmd *cmd = pool_zalloc(sizeof(*cmd));

	cmd->op = op;
	cmd->caller = caller;
	return cmd;
}

void wallet_cmd_add_rider(struct wallet_cmd *cmd, TAKES struct rider *rider)
{
	struct rider **at = &cmd->riders;

	while (*at)
		at = &(*at)->next;
	*at = rider;
}

void wallet_cmd_destroy(struct wallet_cmd *cmd)
{
	if (!cmd)
		return;
	while (cmd->riders) {
		struct rider *rider = cmd->riders;

		cmd->riders = rider->next;
		rider->next = NULL;
		if (rider->destroy)
			rider->destroy(rider);
	}
	free(cmd->idempotency_key);
	free(cmd->result);
	free(cmd->fact);
	free(cmd->note);
	free(cmd->name);
	free(cmd->email);
	free(cmd->label);
	free(cmd->prefix);
	free(cmd->stored);
	pool_free(cmd);
}

void wallet_submit(struct wallet *w, TAKES struct wallet_cmd *cmd)
{
	if (!cmd->deadline.ms)
		cmd->deadline = boottime_after(clock_boot(), CALL_DEADLINE_MS);
	cmd_list_push(&w->queue, cmd);
}

struct id wallet_new_id(struct wallet *w)
{
	return id_make(&w->ids, wallet_now(w));
}

struct db *wallet_db(struct wallet *w)
{
	return w->db;
}

bool wallet_is_open(const struct wallet *w)
{
	return w->db != NULL;
}

int64_t wallet_openings(const struct wallet *w)
{
	return w->openings;
}

const char *wallet_default_trouble(const struct wallet *w)
{
	return w->default_trouble.text;
}

const char *wallet_trouble(const struct wallet *w)
{
	return w->trouble.text;
}

bool wallet_is_broken(const struct wallet *w)
{
	return w->is_broken;
}

void wallet_hurry(struct wallet *w, bool is_killed)
{
	w->wait_ms = HURRY_WAIT_MS;
	w->is_killed = w->is_killed || is_killed;
	if (w->is_killed && w->db)
		db_hurry(w->db);
}

bool wallet_is_idle(const struct wallet *w)
{
	return !w->queue.first && !w->batch.first && !w->queries.first;
}

/*
 * After a commit of unknown outcome a hold may stand of which its caller was told nothing: it is
 * released, if it is there.
 */
static void forget_unsure_hold(struct wallet *w, const struct wallet_cmd *cmd)
{
	struct wallet_cmd *release;

	if (!w->is_unsure || cmd->op != WALLET_OP_HOLD)
		return;
	release = wallet_cmd_create(WALLET_OP_RELEASE, cmd->caller);
	release->id = cmd->id;
	release->tool = cmd->tool;
	release->lease = cmd->lease;
	release->held = cmd->amount;
	release->subject = cmd->subject;
	release->is_limited = cmd->is_limited;
	release->may_be_absent = true;
	if (cmd->idempotency_key) {
		release->idempotency_key = xstrdup(cmd->idempotency_key);
		release->idempotency_day = cmd->idempotency_day;
	}
	release->deadline = boottime_after(clock_boot(), LEASE_MS);
	wallet_submit(w, release);
}

/* Ends the commands of a list whose time is over (all of them when the store is broken). */
static void expire(struct wallet *w, struct cmd_list *list, bool all)
{
	struct boottime now = clock_boot();
	struct cmd_list kept, over;
	struct wallet_cmd *cmd;

	cmd_list_init(&kept);
	cmd_list_init(&over);
	while ((cmd = cmd_list_pop(list)))
		cmd_list_push(all || cmd->deadline.ms <= now.ms ? &over : &kept, cmd);
	cmd_list_init(list);
	while ((cmd = cmd_list_pop(&kept)))
		cmd_list_push(list, cmd);
	while ((cmd = cmd_list_pop(&over))) {
		if (cmd->op == WALLET_OP_SWEEP)
			w->sweeps = false; /* the next tick asks for another */
		forget_unsure_hold(w, cmd);
		cmd->outcome = WALLET_UNAVAILABLE;
		finish_cmd(w, cmd);
	}
}

static void take_batch(struct wallet *w)
{
	if (w->batch.first)
		return;
	while (w->queue.first && w->batch.count < BATCH_COMMANDS_MAX)
		cmd_list_push(&w->batch, cmd_list_pop(&w->queue));
}

/* The commit happened: tell everyone. */
static void finish_batch(struct wallet *w)
{
	struct cmd_list done = w->batch;
	struct wallet_cmd *cmd;

	/* The list's end points into the struct that was copied. */
	if (!done.first)
		done.last = &done.first;
	cmd_list_init(&w->batch);
	w->is_unsure = false;
	w->is_broken = false;
	w->trouble.text[0] = '\0';
	while ((cmd = cmd_list_pop(&done))) {
		if (cmd->op == WALLET_OP_SWEEP)
			w->sweeps = false;
		finish_cmd(w, cmd);
	}
}

static void remember_unsure(struct wallet *w, struct batch *b)
{
	struct row *row;

	if (id_is_none(b->last_org))
		return;
	row = batch_row(b, b->last_org);
	w->is_unsure = true;
	w->unsure_org = row->view.org;
	w->unsure_seq = row->view.seq;
	w->unsure_head = row->head;
	w->unsure_holds_delta = b->holds_delta;
}

static void read_hash(void *arg, const struct db_row *row)
{
	struct slice hash = db_row_blob(row, "hash");
	struct digest *out = arg;

	CHECK(hash.len == sizeof(out->b));
	memcpy(out->b, hash.p, sizeof(out->b));
}

/* Whether the batch of unknown outcome is in the ledger after all. */
static enum db_status look_up_unsure(struct wallet *w, bool *out_is_there)
{
	static const char SQL[] = "SELECT hash FROM entry WHERE org = $1 AND seq = $2";
	struct db_stmt *s = db_stmt(w->db, SQL);
	struct digest hash = {0};
	enum db_status status;

	db_bind_id(s, w->unsure_org);
	db_bind_i64(s, w->unsure_seq);
	db_queue(s, read_hash, &hash);
	status = db_flush(w->db);
	if (status == DB_OK)
		*out_is_there = digest_eq(&hash, &w->unsure_head);
	return status;
}

static enum db_status try_batch(struct wallet *w)
{
	struct batch b = {.w = w, .db = w->db};
	enum db_status status;
	bool is_there = false;

	status = db_begin(w->db, w->wait_ms);
	if (status == DB_OK && w->is_unsure)
		status = look_up_unsure(w, &is_there);
	if (status == DB_OK && is_there) {
		db_rollback(w->db);
		w->holds_open += w->unsure_holds_delta;
		return DB_OK;
	}
	if (status == DB_OK) {
		w->is_unsure = false;
		status = batch_run(w, &b);
	}
	if (status == DB_OK)
		status = db_commit(w->db);
	else
		db_rollback(w->db);
	if (status == DB_UNKNOWN)
		remember_unsure(w, &b);
	if (status == DB_OK) {
		w->holds_open += b.holds_delta;
		w->clock = b.clock;
	}
	if (status == DB_OK && b.wants_more_sweep)
		wallet_submit(w, wallet_cmd_create(WALLET_OP_SWEEP, (struct caller){0}));
	batch_finish(&b);
	lap(w, "a batch", NULL);
	return status;
}

static void tell_default(struct wallet *w, const struct wallet_cmd *cmd)
{
	if (cmd->outcome == WALLET_DUPLICATE)
		err_set(&w->default_trouble,
			"org.name is '%s', but the default org of this store is '%s', and '%s' is "
			"another one: set org.name to '%s', or give the other another name with "
			"'farebox orgs rename'",
			cmd->name, cmd->label, cmd->name, cmd->label);
	else if (cmd->label)
		log_info("event=org_renamed from=%s to=%s reason=%s", log_quote(cmd->label),
			 log_quote(cmd->name), "org.name");
}

/* The org of a local store: marked, named, or made, in a batch of its own. A sibling may be faster,
 * and then there is nothing left to do. */
static enum db_status settle_default_org(struct wallet *w)
{
	struct wallet_cmd *cmd;
	struct cmd_list kept = w->batch; /* of a store that was only opened again */
	enum db_status status;

	if (w->is_unsure)
		return DB_OK;
	cmd_list_init(&w->batch);
	cmd = wallet_cmd_create(WALLET_OP_ORG_DEFAULT, (struct caller){0});
	cmd->id = wallet_new_id(w);
	cmd->name = xstrdup(w->default_org);
	cmd->email = w->default_email ? xstrdup(w->default_email) : NULL;
	cmd->amount = w->config.starter;
	cmd_list_push(&w->batch, cmd);
	status = try_batch(w);
	w->is_unsure = false; /* the next opening looks */
	if (status == DB_OK)
		tell_default(w, cmd);
	wallet_cmd_destroy(cmd_list_pop(&w->batch));
	w->batch = kept;
	return status;
}

/* All that was asked of a store that is not there any more ends; what its callbacks ask for is
 * asked of the next. */
static void forget_store(struct wallet *w)
{
	wallet_forget_leases(w);
	expire(w, &w->queue, true);
	expire(w, &w->batch, true);
	queries_fail(w, true);
}

/* What is open is not what lies at its place. */
static void leave_store(struct wallet *w, enum db_status status)
{
	w->trouble = (struct err)ERR_INIT;
	err_set(&w->trouble, "%s: %s", w->store, db_error(w->db));
	w->is_broken = false;
	if (status != DB_REOPEN)
		witness_take(&w->witness, w->db);
	w->is_doubtful = status == DB_DOUBT;
	w->openings++; /* who was found in this one is looked up anew */
	db_close(w->db);
	w->db = NULL;
	if (status == DB_REOPEN)
		return;
	log_fault("event=store_left reason=%s", log_quote(w->trouble.text));
	if (status == DB_MOVED)
		forget_store(w);
}

/* After a store was left: says what is missing in this one. */
static void compare_stores(struct wallet *w)
{
	bool is_confirmed = !w->witness.is_taken || witness_confirms(&w->witness, w->db, w->store);

	if (w->is_doubtful && !(w->witness.is_taken && is_confirmed))
		forget_store(w);
	w->is_doubtful = false;
	witness_finish(&w->witness);
}

/* Opens the store and makes sure that the default org is there; without it the store is not open.
 */
static enum db_status open_store(struct wallet *w, int64_t wait_ms)
{
	struct err err = ERR_INIT;
	struct org_view org = {0};
	enum db_status status;
	bool is_there = false;

	w->default_trouble = (struct err)ERR_INIT;
	status = db_open_for(w->had_store ? DB_KEEP : DB_MAKE, w->store, wait_ms, &w->db, &err);
	if (status == DB_OK) {
		db_set_clocks(w->db, &w->clocks);
		if (w->is_killed)
			db_hurry(w->db);
		status = clock_belief_read(w->db, &w->clock);
	}
	if (status == DB_OK)
		compare_stores(w);
	/* Before anything is decided or shown. */
	if (status == DB_OK && w->config.is_live)
		status = live_mark(w->db, wait_ms, wallet_now(w));
	if (status == DB_OK)
		status = org_find_default(w->db, &is_there, &org);
	if (is_there && w->config.is_default_named && strcmp(org.name, w->default_org) != 0)
		is_there = false;
	org_view_finish(&org);
	if (status == DB_OK && !is_there)
		status = settle_default_org(w);
	if (status != DB_OK && w->db) {
		err_set(&err, "%s: %s", w->store, db_error(w->db));
		db_close(w->db);
		w->db = NULL;
	}
	if (status == DB_OK) {
		w->had_store = true;
		w->openings++;
	}
	w->is_broken = status == DB_BROKEN;
	w->trouble = err;
	return status;
}

static void store_failed(struct wallet *w, enum db_status status, int64_t *out_retry_ms)
{
	/* A broken store answers at once; a busy one gets its time. */
	bool is_broken = status == DB_FAILED || status == DB_FULL || status == DB_BROKEN;

	w->is_broken = status == DB_BROKEN;
	if (w->db && status != DB_BUSY && status != DB_CONFLICT) {
		w->trouble = (struct err)ERR_INIT;
		err_set(&w->trouble, "%s: %s", w->store, db_error(w->db));
	}
	/* The queue first: what the batch's callbacks put into it to clean up must stay. */
	expire(w, &w->queue, is_broken);
	expire(w, &w->batch, is_broken);
	if (w->batch.first || w->queue.first || w->queries.first)
		*out_retry_ms = STORE_RETRY_MS;
}

void wallet_destroy(struct wallet *w)
{
	struct wallet_cmd *cmd;

	if (!w)
		return;
	while ((cmd = cmd_list_pop(&w->batch)) || (cmd = cmd_list_pop(&w->queue))) {
		cmd->outcome = WALLET_UNAVAILABLE;
		finish_cmd(w, cmd);
	}
	queries_fail_all(w);
	drop_lease(w);
	db_close(w->db);
	witness_finish(&w->witness);
	free(w->lost_leases);
	free(w->store);
	free(w->default_org);
	free(w->default_email);
	free(w);
}

/* Nothing is to be written: what is read must be the store that lies at its place. */
static enum db_status check_store(struct wallet *w)
{
	enum db_status status = db_check(w->db);

	if (status == DB_OK)
		return status;
	status = db_begin(w->db, w->wait_ms);
	if (status == DB_OK)
		db_rollback(w->db);
	return status;
}

bool wallet_turn(struct wallet *w, int64_t *out_retry_ms)
{
	enum db_status status = DB_OK;

	*out_retry_ms = -1;
	if (wallet_is_idle(w))
		return false;
	if (!w->db)
		status = open_store(w, w->wait_ms);
	lap(w, "the opening of the store", NULL);
	if (status == DB_OK) {
		/* What became of a batch of unknown outcome is settled before another begins, also
		 * when nobody waits for it any more. */
		if (!w->is_unsure)
			take_batch(w);
		if (w->batch.first || w->is_unsure)
			status = try_batch(w);
		else
			status = check_store(w);
	}
	if (status == DB_MOVED || status == DB_REOPEN || status == DB_DOUBT) {
		leave_store(w, status);
		return !wallet_is_idle(w);
	}
	if (status != DB_OK) {
		store_failed(w, status, out_retry_ms);
		if (!w->db || status == DB_BROKEN) {
			queries_fail(w, status != DB_BUSY);
			return false;
		}
	} else {
		finish_batch(w);
	}
	return queries_run(w) || (status == DB_OK && w->queue.first);
}

bool wallet_open_now(struct wallet *w, int64_t wait_ms, struct err *err)
{
	int64_t retry_ms = -1;

	if (!w->db && open_store(w, wait_ms) != DB_OK)
		return err_set(err, "%s", w->trouble.text);
	while (wallet_turn(w, &retry_ms))
		;
	if (retry_ms >= 0)
		return err_set(err, "%s: the store is busy", w->store);
	return true;
}

void wallet_sweep_now(struct wallet *w)
{
	int64_t retry_ms;

	wallet_tick(w);
	while (wallet_turn(w, &retry_ms))
		;
}
