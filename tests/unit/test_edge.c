#include "base/limits.h"
#include "json/edge.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static json_t *parsed(const char *text)
{
	json_t *value = edge_parse(slice_of(text), NULL);

	ck_assert_msg(value, "%s", text);
	return value;
}

START_TEST(what_is_not_strict_json_is_refused)
{
	static const char *const BAD[] = {
		"",
		" ",
		"{",
		"{\"a\":1}x",
		"{\"a\":1,}",
		"[1,]",
		"{\"a\":1,\"a\":2}",
		"'a'",
		"01",
		"1.",
		".5",
		"+1",
		"NaN",
		"Infinity",
		"1e400",
		"9223372036854775808",
		"\"\xff\"",
		"\"\xed\xa0\x80\"",
		"\"\\ud800\"",
		"\"a\nb\"",
		"{\"a\\u0000b\":1}",
		"\xef\xbb\xbf{}",
		"tru",
	};

	for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
		struct err err = ERR_INIT;

		ck_assert_msg(!edge_parse(slice_of(BAD[i]), &err), "%s", BAD[i]);
		ck_assert(err_is_set(&err));
	}
	ck_assert_ptr_null(edge_parse((struct slice){.p = "{}\0", .len = 3}, NULL));
	ck_assert_ptr_null(edge_parse((struct slice){.p = NULL, .len = 0}, NULL));
}
END_TEST

START_TEST(a_nul_in_a_string_is_kept)
{
	json_t *value = parsed("\"a\\u0000b\"");

	ck_assert_uint_eq(edge_slice(value).len, 3);
	ck_assert_mem_eq(edge_slice(value).p, "a\0b", 3);
	json_decref(value);
	value = parsed("5");
	ck_assert_uint_eq(edge_slice(value).len, 0);
	json_decref(value);
}
END_TEST

static json_t *nested(size_t depth, char open, char close, const char *inner)
{
	struct buf b = BUF_INIT;
	json_t *value;

	for (size_t i = 0; i < depth; i++) {
		buf_putc(&b, open);
		if (open == '{' && (i + 1 < depth || *inner))
			buf_puts(&b, "\"k\":");
	}
	buf_puts(&b, inner);
	for (size_t i = 0; i < depth; i++)
		buf_putc(&b, close);
	value = edge_parse(buf_slice(&b), NULL);
	buf_finish(&b);
	return value;
}

START_TEST(depth_ends_at_its_limit)
{
	json_t *value = nested(RPC_DEPTH_MAX, '[', ']', "");

	ck_assert_ptr_nonnull(value);
	json_decref(value);
	ck_assert_ptr_null(nested(RPC_DEPTH_MAX + 1, '[', ']', ""));
	value = nested(RPC_DEPTH_MAX, '{', '}', "1");
	ck_assert_ptr_nonnull(value);
	json_decref(value);
	ck_assert_ptr_null(nested(RPC_DEPTH_MAX + 1, '{', '}', "1"));
	ck_assert_ptr_null(nested(RPC_DEPTH_MAX, '[', ']', "{}"));
}
END_TEST

START_TEST(brackets_in_strings_are_no_depth)
{
	struct buf b = BUF_INIT;
	json_t *value;

	buf_puts(&b, "[\"\\\\\",\"\\\"");
	for (size_t i = 0; i < 2 * RPC_DEPTH_MAX; i++)
		buf_puts(&b, "[{\\\"\\\\");
	buf_puts(&b, "\",1]");
	value = edge_parse(buf_slice(&b), NULL);
	ck_assert_ptr_nonnull(value);
	json_decref(value);
	/* And what follows a string that ends in a backslash counts. */
	buf_clear(&b);
	buf_puts(&b, "[\"\\\\\",");
	for (size_t i = 0; i < RPC_DEPTH_MAX; i++)
		buf_putc(&b, '[');
	for (size_t i = 0; i < RPC_DEPTH_MAX; i++)
		buf_putc(&b, ']');
	buf_putc(&b, ']');
	ck_assert_ptr_null(edge_parse(buf_slice(&b), NULL));
	buf_finish(&b);
}
END_TEST

START_TEST(a_number_becomes_the_decimal_that_was_written)
{
	static const struct {
		const char *in;
		bool allow_string;
		const char *out; /* NULL: refused */
	} CASES[] = {
		{"0.005", false, "0.005"},
		{"5", false, "5"},
		{"5.0", false, "5"},
		{"1.10", false, "1.1"},
		{"0.1", false, "0.1"},
		{"19.99", false, "19.99"},
		{"-0.0", false, "0"},
		{"1e-7", false, "0.0000001"},
		{"1e17", false, "100000000000000000"},
		{"0.30000000000000004", false, "0.30000000000000004"},
		{"9223372036854775807", false, "9223372036854775807"},
		{"1e300", false, NULL},
		{"1e-30", false, NULL},
		{"\"0.005\"", false, NULL},
		{"\"0.005\"", true, "0.005"},
		{"\"\"", true, NULL},
		{"\" 1\"", true, NULL},
		{"\"1\\u0000\"", true, NULL},
		{"null", true, NULL},
		{"true", true, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		json_t *value = parsed(CASES[i].in);
		char text[MONEY_TEXT_SIZE];
		struct decimal d;
		bool is_ok = edge_decimal(value, CASES[i].allow_string, &d);

		ck_assert_msg(is_ok == (CASES[i].out != NULL), "%s", CASES[i].in);
		if (is_ok) {
			decimal_text(d, text);
			ck_assert_str_eq(text, CASES[i].out);
		}
		json_decref(value);
	}
}
END_TEST

START_TEST(a_whole_real_is_an_integer_while_doubles_are_exact)
{
	static const struct {
		const char *in;
		bool is_ok;
		int64_t out;
	} CASES[] = {
		{"5", true, 5},
		{"5.0", true, 5},
		{"-5e0", true, -5},
		{"5.5", false, 0},
		{"9007199254740991.0", true, 9007199254740991},
		{"9007199254740992.0", false, 0},
		{"-9007199254740991.0", true, -9007199254740991},
		{"1e300", false, 0},
		{"\"5\"", false, 0},
		{"9223372036854775807", true, INT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		json_t *value = parsed(CASES[i].in);
		int64_t v = 0;

		ck_assert_msg(edge_i64(value, &v) == CASES[i].is_ok, "%s", CASES[i].in);
		ck_assert_int_eq(v, CASES[i].out);
		json_decref(value);
	}
}
END_TEST

START_TEST(pointers_are_read_as_rfc_6901_says)
{
	static const struct {
		const char *pointer, *out; /* NULL: nothing there */
	} CASES[] = {
		{"/foo", "[\"bar\",\"baz\"]"},
		{"/foo/0", "\"bar\""},
		{"/foo/1", "\"baz\""},
		{"/", "0"},
		{"/a~1b", "1"},
		{"/c%d", "2"},
		{"/m~0n", "8"},
		{"/ ", "7"},
		{"/o/p/q", "9"},
		{"/o/", NULL},
		{"/foo/2", NULL},
		{"/foo/00", NULL},
		{"/foo/-", NULL},
		{"/foo/-1", NULL},
		{"/foo/+1", NULL},
		{"/foo/0/x", NULL},
		{"/a~2b", NULL},
		{"/a~", NULL},
		{"foo", NULL},
		{"/missing", NULL},
		{"/foo/99999999999999999999", NULL},
	};
	json_t *root = parsed("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\" \":7,"
			      "\"m~n\":8,\"o\":{\"p\":{\"q\":9}}}");

	ck_assert_ptr_eq(edge_pointer(root, ""), root);
	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		json_t *found = edge_pointer(root, CASES[i].pointer);
		struct buf b = BUF_INIT;

		ck_assert_msg((found != NULL) == (CASES[i].out != NULL), "%s", CASES[i].pointer);
		if (found) {
			edge_dump(found, false, &b);
			ck_assert_str_eq(buf_text(&b), CASES[i].out);
		}
		buf_finish(&b);
	}
	json_decref(root);
}
END_TEST

START_TEST(the_same_arguments_have_the_same_digest)
{
	static const char SORTED[] = "{\"a\":{\"x\":[2,1],\"xy\":3,\"y\":null},\"b\":0.5}";
	json_t *one = parsed("{\"b\": 0.50, \"a\": {\"y\":null,\"xy\":3.0,\"x\":[2,1]}}");
	json_t *two = parsed("{\"a\":{\"xy\":3,\"x\":[2.0,1],\"y\":null},\"b\":5e-1}");
	json_t *other = parsed("{\"a\":{\"xy\":3,\"x\":[1,2],\"y\":null},\"b\":0.5}");
	struct digest expected = sha256(SORTED, strlen(SORTED));
	struct digest d1 = edge_digest(one), d2 = edge_digest(two), d3 = edge_digest(other);
	struct buf b = BUF_INIT;

	edge_dump(one, true, &b);
	ck_assert_str_eq(buf_text(&b), SORTED);
	buf_clear(&b);
	edge_dump(one, false, &b);
	ck_assert_str_eq(buf_text(&b), "{\"b\":0.5,\"a\":{\"y\":null,\"xy\":3.0,\"x\":[2,1]}}");
	ck_assert(digest_eq(&d1, &expected));
	ck_assert(digest_eq(&d2, &expected));
	ck_assert(!digest_eq(&d3, &expected));
	buf_finish(&b);
	json_decref(one);
	json_decref(two);
	json_decref(other);
}
END_TEST

START_TEST(a_file_is_read_up_to_its_limit)
{
	char path[] = "/tmp/test_edge_XXXXXX";
	int fd = mkstemp(path);
	struct err err = ERR_INIT;
	json_t *value;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "{\"a\":1}\n", 8), 8);
	ck_assert_int_eq(close(fd), 0);
	value = edge_parse_file(path, 8, NULL, &err);
	ck_assert_ptr_nonnull(value);
	json_decref(value);
	ck_assert_ptr_null(edge_parse_file(path, 7, NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "larger than 7"));
	ck_assert_int_eq(unlink(path), 0);
	err = (struct err)ERR_INIT;
	ck_assert_ptr_null(edge_parse_file(path, 8, NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_ptr_nonnull(strstr(err.text, "cannot be opened"));
}
END_TEST

struct sample {
	const char *text;
	struct slice slice;
	int64_t count;
	bool flag, seen_count, seen_any;
	struct decimal amount;
	json_t *any;
};

static const struct field SAMPLE[] = {
	{"text", FIELD_TEXT, true, offsetof(struct sample, text), FIELD_NO_SEEN},
	{"slice", FIELD_SLICE, false, offsetof(struct sample, slice), FIELD_NO_SEEN},
	{"count", FIELD_I64, false, offsetof(struct sample, count),
	 offsetof(struct sample, seen_count)},
	{"flag", FIELD_BOOL, false, offsetof(struct sample, flag), FIELD_NO_SEEN},
	{"amount", FIELD_DECIMAL, false, offsetof(struct sample, amount), FIELD_NO_SEEN},
	{"any", FIELD_JSON, false, offsetof(struct sample, any), offsetof(struct sample, seen_any)},
};

START_TEST(fields_fill_a_struct)
{
	json_t *object = parsed("{\"text\":\"a\",\"slice\":\"b\\u0000c\",\"count\":5.0,"
				"\"flag\":true,\"amount\":0.05,\"any\":null}");
	struct sample s = {0};

	ck_assert(fields_read_strict(SAMPLE, ARRAY_LEN(SAMPLE), object, &s, NULL));
	ck_assert_str_eq(s.text, "a");
	ck_assert_uint_eq(s.slice.len, 3);
	ck_assert_int_eq(s.count, 5);
	ck_assert(s.flag && s.seen_count && s.seen_any);
	ck_assert_int_eq(s.amount.digits, 5);
	ck_assert_int_eq(s.amount.scale, 2);
	ck_assert(json_is_null(s.any));
	json_decref(object);
}
END_TEST

START_TEST(an_absent_field_leaves_its_place)
{
	json_t *object = parsed("{\"text\":\"a\",\"count\":null,\"more\":1}");
	struct sample s = {.count = 7};

	ck_assert(fields_read(SAMPLE, ARRAY_LEN(SAMPLE), object, &s, NULL));
	ck_assert_int_eq(s.count, 7);
	ck_assert(!s.seen_count && !s.seen_any);
	json_decref(object);
}
END_TEST

START_TEST(a_bad_field_is_named)
{
	static const struct {
		const char *in, *why;
	} CASES[] = {
		{"{}", "text is required"},
		{"{\"text\":null}", "text must be a string, not null"},
		{"{\"text\":5}", "text must be a string, not a number"},
		{"{\"text\":\"a\\u0000\"}", "text must not hold a NUL character"},
		{"{\"text\":\"a\",\"count\":1.5}", "count must be a whole number"},
		{"{\"text\":\"a\",\"count\":\"1\"}", "count must be a whole number, not a string"},
		{"{\"text\":\"a\",\"flag\":0}", "flag must be true or false, not a number"},
		{"{\"text\":\"a\",\"amount\":\"5\"}", "amount must be a number, not a string"},
		{"{\"text\":\"a\",\"amount\":1e300}", "amount has too many digits"},
		{"{\"text\":\"a\",\"txet\":\"a\"}", "txet is not a known field"},
		{"[]", "must be an object"},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		json_t *object = parsed(CASES[i].in);
		struct err err = ERR_INIT;
		struct sample s = {0};

		ck_assert(!fields_read_strict(SAMPLE, ARRAY_LEN(SAMPLE), object, &s, &err));
		ck_assert_str_eq(err.text, CASES[i].why);
		json_decref(object);
	}
}
END_TEST

UNIT_MAIN("edge", what_is_not_strict_json_is_refused, a_nul_in_a_string_is_kept,
	  depth_ends_at_its_limit, brackets_in_strings_are_no_depth,
	  a_number_becomes_the_decimal_that_was_written,
	  a_whole_real_is_an_integer_while_doubles_are_exact, pointers_are_read_as_rfc_6901_says,
	  the_same_arguments_have_the_same_digest, a_file_is_read_up_to_its_limit,
	  fields_fill_a_struct, an_absent_field_leaves_its_place, a_bad_field_is_named)
