#ifndef BASE_SECRET_H
#define BASE_SECRET_H

/*
 * Random bytes and secrets from the environment. A secret is either in the variable NAME or in the
 * file that NAME_FILE names (one trailing newline is taken off); both at once is refused.
 */

#include "base/base.h"
#include "base/err.h"

/* From the kernel; dies when it has none. */
void random_bytes(void *p, size_t len);

/* *out is a text of its own that secret_free zeroes and frees, or NULL when neither variable is
 * set. False when the file cannot be read or both are set. */
MUST_USE bool secret_from_env(const char *name, char **out, struct err *err);
void secret_free(char *secret);

#endif
