#include "loop/loop.h"

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the callbacks of a test share. */
struct world {
	struct loop *loop;
	struct loop_fd *a;
	struct loop_fd *b;
	int calls;
	int turns;
	uint32_t events;
	int fds[2];
	int signos[4];
	char text[64];
};

static void world_init(struct world *w)
{
	*w = (struct world){.loop = loop_create(), .fds = {-1, -1}};
}

static void world_finish(struct world *w)
{
	loop_fd_remove(w->a);
	loop_fd_remove(w->b);
	loop_destroy(w->loop);
	for (int i = 0; i < 2; i++) {
		if (w->fds[i] >= 0)
			(void)close(w->fds[i]);
	}
}

static void stop(void *arg)
{
	struct world *w = arg;

	loop_stop(w->loop);
}

static bool stop_at_turn_end(void *arg)
{
	struct world *w = arg;

	w->turns++;
	loop_stop(w->loop);
	return false;
}

/* Runs one turn, which must not have to wait. */
static void one_turn(struct world *w)
{
	struct loop_timer t;

	loop_timer_init(&t, w->loop, stop, w);
	loop_timer_in(&t, 0);
	loop_set_turn_end(w->loop, stop_at_turn_end, w);
	loop_run(w->loop);
	loop_timer_cancel(&t);
}

static void read_and_stop(void *arg, uint32_t events)
{
	struct world *w = arg;
	ssize_t n = read(w->fds[0], w->text, sizeof(w->text) - 1);

	ck_assert_int_ge(n, 0);
	w->text[n] = '\0';
	w->events = events;
	w->calls++;
	loop_stop(w->loop);
}

static void count(void *arg, uint32_t events)
{
	struct world *w = arg;

	w->events = events;
	w->calls++;
}

START_TEST(a_ready_pipe_calls_back)
{
	struct world w;

	world_init(&w);
	ck_assert_int_eq(pipe2(w.fds, O_CLOEXEC), 0);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLIN, read_and_stop, &w);
	one_turn(&w);
	ck_assert_int_eq(w.calls, 0);
	ck_assert_int_eq(write(w.fds[1], "hello", 5), 5);
	loop_set_turn_end(w.loop, NULL, NULL);
	loop_run(w.loop);
	ck_assert_int_eq(w.calls, 1);
	ck_assert_str_eq(w.text, "hello");
	ck_assert_uint_eq(w.events, EPOLLIN);
	world_finish(&w);
}
END_TEST

START_TEST(a_closed_peer_is_a_hang_up)
{
	struct world w;

	world_init(&w);
	ck_assert_int_eq(pipe2(w.fds, O_CLOEXEC), 0);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLIN, count, &w);
	(void)close(w.fds[1]);
	w.fds[1] = -1;
	one_turn(&w);
	ck_assert_uint_eq(w.events, EPOLLHUP);
	world_finish(&w);
}
END_TEST

/* Two sockets that can be written and have hung up. */
static void hung_up_pair(struct world *w)
{
	int fds[2];

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		w->fds[i] = fds[0];
		(void)close(fds[1]);
	}
}

static bool count_turn(void *arg)
{
	struct world *w = arg;

	w->turns++;
	return false;
}

/* Else a hang-up on a source that nobody reads would turn the loop into a spin. */
START_TEST(a_source_without_events_is_silent_also_on_hang_up)
{
	struct world w;
	struct loop_timer t;

	world_init(&w);
	hung_up_pair(&w);
	loop_timer_init(&t, w.loop, stop, &w);
	w.a = loop_fd_add(w.loop, w.fds[0], 0, count, &w);
	w.b = loop_fd_add(w.loop, w.fds[1], EPOLLIN, count, &w);
	loop_fd_events(w.b, 0);
	loop_timer_in(&t, 20);
	loop_set_turn_end(w.loop, count_turn, &w);
	loop_run(w.loop);
	ck_assert_int_eq(w.calls, 0);
	ck_assert_int_le(w.turns, 2);
	loop_fd_events(w.a, EPOLLIN);
	one_turn(&w);
	ck_assert_int_eq(w.calls, 1);
	world_finish(&w);
}
END_TEST

START_TEST(a_socket_can_be_watched_for_both_ways)
{
	struct world w;

	world_init(&w);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w.fds), 0);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLIN | EPOLLOUT, count, &w);
	one_turn(&w);
	ck_assert_uint_eq(w.events, EPOLLOUT);
	ck_assert_int_eq(write(w.fds[1], "x", 1), 1);
	one_turn(&w);
	ck_assert_uint_eq(w.events, EPOLLIN | EPOLLOUT);
	loop_fd_events(w.a, EPOLLIN);
	one_turn(&w);
	ck_assert_uint_eq(w.events, EPOLLIN);
	ck_assert_int_eq(w.calls, 3);
	world_finish(&w);
}
END_TEST

/* Each of two ready sources removes the other: only one is called, whichever comes first. */
static void remove_other(void *arg, uint32_t events)
{
	struct world *w = arg;

	(void)events;
	w->calls++;
	loop_fd_remove(w->a);
	loop_fd_remove(w->b);
	w->a = NULL;
	w->b = NULL;
}

START_TEST(a_source_removed_in_the_same_turn_gets_no_late_event)
{
	struct world w;

	world_init(&w);
	hung_up_pair(&w);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLOUT, remove_other, &w);
	w.b = loop_fd_add(w.loop, w.fds[1], EPOLLOUT, remove_other, &w);
	one_turn(&w);
	one_turn(&w);
	ck_assert_int_eq(w.calls, 1);
	world_finish(&w);
}
END_TEST

static void silence_both(void *arg, uint32_t events)
{
	struct world *w = arg;

	(void)events;
	w->calls++;
	loop_fd_events(w->a, 0);
	loop_fd_events(w->b, 0);
}

static void want_input_on_both(void *arg, uint32_t events)
{
	struct world *w = arg;

	(void)events;
	w->calls++;
	loop_fd_events(w->a, EPOLLIN);
	loop_fd_events(w->b, EPOLLIN);
}

START_TEST(a_source_silenced_in_the_same_turn_gets_no_late_event)
{
	struct world w;

	world_init(&w);
	hung_up_pair(&w);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLOUT, silence_both, &w);
	w.b = loop_fd_add(w.loop, w.fds[1], EPOLLOUT, silence_both, &w);
	one_turn(&w);
	one_turn(&w);
	ck_assert_int_eq(w.calls, 1);
	world_finish(&w);
}
END_TEST

START_TEST(a_source_gets_no_event_that_it_does_not_want_any_more)
{
	struct world w;

	world_init(&w);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w.fds), 0);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLOUT, want_input_on_both, &w);
	w.b = loop_fd_add(w.loop, w.fds[1], EPOLLOUT, want_input_on_both, &w);
	one_turn(&w);
	one_turn(&w);
	ck_assert_int_eq(w.calls, 1);
	world_finish(&w);
}
END_TEST

/* Removes both and puts new ones on the same descriptors: what was reported for the old ones must
 * not reach them. */
static void replace_both(void *arg, uint32_t events)
{
	struct world *w = arg;

	remove_other(arg, events);
	w->a = loop_fd_add(w->loop, w->fds[0], EPOLLIN, count, w);
	w->b = loop_fd_add(w->loop, w->fds[1], EPOLLIN, count, w);
}

START_TEST(a_new_source_on_an_old_descriptor_gets_only_its_own_events)
{
	struct world w;

	world_init(&w);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w.fds), 0);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLOUT, replace_both, &w);
	w.b = loop_fd_add(w.loop, w.fds[1], EPOLLOUT, replace_both, &w);
	one_turn(&w);
	one_turn(&w);
	ck_assert_int_eq(w.calls, 1);
	ck_assert_int_eq(write(w.fds[1], "x", 1), 1);
	one_turn(&w);
	ck_assert_int_eq(w.calls, 2);
	world_finish(&w);
}
END_TEST

static void read_to_the_end(void *arg, uint32_t events)
{
	struct world *w = arg;
	char text[8];
	ssize_t n = read(w->fds[0], text, sizeof(text));

	ck_assert_uint_eq(events, EPOLLIN);
	ck_assert_int_ge(n, 0);
	w->calls++;
	memcpy(w->text + strlen(w->text), text, (size_t)n);
	if (n == 0) {
		loop_fd_remove(w->a);
		w->a = NULL;
		loop_stop(w->loop);
	}
}

START_TEST(a_regular_file_is_always_ready)
{
	struct world w;
	char path[] = "/tmp/test_loop_XXXXXX";

	world_init(&w);
	w.fds[0] = mkstemp(path);
	ck_assert_int_ge(w.fds[0], 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(w.fds[0], "twelve bytes", 12), 12);
	ck_assert_int_eq(lseek(w.fds[0], 0, SEEK_SET), 0);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLIN, read_to_the_end, &w);
	loop_run(w.loop);
	ck_assert_str_eq(w.text, "twelve bytes");
	ck_assert_int_eq(w.calls, 3);
	world_finish(&w);
}
END_TEST

START_TEST(a_silenced_file_waits_like_any_source)
{
	struct world w;
	struct loop_timer t;

	world_init(&w);
	w.fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC); /* refused by epoll, too */
	w.a = loop_fd_add(w.loop, w.fds[0], 0, count, &w);
	w.b = loop_fd_add(w.loop, w.fds[0], EPOLLIN, count, &w);
	loop_fd_events(w.b, 0);
	loop_timer_init(&t, w.loop, stop, &w);
	loop_timer_in(&t, 20);
	loop_set_turn_end(w.loop, NULL, NULL);
	loop_run(w.loop);
	ck_assert_int_eq(w.calls, 0);
	loop_fd_events(w.a, EPOLLIN | EPOLLOUT);
	one_turn(&w);
	ck_assert_int_eq(w.calls, 1);
	ck_assert_uint_eq(w.events, EPOLLIN | EPOLLOUT);
	world_finish(&w);
}
END_TEST

#define MANY 5000

struct many {
	struct loop *loop;
	struct loop_timer timers[MANY];
	bool is_cancelled[MANY];
	int64_t last_ms;
	int ran;
	int expected;
};

struct numbered {
	struct many *many;
	size_t i;
};

static void on_many(void *arg)
{
	struct numbered *n = arg;
	struct loop_timer *t = &n->many->timers[n->i];

	ck_assert(!n->many->is_cancelled[n->i]);
	ck_assert(!loop_timer_is_set(t));
	ck_assert_int_ge(t->at.ms, n->many->last_ms);
	ck_assert_int_le(t->at.ms, loop_now(n->many->loop).ms);
	n->many->last_ms = t->at.ms;
	if (++n->many->ran == n->many->expected)
		loop_stop(n->many->loop);
}

START_TEST(thousands_of_timers_run_in_order_and_cancelled_ones_never)
{
	static struct many m;
	static struct numbered numbers[MANY];
	uint32_t random = 12345;
	struct boottime start;

	m = (struct many){.loop = loop_create()};
	start = loop_now(m.loop);
	for (size_t i = 0; i < MANY; i++) {
		numbers[i] = (struct numbered){.many = &m, .i = i};
		loop_timer_init(&m.timers[i], m.loop, on_many, &numbers[i]);
	}
	/* Starts, moves and cancels at random; all due within 50 ms. */
	for (size_t k = 0; k < 4 * MANY; k++) {
		size_t i;

		random = random * 1664525 + 1013904223;
		i = (random >> 8) % MANY;
		if (random >> 30 == 0) {
			loop_timer_cancel(&m.timers[i]);
			m.is_cancelled[i] = true;
			continue;
		}
		loop_timer_at(&m.timers[i], boottime_after(start, (random >> 16) % 50));
		m.is_cancelled[i] = false;
	}
	for (size_t i = 0; i < MANY; i++)
		m.expected += loop_timer_is_set(&m.timers[i]);
	ck_assert_int_gt(m.expected, MANY / 2);
	loop_run(m.loop);
	ck_assert_int_eq(m.ran, m.expected);
	loop_destroy(m.loop);
}
END_TEST

struct ordered {
	struct loop *loop;
	struct loop_timer timers[4];
	char text[16];
};

static void note(struct ordered *o, char c)
{
	o->text[strlen(o->text)] = c;
	if (strlen(o->text) == 3)
		loop_stop(o->loop);
}

static void note_a(void *arg)
{
	note(arg, 'a');
}

static void note_b(void *arg)
{
	struct ordered *o = arg;

	note(o, 'b');
	loop_timer_cancel(&o->timers[3]);
}

static void note_c(void *arg)
{
	note(arg, 'c');
}

START_TEST(timers_of_one_instant_run_as_started_and_may_cancel_each_other)
{
	struct ordered o = {.loop = loop_create()};
	loop_timer_fn *fns[] = {note_a, note_b, note_c, note_a};
	struct boottime at = boottime_after(loop_now(o.loop), 3);

	for (size_t i = 0; i < 4; i++) {
		loop_timer_init(&o.timers[i], o.loop, fns[i], &o);
		loop_timer_at(&o.timers[i], at);
	}
	loop_run(o.loop);
	ck_assert_str_eq(o.text, "abc");
	ck_assert(!loop_timer_is_set(&o.timers[3]));
	loop_destroy(o.loop);
}
END_TEST

struct endless {
	struct world w;
	struct loop_timer again;
	struct loop_timer other;
	int again_calls;
	int calls_in_turn;
};

static void on_again(void *arg)
{
	struct endless *e = arg;

	e->again_calls++;
	e->calls_in_turn++;
	/* Long overdue, and still not before the others, and not in this turn. */
	loop_timer_at(&e->again, (struct boottime){.ms = 0});
}

static bool end_of_turn(void *arg)
{
	struct endless *e = arg;

	ck_assert_int_le(e->calls_in_turn, 1);
	e->calls_in_turn = 0;
	return false;
}

START_TEST(a_timer_that_always_restarts_starves_nobody)
{
	struct endless e = {.again_calls = 0};

	world_init(&e.w);
	ck_assert_int_eq(pipe2(e.w.fds, O_CLOEXEC), 0);
	ck_assert_int_eq(write(e.w.fds[1], "x", 1), 1);
	loop_timer_init(&e.again, e.w.loop, on_again, &e);
	loop_timer_init(&e.other, e.w.loop, stop, &e.w);
	loop_timer_in(&e.other, 5);
	loop_timer_in(&e.again, 0);
	e.w.a = loop_fd_add(e.w.loop, e.w.fds[0], EPOLLIN, count, &e.w);
	loop_set_turn_end(e.w.loop, end_of_turn, &e);
	loop_run(e.w.loop);
	ck_assert_int_gt(e.again_calls, 1);
	ck_assert_int_gt(e.w.calls, 1);
	loop_timer_cancel(&e.again);
	world_finish(&e.w);
}
END_TEST

START_TEST(a_timer_is_neither_early_nor_lost)
{
	struct world w;
	struct loop_timer t;
	struct boottime start;

	world_init(&w);
	loop_timer_init(&t, w.loop, stop, &w);
	ck_assert(!loop_timer_is_set(&t));
	loop_timer_cancel(&t);
	start = clock_boot();
	loop_timer_in(&t, INT64_MAX);
	loop_timer_in(&t, 30);
	ck_assert(loop_timer_is_set(&t));
	loop_run(w.loop);
	ck_assert_int_ge(clock_boot().ms - start.ms, 30);
	ck_assert_int_ge(loop_now(w.loop).ms, t.at.ms);
	world_finish(&w);
}
END_TEST

static bool more_work(void *arg)
{
	struct world *w = arg;

	if (++w->turns < 1000)
		return true;
	loop_stop(w->loop);
	return false;
}

static void do_nothing(void *arg)
{
	(void)arg;
}

START_TEST(work_left_at_the_end_of_a_turn_keeps_the_loop_going_without_a_wait)
{
	struct world w;
	struct loop_timer first;

	world_init(&w);
	loop_timer_init(&first, w.loop, do_nothing, NULL);
	loop_timer_in(&first, 0);
	loop_set_turn_end(w.loop, more_work, &w);
	/* Nothing but the turn-end function keeps it from waiting for ever. */
	loop_run(w.loop);
	ck_assert_int_eq(w.turns, 1000);
	world_finish(&w);
}
END_TEST

START_TEST(a_loop_stopped_before_it_runs_makes_no_turn)
{
	struct world w;

	world_init(&w);
	loop_set_turn_end(w.loop, more_work, &w);
	loop_stop(w.loop);
	loop_run(w.loop);
	ck_assert_int_eq(w.turns, 0);
	one_turn(&w);
	ck_assert_int_eq(w.turns, 1);
	world_finish(&w);
}
END_TEST

static void on_signal(void *arg, int signo)
{
	struct world *w = arg;

	w->signos[w->calls++] = signo;
	if (w->calls == 2)
		loop_stop(w->loop);
}

START_TEST(signals_arrive_in_a_turn)
{
	static const int signos[] = {SIGTERM, SIGUSR1};
	struct world w;

	world_init(&w);
	loop_signals(w.loop, signos, 2, on_signal, &w);
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	ck_assert_int_eq(w.calls, 0);
	loop_run(w.loop);
	ck_assert_int_eq(w.signos[0] + w.signos[1], SIGTERM + SIGUSR1);
	world_finish(&w);
}
END_TEST

START_TEST(the_loop_may_go_before_its_sources)
{
	struct world w;
	struct loop_timer t;

	world_init(&w);
	ck_assert_int_eq(pipe2(w.fds, O_CLOEXEC), 0);
	w.a = loop_fd_add(w.loop, w.fds[0], EPOLLIN, count, &w);
	loop_timer_init(&t, w.loop, stop, &w);
	loop_timer_in(&t, 1000);
	loop_destroy(w.loop);
	w.loop = NULL;
	ck_assert(!loop_timer_is_set(&t));
	loop_timer_cancel(&t);
	world_finish(&w);
}
END_TEST

UNIT_MAIN("loop", a_ready_pipe_calls_back, a_closed_peer_is_a_hang_up,
	  a_source_without_events_is_silent_also_on_hang_up, a_socket_can_be_watched_for_both_ways,
	  a_source_removed_in_the_same_turn_gets_no_late_event,
	  a_source_silenced_in_the_same_turn_gets_no_late_event,
	  a_source_gets_no_event_that_it_does_not_want_any_more,
	  a_new_source_on_an_old_descriptor_gets_only_its_own_events,
	  a_regular_file_is_always_ready, a_silenced_file_waits_like_any_source,
	  thousands_of_timers_run_in_order_and_cancelled_ones_never,
	  timers_of_one_instant_run_as_started_and_may_cancel_each_other,
	  a_timer_that_always_restarts_starves_nobody, a_timer_is_neither_early_nor_lost,
	  work_left_at_the_end_of_a_turn_keeps_the_loop_going_without_a_wait,
	  a_loop_stopped_before_it_runs_makes_no_turn, signals_arrive_in_a_turn,
	  the_loop_may_go_before_its_sources)
