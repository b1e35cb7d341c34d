#ifndef HTTP_SITE_H
#define HTTP_SITE_H

/*
 * What the tests of HTTP share: a loop, a client, the last answer and two servers on 127.0.0.1. The
 * good one is microhttpd in a thread of its own, without state; the bad one runs on the loop.
 */

#include "loop/http.h"

struct MHD_Daemon;

struct answer {
	int calls;
	enum http_outcome outcome;
	int status;
	struct buf body;
	char type[64];
	char url[256];
	char header[256];
	char error[512];
};

struct site {
	struct loop *loop;
	struct http *http;
	struct MHD_Daemon *daemon;
	int port;
	const char *want_header;
	struct answer got;

	/* The bad server, on this loop: accepts, reads, says its text, then closes or goes on with
	 * one byte at a time. */
	struct loop_fd *listener;
	int listen_fd;
	int raw_port;
	struct slice raw_text;
	bool raw_closes;
	struct loop_fd *raw;
	int raw_fd;
	int raw_accepted;
	struct loop_timer dribble;
};

void site_init(struct site *s);
void site_finish(struct site *s);

/* The callback of a request: keeps the answer and stops the loop. */
void site_on_answer(void *arg, const struct http_response *r);
/* Runs one request to its end. A path is put behind the good server's address. */
enum http_outcome site_fetch(struct site *s, struct http_request r);
enum http_outcome site_get(struct site *s, const char *path);
/* Asks the bad server, which says text. */
enum http_outcome site_get_raw(struct site *s, const char *text, size_t len, bool closes,
			       int64_t timeout_ms);
/* Whether the last body has this text in it. */
bool site_said(const struct site *s, const char *text);

#endif
