#ifndef DB_TURN_H
#define DB_TURN_H

/*
 * The fair turnstile by which processes take turns on one file: two flocks on files beside it. Who
 * wants a turn queues at the first and, holding it, waits for the second; whoever leaves the
 * second never overtakes those who wait. SQLite's own busy handler starves the unlucky for
 * seconds. The kernel releases both when a process dies. The files are 0600, close-on-exec, and
 * never unlinked.
 */

#include "base/base.h"
#include "base/err.h"

struct turn {
	int queue_fd;
	int lock_fd;
};

#define TURN_INIT                                                                                  \
	{                                                                                          \
		.queue_fd = -1, .lock_fd = -1                                                      \
	}

MUST_USE bool turn_open(struct turn *turn, const char *path, struct err *err);
void turn_close(struct turn *turn);
/* Waits at most wait_ms; false: not our turn. SIGALRM must not be blocked. */
MUST_USE bool turn_take(struct turn *turn, int64_t wait_ms);
void turn_leave(struct turn *turn);

#endif
