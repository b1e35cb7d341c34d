/* The text of a real is what the shortest of three trials with the C library would write. */

#include "json/number.h"

#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text_by_trial(double v, char out[NUMBER_TEXT_SIZE])
{
	for (int precision = 15; precision <= 17; precision++) {
		(void)snprintf(out, NUMBER_TEXT_SIZE, "%.*g", precision, v);
		if (strtod(out, NULL) == v)
			break;
	}
	if (!strpbrk(out, ".e"))
		memcpy(out + strlen(out), ".0", 3);
}

static void check_one(double v)
{
	char ours[NUMBER_TEXT_SIZE], theirs[NUMBER_TEXT_SIZE];

	if (!isfinite(v))
		return;
	number_real_text(v, ours);
	text_by_trial(v, theirs);
	ck_assert_msg(strcmp(ours, theirs) == 0, "%a: %s is not %s", v, ours, theirs);
}

static void check_around(double v)
{
	check_one(v);
	check_one(-v);
	check_one(nextafter(v, 0));
	check_one(nextafter(v, INFINITY));
}

START_TEST(decimals_and_their_neighbours_have_the_text_of_trial)
{
	for (int exponent = -330; exponent < 310; exponent++) {
		for (int digits = 1; digits < 1000; digits += 37) {
			char text[32];

			(void)snprintf(text, sizeof(text), "%de%d", digits, exponent);
			check_around(strtod(text, NULL));
		}
	}
	check_one(0.0);
	check_one(-0.0);
}
END_TEST

START_TEST(powers_of_two_and_halves_have_the_text_of_trial)
{
	for (int exponent = -1074; exponent < 1024; exponent++) {
		check_around(ldexp(1, exponent));
		check_around(ldexp(3, exponent));
		check_around(ldexp(625, exponent));
	}
}
END_TEST

START_TEST(random_doubles_have_the_text_of_trial)
{
	uint64_t state = UINT64_C(88172645463325252);

	for (int i = 0; i < 60000; i++) {
		const uint64_t rest = UINT64_C(0x800FFFFFFFFFFFFF);
		uint64_t bits;
		double v;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(&v, &state, sizeof(v));
		check_one(v);
		bits = (state & rest) | (uint64_t)(1000 + i % 130) << 52; /* of usual size */
		memcpy(&v, &bits, sizeof(v));
		check_one(v);
		bits = state & rest; /* subnormal */
		memcpy(&v, &bits, sizeof(v));
		check_one(v);
	}
}
END_TEST

UNIT_MAIN("number_text", decimals_and_their_neighbours_have_the_text_of_trial,
	  powers_of_two_and_halves_have_the_text_of_trial, random_doubles_have_the_text_of_trial)
