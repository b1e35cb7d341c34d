#include "base/log.h"

#include "base/limits.h"
#include "base/watchdog.h"
#include "loop/loop.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct said {
	int fd, stderr_before;
	char text[65536];
};

/* What the log says from here on goes to a file in memory. */
static void listen_to_log(struct said *said)
{
	said->fd = memfd_create("log", MFD_CLOEXEC);
	said->stderr_before = dup(STDERR_FILENO);
	ck_assert(said->fd >= 0 && said->stderr_before >= 0);
	ck_assert_int_eq(dup2(said->fd, STDERR_FILENO), STDERR_FILENO);
}

static void read_log(struct said *said)
{
	ssize_t n = pread(said->fd, said->text, sizeof(said->text) - 1, 0);

	ck_assert_int_ge(n, 0);
	said->text[n] = '\0';
	ck_assert_int_eq(dup2(said->stderr_before, STDERR_FILENO), STDERR_FILENO);
	(void)close(said->fd);
	(void)close(said->stderr_before);
}

static size_t count_of(const char *text, const char *part)
{
	size_t n = 0;

	while ((text = strstr(text, part))) {
		n++;
		text += strlen(part);
	}
	return n;
}

START_TEST(warnings_of_one_event_and_reason_are_counted_not_printed)
{
	struct said said;

	listen_to_log(&said);
	for (int i = 0; i < 10000; i++)
		log_warn("event=left_out tool=%d reason=\"is, \\\"in short\\\", bad\"", i);
	log_warn("event=left_out tool=x reason=other");
	log_settle(clock_boot());
	log_settle_all();
	log_settle_all();
	read_log(&said);
	ck_assert_uint_eq(count_of(said.text, "in short"), LOG_SAME_MAX);
	ck_assert_uint_eq(count_of(said.text, "reason=other"), 1);
	ck_assert_uint_eq(count_of(said.text, "event=repeated of=left_out repeated=9990\n"), 1);
	ck_assert_uint_eq(count_of(said.text, "\n"), LOG_SAME_MAX + 2);
}
END_TEST

START_TEST(a_window_that_is_over_tells_its_count_and_another_begins)
{
	struct said said;

	listen_to_log(&said);
	for (int i = 0; i < LOG_SAME_MAX + 3; i++)
		log_warn("event=e reason=r n=%d", i);
	log_settle(boottime_after(clock_boot(), LOG_SAME_WINDOW_MS - 1000));
	log_warn("event=e reason=r still");
	log_settle(boottime_after(clock_boot(), LOG_SAME_WINDOW_MS));
	log_warn("event=e reason=r again");
	read_log(&said);
	ck_assert_uint_eq(count_of(said.text, "still"), 0);
	ck_assert_uint_eq(count_of(said.text, "event=repeated of=e repeated=4\n"), 1);
	ck_assert_uint_eq(count_of(said.text, "again"), 1);
}
END_TEST

START_TEST(what_names_a_call_and_what_is_no_warning_is_always_printed)
{
	struct said said;

	ck_assert(log_level_set("info"));
	listen_to_log(&said);
	for (int i = 0; i < 3 * LOG_SAME_MAX; i++) {
		log_warn("event=delivered_unpaid call=call_%d reason=hold_expired", i);
		log_info("event=said reason=r");
		log_fault("event=broken reason=r");
	}
	log_settle_all();
	read_log(&said);
	ck_assert_uint_eq(count_of(said.text, "\n"), 9 * LOG_SAME_MAX);
	ck_assert_uint_eq(count_of(said.text, "repeated"), 0);
}
END_TEST

START_TEST(more_sorts_than_are_told_apart_lose_no_count)
{
	struct said said;
	size_t lines = 0;
	long long left_out = 0;

	listen_to_log(&said);
	for (int round = 0; round < 2; round++) {
		for (int sort = 0; sort < LOG_SORTS_MAX + 5; sort++) {
			for (int i = 0; i < LOG_SAME_MAX + 2; i++)
				log_warn("event=e%d reason=r", sort);
		}
	}
	log_settle_all();
	read_log(&said);
	lines = count_of(said.text, "reason=r\n");
	for (const char *p = said.text; (p = strstr(p, "repeated=")); p += 9)
		left_out += strtol(p + 9, NULL, 10);
	ck_assert_int_eq((long long)lines + left_out,
			 2LL * (LOG_SORTS_MAX + 5) * (LOG_SAME_MAX + 2));
}
END_TEST

/* Uses the processor, however fast it is. */
static void work(int64_t ms)
{
	int64_t until_ns = clock_thread_cpu_ns() + ms * 1000000;

	while (clock_thread_cpu_ns() < until_ns)
		;
}

static void on_hard_work(void *arg)
{
	work(HANDLER_CPU_MS_MAX + 30);
	loop_stop(arg);
}

static void on_easy_work(void *arg)
{
	(void)arg;
	work(5);
}

START_TEST(a_handler_that_takes_long_is_named_and_no_other)
{
	struct loop *loop = loop_create();
	struct loop_timer hard, easy[20];
	struct said said;

	for (size_t i = 0; i < ARRAY_LEN(easy); i++) {
		loop_timer_init(&easy[i], loop, on_easy_work, loop);
		loop_timer_in(&easy[i], 0);
	}
	loop_timer_init(&hard, loop, on_hard_work, loop);
	loop_timer_in(&hard, 0);
	listen_to_log(&said);
	loop_run(loop);
	read_log(&said);
	ck_assert_uint_eq(count_of(said.text, "event=slow_handler"), 1);
	ck_assert_uint_eq(count_of(said.text, "handler=test_log.c:on_hard_work"), 1);
	loop_destroy(loop);
}
END_TEST

START_TEST(pieces_of_a_handler_count_by_themselves)
{
	struct watchdog w = {.fatal_ms = 0};
	struct said said;

	listen_to_log(&said);
	watchdog_start(&w);
	for (int i = 0; i < 10; i++) {
		work(10);
		watchdog_lap(&w, "a small piece", NULL);
	}
	work(HANDLER_CPU_MS_MAX + 10);
	watchdog_lap(&w, "a large piece", "of a\nkind");
	watchdog_lap(NULL, "nobody watches", NULL);
	read_log(&said);
	ck_assert_uint_eq(count_of(said.text, "event=slow_handler"), 1);
	ck_assert_uint_eq(count_of(said.text, "handler=\"a large piece\" detail=\"of a kind\""), 1);
}
END_TEST

START_TEST(time_asleep_is_nobodys_fault)
{
	struct watchdog w = {.fatal_ms = 1};
	struct said said;

	listen_to_log(&said);
	watchdog_start(&w);
	(void)usleep(2 * HANDLER_CPU_MS_MAX * 1000);
	watchdog_lap(&w, "a wait", NULL);
	read_log(&said);
	ck_assert_str_eq(said.text, "");
}
END_TEST

START_TEST(in_tests_a_piece_that_is_far_too_long_is_fatal)
{
	struct watchdog w = {.fatal_ms = HANDLER_CPU_MS_MAX + 1};

	watchdog_start(&w);
	work(HANDLER_CPU_MS_MAX + 10);
	watchdog_lap(&w, "a piece", NULL);
	ck_abort_msg("it went on");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		warnings_of_one_event_and_reason_are_counted_not_printed,
		a_window_that_is_over_tells_its_count_and_another_begins,
		what_names_a_call_and_what_is_no_warning_is_always_printed,
		more_sorts_than_are_told_apart_lose_no_count,
		a_handler_that_takes_long_is_named_and_no_other,
		pieces_of_a_handler_count_by_themselves,
		time_asleep_is_nobodys_fault,
	};
	Suite *suite = suite_create("log");
	SRunner *runner = srunner_create(suite);
	TCase *fatal = tcase_create("fatal");
	int failed;

	for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
		TCase *tcase = tcase_create(tests[i]->name);

		tcase_add_test(tcase, tests[i]);
		suite_add_tcase(suite, tcase);
	}
	tcase_add_test_raise_signal(fatal, in_tests_a_piece_that_is_far_too_long_is_fatal, 6);
	suite_add_tcase(suite, fatal);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
