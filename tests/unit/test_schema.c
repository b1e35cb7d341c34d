#include "base/limits.h"
#include "json/edge.h"
#include "json/schema.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static json_t *parsed(const char *text)
{
	struct err err = ERR_INIT;
	json_t *value = edge_parse(slice_of(text), &err);

	ck_assert_msg(value, "%s: %s", text, err.text);
	return value;
}

static struct schema *compiled(const char *text)
{
	struct err err = ERR_INIT;
	json_t *document = parsed(text);
	struct schema *s = schema_create(document, &err);

	ck_assert_msg(s, "%s: %s", text, err.text);
	json_decref(document);
	return s;
}

struct check_case {
	const char *schema, *value;
	const char *fault; /* "field: text"; NULL: none */
};

static void check_cases(const struct check_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct schema *s = compiled(cases[i].schema);
		json_t *value = parsed(cases[i].value);
		struct schema_fault fault = {.field = "?", .text = "?"};
		bool is_ok = schema_check(s, value, &fault);
		char text[512] = "";

		if (!is_ok)
			(void)snprintf(text, sizeof(text), "%s: %s", fault.field, fault.text);
		ck_assert_msg(is_ok == !cases[i].fault, "%s of %s: \"%s\"", cases[i].value,
			      cases[i].schema, text);
		if (cases[i].fault)
			ck_assert_str_eq(text, cases[i].fault);
		json_decref(value);
		schema_destroy(s);
	}
}

START_TEST(a_value_is_of_its_type)
{
	static const struct check_case CASES[] = {
		{"{\"type\":\"number\"}", "5", NULL},
		{"{\"type\":\"number\"}", "5.5", NULL},
		{"{\"type\":\"number\"}", "\"5\"", ": must be a number, not a string"},
		{"{\"type\":\"integer\"}", "5.0", NULL},
		{"{\"type\":\"integer\"}", "1e300", NULL},
		{"{\"type\":\"integer\"}", "5.5", ": must be a whole number"},
		{"{\"type\":\"integer\"}", "null", ": must be a whole number, not null"},
		{"{\"type\":\"string\"}", "\"\"", NULL},
		{"{\"type\":\"string\"}", "true", ": must be a string, not true"},
		{"{\"type\":\"boolean\"}", "false", NULL},
		{"{\"type\":\"boolean\"}", "0", ": must be true or false, not a number"},
		{"{\"type\":\"null\"}", "null", NULL},
		{"{\"type\":\"null\"}", "{}", ": must be null, not an object"},
		{"{\"type\":\"object\"}", "{}", NULL},
		{"{\"type\":\"object\"}", "[]", ": must be an object, not an array"},
		{"{\"type\":\"array\"}", "[]", NULL},
		{"{\"type\":\"array\"}", "{}", ": must be an array, not an object"},
		{"{\"type\":[\"number\",\"null\"]}", "null", NULL},
		{"{\"type\":[\"null\",\"number\"]}", "\"\"",
		 ": must be a number or null, not a string"},
		{"{\"type\":[\"array\",\"string\",\"object\"]}", "1",
		 ": must be a string, an object or an array, not a number"},
		{"{\"type\":[\"integer\",\"null\"]}", "0.5", ": must be a whole number or null"},
		{"true", "[1]", NULL},
		{"{}", "[1]", NULL},
		{"false", "1", ": is not allowed"},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(enum_and_const_compare_values)
{
	static const struct check_case CASES[] = {
		{"{\"enum\":[\"all\",\"first\"]}", "\"first\"", NULL},
		{"{\"enum\":[\"all\",\"first\"]}", "\"firs\"",
		 ": must be one of \"all\", \"first\""},
		{"{\"enum\":[\"all\"]}", "\"All\"", ": must be \"all\""},
		{"{\"enum\":[1,null,true,[1,{\"a\":2,\"b\":3}]]}", "1.0", NULL},
		{"{\"enum\":[1,null,true,[1,{\"a\":2,\"b\":3}]]}", "null", NULL},
		{"{\"enum\":[1,null,true,[1,{\"a\":2,\"b\":3}]]}", "true", NULL},
		{"{\"enum\":[1,null,true,[1,{\"a\":2,\"b\":3}]]}", "[1.0,{\"b\":3,\"a\":2.0}]",
		 NULL},
		{"{\"enum\":[1,null,true,[1]]}", "false", ": must be one of 1, null, true, [1]"},
		{"{\"enum\":[1,null,true,[1]]}", "[1,1]", ": must be one of 1, null, true, [1]"},
		{"{\"enum\":[{\"a\":1}]}", "{\"b\":1}", ": must be {\"a\":1}"},
		{"{\"enum\":[0]}", "false", ": must be 0"},
		{"{\"const\":null}", "null", NULL},
		{"{\"const\":null}", "0", ": must be null"},
		{"{\"const\":\"a\\u0000b\"}", "\"a\\u0000c\"", ": must be \"a\\u0000b\""},
		{"{\"const\":9007199254740993}", "9007199254740992", ": must be 9007199254740993"},
		{"{\"const\":9007199254740993}", "9007199254740993", NULL},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(numbers_are_bounded_exactly)
{
	static const struct check_case CASES[] = {
		{"{\"minimum\":5}", "5", NULL},
		{"{\"minimum\":5}", "5.0", NULL},
		{"{\"minimum\":5}", "4.999999999999999", ": must be at least 5"},
		{"{\"minimum\":0.1}", "0.1", NULL},
		{"{\"minimum\":0.1}", "0.09999999999999999", ": must be at least 0.1"},
		{"{\"minimum\":-1.5}", "-1.5", NULL},
		{"{\"minimum\":-1.5}", "-1.51", ": must be at least -1.5"},
		{"{\"minimum\":0}", "-0.0", NULL},
		{"{\"minimum\":0}", "-1e-300", ": must be at least 0"},
		{"{\"minimum\":0}", "1e-300", NULL},
		{"{\"maximum\":10000}", "10000", NULL},
		{"{\"maximum\":10000}", "1e4", NULL},
		{"{\"maximum\":10000}", "10000.01", ": must be at most 10000"},
		{"{\"maximum\":10000}", "1e300", ": must be at most 10000"},
		{"{\"maximum\":10000}", "-1e300", NULL},
		{"{\"maximum\":10000}", "9223372036854775807", ": must be at most 10000"},
		{"{\"minimum\":9223372036854775807}", "9223372036854775807", NULL},
		{"{\"minimum\":9223372036854775807}", "9223372036854775806",
		 ": must be at least 9223372036854775807"},
		{"{\"exclusiveMinimum\":0}", "1e-300", NULL},
		{"{\"exclusiveMinimum\":0}", "0.0", ": must be greater than 0"},
		{"{\"exclusiveMaximum\":1}", "0.9999999999999999", NULL},
		{"{\"exclusiveMaximum\":1}", "1.0", ": must be less than 1"},
		{"{\"minimum\":5}", "\"1\"", NULL},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(multiples_are_exact)
{
	static const struct check_case CASES[] = {
		{"{\"multipleOf\":0.01}", "19.99", NULL},
		{"{\"multipleOf\":0.01}", "0.07", NULL},
		{"{\"multipleOf\":0.01}", "1.1", NULL},
		{"{\"multipleOf\":0.01}", "25", NULL},
		{"{\"multipleOf\":0.01}", "0", NULL},
		{"{\"multipleOf\":0.01}", "-4.35", NULL},
		{"{\"multipleOf\":0.01}", "19.999", ": has more than two decimals"},
		{"{\"multipleOf\":0.01}", "0.30000000000000004", ": has more than two decimals"},
		{"{\"multipleOf\":0.01}", "1e-30", ": has more than two decimals"},
		{"{\"multipleOf\":0.01}", "1e300", NULL},
		{"{\"multipleOf\":0.1}", "0.25", ": has more than one decimal"},
		{"{\"multipleOf\":0.0001}", "0.00005", ": has more than four decimals"},
		{"{\"multipleOf\":1}", "1.5", ": must be a whole number"},
		{"{\"multipleOf\":1.0}", "15.0", NULL},
		{"{\"multipleOf\":0.25}", "0.75", NULL},
		{"{\"multipleOf\":0.25}", "0.8", ": must be a multiple of 0.25"},
		{"{\"multipleOf\":20}", "60", NULL},
		{"{\"multipleOf\":4}", "20", NULL},
		{"{\"multipleOf\":20}", "50", ": must be a multiple of 20"},
		{"{\"multipleOf\":3}", "1e300", ": must be a multiple of 3"},
		{"{\"multipleOf\":7}", "9223372036854775807", NULL},
		{"{\"multipleOf\":7}", "9223372036854775806", ": must be a multiple of 7"},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(strings_are_measured_in_characters)
{
	static const struct check_case CASES[] = {
		{"{\"minLength\":1}", "\"\"", ": must not be empty"},
		{"{\"minLength\":1}", "\"\\u0000\"", NULL},
		{"{\"minLength\":2}", "\"\xe2\x82\xac\"", ": must have at least 2 characters"},
		{"{\"minLength\":2}", "\"\xe2\x82\xac\xe2\x82\xac\"", NULL},
		{"{\"maxLength\":2}", "\"\xf0\x9f\x98\x80\xc3\xa9\"", NULL},
		{"{\"maxLength\":2}", "\"\xf0\x9f\x98\x80\xc3\xa9z\"",
		 ": must have at most 2 characters"},
		{"{\"maxLength\":1}", "\"ab\"", ": must have at most 1 character"},
		{"{\"maxLength\":0}", "\"\"", NULL},
		{"{\"maxLength\":0}", "\"a\"", ": must have at most 0 characters"},
		{"{\"maxLength\":1}", "[1,2]", NULL},
		{"{\"pattern\":\"^[0-9]{4}-[0-9]{2}$\"}", "\"2026-11\"", NULL},
		{"{\"pattern\":\"^[0-9]{4}-[0-9]{2}$\"}", "\"2026-11\\n\"",
		 ": must match ^[0-9]{4}-[0-9]{2}$"},
		{"{\"pattern\":\"^[0-9]{4}-[0-9]{2}$\"}", "\"2026-11\\u0000\"",
		 ": must match ^[0-9]{4}-[0-9]{2}$"},
		{"{\"pattern\":\"b+\"}", "\"abc\"", NULL},
		{"{\"pattern\":\"^(a|b)\\\\.c$\"}", "\"b.c\"", NULL},
		{"{\"pattern\":\"^(a|b)\\\\.c$\"}", "\"bxc\"", ": must match ^(a|b)\\.c$"},
		{"{\"maxLength\":3,\"pattern\":\"^a*$\"}", "\"bbbb\"",
		 ": must have at most 3 characters"},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(objects_have_known_fields_and_the_required_ones)
{
#define AMOUNT                                                                                     \
	"{\"type\":\"object\",\"properties\":{\"amount_usd\":{\"type\":\"number\"},\"note\":"      \
	"{\"type\":\"string\"}},\"required\":[\"amount_usd\"],\"additionalProperties\":false}"
	static const struct check_case CASES[] = {
		{AMOUNT, "{\"amount_usd\":5}", NULL},
		{AMOUNT, "{}", "amount_usd: is required"},
		{AMOUNT, "{\"amount_usd\":null}", "amount_usd: must be a number, not null"},
		{AMOUNT, "{\"amount\":5}", "amount: is not a known field"},
		{AMOUNT, "{\"note\":1,\"amount\":5}", "note: must be a string, not a number"},
		{AMOUNT, "{\"amount\":5,\"note\":1}", "amount: is not a known field"},
		{"{\"properties\":{\"company\":" AMOUNT "}}", "{\"company\":{}}",
		 "company.amount_usd: is required"},
		{"{\"properties\":{\"a\":{\"items\":" AMOUNT "}}}",
		 "{\"a\":[{\"amount_usd\":1},{\"amount_usd\":1,\"x\":1}]}",
		 "a.1.x: is not a known field"},
		{"{\"properties\":{\"a\":true,\"b\":false},\"additionalProperties\":{\"type\":"
		 "\"string\"}}",
		 "{\"a\":1,\"c\":\"\"}", NULL},
		{"{\"properties\":{\"a\":true,\"b\":false}}", "{\"b\":1}", "b: is not allowed"},
		{"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"c\":1}",
		 "c: must be a string, not a number"},
		{"{\"additionalProperties\":true}", "{\"c\":1}", NULL},
		{"{\"required\":[\"a\",\"b\"]}", "{\"a\":null}", "b: is required"},
		{"{\"required\":[\"a\"]}", "[]", NULL},
		{"{\"minProperties\":1}", "{\"a\":1}", NULL},
		{"{\"minProperties\":1}", "{}", ": must have at least one field"},
		{"{\"minProperties\":2}", "{\"a\":1}", ": must have at least 2 fields"},
		{"{\"maxProperties\":1}", "{\"a\":1}", NULL},
		{"{\"maxProperties\":1}", "{\"a\":1,\"b\":1}", ": must have at most 1 field"},
		{"{\"propertyNames\":{\"pattern\":\"^[a-z]{1,4}$\"}}", "{\"abcd\":1}", NULL},
		{"{\"propertyNames\":{\"pattern\":\"^[a-z]{1,4}$\"}}", "{\"abcde\":1}",
		 "abcde: the name must match ^[a-z]{1,4}$"},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(arrays_have_their_items)
{
	static const struct check_case CASES[] = {
		{"{\"items\":{\"type\":\"string\"}}", "[]", NULL},
		{"{\"items\":{\"type\":\"string\"}}", "[\"a\",\"b\"]", NULL},
		{"{\"items\":{\"type\":\"string\"}}", "[\"a\",1]",
		 "1: must be a string, not a number"},
		{"{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"number\"}],\"items\":false}",
		 "[\"a\",1]", NULL},
		{"{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"number\"}],\"items\":false}",
		 "[\"a\"]", NULL},
		{"{\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"number\"}],\"items\":false}",
		 "[\"a\",1,2]", "2: is not allowed"},
		{"{\"prefixItems\":[{\"type\":\"string\"}]}", "[\"a\",1]", NULL},
		{"{\"minItems\":1}", "[0]", NULL},
		{"{\"minItems\":1}", "[]", ": must not be empty"},
		{"{\"minItems\":2}", "[0]", ": must have at least 2 items"},
		{"{\"maxItems\":2}", "[0,0]", NULL},
		{"{\"maxItems\":2}", "[0,0,0]", ": must have at most 2 items"},
		{"{\"maxItems\":1}", "{\"a\":1,\"b\":2}", NULL},
		{"{\"uniqueItems\":true}", "[1,\"1\",true,null,[1],{\"a\":1},[1,1],{\"b\":1}]",
		 NULL},
		{"{\"uniqueItems\":true}", "[1,\"1\",1.0]", "2: repeats an earlier item"},
		{"{\"uniqueItems\":true}", "[{\"a\":1,\"b\":[2]},0,{\"b\":[2.0],\"a\":1}]",
		 "2: repeats an earlier item"},
		{"{\"uniqueItems\":false}", "[1,1]", NULL},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(combinations_say_what_is_meant)
{
#define NAME_OR_URL                                                                                \
	"{\"properties\":{\"company\":{\"type\":\"object\",\"anyOf\":[{\"required\":[\"name\"]},"  \
	"{\"required\":[\"domain\"]},{\"required\":[\"url\"]}]}}}"
#define KINDS                                                                                      \
	"{\"properties\":{\"p\":{\"type\":\"object\",\"properties\":{\"kind\":{\"enum\":[\"a\","   \
	"\"b\"]}},\"required\":[\"kind\"],\"oneOf\":[{\"properties\":{\"kind\":{\"const\":\"a\"}," \
	"\"n\":{\"minimum\":1}},\"additionalProperties\":false},{\"properties\":{\"kind\":"        \
	"{\"const\":\"b\"},\"m\":true},\"required\":[\"m\"],\"additionalProperties\":false}]}}}"
	static const struct check_case CASES[] = {
		{NAME_OR_URL, "{\"company\":{\"url\":\"\"}}", NULL},
		{NAME_OR_URL, "{\"company\":{\"nmae\":\"\"}}",
		 "company: must have at least one of name, domain, url"},
		{KINDS, "{\"p\":{\"kind\":\"a\",\"n\":1}}", NULL},
		{KINDS, "{\"p\":{\"kind\":\"a\",\"n\":0}}", "p.n: must be at least 1"},
		{KINDS, "{\"p\":{\"kind\":\"b\"}}", "p.m: is required"},
		{KINDS, "{\"p\":{\"kind\":\"b\",\"m\":0,\"n\":1}}", "p.n: is not a known field"},
		{KINDS, "{\"p\":{\"kind\":\"c\"}}", "p.kind: must be one of \"a\", \"b\""},
		{"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "null", NULL},
		{"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "1",
		 ": must be a string or null, not a number"},
		{"{\"anyOf\":[{\"type\":\"string\",\"minLength\":1},{\"type\":\"null\"}]}", "\"\"",
		 ": must not be empty"},
		{"{\"anyOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "3",
		 ": has none of the allowed forms"},
		{"{\"anyOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "4", NULL},
		{"{\"oneOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "4", NULL},
		{"{\"oneOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "5", NULL},
		{"{\"oneOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "6",
		 ": has more than one of the allowed forms"},
		{"{\"oneOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "3",
		 ": has none of the allowed forms"},
		{"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{}",
		 ": must have one of a, b"},
		{"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{\"a\":1,\"b\":1}",
		 ": must have only one of a, b"},
		{"{\"anyOf\":[{\"properties\":{\"a\":{\"type\":\"number\"}}},{\"required\":[\"b\"]}"
		 "]}",
		 "{\"a\":{}}", "b: is required"},
		{"{\"allOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "6", NULL},
		{"{\"allOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "7",
		 ": must be a multiple of 2"},
		{"{\"allOf\":[{\"minimum\":5},{\"multipleOf\":2}]}", "3", ": must be at least 5"},
		{"{\"not\":{\"type\":\"string\"}}", "1", NULL},
		{"{\"not\":{\"type\":\"string\"}}", "\"\"", ": has a form that is not allowed"},
		{"{\"not\":{\"not\":{\"type\":\"string\"}}}", "\"\"", NULL},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(references_stay_in_the_document)
{
#define TREE                                                                                       \
	"{\"$ref\":\"#/$defs/node\",\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":"      \
	"{\"next\":{\"$ref\":\"#/$defs/node\"},\"v\":{\"$ref\":\"#/$defs/a~1b\"}},"                \
	"\"additionalProperties\":false},\"a/b\":{\"type\":\"number\"}}}"
	static const struct check_case CASES[] = {
		{TREE, "{\"next\":{\"next\":{\"v\":1}}}", NULL},
		{TREE, "{\"next\":{\"next\":{\"v\":\"\"}}}",
		 "next.next.v: must be a number, not a string"},
		{"{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"additionalProperties\":false}",
		 "{\"a\":{\"a\":{\"b\":1}}}", "a.a.b: is not a known field"},
		{"{\"properties\":{\"a\":{\"minimum\":1},\"b\":{\"$ref\":\"#/properties/a\","
		 "\"maximum\":2}}}",
		 "{\"b\":3}", "b: must be at most 2"},
		{"{\"properties\":{\"a\":{\"minimum\":1},\"b\":{\"$ref\":\"#/properties/a\","
		 "\"maximum\":2}}}",
		 "{\"b\":0}", "b: must be at least 1"},
		{"{\"$defs\":{\"no\":false},\"properties\":{\"a\":{\"$ref\":\"#/$defs/no\"}}}",
		 "{\"a\":0}", "a: is not allowed"},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(annotations_assert_nothing)
{
	static const struct check_case CASES[] = {
		{"{\"title\":\"t\",\"description\":\"d\",\"default\":1,\"examples\":[1],"
		 "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
		 "\"$comment\":\"c\",\"deprecated\":true,\"readOnly\":true,\"writeOnly\":true,"
		 "\"contentEncoding\":\"base64\",\"contentMediaType\":\"a/"
		 "b\",\"format\":\"email\"}",
		 "\"no address\"", NULL},
	};

	check_cases(CASES, ARRAY_LEN(CASES));
}
END_TEST

START_TEST(what_is_not_understood_is_refused_with_its_place)
{
	static const struct {
		const char *schema, *why; /* how the text begins */
	} CASES[] = {
		{"{\"properties\":{\"a\":{\"if\":{}}}}",
		 "/properties/a/if: is not a keyword that is understood here"},
		{"{\"patternProperties\":{}}", "/patternProperties: is not a keyword"},
		{"{\"$id\":\"x\"}", "/$id: is not a keyword"},
		{"{\"items\":[{}]}", "/items: must be a schema"},
		{"5", "/: must be a schema"},
		{"{\"anyOf\":[{},{\"type\":\"strin\"}]}", "/anyOf/1/type: is not a type"},
		{"{\"anyOf\":[]}", "/anyOf: must be an array"},
		{"{\"type\":[]}", "/type: must name a type"},
		{"{\"type\":[\"null\",\"null\"]}", "/type: is not a type"},
		{"{\"enum\":[]}", "/enum: must be an array"},
		{"{\"enum\":\"a\"}", "/enum: must be an array"},
		{"{\"required\":\"a\"}", "/required: must be an array of names"},
		{"{\"required\":[1]}", "/required: must be an array of names"},
		{"{\"properties\":[]}", "/properties: must be an object"},
		{"{\"properties\":{\"a/b\":1}}", "/properties/a~1b: must be a schema"},
		{"{\"$defs\":{\"a\":{\"x\":1}}}", "/$defs/a/x: is not a keyword"},
		{"{\"minLength\":-1}", "/minLength: must be a whole number"},
		{"{\"minLength\":1.5}", "/minLength: must be a whole number"},
		{"{\"minimum\":\"5\"}", "/minimum: must be a number"},
		{"{\"minimum\":1e300}", "/minimum: must be a number of at most 18 digits"},
		{"{\"multipleOf\":0}", "/multipleOf: must be greater than 0"},
		{"{\"multipleOf\":-1}", "/multipleOf: must be greater than 0"},
		{"{\"uniqueItems\":1}", "/uniqueItems: must be true or false"},
		{"{\"pattern\":\"(\"}", "/pattern: is no pattern that can be used here: its ("},
		{"{\"items\":{\"pattern\":\"a++\"}}", "/items/pattern: is no pattern"},
		{"{\"pattern\":5}", "/pattern: must be a pattern"},
		{"{\"$ref\":\"#/$defs/none\"}", "/$ref: refers to no schema"},
		{"{\"$ref\":\"#/title\",\"title\":\"t\"}", "/$ref: refers to no schema"},
		{"{\"$ref\":\"other.json\"}", "/$ref: must be a local reference"},
		{"{\"$ref\":\"#anchor\"}", "/$ref: must be a local reference"},
		{"{\"$ref\":\"#\"}", "/: a $ref leads back to itself"},
		{"{\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/b\"}]},\"b\":{\"not\":"
		 "{\"$ref\":\"#/$defs/a\"}}}}",
		 "/: a $ref leads back to itself"},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		json_t *document = parsed(CASES[i].schema);
		struct err err = ERR_INIT;

		ck_assert_msg(!schema_create(document, &err), "%s", CASES[i].schema);
		ck_assert_msg(strncmp(err.text, CASES[i].why, strlen(CASES[i].why)) == 0, "%s: %s",
			      CASES[i].schema, err.text);
		json_decref(document);
	}
}
END_TEST

static bool compiles_at_depth(size_t depth)
{
	struct buf b = BUF_INIT;
	json_t *document;
	struct schema *s;

	for (size_t i = 0; i < depth; i++)
		buf_puts(&b, "{\"properties\":{\"a\":");
	buf_puts(&b, "{}");
	for (size_t i = 0; i < depth; i++)
		buf_puts(&b, "}}");
	document = parsed(buf_text(&b));
	s = schema_create(document, NULL);
	json_decref(document);
	schema_destroy(s);
	buf_finish(&b);
	return s != NULL;
}

START_TEST(a_schema_is_nested_up_to_its_limit)
{
	ck_assert(compiles_at_depth(SCHEMA_DEPTH_MAX));
	ck_assert(!compiles_at_depth(SCHEMA_DEPTH_MAX + 1));
}
END_TEST

START_TEST(a_check_that_would_not_end_fails_closed)
{
	/* Each level tries both branches, and the leaf fits neither: 2^100 ways. */
	struct schema *s = compiled("{\"$defs\":{\"n\":{\"anyOf\":["
				    "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/n\"}},"
				    "\"required\":[\"a\"]},"
				    "{\"additionalProperties\":{\"$ref\":\"#/$defs/n\"},"
				    "\"required\":[\"a\"]}]}},\"$ref\":\"#/$defs/n\"}");
	struct schema_fault fault;
	struct buf b = BUF_INIT;
	json_t *value;

	for (int i = 0; i < 100; i++)
		buf_puts(&b, "{\"a\":");
	buf_puts(&b, "{}");
	for (int i = 0; i < 100; i++)
		buf_putc(&b, '}');
	value = parsed(buf_text(&b));
	ck_assert(!schema_check(s, value, &fault));
	json_decref(value);
	schema_destroy(s);
	/* The same in comparisons, and behind a "not". */
	buf_clear(&b);
	buf_puts(&b, "{\"not\":{\"not\":{\"allOf\":[{\"uniqueItems\":true}");
	for (int i = 0; i < 200; i++)
		buf_puts(&b, ",{\"uniqueItems\":true}");
	buf_puts(&b, "]}}}");
	s = compiled(buf_text(&b));
	buf_clear(&b);
	buf_putc(&b, '[');
	for (int i = 0; i < 20000; i++)
		buf_printf(&b, "%d,", i);
	buf_puts(&b, "\"\"]");
	value = parsed(buf_text(&b));
	ck_assert(!schema_check(s, value, &fault));
	ck_assert_ptr_nonnull(strstr(fault.text, "too large"));
	json_decref(value);
	schema_destroy(s);
	buf_finish(&b);
}
END_TEST

START_TEST(all_faults_are_found_with_their_pointers)
{
	struct schema *s = compiled(
		"{\"properties\":{\"a/b\":{\"type\":\"string\"},\"p\":{"
		"\"oneOf\":[{\"properties\":{\"kind\":{\"const\":1}},"
		"\"additionalProperties\":false},{\"properties\":{\"kind\":"
		"{\"const\":2},\"l\":{\"items\":{\"minimum\":5,\"maximum\":3}}},"
		"\"required\":[\"z\"]}]}},\"required\":[\"q\"],"
		"\"additionalProperties\":false}");
	json_t *value = parsed("{\"a/b\":1,\"x~\":2,\"p\":{\"kind\":2,\"l\":[4]}}");
	static const char *const POINTERS[] = {"/a~1b", "/p/l/0", "/p/l/0", "/p/z", "/q", "/x~0"};
	struct faults faults = FAULTS_INIT;
	json_t *known = schema_faults(s, value, &faults, 100);

	ck_assert_uint_eq(faults.count, ARRAY_LEN(POINTERS));
	for (size_t i = 0; i < ARRAY_LEN(POINTERS); i++)
		ck_assert_str_eq(faults.items[i].pointer, POINTERS[i]);
	ck_assert_uint_eq(json_object_size(known), 2);
	faults_finish(&faults);
	json_decref(known);
	json_decref(value);
	schema_destroy(s);
}
END_TEST

START_TEST(long_texts_are_cut_at_a_character)
{
	struct schema *s = compiled("{\"additionalProperties\":false}");
	struct schema *choices;
	struct schema_fault fault;
	struct buf b = BUF_INIT;
	json_t *value;

	buf_puts(&b, "{\"a");
	for (int i = 0; i < 200; i++)
		buf_puts(&b, "\xe2\x82\xac");
	buf_puts(&b, "\":1}");
	value = parsed(buf_text(&b));
	ck_assert(!schema_check(s, value, &fault));
	ck_assert_uint_eq(strlen(fault.field), 1 + 41 * 3 + 3);
	ck_assert_str_eq(fault.field + strlen(fault.field) - 6, "\xe2\x82\xac...");
	json_decref(value);
	schema_destroy(s);

	buf_clear(&b);
	buf_puts(&b, "{\"enum\":[\"choice\"");
	for (int i = 0; i < 100; i++)
		buf_printf(&b, ",\"choice_%d\"", i);
	buf_puts(&b, "]}");
	choices = compiled(buf_text(&b));
	value = parsed("1");
	ck_assert(!schema_check(choices, value, &fault));
	ck_assert_uint_lt(strlen(fault.text), sizeof(fault.text));
	ck_assert_str_eq(fault.text + strlen(fault.text) - 6, "\", ...");
	json_decref(value);
	schema_destroy(choices);
	buf_finish(&b);
}
END_TEST

UNIT_MAIN("schema", a_value_is_of_its_type, enum_and_const_compare_values,
	  numbers_are_bounded_exactly, multiples_are_exact, strings_are_measured_in_characters,
	  objects_have_known_fields_and_the_required_ones, arrays_have_their_items,
	  combinations_say_what_is_meant, references_stay_in_the_document,
	  annotations_assert_nothing, what_is_not_understood_is_refused_with_its_place,
	  a_schema_is_nested_up_to_its_limit, a_check_that_would_not_end_fails_closed,
	  all_faults_are_found_with_their_pointers, long_texts_are_cut_at_a_character)
