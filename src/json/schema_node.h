#ifndef JSON_SCHEMA_NODE_H
#define JSON_SCHEMA_NODE_H

/*
 * Private to this room: a schema as it is checked. Compiled once from its document, so that a
 * check reads plain structs and touches jansson for the value only. Text and choices are borrowed
 * from the document, which the schema keeps.
 */

#include "base/buf.h"
#include "base/hash.h"
#include "json/number.h"
#include "json/pattern.h"
#include "json/schema.h"

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
	bool requires_names; /* each does that and no more, of one name */
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

struct value_entry {
	uint64_t hash;
	size_t at; /* in the list */
};

struct value_list {
	const json_t **p;
	size_t n;
	struct value_entry *index; /* by hash; NULL: they are few */
};

struct bound {
	bool is_set;
	struct decimal as_decimal;
	struct number as_number;
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
	const char *pattern_text; /* NULL = none */
	struct pattern *pattern;

	struct bound minimum, maximum, above, below, step;

	struct node *ref;
	struct node_list any_of, one_of, all_of;
	struct node *negated;
};

struct schema {
	json_t *document;
	struct node *root;
	struct node *nodes;
	struct patterns *patterns; /* NULL: there are none */
	struct hash_key key;
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

/* What one check may still do, counted in steps of about 20 ns. Everything that grows with the
 * value or the schema takes steps; when none is left, nothing is proved, and the check fails. */
struct work {
	size_t steps_left;
	bool is_pattern; /* it was a pattern that took the last */
};

/* Bytes of text that are gone over in the time of a step. */
#define TEXT_BYTES_PER_STEP 32

/* False when so many are not left. */
MUST_USE static inline bool work_take(struct work *w, size_t steps)
{
	if (__builtin_expect(steps > w->steps_left, 0)) {
		w->steps_left = 0;
		return false;
	}
	w->steps_left -= steps;
	return true;
}

/* For going over a text once. */
MUST_USE static inline bool work_take_text(struct work *w, struct slice text)
{
	return work_take(w, text.len / TEXT_BYTES_PER_STEP);
}

/* For reading a number, which v is. */
MUST_USE bool work_take_number(struct work *w, const json_t *v, struct number *out);

/* As JSON Schema compares: 1 and 1.0 are one number. False, too, when the steps run out. */
bool values_equal(const json_t *a, const json_t *b, struct work *w);
/* The same for equal values. */
uint64_t value_hash(const struct hash_key *key, const json_t *v, struct work *w);
void value_list_index(struct value_list *list, const struct hash_key *key);
bool value_list_has(const struct value_list *list, const struct hash_key *key, const json_t *v,
		    struct work *w);
/* The first item that repeats an earlier one; the array's size when none does. */
size_t array_first_repeat(const json_t *array, const struct hash_key *key, struct work *w);

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
