/*
 * get_api_key: the caller's key as far as the store knows it, and a new one when there is none or
 * when it is to be rotated. The key itself is shown only in the answer that makes it.
 */

#include "tools/internal.h"
#include "wallet/account.h"

#include <stdlib.h>
#include <string.h>

struct key_call {
	struct key_view found; /* label owned */
	bool is_found;
	char secret[API_KEY_SIZE];
	char *label;
};

static void key_finish(struct tool_call *call)
{
	struct key_call *k = call->state;

	explicit_bzero(k->secret, sizeof(k->secret));
	free(k->found.label);
	free(k->label);
	free(k);
}

/* The caller's own key; for a caller without one, the org's newest that is valid. */
static bool key_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct key_call *k = call->state;
	struct key_list list;

	if (key_list_read(db, call->caller.org, &list) != DB_OK) {
		query->is_failed = true;
		return true;
	}
	for (size_t i = 0; i < list.count && !k->is_found; i++) {
		struct key_view *key = &list.items[i];

		if (key->is_revoked)
			continue;
		if (!id_is_none(call->caller.key) && !id_eq(call->caller.key, key->id))
			continue;
		k->found = *key;
		key->label = NULL;
		k->is_found = true;
	}
	key_list_finish(&list);
	return true;
}

static void reply_key(struct tool_call *call, const char *prefix, const char *label,
		      struct walltime created)
{
	struct key_call *k = call->state;
	struct buf out = BUF_INIT;
	struct emit e;

	emit_init(&e, &out);
	emit_object(&e);
	emit_key_text(&e, "prefix", prefix);
	emit_key_text(&e, "label", label);
	emit_key(&e, "created");
	emit_walltime(&e, created);
	if (k->secret[0])
		emit_key_text(&e, "api_key", k->secret);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

/* The key that is to be replaced can do what the caller cannot: its successor would be the
 * caller's. */
static void refuse_rotation(struct tool_call *call)
{
	const struct key_call *k = call->state;

	for (size_t i = 0; scope_at(i); i++) {
		if (k->found.scopes & scope_at(i) && !tool_call_may(call, scope_at(i))) {
			tool_call_forbid(call, scope_at(i));
			return;
		}
	}
	tool_call_fail(call, ERROR_FORBIDDEN);
}

static void on_made(struct wallet_cmd *cmd)
{
	struct tool_call *call = cmd->arg;

	if (cmd->outcome == WALLET_FORBIDDEN) {
		refuse_rotation(call);
		return;
	}
	if (cmd->outcome != WALLET_OK) {
		tool_call_fail(call, cmd->outcome == WALLET_UNAUTHENTICATED
					     ? ERROR_UNAUTHENTICATED
					     : ERROR_STORE_UNAVAILABLE);
		return;
	}
	reply_key(call, cmd->prefix, cmd->label, cmd->now);
}

static void make_key(struct tool_call *call)
{
	struct key_call *k = call->state;
	struct wallet *wallet = call->tools->config.wallet;
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_KEY_CREATE, call->caller);

	api_key_make(k->secret);
	cmd->id = wallet_new_id(wallet);
	cmd->hash = api_key_hash(slice_of(k->secret));
	cmd->prefix = xstrndup(k->secret, API_KEY_PREFIX_LEN);
	cmd->label = xstrdup(k->is_found ? k->found.label : "default");
	if (k->is_found)
		cmd->replaces = k->found.id;
	else
		cmd->scopes = SCOPE_CALL;
	cmd->deadline = call->deadline;
	cmd->done = on_made;
	cmd->arg = call;
	wallet_submit(wallet, cmd);
}

static void key_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	struct key_call *k = call->state;

	if (query->is_failed) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	if (k->is_found && !json_is_true(json_object_get(call->arguments, "rotate"))) {
		reply_key(call, k->found.prefix, k->found.label, k->found.created);
		return;
	}
	/* The caller's own was revoked a moment ago; or there is none to show, and showing is all
	 * that he may ask for. */
	if (!k->is_found && call->is_keyed)
		tool_call_fail(call, ERROR_UNAUTHENTICATED);
	else if (!tool_call_may(call, SCOPE_BILLING))
		tool_call_forbid(call, SCOPE_BILLING);
	else
		make_key(call);
}

static enum scope needs_also(const struct tool_call *call)
{
	return json_is_true(json_object_get(call->arguments, "rotate")) ? SCOPE_BILLING : 0;
}

static void start(struct tool_call *call)
{
	call->state = xzalloc(sizeof(struct key_call));
	call->finish = key_finish;
	tool_call_query(call, key_step, key_done);
}

const struct tool_entry TOOLS_KEYS[] = {
	{.name = "get_api_key", .scope = SCOPE_CALL, .needs_also = needs_also, .start = start},
	{.name = NULL},
};
