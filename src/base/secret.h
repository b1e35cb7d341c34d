#ifndef BASE_SECRET_H
#define BASE_SECRET_H

/*
 * Random bytes and secrets from the environment. A secret is either in the variable NAME or in the
 * file that NAME_FILE names (one trailing newline is taken off); both at once is refused, and so
 * is one that is set but empty, in the file, too (base/env.h). What was read is known to the vault
 * and struck from what others answer (base/vault.h).
 */

#include "base/base.h"
#include "base/err.h"

/* From the kernel; dies when it has none. */
void random_bytes(void *p, size_t len);

/* *out is a text of its own that secret_free zeroes and frees, or NULL when neither variable is
 * set. False when the file cannot be read, both are set, or one is but empty. */
MUST_USE bool secret_from_env(const char *name, char **out, struct err *err);
void secret_free(char *secret);

#endif
