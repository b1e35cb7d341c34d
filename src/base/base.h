#ifndef BASE_BASE_H
#define BASE_BASE_H

/*
 * What every file may use: attributes, CHECK and die, allocation that cannot fail.
 *
 * Three kinds of errors are never mixed. Our own bug, or lost disk integrity: CHECK and die, which
 * stay in release builds, because a killed process is safe here and a half-known balance is not;
 * no memory ends the process as well, but as an ordinary failure. An expected outcome: a MUST_USE
 * enum of the module. The outside failed (files, network, configuration): bool and a struct err.
 */

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE          __attribute__((warn_unused_result))
#define NO_RETURN         __attribute__((noreturn))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn)       __attribute__((cleanup(fn)))
#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
/* Marks a parameter whose ownership passes to the callee, on failure too. */
#define TAKES

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Ends the process with SIGABRT and one line on stderr; for what cannot happen. */
void die_at(const char *file, int line, const char *fmt, ...) NO_RETURN PRINTF_LIKE(3, 4);
#define die(...) die_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			die("check failed: %s", #cond);                                            \
	} while (0)

/* Ends the process with exit status 1 and one line on stderr that says what to do. bytes 0: of a
 * library, which does not say how much it wanted. */
void out_of_memory(size_t bytes) NO_RETURN;

/* Allocation: ends the process when there is no memory or the size overflows. Free with free(). */
void *xmalloc(size_t bytes);
void *xzalloc(size_t bytes);
void *xarray(size_t n, size_t bytes_each);
void *xrealloc_array(void *old, size_t n, size_t bytes_each);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF_LIKE(1, 0);

/* For CLEANUP: frees what a local char pointer holds. */
void free_charp(char **p);

/* A borrowed run of bytes, not terminated. */
struct slice {
	const char *p;
	size_t len;
};

struct slice slice_of(const char *s);
bool slice_eq(struct slice a, const char *s);

/* The one integer parser: the whole text, decimal, no blanks, in [min, max]; out stays untouched on
 * failure. */
MUST_USE bool parse_i64(struct slice text, int64_t min, int64_t max, int64_t *out);

#endif
