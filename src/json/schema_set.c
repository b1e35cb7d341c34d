/*
 * Sets of values: the choices of an enum, and items that have to differ. They are told apart by a
 * hash under a secret key, so that the work grows with their size and nobody can choose values
 * that fall together. Equal values have equal hashes: 1 and 1.0, and members in any order.
 */

#include "json/schema_node.h"
#include "json/value.h"

#include <stdlib.h>
#include <string.h>

/* So few are compared one with the other. */
#define FEW 8

enum kind {
	KIND_OTHER,
	KIND_STRING,
	KIND_NUMBER,
	KIND_ARRAY,
	KIND_OBJECT,
};

static uint64_t hash_two(const struct hash_key *key, enum kind kind, uint64_t a, uint64_t b)
{
	uint64_t words[3] = {kind, a, b};

	return hash_bytes(key, words, sizeof(words));
}

static uint64_t hash_text(const struct hash_key *key, struct slice text, struct work *w)
{
	if (!work_take_text(w, text))
		return 0;
	return hash_bytes(key, text.p, text.len);
}

static uint64_t hash_items(const struct hash_key *key, const json_t *array, struct work *w)
{
	size_t n = json_array_size(array);
	uint64_t sum = n;

	for (size_t i = 0; i < n; i++)
		sum = hash_two(key, KIND_ARRAY, sum, value_hash(key, json_array_get(array, i), w));
	return hash_two(key, KIND_ARRAY, sum, n);
}

/* A sum, because the order of members does not count. */
static uint64_t hash_members(const struct hash_key *key, const json_t *object, struct work *w)
{
	uint64_t sum = 0;

	for (void *m = member_first(object); m; m = member_next(object, m))
		sum += hash_two(key, KIND_OBJECT, hash_text(key, member_key(m), w),
				value_hash(key, member_value(m), w));
	return hash_two(key, KIND_OBJECT, sum, json_object_size(object));
}

uint64_t value_hash(const struct hash_key *key, const json_t *v, struct work *w)
{
	struct number x;

	if (!work_take(w, 1))
		return 0;
	if (json_is_string(v))
		return hash_two(key, KIND_STRING, hash_text(key, string_slice(v), w), 0);
	if (json_is_array(v))
		return hash_items(key, v, w);
	if (json_is_object(v))
		return hash_members(key, v, w);
	if (!json_is_number(v))
		return hash_two(key, KIND_OTHER, json_typeof(v), 0);
	if (!work_take_number(w, v, &x))
		return 0;
	x = number_trimmed(x);
	return hash_two(key, KIND_NUMBER, (uint64_t)x.digits, (uint64_t)x.exponent);
}

static int compare_entries(const void *a, const void *b)
{
	const struct value_entry *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

void value_list_index(struct value_list *list, const struct hash_key *key)
{
	struct work w = {.steps_left = SIZE_MAX};

	if (list->n <= FEW)
		return;
	list->index = xarray(list->n, sizeof(*list->index));
	for (size_t i = 0; i < list->n; i++)
		list->index[i] = (struct value_entry){value_hash(key, list->p[i], &w), i};
	qsort(list->index, list->n, sizeof(*list->index), compare_entries);
}

bool value_list_has(const struct value_list *list, const struct hash_key *key, const json_t *v,
		    struct work *w)
{
	size_t low = 0, high = list->n;
	uint64_t hash;

	if (!list->index) {
		for (size_t i = 0; i < list->n; i++) {
			if (values_equal(list->p[i], v, w))
				return true;
		}
		return false;
	}
	hash = value_hash(key, v, w);
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list->index[mid].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < list->n && list->index[low].hash == hash; low++) {
		if (values_equal(list->p[list->index[low].at], v, w))
			return true;
	}
	return false;
}

static size_t first_of_few(const json_t *array, struct work *w)
{
	size_t n = json_array_size(array);

	for (size_t i = 1; i < n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (values_equal(json_array_get(array, i), json_array_get(array, k), w))
				return i;
		}
	}
	return n;
}

/* Of open addressing: places hold an item's number and one, or 0; at most half of them are used. */
static size_t first_of_many(const json_t *array, const struct hash_key *key, struct work *w)
{
	size_t n = json_array_size(array), size = 4 * FEW, i;
	uint64_t *hashes = xarray(n, sizeof(*hashes));
	uint32_t *places;
	bool is_found = false;

	while (size < 2 * n)
		size *= 2;
	places = xarray(size, sizeof(*places));
	memset(places, 0, size * sizeof(*places));
	for (i = 0; i < n && w->steps_left; i++) {
		const json_t *v = json_array_get(array, i);
		size_t at;

		hashes[i] = value_hash(key, v, w);
		at = hashes[i] & (size - 1);
		for (; places[at] && !is_found; at = (at + 1) & (size - 1)) {
			size_t other = places[at] - 1;

			is_found = hashes[other] == hashes[i] &&
				   values_equal(json_array_get(array, other), v, w);
		}
		if (is_found)
			break;
		places[at] = (uint32_t)i + 1;
	}
	free(hashes);
	free(places);
	return is_found ? i : n;
}

size_t array_first_repeat(const json_t *array, const struct hash_key *key, struct work *w)
{
	if (json_array_size(array) <= FEW)
		return first_of_few(array, w);
	return first_of_many(array, key, w);
}
