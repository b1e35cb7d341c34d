/*
 * The way of a call: who asks, are the arguments right, run, reply.
 */

#include "base/limits.h"
#include "base/log.h"
#include "base/pool.h"
#include "tools/internal.h"
#include "wallet/account.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

void tool_reply_init(struct tool_reply *reply)
{
	*reply = (struct tool_reply){.http_status = 200};
}

void tool_reply_finish(struct tool_reply *reply)
{
	buf_finish(&reply->content);
	buf_finish(&reply->structured);
	buf_finish(&reply->meta);
	free(reply->pay.url);
	free(reply->pay.message);
	free(reply->pay.payment);
	free(reply->pay.state);
}

static void put_text_content(struct tool_reply *reply, struct slice text)
{
	struct emit e;

	emit_init(&e, &reply->content);
	emit_array(&e);
	emit_object(&e);
	emit_key_text(&e, "type", "text");
	emit_key(&e, "text");
	emit_slice(&e, text);
	emit_object_end(&e);
	emit_array_end(&e);
	emit_done(&e);
}

void tool_reply_structured(struct tool_reply *reply, struct slice object)
{
	buf_append(&reply->structured, object.p, object.len);
	put_text_content(reply, object);
}

void tool_reply_error(struct tool_reply *reply, const struct tool_error *error)
{
	struct buf object = BUF_INIT;
	struct emit e;

	tool_error_write(error, &object);
	reply->is_error = true;
	reply->http_status = error_code_http_status(error->code);
	if (!reply->content.len)
		put_text_content(reply, buf_slice(&object));
	emit_init(&e, &reply->meta);
	e.wants_comma = reply->meta.len > 0;
	emit_key(&e, "farebox/error");
	emit_raw(&e, buf_slice(&object));
	buf_finish(&object);
}

static void drop(struct tool_call *call)
{
	struct tools *tools = call->tools;

	wallet_query_cancel(tools->config.wallet, &call->query);
	if (call->finish)
		call->finish(call);
	if (call->prev)
		call->prev->next = call->next;
	else
		tools->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	tools->calls_count--;
	tools->calls_bytes -= call->options.bytes;
	json_decref(call->arguments);
	free(call->idempotency_key);
	free(call->client_name);
	free(call->request_state);
	free(call->org_name);
	pool_free(call);
}

void tool_call_reply(struct tool_call *call, struct tool_reply *reply)
{
	tool_done_fn *done = call->done;
	void *arg = call->arg;

	drop(call);
	done(arg, reply);
	tool_reply_finish(reply);
}

void tool_call_result(struct tool_call *call, struct slice object)
{
	struct tool_reply reply;

	tool_reply_init(&reply);
	tool_reply_structured(&reply, object);
	tool_call_reply(call, &reply);
}

void tool_call_error(struct tool_call *call, TAKES struct tool_error *error)
{
	struct tool_reply reply;

	tool_reply_init(&reply);
	tool_reply_error(&reply, error);
	tool_error_finish(error);
	tool_call_reply(call, &reply);
}

void tool_error_store(const struct tools *tools, struct tool_error *error)
{
	const struct wallet *wallet = tools->config.wallet;

	tool_error_init(error,
			wallet_is_broken(wallet) ? ERROR_STORE_BROKEN : ERROR_STORE_UNAVAILABLE);
	if (*wallet_trouble(wallet))
		tool_error_message(error, "The wallet's store cannot be used%s: %s",
				   wallet_is_broken(wallet) ? "" : " now", wallet_trouble(wallet));
}

void tool_call_fail(struct tool_call *call, enum error_code code)
{
	struct tool_error error;

	if (code == ERROR_STORE_UNAVAILABLE)
		tool_error_store(call->tools, &error);
	else
		tool_error_init(&error, code);
	tool_call_error(call, &error);
}

void tool_call_bad_field(struct tool_call *call, const char *field, const char *text)
{
	struct tool_error error;

	tool_error_init(&error, ERROR_INVALID_ARGUMENTS);
	tool_error_field(&error, field, text);
	tool_call_error(call, &error);
}

bool tool_call_may(const struct tool_call *call, enum scope scope)
{
	return !scope || call->caller.scopes & scope;
}

void tool_call_forbid(struct tool_call *call, enum scope lacking)
{
	struct tool_error error;
	struct emit e;

	tool_error_init(&error, ERROR_FORBIDDEN);
	tool_error_message(&error, "The key lacks the scope %s, which this call of %s needs.",
			   scope_name(lacking), call->tool->name);
	tool_error_hint(&error,
			"Nothing was done, and a retry does not help. Ask the user, or the "
			"operator for a key that has the scope %s: 'farebox keys create --scopes'.",
			scope_name(lacking));
	emit_init(&e, &error.members);
	emit_key_text(&e, "scope", scope_name(lacking));
	tool_call_error(call, &error);
}

struct tool_call *tool_call_of(struct wallet_query *query)
{
	return container_of(query, struct tool_call, query);
}

void tool_call_query(struct tool_call *call,
		     bool (*step)(struct wallet_query *query, struct db *db),
		     void (*done)(struct wallet_query *query))
{
	call->query.step = step;
	call->query.done = done;
	call->query.name = call->tool->name;
	call->query.deadline = call->deadline;
	wallet_query(call->tools->config.wallet, &call->query);
}

void emit_sandbox(struct emit *e, const struct tools *tools)
{
	if (payments_is_sandbox(tools->config.payments))
		emit_key_bool(e, "sandbox", true);
}

void tool_call_end_cancelled(struct tool_call *call)
{
	struct tool_error error;

	tool_error_init(&error, ERROR_UPSTREAM_TIMEOUT);
	tool_error_message(&error, "The call was cancelled.");
	tool_call_error(call, &error);
}

/* The one place where it is decided who may call what. */
static bool is_allowed(const struct tool_call *call, enum scope *out_lacking)
{
	const struct tool_entry *entry = call->tool->entry;

	*out_lacking = entry->scope;
	if (!tool_call_may(call, entry->scope))
		return false;
	*out_lacking = entry->needs_also ? entry->needs_also(call) : 0;
	return tool_call_may(call, *out_lacking);
}

static void run(struct tool_call *call)
{
	struct schema_fault fault;
	enum scope lacking;

	/* While its caller was looked up. What cannot be stopped is run all the same. */
	if (call->is_cancelled && call->tool->entry->cancel) {
		tool_call_end_cancelled(call);
		return;
	}
	if (!call->is_keyed)
		call->caller.scopes = call->options.is_operator ? SCOPES_ALL : SCOPES_LOCAL;
	if (!is_allowed(call, &lacking)) {
		tool_call_forbid(call, lacking);
		return;
	}
	if (!schema_check(tool_input(call->tool), call->arguments, &fault)) {
		tool_call_bad_field(call, fault.field, fault.text);
		return;
	}
	call->tool->entry->start(call);
}

static void cache_caller(struct tools *tools, const struct tool_call *call)
{
	tools->has_cached = true;
	tools->cached_opening = wallet_openings(tools->config.wallet);
	tools->cached_is_keyed = call->is_keyed;
	tools->cached_hash = call->key_hash;
	tools->cached = call->caller;
}

/* Only a default org is there for ever; a key may be revoked between two calls. A paid call looks
 * at its key again in the batch of its hold. */
static bool take_cached_caller(const struct tools *tools, struct tool_call *call)
{
	if (!tools->has_cached || tools->cached_is_keyed != call->is_keyed ||
	    tools->cached_opening != wallet_openings(tools->config.wallet))
		return false;
	/* Prices go by the name of the org, which may have another since. */
	if (tools->config.has_org_prices)
		return false;
	if (call->is_keyed &&
	    (!call->tool->priced || !digest_eq(&tools->cached_hash, &call->key_hash)))
		return false;
	call->caller = tools->cached;
	return true;
}

static bool auth_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct org_view org = {0};
	bool found = false;

	if (call->is_keyed) {
		if (key_find_by_hash(db, &call->key_hash, &found, &call->caller) != DB_OK)
			query->is_failed = true;
	} else if (org_find_default(db, &found, &org) != DB_OK) {
		query->is_failed = true;
	} else if (*wallet_default_trouble(call->tools->config.wallet)) {
		found = false;
	} else if (found) {
		call->caller = (struct caller){.org = org.id};
	}
	if (found && call->tools->config.has_org_prices) {
		bool has_org = true;

		if (call->is_keyed && org_find(db, call->caller.org, &has_org, &org) != DB_OK)
			query->is_failed = true;
		if (has_org && org.name)
			call->org_name = xstrdup(org.name);
	}
	org_view_finish(&org);
	call->has_caller = found;
	return true;
}

/* Whoever comes without a key is not given another org than the configuration names. */
static void refuse_caller(struct tool_call *call)
{
	const char *trouble = wallet_default_trouble(call->tools->config.wallet);
	struct tool_error error;

	if (call->is_keyed || !*trouble) {
		tool_call_fail(call, ERROR_UNAUTHENTICATED);
		return;
	}
	tool_error_init(&error, ERROR_STORE_UNAVAILABLE);
	error.is_final = true;
	tool_error_message(&error, "There is no default org: %s.", trouble);
	tool_error_hint(&error, "Nothing was charged. The operator has to set that right, or to "
				"give a key: FAREBOX_API_KEY.");
	tool_call_error(call, &error);
}

static void auth_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);

	if (query->is_failed) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	if (!call->has_caller) {
		refuse_caller(call);
		return;
	}
	cache_caller(call->tools, call);
	run(call);
}

static void authorise(struct tool_call *call, const char *key)
{
	if (!key && call->tools->config.needs_key) {
		tool_call_fail(call, ERROR_UNAUTHENTICATED);
		return;
	}
	if (key && !api_key_looks_right(slice_of(key))) {
		tool_call_fail(call, ERROR_UNAUTHENTICATED);
		return;
	}
	if (!key && call->tool->entry->needs_no_org) {
		run(call);
		return;
	}
	call->is_keyed = key != NULL;
	if (key)
		call->key_hash = api_key_hash(slice_of(key));
	if (take_cached_caller(call->tools, call)) {
		call->has_caller = true;
		run(call);
		return;
	}
	tool_call_query(call, auth_step, auth_done);
}

struct tool_call *tools_call(struct tools *tools, const struct tool *tool, json_t *arguments,
			     const char *key, const struct tool_options *options,
			     struct boottime deadline, tool_progress_fn *progress,
			     tool_done_fn *done, void *arg)
{
	struct tool_call *call = pool_zalloc(sizeof(*call));

	call->tools = tools;
	call->tool = tool;
	call->arguments = arguments ? json_incref(arguments) : json_object();
	call->options = *options;
	if (options->idempotency_key)
		call->idempotency_key = xstrdup(options->idempotency_key);
	if (options->client_name)
		call->client_name = xstrdup(options->client_name);
	if (options->request_state)
		call->request_state = xstrdup(options->request_state);
	call->options.request_state = call->request_state;
	call->options.idempotency_key = call->idempotency_key;
	call->options.client_name = call->client_name;
	call->deadline = deadline;
	call->progress = progress;
	call->done = done;
	call->arg = arg;
	call->next = tools->calls;
	if (call->next)
		call->next->prev = call;
	tools->calls = call;
	tools->calls_count++;
	tools->calls_bytes += options->bytes;
	authorise(call, key);
	return call;
}

void tool_call_cancel(struct tool_call *call)
{
	if (call->is_cancelled)
		return;
	call->is_cancelled = true;
	if (call->tool->entry->cancel)
		call->tool->entry->cancel(call);
}

bool tool_call_wind_up(struct tool_call *call)
{
	const struct tool_entry *entry = call->tool->entry;

	if (!entry->is_charged || !entry->is_charged(call))
		return false;
	tool_call_cancel(call);
	return true;
}

void tools_cancel_all(struct tools *tools)
{
	/* A cancelled call may end, and leave the list, at once. */
	for (size_t n = tools->calls_count; n; n--) {
		struct tool_call *call = tools->calls;

		while (call && call->is_cancelled)
			call = call->next;
		if (!call)
			return;
		tool_call_cancel(call);
	}
}

size_t tools_in_flight(const struct tools *tools)
{
	return tools->calls_count;
}

size_t tools_bytes_in_flight(const struct tools *tools)
{
	return tools->calls_bytes;
}

static bool read_max_tokens(const json_t *value, struct tool_options *out, struct err *err)
{
	struct decimal tokens;

	if (!edge_decimal(value, false, &tokens) || decimal_sign(tokens) < 0 ||
	    !microusd_from_tokens_exact(&out->max_tokens, tokens))
		return err_set(err, "_meta.farebox/maxTokens: must be a number of tokens that is "
				    "not negative, with at most four decimals");
	out->has_max_tokens = true;
	return true;
}

static bool read_idempotency_key(const json_t *value, struct tool_options *out, struct err *err)
{
	struct slice key = edge_slice(value);

	if (!json_is_string(value) || !key.len || key.len > IDEMPOTENCY_KEY_BYTES_MAX ||
	    memchr(key.p, '\0', key.len))
		return err_set(err, "_meta.farebox/idempotencyKey: must be a text of 1 to %d bytes",
			       IDEMPOTENCY_KEY_BYTES_MAX);
	out->idempotency_key = key.p;
	return true;
}

bool tool_options_read(const json_t *meta, struct tool_options *out, struct err *err)
{
	const json_t *max, *key;

	if (!meta)
		return true;
	max = json_object_get(meta, "farebox/maxTokens");
	key = json_object_get(meta, "farebox/idempotencyKey");
	return (!max || read_max_tokens(max, out, err)) &&
	       (!key || read_idempotency_key(key, out, err));
}
