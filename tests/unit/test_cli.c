#include "base/suggest.h"
#include "cli/print.h"
#include "json/edge.h"

#include "unit.h"

#include <string.h>

START_TEST(distance_counts_the_four_slips)
{
	ck_assert_uint_eq(edit_distance("", ""), 0);
	ck_assert_uint_eq(edit_distance("", "abc"), 3);
	ck_assert_uint_eq(edit_distance("abc", ""), 3);
	ck_assert_uint_eq(edit_distance("balance", "balance"), 0);
	ck_assert_uint_eq(edit_distance("blance", "balance"), 1);
	ck_assert_uint_eq(edit_distance("ballance", "balance"), 1);
	ck_assert_uint_eq(edit_distance("balamce", "balance"), 1);
	ck_assert_uint_eq(edit_distance("blaance", "balance"), 1);
	ck_assert_uint_eq(edit_distance("kitten", "sitting"), 3);
}
END_TEST

START_TEST(longer_than_any_name_is_far)
{
	char long_word[200];

	memset(long_word, 'a', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	ck_assert_uint_eq(edit_distance(long_word, "a"), SIZE_MAX);
	ck_assert_uint_eq(edit_distance("a", long_word), SIZE_MAX);
}
END_TEST

static const char *nearest(const char *typed)
{
	static const char *const WORDS[] = {"call", "quote", "tools", "billing", "keys"};
	struct suggestion s;

	suggestion_init(&s, typed);
	for (size_t i = 0; i < ARRAY_LEN(WORDS); i++)
		suggestion_offer(&s, WORDS[i]);
	return s.found;
}

START_TEST(only_likely_slips_are_suggested)
{
	ck_assert_str_eq(nearest("cal"), "call");
	ck_assert_str_eq(nearest("kyes"), "keys");
	ck_assert_str_eq(nearest("biling"), "billing");
	ck_assert_str_eq(nearest("bil"), "billing");
	ck_assert_ptr_null(nearest("zzz"));
	ck_assert_ptr_null(nearest(""));
	ck_assert_ptr_null(nearest("x"));
}
END_TEST

static char *indented(const char *json)
{
	struct buf b = BUF_INIT;

	json_indent(slice_of(json), &b);
	return buf_steal(&b);
}

START_TEST(indenting_keeps_every_number_as_it_is_written)
{
	char *text = indented("{\"a\":0.0053,\"b\":[1.10,{}, [] ],\"c\":{\"d\":null}}");

	ck_assert_str_eq(text, "{\n  \"a\": 0.0053,\n  \"b\": [\n    1.10,\n    {},\n    []\n  ],\n"
			       "  \"c\": {\n    \"d\": null\n  }\n}");
	free(text);
}
END_TEST

START_TEST(strings_are_not_looked_into)
{
	char *text = indented("[\"a\\\"{,:}\\\\\",\"\"]");

	ck_assert_str_eq(text, "[\n  \"a\\\"{,:}\\\\\",\n  \"\"\n]");
	free(text);
}
END_TEST

START_TEST(terminal_controls_beyond_ascii_are_escaped)
{
	char *text = indented("\"a\xc2\x9b"
			      "31m\xc3\xa9\"");

	ck_assert_str_eq(text, "\"a\\u009b31m\xc3\xa9\"");
	free(text);
}
END_TEST

START_TEST(text_that_is_cut_off_is_read_to_its_end_only)
{
	static const char *const CUT[] = {"\"", "\"a", "\"a\\", "{\"a\":\"\\",
					  "[",  "]]]", "\"\xc2"};

	for (size_t i = 0; i < ARRAY_LEN(CUT); i++) {
		/* Not terminated, so that a sanitizer sees a byte too far. */
		char *exact = malloc(strlen(CUT[i]));
		struct buf b = BUF_INIT;

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, CUT[i], strlen(CUT[i]));
		json_indent((struct slice){.p = exact, .len = strlen(CUT[i])}, &b);
		buf_finish(&b);
		free(exact);
	}
}
END_TEST

UNIT_MAIN("cli", distance_counts_the_four_slips, longer_than_any_name_is_far,
	  only_likely_slips_are_suggested, indenting_keeps_every_number_as_it_is_written,
	  strings_are_not_looked_into, terminal_controls_beyond_ascii_are_escaped,
	  text_that_is_cut_off_is_read_to_its_end_only)
