/* What an API says of the secrets that it was given does not come through. */

#include "providers/http.h"

#include "base/limits.h"
#include "json/edge.h"

#include "api_site.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LONG_MS 20000

START_TEST(a_success_that_repeats_the_request_is_struck)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/','byok':{'name':'X','header':'X-Key'}}");
	api_say(&s, (struct api_reply){.body = "{\"X-Key\":\"Bearer callers%2Dkey!\"}"});
	ck_assert_int_eq(api_run(&s, p, "{}", "callers-key", LONG_MS), PROVIDER_OK);
	ck_assert_str_eq(buf_text(&s.result.structured), "{\"X-Key\":\"Bearer [secret]!\"}");
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

/* Without a key, 403 is about something else, and the reason may be told. */
START_TEST(a_refusal_of_no_key_is_quoted)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_provider(&s, "{'url':'@/'}");
	api_say(&s, (struct api_reply){.status = 403, .body = "{\"detail\":[{\"msg\":\"no\"}]}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_REJECTED);
	ck_assert_str_eq(s.result.err.text, "the provider answered 403: no");
	ck_assert(!s.result.is_key_refused);
	provider_destroy(p);
	p = api_provider(&s, "{'url':'@/','headers':{'X-Key':'k'}}");
	api_say(&s, (struct api_reply){.status = 403, .body = "{\"detail\":\"k*\"}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_REJECTED);
	ck_assert_str_eq(s.result.err.text,
			 "the provider answered 403: it refuses the operator's key");
	ck_assert(s.result.is_key_refused);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_refusal_is_quoted_without_secrets)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "sk-secret", 1), 0);
	p = api_provider(&s, "{'url':'@/?k=${env:FAREBOX_TEST_KEY}'}");
	api_say(&s, (struct api_reply){.status = 422,
				       .body = "{\"error\":{\"message\":\"domain is\\nodd\"}}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_REJECTED);
	ck_assert_str_eq(s.result.err.text, "the provider answered 422: domain is odd");
	api_say(&s, (struct api_reply){.status = 400, .body = "{\"message\":\"key sk-secret\"}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_REJECTED);
	ck_assert_str_eq(s.result.err.text, "the provider answered 400");
	api_say(&s, (struct api_reply){.status = 401, .body = "{\"message\":\"key sk-s**et\"}"});
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_REJECTED);
	ck_assert_str_eq(s.result.err.text,
			 "the provider answered 401: it refuses the operator's key");
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

UNIT_MAIN("http_struck", a_success_that_repeats_the_request_is_struck,
	  a_refusal_of_no_key_is_quoted, a_refusal_is_quoted_without_secrets)
