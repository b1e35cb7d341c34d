#ifndef LOOP_HTTP_H
#define LOOP_HTTP_H

/*
 * HTTP transfers on the loop, by libcurl's multi_socket interface. libcurl is started with the
 * first request. Only http and https; TLS is verified; redirects are followed at most
 * redirects_max times; the body is capped, as decoded. Unless allow_private is set, an address that
 * is loopback, private, link-local, multicast or otherwise not public is refused when the socket is
 * opened, so neither names nor redirects lead there, and proxies named by the environment are not
 * used.
 *
 * A redirect to another host carries all headers but Authorization and Cookie: requests with a
 * secret in another header set stays_at_origin, or follow none.
 */

#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"

struct http; /* the client: one for a loop */
struct http_transfer;

struct http_header {
	const char *name;
	const char *value;
};

/* A piece of the body as it arrives; see http_request. */
struct http_response;
typedef void http_data_fn(void *arg, const struct http_response *so_far);

struct http_request {
	const char *method; /* "GET"; NULL = GET */
	const char *url;
	const struct http_header *headers;
	size_t headers_count;
	struct slice body;      /* sent when p is not NULL; copied */
	const char *user_agent; /* NULL: the client's */
	int64_t timeout_ms;
	size_t body_bytes_max; /* 0 = HTTP_BODY_BYTES_MAX */
	int redirects_max;     /* 0 = none */
	bool stays_at_origin;  /* redirects to another scheme, host or port are refused */
	bool allow_private;
	/* What must not run twice: a connection that breaks before the answer ends the transfer,
	 * where another request is sent again by libcurl. So it uses no connection that was idle
	 * for more than HTTP_ONCE_KEPT_S, and none that the other side has ended. What a redirect
	 * leads to is another request. */
	bool is_once;
	bool no_proxy; /* not even with allow_private: what is sent stays on the way it was given */
	/* NULL: the body is collected for the callback. Else each piece of it comes here first,
	 * with status and headers, in the turn in which it arrives (the transfer may be cancelled
	 * there), and the callback's body is empty; body_bytes_max bounds the sum of all pieces. */
	http_data_fn *data;
};

enum http_outcome {
	HTTP_DONE, /* status, headers and body are there, whatever the status */
	HTTP_TIMEOUT,
	HTTP_TOO_LARGE,
	HTTP_REFUSED_ADDRESS, /* not a public address, or not the origin to stay at */
	HTTP_BAD_URL,         /* or a method or header that cannot be sent */
	HTTP_TRANSPORT,       /* connection, name, TLS, cut short; error says which */
};

/* Other outcomes than HTTP_DONE carry status, headers and body as far as they came. */
struct http_response {
	enum http_outcome outcome;
	int status;
	struct slice body;        /* borrowed until the callback returns */
	const char *content_type; /* "" when there is none */
	const char *effective_url;
	const char *error; /* "" when HTTP_DONE */
	/* The request has begun to leave: whatever the outcome, it may have been executed. After
	 * redirects, the last one. */
	bool was_sent;
	const struct http_transfer *transfer;
};

typedef void http_fn(void *arg, const struct http_response *response);

/* Destroyed before its loop. */
struct http *http_create(struct loop *loop, const char *user_agent);
/* Cancels what is in flight, silently. */
void http_destroy(struct http *http);

/* The callback comes in a later turn, exactly once, unless cancelled. Never NULL. */
struct http_transfer *http_start(struct http *http, const struct http_request *request, http_fn *fn,
				 void *arg);
void http_cancel(struct http_transfer *transfer);
/* Blocks, for the end of a process: runs what is in flight without the loop until nothing is left,
 * or for ms. Callbacks come as ever; they must not destroy the client. */
void http_linger(struct http *http, int64_t ms);

/* Value of a header of the last response in the chain, any case; NULL when there is none. Borrowed
 * until the callback returns. */
const char *http_response_header(const struct http_response *response, const char *name);

/* Reads the date of a header; seconds. False when it is none. */
MUST_USE bool http_date_read(const char *text, struct walltime *out);

/* Whether requests with a secret may be sent below this URL: https, or http to loopback, and
 * nothing behind the path. *out_is_loopback: it needs allow_private. err says what is wrong, and
 * does not name the URL. */
MUST_USE bool http_base_check(const char *base, bool *out_is_loopback, struct err *err);

/* The host of an http or https URL, owned by the caller; NULL when it is no such URL. */
char *http_url_host(const char *url);
/* A host that is written as an address, or as localhost, which is not public. Names are looked up
 * when they are used only. */
bool http_host_is_private(const char *host);
#define HTTP_PRIVATE_WORDS                                                                         \
	"is not a public address; \"network\": {\"allow_private\": true} lets providers reach it"

/* True for an address that may be reached without allow_private. Exported for its tests. */
struct sockaddr;
bool http_address_is_public(const struct sockaddr *address);

#endif
