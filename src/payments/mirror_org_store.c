/*
 * The mirror of one org: what is to be told next, and what has been.
 */

#include "payments/mirror_store.h"

#include "base/limits.h"

#include <stdlib.h>

struct page_reader {
	struct mirror_page *page;
	struct walltime now;
	int64_t rows;
};

static bool is_due_at(const struct page_reader *r, struct walltime t)
{
	struct mirror_page *page = r->page;

	if (!mirror_is_ahead(t, r->now, MIRROR_BACKOFF_MS_MAX))
		return true;
	if (!page->due.ms || t.ms < page->due.ms)
		page->due = t;
	return false;
}

static void read_page_row(void *arg, const struct db_row *row)
{
	struct page_reader *r = arg;
	struct mirror_page *page = r->page;
	bool lags = db_row_i64(row, "last_seq") > db_row_i64(row, "told_seq");
	bool owes = !db_row_is_null(row, "grant_ms");
	bool is_due = false;

	if (lags)
		is_due = is_due_at(r, db_row_walltime(row, "not_before_ms"));
	if (owes)
		is_due = is_due_at(r, db_row_walltime(row, "grant_ms")) || is_due;
	r->rows++;
	page->last = db_row_id(row, "org");
	if (!is_due)
		return;
	if (page->count == page->size) {
		page->size = page->size ? 2 * page->size : 16;
		page->orgs = xrealloc_array(page->orgs, page->size, sizeof(*page->orgs));
	}
	page->orgs[page->count++] = page->last;
}

enum db_status mirror_page_read(struct db *db, const char *gateway, struct id after,
				struct walltime now, struct mirror_page *out)
{
	static const char SQL[] =
		"SELECT w.org, w.seq AS last_seq, COALESCE(m.seq, 0) AS told_seq, "
		"COALESCE(m.not_before_ms, 0) AS not_before_ms, (SELECT MIN(g.not_before_ms) "
		"FROM mirror_grant g WHERE g.gateway = $1 AND g.org = w.org AND g.is_told = 0) "
		"AS grant_ms FROM wallet w LEFT JOIN mirror_org m ON m.gateway = $1 "
		"AND m.org = w.org WHERE w.org > $2 ORDER BY w.org LIMIT $3";
	struct page_reader r = {.page = out, .now = now};
	struct db_stmt *s = db_stmt(db, SQL);
	enum db_status status;

	db_bind_text(s, gateway);
	db_bind_blob(s, after.b, sizeof(after.b)); /* ID_NONE is before all */
	db_bind_i64(s, QUERY_ROWS_PER_STEP);
	db_queue(s, read_page_row, &r);
	status = db_flush(db);
	out->is_last = r.rows < QUERY_ROWS_PER_STEP;
	return status;
}

void mirror_page_finish(struct mirror_page *page)
{
	free(page->orgs);
	*page = (struct mirror_page){.orgs = NULL};
}

struct work_reader {
	struct mirror_work *work;
	struct walltime now;
	bool is_full;
};

static char *text_of(const struct db_row *row, const char *name)
{
	const char *text = db_row_text(row, name);

	return text ? xstrdup(text) : NULL;
}

static void read_org_row(void *arg, const struct db_row *row)
{
	struct work_reader *r = arg;
	struct mirror_work *work = r->work;

	work->has_row = true;
	work->call = db_row_id(row, "call");
	work->has_event = !id_is_none(work->call);
	work->is_put_off = mirror_is_ahead(db_row_walltime(row, "not_before_ms"), r->now,
					   MIRROR_BACKOFF_MS_MAX);
	work->failures = db_row_i64(row, "failures");
	work->trouble = text_of(row, "trouble");
	work->checked = db_row_walltime(row, "checked_ms");
	work->at = db_row_walltime(row, "call_ms");
	work->units = db_row_i64(row, "units");
	work->units_told = db_row_i64(row, "units_told");
	work->made = db_row_walltime(row, "made_ms");
	work->plan.seq = db_row_i64(row, "seq");
	work->entries = db_row_i64(row, "next_seq") - work->plan.seq;
	work->plan.remainder = db_row_microusd(row, "remainder_microusd");
}

static void read_started(void *arg, const struct db_row *row)
{
	struct work_reader *r = arg;

	r->work->started = db_row_walltime(row, "started_ms");
}

static void read_grant(void *arg, const struct db_row *row)
{
	struct work_reader *r = arg;

	r->work->has_grant = true;
	r->work->grant = (struct mirror_grant){
		.seq = db_row_i64(row, "seq"),
		.payment = db_row_id(row, "payment"),
		.amount = db_row_microusd(row, "amount_microusd"),
		.failures = db_row_i64(row, "failures"),
		.trouble = text_of(row, "trouble"),
	};
}

static void read_entry(void *arg, const struct db_row *row)
{
	struct work_reader *r = arg;
	struct mirror_entry entry = {
		.seq = db_row_i64(row, "seq"),
		.kind = (enum entry_kind)db_row_i64(row, "kind"),
		.to = (enum account)db_row_i64(row, "to_account"),
		.amount = db_row_microusd(row, "amount_microusd"),
		.ref = db_row_id(row, "ref"),
		.payment = db_row_id(row, "payment"),
		.at = db_row_walltime(row, "at_ms"),
	};

	if (!r->is_full)
		r->is_full = !mirror_plan_add(&r->work->plan, &entry);
}

static void queue_entries(struct db *db, const char *gateway, struct id org, struct work_reader *r)
{
	static const char SQL[] =
		"SELECT e.seq, e.kind, e.to_account, e.amount_microusd, e.ref, e.at_ms, "
		"p.id AS payment FROM entry e LEFT JOIN payment p ON p.id = e.ref "
		"AND p.gateway = $1 AND e.kind IN (3, 4) WHERE e.org = $2 AND e.seq > $3 "
		"ORDER BY e.seq LIMIT $4";
	struct mirror_plan *plan = &r->work->plan;
	struct db_stmt *s = db_stmt(db, SQL);

	plan->next_seq = plan->seq;
	plan->sum = plan->remainder;
	db_bind_text(s, gateway);
	db_bind_id(s, org);
	db_bind_i64(s, plan->seq);
	db_bind_i64(s, QUERY_ROWS_PER_STEP);
	db_queue(s, read_entry, r);
}

enum db_status mirror_work_read(struct db *db, const char *gateway, struct id org,
				struct walltime now, struct mirror_work *out)
{
	static const char STARTED[] = "SELECT started_ms FROM mirror WHERE gateway = $1";
	static const char ORG[] =
		"SELECT seq, remainder_microusd, units_told, call, call_ms, units, next_seq, "
		"made_ms, not_before_ms, failures, trouble, checked_ms FROM mirror_org "
		"WHERE gateway = $1 AND org = $2";
	static const char GRANT[] =
		"SELECT seq, payment, amount_microusd, failures, trouble FROM mirror_grant "
		"WHERE gateway = $1 AND org = $2 AND is_told = 0 AND (not_before_ms <= $3 "
		"OR not_before_ms > $4) ORDER BY seq LIMIT 1";
	struct work_reader r = {.work = out, .now = now};
	struct db_stmt *s = db_stmt(db, STARTED);
	enum db_status status;

	db_bind_text(s, gateway);
	db_queue(s, read_started, &r);
	s = db_stmt(db, ORG);
	db_bind_text(s, gateway);
	db_bind_id(s, org);
	db_queue(s, read_org_row, &r);
	s = db_stmt(db, GRANT);
	db_bind_text(s, gateway);
	db_bind_id(s, org);
	db_bind_walltime(s, now);
	db_bind_walltime(s, (struct walltime){.ms = now.ms + MIRROR_BACKOFF_MS_MAX});
	db_queue(s, read_grant, &r);
	status = db_flush(db);
	if (status != DB_OK || out->has_grant || out->has_event)
		return status;
	queue_entries(db, gateway, org, &r);
	return db_flush(db);
}

void mirror_work_finish(struct mirror_work *work)
{
	mirror_plan_finish(&work->plan);
	free(work->trouble);
	free(work->grant.trouble);
	*work = (struct mirror_work){.has_row = false};
}

static void write_row(struct db *db, const struct mirror_change *c)
{
	static const char SQL[] =
		"INSERT INTO mirror_org (gateway, org, seq, remainder_microusd, units_told, call, "
		"call_ms, units, next_seq, next_remainder_microusd, made_ms, not_before_ms) "
		"VALUES ($1, $2, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0) "
		"ON CONFLICT (gateway, org) DO NOTHING";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_text(s, c->gateway);
	db_bind_id(s, c->org);
	db_queue_write(s, -1);
}

static void write_grant(struct db *db, const struct mirror_change *c, const struct mirror_grant *g)
{
	static const char SQL[] =
		"INSERT INTO mirror_grant (gateway, org, seq, payment, amount_microusd, is_told, "
		"ref, not_before_ms) VALUES ($1, $2, $3, $4, $5, 0, NULL, 0) "
		"ON CONFLICT (gateway, org, seq) DO NOTHING";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_text(s, c->gateway);
	db_bind_id(s, c->org);
	db_bind_i64(s, g->seq);
	db_bind_id(s, g->payment);
	db_bind_microusd(s, g->amount);
	db_queue_write(s, -1);
}

static void write_plan(struct db *db, const struct mirror_change *c)
{
	static const char MOVE[] = "UPDATE mirror_org SET seq = $1, remainder_microusd = $2 "
				   "WHERE gateway = $3 AND org = $4 AND seq = $5 "
				   "AND call IS NULL";
	static const char EVENT[] =
		"UPDATE mirror_org SET call = $1, call_ms = $2, units = $3, next_seq = $4, "
		"next_remainder_microusd = $5, made_ms = $6, not_before_ms = 0 "
		"WHERE gateway = $7 AND org = $8 AND seq = $9 AND call IS NULL";
	const struct mirror_plan *plan = &c->work.plan;
	struct microusd remainder;
	int64_t units = mirror_plan_units(plan, &remainder);
	struct db_stmt *s = db_stmt(db, units ? EVENT : MOVE);

	if (!c->work.has_row)
		write_row(db, c);
	if (units) {
		CHECK(!id_is_none(plan->call));
		db_bind_id(s, plan->call);
		db_bind_walltime(s, plan->at);
		db_bind_i64(s, units);
	}
	db_bind_i64(s, plan->next_seq);
	db_bind_microusd(s, remainder);
	if (units)
		db_bind_walltime(s, c->now);
	db_bind_text(s, c->gateway);
	db_bind_id(s, c->org);
	db_bind_i64(s, plan->seq);
	db_queue_write(s, -1);
	for (size_t i = 0; i < plan->grants_count; i++)
		write_grant(db, c, &plan->grants[i]);
}

static void write_usage_told(struct db *db, const struct mirror_change *c)
{
	static const char SQL[] =
		"UPDATE mirror_org SET seq = next_seq, remainder_microusd = "
		"next_remainder_microusd, units_told = units_told + units, call = NULL, "
		"not_before_ms = 0, failures = 0, trouble = NULL, checked_ms = CASE WHEN $1 > 0 "
		"THEN $1 ELSE checked_ms END WHERE gateway = $2 AND org = $3 AND call = $4";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_walltime(s, c->is_checked ? c->now : (struct walltime){0});
	db_bind_text(s, c->gateway);
	db_bind_id(s, c->org);
	db_bind_id(s, c->work.call);
	db_queue_write(s, -1);
}

static void write_usage_put_off(struct db *db, const struct mirror_change *c)
{
	static const char SQL[] = "UPDATE mirror_org SET not_before_ms = $1, "
				  "failures = failures + 1, trouble = $2 "
				  "WHERE gateway = $3 AND org = $4 AND call = $5";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_walltime(s, c->not_before);
	db_bind_text(s, c->reason);
	db_bind_text(s, c->gateway);
	db_bind_id(s, c->org);
	db_bind_id(s, c->work.call);
	db_queue_write(s, -1);
}

static void write_grant_change(struct db *db, const struct mirror_change *c)
{
	static const char SQL[] =
		"UPDATE mirror_grant SET is_told = $1, ref = $2, not_before_ms = $3, "
		"failures = failures + 1, trouble = $4 "
		"WHERE gateway = $5 AND org = $6 AND seq = $7 AND is_told = 0";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_bool(s, c->kind == MIRROR_GRANT_TOLD);
	db_bind_text(s, c->ref);
	db_bind_walltime(s, c->not_before);
	db_bind_text(s, c->reason);
	db_bind_text(s, c->gateway);
	db_bind_id(s, c->org);
	db_bind_i64(s, c->work.grant.seq);
	db_queue_write(s, -1);
}

static void change_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct mirror_change *c = container_of(rider, struct mirror_change, rider);

	(void)cmd;
	c->is_ours = mirror_turn_extend(db, c->gateway, c->holder, c->now);
	switch (c->kind) {
	case MIRROR_PLANNED:
		write_plan(db, c);
		return;
	case MIRROR_USAGE_TOLD:
		write_usage_told(db, c);
		return;
	case MIRROR_USAGE_PUT_OFF:
		write_usage_put_off(db, c);
		return;
	case MIRROR_GRANT_TOLD:
	case MIRROR_GRANT_PUT_OFF:
		write_grant_change(db, c);
		return;
	}
	die("mirror change %d", (int)c->kind);
}

static void change_destroy(struct rider *rider)
{
	struct mirror_change *c = container_of(rider, struct mirror_change, rider);

	mirror_work_finish(&c->work);
	free(c->ref);
	free(c->reason);
	free(c);
}

struct mirror_change *mirror_change_create(enum mirror_change_kind kind, const char *gateway,
					   struct id org, TAKES struct mirror_work *work)
{
	struct mirror_change *c = xzalloc(sizeof(*c));

	c->rider = (struct rider){.apply = change_apply, .destroy = change_destroy};
	c->kind = kind;
	c->gateway = gateway;
	c->org = org;
	c->work = *work;
	*work = (struct mirror_work){.has_row = false};
	return c;
}
