#ifndef SIGNALS_MARKS_H
#define SIGNALS_MARKS_H

/*
 * What a detector remembers of a list (postings, blocks of text, addresses) to tell later what is
 * new: a sorted set of 64-bit hashes. It is bounded: when there are more than MARKS_MAX, only the
 * smallest are kept, so that two looks at one list keep the same part of it, and comparisons stay
 * within the part that both have. Hashes are for telling things apart, not for security.
 */

#include "base/base.h"
#include "base/buf.h"

/* Zeroed memory is an empty set. */
struct marks {
	uint64_t *v;
	size_t n;
	size_t size;
	bool is_cut;
};

/* rank (0 to 15) decides what is kept of a list that is too long: low ranks first. */
uint64_t mark_of(struct slice text, unsigned rank);

void marks_add(struct marks *m, uint64_t mark);
/* Sorts, drops what is there twice and cuts. Before anything below. */
void marks_settle(struct marks *m);
void marks_finish(struct marks *m);

/* True when `before` would have the mark had it been there. */
bool marks_is_new(const struct marks *before, uint64_t mark);
size_t marks_count_new(const struct marks *before, const struct marks *now);

/* As text that marks_read takes back. */
void marks_write(const struct marks *m, struct buf *out);
MUST_USE bool marks_read(struct slice text, struct marks *out);

#endif
