#include "mcp/session.h"

#include "base/limits.h"
#include "json/edge.h"

#include <string.h>

#define NAME_BYTES_SHOWN 128

/* Of 2025-11-25; MUST NOT be sent on 2026-07-28. */
#define URL_ELICITATION_REQUIRED (-32042)
/* The name of our one question to the user. */
#define INPUT_TOP_UP             "topup"

/* tools/call of both eras: what differs is only who says what the client can do, and the members
 * around the reply. */

/* A page to pay at, and a call to come: what the client does with it differs by era. */
static void pay_write_modern(struct mcp_session *s, const char *id, const struct tool_pay *pay)
{
	struct emit e;

	reply_begin_as(s, id, "input_required", &e);
	emit_key(&e, "inputRequests");
	emit_object(&e);
	emit_key(&e, INPUT_TOP_UP);
	emit_object(&e);
	emit_key_text(&e, "method", "elicitation/create");
	emit_key(&e, "params");
	emit_object(&e);
	emit_key_text(&e, "mode", "url");
	emit_key_text(&e, "url", pay->url);
	emit_key_text(&e, "message", pay->message);
	emit_object_end(&e);
	emit_object_end(&e);
	emit_object_end(&e);
	emit_key_text(&e, "requestState", pay->state);
	reply_end(s, NULL, true, (struct slice){.len = 0}, &e);
}

static void pay_write_legacy(struct mcp_session *s, const char *id, struct mcp_batch *batch,
			     const struct tool_pay *pay)
{
	struct buf data = BUF_INIT;
	struct emit e;

	emit_init(&e, &data);
	emit_object(&e);
	emit_key(&e, "elicitations");
	emit_array(&e);
	emit_object(&e);
	emit_key_text(&e, "mode", "url");
	emit_key_text(&e, "elicitationId", pay->payment);
	emit_key_text(&e, "url", pay->url);
	emit_key_text(&e, "message", pay->message);
	emit_object_end(&e);
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	CHECK(!s->out.len);
	rpc_write_error(&s->out, id, URL_ELICITATION_REQUIRED, pay->message, buf_slice(&data));
	reply_send(s, batch);
	buf_finish(&data);
}

static void reply_write(struct mcp_session *s, const char *id, struct mcp_batch *batch,
			bool is_modern, const struct tool_reply *reply)
{
	struct slice content = buf_slice(&reply->content);
	struct emit e;

	if (reply->pay.url && is_modern) {
		pay_write_modern(s, id, &reply->pay);
		return;
	}
	if (reply->pay.url) {
		pay_write_legacy(s, id, batch, &reply->pay);
		return;
	}
	if (reply->invalid_params) {
		CHECK(!s->out.len);
		rpc_write_error(&s->out, id, RPC_INVALID_PARAMS, reply->invalid_params,
				(struct slice){.len = 0});
		reply_send(s, batch);
		return;
	}
	reply_begin(s, id, is_modern, &e);
	emit_key_raw(&e, "content", content.len ? content : slice_of("[]"));
	/* A widely used client checks it against the output schema even on an error. */
	if (reply->structured.len && !reply->is_error)
		emit_key_raw(&e, "structuredContent", buf_slice(&reply->structured));
	if (reply->is_error)
		emit_key_bool(&e, "isError", true);
	reply_end(s, batch, is_modern, buf_slice(&reply->meta), &e);
}

static void on_done(void *arg, struct tool_reply *reply)
{
	struct inflight *entry = arg;
	struct mcp_session *s = entry->session;

	if (s) {
		session_untrack(entry);
		reply_write(s, entry->id, entry->batch, entry->is_modern, reply);
		if (entry->batch)
			batch_release(s, entry->batch);
	}
	entry->is_done = true;
	if (!entry->is_starting)
		inflight_free(entry);
}

static void on_progress(void *arg, const char *message)
{
	struct inflight *entry = arg;
	struct mcp_session *s = entry->session;
	struct emit e;

	if (!s || !entry->progress_token)
		return;
	CHECK(!s->out.len);
	emit_init(&e, &s->out);
	emit_object(&e);
	emit_key_text(&e, "jsonrpc", "2.0");
	emit_key_text(&e, "method", "notifications/progress");
	emit_key(&e, "params");
	emit_object(&e);
	emit_key_raw(&e, "progressToken", slice_of(entry->progress_token));
	emit_key_i64(&e, "progress", ++entry->progress);
	if (message)
		emit_key_text(&e, "message", message);
	emit_object_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	buf_putc(&s->out, '\n');
	reply_send(s, NULL);
}

/* What the caller said of himself: in this request, or once in initialize. */
static void options_add_client(const struct mcp_session *s, const struct request *r,
			       struct tool_options *options)
{
	const json_t *info, *capabilities, *elicitation;

	if (!r->is_modern) {
		options->client_name = s->client_name;
		options->has_url_elicitation = s->has_url_elicitation;
		return;
	}
	info = json_object_get(r->meta, META_CLIENT_INFO);
	capabilities = json_object_get(r->meta, META_CAPABILITIES);
	elicitation = json_object_get(capabilities, "elicitation");
	options->client_name = json_string_value(json_object_get(info, "name"));
	options->has_url_elicitation = json_is_object(json_object_get(elicitation, "url"));
	options->carries_state = true;
}

/* False: the protocol has no such answer. */
static bool read_answer(const char *action, enum pay_answer *out)
{
	*out = action && strcmp(action, "accept") == 0 ? PAY_ANSWER_YES : PAY_ANSWER_NO;
	return action && (*out == PAY_ANSWER_YES || strcmp(action, "decline") == 0 ||
			  strcmp(action, "cancel") == 0);
}

/* What a client brings back when it calls again after a question. False: its shape is wrong. */
static bool options_add_answer(const struct request *r, struct tool_options *options)
{
	const json_t *state = json_object_get(r->params, "requestState");
	const json_t *responses = json_object_get(r->params, "inputResponses");
	const json_t *response = json_object_get(responses, INPUT_TOP_UP);
	const char *action = json_string_value(json_object_get(response, "action"));

	if (!r->is_modern)
		return true;
	if ((state && !json_is_string(state)) || (responses && !json_is_object(responses)))
		return false;
	options->request_state = json_string_value(state);
	return !response || read_answer(action, &options->answer);
}

static char *progress_token(const json_t *meta)
{
	const json_t *token = json_object_get(meta, "progressToken");
	struct buf text = BUF_INIT;

	if (!json_is_string(token) && !json_is_integer(token))
		return NULL;
	edge_dump(token, false, &text);
	return buf_steal(&text);
}

static void refuse_unknown(struct mcp_session *s, const struct request *r, struct slice name)
{
	struct buf message = BUF_INIT;
	struct err why = ERR_INIT;

	buf_puts(&message, "Unknown tool: ");
	buf_append(&message, name.p, name.len < NAME_BYTES_SHOWN ? name.len : NAME_BYTES_SHOWN);
	if (!tools_are_well(s->config.tools, name, &why))
		buf_printf(&message, " (%s)", why.text);
	reply_error(s, r, RPC_INVALID_PARAMS, buf_text(&message));
	buf_finish(&message);
}

static void refuse_options(struct mcp_session *s, const struct request *r, const struct err *err)
{
	struct tool_error error;
	struct tool_reply reply;

	tool_error_init(&error, ERROR_INVALID_ARGUMENTS);
	tool_error_fault(&error, err->text);
	tool_reply_init(&reply);
	tool_reply_error(&reply, &error);
	reply_write(s, r->m->id, r->batch, r->is_modern, &reply);
	tool_reply_finish(&reply);
	tool_error_finish(&error);
}

static void start(struct mcp_session *s, struct request *r, const struct tool *tool,
		  json_t *arguments, const struct tool_options *options)
{
	struct boottime deadline = boottime_after(r->received, CALL_DEADLINE_MS);
	struct inflight *entry = session_track(s, r, false);
	struct tool_call *call;

	entry->progress_token = progress_token(r->meta);
	entry->is_starting = true;
	call = tools_call(s->config.tools, tool, arguments, s->config.api_key, options, deadline,
			  on_progress, on_done, entry);
	entry->is_starting = false;
	if (entry->is_done)
		inflight_free(entry);
	else
		entry->call = call;
}

void call_request(struct mcp_session *s, struct request *r)
{
	const json_t *name = json_object_get(r->params, "name");
	json_t *arguments = json_object_get(r->params, "arguments");
	struct tool_options options = {.client_name = NULL};
	struct err err = ERR_INIT;
	const struct tool *tool;

	if (!json_is_string(name)) {
		reply_error(s, r, RPC_INVALID_PARAMS, "Invalid params: name is not a string");
		return;
	}
	if (arguments && !json_is_object(arguments)) {
		reply_error(s, r, RPC_INVALID_PARAMS, "Invalid params: arguments is not an object");
		return;
	}
	tool = tools_find(s->config.tools, edge_slice(name));
	if (!tool && session_defer(s, r, edge_slice(name), call_request))
		return;
	if (!tool) {
		refuse_unknown(s, r, edge_slice(name));
		return;
	}
	if (!tool_options_read(r->meta, &options, &err)) {
		refuse_options(s, r, &err);
		return;
	}
	options.bytes = r->m->bytes;
	options_add_client(s, r, &options);
	if (!options_add_answer(r, &options)) {
		reply_error(s, r, RPC_INVALID_PARAMS,
			    "Invalid params: requestState or inputResponses");
		return;
	}
	start(s, r, tool, arguments, &options);
}
