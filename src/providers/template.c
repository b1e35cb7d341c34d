#include "providers/template.h"

#include "base/limits.h"
#include "base/secret.h"
#include "json/edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CHARS       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define UNRESERVED_MARKS "-._~"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Percent-encodes what is not in keep. */
static void encode(struct slice text, const char *keep, struct buf *out)
{
	static const char HEX[] = "0123456789ABCDEF";
	bool is_kept[256] = {false};
	char run[3 * 256];
	size_t n = 0;

	for (int c = 1; c < 256; c++)
		is_kept[c] = is_alnum((char)c) || strchr(keep, c);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (is_kept[c]) {
			run[n++] = (char)c;
		} else {
			run[n++] = '%';
			run[n++] = HEX[c >> 4];
			run[n++] = HEX[c & 15];
		}
		if (n > sizeof(run) - 3) {
			buf_append(out, run, n);
			n = 0;
		}
	}
	buf_append(out, run, n);
	explicit_bzero(run, sizeof(run));
}

void percent_encode(struct slice text, struct buf *out)
{
	encode(text, UNRESERVED_MARKS, out);
}

static void add_part(struct template *t, enum template_part_kind kind, TAKES char *text)
{
	t->parts = xrealloc_array(t->parts, t->count + 1, sizeof(*t->parts));
	t->parts[t->count++] = (struct template_part){.kind = kind, .text = text};
}

static void flush_text(struct template *t, struct buf *text)
{
	if (text->len)
		add_part(t, TEMPLATE_TEXT, buf_steal(text));
}

/* "name" or "company.domain". */
static bool is_argument_name(struct slice name)
{
	size_t depth = 1, run = 0;

	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] == '.') {
			depth++;
			if (run == 0)
				return false;
			run = 0;
		} else if (!name.p[i] || !strchr(NAME_CHARS, name.p[i])) {
			return false;
		} else {
			run++;
		}
	}
	return run > 0 && depth <= TEMPLATE_DEPTH_MAX && name.len <= TEMPLATE_NAME_BYTES_MAX;
}

static bool read_argument(struct template *t, struct slice name, unsigned may, struct err *err)
{
	if (!is_argument_name(name))
		return err_set(err,
			       "{%.*s} does not name an argument; a brace is written as {{ or }}",
			       (int)(name.len < 64 ? name.len : 64), name.p);
	if (!(may & TEMPLATE_MAY_ARGUMENT))
		return err_set(err, "the argument {%.*s} cannot stand here", (int)name.len, name.p);
	add_part(t, TEMPLATE_ARGUMENT, xstrndup(name.p, name.len));
	return true;
}

static bool read_secret(struct template *t, const char *name, struct err *err)
{
	char *value = NULL;

	if (!secret_from_env(name, &value, err))
		return false;
	if (!value)
		return err_set(err, "%s is not set in the environment (nor %s_FILE)", name, name);
	add_part(t, TEMPLATE_SECRET, value);
	return true;
}

/* What stands between "${" and "}". */
static bool read_named(struct template *t, struct slice what, unsigned may, struct err *err)
{
	const char *colon = memchr(what.p, ':', what.len);
	struct slice kind = {.p = what.p, .len = colon ? (size_t)(colon - what.p) : 0};
	CLEANUP(free_charp) char *name = NULL;

	if (colon)
		name = xstrndup(colon + 1, what.len - kind.len - 1);
	if (!name || !*name || strspn(name, NAME_CHARS) != strlen(name) ||
	    !(slice_eq(kind, "env") || slice_eq(kind, "session")))
		return err_set(err, "${%.*s} is neither ${env:NAME} nor ${session:NAME}",
			       (int)(what.len < 64 ? what.len : 64), what.p);
	if (slice_eq(kind, "env")) {
		if (!(may & TEMPLATE_MAY_SECRET))
			return err_set(err, "${env:%s} cannot stand here", name);
		return read_secret(t, name, err);
	}
	if (!(may & TEMPLATE_MAY_SESSION))
		return err_set(err, "${session:%s} cannot stand here", name);
	add_part(t, TEMPLATE_SESSION, name);
	name = NULL;
	return true;
}

/* At a brace or dollar; *at moves behind what was read. */
static bool read_brace(struct template *t, struct slice text, size_t *at, struct buf *plain,
		       unsigned may, struct err *err)
{
	const char *p = text.p + *at;
	size_t left = text.len - *at;
	bool is_named = *p == '$';
	struct slice inside;
	const char *end;

	if (!is_named && left > 1 && p[1] == *p) {
		buf_putc(plain, *p);
		*at += 2;
		return true;
	}
	end = memchr(p, '}', left);
	if (*p == '}' || !end)
		return err_set(err, "a single %c; a brace is written as {{ or }}",
			       *p == '}' ? '}' : '{');
	inside.p = p + (is_named ? 2 : 1);
	inside.len = (size_t)(end - inside.p);
	*at += (size_t)(end - p) + 1;
	flush_text(t, plain);
	if (is_named)
		return read_named(t, inside, may, err);
	return read_argument(t, inside, may, err);
}

static bool is_special(struct slice text, size_t at)
{
	if (text.p[at] == '$')
		return at + 1 < text.len && text.p[at + 1] == '{' &&
		       !(at + 2 < text.len && text.p[at + 2] == '{');
	return text.p[at] == '{' || text.p[at] == '}';
}

bool template_read(struct slice text, unsigned may, struct template *out, struct err *err)
{
	struct template t = {.parts = NULL};
	struct buf plain = BUF_INIT;
	bool is_good = true;
	size_t at = 0;

	while (is_good && at < text.len) {
		if (is_special(text, at))
			is_good = read_brace(&t, text, &at, &plain, may, err);
		else
			buf_putc(&plain, text.p[at++]);
	}
	flush_text(&t, &plain);
	buf_finish(&plain);
	if (!is_good) {
		template_finish(&t);
		return false;
	}
	*out = t;
	return true;
}

void template_finish(struct template *t)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->parts[i].kind == TEMPLATE_SECRET)
			secret_free(t->parts[i].text);
		else
			free(t->parts[i].text);
	}
	free(t->parts);
	*t = (struct template){.parts = NULL};
}

bool template_has(const struct template *t, enum template_part_kind kind)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->parts[i].kind == kind)
			return true;
	}
	return false;
}

bool template_is_argument(const struct template *t)
{
	return t->count == 1 && t->parts[0].kind == TEMPLATE_ARGUMENT;
}

bool template_leaks(const struct template *t, struct slice text)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct template_part *part = &t->parts[i];

		if (part->kind == TEMPLATE_SECRET && text.len &&
		    memmem(text.p, text.len, part->text, strlen(part->text)))
			return true;
	}
	return false;
}

json_t *template_argument(const struct template_part *part, json_t *arguments)
{
	const char *name = part->text;
	json_t *value = arguments;

	CHECK(part->kind == TEMPLATE_ARGUMENT);
	while (value && *name) {
		size_t len = strcspn(name, ".");

		value = json_object_getn(value, name, len);
		name += len + (name[len] == '.');
	}
	return json_is_null(value) ? NULL : value;
}

static enum template_outcome unfit(struct template_fault *fault, const char *name, const char *text)
{
	(void)snprintf(fault->field, sizeof(fault->field), "%s", name);
	(void)snprintf(fault->text, sizeof(fault->text), "%s", text);
	return TEMPLATE_UNFIT;
}

/* A server may decode once more than it should, so what reads as a slash or a dot then is refused,
 * too. */
static bool may_stand_in_segment(struct slice text)
{
	static const char *const HIDDEN[] = {"%2e", "%2f", "%5c", "%00"};

	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '/' || text.p[i] == '\\' || is_control(text.p[i]))
			return false;
		for (size_t k = 0; k < ARRAY_LEN(HIDDEN) && text.len - i >= 3; k++) {
			if (strncasecmp(text.p + i, HIDDEN[k], 3) == 0)
				return false;
		}
	}
	return !slice_eq(text, ".") && !slice_eq(text, "..");
}

/* Looked at before the work of encoding: out, which is being built, can have so many bytes. */
static enum template_outcome check_length(struct slice text, enum template_place place,
					  const struct buf *out, struct template_fault *fault)
{
	size_t max = PROVIDER_SENT_BYTES_MAX;
	const char *words = "the arguments make the body too long";

	switch (place) {
	case PLACE_SEGMENT:
	case PLACE_QUERY:
	case PLACE_URL:
		max = PROVIDER_URL_BYTES_MAX;
		words = "the arguments make the URL too long";
		break;
	case PLACE_HEADER:
		max = PROVIDER_HEADER_BYTES_MAX;
		words = "the arguments make a header too long";
		break;
	case PLACE_FORM:
	case PLACE_TEXT:
		break;
	}
	if (out->len <= max && text.len <= max - out->len)
		return TEMPLATE_OK;
	return unfit(fault, "", words);
}

static enum template_outcome put(struct slice text, enum template_place place, const char *name,
				 struct buf *out, struct template_fault *fault)
{
	if (check_length(text, place, out, fault) != TEMPLATE_OK)
		return TEMPLATE_UNFIT;
	switch (place) {
	case PLACE_SEGMENT:
		if (!text.len)
			return unfit(fault, name, "must not be empty");
		if (!may_stand_in_segment(text))
			return unfit(fault, name,
				     "must not hold a slash, a backslash, a dot segment or a "
				     "control character");
		percent_encode(text, out);
		return TEMPLATE_OK;
	case PLACE_QUERY:
	case PLACE_FORM:
	case PLACE_URL:
		percent_encode(text, out);
		return TEMPLATE_OK;
	case PLACE_HEADER:
		for (size_t i = 0; i < text.len; i++) {
			if (is_control(text.p[i]))
				return unfit(fault, name, "must not hold a control character");
		}
		break;
	case PLACE_TEXT:
		break;
	}
	buf_append(out, text.p, text.len);
	return TEMPLATE_OK;
}

enum template_outcome template_fill_value(const json_t *value, enum template_place place,
					  const char *name, struct buf *out,
					  struct template_fault *fault)
{
	enum template_outcome outcome;
	struct buf text = BUF_INIT;

	if (json_is_string(value))
		return put(edge_slice(value), place, name, out, fault);
	if (place != PLACE_TEXT && (json_is_object(value) || json_is_array(value)))
		return unfit(fault, name, "must be a text, a number or a boolean");
	edge_dump(value, false, &text);
	outcome = put(buf_slice(&text), place, name, out, fault);
	buf_finish(&text);
	return outcome;
}

/* The template's own text: the operator's, who knows where a slash is wanted. */
static void put_own(const struct template_part *part, enum template_place place, struct buf *out)
{
	struct slice text = slice_of(part->text);
	bool is_secret = part->kind == TEMPLATE_SECRET;

	switch (place) {
	case PLACE_SEGMENT:
	case PLACE_URL:
		if (is_secret)
			percent_encode(text, out);
		else
			encode(text, UNRESERVED_MARKS "%!$&'()*+,;=:@/?[]", out);
		return;
	case PLACE_QUERY:
	case PLACE_FORM:
		percent_encode(text, out);
		return;
	case PLACE_HEADER:
	case PLACE_TEXT:
		buf_append(out, text.p, text.len);
		return;
	}
}

static enum template_outcome fill_part(const struct template_part *part, enum template_place place,
				       json_t *arguments, const char *session, struct buf *out,
				       struct template_fault *fault)
{
	const json_t *value;

	switch (part->kind) {
	case TEMPLATE_TEXT:
	case TEMPLATE_SECRET:
		put_own(part, place, out);
		return TEMPLATE_OK;
	case TEMPLATE_SESSION:
		if (session)
			return put(slice_of(session), place, "session", out, fault);
		(void)unfit(fault, "session", "is not connected");
		return TEMPLATE_MISSING;
	case TEMPLATE_ARGUMENT:
		value = template_argument(part, arguments);
		if (value)
			return template_fill_value(value, place, part->text, out, fault);
		(void)unfit(fault, part->text, "is needed by this tool's provider");
		return TEMPLATE_MISSING;
	}
	die("template part %d", (int)part->kind);
}

enum template_outcome template_fill(const struct template *t, enum template_place place,
				    json_t *arguments, const char *session, struct buf *out,
				    struct template_fault *fault)
{
	size_t start = out->len;
	const char *last = NULL;

	for (size_t i = 0; i < t->count; i++) {
		const struct template_part *part = &t->parts[i];
		enum template_outcome outcome;

		outcome = fill_part(part, place, arguments, session, out, fault);
		if (outcome != TEMPLATE_OK)
			return outcome;
		if (part->kind == TEMPLATE_ARGUMENT)
			last = part->text;
	}
	/* "{a}{b}" with a dot in each. */
	if (place == PLACE_SEGMENT && last) {
		struct slice made = {.p = out->p + start, .len = out->len - start};

		if (slice_eq(made, ".") || slice_eq(made, ".."))
			return unfit(fault, last, "makes a dot segment of the path");
	}
	return TEMPLATE_OK;
}
