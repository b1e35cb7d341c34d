/*
 * quote: what a call would hold, and whether it can be paid now. Nothing is reserved.
 */

#include "tools/internal.h"
#include "wallet/account.h"
#include "json/edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct quote {
	struct tools_wait wait; /* for an upstream to list it */
	const struct tool *tool;
	struct microusd bound;
	struct microusd key_room;
	struct wallet_view view;
	bool is_there;
};

static void quote_finish(struct tool_call *call)
{
	struct quote *q = call->state;

	tools_wait_cancel(&q->wait);
	free(q);
}

static bool step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct quote *q = call->state;

	if (wallet_view_read(db, call->caller.org, &q->is_there, &q->view) != DB_OK ||
	    wallet_ceiling_read(call->tools->config.wallet, db, &q->view) != DB_OK)
		query->is_failed = true;
	if (!id_is_none(call->caller.key) &&
	    key_room_read(db, call->caller.key, &q->key_room) != DB_OK)
		query->is_failed = true;
	return true;
}

static bool fits_view(const struct wallet_view *view, struct microusd bound)
{
	struct preferences prefs = wallet_bound_prefs(view);
	struct microusd used;

	if (microusd_cmp(wallet_spendable(view), bound) < 0)
		return false;
	if (!prefs.has_budget)
		return true;
	return microusd_add(&used, view->captured_month, view->held) &&
	       microusd_add(&used, used, bound) && microusd_cmp(used, prefs.budget_limit) <= 0;
}

static void done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	const struct quote *q = call->state;
	const struct priced_tool *priced = q->tool->priced;
	const char *kind = priced ? price_kind_name(tool_price(call, q->tool)->kind) : "free";
	bool is_affordable = !priced || (microusd_cmp(q->bound, q->key_room) <= 0 &&
					 fits_view(&q->view, q->bound));
	struct buf out = BUF_INIT;
	struct emit e;

	if (query->is_failed || !q->is_there) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	emit_init(&e, &out);
	emit_object(&e);
	emit_key_text(&e, "tool", q->tool->name);
	emit_key_text(&e, "kind", kind);
	emit_key_tokens(&e, "hold_tokens", q->bound);
	emit_key_usd(&e, "max_usd", q->bound);
	emit_key_bool(&e, "affordable", is_affordable);
	emit_key_tokens(&e, "balance_tokens", wallet_spendable(&q->view));
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

/* What a call with these arguments would hold, for this caller. False: the call has ended. */
static bool find_bound(struct tool_call *call, const struct tool *tool, const json_t *arguments,
		       struct microusd *out)
{
	CLEANUP(free_charp) char *field = NULL;
	struct err err = ERR_INIT;
	const char *colon;

	*out = MICROUSD_ZERO;
	if (!tool->priced || price_bound(tool_price(call, tool), arguments,
					 tool_own_key(call->tools, tool) != NULL, out, &err))
		return true;
	colon = strstr(err.text, ": ");
	CHECK(colon);
	field = xasprintf("arguments.%.*s", (int)(colon - err.text), err.text);
	tool_call_bad_field(call, field, colon + 2);
	return false;
}

static void refuse_unknown(struct tool_call *call, struct slice name)
{
	struct err err = ERR_INIT;
	struct tool_error error;

	if (tools_are_well(call->tools, name, &err)) {
		tool_call_bad_field(call, "tool", "there is no such tool");
		return;
	}
	tool_error_init(&error, ERROR_UPSTREAM_ERROR);
	tool_error_message(&error, "%.*s: %s", (int)name.len, name.p, err.text);
	tool_error_hint(&error, "Nothing was charged. Ask again when its server runs.");
	tool_call_error(call, &error);
}

static void quote_tool(void *arg)
{
	struct tool_call *call = arg;
	struct slice name = edge_slice(json_object_get(call->arguments, "tool"));
	const json_t *arguments = json_object_get(call->arguments, "arguments");
	struct quote *q = call->state;
	struct schema_fault fault;

	q->tool = tools_find(call->tools, name);
	if (!q->tool) {
		refuse_unknown(call, name);
		return;
	}
	if (arguments && !schema_check(tool_input(q->tool), arguments, &fault)) {
		CLEANUP(free_charp)
		char *field = xasprintf("arguments%s%s", *fault.field ? "." : "", fault.field);

		tool_call_bad_field(call, field, fault.text);
		return;
	}
	if (!find_bound(call, q->tool, arguments, &q->bound))
		return;
	q->key_room = (struct microusd){INT64_MAX};
	tool_call_query(call, step, done);
}

static void start(struct tool_call *call)
{
	struct slice name = edge_slice(json_object_get(call->arguments, "tool"));
	struct quote *q = xzalloc(sizeof(*q));

	call->state = q;
	call->finish = quote_finish;
	/* One that is known already does not wait. */
	if (tools_await(call->tools, name, NULL, &q->wait, quote_tool, call))
		quote_tool(call);
}

/* Only a wait is worth ending; a look at the store is short. */
static void cancel(struct tool_call *call)
{
	const struct quote *q = call->state;

	if (q && q->wait.tools)
		tool_call_end_cancelled(call);
}

const struct tool_entry TOOLS_QUOTE[] = {
	{.name = "quote", .scope = SCOPE_CALL, .start = start, .cancel = cancel},
	{.name = NULL},
};
