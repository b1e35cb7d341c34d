#ifndef FUZZ_H
#define FUZZ_H

/*
 * What the fuzzers share. Each holds one parser to its promises: it ends, stays within its memory
 * and says what its header says, whatever it is given.
 */

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of its own, so that a read beyond its end is seen; the caller frees it. */
static inline char *fuzz_copy(const void *p, size_t len)
{
	char *copy = xmalloc(len ? len : 1);

	if (len)
		memcpy(copy, p, len);
	return copy;
}

/* The input is two texts with a NUL between them. */
static inline void fuzz_split(const uint8_t *data, size_t size, struct slice *first,
			      struct slice *second)
{
	const char *p = (const char *)data;
	const char *end = size ? memchr(p, '\0', size) : NULL;

	*first = (struct slice){.p = size ? p : "", .len = end ? (size_t)(end - p) : size};
	*second = slice_of("");
	if (end)
		*second = (struct slice){.p = end + 1, .len = size - first->len - 1};
}

#endif
