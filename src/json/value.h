#ifndef JSON_VALUE_H
#define JSON_VALUE_H

/*
 * Private to this room: walking the members of a const object, in document order, which jansson's
 * iterators keep but do not take a const object for.
 */

#include "base/base.h"

#include <jansson.h>

static inline void *member_first(const json_t *object)
{
	return json_object_iter((json_t *)(uintptr_t)object);
}

static inline void *member_next(const json_t *object, void *at)
{
	return json_object_iter_next((json_t *)(uintptr_t)object, at);
}

static inline struct slice member_key(void *at)
{
	return (struct slice){.p = json_object_iter_key(at), .len = json_object_iter_key_len(at)};
}

static inline json_t *member_value(void *at)
{
	return json_object_iter_value(at);
}

static inline struct slice string_slice(const json_t *string)
{
	return (struct slice){.p = json_string_value(string), .len = json_string_length(string)};
}

/* "null", "a boolean", "a number", ... */
static inline const char *type_words(const json_t *value)
{
	static const char *const WORDS[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",      [JSON_NULL] = "null",
	};

	return WORDS[json_typeof(value)];
}

#endif
