/*
 * ping, get_token_balance, check_balance.
 */

#include "tools/internal.h"
#include "wallet/account.h"

#include <stdlib.h>

struct balance {
	struct tool_call *call;
	struct pay_request refresh;
	void (*done)(struct wallet_query *query);
	struct wallet_view view;
	bool is_there;
	struct reload_view reload;
};

static void ping_start(struct tool_call *call)
{
	static const char REPLY[] =
		"{\"ok\":true,\"name\":\"farebox\",\"version\":\"" FAREBOX_VERSION "\"}";

	tool_call_result(call, slice_of(REPLY));
}

static void balance_finish(struct tool_call *call)
{
	struct balance *b = call->state;

	if (b->refresh.payments)
		payments_abandon(&b->refresh);
	pay_request_finish(&b->refresh);
	reload_view_finish(&b->reload);
	free(b);
}

static bool balance_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct balance *b = call->state;

	if (wallet_view_read(db, call->caller.org, &b->is_there, &b->view) != DB_OK ||
	    reload_view_read(db, call->caller.org, &b->reload) != DB_OK)
		query->is_failed = true;
	return true;
}

/* False: the call has ended. */
static bool balance_is_read(struct tool_call *call)
{
	const struct balance *b = call->state;

	if (call->query.is_failed || !b->is_there) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return false;
	}
	return true;
}

static void refreshed(struct pay_request *refresh)
{
	struct balance *b = refresh->arg;

	tool_call_query(b->call, balance_step, b->done);
}

/* Who paid a moment ago wants to see it: open payments are asked about first. */
static void read_balance(struct tool_call *call, void (*done)(struct wallet_query *query))
{
	struct balance *b = xzalloc(sizeof(*b));

	b->call = call;
	b->done = done;
	b->refresh = (struct pay_request){
		.org = call->caller.org,
		.deadline = call->deadline,
		.done = refreshed,
		.arg = b,
	};
	call->state = b;
	call->finish = balance_finish;
	payments_refresh(call->tools->config.payments, &b->refresh);
}

static void emit_prices(struct emit *e, const struct tool_call *call)
{
	const struct tools *tools = call->tools;

	emit_key(e, "prices");
	emit_array(e);
	for (size_t i = 0; i < tools->count; i++) {
		const struct tool *tool = tools->items[i];
		struct buf price = BUF_INIT;

		if (!tool->priced)
			continue;
		price_members(tool_price(call, tool), &price);
		emit_object(e);
		emit_key_text(e, "tool", tool->name);
		emit_raw_members(e, buf_slice(&price));
		emit_object_end(e);
		buf_finish(&price);
	}
	emit_array_end(e);
}

static void token_balance_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	const struct balance *b = call->state;
	CLEANUP(free_charp) char *trouble = NULL;
	struct buf out = BUF_INIT;
	struct emit e;

	if (!balance_is_read(call))
		return;
	trouble = reload_trouble_now(b->reload.last_trouble, b->view.prefs.auto_reload_enabled);
	emit_init(&e, &out);
	emit_object(&e);
	emit_key_tokens(&e, "tokens", wallet_spendable(&b->view));
	emit_key_tokens(&e, "held_tokens", b->view.held);
	if (b->view.is_live && microusd_sign(b->view.play) > 0)
		emit_key_tokens(&e, "test_tokens", b->view.play);
	emit_key_usd(&e, "usd", wallet_spendable(&b->view));
	emit_key_i64(&e, "tokens_per_usd", MICROUSD_PER_USD / MICROUSD_PER_TOKEN);
	emit_prices(&e, call);
	emit_key(&e, "auto_reload");
	emit_object(&e);
	emit_key_bool(&e, "enabled", b->view.prefs.auto_reload_enabled);
	emit_key_text(&e, "last_error", trouble);
	emit_object_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void token_balance_start(struct tool_call *call)
{
	read_balance(call, token_balance_done);
}

static void check_balance_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	const struct balance *b = call->state;
	CLEANUP(free_charp) char *message = NULL;
	struct buf out = BUF_INIT;
	char usd[MONEY_TEXT_SIZE];
	struct emit e;

	if (!balance_is_read(call))
		return;
	usd_text_people(wallet_spendable(&b->view), usd);
	if (usd[0] == '-')
		message = xasprintf("Balance: -$%s USD available.", usd + 1);
	else
		message = xasprintf("Balance: $%s USD available.", usd);
	emit_init(&e, &out);
	emit_object(&e);
	emit_key_usd(&e, "available_usd", wallet_spendable(&b->view));
	emit_key_text(&e, "message", message);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void check_balance_start(struct tool_call *call)
{
	read_balance(call, check_balance_done);
}

const struct tool_entry TOOLS_BALANCE[] = {
	{.name = "ping", .needs_no_org = true, .start = ping_start},
	{.name = "get_token_balance", .scope = SCOPE_CALL, .start = token_balance_start},
	{.name = "check_balance", .scope = SCOPE_CALL, .start = check_balance_start},
	{.name = NULL},
};
