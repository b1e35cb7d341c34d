#include "loop/child.h"

#include "base/buf.h"
#include "base/limits.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct world {
	struct loop *loop;
	struct child *child;
	struct buf out, err;
	char how[64];
	int ends;
	const char *stop_at; /* stops the loop when stdout has it; NULL: at the end */
	struct loop_timer alarm;
	bool is_late;
};

static void on_out(void *arg, struct slice bytes)
{
	struct world *w = arg;

	buf_append(&w->out, bytes.p, bytes.len);
	if (w->stop_at && strstr(buf_text(&w->out), w->stop_at))
		loop_stop(w->loop);
}

static void on_err(void *arg, struct slice bytes)
{
	struct world *w = arg;

	buf_append(&w->err, bytes.p, bytes.len);
}

static void on_end(void *arg, const char *how)
{
	struct world *w = arg;

	w->ends++;
	(void)snprintf(w->how, sizeof(w->how), "%s", how);
	child_destroy(w->child);
	w->child = NULL;
	loop_stop(w->loop);
}

static void on_alarm(void *arg)
{
	struct world *w = arg;

	w->is_late = true;
	loop_stop(w->loop);
}

static void world_init(struct world *w)
{
	*w = (struct world){.loop = loop_create()};
	loop_timer_init(&w->alarm, w->loop, on_alarm, w);
}

static void world_finish(struct world *w)
{
	loop_timer_cancel(&w->alarm);
	child_destroy(w->child);
	loop_destroy(w->loop);
	buf_finish(&w->out);
	buf_finish(&w->err);
}

static void start_with(struct world *w, const char *script, const char *const *environment)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct err err = ERR_INIT;

	w->child = child_start(w->loop,
			       &(struct child_config){.argv = argv,
						      .environment = environment,
						      .out = on_out,
						      .err = on_err,
						      .end = on_end,
						      .arg = w},
			       &err);
	ck_assert_msg(w->child != NULL, "%s", err.text);
}

static void start(struct world *w, const char *script)
{
	start_with(w, script, NULL);
}

/* Until the child has ended, or said what is waited for. */
static void run(struct world *w)
{
	loop_timer_in(&w->alarm, 20 * 1000);
	loop_run(w->loop);
	loop_timer_cancel(&w->alarm);
	ck_assert(!w->is_late);
}

static void say(struct world *w, const char *text)
{
	ck_assert(child_write(w->child, slice_of(text)));
}

START_TEST(stdin_stdout_and_stderr_are_apart)
{
	struct world w;

	world_init(&w);
	start(&w, "read a; echo \"out $a\"; echo \"err $a\" >&2; exit 3");
	say(&w, "hello\n");
	run(&w);
	ck_assert_str_eq(buf_text(&w.out), "out hello\n");
	ck_assert_str_eq(buf_text(&w.err), "err hello\n");
	ck_assert_str_eq(w.how, "exit status 3");
	ck_assert_int_eq(w.ends, 1);
	world_finish(&w);
}
END_TEST

START_TEST(its_end_by_a_signal_is_told)
{
	struct world w;

	world_init(&w);
	start(&w, "kill -9 $$");
	run(&w);
	ck_assert_str_eq(w.how, "signal 9");
	world_finish(&w);
}
END_TEST

START_TEST(last_words_come_before_the_end)
{
	struct world w;

	world_init(&w);
	/* More than one reading takes. */
	start(&w, "head -c 200000 /dev/zero | tr '\\0' x; exit 0");
	run(&w);
	ck_assert_uint_eq(w.out.len, 200000);
	world_finish(&w);
}
END_TEST

START_TEST(its_environment_is_clean)
{
	static const char *const more[] = {"EXTRA=1", "LANG=X", NULL};
	struct world w;

	world_init(&w);
	ck_assert_int_eq(setenv("FAREBOX_API_KEY", "hush-hush", 1), 0);
	ck_assert_int_eq(setenv("STRIPE_SECRET_KEY", "hush-hush", 1), 0);
	ck_assert_int_eq(setenv("HOME", "/somewhere", 1), 0);
	ck_assert_int_eq(setenv("LANG", "C", 1), 0);
	ck_assert_int_eq(setenv("LD_PRELOAD_NOT", "x", 1), 0);
	start_with(&w, "env | grep -v '^PATH=' | sort", more);
	run(&w);
	for (const char *line = buf_text(&w.out); *line; line += strcspn(line, "\n") + 1)
		ck_assert(strncmp(line, "EXTRA=1\n", 8) == 0 || strncmp(line, "LANG=X\n", 7) == 0 ||
			  strncmp(line, "HOME=/somewhere\n", 16) == 0 ||
			  strncmp(line, "TERM=", 5) == 0 || strncmp(line, "USER=", 5) == 0 ||
			  strncmp(line, "SHELL=", 6) == 0 || strncmp(line, "LOGNAME=", 8) == 0 ||
			  strncmp(line, "TMPDIR=", 7) == 0 || strncmp(line, "PWD=", 4) == 0 ||
			  strncmp(line, "OLDPWD=", 7) == 0 || strncmp(line, "_=", 2) == 0 ||
			  strncmp(line, "SHLVL=", 6) == 0);
	ck_assert_msg(strstr(buf_text(&w.out), "EXTRA=1\n") != NULL, "%s", buf_text(&w.out));
	ck_assert_ptr_nonnull(strstr(buf_text(&w.out), "LANG=X\n"));
	ck_assert_ptr_null(strstr(buf_text(&w.out), "hush-hush"));
	world_finish(&w);
}
END_TEST

START_TEST(it_inherits_no_descriptor_and_no_blocked_signal)
{
	int open_one = open("/dev/null", O_RDONLY); /* not close-on-exec */
	const char *ignored;
	struct world w;
	sigset_t set;

	ck_assert_int_ge(open_one, 0);
	ck_assert_int_eq(sigemptyset(&set), 0);
	ck_assert_int_eq(sigaddset(&set, SIGTERM), 0);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	world_init(&w);
	/* ls has one of its own, for the folder. */
	start(&w, "ls /proc/self/fd | wc -l; grep -E 'SigBlk|SigIgn' /proc/self/status");
	run(&w);
	ck_assert_ptr_nonnull(strstr(buf_text(&w.out), "4\nSigBlk:\t0000000000000000\n"));
	/* The C library keeps two beyond 31 for itself. */
	ignored = strstr(buf_text(&w.out), "SigIgn:\t");
	ck_assert_ptr_nonnull(ignored);
	ck_assert_uint_eq(strtoull(ignored + 8, NULL, 16) & 0x7fffffff, 0);
	(void)close(open_one);
	world_finish(&w);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_named)
{
	const char *argv[] = {"/no/such/program", NULL};
	struct err err = ERR_INIT;
	struct world w;

	world_init(&w);
	ck_assert_ptr_null(child_start(
		w.loop,
		&(struct child_config){
			.argv = argv, .out = on_out, .err = on_err, .end = on_end, .arg = &w},
		&err));
	ck_assert_str_eq(err.text, "cannot start /no/such/program: No such file or directory");
	world_finish(&w);
}
END_TEST

START_TEST(stopping_asks_first_and_then_kills)
{
	struct world w;

	world_init(&w);
	w.stop_at = "ready";
	start(&w, "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
	run(&w);
	child_stop(w.child);
	run(&w);
	ck_assert_str_eq(w.how, "exit status 7");
	buf_clear(&w.out);
	start(&w, "trap '' TERM; echo ready; while :; do sleep 0.05; done");
	run(&w);
	child_stop(w.child);
	ck_assert(!child_write(w.child, slice_of("x")));
	run(&w);
	ck_assert_str_eq(w.how, "signal 9");
	ck_assert_int_eq(w.ends, 2);
	world_finish(&w);
}
END_TEST

/* The id that the child has printed. */
static pid_t pid_in(const struct world *w)
{
	return (pid_t)strtol(buf_text(&w->out), NULL, 10);
}

static bool is_gone(pid_t pid)
{
	/* A zombie whose parent is gone is init's to reap; give it a moment. */
	for (int i = 0; i < 200; i++) {
		char path[64], state = 0;
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		f = fopen(path, "r");
		if (!f)
			return true;
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'Z';
		(void)fclose(f);
		if (state == 'Z' || state == 'X')
			return true;
		(void)usleep(10000);
	}
	return false;
}

START_TEST(what_it_left_behind_goes_with_it)
{
	struct world w;

	world_init(&w);
	start(&w, "sleep 600 </dev/null >/dev/null 2>&1 & echo $!; exit 0");
	run(&w);
	ck_assert_int_gt(pid_in(&w), 0);
	ck_assert(is_gone(pid_in(&w)));
	world_finish(&w);
}
END_TEST

START_TEST(destroying_kills_the_whole_group)
{
	struct world w;
	pid_t pid;

	world_init(&w);
	w.stop_at = "\n";
	start(&w, "sleep 600 & echo $!; wait");
	run(&w);
	pid = pid_in(&w);
	child_destroy(w.child);
	w.child = NULL;
	ck_assert(is_gone(pid));
	ck_assert_int_eq(w.ends, 0);
	world_finish(&w);
}
END_TEST

START_TEST(one_that_closes_its_stdout_is_ended)
{
	struct world w;

	world_init(&w);
	start(&w, "exec >&-; exec sleep 600");
	run(&w);
	ck_assert_str_eq(w.how, "signal 9");
	world_finish(&w);
}
END_TEST

START_TEST(what_it_does_not_read_is_bounded)
{
	size_t piece = 1024 * 1024;
	char *bytes = xmalloc(piece);
	size_t taken = 0;
	struct world w;

	memset(bytes, 'x', piece);
	world_init(&w);
	start(&w, "sleep 600");
	while (taken < 100 && child_write(w.child, (struct slice){.p = bytes, .len = piece}))
		taken++;
	ck_assert_uint_ge(taken, CHILD_PENDING_BYTES_MAX / piece);
	ck_assert_uint_le(taken, CHILD_PENDING_BYTES_MAX / piece + 1);
	free(bytes);
	world_finish(&w);
}
END_TEST

START_TEST(all_that_is_written_arrives_however_slowly_it_is_read)
{
	size_t piece = 300 * 1000;
	char *bytes = xmalloc(piece);
	struct world w;

	memset(bytes, 'x', piece);
	world_init(&w);
	w.stop_at = "3000000";
	start(&w, "sleep 0.1; head -c 3000000 | wc -c; sleep 600");
	for (int i = 0; i < 10; i++)
		ck_assert(child_write(w.child, (struct slice){.p = bytes, .len = piece}));
	run(&w);
	free(bytes);
	world_finish(&w);
}
END_TEST

START_TEST(one_that_does_not_read_any_more_does_no_harm)
{
	char *bytes = xzalloc(1024 * 1024);
	struct world w;

	world_init(&w);
	w.stop_at = "closed";
	start(&w, "exec <&-; echo closed; sleep 0.2; exit 4");
	run(&w);
	/* The first notices that nobody reads. */
	ck_assert(child_write(w.child, (struct slice){.p = bytes, .len = 1024 * 1024}));
	ck_assert(!child_write(w.child, slice_of("x")));
	w.stop_at = NULL;
	run(&w);
	ck_assert_str_eq(w.how, "exit status 4");
	free(bytes);
	world_finish(&w);
}
END_TEST

START_TEST(the_end_of_the_process_waits_no_longer_than_it_says)
{
	struct world w;

	world_init(&w);
	w.stop_at = "ready";
	start(&w, "trap '' TERM; echo ready; cat >/dev/null; exec sleep 600");
	run(&w);
	child_close_stdin(w.child);
	ck_assert(!child_wait(w.child, 50));
	child_terminate(w.child);
	ck_assert(!child_wait(w.child, 50));
	child_destroy(w.child);
	buf_clear(&w.out);
	start(&w, "echo ready; cat >/dev/null");
	run(&w);
	child_close_stdin(w.child);
	ck_assert(child_wait(w.child, 5000));
	world_finish(&w);
}
END_TEST

UNIT_MAIN("child", stdin_stdout_and_stderr_are_apart, its_end_by_a_signal_is_told,
	  last_words_come_before_the_end, its_environment_is_clean,
	  it_inherits_no_descriptor_and_no_blocked_signal, a_program_that_is_not_there_is_named,
	  stopping_asks_first_and_then_kills, what_it_left_behind_goes_with_it,
	  destroying_kills_the_whole_group, one_that_closes_its_stdout_is_ended,
	  what_it_does_not_read_is_bounded, all_that_is_written_arrives_however_slowly_it_is_read,
	  one_that_does_not_read_any_more_does_no_harm,
	  the_end_of_the_process_waits_no_longer_than_it_says)
