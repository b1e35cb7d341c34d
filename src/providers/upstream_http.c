/*
 * The link to a server behind a Streamable HTTP URL. Each request is a POST of its own, answered
 * with JSON or with a stream of events that ends with the answer; an older server may give us a
 * session. A transfer that fails costs its own request only.
 */

#include "providers/upstream_http.h"

#include "base/limits.h"
#include "base/secret.h"
#include "json/edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SESSION_BYTES_MAX 1024
/* A notification has nobody who waits for it. */
#define TELL_MS           10000

struct http_link *link_of(const struct upstream *up)
{
	return (struct http_link *)(void *)up->link;
}

struct http_exchange *exchange_create(struct upstream *up)
{
	struct http_link *l = link_of(up);
	struct http_exchange *p = xzalloc(sizeof(*p));

	p->link = l;
	p->session = l->session ? xstrdup(l->session) : NULL;
	event_stream_init(&p->events, RPC_LINE_BYTES_MAX);
	p->next = l->exchanges;
	if (p->next)
		p->next->prev = p;
	l->exchanges = p;
	return p;
}

static void exchange_dispose(struct http_exchange *p)
{
	event_stream_finish(&p->events);
	buf_finish(&p->body);
	free(p->session);
	free(p);
}

void exchange_free(struct http_exchange *p)
{
	loop_timer_cancel(&p->timer);
	if (p->prev)
		p->prev->next = p->next;
	else
		p->link->exchanges = p->next;
	if (p->next)
		p->next->prev = p->prev;
	if (p->request)
		p->request->link_state = NULL;
	if (p->link->stream == p)
		p->link->stream = NULL;
	p->is_gone = true;
	if (!p->holders)
		exchange_dispose(p);
}

/* False when it is gone. */
static bool release(struct http_exchange *p)
{
	bool is_gone = p->is_gone;

	if (--p->holders == 0 && is_gone)
		exchange_dispose(p);
	return !is_gone;
}

void exchange_cancel(struct http_exchange *p)
{
	if (p->transfer)
		http_cancel(p->transfer);
	exchange_free(p);
}

/* Ends the request, which may end the exchange as well. */
static void lose(struct http_exchange *p, const struct upstream_answer *answer)
{
	struct upstream_request *r = p->request;

	if (!r)
		return;
	p->request = NULL;
	r->link_state = NULL;
	client_answer(r, answer);
}

static void lose_for(struct http_exchange *p, enum provider_outcome outcome, bool may_have_run,
		     const char *text)
{
	struct err err = ERR_INIT;

	err_set(&err, "upstream %s: %s", p->link->up->name, text);
	lose(p, &(struct upstream_answer){.kind = ANSWER_LOST,
					  .outcome = outcome,
					  .message = err.text,
					  .retry_after_s = -1,
					  .may_have_run = may_have_run});
}

void exchange_fail(struct http_exchange *p, const char *text)
{
	p->holders++;
	lose_for(p, PROVIDER_FAILED, true, text);
	if (release(p))
		exchange_cancel(p);
}

/* A message to this request or to any other. False when this exchange is gone afterwards; the
 * caller holds it. */
static bool take(struct http_exchange *p, char *line, size_t len)
{
	client_take(p->link->up, line, len);
	return !p->is_gone;
}

static void note_kind(struct http_exchange *p, const struct http_response *response)
{
	static const char STREAM[] = "text/event-stream";

	p->is_kind_known = true;
	p->is_stream = response->status >= 200 && response->status < 300 &&
		       strncasecmp(response->content_type, STREAM, sizeof(STREAM) - 1) == 0;
}

/* The session comes with the answer to initialize, which may be a stream that stays open. */
static void note_session(struct http_exchange *p, const struct http_response *response)
{
	const char *session = http_response_header(response, SESSION_HEADER);

	if (!p->is_initialize || response->status < 200 || response->status >= 300)
		return;
	free(p->link->session);
	p->link->session = session && strlen(session) <= SESSION_BYTES_MAX ? xstrdup(session)
									   : NULL;
}

static void on_data(void *arg, const struct http_response *so_far)
{
	struct http_exchange *p = arg;
	char *event;
	size_t len;

	if (!p->is_kind_known) {
		note_kind(p, so_far);
		note_session(p, so_far);
	}
	if (!p->is_stream) {
		buf_append(&p->body, so_far->body.p, so_far->body.len); /* libcurl's cap */
		return;
	}
	if (!event_stream_feed(&p->events, so_far->body)) {
		exchange_fail(p, "an event of its answer is too large");
		return;
	}
	p->holders++;
	while (event_stream_next(&p->events, &event, &len)) {
		p->has_told = true;
		if (!take(p, event, len))
			break;
	}
	(void)release(p);
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
static bool take_refusal(struct http_exchange *p)
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

static void forget_session(struct http_link *l)
{
	streams_close(l);
	free(l->session);
	l->session = NULL;
}

static void take_status(struct http_exchange *p, const struct http_response *response)
{
	struct http_link *l = p->link;
	struct err err = ERR_INIT;
	bool is_session_gone = response->status == 404 && p->session;

	if (is_session_gone) {
		if (l->session && strcmp(l->session, p->session) == 0)
			forget_session(l);
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

/* In a later turn there may be more of it. */
static bool take_rest(struct http_exchange *p, const struct http_response *response)
{
	bool is_cut = response->outcome == HTTP_DONE || response->outcome == HTTP_TRANSPORT;

	return is_cut && (p->is_stream || p->resumed) && stream_resume(p, response);
}

static void take_end(struct http_exchange *p, const struct http_response *response)
{
	/* What is asked for the rest of an answer comes after a request that was sent. */
	bool was_sent = response->was_sent || p->resumed;

	if (response->outcome == HTTP_TIMEOUT) {
		lose_for(p, PROVIDER_TIMEOUT, was_sent, "it did not answer in time");
	} else if (response->outcome != HTTP_DONE) {
		lose_for(p, PROVIDER_FAILED, was_sent, response->error);
	} else if (p->resumed && !p->is_stream) {
		lose_for(p, PROVIDER_FAILED, true,
			 "its answer broke off, and it did not give the rest");
	} else if (response->status < 200 || response->status >= 300) {
		take_status(p, response);
	} else {
		if (!p->is_stream && p->body.len && !take(p, p->body.p, p->body.len))
			return;
		lose_for(p, PROVIDER_FAILED, true, "its answer holds no result");
	}
}

void exchange_on_done(void *arg, const struct http_response *response)
{
	struct http_exchange *p = arg;

	p->transfer = NULL;
	if (!p->is_kind_known) {
		note_kind(p, response);
		note_session(p, response);
	}
	p->holders++;
	if (p->request && !take_rest(p, response))
		take_end(p, response);
	if (release(p) && !loop_timer_is_set(&p->timer))
		exchange_free(p);
}

bool exchange_send(struct http_exchange *p, const char *method, const struct upstream_line *line,
		   int64_t timeout_ms, http_fn *done, struct err *err)
{
	struct upstream *up = p->link->up;
	const char *text = json_string_value(json_object_get(up->config.config, "url"));
	struct http_headers headers = {.count = 0};
	char *url = upstream_expand(text, err);
	struct http_request request = {.method = method, .url = url, .timeout_ms = timeout_ms};

	if (!url || !http_headers_write(p, line, &headers, err)) {
		secret_free(url);
		return false;
	}
	p->is_kind_known = false;
	p->is_stream = false;
	p->has_told = false;
	request.headers = headers.items;
	request.headers_count = headers.count;
	if (line)
		request.body = line->text;
	request.body_bytes_max = RPC_LINE_BYTES_MAX;
	request.allow_private = up->config.allow_private;
	/* Whatever else we say to a server is free, and may be said twice. */
	request.is_once = line && line->request &&
			  strcmp(line->question->method, "tools/call") == 0;
	request.data = on_data;
	p->transfer = http_start(up->config.http, &request, done, p);
	http_headers_free(&headers);
	secret_free(url);
	return true;
}

static bool is_initialize(const struct upstream_line *line)
{
	return line->request && strcmp(line->question->method, "initialize") == 0;
}

/* The answer to initialize brings a session anew. */
static void begin_session(struct http_exchange *p)
{
	p->is_initialize = true;
	forget_session(p->link);
	free(p->session);
	p->session = NULL;
}

static bool http_link_send(struct upstream *up, const struct upstream_line *line)
{
	int64_t timeout_ms = line->request ? line->question->timeout_ms : TELL_MS;
	struct http_exchange *p;
	struct err err = ERR_INIT;

	if (!up->link)
		return false;
	p = exchange_create(up);
	if (is_initialize(line))
		begin_session(p);
	p->until = boottime_after(clock_boot(), timeout_ms);
	if (!exchange_send(p, "POST", line, timeout_ms + UPSTREAM_SLACK_MS, exchange_on_done,
			   &err)) {
		exchange_free(p);
		return false;
	}
	p->request = line->request;
	if (p->request)
		p->request->link_state = p;
	return true;
}

static bool http_link_start(struct upstream *up, struct err *err)
{
	struct http_exchange nothing = {.link = NULL};
	struct http_headers headers;
	struct http_link *l;
	char *url;

	if (!up->link) {
		l = xzalloc(sizeof(*l));
		l->up = up;
		up->link = (struct upstream_link *)(void *)l;
	}
	/* What the environment lacks is found here, and named. */
	url = upstream_expand(json_string_value(json_object_get(up->config.config, "url")), err);
	secret_free(url);
	nothing.link = link_of(up);
	if (!url || !http_headers_write(&nothing, NULL, &headers, err))
		return false;
	http_headers_free(&headers);
	return true;
}

/* The request is over; closing the stream is how a server of 2026-07-28 hears of a cancel. */
static void http_link_release(struct upstream_request *r)
{
	struct http_exchange *p = r->link_state;

	r->link_state = NULL;
	p->request = NULL;
	exchange_cancel(p);
}

static void http_link_stop(struct upstream *up)
{
	struct http_link *l = link_of(up);

	while (l->exchanges)
		exchange_cancel(l->exchanges);
	forget_session(l);
}

static void http_link_destroy(struct upstream *up)
{
	http_link_stop(up);
	free(up->link);
	up->link = NULL;
}

/* The process ends: all that is under way is given up, the server told. */
static void http_link_close(struct upstream *up)
{
	struct http_link *l = link_of(up);

	while (l->exchanges)
		exchange_cancel(l->exchanges);
	if (l->session)
		session_end(up);
}

static bool http_link_wait(struct upstream *up, int64_t ms)
{
	if (link_of(up)->exchanges)
		http_linger(up->config.http, ms);
	return !link_of(up)->exchanges;
}

const struct upstream_link_kind UPSTREAM_HTTP = {
	.start = http_link_start,
	.shaken = streams_open,
	.send = http_link_send,
	.release = http_link_release,
	.stop = http_link_stop,
	.destroy = http_link_destroy,
	.close_input = http_link_close,
	.wait = http_link_wait,
};
