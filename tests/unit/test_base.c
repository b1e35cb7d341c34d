#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/id.h"
#include "base/secret.h"

#include "unit.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(integers_are_read_to_the_last_digit)
{
	int64_t v = 7;

	ck_assert(parse_i64(slice_of("-9223372036854775808"), INT64_MIN, INT64_MAX, &v));
	ck_assert_int_eq(v, INT64_MIN);
	ck_assert(!parse_i64(slice_of("9223372036854775808"), INT64_MIN, INT64_MAX, &v));
	ck_assert(!parse_i64(slice_of(""), 0, 9, &v));
	ck_assert(!parse_i64(slice_of("-"), INT64_MIN, 9, &v));
	ck_assert(!parse_i64(slice_of("1x"), 0, 9, &v));
	ck_assert(!parse_i64(slice_of("10"), 0, 9, &v));
	ck_assert_int_eq(v, INT64_MIN);
}
END_TEST

START_TEST(a_capped_buffer_refuses_and_stays_as_it_was)
{
	struct buf b = BUF_CAPPED(4);

	ck_assert(buf_append_capped(&b, "abcd", 4));
	ck_assert(!buf_append_capped(&b, "e", 1));
	ck_assert_str_eq(buf_text(&b), "abcd");
	buf_consume(&b, 3);
	ck_assert_str_eq(buf_text(&b), "d");
	buf_finish(&b);
}
END_TEST

START_TEST(the_first_err_wins)
{
	struct err err = ERR_INIT;

	ck_assert(!err_set(&err, "first %d", 1));
	ck_assert(!err_set(&err, "second"));
	err_prefix(&err, "there");
	ck_assert_str_eq(err.text, "there: first 1");
	ck_assert(!err_set(NULL, "nobody asks"));
}
END_TEST

START_TEST(ids_rise_also_when_the_clock_steps_back)
{
	struct id_source source;
	struct id before = ID_NONE;

	id_source_init(&source);
	for (int i = 0; i < 20000; i++) {
		struct id id = id_make(&source, (struct walltime){1700000000000 - i});

		ck_assert_int_gt(memcmp(id.b, before.b, 16), 0);
		ck_assert_int_eq(id.b[6] >> 4, 7);
		ck_assert_int_eq(id.b[8] >> 6, 2);
		before = id;
	}
}
END_TEST

START_TEST(an_id_survives_its_text)
{
	struct id_source source;
	char text[ID_TEXT_SIZE];
	struct id id, again;

	id_source_init(&source);
	id = id_make(&source, clock_wall());
	id_text("call", id, text);
	ck_assert(id_parse("call", slice_of(text), &again));
	ck_assert(id_eq(id, again));
	ck_assert(!id_parse("pay", slice_of(text), &again));
	text[10] = 'G';
	ck_assert(!id_parse("call", slice_of(text), &again));
}
END_TEST

START_TEST(digests_agree_with_published_vectors)
{
	char text[DIGEST_TEXT_SIZE];
	struct digest d = sha256("abc", 3);

	digest_text(&d, text);
	ck_assert_str_eq(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	/* The signature vector of Stripe's scheme. */
	d = hmac_sha256(slice_of("whsec_test"), slice_of("1700000000.{\"id\":\"evt_test\"}"));
	digest_text(&d, text);
	ck_assert_str_eq(text, "14c4f43763339dcb1c15f41a1ff31a94f2f09f8de278f8b4392ca0d7cbcd257e");
}
END_TEST

START_TEST(the_calendar_is_utc_and_knows_leap_days)
{
	struct walltime t;
	char text[WALLTIME_TEXT_SIZE];
	int64_t day;

	ck_assert(walltime_parse(slice_of("2024-02-29T23:59:59Z"), &t));
	ck_assert_int_eq(walltime_month(t), 202402);
	walltime_text(walltime_next_month(t), text);
	ck_assert_str_eq(text, "2024-03-01T00:00:00Z");
	ck_assert(walltime_parse(slice_of("2026-12-31T23:30:00-01:00"), &t));
	ck_assert_int_eq(walltime_month(t), 202701);
	ck_assert(walltime_parse(slice_of("2026-07-17T08:48:22.250-04:00"), &t));
	walltime_text(t, text);
	ck_assert_str_eq(text, "2026-07-17T12:48:22Z");
	ck_assert(!day_parse(slice_of("2025-02-29"), &day));
	ck_assert(!day_parse(slice_of("2025-2-9"), &day));
	ck_assert(!walltime_parse(slice_of("2025-02-28 10:00"), &t));
	ck_assert(day_parse(slice_of("1970-01-02"), &day));
	ck_assert_int_eq(day, 1);
	ck_assert_int_eq(walltime_month(walltime_next_month(
				 (struct walltime){walltime_of_month(202612).ms})),
			 202701);
}
END_TEST

START_TEST(a_secret_comes_from_one_place_only)
{
	struct err err = ERR_INIT;
	char *secret = NULL;

	(void)unsetenv("FBX_T");
	(void)unsetenv("FBX_T_FILE");
	ck_assert(secret_from_env("FBX_T", &secret, &err));
	ck_assert_ptr_null(secret);
	(void)setenv("FBX_T", "abc", 1);
	ck_assert(secret_from_env("FBX_T", &secret, &err));
	ck_assert_str_eq(secret, "abc");
	secret_free(secret);
	(void)setenv("FBX_T_FILE", "/dev/null", 1);
	ck_assert(!secret_from_env("FBX_T", &secret, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "both set"));
}
END_TEST

START_TEST(a_secret_that_is_set_but_empty_is_refused)
{
	static const char *const BAD[] = {"", "${user_config.api_key}", "${KEY}"};
	char path[] = "/tmp/farebox-blank-XXXXXX";
	struct err err = ERR_INIT;
	char *secret = NULL;
	int fd;

	(void)unsetenv("FBX_T_FILE");
	for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
		err = (struct err)ERR_INIT;
		ck_assert_int_eq(setenv("FBX_T", BAD[i], 1), 0);
		ck_assert(!secret_from_env("FBX_T", &secret, &err));
		ck_assert_msg(strstr(err.text, "FBX_T ") && strstr(err.text, "unset it"), "%s",
			      err.text);
	}
	(void)unsetenv("FBX_T");
	err = (struct err)ERR_INIT;
	ck_assert_int_eq(setenv("FBX_T_FILE", "", 1), 0);
	ck_assert(!secret_from_env("FBX_T", &secret, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "FBX_T_FILE is set, but empty"));
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, " \n \n", 4), 4);
	ck_assert_int_eq(close(fd), 0);
	err = (struct err)ERR_INIT;
	ck_assert_int_eq(setenv("FBX_T_FILE", path, 1), 0);
	ck_assert(!secret_from_env("FBX_T", &secret, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "FBX_T_FILE: "));
	ck_assert_int_eq(unlink(path), 0);
	(void)unsetenv("FBX_T_FILE");
}
END_TEST

/* Sanitizers hand out NULL instead of ending the program themselves. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

START_TEST(no_memory_ends_the_process_with_an_ordinary_status)
{
	volatile size_t all = SIZE_MAX / 4;
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		free(xmalloc(16));
		free(xmalloc(all));
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}
END_TEST

UNIT_MAIN("base", integers_are_read_to_the_last_digit, a_capped_buffer_refuses_and_stays_as_it_was,
	  the_first_err_wins, ids_rise_also_when_the_clock_steps_back, an_id_survives_its_text,
	  digests_agree_with_published_vectors, the_calendar_is_utc_and_knows_leap_days,
	  a_secret_comes_from_one_place_only, a_secret_that_is_set_but_empty_is_refused,
	  no_memory_ends_the_process_with_an_ordinary_status)
