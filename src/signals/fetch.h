#ifndef SIGNALS_FETCH_H
#define SIGNALS_FETCH_H

/*
 * The polite fetcher: one GET that says who asks, asks only for news where it can (If-None-Match,
 * If-Modified-Since), takes no more than it needs, follows a few redirects, reaches public
 * addresses only, and repeats itself once where the server says when (429, 503 with a small
 * Retry-After) and the deadline allows it.
 */

#include "base/clock.h"
#include "base/err.h"
#include "loop/http.h"
#include "loop/loop.h"

struct signals;

enum fetch_outcome {
	FETCH_OK,           /* 2xx with a body */
	FETCH_NOT_MODIFIED, /* 304 to a conditional request */
	FETCH_MISSING,      /* 404, 410, or no such host */
	FETCH_REFUSED,      /* the address is not public or cannot be read */
	FETCH_TOO_LARGE,
	FETCH_TIMEOUT,
	FETCH_FAILED, /* any other status, transport */
};

/* Embedded in what it belongs to; fill the first part of a zeroed one. */
struct fetch {
	struct signals *signals;
	struct boottime deadline;
	const char *accept;
	size_t body_bytes_max;
	const char *etag;          /* of the last answer; NULL for none; borrowed until done */
	const char *last_modified; /* likewise */
	/* Once, in a later turn. response is NULL unless there was an answer. */
	void (*done)(struct fetch *f, enum fetch_outcome outcome,
		     const struct http_response *response);
	void *arg;

	/* Out, valid in done and until the next start. */
	int status;
	int64_t retry_after_s; /* -1 for none */
	struct err err;

	/* The fetcher's own. */
	char *url;
	struct http_transfer *transfer;
	struct loop_timer retry;
	bool has_retried;
};

/* Copies url. A fetch may be started again after done. */
void fetch_start(struct fetch *f, const char *url);
/* Stops it where it is; idle and never started are allowed. */
void fetch_finish(struct fetch *f);
bool fetch_is_running(const struct fetch *f);

/* A validator of the answer as it may be sent back: NULL when there is none or it is too long. The
 * caller frees it. */
char *fetch_validator(const struct http_response *response, const char *header);

#endif
