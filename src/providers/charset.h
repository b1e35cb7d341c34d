#ifndef PROVIDERS_CHARSET_H
#define PROVIDERS_CHARSET_H

/*
 * The text of an answer as UTF-8, whatever its Content-Type says that it is written in.
 */

#include "base/buf.h"
#include "base/err.h"

/* Puts the text into out, without a byte order mark; nothing is looked at where the type names
 * UTF-8 or no charset. False when the charset is not known, or the text is not in it. */
MUST_USE bool charset_decode(const char *content_type, struct slice body, struct buf *out,
			     struct err *err);

#endif
