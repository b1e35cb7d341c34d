#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/base.h"

/* Writes all of it and waits until it is on disk. False with errno. */
MUST_USE bool file_write(int fd, struct slice text);

#endif
