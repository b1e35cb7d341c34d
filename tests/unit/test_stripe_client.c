#include "stripe_site.h"

#include "unit.h"

#include "base/limits.h"
#include "base/log.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the log says until log_end; fd is a file in memory. */
static int log_begin(int *stderr_before)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	*stderr_before = dup(STDERR_FILENO);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	ck_assert(log_level_set("debug"));
	return fd;
}

static void log_end(int fd, int stderr_before, char *out, size_t size)
{
	ssize_t n;

	ck_assert(log_level_set("warn"));
	ck_assert_int_eq(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
	(void)close(stderr_before);
	n = pread(fd, out, size - 1, 0);
	ck_assert_int_ge(n, 0);
	out[n] = '\0';
	(void)close(fd);
}

START_TEST(key_stands_in_no_text)
{
	struct stripe_call call = stripe_site_post();
	char log[8192];
	struct stripe_site s;
	int fd, before;

	stripe_site_init(&s);
	fd = log_begin(&before);
	SCRIPT(&s,
	       {.status = 500,
		.headers = "Request-Id: " SITE_KEY "\r\n",
		.body = ERROR("\"message\":\"what is " SITE_KEY "?\"")},
	       {.status = 401,
		.headers = "Request-Id: req_2\r\n",
		.body = ERROR("\"type\":\"invalid_request_error\",\"message\":"
			      "\"Invalid API Key provided: " SITE_KEY ", \\u0073k_test_4eC39HqLyj"
			      "WDarjtT1zdp7dc or sk_test_4eC39Hq*********************p7dc.\"")});
	stripe_site_call(&s, &call);
	log_end(fd, before, log, sizeof(log));
	ck_assert_int_eq(call.status, 401);
	ck_assert_str_eq(call.text, "invalid_request_error: Invalid API Key provided: [key], "
				    "[key] or [key]");
	ck_assert_str_eq(stripe_error_member(&call, "message"),
			 "Invalid API Key provided: [key], [key] or [key]");
	ck_assert_ptr_null(strstr(log, "4eC39"));
	ck_assert_ptr_null(strstr(log, "amount"));
	ck_assert_ptr_nonnull(strstr(log, "event=stripe_try method=POST path=/v1/payment_intents "
					  "status=500 request=[key] try=1 ms="));
	ck_assert_ptr_nonnull(strstr(log, "status=401 request=req_2 try=2 ms="));
	ck_assert_ptr_nonnull(strstr(log, "event=stripe_given_up"));
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(a_text_is_one_bounded_line)
{
	struct stripe_call call = stripe_site_post();
	struct buf body = BUF_INIT;
	struct stripe_site s;
	size_t len;

	stripe_site_init(&s);
	buf_puts(&body, "{\"error\":{\"code\":\"x\",\"message\":\"a\\r\\nb\\u0000");
	buf_puts(&body, "\"}}");
	SCRIPT(&s, {.status = 400, .body = buf_text(&body)});
	stripe_site_call(&s, &call);
	ck_assert_str_eq(call.text, "x: a  b");
	stripe_call_finish(&call);
	for (size_t shift = 0; shift < 3; shift++) {
		buf_clear(&body);
		buf_puts(&body, "{\"error\":{\"message\":\"");
		for (size_t i = 0; i < shift; i++)
			buf_putc(&body, 'x');
		for (int i = 0; i < 2000; i++)
			buf_puts(&body, "\xe2\x82\xac");
		buf_puts(&body, "\"}}");
		SCRIPT(&s, {.status = 400, .body = buf_text(&body)});
		stripe_site_call(&s, &call);
		len = strlen(call.text);
		ck_assert_uint_le(len, STRIPE_TEXT_BYTES_MAX + 6);
		ck_assert_str_eq(call.text + len - 6, "\xe2\x82\xac...");
		ck_assert_ptr_nonnull(stripe_error_member(&call, "message"));
		stripe_call_finish(&call);
	}
	buf_finish(&body);
	stripe_site_finish(&s);
}
END_TEST

static void never(struct stripe_call *call)
{
	(void)call;
	ck_abort_msg("a cancelled call came to its end");
}

static void on_tick(void *arg)
{
	loop_stop(arg);
}

static void run_for(struct stripe_site *s, int64_t ms)
{
	struct loop_timer timer;

	loop_timer_init(&timer, s->loop, on_tick, s->loop);
	loop_timer_in(&timer, ms);
	loop_run(s->loop);
	loop_timer_cancel(&timer);
}

START_TEST(a_cancelled_call_never_comes_to_its_end)
{
	struct stripe_call fresh = stripe_site_post(), asking = stripe_site_post(),
			   waiting = stripe_site_post(), left = stripe_site_post();
	struct stripe_call over = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	fresh.done = asking.done = waiting.done = left.done = never;
	stripe_start(s.stripe, &fresh);
	stripe_cancel(&fresh);
	stripe_cancel(&fresh);
	SCRIPT(&s, {.hangs = true});
	stripe_start(s.stripe, &asking);
	run_for(&s, 100);
	ck_assert_uint_eq(s.requests_count, 1);
	stripe_cancel(&asking);
	SCRIPT(&s, {.status = 500, .headers = "Retry-After: 1\r\n", .body = OUT_OF_ORDER});
	stripe_start(s.stripe, &waiting);
	run_for(&s, 100);
	ck_assert_uint_eq(s.requests_count, 1);
	stripe_cancel(&waiting);
	stripe_call_finish(&waiting);
	SCRIPT(&s, {.status = 200});
	stripe_site_call(&s, &over);
	stripe_cancel(&over);
	stripe_call_finish(&over);
	run_for(&s, 1100);
	/* What is under way at the end goes silently. */
	SCRIPT(&s, {.hangs = true});
	stripe_start(s.stripe, &left);
	run_for(&s, 50);
	stripe_site_finish(&s);
	stripe_cancel(&left);
}
END_TEST

static void destroy_client(struct stripe_call *call)
{
	struct stripe_site *s = call->arg;

	stripe_destroy(s->stripe);
	s->stripe = NULL;
	stripe_call_finish(call);
	memset(call, 0xff, sizeof(*call));
	loop_stop(s->loop);
}

START_TEST(done_may_destroy_the_client_and_the_call)
{
	struct stripe_call call = stripe_site_post(), other = stripe_site_get();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 200}, {.hangs = true});
	other.done = never;
	call.done = destroy_client;
	call.arg = &s;
	stripe_start(s.stripe, &call);
	run_for(&s, 100);
	ck_assert_ptr_null(s.stripe);
	stripe_site_finish(&s);

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 200}, {.hangs = true});
	call = stripe_site_post();
	call.done = destroy_client;
	call.arg = &s;
	stripe_start(s.stripe, &call);
	run_for(&s, 0);
	stripe_start(s.stripe, &other);
	run_for(&s, 100);
	ck_assert_ptr_null(s.stripe);
	ck_assert_ptr_null(other.stripe);
	stripe_site_finish(&s);
}
END_TEST

static void start_again(struct stripe_call *call)
{
	struct stripe_site *s = call->arg;

	ck_assert_int_eq(call->outcome, STRIPE_OK);
	stripe_call_finish(call);
	call->done = stripe_site_done;
	stripe_start(s->stripe, call);
}

START_TEST(done_may_start_the_call_again)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	SCRIPT(&s, {.status = 200}, {.status = 200});
	call.done = start_again;
	call.arg = &s;
	stripe_start(s.stripe, &call);
	loop_run(s.loop);
	ck_assert_uint_eq(s.requests_count, 2);
	ck_assert_int_eq(call.tries, 1);
	stripe_call_finish(&call);
	stripe_site_finish(&s);
}
END_TEST

START_TEST(no_proxy_of_the_environment_gets_the_key)
{
	struct stripe_call call = stripe_site_post();
	struct stripe_site s;

	stripe_site_init(&s);
	ck_assert_int_eq(setenv("http_proxy", "http://127.0.0.1:9", 1), 0);
	ck_assert_int_eq(setenv("all_proxy", "http://127.0.0.1:9", 1), 0);
	SCRIPT(&s, {.status = 200});
	stripe_site_call(&s, &call);
	ck_assert_int_eq(call.outcome, STRIPE_OK);
	ck_assert_int_eq(call.tries, 1);
	stripe_call_finish(&call);
	stripe_site_finish(&s);
	(void)unsetenv("http_proxy");
	(void)unsetenv("all_proxy");
}
END_TEST

static bool takes(const char *key, const char *base, struct err *err)
{
	struct loop *loop = loop_create();
	struct http *http = http_create(loop, "x");
	struct stripe *s;

	*err = (struct err)ERR_INIT;
	s = stripe_create(loop, http, &(struct stripe_config){.key = key, .api_base = base}, err);
	ck_assert_int_eq(s != NULL, !err_is_set(err));
	stripe_destroy(s);
	http_destroy(http);
	loop_destroy(loop);
	return s != NULL;
}

START_TEST(plain_http_is_for_loopback_only)
{
	static const char *const GOOD[] = {
		NULL,
		"https://api.stripe.com",
		"https://stripe.example:8443/proxy/",
		"http://127.0.0.1:12111",
		"http://127.9.8.7/",
		"http://localhost:1",
		"HTTP://LOCALHOST:1",
		"http://[::1]:12111",
		"http://127.1:80",
	};
	static const char *const BAD[] = {
		"http://api.stripe.com",
		"http://10.0.0.1",
		"http://128.0.0.1",
		"http://0.0.0.0",
		"http://[::]",
		"http://[::ffff:10.0.0.1]",
		"http://localhost.evil.test",
		"http://127.0.0.1.evil.test",
		"http://127.0.0.1@evil.test",
		"https://user:pass@api.stripe.com",
		"http://evil.test#127.0.0.1",
		"https://api.stripe.com?x=1",
		"ftp://127.0.0.1",
		"file:///etc/passwd",
		"api.stripe.com",
		"",
		"/",
		"http://",
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(GOOD); i++)
		ck_assert_msg(takes(SITE_KEY, GOOD[i], &err), "%s: %s", GOOD[i], err.text);
	for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
		ck_assert_msg(!takes(SITE_KEY, BAD[i], &err), "%s", BAD[i]);
		ck_assert_ptr_eq(strstr(err.text, "FAREBOX_STRIPE_API_BASE: "), err.text);
	}
}
END_TEST

START_TEST(only_a_secret_key_is_taken)
{
	static const struct {
		const char *key;
		enum stripe_mode mode;
		bool is_restricted;
	} GOOD[] = {
		{"sk_test_a", STRIPE_MODE_TEST, false},
		{"sk_live_a", STRIPE_MODE_LIVE, false},
		{"rk_test_a", STRIPE_MODE_TEST, true},
		{"rk_live_a", STRIPE_MODE_LIVE, true},
	};
	static const char *const BAD[] = {
		"",        "sk_test_",    "sk_prod_a",        "pk_test_abc",
		"whsec_a", " sk_test_a",  "SK_TEST_a",        "sk_test_a\n",
		"sk_test", "sk_test_a b", "sk_live_\xc3\xab", "xsk_test_a"};
	char is_long[STRIPE_KEY_BYTES_MAX + 2];
	bool is_restricted;
	enum stripe_mode mode;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
		ck_assert(stripe_key_mode(GOOD[i].key, &mode, &is_restricted));
		ck_assert_int_eq(mode, GOOD[i].mode);
		ck_assert_int_eq(is_restricted, GOOD[i].is_restricted);
		ck_assert(takes(GOOD[i].key, NULL, &err));
	}
	for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
		ck_assert_msg(!stripe_key_mode(BAD[i], &mode, &is_restricted), "%s", BAD[i]);
		ck_assert(!takes(BAD[i], NULL, &err));
		ck_assert_ptr_eq(strstr(err.text, "STRIPE_SECRET_KEY: "), err.text);
	}
	memset(is_long, 'a', sizeof(is_long));
	memcpy(is_long, "sk_test_", 8);
	is_long[sizeof(is_long) - 1] = '\0';
	ck_assert(!takes(is_long, NULL, &err));
	is_long[STRIPE_KEY_BYTES_MAX] = '\0';
	ck_assert(takes(is_long, NULL, &err));
}
END_TEST

UNIT_MAIN("stripe_client", key_stands_in_no_text, a_text_is_one_bounded_line,
	  a_cancelled_call_never_comes_to_its_end, done_may_destroy_the_client_and_the_call,
	  done_may_start_the_call_again, no_proxy_of_the_environment_gets_the_key,
	  plain_http_is_for_loopback_only, only_a_secret_key_is_taken)
