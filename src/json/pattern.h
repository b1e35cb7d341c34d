#ifndef JSON_PATTERN_H
#define JSON_PATTERN_H

/*
 * Private to this room: the patterns of a schema. They are ECMA-262's, unanchored, on code points,
 * matched by PCRE2 within bounds. What a match may cost is counted in the steps of a check: a
 * choice that the matcher makes is worth STEPS_PER_CHOICE of them, and so many more as it may look
 * at text between two choices without being counted. A match that would take more than there is
 * fails closed. Nothing here depends on how quick the machine is.
 */

#include "base/buf.h"
#include "base/err.h"

struct pattern;
/* What the patterns of one schema share: limits, and the matcher's memory. */
struct patterns;

struct patterns *patterns_create(void);
void patterns_destroy(struct patterns *ps); /* NULL is allowed */

/* Belongs to ps. NULL, and why the text is refused. */
struct pattern *pattern_create(struct patterns *ps, struct slice text, struct err *err);

enum pattern_outcome {
	PATTERN_FITS,
	PATTERN_FITS_NOT,
	PATTERN_GAVE_UP, /* not within bounds: nothing is known */
};

/* Takes of the steps what it may have cost, at most all. */
enum pattern_outcome pattern_match(struct pattern *p, struct slice text, size_t *steps_left);

#endif
