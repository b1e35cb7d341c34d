/*
 * Keys that stand twice in an object. Readers disagree on which of them counts, so edge_parse
 * refuses such a text at the first; here all are found, with their places.
 */

#include "base/buf.h"
#include "base/limits.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

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

static void scan_value(struct scan *s, const char *pointer);

static size_t line_of(struct scan *s)
{
	for (; s->counted_to < s->at; s->counted_to++)
		s->lines += s->text.p[s->counted_to] == '\n';
	return s->lines + 1;
}

static void scan_member(struct scan *s, const char *pointer, json_t *seen)
{
	CLEANUP(edge_decref) json_t *key = NULL;
	CLEANUP(free_charp) char *place = NULL;

	key = edge_parse(skip_string(s), NULL);
	CHECK(json_is_string(key));
	place = pointer_below(pointer, json_string_value(key));
	if (json_object_get(seen, json_string_value(key)))
		faults_add(s->out, place, "stands twice: again on line %zu", line_of(s));
	CHECK(json_object_set_new(seen, json_string_value(key), json_true()) == 0);
	skip_blanks(s);
	s->at++; /* the colon */
	scan_value(s, place);
}

static void scan_object(struct scan *s, const char *pointer)
{
	CLEANUP(edge_decref) json_t *seen = json_object();

	s->at++;
	skip_blanks(s);
	while (here(s) == '"') {
		scan_member(s, pointer, seen);
		if (here(s) == ',')
			s->at++;
		skip_blanks(s);
	}
	s->at++;
}

static void scan_array(struct scan *s, const char *pointer)
{
	size_t i = 0;

	s->at++;
	skip_blanks(s);
	while (here(s) && here(s) != ']') {
		CLEANUP(free_charp) char *place = xasprintf("%s/%zu", pointer, i++);

		scan_value(s, place);
		if (here(s) == ',')
			s->at++;
	}
	s->at++;
}

/* Also the blanks around it. */
static void scan_value(struct scan *s, const char *pointer)
{
	CHECK(++s->depth <= RPC_DEPTH_MAX + 1);
	skip_blanks(s);
	if (here(s) == '{')
		scan_object(s, pointer);
	else if (here(s) == '[')
		scan_array(s, pointer);
	else if (here(s) == '"')
		(void)skip_string(s);
	else
		while (here(s) && !strchr(",]} \t\r\n", here(s)))
			s->at++;
	skip_blanks(s);
	s->depth--;
}

static size_t depth_of(struct slice text)
{
	size_t depth = 0, most = 0;
	bool is_text = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (is_text && c == '\\')
			i++;
		else if (c == '"')
			is_text = !is_text;
		else if (!is_text && (c == '{' || c == '['))
			most = ++depth > most ? depth : most;
		else if (!is_text && (c == '}' || c == ']'))
			depth--;
	}
	return most;
}

json_t *edge_parse_all(struct slice text, struct faults *duplicates, struct err *err)
{
	struct scan scan = {.text = text, .out = duplicates};
	struct err first = ERR_INIT;
	json_t *value = edge_parse(text, &first);
	json_error_t fault;

	if (value)
		return value;
	/* Without a duplicate it is refused for the same reason as before. */
	value = json_loadb(text.p ? text.p : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
			   &fault);
	if (value && depth_of(text) <= RPC_DEPTH_MAX)
		scan_value(&scan, "");
	if (value && duplicates->count)
		return value;
	json_decref(value);
	if (!value && strstr(first.text, "duplicate"))
		err_set(err, "line %d, column %d: not JSON from here on", fault.line, fault.column);
	else
		err_set(err, "%s", first.text);
	return NULL;
}
