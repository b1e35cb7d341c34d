#include "providers/http_request.h"

#include "base/limits.h"
#include "json/edge.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct http_plan plan_of(const char *text)
{
	struct err err = ERR_INIT;
	json_t *config = edge_parse(slice_of(text), &err);
	struct http_plan plan;

	ck_assert_msg(config != NULL, "%s", err.text);
	ck_assert_msg(http_plan_read(config, NULL, &plan, &err), "%s", err.text);
	json_decref(config);
	return plan;
}

/* The fault of a configuration that must not be taken. */
static const char *fault_of(const char *text, const char *schema)
{
	static char said[512];
	struct err err = ERR_INIT;
	json_t *config = edge_parse(slice_of(text), &err);
	json_t *input = schema ? edge_parse(slice_of(schema), &err) : NULL;
	struct http_plan plan;

	ck_assert_msg(config != NULL, "%s", err.text);
	ck_assert(!http_plan_read(config, input, &plan, &err));
	json_decref(config);
	json_decref(input);
	(void)snprintf(said, sizeof(said), "%s", err.text);
	return said;
}

/* The URL, or "!field: text". */
static const char *url_of(const struct http_plan *plan, const char *arguments)
{
	static char said[65536];
	struct template_fault fault;
	struct http_made made;
	json_t *value = edge_parse(slice_of(arguments), NULL);

	ck_assert_ptr_nonnull(value);
	if (http_make(plan, value, NULL, NULL, &made, &fault) == TEMPLATE_OK) {
		(void)snprintf(said, sizeof(said), "%s", buf_text(&made.url));
		http_made_finish(&made);
	} else {
		(void)snprintf(said, sizeof(said), "!%s: %s", fault.field, fault.text);
	}
	json_decref(value);
	return said;
}

static bool url_fault(const char *url, const char *says)
{
	CLEANUP(free_charp) char *text = xasprintf("{\"url\":\"%s\"}", url);

	return strstr(fault_of(text, NULL), says) != NULL;
}

START_TEST(no_argument_stands_in_scheme_host_or_port)
{
	edge_init();
	ck_assert(url_fault("{scheme}://h/x", "http://"));
	ck_assert(url_fault("https://{host}/x", "{host} cannot stand here"));
	ck_assert(url_fault("https://api.{host}.com/x", "{host} cannot stand here"));
	ck_assert(url_fault("https://h:{port}/x", "{port} cannot stand here"));
	ck_assert(url_fault("https://user@h/x", "user name"));
	ck_assert(url_fault("https:///x", "host"));
	ck_assert(url_fault("https://h:0/x", "port"));
	ck_assert(url_fault("ftp://h/x", "http://"));
	ck_assert(url_fault("https://h/x#{a}", "fragment"));
	ck_assert(url_fault("https://h/x?{a}=1", "name of a parameter"));
}
END_TEST

START_TEST(a_template_that_cannot_be_meant_is_a_fault)
{
	edge_init();
	ck_assert(url_fault("https://h/{a", "brace"));
	ck_assert(url_fault("https://h/a}", "brace"));
	ck_assert(url_fault("https://h/{a b}", "blank"));
	ck_assert(url_fault("https://h/{}", "does not name an argument"));
	ck_assert(url_fault("https://h/{a..b}", "does not name an argument"));
	ck_assert(url_fault("https://h/${file:x}", "neither"));
	ck_assert(
		url_fault("https://h/${env:FAREBOX_TEST_UNSET}", "FAREBOX_TEST_UNSET is not set"));
	ck_assert(url_fault("https://h/${session:linkedin}", "cannot stand here"));
	ck_assert_ptr_nonnull(
		strstr(fault_of("{\"url\":\"https://h/{naem}\"}", "{\"properties\":{\"name\":{}}}"),
		       "{naem} is not a property of inputSchema"));
	ck_assert_ptr_nonnull(strstr(
		fault_of(
			"{\"url\":\"https://h/\",\"method\":\"POST\",\"body\":[{\"x\":\"{c.d}\"}]}",
			"{\"properties\":{\"c\":{\"properties\":{\"e\":{}}}}}"),
		"{c.d} is not a property"));
	ck_assert_ptr_nonnull(
		strstr(fault_of("{\"url\":\"https://h/\",\"body\":{}}", NULL), "method"));
	ck_assert_ptr_nonnull(strstr(
		fault_of("{\"url\":\"https://h/\",\"headers\":{\"A b\":\"x\"}}", NULL), "A b"));
	ck_assert_ptr_nonnull(strstr(
		fault_of("{\"url\":\"https://h/\",\"headers\":{\"Host\":\"x\"}}", NULL), "Host"));
	ck_assert_ptr_nonnull(
		strstr(fault_of("{\"url\":\"https://h/\",\"headers\":{\"A\":\"x\\r\\ny\"}}", NULL),
		       "control character"));
	ck_assert_ptr_nonnull(strstr(
		fault_of("{\"url\":\"https://h/\",\"headers\":{\"A\":\"${session:linkedin}\"}}",
			 NULL),
		"session"));
}
END_TEST

START_TEST(an_argument_is_encoded_for_its_place)
{
	struct http_plan plan;

	edge_init();
	plan = plan_of("{\"url\":\"https://h:81/v1/{a}.json/x{b.c}?k=a%20b&q={q}&\","
		       "\"query\":{\"na me\":\"<{q}>\",\"n\":\"{n}\",\"list\":\"{list}\"}}");
	ck_assert_str_eq(url_of(&plan, "{\"a\":\"\xc3\xa9 ?#&%:+\",\"b\":{\"c\":true}}"),
			 "https://h:81/v1/%C3%A9%20%3F%23%26%25%3A%2B.json/xtrue?k=a%20b");
	ck_assert_str_eq(
		url_of(&plan, "{\"a\":1.50,\"b\":{\"c\":-7},\"q\":\"a&b=c d/+\",\"n\":null}"),
		"https://h:81/v1/1.5.json/x-7?k=a%20b&q=a%26b%3Dc%20d%2F%2B&"
		"na%20me=%3Ca%26b%3Dc%20d%2F%2B%3E");
	ck_assert_str_eq(url_of(&plan, "{\"a\":\"a\",\"b\":{\"c\":1},\"list\":[\"x&\",2]}"),
			 "https://h:81/v1/a.json/x1?k=a%20b&list=x%26&list=2");
	ck_assert_str_eq(url_of(&plan, "{\"a\":\"a\",\"b\":{\"c\":1},\"list\":[]}"),
			 "https://h:81/v1/a.json/x1?k=a%20b");
	ck_assert_str_eq(url_of(&plan, "{\"a\":\"a\"}"), "!b.c: is needed by this tool's provider");
	ck_assert_str_eq(url_of(&plan, "{\"a\":\"a\",\"b\":{\"c\":1},\"q\":{}}"),
			 "!q: must be a text, a number or a boolean");
	http_plan_finish(&plan);
}
END_TEST

START_TEST(braces_are_written_twice_and_what_an_argument_holds_is_no_template)
{
	struct http_plan plan;

	edge_init();
	plan = plan_of("{\"url\":\"https://h/{{x}}/${{/$5/{a}\"}");
	ck_assert_str_eq(url_of(&plan, "{\"a\":\"{b}${env:HOME}\",\"b\":\"no\"}"),
			 "https://h/%7Bx%7D/$%7B/$5/%7Bb%7D%24%7Benv%3AHOME%7D");
	http_plan_finish(&plan);
}
END_TEST

START_TEST(what_could_leave_a_segment_is_refused)
{
	static const char *const BAD[] = {
		"",    ".",     "..",  "/",   "a/b",       "..\\\\..", "%2e%2e",
		"%2E", "a%2fb", "%2F", "%5c", "a\\u0000b", "a\\nb",    "%00",
	};
	struct http_plan plan;

	edge_init();
	plan = plan_of("{\"url\":\"https://h/v1/{a}/end\"}");
	for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
		CLEANUP(free_charp) char *arguments = xasprintf("{\"a\":\"%s\"}", BAD[i]);

		ck_assert_msg(strncmp(url_of(&plan, arguments), "!a: must not", 12) == 0, "%s",
			      BAD[i]);
	}
	ck_assert_str_eq(url_of(&plan, "{\"a\":\"a..b.\"}"), "https://h/v1/a..b./end");
	http_plan_finish(&plan);
	plan = plan_of("{\"url\":\"https://h/{a}{b}/.{a}\"}");
	ck_assert_str_eq(url_of(&plan, "{\"a\":\"x\",\"b\":\".\"}"),
			 "!b: must not hold a slash, a backslash, a dot segment or a control "
			 "character");
	http_plan_finish(&plan);
}
END_TEST

START_TEST(a_secret_comes_from_the_environment_and_is_encoded)
{
	struct http_plan plan;

	edge_init();
	ck_assert_int_eq(setenv("FAREBOX_TEST_BASE", "https://api.test/v1/", 1), 0);
	ck_assert_int_eq(setenv("FAREBOX_TEST_HOST", "host.test:8443", 1), 0);
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "k&y/{x}", 1), 0);
	plan = plan_of("{\"url\":\"${env:FAREBOX_TEST_BASE}/c/{d}?key=${env:FAREBOX_TEST_KEY}\"}");
	ck_assert_str_eq(url_of(&plan, "{\"d\":\"1\"}"),
			 "https://api.test/v1/c/1?key=k%26y%2F%7Bx%7D");
	ck_assert(http_plan_leaks(&plan, slice_of("your key k&y/{x} is bad")));
	ck_assert(!http_plan_leaks(&plan, slice_of("your key k&y is bad")));
	http_plan_finish(&plan);
	plan = plan_of("{\"url\":\"https://${env:FAREBOX_TEST_HOST}/{d}\"}");
	ck_assert_str_eq(url_of(&plan, "{\"d\":\"1\"}"), "https://host.test:8443/1");
	http_plan_finish(&plan);
	ck_assert_int_eq(setenv("FAREBOX_TEST_HOST", "host.test/evil", 1), 0);
	ck_assert(url_fault("https://${env:FAREBOX_TEST_HOST}/x", "url"));
	ck_assert_ptr_null(
		strstr(fault_of("{\"url\":\"https://${env:FAREBOX_TEST_HOST}/x\"}", NULL), "evil"));
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "a\r\nb", 1), 0);
	ck_assert_ptr_nonnull(strstr(fault_of("{\"url\":\"https://h/\",\"headers\":{\"A\":\"${env:"
					      "FAREBOX_TEST_KEY}\"}}",
					      NULL),
				     "control character"));
}
END_TEST

static void check_body(const char *template, const char *arguments, const char *want)
{
	CLEANUP(free_charp)
	char *text = xasprintf("{\"url\":\"https://h/\",\"method\":\"POST\",\"body\":%s}",
			       template);
	struct http_plan plan = plan_of(text);
	json_t *value = edge_parse(slice_of(arguments), NULL);
	struct template_fault fault;
	struct http_made made;

	ck_assert_int_eq(http_make(&plan, value, NULL, NULL, &made, &fault), TEMPLATE_OK);
	ck_assert_str_eq(buf_text(&made.body), want);
	http_made_finish(&made);
	json_decref(value);
	http_plan_finish(&plan);
}

START_TEST(a_body_keeps_types_and_leaves_out_what_is_missing)
{
	edge_init();
	check_body("{\"a\":\"{x}\",\"b\":[1,\"{y}\",\"{x}\"],\"c\":{\"d\":\"<{y}>\"},\"e\":null}",
		   "{\"x\":{\"deep\":[1.5,true]}}",
		   "{\"a\":{\"deep\":[1.5,true]},\"b\":[1,{\"deep\":[1.5,true]}],\"c\":{},"
		   "\"e\":null}");
	check_body("{\"q\":\"name is {n}, list {l}\"}", "{\"n\":\"a\\\"b\\n\",\"l\":[1,\"2\"]}",
		   "{\"q\":\"name is a\\\"b\\n, list [1,\\\"2\\\"]\"}");
	check_body("{\"query\":\"{{ company(domain: $d) {{ name }} }}\",\"vars\":{\"d\":\"{d}\"}}",
		   "{\"d\":\"x.com\"}",
		   "{\"query\":\"{ company(domain: $d) { name } }\",\"vars\":{\"d\":\"x.com\"}}");
	check_body("\"{all}\"", "{\"all\":7}", "7");
	check_body("{}", "{}", "{}");
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Bytes that matter more often than others. */
static json_t *random_text(uint64_t *state)
{
	static const char PIECES[][5] = {"/",    ".",   "..",  "\\", "?", "#",  "&",        "=",
					 "\r\n", "%2e", "%",   ":",  "@", " ",  "+",        "{",
					 "}",    "${",  "%2f", "a",  "Z", "\t", "\xc3\xa9", "\"",
					 "'",    ";",   "%0a", "$",  "~", "-"};
	struct buf b = BUF_INIT;
	json_t *text;

	for (uint64_t n = next_random(state) % 8; n > 0; n--)
		buf_puts(&b, PIECES[next_random(state) % ARRAY_LEN(PIECES)]);
	text = json_stringn(buf_text(&b), b.len);
	ck_assert_ptr_nonnull(text);
	buf_finish(&b);
	return text;
}

static size_t count_of(const char *text, size_t len, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == c;
	return n;
}

static void check_structure(const struct http_made *made)
{
	static const char START[] = "https://api.test:8443/v1/";
	const char *url = buf_text(&made->url);
	const char *path = url + strlen("https://api.test:8443");
	size_t path_len = strcspn(path, "?");

	ck_assert_msg(strncmp(url, START, strlen(START)) == 0, "%s", url);
	ck_assert_msg(count_of(path, path_len, '/') == 4, "%s", url);
	ck_assert_msg(strcmp(path + path_len - 4, "/end") != 0 || path_len > 4, "%s", url);
	ck_assert_msg(strncmp(path + path_len - 4, "/end", 4) == 0, "%s", url);
	ck_assert_msg(!strstr(url, "/../") && !strstr(url, "/./") && !strstr(url, "//v1"), "%s",
		      url);
	ck_assert_uint_eq(count_of(url, made->url.len, '?'), 1);
	ck_assert_uint_eq(count_of(url, made->url.len, '&'), 1);
	ck_assert_uint_eq(count_of(url, made->url.len, '='), 2);
	ck_assert_uint_eq(count_of(url, made->url.len, '#'), 0);
	for (const char *p = url; *p; p++)
		ck_assert_msg((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f, "%s", url);
	for (size_t i = 0; i < made->headers_count; i++) {
		for (const char *p = made->headers[i].value; *p; p++)
			ck_assert_msg((unsigned char)*p >= 0x20 && *p != 0x7f, "%s",
				      made->headers[i].value);
	}
	ck_assert_uint_eq(count_of(buf_text(&made->body), made->body.len, '&'), 1);
	ck_assert_uint_eq(count_of(buf_text(&made->body), made->body.len, '='), 2);
}

START_TEST(no_argument_changes_the_shape_of_a_request)
{
	uint64_t state = 88172645463325252u;
	int made_count = 0;
	struct http_plan plan;

	edge_init();
	plan = plan_of("{\"url\":\"https://api.test:8443/v1/{a}/{b}-{c}/end?x={a}\","
		       "\"method\":\"POST\",\"query\":{\"y\":\"{b}\"},"
		       "\"headers\":{\"X-A\":\"{d}\",\"X-B\":\"v {a}\"},"
		       "\"form\":{\"f\":\"{a}\",\"g\":\"{c}\"}}");
	for (int i = 0; i < 20000; i++) {
		json_t *arguments = json_object();
		struct template_fault fault;
		struct http_made made;

		ck_assert_int_eq(json_object_set_new(arguments, "a", random_text(&state)), 0);
		ck_assert_int_eq(json_object_set_new(arguments, "b", random_text(&state)), 0);
		ck_assert_int_eq(json_object_set_new(arguments, "c", random_text(&state)), 0);
		ck_assert_int_eq(json_object_set_new(arguments, "d", random_text(&state)), 0);
		if (http_make(&plan, arguments, NULL, NULL, &made, &fault) == TEMPLATE_OK) {
			check_structure(&made);
			http_made_finish(&made);
			made_count++;
		} else {
			ck_assert_uint_eq(strlen(fault.field), 1);
		}
		json_decref(arguments);
	}
	/* Both ways are seen. */
	ck_assert_int_gt(made_count, 500);
	ck_assert_int_lt(made_count, 19000);
	http_plan_finish(&plan);
}
END_TEST

START_TEST(a_request_that_gets_too_long_is_refused)
{
	struct buf arguments = BUF_INIT;
	struct http_plan plan;

	edge_init();
	plan = plan_of("{\"url\":\"https://h/\",\"query\":{\"q\":\"{q}\"}}");
	buf_puts(&arguments, "{\"q\":\"");
	for (int i = 0; i < 20000; i++)
		buf_putc(&arguments, 'x');
	buf_puts(&arguments, "\"}");
	ck_assert_str_eq(url_of(&plan, buf_text(&arguments)),
			 "!: the arguments make the URL too long");
	buf_finish(&arguments);
	http_plan_finish(&plan);
}
END_TEST

START_TEST(an_argument_that_cannot_fit_is_refused_before_it_is_encoded)
{
	static const struct {
		enum template_place place;
		size_t max;
	} PLACES[] = {
		{PLACE_SEGMENT, PROVIDER_URL_BYTES_MAX}, {PLACE_QUERY, PROVIDER_URL_BYTES_MAX},
		{PLACE_URL, PROVIDER_URL_BYTES_MAX},     {PLACE_HEADER, PROVIDER_HEADER_BYTES_MAX},
		{PLACE_FORM, PROVIDER_SENT_BYTES_MAX},   {PLACE_TEXT, PROVIDER_SENT_BYTES_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(PLACES); i++) {
		struct template_fault fault;
		struct buf text = BUF_INIT, out = BUF_INIT;
		json_t *value;

		while (text.len < PLACES[i].max)
			buf_putc(&text, 'x');
		value = json_stringn(text.p, text.len);
		ck_assert_int_eq(template_fill_value(value, PLACES[i].place, "a", &out, &fault),
				 TEMPLATE_OK);
		json_decref(value);
		buf_clear(&out);
		buf_putc(&text, 'x');
		value = json_stringn(text.p, text.len);
		ck_assert_int_eq(template_fill_value(value, PLACES[i].place, "a", &out, &fault),
				 TEMPLATE_UNFIT);
		ck_assert_uint_eq(out.len, 0);
		json_decref(value);
		buf_finish(&text);
		buf_finish(&out);
	}
}
END_TEST

/* Each holds the same argument three times. */
START_TEST(a_body_of_one_argument_many_times_has_its_end)
{
	static const char *const CONFIGS[] = {
		"{\"url\":\"https://h/\",\"method\":\"POST\",\"body\":{\"a\":\"{q}\","
		"\"b\":[\"{q}\",\"{q}\"]}}",
		"{\"url\":\"https://h/\",\"method\":\"POST\",\"body\":\"{q}{q}{q}\"}",
		"{\"url\":\"https://h/\",\"method\":\"POST\",\"form\":{\"a\":\"{q}\","
		"\"b\":\"{q}\",\"c\":\"{q}\"}}",
	};
	struct buf arguments = BUF_INIT;

	edge_init();
	buf_puts(&arguments, "{\"q\":\"");
	for (int i = 0; i < 6 * 1024 * 1024; i++)
		buf_putc(&arguments, 'x');
	buf_puts(&arguments, "\"}");
	for (size_t i = 0; i < ARRAY_LEN(CONFIGS); i++) {
		struct http_plan plan = plan_of(CONFIGS[i]);

		ck_assert_str_eq(url_of(&plan, buf_text(&arguments)),
				 "!: the arguments make the body too long");
		http_plan_finish(&plan);
	}
	buf_finish(&arguments);
}
END_TEST

UNIT_MAIN("template", an_argument_that_cannot_fit_is_refused_before_it_is_encoded,
	  a_body_of_one_argument_many_times_has_its_end, no_argument_stands_in_scheme_host_or_port,
	  a_template_that_cannot_be_meant_is_a_fault, an_argument_is_encoded_for_its_place,
	  braces_are_written_twice_and_what_an_argument_holds_is_no_template,
	  what_could_leave_a_segment_is_refused, a_secret_comes_from_the_environment_and_is_encoded,
	  a_body_keeps_types_and_leaves_out_what_is_missing,
	  no_argument_changes_the_shape_of_a_request, a_request_that_gets_too_long_is_refused)
