#include "mcp/session.h"

#include "base/limits.h"

#include <string.h>

/* Revision 2026-07-28: each request stands for itself and says in its _meta which revision it
 * speaks and what its client can do. */

#define UNSUPPORTED_VERSION (-32022)

#define DISCOVER_TTL_MS (60 * 60 * 1000)
#define TOOLS_TTL_MS    (5 * 60 * 1000)
/* Where upstreams come and go. */
#define CHANGING_TTL_MS (60 * 1000)

static void emit_cache(struct emit *e, int64_t ttl_ms, const char *scope)
{
	emit_key_i64(e, "ttlMs", ttl_ms);
	emit_key_text(e, "cacheScope", scope);
}

static void discover(struct mcp_session *s, struct request *r)
{
	struct emit e;

	reply_begin(s, r->m->id, true, &e);
	emit_key_raw(&e, "supportedVersions", slice_of("[\"" MCP_VERSION_MODERN "\"]"));
	emit_server_words(&e, s);
	emit_cache(&e, DISCOVER_TTL_MS, "public");
	reply_end(s, r->batch, true, (struct slice){.len = 0}, &e);
}

static void tools_list(struct mcp_session *s, struct request *r)
{
	struct emit e;
	size_t first;

	if (session_defer(s, r, (struct slice){.len = 0}, tools_list) ||
	    !tools_page_check(s, r, &first))
		return;
	reply_begin(s, r->m->id, true, &e);
	emit_tools_page(&e, s->config.tools, first, r->scopes);
	/* Prices depend on the caller. */
	emit_cache(&e, tools_may_change(s->config.tools) ? CHANGING_TTL_MS : TOOLS_TTL_MS,
		   "private");
	reply_end(s, r->batch, true, (struct slice){.len = 0}, &e);
}

/* A notification on a stream of listen; further members of params may follow. */
static void begin_notice(struct emit *e, const struct inflight *entry, const char *method)
{
	emit_init(e, &entry->session->out);
	emit_object(e);
	emit_key_text(e, "jsonrpc", "2.0");
	emit_key_text(e, "method", method);
	emit_key(e, "params");
	emit_object(e);
	emit_key(e, "_meta");
	emit_object(e);
	emit_key_raw(e, META_SUBSCRIPTION, slice_of(entry->id));
	emit_object_end(e);
}

static void send_notice(struct emit *e, struct mcp_session *s)
{
	emit_object_end(e);
	emit_object_end(e);
	emit_done(e);
	buf_putc(&s->out, '\n');
	reply_send(s, NULL);
}

void modern_tell_change(struct inflight *entry)
{
	struct mcp_session *s = entry->session;
	struct emit e;

	if (!entry->wants_tools)
		return;
	CHECK(!s->out.len);
	begin_notice(&e, entry, "notifications/tools/list_changed");
	send_notice(&e, s);
}

/* Of the lists only that of tools may change, and it only where there are upstreams; no other wish
 * is honoured, and the stream is kept open as asked. */
static void listen_start(struct mcp_session *s, struct request *r)
{
	const json_t *wishes = json_object_get(r->params, "notifications");
	struct inflight *entry;
	struct emit e;

	if (!json_is_object(wishes)) {
		reply_error(s, r, RPC_INVALID_PARAMS, "Invalid params: notifications is missing");
		return;
	}
	if (s->inflight.count - s->calls >= LISTENS_MAX) {
		reply_error(s, r, RPC_INTERNAL_ERROR, "Too many subscriptions");
		return;
	}
	entry = session_track(s, r, true);
	entry->wants_tools = json_is_true(json_object_get(wishes, "toolsListChanged")) &&
			     session_tells_changes(s);
	begin_notice(&e, entry, "notifications/subscriptions/acknowledged");
	emit_key_raw(&e, "notifications",
		     slice_of(entry->wants_tools ? "{\"toolsListChanged\":true}" : "{}"));
	send_notice(&e, s);
}

void modern_listen_end(struct mcp_session *s, struct inflight *entry)
{
	struct buf meta = BUF_INIT;
	struct emit e;

	buf_puts(&meta, "\"" META_SUBSCRIPTION "\":");
	buf_puts(&meta, entry->id);
	reply_begin(s, entry->id, true, &e);
	reply_end(s, NULL, true, buf_slice(&meta), &e);
	buf_finish(&meta);
}

static const struct method methods[] = {
	{"server/discover", discover},
	{"subscriptions/listen", listen_start},
	{"tools/call", call_request},
	{"tools/list", tools_list},
};

bool modern_is_claimed(const json_t *meta)
{
	return json_object_get(meta, META_VERSION) || json_object_get(meta, META_CAPABILITIES);
}

static void refuse_version(struct mcp_session *s, const struct request *r, const json_t *version)
{
	struct buf data = BUF_INIT;
	struct emit e;

	emit_init(&e, &data);
	emit_object(&e);
	emit_key_raw(&e, "supported", slice_of("[\"" MCP_VERSION_MODERN "\"]"));
	emit_key(&e, "requested");
	emit_json(&e, version);
	emit_object_end(&e);
	emit_done(&e);
	reply_error_data(s, r, UNSUPPORTED_VERSION, "Unsupported protocol version",
			 buf_slice(&data));
	buf_finish(&data);
}

void modern_request(struct mcp_session *s, struct request *r)
{
	const json_t *version = json_object_get(r->meta, META_VERSION);
	request_fn *handle = method_find(methods, ARRAY_LEN(methods), r->m->method);

	if (!json_is_string(version)) {
		reply_error(s, r, RPC_INVALID_PARAMS,
			    "Invalid params: _meta[\"" META_VERSION "\"] is missing");
		return;
	}
	if (strcmp(json_string_value(version), MCP_VERSION_MODERN) != 0) {
		refuse_version(s, r, version);
		return;
	}
	if (!json_is_object(json_object_get(r->meta, META_CAPABILITIES))) {
		reply_error(s, r, RPC_INVALID_PARAMS,
			    "Invalid params: _meta[\"" META_CAPABILITIES "\"] is missing");
		return;
	}
	s->has_seen_modern = true;
	r->is_modern = true;
	if (r->batch)
		reply_error(s, r, RPC_INVALID_REQUEST,
			    "Invalid Request: " MCP_VERSION_MODERN " has no batches");
	else if (!handle)
		reply_error(s, r, RPC_METHOD_NOT_FOUND, "Method not found");
	else
		handle(s, r);
}
