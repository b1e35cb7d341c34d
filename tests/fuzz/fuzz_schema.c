#include "fuzz.h"

#include "json/edge.h"
#include "json/pattern.h"
#include "json/schema.h"

#define STEPS      100000
#define FAULTS_MAX 20

/* A schema and a document; and where both are texts, a pattern and what it is to fit. */

static void try_pattern(const json_t *text, const json_t *value)
{
	struct patterns *ps = patterns_create();
	struct pattern *p = pattern_create(ps, edge_slice(text), NULL);
	size_t steps = STEPS;

	if (p && pattern_match(p, edge_slice(value), &steps) == PATTERN_GAVE_UP)
		CHECK(steps == 0);
	CHECK(steps <= STEPS);
	patterns_destroy(ps);
}

static void try_schema(json_t *document, const json_t *value)
{
	struct schema *s = schema_create(document, NULL);
	struct faults faults = FAULTS_INIT;
	struct schema_fault fault = {.text = ""};
	json_t *known;
	bool is_good;

	if (!s)
		return;
	is_good = schema_check(s, value, &fault);
	CHECK(is_good || *fault.text);
	known = schema_faults(s, value, &faults, FAULTS_MAX);
	CHECK(is_good == !faults.count);
	json_decref(known);
	faults_finish(&faults);
	schema_destroy(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice first, second;
	json_t *document, *value;

	fuzz_split(data, size, &first, &second);
	document = edge_parse(first, NULL);
	value = edge_parse(second, NULL);
	if (json_is_string(document) && json_is_string(value))
		try_pattern(document, value);
	else if (document && value)
		try_schema(document, value);
	json_decref(document);
	json_decref(value);
	return 0;
}
