#ifndef MCP_WIRE_H
#define MCP_WIRE_H

/*
 * The way out to the host: bytes are collected and written without ever blocking. The descriptor is
 * shared with whoever gave it to us, so its mode is left alone where that is possible: a pipe or
 * terminal is opened anew, a socket takes the wish with each send, and only where neither works is
 * O_NONBLOCK set and taken back at the end.
 */

#include "base/buf.h"
#include "loop/loop.h"

struct wire {
	struct loop_fd *watch; /* NULL for a file, which never blocks, and a broken wire */
	int fd;
	int flags_before; /* to be restored; -1 for nothing */
	bool is_ours;     /* fd was opened here */
	bool is_socket;
	bool is_blocked; /* waits for room */
	bool is_broken;  /* nobody reads; what is put is dropped */
	struct buf out;
	size_t written; /* bytes at the front of out that have left */
};

/* In place; it must not move until wire_finish. fd stays the caller's. */
void wire_init(struct wire *w, struct loop *loop, int fd);
void wire_finish(struct wire *w);

void wire_put(struct wire *w, struct slice bytes);
size_t wire_pending(const struct wire *w);
/* Writes what goes without waiting. Afterwards either nothing is pending or the loop watches. */
void wire_flush(struct wire *w);

/* Asks for a large pipe buffer; what is no pipe, or may not, stays as it is. */
void wire_widen(int fd);

#endif
