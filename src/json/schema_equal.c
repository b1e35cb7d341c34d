#include "json/schema_node.h"
#include "json/value.h"

#include <string.h>

bool step_taken(size_t *steps_left)
{
	if (!*steps_left)
		return false;
	--*steps_left;
	return true;
}

static bool are_items_equal(const json_t *a, const json_t *b, size_t *steps_left)
{
	size_t n = json_array_size(a);

	if (n != json_array_size(b))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!values_equal(json_array_get(a, i), json_array_get(b, i), steps_left))
			return false;
	}
	return true;
}

static bool are_members_equal(const json_t *a, const json_t *b, size_t *steps_left)
{
	if (json_object_size(a) != json_object_size(b))
		return false;
	for (void *m = member_first(a); m; m = member_next(a, m)) {
		struct slice key = member_key(m);
		const json_t *other = json_object_getn(b, key.p, key.len);

		if (!other || !values_equal(member_value(m), other, steps_left))
			return false;
	}
	return true;
}

bool values_equal(const json_t *a, const json_t *b, size_t *steps_left)
{
	struct number x, y;

	if (!step_taken(steps_left))
		return false;
	if (json_is_string(a)) {
		return json_is_string(b) && json_string_length(a) == json_string_length(b) &&
		       memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) ==
			       0;
	}
	if (json_is_number(a))
		return number_read(a, &x) && number_read(b, &y) && number_cmp(x, y) == 0;
	if (json_typeof(a) != json_typeof(b))
		return false;
	if (json_is_array(a))
		return are_items_equal(a, b, steps_left);
	return !json_is_object(a) || are_members_equal(a, b, steps_left);
}
