/*
 * Leases: a process proves that it lives by a row that it renews while it has holds open. When the
 * lease has run out, on the boot clock, any process ends the holds under it. A lease is revoked
 * before its first hold is touched, so its owner, should it wake up, captures none of them.
 */

#include "wallet/internal.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define SWEEP_LEASES_MAX 64

static void write_lease(struct batch *b, bool is_new)
{
	static const char INSERT[] = "INSERT INTO lease (expires_boot_ms, id, boot, is_revoked) "
				     "VALUES ($1, $2, $3, 0)";
	static const char UPDATE[] =
		"UPDATE lease SET expires_boot_ms = $1 WHERE id = $2 AND is_revoked = 0";
	struct db_stmt *s = db_stmt(b->db, is_new ? INSERT : UPDATE);

	db_bind_i64(s, boottime_after(b->boot, LEASE_MS).ms);
	db_bind_id(s, b->w->lease);
	if (is_new)
		db_bind_blob(s, b->w->clocks.boot_id, sizeof(b->w->clocks.boot_id));
	db_queue_write(s, is_new ? 1 : -1);
	b->w->lease_written = b->boot;
}

void lease_ensure(struct batch *b)
{
	struct wallet *w = b->w;

	if (b->lease_is_fresh)
		return;
	b->lease_is_fresh = true;
	if (id_is_none(w->lease) || !lease_is_good(b, w->lease)) {
		w->lease = id_make(&w->ids, b->now);
		write_lease(b, true);
		/* Captures that come in this same batch find it. */
		b->leases = xrealloc_array(b->leases, b->leases_count + 1, sizeof(*b->leases));
		b->leases_size = b->leases_count + 1;
		b->leases[b->leases_count++] = (struct lease_row){.id = w->lease, .is_good = true};
	} else if (b->boot.ms - w->lease_written.ms >= LEASE_RENEW_MS) {
		write_lease(b, false);
	}
}

struct lease_list {
	struct id ids[SWEEP_LEASES_MAX];
	size_t count;
};

static void read_lease_id(void *arg, const struct db_row *row)
{
	struct lease_list *list = arg;

	CHECK(list->count < SWEEP_LEASES_MAX);
	list->ids[list->count++] = db_row_id(row, "id");
}

struct dead_hold {
	struct id id, org, key;
	struct microusd amount;
	int64_t price_version;
	char *tool;
	char *idempotency_key;
	int64_t idempotency_day;
};

struct dead_list {
	struct dead_hold *items;
	size_t count;
};

static void read_dead(void *arg, const struct db_row *row)
{
	struct dead_list *list = arg;
	struct dead_hold *h;
	const char *key = db_row_text(row, "idempotency_key");

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	h = &list->items[list->count++];
	*h = (struct dead_hold){
		.id = db_row_id(row, "id"),
		.org = db_row_id(row, "org"),
		.key = db_row_id(row, "api_key"),
		.amount = db_row_microusd(row, "amount_microusd"),
		.price_version = db_row_i64(row, "price_version"),
		.tool = xstrdup(db_row_text(row, "tool")),
		.idempotency_key = key ? xstrdup(key) : NULL,
	};
	if (key)
		h->idempotency_day = db_row_i64(row, "idempotency_day");
}

static void expire_hold(struct batch *b, const struct dead_hold *h)
{
	static const char SQL[] = "DELETE FROM hold WHERE id = $1";
	struct entry_values e = {
		.kind = ENTRY_EXPIRE,
		.from = ACCOUNT_HELD,
		.to = ACCOUNT_AVAILABLE,
		.amount = h->amount,
		.ref = h->id,
		.key = h->key,
		.tool = h->tool,
		.is_closing = true,
		.price_version = h->price_version,
	};
	struct row *row = batch_row(b, h->org);
	struct limit_row *limit;
	struct db_stmt *s;

	if (!row->exists) /* only when the read failed: that sticks */
		return;
	CHECK(batch_entry(b, row, &e, NULL));
	limit = limit_of_key(b, h->key);
	if (limit)
		limit_end(limit, h->amount, MICROUSD_ZERO);
	s = db_stmt(b->db, SQL);
	db_bind_id(s, h->id);
	db_queue_write(s, 1);
	if (h->idempotency_key)
		idempotency_drop(b, h->org, h->idempotency_day, h->idempotency_key);
}

/* Ends at most `most` holds of a lease; deletes the lease when none is left. */
static size_t sweep_lease(struct batch *b, struct id lease, size_t most)
{
	static const char REVOKE[] = "UPDATE lease SET is_revoked = 1 WHERE id = $1";
	static const char HOLDS[] =
		"SELECT id, org, api_key, tool, amount_microusd, price_version, idempotency_day, "
		"idempotency_key FROM hold WHERE lease = $1 ORDER BY id LIMIT $2";
	static const char DELETE[] = "DELETE FROM lease WHERE id = $1";
	struct dead_list list = {.count = 0};
	struct db_stmt *s;

	s = db_stmt(b->db, REVOKE);
	db_bind_id(s, lease);
	db_queue_write(s, -1);
	s = db_stmt(b->db, HOLDS);
	db_bind_id(s, lease);
	db_bind_i64(s, (int64_t)most);
	db_queue(s, read_dead, &list);
	db_wait(b->db);
	for (size_t i = 0; i < list.count; i++) {
		expire_hold(b, &list.items[i]);
		free(list.items[i].tool);
		free(list.items[i].idempotency_key);
	}
	free(list.items);
	if (list.count < most) {
		s = db_stmt(b->db, DELETE);
		db_bind_id(s, lease);
		db_queue_write(s, -1);
	}
	return list.count;
}

void apply_sweep(struct batch *b, struct wallet_cmd *cmd)
{
	/* Our own is not swept unless somebody revoked it: we only overslept. A hold without a
	 * lease should not be; it would be stranded for ever, so it is swept as well. */
	static const char SQL[] =
		"SELECT id FROM lease WHERE is_revoked <> 0 OR "
		"((boot <> $1 OR expires_boot_ms < $2) AND id <> $3) "
		"UNION SELECT lease AS id FROM hold WHERE NOT EXISTS "
		"(SELECT 1 FROM lease WHERE lease.id = hold.lease) ORDER BY id LIMIT 64";
	struct wallet *w = b->w;
	struct lease_list list = {.count = 0};
	size_t left = SWEEP_HOLDS_PER_BATCH;
	struct db_stmt *s = db_stmt(b->db, SQL);

	cmd->outcome = WALLET_OK;
	db_bind_blob(s, w->clocks.boot_id, sizeof(w->clocks.boot_id));
	db_bind_i64(s, b->boot.ms);
	db_bind_blob(s, w->lease.b, sizeof(w->lease.b));
	db_queue(s, read_lease_id, &list);
	if (db_flush(b->db) != DB_OK)
		return;
	for (size_t i = 0; i < list.count && left; i++)
		left -= sweep_lease(b, list.ids[i], left);
	b->wants_more_sweep = !left || list.count == SWEEP_LEASES_MAX;
	if (w->holds_open > 0 && !id_is_none(w->lease))
		write_lease(b, false);
	if (idempotency_purge(b))
		b->wants_more_sweep = true;
	if (guard_purge(b))
		b->wants_more_sweep = true;
}

static void read_count(void *arg, const struct db_row *row)
{
	*(int64_t *)arg += db_row_i64(row, "n");
}

static void lease_count_work(struct wallet *w, struct db *db, int64_t *out)
{
	static const char LEASES[] = "SELECT count(*) AS n FROM lease WHERE is_revoked <> 0 OR "
				     "((boot <> $1 OR expires_boot_ms < $2) AND id <> $3)";
	static const char ORPHANS[] = "SELECT count(*) AS n FROM hold WHERE NOT EXISTS "
				      "(SELECT 1 FROM lease WHERE lease.id = hold.lease)";
	static const char PURGE[] =
		"SELECT count(*) AS n FROM (SELECT 1 FROM idempotency WHERE day < $1 "
		"AND entry_seq IS NOT NULL LIMIT 1) AS old";
	struct db_stmt *s = db_stmt(db, LEASES);

	db_bind_blob(s, w->clocks.boot_id, sizeof(w->clocks.boot_id));
	db_bind_i64(s, w->clocks.boot(w->clocks.arg).ms);
	db_bind_blob(s, w->lease.b, sizeof(w->lease.b));
	db_queue(s, read_count, out);
	db_queue(db_stmt(db, ORPHANS), read_count, out);
	s = db_stmt(db, PURGE);
	db_bind_i64(s, walltime_day(wallet_now(w)) - 1);
	db_queue(s, read_count, out);
	guard_queue_work(w, db, read_count, out);
}

static bool tick_step(struct wallet_query *query, struct db *db)
{
	struct wallet *w = container_of(query, struct wallet, tick);

	w->tick_work = 0;
	clock_queue_read(db, &w->tick_clock);
	lease_count_work(w, db, &w->tick_work);
	return true;
}

static void tick_done(struct wallet_query *query)
{
	struct wallet *w = container_of(query, struct wallet, tick);
	bool is_due = w->holds_open > 0 && w->clocks.boot(w->clocks.arg).ms - w->lease_written.ms >=
						   LEASE_RENEW_MS - STORE_WAIT_MS;

	/* Another process may have heard the operator's word. */
	if (!query->is_failed)
		w->clock = w->tick_clock;

	if (w->sweeps || query->is_failed || (!is_due && !w->tick_work))
		return;
	w->sweeps = true;
	wallet_submit(w, wallet_cmd_create(WALLET_OP_SWEEP, (struct caller){0}));
}

void wallet_tick(struct wallet *w)
{
	if (!w->db || w->tick.is_queued)
		return;
	w->tick.step = tick_step;
	w->tick.done = tick_done;
	w->tick.deadline = boottime_after(clock_boot(), LEASE_MS);
	wallet_query(w, &w->tick);
}
