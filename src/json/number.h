#ifndef JSON_NUMBER_H
#define JSON_NUMBER_H

/*
 * Private to this room: a JSON number, exact. What jansson holds as a double is taken as the
 * shortest text that reads back as the same double, which is the text that its writer meant.
 */

#include "base/money.h"

#include <jansson.h>

struct number {
	int64_t digits;
	int exponent; /* of ten */
};

/* "0.005", "5.0", "1e+22": reads back as the same double, and as a real. v is finite. */
#define NUMBER_TEXT_SIZE 40
void number_real_text(double v, char out[NUMBER_TEXT_SIZE]);

/* Beyond it a double skips integers: what it shows may not be what was written. */
#define NUMBER_EXACT_MAX INT64_C(9007199254740991)
/* Without a fraction, of any size. */
bool number_is_whole(double v);

/* False when it is no number. */
MUST_USE bool number_read(const json_t *value, struct number *out);
/* The same, and whether it took no trial, which is many times slower: for who counts. */
MUST_USE bool number_read_told(const json_t *value, struct number *out, bool *out_is_quick);
/* Without zeros at its end: equal numbers have equal members. */
struct number number_trimmed(struct number n);
struct number number_of_decimal(struct decimal d);

/* -1, 0 or 1. */
int number_cmp(struct number a, struct number b);
/* step > 0. */
bool number_is_multiple(struct number n, struct number step);

#endif
