/*
 * The headers of what is sent to a Streamable HTTP URL: the operator's own, those of the protocol,
 * and arguments that a server wants in headers.
 */

#include "base/secret.h"
#include "providers/upstream_http.h"
#include "providers/upstream_list.h"

#include <stdlib.h>
#include <string.h>

#define OWN_HEADERS_MAX 8

void http_headers_free(struct http_headers *h)
{
	for (size_t i = 0; i < h->texts_count; i++)
		secret_free(h->texts[i]);
	free(h->texts);
	free(h->items);
}

static void headers_init(struct http_headers *h, size_t max)
{
	*h = (struct http_headers){.count = 0};
	h->items = xarray(max, sizeof(*h->items));
	h->texts = xarray(2 * max, sizeof(*h->texts));
}

static const char *keep_text(struct http_headers *h, char *text)
{
	h->texts[h->texts_count++] = text;
	return text;
}

static void add_header(struct http_headers *h, const char *name, const char *value)
{
	if (value)
		h->items[h->count++] = (struct http_header){.name = name, .value = value};
}

/* Room is left for those of a question. */
static bool read_headers(const struct upstream *up, const struct upstream_question *q,
			 struct http_headers *out, struct err *err)
{
	json_t *configured = json_object_get(up->config.config, "headers");
	size_t params = q ? json_array_size(q->param_headers) : 0;
	const char *name;
	json_t *value;

	headers_init(out, json_object_size(configured) + params + OWN_HEADERS_MAX);
	json_object_foreach (configured, name, value) {
		char *expanded = upstream_expand(json_string_value(value), err);

		if (!expanded) {
			err_prefix(err, "headers: %s", name);
			http_headers_free(out);
			return false;
		}
		add_header(out, name, keep_text(out, expanded));
	}
	return true;
}

/* A server may want arguments in headers, too, for the machines between us. */
static void add_param_headers(const struct upstream_question *q, struct http_headers *h)
{
	for (size_t i = 0; i < json_array_size(q->param_headers); i++) {
		const json_t *header = json_array_get(q->param_headers, i);
		const char *name = json_string_value(json_array_get(header, 0));
		struct buf value = BUF_INIT;

		if (!tools_write_header(q->arguments, header, &value))
			continue;
		name = keep_text(h, xasprintf("Mcp-Param-%s", name));
		add_header(h, name, keep_text(h, buf_steal(&value)));
	}
}

/* A revision before 2025-06-18 knows no such header, and one without a handshake wants all. */
static void add_protocol_headers(const struct http_exchange *p, const struct upstream_line *line,
				 struct http_headers *h)
{
	const struct upstream *up = p->link->up;
	const struct upstream_question *q = line ? line->question : NULL;
	bool is_modern = up->era != ERA_LEGACY && !(q && q->is_legacy);

	if (is_modern) {
		add_header(h, "MCP-Protocol-Version", MCP_MODERN);
		add_header(h, "Mcp-Method", q ? q->method : NULL);
		add_header(h, "Mcp-Name", q ? q->name : NULL);
		if (q)
			add_param_headers(q, h);
		return;
	}
	if (up->version && strcmp(up->version, "2025-06-18") >= 0 && up->era == ERA_LEGACY)
		add_header(h, "MCP-Protocol-Version", up->version);
	add_header(h, SESSION_HEADER, p->session);
}

bool http_headers_write(const struct http_exchange *p, const struct upstream_line *line,
			struct http_headers *out, struct err *err)
{
	if (!read_headers(p->link->up, line ? line->question : NULL, out, err))
		return false;
	if (line) {
		add_header(out, "Content-Type", "application/json");
		add_header(out, "Accept", "application/json, text/event-stream");
	} else {
		add_header(out, "Accept", "text/event-stream");
		add_header(out, "Last-Event-ID", p->events.id);
	}
	add_protocol_headers(p, line, out);
	return true;
}
