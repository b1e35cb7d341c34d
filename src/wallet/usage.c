#include "wallet/usage.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define QUARTER_MS INT64_C(900000)

int64_t usage_quarter(struct walltime t)
{
	/* Before 1970 there were no calls. */
	return t.ms / QUARTER_MS;
}

void usage_init(struct usage *u, struct id org, int64_t day_from, int64_t day_to, enum usage_by by)
{
	*u = (struct usage){
		.org = org,
		.day_from = day_from,
		.day_to = day_to,
		.by = by,
		.quarter = day_from * USAGE_QUARTERS_PER_DAY,
		.tool = xstrdup(""),
	};
}

void usage_finish(struct usage *u)
{
	for (size_t i = 0; i < u->groups_count; i++)
		free(u->groups[i].name);
	free(u->groups);
	free_charp(&u->tool);
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

static void add_up(struct usage_group *to, const struct usage_group *more)
{
	to->calls += more->charged + more->refunded;
	to->charged += more->charged;
	to->refunded += more->refunded;
	to->amount = microusd_plus_capped(to->amount, more->amount);
	to->refunded_amount = microusd_plus_capped(to->refunded_amount, more->refunded_amount);
}

static void read_sum(void *arg, const struct db_row *row)
{
	struct usage *u = arg;
	const struct usage_group sum = {
		.charged = db_row_i64(row, "charged"),
		.refunded = db_row_i64(row, "refunded"),
		.amount = db_row_microusd(row, "charged_microusd"),
		.refunded_amount = db_row_microusd(row, "refunded_microusd"),
	};
	const char *name = NULL;
	char day[WALLTIME_TEXT_SIZE];

	u->rows++;
	u->quarter = db_row_i64(row, "quarter");
	u->key = db_row_id(row, "api_key");
	if (strcmp(u->tool, db_row_text(row, "tool")) != 0) {
		free(u->tool);
		u->tool = xstrdup(db_row_text(row, "tool"));
	}
	switch (u->by) {
	case USAGE_BY_TOOL:
		name = u->tool;
		break;
	case USAGE_BY_DAY:
		day_text(u->quarter / USAGE_QUARTERS_PER_DAY, day);
		name = day;
		break;
	case USAGE_BY_KEY:
		name = db_row_text(row, "prefix");
		break;
	}
	add_up(group(u, name ? name : "local"), &sum);
	add_up(&u->totals, &sum);
}

bool usage_step(struct usage *u, struct db *db)
{
	/* The first comparison is what the index is used for; the second takes up the place. */
	static const char SQL[] =
		"SELECT quarter, usage_sum.tool AS tool, usage_sum.api_key AS api_key, charged, "
		"refunded, charged_microusd, refunded_microusd, prefix "
		"FROM usage_sum LEFT JOIN api_key ON api_key.id = usage_sum.api_key "
		"WHERE usage_sum.org = $1 AND "
		"(quarter, usage_sum.tool, usage_sum.api_key) > ($2, $3, $4) AND quarter < $5 "
		"ORDER BY quarter, usage_sum.tool, usage_sum.api_key LIMIT $6";
	struct db_stmt *s = db_stmt(db, SQL);

	u->rows = 0;
	db_bind_id(s, u->org);
	db_bind_i64(s, u->quarter);
	db_bind_text(s, u->tool);
	db_bind_blob(s, u->key.b, sizeof(u->key.b));
	db_bind_i64(s, (u->day_to + 1) * USAGE_QUARTERS_PER_DAY);
	db_bind_i64(s, USAGE_ROWS_PER_STEP);
	db_queue(s, read_sum, u);
	u->status = db_flush(db);
	return u->status != DB_OK || u->rows < USAGE_ROWS_PER_STEP;
}
