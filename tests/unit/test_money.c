#include "base/money.h"

#include "unit.h"

static struct decimal dec(const char *text)
{
	struct decimal d;

	ck_assert_msg(decimal_parse(slice_of(text), &d), "%s", text);
	return d;
}

START_TEST(decimal_is_read_exactly)
{
	static const struct {
		const char *in, *out;
	} CASES[] = {
		{"0", "0"},
		{"-0", "0"},
		{"12", "12"},
		{"0.005", "0.005"},
		{"5e-3", "0.005"},
		{"1.50", "1.5"},
		{"100", "100"},
		{"1e2", "100"},
		{"1E+2", "100"},
		{"-0.25", "-0.25"},
		{"0.0", "0"},
		{"5.80", "5.8"},
		{"7.5e-08", "0.000000075"},
		{"1000000", "1000000"},
		{"10.00000", "10"},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		char text[MONEY_TEXT_SIZE];

		decimal_text(dec(CASES[i].in), text);
		ck_assert_str_eq(text, CASES[i].out);
	}
}
END_TEST

START_TEST(decimal_refuses_what_is_no_number)
{
	static const char *const BAD[] = {
		"",     "-",   ".5",  "5.",  "1e",   "1e+-2", "0x10", " 1",
		"1 ",   "1,5", "NaN", "inf", "1e99", "1e-99", "--1",  "99999999999999999999",
		"1.2.3"};

	for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
		struct decimal d = {.digits = 77, .scale = 3};

		ck_assert_msg(!decimal_parse(slice_of(BAD[i]), &d), "%s", BAD[i]);
		ck_assert(d.digits == 77 && d.scale == 3);
	}
}
END_TEST

/* What others computed in floats has more decimals than money needs, and is a number all the same.
 */
START_TEST(a_decimal_with_too_many_places_is_rounded_up_where_asked)
{
	static const struct {
		const char *in, *out;
	} CASES[] = {
		{"0.005", "0.005"},
		{"0.0035058238075909086", "0.003505823807590909"},
		{"2.0999999999999998e-05", "0.000021"},
		{"0.1000000000000000055511151231257827", "0.100000000000000006"},
		{"0.100000000000000000000000000000", "0.1"},
		{"12.00000000000000000000000000001", "12.00000000000000001"},
		{"1e-99", "0.000000000000000001"},
		{"0e-99", "0"},
		{"-0.0000000000000000019", "-0.000000000000000002"},
	};
	static const char *const BAD[] = {
		"99999999999999999999",  "1.5.5", "0.00000000000000000001x",
		"9223372036854775808.1", "5.",    "1.2345678901234567891e19"};
	struct decimal d = {.digits = 77, .scale = 3};
	char text[MONEY_TEXT_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
		ck_assert_msg(!decimal_parse_up(slice_of(BAD[i]), &d), "%s", BAD[i]);
	ck_assert(d.digits == 77 && d.scale == 3);
	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		ck_assert_msg(decimal_parse_up(slice_of(CASES[i].in), &d), "%s", CASES[i].in);
		decimal_text(d, text);
		ck_assert_str_eq(text, CASES[i].out);
	}
}
END_TEST

START_TEST(overflow_leaves_the_output_as_it_was)
{
	struct microusd out = {5};

	ck_assert(!microusd_add(&out, (struct microusd){INT64_MAX}, (struct microusd){1}));
	ck_assert(!microusd_sub(&out, (struct microusd){INT64_MIN}, (struct microusd){1}));
	ck_assert(!microusd_mul(&out, (struct microusd){INT64_MAX}, 2));
	ck_assert(!microusd_from_tokens(&out, INT64_MAX / 2));
	ck_assert_int_eq(out.v, 5);
	ck_assert(microusd_add(&out, (struct microusd){INT64_MAX - 1}, (struct microusd){1}));
	ck_assert_int_eq(out.v, INT64_MAX);
}
END_TEST

START_TEST(usd_with_more_than_six_decimals_is_not_rounded_but_refused)
{
	struct microusd out;

	ck_assert(microusd_from_usd_exact(&out, dec("0.000001")));
	ck_assert_int_eq(out.v, 1);
	ck_assert(!microusd_from_usd_exact(&out, dec("0.0000001")));
	ck_assert(microusd_from_usd_exact(&out, dec("9223372036854.775807")));
	ck_assert(!microusd_from_usd_exact(&out, dec("9223372036855")));
	ck_assert(microusd_from_tokens_exact(&out, dec("0.53")));
	ck_assert_int_eq(out.v, 5300);
	ck_assert(!microusd_from_tokens_exact(&out, dec("0.00001")));
}
END_TEST

START_TEST(cents_take_two_decimals_at_most)
{
	struct cents c;

	ck_assert(cents_from_usd_exact(&c, dec("5.80")));
	ck_assert_int_eq(c.v, 580);
	ck_assert(!cents_from_usd_exact(&c, dec("5.801")));
}
END_TEST

START_TEST(raw_cost_times_markup_is_rounded_up_to_a_hundredth_of_a_cent)
{
	static const struct {
		const char *raw, *markup;
		int64_t expected;
	} CASES[] = {
		{"0.005", "1.05", 5300}, /* 0.00525 -> 0.0053 */
		{"0.004", "1.05", 4200}, {"0.0040001", "1.05", 4300},
		{"0", "1.05", 0},        {"0.000000000001", "1.05", 100},
		{"0.005", "0.05", 300},  {"100", "1", 100000000},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		struct microusd out;

		ck_assert(microusd_product_ceil(&out, dec(CASES[i].raw), dec(CASES[i].markup),
						(struct microusd){100}));
		ck_assert_int_eq(out.v, CASES[i].expected);
	}
}
END_TEST

START_TEST(the_published_fee_table_holds)
{
	static const int64_t TABLE[][2] = {
		{500, 28}, {1000, 55}, {2000, 110}, {10000, 550}, {910, 50}};

	for (size_t i = 0; i < ARRAY_LEN(TABLE); i++) {
		struct cents fee;

		ck_assert(cents_percent_half_up(&fee, (struct cents){TABLE[i][0]}, dec("5.5")));
		ck_assert_int_eq(fee.v, TABLE[i][1]);
	}
}
END_TEST

START_TEST(money_prints_as_the_shortest_decimal)
{
	char text[MONEY_TEXT_SIZE];

	usd_text((struct microusd){9994700}, text);
	ck_assert_str_eq(text, "9.9947");
	usd_text((struct microusd){-1}, text);
	ck_assert_str_eq(text, "-0.000001");
	usd_text((struct microusd){INT64_MIN}, text);
	ck_assert_str_eq(text, "-9223372036854.775808");
	tokens_text((struct microusd){5300}, text);
	ck_assert_str_eq(text, "0.53");
	tokens_text((struct microusd){1000000}, text);
	ck_assert_str_eq(text, "100");
	usd_text_people((struct microusd){9500000}, text);
	ck_assert_str_eq(text, "9.50");
	usd_text_people((struct microusd){-20000000}, text);
	ck_assert_str_eq(text, "-20.00");
	usd_text_people((struct microusd){9994700}, text);
	ck_assert_str_eq(text, "9.9947");
}
END_TEST

START_TEST(a_shortfall_is_rounded_up_to_whole_dollars)
{
	ck_assert_int_eq(microusd_ceil_usd((struct microusd){1}).v, 1000000);
	ck_assert_int_eq(microusd_ceil_usd((struct microusd){1000000}).v, 1000000);
	ck_assert_int_eq(microusd_ceil_usd((struct microusd){0}).v, 0);
	ck_assert_int_eq(microusd_ceil_usd((struct microusd){-1500000}).v, -1000000);
}
END_TEST

START_TEST(steps_count_the_begun_or_the_finished_ones)
{
	ck_assert_int_eq(microusd_steps_ceil((struct microusd){0}, (struct microusd){3}), 0);
	ck_assert_int_eq(microusd_steps_ceil((struct microusd){1}, (struct microusd){3}), 1);
	ck_assert_int_eq(microusd_steps_ceil((struct microusd){3}, (struct microusd){3}), 1);
	ck_assert_int_eq(microusd_steps_ceil((struct microusd){4}, (struct microusd){3}), 2);
	ck_assert_int_eq(microusd_steps_floor((struct microusd){5}, (struct microusd){3}), 1);
	ck_assert_int_eq(
		microusd_steps_ceil((struct microusd){INT64_MAX}, (struct microusd){INT64_MAX}), 1);
	ck_assert_int_lt(cents_cmp((struct cents){79}, (struct cents){80}), 0);
}
END_TEST

UNIT_MAIN("money", decimal_is_read_exactly, decimal_refuses_what_is_no_number,
	  a_decimal_with_too_many_places_is_rounded_up_where_asked,
	  overflow_leaves_the_output_as_it_was,
	  usd_with_more_than_six_decimals_is_not_rounded_but_refused,
	  cents_take_two_decimals_at_most,
	  raw_cost_times_markup_is_rounded_up_to_a_hundredth_of_a_cent,
	  the_published_fee_table_holds, money_prints_as_the_shortest_decimal,
	  a_shortfall_is_rounded_up_to_whole_dollars, steps_count_the_begun_or_the_finished_ones)
