#include "payments/payment_store.h"

#include "base/limits.h"
#include "wallet/account.h"
#include "wallet/play.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS "SELECT " PAYMENT_COLUMNS " FROM payment "

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

struct payment_view payment_view_of_row(const struct db_row *row)
{
	struct payment_view view = {
		.id = db_row_id(row, "id"),
		.org = db_row_id(row, "org"),
		.kind = (enum payment_kind)db_row_i64(row, "kind"),
		.state = (enum payment_state)db_row_i64(row, "state"),
		.credit = db_row_cents(row, "credit_cents"),
		.fee = db_row_cents(row, "fee_cents"),
		.ref = text_of(row, "gateway_ref"),
		.charge_ref = text_of(row, "charge_ref"),
		.url = text_of(row, "url"),
		.reason = text_of(row, "reason"),
		.created = db_row_walltime(row, "created_ms"),
	};

	view.expires = (struct walltime){.ms = view.created.ms + PAYMENT_OPEN_MS};
	if (!db_row_is_null(row, "expires_ms"))
		view.expires = db_row_walltime(row, "expires_ms");
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
	found->view = payment_view_of_row(row);
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

void payment_insert_row(struct db *db, const struct payment_view *p, int64_t attempt,
			const char *idempotency_key, const char *gateway, bool by_operator)
{
	static const char SQL[] =
		"INSERT INTO payment (id, org, kind, state, attempt, credit_cents, fee_cents, "
		"idempotency_key, gateway, created_ms, by_operator) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
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
	db_bind_bool(s, by_operator);
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
	db_bind_text(s, in->till.gateway);
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
	db_bind_text(s, in->till.gateway);
	db_bind_cents(s, p->credit);
	return run_find(db, s, found);
}

struct covering {
	struct found *found;
	struct microusd minimum;
};

static void read_covering(void *arg, const struct db_row *row)
{
	struct covering *c = arg;
	struct payment_view view = payment_view_of_row(row);

	if (!c->found->is_there && microusd_cmp(payment_credit(&view), c->minimum) >= 0) {
		c->found->is_there = true;
		c->found->attempt = db_row_i64(row, "attempt");
		c->found->view = view;
	} else {
		payment_view_finish(&view);
	}
}

/* The oldest payment that waits for a payer, or is about to, and covers what is missing. */
static enum db_status find_covering(struct db *db, const struct payment_insert *in,
				    struct found *found)
{
	static const char SQL[] = COLUMNS
		"WHERE org = $1 AND gateway = $2 AND finished_ms IS NULL AND created_ms > $3 "
		"AND (state IN (3, 4) OR kind = 4) AND kind <> 3 ORDER BY id LIMIT 50";
	struct covering c = {.found = found, .minimum = in->minimum};
	struct db_stmt *s = db_stmt(db, SQL);
	enum db_status status;

	*found = (struct found){.is_there = false};
	db_bind_id(s, in->payment.org);
	db_bind_text(s, in->till.gateway);
	db_bind_walltime(s, (struct walltime){.ms = in->payment.created.ms - PAYMENT_OFFER_MS});
	db_queue(s, read_covering, &c);
	status = db_flush(db);
	if (status != DB_OK) {
		payment_view_finish(&found->view);
		*found = (struct found){.is_there = false};
	}
	return status;
}

/* The page that the subject has open, whatever it covers. */
static enum db_status find_page(struct db *db, const struct payment_insert *in, struct found *found)
{
	static const char SQL[] = COLUMNS
		"WHERE id IN (SELECT payment FROM page_offer WHERE subject = $1) "
		"AND gateway = $2 AND finished_ms IS NULL AND created_ms > $3 ORDER BY id LIMIT 1";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, in->page_of);
	db_bind_text(s, in->till.gateway);
	db_bind_walltime(s, (struct walltime){.ms = in->payment.created.ms - PAYMENT_OFFER_MS});
	return run_find(db, s, found);
}

static enum db_status find_checkout(struct db *db, const struct payment_insert *in,
				    struct found *found)
{
	enum db_status status = find_covering(db, in, found);

	if (status != DB_OK || found->is_there || id_is_none(in->page_of))
		return status;
	return find_page(db, in, found);
}

static void write_page(struct db *db, const struct payment_insert *in)
{
	static const char SQL[] = "INSERT INTO page_offer (payment, subject) VALUES ($1, $2)";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, in->payment.id);
	db_bind_id(s, in->page_of);
	db_queue_write(s, 1);
}

static enum db_status find_earlier(struct db *db, const struct payment_insert *in,
				   struct found *found)
{
	if (in->payment.kind == PAYMENT_CHECKOUT)
		return find_checkout(db, in, found);
	return in->idempotency_key ? find_by_key(db, in, found) : find_recent(db, in, found);
}

/* Whether an earlier payment answers; else *out_attempt is the new one's. */
static bool answers(struct payment_insert *in, const struct found *found, int64_t *out_attempt)
{
	const struct payment_view *earlier = &found->view;

	*out_attempt = 1;
	in->outcome = PAYMENT_INSERT_MADE;
	if (!found->is_there)
		return false;
	if (in->payment.kind != PAYMENT_CHECKOUT &&
	    cents_cmp(earlier->credit, in->payment.credit) != 0) {
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

static void count_row(void *arg, const struct db_row *row)
{
	(void)row;
	++*(int64_t *)arg;
}

/* An open invoice over the same amount is not to be paid beside this one: the next look ends it. */
static void supersede(struct db *db, struct payment_insert *in)
{
	static const char FIND[] =
		"SELECT id FROM payment WHERE org = $1 AND gateway = $2 AND kind = 2 "
		"AND state = 4 AND credit_cents = $3 AND finished_ms IS NULL";
	static const char UPDATE[] =
		"UPDATE payment SET expires_ms = $1 WHERE org = $2 AND gateway = $3 AND kind = 2 "
		"AND state = 4 AND credit_cents = $4 AND finished_ms IS NULL";
	struct db_stmt *s = db_stmt(db, FIND);
	int64_t count = 0;

	db_bind_id(s, in->payment.org);
	db_bind_text(s, in->till.gateway);
	db_bind_cents(s, in->payment.credit);
	db_queue(s, count_row, &count);
	db_wait(db);
	in->supersedes = count > 0;
	if (!in->supersedes)
		return;
	s = db_stmt(db, UPDATE);
	db_bind_walltime(s, in->payment.created);
	db_bind_id(s, in->payment.org);
	db_bind_text(s, in->till.gateway);
	db_bind_cents(s, in->payment.credit);
	db_queue_write(s, count);
}

/* An open page over the same amount, however old: better than none where no new one may be. */
static bool find_open_page(struct db *db, const struct payment_insert *in, struct found *found)
{
	static const char SQL[] = COLUMNS
		"WHERE org = $1 AND gateway = $2 AND kind = 2 AND state = 4 AND credit_cents = $3 "
		"AND finished_ms IS NULL AND COALESCE(expires_ms, created_ms + $4) > $5 "
		"ORDER BY id DESC LIMIT 1";
	struct db_stmt *s;

	*found = (struct found){.is_there = false};
	if (in->payment.kind != PAYMENT_TOP_UP)
		return false;
	s = db_stmt(db, SQL);
	db_bind_id(s, in->payment.org);
	db_bind_text(s, in->till.gateway);
	db_bind_cents(s, in->payment.credit);
	db_bind_i64(s, PAYMENT_OPEN_MS);
	db_bind_walltime(s, in->payment.created);
	return run_find(db, s, found) == DB_OK && found->is_there;
}

/* Whether the new payment may be made; sets the outcome. */
static bool may_insert(struct db *db, struct payment_insert *in, const char *org_name)
{
	struct found page;

	if (in->payment.kind == PAYMENT_BUY && buy_is_braked(db, in)) {
		in->outcome = PAYMENT_INSERT_BRAKED;
		return false;
	}
	if (!purchase_is_bound(db, in, org_name))
		return true;
	in->outcome = PAYMENT_INSERT_BOUND;
	if (find_open_page(db, in, &page)) {
		in->outcome = PAYMENT_INSERT_EARLIER;
		in->earlier = page.view;
	}
	return false;
}

/* Unless an earlier payment answers. */
static void insert_new(struct db *db, struct payment_insert *in, const char *org_name)
{
	struct found found;
	int64_t attempt;

	if (find_earlier(db, in, &found) != DB_OK)
		return;
	if (answers(in, &found, &attempt)) {
		in->earlier = found.view;
		return;
	}
	payment_view_finish(&found.view);
	if (!may_insert(db, in, org_name))
		return;
	payment_insert_row(db, &in->payment, attempt, in->idempotency_key, in->till.gateway,
			   in->is_operator);
	if (!id_is_none(in->page_of))
		write_page(db, in);
	if (in->payment.kind == PAYMENT_TOP_UP)
		supersede(db, in);
}

static void insert_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct payment_insert *in = container_of(rider, struct payment_insert, rider);
	struct org_view org = {.name = NULL};
	struct found found;
	bool has_org = false;

	payment_view_finish(&in->earlier);
	in->outcome = PAYMENT_INSERT_MADE;
	/* Itself stands there when the first try of this batch was durable after all. */
	if (find(db, in->payment.id, &found) != DB_OK)
		return;
	if (found.is_there) {
		in->payment.credit = found.view.credit;
		payment_view_finish(&found.view);
		return;
	}
	if (org_find(db, in->payment.org, &has_org, &org) != DB_OK)
		return;
	if (!has_org) {
		in->outcome = PAYMENT_INSERT_NO_ORG;
		return;
	}
	if (cmd->after.is_live && play_is_till(in->till.gateway))
		in->outcome = PAYMENT_INSERT_PLAY;
	else
		insert_new(db, in, org.name);
	org_view_finish(&org);
}

struct payment_insert *payment_insert_create(const struct payment_view *payment,
					     const char *idempotency_key,
					     const struct purchase_till *till)
{
	struct payment_insert *in = xzalloc(sizeof(*in));

	in->rider = (struct rider){.apply = insert_apply, .destroy = insert_destroy};
	in->payment = *payment;
	in->payment.url = NULL;
	in->payment.reason = NULL;
	in->idempotency_key = idempotency_key ? xstrdup(idempotency_key) : NULL;
	in->till = *till;
	in->wanted = payment->credit;
	return in;
}

enum db_status payment_find(struct db *db, struct id id, bool *out_found, struct payment_view *out)
{
	struct found found;
	enum db_status status = find(db, id, &found);

	*out_found = found.is_there;
	*out = found.view;
	return status;
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
