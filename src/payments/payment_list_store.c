/*
 * Payments in lists: what is unfinished, and what an org has.
 */

#include "payments/payment_store.h"

#include <stdlib.h>
#include <string.h>

#define DECLINES                                                                                   \
	"COALESCE((SELECT declines FROM reload WHERE reload.org = payment.org "                    \
	"AND reload.payment = payment.id), 0) AS declines"

static void read_unfinished(void *arg, const struct db_row *row)
{
	struct payment_unfinished_list *list = arg;

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = (struct payment_unfinished){
		.view = payment_view_of_row(row),
		.declines = db_row_i64(row, "declines"),
	};
}

enum db_status payment_unfinished_read(struct db *db, const char *gateway, struct id org,
				       struct id after, size_t limit,
				       struct payment_unfinished_list *out)
{
	static const char ALL[] =
		"SELECT " PAYMENT_COLUMNS ", " DECLINES " FROM payment "
		"WHERE gateway = $1 AND id > $2 AND finished_ms IS NULL ORDER BY id LIMIT $3";
	static const char OF_ORG[] =
		"SELECT " PAYMENT_COLUMNS ", " DECLINES " FROM payment WHERE gateway = $1 "
		"AND id > $2 AND finished_ms IS NULL AND org = $3 ORDER BY id LIMIT $4";
	struct db_stmt *s = db_stmt(db, id_is_none(org) ? ALL : OF_ORG);
	struct payment_unfinished_list list = {.items = NULL};
	enum db_status status;

	db_bind_text(s, gateway);
	db_bind_blob(s, after.b, sizeof(after.b)); /* none is the smallest */
	if (!id_is_none(org))
		db_bind_id(s, org);
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
	list->items[list->count++] = payment_view_of_row(row);
}

enum db_status payment_list_read(struct db *db, const char *gateway, struct id org, struct id after,
				 size_t limit, struct payment_list *out)
{
	static const char SQL[] = "SELECT " PAYMENT_COLUMNS
				  " FROM payment WHERE org = $1 AND id < $2 AND gateway = $3 "
				  "ORDER BY id DESC LIMIT $4";
	struct db_stmt *s = db_stmt(db, SQL);
	struct payment_list list = {.items = NULL};
	enum db_status status;

	if (id_is_none(after))
		memset(after.b, 0xff, sizeof(after.b));
	db_bind_id(s, org);
	db_bind_id(s, after);
	db_bind_text(s, gateway);
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
