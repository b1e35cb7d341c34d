#include "json/reader.h"

#include "base/limits.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A text longer than this is not worth remembering. */
#define MEMO_BYTES_MAX 4096
#define MEMO_DEPTH     2
/* Digits that always fit an int64. */
#define SAFE_DIGITS    18

/* What jansson's values take with all that belongs to them, as the pool hands it out. */
#define OBJECT_BYTES    256
#define MEMBER_BYTES    128
#define ARRAY_BYTES     160
#define ITEM_BYTES      16
#define STRING_BYTES    96
#define NUMBER_BYTES    48
/* A real of many digits is not stored in more, but takes longer to read and to write than its text
 * tells, and may be written longer than it was read. */
#define LONG_REAL_BYTES 480
#define SHORT_REAL_MAX  17

/* A member of a large object is dear in time: the table of its keys is too large for the caches of
 * a processor, and is built anew as it grows. So large objects get less of the memory. */
#define LARGE_MEMBERS      4096
#define LARGE_MEMBER_BYTES 256

struct reader {
	const char *p, *end;
	struct reader_memo *memo;
	enum reader_fault fault;
	unsigned int depth;
	bool is_loose;   /* integers may be of any size */
	bool is_lax;     /* keys may stand twice */
	size_t room;     /* bytes of memory that are left */
	struct buf text; /* a string with escapes, decoded */
};

static json_t *read_value(struct reader *r);

static void *fail(struct reader *r, enum reader_fault fault)
{
	if (r->fault == READER_OK)
		r->fault = fault;
	return NULL;
}

static bool take_room(struct reader *r, size_t bytes)
{
	if (bytes > r->room)
		return fail(r, READER_ROOM);
	r->room -= bytes;
	return true;
}

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

/* Whether none of eight bytes is a quote, a backslash, a control character or beyond ASCII. */
static bool is_plain_8(const char *p)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t x, quotes, backslashes, controls;

	memcpy(&x, p, sizeof(x));
	quotes = x ^ each * '"';
	backslashes = x ^ each * '\\';
	controls = x - each * 0x20;
	quotes -= each;
	backslashes -= each;
	return ((quotes | backslashes | controls | x) & each * 0x80) == 0;
}

/* The length of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates); 0 for none.
 */
static size_t sequence(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(end - p);

	if (u[0] < 0x80)
		return 1;
	if (u[0] >= 0xC2 && u[0] <= 0xDF)
		return left >= 2 && (u[1] & 0xC0) == 0x80 ? 2 : 0;
	if (left < 3 || (u[1] & 0xC0) != 0x80 || (u[2] & 0xC0) != 0x80)
		return 0;
	if (u[0] == 0xE0)
		return u[1] >= 0xA0 ? 3 : 0;
	if (u[0] == 0xED)
		return u[1] < 0xA0 ? 3 : 0;
	if (u[0] >= 0xE1 && u[0] <= 0xEF)
		return 3;
	if (left < 4 || (u[3] & 0xC0) != 0x80)
		return 0;
	if (u[0] == 0xF0)
		return u[1] >= 0x90 ? 4 : 0;
	if (u[0] == 0xF4)
		return u[1] < 0x90 ? 4 : 0;
	return u[0] >= 0xF1 && u[0] <= 0xF3 ? 4 : 0;
}

/* Over the plain part of a string; false when a byte may not stand there. */
static bool skip_plain(struct reader *r)
{
	for (;;) {
		size_t n;

		while (r->end - r->p >= 8 && is_plain_8(r->p))
			r->p += 8;
		if (r->p == r->end || (unsigned char)*r->p < 0x20)
			return false;
		if (*r->p == '"' || *r->p == '\\')
			return true;
		n = sequence(r->p, r->end);
		if (!n)
			return false;
		r->p += n;
	}
}

static int hex_unit(const struct reader *r)
{
	int unit = 0;

	if (r->end - r->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = r->p[i];

		unit *= 16;
		if (c >= '0' && c <= '9')
			unit += c - '0';
		else if (c >= 'a' && c <= 'f')
			unit += c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			unit += c - 'A' + 10;
		else
			return -1;
	}
	return unit;
}

static void put_code_point(struct buf *b, int c)
{
	if (c < 0x80) {
		buf_putc(b, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_putc(b, (char)(0xC0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_putc(b, (char)(0xE0 | c >> 12));
		} else {
			buf_putc(b, (char)(0xF0 | c >> 18));
			buf_putc(b, (char)(0x80 | (c >> 12 & 0x3F)));
		}
		buf_putc(b, (char)(0x80 | (c >> 6 & 0x3F)));
	}
	buf_putc(b, (char)(0x80 | (c & 0x3F)));
}

/* Behind \u. */
static bool read_unicode(struct reader *r)
{
	int unit = hex_unit(r), low;

	if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
		return false;
	r->p += 4;
	if (unit < 0xD800 || unit > 0xDFFF) {
		put_code_point(&r->text, unit);
		return true;
	}
	if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
		return false;
	r->p += 2;
	low = hex_unit(r);
	if (low < 0xDC00 || low > 0xDFFF)
		return false;
	r->p += 4;
	put_code_point(&r->text, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
	return true;
}

/* Behind the backslash. */
static bool read_escape(struct reader *r)
{
	static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (r->p == r->end)
		return false;
	if (*r->p == 'u') {
		r->p++;
		return read_unicode(r);
	}
	at = *r->p ? strchr(FROM, *r->p) : NULL;
	if (!at)
		return false;
	buf_putc(&r->text, TO[at - FROM]);
	r->p++;
	return true;
}

/* Behind the opening quote. The text is valid until the next string is read. */
static bool read_string(struct reader *r, struct slice *out)
{
	const char *start = r->p;

	if (!skip_plain(r))
		return fail(r, READER_SYNTAX);
	if (*r->p == '"') {
		*out = (struct slice){.p = start, .len = (size_t)(r->p - start)};
		r->p++;
		return true;
	}
	buf_clear(&r->text);
	for (;;) {
		buf_append(&r->text, start, (size_t)(r->p - start));
		if (*r->p++ == '"')
			break;
		if (!read_escape(r))
			return fail(r, READER_SYNTAX);
		start = r->p;
		if (!skip_plain(r))
			return fail(r, READER_SYNTAX);
	}
	*out = buf_slice(&r->text);
	return true;
}

static bool skip_digits(struct reader *r)
{
	const char *start = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > start;
}

static json_t *real_of(struct reader *r, const char *start)
{
	size_t len = (size_t)(r->p - start);
	double value;

	if ((len > SHORT_REAL_MAX || memchr(start, 'e', len) || memchr(start, 'E', len)) &&
	    !take_room(r, LONG_REAL_BYTES))
		return NULL;
	/* strtod wants an end of its own, and the text is not ours to end. */
	buf_clear(&r->text);
	buf_append(&r->text, start, len);
	errno = 0;
	value = strtod(buf_text(&r->text), NULL);
	if (isinf(value))
		return fail(r, READER_RANGE);
	return json_real(value);
}

static json_t *read_number(struct reader *r)
{
	const char *start = r->p, *digits;
	bool is_real = false;
	int64_t value = 0;

	if (!take_room(r, NUMBER_BYTES))
		return NULL;
	r->p += *r->p == '-';
	digits = r->p;
	if (!skip_digits(r) || (*digits == '0' && r->p - digits > 1))
		return fail(r, READER_SYNTAX);
	if (r->p < r->end && *r->p == '.') {
		is_real = true;
		r->p++;
		if (!skip_digits(r))
			return fail(r, READER_SYNTAX);
	}
	if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
		is_real = true;
		r->p++;
		r->p += r->p < r->end && (*r->p == '+' || *r->p == '-');
		if (!skip_digits(r))
			return fail(r, READER_SYNTAX);
	}
	if (is_real)
		return real_of(r, start);
	if (r->p - digits > SAFE_DIGITS) {
		struct slice text = {.p = start, .len = (size_t)(r->p - start)};

		if (parse_i64(text, INT64_MIN, INT64_MAX, &value))
			return json_integer(value);
		return r->is_loose ? real_of(r, start) : fail(r, READER_RANGE);
	}
	for (; digits < r->p; digits++)
		value = value * 10 + (*digits - '0');
	return json_integer(*start == '-' ? -value : value);
}

static json_t *read_word(struct reader *r, const char *word, json_t *value)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
		return fail(r, READER_SYNTAX);
	r->p += len;
	return value;
}

/* The member's value of last time, when its text is the same. */
static json_t *recall(struct reader *r, struct slice key)
{
	struct reader_memo *memo = r->memo;

	if (!memo || r->depth != MEMO_DEPTH || !memo->value || !slice_eq(key, memo->key) ||
	    (size_t)(r->end - r->p) < memo->text.len ||
	    memcmp(r->p, memo->text.p, memo->text.len) != 0)
		return NULL;
	r->p += memo->text.len;
	return json_incref(memo->value);
}

static void remember(struct reader *r, const char *start, json_t *value)
{
	struct reader_memo *memo = r->memo;
	size_t len = (size_t)(r->p - start);

	if (!json_is_object(value) || len > MEMO_BYTES_MAX)
		return;
	json_decref(memo->value);
	memo->value = json_incref(value);
	buf_clear(&memo->text);
	buf_append(&memo->text, start, len);
}

static json_t *read_member_value(struct reader *r, struct slice key, bool is_memo)
{
	const char *start = r->p;
	json_t *value = recall(r, key);

	if (value)
		return value;
	value = read_value(r);
	if (value && is_memo)
		remember(r, start, value);
	return value;
}

/* "key": value. The key is copied only when reading its value may overwrite it. */
static bool read_member(struct reader *r, json_t *object)
{
	CLEANUP(free_charp) char *copy = NULL;
	struct slice key;
	const char *start;
	bool is_memo;
	json_t *value;
	size_t count;

	if (r->p == r->end || *r->p++ != '"' || !read_string(r, &key))
		return fail(r, READER_SYNTAX);
	if (memchr(key.p, '\0', key.len))
		return fail(r, READER_NUL_KEY);
	count = json_object_size(object);
	if (!take_room(r, MEMBER_BYTES + key.len) ||
	    (count >= LARGE_MEMBERS && !take_room(r, LARGE_MEMBER_BYTES)))
		return false;
	if (key.p == r->text.p)
		key.p = copy = xstrndup(key.p, key.len);
	skip_blanks(r);
	if (r->p == r->end || *r->p++ != ':')
		return fail(r, READER_SYNTAX);
	skip_blanks(r);
	is_memo = r->memo && r->depth == MEMO_DEPTH && slice_eq(key, r->memo->key);
	start = r->p;
	value = read_member_value(r, key, is_memo);
	if (!value)
		return false;
	if (r->memo && r->depth == 1 && slice_eq(key, "id"))
		r->memo->id = (struct slice){.p = start, .len = (size_t)(r->p - start)};
	CHECK(json_object_setn_new_nocheck(object, key.p, key.len, value) == 0);
	if (json_object_size(object) == count && !r->is_lax)
		return fail(r, READER_DUPLICATE);
	return true;
}

/* After a value: true when another follows, false at the closing bracket or on a fault. */
static bool has_more(struct reader *r, char closing)
{
	skip_blanks(r);
	if (r->p == r->end) {
		(void)fail(r, READER_SYNTAX);
		return false;
	}
	if (*r->p == closing) {
		r->p++;
		return false;
	}
	if (*r->p++ != ',') {
		(void)fail(r, READER_SYNTAX);
		return false;
	}
	skip_blanks(r);
	return true;
}

/* True when the bracket that was just opened closes at once. */
static bool is_empty(struct reader *r, char closing)
{
	skip_blanks(r);
	if (r->p == r->end || *r->p != closing)
		return false;
	r->p++;
	return true;
}

static json_t *read_object(struct reader *r)
{
	json_t *object = json_object();

	if (!is_empty(r, '}')) {
		while (read_member(r, object) && has_more(r, '}'))
			;
	}
	if (r->fault == READER_OK)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *read_array(struct reader *r)
{
	json_t *array = json_array(), *value;

	if (!is_empty(r, ']')) {
		do {
			value = take_room(r, ITEM_BYTES) ? read_value(r) : NULL;
			if (value)
				CHECK(json_array_append_new(array, value) == 0);
		} while (value && has_more(r, ']'));
	}
	if (r->fault == READER_OK)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *read_container(struct reader *r)
{
	json_t *value;

	if (r->depth == RPC_DEPTH_MAX)
		return fail(r, READER_DEPTH);
	if (!take_room(r, *r->p == '{' ? OBJECT_BYTES : ARRAY_BYTES))
		return NULL;
	r->depth++;
	value = *r->p++ == '{' ? read_object(r) : read_array(r);
	r->depth--;
	return value;
}

static json_t *read_value(struct reader *r)
{
	struct slice text;

	if (r->p == r->end)
		return fail(r, READER_SYNTAX);
	switch (*r->p) {
	case '{':
	case '[':
		return read_container(r);
	case '"':
		r->p++;
		if (!read_string(r, &text) || !take_room(r, STRING_BYTES + text.len))
			return NULL;
		return json_stringn_nocheck(text.p, text.len);
	case 't':
		return read_word(r, "true", json_true());
	case 'f':
		return read_word(r, "false", json_false());
	case 'n':
		return read_word(r, "null", json_null());
	default:
		if (*r->p != '-' && (*r->p < '0' || *r->p > '9'))
			return fail(r, READER_SYNTAX);
		return read_number(r);
	}
}

static json_t *read_whole(struct reader *r, enum reader_fault *out_fault, size_t *out_at)
{
	const char *start = r->p;
	json_t *value;

	skip_blanks(r);
	value = read_value(r);
	skip_blanks(r);
	if (value && r->p != r->end) {
		json_decref(value);
		value = fail(r, READER_SYNTAX);
	}
	buf_finish(&r->text);
	*out_at = READER_ROOM_BYTES_MAX - r->room;
	if (!value) {
		*out_fault = r->fault;
		*out_at = (size_t)(r->p - start);
	}
	return value;
}

/* An empty slice may have no text. */
static struct reader reader_of(struct slice text)
{
	const char *p = text.len ? text.p : "";

	return (struct reader){.p = p, .end = p + text.len, .room = READER_ROOM_BYTES_MAX};
}

json_t *reader_parse(struct slice text, struct reader_memo *memo, enum reader_fault *out_fault,
		     size_t *out_at)
{
	struct reader r = reader_of(text);

	r.memo = memo;
	if (memo)
		memo->id = (struct slice){.p = NULL};
	return read_whole(&r, out_fault, out_at);
}

json_t *reader_parse_loose(struct slice text, enum reader_fault *out_fault, size_t *out_at)
{
	struct reader r = reader_of(text);

	r.is_loose = true;
	return read_whole(&r, out_fault, out_at);
}

json_t *reader_parse_lax(struct slice text, enum reader_fault *out_fault, size_t *out_at)
{
	struct reader r = reader_of(text);

	r.is_lax = true;
	return read_whole(&r, out_fault, out_at);
}

static_assert(READER_ROOM_BYTES_MAX == 64 * 1024 * 1024, "as the text says");

static const char *fault_text(enum reader_fault fault)
{
	switch (fault) {
	case READER_OK:
		break;
	case READER_SYNTAX:
		return "not JSON from here on";
	case READER_DUPLICATE:
		return "duplicate object key";
	case READER_RANGE:
		return "a number beyond 64 bits";
	case READER_NUL_KEY:
		return "NUL in an object key";
	case READER_DEPTH:
		return "nested too deeply";
	case READER_ROOM:
		return "more values than fit into 64 MiB of memory";
	}
	die("reader fault %d", (int)fault);
}

void reader_say(struct slice text, enum reader_fault fault, size_t at, struct err *err)
{
	int line = 1, column = 1;

	if (fault == READER_DEPTH) {
		(void)err_set(err, "nested more than %d levels deep", RPC_DEPTH_MAX);
		return;
	}
	for (size_t i = 0; i < at; i++) {
		column = text.p[i] == '\n' ? 1 : column + 1;
		line += text.p[i] == '\n';
	}
	(void)err_set(err, "line %d, column %d: %s", line, column, fault_text(fault));
}

void reader_memo_finish(struct reader_memo *memo)
{
	json_decref(memo->value);
	memo->value = NULL;
	buf_finish(&memo->text);
}
