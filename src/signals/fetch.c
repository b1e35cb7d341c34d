#include "signals/fetch.h"

#include "base/limits.h"
#include "signals/room.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEADERS_MAX = 4,
	VALIDATOR_BYTES_MAX = 256,
	/* What an answer needs at least once we ask again. */
	RETRY_SPARE_MS = 1000,
};

static void on_response(void *arg, const struct http_response *r);

static int64_t left_ms(const struct fetch *f)
{
	int64_t left = f->deadline.ms - clock_boot().ms;

	return left > 1 ? left : 1;
}

static void send_request(struct fetch *f)
{
	struct http_header headers[HEADERS_MAX];
	size_t n = 0;
	struct http_request request = {
		.method = "GET",
		.url = f->url,
		.headers = headers,
		.user_agent = f->signals->user_agent,
		.timeout_ms = left_ms(f),
		.body_bytes_max = f->body_bytes_max,
		.redirects_max = HTTP_REDIRECTS_MAX,
		.allow_private = f->signals->allow_private,
	};

	headers[n++] = (struct http_header){"Accept", f->accept};
	if (f->etag != NULL)
		headers[n++] = (struct http_header){"If-None-Match", f->etag};
	if (f->last_modified != NULL)
		headers[n++] = (struct http_header){"If-Modified-Since", f->last_modified};
	request.headers_count = n;
	f->transfer = http_start(f->signals->http, &request, on_response, f);
}

static void on_retry(void *arg)
{
	send_request(arg);
}

static int64_t read_retry_after(const struct http_response *r)
{
	const char *text = http_response_header(r, "Retry-After");
	int64_t s;

	if (text == NULL || !parse_i64(slice_of(text), 0, INT32_MAX, &s))
		return -1;
	return s;
}

static bool may_retry(const struct fetch *f)
{
	return !f->has_retried && (f->status == 429 || f->status == 503) && f->retry_after_s >= 0 &&
	       f->retry_after_s <= RETRY_AFTER_S_MAX &&
	       f->retry_after_s * 1000 + RETRY_SPARE_MS < left_ms(f);
}

static enum fetch_outcome judge_status(struct fetch *f)
{
	if (f->status >= 200 && f->status < 300)
		return FETCH_OK;
	if (f->status == 304 && (f->etag != NULL || f->last_modified != NULL))
		return FETCH_NOT_MODIFIED;
	err_set(&f->err, "%s answered with status %d", f->url, f->status);
	return f->status == 404 || f->status == 410 ? FETCH_MISSING : FETCH_FAILED;
}

static enum fetch_outcome judge(struct fetch *f, const struct http_response *r)
{
	switch (r->outcome) {
	case HTTP_DONE:
		return judge_status(f);
	case HTTP_TIMEOUT:
		err_set(&f->err, "%s did not answer in time", f->url);
		return FETCH_TIMEOUT;
	case HTTP_TOO_LARGE:
		err_set(&f->err, "%s answered with more than %zu bytes", f->url, f->body_bytes_max);
		return FETCH_TOO_LARGE;
	case HTTP_REFUSED_ADDRESS:
		err_set(&f->err, "%s is not at a public address", f->url);
		return FETCH_REFUSED;
	case HTTP_BAD_URL:
		err_set(&f->err, "%s is not an address", f->url);
		return FETCH_REFUSED;
	case HTTP_TRANSPORT:
		break;
	}
	err_set(&f->err, "%s: %s", f->url, r->error);
	/* libcurl has no other sign for a name that does not exist. */
	return strcasestr(r->error, "resolve host") != NULL ? FETCH_MISSING : FETCH_FAILED;
}

static void on_response(void *arg, const struct http_response *r)
{
	struct fetch *f = arg;
	bool has_answer = r->outcome == HTTP_DONE;

	f->transfer = NULL;
	f->status = has_answer ? r->status : 0;
	f->retry_after_s = has_answer ? read_retry_after(r) : -1;
	if (may_retry(f)) {
		f->has_retried = true;
		loop_timer_in(&f->retry, f->retry_after_s * 1000);
		return;
	}
	f->done(f, judge(f, r), has_answer ? r : NULL);
}

void fetch_start(struct fetch *f, const char *url)
{
	CHECK(!fetch_is_running(f));
	free(f->url);
	f->url = xstrdup(url);
	f->status = 0;
	f->retry_after_s = -1;
	f->err = (struct err)ERR_INIT;
	f->has_retried = false;
	loop_timer_init(&f->retry, f->signals->loop, on_retry, f);
	send_request(f);
}

void fetch_finish(struct fetch *f)
{
	if (f->transfer != NULL)
		http_cancel(f->transfer);
	f->transfer = NULL;
	loop_timer_cancel(&f->retry);
	free(f->url);
	f->url = NULL;
}

bool fetch_is_running(const struct fetch *f)
{
	return f->transfer != NULL || loop_timer_is_set(&f->retry);
}

char *fetch_validator(const struct http_response *response, const char *header)
{
	const char *value = http_response_header(response, header);

	if (value == NULL || value[0] == '\0' || strlen(value) > VALIDATOR_BYTES_MAX)
		return NULL;
	for (const char *p = value; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ')
			return NULL;
	}
	return xstrdup(value);
}
