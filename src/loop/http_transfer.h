#ifndef LOOP_HTTP_TRANSFER_H
#define LOOP_HTTP_TRANSFER_H

/*
 * One transfer as libcurl sees it: built from a request, collects what comes, says how it ended.
 * For http.c only, which runs it.
 */

#include "loop/http.h"

#include <curl/curl.h>

enum transfer_state {
	TRANSFER_QUEUED, /* libcurl does not know it yet */
	TRANSFER_RUNNING,
	TRANSFER_DELIVERED, /* its callback runs, or has run */
};

struct http_transfer {
	struct http *http;
	struct http_transfer *prev;
	struct http_transfer *next;
	enum transfer_state state;
	bool is_due; /* queued before this turn */
	http_fn *fn;
	void *arg;

	http_data_fn *data;               /* NULL: the body is collected */
	struct http_transfer *next_fresh; /* of those whose body holds a piece to be handed on */
	bool is_fresh;
	bool is_handing_on; /* within data; a cancel waits for its end */
	bool is_cancelled;
	size_t handed_on_bytes;

	CURL *easy; /* NULL when the request was not fit to be sent */
	struct curl_slist *request_headers;
	char *request_body;
	const char *bad_request; /* why; a constant */
	bool allow_private;
	char *origin; /* the request's URL, when redirects stay there; else NULL */

	struct buf body;         /* capped */
	struct buf headers;      /* capped; "name\0value\0" for each */
	size_t passed_bytes_max; /* the cap that was passed; 0 = none */
	bool is_refused;         /* the last address that was tried is not public */
	bool is_elsewhere;       /* the last redirect led away from the origin */
	bool is_once;            /* as the request says */
	bool is_repetition;      /* the second sending of such a request was refused */
	bool is_stale;           /* it met a kept connection that had ended, and was not sent */
	bool was_renewed;        /* and then was run anew */
	long requests_sent;      /* those that redirects led to, too */
	bool may_redirect;
	bool is_sent;      /* the last of them has begun to leave */
	char answer_class; /* of its status, '2' for 200; 0: no answer has begun */
	char curl_error[CURL_ERROR_SIZE];
	char error[CURL_ERROR_SIZE];
};

/* Never NULL. What is wrong with the request is kept in bad_request. */
struct http_transfer *transfer_create(struct http *http, const struct http_request *request,
				      const char *user_agent);
void transfer_free(struct http_transfer *t);

/* True when t was not sent at all, for the kept connection that it was given had ended: it is fit
 * to be run anew, once, on a connection of its own. */
MUST_USE bool transfer_renew(struct http_transfer *t);

/* The sockets of the client's connections; they live as long as libcurl's. */
struct http_sockets *http_sockets_of(struct http *http);

/* A handle of libcurl with no option set: one that was given back, or a new one. */
CURL *http_handle_take(struct http *http);
/* Takes the handle of a transfer that libcurl no longer runs; NULL for none. */
void http_handle_give_back(struct http *http, TAKES CURL *easy);

/* A piece of a body that is not collected has come: http.c keeps t in mind. */
void http_note_fresh(struct http_transfer *t);

/* Fills everything but the callback's own; borrowed from t. */
void transfer_response(struct http_transfer *t, CURLcode code, struct http_response *out);

#endif
