/*
 * anyOf, oneOf, allOf, not and $ref: what is said when no form fits is what the writer most likely
 * meant.
 */

#include "json/schema_check.h"

/* Checks without words; probe tells about the first fault. */
static bool passes(struct check *c, const struct node *n, const json_t *v, const struct frame *at,
		   struct check *probe)
{
	*probe = (struct check){.max = 1, .depth = c->depth, .schema = c->schema, .work = c->work};
	check_node(probe, n, v, at);
	return probe->n == 0;
}

/* A bare $ref is looked through. */
static const struct node *behind_ref(const struct node *n)
{
	while (n->n_rules == 1 && n->ref)
		n = n->ref;
	return n;
}

static unsigned types_admitted(const struct node *n)
{
	n = behind_ref(n);
	if (n->is_never)
		return 0;
	return n->types ? n->types : UINT8_MAX;
}

/* Whether a constant member, which is how kinds of objects are told apart, says another kind. */
static bool is_other_kind(struct check *c, const struct node *n, const json_t *v)
{
	n = behind_ref(n);
	for (size_t i = 0; i < n->properties.n; i++) {
		const struct property *p = &n->properties.p[i];
		const json_t *member;

		if (!p->node->constant)
			continue;
		if (!work_take(c->work, 1))
			return false;
		member = json_object_getn(v, p->name.p, p->name.len);
		if (member && !values_equal(p->node->constant, member, c->work))
			return true;
	}
	return false;
}

static void explain_required(struct check *c, const struct node_list *list, const char *words,
			     const struct frame *at)
{
	struct schema_fault *f = check_fault(c, at, FAULT_RULE);

	if (!f)
		return;
	text_append(f, "must have %s ", words);
	for (size_t i = 0; i < list->n; i++) {
		struct slice name = list->p[i]->required.p[0];

		text_append(f, "%s%.*s", i ? ", " : "", (int)name.len, name.p);
	}
}

/*
 * No branch fits. If one of them is clearly meant, its own fault says most: the only one for this
 * type and kind of value, or else the only one whose first fault is not that some type is wrong.
 */
static const struct node *branch_meant(struct check *c, const struct node_list *list,
				       const json_t *v, const struct frame *at)
{
	const struct node *of_kind = NULL, *of_types = NULL;
	size_t n_of_kind = 0, n_of_types = 0, depth = at ? at->depth : 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct node *n = list->p[i];
		struct check probe;

		if (!(types_admitted(n) & check_types_of(v)) || is_other_kind(c, n, v))
			continue;
		of_kind = n;
		n_of_kind++;
		if (passes(c, n, v, at, &probe) ||
		    (probe.sort == FAULT_TYPE && probe.fault_depth <= depth + 1))
			continue;
		of_types = n;
		n_of_types++;
	}
	if (n_of_kind == 1)
		return of_kind;
	return n_of_types == 1 ? of_types : NULL;
}

static void explain_none(struct check *c, const struct node_list *list, const json_t *v,
			 const struct frame *at)
{
	const struct node *meant = branch_meant(c, list, v, at);
	size_t faults = c->n;
	unsigned types = 0;
	struct schema_fault *f;

	if (meant)
		check_node(c, meant, v, at);
	if (c->n > faults)
		return;
	for (size_t i = 0; i < list->n; i++)
		types |= types_admitted(list->p[i]);
	f = check_fault(c, at, FAULT_RULE);
	if (f && types && !(types & check_types_of(v)))
		text_types(f, types, v);
	else if (f)
		text_append(f, "has none of the allowed forms");
}

static void check_any(struct check *c, const struct node_list *list, const json_t *v,
		      const struct frame *at)
{
	struct check probe;

	for (size_t i = 0; i < list->n; i++) {
		if (passes(c, list->p[i], v, at, &probe))
			return;
	}
	if (list->requires_names)
		explain_required(c, list, "at least one of", at);
	else if (c->out)
		explain_none(c, list, v, at);
	else
		(void)check_fault(c, at, probe.sort);
}

static void check_one(struct check *c, const struct node_list *list, const json_t *v,
		      const struct frame *at)
{
	struct check probe;
	size_t n_passed = 0;

	for (size_t i = 0; i < list->n && n_passed < 2; i++)
		n_passed += passes(c, list->p[i], v, at, &probe);
	if (n_passed != 1 && list->requires_names)
		explain_required(c, list, n_passed ? "only one of" : "one of", at);
	else if (n_passed > 1)
		check_fault_says(c, at, "has more than one of the allowed forms");
	else if (!n_passed && c->out)
		explain_none(c, list, v, at);
	else if (!n_passed)
		(void)check_fault(c, at, probe.sort);
}

/* "not": {"required": [...]} */
static bool forbids_names(const struct node *n)
{
	return n->negated && n->negated->n_rules == 1 && n->negated->required.n > 1;
}

static void check_negated(struct check *c, const struct node *n, const json_t *v,
			  const struct frame *at)
{
	struct schema_fault *f;
	struct check probe;

	if (!passes(c, n->negated, v, at, &probe))
		return;
	f = check_fault(c, at, FAULT_RULE);
	if (f && forbids_names(n))
		text_forbidden(f, &n->negated->required);
	else if (f)
		text_append(f, "has a form that is not allowed");
}

/* Of what members an object has, whatever is in them. */
void check_presence(struct check *c, const struct node *n, const json_t *v, const struct frame *at)
{
	if (n->any_of.requires_names && !check_is_full(c))
		check_any(c, &n->any_of, v, at);
	if (n->one_of.requires_names && !check_is_full(c))
		check_one(c, &n->one_of, v, at);
	if (forbids_names(n) && !check_is_full(c))
		check_negated(c, n, v, at);
}

void check_combinations(struct check *c, const struct node *n, const json_t *v,
			const struct frame *at)
{
	if (n->ref)
		check_node(c, n->ref, v, at);
	for (size_t i = 0; i < n->all_of.n && !check_is_full(c); i++)
		check_node(c, n->all_of.p[i], v, at);
	if (n->any_of.n && !check_is_full(c))
		check_any(c, &n->any_of, v, at);
	if (n->one_of.n && !check_is_full(c))
		check_one(c, &n->one_of, v, at);
	if (n->negated && !check_is_full(c))
		check_negated(c, n, v, at);
}
