#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H

/*
 * What must not reach a terminal or a log as it is: control characters, which move the cursor or
 * end a line; marks that turn the direction of what follows, so that it reads as something else;
 * and characters that nobody sees. They are written as \u202e, a byte that is no UTF-8 as \x9b.
 */

#include "base/buf.h"

enum {
	PRINTABLE_AS_IT_IS = -1,
	PRINTABLE_NO_UTF8 = -2,
	PRINTABLE_ESCAPE_BYTES_MAX = 12, /* a pair of surrogates */
};

/* The length of the character at text, which is not empty; *out_code is its code point where it
 * must be escaped, else one of those above. Newlines and tabs are control characters. */
size_t printable_next(struct slice text, int32_t *out_code);

/* Writes the escape of a code from printable_next and '\0'; byte is the one that is no UTF-8.
 * Returns its length. */
size_t printable_escape(int32_t code, char byte, char out[PRINTABLE_ESCAPE_BYTES_MAX + 1]);

/* Appends the text, escaped; newlines and tabs stay where may_break is true. */
void printable_append(struct slice text, bool may_break, struct buf *out);

#endif
