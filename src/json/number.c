#include "json/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 int128; /* products of an int64 and a power of ten */

/* 19 digits x 10^19 stays below 2^127. */
#define POWER_MAX 19

void number_real_text(double v, char out[NUMBER_TEXT_SIZE])
{
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

static struct number trimmed(struct number n)
{
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
	return trimmed(n);
}

bool number_read(const json_t *value, struct number *out)
{
	if (json_is_integer(value)) {
		*out = (struct number){.digits = json_integer_value(value)};
		return true;
	}
	if (!json_is_real(value))
		return false;
	*out = number_of_real(json_real_value(value));
	return true;
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
	n = trimmed(n);
	step = trimmed(step);
	shift = n.exponent - step.exponent;
	if (shift < 0) /* the last digit of n is none that a step reaches */
		return false;
	rest = n.digits % step.digits;
	for (; shift > 0 && rest; shift--)
		rest = rest * 10 % step.digits;
	return rest == 0;
}
