#ifndef PROVIDERS_UPSTREAM_HTTP_H
#define PROVIDERS_UPSTREAM_HTTP_H

/*
 * What the files of the link to a Streamable HTTP URL share. upstream_http.c sends messages and
 * takes their answers. upstream_http_headers.c writes the headers. upstream_http_stream.c is what
 * the older revisions have beside POST: a stream for what the server says unasked, the rest of an
 * answer that broke off, and the end of the session.
 */

#include "base/base.h"
#include "loop/http.h"
#include "providers/event_stream.h"
#include "providers/upstream_room.h"

#define SESSION_HEADER "Mcp-Session-Id"

struct http_exchange;

struct http_link {
	struct upstream *up;
	char *session; /* NULL for none */
	struct http_exchange *exchanges;
	struct http_exchange *stream; /* the GET; NULL for none */
	bool refuses_stream;          /* the server has none in this session */
	bool has_lost;                /* a session, as the end of its stream showed */
	struct boottime lost_at;
};

/* A transfer, or several one after the other that belong to one request or stream. */
struct http_exchange {
	struct http_link *link;
	struct http_transfer *transfer;   /* NULL while it waits for the time of the next one */
	struct upstream_request *request; /* NULL: nobody waits for an answer */
	char *session;                    /* under which it was sent; NULL for none */
	bool is_initialize;
	bool is_stream, is_kind_known; /* of the answer */
	struct event_stream events;
	struct buf body;

	/* For the next transfer of it. */
	struct loop_timer timer;
	struct boottime until; /* when its request is out of time */
	int64_t wait_ms;       /* doubles */
	int resumed;           /* times */
	bool was_open;         /* the stream of a session: the server has one */
	bool has_told;         /* since it was opened last */

	int holders; /* functions of ours that still look at it: its memory stays */
	bool is_gone;
	struct http_exchange *next, *prev;
};

struct http_headers {
	struct http_header *items;
	size_t count;
	char **texts; /* that belong to them */
	size_t texts_count;
};

/* upstream_http.c */
struct http_link *link_of(const struct upstream *up);
/* In the list of its link; nothing is sent yet. */
struct http_exchange *exchange_create(struct upstream *up);
void exchange_cancel(struct http_exchange *p); /* frees it, silently */
void exchange_free(struct http_exchange *p);
/* Sends it; method and body may be a GET's. False and err when the environment lacks something. */
MUST_USE bool exchange_send(struct http_exchange *p, const char *method,
			    const struct upstream_line *line, int64_t timeout_ms, http_fn *done,
			    struct err *err);
/* Ends it, and its request as lost. */
void exchange_fail(struct http_exchange *p, const char *text);
/* The transfer with its request has ended. */
void exchange_on_done(void *arg, const struct http_response *response);

/* upstream_http_headers.c: of a line, or of a transfer without one. The configured ones come
 * first. False and err when the environment lacks something; else for http_headers_free. */
MUST_USE bool http_headers_write(const struct http_exchange *p, const struct upstream_line *line,
				 struct http_headers *out, struct err *err);
void http_headers_free(struct http_headers *h);

/* upstream_http_stream.c */
/* The handshake is done: opens the stream of a session. */
void streams_open(struct upstream *up);
/* A session is over, or begins anew. */
void streams_close(struct http_link *l);
/* The answer broke off: asks for the rest of it, within the time of its request. False when there
 * is no way to. */
MUST_USE bool stream_resume(struct http_exchange *p, const struct http_response *response);
/* Ends the session at the server; nobody waits for an answer to it but a process at its end. */
void session_end(struct upstream *up);

#endif
