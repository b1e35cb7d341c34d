#ifndef JSON_SCHEMA_CHECK_H
#define JSON_SCHEMA_CHECK_H

/*
 * Private to this room: a check while it runs, and what its two files need of each other.
 */

#include "json/schema_node.h"

/* Of what sort a fault is, for the choice among the branches of anyOf and oneOf. */
enum fault_sort {
	FAULT_RULE,
	FAULT_TYPE, /* probably the wrong branch for this value */
};

struct check {
	struct schema_fault *out;   /* NULL: only probing, nothing is put into words */
	struct schema_place *place; /* of each fault, as a pointer; NULL: dotted paths are enough */
	size_t n, max;
	bool is_name; /* the value is the name of a member */
	size_t depth;
	const struct schema *schema;
	struct work *work;
	/* The first fault. */
	enum fault_sort sort;
	size_t fault_depth;
};

void check_node(struct check *c, const struct node *n, const json_t *v, const struct frame *at);

/* anyOf, oneOf, not: first those that look at nothing but which members an object has. */
void check_presence(struct check *c, const struct node *n, const json_t *v, const struct frame *at);
void check_combinations(struct check *c, const struct node *n, const json_t *v,
			const struct frame *at);

bool check_is_full(const struct check *c);
/* Counts a fault. Returns the place for its text, or NULL while probing. Where no steps are left it
 * is not known whether there is one, here or anywhere: that is said, once, and in its place. */
struct schema_fault *check_fault(struct check *c, const struct frame *at, enum fault_sort sort);
void check_fault_says(struct check *c, const struct frame *at, const char *text);
/* Of enum value_type. */
unsigned check_types_of(const json_t *v);

#endif
