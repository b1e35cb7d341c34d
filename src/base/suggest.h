#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

/*
 * "Did you mean ...?": the candidate that takes the fewest edits (insert, delete, replace, swap
 * of neighbours) from what was typed, when that is a likely slip.
 */

#include "base/base.h"

struct suggestion {
	const char *typed;
	const char *found; /* NULL while no candidate is near; borrowed */
	size_t distance;
};

void suggestion_init(struct suggestion *s, const char *typed);
/* The first of equally near candidates wins. */
void suggestion_offer(struct suggestion *s, const char *candidate);

/* Edits from a to b; a large number when one is longer than names are. */
size_t edit_distance(const char *a, const char *b);

#endif
