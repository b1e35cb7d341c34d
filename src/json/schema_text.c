#include "base/suggest.h"
#include "json/edge.h"
#include "json/schema_node.h"
#include "json/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELLIPSIS "..."

struct frame frame_key(const struct frame *up, struct slice key)
{
	return (struct frame){.up = up, .key = key, .depth = up ? up->depth + 1 : 1};
}

struct frame frame_index(const struct frame *up, size_t index)
{
	return (struct frame){.up = up, .index = index, .depth = up ? up->depth + 1 : 1};
}

static void append_token(struct buf *b, struct slice key, bool as_pointer)
{
	for (size_t i = 0; i < key.len; i++) {
		if (as_pointer && key.p[i] == '~')
			buf_puts(b, "~0");
		else if (as_pointer && key.p[i] == '/')
			buf_puts(b, "~1");
		else
			buf_putc(b, key.p[i]);
	}
}

static void append_path(struct buf *b, const struct frame *at, bool as_pointer)
{
	if (!at)
		return;
	append_path(b, at->up, as_pointer);
	if (as_pointer)
		buf_putc(b, '/');
	else if (b->len)
		buf_putc(b, '.');
	if (at->key.p)
		append_token(b, at->key, as_pointer);
	else
		buf_printf(b, "%zu", at->index);
}

/* As much as fits, whole characters only, and "..." where something is missing. */
static void copy_cut(char *out, size_t size, struct slice text)
{
	size_t n = text.len;

	if (n >= size) {
		n = size - sizeof(ELLIPSIS);
		while (n && ((unsigned char)text.p[n] & 0xC0) == 0x80)
			n--;
		memcpy(out + n, ELLIPSIS, sizeof(ELLIPSIS));
	} else {
		out[n] = '\0';
	}
	memcpy(out, text.p, n);
}

static void write_path(const struct frame *at, bool as_pointer, char *out, size_t size)
{
	struct buf b = BUF_INIT;

	append_path(&b, at, as_pointer);
	copy_cut(out, size, buf_slice(&b));
	buf_finish(&b);
}

void frame_dotted(const struct frame *at, char *out, size_t size)
{
	write_path(at, false, out, size);
}

void frame_pointer(const struct frame *at, char *out, size_t size)
{
	write_path(at, true, out, size);
}

char *frame_whole_pointer(const struct frame *at)
{
	struct buf b = BUF_INIT;

	append_path(&b, at, true);
	return buf_steal(&b);
}

void text_append(struct schema_fault *f, const char *fmt, ...)
{
	size_t used = strlen(f->text);
	char *added;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&added, fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	if (sizeof(f->text) - used > sizeof(ELLIPSIS))
		copy_cut(f->text + used, sizeof(f->text) - used, slice_of(added));
	free(added);
}

void text_types(struct schema_fault *f, unsigned types, const json_t *value)
{
	static const char *const WORDS[] = {"a string",      "a number",  "a whole number",
					    "true or false", "an object", "an array",
					    "null"};
	size_t left;

	if (types & TYPE_NUMBER)
		types &= ~(unsigned)TYPE_INTEGER;
	left = (size_t)__builtin_popcount(types);
	text_append(f, "must be ");
	for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
		if (!(types & 1U << i))
			continue;
		left--;
		text_append(f, "%s%s", WORDS[i], left > 1 ? ", " : left ? " or " : "");
	}
	if (!(json_is_number(value) && types & TYPE_INTEGER))
		text_append(f, ", not %s", type_words(value));
}

void text_choices(struct schema_fault *f, const struct value_list *choices)
{
	struct buf b = BUF_INIT;
	size_t room = sizeof(f->text) - strlen(f->text) - 32;

	buf_puts(&b, choices->n == 1 ? "must be " : "must be one of ");
	for (size_t i = 0; i < choices->n; i++) {
		size_t before = b.len;

		if (i)
			buf_puts(&b, ", ");
		edge_dump(choices->p[i], false, &b);
		if (b.len > room && i) {
			b.len = before;
			buf_puts(&b, ", " ELLIPSIS);
			break;
		}
	}
	text_append(f, "%s", buf_text(&b));
	buf_finish(&b);
}

void text_constant(struct schema_fault *f, const json_t *constant)
{
	struct value_list one = {.p = &constant, .n = 1};

	text_choices(f, &one);
}

void text_bound(struct schema_fault *f, const char *words, const struct bound *bound)
{
	char number[MONEY_TEXT_SIZE];

	decimal_text(bound->as_decimal, number);
	text_append(f, "must be %s %s", words, number);
}

void text_step(struct schema_fault *f, const struct bound *step)
{
	static const char *const COUNTS[] = {"", "one", "two", "three", "four", "five", "six"};
	struct decimal d = step->as_decimal;

	if (d.digits == 1 && d.scale == 0)
		text_append(f, "must be a whole number");
	else if (d.digits == 1 && d.scale < ARRAY_LEN(COUNTS))
		text_append(f, "has more than %s decimal%s", COUNTS[d.scale],
			    d.scale == 1 ? "" : "s");
	else
		text_bound(f, "a multiple of", step);
}

void text_count(struct schema_fault *f, const char *words, size_t count, const char *noun,
		const char *nouns)
{
	text_append(f, "must have %s %zu %s", words, count, count == 1 ? noun : nouns);
}

void text_suggestion(struct schema_fault *f, struct slice name, const struct property_list *names)
{
	CLEANUP(free_charp) char *typed = xstrndup(name.p, name.len);
	struct suggestion s;

	suggestion_init(&s, typed);
	for (size_t i = 0; i < names->n; i++)
		suggestion_offer(&s, names->p[i].name.p);
	if (s.found)
		text_append(f, "; did you mean %s?", s.found);
}

void text_forbidden(struct schema_fault *f, const struct name_list *names)
{
	for (size_t i = 0; i < names->n; i++)
		text_append(f, "%s%.*s", i ? " and " : "must not have ", (int)names->p[i].len,
			    names->p[i].p);
	text_append(f, " at once");
}
