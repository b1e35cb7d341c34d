#ifndef DROPPING_H
#define DROPPING_H

/*
 * A server on 127.0.0.1, on the loop of the test, that keeps its connections, counts what arrives,
 * and from a moment on reads each request to its end and closes without an answer.
 */

#include "loop/loop.h"

#define DROPPING_CONNECTIONS_MAX 256

struct dropping {
	struct loop *loop;
	int listen_fd;
	int port;
	struct loop_fd *listener;
	struct dropping_connection *connections[DROPPING_CONNECTIONS_MAX];
	int accepted;
	int arrivals;
	const char *body; /* of each answer; NULL: "{}" */
	int hold;         /* so many requests are waited for before all of them are answered */
	int redirects;    /* so many requests are led to "/" first */
	bool drops;
	bool closes; /* after each answer, without having said so */
	bool refuses_expectation;
};

/* On the loop from here on; dropping_listen lets connections in. */
void dropping_init(struct dropping *d, struct loop *loop);
void dropping_listen(struct dropping *d);
void dropping_finish(struct dropping *d);

#endif
