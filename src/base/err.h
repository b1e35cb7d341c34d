#ifndef BASE_ERR_H
#define BASE_ERR_H

/*
 * Why something outside failed, in words for a person. The caller owns it and starts it with
 * ERR_INIT; NULL is allowed. The first error wins: later ones do not overwrite it.
 */

#include "base/base.h"

struct err {
	char text[512];
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		.text = ""                                                                         \
	}

/* Sets the text unless one is set. Always returns false, so that a function may return it. */
bool err_set(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts a context in front of the text: "context: text". */
void err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

bool err_is_set(const struct err *err);

#endif
