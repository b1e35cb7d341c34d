#ifndef BASE_WATCHDOG_H
#define BASE_WATCHDOG_H

/*
 * Finds what keeps the one thread from its next wait. Whoever has done a piece of work says so with
 * a name: watchdog_lap; the processor time since the lap before is that piece's. More than
 * HANDLER_CPU_MS_MAX is logged. Time asleep, as in a sync or a wait for a lock, does not count.
 *
 * The processor's clock costs a system call, so it is read only when the boot clock has moved by a
 * millisecond: what is shorter is added to the piece that follows.
 */

#include "base/clock.h"

struct watchdog {
	struct boottime read_at;
	int64_t cpu_ns;
	int64_t fatal_ms; /* for tests: a piece of this length ends the process; 0: never */
};

/* Work that nobody answers for is over: the first lap begins. */
void watchdog_start(struct watchdog *w);
/* The clock has moved: a lap would look. Saves its caller to find a name for nothing. */
bool watchdog_is_due(const struct watchdog *w);
/* what and detail say what was done since the last lap; detail may be NULL, and come from outside.
 * w NULL: nobody watches. */
void watchdog_lap(struct watchdog *w, const char *what, const char *detail);

#endif
