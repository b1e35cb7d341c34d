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
	size_t straight; /* the most places of a text that are looked at between two choices */
	size_t repeats;  /* quantifiers and references back */
	bool looks;      /* around, or back at what a group has taken */
	bool refers;     /* back: its groups have to be kept */
};

/* Appends to out. NULL, or in a few static words why the text is no pattern. */
MUST_USE const char *pattern_translate(struct slice text, struct buf *out,
				       struct pattern_shape *shape);

#endif
