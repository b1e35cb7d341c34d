#ifndef SIGNALS_URL_H
#define SIGNALS_URL_H

/*
 * Web addresses, read by libcurl's own parser so that what is compared here is what is fetched.
 */

#include "base/buf.h"
#include "base/err.h"

/* Zeroed memory is an empty one. */
struct url {
	char *text;      /* normalised, without fragment */
	char *host;      /* lower case, with the port where it is not the scheme's own */
	char *path;      /* "/" at least, without query */
	bool is_address; /* the host is a number, not a name */
};

/* http and https without user names only. */
MUST_USE bool url_read(const char *text, struct url *out, struct err *err);
void url_finish(struct url *u);

/* Resolves a reference against a base. NULL unless the outcome is http or https; the caller frees
 * it. */
char *url_join(const char *base, struct slice reference);

/* Where the path of a normalised address begins; borrowed from it. */
const char *url_path(const char *text);

/* How many names the path has: 0 for "/", 2 for "/en/careers/". */
unsigned url_depth(const char *path);

/* Appends text as one path segment. */
void url_escape(struct buf *out, const char *text);

#endif
