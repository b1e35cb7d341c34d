#include "json/schema_node.h"

#include "base/limits.h"
#include "json/edge.h"
#include "json/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A $ref waits until every schema of the document is compiled. */
struct pending_ref {
	struct pending_ref *next;
	struct node *node;
	const char *target;
	char where[128];
};

struct compile {
	struct schema *schema;
	struct err *err;
	struct pending_ref *refs;
	size_t n_nodes, n_choices;
	struct node **by_source; /* all nodes of objects and arrays of the document, sorted */
};

/* One keyword's value; offset is that of its place in struct node. */
typedef bool keyword_read(struct compile *c, struct node *n, void *place, const json_t *value,
			  const struct frame *at);

static struct node *node_compile(struct compile *c, const json_t *source, const struct frame *at);

static bool refuse(struct compile *c, const struct frame *at, const char *why)
{
	char where[128];

	frame_pointer(at, where, sizeof(where));
	return err_set(c->err, "%s: %s", where[0] ? where : "/", why);
}

static bool read_node(struct compile *c, struct node *n, void *place, const json_t *value,
		      const struct frame *at)
{
	struct node *child = node_compile(c, value, at);

	(void)n;
	if (child)
		*(struct node **)place = child;
	return child != NULL;
}

static bool read_nodes(struct compile *c, struct node *n, void *place, const json_t *value,
		       const struct frame *at)
{
	struct node_list *list = place;
	size_t size = json_array_size(value);

	(void)n;
	if (!size)
		return refuse(c, at, "must be an array of at least one schema");
	list->p = xarray(size, sizeof(*list->p));
	for (size_t i = 0; i < size; i++) {
		struct frame item = frame_index(at, i);
		struct node *child = node_compile(c, json_array_get(value, i), &item);

		if (!child)
			return false;
		list->p[list->n++] = child;
	}
	return true;
}

static int compare_slices(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return memcmp(a.p, b.p, a.len);
}

static int compare_properties(const void *a, const void *b)
{
	return compare_slices(((const struct property *)a)->name,
			      ((const struct property *)b)->name);
}

static bool read_properties(struct compile *c, struct node *n, void *place, const json_t *value,
			    const struct frame *at)
{
	struct property_list *list = place;
	size_t size = json_object_size(value);

	(void)n;
	if (!json_is_object(value))
		return refuse(c, at, "must be an object of schemas");
	list->p = xarray(size ? size : 1, sizeof(*list->p));
	for (void *m = member_first(value); m; m = member_next(value, m)) {
		struct slice name = member_key(m);
		struct frame member = frame_key(at, name);
		struct node *child = node_compile(c, member_value(m), &member);

		if (!child)
			return false;
		list->p[list->n++] = (struct property){.name = name, .node = child};
	}
	qsort(list->p, list->n, sizeof(*list->p), compare_properties);
	return true;
}

/* Compiled for those who refer to them; the list itself is not kept. */
static bool read_definitions(struct compile *c, struct node *n, void *place, const json_t *value,
			     const struct frame *at)
{
	struct property_list list = {0};
	bool is_ok = read_properties(c, n, &list, value, at);

	(void)place;
	free(list.p);
	return is_ok;
}

static bool read_required(struct compile *c, struct node *n, void *place, const json_t *value,
			  const struct frame *at)
{
	struct name_list *list = place;
	size_t size = json_array_size(value);

	(void)n;
	if (!json_is_array(value))
		return refuse(c, at, "must be an array of names");
	list->p = xarray(size ? size : 1, sizeof(*list->p));
	for (size_t i = 0; i < size; i++) {
		const json_t *name = json_array_get(value, i);

		if (!json_is_string(name))
			return refuse(c, at, "must be an array of names");
		list->p[list->n++] = string_slice(name);
	}
	return true;
}

static unsigned type_of_word(const json_t *word)
{
	static const struct {
		const char *word;
		unsigned type;
	} TYPES[] = {
		{"string", TYPE_STRING},   {"number", TYPE_NUMBER}, {"integer", TYPE_INTEGER},
		{"boolean", TYPE_BOOLEAN}, {"object", TYPE_OBJECT}, {"array", TYPE_ARRAY},
		{"null", TYPE_NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(TYPES); i++) {
		if (slice_eq(edge_slice(word), TYPES[i].word))
			return TYPES[i].type;
	}
	return 0;
}

static bool read_type(struct compile *c, struct node *n, void *place, const json_t *value,
		      const struct frame *at)
{
	size_t size = json_is_array(value) ? json_array_size(value) : 1;
	unsigned types = 0;

	(void)place;
	for (size_t i = 0; i < size; i++) {
		unsigned type = type_of_word(json_is_array(value) ? json_array_get(value, i)
								  : value);

		if (!type || types & type)
			return refuse(c, at, "is not a type or a list of different types");
		types |= type;
	}
	if (!types)
		return refuse(c, at, "must name a type");
	n->types = (uint8_t)types;
	return true;
}

static bool read_choices(struct compile *c, struct node *n, void *place, const json_t *value,
			 const struct frame *at)
{
	struct value_list *list = place;
	size_t size = json_array_size(value);

	(void)n;
	if (!size)
		return refuse(c, at, "must be an array of at least one value");
	c->n_choices += size;
	if (c->n_choices > SCHEMA_CHOICES_MAX)
		return refuse(c, at, "has too many values");
	list->p = xarray(size, sizeof(*list->p));
	for (; list->n < size; list->n++)
		list->p[list->n] = json_array_get(value, list->n);
	value_list_index(list, &c->schema->key);
	return true;
}

static bool read_constant(struct compile *c, struct node *n, void *place, const json_t *value,
			  const struct frame *at)
{
	(void)c;
	(void)n;
	(void)at;
	*(const json_t **)place = value;
	return true;
}

static bool read_count(struct compile *c, struct node *n, void *place, const json_t *value,
		       const struct frame *at)
{
	int64_t count;

	(void)n;
	if (!edge_i64(value, &count) || count < 0)
		return refuse(c, at, "must be a whole number, 0 or more");
	*(size_t *)place = (size_t)count;
	return true;
}

static bool read_flag(struct compile *c, struct node *n, void *place, const json_t *value,
		      const struct frame *at)
{
	(void)n;
	if (!json_is_boolean(value))
		return refuse(c, at, "must be true or false");
	*(bool *)place = json_is_true(value);
	return true;
}

static bool read_bound(struct compile *c, struct node *n, void *place, const json_t *value,
		       const struct frame *at)
{
	struct bound *bound = place;
	struct decimal d;

	(void)n;
	if (!edge_decimal(value, false, &d))
		return refuse(c, at, "must be a number of at most 18 digits");
	*bound = (struct bound){.is_set = true, .as_decimal = d, .as_number = number_of_decimal(d)};
	return true;
}

static bool read_step(struct compile *c, struct node *n, void *place, const json_t *value,
		      const struct frame *at)
{
	if (!read_bound(c, n, place, value, at))
		return false;
	if (((struct bound *)place)->as_number.digits <= 0)
		return refuse(c, at, "must be greater than 0");
	return true;
}

static bool read_pattern(struct compile *c, struct node *n, void *place, const json_t *value,
			 const struct frame *at)
{
	struct slice text = edge_slice(value);
	struct schema *s = c->schema;
	struct err why = ERR_INIT;
	char fault[sizeof(why.text) + 64];

	(void)place;
	if (!json_is_string(value) || strlen(text.p) != text.len)
		return refuse(c, at, "must be a pattern");
	if (!s->patterns)
		s->patterns = patterns_create();
	n->pattern = pattern_create(s->patterns, text, &why);
	n->pattern_text = text.p;
	if (n->pattern)
		return true;
	(void)snprintf(fault, sizeof(fault), "is no pattern that can be used here: %s", why.text);
	return refuse(c, at, fault);
}

static bool read_ref(struct compile *c, struct node *n, void *place, const json_t *value,
		     const struct frame *at)
{
	const char *text = json_string_value(value);
	struct pending_ref *ref;

	(void)place;
	if (!text || text[0] != '#' || (text[1] && text[1] != '/') || strchr(text, '%'))
		return refuse(c, at, "must be a local reference such as #/$defs/name");
	ref = xzalloc(sizeof(*ref));
	ref->node = n;
	ref->target = text + 1;
	frame_pointer(at, ref->where, sizeof(ref->where));
	ref->next = c->refs;
	c->refs = ref;
	return true;
}

static const struct keyword {
	const char *name;
	keyword_read *read; /* NULL: an annotation */
	size_t offset;
} KEYWORDS[] = {
#define AT(member) offsetof(struct node, member)
	{"$comment", NULL, 0},
	{"$defs", read_definitions, 0},
	{"$ref", read_ref, AT(ref)},
	{"$schema", NULL, 0},
	{"additionalProperties", read_node, AT(additional)},
	{"allOf", read_nodes, AT(all_of)},
	{"anyOf", read_nodes, AT(any_of)},
	{"const", read_constant, AT(constant)},
	{"contentEncoding", NULL, 0},
	{"contentMediaType", NULL, 0},
	{"default", NULL, 0},
	{"deprecated", NULL, 0},
	{"description", NULL, 0},
	{"enum", read_choices, AT(choices)},
	{"examples", NULL, 0},
	{"exclusiveMaximum", read_bound, AT(below)},
	{"exclusiveMinimum", read_bound, AT(above)},
	{"format", NULL, 0},
	{"items", read_node, AT(items)},
	{"maxItems", read_count, AT(items_max)},
	{"maxLength", read_count, AT(length_max)},
	{"maxProperties", read_count, AT(properties_max)},
	{"maximum", read_bound, AT(maximum)},
	{"minItems", read_count, AT(items_min)},
	{"minLength", read_count, AT(length_min)},
	{"minProperties", read_count, AT(properties_min)},
	{"minimum", read_bound, AT(minimum)},
	{"multipleOf", read_step, AT(step)},
	{"not", read_node, AT(negated)},
	{"oneOf", read_nodes, AT(one_of)},
	{"pattern", read_pattern, AT(pattern)},
	{"prefixItems", read_nodes, AT(prefix)},
	{"properties", read_properties, AT(properties)},
	{"propertyNames", read_node, AT(names)},
	{"readOnly", NULL, 0},
	{"required", read_required, AT(required)},
	{"title", NULL, 0},
	{"type", read_type, AT(types)},
	{"uniqueItems", read_flag, AT(is_unique)},
	{"writeOnly", NULL, 0},
#undef AT
};

static bool read_keyword(struct compile *c, struct node *n, struct slice name, const json_t *value,
			 const struct frame *at)
{
	struct frame here = frame_key(at, name);

	for (size_t i = 0; i < ARRAY_LEN(KEYWORDS); i++) {
		const struct keyword *k = &KEYWORDS[i];

		if (!slice_eq(name, k->name))
			continue;
		if (!k->read)
			return true;
		n->n_rules += k->read != read_definitions;
		return k->read(c, n, (char *)n + k->offset, value, &here);
	}
	return refuse(c, &here, "is not a keyword that is understood here");
}

static struct node *node_create(struct compile *c, const json_t *source)
{
	struct node *n = xzalloc(sizeof(*n));

	n->source = source;
	n->properties_max = SIZE_MAX;
	n->items_max = SIZE_MAX;
	n->length_max = SIZE_MAX;
	n->next = c->schema->nodes;
	c->schema->nodes = n;
	c->n_nodes++;
	return n;
}

/* The node is the schema's at once, so that a failure needs no undoing here. */
static struct node *node_compile(struct compile *c, const json_t *source, const struct frame *at)
{
	struct node *n;

	if (!json_is_object(source) && !json_is_boolean(source)) {
		(void)refuse(c, at, "must be a schema: an object, true or false");
		return NULL;
	}
	/* Two frames a level: keyword and name. */
	if ((at && at->depth > 2 * SCHEMA_DEPTH_MAX) || c->n_nodes == SCHEMA_NODES_MAX) {
		(void)refuse(c, at, "is nested too deep or has too many parts");
		return NULL;
	}
	n = node_create(c, source);
	n->is_never = json_is_false(source);
	if (!json_is_object(source))
		return n;
	for (void *m = member_first(source); m; m = member_next(source, m)) {
		if (!read_keyword(c, n, member_key(m), member_value(m), at))
			return NULL;
	}
	return n;
}

static int compare_nodes(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;

	return x->source == y->source ? 0 : (uintptr_t)x->source < (uintptr_t)y->source ? -1 : 1;
}

static struct node *node_find(const struct compile *c, const json_t *source)
{
	struct node key = {.source = source}, *wanted = &key, **found;

	found = source ? bsearch(&wanted, c->by_source, c->n_nodes, sizeof(struct node *),
				 compare_nodes)
		       : NULL;
	return found ? *found : NULL;
}

static bool resolve_refs(struct compile *c)
{
	size_t n = 0;

	if (!c->refs)
		return true;
	c->by_source = xarray(c->n_nodes, sizeof(struct node *));
	for (struct node *node = c->schema->nodes; node; node = node->next)
		c->by_source[n++] = node;
	CHECK(n == c->n_nodes);
	qsort(c->by_source, n, sizeof(struct node *), compare_nodes);
	for (struct pending_ref *r = c->refs; r; r = r->next) {
		r->node->ref = node_find(c, edge_pointer(c->schema->document, r->target));
		if (!r->node->ref)
			return err_set(c->err, "%s: refers to no schema", r->where);
	}
	return true;
}

static bool all_require_one_name(const struct node_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->p[i]->n_rules != 1 || list->p[i]->required.n != 1)
			return false;
	}
	return list->n > 0;
}

static void note_required(struct schema *s)
{
	for (struct node *n = s->nodes; n; n = n->next) {
		n->any_of.requires_names = all_require_one_name(&n->any_of);
		n->one_of.requires_names = all_require_one_name(&n->one_of);
	}
}

static bool ends(struct node *n);

static bool all_end(const struct node_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (!ends(list->p[i]))
			return false;
	}
	return true;
}

/* Whether the rules that look at the same value come to an end: no schema refers to itself without
 * a step into the value. */
static bool ends(struct node *n)
{
	enum {
		NEW,
		OPEN,
		DONE
	};
	bool is_good;

	if (n->mark != NEW)
		return n->mark == DONE;
	n->mark = OPEN;
	is_good = (!n->ref || ends(n->ref)) && (!n->negated || ends(n->negated)) &&
		  all_end(&n->any_of) && all_end(&n->one_of) && all_end(&n->all_of);
	if (is_good)
		n->mark = DONE;
	return is_good;
}

static bool all_nodes_end(struct compile *c)
{
	for (struct node *n = c->schema->nodes; n; n = n->next) {
		if (!ends(n))
			return err_set(c->err, "/: a $ref leads back to itself");
	}
	return true;
}

static bool schema_compile(struct compile *c)
{
	c->schema->key = hash_key_make();
	c->schema->root = node_compile(c, c->schema->document, NULL);
	if (!c->schema->root || !resolve_refs(c) || !all_nodes_end(c))
		return false;
	note_required(c->schema);
	return true;
}

struct schema *schema_create(json_t *document, struct err *err)
{
	struct schema *s = xzalloc(sizeof(*s));
	struct compile c = {.schema = s, .err = err};
	bool is_ok;

	s->document = json_incref(document);
	is_ok = schema_compile(&c);
	free(c.by_source);
	while (c.refs) {
		struct pending_ref *next = c.refs->next;

		free(c.refs);
		c.refs = next;
	}
	if (!is_ok) {
		schema_destroy(s);
		return NULL;
	}
	return s;
}

static void node_destroy(struct node *n)
{
	free(n->choices.p);
	free(n->choices.index);
	free(n->properties.p);
	free(n->required.p);
	free(n->prefix.p);
	free(n->any_of.p);
	free(n->one_of.p);
	free(n->all_of.p);
	free(n);
}

void schema_destroy(struct schema *s)
{
	if (!s)
		return;
	while (s->nodes) {
		struct node *next = s->nodes->next;

		node_destroy(s->nodes);
		s->nodes = next;
	}
	patterns_destroy(s->patterns);
	json_decref(s->document);
	free(s);
}
