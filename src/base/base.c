#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void die_at(const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), "farebox: fatal: %s:%d: ", file, line);
	va_start(ap, fmt);
	n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if ((size_t)n > sizeof(text) - 2)
		n = (int)sizeof(text) - 2;
	text[n] = '\n';
	(void)!write(STDERR_FILENO, text, (size_t)n + 1);
	abort();
}

void out_of_memory(size_t bytes)
{
	char text[160];
	int n;

	if (bytes)
		n = snprintf(text, sizeof(text), "farebox: out of memory (%zu bytes more)", bytes);
	else
		n = snprintf(text, sizeof(text), "farebox: out of memory");
	n += snprintf(text + n, sizeof(text) - (size_t)n,
		      "; give it more: see 'ulimit -v' and the limits of its container\n");
	(void)!write(STDERR_FILENO, text, (size_t)n);
	_exit(1);
}

void *xmalloc(size_t bytes)
{
	void *p = malloc(bytes ? bytes : 1);

	if (!p)
		out_of_memory(bytes);
	return p;
}

void *xzalloc(size_t bytes)
{
	void *p = calloc(1, bytes ? bytes : 1);

	if (!p)
		out_of_memory(bytes);
	return p;
}

void *xarray(size_t n, size_t bytes_each)
{
	return xrealloc_array(NULL, n, bytes_each);
}

void *xrealloc_array(void *old, size_t n, size_t bytes_each)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, bytes_each, &bytes))
		die("allocation of %zu x %zu bytes overflows", n, bytes_each);
	p = realloc(old, bytes ? bytes : 1);
	if (!p)
		out_of_memory(bytes);
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t len)
{
	char *copy = xmalloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		out_of_memory(0);
	return text;
}

char *xasprintf(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	return text;
}

void free_charp(char **p)
{
	free(*p);
}

struct slice slice_of(const char *s)
{
	return (struct slice){.p = s, .len = strlen(s)};
}

bool slice_eq(struct slice a, const char *s)
{
	return a.len == strlen(s) && memcmp(a.p, s, a.len) == 0;
}

bool parse_i64(struct slice text, int64_t min, int64_t max, int64_t *out)
{
	bool is_negative = text.len > 0 && text.p[0] == '-';
	size_t i = is_negative ? 1 : 0;
	int64_t value = 0;

	if (i == text.len)
		return false;
	for (; i < text.len; i++) {
		char c = text.p[i];

		if (c < '0' || c > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value))
			return false;
		if (is_negative ? __builtin_sub_overflow(value, c - '0', &value)
				: __builtin_add_overflow(value, c - '0', &value))
			return false;
	}
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}
