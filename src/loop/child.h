#ifndef LOOP_CHILD_H
#define LOOP_CHILD_H

/*
 * A child process on the loop: spoken to through pipes on its stdin and stdout, listened to on its
 * stderr, noticed by a pidfd when it ends.
 *
 * It leads a process group of its own, which is killed with it, so that what a launcher such as npx
 * starts does not stay behind. It inherits no descriptor and an environment of CHILD_ENVIRONMENT
 * only, beside what is configured: nothing of the wallet's secrets. Its working directory is ours.
 * When we are killed its stdin ends.
 */

#include "base/err.h"
#include "loop/loop.h"

struct child;

/* Bytes of its stdout or stderr as they come, at most CHILD_READ_BYTES a turn; borrowed. The child
 * must not be destroyed here; it may be stopped. */
typedef void child_bytes_fn(void *arg, struct slice bytes);
/* It has ended and is reaped; how is "exit status 1" or "signal 9". Comes once, never from within
 * another function of this file; the receiver destroys the child. */
typedef void child_end_fn(void *arg, const char *how);

struct child_config {
	const char *const *argv; /* ended by NULL; looked for in PATH */
	/* Further variables as NAME=VALUE, ended by NULL; they win over inherited ones. NULL: none
	 */
	const char *const *environment;
	child_bytes_fn *out;
	child_bytes_fn *err;
	child_end_fn *end;
	void *arg;
};

/* Whether there is such a program to be started: what child_start would find. */
MUST_USE bool child_command_check(const char *command, struct err *err);

/* NULL and err when it cannot be started. SIGPIPE is ignored by this process from here on. */
struct child *child_start(struct loop *loop, const struct child_config *config, struct err *err);
/* Kills what still runs, without a callback, and waits for it a moment. NULL is allowed. */
void child_destroy(struct child *c);

/* Sends bytes to its stdin, now or when it reads. False: more than CHILD_PENDING_BYTES_MAX would
 * wait, or it has closed its stdin; nothing is queued. */
MUST_USE bool child_write(struct child *c, struct slice bytes);

/* Ends it: stdin is closed, SIGTERM is sent, after CHILD_TERM_MS SIGKILL. What it still writes is
 * dropped. */
void child_stop(struct child *c);

/* For the end of this process only, as they block. */
void child_close_stdin(struct child *c);
void child_terminate(struct child *c);
/* True when it has ended within ms. */
bool child_wait(struct child *c, int64_t ms);

int child_pid(const struct child *c);

#endif
