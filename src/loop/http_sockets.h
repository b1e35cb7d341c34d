#ifndef LOOP_HTTP_SOCKETS_H
#define LOOP_HTTP_SOCKETS_H

/*
 * The sockets of libcurl's connections, found by their two ends: libcurl names those when it is
 * about to use a kept connection, and not the socket. For http.c and http_transfer.c only.
 */

#include "base/base.h"

#include <netinet/in.h>

struct http_sockets {
	struct http_ends *items;
	size_t count;
	size_t capacity;
};

struct http_ends {
	int fd;
	int local_port; /* 0: not known yet */
	int peer_port;
	char peer[INET6_ADDRSTRLEN];
};

void http_sockets_finish(struct http_sockets *s);

/* A socket was opened; it need not be connected yet. */
void http_sockets_add(struct http_sockets *s, int fd);
/* It is about to be closed; one that is not known is none of ours. */
void http_sockets_remove(struct http_sockets *s, int fd);

/* Whether the peer has ended the connection with these ends, so that it cannot answer any more. A
 * connection that is not known counts as open. */
bool http_sockets_has_ended(struct http_sockets *s, const char *peer, int peer_port,
			    int local_port);

#endif
