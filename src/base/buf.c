#include "base/buf.h"

#include "base/pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_finish(struct buf *b)
{
	pool_free(b->p);
	b->p = NULL;
	b->len = 0;
	b->size = 0;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->p)
		b->p[0] = '\0';
}

bool buf_reserve(struct buf *b, size_t n)
{
	size_t need, size;
	char *p;

	if (__builtin_add_overflow(b->len, n, &need) || need == SIZE_MAX)
		return false;
	if (b->cap && need > b->cap)
		return false;
	if (need + 1 <= b->size)
		return true;
	size = b->size ? b->size : 256;
	while (size < need + 1) {
		if (__builtin_mul_overflow(size, 2, &size))
			size = need + 1;
	}
	p = pool_alloc(size);
	if (b->p)
		memcpy(p, b->p, b->len);
	p[b->len] = '\0';
	pool_free(b->p);
	b->p = p;
	b->size = size;
	return true;
}

bool buf_append_capped(struct buf *b, const void *p, size_t n)
{
	if (!buf_reserve(b, n))
		return false;
	if (n)
		memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
	return true;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
	CHECK(buf_append_capped(b, p, n));
}

void buf_putc(struct buf *b, char c)
{
	buf_append(b, &c, 1);
}

void buf_puts(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	CHECK(n >= 0 && buf_reserve(b, (size_t)n));
	va_start(ap, fmt);
	(void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
	CHECK(n <= b->len);
	if (!n)
		return;
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
	b->p[b->len] = '\0';
}

char *buf_steal(struct buf *b)
{
	char *p = xstrndup(buf_text(b), b->len);

	buf_finish(b);
	return p;
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){.p = buf_text(b), .len = b->len};
}

const char *buf_text(const struct buf *b)
{
	return b->p ? b->p : "";
}
