#include "unit.h"

#include "base/digest.h"
#include "base/printable.h"
#include "base/strike.h"

#include <stdlib.h>
#include <string.h>

#define SECRET "sk-Xy9/a+\"b\\c d"

static struct strike one(const char *secret)
{
	struct strike s = {.count = 0};

	strike_add(&s, secret, strlen(secret));
	return s;
}

static void expect(const char *secret, bool is_json, const char *text, const char *wanted)
{
	struct strike s = one(secret);
	char *copy = strdup(text);
	size_t len = strlen(text);

	len = is_json ? strike_json(&s, copy, len) : strike_text(&s, copy, len);
	copy[len] = '\0';
	ck_assert_str_eq(copy, wanted);
	free(copy);
	strike_finish(&s);
}

START_TEST(a_secret_is_struck_in_every_form_that_it_takes)
{
	expect("sk-secret", false, "Bearer sk-secret.", "Bearer [secret].");
	expect("sk-secret", false, "sk-secretsk-secret", "[secret][secret]");
	expect("sk-secret", false, "?key=sk%2dsecret&a=%73k-secret", "?key=[secret]&a=[secret]");
	expect("sk-secret", false, "sk%252dsecret", "[secret]");
	expect(SECRET, false, "sk-Xy9%2Fa%2B%22b%5Cc+d", "[secret]");
	expect(SECRET, false, "sk-Xy9/a+&quot;b\\c d", "[secret]");
	expect(SECRET, true, "{\"a\":\"sk-Xy9\\/a+\\\"b\\\\c d\"}", "{\"a\":\"[secret]\"}");
	expect(SECRET, true, "[\"\\u0073k-Xy9\\u002fa\\u002b\\u0022b\\u005cc d\"]",
	       "[\"[secret]\"]");
	/* JSON within a string of JSON, as an echo of a body is. */
	expect(SECRET, true, "[\"{\\\"k\\\":\\\"sk-Xy9/a+\\\\\\\"b\\\\\\\\c d\\\"}\"]",
	       "[\"{\\\"k\\\":\\\"[secret]\\\"}\"]");
}
END_TEST

START_TEST(a_secret_is_struck_within_base64_wherever_it_begins)
{
	static const char *const BEFORE[] = {"", "u", "us", "user:", "a:b:", "longer-user:"};

	for (size_t i = 0; i < ARRAY_LEN(BEFORE); i++) {
		CLEANUP(free_charp) char *text = xasprintf("%spassword?>~1é", BEFORE[i]);
		struct strike s = one("password?>~1é");
		struct buf b = BUF_INIT;
		size_t shown = 0;

		base64_encode(slice_of(text), &b);
		ck_assert_uint_eq(strike_text(&s, b.p, b.len), b.len);
		for (size_t n = 0; n < b.len; n++)
			shown += b.p[n] != 'x' && b.p[n] != '=';
		/* What is left are the letters that hold bits of what stands beside it. */
		ck_assert_uint_le(shown, (strlen(BEFORE[i]) * 8 + 5) / 6 + 2);
		buf_finish(&b);
		strike_finish(&s);
	}
	/* The alphabet for URLs. */
	expect("a?>~b?>~c", false, "YT8-fmI_Pn5j", "xxxxxxxxxxxx");
	expect("a?>~b?>~c", false, "YT8+fmI/Pn5j", "xxxxxxxxxxxx");
}
END_TEST

START_TEST(what_is_struck_stays_json)
{
	expect("12345678", true, "{\"a\":12345678,\"b\":[123456789,-12345678]}",
	       "{\"a\":null,\"b\":[123456789,-12345678]}");
	expect("12345678", true, "{\"12345678\":true,\"b\":1e9}", "{\"[secret]\":true,\"b\":1e9}");
	expect("a\":\"bcdef", true, "{\"a\":\"bcdef\"}", "{\"a\":\"bcdef\"}");
	/* It begins in the middle of an escape, and is not there. */
	expect("nabcdefgh", true, "[\"\\nabcdefgh\"]", "[\"\\nabcdefgh\"]");
	expect("nabcdefgh", true, "[\"\\\\nabcdefgh\"]", "[\"\\\\[secret]\"]");
	expect("abcdefgh\\", true, "[\"abcdefgh\\\\\\\"\"]", "[\"[secret]\\\"\"]");
	expect("abcdefgh\\", true, "[\"abcdefgh\\\\\"]", "[\"[secret]\"]");
	expect("abcdefgh", true, "[\"abcdefg", "[\"abcdefg");
	expect("abcdefgh", true, "[\"abcdefgh\\", "[\"[secret]\\");
}
END_TEST

START_TEST(a_short_secret_spoils_no_text)
{
	expect("1234567", false, "1234567", "1234567");
	expect("12345678", false, "1234567 12345678", "1234567 [secret]");
	expect("", false, "abc", "abc");
}
END_TEST

START_TEST(a_secret_that_the_end_cuts_off_is_struck)
{
	expect("sk-0123456789abcdef", false, "key sk-0123456789", "key [secret]");
	expect("sk-0123456789abcdef", false, "key sk-01234567", "key sk-01234567");
}
END_TEST

START_TEST(many_backslashes_are_looked_at_once)
{
	size_t len = 4 * 1024 * 1024;
	char *text = malloc(len);
	struct strike s = one("\\abcdefgh");

	ck_assert_ptr_nonnull(text);
	memset(text, '\\', len);
	/* Would not come to an end where each looked at all that follow. */
	ck_assert_uint_eq(strike_json(&s, text, len), len);
	free(text);
	strike_finish(&s);
}
END_TEST

static void expect_printable(struct slice text, bool may_break, const char *wanted)
{
	struct buf b = BUF_INIT;

	printable_append(text, may_break, &b);
	ck_assert_str_eq(buf_text(&b), wanted);
	buf_finish(&b);
}

START_TEST(what_a_terminal_would_obey_is_escaped)
{
	expect_printable(slice_of("a\033[31mb\a\x7f"), true, "a\\u001b[31mb\\u0007\\u007f");
	expect_printable(slice_of("a\n\tb"), true, "a\n\tb");
	expect_printable(slice_of("a\n\tb"), false, "a\\u000a\\u0009b");
	expect_printable(slice_of("\xc2\x9b"
				  "31m"),
			 true, "\\u009b31m");
	expect_printable(slice_of("x\x9b"
				  "31m\xff"),
			 true, "x\\x9b31m\\xff");
	expect_printable(slice_of("\u202e\u202a\u2066\u2069\u200e\u200f\u061c"), true,
			 "\\u202e\\u202a\\u2066\\u2069\\u200e\\u200f\\u061c");
	expect_printable(slice_of("\u2028\u2029\ufeff\u200b\u00ad\U000e0041"), true,
			 "\\u2028\\u2029\\ufeff\\u200b\\u00ad\\udb40\\udc41");
	expect_printable(slice_of("Zo\u00eb \u05d0\u05d1 \u65e5\u672c \U0001f600"), false,
			 "Zo\u00eb \u05d0\u05d1 \u65e5\u672c \U0001f600");
	expect_printable((struct slice){.p = "\xf0\x9f", .len = 2}, true, "\\xf0\\x9f");
	expect_printable((struct slice){.p = "a\0b", .len = 3}, true, "a\\u0000b");
	/* Longer than it need be, as a way around a filter. */
	expect_printable(slice_of("\xc0\x9b\xed\xa0\x80"), true, "\\xc0\\x9b\\ud800");
}
END_TEST

UNIT_MAIN("strike", a_secret_is_struck_in_every_form_that_it_takes,
	  a_secret_is_struck_within_base64_wherever_it_begins, what_is_struck_stays_json,
	  a_short_secret_spoils_no_text, a_secret_that_the_end_cuts_off_is_struck,
	  many_backslashes_are_looked_at_once, what_a_terminal_would_obey_is_escaped)
