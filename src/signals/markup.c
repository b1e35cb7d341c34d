#include "signals/markup.h"

#include "signals/text.h"

#include <string.h>

enum {
	NAME_BYTES_MAX = 40,
	KEPT_TAG_BYTES_MAX = 512,
};

/* Elements whose inside is not markup and not for readers. */
static const char *const RAW_ELEMENTS[] = {
	"script", "style", "xmp", "iframe", "noembed", "noframes", "textarea",
};

struct reducer {
	struct slice in;
	size_t at;
	enum markup kind;
	struct buf *out;
	size_t tags;
};

static char peek(const struct reducer *r, size_t at)
{
	return at < r->in.len ? r->in.p[at] : '\0';
}

static bool starts_with(const struct reducer *r, size_t at, const char *text)
{
	size_t n = strlen(text);

	return r->in.len - at >= n && ascii_eq_nocase((struct slice){r->in.p + at, n}, text);
}

/* Just behind the first `text` at or after `at`, or the end. */
static size_t skip_past(const struct reducer *r, size_t at, const char *text)
{
	const char *hit = NULL;

	if (at < r->in.len)
		hit = memmem(r->in.p + at, r->in.len - at, text, strlen(text));
	return hit == NULL ? r->in.len : (size_t)(hit - r->in.p) + strlen(text);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_name_char(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == ':' || c == '-' || c == '_' ||
	       c == '.';
}

static struct slice read_name(const struct reducer *r, size_t at)
{
	size_t end = at;

	while (end < r->in.len && is_name_char(r->in.p[end]))
		end++;
	return (struct slice){r->in.p + at, end - at};
}

/* Just behind the '>' that ends the tag; one within a quoted value does not. */
static size_t skip_attributes(const struct reducer *r, size_t at)
{
	for (; at < r->in.len; at++) {
		char c = r->in.p[at];
		const char *end;

		if (c == '>')
			return at + 1;
		if (c != '=')
			continue;
		while (is_blank(peek(r, at + 1)))
			at++;
		c = peek(r, at + 1);
		if (c != '"' && c != '\'')
			continue;
		at += 2;
		end = at < r->in.len ? memchr(r->in.p + at, c, r->in.len - at) : NULL;
		if (end == NULL)
			break;
		at = (size_t)(end - r->in.p);
	}
	return r->in.len;
}

static bool is_raw(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(RAW_ELEMENTS); i++) {
		if (ascii_eq_nocase(name, RAW_ELEMENTS[i]))
			return true;
	}
	return false;
}

/* Behind the end tag of a raw element. */
static size_t skip_raw(const struct reducer *r, size_t at, struct slice name)
{
	for (; at < r->in.len; at++) {
		const char *hit = memchr(r->in.p + at, '<', r->in.len - at);
		struct slice found;

		if (hit == NULL)
			break;
		at = (size_t)(hit - r->in.p);
		if (peek(r, at + 1) != '/')
			continue;
		found = read_name(r, at + 2);
		if (found.len == name.len && strncasecmp(found.p, name.p, name.len) == 0)
			return skip_attributes(r, at + 2 + found.len);
	}
	return r->in.len;
}

static bool keeps_attributes(const struct reducer *r, struct slice name, struct slice tag)
{
	return r->kind == MARKUP_HTML && ascii_eq_nocase(name, "meta") &&
	       tag.len <= KEPT_TAG_BYTES_MAX && memmem(tag.p, tag.len, "charset", 7) != NULL;
}

static void put_tag(struct reducer *r, const char *open, struct slice name, const char *close)
{
	buf_puts(r->out, open);
	buf_append(r->out, name.p, name.len < NAME_BYTES_MAX ? name.len : NAME_BYTES_MAX);
	buf_puts(r->out, close);
}

static void start_tag(struct reducer *r)
{
	size_t start = r->at;
	struct slice name = read_name(r, start + 1);
	size_t end = skip_attributes(r, start + 1 + name.len);
	struct slice tag = {r->in.p + start, end - start};

	r->tags++;
	r->at = end;
	if (r->kind == MARKUP_HTML && is_raw(name)) {
		r->at = skip_raw(r, end, name);
		buf_putc(r->out, ' ');
	} else if (keeps_attributes(r, name, tag)) {
		buf_append(r->out, tag.p, tag.len);
	} else if (r->kind == MARKUP_XML && tag.len >= 2 && tag.p[tag.len - 2] == '/') {
		put_tag(r, "<", name, "/>");
	} else {
		put_tag(r, "<", name, ">");
	}
}

static void end_tag(struct reducer *r)
{
	struct slice name = read_name(r, r->at + 2);

	put_tag(r, "</", name, ">");
	r->at = skip_past(r, r->at + 2 + name.len, ">");
}

static void declaration(struct reducer *r)
{
	size_t start = r->at;

	if (starts_with(r, start, "<!--")) {
		/* "<!-->" is a whole comment. */
		r->at = skip_past(r, start + (peek(r, start + 4) == '>' ? 3 : 4), "-->");
		if (peek(r, start + 4) == '>')
			r->at = start + 5;
	} else if (r->kind == MARKUP_XML && starts_with(r, start, "<![CDATA[")) {
		r->at = skip_past(r, start, "]]>");
		buf_append(r->out, r->in.p + start, r->at - start);
	} else if (r->kind == MARKUP_XML && starts_with(r, start, "<?xml ") && r->out->len == 0) {
		r->at = skip_past(r, start, "?>");
		if (r->at - start <= KEPT_TAG_BYTES_MAX)
			buf_append(r->out, r->in.p + start, r->at - start);
	} else {
		r->at = skip_past(r, start, ">");
	}
}

/* True for &amp; and its like. A bare & is common in addresses, and no other entity is known once
 * the doctype is gone. */
static bool is_reference(struct slice s)
{
	static const char *const names[] = {"amp;", "lt;", "gt;", "quot;", "apos;"};
	size_t i = 1;

	for (size_t k = 0; k < ARRAY_LEN(names); k++) {
		size_t n = strlen(names[k]);

		if (s.len > n && memcmp(s.p + 1, names[k], n) == 0)
			return true;
	}
	if (s.len < 4 || s.p[1] != '#')
		return false;
	while (++i < s.len && i < 10) {
		if (s.p[i] == ';')
			return true;
	}
	return false;
}

static void text(struct reducer *r)
{
	const char *p = r->in.p + r->at;
	const char *next = memchr(p, '<', r->in.len - r->at);
	size_t n = next == NULL ? r->in.len - r->at : (size_t)(next - p);

	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\0')
			buf_putc(r->out, p[i]);
		if (p[i] == '&' && r->kind == MARKUP_XML &&
		    !is_reference((struct slice){p + i, n - i}))
			buf_puts(r->out, "amp;");
	}
	r->at += n;
}

size_t markup_reduce(struct slice in, enum markup kind, struct buf *out)
{
	struct reducer r = {.in = in, .kind = kind, .out = out};

	/* The parser for XML wants its declaration first; feeds often start with an empty line. */
	if (in.len >= 3 && memcmp(in.p, "\xef\xbb\xbf", 3) == 0)
		r.at = 3;
	while (kind == MARKUP_XML && is_blank(peek(&r, r.at)))
		r.at++;
	while (r.at < in.len) {
		char next = peek(&r, r.at + 1);

		if (in.p[r.at] != '<') {
			text(&r);
		} else if (ascii_is_alpha(next) || (kind == MARKUP_XML && next == '_')) {
			start_tag(&r);
		} else if (next == '/' && is_name_char(peek(&r, r.at + 2))) {
			end_tag(&r);
		} else if (next == '!' || next == '?' || next == '/') {
			declaration(&r);
		} else {
			buf_puts(out, "&lt;");
			r.at++;
		}
	}
	return r.tags;
}
