#include "json/emit.h"

#include "json/number.h"
#include "json/value.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* Digits of INT64_MIN and its sign. */
#define I64_TEXT_SIZE 20

void emit_init(struct emit *e, struct buf *b)
{
	*e = (struct emit){.b = b};
}

void emit_done(const struct emit *e)
{
	CHECK(e->depth == 0);
}

/* Where n more bytes may be written; advance() says how far they went. */
static char *room(struct emit *e, size_t n)
{
	CHECK(buf_reserve(e->b, n));
	return e->b->p + e->b->len;
}

static void advance(struct emit *e, char *end)
{
	e->b->len = (size_t)(end - e->b->p);
	*end = '\0';
}

/* Before a value or a key: what came before it on this level wants a comma. */
static char *comma(struct emit *e, char *p)
{
	if (e->wants_comma)
		*p++ = ',';
	return p;
}

static void put_value(struct emit *e, const char *text, size_t len)
{
	char *p = comma(e, room(e, len + 1));

	memcpy(p, text, len);
	advance(e, p + len);
	e->wants_comma = true;
}

static void open_level(struct emit *e, char bracket)
{
	CHECK(e->depth < UINT16_MAX);
	put_value(e, &bracket, 1);
	e->depth++;
	e->wants_comma = false;
}

static void close_level(struct emit *e, char bracket)
{
	CHECK(e->depth > 0);
	e->depth--;
	e->wants_comma = false;
	put_value(e, &bracket, 1);
}

void emit_object(struct emit *e)
{
	open_level(e, '{');
}

void emit_object_end(struct emit *e)
{
	close_level(e, '}');
}

void emit_array(struct emit *e)
{
	open_level(e, '[');
}

void emit_array_end(struct emit *e)
{
	close_level(e, ']');
}

void emit_key(struct emit *e, const char *key)
{
	size_t len = strlen(key);
	char *p = comma(e, room(e, len + 4));

	*p++ = '"';
	memcpy(p, key, len);
	p += len;
	*p++ = '"';
	*p++ = ':';
	advance(e, p);
	e->wants_comma = false;
}

/* Whether none of eight bytes is a control, a quote, a backslash or beyond ASCII. A borrow out of
 * a byte can only raise a false alarm in the next one, and only when there is an alarm anyway. */
static bool is_plain_8(const char *p)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t x, controls, quotes, backslashes;

	memcpy(&x, p, sizeof(x));
	controls = x - each * 0x20;
	quotes = (x ^ each * '"') - each;
	backslashes = (x ^ each * '\\') - each;
	return ((x | controls | quotes | backslashes) & each * 0x80) == 0;
}

static bool is_continuation(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

/* The length of the valid UTF-8 sequence beyond ASCII that starts here; 0 when there is none. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
	unsigned char min = 0x80, max = 0xBF; /* of the second byte */
	size_t len;

	if (p[0] >= 0xC2 && p[0] <= 0xDF) {
		len = 2;
	} else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
		len = 3;
		if (p[0] == 0xE0)
			min = 0xA0; /* overlong below */
		if (p[0] == 0xED)
			max = 0x9F; /* surrogates above */
	} else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
		len = 4;
		if (p[0] == 0xF0)
			min = 0x90;
		if (p[0] == 0xF4)
			max = 0x8F; /* U+10FFFF is the last */
	} else {
		return 0;
	}
	if (left < len || p[1] < min || p[1] > max)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (!is_continuation(p[i]))
			return 0;
	}
	return len;
}

/* The length of the run at the start that is UTF-8. */
static size_t sound_length(struct slice text)
{
	size_t at = 0;

	while (at < text.len) {
		size_t len = (unsigned char)text.p[at] < 0x80
				     ? 1
				     : utf8_length((const unsigned char *)text.p + at,
						   text.len - at);

		if (!len)
			break;
		at += len;
	}
	return at;
}

bool utf8_is_sound(struct slice text)
{
	return sound_length(text) == text.len;
}

void utf8_mend(struct slice text, struct buf *out)
{
	for (;;) {
		size_t len = sound_length(text);

		buf_append(out, text.p, len);
		if (len == text.len)
			return;
		buf_append(out, REPLACEMENT, sizeof(REPLACEMENT) - 1);
		text.p += len + 1;
		text.len -= len + 1;
	}
}

static void append_escape(struct buf *b, unsigned char c)
{
	static const char HEX[] = "0123456789abcdef";
	static const char SHORT[32] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
	};

	if (c >= 0x80) {
		buf_append(b, REPLACEMENT, sizeof(REPLACEMENT) - 1);
	} else if (c == '"' || c == '\\') {
		char text[2] = {'\\', (char)c};

		buf_append(b, text, sizeof(text));
	} else if (SHORT[c]) {
		char text[2] = {'\\', SHORT[c]};

		buf_append(b, text, sizeof(text));
	} else {
		char text[6] = {'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]};

		buf_append(b, text, sizeof(text));
	}
}

/* Runs that need no escape, which is nearly all, are copied whole. */
static void append_escaped(struct buf *b, struct slice text)
{
	size_t run = 0, at = 0;

	while (at < text.len) {
		unsigned char c = (unsigned char)text.p[at];
		size_t len;

		if (text.len - at >= 8 && is_plain_8(text.p + at)) {
			at += 8;
			continue;
		}
		if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
			at++;
			continue;
		}
		len = utf8_length((const unsigned char *)text.p + at, text.len - at);
		if (len) {
			at += len;
			continue;
		}
		buf_append(b, text.p + run, at - run);
		append_escape(b, c);
		run = ++at;
	}
	buf_append(b, text.p + run, at - run);
}

static void put_quoted(struct emit *e, struct slice text)
{
	char *p = comma(e, room(e, text.len + 3));

	*p++ = '"';
	advance(e, p);
	append_escaped(e->b, text);
	buf_append(e->b, "\"", 1);
	e->wants_comma = true;
}

void emit_key_slice(struct emit *e, struct slice key)
{
	put_quoted(e, key);
	buf_append(e->b, ":", 1);
	e->wants_comma = false;
}

void emit_slice(struct emit *e, struct slice text)
{
	put_quoted(e, text);
}

void emit_text(struct emit *e, const char *text)
{
	if (text)
		put_quoted(e, slice_of(text));
	else
		emit_null(e);
}

void emit_i64(struct emit *e, int64_t v)
{
	uint64_t rest = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char text[I64_TEXT_SIZE];
	char *p = text + sizeof(text);

	do {
		*--p = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (v < 0)
		*--p = '-';
	put_value(e, p, (size_t)(text + sizeof(text) - p));
}

void emit_bool(struct emit *e, bool v)
{
	if (v)
		put_value(e, "true", 4);
	else
		put_value(e, "false", 5);
}

void emit_null(struct emit *e)
{
	put_value(e, "null", 4);
}

void emit_usd(struct emit *e, struct microusd a)
{
	char text[MONEY_TEXT_SIZE];

	usd_text(a, text);
	put_value(e, text, strlen(text));
}

void emit_tokens(struct emit *e, struct microusd a)
{
	char text[MONEY_TEXT_SIZE];

	tokens_text(a, text);
	put_value(e, text, strlen(text));
}

void emit_decimal(struct emit *e, struct decimal d)
{
	char text[MONEY_TEXT_SIZE];

	decimal_text(d, text);
	put_value(e, text, strlen(text));
}

void emit_id(struct emit *e, const char *prefix, struct id id)
{
	char text[ID_TEXT_SIZE];

	id_text(prefix, id, text);
	put_quoted(e, slice_of(text));
}

void emit_walltime(struct emit *e, struct walltime t)
{
	char text[WALLTIME_TEXT_SIZE];

	walltime_text(t, text);
	put_quoted(e, slice_of(text));
}

void emit_raw(struct emit *e, struct slice json)
{
	CHECK(json.len > 0);
	put_value(e, json.p, json.len);
}

void emit_raw_members(struct emit *e, struct slice members)
{
	if (members.len)
		put_value(e, members.p, members.len);
}

static void put_real(struct emit *e, double v)
{
	char text[NUMBER_TEXT_SIZE];

	number_real_text(v, text);
	put_value(e, text, strlen(text));
}

static void put_members(struct emit *e, const json_t *object)
{
	emit_object(e);
	for (void *at = member_first(object); at; at = member_next(object, at)) {
		emit_key_slice(e, member_key(at));
		emit_json(e, member_value(at));
	}
	emit_object_end(e);
}

static void put_items(struct emit *e, const json_t *array)
{
	size_t n = json_array_size(array);

	emit_array(e);
	for (size_t i = 0; i < n; i++)
		emit_json(e, json_array_get(array, i));
	emit_array_end(e);
}

void emit_json(struct emit *e, const json_t *value)
{
	CHECK(value);
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		put_members(e, value);
		return;
	case JSON_ARRAY:
		put_items(e, value);
		return;
	case JSON_STRING:
		put_quoted(e, string_slice(value));
		return;
	case JSON_INTEGER:
		emit_i64(e, json_integer_value(value));
		return;
	case JSON_REAL:
		put_real(e, json_real_value(value));
		return;
	case JSON_TRUE:
		emit_bool(e, true);
		return;
	case JSON_FALSE:
		emit_bool(e, false);
		return;
	case JSON_NULL:
		emit_null(e);
		return;
	}
	die("a JSON value of no type");
}

void emit_key_text(struct emit *e, const char *key, const char *text)
{
	emit_key(e, key);
	emit_text(e, text);
}

void emit_key_i64(struct emit *e, const char *key, int64_t v)
{
	emit_key(e, key);
	emit_i64(e, v);
}

void emit_key_bool(struct emit *e, const char *key, bool v)
{
	emit_key(e, key);
	emit_bool(e, v);
}

void emit_key_usd(struct emit *e, const char *key, struct microusd a)
{
	emit_key(e, key);
	emit_usd(e, a);
}

void emit_key_tokens(struct emit *e, const char *key, struct microusd a)
{
	emit_key(e, key);
	emit_tokens(e, a);
}

void emit_key_id(struct emit *e, const char *key, const char *prefix, struct id id)
{
	emit_key(e, key);
	emit_id(e, prefix, id);
}

void emit_key_raw(struct emit *e, const char *key, struct slice json)
{
	emit_key(e, key);
	emit_raw(e, json);
}
