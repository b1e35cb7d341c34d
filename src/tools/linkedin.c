/*
 * connect_linkedin, list_connected_linkedin_accounts: the sessions that tools with
 * ${session:linkedin} use. A session is sealed before it is kept and is in no answer.
 */

#include "base/limits.h"
#include "providers/session_store.h"
#include "tools/internal.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

#define SITE "linkedin"

struct linkedin {
	struct session_list list;
};

static void linkedin_finish(struct tool_call *call)
{
	struct linkedin *l = call->state;

	session_list_finish(&l->list);
	free(l);
}

static bool list_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct linkedin *l = call->state;

	if (!session_list_read(db, call->caller.org, SITE, &l->list))
		query->is_failed = true;
	return true;
}

static void begin(struct tool_call *call, void (*done)(struct wallet_query *query))
{
	call->state = xzalloc(sizeof(struct linkedin));
	call->finish = linkedin_finish;
	tool_call_query(call, list_step, done);
}

static void list_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	const struct linkedin *l = call->state;
	struct buf out = BUF_INIT;
	struct emit e;

	if (query->is_failed) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	emit_init(&e, &out);
	emit_object(&e);
	emit_key(&e, "accounts");
	emit_array(&e);
	for (size_t i = 0; i < l->list.count; i++) {
		emit_object(&e);
		emit_key_text(&e, "account", l->list.items[i].account);
		emit_key(&e, "connected_at");
		emit_walltime(&e, l->list.items[i].connected);
		emit_object_end(&e);
	}
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void list_start(struct tool_call *call)
{
	begin(call, list_done);
}

static void on_connected(struct wallet_cmd *cmd)
{
	struct tool_call *call = cmd->arg;
	struct buf out = BUF_INIT;
	struct emit e;

	if (cmd->outcome != WALLET_OK) {
		tool_call_fail(call, cmd->outcome == WALLET_UNAUTHENTICATED
					     ? ERROR_UNAUTHENTICATED
					     : ERROR_STORE_UNAVAILABLE);
		return;
	}
	emit_init(&e, &out);
	emit_object(&e);
	emit_key_text(&e, "account",
		      json_string_value(json_object_get(call->arguments, "account")));
	emit_key_bool(&e, "connected", true);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

/* It becomes part of a header. */
static bool is_session(struct slice session)
{
	for (size_t i = 0; i < session.len; i++) {
		if ((unsigned char)session.p[i] < 0x20 || session.p[i] == 0x7f)
			return false;
	}
	return session.len > 0;
}

static bool has_room(const struct session_list *list, const char *account)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].account, account) == 0)
			return true;
	}
	return list->count < SESSION_ACCOUNTS_MAX;
}

static void keep(struct tool_call *call, const char *account, struct slice session)
{
	struct wallet *wallet = call->tools->config.wallet;
	struct wallet_cmd *cmd;
	struct err err = ERR_INIT;
	struct rider *rider = session_rider(call->tools->config.sessions, call->caller.org, SITE,
					    account, session, clock_wall(), &err);
	struct tool_error error;

	if (!rider) {
		tool_error_init(&error, ERROR_STORE_UNAVAILABLE);
		tool_error_message(&error, "The session cannot be sealed: %s", err.text);
		tool_call_error(call, &error);
		return;
	}
	cmd = wallet_cmd_create(WALLET_OP_RIDERS, call->caller);
	wallet_cmd_add_rider(cmd, rider);
	cmd->deadline = call->deadline;
	cmd->done = on_connected;
	cmd->arg = call;
	wallet_submit(wallet, cmd);
}

static void connect_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	const struct linkedin *l = call->state;
	const char *account = json_string_value(json_object_get(call->arguments, "account"));
	struct slice session = edge_slice(json_object_get(call->arguments, "session"));

	if (query->is_failed)
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
	else if (!is_session(session))
		tool_call_bad_field(call, "session", "must be one line without control characters");
	else if (!has_room(&l->list, account))
		tool_call_bad_field(call, "account", "is one more than may be connected");
	else
		keep(call, account, session);
}

static void connect_start(struct tool_call *call)
{
	struct slice account = edge_slice(json_object_get(call->arguments, "account"));

	if (!is_session(account)) {
		tool_call_bad_field(call, "account", "must be one line without control characters");
		return;
	}
	begin(call, connect_done);
}

const struct tool_entry TOOLS_LINKEDIN[] = {
	{.name = "connect_linkedin", .scope = SCOPE_CALL, .start = connect_start},
	{.name = "list_connected_linkedin_accounts", .scope = SCOPE_CALL, .start = list_start},
	{.name = NULL},
};
