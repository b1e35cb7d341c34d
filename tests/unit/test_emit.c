#include "json/edge.h"
#include "json/emit.h"

#include "unit.h"

#include <string.h>

static char *written(struct slice text)
{
	struct buf b = BUF_INIT;
	struct emit e;

	emit_init(&e, &b);
	emit_slice(&e, text);
	emit_done(&e);
	return buf_steal(&b);
}

START_TEST(commas_stand_between_and_nowhere_else)
{
	struct buf b = BUF_INIT;
	struct emit e;

	emit_init(&e, &b);
	emit_object(&e);
	emit_key(&e, "empty");
	emit_object(&e);
	emit_object_end(&e);
	emit_key(&e, "list");
	emit_array(&e);
	emit_i64(&e, 1);
	emit_array(&e);
	emit_array_end(&e);
	emit_object(&e);
	emit_key_text(&e, "a", "b");
	emit_key_bool(&e, "t", true);
	emit_key_bool(&e, "f", false);
	emit_object_end(&e);
	emit_null(&e);
	emit_text(&e, NULL);
	emit_array_end(&e);
	emit_key_slice(&e, slice_of("k\"2"));
	emit_text(&e, "v");
	emit_raw_members(&e, slice_of(""));
	emit_raw_members(&e, slice_of("\"x\":1,\"y\":2"));
	emit_key_raw(&e, "raw", slice_of("[7]"));
	emit_object_end(&e);
	emit_done(&e);
	ck_assert_str_eq(buf_text(&b),
			 "{\"empty\":{},\"list\":[1,[],{\"a\":\"b\",\"t\":true,\"f\":false},null,"
			 "null],\"k\\\"2\":\"v\",\"x\":1,\"y\":2,\"raw\":[7]}");
	buf_finish(&b);
}
END_TEST

START_TEST(members_may_come_first)
{
	struct buf b = BUF_INIT;
	struct emit e;

	emit_init(&e, &b);
	emit_object(&e);
	emit_raw_members(&e, slice_of(""));
	emit_raw_members(&e, slice_of("\"x\":1"));
	emit_key_i64(&e, "y", -2);
	emit_object_end(&e);
	emit_done(&e);
	ck_assert_str_eq(buf_text(&b), "{\"x\":1,\"y\":-2}");
	buf_finish(&b);
}
END_TEST

START_TEST(text_is_escaped_and_bad_bytes_are_replaced)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} CASES[] = {
		{"", 0, "\"\""},
		{"plain text that is longer than a word", 37,
		 "\"plain text that is longer than a word\""},
		{"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
		{"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
		{"\0\1\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
		/* Two, three and four bytes, in and behind a run of eight. */
		{"\xc3\xa9", 2, "\"\xc3\xa9\""},
		{"1234567\xe2\x82\xac"
		 "9",
		 11,
		 "\"1234567\xe2\x82\xac"
		 "9\""},
		{"12345678\xf0\x9f\x98\x80"
		 "9",
		 13,
		 "\"12345678\xf0\x9f\x98\x80"
		 "9\""},
		{"\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\""},
		/* A lone continuation, a cut sequence, overlong, a surrogate, beyond U+10FFFF. */
		{"\x80", 1, "\"\xef\xbf\xbd\""},
		{"a\xe2\x82", 3, "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xe2\x82z", 3, "\"\xef\xbf\xbd\xef\xbf\xbdz\""},
		{"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xe0\x9f\xbf", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xff", 1, "\"\xef\xbf\xbd\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		char *out = written((struct slice){.p = CASES[i].in, .len = CASES[i].len});

		ck_assert_str_eq(out, CASES[i].out);
		free(out);
	}
}
END_TEST

/* Each byte in each place of a run: whatever is written is JSON, and reads back as it was. */
START_TEST(the_fast_path_misses_nothing)
{
	for (unsigned c = 0; c < 256; c++) {
		for (size_t at = 0; at < 19; at++) {
			char text[20];
			char *out;
			json_t *back;

			memset(text, 'x', sizeof(text));
			text[at] = (char)c;
			out = written((struct slice){.p = text, .len = sizeof(text)});
			back = edge_parse(slice_of(out), NULL);
			ck_assert_ptr_nonnull(back);
			if (c < 0x80) {
				ck_assert_uint_eq(edge_slice(back).len, sizeof(text));
				ck_assert_mem_eq(edge_slice(back).p, text, sizeof(text));
			} else {
				ck_assert_uint_eq(edge_slice(back).len, sizeof(text) + 2);
				ck_assert_mem_eq(edge_slice(back).p + at, "\xef\xbf\xbd", 3);
			}
			json_decref(back);
			free(out);
		}
	}
}
END_TEST

START_TEST(money_and_ids_are_raw_tokens)
{
	struct buf b = BUF_INIT;
	struct emit e;
	struct id id = {.b = {1, 2, 3}};
	struct walltime t;

	ck_assert(walltime_parse(slice_of("2026-11-21T08:00:00Z"), &t));
	emit_init(&e, &b);
	emit_object(&e);
	emit_key_usd(&e, "cost", (struct microusd){5300});
	emit_key_tokens(&e, "tokens", (struct microusd){5300});
	emit_key_usd(&e, "left", (struct microusd){-9994700});
	emit_key(&e, "markup");
	emit_decimal(&e, (struct decimal){.digits = 105, .scale = 2});
	emit_key_id(&e, "call_id", "call", id);
	emit_key(&e, "created");
	emit_walltime(&e, t);
	emit_key_i64(&e, "min", INT64_MIN);
	emit_key_i64(&e, "max", INT64_MAX);
	emit_key_i64(&e, "zero", 0);
	emit_object_end(&e);
	emit_done(&e);
	ck_assert_str_eq(buf_text(&b), "{\"cost\":0.0053,\"tokens\":0.53,\"left\":-9.9947,"
				       "\"markup\":1.05,"
				       "\"call_id\":\"call_01020300000000000000000000000000\","
				       "\"created\":\"2026-11-21T08:00:00Z\","
				       "\"min\":-9223372036854775808,\"max\":9223372036854775807,"
				       "\"zero\":0}");
	buf_finish(&b);
}
END_TEST

START_TEST(numbers_of_others_pass_through_as_written)
{
	static const char TEXT[] = "{\"b\":[0.005,5.0,-0.0,1e+22,0.1,123456789.12345679,5e-324,1."
				   "7976931348623157e+308,"
				   "9007199254740993],\"a\":{\"\":null,\"t\":[true,false]},\"s\":"
				   "\"\\u0000\xe2\x82\xac\"}";
	json_t *value = edge_parse(slice_of(TEXT), NULL);
	struct buf b = BUF_INIT;
	struct emit e;

	ck_assert_ptr_nonnull(value);
	emit_init(&e, &b);
	emit_json(&e, value);
	emit_done(&e);
	/* The smallest double has a longer text of the same value; it still reads back. */
	ck_assert_str_eq(buf_text(&b),
			 "{\"b\":[0.005,5.0,-0.0,1e+22,0.1,123456789.12345679,"
			 "4.94065645841247e-324,1.7976931348623157e+308,9007199254740993],"
			 "\"a\":{\"\":null,\"t\":[true,false]},\"s\":\"\\u0000\xe2\x82\xac\"}");
	json_decref(value);
	buf_finish(&b);
}
END_TEST

UNIT_MAIN("emit", commas_stand_between_and_nowhere_else, members_may_come_first,
	  text_is_escaped_and_bad_bytes_are_replaced, the_fast_path_misses_nothing,
	  money_and_ids_are_raw_tokens, numbers_of_others_pass_through_as_written)
