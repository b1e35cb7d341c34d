#include "json/edge.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/pool.h"
#include "json/emit.h"
#include "json/number.h"
#include "json/reader.h"
#include "json/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_CHUNK_BYTES 65536

void edge_init(void)
{
	json_set_alloc_funcs(pool_alloc, pool_free);
	json_object_seed(0); /* from the kernel's random source, before the first object */
}

json_t *edge_parse(struct slice text, struct err *err)
{
	enum reader_fault fault;
	size_t at;
	json_t *value = reader_parse(text, NULL, &fault, &at);

	if (!value)
		reader_say(text, fault, at, err);
	return value;
}

json_t *edge_parse_loose(struct slice text, struct err *err)
{
	enum reader_fault fault;
	size_t at;
	json_t *value = reader_parse_loose(text, &fault, &at);

	if (!value)
		reader_say(text, fault, at, err);
	return value;
}

static bool read_all(int fd, struct buf *out, struct err *err)
{
	for (;;) {
		char chunk[FILE_CHUNK_BYTES];
		ssize_t n = file_read(fd, chunk, sizeof(chunk));

		if (n == 0)
			return true;
		if (n < 0)
			return err_set(err, "cannot be read: %s", strerror(errno));
		if (!buf_append_capped(out, chunk, (size_t)n))
			return err_set(err, "is larger than %zu bytes", out->cap);
	}
}

json_t *edge_parse_file(const char *path, size_t bytes_max, struct faults *duplicates,
			struct err *err)
{
	struct err why = ERR_INIT;
	static const char BYTE_ORDER_MARK[] = "\xEF\xBB\xBF"; /* as some editors save */
	struct buf text = BUF_CAPPED(bytes_max);
	int fd = file_open(path, &why);
	json_t *value = NULL;

	CHECK(bytes_max > 0);
	if (fd < 0)
		err_prefix(&why, "cannot be opened");
	else if (!read_all(fd, &text, &why))
		value = NULL;
	else {
		if (text.len >= 3 && memcmp(text.p, BYTE_ORDER_MARK, 3) == 0)
			buf_consume(&text, 3);
		value = duplicates ? edge_parse_all(buf_slice(&text), duplicates, &why)
				   : edge_parse(buf_slice(&text), &why);
	}
	if (fd >= 0)
		(void)close(fd);
	buf_finish(&text);
	if (!value)
		(void)err_set(err, "%s: %s", path, why.text);
	return value;
}

static int compare_keys(const void *a, const void *b)
{
	struct slice x = member_key(*(void *const *)a);
	struct slice y = member_key(*(void *const *)b);
	int order = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);

	return order ? order : (x.len > y.len) - (x.len < y.len);
}

static void emit_sorted(struct emit *e, const json_t *value);

static void emit_members_sorted(struct emit *e, const json_t *object)
{
	size_t size = json_object_size(object), n = 0;
	void **members = xarray(size ? size : 1, sizeof(*members));

	for (void *at = member_first(object); at; at = member_next(object, at))
		members[n++] = at;
	CHECK(n == size);
	qsort(members, n, sizeof(*members), compare_keys);
	emit_object(e);
	for (size_t i = 0; i < n; i++) {
		emit_key_slice(e, member_key(members[i]));
		emit_sorted(e, member_value(members[i]));
	}
	emit_object_end(e);
	free(members);
}

static void emit_items_sorted(struct emit *e, const json_t *array)
{
	size_t n = json_array_size(array);

	emit_array(e);
	for (size_t i = 0; i < n; i++)
		emit_sorted(e, json_array_get(array, i));
	emit_array_end(e);
}

/* Canonical: 5.0 and 5 are one number to whoever sends arguments, so they digest alike. */
static void emit_sorted(struct emit *e, const json_t *value)
{
	int64_t whole;

	if (json_is_object(value))
		emit_members_sorted(e, value);
	else if (json_is_array(value))
		emit_items_sorted(e, value);
	else if (json_is_real(value) && edge_i64(value, &whole))
		emit_i64(e, whole);
	else
		emit_json(e, value);
}

void edge_dump(const json_t *value, bool is_sorted, struct buf *out)
{
	struct emit e;

	emit_init(&e, out);
	if (is_sorted)
		emit_sorted(&e, value);
	else
		emit_json(&e, value);
	emit_done(&e);
}

struct digest edge_digest(const json_t *value)
{
	struct buf text = BUF_INIT;
	struct digest digest;

	edge_dump(value, true, &text);
	digest = sha256(buf_text(&text), text.len);
	buf_finish(&text);
	return digest;
}

bool edge_decimal(const json_t *value, bool allow_string, struct decimal *out)
{
	char text[NUMBER_TEXT_SIZE];

	if (json_is_string(value))
		return allow_string && decimal_parse(string_slice(value), out);
	if (json_is_integer(value)) {
		*out = (struct decimal){.digits = json_integer_value(value)};
		return true;
	}
	if (!json_is_real(value))
		return false;
	number_real_text(json_real_value(value), text);
	return decimal_parse(slice_of(text), out);
}

bool edge_decimal_up(const json_t *value, struct decimal *out)
{
	char text[NUMBER_TEXT_SIZE];

	if (json_is_string(value))
		return decimal_parse_up(string_slice(value), out);
	if (!json_is_real(value))
		return edge_decimal(value, false, out);
	number_real_text(json_real_value(value), text);
	return decimal_parse_up(slice_of(text), out);
}

bool edge_decimal_million(const json_t *value, struct decimal *out)
{
	struct number n;

	if (!number_read(value, &n))
		return false;
	n.exponent += 6;
	for (; n.exponent > 0; n.exponent--) {
		if (__builtin_mul_overflow(n.digits, 10, &n.digits))
			return false;
	}
	if (-n.exponent > DECIMAL_SCALE_MAX)
		return false;
	*out = (struct decimal){.digits = n.digits, .scale = (uint8_t)-n.exponent};
	return true;
}

bool edge_i64(const json_t *value, int64_t *out)
{
	double v;

	if (json_is_integer(value)) {
		*out = json_integer_value(value);
		return true;
	}
	if (!json_is_real(value))
		return false;
	v = json_real_value(value);
	if (v < -(double)NUMBER_EXACT_MAX || v > (double)NUMBER_EXACT_MAX || !number_is_whole(v))
		return false;
	*out = (int64_t)v;
	return true;
}

struct slice edge_slice(const json_t *value)
{
	if (!json_is_string(value))
		return slice_of("");
	return string_slice(value);
}

/* One reference token, ~1 and ~0 undone; false when a tilde stands for nothing. */
static bool token_decode(struct slice token, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < token.len; i++) {
		char c = token.p[i];

		if (c == '~') {
			if (++i == token.len || (token.p[i] != '0' && token.p[i] != '1'))
				return false;
			c = token.p[i] == '0' ? '~' : '/';
		}
		buf_putc(out, c);
	}
	return true;
}

static json_t *item_at(const json_t *array, struct slice token)
{
	int64_t i;

	if (token.len > 1 && token.p[0] == '0')
		return NULL;
	if (!parse_i64(token, 0, INT32_MAX, &i))
		return NULL;
	return json_array_get(array, (size_t)i); /* NULL beyond the end */
}

bool edge_is_pointer(const char *text)
{
	if (*text && *text != '/')
		return false;
	while ((text = strchr(text, '~'))) {
		if (text[1] != '0' && text[1] != '1')
			return false;
		text += 2;
	}
	return true;
}

json_t *edge_pointer(json_t *root, const char *pointer)
{
	struct buf token = BUF_INIT;
	json_t *at = root;

	while (at && *pointer) {
		size_t len;

		if (*pointer != '/') {
			at = NULL;
			break;
		}
		pointer++;
		len = strcspn(pointer, "/");
		if (!token_decode((struct slice){.p = pointer, .len = len}, &token))
			at = NULL;
		else if (json_is_object(at))
			at = json_object_getn(at, buf_text(&token), token.len);
		else
			at = json_is_array(at) ? item_at(at, buf_slice(&token)) : NULL;
		pointer += len;
	}
	buf_finish(&token);
	return at;
}

void edge_decref(json_t **value)
{
	json_decref(*value);
	*value = NULL;
}
