#ifndef PROVIDERS_TEMPLATE_H
#define PROVIDERS_TEMPLATE_H

/*
 * A text of the configuration with places to be filled:
 *
 *	{name} {company.domain}   an argument of the call
 *	${env:NAME}               from the environment, or the file that NAME_FILE names, read once
 *	${session:NAME}           the caller's session with a site
 *	{{ and }}                 a brace
 *
 * What an argument holds is never read as a template, and it is encoded for the position that it
 * fills: it cannot end a segment of a path, a parameter or a line of a header. Secrets are zeroed
 * when the template ends and stand in no error text.
 */

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

enum template_part_kind {
	TEMPLATE_TEXT,
	TEMPLATE_ARGUMENT,
	TEMPLATE_SECRET,
	TEMPLATE_SESSION,
};

struct template_part {
	enum template_part_kind kind;
	char *text; /* the text; the argument's dotted name; the secret; the session's name */
};

struct template
{
	struct template_part *parts;
	size_t count;
};

/* What a template may hold beside text. */
#define TEMPLATE_MAY_ARGUMENT 1u
#define TEMPLATE_MAY_SECRET   2u
#define TEMPLATE_MAY_SESSION  4u

/* False names the fault, a secret that is not set by its variable. */
MUST_USE bool template_read(struct slice text, unsigned may, struct template *out, struct err *err);
void template_finish(struct template *t);

bool template_has(const struct template *t, enum template_part_kind kind);
/* The whole template is one argument. */
bool template_is_argument(const struct template *t);
/* One of its secrets stands in the text. */
bool template_leaks(const struct template *t, struct slice text);

/* Borrowed from arguments; NULL when there is none, or null. */
json_t *template_argument(const struct template_part *part, json_t *arguments);

enum template_place {
	PLACE_SEGMENT, /* of a path: what could leave it is refused */
	PLACE_QUERY,   /* encoded */
	PLACE_FORM,    /* encoded */
	PLACE_URL,     /* the same, and the template's own text is encoded already */
	PLACE_HEADER,  /* control characters are refused */
	PLACE_TEXT,    /* as it is */
};

enum template_outcome {
	TEMPLATE_OK,
	TEMPLATE_MISSING, /* an argument is not given */
	TEMPLATE_UNFIT,   /* an argument, or the session, cannot stand there */
};

struct template_fault {
	char field[128]; /* dotted name of the argument */
	char text[128];
};

/* Appends the filled template. session is NULL where there is none, then TEMPLATE_MISSING names
 * "session". */
MUST_USE enum template_outcome template_fill(const struct template *t, enum template_place place,
					     json_t *arguments, const char *session,
					     struct buf *out, struct template_fault *fault);

/* One value in the place of an argument: for lists in a query. */
MUST_USE enum template_outcome template_fill_value(const json_t *value, enum template_place place,
						   const char *name, struct buf *out,
						   struct template_fault *fault);

/* Appends text percent-encoded: all but letters, digits, "-", ".", "_" and "~". */
void percent_encode(struct slice text, struct buf *out);

#endif
