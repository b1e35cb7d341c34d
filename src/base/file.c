#include "base/file.h"

#include <errno.h>
#include <unistd.h>

bool file_write(int fd, struct slice text)
{
	while (text.len) {
		ssize_t n = write(fd, text.p, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text.p += n;
		text.len -= (size_t)n;
	}
	return fsync(fd) == 0;
}
