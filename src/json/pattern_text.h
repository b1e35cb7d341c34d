#ifndef JSON_PATTERN_TEXT_H
#define JSON_PATTERN_TEXT_H

/*
 * Private to this room: the text of a pattern, which is ECMA-262's with the flag u, as PCRE2 has to
 * be told it. Each construct is either written in words that mean the same there, or refused;
 * nothing that only PCRE2 knows gets through. Of the leniencies of annex B those are taken that
 * patterns in the wild use: escapes of other punctuation, and braces and brackets that open
 * nothing.
 */

#include "base/buf.h"

struct pattern_shape {
	/* The most that is compared with a text between two choices while none is passed over, in
	 * the time of a byte that is. */
	size_t straight;
	/* What passing over one character takes beside its bytes, for the dearest class: one beyond
	 * Latin-1, and any. */
	size_t per_wide, per_point;
	size_t repeats; /* quantifiers and references back */
	bool looks;     /* around, or back at what a group has taken */
	bool refers;    /* back: its groups have to be kept */
};

/* Appends to out. NULL, or in a few static words why the text is no pattern. */
MUST_USE const char *pattern_translate(struct slice text, struct buf *out,
				       struct pattern_shape *shape);

#endif
