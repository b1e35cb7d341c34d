#include "base/limits.h"
#include "json/edge.h"
#include "json/reader.h"

#include "unit.h"

#include <string.h>

static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

static size_t any(size_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed % below);
}

static json_t *read_text(const char *p, size_t len, enum reader_fault *fault)
{
	size_t at = 0;

	*fault = READER_OK;
	return reader_parse((struct slice){.p = p, .len = len}, NULL, fault, &at);
}

/* jansson is the reference: both accept with equal values, or both refuse. */
static void compare(const char *p, size_t len)
{
	json_error_t error;
	enum reader_fault fault;
	json_t *theirs = json_loadb(
		p, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
	json_t *ours = read_text(p, len, &fault);

	ck_assert_msg(!ours == !theirs, "%.*s: jansson %s, ours %d", (int)len, p,
		      theirs ? "accepts" : error.text, (int)fault);
	if (ours)
		ck_assert_msg(json_equal(ours, theirs), "%.*s", (int)len, p);
	json_decref(ours);
	json_decref(theirs);
}

#define MESSAGE                                                                                    \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"x\","      \
	"\"arguments\":{\"text\":\"hello\"},\"_meta\":{\"a/b\":\"2026-07-28\",\"c\":{}}}}"

static const char *const TEXTS[] = {
	"{}",
	"[]",
	" [ 1 , -2 , 0 , -0 , 3.5 , 1e3 , 1E-2 , -1.25e+2 ] ",
	"{\"a\":{\"b\":[true,false,null]},\"c\":\"d\"}",
	"\"plain ascii that is longer than eight bytes\"",
	"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\n\\t\\\"\\\\\\/\\b\\f\\r\"",
	"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
	"\"\\u0000\"",
	"{\"\\u0061\":1,\"b\":{\"\\u0063\":\"\\u0064\"}}",
	"{\"\":0}",
	"9223372036854775807",
	"-9223372036854775808",
	"123456789012345678",
	"0.1",
	"1e308",
	"1e-400",
	MESSAGE,
};

static const char *const BAD[] = {
	"",
	" ",
	"{",
	"[",
	"[1,]",
	"[1 2]",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{a:1}",
	"{\"a\":1 \"b\":2}",
	"{\"a\":1,\"a\":2}",
	"{\"a\":1,\"\\u0061\":2}",
	"{\"\\u0000\":1}",
	"01",
	"-",
	"-01",
	"1.",
	".5",
	"1e",
	"1e+",
	"+1",
	"0x1",
	"1e999",
	"-1e999",
	"9223372036854775808",
	"-9223372036854775809",
	"99999999999999999999999",
	"tru",
	"nul",
	"True",
	"NaN",
	"\"",
	"\"\\\"",
	"\"\\x\"",
	"\"\\u12\"",
	"\"\\ud800\"",
	"\"\\ud800x\"",
	"\"\\ud800\\u0041\"",
	"\"\\udc00\"",
	"\"\x01\"",
	"\"\n\"",
	"\"\xff\"",
	"\"\xc0\x80\"",
	"\"\xc3\"",
	"\"\xe0\x80\x80\"",
	"\"\xed\xa0\x80\"",
	"\"\xf0\x80\x80\x80\"",
	"\"\xf4\x90\x80\x80\"",
	"\"\xf5\x80\x80\x80\"",
	"1 2",
	"{} x",
	"\xef\xbb\xbf{}",
	"[1}",
	"{\"a\":1]",
};

START_TEST(it_accepts_and_refuses_what_jansson_does)
{
	for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
		enum reader_fault fault;
		json_t *value = read_text(TEXTS[i], strlen(TEXTS[i]), &fault);

		ck_assert_msg(value != NULL, "%s", TEXTS[i]);
		json_decref(value);
		compare(TEXTS[i], strlen(TEXTS[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
		compare(BAD[i], strlen(BAD[i]));
}
END_TEST

START_TEST(every_truncation_agrees_with_jansson)
{
	for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
		for (size_t len = 0; len < strlen(TEXTS[i]); len++) {
			/* A copy of its own length, so that a sanitizer sees a read behind it. */
			char *copy = xmalloc(len);

			memcpy(copy, TEXTS[i], len);
			compare(copy, len);
			free(copy);
		}
	}
}
END_TEST

START_TEST(random_damage_agrees_with_jansson)
{
	static const char BYTES[] = "{}[]\",:\\u0 9.eE-+tfn\xc3\xa9\xed\xa0\xff\x01 ";

	for (int round = 0; round < 60000; round++) {
		const char *text = TEXTS[any(ARRAY_LEN(TEXTS))];
		size_t len = strlen(text);
		char *copy = xstrndup(text, len);

		for (size_t n = any(4); n; n--)
			copy[any(len)] = BYTES[any(sizeof(BYTES) - 1)];
		compare(copy, len);
		free(copy);
	}
}
END_TEST

START_TEST(faults_are_told_apart)
{
	static const struct {
		const char *text;
		enum reader_fault fault;
	} CASES[] = {
		{"[1,", READER_SYNTAX},
		{"{\"a\":1,\"a\":2}", READER_DUPLICATE},
		{"[12345678901234567890]", READER_RANGE},
		{"1e999", READER_RANGE},
		{"{\"a\\u0000\":1}", READER_NUL_KEY},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		enum reader_fault fault;

		ck_assert_ptr_null(read_text(CASES[i].text, strlen(CASES[i].text), &fault));
		ck_assert_int_eq(fault, CASES[i].fault);
	}
}
END_TEST

START_TEST(depth_has_its_exact_limit)
{
	for (size_t depth = 127; depth <= 129; depth++) {
		char text[300];
		enum reader_fault fault;
		json_t *value;

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		value = read_text(text, 2 * depth, &fault);
		ck_assert_int_eq(value != NULL, depth <= 128);
		if (!value)
			ck_assert_int_eq(fault, READER_DEPTH);
		json_decref(value);
	}
}
END_TEST

START_TEST(the_same_meta_is_read_once_and_another_is_read_anew)
{
	static const char *const LINES[] = {
		"{\"params\":{\"_meta\":{\"v\":\"1\",\"c\":{}},\"a\":1}}",
		"{\"params\":{\"a\":2,\"_meta\":{\"v\":\"1\",\"c\":{}}}}",
		"{\"params\":{\"_meta\":{\"v\":\"2\"}}}",
		"{\"params\":{\"_meta\":{\"v\":\"2\",\"w\":1}}}",
		"{\"_meta\":{\"v\":\"2\"}}",
		"{\"params\":{\"_meta\":7}}",
		"{\"params\":{\"_meta\":{\"v\":\"2\"},\"_meta\":{\"v\":\"2\"}}}",
	};
	struct reader_memo memo = {.key = "_meta"};
	json_t *first = NULL;

	for (size_t i = 0; i < ARRAY_LEN(LINES); i++) {
		enum reader_fault fault;
		size_t at;
		json_error_t error;
		struct slice text = slice_of(LINES[i]);
		json_t *ours = reader_parse(text, &memo, &fault, &at);
		json_t *theirs = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, &error);

		ck_assert_msg(!ours == !theirs, "%s", LINES[i]);
		if (ours)
			ck_assert_msg(json_equal(ours, theirs), "%s", LINES[i]);
		if (i == 0)
			first = json_incref(memo.value);
		if (i == 1) /* the value of the first line, not an equal one */
			ck_assert_ptr_eq(json_object_get(json_object_get(ours, "params"), "_meta"),
					 first);
		json_decref(ours);
		json_decref(theirs);
	}
	json_decref(first);
	reader_memo_finish(&memo);
}
END_TEST

static enum reader_fault fault_of_many(const char *item, size_t bytes)
{
	enum reader_fault fault = READER_OK;
	struct buf b = BUF_INIT;
	json_t *value;

	buf_putc(&b, '[');
	while (b.len < bytes) {
		buf_puts(&b, item);
		buf_putc(&b, ',');
	}
	buf_puts(&b, "0]");
	value = read_text(b.p, b.len, &fault);
	ck_assert(!value == (fault != READER_OK));
	json_decref(value);
	buf_finish(&b);
	return fault;
}

START_TEST(the_values_of_a_text_have_so_much_room)
{
	static const char *const SMALL[] = {"{}",
					    "[]",
					    "0",
					    "1.5",
					    "\"\"",
					    "{\"a\":1}",
					    "[[[[[[[[]]]]]]]]",
					    "{\"a\":{\"b\":[]}}"};
	static const char *const USUAL[] = {
		"\"A sentence of words that stands in an answer, as it is usual, and goes on so for"
		" as long as it takes to say what has to be said to whoever wants to know it.\"",
		"{\"description\":\"Rather long texts stand beside names and numbers in most of"
		" what is sent, and that is what this one is here for, with its many words.\","
		"\"id\":123456789}",
	};
	enum reader_fault fault = READER_OK;
	struct buf b = BUF_INIT;
	json_t *value;

	for (size_t i = 0; i < ARRAY_LEN(SMALL); i++) {
		ck_assert_int_eq(fault_of_many(SMALL[i], RPC_LINE_BYTES_MAX), READER_ROOM);
		ck_assert_int_eq(fault_of_many(SMALL[i], RPC_LINE_BYTES_MAX / 64), READER_OK);
	}
	for (size_t i = 0; i < ARRAY_LEN(USUAL); i++)
		ck_assert_int_eq(fault_of_many(USUAL[i], RPC_LINE_BYTES_MAX), READER_OK);
	buf_putc(&b, '"');
	while (b.len < RPC_LINE_BYTES_MAX - 1)
		buf_putc(&b, 'A');
	buf_putc(&b, '"');
	value = read_text(b.p, b.len, &fault);
	ck_assert_ptr_nonnull(value);
	json_decref(value);
	buf_finish(&b);
}
END_TEST

/* Of one object with so many members. */
static enum reader_fault fault_of_members(int n)
{
	enum reader_fault fault = READER_OK;
	struct buf b = BUF_INIT;
	json_t *value;

	for (int i = 0; i < n; i++)
		buf_printf(&b, "%c\"%d\":0", i ? ',' : '{', i);
	buf_putc(&b, '}');
	value = read_text(b.p, b.len, &fault);
	ck_assert(!value == (fault != READER_OK));
	json_decref(value);
	buf_finish(&b);
	return fault;
}

START_TEST(a_large_object_has_less_room)
{
	ck_assert_int_eq(fault_of_members(100000), READER_OK);
	ck_assert_int_eq(fault_of_members(200000), READER_ROOM);
}
END_TEST

START_TEST(a_long_real_takes_more_room_than_a_short_one)
{
	static const char *const LONG[] = {"1.2345678901234567e-300", "-5e-324", "1E5",
					   "0.12345678901234567890"};

	for (size_t i = 0; i < ARRAY_LEN(LONG); i++) {
		size_t each = strlen(LONG[i]) + 1;

		/* A vector of some thousands of dimensions, or of very many, is none too large. */
		ck_assert_int_eq(fault_of_many(LONG[i], 100000 * each), READER_OK);
		ck_assert_int_eq(fault_of_many(LONG[i], 130000 * each), READER_ROOM);
	}
	ck_assert_int_eq(fault_of_many("0.123456789012", 500000 * 15), READER_OK);
}
END_TEST

UNIT_MAIN("reader", a_long_real_takes_more_room_than_a_short_one, a_large_object_has_less_room,
	  the_values_of_a_text_have_so_much_room, it_accepts_and_refuses_what_jansson_does,
	  every_truncation_agrees_with_jansson, random_damage_agrees_with_jansson,
	  faults_are_told_apart, depth_has_its_exact_limit,
	  the_same_meta_is_read_once_and_another_is_read_anew)
