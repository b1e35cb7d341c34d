#include "payments/found_store.h"

#include "base/limits.h"
#include "wallet/account.h"

#include <stdlib.h>

#define NO_ORG "its org is not in this store"

static void note_row(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
}

static bool payment_is_known(struct db *db, struct id id)
{
	static const char SQL[] = "SELECT id FROM payment WHERE id = $1";
	struct db_stmt *s = db_stmt(db, SQL);
	bool is_there = false;

	db_bind_id(s, id);
	db_queue(s, note_row, &is_there);
	db_wait(db);
	return is_there;
}

static void note_stray(struct db *db, struct found_insert *f, const char *reason)
{
	static const char FIND[] = "SELECT ref FROM stray_money WHERE gateway = $1 AND ref = $2";
	static const char SQL[] =
		"INSERT INTO stray_money (gateway, ref, amount_cents, reason, found_ms) "
		"VALUES ($1, $2, $3, $4, $5)";
	struct db_stmt *s = db_stmt(db, FIND);
	bool is_there = false;

	f->outcome = FOUND_STRAY;
	f->reason = reason;
	db_bind_text(s, f->gateway);
	db_bind_text(s, f->payment.ref);
	db_queue(s, note_row, &is_there);
	db_wait(db);
	f->is_news = !is_there;
	if (is_there)
		return;
	s = db_stmt(db, SQL);
	db_bind_text(s, f->gateway);
	db_bind_text(s, f->payment.ref);
	db_bind_cents(s, cents_plus(f->payment.credit, f->payment.fee));
	db_bind_text(s, reason);
	db_bind_walltime(s, f->payment.finished);
	db_queue_write(s, 1);
}

/* It waits to be asked about, as if its page had been paid a moment ago. */
static void make_open(struct db *db, const struct found_insert *f)
{
	static const char SQL[] =
		"UPDATE payment SET gateway_ref = $1, expires_ms = $2 WHERE id = $3";
	static const char DELETE[] = "DELETE FROM stray_money WHERE gateway = $1 AND ref = $2";
	struct db_stmt *s;

	payment_insert_row(db, &f->payment, 1, NULL, f->gateway, false);
	s = db_stmt(db, SQL);
	db_bind_text(s, f->payment.ref);
	db_bind_walltime(s, (struct walltime){.ms = f->payment.finished.ms + PAYMENT_OPEN_MS});
	db_bind_id(s, f->payment.id);
	db_queue_write(s, 1);
	s = db_stmt(db, DELETE);
	db_bind_text(s, f->gateway);
	db_bind_text(s, f->payment.ref);
	db_queue_write(s, -1);
}

static void found_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct found_insert *f = container_of(rider, struct found_insert, rider);
	struct org_view org = {.name = NULL};
	bool has_org = false;

	(void)cmd;
	f->outcome = FOUND_KNOWN;
	f->is_news = false;
	if (payment_is_known(db, f->payment.id))
		return;
	if (f->trouble) {
		note_stray(db, f, f->trouble);
		return;
	}
	if (org_find(db, f->payment.org, &has_org, &org) != DB_OK)
		return;
	org_view_finish(&org);
	if (!has_org) {
		note_stray(db, f, NO_ORG);
		return;
	}
	make_open(db, f);
	f->outcome = FOUND_MADE;
}

static void found_destroy(struct rider *rider)
{
	struct found_insert *f = container_of(rider, struct found_insert, rider);

	payment_view_finish(&f->payment);
	free(f->trouble);
	free(f);
}

struct found_insert *found_insert_create(const char *gateway, const struct gateway_paid *paid,
					 struct walltime now)
{
	struct found_insert *f = xzalloc(sizeof(*f));

	f->rider = (struct rider){.apply = found_apply, .destroy = found_destroy};
	f->gateway = gateway;
	f->trouble = paid->trouble ? xstrdup(paid->trouble) : NULL;
	f->payment = (struct payment_view){
		.id = paid->payment,
		.org = paid->org,
		.kind = paid->is_invoice ? PAYMENT_TOP_UP : PAYMENT_BUY,
		.state = PAYMENT_OPEN,
		.credit = paid->credit,
		.fee = paid->fee,
		.ref = xstrdup(paid->ref),
		.created = paid->created,
		.finished = now,
	};
	return f;
}

static void read_stray(void *arg, const struct db_row *row)
{
	struct stray_list *list = arg;

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = (struct stray){
		.ref = xstrdup(db_row_text(row, "ref")),
		.amount = db_row_cents(row, "amount_cents"),
		.reason = xstrdup(db_row_text(row, "reason")),
	};
}

enum db_status stray_list_read(struct db *db, const char *gateway, size_t limit,
			       struct stray_list *out)
{
	static const char SQL[] = "SELECT ref, amount_cents, reason FROM stray_money "
				  "WHERE gateway = $1 ORDER BY found_ms DESC, ref LIMIT $2";
	struct stray_list list = {.count = 0};
	struct db_stmt *s = db_stmt(db, SQL);
	enum db_status status;

	db_bind_text(s, gateway);
	db_bind_i64(s, (int64_t)limit);
	db_queue(s, read_stray, &list);
	status = db_flush(db);
	if (status == DB_OK)
		*out = list;
	else
		stray_list_finish(&list);
	return status;
}

enum db_status payment_is_there(struct db *db, struct id payment, const char *ref, bool *out)
{
	static const char SQL[] = "SELECT 1 AS n FROM payment WHERE id = $1 "
				  "UNION SELECT 1 AS n FROM stray_money WHERE ref = $2";
	struct db_stmt *s = db_stmt(db, SQL);

	*out = false;
	db_bind_id(s, payment);
	db_bind_text(s, ref);
	db_queue(s, note_row, out);
	return db_flush(db);
}

void stray_list_finish(struct stray_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].ref);
		free(list->items[i].reason);
	}
	free(list->items);
	*list = (struct stray_list){.count = 0};
}
