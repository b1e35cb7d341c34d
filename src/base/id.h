#ifndef BASE_ID_H
#define BASE_ID_H

/*
 * 16-byte ids in the layout of UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then a
 * 12-bit counter and 62 random bits. Time-ordered keys keep the store's cost flat as it grows.
 * Within one generator ids rise strictly, also when the wall clock steps back.
 */

#include "base/base.h"
#include "base/clock.h"

struct id {
	uint8_t b[16];
};

struct id_source {
	int64_t ms;
	uint32_t counter;
	uint8_t random[512];
	size_t random_used;
};

/* An id that none has; for "no key", "no call". */
extern const struct id ID_NONE;

void id_source_init(struct id_source *s);
struct id id_make(struct id_source *s, struct walltime now);

bool id_eq(struct id a, struct id b);
bool id_is_none(struct id a);

/* When it was made, by the clock of who made it. */
struct walltime id_time(struct id id);

/* Text: prefix, underscore and 32 hex digits, as in call_0193.... */
#define ID_TEXT_SIZE 48
void id_text(const char *prefix, struct id id, char out[ID_TEXT_SIZE]);
MUST_USE bool id_parse(const char *prefix, struct slice text, struct id *out);

#endif
