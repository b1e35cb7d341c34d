#ifndef BASE_MONEY_H
#define BASE_MONEY_H

/*
 * Money in integers only. The ledger counts micro-USD; 1 token is 10 000 of them, 1 cent as well,
 * but cents are a type of their own, because they live at Stripe's edge and nowhere else.
 *
 * A struct decimal is a number as somebody wrote it, exact, before it becomes money: digits x
 * 10^-scale. Operations that can overflow or lose something return a bool that must be looked at
 * and leave the output as it was; rounding is named in the function.
 */

#include "base/base.h"

struct microusd {
	int64_t v;
};

struct cents {
	int64_t v;
};

struct decimal {
	int64_t digits;
	uint8_t scale;
};

#define MICROUSD_PER_TOKEN INT64_C(10000)
#define MICROUSD_PER_CENT  INT64_C(10000)
#define MICROUSD_PER_USD   INT64_C(1000000)
#define DECIMAL_SCALE_MAX  18

#define MICROUSD_ZERO ((struct microusd){0})

MUST_USE bool microusd_add(struct microusd *out, struct microusd a, struct microusd b);
MUST_USE bool microusd_sub(struct microusd *out, struct microusd a, struct microusd b);
MUST_USE bool microusd_mul(struct microusd *out, struct microusd a, int64_t n);
/* For sums that the caller has already bounded: dies on overflow. */
struct microusd microusd_plus(struct microusd a, struct microusd b);
/* For counters: stays at the largest value. */
struct microusd microusd_plus_capped(struct microusd a, struct microusd b);
struct microusd microusd_minus(struct microusd a, struct microusd b);
struct microusd microusd_min(struct microusd a, struct microusd b);
struct microusd microusd_max(struct microusd a, struct microusd b);
/* -1, 0 or 1. */
int microusd_cmp(struct microusd a, struct microusd b);
int microusd_sign(struct microusd a);
/* How many steps a takes, the last one begun or finished; a >= 0, step > 0. */
int64_t microusd_steps_ceil(struct microusd a, struct microusd step);
int64_t microusd_steps_floor(struct microusd a, struct microusd step);
int cents_cmp(struct cents a, struct cents b);
/* A whole number of cents, as a till writes it. */
struct cents cents_of(int64_t n);
/* For sums that the caller has already bounded: dies on overflow. */
struct cents cents_plus(struct cents a, struct cents b);
struct cents cents_min(struct cents a, struct cents b);

MUST_USE bool microusd_from_tokens(struct microusd *out, int64_t tokens);
MUST_USE bool microusd_from_cents(struct microusd *out, struct cents c);
/* Only a whole number of cents converts. */
MUST_USE bool cents_from_microusd_exact(struct cents *out, struct microusd a);
/* Up to whole dollars, for "top up at least this much". */
struct microusd microusd_ceil_usd(struct microusd a);

/* Reads 12, -0.5, 1.50, 5e-3: the whole text, at most 18 digits after trimming zeros. */
MUST_USE bool decimal_parse(struct slice text, struct decimal *out);
/* As it, but what stands behind the point beyond that is rounded up, away from zero. */
MUST_USE bool decimal_parse_up(struct slice text, struct decimal *out);
int decimal_sign(struct decimal d);
int decimal_cmp(struct decimal a, struct decimal b);

/* USD to micro-USD; false when it has more than six decimals or does not fit. */
MUST_USE bool microusd_from_usd_exact(struct microusd *out, struct decimal usd);
/* Tokens to micro-USD; false when it has more than four decimals or does not fit. */
MUST_USE bool microusd_from_tokens_exact(struct microusd *out, struct decimal tokens);
/* USD to cents; false with more than two decimals. */
MUST_USE bool cents_from_usd_exact(struct cents *out, struct decimal usd);

/* usd x factor, rounded up to a multiple of quantum. Both factors >= 0. */
MUST_USE bool microusd_product_ceil(struct microusd *out, struct decimal usd, struct decimal factor,
				    struct microusd quantum);
/* whole x part / of, rounded down; 0 <= part <= of, of > 0, whole >= 0. */
struct microusd microusd_share_floor(struct microusd whole, struct cents part, struct cents of);
/* What n units cost at usd_per_million each, in USD for a million of them. */
struct unit_line {
	int64_t n;
	struct decimal usd_per_million;
};
/* The sum of all lines x factor, exact, and then rounded up to a micro-USD once. No negative
 * numbers; prices of at most six decimals, so that a unit costs whole pico-dollars. */
MUST_USE bool microusd_lines_ceil(struct microusd *out, const struct unit_line *lines, size_t n,
				  struct decimal factor);
/* The same sum in USD without the factor, for people: exact where it fits a decimal. */
MUST_USE bool decimal_of_lines(struct decimal *out, const struct unit_line *lines, size_t n);
/* a - b, exact; false where it does not fit. */
MUST_USE bool decimal_sub(struct decimal *out, struct decimal a, struct decimal b);
/* Rounded up to so many decimals. */
MUST_USE bool decimal_ceil_places(struct decimal *out, struct decimal d, uint8_t places);
/* a x n for a >= 0 and n >= 0, rounded up to a micro-USD. */
MUST_USE bool microusd_times_ceil(struct microusd *out, struct microusd a, struct decimal n);
/* percent of c, rounded half up to the cent. */
MUST_USE bool cents_percent_half_up(struct cents *out, struct cents c, struct decimal percent);

/* Shortest decimal text: 0.0053, 20, -1.5. Long enough for any value. */
#define MONEY_TEXT_SIZE 48
void usd_text(struct microusd a, char out[MONEY_TEXT_SIZE]);
void tokens_text(struct microusd a, char out[MONEY_TEXT_SIZE]);
/* The bare count of cents: 2500. */
void cents_text(struct cents c, char out[MONEY_TEXT_SIZE]);
void decimal_text(struct decimal d, char out[MONEY_TEXT_SIZE]);
/* Two decimals at least, for people: 9.50, 9.9947. */
void usd_text_people(struct microusd a, char out[MONEY_TEXT_SIZE]);

#endif
