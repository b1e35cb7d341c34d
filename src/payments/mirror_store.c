/*
 * The mirror's start, its turns, and the view for people.
 */

#include "payments/mirror_store.h"

#include "base/limits.h"

#include <stdlib.h>

static void note_row(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
}

static void queue_is_started(struct db *db, const char *gateway, bool *out)
{
	static const char SQL[] = "SELECT started_ms FROM mirror WHERE gateway = $1";
	struct db_stmt *s = db_stmt(db, SQL);

	*out = false;
	db_bind_text(s, gateway);
	db_queue(s, note_row, out);
}

static void read_start(void *arg, const struct db_row *row)
{
	struct mirror_start_list *list = arg;

	if (list->count == list->size) {
		list->size = list->size ? 2 * list->size : 16;
		list->items = xrealloc_array(list->items, list->size, sizeof(*list->items));
	}
	list->items[list->count++] = (struct mirror_start){
		.org = db_row_id(row, "org"),
		.seq = db_row_i64(row, "seq"),
		.balance = microusd_plus(db_row_microusd(row, "available_microusd"),
					 db_row_microusd(row, "held_microusd")),
	};
	list->items[list->count - 1].balance = microusd_minus(
		list->items[list->count - 1].balance, db_row_microusd(row, "since_microusd"));
}

enum db_status mirror_start_read(struct db *db, const char *gateway, struct walltime since,
				 bool *out_is_started, struct mirror_start_list *out)
{
	/* Entries are read from the newest back, and of those since then there are few. One
	 * statement: a wallet and its entries are of one instant. */
	static const char SQL[] =
		"SELECT o.org, o.seq, o.available_microusd, o.held_microusd, "
		"(SELECT CAST(COALESCE(SUM(CASE WHEN e.to_account IN (1, 2) THEN e.amount_microusd "
		"ELSE 0 END - CASE WHEN e.from_account IN (1, 2) THEN e.amount_microusd ELSE 0 "
		"END), 0) AS BIGINT) FROM entry e WHERE e.org = o.org AND e.seq > o.seq) "
		"AS since_microusd FROM (SELECT w.org, w.available_microusd, w.held_microusd, "
		"COALESCE((SELECT b.seq FROM entry b WHERE b.org = w.org AND b.at_ms < $1 "
		"ORDER BY b.seq DESC LIMIT 1), 0) AS seq FROM wallet w) o";
	struct db_stmt *s;
	enum db_status status;

	queue_is_started(db, gateway, out_is_started);
	status = db_flush(db);
	if (status != DB_OK || *out_is_started)
		return status;
	s = db_stmt(db, SQL);
	db_bind_walltime(s, since);
	db_queue(s, read_start, out);
	return db_flush(db);
}

void mirror_start_list_finish(struct mirror_start_list *list)
{
	free(list->items);
	*list = (struct mirror_start_list){.items = NULL};
}

struct start {
	struct rider rider;
	const char *gateway;
	struct walltime since;
	struct mirror_start_list list;
};

static void write_start(struct db *db, const struct start *start, const struct mirror_start *org)
{
	static const char ORG[] =
		"INSERT INTO mirror_org (gateway, org, seq, remainder_microusd, units_told, call, "
		"call_ms, units, next_seq, next_remainder_microusd, made_ms, not_before_ms) "
		"VALUES ($1, $2, $3, 0, 0, NULL, 0, 0, 0, 0, 0, 0)";
	static const char GRANT[] =
		"INSERT INTO mirror_grant (gateway, org, seq, payment, amount_microusd, is_told, "
		"ref, not_before_ms) VALUES ($1, $2, 0, NULL, $3, 0, NULL, 0)";
	struct db_stmt *s = db_stmt(db, ORG);

	db_bind_text(s, start->gateway);
	db_bind_id(s, org->org);
	db_bind_i64(s, org->seq);
	db_queue_write(s, 1);
	if (microusd_sign(org->balance) <= 0)
		return;
	s = db_stmt(db, GRANT);
	db_bind_text(s, start->gateway);
	db_bind_id(s, org->org);
	db_bind_microusd(s, org->balance);
	db_queue_write(s, 1);
}

static void start_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"INSERT INTO mirror (gateway, started_ms, holder, until_ms, next_ms, trouble, "
		"trouble_ms) VALUES ($1, $2, NULL, 0, 0, NULL, 0)";
	struct start *start = container_of(rider, struct start, rider);
	bool is_started = false;
	struct db_stmt *s;

	(void)cmd;
	queue_is_started(db, start->gateway, &is_started);
	db_wait(db);
	if (is_started)
		return;
	s = db_stmt(db, SQL);
	db_bind_text(s, start->gateway);
	db_bind_walltime(s, start->since);
	db_queue_write(s, 1);
	for (size_t i = 0; i < start->list.count; i++)
		write_start(db, start, &start->list.items[i]);
}

static void start_destroy(struct rider *rider)
{
	struct start *start = container_of(rider, struct start, rider);

	mirror_start_list_finish(&start->list);
	free(start);
}

struct rider *mirror_start_create(const char *gateway, struct walltime since,
				  TAKES struct mirror_start_list *list)
{
	struct start *start = xzalloc(sizeof(*start));

	start->rider = (struct rider){.apply = start_apply, .destroy = start_destroy};
	start->gateway = gateway;
	start->since = since;
	start->list = *list;
	*list = (struct mirror_start_list){.items = NULL};
	return &start->rider;
}

struct turn_row {
	struct id holder;
	struct walltime until, next;
};

static void read_turn(void *arg, const struct db_row *row)
{
	struct turn_row *out = arg;

	out->holder = db_row_id(row, "holder");
	out->until = db_row_walltime(row, "until_ms");
	out->next = db_row_walltime(row, "next_ms");
}

bool mirror_is_ahead(struct walltime t, struct walltime now, int64_t ms_max)
{
	return t.ms > now.ms && t.ms - now.ms <= ms_max;
}

static void claim_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char FIND[] = "SELECT holder, until_ms, next_ms FROM mirror "
				   "WHERE gateway = $1";
	static const char TAKE[] = "UPDATE mirror SET holder = $1, until_ms = $2 "
				   "WHERE gateway = $3";
	struct mirror_claim *c = container_of(rider, struct mirror_claim, rider);
	struct turn_row row = {.until = {0}};
	struct db_stmt *s = db_stmt(db, FIND);

	(void)cmd;
	db_bind_text(s, c->gateway);
	db_queue(s, read_turn, &row);
	db_wait(db);
	c->is_ours = false;
	c->again = row.until.ms > row.next.ms ? row.until : row.next;
	if (!id_eq(row.holder, c->holder) && mirror_is_ahead(row.until, c->now, MIRROR_TURN_MS))
		return;
	if (mirror_is_ahead(row.next, c->now, MIRROR_BACKOFF_MS_MAX)) {
		c->again = row.next;
		return;
	}
	c->is_ours = true;
	s = db_stmt(db, TAKE);
	db_bind_id(s, c->holder);
	db_bind_walltime(s, (struct walltime){.ms = c->now.ms + MIRROR_TURN_MS});
	db_bind_text(s, c->gateway);
	db_queue_write(s, -1);
}

static void claim_destroy(struct rider *rider)
{
	free(container_of(rider, struct mirror_claim, rider));
}

struct mirror_claim *mirror_claim_create(const char *gateway, struct id holder, struct walltime now)
{
	struct mirror_claim *c = xzalloc(sizeof(*c));

	c->rider = (struct rider){.apply = claim_apply, .destroy = claim_destroy};
	c->gateway = gateway;
	c->holder = holder;
	c->now = now;
	return c;
}

bool mirror_turn_extend(struct db *db, const char *gateway, struct id holder, struct walltime now)
{
	static const char FIND[] = "SELECT gateway FROM mirror WHERE gateway = $1 AND holder = $2";
	static const char EXTEND[] = "UPDATE mirror SET until_ms = $1 WHERE gateway = $2";
	struct db_stmt *s = db_stmt(db, FIND);
	bool is_ours = false;

	db_bind_text(s, gateway);
	db_bind_id(s, holder);
	db_queue(s, note_row, &is_ours);
	db_wait(db);
	if (!is_ours)
		return false;
	s = db_stmt(db, EXTEND);
	db_bind_walltime(s, (struct walltime){.ms = now.ms + MIRROR_TURN_MS});
	db_bind_text(s, gateway);
	db_queue_write(s, -1);
	return true;
}

static void renewal_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct mirror_renewal *r = container_of(rider, struct mirror_renewal, rider);

	(void)cmd;
	r->is_ours = mirror_turn_extend(db, r->gateway, r->holder, r->now);
}

static void renewal_destroy(struct rider *rider)
{
	free(container_of(rider, struct mirror_renewal, rider));
}

struct mirror_renewal *mirror_renewal_create(const char *gateway, struct id holder,
					     struct walltime now)
{
	struct mirror_renewal *r = xzalloc(sizeof(*r));

	r->rider = (struct rider){.apply = renewal_apply, .destroy = renewal_destroy};
	r->gateway = gateway;
	r->holder = holder;
	r->now = now;
	return r;
}

struct release {
	struct rider rider;
	const char *gateway;
	struct id holder;
	struct walltime now, next;
	char *trouble; /* owned */
};

static void release_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] = "UPDATE mirror SET until_ms = 0, next_ms = $1, trouble = $2, "
				  "trouble_ms = $3 WHERE gateway = $4 AND holder = $5";
	struct release *r = container_of(rider, struct release, rider);
	struct db_stmt *s = db_stmt(db, SQL);

	(void)cmd;
	db_bind_walltime(s, r->next);
	db_bind_text(s, r->trouble);
	db_bind_walltime(s, r->now);
	db_bind_text(s, r->gateway);
	db_bind_id(s, r->holder);
	db_queue_write(s, -1);
}

static void release_destroy(struct rider *rider)
{
	struct release *r = container_of(rider, struct release, rider);

	free(r->trouble);
	free(r);
}

struct rider *mirror_release_create(const char *gateway, struct id holder, struct walltime now,
				    struct walltime next, const char *trouble)
{
	struct release *r = xzalloc(sizeof(*r));

	r->rider = (struct rider){.apply = release_apply, .destroy = release_destroy};
	r->gateway = gateway;
	r->holder = holder;
	r->now = now;
	r->next = next;
	r->trouble = trouble ? xstrdup(trouble) : NULL;
	return &r->rider;
}

static void read_trouble(void *arg, const struct db_row *row)
{
	const char *trouble = db_row_text(row, "trouble");
	struct mirror_view *out = arg;

	out->is_started = true;
	out->started = db_row_walltime(row, "started_ms");
	if (trouble) {
		out->trouble = xstrdup(trouble);
		out->trouble_at = db_row_walltime(row, "trouble_ms");
	}
}

static void read_lag(void *arg, const struct db_row *row)
{
	struct mirror_view *out = arg;

	out->lag_entries = db_row_i64(row, "entries");
	out->lag_grants = db_row_i64(row, "grants");
}

static void read_org_trouble(void *arg, const struct db_row *row)
{
	const char *trouble = db_row_text(row, "trouble");
	struct mirror_view *out = arg;

	out->orgs_in_trouble = db_row_i64(row, "orgs");
	if (trouble)
		out->org_trouble = xstrdup(trouble);
}

static void queue_org_trouble(struct db *db, const char *gateway, struct mirror_view *out)
{
	static const char SQL[] =
		"SELECT count(DISTINCT org) AS orgs, min(trouble) AS trouble FROM ("
		"SELECT org, trouble FROM mirror_org WHERE gateway = $1 AND trouble IS NOT NULL "
		"UNION ALL SELECT org, trouble FROM mirror_grant WHERE gateway = $1 "
		"AND is_told = 0 AND trouble IS NOT NULL) AS t";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_text(s, gateway);
	db_queue(s, read_org_trouble, out);
}

enum db_status mirror_view_read(struct db *db, const char *gateway, struct mirror_view *out)
{
	static const char ROW[] = "SELECT started_ms, trouble, trouble_ms FROM mirror "
				  "WHERE gateway = $1";
	static const char LAG[] =
		"SELECT CAST(COALESCE(SUM(w.seq - COALESCE(m.seq, 0)), 0) AS BIGINT) AS entries, "
		"(SELECT COUNT(*) FROM mirror_grant g WHERE g.gateway = $1 AND g.is_told = 0) "
		"AS grants FROM wallet w LEFT JOIN mirror_org m ON m.gateway = $1 "
		"AND m.org = w.org";
	struct db_stmt *s = db_stmt(db, ROW);
	enum db_status status;

	db_bind_text(s, gateway);
	db_queue(s, read_trouble, out);
	status = db_flush(db);
	if (status != DB_OK || !out->is_started)
		return status;
	s = db_stmt(db, LAG);
	db_bind_text(s, gateway);
	db_queue(s, read_lag, out);
	queue_org_trouble(db, gateway, out);
	return db_flush(db);
}

void mirror_view_finish(struct mirror_view *v)
{
	free(v->trouble);
	free(v->org_trouble);
	v->trouble = v->org_trouble = NULL;
}
