#ifndef JSON_EMIT_H
#define JSON_EMIT_H

/*
 * Writes JSON text into a buf, left to right, commas by itself. This is how replies are built:
 * money and ids are raw tokens, so no number ever passes through a double. Text that is not valid
 * UTF-8 comes out with U+FFFD in the place of each bad byte. Nothing here can fail; an unbalanced
 * object is our bug and dies in emit_done.
 */

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/money.h"

#include <jansson.h>

struct emit {
	struct buf *b;
	uint16_t depth;
	bool wants_comma;
};

void emit_init(struct emit *e, struct buf *b);
/* CHECKs that all that was opened is closed. */
void emit_done(const struct emit *e);

void emit_object(struct emit *e);
void emit_object_end(struct emit *e);
void emit_array(struct emit *e);
void emit_array_end(struct emit *e);
/* A key of our own source text: it is not escaped. */
void emit_key(struct emit *e, const char *key);
void emit_key_slice(struct emit *e, struct slice key);

void emit_text(struct emit *e, const char *text); /* NULL writes null */
void emit_slice(struct emit *e, struct slice text);
void emit_i64(struct emit *e, int64_t v);
void emit_bool(struct emit *e, bool v);
void emit_null(struct emit *e);
void emit_usd(struct emit *e, struct microusd a);    /* 0.0053 */
void emit_tokens(struct emit *e, struct microusd a); /* 0.53 */
void emit_decimal(struct emit *e, struct decimal d);
void emit_id(struct emit *e, const char *prefix, struct id id); /* "call_..." */
void emit_walltime(struct emit *e, struct walltime t);          /* "2026-...Z" */
/* A value that is JSON text already. */
void emit_raw(struct emit *e, struct slice json);
/* Members "a":1,"b":2 of an object without its braces; empty is allowed. */
void emit_raw_members(struct emit *e, struct slice members);
void emit_json(struct emit *e, const json_t *value);

/* key and value at once. */
void emit_key_text(struct emit *e, const char *key, const char *text);
void emit_key_i64(struct emit *e, const char *key, int64_t v);
void emit_key_bool(struct emit *e, const char *key, bool v);
void emit_key_usd(struct emit *e, const char *key, struct microusd a);
void emit_key_tokens(struct emit *e, const char *key, struct microusd a);
void emit_key_id(struct emit *e, const char *key, const char *prefix, struct id id);
void emit_key_raw(struct emit *e, const char *key, struct slice json);

bool utf8_is_sound(struct slice text);
/* Appends the text with U+FFFD in the place of each byte that is not UTF-8. */
void utf8_mend(struct slice text, struct buf *out);

#endif
