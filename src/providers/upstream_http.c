/*
 * The link to a server behind a Streamable HTTP URL. Each request is a POST of its own, answered
 * with JSON or with a stream of events that ends with the answer; an older server may give us a
 * session. A transfer that fails costs its own request only.
 */

#include "base/limits.h"
#include "base/secret.h"
#include "providers/event_stream.h"
#include "providers/upstream_list.h"
#include "providers/upstream_room.h"
#include "json/edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SESSION_HEADER    "Mcp-Session-Id"
#define OWN_HEADERS_MAX   8
#define SESSION_BYTES_MAX 1024
/* The meter's own clock goes first. */
#define SLACK_MS          1000
/* A notification has nobody who waits for it. */
#define TELL_MS           10000

struct http_post;

struct http_link {
	struct upstream *up;
	char *session; /* NULL for none */
	struct http_post *posts;
};

struct http_post {
	struct http_link *link;
	struct http_transfer *transfer;
	struct upstream_request *request; /* NULL: nobody waits for an answer */
	int64_t id;
	bool is_initialize;
	bool is_stream, is_kind_known;
	struct event_stream events;
	struct buf body;
	int holders; /* functions of ours that still look at it: its memory stays */
	bool is_gone;
	struct http_post *next, *prev;
};

static struct http_link *link_of(const struct upstream *up)
{
	return (struct http_link *)(void *)up->link;
}

static void post_dispose(struct http_post *p)
{
	event_stream_finish(&p->events);
	buf_finish(&p->body);
	free(p);
}

static void post_free(struct http_post *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		p->link->posts = p->next;
	if (p->next)
		p->next->prev = p->prev;
	if (p->request)
		p->request->link_state = NULL;
	p->is_gone = true;
	if (!p->holders)
		post_dispose(p);
}

/* False when the post is gone. */
static bool post_release(struct http_post *p)
{
	bool is_gone = p->is_gone;

	if (--p->holders == 0 && is_gone)
		post_dispose(p);
	return !is_gone;
}

static void post_cancel(struct http_post *p)
{
	http_cancel(p->transfer);
	post_free(p);
}

/* Ends the request of a post, which may end the post as well. */
static void lose(struct http_post *p, const struct upstream_answer *answer)
{
	struct upstream_request *r = p->request;

	if (!r)
		return;
	p->request = NULL;
	r->link_state = NULL;
	client_answer(r, answer);
}

static void lose_for(struct http_post *p, enum provider_outcome outcome, const char *text)
{
	struct err err = ERR_INIT;

	err_set(&err, "upstream %s: %s", p->link->up->name, text);
	lose(p, &(struct upstream_answer){.kind = ANSWER_LOST,
					  .outcome = outcome,
					  .message = err.text,
					  .retry_after_s = -1});
}

/* A message to this post or to any other request. False when the post is gone afterwards; the
 * caller holds it. */
static bool take(struct http_post *p, char *line, size_t len)
{
	client_take(p->link->up, line, len);
	return !p->is_gone;
}

static void note_kind(struct http_post *p, const struct http_response *response)
{
	static const char STREAM[] = "text/event-stream";

	p->is_kind_known = true;
	p->is_stream = response->status >= 200 && response->status < 300 &&
		       strncasecmp(response->content_type, STREAM, sizeof(STREAM) - 1) == 0;
}

/* The session comes with the answer to initialize, which may be a stream that stays open. */
static void note_session(struct http_post *p, const struct http_response *response)
{
	const char *session = http_response_header(response, SESSION_HEADER);

	if (!p->is_initialize || response->status < 200 || response->status >= 300)
		return;
	free(p->link->session);
	p->link->session = session && strlen(session) <= SESSION_BYTES_MAX ? xstrdup(session)
									   : NULL;
}

static void on_data(void *arg, const struct http_response *response)
{
	struct http_post *p = arg;
	char *event;
	size_t len;

	if (!p->is_kind_known) {
		note_kind(p, response);
		note_session(p, response);
	}
	if (!p->is_stream) {
		buf_append(&p->body, response->body.p, response->body.len); /* libcurl's cap */
		return;
	}
	if (!event_stream_feed(&p->events, response->body)) {
		p->holders++;
		lose_for(p, PROVIDER_FAILED, "an event of its answer is too large");
		if (post_release(p))
			post_cancel(p);
		return;
	}
	p->holders++;
	while (event_stream_next(&p->events, &event, &len) && take(p, event, len))
		;
	(void)post_release(p);
}

static enum provider_outcome outcome_of_status(int status)
{
	bool is_rejected = status >= 400 && status < 500 && status != 408 && status != 425 &&
			   status != 429;

	return is_rejected ? PROVIDER_REJECTED : PROVIDER_FAILED;
}

static int64_t retry_after_s(const struct http_response *response)
{
	const char *text = http_response_header(response, "Retry-After");
	int64_t s;

	return text && parse_i64(slice_of(text), 0, INT32_MAX, &s) ? s : -1;
}

/* A refusal may hold a JSON-RPC error: of this request, whatever id it has. */
static bool take_refusal(struct http_post *p)
{
	CLEANUP(edge_decref) json_t *root = edge_parse(buf_slice(&p->body), NULL);
	const json_t *error = json_object_get(root, "error");
	const json_t *code = json_object_get(error, "code");
	const char *message = json_string_value(json_object_get(error, "message"));

	if (!json_is_integer(code))
		return false;
	lose(p, &(struct upstream_answer){.kind = ANSWER_ERROR,
					  .code = json_integer_value(code),
					  .data = json_object_get(error, "data"),
					  .message = message ? message : ""});
	return true;
}

static void take_status(struct http_post *p, const struct http_response *response)
{
	struct http_link *l = p->link;
	struct err err = ERR_INIT;
	bool is_session_gone = response->status == 404 && l->session && !p->is_initialize;

	if (is_session_gone) {
		free(l->session);
		l->session = NULL;
	} else if (response->status != 401 && response->status != 403 && take_refusal(p)) {
		return;
	}
	err_set(&err, "upstream %s: it answered with HTTP status %d", l->up->name,
		response->status);
	lose(p, &(struct upstream_answer){.kind = ANSWER_LOST,
					  .outcome = outcome_of_status(response->status),
					  .status = response->status,
					  .message = err.text,
					  .retry_after_s = retry_after_s(response),
					  .is_unsent = is_session_gone});
}

static void take_end(struct http_post *p, const struct http_response *response)
{
	if (response->outcome == HTTP_TIMEOUT) {
		lose_for(p, PROVIDER_TIMEOUT, "it did not answer in time");
	} else if (response->outcome != HTTP_DONE) {
		lose_for(p, PROVIDER_FAILED, response->error);
	} else if (response->status < 200 || response->status >= 300) {
		take_status(p, response);
	} else {
		if (!p->is_stream && p->body.len && !take(p, p->body.p, p->body.len))
			return;
		lose_for(p, PROVIDER_FAILED, "its answer holds no result");
	}
}

static void on_done(void *arg, const struct http_response *response)
{
	struct http_post *p = arg;

	if (!p->is_kind_known) {
		note_kind(p, response);
		note_session(p, response);
	}
	p->holders++;
	if (p->request)
		take_end(p, response);
	if (post_release(p))
		post_free(p);
}

struct headers {
	struct http_header *items;
	size_t count;
	char **texts; /* that belong to them */
	size_t texts_count;
};

static void headers_free(struct headers *h)
{
	for (size_t i = 0; i < h->texts_count; i++)
		secret_free(h->texts[i]);
	free(h->texts);
	free(h->items);
}

static void headers_init(struct headers *h, size_t max)
{
	*h = (struct headers){.count = 0};
	h->items = xarray(max, sizeof(*h->items));
	h->texts = xarray(2 * max, sizeof(*h->texts));
}

static const char *keep_text(struct headers *h, char *text)
{
	h->texts[h->texts_count++] = text;
	return text;
}

static void add_header(struct headers *h, const char *name, const char *value)
{
	if (value)
		h->items[h->count++] = (struct http_header){.name = name, .value = value};
}

/* Room is left for those of a question. */
static bool read_headers(const struct upstream *up, const struct upstream_question *q,
			 struct headers *out, struct err *err)
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
			headers_free(out);
			return false;
		}
		add_header(out, name, keep_text(out, expanded));
	}
	return true;
}

/* A server may want arguments in headers, too, for the machines between us. */
static void add_param_headers(const struct upstream_question *q, struct headers *h)
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
static void add_protocol_headers(const struct upstream *up, const struct upstream_line *line,
				 struct headers *h)
{
	const struct upstream_question *q = line->question;
	bool is_modern = up->era != ERA_LEGACY && !(q && q->is_legacy);

	add_header(h, "Content-Type", "application/json");
	add_header(h, "Accept", "application/json, text/event-stream");
	if (is_modern) {
		add_header(h, "MCP-Protocol-Version", MCP_MODERN);
		add_header(h, "Mcp-Method", q ? q->method : NULL);
		add_header(h, "Mcp-Name", q ? q->name : NULL);
		if (q)
			add_param_headers(q, h);
	} else if (up->version && strcmp(up->version, "2025-06-18") >= 0 && up->era == ERA_LEGACY) {
		add_header(h, "MCP-Protocol-Version", up->version);
	}
	if (!is_modern)
		add_header(h, SESSION_HEADER, link_of(up)->session);
}

static bool is_initialize(const struct upstream_line *line)
{
	return line->request && strcmp(line->question->method, "initialize") == 0;
}

static bool post(struct upstream *up, const struct upstream_line *line, struct err *err)
{
	struct http_link *l = link_of(up);
	const char *text = json_string_value(json_object_get(up->config.config, "url"));
	struct headers headers = {.count = 0};
	char *url = upstream_expand(text, err);
	struct http_request request = {.method = "POST", .url = url};
	struct http_post *p;

	if (!url || !read_headers(up, line->question, &headers, err)) {
		secret_free(url);
		return false;
	}
	p = xzalloc(sizeof(*p));
	p->link = l;
	p->request = line->request;
	p->is_initialize = is_initialize(line);
	if (p->request) {
		p->id = p->request->id;
		p->request->link_state = p;
	}
	if (p->is_initialize) { /* a session anew */
		free(l->session);
		l->session = NULL;
	}
	event_stream_init(&p->events, RPC_LINE_BYTES_MAX);
	add_protocol_headers(up, line, &headers);
	request.headers = headers.items;
	request.headers_count = headers.count;
	request.body = line->text;
	request.timeout_ms = line->request ? line->question->timeout_ms + SLACK_MS : TELL_MS;
	request.body_bytes_max = RPC_LINE_BYTES_MAX;
	request.allow_private = up->config.allow_private;
	request.data = on_data;
	p->transfer = http_start(up->config.http, &request, on_done, p);
	p->next = l->posts;
	if (p->next)
		p->next->prev = p;
	l->posts = p;
	headers_free(&headers);
	secret_free(url);
	return true;
}

static bool http_link_send(struct upstream *up, const struct upstream_line *line)
{
	struct err err = ERR_INIT;

	return link_of(up) && post(up, line, &err);
}

static bool http_link_start(struct upstream *up, struct err *err)
{
	struct http_link *l;
	struct headers headers;
	char *url;

	if (!up->link) {
		l = xzalloc(sizeof(*l));
		l->up = up;
		up->link = (struct upstream_link *)(void *)l;
	}
	/* What the environment lacks is found here, and named. */
	url = upstream_expand(json_string_value(json_object_get(up->config.config, "url")), err);
	secret_free(url);
	if (!url || !read_headers(up, NULL, &headers, err))
		return false;
	headers_free(&headers);
	return true;
}

/* The request is over; closing the stream is how a server of 2026-07-28 hears of a cancel. */
static void http_link_release(struct upstream_request *r)
{
	struct http_post *p = r->link_state;

	r->link_state = NULL;
	p->request = NULL;
	post_cancel(p);
}

static void http_link_stop(struct upstream *up)
{
	struct http_link *l = link_of(up);

	while (l->posts)
		post_cancel(l->posts);
	free(l->session);
	l->session = NULL;
}

static void http_link_destroy(struct upstream *up)
{
	http_link_stop(up);
	free(up->link);
	up->link = NULL;
}

const struct upstream_link_kind UPSTREAM_HTTP = {
	.start = http_link_start,
	.send = http_link_send,
	.release = http_link_release,
	.stop = http_link_stop,
	.destroy = http_link_destroy,
};
