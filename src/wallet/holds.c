#include "wallet/holds.h"

#include "wallet/internal.h"

#include <stdlib.h>

static void read_count(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = db_row_i64(row, "n");
}

static void read_hold(void *arg, const struct db_row *row)
{
	struct hold_list *list = arg;
	struct hold_view *h = &list->items[list->items_count];

	CHECK(list->items_count < HOLD_LIST_MAX);
	*h = (struct hold_view){
		.id = db_row_id(row, "id"),
		.org = db_row_id(row, "org"),
		.tool = xstrdup(db_row_text(row, "tool")),
		.amount = db_row_microusd(row, "amount_microusd"),
	};
	list->items_count++;
}

enum db_status hold_list_read(struct db *db, struct hold_list *out)
{
	static const char COUNT[] = "SELECT count(*) AS n FROM hold";
	static const char OLDEST[] =
		"SELECT id, org, tool, amount_microusd FROM hold ORDER BY id LIMIT $1";
	struct walltime now = clock_of_reader(db);
	struct db_stmt *s;
	enum db_status status;

	*out = (struct hold_list){.count = 0};
	db_queue(db_stmt(db, COUNT), read_count, &out->count);
	s = db_stmt(db, OLDEST);
	db_bind_i64(s, HOLD_LIST_MAX);
	db_queue(s, read_hold, out);
	status = db_flush(db);
	for (size_t i = 0; i < out->items_count; i++) {
		int64_t age_ms = now.ms - id_time(out->items[i].id).ms;

		out->items[i].age_ms = age_ms > 0 ? age_ms : 0;
	}
	if (status != DB_OK)
		hold_list_finish(out);
	return status;
}

void hold_list_finish(struct hold_list *list)
{
	for (size_t i = 0; i < list->items_count; i++)
		free(list->items[i].tool);
	list->items_count = 0;
}
