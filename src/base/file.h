#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/base.h"
#include "base/err.h"

#include <sys/types.h>

/* Opens a file to be read, by file_read. A pipe that nobody writes to within FILE_WAIT_MS is
 * refused, or the program would stand still without a word. -1: err, without the path. */
MUST_USE int file_open(const char *path, struct err *err);
/* As read(2), but an interruption goes on, and a pipe that stands still for FILE_WAIT_MS fails with
 * ETIMEDOUT. */
MUST_USE ssize_t file_read(int fd, void *p, size_t size);

/* Writes all of it and waits until it is on disk. False with errno. */
MUST_USE bool file_write(int fd, struct slice text);

#endif
