#ifndef APP_OWN_KEYS_H
#define APP_OWN_KEYS_H

/*
 * The caller's own keys at providers (BYOK): FAREBOX_PROVIDER_KEY_NAME, or the file that
 * FAREBOX_PROVIDER_KEY_NAME_FILE names. Only where the environment is the caller's: on stdio and on
 * the command line.
 */

#include "base/err.h"

struct own_key {
	char *name; /* in capitals */
	char *key;  /* a secret */
};

struct own_keys {
	struct own_key *items;
	size_t count;
};

/* Reads the environment once. False names the variable that cannot be read. */
MUST_USE bool own_keys_read(struct own_keys *keys, struct err *err);
void own_keys_finish(struct own_keys *keys);
/* For struct tools_config: arg is a struct own_keys; the name in any case. NULL for none. */
const char *own_keys_find(void *arg, const char *name);

#endif
