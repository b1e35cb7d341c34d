/*
 * What a server of an older revision offers beside POST, in a session: a stream by GET for what it
 * says unasked, the rest of an answer whose stream broke off, and the end of the session.
 *
 * A stream goes on behind the last event that was whole, where the server gave it an id. Some
 * servers end streams on purpose and want us to come back after a time that they name.
 */

#include "base/limits.h"
#include "base/log.h"
#include "providers/upstream_http.h"

#include <stdlib.h>
#include <string.h>

/* Never earlier than the server wants, and later each time that it gives nothing. */
static int64_t next_wait_ms(struct http_exchange *p)
{
	int64_t least = p->request ? UPSTREAM_RESUME_MS : UPSTREAM_STREAM_MS;
	int64_t ms = p->has_told || !p->wait_ms ? least : p->wait_ms;

	p->wait_ms = 2 * ms < UPSTREAM_BACKOFF_MS_MAX ? 2 * ms : UPSTREAM_BACKOFF_MS_MAX;
	if (p->events.retry_ms < 0)
		return ms;
	/* A stream that it ended on purpose: the time that it names is the right one. */
	if (p->is_stream)
		ms = least;
	return p->events.retry_ms > ms ? p->events.retry_ms : ms;
}

/* 409: a server may believe for a while that the stream which broke off is still there. */
static bool is_passing(const struct http_response *response)
{
	int status = response->status;

	return response->outcome != HTTP_DONE || status >= 500 || status == 408 || status == 409 ||
	       status == 425 || status == 429;
}

static bool is_good(const struct http_response *response)
{
	return response->status >= 200 && response->status < 300;
}

static void plan(struct http_exchange *p, int64_t ms, loop_timer_fn *fn)
{
	event_stream_restart(&p->events);
	loop_timer_init(&p->timer, p->link->up->config.loop, fn, p);
	loop_timer_in(&p->timer, ms);
}

static void on_resume_time(void *arg)
{
	struct http_exchange *p = arg;
	int64_t left_ms = p->until.ms - clock_boot().ms;
	struct err err = ERR_INIT;

	if (!exchange_send(p, "GET", NULL, left_ms + UPSTREAM_SLACK_MS, exchange_on_done, &err))
		exchange_fail(p, err.text);
}

bool stream_resume(struct http_exchange *p, const struct http_response *response)
{
	const struct upstream *up = p->link->up;
	int64_t left_ms = p->until.ms - clock_boot().ms;
	int64_t ms;

	/* A refusal of the rest is final, and no stream at all is one. */
	if (up->era != ERA_LEGACY || !p->events.id)
		return false;
	if (p->resumed && !is_passing(response) && !(is_good(response) && p->is_stream))
		return false;
	ms = next_wait_ms(p);
	if (ms >= left_ms || p->resumed >= UPSTREAM_RESUMES_MAX)
		return false;
	p->resumed++;
	plan(p, ms, on_resume_time);
	return true;
}

static void open_stream(void *arg);

/* A session that is gone is seen here first, where nothing is called. Not time and again: then it
 * is the stream that the server cannot find. */
static bool is_session_over(struct http_exchange *p, const struct http_response *response)
{
	struct http_link *l = p->link;
	struct boottime now = loop_now(l->up->config.loop);

	if (response->outcome != HTTP_DONE || response->status != 404 || !p->was_open)
		return false;
	if (l->has_lost && now.ms - l->lost_at.ms < UPSTREAM_BACKOFF_MS_MAX)
		return false;
	l->has_lost = true;
	l->lost_at = now;
	return true;
}

static void on_stream_end(void *arg, const struct http_response *response)
{
	struct http_exchange *p = arg;
	struct http_link *l = p->link;
	struct upstream *up = l->up;

	p->transfer = NULL;
	p->was_open = p->was_open || p->is_stream;
	if (is_session_over(p, response)) {
		exchange_free(p);
		upstream_lost_session(up);
		return;
	}
	if (!is_passing(response) && !(is_good(response) && p->is_stream)) {
		log_debug("event=upstream_no_stream upstream=%s status=%d", up->name,
			  response->status);
		l->refuses_stream = true;
		exchange_free(p);
		return;
	}
	plan(p, next_wait_ms(p), open_stream);
}

static void open_stream(void *arg)
{
	struct http_exchange *p = arg;
	struct err err = ERR_INIT;

	if (!exchange_send(p, "GET", NULL, INT32_MAX, on_stream_end, &err))
		exchange_free(p);
}

void streams_open(struct upstream *up)
{
	struct http_link *l = link_of(up);

	if (!l->session || l->refuses_stream || l->stream)
		return;
	l->stream = exchange_create(up);
	open_stream(l->stream);
}

void streams_close(struct http_link *l)
{
	if (l->stream)
		exchange_cancel(l->stream);
	l->refuses_stream = false;
}

static void on_session_end(void *arg, const struct http_response *response)
{
	struct http_exchange *p = arg;

	(void)response; /* a server may refuse it */
	p->transfer = NULL;
	exchange_free(p);
}

void session_end(struct upstream *up)
{
	struct http_exchange *p = exchange_create(up);
	struct err err = ERR_INIT;

	if (!exchange_send(p, "DELETE", NULL, UPSTREAM_END_MS, on_session_end, &err))
		exchange_free(p);
}
