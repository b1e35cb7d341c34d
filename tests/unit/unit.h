#ifndef UNIT_H
#define UNIT_H

/* One suite, one main: each test file lists its cases in a table. A test is named after the rule
 * that it protects. */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * What "at once" may take where tests share their processors. It tells from what would take longer
 * still, or for ever; what must be told from less is tried some times, and once it must be in time.
 */
#define UNIT_AT_ONCE_MS 5000
#define UNIT_TRIES      20

/* A new folder for a store, in $TMPDIR: the disk that the tests are to run on. */
__attribute__((unused)) static void unit_folder(char *out, size_t size)
{
	const char *parent = getenv("TMPDIR");

	ck_assert_int_lt(snprintf(out, size, "%s/fbx-store-XXXXXX", parent ? parent : "/tmp"),
			 (int)size);
	ck_assert_ptr_nonnull(mkdtemp(out));
}

#define UNIT_MAIN(title, ...)                                                                      \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *const tests[] = {__VA_ARGS__};                                        \
		Suite *suite = suite_create(title);                                                \
		SRunner *runner = srunner_create(suite);                                           \
		int failed;                                                                        \
                                                                                                   \
		for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {                    \
			TCase *tcase = tcase_create(tests[i]->name);                               \
			tcase_set_timeout(tcase, 60);                                              \
			tcase_add_test(tcase, tests[i]);                                           \
			suite_add_tcase(suite, tcase);                                             \
		}                                                                                  \
		srunner_run_all(runner, CK_NORMAL);                                                \
		failed = srunner_ntests_failed(runner);                                            \
		srunner_free(runner);                                                              \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                       \
	}

#endif
