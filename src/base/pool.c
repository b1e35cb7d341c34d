#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_IS_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_IS_MALLOC 1
#endif
#endif

#ifdef POOL_IS_MALLOC

void *pool_alloc(size_t bytes)
{
	return xmalloc(bytes);
}

void pool_free(void *p)
{
	free(p);
}

#else

#define STEP       32
#define CLASSES    64 /* blocks up to 2 KiB; larger ones are malloc's */
#define SLAB_BYTES (32 * 1024)
#define HEAD       16

/* In front of each block: its class, while it is in use; the next free one, while it is not. */
struct block {
	union {
		size_t class;
		struct block *next;
	};
	char pad[HEAD - sizeof(size_t)];
};

static_assert(sizeof(struct block) == HEAD, "blocks stay aligned");

static struct {
	struct block *free[CLASSES];
	char *slab;
	size_t slab_left;
} pool;

/* A block that was never used, cut from a slab. */
static struct block *cut(size_t class)
{
	size_t bytes = HEAD + (class + 1) * STEP;
	struct block *b;

	if (pool.slab_left < bytes) {
		pool.slab = xmalloc(SLAB_BYTES);
		pool.slab_left = SLAB_BYTES;
	}
	b = (struct block *)(void *)pool.slab;
	pool.slab += bytes;
	pool.slab_left -= bytes;
	return b;
}

void *pool_alloc(size_t bytes)
{
	size_t class = bytes ? (bytes - 1) / STEP : 0;
	struct block *b;

	if (class >= CLASSES) {
		CHECK(bytes < SIZE_MAX - HEAD);
		b = xmalloc(HEAD + bytes);
		class = CLASSES;
	} else if (pool.free[class]) {
		b = pool.free[class];
		pool.free[class] = b->next;
	} else {
		b = cut(class);
	}
	b->class = class;
	return b + 1;
}

void pool_free(void *p)
{
	struct block *b = p;
	size_t class;

	if (!p)
		return;
	b--;
	class = b->class;
	if (class == CLASSES) {
		free(b);
		return;
	}
	CHECK(class < CLASSES);
	b->next = pool.free[class];
	pool.free[class] = b;
}

#endif

void *pool_zalloc(size_t bytes)
{
	return memset(pool_alloc(bytes), 0, bytes);
}
