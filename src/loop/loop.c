#include "loop/loop.h"

#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct loop_fd {
	struct loop *loop; /* NULL once the loop is gone */
	struct loop_fd *prev;
	struct loop_fd *next;
	struct loop_fd *next_dead;
	loop_fd_fn *fn;
	void *arg;
	const char *name;
	int fd;
	uint32_t events;
	bool is_file;   /* epoll refuses it: always ready */
	bool is_polled; /* the kernel knows it */
	bool is_removed;
};

struct loop {
	int epoll_fd;
	int signal_fd;
	bool is_running;
	bool is_stopping;
	bool has_more; /* the turn-end function left work: do not wait */
	struct boottime now;
	struct watchdog watchdog;

	/* A removed source stays in its list until the end of the turn, so that walking the list
	 * and the kernel's events never meet freed memory. */
	struct loop_fd *polled;
	struct loop_fd *files;
	struct loop_fd *dead;

	/* A binary heap by (at, seq). */
	struct loop_timer **heap;
	size_t heap_count;
	size_t heap_size;
	uint64_t seq;
	uint64_t seq_at_wake; /* timers started later wait for the next turn */

	loop_turn_fn *turn_end;
	void *turn_arg;
	loop_signal_fn *signal;
	void *signal_arg;
	struct loop_fd *signal_source;

	struct epoll_event ready[LOOP_EVENTS_PER_TURN];
};

struct loop *loop_create(void)
{
	struct loop *loop = xzalloc(sizeof(*loop));

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		die("epoll_create1: %s", strerror(errno));
	loop->signal_fd = -1;
	loop->now = clock_boot();
	return loop;
}

static void list_push(struct loop_fd **head, struct loop_fd *f)
{
	f->prev = NULL;
	f->next = *head;
	if (*head)
		(*head)->prev = f;
	*head = f;
}

static void list_unlink(struct loop_fd **head, struct loop_fd *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		*head = f->next;
	if (f->next)
		f->next->prev = f->prev;
}

/* Frees what was removed in this turn. */
static void reap(struct loop *loop)
{
	while (loop->dead) {
		struct loop_fd *f = loop->dead;

		loop->dead = f->next_dead;
		list_unlink(f->is_file ? &loop->files : &loop->polled, f);
		free(f);
	}
}

/* A source that is still there is left to its owner, whose loop_fd_remove then only frees it; a
 * timer becomes idle. So the order in which a program is taken down does not matter. */
void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	CHECK(!loop->is_running);
	loop_fd_remove(loop->signal_source);
	if (loop->signal_fd >= 0)
		(void)close(loop->signal_fd);
	reap(loop);
	for (struct loop_fd *f = loop->polled; f; f = f->next)
		f->loop = NULL;
	for (struct loop_fd *f = loop->files; f; f = f->next)
		f->loop = NULL;
	for (size_t i = 0; i < loop->heap_count; i++)
		loop->heap[i]->heap_index = 0;
	(void)close(loop->epoll_fd);
	free(loop->heap);
	free(loop);
}

void loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
}

void loop_set_turn_end(struct loop *loop, loop_turn_fn *fn, void *arg)
{
	loop->turn_end = fn;
	loop->turn_arg = arg;
}

struct boottime loop_now(const struct loop *loop)
{
	return loop->now;
}

struct watchdog *loop_watchdog(struct loop *loop)
{
	return &loop->watchdog;
}

/* Tells the kernel. Without wanted events the descriptor leaves the epoll, which would otherwise
 * report a hang-up on and on. */
static void poll_update(struct loop_fd *f)
{
	struct epoll_event e = {.events = f->events, .data.ptr = f};
	int op = EPOLL_CTL_MOD;

	if (!f->is_polled)
		op = EPOLL_CTL_ADD;
	else if (!f->events)
		op = EPOLL_CTL_DEL;
	f->is_polled = op != EPOLL_CTL_DEL;
	if (epoll_ctl(f->loop->epoll_fd, op, f->fd, &e) == 0)
		return;
	/* The kernel forgets a descriptor when its owner closes it, before telling us. */
	if (op == EPOLL_CTL_DEL && (errno == ENOENT || errno == EBADF))
		return;
	if (op == EPOLL_CTL_ADD && errno == EPERM) {
		f->is_polled = false;
		f->is_file = true;
		return;
	}
	die("epoll_ctl %d on descriptor %d: %s", op, f->fd, strerror(errno));
}

struct loop_fd *loop_fd_add_named(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn,
				  void *arg, const char *name)
{
	struct loop_fd *f = xzalloc(sizeof(*f));

	f->loop = loop;
	f->fd = fd;
	f->fn = fn;
	f->arg = arg;
	f->name = name;
	f->events = events;
	poll_update(f); /* also with no events: this is how a file is known */
	if (!f->is_file && !events)
		poll_update(f);
	list_push(f->is_file ? &loop->files : &loop->polled, f);
	return f;
}

void loop_fd_events(struct loop_fd *f, uint32_t events)
{
	CHECK(!f->is_removed);
	if (f->events == events || !f->loop)
		return;
	f->events = events;
	if (!f->is_file)
		poll_update(f);
}

void loop_fd_remove(struct loop_fd *f)
{
	if (!f)
		return;
	CHECK(!f->is_removed);
	if (!f->loop) {
		free(f);
		return;
	}
	f->events = 0;
	if (f->is_polled)
		poll_update(f);
	f->is_removed = true;
	f->next_dead = f->loop->dead;
	f->loop->dead = f;
}

static bool timer_is_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->at.ms != b->at.ms ? a->at.ms < b->at.ms : a->seq < b->seq;
}

static void heap_put(struct loop *loop, size_t i, struct loop_timer *t)
{
	loop->heap[i] = t;
	t->heap_index = i + 1;
}

static void heap_up(struct loop *loop, size_t i, struct loop_timer *t)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;

		if (!timer_is_before(t, loop->heap[parent]))
			break;
		heap_put(loop, i, loop->heap[parent]);
		i = parent;
	}
	heap_put(loop, i, t);
}

static void heap_down(struct loop *loop, size_t i, struct loop_timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= loop->heap_count)
			break;
		if (child + 1 < loop->heap_count &&
		    timer_is_before(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (!timer_is_before(loop->heap[child], t))
			break;
		heap_put(loop, i, loop->heap[child]);
		i = child;
	}
	heap_put(loop, i, t);
}

/* Puts t where it belongs, starting from a free place i. */
static void heap_settle(struct loop *loop, size_t i, struct loop_timer *t)
{
	if (i > 0 && timer_is_before(t, loop->heap[(i - 1) / 2]))
		heap_up(loop, i, t);
	else
		heap_down(loop, i, t);
}

void loop_timer_init_named(struct loop_timer *t, struct loop *loop, loop_timer_fn *fn, void *arg,
			   const char *name)
{
	*t = (struct loop_timer){.loop = loop, .fn = fn, .arg = arg, .name = name};
}

void loop_timer_at(struct loop_timer *t, struct boottime at)
{
	struct loop *loop = t->loop;
	size_t i;

	/* What is overdue counts as due now, so that a timer that is always overdue cannot stand
	 * in front of the others in every turn. */
	t->at.ms = at.ms < loop->now.ms ? loop->now.ms : at.ms;
	t->seq = ++loop->seq;
	if (t->heap_index) {
		heap_settle(loop, t->heap_index - 1, t);
		return;
	}
	i = loop->heap_count;
	if (i == loop->heap_size) {
		loop->heap_size = i ? 2 * i : 64;
		loop->heap = xrealloc_array(loop->heap, loop->heap_size, sizeof(loop->heap[0]));
	}
	loop->heap_count++;
	heap_up(loop, i, t);
}

void loop_timer_in(struct loop_timer *t, int64_t ms)
{
	struct boottime at;

	/* From the time of the call: the turn may have worked for a while. */
	if (__builtin_add_overflow(clock_boot().ms, ms, &at.ms))
		at.ms = ms < 0 ? INT64_MIN : INT64_MAX;
	loop_timer_at(t, at);
}

void loop_timer_cancel(struct loop_timer *t)
{
	struct loop_timer *last;
	size_t i;

	if (!t->heap_index)
		return;
	i = t->heap_index - 1;
	t->heap_index = 0;
	last = t->loop->heap[--t->loop->heap_count];
	if (last != t)
		heap_settle(t->loop, i, last);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
	return t->heap_index != 0;
}

static void on_signal_fd(void *arg, uint32_t events)
{
	struct loop *loop = arg;
	struct signalfd_siginfo info[8];
	ssize_t n = read(loop->signal_fd, info, sizeof(info));

	(void)events;
	CHECK(n >= 0 || errno == EAGAIN || errno == EINTR);
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(info[0]); i++)
		loop->signal(loop->signal_arg, (int)info[i].ssi_signo);
}

void loop_signals(struct loop *loop, const int *signos, size_t n, loop_signal_fn *fn, void *arg)
{
	sigset_t set;

	CHECK(loop->signal_fd < 0);
	CHECK(sigemptyset(&set) == 0);
	for (size_t i = 0; i < n; i++)
		CHECK(sigaddset(&set, signos[i]) == 0);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	loop->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (loop->signal_fd < 0)
		die("signalfd: %s", strerror(errno));
	loop->signal = fn;
	loop->signal_arg = arg;
	loop->signal_source = loop_fd_add(loop, loop->signal_fd, EPOLLIN, on_signal_fd, loop);
}

static bool has_ready_file(const struct loop *loop)
{
	for (const struct loop_fd *f = loop->files; f; f = f->next) {
		if (f->events)
			return true;
	}
	return false;
}

/* The wait itself runs on the monotonic clock: after a suspend a timer is late by at most what was
 * left of the wait. */
static int wait_ms(const struct loop *loop)
{
	int64_t ms;

	if (loop->has_more || has_ready_file(loop))
		return 0;
	if (!loop->heap_count)
		return -1;
	ms = loop->heap[0]->at.ms - clock_boot().ms;
	if (ms <= 0)
		return 0;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void dispatch_fd(struct loop *loop, const struct loop_fd *f, uint32_t events)
{
	f->fn(f->arg, events);
	watchdog_lap(&loop->watchdog, f->name, NULL);
}

static void dispatch_polled(struct loop *loop, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct loop_fd *f = loop->ready[i].data.ptr;
		/* An earlier callback may have changed what is wanted, or removed it. */
		uint32_t events = loop->ready[i].events & (f->events | EPOLLHUP | EPOLLERR);

		if (f->events && events)
			dispatch_fd(loop, f, events);
	}
}

/* Files added by a callback stand in front of the walk and wait for the next turn. */
static void dispatch_files(struct loop *loop)
{
	for (struct loop_fd *f = loop->files; f; f = f->next) {
		uint32_t events = f->events & (EPOLLIN | EPOLLOUT);

		if (events)
			dispatch_fd(loop, f, events);
	}
}

static void run_timers(struct loop *loop)
{
	while (loop->heap_count) {
		struct loop_timer *t = loop->heap[0];
		const char *name = t->name; /* it may be gone after its callback */

		if (t->at.ms > loop->now.ms || t->seq > loop->seq_at_wake)
			break;
		loop_timer_cancel(t);
		t->fn(t->arg);
		watchdog_lap(&loop->watchdog, name, NULL);
	}
}

static void turn(struct loop *loop)
{
	int n = epoll_wait(loop->epoll_fd, loop->ready, LOOP_EVENTS_PER_TURN, wait_ms(loop));

	if (n < 0) {
		CHECK(errno == EINTR);
		n = 0;
	}
	loop->now = clock_boot();
	loop->seq_at_wake = loop->seq;
	dispatch_polled(loop, (size_t)n);
	dispatch_files(loop);
	run_timers(loop);
	loop->has_more = loop->turn_end && loop->turn_end(loop->turn_arg);
	reap(loop);
	watchdog_lap(&loop->watchdog, "the end of a turn", NULL);
	log_settle(loop->now);
}

void loop_run(struct loop *loop)
{
	CHECK(!loop->is_running);
	loop->is_running = true;
	/* What was submitted before the loop ran is work, too: the first turn does not wait. */
	loop->has_more = true;
	watchdog_start(&loop->watchdog);
	while (!loop->is_stopping)
		turn(loop);
	loop->is_stopping = false;
	loop->is_running = false;
}
