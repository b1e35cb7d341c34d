#include "base/file.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* False: nothing came in time. */
static bool await_input(int fd)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};

	return poll(&in, 1, FILE_WAIT_MS) > 0;
}

int file_open(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0) {
		(void)err_set(err, "%s", strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && !await_input(fd)) {
		(void)err_set(err, "is a pipe that nobody wrote to within %d s",
			      FILE_WAIT_MS / 1000);
		(void)close(fd);
		return -1;
	}
	return fd;
}

ssize_t file_read(int fd, void *p, size_t size)
{
	for (;;) {
		ssize_t n = read(fd, p, size);

		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			return n;
		if (errno == EAGAIN && !await_input(fd)) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

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
