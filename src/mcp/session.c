#include "mcp/session.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

bool session_tells_changes(const struct mcp_session *s)
{
	return s->config.may_push && tools_may_change(s->config.tools);
}

/* A client of the older revisions is told unasked, once it has seen a list; others subscribe. */
static void on_tools_changed(void *arg)
{
	struct mcp_session *s = arg;

	if (s->config.may_push && s->legacy_version && s->has_listed) {
		CHECK(!s->out.len);
		rpc_write_notification(&s->out, "notifications/tools/list_changed",
				       (struct slice){.len = 0});
		reply_send(s, NULL);
	}
	inflight_each_listen(&s->inflight, modern_tell_change);
}

struct mcp_session *mcp_session_create(const struct mcp_session_config *config)
{
	struct mcp_session *s = xzalloc(sizeof(*s));

	CHECK(config->tools && config->loop && config->send);
	s->config = *config;
	s->memo.key = "_meta";
	tools_watch_start(config->tools, &s->watch, on_tools_changed, s);
	return s;
}

request_fn *method_find(const struct method *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i].name, name) == 0)
			return table[i].handle;
	}
	return NULL;
}

struct inflight *session_track(struct mcp_session *s, struct request *r, bool is_listen)
{
	struct inflight *entry;

	buf_clear(&s->key);
	rpc_id_key(r->m, &s->key);
	entry = inflight_add(&s->inflight, buf_slice(&s->key), r->m->id);
	r->m->id = NULL;
	entry->session = s;
	entry->is_modern = r->is_modern;
	entry->is_listen = is_listen;
	entry->batch = r->batch;
	if (entry->batch)
		entry->batch->pending++;
	if (!is_listen)
		s->calls++;
	return entry;
}

void session_untrack(struct inflight *entry)
{
	struct mcp_session *s = entry->session;

	inflight_remove(&s->inflight, entry);
	s->waiting_bytes -= entry->waiting_bytes;
	entry->waiting_bytes = 0;
	if (!entry->is_listen)
		s->calls--;
	entry->session = NULL;
}

/* A message is a piece of work of its own: the name of its tool, or of its method, says which. */
static void lap(struct mcp_session *s, const struct rpc_message *m)
{
	struct watchdog *w = loop_watchdog(s->config.loop);
	const char *tool;

	if (!watchdog_is_due(w))
		return;
	tool = json_string_value(json_object_get(m->params, "name"));
	watchdog_lap(w, "a message", tool ? tool : m->method);
}

static void on_waited(void *arg)
{
	struct inflight *entry = arg;
	struct mcp_session *s = entry->session;
	struct rpc_message m = rpc_message_take(&entry->message);
	struct request r = {
		.m = &m,
		.batch = entry->batch,
		.params = m.params,
		.meta = json_object_get(m.params, "_meta"),
		.is_modern = entry->is_modern,
		.scopes = entry->wait.scopes,
		.received = entry->received,
		.has_waited = true,
	};

	m.id = entry->id;
	entry->id = NULL;
	session_untrack(entry);
	entry->handle(s, &r);
	if (r.batch)
		batch_release(s, r.batch);
	lap(s, &m);
	rpc_message_finish(&m); /* an entry may have taken its id */
	inflight_free(entry);
}

bool session_defer(struct mcp_session *s, struct request *r, struct slice name, request_fn *handle)
{
	const char *key = name.len ? NULL : s->config.api_key; /* only a list is a caller's */
	struct inflight *entry;

	if (r->has_waited || (!key && !tools_may_change(s->config.tools)))
		return false;
	entry = session_track(s, r, false);
	if (tools_await(s->config.tools, name, key, &entry->wait, on_waited, entry)) {
		r->scopes = entry->wait.scopes;
		/* As if it had not been tracked. */
		r->m->id = entry->id;
		entry->id = NULL;
		if (r->batch)
			r->batch->pending--;
		session_untrack(entry);
		inflight_free(entry);
		return false;
	}
	entry->handle = handle;
	entry->received = r->received;
	entry->message = rpc_message_take(r->m);
	entry->waiting_bytes = entry->message.bytes;
	s->waiting_bytes += entry->waiting_bytes;
	return true;
}

/* Nothing is sent for the request any more. A call goes on to its end, which frees the entry. */
static void drop(struct inflight *entry, bool is_batch_sent)
{
	struct mcp_session *s = entry->session;

	CHECK(!entry->is_starting); /* no message is taken within tools_call */
	session_untrack(entry);
	if (entry->batch)
		batch_release(is_batch_sent ? s : NULL, entry->batch);
	entry->batch = NULL;
	if (entry->is_listen || entry->handle)
		inflight_free(entry);
	else
		tool_call_cancel(entry->call); /* the entry may be gone now */
}

static void drop_all(struct mcp_session *s, bool is_batch_sent)
{
	struct inflight *entry;

	while ((entry = inflight_any(&s->inflight, false)))
		drop(entry, is_batch_sent);
}

void mcp_session_destroy(struct mcp_session *s)
{
	struct inflight *entry;

	if (!s)
		return;
	tools_watch_stop(&s->watch);
	drop_all(s, false);
	while ((entry = inflight_any(&s->inflight, true)))
		drop(entry, false);
	inflight_table_finish(&s->inflight);
	free(s->client_name);
	buf_finish(&s->key);
	reader_memo_finish(&s->memo);
	buf_finish(&s->out);
	free(s);
}

size_t mcp_session_in_flight(const struct mcp_session *s)
{
	return s->calls;
}

size_t mcp_session_waiting_bytes(const struct mcp_session *s)
{
	return s->waiting_bytes;
}

void mcp_session_cancel_all(struct mcp_session *s)
{
	drop_all(s, true);
}

void mcp_session_close_listens(struct mcp_session *s)
{
	struct inflight *entry;

	s->is_closing = true;
	while ((entry = inflight_any(&s->inflight, true))) {
		session_untrack(entry);
		modern_listen_end(s, entry);
		inflight_free(entry);
	}
}

/* Unknown notifications, and cancellations of what is unknown or over, are nothing to us. */
static void take_notification(struct mcp_session *s, const struct rpc_message *m)
{
	struct inflight *entry;

	if (strcmp(m->method, "notifications/cancelled") != 0)
		return;
	buf_clear(&s->key);
	if (!rpc_id_key_of_value(json_object_get(m->params, "requestId"), &s->key))
		return;
	entry = inflight_find(&s->inflight, buf_slice(&s->key));
	/* Nobody is charged for what he does not hear of. */
	if (entry && (entry->is_listen || entry->handle || !tool_call_wind_up(entry->call)))
		drop(entry, true);
}

static bool is_in_flight(struct mcp_session *s, const struct rpc_message *m)
{
	if (!s->inflight.count)
		return false;
	buf_clear(&s->key);
	rpc_id_key(m, &s->key);
	return inflight_find(&s->inflight, buf_slice(&s->key)) != NULL;
}

/*
 * Which era a request belongs to is decided for each by itself: one that claims the modern
 * revision in its _meta is modern, also after an initialize. Others are legacy; before any
 * initialize that is for scripts which send plain lines, but not for a client that was seen to
 * speak the modern revision: it forgot its _meta, and nobody shall be charged by accident.
 */
static void route_request(struct mcp_session *s, struct request *r)
{
	const char *method = r->m->method;
	bool is_initialized = s->legacy_version != NULL;

	if (modern_is_claimed(r->meta))
		modern_request(s, r);
	else if (is_initialized || strcmp(method, "initialize") == 0 || strcmp(method, "ping") == 0)
		legacy_request(s, r);
	else if (s->has_seen_modern || strcmp(method, "server/discover") == 0 ||
		 strcmp(method, "subscriptions/listen") == 0)
		reply_error(s, r, RPC_INVALID_PARAMS,
			    "Invalid params: _meta[\"" META_VERSION
			    "\"] is missing, and there was no initialize");
	else
		legacy_request(s, r);
}

static void take_request(struct mcp_session *s, struct rpc_message *m, struct mcp_batch *batch)
{
	const json_t *meta = json_object_get(m->params, "_meta");
	struct request r = {
		.m = m,
		.batch = batch,
		.params = m->params,
		.scopes = SCOPES_LOCAL,
		.received = loop_now(s->config.loop),
	};

	if (json_is_object(meta))
		r.meta = meta;
	if (s->is_closing)
		reply_error(s, &r, RPC_INTERNAL_ERROR, "The server is shutting down");
	else if (json_is_array(m->params))
		reply_error(s, &r, RPC_INVALID_PARAMS, "Invalid params: not an object");
	else if (meta && !r.meta)
		reply_error(s, &r, RPC_INVALID_PARAMS, "Invalid params: _meta is not an object");
	else if (is_in_flight(s, m))
		reply_error(s, &r, RPC_INVALID_REQUEST,
			    "Invalid Request: a request with this id is in flight");
	else
		route_request(s, &r);
}

static void take_message(struct mcp_session *s, struct rpc_message *m, struct mcp_batch *batch)
{
	const struct request invalid = {.m = m, .batch = batch};

	switch (m->kind) {
	case RPC_REQUEST:
		take_request(s, m, batch);
		return;
	case RPC_NOTIFICATION:
		take_notification(s, m);
		return;
	case RPC_RESPONSE: /* we ask nothing */
		return;
	case RPC_BATCH:
		reply_error(s, &invalid, RPC_INVALID_REQUEST, "Invalid Request: an array");
		return;
	case RPC_INVALID:
		reply_error(s, &invalid, m->error_code, m->error_text);
		return;
	}
}

static void take_batch(struct mcp_session *s, struct rpc_message *m)
{
	bool is_spoken = s->legacy_version &&
			 strcmp(s->legacy_version, MCP_VERSION_WITH_BATCHES) == 0;
	size_t n = json_array_size(m->root);
	struct mcp_batch *batch;

	if (!is_spoken || !n || n > RPC_BATCH_ITEMS_MAX) {
		take_message(s, m, NULL);
		return;
	}
	batch = xzalloc(sizeof(*batch));
	batch->pending = 1;
	for (size_t i = 0; i < n; i++) {
		struct rpc_message item;

		rpc_read_value(json_array_get(m->root, i), m->bytes / n, &item);
		take_message(s, &item, batch);
		lap(s, &item);
		rpc_message_finish(&item);
	}
	batch_release(s, batch);
}

static bool is_blank_line(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	}
	return true;
}

void mcp_session_line(struct mcp_session *s, char *line, size_t len)
{
	struct rpc_message m;

	if (is_blank_line(line, len))
		return;
	rpc_read(line, len, &s->memo, &m);
	if (m.kind == RPC_BATCH)
		take_batch(s, &m);
	else
		take_message(s, &m, NULL);
	lap(s, &m);
	rpc_message_finish(&m);
}

void mcp_session_line_too_long(struct mcp_session *s)
{
	CHECK(!s->out.len);
	rpc_write_error(&s->out, NULL, RPC_PARSE_ERROR, "Parse error: the line is too long",
			(struct slice){.len = 0});
	reply_send(s, NULL);
}
