#include "json/edge.h"
#include "json/value.h"

#include <string.h>

static const char *field_type_words(enum field_type type)
{
	switch (type) {
	case FIELD_TEXT:
	case FIELD_SLICE:
		return "a string";
	case FIELD_I64:
		return "a whole number";
	case FIELD_BOOL:
		return "true or false";
	case FIELD_DECIMAL:
		return "a number";
	case FIELD_JSON:
		return "a value";
	}
	die("a field of no type");
}

static bool is_of_type(enum field_type type, const json_t *value)
{
	switch (type) {
	case FIELD_TEXT:
	case FIELD_SLICE:
		return json_is_string(value);
	case FIELD_I64:
	case FIELD_DECIMAL:
		return json_is_number(value);
	case FIELD_BOOL:
		return json_is_boolean(value);
	case FIELD_JSON:
		return true;
	}
	die("a field of no type");
}

static bool store(const struct field *f, json_t *value, void *place, struct err *err)
{
	switch (f->type) {
	case FIELD_TEXT:
		if (strlen(json_string_value(value)) != json_string_length(value))
			return err_set(err, "%s must not hold a NUL character", f->name);
		*(const char **)place = json_string_value(value);
		return true;
	case FIELD_SLICE:
		*(struct slice *)place = string_slice(value);
		return true;
	case FIELD_I64:
		if (!edge_i64(value, place))
			return err_set(err, "%s must be a whole number", f->name);
		return true;
	case FIELD_BOOL:
		*(bool *)place = json_is_true(value);
		return true;
	case FIELD_DECIMAL:
		if (!edge_decimal(value, false, place))
			return err_set(err, "%s has too many digits", f->name);
		return true;
	case FIELD_JSON:
		*(json_t **)place = value;
		return true;
	}
	die("a field of no type");
}

static bool field_read(const struct field *f, const json_t *object, char *out, struct err *err)
{
	json_t *value = json_object_get(object, f->name);

	if (!value || (json_is_null(value) && !f->is_required && f->type != FIELD_JSON))
		return value || !f->is_required || err_set(err, "%s is required", f->name);
	if (!is_of_type(f->type, value))
		return err_set(err, "%s must be %s, not %s", f->name, field_type_words(f->type),
			       type_words(value));
	if (!store(f, value, out + f->offset, err))
		return false;
	if (f->seen_offset != FIELD_NO_SEEN)
		*(bool *)(out + f->seen_offset) = true;
	return true;
}

bool fields_read(const struct field *table, size_t n, const json_t *object, void *out,
		 struct err *err)
{
	if (!json_is_object(object))
		return err_set(err, "must be an object");
	for (size_t i = 0; i < n; i++) {
		if (!field_read(&table[i], object, out, err))
			return false;
	}
	return true;
}

static bool is_known(const struct field *table, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i].name, key) == 0)
			return true;
	}
	return false;
}

bool fields_read_strict(const struct field *table, size_t n, const json_t *object, void *out,
			struct err *err)
{
	for (void *at = member_first(object); at; at = member_next(object, at)) {
		if (!is_known(table, n, json_object_iter_key(at)))
			return err_set(err, "%s is not a known field", json_object_iter_key(at));
	}
	return fields_read(table, n, object, out, err);
}
