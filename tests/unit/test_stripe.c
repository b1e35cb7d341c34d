#include "stripe_site.h"

#include "unit.h"

#include "base/limits.h"

#include <string.h>

static bool said(const struct stripe_site *s, size_t i, const char *text)
{
	ck_assert_uint_lt(i, s->requests_count);
	return strstr(s->requests[i], text) != NULL;
}

/* One call against one answer. */
static enum stripe_outcome outcome_for(struct stripe_site *s, struct reply reply)
{
	struct stripe_call call = stripe_site_post();

	stripe_site_script(s, &reply, 1);
	stripe_site_call(s, &call);
	ck_assert_uint_eq(s->requests_count, 1);
	ck_assert_int_eq(call.tries, 1);
	ck_assert_int_eq(call.status, reply.status);
	stripe_call_finish(&call);
	return call.outcome;
}

START_TEST(a_post_carries_key_version_form_and_idempotency_key)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s,
	       {.status = 200, .headers = "Request-Id: req_1\r\n", .body = "{\"id\":\"pi_1\"}"});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_OK);
	ck_assert_int_eq(call.status, 200);
	ck_assert_str_eq(json_string_value(json_object_get(call.object, "id")), "pi_1");
	ck_assert_str_eq(call.request_id, "req_1");
	ck_assert(!call.is_replayed);
	ck_assert(call.answered.ms == 0);
	ck_assert_int_eq(strncmp(s.requests[0], "POST /v1/payment_intents HTTP/1.1\r\n", 35), 0);
	ck_assert(said(&s, 0, "Authorization: Bearer " SITE_KEY "\r\n"));
	ck_assert(said(&s, 0, "Stripe-Version: " STRIPE_VERSION "\r\n"));
	ck_assert(said(&s, 0, "Idempotency-Key: pay_1\r\n"));
	ck_assert(said(&s, 0, "Content-Type: application/x-www-form-urlencoded\r\n"));
	ck_assert(said(&s, 0, "\r\n\r\namount=2500&currency=usd"));
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(a_post_without_parameters_is_a_post)
{
	struct stripe_call call = {.method = "POST", .path = "/v1/invoices/in_1/finalize"};
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 200}, {.status = 200});
	stripe_site_call(&s, &call);
	ck_assert(said(&s, 0, "POST /v1/invoices/in_1/finalize HTTP/1.1\r\n"));
	ck_assert(said(&s, 0, "Content-Length: 0\r\n"));
	ck_assert(!said(&s, 0, "Idempotency-Key"));
	stripe_call_finish(&call);
	call.form = "";
	stripe_site_call(&s, &call);
	ck_assert(said(&s, 1, "POST /v1/invoices/in_1/finalize HTTP/1.1\r\n"));
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(a_get_or_delete_sends_its_form_as_a_query)
{
	struct stripe_call call = stripe_site_get();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 200}, {.status = 200}, {.status = 200}, {.status = 200});
	call.idempotency_key = "ignored";
	stripe_site_call(&s, &call);
	ck_assert(said(&s, 0, "GET /v1/payment_intents?limit=3 HTTP/1.1\r\n"));
	ck_assert(!said(&s, 0, "Idempotency-Key"));
	ck_assert(!said(&s, 0, "Content-"));
	stripe_call_finish(&call);
	call.path = "/v1/x?a=1";
	stripe_site_call(&s, &call);
	ck_assert(said(&s, 1, "GET /v1/x?a=1&limit=3 HTTP/1.1\r\n"));
	stripe_call_finish(&call);
	call.form = NULL;
	stripe_site_call(&s, &call);
	ck_assert(said(&s, 2, "GET /v1/x?a=1 HTTP/1.1\r\n"));
	stripe_call_finish(&call);
	call = (struct stripe_call){.method = "DELETE", .path = "/v1/y", .form = "b=2"};
	stripe_site_call(&s, &call);
	ck_assert(said(&s, 3, "DELETE /v1/y?b=2 HTTP/1.1\r\n"));
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(replay_and_date_of_the_answer_are_told)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 200,
		    .headers = "Idempotent-Replayed: true\r\n"
			       "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"});
	stripe_site_call(&s, &call);
	ck_assert(call.is_replayed);
	ck_assert(call.answered.ms == INT64_C(1700000000000));
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(each_answer_has_its_outcome)
{
	static const struct {
		int status;
		const char *body;
		enum stripe_outcome outcome;
	} CASES[] = {
		{400, ERROR("\"type\":\"invalid_request_error\""), STRIPE_REFUSED},
		{400, ERROR("\"code\":\"amount_too_small\""), STRIPE_REFUSED},
		{400, ERROR("\"type\":\"idempotency_error\""), STRIPE_KEY_MISUSED},
		{400, ERROR("\"code\":\"resource_missing\""), STRIPE_NOT_FOUND},
		{404, ERROR("\"code\":\"resource_missing\""), STRIPE_NOT_FOUND},
		{404, ERROR("\"message\":\"No such customer: 'cus_1'\""), STRIPE_NOT_FOUND},
		{404, ERROR("\"message\":\"Unrecognized request URL (GET: /v1/x).\""),
		 STRIPE_REFUSED},
		{404, ERROR("\"code\":\"other\""), STRIPE_REFUSED},
		{401, BAD_KEY, STRIPE_FORBIDDEN},
		{403, BAD_KEY, STRIPE_FORBIDDEN},
		{402, ERROR("\"type\":\"card_error\""), STRIPE_DECLINED},
		{413, "<html>", STRIPE_REFUSED},
		{422, ERROR("\"type\":7,\"code\":null"), STRIPE_REFUSED},
		{400, "{\"error\":\"text\"}", STRIPE_REFUSED},
		{400, "[1]", STRIPE_REFUSED},
	};
	struct stripe_site s;

	stripe_site_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
		ck_assert_msg(outcome_for(&s, (struct reply){.status = CASES[i].status,
							     .body = CASES[i].body}) ==
				      CASES[i].outcome,
			      "case %zu", i);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(decline_is_never_repeated)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 402,
		    .headers = "Stripe-Should-Retry: true\r\nRetry-After: 0\r\n",
		    .body = ERROR("\"type\":\"card_error\",\"code\":\"card_declined\","
				  "\"decline_code\":\"lost_card\","
				  "\"advice_code\":\"do_not_try_again\",\"charge\":{},"
				  "\"message\":\"Your card was declined.\"")});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_DECLINED);
	ck_assert_uint_eq(s.requests_count, 1);
	ck_assert_str_eq(call.text, "card_declined (lost_card): Your card was declined.");
	ck_assert_str_eq(stripe_error_member(&call, "advice_code"), "do_not_try_again");
	ck_assert_ptr_null(stripe_error_member(&call, "charge"));
	ck_assert_ptr_null(stripe_error_member(&call, "param"));
	stripe_call_finish(&call);
	ck_assert_ptr_null(stripe_error_member(&call, "code"));
	stripe_site_finish(&s);
}
END_TEST

START_TEST(body_cut_short_is_repeated_with_the_same_key)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	/* What Stripe says of repeating is about an answer; this is none. */
	SCRIPT(&s, {.status = 200, .headers = "Stripe-Should-Retry: false\r\n", .cut = 1},
	       {.status = 200, .body = "{\"id\":\"pi_1\"}"});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_OK);
	ck_assert_int_eq(call.tries, 2);
	ck_assert_uint_eq(s.requests_count, 2);
	ck_assert(said(&s, 0, "Idempotency-Key: pay_1\r\n"));
	ck_assert_str_eq(s.requests[0], s.requests[1]);
	ck_assert_int_ge(s.times[1].ms - s.times[0].ms, STRIPE_BACKOFF_MS / 2);
	ck_assert_ptr_null(call.error);
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(what_is_no_answer_is_repeated)
{
	static const struct reply FIRST[] = {
		{.drops = true},
		{.status = 200, .body = "{\"id\":"},
		{.status = 200, .body = "[]"},
		{.status = 200, .body = ""},
		{.status = 502, .body = "<html>bad gateway</html>"},
		{.status = 409, .body = KEY_IN_USE},
		{.status = 429, .body = ERROR("\"code\":\"lock_timeout\"")},
	};
	struct stripe_site s;

	stripe_site_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(FIRST); i++) {
		const struct reply replies[] = {FIRST[i], {.status = 200, .body = "{}"}};
		struct stripe_call call = i % 2 ? stripe_site_get() : stripe_site_post();

		stripe_site_script(&s, replies, 2);
		stripe_site_call(&s, &call);
		ck_assert_msg(call.outcome == STRIPE_OK, "reply %zu: %s", i, call.text);
		ck_assert_str_eq(s.requests[0], s.requests[1]);
		stripe_call_finish(&call);
	}
	stripe_site_finish(&s);
}
END_TEST

START_TEST(should_retry_is_obeyed)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s,
	       {.status = 400, .headers = "Stripe-Should-Retry: true\r\n", .body = OUT_OF_ORDER},
	       {.status = 200});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_OK);
	ck_assert_int_eq(call.tries, 2);
	stripe_call_finish(&call);
	for (int status = 409; status <= 500; status = status == 409 ? 429 : status + 71)
		ck_assert_int_eq(
			outcome_for(&s, (struct reply){.status = status,
						       .headers = "Stripe-Should-Retry: false\r\n",
						       .body = OUT_OF_ORDER}),
			STRIPE_UNKNOWN);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(retry_after_is_waited_for)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 429, .headers = "Retry-After: 1\r\n", .body = OUT_OF_ORDER},
	       {.status = 429, .headers = "Retry-After: soon\r\n", .body = OUT_OF_ORDER},
	       {.status = 200});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_OK);
	ck_assert_int_ge(s.times[1].ms - s.times[0].ms, 1000);
	ck_assert_int_ge(s.times[2].ms - s.times[1].ms, STRIPE_BACKOFF_MS);
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(give_up_bounds_the_tries)
{
	struct boottime began = clock_boot();
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	/* No wait that would leave no time. */
	SCRIPT(&s,
	       {.status = 503, .headers = "Retry-After: 99999999999\r\n", .body = OUT_OF_ORDER});
	call.give_up = boottime_after(began, STRIPE_RETRY_AFTER_S_MAX * 1000);
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_UNKNOWN);
	ck_assert_str_eq(call.text, "api_error: try later");
	ck_assert_str_eq(stripe_error_member(&call, "type"), "api_error");
	ck_assert_int_lt(clock_boot().ms - began.ms, 10 * 1000);
	stripe_call_finish(&call);
	/* No try that is too late. */
	call.give_up = boottime_after(clock_boot(), STRIPE_TRY_MS_MIN - 1);
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_UNKNOWN);
	ck_assert_int_eq(call.tries, 0);
	ck_assert_int_eq(call.status, 0);
	stripe_call_finish(&call);
	/* No try that runs beyond. */
	SCRIPT(&s, {.hangs = true});
	began = clock_boot();
	call.give_up = boottime_after(began, STRIPE_TRY_MS_MIN + 200);
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_UNKNOWN);
	ck_assert_int_eq(call.tries, 1);
	ck_assert_int_ge(clock_boot().ms - began.ms, STRIPE_TRY_MS_MIN);
	ck_assert_int_lt(clock_boot().ms - began.ms, STRIPE_TRY_MS_MIN + 10 * 1000);
	ck_assert_ptr_nonnull(strstr(call.text, "no answer: "));
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(tries_are_counted_and_each_waits_longer)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 500, .body = OUT_OF_ORDER}, {.status = 500, .body = OUT_OF_ORDER},
	       {.status = 500, .body = OUT_OF_ORDER}, {.status = 500, .body = OUT_OF_ORDER},
	       {.status = 500, .body = OUT_OF_ORDER});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_UNKNOWN);
	ck_assert_int_eq(call.tries, STRIPE_TRIES_MAX);
	ck_assert_uint_eq(s.requests_count, STRIPE_TRIES_MAX);
	for (size_t i = 1; i < s.requests_count; i++)
		ck_assert_int_ge(s.times[i].ms - s.times[i - 1].ms, (STRIPE_BACKOFF_MS / 2)
									    << (i - 1));
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(a_refusal_of_the_secret_key_says_nothing_of_an_earlier_try)
{
	static const char HTML[] = "<html>blocked</html>";
	const struct reply cases[][2] = {
		{{.status = 500, .body = OUT_OF_ORDER}, {.status = 401, .body = BAD_KEY}},
		{{.drops = true}, {.status = 403, .body = BAD_KEY}},
		{{.drops = true}, {.status = 403, .body = HTML}},
		{{.drops = true}, {.status = 400, .body = HTML}},
	};
	struct stripe_call call = stripe_site_post(), look = stripe_site_get();
	struct stripe_site s;

	stripe_site_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		stripe_site_script(&s, cases[i], 2);
		stripe_site_call(&s, &call);
		ck_assert_msg(call.outcome == STRIPE_UNKNOWN, "case %zu", i);
		stripe_call_finish(&call);
	}
	/* Stripe's own word under the same key does; too many calls are not executed; and a look
	 * has no effect that could have happened. */
	SCRIPT(&s, {.status = 500, .body = OUT_OF_ORDER},
	       {.status = 402, .body = ERROR("\"type\":\"card_error\"")});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_DECLINED);
	stripe_call_finish(&call);
	SCRIPT(&s, {.status = 429, .body = OUT_OF_ORDER}, {.status = 401, .body = BAD_KEY});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_FORBIDDEN);
	stripe_call_finish(&call);
	SCRIPT(&s, {.status = 500, .body = OUT_OF_ORDER}, {.status = 401, .body = BAD_KEY});
	stripe_site_call(&s, &look);
	ck_assert_int_eq(look.outcome, STRIPE_FORBIDDEN);
	stripe_call_finish(&look);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(a_proxy_does_not_say_that_a_card_was_declined_or_an_object_is_missing)
{
	struct stripe_call post = stripe_site_post(), get = stripe_site_get();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 402, .body = "<html>"}, {.status = 404, .body = "<html>"},
	       {.status = 200});
	stripe_site_call(&s, &post);
	ck_assert_int_eq(post.outcome, STRIPE_OK);
	ck_assert_uint_eq(s.requests_count, 3);
	stripe_call_finish(&post);
	SCRIPT(&s, {.status = 404,
		    .headers = "Stripe-Should-Retry: false\r\n",
		    .body = "{\"error\":\"not found\"}"});
	stripe_site_call(&s, &get);
	ck_assert_int_eq(get.outcome, STRIPE_UNKNOWN);
	stripe_call_finish(&get);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(a_redirect_is_not_followed)
{
	struct stripe_site s;

	stripe_site_init(&s);
	ck_assert_int_eq(outcome_for(&s, (struct reply){.status = 302,
							.headers = "Location: /v1/other\r\n"}),
			 STRIPE_UNKNOWN);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(what_cannot_be_sent_is_refused_at_once)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	call.idempotency_key = "a\r\nX-Other: b";
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_REFUSED);
	ck_assert_int_eq(call.status, 0);
	ck_assert_int_eq(call.tries, 1);
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

UNIT_MAIN("stripe", a_post_carries_key_version_form_and_idempotency_key,
	  a_post_without_parameters_is_a_post, a_get_or_delete_sends_its_form_as_a_query,
	  replay_and_date_of_the_answer_are_told, each_answer_has_its_outcome,
	  decline_is_never_repeated, body_cut_short_is_repeated_with_the_same_key,
	  what_is_no_answer_is_repeated, should_retry_is_obeyed, retry_after_is_waited_for,
	  give_up_bounds_the_tries, tries_are_counted_and_each_waits_longer,
	  a_refusal_of_the_secret_key_says_nothing_of_an_earlier_try,
	  a_proxy_does_not_say_that_a_card_was_declined_or_an_object_is_missing,
	  a_redirect_is_not_followed, what_cannot_be_sent_is_refused_at_once)
