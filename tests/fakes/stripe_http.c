/*
 * The connections, and the one loop that serves them, the answers that are late, and the webhooks.
 */

#include "stripe_double.h"

#include "base/buf.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#define CONTROL "/_control/"

enum {
	BODY_BYTES_MAX = 1024 * 1024,
};

enum stage {
	STAGE_BEGIN,
	STAGE_RUN,
	STAGE_SEND,
};

/* A request with what is on its way back. */
struct exchange {
	struct http_fake *h;
	struct MHD_Connection *connection;
	char *path;
	char *query; /* borrowed from path's memory */
	struct buf body;
	struct request request;
	enum stage stage;
	bool has_begun;
	/* While it waits. */
	struct boottime due;
	struct exchange *next;
	struct exchange **link; /* NULL: it does not */
};

struct http_fake {
	struct fake *fake;
	struct MHD_Daemon *daemon;
	struct exchange *waiting;
};

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *c)
{
	struct exchange *x = xzalloc(sizeof(*x));
	char *mark;

	x->h = arg;
	x->connection = c;
	x->path = xstrdup(uri);
	mark = strchr(x->path, '?');
	if (mark != NULL)
		*mark = '\0';
	x->query = mark == NULL ? x->path + strlen(x->path) : mark + 1;
	x->body.cap = BODY_BYTES_MAX;
	return x;
}

static void stop_waiting(struct exchange *x)
{
	*x->link = x->next;
	if (x->next != NULL)
		x->next->link = x->link;
	x->link = NULL;
}

static void on_completed(void *arg, struct MHD_Connection *c, void **slot,
			 enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *slot;

	(void)arg;
	(void)c;
	(void)why;
	if (x == NULL)
		return;
	if (x->link != NULL)
		stop_waiting(x);
	api_finish(&x->request);
	free(x->path);
	buf_finish(&x->body);
	free(x);
	*slot = NULL;
}

static enum MHD_Result wait_for(struct exchange *x, int64_t ms)
{
	x->due = boottime_after(clock_boot(), ms);
	x->next = x->h->waiting;
	x->link = &x->h->waiting;
	if (x->next != NULL)
		x->next->link = &x->next;
	x->h->waiting = x;
	MHD_suspend_connection(x->connection);
	return MHD_YES;
}

/* Resumes what is due; the milliseconds until the next, or -1. */
static int64_t resume_due(struct http_fake *h, bool is_all)
{
	int64_t now = clock_boot().ms;
	int64_t wait = -1;
	struct exchange *next;

	for (struct exchange *x = h->waiting; x != NULL; x = next) {
		next = x->next;
		if (is_all || x->due.ms <= now) {
			stop_waiting(x);
			MHD_resume_connection(x->connection);
			wait = 0;
		} else if (wait < 0 || x->due.ms - now < wait) {
			wait = x->due.ms - now;
		}
	}
	return wait;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (value != NULL)
		(void)MHD_add_response_header(response, name, value);
}

static void add_headers(const struct request *r, struct MHD_Response *response)
{
	time_t now = (time_t)fake_now(r->fake);
	struct tm tm;
	char date[64];

	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	add_header(response, "Date", date);
	add_header(response, "Content-Type", r->is_html ? "text/html" : "application/json");
	add_header(response, "Stripe-Rate-Limited-Reason", r->reason);
	add_header(response, "Retry-After", r->retry_after);
	add_header(response, "Stripe-Should-Retry", r->should_retry);
	if (r->is_html)
		return; /* it did not come so far */
	add_header(response, "Request-Id", r->request_id);
	add_header(response, "Stripe-Version", STRIPE_VERSION);
	add_header(response, "Idempotency-Key", r->key);
	if (r->original != NULL) {
		add_header(response, "Idempotent-Replayed", "true");
		add_header(response, "Original-Request", r->original);
	}
	if (r->status == 401)
		add_header(response, "WWW-Authenticate", "Basic realm=\"Stripe\"");
}

/* Half of the answer, and then the end of the connection. */
static ssize_t read_half(void *arg, uint64_t at, char *out, size_t max)
{
	const char *text = arg;
	size_t end = strlen(text) / 2;

	if (at >= end)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (max > end - at)
		max = end - at;
	memcpy(out, text + at, max);
	return (ssize_t)max;
}

static enum MHD_Result send_answer(struct exchange *x)
{
	const struct request *r = &x->request;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (r->how == SEND_NOTHING)
		return MHD_NO;
	response = r->how == SEND_HALF
			   ? MHD_create_response_from_callback(strlen(r->text), 1024, read_half,
							       xstrdup(r->text), free)
			   : MHD_create_response_from_buffer(strlen(r->text), r->text,
							     MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
	add_headers(r, response);
	result = MHD_queue_response(x->connection, r->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_control(struct exchange *x, const char *method)
{
	json_t *body = json_loadb(buf_text(&x->body), x->body.len, 0, NULL);
	unsigned status = 200;
	json_t *answer = control(x->h->fake, method, x->path + sizeof(CONTROL) - 1, body, &status);
	char *text = json_dumps(answer, JSON_COMPACT);
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text,
									MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	json_decref(body);
	json_decref(answer);
	free(text);
	if (response == NULL)
		return MHD_NO;
	add_header(response, "Content-Type", "application/json");
	result = MHD_queue_response(x->connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static const char *header(const struct exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

static int64_t begin(struct exchange *x, const char *method)
{
	x->request = (struct request){
		.fake = x->h->fake,
		.method = method,
		.path = x->path,
		.query = x->query,
		.body = buf_slice(&x->body),
		.authorization = header(x, "Authorization"),
		.version = header(x, "Stripe-Version"),
		.content_type = header(x, "Content-Type"),
		.key = header(x, "Idempotency-Key"),
	};
	return api_begin(&x->request);
}

static enum MHD_Result step(struct exchange *x, const char *method)
{
	int64_t wait;

	if (x->stage == STAGE_BEGIN) {
		wait = begin(x, method);
		x->stage = x->request.status == 0 ? STAGE_RUN : STAGE_SEND;
		if (wait > 0)
			return wait_for(x, wait);
	}
	if (x->stage == STAGE_RUN) {
		wait = api_run(&x->request);
		x->stage = STAGE_SEND;
		if (wait > 0)
			return wait_for(x, wait);
	}
	return send_answer(x);
}

/* Comes once with the headers, then with each part of the body, then for the answer. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **slot)
{
	struct exchange *x = *slot;

	(void)arg;
	(void)c;
	(void)path;
	(void)version;
	if (!x->has_begun) {
		x->has_begun = true;
		return MHD_YES;
	}
	if (*data_len > 0) {
		if (!buf_append_capped(&x->body, data, *data_len))
			return MHD_NO;
		*data_len = 0;
		return MHD_YES;
	}
	if (strncmp(x->path, CONTROL, sizeof(CONTROL) - 1) == 0)
		return answer_control(x, method);
	return step(x, method);
}

struct http_fake *http_fake_create(struct fake *f)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct http_fake *h = xzalloc(sizeof(*h));

	h->fake = f;
	h->daemon = MHD_start_daemon(MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK, 0,
				     NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, &address,
				     MHD_OPTION_URI_LOG_CALLBACK, on_uri, h,
				     MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
	if (h->daemon == NULL) {
		free(h);
		return NULL;
	}
	f->port = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	return h;
}

void http_fake_destroy(struct http_fake *h)
{
	/* The daemon does not stop while a connection waits. */
	(void)resume_due(h, true);
	(void)MHD_run(h->daemon);
	MHD_stop_daemon(h->daemon);
	free(h);
}

void http_fake_serve(struct http_fake *h, int one, int other)
{
	for (;;) {
		fd_set in;
		fd_set out;
		fd_set bad;
		int max = one > other ? one : other;
		int64_t wait_ms = resume_due(h, false);
		MHD_UNSIGNED_LONG_LONG mhd_wait;
		struct timeval timeout;

		FD_ZERO(&in);
		FD_ZERO(&out);
		FD_ZERO(&bad);
		if (MHD_get_fdset(h->daemon, &in, &out, &bad, &max) != MHD_YES)
			return;
		if (MHD_get_timeout(h->daemon, &mhd_wait) == MHD_YES &&
		    (wait_ms < 0 || (int64_t)mhd_wait < wait_ms))
			wait_ms = (int64_t)mhd_wait;
		webhooks_fds(h->fake->webhooks, &in, &out, &bad, &max, &wait_ms);
		FD_SET(one, &in);
		FD_SET(other, &in);
		timeout.tv_sec = wait_ms / 1000;
		timeout.tv_usec = wait_ms % 1000 * 1000;
		if (select(max + 1, &in, &out, &bad, wait_ms < 0 ? NULL : &timeout) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		(void)MHD_run_from_select(h->daemon, &in, &out, &bad);
		webhooks_run(h->fake->webhooks);
		if (FD_ISSET(one, &in) || FD_ISSET(other, &in))
			return;
	}
}
