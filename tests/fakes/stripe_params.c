/*
 * Parameters against the table of the call. A table is a list of parameters with blanks between:
 *
 *	name:TYPE	with ! behind when it is required, with ? when "" may unset it
 *	name		one that Stripe takes and the double does not: refused as such
 *
 *	s text   i integer   b boolean   d decimal   m metadata   p map of texts
 *	r an integer, or a range of gt, gte, lt, lte
 *	(a|b)    one of these words
 *	[TYPE]   a list   {...} an object   b/TYPE either
 *
 * What is not in the table is unknown to Stripe too.
 */

#include "stripe_double.h"

#include <string.h>

enum {
	METADATA_KEYS_MAX = 50,
	METADATA_KEY_MAX = 40,
	METADATA_VALUE_MAX = 500,
};

/* "a" and "b" make "a[b]". */
static char *inner_name(const char *outer, const char *name)
{
	return *outer == '\0' ? xstrdup(name) : xasprintf("%s[%s]", outer, name);
}

static json_t *invalid(struct call *c, const char *code, const char *name, const char *what,
		       const char *value)
{
	if (c->status == 0)
		refuse(c, 400, code, name, "Invalid %s: %s", what, value == NULL ? "" : value);
	c->is_invalid = true;
	return NULL;
}

/* The end of the type that begins here, behind its marks. */
static const char *type_end(const char *type)
{
	int depth = 0;

	for (; *type != '\0' && (depth > 0 || (*type != ' ' && *type != '/' && *type != '}' &&
					       *type != ']' && *type != ')'));
	     type++) {
		if (strchr("({[", *type) != NULL)
			depth++;
		else if (strchr(")}]", *type) != NULL)
			depth--;
	}
	return type;
}

static json_t *read_type(struct call *c, const char *type, const json_t *value, const char *name);

static json_t *read_int(struct call *c, const char *text, const char *name)
{
	int64_t i;

	if (!parse_i64(slice_of(text), INT64_MIN, INT64_MAX, &i))
		return invalid(c, "parameter_invalid_integer", name, "integer", text);
	return json_integer(i);
}

static bool is_decimal(const char *text)
{
	size_t whole;
	size_t part;

	if (*text == '-')
		text++;
	whole = strspn(text, "0123456789");
	part = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
	return whole > 0 && part <= 12 && text[whole + (part > 0 ? part + 1 : 0)] == '\0';
}

static json_t *read_word(struct call *c, const char *type, const char *text, const char *name)
{
	size_t len = strlen(text);

	for (const char *p = type + 1;; p++) {
		size_t word = strcspn(p, "|)");

		if (word == len && strncmp(p, text, len) == 0)
			return json_string(text);
		p += word;
		if (*p == ')')
			break;
	}
	if (c->status == 0)
		refuse(c, 400, NULL, name, "Invalid %s: must be one of %.*s", name,
		       (int)(type_end(type) - type), type);
	c->is_invalid = true;
	return NULL;
}

static json_t *read_text(struct call *c, const char *type, const char *text, const char *name)
{
	if (*text == '\0') {
		if (type_end(type)[-1] == '?')
			return json_string("");
		if (c->status == 0)
			refuse(c, 400, "parameter_invalid_empty", name,
			       "You passed an empty string for '%s'. We assume empty values are an "
			       "attempt to unset a parameter; however '%s' cannot be unset. You "
			       "should remove '%s' from your request or supply a non-empty value.",
			       name, name, name);
		c->is_invalid = true;
		return NULL;
	}
	switch (*type) {
	case 'i':
	case 'r':
		return read_int(c, text, name);
	case 'b':
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return invalid(c, NULL, name, "boolean", text);
		return json_boolean(strcmp(text, "true") == 0);
	case 'd':
		if (!is_decimal(text))
			return invalid(c, "parameter_invalid_decimal", name, "decimal", text);
		return json_string(text);
	case '(':
		return read_word(c, type, text, name);
	case 's':
		return json_string(text);
	default:
		return invalid(c, NULL, name, *type == '[' ? "array" : "object", text);
	}
}

static json_t *read_map(struct call *c, bool is_metadata, const json_t *value, const char *outer)
{
	json_t *map = json_object();
	const char *name;
	json_t *text;

	json_object_foreach ((json_t *)(uintptr_t)value, name, text) {
		char *full CLEANUP(free_charp) = inner_name(outer, name);

		if (!json_is_string(text))
			(void)invalid(c, NULL, full, "string", "");
		else if (is_metadata && (strlen(name) > METADATA_KEY_MAX ||
					 json_string_length(text) > METADATA_VALUE_MAX))
			(void)invalid(c, NULL, full, "metadata, which is too long", "");
		else
			put(map, name, json_incref(text));
	}
	if (is_metadata && json_object_size(map) > METADATA_KEYS_MAX)
		(void)invalid(c, NULL, outer, "metadata", "more than 50 keys");
	return map;
}

static json_t *read_list(struct call *c, const char *type, const json_t *value, const char *outer)
{
	json_t *list = json_array();

	for (size_t i = 0; i < json_object_size(value); i++) {
		char *index CLEANUP(free_charp) = xasprintf("%zu", i);
		char *full CLEANUP(free_charp) = inner_name(outer, index);
		const json_t *item = json_object_get(value, index);
		json_t *read;

		if (item == NULL) {
			(void)invalid(c, NULL, outer, "array", "its indices are not 0, 1, 2 ...");
			break;
		}
		read = read_type(c, type + 1, item, full);
		if (read == NULL)
			break;
		(void)json_array_append_new(list, read);
	}
	return list;
}

/* The table's entry for the name, behind its name; NULL when there is none. */
static const char *find_entry(const char *table, const char *name)
{
	size_t len = strlen(name);

	while (*table != '\0' && *table != '}') {
		size_t word = strcspn(table, ": }");
		const char *type = table + word;

		if (word == len && strncmp(table, name, len) == 0)
			return type;
		while (*type == ':' || *type == '/')
			type = type_end(type + 1);
		table = type + (*type == ' ' ? 1 : 0);
	}
	return NULL;
}

static void check_required(struct call *c, const char *table, const json_t *read, const char *outer)
{
	while (*table != '\0' && *table != '}' && c->status == 0) {
		size_t word = strcspn(table, ": }");
		const char *type = table + word;
		char *name CLEANUP(free_charp) = xstrndup(table, word);
		char *full CLEANUP(free_charp) = inner_name(outer, name);

		while (*type == ':' || *type == '/')
			type = type_end(type + 1);
		if (type[-1] == '!' && json_object_get(read, name) == NULL) {
			refuse(c, 400, "parameter_missing", full, "Missing required param: %s.",
			       full);
			c->is_invalid = true;
		}
		table = type + (*type == ' ' ? 1 : 0);
	}
}

static void refuse_unknown(struct call *c, const char *entry, const char *full)
{
	if (entry != NULL)
		refuse(c, 400, "double_does_not_serve", full,
		       "Stripe has the parameter %s, this double does not", full);
	else if (strcmp(full, "payment_method_types") == 0)
		refuse(c, 400, "payment_method_types_no_longer_supported", full,
		       "The parameter payment_method_types is no longer supported. Use "
		       "allowed_payment_method_types instead.");
	else
		refuse(c, 400, "parameter_unknown", full, "Received unknown parameter: %s", full);
	c->is_invalid = true;
}

static json_t *read_object(struct call *c, const char *table, const json_t *tree, const char *outer)
{
	json_t *read = json_object();
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)tree, name, value) {
		char *full CLEANUP(free_charp) = inner_name(outer, name);
		const char *entry = find_entry(table, name);
		json_t *typed;

		if (entry == NULL || *entry != ':') {
			refuse_unknown(c, entry, full);
			break;
		}
		typed = read_type(c, entry + 1, value, full);
		if (typed == NULL)
			break;
		put(read, name, typed);
	}
	check_required(c, table, read, outer);
	return read;
}

/* NULL when refused. */
static json_t *read_type(struct call *c, const char *type, const json_t *value, const char *name)
{
	const char *end = type_end(type);
	json_t *read;

	/* The first of two is b; what is no boolean has to be the other. */
	if (*end == '/' &&
	    (!json_is_string(value) || (strcmp(json_string_value(value), "true") != 0 &&
					strcmp(json_string_value(value), "false") != 0)))
		return read_type(c, end + 1, value, name);
	if (*type == 'm' && json_is_string(value) && json_string_length(value) == 0)
		return json_string("");
	if (json_is_string(value))
		return read_text(c, type, json_string_value(value), name);
	if (*type == 'm' || *type == 'p')
		read = read_map(c, *type == 'm', value, name);
	else if (*type == '[')
		read = read_list(c, type, value, name);
	else if (*type == '{')
		read = read_object(c, type + 1, value, name);
	else if (*type == 'r')
		read = read_object(c, "gt:i gte:i lt:i lte:i", value, name);
	else
		return invalid(c, NULL, name, "string", "");
	if (c->status == 0)
		return read;
	json_decref(read);
	return NULL;
}

void params_check(struct call *call, const json_t *tree)
{
	call->params = read_object(call, call->spec->params, tree, "");
}
