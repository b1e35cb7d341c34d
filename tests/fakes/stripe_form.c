/*
 * application/x-www-form-urlencoded with Stripe's brackets, read strictly: "a[b]=1&c[]=2&d[0][e]=3"
 * becomes {"a": {"b": "1"}, "c": {"0": "2"}, "d": {"0": {"e": "3"}}}. What an object whose names
 * are numbers means, the table of the call says.
 */

#include "stripe_double.h"

#include "base/buf.h"

#include <ctype.h>
#include <string.h>

enum {
	DEPTH_MAX = 8,
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Characters that a client has to escape are refused in the raw. */
static bool may_stand_raw(char c)
{
	return isalnum((unsigned char)c) || strchr("-_.~*!'()[]{}:,/@;$?", c) != NULL;
}

static bool unescape(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (c == '+') {
			buf_putc(out, ' ');
		} else if (c == '%') {
			int high = i + 2 < text.len ? hex_digit(text.p[i + 1]) : -1;
			int low = i + 2 < text.len ? hex_digit(text.p[i + 2]) : -1;

			if (high < 0 || low < 0 || high + low == 0)
				return false;
			buf_putc(out, (char)(high * 16 + low));
			i += 2;
		} else if (c != '\0' && may_stand_raw(c)) {
			buf_putc(out, c);
		} else {
			return false;
		}
	}
	return true;
}

/* Takes the next part of "a[b][c]" into out; false when the brackets do not pair. */
static bool next_part(const char **at, bool is_first, struct buf *out)
{
	const char *p = *at;
	size_t len;

	buf_clear(out);
	if (!is_first && *p++ != '[')
		return false;
	len = strcspn(p, "[]");
	buf_append(out, p, len);
	p += len;
	if (is_first ? len == 0 || *p == ']' : *p++ != ']')
		return false;
	*at = p;
	return true;
}

/* Puts the value in its place; false when the place is taken or the key malformed. */
static bool place(json_t *tree, const char *key, const char *value)
{
	struct buf part = BUF_INIT;
	json_t *at = tree;
	bool ok = true;

	for (int depth = 0; ok; depth++) {
		json_t *child;

		ok = depth < DEPTH_MAX && next_part(&key, depth == 0, &part);
		if (!ok)
			break;
		if (part.len == 0)
			buf_printf(&part, "%zu", json_object_size(at));
		child = json_object_get(at, buf_text(&part));
		if (*key == '\0') {
			/* Fails where the text is no UTF-8, too. */
			ok = child == NULL &&
			     json_object_set_new(at, buf_text(&part), json_string(value)) == 0;
			break;
		}
		if (child == NULL) {
			child = json_object();
			ok = json_object_set_new(at, buf_text(&part), child) == 0;
			if (!ok)
				break;
		}
		ok = json_is_object(child);
		at = child;
	}
	buf_finish(&part);
	return ok;
}

static bool decode_pair(struct slice pair, json_t *tree, char **out_fault)
{
	const char *equals = memchr(pair.p, '=', pair.len);
	struct slice left = {pair.p, equals == NULL ? pair.len : (size_t)(equals - pair.p)};
	struct slice right = {equals == NULL ? "" : equals + 1,
			      equals == NULL ? 0 : pair.len - left.len - 1};
	struct buf key = BUF_INIT;
	struct buf value = BUF_INIT;
	bool ok = false;

	if (equals == NULL || !unescape(left, &key) || !unescape(right, &value))
		*out_fault = xasprintf("Invalid form encoding in '%.*s'", (int)pair.len, pair.p);
	else if (!place(tree, buf_text(&key), buf_text(&value)))
		*out_fault = xasprintf("Invalid or repeated parameter: %s", buf_text(&key));
	else
		ok = true;
	buf_finish(&key);
	buf_finish(&value);
	return ok;
}

json_t *form_decode(struct slice text, char **out_fault)
{
	json_t *tree = json_object();
	size_t at = 0;

	while (at < text.len) {
		const char *end = memchr(text.p + at, '&', text.len - at);
		size_t len = end == NULL ? text.len - at : (size_t)(end - text.p) - at;

		if (!decode_pair((struct slice){text.p + at, len}, tree, out_fault)) {
			json_decref(tree);
			return NULL;
		}
		at += len + 1;
	}
	return tree;
}
