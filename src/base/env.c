#include "base/env.h"

#include "base/vault.h"

#include <stdlib.h>
#include <string.h>

bool env_check(const char *name, const char *value, struct err *err)
{
	if (!*value)
		return err_set(err, "%s is set, but empty: give it a value, or unset it", name);
	if (strncmp(value, "${", 2) == 0 && strchr(value, '}'))
		return err_set(err,
			       "%s holds a place ${...} that was not filled in: give it a "
			       "value, or unset it",
			       name);
	return true;
}

static const char *find(const char *name)
{
	const char *value = vault_find(name);

	return value ? value : getenv(name);
}

bool env_text(const char *name, const char **out, struct err *err)
{
	const char *value = find(name);

	if (value && *value && !env_check(name, value, err))
		return false;
	*out = value && *value ? value : NULL;
	return true;
}

bool env_filled(const char *name, const char **out, struct err *err)
{
	const char *value = find(name);

	if (value && !env_check(name, value, err))
		return false;
	*out = value;
	return true;
}
