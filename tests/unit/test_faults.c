#include "json/faults.h"

#include "base/limits.h"
#include "json/edge.h"

#include "unit.h"

#include <string.h>

START_TEST(a_key_is_escaped_as_rfc_6901_says)
{
	char *at = pointer_below("/a", "b/c~d~1");

	ck_assert_str_eq(at, "/a/b~1c~0d~01");
	free(at);
}
END_TEST

START_TEST(faults_stand_by_pointer_and_once)
{
	static const char *const TEXTS[] = {"first", "second", "warned", "late"};
	struct faults f = FAULTS_INIT, inner = FAULTS_INIT;
	struct err err = ERR_INIT;

	faults_warn(&f, "/b", "warned");
	ck_assert(faults_are_none(&f, &err));
	faults_add(&inner, "/x~1y", "la%s", "te");
	faults_take(&f, "/b", &inner);
	ck_assert_uint_eq(inner.count, 0);
	faults_add(&f, "/a", "first");
	faults_add(&f, "/a", "second");
	faults_add(&f, "/a", "first");
	faults_sort(&f);
	ck_assert_uint_eq(f.count, ARRAY_LEN(TEXTS));
	for (size_t i = 0; i < f.count; i++)
		ck_assert_str_eq(f.items[i].text, TEXTS[i]);
	ck_assert_uint_eq(faults_grave(&f), 3);
	ck_assert_ptr_eq(faults_first(&f, "/b"), &f.items[3]);
	ck_assert_ptr_null(faults_first(&f, "/b/x"));
	ck_assert_ptr_null(faults_first(&f, "/"));
	ck_assert(!faults_are_none(&f, &err));
	ck_assert_str_eq(err.text, "a: first");
	faults_finish(&f);
	faults_add(&f, "/b/x~1y", "late");
	err.text[0] = '\0';
	ck_assert(!faults_are_none(&f, &err));
	ck_assert_str_eq(err.text, "b: x/y: late");
	faults_finish(&f);
}
END_TEST

START_TEST(keys_that_stand_twice_are_found_wherever_they_stand)
{
	static const char TEXT[] = " { \"a\" : [ 1 , {\"x\\\"}\":\"]\\\\\",\"x\\\"}\":{} } ],\n"
				   "\"\\u0061\":null, \"b/c\":{}, \"b\":\"a\" ,\"b/c\" : -1.5e3}\n";
	static const char *const POINTERS[] = {"/a/1/x\"}", "/a", "/b~1c"};
	struct faults f = FAULTS_INIT;
	struct err err = ERR_INIT;
	json_t *value = edge_parse_all(slice_of(TEXT), &f, &err);

	ck_assert_msg(value != NULL, "%s", err.text);
	ck_assert_uint_eq(f.count, ARRAY_LEN(POINTERS));
	for (size_t i = 0; i < f.count; i++)
		ck_assert_str_eq(f.items[i].pointer, POINTERS[i]);
	ck_assert_str_eq(f.items[0].text, "stands twice: again on line 1");
	ck_assert_str_eq(f.items[2].text, "stands twice: again on line 2");
	ck_assert(json_is_null(json_object_get(value, "a")));
	json_decref(value);
	faults_finish(&f);
}
END_TEST

START_TEST(what_is_no_json_stays_none_with_keys_that_stand_twice)
{
	static const struct {
		const char *text, *why;
	} CASES[] = {
		{"{\"a\":1,\"a\":2", "not JSON from here on"},
		{"{\"a\":1,\"a\":tru}", "not JSON from here on"},
		{"{\"a\" 1}", "line 1, column 7: not JSON from here on"},
		{"{\"a\":1,\"a\":1,\"b\\u0000\":1}", "NUL in an object key"},
		{"", "not JSON"},
	};
	struct faults f = FAULTS_INIT;
	struct buf deep = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		struct err err = ERR_INIT;

		ck_assert_ptr_null(edge_parse_all(slice_of(CASES[i].text), &f, &err));
		ck_assert_msg(strstr(err.text, CASES[i].why), "%s: %s", CASES[i].text, err.text);
	}
	buf_puts(&deep, "{\"a\":1,\"a\":");
	for (int i = 0; i < RPC_DEPTH_MAX; i++)
		buf_putc(&deep, '[');
	for (int i = 0; i < RPC_DEPTH_MAX; i++)
		buf_putc(&deep, ']');
	buf_putc(&deep, '}');
	ck_assert_ptr_null(edge_parse_all(buf_slice(&deep), &f, NULL));
	ck_assert_uint_eq(f.count, 0);
	buf_finish(&deep);
}
END_TEST

/* A place is written out for what is wrong there only: long keys above many members would take
 * hours. */
START_TEST(long_keys_above_many_members_take_no_time)
{
	struct faults f = FAULTS_INIT;
	struct buf b = BUF_INIT;
	json_t *value;

	buf_puts(&b, "{\"");
	for (int i = 0; i < 1000000; i++)
		buf_putc(&b, 'k');
	buf_puts(&b, "\":{\"a\":1");
	for (int i = 0; i < 100000; i++)
		buf_printf(&b, ",\"m%d\":1", i);
	buf_puts(&b, ",\"a\":2}}");
	value = edge_parse_all(buf_slice(&b), &f, NULL);
	ck_assert_ptr_nonnull(value);
	ck_assert_uint_eq(f.count, 1);
	ck_assert_uint_lt(strlen(f.items[0].pointer), 2000);
	json_decref(value);
	faults_finish(&f);
	buf_finish(&b);
}
END_TEST

UNIT_MAIN("faults", long_keys_above_many_members_take_no_time, a_key_is_escaped_as_rfc_6901_says,
	  faults_stand_by_pointer_and_once, keys_that_stand_twice_are_found_wherever_they_stand,
	  what_is_no_json_stays_none_with_keys_that_stand_twice)
