#include "wallet/usage.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* Entries are in order of seq; their times may be out of order by as much as wall clocks of
 * machines differ, so the backward read goes on a little behind the first day. */
#define SLACK_MS INT64_C(3600000)
#define DAY_MS   (INT64_C(24) * 3600 * 1000)

struct step {
	struct usage *u;
	int64_t rows;
	bool is_over;
};

void usage_init(struct usage *u, struct id org, int64_t day_from, int64_t day_to, enum usage_by by)
{
	*u = (struct usage){
		.org = org,
		.day_from = day_from,
		.day_to = day_to,
		.by = by,
		.next_seq = INT64_MAX,
	};
}

void usage_finish(struct usage *u)
{
	for (size_t i = 0; i < u->groups_count; i++)
		free(u->groups[i].name);
	free(u->groups);
	u->groups = NULL;
	u->groups_count = 0;
}

/* Sorted by name; found by halving, for a month has many entries and few groups. */
static struct usage_group *group(struct usage *u, const char *name)
{
	size_t low = 0, high = u->groups_count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int cmp = strcmp(u->groups[mid].name, name);

		if (cmp == 0)
			return &u->groups[mid];
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	u->groups = xrealloc_array(u->groups, u->groups_count + 1, sizeof(*u->groups));
	memmove(&u->groups[low + 1], &u->groups[low], (u->groups_count - low) * sizeof(*u->groups));
	u->groups_count++;
	u->groups[low] = (struct usage_group){.name = xstrdup(name)};
	return &u->groups[low];
}

static void count_entry(struct usage_group *g, enum entry_kind kind, struct microusd amount,
			bool is_closing)
{
	/* What a model used beyond its hold is an entry beside the one that ends the call. */
	if (!is_closing) {
		g->amount = microusd_plus_capped(g->amount, amount);
		return;
	}
	g->calls++;
	if (kind == ENTRY_CAPTURE) {
		g->charged++;
		g->amount = microusd_plus_capped(g->amount, amount);
	} else {
		g->refunded++;
		g->refunded_amount = microusd_plus_capped(g->refunded_amount, amount);
	}
}

static void read_entry(void *arg, const struct db_row *row)
{
	struct step *step = arg;
	struct usage *u = step->u;
	int64_t at_ms = db_row_walltime(row, "at_ms").ms;
	enum entry_kind kind = (enum entry_kind)db_row_i64(row, "kind");
	bool is_closing = db_row_bool(row, "is_closing");
	struct microusd amount = db_row_microusd(row, "amount_microusd");
	char day[WALLTIME_TEXT_SIZE];
	const char *name = NULL;

	step->rows++;
	u->next_seq = db_row_i64(row, "seq");
	if (at_ms < u->day_from * DAY_MS - SLACK_MS)
		step->is_over = true;
	if (at_ms < u->day_from * DAY_MS || at_ms >= (u->day_to + 1) * DAY_MS ||
	    (!is_closing && kind != ENTRY_CAPTURE))
		return;
	switch (u->by) {
	case USAGE_BY_TOOL:
		name = db_row_text(row, "tool");
		break;
	case USAGE_BY_DAY:
		day_text(walltime_day((struct walltime){at_ms}), day);
		name = day;
		break;
	case USAGE_BY_KEY:
		name = db_row_text(row, "prefix");
		break;
	}
	count_entry(group(u, name ? name : "local"), kind, amount, is_closing);
	count_entry(&u->totals, kind, amount, is_closing);
}

bool usage_step(struct usage *u, struct db *db)
{
	static const char SQL[] =
		"SELECT seq, kind, entry.tool AS tool, amount_microusd, is_closing, at_ms, "
		"api_key.prefix AS prefix FROM entry LEFT JOIN api_key "
		"ON api_key.id = entry.api_key "
		"WHERE entry.org = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
	struct step step = {.u = u};
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, u->org);
	db_bind_i64(s, u->next_seq);
	db_bind_i64(s, QUERY_ROWS_PER_STEP);
	db_queue(s, read_entry, &step);
	u->status = db_flush(db);
	return u->status != DB_OK || step.is_over || step.rows < QUERY_ROWS_PER_STEP;
}
