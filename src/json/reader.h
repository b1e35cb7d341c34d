#ifndef JSON_READER_H
#define JSON_READER_H

/*
 * Reads JSON text into jansson's values. jansson's own parser looks at each byte through three
 * functions, which made it the largest part of a paid call; this one takes runs of plain bytes at
 * once. It accepts and refuses what jansson does with JSON_REJECT_DUPLICATES, JSON_ALLOW_NUL and
 * JSON_DECODE_ANY (a test compares the two), with a depth of RPC_DEPTH_MAX and with
 * READER_ROOM_BYTES_MAX for the values: a text of {} alone would take ninety times its size.
 */

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

enum reader_fault {
	READER_OK,
	READER_SYNTAX,    /* not JSON, or not UTF-8 */
	READER_DUPLICATE, /* a key stands twice in an object */
	READER_RANGE,     /* a number beyond 64 bits, or beyond a double */
	READER_NUL_KEY,
	READER_DEPTH,
	READER_ROOM, /* its values would take more memory than there is for one text */
};

/*
 * What a member with a known key held last time. A client's requests carry the same _meta each
 * time, and it is the larger half of a small request: when its text is the same, the value of last
 * time is shared and nothing is read. Such values must not be changed.
 */
struct reader_memo {
	const char *key; /* a member of the object at depth 2, as in {"params":{"_meta":...}} */
	struct buf text; /* of its value, an object */
	json_t *value;
	/* Out, after a text was read: the raw token of the member "id" of the object at depth 1,
	 * borrowed from the text; p is NULL when there is none. */
	struct slice id;
};

void reader_memo_finish(struct reader_memo *memo);

/* A new reference, and in *out_at the bytes of memory that its values take; NULL with *out_fault,
 * and in *out_at the offset of what is wrong. memo may be NULL. */
json_t *reader_parse(struct slice text, struct reader_memo *memo, enum reader_fault *out_fault,
		     size_t *out_at);
/* For what others answer: an integer beyond 64 bits is legal JSON, and becomes a real, as it does
 * in the hosts that read it in the end. */
json_t *reader_parse_loose(struct slice text, enum reader_fault *out_fault, size_t *out_at);
/* Of a key that stands twice, the last counts. */
json_t *reader_parse_lax(struct slice text, enum reader_fault *out_fault, size_t *out_at);
/* In words for a person, with line and column. */
void reader_say(struct slice text, enum reader_fault fault, size_t at, struct err *err);

#endif
