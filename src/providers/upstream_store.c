#include "providers/upstream_store.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

static void on_row(void *arg, const struct db_row *row)
{
	struct upstream_list_read *read = arg;
	struct slice identity = db_row_blob(row, "identity");

	if (identity.len != sizeof(read->identity.b) ||
	    memcmp(identity.p, read->identity.b, identity.len) != 0)
		return;
	free(read->text);
	read->text = xstrdup(db_row_text(row, "tools"));
}

static bool step(struct wallet_query *query, struct db *db)
{
	static const char sql[] = "SELECT identity, tools FROM upstream_list WHERE name = $1";
	struct upstream_list_read *read = container_of(query, struct upstream_list_read, query);
	struct db_stmt *s = db_stmt(db, sql);

	db_bind_text(s, read->name);
	db_queue(s, on_row, read);
	if (db_flush(db) != DB_OK)
		query->is_failed = true;
	return true;
}

static void done(struct wallet_query *query)
{
	struct upstream_list_read *read = container_of(query, struct upstream_list_read, query);

	read->done(read);
}

void upstream_list_read_start(struct upstream_list_read *read, struct wallet *wallet)
{
	read->wallet = wallet;
	read->query = (struct wallet_query){
		.step = step,
		.done = done,
		.deadline = boottime_after(clock_boot(), UPSTREAM_LIST_WAIT_MS),
	};
	wallet_query(wallet, &read->query);
}

void upstream_list_read_cancel(struct upstream_list_read *read)
{
	if (read->query.is_queued)
		wallet_query_cancel(read->wallet, &read->query);
	free(read->text);
	read->text = NULL;
}

struct list_write {
	struct rider rider;
	char *name;
	struct digest identity;
	char *text;
	struct walltime at;
};

static void apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char sql[] =
		"INSERT INTO upstream_list (name, identity, tools, at_ms) "
		"VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE SET "
		"identity = excluded.identity, tools = excluded.tools, at_ms = excluded.at_ms";
	struct list_write *w = container_of(rider, struct list_write, rider);
	struct db_stmt *s = db_stmt(db, sql);

	(void)cmd;
	db_bind_text(s, w->name);
	db_bind_blob(s, w->identity.b, sizeof(w->identity.b));
	db_bind_text(s, w->text);
	db_bind_walltime(s, w->at);
	db_queue_write(s, 1);
}

static void destroy(struct rider *rider)
{
	struct list_write *w = container_of(rider, struct list_write, rider);

	free(w->name);
	free(w->text);
	free(w);
}

struct rider *upstream_list_rider(const char *name, struct digest identity, struct slice text,
				  struct walltime at)
{
	struct list_write *w = xzalloc(sizeof(*w));

	w->rider.apply = apply;
	w->rider.destroy = destroy;
	w->name = xstrdup(name);
	w->identity = identity;
	w->text = xstrndup(text.p, text.len);
	w->at = at;
	return &w->rider;
}
