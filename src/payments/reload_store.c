/*
 * The state of auto-reload in the store: the one place an org has for a reload in flight.
 */

#include "base/limits.h"
#include "payments/payment_store.h"
#include "wallet/account.h"
#include "wallet/play.h"

#include <stdlib.h>

void reload_end_row(struct db *db, const struct payment_change *c)
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

struct reload_row {
	struct id payment; /* ID_NONE: none in flight */
	struct walltime not_before;
	int64_t declines;
	char *trouble; /* owned */
};

static void read_reload(void *arg, const struct db_row *row)
{
	const char *trouble = db_row_text(row, "trouble");
	struct reload_row *out = arg;

	*out = (struct reload_row){
		.payment = db_row_id(row, "payment"),
		.not_before = db_row_walltime(row, "not_before_ms"),
		.declines = db_row_i64(row, "declines"),
		.trouble = trouble ? xstrdup(trouble) : NULL,
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

static void note_row(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
}

/* One that was left in flight at another till is looked after by nobody here: test and live money
 * would stand in each other's way for ever. */
static void queue_in_flight(struct db *db, const char *gateway, struct id org, bool *out)
{
	static const char SQL[] = "SELECT payment.id FROM reload JOIN payment ON payment.id = "
				  "reload.payment WHERE reload.org = $1 AND payment.gateway = $2";
	struct db_stmt *s = db_stmt(db, SQL);

	*out = false;
	db_bind_id(s, org);
	db_bind_text(s, gateway);
	db_queue(s, note_row, out);
}

/* What the ceilings leave of the org. */
static enum db_status read_purchases(struct db *db, const struct purchase_till *till, struct id org,
				     struct walltime now, struct reload_facts *out)
{
	struct org_view view = {.name = NULL};
	enum db_status status;
	bool has_expired;

	out->has_ceilings = till->ceilings != NULL;
	if (!out->has_ceilings)
		return DB_OK;
	status = org_find(db, org, &(bool){false}, &view);
	if (status == DB_OK)
		status = purchase_room_read(db, till, org, view.name ? view.name : "", now,
					    &out->purchases, &has_expired);
	org_view_finish(&view);
	return status;
}

enum db_status reload_facts_read(struct db *db, const struct purchase_till *till, struct id org,
				 struct walltime now, struct reload_facts *out)
{
	static const char SQL[] =
		"SELECT CAST(COALESCE(SUM(credit_cents), 0) AS BIGINT) AS cents FROM payment "
		"WHERE org = $1 AND kind = 3 AND created_ms >= $2 AND gateway = $3 "
		"AND state NOT IN (6, 7)";
	struct db_stmt *s = db_stmt(db, SQL);
	struct reload_row row;
	enum db_status status;

	db_bind_id(s, org);
	db_bind_walltime(s, walltime_of_month(walltime_month(now)));
	db_bind_text(s, till->gateway);
	db_queue(s, read_sum, &out->reloaded);
	queue_reload(db, org, &row);
	queue_in_flight(db, till->gateway, org, &out->in_flight);
	status = db_flush(db);
	out->not_before = row.not_before;
	out->declines = row.declines;
	out->trouble = row.trouble;
	return status == DB_OK ? read_purchases(db, till, org, now, out) : status;
}

/* A reload that the ceilings do not allow is no decline: only the words change. */
static void write_bound(struct db *db, const struct payment_view *p,
			const struct reload_facts *facts)
{
	static const char SQL[] =
		"INSERT INTO reload (org, payment, not_before_ms, declines, trouble) "
		"VALUES ($1, NULL, 0, 0, $2) ON CONFLICT (org) DO UPDATE "
		"SET trouble = excluded.trouble";
	CLEANUP(free_charp) char *text = reload_bound_text(facts);
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, p->org);
	db_bind_text(s, text);
	db_queue_write(s, 1);
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

static void decide(struct reload_claim *c, struct db *db, const struct reload_facts *facts)
{
	struct payment_view *p = &c->payment;

	c->verdict = reload_decide(facts, p->created, &p->credit);
	if (c->verdict == RELOAD_BOUND) {
		c->not_before = ceiling_resets(&facts->purchases, reload_ceiling(facts));
		write_bound(db, p, facts);
	}
	if (c->verdict != RELOAD_DUE)
		return;
	payment_insert_row(db, p, 1, NULL, c->till.gateway, false);
	claim_row(db, p);
}

static void claim_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct reload_claim *c = container_of(rider, struct reload_claim, rider);
	struct payment_view *p = &c->payment;
	struct reload_facts facts = {
		.prefs = wallet_bound_prefs(&cmd->after),
		.available = wallet_spendable(&cmd->after),
	};
	struct payment_view found = {.url = NULL};
	bool is_there = false;

	c->verdict = RELOAD_NOT_WANTED;
	if (cmd->after.is_live && play_is_till(c->till.gateway))
		return;
	if (payment_read(db, p->id, c->till.gateway, &is_there, &found) == DB_OK &&
	    reload_facts_read(db, &c->till, p->org, p->created, &facts) == DB_OK) {
		c->declines = facts.declines;
		c->not_before = facts.not_before;
		/* As with an insert: the first try was durable after all. */
		if (is_there) {
			c->verdict = RELOAD_DUE;
			p->credit = found.credit;
		} else {
			decide(c, db, &facts);
		}
	}
	payment_view_finish(&found);
	free(facts.trouble);
}

static void claim_destroy(struct rider *rider)
{
	free(container_of(rider, struct reload_claim, rider));
}

struct reload_claim *reload_claim_create(const struct payment_view *payment,
					 const struct purchase_till *till)
{
	struct reload_claim *c = xzalloc(sizeof(*c));

	c->rider = (struct rider){.apply = claim_apply, .destroy = claim_destroy};
	c->payment = *payment;
	c->till = *till;
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
	out->declines = row.declines;
	return DB_OK;
}

void reload_view_finish(struct reload_view *v)
{
	free(v->last_trouble);
	v->last_trouble = NULL;
}
