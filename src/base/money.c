#include "base/money.h"

#include <stdio.h>
#include <string.h>

__extension__ typedef __int128 int128; /* products of two int64 */

bool microusd_add(struct microusd *out, struct microusd a, struct microusd b)
{
	int64_t sum;

	if (__builtin_add_overflow(a.v, b.v, &sum))
		return false;
	out->v = sum;
	return true;
}

bool microusd_sub(struct microusd *out, struct microusd a, struct microusd b)
{
	int64_t rest;

	if (__builtin_sub_overflow(a.v, b.v, &rest))
		return false;
	out->v = rest;
	return true;
}

bool microusd_mul(struct microusd *out, struct microusd a, int64_t n)
{
	int64_t product;

	if (__builtin_mul_overflow(a.v, n, &product))
		return false;
	out->v = product;
	return true;
}

struct microusd microusd_plus(struct microusd a, struct microusd b)
{
	CHECK(microusd_add(&a, a, b));
	return a;
}

struct microusd microusd_plus_capped(struct microusd a, struct microusd b)
{
	struct microusd sum = {INT64_MAX};

	(void)!microusd_add(&sum, a, b);
	return sum;
}

struct microusd microusd_minus(struct microusd a, struct microusd b)
{
	CHECK(microusd_sub(&a, a, b));
	return a;
}

struct microusd microusd_min(struct microusd a, struct microusd b)
{
	return a.v < b.v ? a : b;
}

struct microusd microusd_max(struct microusd a, struct microusd b)
{
	return a.v > b.v ? a : b;
}

int microusd_cmp(struct microusd a, struct microusd b)
{
	return (a.v > b.v) - (a.v < b.v);
}

int microusd_sign(struct microusd a)
{
	return microusd_cmp(a, MICROUSD_ZERO);
}

int64_t microusd_steps_ceil(struct microusd a, struct microusd step)
{
	return microusd_steps_floor(a, step) + (a.v % step.v != 0);
}

int64_t microusd_steps_floor(struct microusd a, struct microusd step)
{
	CHECK(a.v >= 0 && step.v > 0);
	return a.v / step.v;
}

int cents_cmp(struct cents a, struct cents b)
{
	return (a.v > b.v) - (a.v < b.v);
}

struct cents cents_of(int64_t n)
{
	return (struct cents){n};
}

struct cents cents_plus(struct cents a, struct cents b)
{
	struct cents sum;

	CHECK(!__builtin_add_overflow(a.v, b.v, &sum.v));
	return sum;
}

struct cents cents_min(struct cents a, struct cents b)
{
	return a.v < b.v ? a : b;
}

struct microusd microusd_share_floor(struct microusd whole, struct cents part, struct cents of)
{
	CHECK(whole.v >= 0 && part.v >= 0 && of.v > 0 && part.v <= of.v);
	return (struct microusd){(int64_t)((int128)whole.v * part.v / of.v)};
}

bool microusd_from_tokens(struct microusd *out, int64_t tokens)
{
	return microusd_mul(out, (struct microusd){MICROUSD_PER_TOKEN}, tokens);
}

bool microusd_from_cents(struct microusd *out, struct cents c)
{
	return microusd_mul(out, (struct microusd){MICROUSD_PER_CENT}, c.v);
}

bool cents_from_microusd_exact(struct cents *out, struct microusd a)
{
	if (a.v % MICROUSD_PER_CENT)
		return false;
	out->v = a.v / MICROUSD_PER_CENT;
	return true;
}

struct microusd microusd_ceil_usd(struct microusd a)
{
	int64_t rest = a.v % MICROUSD_PER_USD;

	if (rest > 0)
		CHECK(!__builtin_add_overflow(a.v, MICROUSD_PER_USD - rest, &a.v));
	else
		a.v -= rest;
	return a;
}

static bool digits_add(int64_t *digits, int n)
{
	return !__builtin_add_overflow(*digits, n, digits);
}

/* False, and nothing changed, when it does not fit. */
static bool digits_push(int64_t *digits, int digit)
{
	int64_t more;

	if (__builtin_mul_overflow(*digits, 10, &more) || !digits_add(&more, digit))
		return false;
	*digits = more;
	return true;
}

/* The exponent after e or E, if one stands there. */
static bool exponent_parse(struct slice text, size_t at, int64_t *out)
{
	*out = 0;
	if (at == text.len)
		return true;
	if (text.p[at] != 'e' && text.p[at] != 'E')
		return false;
	at++;
	if (at < text.len && text.p[at] == '+') {
		at++;
		if (at < text.len && text.p[at] == '-')
			return false;
	}
	return parse_i64((struct slice){.p = text.p + at, .len = text.len - at}, -400, 400, out);
}

/* The digits before an exponent. Zeros at the end are kept back: they cost no digits. */
struct mantissa {
	int64_t digits, zeros, scale;
	bool is_cut; /* digits that did not fit were left out */
};

/* A digit other than zero, behind the zeros. False, and nothing changed, when it does not fit. */
static bool mantissa_push(struct mantissa *m, int digit)
{
	int64_t digits = m->digits;

	for (int64_t i = 0; i < m->zeros; i++) {
		if (!digits_push(&digits, 0))
			return false;
	}
	if (!digits_push(&digits, digit))
		return false;
	m->digits = digits;
	m->zeros = 0;
	return true;
}

/* *at is behind it, then. */
static bool mantissa_read(struct slice text, bool may_round, size_t *at, struct mantissa *m)
{
	bool seen_point = false, seen_digit = false;

	for (; *at < text.len; (*at)++) {
		char c = text.p[*at];

		if (c == '.' && !seen_point && seen_digit) {
			seen_point = true;
			continue;
		}
		if (c < '0' || c > '9')
			break;
		seen_digit = true;
		m->scale += seen_point;
		if (c != '0' && !m->is_cut && mantissa_push(m, c - '0'))
			continue;
		if (c != '0' && !(may_round && seen_point))
			return false;
		m->is_cut = m->is_cut || c != '0';
		m->zeros++;
	}
	return seen_digit && text.p[*at - 1] != '.';
}

static bool decimal_read(struct slice text, bool may_round, struct decimal *out)
{
	bool is_negative = text.len > 0 && text.p[0] == '-';
	size_t at = is_negative ? 1 : 0;
	struct mantissa m = {0};
	int64_t exponent;

	if (!mantissa_read(text, may_round, &at, &m) || !exponent_parse(text, at, &exponent))
		return false;
	if (!m.digits && !m.is_cut) {
		*out = (struct decimal){0};
		return true;
	}
	m.scale -= m.zeros + exponent;
	for (; m.scale < 0; m.scale++) {
		if (!digits_push(&m.digits, 0))
			return false;
	}
	for (; may_round && m.scale > DECIMAL_SCALE_MAX; m.scale--) {
		m.is_cut = m.is_cut || m.digits % 10;
		m.digits /= 10;
	}
	/* 12.0000000000000000000001 is a little more than 12, not 13. */
	while (m.is_cut && m.scale < DECIMAL_SCALE_MAX && digits_push(&m.digits, 0))
		m.scale++;
	if (m.scale > DECIMAL_SCALE_MAX || !digits_add(&m.digits, m.is_cut))
		return false;
	*out = (struct decimal){.digits = is_negative ? -m.digits : m.digits,
				.scale = (uint8_t)m.scale};
	return true;
}

bool decimal_parse(struct slice text, struct decimal *out)
{
	return decimal_read(text, false, out);
}

bool decimal_parse_up(struct slice text, struct decimal *out)
{
	return decimal_read(text, true, out);
}

int decimal_sign(struct decimal d)
{
	return (d.digits > 0) - (d.digits < 0);
}

static int128 power_of_ten(int n)
{
	int128 p = 1;

	for (; n > 0; n--)
		p *= 10;
	return p;
}

int decimal_cmp(struct decimal a, struct decimal b)
{
	/* 19 digits x 10^18 stays below 2^127. */
	int128 x = a.digits * power_of_ten(b.scale > a.scale ? b.scale - a.scale : 0);
	int128 y = b.digits * power_of_ten(a.scale > b.scale ? a.scale - b.scale : 0);

	return (x > y) - (x < y);
}

/* d x 10^places as an integer, only when nothing is lost. */
static bool decimal_shift_exact(struct decimal d, int places, int64_t *out)
{
	int128 value = d.digits;

	if (places >= d.scale) {
		value *= power_of_ten(places - d.scale);
	} else {
		int128 unit = power_of_ten(d.scale - places);

		if (value % unit)
			return false;
		value /= unit;
	}
	if (value > INT64_MAX || value < INT64_MIN)
		return false;
	*out = (int64_t)value;
	return true;
}

bool microusd_from_usd_exact(struct microusd *out, struct decimal usd)
{
	return decimal_shift_exact(usd, 6, &out->v);
}

bool microusd_from_tokens_exact(struct microusd *out, struct decimal tokens)
{
	return decimal_shift_exact(tokens, 4, &out->v);
}

bool cents_from_usd_exact(struct cents *out, struct decimal usd)
{
	return decimal_shift_exact(usd, 2, &out->v);
}

bool microusd_product_ceil(struct microusd *out, struct decimal usd, struct decimal factor,
			   struct microusd quantum)
{
	int128 product, steps, unit;
	int scale = usd.scale + factor.scale - 6;

	CHECK(quantum.v > 0);
	if (usd.digits < 0 || factor.digits < 0)
		return false;
	product = (int128)usd.digits * factor.digits;
	if (scale < 0) {
		if (product > power_of_ten(38 + scale))
			return false;
		product *= power_of_ten(-scale);
		scale = 0;
	}
	/* product / 10^scale micro-USD, in whole quanta, up. 10^30 x quantum fits 127 bits. */
	if (quantum.v > INT64_C(10000000))
		return false;
	unit = power_of_ten(scale) * quantum.v;
	steps = product / unit + (product % unit != 0);
	if (steps > INT64_MAX / quantum.v)
		return false;
	out->v = (int64_t)steps * quantum.v;
	return true;
}

/* Pico-USD: a price of six decimals a million is a whole number of them a unit. */
#define PICO_PLACES 6

/* In pico-USD. Each line is below 2^126, for its factors are below 2^63. */
static bool lines_sum(const struct unit_line *lines, size_t n, int128 *out)
{
	int128 sum = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t pico;

		if (lines[i].n < 0 || lines[i].usd_per_million.digits < 0 ||
		    !decimal_shift_exact(lines[i].usd_per_million, PICO_PLACES, &pico) ||
		    __builtin_add_overflow(sum, (int128)lines[i].n * pico, &sum))
			return false;
	}
	*out = sum;
	return true;
}

bool microusd_lines_ceil(struct microusd *out, const struct unit_line *lines, size_t n,
			 struct decimal factor)
{
	int128 sum, unit, value;

	if (factor.digits < 0 || !lines_sum(lines, n, &sum) ||
	    __builtin_mul_overflow(sum, (int128)factor.digits, &sum))
		return false;
	unit = power_of_ten(PICO_PLACES + factor.scale);
	value = sum / unit + (sum % unit != 0);
	if (value > INT64_MAX)
		return false;
	out->v = (int64_t)value;
	return true;
}

/* The shortest decimal of a value x 10^-scale; up where it has too many digits. */
static bool decimal_shortest(struct decimal *out, int128 value, int scale)
{
	while (scale > 0 && (value % 10 == 0 || value > INT64_MAX || scale > DECIMAL_SCALE_MAX)) {
		value = value / 10 + (value % 10 != 0);
		scale--;
	}
	if (value > INT64_MAX)
		return false;
	*out = (struct decimal){.digits = (int64_t)value, .scale = (uint8_t)scale};
	return true;
}

bool decimal_of_lines(struct decimal *out, const struct unit_line *lines, size_t n)
{
	int128 sum;

	return lines_sum(lines, n, &sum) && decimal_shortest(out, sum, 2 * PICO_PLACES);
}

bool decimal_sub(struct decimal *out, struct decimal a, struct decimal b)
{
	int scale = a.scale > b.scale ? a.scale : b.scale;
	int128 value = a.digits * power_of_ten(scale - a.scale) -
		       b.digits * power_of_ten(scale - b.scale);

	for (; scale > 0 && value % 10 == 0; scale--)
		value /= 10;
	if (value > INT64_MAX || value < -INT64_MAX)
		return false;
	*out = (struct decimal){.digits = (int64_t)value, .scale = (uint8_t)scale};
	return true;
}

bool decimal_ceil_places(struct decimal *out, struct decimal d, uint8_t places)
{
	int64_t unit;

	if (d.digits < 0)
		return false;
	if (d.scale > places) {
		unit = (int64_t)power_of_ten(d.scale - places);
		d.digits = d.digits / unit + (d.digits % unit != 0);
		d.scale = places;
	}
	return decimal_shortest(out, d.digits, d.scale);
}

bool microusd_times_ceil(struct microusd *out, struct microusd a, struct decimal n)
{
	int128 product = (int128)a.v * n.digits, unit = power_of_ten(n.scale), value;

	if (a.v < 0 || n.digits < 0)
		return false;
	value = product / unit + (product % unit != 0);
	if (value > INT64_MAX)
		return false;
	out->v = (int64_t)value;
	return true;
}

bool cents_percent_half_up(struct cents *out, struct cents c, struct decimal percent)
{
	int128 product = (int128)c.v * percent.digits;
	int128 unit = power_of_ten(percent.scale + 2);
	int128 value;

	if (c.v < 0 || percent.digits < 0)
		return false;
	value = product / unit + (product % unit >= unit - product % unit);
	if (value > INT64_MAX)
		return false;
	out->v = (int64_t)value;
	return true;
}

void decimal_text(struct decimal d, char out[MONEY_TEXT_SIZE])
{
	uint64_t digits = d.digits < 0 ? -(uint64_t)d.digits : (uint64_t)d.digits;
	char text[MONEY_TEXT_SIZE];
	int scale = d.scale;
	size_t n = 0;

	for (; scale > 0 && digits % 10 == 0; scale--)
		digits /= 10;
	/* Backwards: the fraction, the point, the whole part. */
	for (; scale > 0; scale--, digits /= 10)
		text[n++] = (char)('0' + digits % 10);
	if (n)
		text[n++] = '.';
	do {
		text[n++] = (char)('0' + digits % 10);
		digits /= 10;
	} while (digits);
	if (d.digits < 0)
		text[n++] = '-';
	for (size_t i = 0; i < n; i++)
		out[i] = text[n - 1 - i];
	out[n] = '\0';
}

void usd_text(struct microusd a, char out[MONEY_TEXT_SIZE])
{
	decimal_text((struct decimal){.digits = a.v, .scale = 6}, out);
}

void tokens_text(struct microusd a, char out[MONEY_TEXT_SIZE])
{
	decimal_text((struct decimal){.digits = a.v, .scale = 4}, out);
}

void cents_text(struct cents c, char out[MONEY_TEXT_SIZE])
{
	decimal_text((struct decimal){.digits = c.v}, out);
}

void usd_text_people(struct microusd a, char out[MONEY_TEXT_SIZE])
{
	char *point;
	size_t n;

	usd_text(a, out);
	point = strchr(out, '.');
	n = strlen(out);
	if (!point) {
		memcpy(out + n, ".00", 4);
	} else if (point[2] == '\0') {
		memcpy(out + n, "0", 2);
	}
}
