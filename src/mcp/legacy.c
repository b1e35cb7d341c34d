#include "mcp/session.h"

#include <stdlib.h>
#include <string.h>

/* The revisions with a handshake. What initialize says holds for the session; without one the
 * newest of them is served. */

/* Newest first. */
static const char *const versions[] = {
	MCP_VERSION_LEGACY,
	"2025-06-18",
	MCP_VERSION_WITH_BATCHES,
	"2024-11-05",
};

/* An unknown revision is answered with our newest; the client leaves if it cannot speak it. */
static const char *version_for(const char *asked)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (strcmp(versions[i], asked) == 0)
			return versions[i];
	}
	return MCP_VERSION_LEGACY;
}

/* URL elicitation came with the newest of these revisions. */
static bool can_open_urls(const char *version, const json_t *params)
{
	const json_t *capabilities = json_object_get(params, "capabilities");
	const json_t *elicitation = json_object_get(capabilities, "elicitation");

	return strcmp(version, MCP_VERSION_LEGACY) == 0 &&
	       json_is_object(json_object_get(elicitation, "url"));
}

static void initialize(struct mcp_session *s, struct request *r)
{
	const json_t *version = json_object_get(r->params, "protocolVersion");
	const json_t *info = json_object_get(r->params, "clientInfo");
	const char *name = json_string_value(json_object_get(info, "name"));
	struct emit e;

	if (!json_is_string(version)) {
		reply_error(s, r, RPC_INVALID_PARAMS, "Invalid params: protocolVersion is missing");
		return;
	}
	if (r->batch) {
		reply_error(s, r, RPC_INVALID_REQUEST, "Invalid Request: initialize in a batch");
		return;
	}
	s->legacy_version = version_for(json_string_value(version));
	s->has_url_elicitation = can_open_urls(s->legacy_version, r->params);
	free(s->client_name);
	s->client_name = name ? xstrdup(name) : NULL;
	reply_begin(s, r->m->id, false, &e);
	emit_key_text(&e, "protocolVersion", s->legacy_version);
	emit_key(&e, "serverInfo");
	emit_server_info(&e);
	emit_server_words(&e, s);
	reply_end(s, r->batch, false, (struct slice){.len = 0}, &e);
}

static void ping(struct mcp_session *s, struct request *r)
{
	struct emit e;

	reply_begin(s, r->m->id, false, &e);
	reply_end(s, r->batch, false, (struct slice){.len = 0}, &e);
}

static void tools_list(struct mcp_session *s, struct request *r)
{
	struct emit e;
	size_t first;

	if (session_defer(s, r, (struct slice){.len = 0}, tools_list) ||
	    !tools_page_check(s, r, &first))
		return;
	s->has_listed = true;
	reply_begin(s, r->m->id, false, &e);
	emit_tools_page(&e, s->config.tools, first, r->scopes);
	reply_end(s, r->batch, false, (struct slice){.len = 0}, &e);
}

static const struct method methods[] = {
	{"initialize", initialize},
	{"ping", ping},
	{"tools/call", call_request},
	{"tools/list", tools_list},
};

void legacy_request(struct mcp_session *s, struct request *r)
{
	request_fn *handle = method_find(methods, ARRAY_LEN(methods), r->m->method);

	if (handle)
		handle(s, r);
	else
		reply_error(s, r, RPC_METHOD_NOT_FOUND, "Method not found");
}
