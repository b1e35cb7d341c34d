#ifndef BASE_POOL_H
#define BASE_POOL_H

/*
 * Memory for small things that come and go by the thousand a second: JSON values, commands, calls.
 * Freed blocks are kept by size and handed out again; glibc's own cache holds only seven a size,
 * and with 64 calls in flight its slow path costs more than the parsing. One thread. Builds with
 * an address sanitizer use malloc, so that it sees each block.
 */

#include "base/base.h"

/* Dies when there is no memory. Aligned for any type. */
void *pool_alloc(size_t bytes);
void *pool_zalloc(size_t bytes);
void pool_free(void *p); /* NULL is allowed */

#endif
