#ifndef SERVE_H
#define SERVE_H

/*
 * The frame of a small stand-in: one thread, 127.0.0.1, whole bodies. It says where it listens in
 * its first line, "listening PORT", and ends when stdin does or at SIGTERM or SIGINT.
 */

#include "base/buf.h"

#include <microhttpd.h>

/* The answer to a request whose body is whole; both are borrowed. */
typedef enum MHD_Result serve_fn(void *arg, struct MHD_Connection *c, const char *method,
				 const char *path, const struct buf *body);

struct serve {
	serve_fn *answer;
	void *arg;
	struct MHD_Daemon *daemon;
	int signals;
	int port; /* out */
};

/* Begins to listen, or says why not and exits. */
void serve_listen(struct serve *serve);
/* Says where, and answers until the end. */
_Noreturn void serve_run(struct serve *serve);

#endif
