#include "app/own_keys.h"

#include "base/secret.h"
#include "base/vault.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PREFIX      "FAREBOX_PROVIDER_KEY_"
#define FILE_SUFFIX "_FILE"

static bool is_there(const struct own_keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (strcmp(keys->items[i].name, name) == 0)
			return true;
	}
	return false;
}

/* NAME of PREFIX NAME or PREFIX NAME _FILE; NULL for another variable. */
static char *name_of(const char *variable)
{
	size_t prefix = strlen(PREFIX), suffix = strlen(FILE_SUFFIX);
	size_t len = strcspn(variable, "=");

	if (len <= prefix || strncmp(variable, PREFIX, prefix) != 0)
		return NULL;
	if (len > prefix + suffix && memcmp(variable + len - suffix, FILE_SUFFIX, suffix) == 0)
		len -= suffix;
	return xstrndup(variable + prefix, len - prefix);
}

/* NAME or NAME=VALUE. */
static bool read_variable(struct own_keys *keys, const char *variable, struct err *err)
{
	CLEANUP(free_charp) char *name = name_of(variable);
	CLEANUP(free_charp) char *whole = NULL;
	char *key = NULL;

	if (!name || is_there(keys, name))
		return true;
	whole = xasprintf(PREFIX "%s", name);
	if (!secret_from_env(whole, &key, err))
		return false;
	if (!key)
		return true;
	keys->items = xrealloc_array(keys->items, keys->count + 1, sizeof(*keys->items));
	keys->items[keys->count++] = (struct own_key){.name = xstrdup(name), .key = key};
	return true;
}

/* The keys are in the vault, the names of files in the environment. */
bool own_keys_read(struct own_keys *keys, struct err *err)
{
	for (size_t i = 0; i < vault_count(); i++) {
		if (!read_variable(keys, vault_name(i), err))
			return false;
	}
	for (char **variable = environ; *variable; variable++) {
		if (!read_variable(keys, *variable, err))
			return false;
	}
	return true;
}

void own_keys_finish(struct own_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		free(keys->items[i].name);
		secret_free(keys->items[i].key);
	}
	free(keys->items);
	*keys = (struct own_keys){.count = 0};
}

const char *own_keys_find(void *arg, const char *name)
{
	const struct own_keys *keys = arg;

	for (size_t i = 0; i < keys->count; i++) {
		if (strcasecmp(keys->items[i].name, name) == 0)
			return keys->items[i].key;
	}
	return NULL;
}
