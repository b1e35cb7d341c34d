#ifndef JSON_SCHEMA_H
#define JSON_SCHEMA_H

/*
 * JSON Schema 2020-12, the subset that our schemas use; any keyword outside of it is refused when
 * the schema is loaded, so that no rule is ever silently ignored. Annotations (title, description,
 * default, examples, $schema, $comment, deprecated, readOnly, writeOnly, contentEncoding,
 * contentMediaType, format as an annotation) are accepted and do nothing.
 *
 * Assertions: type (also a list; integer takes 5.0), enum, const, properties, required,
 * additionalProperties (bool or schema), propertyNames, minProperties, maxProperties, items,
 * prefixItems, minItems, maxItems, uniqueItems, minLength, maxLength (in code points), pattern
 * (ECMA-262 with the flag u, anchors as written), minimum, maximum, exclusiveMinimum,
 * exclusiveMaximum, multipleOf (decimals, exact), anyOf, oneOf, allOf, not, $defs with local $ref.
 * Boolean schemas.
 *
 * A pattern that cannot be read as its writer meant it, or that would take too much room, is
 * refused. A check is bounded in depth and in steps, in which all its work is counted, and fails
 * closed beyond them: what was not proved is a fault.
 */

#include "base/err.h"
#include "json/faults.h"

#include <jansson.h>

struct schema;

/* NULL and err with the JSON pointer of the fault. Keeps a reference to document. */
struct schema *schema_create(json_t *document, struct err *err);
void schema_destroy(struct schema *s);

struct schema_fault {
	char field[128]; /* dotted path of the bad value: amount_usd, company.domain; "" = the root
			  */
	char text[256];  /* "must be at least 5", "is required", "is not a known field" */
};

/* The first fault in document order. */
MUST_USE bool schema_check(const struct schema *s, const json_t *value, struct schema_fault *fault);

/* All faults with their JSON pointers, up to max, for configuration. Returns a copy of the value
 * without the members that the schema does not know: a new reference. */
json_t *schema_faults(const struct schema *s, const json_t *value, struct faults *out, size_t max);

#endif
