#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
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

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, "%s: %s", path, strerror(errno));
	while (len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		len += (size_t)n;
	}
	(void)close(fd);
	if (len > SECRET_BYTES_MAX)
		return err_set(err, "%s: longer than %d bytes", path, SECRET_BYTES_MAX);
	if (len && text[len - 1] == '\n')
		len--;
	if (len && text[len - 1] == '\r')
		len--;
	if (!len || memchr(text, '\0', len))
		return err_set(err, "%s: empty or not a text", path);
	*out = xstrndup(text, len);
	explicit_bzero(text, sizeof(text));
	return true;
}

bool secret_from_env(const char *name, char **out, struct err *err)
{
	CLEANUP(free_charp) char *name_file = xasprintf("%s_FILE", name);
	const char *value = getenv(name);
	const char *path = getenv(name_file);

	if (value && !*value)
		value = NULL;
	if (path && !*path)
		path = NULL;
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

void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}
