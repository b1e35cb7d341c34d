#include "base/limits.h"
#include "json/pattern.h"

#include "unit.h"

#include <string.h>

#define PLENTY SCHEMA_CHECK_STEPS_MAX

static enum pattern_outcome matched(const char *text, struct slice value, size_t *steps)
{
	struct patterns *ps = patterns_create();
	struct err err = ERR_INIT;
	struct pattern *p = pattern_create(ps, slice_of(text), &err);
	enum pattern_outcome outcome;

	ck_assert_msg(p, "%s: %s", text, err.text);
	outcome = pattern_match(p, value, steps);
	patterns_destroy(ps);
	return outcome;
}

static bool fits(const char *text, struct slice value)
{
	size_t steps = PLENTY;
	enum pattern_outcome outcome = matched(text, value, &steps);

	ck_assert_msg(outcome != PATTERN_GAVE_UP, "%s", text);
	return outcome == PATTERN_FITS;
}

#define SLICE(text)                                                                                \
	{                                                                                          \
		.p = (text), .len = sizeof(text) - 1                                               \
	}

static const struct {
	const char *pattern;
	struct slice value;
	bool is_fit;
} FITTING[] = {
	/* Unanchored; the ends are those of the text, whatever lines it has. */
	{"b", SLICE("abc"), true},
	{"", SLICE(""), true},
	{"", SLICE("abc"), true},
	{"^b", SLICE("abc"), false},
	{"^b", SLICE("a\nb"), false},
	{"^a|c$", SLICE("xxc"), true},
	{"a$", SLICE("a\n"), false},
	{"a$", SLICE("ba"), true},
	{"^\\d{4}-\\d\\d$", SLICE("2026-12"), true},
	{"^\\d+$", SLICE("\xd9\xa1"), false}, /* an Arabic 1 */
	{"^\\w+$", SLICE("az_AZ09"), true},
	{"^\\w+$", SLICE("\xc3\xa4"), false},
	{"^\\W$", SLICE("\xc3\xa4"), true},
	{"^\\D$", SLICE("5"), false},
	{"^\\s{4}$", SLICE(" \t\xc2\xa0\xef\xbb\xbf"), true},
	{"^\\S$", SLICE("\xc2\xa0"), false},
	{"^[\\S]$", SLICE("\xe2\x80\xa8"), false},
	{"^[^\\S]$", SLICE("\xe2\x80\xa8"), true},
	{"^[\\s\\S]+$", SLICE("a \xe2\x80\xa8\xf0\x9f\x98\x80"), true},
	{"^\\v$", SLICE("\v"), true},
	{"^\\v$", SLICE("\n"), false},
	{"\\ba\\b", SLICE("x a y"), true},
	{"a\\Bb", SLICE("ab"), true},
	{"^[\\b]$", SLICE("\b"), true},
	/* Code points, not bytes; a point is none of four ends of lines. */
	{"^.{2}$", SLICE("\xf0\x9f\x98\x80\xc3\xa4"), true},
	{"^.$", SLICE("\n"), false},
	{"^.$", SLICE("\xe2\x80\xa9"), false},
	{"^.$", SLICE("\xc2\x85"), true},
	{"^a.c$", SLICE("a\0c"), true},
	{"^\\0$", SLICE("\0"), true},
	{"^\\x41\\u0042\\u{43}\\cJ$", SLICE("ABC\n"), true},
	{"^\\ud83d\\ude00$", SLICE("\xf0\x9f\x98\x80"), true},
	{"^[\\ud83d\\ude00-\\u{1f602}]$", SLICE("\xf0\x9f\x98\x81"), true},
	{"^\\p{Lu}\\P{Lu}$", SLICE("\xc3\x84\xc3\xa4"), true},
	{"^[^\\p{L}]$", SLICE("\xc3\xa4"), false},
	/* Groups, lazy repeats, looks, references. */
	{"^(?:a|bc)+?$", SLICE("abca"), true},
	{"^(?=.*\\d)(?!.*\\s).{4,8}$", SLICE("abc1"), true},
	{"^(?=.*\\d)(?!.*\\s).{4,8}$", SLICE("abcd"), false},
	{"(?<=\\$)\\d(?<!4)$", SLICE("$5"), true},
	{"(?<!\\$)5$", SLICE("$5"), false},
	{"^(a|b)\\1$", SLICE("bb"), true},
	{"^(?<x>a|b)\\k<x>$", SLICE("ba"), false},
	{"^(a)?\\1b$", SLICE("b"), true},
	/* Classes. */
	{"^[a\\-z]$", SLICE("m"), false},
	{"^[a-]$", SLICE("-"), true},
	{"^[\\w-.]$", SLICE("-"), true},
	{"^[\\s-z]$", SLICE("a"), false},
	{"^[+-\\s]$", SLICE("-"), true},
	{"^[+-\\s]$", SLICE(","), false},
	{"^[[\\]]$", SLICE("["), true},
	{"^[&&~\\-]+$", SLICE("&~-"), true},
	{"^[^^]$", SLICE("^"), false},
	{"[]", SLICE("a"), false},
	{"^[^]$", SLICE("\n"), true},
	/* What stands for itself. */
	{"^a{,3}}]$", SLICE("a{,3}}]"), true},
	{"^{a}$", SLICE("{a}"), true},
	{"^\\/\\@\\-\\ \\<$", SLICE("/@- <"), true},
	{"^#a b$", SLICE("#a b"), true},
	{"^a{0}b{2,}$", SLICE("bbb"), true},
};

START_TEST(patterns_are_those_of_ecma_262)
{
	for (size_t i = 0; i < ARRAY_LEN(FITTING); i++)
		ck_assert_msg(fits(FITTING[i].pattern, FITTING[i].value) == FITTING[i].is_fit,
			      "%zu: %s", i, FITTING[i].pattern);
}
END_TEST

static struct err refusal(struct slice text)
{
	struct patterns *ps = patterns_create();
	struct err err = ERR_INIT;

	ck_assert_msg(!pattern_create(ps, text, &err), "%.*s", (int)text.len, text.p);
	patterns_destroy(ps);
	return err;
}

static const char *const REFUSED[] = {
	"(",
	"a)",
	"[a",
	"[b-a]",
	"*",
	"a**",
	"a++",
	"a?+",
	"a{2}{3}",
	"a{2}+",
	"^*",
	"|?",
	"(?>a)",
	"(?i)a",
	"(?#x)",
	"(?R)",
	"(?1)",
	"(a)(?1)",
	"(?P<n>a)",
	"(?'n'a)",
	"(?|a|b)",
	"(?(1)a)",
	"(*UTF)a",
	"(*ACCEPT)",
	"a(*COMMIT)",
	"(?C1)a",
	"(?&n)",
	"(?<n>a)\\g<n>",
	"\\Qa\\E",
	"\\Aa",
	"a\\z",
	"a\\Z",
	"\\Ga",
	"\\Ka",
	"\\C",
	"\\X",
	"\\R",
	"\\N",
	"\\h",
	"\\e",
	"\\a",
	"\\o{101}",
	"\\x{41}",
	"\\x4",
	"\\u12",
	"\\u{110000}",
	"\\ud800",
	"\\udc00a",
	"\\p",
	"\\pL",
	"\\p{Xan}",
	"\\p{^Lu}",
	"\\p{Nothing}",
	"\\1",
	"(a)\\2",
	"\\k<n>",
	"\\01",
	"\\c1",
	"\\",
	"[\\",
	"[\\B]",
	"[[:alpha:]]",
	"[^@[:space:]]+",
	"[[.a.]]",
	"(?<=a*)b",
	"(?=a)*",
	"(?<a b>c)",
	"\\_x\\y",
	"a{70000}",
	"a{3,2}",
};

START_TEST(what_would_be_read_otherwise_is_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(REFUSED); i++)
		ck_assert(*refusal(slice_of(REFUSED[i])).text);
	(void)refusal((struct slice){.p = "\xff", .len = 1});
}
END_TEST

static void repeat(struct buf *b, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_puts(b, text);
}

START_TEST(a_pattern_that_is_large_is_refused)
{
	static const char *const CASES[] = {
		"((a{0,50}){0,50}){0,20}z", "((a{1,100}){1,100}){1,100}",
		"(((a{9}){9}){9}){999}",    "(\\s{1,999}){999}",
		"(?:a|b){60000}",
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
		ck_assert_ptr_nonnull(
			strstr(refusal(slice_of(CASES[i])).text, "large") ||
					strstr(refusal(slice_of(CASES[i])).text, "repeats too much")
				? ""
				: NULL);
	repeat(&b, "a", SCHEMA_PATTERN_BYTES_MAX);
	ck_assert(fits(buf_text(&b), buf_slice(&b)));
	buf_putc(&b, 'a');
	ck_assert_str_eq(refusal(buf_slice(&b)).text, "it is too long");
	buf_clear(&b);
	repeat(&b, "(", SCHEMA_PATTERN_DEPTH_MAX);
	repeat(&b, ")", SCHEMA_PATTERN_DEPTH_MAX);
	ck_assert(fits(buf_text(&b), slice_of("")));
	buf_clear(&b);
	repeat(&b, "(", SCHEMA_PATTERN_DEPTH_MAX + 1);
	ck_assert_ptr_nonnull(strstr(refusal(buf_slice(&b)).text, "too deeply"));
	buf_finish(&b);
}
END_TEST

START_TEST(patterns_of_a_schema_are_bounded_together)
{
	struct patterns *ps = patterns_create();
	struct err err = ERR_INIT;
	size_t n = 0;

	while (pattern_create(ps, slice_of("a"), &err))
		n++;
	ck_assert_uint_eq(n, SCHEMA_PATTERNS_MAX);
	patterns_destroy(ps);
	ps = patterns_create();
	n = 0;
	while (pattern_create(ps, slice_of("([a-z]{1,9}[0-9]){0,100}"), &err))
		n++;
	ck_assert_uint_lt(n, SCHEMA_PATTERNS_MAX);
	patterns_destroy(ps);
}
END_TEST

/* All of what a check has, and not a step more: pattern_match may take no other measure. */
START_TEST(a_match_that_would_not_end_gives_up_and_leaves_no_steps)
{
	static const struct {
		const char *pattern, *text, *last;
	} CASES[] = {
		{"[^@]+@[^@]+", "a", ""},
		{"(a|aa)+$", "a", "b"},
		{"^(a+)+$", "a", "b"},
		{"(.*)(.*)(.*)(.*)x", "a", ""},
		{"(?=[^]*)z", "a", ""},
		{"(?:(?=[^]*[^]*[^]*)a)*z", "a", ""},
		{"(a*)\\1\\1b", "a", ""},
		{"a{5000}b", "a", ""},
		{"(?:a{999}b|a{999}c|a{999}d)", "a", ""},
		{"(?:(?:a{0,30}){0,30}){0,9}z", "a", ""},
		{"(?:){0,50}(?:|a|b)*c", "a", "b"},
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		size_t steps = PLENTY;

		buf_clear(&b);
		repeat(&b, CASES[i].text, 100000);
		buf_puts(&b, CASES[i].last);
		ck_assert_msg(matched(CASES[i].pattern, buf_slice(&b), &steps) == PATTERN_GAVE_UP,
			      "%s", CASES[i].pattern);
		ck_assert_uint_eq(steps, 0);
	}
	buf_finish(&b);
}
END_TEST

START_TEST(a_large_text_passes_an_honest_pattern)
{
	struct buf b = BUF_INIT;

	repeat(&b, "abcd", 10 * 1024 * 1024 / 4);
	ck_assert(fits("^[A-Za-z0-9+/]*={0,2}$", buf_slice(&b)));
	ck_assert(fits("^abcd", buf_slice(&b)));
	ck_assert(fits("bcd", buf_slice(&b)));
	buf_clear(&b);
	repeat(&b, "abcd", 16 * 1024);
	ck_assert(fits("^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==)?$", buf_slice(&b)));
	ck_assert(!fits("x", buf_slice(&b)));
	buf_finish(&b);
}
END_TEST

START_TEST(a_small_match_takes_few_steps)
{
	size_t steps = PLENTY;

	ck_assert_int_eq(matched("^[a-z0-9-]{1,64}$", slice_of("a-small-name"), &steps),
			 PATTERN_FITS);
	ck_assert_uint_gt(steps, PLENTY - 64);
	steps = 10;
	ck_assert_int_eq(matched("^a*b", slice_of("aaaaaaaaaaaaaaaaa"), &steps), PATTERN_GAVE_UP);
	ck_assert_uint_eq(steps, 0);
}
END_TEST

/* Of a pattern ^[...]*$ on so many of a character. */
static size_t steps_of_class(const char *open, const char *members, const char *close,
			     const char *point, size_t n)
{
	struct buf pattern = BUF_INIT, value = BUF_INIT;
	size_t steps = PLENTY;

	buf_printf(&pattern, "%s%s%s", open, members, close);
	repeat(&value, point, n);
	if (matched(buf_text(&pattern), buf_slice(&value), &steps) == PATTERN_GAVE_UP)
		ck_assert_uint_eq(steps, 0);
	buf_finish(&pattern);
	buf_finish(&value);
	return PLENTY - steps;
}

/* A class beyond Latin-1 is a list: each of its members may be compared with each character. */
START_TEST(a_class_of_many_members_is_paid_by_the_member)
{
	static const char *const AROUND[][2] = {
		{"^[^", "]*$"},      {"^[^", "]{1,60000}"},     {"^(?=[^", "]*$)"},
		{"^(?:[^", "])*?$"}, {"^(?:|[a-z]|[^", "]+)$"},
	};
	struct buf singles = BUF_INIT, ranges = BUF_INIT, properties = BUF_INIT;

	for (int i = 0; i < 800; i++)
		buf_printf(&singles, "%c%c", 0xC4 + i / 32, 0x80 + i % 32 * 2);
	for (int i = 0; i < 400; i++)
		buf_printf(&ranges, "%c%c-%c%c", 0xC4 + i / 16, 0x80 + i % 16 * 4, 0xC4 + i / 16,
			   0x81 + i % 16 * 4);
	repeat(&properties, "\\p{Greek}\\p{Thai}", 100);
	for (size_t i = 0; i < ARRAY_LEN(AROUND); i++) {
		const char *a = AROUND[i][0], *z = AROUND[i][1];
		const char *one = "\xe4\xb8\x80";

		ck_assert_uint_gt(steps_of_class(a, buf_text(&singles), z, one, 1000),
				  1000 * 800 / 16);
		ck_assert_uint_gt(steps_of_class(a, buf_text(&ranges), z, one, 1000),
				  1000 * 400 / 16);
		ck_assert_uint_gt(steps_of_class(a, buf_text(&properties), z, one, 1000),
				  1000 * 200 / 16);
		/* Properties are looked up for a letter too. */
		ck_assert_uint_gt(steps_of_class(a, buf_text(&properties), z, "a", 1000),
				  1000 * 200 / 16);
		ck_assert_uint_eq(steps_of_class(a, buf_text(&singles), z, one, 60000), PLENTY);
	}
	buf_finish(&singles);
	buf_finish(&ranges);
	buf_finish(&properties);
}
END_TEST

START_TEST(a_large_text_passes_an_honest_class)
{
	struct buf b = BUF_INIT;

	repeat(&b, "abc ", 10 * 1024 * 1024 / 4);
	ck_assert(fits("^[\\s\\S]*$", buf_slice(&b)));
	ck_assert(fits("^[\\w\\s\\u0400-\\u04ff\\u4e00-\\u9fff]*$", buf_slice(&b)));
	buf_clear(&b);
	repeat(&b, "\xe4\xb8\x80", 10 * 1024 * 1024 / 3);
	ck_assert(fits("^[\\s\\S]*$", buf_slice(&b)));
	ck_assert(fits("^[^\\s<>]{1,}$", (struct slice){.p = buf_text(&b), .len = 3000000}));
	ck_assert(fits("^[\\p{L}\\p{N}\\p{P}\\s]*$",
		       (struct slice){.p = buf_text(&b), .len = 2700000}));
	ck_assert(fits("^[\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uac00-\\ud7af]*$",
		       (struct slice){.p = buf_text(&b), .len = 4500000}));
	buf_finish(&b);
}
END_TEST

UNIT_MAIN("pattern", a_class_of_many_members_is_paid_by_the_member,
	  a_large_text_passes_an_honest_class, patterns_are_those_of_ecma_262,
	  what_would_be_read_otherwise_is_refused, a_pattern_that_is_large_is_refused,
	  patterns_of_a_schema_are_bounded_together,
	  a_match_that_would_not_end_gives_up_and_leaves_no_steps,
	  a_large_text_passes_an_honest_pattern, a_small_match_takes_few_steps)
