/*
 * get_billing_preferences, set_billing_preferences, set_auto_reload: the same four preferences,
 * said in USD or in tokens.
 */

#include "tools/internal.h"
#include "wallet/account.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

struct prefs_read {
	struct wallet_view view;
	bool is_there;
};

static void prefs_finish(struct tool_call *call)
{
	free(call->state);
}

static void emit_prefs(struct emit *e, const struct preferences *prefs)
{
	emit_key_bool(e, "auto_reload_enabled", prefs->auto_reload_enabled);
	emit_key_usd(e, "auto_reload_threshold", prefs->auto_reload_threshold);
	emit_key_usd(e, "auto_reload_amount", prefs->auto_reload_amount);
	emit_key(e, "budget_limit");
	if (prefs->has_budget)
		emit_usd(e, prefs->budget_limit);
	else
		emit_null(e);
}

static bool get_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct prefs_read *read = call->state;

	if (wallet_view_read(db, call->caller.org, &read->is_there, &read->view) != DB_OK)
		query->is_failed = true;
	return true;
}

static void get_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	const struct prefs_read *read = call->state;
	struct buf out = BUF_INIT;
	struct emit e;

	if (query->is_failed || !read->is_there) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	emit_init(&e, &out);
	emit_object(&e);
	emit_prefs(&e, &read->view.prefs);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void get_start(struct tool_call *call)
{
	call->state = xzalloc(sizeof(struct prefs_read));
	call->finish = prefs_finish;
	tool_call_query(call, get_step, get_done);
}

static void emit_stored(struct emit *e, const struct tool_call *call,
			const struct preferences *prefs)
{
	if (strcmp(call->tool->name, "set_billing_preferences") == 0) {
		emit_key_text(e, "message", "Billing preferences updated.");
		emit_prefs(e, prefs);
		return;
	}
	emit_key_bool(e, "enabled", prefs->auto_reload_enabled);
	emit_key_tokens(e, "threshold_tokens", prefs->auto_reload_threshold);
	emit_key_usd(e, "topup_usd", prefs->auto_reload_amount);
	emit_key(e, "budget_limit");
	if (prefs->has_budget)
		emit_usd(e, prefs->budget_limit);
	else
		emit_null(e);
}

/* Only the operator goes beyond what he set himself. */
static void refuse_budget(struct tool_call *call, const struct wallet_view *view)
{
	struct tool_error error;
	char most[MONEY_TEXT_SIZE];
	struct emit e;

	usd_text_people(view->ceiling, most);
	tool_error_init(&error, ERROR_FORBIDDEN);
	tool_error_message(
		&error, "budget_limit: the operator allows $%s a month at most (budget.max_usd).",
		most);
	tool_error_hint(&error,
			"Nothing was changed. Set budget_limit to at most %s, or ask the operator "
			"to raise budget.max_usd in farebox.json.",
			most);
	emit_init(&e, &error.members);
	emit_key_text(&e, "field", "budget_limit");
	emit_key_usd(&e, "max_usd", view->ceiling);
	tool_call_error(call, &error);
}

static void on_stored(struct wallet_cmd *cmd)
{
	struct tool_call *call = cmd->arg;
	struct buf out = BUF_INIT;
	struct emit e;

	if (cmd->outcome == WALLET_FORBIDDEN) {
		refuse_budget(call, &cmd->after);
		return;
	}
	if (cmd->outcome != WALLET_OK) {
		tool_call_fail(call, cmd->outcome == WALLET_UNAVAILABLE ? ERROR_STORE_UNAVAILABLE
									: ERROR_UNAUTHENTICATED);
		return;
	}
	payments_watch(call->tools->config.payments, call->caller.org);
	emit_init(&e, &out);
	emit_object(&e);
	emit_stored(&e, call, &cmd->after.prefs);
	emit_sandbox(&e, call->tools);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void store(struct tool_call *call, struct wallet_cmd *cmd)
{
	cmd->deadline = call->deadline;
	cmd->is_operator = call->options.is_operator && !call->is_keyed;
	cmd->done = on_stored;
	cmd->arg = call;
	wallet_submit(call->tools->config.wallet, cmd);
}

/* An amount of USD or tokens, when it is there; the schema has bounded it. */
static bool read_amount(const struct tool_call *call, const char *name, bool is_tokens,
			bool *out_set, struct microusd *out)
{
	const json_t *value = json_object_get(call->arguments, name);
	struct decimal d;

	if (!value || json_is_null(value))
		return true;
	if (!edge_decimal(value, false, &d))
		return false;
	if (is_tokens ? !microusd_from_tokens_exact(out, d) : !microusd_from_usd_exact(out, d))
		return false;
	*out_set = true;
	return true;
}

static void read_enabled(const struct tool_call *call, const char *name, struct wallet_cmd *cmd)
{
	const json_t *value = json_object_get(call->arguments, name);

	if (!value)
		return;
	cmd->sets_enabled = true;
	cmd->prefs.auto_reload_enabled = json_is_true(value);
}

static void refuse(struct tool_call *call, struct wallet_cmd *cmd, const char *field)
{
	wallet_cmd_destroy(cmd);
	tool_call_bad_field(call, field, "is not an amount that the ledger can hold exactly");
}

static void set_preferences_start(struct tool_call *call)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_PREFERENCES, call->caller);
	struct preferences *prefs = &cmd->prefs;

	read_enabled(call, "auto_reload_enabled", cmd);
	if (!read_amount(call, "auto_reload_threshold", false, &cmd->sets_threshold,
			 &prefs->auto_reload_threshold)) {
		refuse(call, cmd, "auto_reload_threshold");
		return;
	}
	if (!read_amount(call, "auto_reload_amount", false, &cmd->sets_amount,
			 &prefs->auto_reload_amount)) {
		refuse(call, cmd, "auto_reload_amount");
		return;
	}
	if (!read_amount(call, "budget_limit", false, &prefs->has_budget, &prefs->budget_limit)) {
		refuse(call, cmd, "budget_limit");
		return;
	}
	/* null takes the limit away. */
	cmd->sets_budget = json_object_get(call->arguments, "budget_limit") != NULL;
	store(call, cmd);
}

static void set_auto_reload_start(struct tool_call *call)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_PREFERENCES, call->caller);
	struct preferences *prefs = &cmd->prefs;

	read_enabled(call, "enabled", cmd);
	if (!read_amount(call, "threshold_tokens", true, &cmd->sets_threshold,
			 &prefs->auto_reload_threshold)) {
		refuse(call, cmd, "threshold_tokens");
		return;
	}
	if (!read_amount(call, "topup_usd", false, &cmd->sets_amount, &prefs->auto_reload_amount)) {
		refuse(call, cmd, "topup_usd");
		return;
	}
	store(call, cmd);
}

const struct tool_entry TOOLS_PREFERENCES[] = {
	{.name = "get_billing_preferences", .scope = SCOPE_CALL, .start = get_start},
	{.name = "set_billing_preferences", .scope = SCOPE_BILLING, .start = set_preferences_start},
	{.name = "set_auto_reload", .scope = SCOPE_BILLING, .start = set_auto_reload_start},
	{.name = NULL},
};
