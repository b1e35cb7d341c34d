#include "signals/signals_store.h"

#include <stdlib.h>
#include <string.h>

static void snapshot_row(void *arg, const struct db_row *row)
{
	struct snapshot_read *read = arg;

	free_charp(&read->fingerprint);
	free_charp(&read->snapshot);
	read->fingerprint = xstrdup(db_row_text(row, "fingerprint"));
	read->snapshot = xstrdup(db_row_text(row, "snapshot"));
	read->at = db_row_walltime(row, "at_ms");
}

static bool snapshot_step(struct wallet_query *query, struct db *db)
{
	static const char sql[] = "SELECT fingerprint, snapshot, at_ms FROM signal_snapshot "
				  "WHERE org = $1 AND detector = $2 AND company = $3";
	struct snapshot_read *read = container_of(query, struct snapshot_read, query);
	struct db_stmt *s = db_stmt(db, sql);

	db_bind_id(s, read->org);
	db_bind_text(s, read->detector);
	db_bind_text(s, read->company);
	db_queue(s, snapshot_row, read);
	if (db_flush(db) != DB_OK)
		query->is_failed = true;
	return true;
}

static void snapshot_done(struct wallet_query *query)
{
	struct snapshot_read *read = container_of(query, struct snapshot_read, query);

	read->is_failed = query->is_failed;
	read->done(read);
}

void snapshot_read_start(struct snapshot_read *read, struct wallet *wallet)
{
	read->wallet = wallet;
	read->query = (struct wallet_query){
		.step = snapshot_step,
		.done = snapshot_done,
		.deadline = read->deadline,
	};
	wallet_query(wallet, &read->query);
}

void snapshot_read_finish(struct snapshot_read *read)
{
	if (read->query.is_queued)
		wallet_query_cancel(read->wallet, &read->query);
	free_charp(&read->fingerprint);
	free_charp(&read->snapshot);
	read->fingerprint = NULL;
	read->snapshot = NULL;
}

struct snapshot_write {
	struct rider rider;
	struct id org;
	char *detector;
	char *company;
	char *fingerprint;
	char *snapshot;
	struct walltime at;
};

static void snapshot_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char sql[] =
		"INSERT INTO signal_snapshot "
		"(org, detector, company, fingerprint, snapshot, at_ms) "
		"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org, detector, company) DO UPDATE "
		"SET "
		"fingerprint = excluded.fingerprint, snapshot = excluded.snapshot, "
		"at_ms = excluded.at_ms";
	struct snapshot_write *w = container_of(rider, struct snapshot_write, rider);
	struct db_stmt *s = db_stmt(db, sql);

	(void)cmd;
	db_bind_id(s, w->org);
	db_bind_text(s, w->detector);
	db_bind_text(s, w->company);
	db_bind_text(s, w->fingerprint);
	db_bind_text(s, w->snapshot);
	db_bind_walltime(s, w->at);
	db_queue_write(s, 1);
}

static void snapshot_destroy(struct rider *rider)
{
	struct snapshot_write *w = container_of(rider, struct snapshot_write, rider);

	free(w->detector);
	free(w->company);
	free(w->fingerprint);
	free(w->snapshot);
	free(w);
}

struct rider *snapshot_rider(struct id org, const char *detector, const char *company,
			     const char *fingerprint, struct slice snapshot, struct walltime at)
{
	struct snapshot_write *w = xzalloc(sizeof(*w));

	w->rider.apply = snapshot_apply;
	w->rider.destroy = snapshot_destroy;
	w->org = org;
	w->detector = xstrdup(detector);
	w->company = xstrdup(company);
	w->fingerprint = xstrdup(fingerprint);
	w->snapshot = xstrndup(snapshot.p, snapshot.len);
	w->at = at;
	return &w->rider;
}

static void order_row(void *arg, const struct db_row *row)
{
	struct order_read *read = arg;

	free_charp(&read->names);
	read->names = xstrdup(db_row_text(row, "names"));
}

static bool order_step(struct wallet_query *query, struct db *db)
{
	static const char sql[] = "SELECT names FROM signal_order WHERE org = $1";
	struct order_read *read = container_of(query, struct order_read, query);
	struct db_stmt *s = db_stmt(db, sql);

	db_bind_id(s, read->org);
	db_queue(s, order_row, read);
	if (db_flush(db) != DB_OK)
		query->is_failed = true;
	return true;
}

static void order_done(struct wallet_query *query)
{
	struct order_read *read = container_of(query, struct order_read, query);

	read->is_failed = query->is_failed;
	read->done(read);
}

void order_read_start(struct order_read *read, struct wallet *wallet)
{
	read->wallet = wallet;
	read->query = (struct wallet_query){
		.step = order_step,
		.done = order_done,
		.deadline = read->deadline,
	};
	wallet_query(wallet, &read->query);
}

void order_read_finish(struct order_read *read)
{
	if (read->query.is_queued)
		wallet_query_cancel(read->wallet, &read->query);
	free_charp(&read->names);
	read->names = NULL;
}

struct order_write {
	struct rider rider;
	struct id org;
	char *names;
};

static void order_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char sql[] = "INSERT INTO signal_order (org, names) VALUES ($1, $2) "
				  "ON CONFLICT (org) DO UPDATE SET names = excluded.names";
	struct order_write *w = container_of(rider, struct order_write, rider);
	struct db_stmt *s = db_stmt(db, sql);

	(void)cmd;
	db_bind_id(s, w->org);
	db_bind_text(s, w->names);
	db_queue_write(s, 1);
}

static void order_destroy(struct rider *rider)
{
	struct order_write *w = container_of(rider, struct order_write, rider);

	free(w->names);
	free(w);
}

struct rider *order_rider(struct id org, const char *names)
{
	struct order_write *w = xzalloc(sizeof(*w));

	w->rider.apply = order_apply;
	w->rider.destroy = order_destroy;
	w->org = org;
	w->names = xstrdup(names);
	return &w->rider;
}
