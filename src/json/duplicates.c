/*
 * Keys that stand twice in an object. Readers disagree on which of them counts, so edge_parse
 * refuses such a text at the first; here all are found, with their places.
 */

#include "base/buf.h"
#include "base/limits.h"
#include "json/edge.h"
#include "json/reader.h"
#include "json/schema_node.h"

#include <string.h>

#define POINTER_SIZE 1024

/* Over a text that is known to be JSON. */
struct scan {
	struct slice text;
	size_t at;
	size_t lines, counted_to; /* line breaks before that offset */
	size_t depth;
	struct faults *out;
};

static char here(const struct scan *s)
{
	return s->at < s->text.len ? s->text.p[s->at] : '\0';
}

static void skip_blanks(struct scan *s)
{
	while (s->at < s->text.len && strchr(" \t\r\n", s->text.p[s->at]))
		s->at++;
}

/* The token, quotes and all. */
static struct slice skip_string(struct scan *s)
{
	size_t start = s->at++;

	while (s->at < s->text.len && here(s) != '"')
		s->at += here(s) == '\\' ? 2 : 1;
	s->at++;
	CHECK(s->at <= s->text.len);
	return (struct slice){.p = s->text.p + start, .len = s->at - start};
}

static void scan_value(struct scan *s, const struct frame *at);

static size_t line_of(struct scan *s)
{
	for (; s->counted_to < s->at; s->counted_to++)
		s->lines += s->text.p[s->counted_to] == '\n';
	return s->lines + 1;
}

static void say_twice(struct scan *s, const struct frame *at)
{
	char place[POINTER_SIZE];

	if (s->out->count >= CONFIG_FAULTS_MAX)
		return;
	frame_pointer(at, place, sizeof(place));
	faults_add(s->out, place, "stands twice: again on line %zu", line_of(s));
}

static void scan_member(struct scan *s, const struct frame *at, json_t *seen)
{
	CLEANUP(edge_decref) json_t *key = edge_parse(skip_string(s), NULL);
	struct frame member;

	CHECK(json_is_string(key));
	member = frame_key(at, edge_slice(key));
	if (json_object_get(seen, json_string_value(key)))
		say_twice(s, &member);
	CHECK(json_object_set_new(seen, json_string_value(key), json_true()) == 0);
	skip_blanks(s);
	s->at++; /* the colon */
	scan_value(s, &member);
}

static void scan_object(struct scan *s, const struct frame *at)
{
	CLEANUP(edge_decref) json_t *seen = json_object();

	s->at++;
	skip_blanks(s);
	while (here(s) == '"') {
		scan_member(s, at, seen);
		if (here(s) == ',')
			s->at++;
		skip_blanks(s);
	}
	s->at++;
}

static void scan_array(struct scan *s, const struct frame *at)
{
	size_t i = 0;

	s->at++;
	skip_blanks(s);
	while (here(s) && here(s) != ']') {
		struct frame item = frame_index(at, i++);

		scan_value(s, &item);
		if (here(s) == ',')
			s->at++;
	}
	s->at++;
}

/* Also the blanks around it. */
static void scan_value(struct scan *s, const struct frame *at)
{
	CHECK(++s->depth <= RPC_DEPTH_MAX + 1);
	skip_blanks(s);
	if (here(s) == '{')
		scan_object(s, at);
	else if (here(s) == '[')
		scan_array(s, at);
	else if (here(s) == '"')
		(void)skip_string(s);
	else
		while (here(s) && !strchr(",]} \t\r\n", here(s)))
			s->at++;
	skip_blanks(s);
	s->depth--;
}

json_t *edge_parse_all(struct slice text, struct faults *duplicates, struct err *err)
{
	struct scan scan = {.text = text, .out = duplicates};
	enum reader_fault fault;
	size_t at;
	json_t *value = edge_parse(text, NULL);

	if (value)
		return value;
	/* Without a duplicate it is refused for the same reason as before; with one, for what else
	 * is wrong. */
	value = reader_parse_lax(text, &fault, &at);
	if (!value) {
		reader_say(text, fault, at, err);
		return NULL;
	}
	scan_value(&scan, NULL);
	CHECK(duplicates->count);
	return value;
}
