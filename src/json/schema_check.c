#include "json/schema_check.h"

#include "base/limits.h"
#include "json/value.h"

#include <stdlib.h>
#include <string.h>

bool check_is_full(const struct check *c)
{
	return c->n >= c->max;
}

struct schema_fault *check_fault(struct check *c, const struct frame *at, enum fault_sort sort)
{
	struct schema_fault *f;

	CHECK(!check_is_full(c));
	if (c->n++ == 0) {
		c->sort = sort;
		c->fault_depth = at ? at->depth : 0;
	}
	if (!c->out)
		return NULL;
	f = &c->out[c->n - 1];
	frame_dotted(at, f->field, sizeof(f->field));
	if (c->place)
		c->place[c->n - 1] = (struct schema_place){.pointer = frame_whole_pointer(at)};
	f->text[0] = '\0';
	if (c->is_name)
		text_append(f, "the name ");
	if (c->work->steps_left)
		return f;
	text_append(f, "%s",
		    c->work->is_pattern ? "could not be checked against its pattern within bounds"
					: "is too large or too deeply nested to be checked");
	c->max = c->n;
	return NULL;
}

void check_fault_says(struct check *c, const struct frame *at, const char *text)
{
	struct schema_fault *f = check_fault(c, at, FAULT_RULE);

	if (f)
		text_append(f, "%s", text);
}

static void fault_count(struct check *c, const struct frame *at, const char *words, size_t count,
			const char *noun, const char *nouns)
{
	struct schema_fault *f = check_fault(c, at, FAULT_RULE);

	if (f)
		text_count(f, words, count, noun, nouns);
}

unsigned check_types_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return TYPE_OBJECT;
	case JSON_ARRAY:
		return TYPE_ARRAY;
	case JSON_STRING:
		return TYPE_STRING;
	case JSON_INTEGER:
		return TYPE_NUMBER | TYPE_INTEGER;
	case JSON_REAL:
		return TYPE_NUMBER | (number_is_whole(json_real_value(v)) ? TYPE_INTEGER : 0);
	case JSON_TRUE:
	case JSON_FALSE:
		return TYPE_BOOLEAN;
	case JSON_NULL:
		return TYPE_NULL;
	}
	die("a JSON value of no type");
}

static bool is_equal(struct check *c, const json_t *a, const json_t *b)
{
	return values_equal(a, b, c->work);
}

/* Nothing is proved, here and everywhere. */
static void fault_unproved(struct check *c, const struct frame *at)
{
	c->work->steps_left = 0;
	(void)check_fault(c, at, FAULT_RULE);
}

static void check_choices(struct check *c, const struct node *n, const json_t *v,
			  const struct frame *at)
{
	struct schema_fault *f;

	if (value_list_has(&n->choices, &c->schema->key, v, c->work))
		return;
	f = check_fault(c, at, FAULT_RULE);
	if (f)
		text_choices(f, &n->choices);
}

static void check_constant(struct check *c, const struct node *n, const json_t *v,
			   const struct frame *at)
{
	struct schema_fault *f;

	if (is_equal(c, n->constant, v))
		return;
	f = check_fault(c, at, FAULT_RULE);
	if (f)
		text_constant(f, n->constant);
}

static void check_bound(struct check *c, const struct bound *bound, bool is_good, const char *words,
			const struct frame *at)
{
	struct schema_fault *f;

	if (!bound->is_set || is_good || check_is_full(c))
		return;
	f = check_fault(c, at, FAULT_RULE);
	if (f)
		text_bound(f, words, bound);
}

static void check_number(struct check *c, const struct node *n, const json_t *v,
			 const struct frame *at)
{
	struct schema_fault *f;
	struct number x;

	if (!n->minimum.is_set && !n->maximum.is_set && !n->above.is_set && !n->below.is_set &&
	    !n->step.is_set)
		return;
	if (!work_take_number(c->work, v, &x)) {
		fault_unproved(c, at);
		return;
	}
	check_bound(c, &n->minimum, number_cmp(x, n->minimum.as_number) >= 0, "at least", at);
	check_bound(c, &n->maximum, number_cmp(x, n->maximum.as_number) <= 0, "at most", at);
	check_bound(c, &n->above, number_cmp(x, n->above.as_number) > 0, "greater than", at);
	check_bound(c, &n->below, number_cmp(x, n->below.as_number) < 0, "less than", at);
	if (!n->step.is_set || check_is_full(c))
		return;
	/* A remainder is found digit by digit. */
	if (!work_take(c->work, (size_t)abs(x.exponent - n->step.as_number.exponent))) {
		fault_unproved(c, at);
		return;
	}
	if (number_is_multiple(x, n->step.as_number))
		return;
	f = check_fault(c, at, FAULT_RULE);
	if (f)
		text_step(f, &n->step);
}

static size_t code_points(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
	return n;
}

static void check_length(struct check *c, const struct node *n, struct slice text,
			 const struct frame *at)
{
	size_t length;

	if (n->length_min == 0 && n->length_max == SIZE_MAX)
		return;
	if (!work_take_text(c->work, text)) {
		fault_unproved(c, at);
		return;
	}
	length = code_points(text);
	if (length < n->length_min && n->length_min == 1)
		check_fault_says(c, at, "must not be empty");
	else if (length < n->length_min)
		fault_count(c, at, "at least", n->length_min, "character", "characters");
	else if (length > n->length_max)
		fault_count(c, at, "at most", n->length_max, "character", "characters");
}

static void check_string(struct check *c, const struct node *n, const json_t *v,
			 const struct frame *at)
{
	struct slice text = string_slice(v);
	size_t faults = c->n;
	struct schema_fault *f;

	check_length(c, n, text, at);
	/* A text that is too long is not worth the matcher's time. */
	if (c->n > faults || !n->pattern)
		return;
	switch (pattern_match(n->pattern, text, &c->work->steps_left)) {
	case PATTERN_FITS:
		return;
	case PATTERN_GAVE_UP:
		c->work->is_pattern = true;
		fault_unproved(c, at);
		return;
	case PATTERN_FITS_NOT:
		break;
	}
	f = check_fault(c, at, FAULT_RULE);
	if (f)
		text_append(f, "must match %s", n->pattern_text);
}

static const struct node *property_find(const struct property_list *list, struct slice name)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct slice other = list->p[mid].name;
		int order = (name.len > other.len) - (name.len < other.len);

		if (!order)
			order = memcmp(name.p, other.p, name.len);
		if (!order)
			return list->p[mid].node;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static void check_name(struct check *c, const struct node *names, struct slice name,
		       const struct frame *at)
{
	json_t *text;

	if (!work_take_text(c->work, name)) {
		fault_unproved(c, at);
		return;
	}
	text = json_stringn_nocheck(name.p, name.len);
	CHECK(text);
	c->is_name = true;
	check_node(c, names, text, at);
	c->is_name = false;
	json_decref(text);
}

static void unknown_member(struct check *c, const struct node *n, struct slice name,
			   const struct frame *here)
{
	struct schema_fault *f = check_fault(c, here, FAULT_RULE);

	if (f)
		text_append(f, "is not a known field");
	if (f && c->place) {
		text_suggestion(f, name, &n->properties);
		c->place[c->n - 1].is_unknown = true;
	}
}

static void check_member(struct check *c, const struct node *n, void *m, const struct frame *at)
{
	struct slice name = member_key(m);
	struct frame here = frame_key(at, name);
	const struct node *rule = property_find(&n->properties, name);

	if (!work_take(c->work, 1)) {
		fault_unproved(c, &here);
		return;
	}
	if (n->names)
		check_name(c, n->names, name, &here);
	if (check_is_full(c))
		return;
	if (rule)
		check_node(c, rule, member_value(m), &here);
	else if (n->additional && n->additional->is_never)
		unknown_member(c, n, name, &here);
	else if (n->additional)
		check_node(c, n->additional, member_value(m), &here);
}

static void check_object(struct check *c, const struct node *n, const json_t *v,
			 const struct frame *at)
{
	size_t size = json_object_size(v);

	if (size < n->properties_min && n->properties_min == 1)
		check_fault_says(c, at, "must have at least one field");
	else if (size < n->properties_min)
		fault_count(c, at, "at least", n->properties_min, "field", "fields");
	else if (size > n->properties_max)
		fault_count(c, at, "at most", n->properties_max, "field", "fields");
	if (n->properties.n || n->additional || n->names) {
		for (void *m = member_first(v); m && !check_is_full(c); m = member_next(v, m))
			check_member(c, n, m, at);
	}
	for (size_t i = 0; i < n->required.n && !check_is_full(c); i++) {
		struct slice name = n->required.p[i];
		struct frame here = frame_key(at, name);

		if (!work_take(c->work, 1) || !work_take_text(c->work, name))
			fault_unproved(c, at);
		else if (!json_object_getn(v, name.p, name.len))
			check_fault_says(c, &here, "is required");
	}
}

static void check_unique(struct check *c, const json_t *v, const struct frame *at)
{
	size_t i = array_first_repeat(v, &c->schema->key, c->work);
	struct frame here = frame_index(at, i);

	if (i < json_array_size(v))
		check_fault_says(c, &here, "repeats an earlier item");
}

static void check_array(struct check *c, const struct node *n, const json_t *v,
			const struct frame *at)
{
	size_t size = json_array_size(v), faults = c->n;

	if (size < n->items_min && n->items_min == 1)
		check_fault_says(c, at, "must not be empty");
	else if (size < n->items_min)
		fault_count(c, at, "at least", n->items_min, "item", "items");
	else if (size > n->items_max)
		fault_count(c, at, "at most", n->items_max, "item", "items");
	for (size_t i = 0; i < size && !check_is_full(c); i++) {
		struct frame here = frame_index(at, i);
		const struct node *rule = i < n->prefix.n ? n->prefix.p[i] : n->items;

		if (!rule)
			break;
		check_node(c, rule, json_array_get(v, i), &here);
	}
	if (n->is_unique && c->n == faults)
		check_unique(c, v, at);
}

static void check_rules(struct check *c, const struct node *n, const json_t *v,
			const struct frame *at)
{
	size_t faults = c->n;

	if (n->choices.n)
		check_choices(c, n, v, at);
	if (n->constant && !check_is_full(c))
		check_constant(c, n, v, at);
	if (check_is_full(c))
		return;
	if (json_is_object(v))
		check_object(c, n, v, at);
	else if (json_is_array(v))
		check_array(c, n, v, at);
	else if (json_is_string(v))
		check_string(c, n, v, at);
	else if (json_is_number(v))
		check_number(c, n, v, at);
	/* A value that is at fault by itself would only be told so again by the combinations. */
	if (c->n == faults)
		check_combinations(c, n, v, at);
	else if (json_is_object(v))
		check_presence(c, n, v, at);
}

void check_node(struct check *c, const struct node *n, const json_t *v, const struct frame *at)
{
	struct schema_fault *f;

	if (check_is_full(c))
		return;
	if (!work_take(c->work, 1) || c->depth == SCHEMA_CHECK_DEPTH_MAX) {
		fault_unproved(c, at);
		return;
	}
	if (n->is_never) {
		check_fault_says(c, at, "is not allowed");
		return;
	}
	if (n->types && !(n->types & check_types_of(v))) {
		f = check_fault(c, at, FAULT_TYPE);
		if (f)
			text_types(f, n->types, v);
		return;
	}
	c->depth++;
	check_rules(c, n, v, at);
	c->depth--;
}

size_t schema_run(const struct schema *s, const json_t *value, struct schema_fault *out,
		  struct schema_place *places, size_t max)
{
	struct work work = {.steps_left = SCHEMA_CHECK_STEPS_MAX};
	struct check c = {.out = out, .place = places, .max = max, .schema = s, .work = &work};

	CHECK(max > 0);
	check_node(&c, s->root, value, NULL);
	/* Where steps ran out inside a comparison or a "not", nothing was proved. */
	if (!work.steps_left && !c.n)
		fault_unproved(&c, NULL);
	return c.n;
}
