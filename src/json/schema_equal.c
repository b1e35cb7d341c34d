#include "json/schema_node.h"
#include "json/value.h"

#include <string.h>

/* What a number with a fraction is worth when its text has to be found by trial. */
#define STEPS_PER_REAL 48

bool work_take_number(struct work *w, const json_t *v, struct number *out)
{
	bool is_quick;

	CHECK(number_read_told(v, out, &is_quick));
	return is_quick || work_take(w, STEPS_PER_REAL);
}

static bool are_items_equal(const json_t *a, const json_t *b, struct work *w)
{
	size_t n = json_array_size(a);

	if (n != json_array_size(b))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!values_equal(json_array_get(a, i), json_array_get(b, i), w))
			return false;
	}
	return true;
}

static bool are_members_equal(const json_t *a, const json_t *b, struct work *w)
{
	if (json_object_size(a) != json_object_size(b))
		return false;
	for (void *m = member_first(a); m; m = member_next(a, m)) {
		struct slice key = member_key(m);
		const json_t *other;

		if (!work_take_text(w, key))
			return false;
		other = json_object_getn(b, key.p, key.len);
		if (!other || !values_equal(member_value(m), other, w))
			return false;
	}
	return true;
}

bool values_equal(const json_t *a, const json_t *b, struct work *w)
{
	struct number x, y;

	if (!work_take(w, 1))
		return false;
	if (json_is_string(a)) {
		struct slice text = string_slice(a);

		return json_is_string(b) && text.len == json_string_length(b) &&
		       work_take_text(w, text) &&
		       memcmp(text.p, json_string_value(b), text.len) == 0;
	}
	if (json_is_number(a))
		return json_is_number(b) && work_take_number(w, a, &x) &&
		       work_take_number(w, b, &y) && number_cmp(x, y) == 0;
	if (json_typeof(a) != json_typeof(b))
		return false;
	if (json_is_array(a))
		return are_items_equal(a, b, w);
	return !json_is_object(a) || are_members_equal(a, b, w);
}
