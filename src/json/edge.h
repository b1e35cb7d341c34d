#ifndef JSON_EDGE_H
#define JSON_EDGE_H

/*
 * Where JSON becomes typed values. A JSON number is turned into a decimal once, here, by its
 * shortest round-trip text, so 0.005 is exactly 0.005; afterwards there are only integers.
 */

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/money.h"
#include "json/faults.h"

#include <jansson.h>

/* Makes jansson allocate through xmalloc and keep no hash seed from the outside; call once. */
void edge_init(void);

/* Strict: the whole text, no duplicate keys, NUL in strings allowed, depth at most
 * RPC_DEPTH_MAX. A new reference, or NULL. */
json_t *edge_parse(struct slice text, struct err *err);
/* The same for what others answer: an integer beyond 64 bits becomes a real. */
json_t *edge_parse_loose(struct slice text, struct err *err);
/* As edge_parse, and keys that stand twice are told: the last of each is in the value. */
json_t *edge_parse_all(struct slice text, struct faults *duplicates, struct err *err);
/* Reads a file of at most bytes_max. duplicates may be NULL: then they are refused. */
json_t *edge_parse_file(const char *path, size_t bytes_max, struct faults *duplicates,
			struct err *err);

/* Compact text; keys sorted when is_sorted (the canonical form that argument digests use). */
void edge_dump(const json_t *value, bool is_sorted, struct buf *out);
struct digest edge_digest(const json_t *value);

/* An integer, a finite real or, where strings are allowed, a decimal in a string. */
MUST_USE bool edge_decimal(const json_t *value, bool allow_string, struct decimal *out);
/* Also in a string; with more decimals than 18 (floats print so) it is rounded up there. */
MUST_USE bool edge_decimal_up(const json_t *value, struct decimal *out);
/* A number x 10^6, for prices of one that are told for a million: 1.5e-07 is 0.15. */
MUST_USE bool edge_decimal_million(const json_t *value, struct decimal *out);
/* An integer, or a real without a fraction (5.0) within the exact range of doubles. */
MUST_USE bool edge_i64(const json_t *value, int64_t *out);

/* Borrowed from value; "" when it is no string. */
struct slice edge_slice(const json_t *value);

/* Well formed as RFC 6901 has it. */
bool edge_is_pointer(const char *text);
/* RFC 6901. NULL when there is nothing there. Borrowed. */
json_t *edge_pointer(json_t *root, const char *pointer);

void edge_decref(json_t **value); /* for CLEANUP */

/*
 * Typed arguments from a field table: one call fills a struct or names the bad field. Text is
 * borrowed from the object. An absent field (or null where it is optional) leaves its place as it
 * was; only FIELD_JSON, which takes any type, is given a null that stands there.
 */
enum field_type {
	FIELD_TEXT,    /* const char *, no NUL inside */
	FIELD_SLICE,   /* struct slice */
	FIELD_I64,     /* int64_t */
	FIELD_BOOL,    /* bool */
	FIELD_DECIMAL, /* struct decimal */
	FIELD_JSON,    /* json_t *, borrowed, any type */
};

struct field {
	const char *name;
	enum field_type type;
	bool is_required;
	size_t offset;
	size_t seen_offset; /* of a bool that is set when the field is there; FIELD_NO_SEEN */
};
#define FIELD_NO_SEEN SIZE_MAX

MUST_USE bool fields_read(const struct field *table, size_t n, const json_t *object, void *out,
			  struct err *err);
/* As above, and a member that is not in the table is refused. */
MUST_USE bool fields_read_strict(const struct field *table, size_t n, const json_t *object,
				 void *out, struct err *err);

#endif
