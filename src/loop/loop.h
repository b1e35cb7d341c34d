#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

/*
 * The event loop: one epoll for descriptors, signals (signalfd) and, in http.c, libcurl's own
 * sockets; timers in a heap on the boot clock. One thread. A turn waits once, dispatches what is
 * ready, runs due timers, then calls the turn-end function; when that one says that work is left,
 * the next turn does not wait.
 *
 * A timer that is started in a turn runs in a later one; timers due at the same time run in the
 * order in which they were started.
 *
 * Callbacks never block and never call loop_run. They may add, change and remove anything, also
 * themselves: removal takes effect at once (no late event reaches a removed source) and memory is
 * freed at the end of the turn.
 */

#include "base/base.h"
#include "base/clock.h"
#include "base/watchdog.h"

#include <sys/epoll.h>

struct loop;
struct loop_fd;

typedef void loop_fd_fn(void *arg, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */
typedef void loop_timer_fn(void *arg);
typedef void loop_signal_fn(void *arg, int signo);
typedef bool loop_turn_fn(void *arg); /* true: more to do, do not wait */

struct loop *loop_create(void);
void loop_destroy(struct loop *loop);

/* Runs turns until loop_stop; the turn that stops is finished. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
void loop_set_turn_end(struct loop *loop, loop_turn_fn *fn, void *arg);
/* The boot time at which this turn woke up. */
struct boottime loop_now(const struct loop *loop);

/* Times each callback; for pieces of work within one, watchdog_lap. */
struct watchdog *loop_watchdog(struct loop *loop);

/* What the watchdog calls a callback: the file that names it, and its name there. */
#define HANDLER_NAME(fn) __FILE_NAME__ ":" #fn

/* The descriptor stays the caller's. A regular file, which epoll refuses, counts as always ready.
 * events 0 keeps it registered and silent. */
#define loop_fd_add(loop, fd, events, fn, arg)                                                     \
	loop_fd_add_named(loop, fd, events, fn, arg, HANDLER_NAME(fn))
/* name is a static text. */
struct loop_fd *loop_fd_add_named(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn,
				  void *arg, const char *name);
void loop_fd_events(struct loop_fd *f, uint32_t events);
void loop_fd_remove(struct loop_fd *f); /* NULL is allowed */

/* A timer is embedded in what it belongs to; zeroed memory is an idle timer. */
struct loop_timer {
	struct loop *loop;
	loop_timer_fn *fn;
	void *arg;
	const char *name; /* for the watchdog */
	struct boottime at;
	uint64_t seq;      /* order of starting */
	size_t heap_index; /* 1-based; 0 = idle */
};

#define loop_timer_init(t, loop, fn, arg) loop_timer_init_named(t, loop, fn, arg, HANDLER_NAME(fn))
/* name is a static text. */
void loop_timer_init_named(struct loop_timer *t, struct loop *loop, loop_timer_fn *fn, void *arg,
			   const char *name);
/* Starts or moves it. */
void loop_timer_at(struct loop_timer *t, struct boottime at);
void loop_timer_in(struct loop_timer *t, int64_t ms);
void loop_timer_cancel(struct loop_timer *t); /* idle is allowed */
bool loop_timer_is_set(const struct loop_timer *t);

/* Blocks the signals for the process and delivers them in a turn. Once a loop. */
void loop_signals(struct loop *loop, const int *signos, size_t n, loop_signal_fn *fn, void *arg);

#endif
