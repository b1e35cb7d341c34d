#include "json/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 int128; /* products of an int64 and a power of ten */

/* 19 digits x 10^19 stays below 2^127. */
#define POWER_MAX 19

/* Below this each number of whole digits is a double of its own, so that the shortest text is found
 * without trial: digits / 10^k is rounded once, and correctly, as the reading of a text is. */
#define SHORT_DIGITS_MAX INT64_C(1000000000000000)

static bool read_short(double v, int64_t *out_digits, int *out_decimals)
{
	static const double POWERS[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
					1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

	for (size_t k = 0; k < sizeof(POWERS) / sizeof(POWERS[0]); k++) {
		double scaled = v * POWERS[k];
		int64_t digits;

		if (!(scaled > -(double)SHORT_DIGITS_MAX && scaled < (double)SHORT_DIGITS_MAX))
			return false;
		digits = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
		if (digits == 0 || digits >= SHORT_DIGITS_MAX || digits <= -SHORT_DIGITS_MAX ||
		    (double)digits / POWERS[k] != v)
			continue;
		*out_digits = digits;
		*out_decimals = (int)k;
		return true;
	}
	return false;
}

/* As "%g" has it; false where that would write an exponent. */
static bool write_short(double v, char out[NUMBER_TEXT_SIZE])
{
	int64_t digits, power = 1;
	int decimals;

	if ((v > -1e-4 && v < 1e-4) || !read_short(v, &digits, &decimals))
		return false;
	for (int i = 0; i < decimals; i++)
		power *= 10;
	if (decimals)
		(void)snprintf(out, NUMBER_TEXT_SIZE, "%s%lld.%0*lld", v < 0 ? "-" : "",
			       llabs(digits / power), decimals, llabs(digits % power));
	else
		(void)snprintf(out, NUMBER_TEXT_SIZE, "%lld.0", (long long)digits);
	return true;
}

void number_real_text(double v, char out[NUMBER_TEXT_SIZE])
{
	if (write_short(v, out))
		return;
	/* Fifteen digits survive the way through a double, so a shorter text shows up at fifteen;
	 * seventeen always read back. */
	for (int precision = 15; precision <= 17; precision++) {
		(void)snprintf(out, NUMBER_TEXT_SIZE, "%.*g", precision, v);
		if (strtod(out, NULL) == v)
			break;
	}
	if (!strpbrk(out, ".e"))
		memcpy(out + strlen(out), ".0", 3);
}

bool number_is_whole(double v)
{
	if (v < -(double)NUMBER_EXACT_MAX || v > (double)NUMBER_EXACT_MAX)
		return true;
	return v == (double)(int64_t)v;
}

struct number number_trimmed(struct number n)
{
	if (!n.digits)
		n.exponent = 0;
	for (; n.digits && n.digits % 10 == 0; n.digits /= 10)
		n.exponent++;
	return n;
}

static struct number number_of_real(double v)
{
	char text[NUMBER_TEXT_SIZE];
	struct number n = {0};
	const char *p = text;
	bool seen_point = false;

	number_real_text(v, text);
	if (*p == '-')
		p++;
	for (; *p && *p != 'e'; p++) {
		if (*p == '.') {
			seen_point = true;
			continue;
		}
		n.digits = n.digits * 10 + (*p - '0');
		n.exponent -= seen_point;
	}
	if (*p == 'e')
		n.exponent += (int)strtol(p + 1, NULL, 10);
	if (text[0] == '-')
		n.digits = -n.digits;
	return number_trimmed(n);
}

bool number_read_told(const json_t *value, struct number *out, bool *out_is_quick)
{
	struct number n = {0};
	int decimals;

	*out_is_quick = true;
	if (json_is_integer(value)) {
		*out = (struct number){.digits = json_integer_value(value)};
		return true;
	}
	if (!json_is_real(value))
		return false;
	if (read_short(json_real_value(value), &n.digits, &decimals)) {
		n.exponent = -decimals;
		*out = number_trimmed(n);
		return true;
	}
	*out_is_quick = false;
	*out = number_of_real(json_real_value(value));
	return true;
}

bool number_read(const json_t *value, struct number *out)
{
	bool is_quick;

	return number_read_told(value, out, &is_quick);
}

struct number number_of_decimal(struct decimal d)
{
	return (struct number){.digits = d.digits, .exponent = -d.scale};
}

static int128 power_of_ten(int n)
{
	int128 p = 1;

	for (; n > 0; n--)
		p *= 10;
	return p;
}

int number_cmp(struct number a, struct number b)
{
	int sign_a = (a.digits > 0) - (a.digits < 0);
	int sign_b = (b.digits > 0) - (b.digits < 0);
	int shift = a.exponent - b.exponent;
	int128 x, y;

	if (sign_a != sign_b || !sign_a)
		return (sign_a > sign_b) - (sign_a < sign_b);
	if (shift > POWER_MAX)
		return sign_a;
	if (shift < -POWER_MAX)
		return -sign_a;
	x = a.digits * power_of_ten(shift);
	y = b.digits * power_of_ten(-shift);
	return (x > y) - (x < y);
}

bool number_is_multiple(struct number n, struct number step)
{
	int128 rest;
	int shift;

	CHECK(step.digits > 0);
	if (!n.digits)
		return true;
	n = number_trimmed(n);
	step = number_trimmed(step);
	shift = n.exponent - step.exponent;
	if (shift < 0) /* the last digit of n is none that a step reaches */
		return false;
	rest = n.digits % step.digits;
	for (; shift > 0 && rest; shift--)
		rest = rest * 10 % step.digits;
	return rest == 0;
}
