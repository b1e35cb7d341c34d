#ifndef SIGNALS_TEXT_H
#define SIGNALS_TEXT_H

/*
 * Text from strangers, made fit to be reported: UTF-8 in, one line out.
 */

#include "base/buf.h"

/* Trims, turns each run of white space, no-break spaces and control characters into one blank and
 * cuts at a character so that at most bytes_max remain. Never NULL; the caller frees it. */
char *text_clean(struct slice text, size_t bytes_max);

/* Length of the white space at p: 1 for ASCII, 2 for U+00A0, 0 for other text. */
size_t text_blank_len(const char *p, const char *end);

/* ASCII only, whatever the locale. */
char ascii_lower(char c);
bool ascii_is_alpha(char c);
bool ascii_is_digit(char c);
bool ascii_eq_nocase(struct slice a, const char *b);

#endif
