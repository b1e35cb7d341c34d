#ifndef JSON_SCHEMA_NODE_H
#define JSON_SCHEMA_NODE_H

/*
 * Private to this room: a schema as it is checked. Compiled once from its document, so that a
 * check reads plain structs and touches jansson for the value only. Text and choices are borrowed
 * from the document, which the schema keeps.
 */

#include "base/buf.h"
#include "json/number.h"
#include "json/schema.h"

#include <regex.h>

/* In the order in which they are named to people. */
enum value_type {
	TYPE_STRING = 1 << 0,
	TYPE_NUMBER = 1 << 1,
	TYPE_INTEGER = 1 << 2,
	TYPE_BOOLEAN = 1 << 3,
	TYPE_OBJECT = 1 << 4,
	TYPE_ARRAY = 1 << 5,
	TYPE_NULL = 1 << 6,
};

struct node_list {
	struct node **p;
	size_t n;
};

struct property {
	struct slice name;
	struct node *node;
};

/* Sorted by length and bytes. */
struct property_list {
	struct property *p;
	size_t n;
};

struct name_list {
	struct slice *p;
	size_t n;
};

struct value_list {
	const json_t **p;
	size_t n;
};

struct bound {
	bool is_set;
	struct decimal as_decimal;
	struct number as_number;
};

struct pattern {
	const char *text; /* NULL = none */
	regex_t regex;
};

/* Counts: 0 and SIZE_MAX are no limit. */
struct node {
	struct node *next; /* the schema's list of all nodes */
	const json_t *source;
	size_t n_rules; /* keywords that assert something */
	bool is_never;  /* the schema false */
	uint8_t types;  /* of enum value_type; 0 = any */
	uint8_t mark;   /* of the search for cycles */

	struct value_list choices;
	const json_t *constant;

	struct property_list properties;
	struct name_list required;
	struct node *additional;
	struct node *names;
	size_t properties_min, properties_max;

	struct node *items;
	struct node_list prefix;
	size_t items_min, items_max;
	bool is_unique;

	size_t length_min, length_max;
	struct pattern pattern;

	struct bound minimum, maximum, above, below, step;

	struct node *ref;
	struct node_list any_of, one_of, all_of;
	struct node *negated;
};

struct schema {
	json_t *document;
	struct node *root;
	struct node *nodes;
};

/* Where we are: a chain through the stack, innermost first; the root is NULL. */
struct frame {
	const struct frame *up;
	struct slice key; /* p = NULL: an item of an array */
	size_t index;
	size_t depth;
};

struct frame frame_key(const struct frame *up, struct slice key);
struct frame frame_index(const struct frame *up, size_t index);

/* "company.domain", and "/company/domain". Cut with "..." where they do not fit. */
void frame_dotted(const struct frame *at, char *out, size_t size);
void frame_pointer(const struct frame *at, char *out, size_t size);
/* All of it, owned by the caller. */
char *frame_whole_pointer(const struct frame *at);

/* Beside a fault, where all are asked for. */
struct schema_place {
	char *pointer;   /* owned */
	bool is_unknown; /* a member that the schema does not know */
};

/* Up to max faults in document order; returns how many. places may be NULL. */
MUST_USE size_t schema_run(const struct schema *s, const json_t *value, struct schema_fault *out,
			   struct schema_place *places, size_t max);

/* Takes one of the steps of a check; false when none is left. */
MUST_USE bool step_taken(size_t *steps_left);
/* As JSON Schema compares: 1 and 1.0 are one number. False, too, when the steps run out. */
bool values_equal(const json_t *a, const json_t *b, size_t *steps_left);

/* What to tell a person about a rule that does not hold: appended to the fault's text. */
void text_append(struct schema_fault *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_types(struct schema_fault *f, unsigned types, const json_t *value);
void text_choices(struct schema_fault *f, const struct value_list *choices);
void text_constant(struct schema_fault *f, const json_t *constant);
void text_bound(struct schema_fault *f, const char *words, const struct bound *bound);
void text_step(struct schema_fault *f, const struct bound *step);
/* "must not have body and form at once" */
void text_forbidden(struct schema_fault *f, const struct name_list *names);
/* "; did you mean price?", where one of the names is near. */
void text_suggestion(struct schema_fault *f, struct slice name, const struct property_list *names);
/* "must have at least 3 items"; singular where count is 1. */
void text_count(struct schema_fault *f, const char *words, size_t count, const char *noun,
		const char *nouns);

#endif
