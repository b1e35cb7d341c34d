/*
 * jansson in fewer words, for objects whose members are known.
 */

#include "stripe_double.h"

#include <string.h>

const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

int64_t int_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

bool bool_of(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

json_t *child_of(const json_t *object, const char *name)
{
	json_t *child = json_object_get(object, name);

	return json_is_object(child) || json_is_array(child) ? child : NULL;
}

bool has(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return value != NULL && !json_is_null(value);
}

bool text_is(const json_t *object, const char *name, const char *value)
{
	const char *text = text_of(object, name);

	return text != NULL && value != NULL && strcmp(text, value) == 0;
}

void put(json_t *object, const char *name, TAKES json_t *value)
{
	CHECK(json_object_set_new(object, name, value) == 0);
}

void put_text(json_t *object, const char *name, const char *value)
{
	put(object, name, value == NULL ? json_null() : json_string(value));
}

void put_int(json_t *object, const char *name, int64_t value)
{
	put(object, name, json_integer(value));
}

void put_bool(json_t *object, const char *name, bool value)
{
	put(object, name, json_boolean(value));
}

void put_params(json_t *object, const json_t *params, const char *names)
{
	while (*names != '\0') {
		size_t len = strcspn(names, " ");
		char *name CLEANUP(free_charp) = xstrndup(names, len);
		json_t *value = json_object_get(params, name);

		if (json_is_string(value) && json_string_length(value) == 0)
			put(object, name, json_null());
		else if (value != NULL)
			put(object, name, json_deep_copy(value));
		names += len + (names[len] == ' ' ? 1 : 0);
	}
}

void put_metadata(json_t *object, const json_t *params)
{
	const json_t *given = json_object_get(params, "metadata");
	json_t *metadata = json_object_get(object, "metadata");
	const char *name;
	json_t *value;

	if (json_is_string(given)) {
		(void)json_object_clear(metadata);
		return;
	}
	json_object_foreach ((json_t *)(uintptr_t)given, name, value) {
		if (json_string_length(value) == 0)
			(void)json_object_del(metadata, name);
		else
			put(metadata, name, json_deep_copy(value));
	}
}

json_t *list_of(TAKES json_t *data, const char *url)
{
	return json_pack("{s:s, s:o, s:b, s:s}", "object", "list", "data", data, "has_more", 0,
			 "url", url);
}
