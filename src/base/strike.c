#include "base/strike.h"

#include <stdlib.h>
#include <string.h>

/* How a text is read. */
enum reading {
	READING_TEXT,
	READING_JSON, /* within a string of JSON: nothing is taken from the middle of an escape */
};

struct match {
	size_t at;
	size_t len; /* 0: none */
	bool is_base64;
};

/* Of a byte of a text, in struct strike. */
enum {
	KIND_FIRST = 1,   /* a form begins with it */
	KIND_SPECIAL = 2, /* it may stand for another byte, alone or with what follows */
};

static void add_form(struct strike *s, const char *secret, size_t len, int skip);

void strike_add(struct strike *s, const char *secret, size_t len)
{
	/* A secret begins at the first, second or third byte of a group of base64. */
	static const int SKIPS[] = {-1, 0, 4, 2};

	if (len < STRIKE_BYTES_MIN)
		return;
	s->kind['\\'] |= KIND_SPECIAL;
	s->kind['%'] |= KIND_SPECIAL;
	s->kind['&'] |= KIND_SPECIAL;
	if (memchr(secret, ' ', len))
		s->kind['+'] |= KIND_SPECIAL;
	for (size_t i = 0; i < ARRAY_LEN(SKIPS); i++)
		add_form(s, secret, len, SKIPS[i]);
}

void strike_finish(struct strike *s)
{
	free(s->forms);
	*s = (struct strike){.forms = NULL};
}

static size_t form_len(const struct strike_form *f)
{
	return f->skip < 0 ? f->len : (8 * f->len - (size_t)f->skip) / 6;
}

/* Computed where it is needed: no other copy of the secret is made. */
static unsigned char form_at(const struct strike_form *f, size_t i)
{
	static const char LETTERS[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)f->secret;
	size_t bit, byte;
	unsigned pair;

	if (f->skip < 0)
		return p[i];
	bit = (size_t)f->skip + 6 * i;
	byte = bit / 8;
	pair = (unsigned)p[byte] << 8 | (byte + 1 < f->len ? p[byte + 1] : 0);
	return (unsigned char)LETTERS[pair >> (10 - bit % 8) & 63];
}

/* Base64 has a second alphabet, for URLs. */
static unsigned char other_letter(const struct strike_form *f, unsigned char c)
{
	if (f->skip < 0)
		return c;
	return c == '+' ? '-' : c == '/' ? '_' : c;
}

static unsigned begin_hash(unsigned char a, unsigned char b, unsigned char c)
{
	return (a * 961u + b * 31u + c) % (STRIKE_BEGIN_WORDS * 64u);
}

/* Each letter in either alphabet. */
static void add_begins(struct strike *s, const struct strike_form *f)
{
	for (unsigned n = 0; n < 8; n++) {
		unsigned char p[3];
		unsigned hash;

		for (unsigned i = 0; i < 3; i++) {
			p[i] = form_at(f, i);
			if (n >> i & 1)
				p[i] = other_letter(f, p[i]);
		}
		hash = begin_hash(p[0], p[1], p[2]);
		s->kind[p[0]] |= KIND_FIRST;
		s->begins[hash / 64] |= (uint64_t)1 << hash % 64;
	}
}

static void add_form(struct strike *s, const char *secret, size_t len, int skip)
{
	struct strike_form f = {.secret = secret, .len = len, .skip = skip};
	int *first = &s->first[form_at(&f, 0)];

	for (size_t i = 0; skip < 0 && i < len; i++)
		f.is_ambiguous = f.is_ambiguous || strchr("\\%&+", secret[i]);
	add_begins(s, &f);
	f.next = *first - 1;
	s->forms = xrealloc_array(s->forms, s->count + 1, sizeof(*s->forms));
	s->forms[s->count++] = f;
	*first = (int)s->count;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The value of n hex digits; -1: they are not there. */
static int hex_value(const char *t, size_t len, size_t i, size_t n)
{
	int value = 0;

	if (len - i < n)
		return -1;
	for (size_t end = i + n; i < end; i++) {
		int digit = hex_digit(t[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* c behind a run of backslashes, one for each time that it was escaped. A backslash itself is a
 * run; in JSON only whole pairs of it, as an odd one belongs to what follows. */
static size_t escaped(const char *t, size_t len, size_t i, unsigned char c, enum reading reading)
{
	static const char NAMES[] = "nrtbf", VALUES[] = "\n\r\t\b\f";
	size_t run = 0;
	const char *name;

	while (i + run < len && t[i + run] == '\\')
		run++;
	if (i + run < len && t[i + run] == 'u' && hex_value(t, len, i + run + 1, 4) == c)
		return run + 5;
	if (c == '\\')
		return reading == READING_JSON ? run & ~(size_t)1 : run;
	if (i + run == len)
		return 0;
	name = strchr(NAMES, t[i + run]);
	if (name && *name && VALUES[name - NAMES] == (char)c)
		return run + 1;
	return (c == '"' || c == '/' || c == '\'') && t[i + run] == (char)c ? run + 1 : 0;
}

static size_t percented(const char *t, size_t len, size_t i, unsigned char c)
{
	size_t at = i + 1;

	/* The percent sign of an encoding may be encoded in turn. */
	while (c != '%' && hex_value(t, len, at, 2) == '%')
		at += 2;
	return hex_value(t, len, at, 2) == c ? at + 2 - i : 0;
}

/* The byte that an entity of HTML stands for, and its length; 0: there is none. */
static unsigned char entity(const char *t, size_t len, size_t i, size_t *out_len)
{
	static const struct {
		unsigned char c;
		const char *text;
	} ENTITIES[] = {{'&', "&amp;"},  {'<', "&lt;"},   {'>', "&gt;"},    {'"', "&quot;"},
			{'"', "&#34;"},  {'\'', "&#39;"}, {'\'', "&#x27;"}, {'\'', "&apos;"},
			{'/', "&#x2F;"}, {'+', "&#43;"},  {'=', "&#x3D;"}};

	*out_len = 0;
	if (len - i < 4 || !strchr("alqg#", t[i + 1]))
		return 0;
	for (size_t n = 0; n < ARRAY_LEN(ENTITIES); n++) {
		*out_len = strlen(ENTITIES[n].text);
		if (len - i >= *out_len && memcmp(t + i, ENTITIES[n].text, *out_len) == 0)
			return ENTITIES[n].c;
	}
	*out_len = 0;
	return 0;
}

/* The bytes that may be meant where the first of a form is encoded; returns how many. */
static size_t decode(const char *t, size_t len, size_t i, unsigned char out[2])
{
	static const char NAMES[] = "nrtbf\"/'", VALUES[] = "\n\r\t\b\f\"/'";
	size_t count = 0, size, at = i + 1;
	const char *name;
	int value, next;

	switch (t[i]) {
	case '\\':
		while (at < len && t[at] == '\\')
			at++;
		out[count++] = '\\';
		name = at < len && t[at] ? strchr(NAMES, t[at]) : NULL;
		value = at < len && t[at] == 'u' ? hex_value(t, len, at + 1, 4) : -1;
		if (name)
			out[count++] = (unsigned char)VALUES[name - NAMES];
		else if (value >= 0 && value < 0x80)
			out[count++] = (unsigned char)value;
		return count;
	case '%':
		value = hex_value(t, len, at, 2);
		if (value == '%')
			out[count++] = '%';
		while (value == '%' && (next = hex_value(t, len, at + 2, 2)) >= 0) {
			value = next;
			at += 2;
		}
		if (value >= 0)
			out[count++] = (unsigned char)value;
		return count;
	case '&':
		out[0] = entity(t, len, i, &size);
		return size > 0;
	default:
		out[0] = ' '; /* a plus of a form */
		return 1;
	}
}

/* How many bytes at i are c, encoded; 0: it is not. */
static size_t encoded(const char *t, size_t len, size_t i, unsigned char c, enum reading reading)
{
	size_t size;

	switch (t[i]) {
	case '\\':
		return escaped(t, len, i, c, reading);
	case '%':
		return percented(t, len, i, c);
	case '&':
		return entity(t, len, i, &size) == c ? size : 0;
	case '+':
		return c == ' ';
	default:
		return 0;
	}
}

static size_t unit(const char *t, size_t len, size_t i, unsigned char c, enum reading reading,
		   bool is_plain_first)
{
	bool is_plain = (unsigned char)t[i] == c && c != '\\';
	size_t n;

	if (is_plain && is_plain_first)
		return 1;
	n = encoded(t, len, i, c, reading);
	return n ? n : is_plain;
}

/* How much of the text at i the form takes up; 0: it does not stand there. */
static size_t match_form(const struct strike_form *f, const char *t, size_t len, size_t i,
			 enum reading reading, bool is_plain_first)
{
	size_t wanted = form_len(f), from = i;

	for (size_t n = 0; n < wanted; n++) {
		unsigned char c = form_at(f, n);
		size_t step = 0;

		if (i >= len)
			return reading == READING_TEXT && n >= STRIKE_CUT_BYTES ? len - from : 0;
		step = unit(t, len, i, c, reading, is_plain_first);
		if (!step && (unsigned char)t[i] == other_letter(f, c))
			step = 1;
		if (!step)
			return 0;
		i += step;
	}
	return i - from;
}

static void try_forms(const struct strike *s, int first, const char *t, size_t len, size_t i,
		      enum reading reading, struct match *out)
{
	for (int n = first - 1; n >= 0; n = s->forms[n].next) {
		const struct strike_form *f = &s->forms[n];
		size_t size = match_form(f, t, len, i, reading, true);

		if (!size && f->is_ambiguous)
			size = match_form(f, t, len, i, reading, false);
		if (size > out->len)
			*out = (struct match){.at = i, .len = size, .is_base64 = f->skip >= 0};
	}
}

/* The longest form that stands at i. */
static struct match match_at(const struct strike *s, const char *t, size_t len, size_t i,
			     enum reading reading)
{
	unsigned char c = (unsigned char)t[i];
	struct match found = {.len = 0};
	unsigned char firsts[2];
	size_t n;

	try_forms(s, s->first[c], t, len, i, reading, &found);
	if (c == '-')
		try_forms(s, s->first['+'], t, len, i, reading, &found);
	else if (c == '_')
		try_forms(s, s->first['/'], t, len, i, reading, &found);
	if (found.len || !(s->kind[c] & KIND_SPECIAL))
		return found;
	n = decode(t, len, i, firsts);
	for (size_t k = 0; k < n; k++)
		try_forms(s, s->first[firsts[k]], t, len, i, reading, &found);
	return found;
}

/* Whether a form may begin here: most of a text is passed over by this. A run of backslashes is
 * looked at once, at its begin: what it stands for does not depend on its length. */
static bool may_begin(const struct strike *s, const char *t, size_t len, size_t i)
{
	const unsigned char *p = (const unsigned char *)t + i;
	unsigned hash;

	if (!s->kind[p[0]])
		return false;
	if (p[0] == '\\')
		return i == 0 || t[i - 1] != '\\';
	if (s->kind[p[0]] & KIND_SPECIAL)
		return true;
	if (len - i < 3)
		return false;
	hash = begin_hash(p[0], p[1], p[2]);
	return (s->begins[hash / 64] >> hash % 64 & 1) ||
	       ((s->kind[p[1]] | s->kind[p[2]]) & KIND_SPECIAL);
}

static bool has_any(const struct strike *s, const char *t, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (may_begin(s, t, len, i) && match_at(s, t, len, i, READING_TEXT).len)
			return true;
	}
	return false;
}

/* What is passed over at once, where nothing is struck. */
static size_t step_at(const char *t, size_t len, size_t i, enum reading reading)
{
	if (reading == READING_JSON && t[i] == '\\' && i + 1 < len)
		return t[i + 1] == 'u' && len - i >= 6 ? 6 : 2;
	return 1;
}

/* Copies text to out, which is not behind it, without what is struck; returns how much it wrote. */
static size_t strike_span(const struct strike *s, const char *t, size_t len, enum reading reading,
			  char *out)
{
	size_t written = 0, i = 0;

	while (i < len) {
		struct match m = {.len = 0};
		size_t step;

		if (may_begin(s, t, len, i))
			m = match_at(s, t, len, i, reading);
		step = m.len ? m.len : step_at(t, len, i, reading);
		if (!m.len) {
			memmove(out + written, t + i, step);
			written += step;
		} else if (m.is_base64) {
			memset(out + written, 'x', step);
			written += step;
		} else {
			memcpy(out + written, STRUCK, strlen(STRUCK));
			written += strlen(STRUCK);
		}
		i += step;
	}
	return written;
}

size_t strike_text(const struct strike *s, char *text, size_t len)
{
	if (!s->count || !has_any(s, text, len))
		return len;
	return strike_span(s, text, len, READING_TEXT, text);
}

/* Behind the string whose opening quote is in front of i. */
static size_t string_end(const char *json, size_t len, size_t i)
{
	while (i < len && json[i] != '"')
		i += json[i] == '\\' && i + 1 < len ? 2 : 1;
	return i;
}

static bool is_number(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static bool is_secret(const struct strike *s, const char *t, size_t len)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct strike_form *f = &s->forms[i];

		if (f->skip < 0 && f->len == len && memcmp(f->secret, t, len) == 0)
			return true;
	}
	return false;
}

/* Writes the number at i; *end is behind it. */
static size_t strike_number(const struct strike *s, const char *json, size_t len, size_t i,
			    size_t *end, char *out)
{
	size_t size = 0;

	while (i + size < len && is_number(json[i + size]))
		size++;
	*end = i + size;
	if (is_secret(s, json + i, size)) {
		memcpy(out, "null", 4);
		return 4;
	}
	memmove(out, json + i, size);
	return size;
}

size_t strike_json(const struct strike *s, char *json, size_t len)
{
	size_t written = 0, i = 0, end;

	if (!s->count || !has_any(s, json, len))
		return len;
	while (i < len) {
		if (json[i] == '"') {
			end = string_end(json, len, i + 1);
			json[written++] = '"';
			written += strike_span(s, json + i + 1, end - i - 1, READING_JSON,
					       json + written);
			if (end < len)
				json[written++] = '"';
			i = end < len ? end + 1 : len;
		} else if (is_number(json[i]) && json[i] != 'e' && json[i] != 'E') {
			written += strike_number(s, json, len, i, &end, json + written);
			i = end;
		} else {
			json[written++] = json[i++];
		}
	}
	return written;
}
