#include "base/secret.h"

#include "base/env.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/vault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SECRET_BYTES_MAX 16384

void random_bytes(void *p, size_t len)
{
	char *at = p;

	while (len) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		CHECK(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

static bool read_secret_file(const char *path, char **out, struct err *err)
{
	char text[SECRET_BYTES_MAX + 1];
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = file_open(path, err);
	if (fd < 0) {
		err_prefix(err, "%s", path);
		return false;
	}
	while (len < sizeof(text) && (n = file_read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	if (len > SECRET_BYTES_MAX)
		return err_set(err, "%s: longer than %d bytes", path, SECRET_BYTES_MAX);
	if (len && text[len - 1] == '\n')
		len--;
	if (len && text[len - 1] == '\r')
		len--;
	text[len] = '\0';
	if (strlen(text) != len || text[strspn(text, " \t\r\n")] == '\0') {
		explicit_bzero(text, sizeof(text));
		return err_set(err, "%s: empty, blank or not a text", path);
	}
	*out = xstrndup(text, len);
	explicit_bzero(text, sizeof(text));
	return true;
}

static bool read_either(const char *name, const char *name_file, char **out, struct err *err)
{
	const char *value, *path;

	if (!env_filled(name, &value, err) || !env_filled(name_file, &path, err))
		return false;
	if (value && path)
		return err_set(err, "%s and %s are both set; keep one", name, name_file);
	if (path) {
		if (!read_secret_file(path, out, err)) {
			err_prefix(err, "%s", name_file);
			return false;
		}
		return true;
	}
	*out = value ? xstrdup(value) : NULL;
	return true;
}

bool secret_from_env(const char *name, char **out, struct err *err)
{
	CLEANUP(free_charp) char *name_file = xasprintf("%s_FILE", name);
	char *secret = NULL;

	if (!read_either(name, name_file, &secret, err))
		return false;
	if (secret && !vault_know(name, secret)) {
		secret_free(secret);
		return err_set(err, "%s: more than %d secrets were read", name, VAULT_SECRETS_MAX);
	}
	*out = secret;
	return true;
}

void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}
