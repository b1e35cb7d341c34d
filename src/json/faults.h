#ifndef JSON_FAULTS_H
#define JSON_FAULTS_H

/*
 * All that is wrong with a JSON document, each fault with its place as a JSON pointer (RFC 6901).
 * Rooms report pointers from the value that they were given; who gave it puts them below its place.
 */

#include "base/err.h"

struct fault {
	char *pointer; /* "" is the whole document */
	char *text;
	bool is_warning; /* worth a look, and no reason to refuse the document */
};

struct faults {
	struct fault *items;
	size_t count;
};

#define FAULTS_INIT                                                                                \
	{                                                                                          \
		.items = NULL                                                                      \
	}

void faults_add(struct faults *f, const char *pointer, const char *fmt, ...) PRINTF_LIKE(3, 4);
void faults_warn(struct faults *f, const char *pointer, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Moves all of from below the pointer. */
void faults_take(struct faults *f, const char *pointer, struct faults *from);
/* The first that is no warning, at the pointer or within it; NULL: there is none. Borrowed. */
const struct fault *faults_first(const struct faults *f, const char *pointer);
/* Those that are no warnings. */
size_t faults_grave(const struct faults *f);
/* By pointer; those of one place in the order in which they came, the same text once. */
void faults_sort(struct faults *f);
/* True when there is none but warnings; else the first is put into err, as "headers: Accept: text".
 */
MUST_USE bool faults_are_none(const struct faults *f, struct err *err);
void faults_finish(struct faults *f);

/* The pointer of a member: key is escaped. Owned by the caller. */
char *pointer_below(const char *pointer, const char *key);

#endif
