/*
 * get_usage: what the org's calls came to, from its ledger.
 */

#include "wallet/usage.h"
#include "tools/internal.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

#define DAYS_MAX 3660

static void usage_call_finish(struct tool_call *call)
{
	struct usage *u = call->state;

	usage_finish(u);
	free(u);
}

static bool step(struct wallet_query *query, struct db *db)
{
	struct usage *u = tool_call_of(query)->state;
	bool is_over = usage_step(u, db);

	if (u->status != DB_OK)
		query->is_failed = true;
	return is_over;
}

static void emit_sums(struct emit *e, const struct usage_group *g)
{
	emit_key_i64(e, "calls", g->calls);
	emit_key_i64(e, "charged", g->charged);
	emit_key_i64(e, "refunded", g->refunded);
	emit_key_tokens(e, "tokens", g->amount);
	emit_key_tokens(e, "refunded_tokens", g->refunded_amount);
}

static void emit_usage(struct emit *e, const struct usage *u, const char *by)
{
	char from[WALLTIME_TEXT_SIZE], to[WALLTIME_TEXT_SIZE];

	day_text(u->day_from, from);
	day_text(u->day_to, to);
	emit_object(e);
	emit_key_text(e, "from", from);
	emit_key_text(e, "to", to);
	emit_key_text(e, "group_by", by);
	emit_key(e, "groups");
	emit_array(e);
	for (size_t i = 0; i < u->groups_count; i++) {
		emit_object(e);
		emit_key_text(e, "group", u->groups[i].name);
		emit_sums(e, &u->groups[i]);
		emit_object_end(e);
	}
	emit_array_end(e);
	emit_key(e, "totals");
	emit_object(e);
	emit_sums(e, &u->totals);
	emit_object_end(e);
	emit_object_end(e);
	emit_done(e);
}

static const char *group_by(const struct tool_call *call)
{
	const char *by = json_string_value(json_object_get(call->arguments, "group_by"));

	return by ? by : "tool";
}

static void done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	struct buf out = BUF_INIT;
	struct emit e;

	if (query->is_failed) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	emit_init(&e, &out);
	emit_usage(&e, call->state, group_by(call));
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

/* An optional day; false when the call has ended. */
static bool read_day(struct tool_call *call, const char *name, int64_t *out)
{
	const json_t *value = json_object_get(call->arguments, name);

	if (!value || day_parse(edge_slice(value), out))
		return true;
	tool_call_bad_field(call, name, "is not a date (YYYY-MM-DD)");
	return false;
}

static void start(struct tool_call *call)
{
	int64_t to = walltime_day(wallet_now(call->tools->config.wallet)), from;
	const char *by = group_by(call);
	struct usage *u;

	if (!read_day(call, "to", &to))
		return;
	/* Without a first day: from the start of the last day's month. */
	from = walltime_day(
		walltime_of_month(walltime_month((struct walltime){.ms = to * INT64_C(86400000)})));
	if (!read_day(call, "from", &from))
		return;
	if (from > to) {
		tool_call_bad_field(call, "from", "is after to");
		return;
	}
	if (to - from > DAYS_MAX) {
		tool_call_bad_field(call, "from", "is more than ten years before to");
		return;
	}
	u = xzalloc(sizeof(*u));
	usage_init(u, call->caller.org, from, to,
		   strcmp(by, "day") == 0   ? USAGE_BY_DAY
		   : strcmp(by, "key") == 0 ? USAGE_BY_KEY
					    : USAGE_BY_TOOL);
	call->state = u;
	call->finish = usage_call_finish;
	call->query.is_long = true;
	call->query.org = call->caller.org;
	tool_call_query(call, step, done);
}

const struct tool_entry TOOLS_USAGE[] = {
	{.name = "get_usage", .scope = SCOPE_CALL, .start = start},
	{.name = NULL},
};
