#include "json/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 int128; /* products of an int64 and a power of ten */
__extension__ typedef unsigned __int128 uint128;

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

/* 10^(16 * (i + POWER_FIRST)) is the 128 bits, cut off, times 2^exponent. */
#define POWER_FIRST (-19)
#define POWER_STEP  16

static const struct power {
	uint64_t high, low;
	int exponent;
} POWERS_OF_TEN[] = {
	{UINT64_C(0x8C71DCD9BA0B4925), UINT64_C(0x9FF0C08B7F1D0B14), -1137},
	{UINT64_C(0x9BECCE62836AC577), UINT64_C(0x4EE367F9430AEC32), -1084},
	{UINT64_C(0xAD1C8EAB5EE43B66), UINT64_C(0xDA3243650005EECF), -1031},
	{UINT64_C(0xC0314325637A1939), UINT64_C(0xFA911155FEFB5308), -978},
	{UINT64_C(0xD5605FCDCF32E1D6), UINT64_C(0xFB1E4A9A90880A64), -925},
	{UINT64_C(0xECE53CEC4A314EBD), UINT64_C(0xA4F8BF5635246428), -872},
	{UINT64_C(0x8380DEA93DA4BC60), UINT64_C(0x4247CB9E59F71E6D), -818},
	{UINT64_C(0x91FF83775423CC06), UINT64_C(0x7B6306A34627DDCF), -765},
	{UINT64_C(0xA21727DB38CB002F), UINT64_C(0xB8ADA00E5A506A7C), -712},
	{UINT64_C(0xB3F4E093DB73A093), UINT64_C(0x59ED216765690F56), -659},
	{UINT64_C(0xC7CABA6E7C5382C8), UINT64_C(0xFE64A52EE96B8FC0), -606},
	{UINT64_C(0xDDD0467C64BCE4A0), UINT64_C(0xAC7CB3F6D05DDBDE), -553},
	{UINT64_C(0xF64335BCF065D37D), UINT64_C(0x4D4617B5FF4A16D5), -500},
	{UINT64_C(0x88B402F7FD75539B), UINT64_C(0x11DBCB0218EBB414), -446},
	{UINT64_C(0x97C560BA6B0919A5), UINT64_C(0xDCCD879FC967D41A), -393},
	{UINT64_C(0xA87FEA27A539E9A5), UINT64_C(0x3F2398D747B36224), -340},
	{UINT64_C(0xBB127C53B17EC159), UINT64_C(0x5560C018580D5D52), -287},
	{UINT64_C(0xCFB11EAD453994BA), UINT64_C(0x67DE18EDA5814AF2), -234},
	{UINT64_C(0xE69594BEC44DE15B), UINT64_C(0x4C2EBE687989A9B3), -181},
	{UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000), -127},
	{UINT64_C(0x8E1BC9BF04000000), UINT64_C(0x0000000000000000), -74},
	{UINT64_C(0x9DC5ADA82B70B59D), UINT64_C(0xF020000000000000), -21},
	{UINT64_C(0xAF298D050E4395D6), UINT64_C(0x9670B12B7F410000), 32},
	{UINT64_C(0xC2781F49FFCFA6D5), UINT64_C(0x3CBF6B71C76B25FB), 85},
	{UINT64_C(0xD7E77A8F87DAF7FB), UINT64_C(0xDC33745EC97BE906), 138},
	{UINT64_C(0xEFB3AB16C59B14A2), UINT64_C(0xC5CFE94EF3EA101E), 191},
	{UINT64_C(0x850FADC09923329E), UINT64_C(0x03E2CF6BC604DDB0), 245},
	{UINT64_C(0x93BA47C980E98CDF), UINT64_C(0xC66F336C36B10137), 298},
	{UINT64_C(0xA402B9C5A8D3A6E7), UINT64_C(0x5F16206C9C6209A6), 351},
	{UINT64_C(0xB616A12B7FE617AA), UINT64_C(0x577B986B314D6009), 404},
	{UINT64_C(0xCA28A291859BBF93), UINT64_C(0x7D7B8F7503CFDCFE), 457},
	{UINT64_C(0xE070F78D3927556A), UINT64_C(0x85BBE253F47B1417), 510},
	{UINT64_C(0xF92E0C3537826145), UINT64_C(0xA7709A56CCDF8A82), 563},
	{UINT64_C(0x8A5296FFE33CC92F), UINT64_C(0x82BD6B70D99AAA6F), 617},
	{UINT64_C(0x9991A6F3D6BF1765), UINT64_C(0xACCA6DA1E0A8EF29), 670},
	{UINT64_C(0xAA7EEBFB9DF9DE8D), UINT64_C(0xDDBB901B98FEEAB7), 723},
	{UINT64_C(0xBD49D14AA79DBC82), UINT64_C(0x4B2D8644D8A74E18), 776},
	{UINT64_C(0xD226FC195C6A2F8C), UINT64_C(0x73832EEC6FFF3111), 829},
	{UINT64_C(0xE950DF20247C83FD), UINT64_C(0x47C6B82EF32A2069), 882},
	{UINT64_C(0x81842F29F2CCE375), UINT64_C(0xE6A1158300D46640), 936},
};

/* The first 17 digits of a double: units / 2^64 of the 17th digit, too small by less than two of
 * its steps; times 10^exponent. */
struct expansion {
	uint128 units;
	uint64_t mantissa; /* of 53 bits */
	int exponent;
};

#define UNIT_BITS   64
/* Comparisons closer than this are not decided by an expansion. */
#define UNITS_SLACK ((uint128)8)

/* The upper half of a product. */
static uint128 multiply_high(uint128 a, uint128 b)
{
	uint128 a0 = (uint64_t)a, a1 = a >> 64, b0 = (uint64_t)b, b1 = b >> 64;
	uint128 middle = a1 * b0 + (a0 * b0 >> 64);
	uint128 other = a0 * b1 + (uint64_t)middle;

	return a1 * b1 + (middle >> 64) + (other >> 64);
}

static struct expansion expand_to(uint64_t mantissa, int binary, int decimal)
{
	int power = 16 - decimal - POWER_FIRST * POWER_STEP;
	const struct power *p = &POWERS_OF_TEN[power / POWER_STEP];
	uint128 exact = mantissa;
	int shift;

	for (int i = power % POWER_STEP; i > 0; i--)
		exact *= 10;
	shift = exact >> 64 ? __builtin_clzll((uint64_t)(exact >> 64))
			    : 64 + __builtin_clzll((uint64_t)exact);
	exact = multiply_high(exact << shift, (uint128)p->high << 64 | p->low);
	return (struct expansion){
		.units = exact >> (shift - p->exponent - binary - 128 - UNIT_BITS),
		.mantissa = mantissa,
		.exponent = decimal,
	};
}

/* False for those whose neighbours are not equally far: powers of two, what is subnormal, zero. */
static bool expand(double v, struct expansion *out)
{
	const uint128 limit = (uint128)UINT64_C(100000000000000000) << UNIT_BITS;
	uint64_t bits, mantissa;
	int binary, decimal;

	memcpy(&bits, &v, sizeof(bits));
	mantissa = bits & ((UINT64_C(1) << 52) - 1);
	binary = (int)(bits >> 52 & 0x7FF);
	if (!binary || binary == 0x7FF || !mantissa)
		return false;
	mantissa |= UINT64_C(1) << 52;
	binary -= 1075;
	/* log10(2) from below: the true exponent or one less. */
	decimal = ((binary + 52) * 78913 - ((binary + 52) < 0 ? (1 << 18) - 1 : 0)) / (1 << 18);
	*out = expand_to(mantissa, binary, decimal);
	if (out->units >= limit)
		*out = expand_to(mantissa, binary, decimal + 1);
	return true;
}

enum reading {
	READS_BACK,
	READS_OTHER,
	READS_UNSURE
};

/* Rounds to a multiple of step, in units of the 17th digit, and says whether a reader gets the same
 * double again. */
static enum reading round_to(const struct expansion *e, uint64_t step, uint64_t *out_digits)
{
	uint128 whole = (uint128)step << UNIT_BITS, half = whole / 2;
	uint64_t digits = (uint64_t)(e->units >> UNIT_BITS) / step;
	uint128 rest = e->units - digits * whole, away, limit;

	if (rest + UNITS_SLACK > half && rest < half + UNITS_SLACK)
		return READS_UNSURE;
	*out_digits = digits + (rest > half);
	away = (rest > half ? whole - rest : rest) * (2 * e->mantissa);
	limit = UNITS_SLACK * (2 * e->mantissa);
	if (away + limit < e->units)
		return READS_BACK;
	return away > e->units + limit ? READS_OTHER : READS_UNSURE;
}

/* As "%.*g" has it, with ".0" when it looks like an integer. */
static void write_digits(bool is_negative, uint64_t digits, int exponent, int precision,
			 char out[NUMBER_TEXT_SIZE])
{
	char text[24], *p = out;
	int n = 0;

	for (; digits % 10 == 0; digits /= 10)
		;
	for (uint64_t rest = digits; rest; rest /= 10)
		n++;
	for (int i = n; i > 0; digits /= 10)
		text[--i] = (char)('0' + digits % 10);
	if (is_negative)
		*p++ = '-';
	if (exponent < -4 || exponent >= precision) {
		*p++ = text[0];
		if (n > 1)
			*p++ = '.';
		memcpy(p, text + 1, (size_t)(n - 1));
		p += n - 1;
		*p++ = 'e';
		*p++ = exponent < 0 ? '-' : '+';
		exponent = abs(exponent);
		if (exponent >= 100)
			*p++ = (char)('0' + exponent / 100);
		*p++ = (char)('0' + exponent / 10 % 10);
		*p++ = (char)('0' + exponent % 10);
		*p = '\0';
		return;
	}
	if (exponent < 0) {
		*p++ = '0';
		*p++ = '.';
		for (; exponent < -1; exponent++)
			*p++ = '0';
		memcpy(p, text, (size_t)n);
		p[n] = '\0';
		return;
	}
	for (int i = 0; i <= exponent || i < n; i++) {
		if (i == exponent + 1)
			*p++ = '.';
		*p++ = i < n ? text[i] : '0';
	}
	if (n <= exponent + 1) {
		*p++ = '.';
		*p++ = '0';
	}
	*p = '\0';
}

/* Fifteen digits survive the way through a double, so a shorter text shows up at fifteen; seventeen
 * always read back. False when only trial tells. */
static bool write_expanded(double v, char out[NUMBER_TEXT_SIZE])
{
	static const uint64_t STEPS[] = {100, 10, 1};
	struct expansion e;

	if (!expand(v, &e))
		return false;
	for (int i = 0; i < 3; i++) {
		uint64_t digits = 0, limit = UINT64_C(100000000000000000) / STEPS[i];
		enum reading reading = round_to(&e, STEPS[i], &digits);

		if (reading == READS_UNSURE)
			return false;
		if (reading == READS_BACK) {
			write_digits(v < 0, digits, e.exponent + (digits == limit), 15 + i, out);
			return true;
		}
	}
	return false;
}

void number_real_text(double v, char out[NUMBER_TEXT_SIZE])
{
	if (write_short(v, out) || write_expanded(v, out))
		return;
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
