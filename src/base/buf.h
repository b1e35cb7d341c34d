#ifndef BASE_BUF_H
#define BASE_BUF_H

/*
 * A growable run of bytes. Without a cap it grows until memory ends (and then dies); with a cap,
 * for sizes that a peer chooses, an append that would pass it fails and leaves the buffer as it
 * was. The bytes are kept terminated by a NUL that does not count.
 */

#include "base/base.h"

struct buf {
	char *p;
	size_t len;
	size_t size;
	size_t cap; /* 0 = none */
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		.p = NULL                                                                          \
	}
#define BUF_CAPPED(bytes)                                                                          \
	{                                                                                          \
		.cap = (bytes)                                                                     \
	}

/* Frees; the buffer is empty and usable again. */
void buf_finish(struct buf *b);
/* Keeps the memory. */
void buf_clear(struct buf *b);

/* Makes room for n more bytes; false when that passes the cap. */
MUST_USE bool buf_reserve(struct buf *b, size_t n);
MUST_USE bool buf_append_capped(struct buf *b, const void *p, size_t n);

/* For buffers without a cap; dies when one is passed. */
void buf_append(struct buf *b, const void *p, size_t n);
void buf_putc(struct buf *b, char c);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Removes n bytes at the front. */
void buf_consume(struct buf *b, size_t n);

/* A copy of the text, never NULL, that the caller frees; the buffer is empty. */
char *buf_steal(struct buf *b);

/* Borrowed until the next append. */
struct slice buf_slice(const struct buf *b);
/* The text, "" when empty; borrowed until the next append. */
const char *buf_text(const struct buf *b);

#endif
