#include "payments/payment_store.h"

#include "base/limits.h"
#include "wallet/account.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                                    \
	"SELECT id, org, kind, state, attempt, credit_cents, fee_cents, url, reason, created_ms, " \
	"finished_ms FROM payment "

struct found {
	bool is_there;
	int64_t attempt;
	struct payment_view view; /* owned */
};

static char *text_of(const struct db_row *row, const char *name)
{
	const char *text = db_row_text(row, name);

	return text ? xstrdup(text) : NULL;
}

static struct payment_view view_of(const struct db_row *row)
{
	struct payment_view view = {
		.id = db_row_id(row, "id"),
		.org = db_row_id(row, "org"),
		.kind = (enum payment_kind)db_row_i64(row, "kind"),
		.state = (enum payment_state)db_row_i64(row, "state"),
		.credit = db_row_cents(row, "credit_cents"),
		.fee = db_row_cents(row, "fee_cents"),
		.url = text_of(row, "url"),
		.reason = text_of(row, "reason"),
		.created = db_row_walltime(row, "created_ms"),
	};

	if (!db_row_is_null(row, "finished_ms"))
		view.finished = db_row_walltime(row, "finished_ms");
	return view;
}

static void read_found(void *arg, const struct db_row *row)
{
	struct found *found = arg;

	CHECK(!found->is_there);
	found->is_there = true;
	found->attempt = db_row_i64(row, "attempt");
	found->view = view_of(row);
}

/* Runs a read of one payment; nothing is found when it fails. */
static enum db_status run_find(struct db *db, struct db_stmt *s, struct found *found)
{
	enum db_status status;

	*found = (struct found){.is_there = false};
	db_queue(s, read_found, found);
	status = db_flush(db);
	if (status != DB_OK) {
		payment_view_finish(&found->view);
		*found = (struct found){.is_there = false};
	}
	return status;
}

static enum db_status find(struct db *db, struct id id, struct found *found)
{
	static const char SQL[] = COLUMNS "WHERE id = $1";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, id);
	return run_find(db, s, found);
}

static void insert_row(struct db *db, const struct payment_view *p, int64_t attempt,
		       const char *idempotency_key, const char *gateway)
{
	static const char SQL[] =
		"INSERT INTO payment (id, org, kind, state, attempt, credit_cents, fee_cents, "
		"idempotency_key, gateway, created_ms) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, p->id);
	db_bind_id(s, p->org);
	db_bind_i64(s, p->kind);
	db_bind_i64(s, p->state);
	db_bind_i64(s, attempt);
	db_bind_cents(s, p->credit);
	db_bind_cents(s, p->fee);
	db_bind_text(s, idempotency_key);
	db_bind_text(s, gateway);
	db_bind_walltime(s, p->created);
	db_queue_write(s, 1);
}

static void insert_destroy(struct rider *rider)
{
	struct payment_insert *in = container_of(rider, struct payment_insert, rider);

	payment_view_finish(&in->earlier);
	free(in->idempotency_key);
	free(in);
}

static enum db_status find_by_key(struct db *db, const struct payment_insert *in,
				  struct found *found)
{
	static const char SQL[] = COLUMNS
		"WHERE org = $1 AND gateway = $2 AND idempotency_key = $3 "
		"ORDER BY attempt DESC LIMIT 1";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, in->payment.org);
	db_bind_text(s, in->gateway);
	db_bind_text(s, in->idempotency_key);
	return run_find(db, s, found);
}

/* The same amount a short while ago. A buy that succeeded answers, too; of a top-up that is paid
 * another one is wanted. */
static enum db_status find_recent(struct db *db, const struct payment_insert *in,
				  struct found *found)
{
	static const char BUY[] = COLUMNS
		"WHERE org = $1 AND kind = $2 AND created_ms > $3 AND gateway = $4 "
		"AND credit_cents = $5 AND state IN (1, 2, 3, 4, 5) "
		"ORDER BY created_ms DESC, id DESC LIMIT 1";
	static const char TOP_UP[] = COLUMNS
		"WHERE org = $1 AND kind = $2 AND created_ms > $3 AND gateway = $4 "
		"AND credit_cents = $5 AND state IN (1, 2, 4) "
		"ORDER BY created_ms DESC, id DESC LIMIT 1";
	const struct payment_view *p = &in->payment;
	struct db_stmt *s = db_stmt(db, p->kind == PAYMENT_BUY ? BUY : TOP_UP);

	db_bind_id(s, p->org);
	db_bind_i64(s, p->kind);
	db_bind_walltime(s, (struct walltime){.ms = p->created.ms - PAYMENT_SAME_MS});
	db_bind_text(s, in->gateway);
	db_bind_cents(s, p->credit);
	return run_find(db, s, found);
}

/* Whether an earlier payment answers; else *out_attempt is the new one's. */
static bool answers(struct payment_insert *in, const struct found *found, int64_t *out_attempt)
{
	const struct payment_view *earlier = &found->view;

	*out_attempt = 1;
	in->outcome = PAYMENT_INSERT_MADE;
	if (!found->is_there)
		return false;
	if (cents_cmp(earlier->credit, in->payment.credit) != 0) {
		in->outcome = PAYMENT_INSERT_CONFLICT;
		return true;
	}
	if (earlier->state == PAYMENT_FAILED || earlier->state == PAYMENT_CANCELLED ||
	    payment_is_expired(earlier, in->payment.created)) {
		*out_attempt = found->attempt + 1;
		return false;
	}
	in->outcome = PAYMENT_INSERT_EARLIER;
	return true;
}

static void insert_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct payment_insert *in = container_of(rider, struct payment_insert, rider);
	struct org_view org = {.name = NULL};
	struct found found;
	bool has_org = false;
	int64_t attempt;

	(void)cmd;
	payment_view_finish(&in->earlier);
	in->outcome = PAYMENT_INSERT_MADE;
	/* Itself stands there when the first try of this batch was durable after all. */
	if (find(db, in->payment.id, &found) != DB_OK)
		return;
	if (found.is_there) {
		payment_view_finish(&found.view);
		return;
	}
	if (org_find(db, in->payment.org, &has_org, &org) != DB_OK)
		return;
	if (!has_org) {
		in->outcome = PAYMENT_INSERT_NO_ORG;
		return;
	}
	org_view_finish(&org);
	if ((in->idempotency_key ? find_by_key(db, in, &found) : find_recent(db, in, &found)) !=
	    DB_OK)
		return;
	if (answers(in, &found, &attempt)) {
		in->earlier = found.view;
		return;
	}
	payment_view_finish(&found.view);
	insert_row(db, &in->payment, attempt, in->idempotency_key, in->gateway);
}

struct payment_insert *payment_insert_create(const struct payment_view *payment,
					     const char *idempotency_key, const char *gateway)
{
	struct payment_insert *in = xzalloc(sizeof(*in));

	in->rider = (struct rider){.apply = insert_apply, .destroy = insert_destroy};
	in->payment = *payment;
	in->payment.url = NULL;
	in->payment.reason = NULL;
	in->idempotency_key = idempotency_key ? xstrdup(idempotency_key) : NULL;
	in->gateway = gateway;
	return in;
}

static void change_destroy(struct rider *rider)
{
	struct payment_change *c = container_of(rider, struct payment_change, rider);

	payment_view_finish(&c->after);
	free(c->url);
	free(c->reason);
	free(c->trouble);
	free(c);
}

static bool may_change(const struct payment_change *c, const struct wallet_cmd *cmd)
{
	enum payment_state from = c->after.state;

	if (!payment_may_become(from, c->to))
		return false;
	if (!c->is_grant)
		return true;
	/* A payment whose grant was disputed since is not won back by late news of it. */
	return !payment_has_grant(from) &&
	       (cmd->outcome == WALLET_OK || cmd->outcome == WALLET_DUPLICATE);
}

static void write_state(struct db *db, const struct payment_change *c)
{
	static const char SQL[] = "UPDATE payment SET state = $1, url = COALESCE($2, url), "
				  "reason = $3, finished_ms = $4 WHERE id = $5";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_i64(s, c->to);
	db_bind_text(s, c->url);
	db_bind_text(s, c->reason);
	if (payment_is_unfinished(c->to))
		db_bind_null(s);
	else
		db_bind_walltime(s, c->now);
	db_bind_id(s, c->payment);
	db_queue_write(s, 1);
}

static void end_reload(struct db *db, const struct payment_change *c)
{
	static const char SQL[] =
		"UPDATE reload SET payment = NULL, declines = $1, "
		"not_before_ms = $2, trouble = $3 WHERE org = $4 AND payment = $5";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_i64(s, c->declines);
	db_bind_walltime(s, c->not_before);
	db_bind_text(s, c->trouble);
	db_bind_id(s, c->after.org);
	db_bind_id(s, c->payment);
	db_queue_write(s, -1);
}

static void change_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct payment_change *c = container_of(rider, struct payment_change, rider);
	struct payment_view *after = &c->after;
	struct found found;

	payment_view_finish(after);
	c->was_changed = false;
	if (find(db, c->payment, &found) != DB_OK)
		return;
	c->is_there = found.is_there;
	*after = found.view;
	if (!found.is_there || !may_change(c, cmd))
		return;
	write_state(db, c);
	if (after->kind == PAYMENT_RELOAD && !payment_is_unfinished(c->to))
		end_reload(db, c);
	c->was_changed = true;
	after->state = c->to;
	if (c->url) {
		free(after->url);
		after->url = xstrdup(c->url);
	}
	free(after->reason);
	after->reason = c->reason ? xstrdup(c->reason) : NULL;
	if (!payment_is_unfinished(c->to))
		after->finished = c->now;
}

struct payment_change *payment_change_create(struct id payment, enum payment_state to,
					     struct walltime now)
{
	struct payment_change *c = xzalloc(sizeof(*c));

	c->rider = (struct rider){.apply = change_apply, .destroy = change_destroy};
	c->payment = payment;
	c->to = to;
	c->now = now;
	return c;
}

struct reload_row {
	struct id payment; /* ID_NONE: none in flight */
	struct walltime not_before;
	int64_t declines;
	char *trouble; /* owned */
};

static void read_reload(void *arg, const struct db_row *row)
{
	struct reload_row *out = arg;

	*out = (struct reload_row){
		.payment = db_row_id(row, "payment"),
		.not_before = db_row_walltime(row, "not_before_ms"),
		.declines = db_row_i64(row, "declines"),
		.trouble = text_of(row, "trouble"),
	};
}

static void queue_reload(struct db *db, struct id org, struct reload_row *out)
{
	static const char SQL[] =
		"SELECT payment, not_before_ms, declines, trouble FROM reload WHERE org = $1";
	struct db_stmt *s = db_stmt(db, SQL);

	*out = (struct reload_row){.trouble = NULL};
	db_bind_id(s, org);
	db_queue(s, read_reload, out);
}

static void read_sum(void *arg, const struct db_row *row)
{
	CHECK(microusd_from_cents(arg, db_row_cents(row, "cents")));
}

enum db_status reload_facts_read(struct db *db, struct id org, struct walltime now,
				 struct reload_facts *out)
{
	static const char SQL[] =
		"SELECT CAST(COALESCE(SUM(credit_cents), 0) AS BIGINT) AS cents FROM payment "
		"WHERE org = $1 AND kind = 3 AND created_ms >= $2 AND state NOT IN (6, 7)";
	struct db_stmt *s = db_stmt(db, SQL);
	struct reload_row row;
	enum db_status status;

	db_bind_id(s, org);
	db_bind_walltime(s, walltime_of_month(walltime_month(now)));
	db_queue(s, read_sum, &out->reloaded);
	queue_reload(db, org, &row);
	status = db_flush(db);
	out->in_flight = !id_is_none(row.payment);
	out->not_before = row.not_before;
	out->declines = row.declines;
	free(row.trouble);
	return status;
}

static void claim_row(struct db *db, const struct payment_view *p)
{
	static const char SQL[] =
		"INSERT INTO reload (org, payment, not_before_ms, declines, trouble) "
		"VALUES ($1, $2, $3, 0, NULL) ON CONFLICT (org) DO UPDATE "
		"SET payment = excluded.payment, not_before_ms = excluded.not_before_ms";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, p->org);
	db_bind_id(s, p->id);
	db_bind_walltime(s, (struct walltime){.ms = p->created.ms + RELOAD_SPACING_MS});
	db_queue_write(s, 1);
}

static void claim_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct reload_claim *c = container_of(rider, struct reload_claim, rider);
	struct payment_view *p = &c->payment;
	struct reload_facts facts = {.prefs = cmd->after.prefs, .available = cmd->after.available};
	struct found found;

	c->verdict = RELOAD_NOT_WANTED;
	if (find(db, p->id, &found) != DB_OK ||
	    reload_facts_read(db, p->org, p->created, &facts) != DB_OK)
		return;
	c->declines = facts.declines;
	c->not_before = facts.not_before;
	/* As with an insert: the first try was durable after all. */
	if (found.is_there) {
		c->verdict = RELOAD_DUE;
		p->credit = found.view.credit;
		payment_view_finish(&found.view);
		return;
	}
	c->verdict = reload_decide(&facts, p->created, &p->credit);
	if (c->verdict != RELOAD_DUE)
		return;
	insert_row(db, p, 1, NULL, c->gateway);
	claim_row(db, p);
}

static void claim_destroy(struct rider *rider)
{
	free(container_of(rider, struct reload_claim, rider));
}

struct reload_claim *reload_claim_create(const struct payment_view *payment, const char *gateway)
{
	struct reload_claim *c = xzalloc(sizeof(*c));

	c->rider = (struct rider){.apply = claim_apply, .destroy = claim_destroy};
	c->payment = *payment;
	c->gateway = gateway;
	return c;
}

enum db_status reload_view_read(struct db *db, struct id org, struct reload_view *out)
{
	struct reload_row row;
	enum db_status status;

	queue_reload(db, org, &row);
	status = db_flush(db);
	if (status != DB_OK) {
		free(row.trouble);
		return status;
	}
	out->last_trouble = row.trouble;
	out->in_flight = !id_is_none(row.payment);
	return DB_OK;
}

void reload_view_finish(struct reload_view *v)
{
	free(v->last_trouble);
	v->last_trouble = NULL;
}

enum db_status payment_read(struct db *db, struct id id, const char *gateway, bool *out_found,
			    struct payment_view *out)
{
	static const char SQL[] = COLUMNS "WHERE id = $1 AND gateway = $2";
	struct db_stmt *s = db_stmt(db, SQL);
	struct found found;
	enum db_status status;

	db_bind_id(s, id);
	db_bind_text(s, gateway);
	status = run_find(db, s, &found);
	if (status != DB_OK)
		return status;
	*out_found = found.is_there;
	if (found.is_there)
		*out = found.view;
	return DB_OK;
}

static void read_unfinished(void *arg, const struct db_row *row)
{
	struct payment_unfinished_list *list = arg;

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = (struct payment_unfinished){
		.view = view_of(row),
		.declines = db_row_i64(row, "declines"),
	};
}

enum db_status payment_unfinished_read(struct db *db, const char *gateway, struct id after,
				       size_t limit, struct payment_unfinished_list *out)
{
	static const char SQL[] =
		"SELECT id, org, kind, state, credit_cents, fee_cents, url, reason, created_ms, "
		"finished_ms, COALESCE((SELECT declines FROM reload WHERE reload.org = payment.org "
		"AND reload.payment = payment.id), 0) AS declines FROM payment "
		"WHERE gateway = $1 AND id > $2 AND finished_ms IS NULL ORDER BY id LIMIT $3";
	struct db_stmt *s = db_stmt(db, SQL);
	struct payment_unfinished_list list = {.items = NULL};
	enum db_status status;

	db_bind_text(s, gateway);
	db_bind_blob(s, after.b, sizeof(after.b)); /* none is the smallest */
	db_bind_i64(s, (int64_t)limit);
	db_queue(s, read_unfinished, &list);
	status = db_flush(db);
	if (status == DB_OK)
		*out = list;
	else
		payment_unfinished_list_finish(&list);
	return status;
}

void payment_unfinished_list_finish(struct payment_unfinished_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		payment_view_finish(&list->items[i].view);
	free(list->items);
	*list = (struct payment_unfinished_list){.items = NULL};
}

static void read_listed(void *arg, const struct db_row *row)
{
	struct payment_list *list = arg;

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = view_of(row);
}

enum db_status payment_list_read(struct db *db, struct id org, struct id after, size_t limit,
				 struct payment_list *out)
{
	static const char SQL[] = COLUMNS "WHERE org = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
	struct db_stmt *s = db_stmt(db, SQL);
	struct payment_list list = {.items = NULL};
	enum db_status status;

	if (id_is_none(after))
		memset(after.b, 0xff, sizeof(after.b));
	db_bind_id(s, org);
	db_bind_id(s, after);
	db_bind_i64(s, (int64_t)limit + 1);
	db_queue(s, read_listed, &list);
	status = db_flush(db);
	if (status != DB_OK) {
		payment_list_finish(&list);
		return status;
	}
	list.has_more = list.count > limit;
	if (list.has_more)
		payment_view_finish(&list.items[--list.count]);
	*out = list;
	return DB_OK;
}

void payment_list_finish(struct payment_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		payment_view_finish(&list->items[i]);
	free(list->items);
	*list = (struct payment_list){.items = NULL};
}
