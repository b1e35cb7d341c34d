#include "loop/http.h"

#include "base/limits.h"
#include "loop/http_sockets.h"
#include "loop/http_transfer.h"

#include <stdlib.h>

struct http {
	struct loop *loop;
	char *user_agent;
	CURLM *multi; /* NULL until the first request */
	struct loop_timer curl_timer;
	/* Hands queued transfers to libcurl, in the turn after http_start. */
	struct loop_timer kick;
	struct http_transfer *queued; /* in the order of http_start */
	struct http_transfer **queued_end;
	struct http_transfer *running;
	struct http_transfer *fresh; /* have a piece of a body to be handed on */
	struct http_sockets sockets;
	/* Of transfers that are over, for those to come: a new one costs more than a reset. */
	CURL *handles[HTTP_HANDLES_IDLE_MAX];
	size_t handles_count;
	bool is_delivering;
	bool is_destroyed; /* http_destroy came during a callback, which ends it */
};

/* What libcurl knows of one of its sockets. */
struct http_socket {
	struct http *http;
	struct loop_fd *source;
	curl_socket_t fd;
};

static void drain(struct http *http);

void http_note_fresh(struct http_transfer *t)
{
	if (t->is_fresh)
		return;
	t->is_fresh = true;
	t->next_fresh = t->http->fresh;
	t->http->fresh = t;
}

static void on_socket(void *arg, uint32_t events)
{
	const struct http_socket *s = arg;
	struct http *http = s->http;
	int bits = 0;
	int running;

	if (events & (EPOLLIN | EPOLLHUP))
		bits |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		bits |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		bits |= CURL_CSELECT_ERR;
	(void)curl_multi_socket_action(http->multi, s->fd, bits, &running);
	drain(http);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http *http = arg;
	struct http_socket *s = socket_arg;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s) {
			(void)curl_multi_assign(http->multi, fd, NULL);
			loop_fd_remove(s->source);
			free(s);
		}
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= EPOLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= EPOLLOUT;
	if (s) {
		loop_fd_events(s->source, events);
		return 0;
	}
	s = xzalloc(sizeof(*s));
	s->http = http;
	s->fd = fd;
	s->source = loop_fd_add(http->loop, fd, events, on_socket, s);
	CHECK(curl_multi_assign(http->multi, fd, s) == CURLM_OK);
	return 0;
}

/* libcurl forbids calls from here, so a wait of 0 goes through the loop, too. */
static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http *http = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_cancel(&http->curl_timer);
	else
		loop_timer_in(&http->curl_timer, timeout_ms);
	return 0;
}

static void on_timeout(void *arg)
{
	struct http *http = arg;
	int running;

	(void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	drain(http);
}

static void start_queued(void *arg);

struct http *http_create(struct loop *loop, const char *user_agent)
{
	struct http *http = xzalloc(sizeof(*http));

	http->loop = loop;
	http->user_agent = xstrdup(user_agent);
	http->queued_end = &http->queued;
	loop_timer_init(&http->curl_timer, loop, on_timeout, http);
	loop_timer_init(&http->kick, loop, start_queued, http);
	return http;
}

/* libcurl costs milliseconds to start, which a process without a paid call does not spend. */
static void multi_start(struct http *http)
{
	CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	http->multi = curl_multi_init();
	if (!http->multi)
		out_of_memory(0);
	CHECK(curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK);
	CHECK(curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK);
	CHECK(curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK);
	CHECK(curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) == CURLM_OK);
	CHECK(curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
				(long)HTTP_CONNECTIONS_MAX) == CURLM_OK);
	/* libcurl counts the busy ones, too: beyond this number it closes each connection that a
	 * transfer is done with, and the next one has to connect again. */
	CHECK(curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_CONNECTIONS_MAX) ==
	      CURLM_OK);
}

static void transfer_unlink(struct http_transfer *t)
{
	struct http *http = t->http;

	if (t->state == TRANSFER_QUEUED) {
		struct http_transfer **at = &http->queued;

		while (*at != t)
			at = &(*at)->next;
		*at = t->next;
		if (!*at)
			http->queued_end = at;
		return;
	}
	if (t->prev)
		t->prev->next = t->next;
	else
		http->running = t->next;
	if (t->next)
		t->next->prev = t->prev;
}

static void forget_fresh(struct http_transfer *t)
{
	struct http_transfer **at = &t->http->fresh;

	if (!t->is_fresh)
		return;
	while (*at != t)
		at = &(*at)->next_fresh;
	*at = t->next_fresh;
	t->is_fresh = false;
}

void http_cancel(struct http_transfer *t)
{
	if (t->state == TRANSFER_DELIVERED || t->is_cancelled)
		return; /* from its own callback */
	forget_fresh(t);
	transfer_unlink(t);
	if (t->state == TRANSFER_RUNNING)
		(void)curl_multi_remove_handle(t->http->multi, t->easy);
	if (t->is_handing_on)
		t->is_cancelled = true;
	else
		transfer_free(t);
}

struct http_sockets *http_sockets_of(struct http *http)
{
	return &http->sockets;
}

CURL *http_handle_take(struct http *http)
{
	CURL *easy = http->handles_count ? http->handles[--http->handles_count] : curl_easy_init();

	if (!easy)
		out_of_memory(0);
	return easy;
}

void http_handle_give_back(struct http *http, TAKES CURL *easy)
{
	if (easy && http->handles_count < HTTP_HANDLES_IDLE_MAX) {
		curl_easy_reset(easy);
		http->handles[http->handles_count++] = easy;
	} else {
		curl_easy_cleanup(easy);
	}
}

static void http_finish(struct http *http)
{
	while (http->handles_count)
		curl_easy_cleanup(http->handles[--http->handles_count]);
	if (http->multi) {
		CHECK(curl_multi_cleanup(http->multi) == CURLM_OK);
		curl_global_cleanup();
	}
	loop_timer_cancel(&http->curl_timer);
	loop_timer_cancel(&http->kick);
	http_sockets_finish(&http->sockets);
	free(http->user_agent);
	free(http);
}

void http_destroy(struct http *http)
{
	if (!http)
		return;
	while (http->queued)
		http_cancel(http->queued);
	while (http->running)
		http_cancel(http->running);
	if (http->is_delivering)
		http->is_destroyed = true;
	else
		http_finish(http);
}

struct http_transfer *http_start(struct http *http, const struct http_request *request, http_fn *fn,
				 void *arg)
{
	struct http_transfer *t;

	if (!http->multi)
		multi_start(http);
	t = transfer_create(http, request, http->user_agent);
	t->fn = fn;
	t->arg = arg;
	*http->queued_end = t;
	http->queued_end = &t->next;
	if (!loop_timer_is_set(&http->kick))
		loop_timer_at(&http->kick, loop_now(http->loop));
	return t;
}

/* Hands the piece on that has come. *out_is_there: t is; it may have been cancelled. False when the
 * client is gone after that. */
static bool hand_on(struct http_transfer *t, bool *out_is_there)
{
	struct http *http = t->http;
	struct http_response response;

	forget_fresh(t);
	transfer_response(t, CURLE_OK, &response);
	t->is_handing_on = true;
	http->is_delivering = true;
	t->data(t->arg, &response);
	http->is_delivering = false;
	watchdog_lap(loop_watchdog(http->loop), "a piece of an answer", NULL);
	t->is_handing_on = false;
	buf_clear(&t->body);
	*out_is_there = !t->is_cancelled;
	if (t->is_cancelled)
		transfer_free(t);
	if (!http->is_destroyed)
		return true;
	http_finish(http);
	return false;
}

/* Takes t out of everything, calls back and frees it. False when the client is gone after that. */
static bool deliver(struct http_transfer *t, CURLcode code)
{
	struct http *http = t->http;
	struct http_response response;

	transfer_unlink(t);
	if (t->state == TRANSFER_RUNNING)
		(void)curl_multi_remove_handle(http->multi, t->easy);
	t->state = TRANSFER_DELIVERED;
	transfer_response(t, code, &response);
	http->is_delivering = true;
	t->fn(t->arg, &response);
	http->is_delivering = false;
	watchdog_lap(loop_watchdog(http->loop), "an answer", NULL);
	transfer_free(t);
	if (!http->is_destroyed)
		return true;
	http_finish(http);
	return false;
}

static void run_anew(struct http_transfer *t)
{
	(void)curl_multi_remove_handle(t->http->multi, t->easy);
	CHECK(curl_multi_add_handle(t->http->multi, t->easy) == CURLM_OK);
}

/* False when the client is gone after that. */
static bool take_end(struct http_transfer *t, CURLcode code)
{
	if (!transfer_renew(t))
		return deliver(t, code);
	run_anew(t);
	return true;
}

/* Delivers what libcurl has finished. A callback may cancel others: libcurl then forgets their
 * messages. */
static void drain(struct http *http)
{
	bool is_there;
	CURLMsg *m;
	int left;

	/* First the pieces: a transfer's last ones come before its end. */
	while (http->fresh) {
		if (!hand_on(http->fresh, &is_there))
			return;
	}
	while ((m = curl_multi_info_read(http->multi, &left))) {
		char *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		CHECK(curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK && t);
		if (!take_end((struct http_transfer *)(void *)t, m->data.result))
			return;
	}
}

static void transfer_run(struct http_transfer *t)
{
	struct http *http = t->http;

	transfer_unlink(t);
	t->state = TRANSFER_RUNNING;
	t->prev = NULL;
	t->next = http->running;
	if (http->running)
		http->running->prev = t;
	http->running = t;
	CHECK(curl_multi_add_handle(http->multi, t->easy) == CURLM_OK);
}

/* What a callback queues here waits for the next turn. */
static void start_queued(void *arg)
{
	struct http *http = arg;

	for (struct http_transfer *t = http->queued; t; t = t->next)
		t->is_due = true;
	while (http->queued && http->queued->is_due) {
		struct http_transfer *t = http->queued;

		if (!t->bad_request)
			transfer_run(t);
		else if (!deliver(t, CURLE_URL_MALFORMAT))
			return;
	}
	on_timeout(http);
}

void http_linger(struct http *http, int64_t ms)
{
	struct boottime until = boottime_after(clock_boot(), ms);
	int running;

	if (http->queued)
		start_queued(http);
	while (http->running) {
		int64_t left_ms = until.ms - clock_boot().ms;

		(void)curl_multi_perform(http->multi, &running);
		drain(http);
		if (!http->running || left_ms <= 0)
			return;
		(void)curl_multi_poll(http->multi, NULL, 0, (int)left_ms, NULL);
	}
}
