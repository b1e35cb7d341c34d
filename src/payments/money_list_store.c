/*
 * One list of what was paid and what went back. Both have ids in order of time, so two reads are
 * merged by them.
 */

#include "payments/payment_store.h"
#include "payments/reversal_store.h"

#include <stdlib.h>
#include <string.h>

static char *copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static struct money_item *add(struct money_list *list)
{
	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count] = (struct money_item){.ref = NULL};
	return &list->items[list->count++];
}

static void read_payment(void *arg, const struct db_row *row)
{
	enum payment_state state = (enum payment_state)db_row_i64(row, "state");
	bool is_invoice = db_row_i64(row, "kind") == PAYMENT_TOP_UP;
	struct money_item *item = add(arg);

	item->id = db_row_id(row, "id");
	item->type = is_invoice ? MONEY_INVOICE : MONEY_CHARGE;
	item->status = xstrdup(payment_state_name(state));
	item->amount = cents_plus(db_row_cents(row, "credit_cents"),
				  db_row_cents(row, "fee_cents"));
	item->created = db_row_walltime(row, "created_ms");
	/* An invoice's page stays, as its receipt; a page to pay at is for who still can. */
	if (is_invoice || payment_is_payable(state))
		item->url = copy_of(db_row_text(row, "url"));
}

static void read_reversal(void *arg, const struct db_row *row)
{
	bool is_dispute = db_row_i64(row, "kind") == REVERSAL_DISPUTE;
	struct money_item *item = add(arg);

	item->id = db_row_id(row, "id");
	item->type = is_dispute ? MONEY_DISPUTE : MONEY_REFUND;
	item->ref = xstrdup(db_row_text(row, "ref"));
	item->status = xstrdup(db_row_text(row, "status"));
	item->amount = db_row_cents(row, "amount_cents");
	item->created = db_row_walltime(row, "created_ms");
}

static void item_finish(struct money_item *item)
{
	free(item->ref);
	free(item->status);
	free(item->url);
}

void money_list_finish(struct money_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		item_finish(&list->items[i]);
	free(list->items);
	*list = (struct money_list){.items = NULL};
}

static int newest_first(const void *a, const void *b)
{
	const struct money_item *x = a, *y = b;

	return memcmp(y->id.b, x->id.b, sizeof(x->id.b));
}

enum db_status money_list_read(struct db *db, const char *gateway, struct id org, struct id after,
			       size_t limit, struct money_list *out)
{
	static const char PAYMENTS[] =
		"SELECT id, kind, state, credit_cents, fee_cents, url, created_ms FROM payment "
		"WHERE org = $1 AND id < $2 AND gateway = $3 ORDER BY id DESC LIMIT $4";
	static const char REVERSALS[] =
		"SELECT id, ref, kind, amount_cents, status, created_ms FROM reversal "
		"WHERE org = $1 AND id < $2 AND gateway = $3 ORDER BY id DESC LIMIT $4";
	static const char *const LISTS[] = {PAYMENTS, REVERSALS};
	static db_row_fn *const READERS[] = {read_payment, read_reversal};
	struct money_list list = {.items = NULL};
	enum db_status status;

	if (id_is_none(after))
		memset(after.b, 0xff, sizeof(after.b));
	for (size_t i = 0; i < ARRAY_LEN(LISTS); i++) {
		struct db_stmt *s = db_stmt(db, LISTS[i]);

		db_bind_id(s, org);
		db_bind_id(s, after);
		db_bind_text(s, gateway);
		db_bind_i64(s, (int64_t)limit + 1);
		db_queue(s, READERS[i], &list);
	}
	status = db_flush(db);
	if (status != DB_OK) {
		money_list_finish(&list);
		return status;
	}
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), newest_first);
	list.has_more = list.count > limit;
	while (list.count > limit)
		item_finish(&list.items[--list.count]);
	*out = list;
	return DB_OK;
}
