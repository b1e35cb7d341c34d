/* What a check may cost is counted, not timed: a small budget of steps shows it on any machine. */

#include "base/limits.h"
#include "json/edge.h"
#include "json/schema_node.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static json_t *parsed(const char *text)
{
	struct err err = ERR_INIT;
	json_t *value = edge_parse(slice_of(text), &err);

	ck_assert_msg(value, "%.100s: %s", text, err.text);
	return value;
}

static struct schema *compiled(const char *text)
{
	json_t *document = parsed(text);
	struct err err = ERR_INIT;
	struct schema *s = schema_create(document, &err);

	ck_assert_msg(s, "%.100s: %s", text, err.text);
	json_decref(document);
	return s;
}

/* "" or the fault. */
static void check(const char *schema, const char *value, char out[512])
{
	struct schema *s = compiled(schema);
	json_t *v = parsed(value);
	struct schema_fault fault;

	out[0] = '\0';
	if (!schema_check(s, v, &fault))
		(void)snprintf(out, 512, "%s: %s", fault.field, fault.text);
	json_decref(v);
	schema_destroy(s);
}

static void numbers(struct buf *b, int n, const char *last)
{
	buf_clear(b);
	buf_putc(b, '[');
	for (int i = 0; i < n; i++)
		buf_printf(b, "%d,", i);
	buf_printf(b, "%s]", last);
}

START_TEST(a_hundred_thousand_items_are_compared)
{
	struct buf b = BUF_INIT;
	char fault[512];

	numbers(&b, 100000, "100000");
	check("{\"uniqueItems\":true}", buf_text(&b), fault);
	ck_assert_str_eq(fault, "");
	numbers(&b, 100000, "77.0");
	check("{\"uniqueItems\":true}", buf_text(&b), fault);
	ck_assert_str_eq(fault, "100000: repeats an earlier item");
	buf_finish(&b);
}
END_TEST

/* Among more items than are compared one by one. */
START_TEST(equal_values_are_found_whatever_they_look_like)
{
	static const struct {
		const char *a, *b;
		bool is_same;
	} CASES[] = {
		{"1", "1.0", true},
		{"100", "1e2", true},
		{"0", "-0.0", true},
		{"0.1", "1e-1", true},
		{"1e300", "10e299", true},
		{"9007199254740993", "9007199254740992", false},
		{"0.30000000000000004", "0.3", false},
		{"1", "true", false},
		{"0", "false", false},
		{"null", "false", false},
		{"\"\"", "null", false},
		{"[]", "{}", false},
		{"\"1\"", "1", false},
		{"[1,2]", "[1.0,2.0]", true},
		{"[1,2]", "[2,1]", false},
		{"[[1],2]", "[1,[2]]", false},
		{"[[],[]]", "[[[]]]", false},
		{"{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1.0}", true},
		{"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", false},
		{"{\"a\":{\"b\":1}}", "{\"b\":{\"a\":1}}", false},
		{"\"a\\u0000b\"", "\"a\\u0000c\"", false},
		{"\"a\\u0000b\"", "\"a\\u0000b\"", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		struct buf b = BUF_INIT;
		char fault[512];

		buf_printf(&b, "[%s", CASES[i].a);
		for (int k = 0; k < 20; k++)
			buf_printf(&b, ",\"other%d\"", k);
		buf_printf(&b, ",%s]", CASES[i].b);
		check("{\"uniqueItems\":true}", buf_text(&b), fault);
		ck_assert_msg(!*fault == !CASES[i].is_same, "%s %s: %s", CASES[i].a, CASES[i].b,
			      fault);
		/* The same as one of many choices. */
		buf_clear(&b);
		buf_printf(&b, "{\"enum\":[%s", CASES[i].a);
		for (int k = 0; k < 20; k++)
			buf_printf(&b, ",\"other%d\"", k);
		buf_puts(&b, "]}");
		check(buf_text(&b), CASES[i].b, fault);
		ck_assert_msg(!*fault == CASES[i].is_same, "%s %s: %s", CASES[i].a, CASES[i].b,
			      fault);
		buf_finish(&b);
	}
}
END_TEST

START_TEST(many_values_are_looked_up_in_many_choices)
{
	struct buf schema = BUF_INIT, value = BUF_INIT;
	char fault[512];

	buf_puts(&schema, "{\"items\":{\"enum\":[");
	for (int i = 0; i < 50000; i++)
		buf_printf(&schema, "\"v%d\",", i);
	buf_puts(&schema, "0]}}");
	buf_putc(&value, '[');
	for (int i = 0; i < 50000; i++)
		buf_printf(&value, "\"v%d\",", 49999 - i);
	buf_puts(&value, "0]");
	check(buf_text(&schema), buf_text(&value), fault);
	ck_assert_str_eq(fault, "");
	buf_finish(&schema);
	buf_finish(&value);
}
END_TEST

START_TEST(a_schema_has_so_many_choices)
{
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	json_t *document;

	buf_puts(&b, "{\"anyOf\":[{\"enum\":[0]},{\"enum\":");
	{
		struct buf list = BUF_INIT;

		numbers(&list, SCHEMA_CHOICES_MAX - 1, "0");
		buf_puts(&b, buf_text(&list));
		buf_finish(&list);
	}
	buf_puts(&b, "}]}");
	document = parsed(buf_text(&b));
	ck_assert_ptr_null(schema_create(document, &err));
	ck_assert_str_eq(err.text, "/anyOf/1/enum: has too many values");
	json_decref(document);
	buf_finish(&b);
}
END_TEST

/* Each way to spend steps without end runs into the budget of the whole document. */
START_TEST(work_of_every_kind_is_counted)
{
	static const struct {
		const char *rule; /* stands as often as it takes in one allOf */
		const char *item; /* of an array of many */
	} CASES[] = {
		{"{\"minLength\":1}", "\"TEXT\""},
		{"{\"const\":\"TEXT\"}", "\"TEXT\""},
		{"{\"enum\":[\"TEXT\",1]}", "\"TEXT\""},
		{"{\"pattern\":\"^.*$\"}", "\"TEXT\""},
		{"{\"properties\":{\"z\":true}}", "{\"a\":1,\"b\":2,\"c\":3}"},
		{"{\"required\":[\"a\",\"a\",\"a\",\"a\"]}", "{\"a\":1}"},
		{"{\"propertyNames\":{\"minLength\":1}}", "{\"TEXT\":1}"},
		{"{\"multipleOf\":3}", "3e300"},
		{"{\"minimum\":0}", "0.1234567890123456789"},
		{"{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,10,11]"},
		{"{\"not\":{\"not\":true}}", "1"},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		struct buf schema = BUF_INIT, value = BUF_INIT, text = BUF_INIT, b = BUF_INIT;
		char fault[512];

		for (int k = 0; k < 500; k++)
			buf_puts(&text, "0123456789");
		buf_puts(&schema, "{\"items\":{\"allOf\":[true");
		for (int k = 0; k < 1500; k++)
			buf_printf(&schema, ",%s", CASES[i].rule);
		buf_puts(&schema, "]}}");
		/* With a pattern a schema may not stand so often. */
		if (strstr(CASES[i].rule, "pattern")) {
			buf_clear(&schema);
			buf_puts(&schema, "{\"items\":{\"allOf\":[true");
			for (int k = 0; k < 200; k++)
				buf_printf(&schema, ",%s", CASES[i].rule);
			buf_puts(&schema, "]}}");
		}
		buf_putc(&value, '[');
		for (int k = 0; k < 1500; k++)
			buf_printf(&value, "%s%s", k ? "," : "", CASES[i].item);
		buf_putc(&value, ']');
		for (const char *p = buf_text(&value); *p; p++) {
			if (strncmp(p, "TEXT", 4) == 0 && strstr(CASES[i].item, "TEXT")) {
				buf_append(&b, buf_text(&text), 500);
				p += 3;
			} else {
				buf_putc(&b, *p);
			}
		}
		buf_clear(&value);
		for (const char *p = buf_text(&schema); *p; p++) {
			if (strncmp(p, "TEXT", 4) == 0) {
				buf_append(&value, buf_text(&text), 500);
				p += 3;
			} else {
				buf_putc(&value, *p);
			}
		}
		check(buf_text(&value), buf_text(&b), fault);
		ck_assert_msg(strstr(fault, "too large") || strstr(fault, "within bounds"),
			      "%s: %s", CASES[i].rule, fault);
		buf_finish(&schema);
		buf_finish(&value);
		buf_finish(&text);
		buf_finish(&b);
	}
}
END_TEST

static const char *const HOSTILE = "[^@]+@[^@]+";

START_TEST(a_pattern_that_gives_up_is_named_and_proves_nothing)
{
	static const char *const SCHEMAS[] = {
		"{\"properties\":{\"f\":{\"pattern\":\"%s\"}}}",
		"{\"properties\":{\"f\":{\"anyOf\":[{\"pattern\":\"%s\"},true]}}}",
		"{\"properties\":{\"f\":{\"oneOf\":[true,{\"pattern\":\"%s\"}]}}}",
		"{\"properties\":{\"f\":{\"not\":{\"pattern\":\"%s\"}}}}",
		"{\"not\":{\"properties\":{\"f\":{\"pattern\":\"%s\"}}}}",
	};
	struct buf value = BUF_INIT;

	buf_puts(&value, "{\"f\":\"");
	for (int i = 0; i < 100000; i++)
		buf_putc(&value, 'a');
	buf_puts(&value, "\"}");
	for (size_t i = 0; i < ARRAY_LEN(SCHEMAS); i++) {
		struct buf schema = BUF_INIT;
		const char *at = strstr(SCHEMAS[i], "%s");
		char fault[512];

		buf_append(&schema, SCHEMAS[i], (size_t)(at - SCHEMAS[i]));
		buf_puts(&schema, HOSTILE);
		buf_puts(&schema, at + 2);
		check(buf_text(&schema), buf_text(&value), fault);
		ck_assert_ptr_nonnull(
			strstr(fault, "could not be checked against its pattern within bounds"));
		if (i == 0)
			ck_assert_int_eq(strncmp(fault, "f: ", 3), 0);
		buf_finish(&schema);
	}
	buf_finish(&value);
}
END_TEST

START_TEST(a_reference_is_found_among_many_schemas)
{
	struct buf b = BUF_INIT;
	char fault[512];

	buf_puts(&b, "{\"$defs\":{");
	for (int i = 0; i < 2000; i++)
		buf_printf(&b, "\"d%d\":{\"const\":%d},\"r%d\":{\"$ref\":\"#/$defs/d%d\"},", i, i,
			   i, i);
	buf_puts(&b, "\"z\":true},\"$ref\":\"#/$defs/r1234\"}");
	check(buf_text(&b), "1234", fault);
	ck_assert_str_eq(fault, "");
	check(buf_text(&b), "1", fault);
	ck_assert_str_eq(fault, ": must be 1234");
	buf_finish(&b);
}
END_TEST

UNIT_MAIN("schema_work", a_hundred_thousand_items_are_compared,
	  equal_values_are_found_whatever_they_look_like, many_values_are_looked_up_in_many_choices,
	  a_schema_has_so_many_choices, work_of_every_kind_is_counted,
	  a_pattern_that_gives_up_is_named_and_proves_nothing,
	  a_reference_is_found_among_many_schemas)
