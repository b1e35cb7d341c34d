#include "providers/http.h"

#include "base/limits.h"
#include "json/edge.h"

#include "api_site.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LONG_MS 20000

static const char *content_of(const struct api_site *s)
{
	return buf_text(&s->result.content);
}

START_TEST(a_request_is_made_of_the_arguments)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "sk-1", 1), 0);
	p = api_provider(&s, "{'kind':'http','method':'POST','url':'@/v1/{id}/x','headers':"
			     "{'Authorization':'Bearer ${env:FAREBOX_TEST_KEY}','X-N':'{n}'},"
			     "'query':{'q':'{q}'},'body':{'n':'{n}','m':'{m}'}}");
	api_say(&s, (struct api_reply){.body = "{\"a\":[1,2.50],\"b\":{}}"});
	ck_assert_int_eq(api_run(&s, p, "{'id':'a b','n':5,'q':'x&y'}", NULL, LONG_MS),
			 PROVIDER_OK);
	ck_assert(api_asked_has(&s, 0, "POST /v1/a%20b/x?q=x%26y\n"));
	ck_assert(api_asked_has(&s, 0, "\nAuthorization: Bearer sk-1\n"));
	ck_assert(api_asked_has(&s, 0, "\nX-N: 5\n"));
	ck_assert(api_asked_has(&s, 0, "\nContent-Type: application/json\n"));
	ck_assert(api_asked_has(&s, 0, "\n\n{\"n\":5}"));
	ck_assert_str_eq(api_structured(&s), "{\"a\":[1,2.5],\"b\":{}}");
	ck_assert_int_eq(s.result.status, 200);
	ck_assert_uint_eq(s.result.content.len, 0);
	provider_destroy(p);

	p = api_provider(&s, "{'url':'@/f','method':'PUT','form':{'a b':'{x}','c':'{none}'}}");
	api_say(&s, (struct api_reply){.body = "", .status = 204, .type = ""});
	ck_assert_int_eq(api_run(&s, p, "{'x':'1&2'}", NULL, LONG_MS), PROVIDER_OK);
	ck_assert(api_asked_has(&s, 1, "PUT /f\n"));
	ck_assert(api_asked_has(&s, 1, "\nContent-Type: application/x-www-form-urlencoded\n"));
	ck_assert(api_asked_has(&s, 1, "\n\na%20b=1%262"));
	ck_assert_str_eq(api_structured(&s), "{}");
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(arguments_that_cannot_be_sent_send_nothing)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/v1/{c.d}','headers':{'X':'{x}'}}");
	ck_assert_int_eq(api_run(&s, p, "{'c':{},'x':'1'}", NULL, LONG_MS), PROVIDER_INVALID);
	ck_assert_str_eq(s.result.field, "c.d");
	ck_assert_str_eq(s.result.err.text, "is needed by this tool's provider");
	ck_assert_int_eq(api_run(&s, p, "{'c':{'d':'..'},'x':'1'}", NULL, LONG_MS),
			 PROVIDER_INVALID);
	ck_assert_str_eq(s.result.field, "c.d");
	ck_assert_int_eq(api_run(&s, p, "{'c':{'d':'a'},'x':'a\\r\\nY: z'}", NULL, LONG_MS),
			 PROVIDER_INVALID);
	ck_assert_str_eq(s.result.field, "x");
	ck_assert_int_eq(api_run(&s, p, "{'c':{'d':'a'}}", NULL, LONG_MS), PROVIDER_INVALID);
	ck_assert_uint_eq(s.asked_count, 0);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(the_callers_own_key_takes_the_place_of_the_operators)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "operator", 1), 0);
	p = api_provider(&s,
			 "{'url':'@/','headers':{'x-api-KEY':'${env:FAREBOX_TEST_KEY}','B':'b'},"
			 "'byok':{'name':'X','header':'X-Api-Key','format':'Key {key}!'}}");
	api_say(&s, (struct api_reply){.body = "{}"});
	api_say(&s, (struct api_reply){.body = "{}"});
	api_say(&s, (struct api_reply){.status = 400, .body = "{\"error\":\"bad own\"}"});
	ck_assert_int_eq(api_run(&s, p, "{}", "own", LONG_MS), PROVIDER_OK);
	ck_assert(api_asked_has(&s, 0, "\nX-Api-Key: Key own!\n"));
	ck_assert(api_asked_has(&s, 0, "\nB: b\n"));
	ck_assert(!api_asked_has(&s, 0, "operator"));
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	ck_assert(api_asked_has(&s, 1, "\nx-api-KEY: operator\n"));
	/* A text that holds the caller's key is not quoted. */
	ck_assert_int_eq(api_run(&s, p, "{}", "own", LONG_MS), PROVIDER_REJECTED);
	ck_assert_str_eq(s.result.err.text, "the provider answered 400");
	ck_assert_int_eq(api_run(&s, p, "{}", "a\nb", LONG_MS), PROVIDER_INVALID);
	ck_assert_uint_eq(s.asked_count, 3);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(the_result_is_what_the_pointer_finds)
{
	static const struct {
		const char *pointer;
		const char *body;
		const char *want; /* NULL: failed */
	} CASES[] = {
		{"", "{\"a\":1}", "{\"a\":1}"},
		{"", "[1,2]", "{\"result\":[1,2]}"},
		{"", " \"x\"\n", "{\"result\":\"x\"}"},
		{"", "null", "{\"result\":null}"},
		{"", "", "{}"},
		{"/data", "{\"data\":{\"b\":[]}}", "{\"b\":[]}"},
		{"/data/0", "{\"data\":[7]}", "{\"result\":7}"},
		{"", "{\"a\":18446744073709551615}", "{\"a\":1.8446744073709552e+19}"},
		{"", "{\"a\":1e999}", NULL},
		{"/data", "{}", NULL},
		{"/data", "", NULL},
		{"", "{\"a\":1", NULL},
		{"", "{\"a\":1} x", NULL},
		{"", "{\"a\":\"\xff\"}", NULL},
		{"", "<html>", NULL},
	};
	struct api_site s;

	api_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		CLEANUP(free_charp)
		char *config = xasprintf("{'url':'@/','result':'%s'}", CASES[i].pointer);
		struct provider *p = api_provider(&s, config);

		api_reset(&s);
		api_say(&s, (struct api_reply){.body = CASES[i].body});
		ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS),
				 CASES[i].want ? PROVIDER_OK : PROVIDER_FAILED);
		ck_assert_str_eq(api_structured(&s), CASES[i].want ? CASES[i].want : "");
		ck_assert_int_eq(s.result.status, 200);
		provider_destroy(p);
	}
	api_finish(&s);
}
END_TEST

START_TEST(text_and_images_become_content)
{
	static const char PNG[] = "\x89PNG\x0d\x0a\x1a\x0a\x00\xff";
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/'}");
	api_say(&s,
		(struct api_reply){.type = "text/csv; charset=utf-8", .body = "a,\"b\"\n\xc3\xa9"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	ck_assert_str_eq(content_of(&s),
			 "[{\"type\":\"text\",\"text\":\"a,\\\"b\\\"\\n\xc3\xa9\"}]");
	ck_assert_str_eq(api_structured(&s), "");
	api_say(&s,
		(struct api_reply){.type = "image/png", .body = PNG, .body_len = sizeof(PNG) - 1});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	ck_assert_str_eq(content_of(&s), "[{\"type\":\"image\",\"data\":\"iVBORw0KGgoA/w==\","
					 "\"mimeType\":\"image/png\"}]");
	api_say(&s, (struct api_reply){.type = "text/plain", .body = "caf\xe9"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_str_eq(s.result.err.text, "the provider's answer is not UTF-8");
	api_say(&s, (struct api_reply){.type = "application/pdf", .body = "%PDF"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	api_say(&s, (struct api_reply){.type = "image/png\",x", .body = "%PDF"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	provider_destroy(p);
	/* Who points into the answer wants JSON. */
	p = api_provider(&s, "{'url':'@/','result':'/a'}");
	api_say(&s, (struct api_reply){.type = "text/html", .body = "{\"a\":1}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	api_say(&s, (struct api_reply){.type = "text/plain", .body = "{\"a\":1}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

/* What APIs really send: .NET begins with a byte order mark, older ones write Latin-1. */
START_TEST(an_answer_is_read_in_its_charset)
{
	static const struct {
		const char *type, *body;
		size_t len;         /* 0: of a text */
		const char *result; /* structured or content; NULL: failed */
	} CASES[] = {
		{"application/json", "\xef\xbb\xbf{\"a\":1}", 0, "{\"a\":1}"},
		{"text/plain", "\xef\xbb\xbfx", 0, "[{\"type\":\"text\",\"text\":\"x\"}]"},
		{"text/plain; charset=ISO-8859-1", "caf\xe9", 0,
		 "[{\"type\":\"text\",\"text\":\"caf\xc3\xa9\"}]"},
		{"text/plain; charset=\"windows-1252\"", "\x80", 0,
		 "[{\"type\":\"text\",\"text\":\"\xe2\x82\xac\"}]"},
		{"application/json; charset=iso-8859-1", "{\"a\":\"\xe9\"}", 0,
		 "{\"a\":\"\xc3\xa9\"}"},
		{"application/json; charset=utf-16", "\xff\xfe{\0}\0", 6, "{}"},
		{"application/json; charset=utf-8", "{\"a\":\"\xe9\"}", 0, NULL},
		{"text/plain; charset=us-ascii", "\xe9", 0, NULL},
		{"text/plain; charset=no-such", "x", 0, NULL},
		{"text/plain; charset=utf-16//IGNORE", "\xff\xfe\xd8\0\0", 0, NULL},
		{"application/atom+xml", "<a/>", 0, "[{\"type\":\"text\",\"text\":\"<a/>\"}]"},
		{"application/x-ndjson", "1\n2", 0, "[{\"type\":\"text\",\"text\":\"1\\n2\"}]"},
		{"audio/mpeg", "abc", 0,
		 "[{\"type\":\"audio\",\"data\":\"YWJj\",\"mimeType\":\"audio/mpeg\"}]"},
	};
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/'}");
	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		const char *want = CASES[i].result;

		api_reset(&s);
		api_say(&s, (struct api_reply){.type = CASES[i].type,
					       .body = CASES[i].body,
					       .body_len = CASES[i].len});
		ck_assert_msg(api_run(&s, p, "{}", NULL, LONG_MS) ==
				      (want ? PROVIDER_OK : PROVIDER_FAILED),
			      "%s: %s", CASES[i].type, s.result.err.text);
		if (want && *want == '[')
			ck_assert_str_eq(content_of(&s), want);
		else
			ck_assert_str_eq(api_structured(&s), want ? want : "");
	}
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_status_says_who_is_to_blame)
{
	static const struct {
		int status;
		enum provider_outcome outcome;
	} CASES[] = {
		{200, PROVIDER_OK},       {299, PROVIDER_OK},       {304, PROVIDER_FAILED},
		{400, PROVIDER_REJECTED}, {401, PROVIDER_REJECTED}, {402, PROVIDER_REJECTED},
		{404, PROVIDER_REJECTED}, {408, PROVIDER_FAILED},   {422, PROVIDER_REJECTED},
		{425, PROVIDER_FAILED},   {429, PROVIDER_FAILED},   {451, PROVIDER_REJECTED},
		{500, PROVIDER_FAILED},   {503, PROVIDER_FAILED},   {599, PROVIDER_FAILED},
	};
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/','method':'POST'}");
	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		bool is_told = CASES[i].outcome == PROVIDER_FAILED && CASES[i].status != 304;

		api_reset(&s);
		api_say(&s, (struct api_reply){.status = CASES[i].status,
					       .body = "{}",
					       .header = "Retry-After",
					       .value = "7"});
		ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), CASES[i].outcome);
		ck_assert_int_eq(s.result.status, CASES[i].status);
		if (CASES[i].status != 304)
			ck_assert_int_eq(s.result.retry_after_s, is_told ? 7 : -1);
		ck_assert_uint_eq(s.asked_count, 1);
	}
	provider_destroy(p);
	/* The configuration may know better. */
	p = api_provider(&s, "{'url':'@/','success':[404,302]}");
	api_reset(&s);
	api_say(&s, (struct api_reply){.status = 404, .body = "{\"found\":false}"});
	api_say(&s,
		(struct api_reply){
			.status = 302, .body = "{\"a\":1}", .header = "Location", .value = "/x"});
	api_say(&s, (struct api_reply){.status = 200, .body = "{}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	ck_assert_str_eq(api_structured(&s), "{\"found\":false}");
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(what_may_be_repeated_is_tried_twice_more)
{
	static const char *const METHODS[] = {"GET", "PUT", "DELETE", "POST", "PATCH"};
	struct api_site s;

	api_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(METHODS); i++) {
		CLEANUP(free_charp)
		char *config = xasprintf("{'url':'@/','method':'%s'}", METHODS[i]);
		struct provider *p = api_provider(&s, config);
		bool is_repeated = i < 3;

		api_reset(&s);
		api_say(&s, (struct api_reply){.status = 503, .body = "{}"});
		api_say(&s, (struct api_reply){.status = 502, .body = "{}"});
		api_say(&s, (struct api_reply){.body = "{\"third\":true}"});
		ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS),
				 is_repeated ? PROVIDER_OK : PROVIDER_FAILED);
		ck_assert_uint_eq(s.asked_count, is_repeated ? 3 : 1);
		provider_destroy(p);
	}
	api_finish(&s);
}
END_TEST

START_TEST(repeating_has_an_end)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/'}");
	for (int i = 0; i < 4; i++)
		api_say(&s, (struct api_reply){.status = 503, .body = "{}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_uint_eq(s.asked_count, 3);
	/* 500 is an answer; so is 503 when the time is short or the wait is long. */
	api_reset(&s);
	api_say(&s, (struct api_reply){.status = 500, .body = "{}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_uint_eq(s.asked_count, 1);
	api_reset(&s);
	api_say(&s, (struct api_reply){
			    .status = 503, .body = "{}", .header = "Retry-After", .value = "30"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_uint_eq(s.asked_count, 1);
	ck_assert_int_eq(s.result.retry_after_s, 30);
	api_reset(&s);
	api_say(&s, (struct api_reply){.status = 503, .body = "{}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, 150), PROVIDER_FAILED);
	ck_assert_uint_eq(s.asked_count, 1);
	provider_destroy(p);
	/* Nobody there; a host that is a secret is not named. */
	ck_assert_int_eq(setenv("FAREBOX_TEST_BASE", "http://127.0.0.1:1", 1), 0);
	for (int is_hidden = 0; is_hidden < 2; is_hidden++) {
		p = api_provider(&s, is_hidden ? "{'url':'${env:FAREBOX_TEST_BASE}/'}"
					       : "{'url':'http://127.0.0.1:1/'}");
		ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
		ck_assert_int_eq(s.result.status, 0);
		ck_assert_int_eq(strstr(s.result.err.text, "127.0.0.1") == NULL, is_hidden);
		provider_destroy(p);
	}
	api_finish(&s);
}
END_TEST

static struct api_reply redirect_to(const char *to)
{
	return (struct api_reply){.status = 302, .body = "{}", .header = "Location", .value = to};
}

START_TEST(a_redirect_never_carries_a_secret_to_another_host)
{
	char elsewhere[64];
	struct api_site s;
	struct provider *p;

	api_init(&s);
	(void)snprintf(elsewhere, sizeof(elsewhere), "http://localhost:%d/other", s.port);
	p = api_provider(&s, "{'url':'@/','headers':{'X-Key':'secret'}}");
	api_say(&s, redirect_to(elsewhere));
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_ptr_nonnull(strstr(s.result.err.text, "another host"));
	ck_assert_uint_eq(s.asked_count, 1);
	/* Within the host it goes on, and without configured headers anywhere. */
	api_reset(&s);
	api_say(&s, redirect_to("/next?x=1"));
	api_say(&s, (struct api_reply){.body = "{\"a\":1}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	ck_assert(api_asked_has(&s, 1, "GET /next?x=1\n"));
	ck_assert(api_asked_has(&s, 1, "X-Key: secret\n"));
	provider_destroy(p);
	p = api_provider(&s, "{'url':'@/'}");
	api_reset(&s);
	api_say(&s, redirect_to(elsewhere));
	api_say(&s, (struct api_reply){.body = "{\"a\":1}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	provider_destroy(p);
	p = api_provider(&s, "{'url':'@/','method':'POST'}");
	api_reset(&s);
	api_say(&s, redirect_to("/next"));
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_str_eq(s.result.err.text,
			 "the provider answered 302, a redirect that is not followed");
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_private_address_is_refused_unless_it_is_allowed)
{
	struct api_site s;
	struct provider *p;
	json_t *config;

	api_init(&s);
	config = api_json(&s, "{'url':'@/'}");
	p = http_provider_create(&(struct http_provider_parts){.loop = s.loop, .http = s.http},
				 config, NULL);
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_ptr_nonnull(strstr(s.result.err.text, "not public"));
	ck_assert_uint_eq(s.asked_count, 0);
	json_decref(config);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long pages[2] = {0, 0};

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld %ld", &pages[0], &pages[1]), 2);
	(void)fclose(f);
	return pages[1] * (sysconf(_SC_PAGESIZE) / 1024);
}

START_TEST(a_provider_that_never_ends_costs_no_memory)
{
	long before = 0;
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/','method':'POST'}");
	for (int i = 0; i < 12; i++) {
		api_reset(&s);
		api_say(&s, (struct api_reply){.type = "text/plain",
					       .endless_bytes = UINT64_C(2) << 30});
		ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
		ck_assert_ptr_nonnull(strstr(s.result.err.text, "above 2097152 bytes"));
		if (i == 3)
			before = resident_kib();
	}
	/* A sanitizer keeps what was freed for a while. */
	ck_assert_int_lt(resident_kib() - before, 128 * 1024);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_provider_that_hangs_or_dribbles_ends_in_its_time)
{
	int64_t took_ms = INT64_MAX;
	struct boottime start;
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/'}");
	for (int i = 0; i < UNIT_TRIES && took_ms >= 300; i++) {
		api_say(&s,
			(struct api_reply){.body = "{\"a\":1", .piece_bytes = 1, .end = API_HANGS});
		start = clock_boot();
		ck_assert_int_eq(api_run(&s, p, "{}", NULL, 300), PROVIDER_TIMEOUT);
		took_ms = clock_boot().ms - start.ms;
		ck_assert_int_ge(took_ms, 250);
	}
	ck_assert_int_lt(took_ms, 300);
	/* What has begun to answer has been executed: it is not asked again. */
	api_reset(&s);
	api_say(&s, (struct api_reply){.body = "{\"a\":1", .piece_bytes = 1, .end = API_BREAKS});
	api_say(&s, (struct api_reply){.body = "{\"a\":1}", .piece_bytes = 1});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert(s.result.may_have_run);
	ck_assert_uint_eq(s.asked_count, 1);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_cancelled_call_is_silent)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/'}");
	/* While it runs, and between two attempts. */
	for (int i = 0; i < 2; i++) {
		api_reset(&s);
		api_say(&s,
			i ? (struct api_reply){.status = 503, .body = "{}"}
			  : (struct api_reply){.body = "{", .piece_bytes = 1, .end = API_HANGS});
		api_start(&s, p, "{}", NULL, LONG_MS);
		api_pass(&s, 60);
		provider_cancel(p, &s.execution);
		ck_assert_ptr_null(s.execution.state);
		api_pass(&s, 300);
		ck_assert(!s.is_done);
	}
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_session_has_a_place_to_be_kept)
{
	struct err err = ERR_INIT;
	struct api_site s;
	json_t *config;

	api_init(&s);
	config = api_json(&s, "{'url':'@/','headers':{'Cookie':'li_at=${session:linkedin}'},"
			      "'session':'linkedin'}");
	ck_assert_ptr_null(http_provider_create(
		&(struct http_provider_parts){.loop = s.loop, .http = s.http}, config, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "session"));
	json_decref(config);
	api_finish(&s);
}
END_TEST

UNIT_MAIN("http_provider", a_request_is_made_of_the_arguments,
	  arguments_that_cannot_be_sent_send_nothing,
	  the_callers_own_key_takes_the_place_of_the_operators,
	  the_result_is_what_the_pointer_finds, text_and_images_become_content,
	  an_answer_is_read_in_its_charset, a_status_says_who_is_to_blame,
	  what_may_be_repeated_is_tried_twice_more, repeating_has_an_end,
	  a_redirect_never_carries_a_secret_to_another_host,
	  a_private_address_is_refused_unless_it_is_allowed,
	  a_provider_that_never_ends_costs_no_memory,
	  a_provider_that_hangs_or_dribbles_ends_in_its_time, a_cancelled_call_is_silent,
	  a_session_has_a_place_to_be_kept)
