#include "http_site.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

START_TEST(an_answer_has_status_body_type_headers_and_url)
{
	struct site s;

	site_init(&s);
	s.want_header = "cONTENT-lENGTH";
	ck_assert_int_eq(site_get(&s, "/ok"), HTTP_DONE);
	ck_assert_int_eq(s.got.status, 200);
	ck_assert_str_eq(buf_text(&s.got.body), "hello");
	ck_assert_str_eq(s.got.type, "text/plain");
	ck_assert_str_eq(s.got.header, "5");
	ck_assert_ptr_nonnull(strstr(s.got.url, "/ok"));
	s.want_header = "Content";
	ck_assert_int_eq(site_get(&s, "/no"), HTTP_DONE);
	ck_assert_int_eq(s.got.status, 404);
	ck_assert_str_eq(s.got.header, "(none)");
	ck_assert_str_eq(buf_text(&s.got.body), "no such thing");
	site_finish(&s);
}
END_TEST

START_TEST(headers_are_sent_as_given)
{
	const struct http_header headers[] = {{"Authorization", "Bearer abc"}, {"X-Empty", ""}};
	struct site s;

	site_init(&s);
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/echo",
							      .headers = headers,
							      .headers_count = 2,
							      .allow_private = true}),
			 HTTP_DONE);
	ck_assert(site_said(&s, "Authorization: Bearer abc\n"));
	ck_assert(site_said(&s, "X-Empty: \n"));
	ck_assert(site_said(&s, "User-Agent: farebox-test/1\n"));
	ck_assert(site_said(&s, "Accept-Encoding: gzip\n"));
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/echo",
							      .user_agent = "other/2",
							      .allow_private = true}),
			 HTTP_DONE);
	ck_assert(site_said(&s, "User-Agent: other/2\n"));
	site_finish(&s);
}
END_TEST

START_TEST(a_conditional_request_is_answered_304)
{
	const struct http_header header = {"If-None-Match", "\"v1\""};
	struct site s;

	site_init(&s);
	s.want_header = "etag";
	ck_assert_int_eq(site_get(&s, "/etag"), HTTP_DONE);
	ck_assert_int_eq(s.got.status, 200);
	ck_assert_str_eq(s.got.header, "\"v1\"");
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/etag",
							      .headers = &header,
							      .headers_count = 1,
							      .allow_private = true}),
			 HTTP_DONE);
	ck_assert_int_eq(s.got.status, 304);
	ck_assert_uint_eq(s.got.body.len, 0);
	site_finish(&s);
}
END_TEST

START_TEST(a_line_break_in_a_header_is_refused)
{
	const struct http_header bad[] = {
		{"X-A", "1\r\nX-B: 2"}, {"X-A", "1\nX-B: 2"}, {"X A", "1"}, {"", "1"}};
	struct site s;

	site_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/echo",
								      .headers = &bad[i],
								      .headers_count = 1,
								      .allow_private = true}),
				 HTTP_BAD_URL);
		ck_assert_int_eq(s.got.status, 0);
	}
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/echo",
							      .method = "GET / HTTP/1.1\r\nX: 1",
							      .allow_private = true}),
			 HTTP_BAD_URL);
	site_finish(&s);
}
END_TEST

START_TEST(a_body_is_copied_and_sent_without_a_form_type)
{
	char text[] = "{\"a\":1}";
	struct http_request r = {.method = "POST", .allow_private = true, .timeout_ms = 20000};
	char url[64];
	struct site s;

	site_init(&s);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/echo", s.port);
	r.url = url;
	r.body = (struct slice){.p = text, .len = 7};
	(void)http_start(s.http, &r, site_on_answer, &s);
	memset(text, 'z', sizeof(text));
	memset(url, 'z', sizeof(url));
	loop_run(s.loop);
	ck_assert_int_eq(s.got.outcome, HTTP_DONE);
	ck_assert_ptr_eq(strstr(buf_text(&s.got.body), "POST\n"), buf_text(&s.got.body));
	ck_assert(site_said(&s, "Content-Length: 7\n"));
	ck_assert(site_said(&s, "\n\n{\"a\":1}"));
	ck_assert(!site_said(&s, "Content-Type"));
	site_finish(&s);
}
END_TEST

START_TEST(a_long_body_is_sent_whole_and_at_once)
{
	size_t len = 3 * 1024 * 1024;
	char *text = xmalloc(len);
	struct site s;

	site_init(&s);
	memset(text, 'y', len);
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/echo",
							      .method = "POST",
							      .body = {.p = text, .len = len},
							      .allow_private = true}),
			 HTTP_DONE);
	ck_assert(!site_said(&s, "Expect"));
	ck_assert_uint_gt(s.got.body.len, len);
	ck_assert_int_eq(memcmp(s.got.body.p + s.got.body.len - len, text, len), 0);
	free(text);
	site_finish(&s);
}
END_TEST

START_TEST(every_method_is_sent_as_named)
{
	static const char *const methods[] = {"PUT", "PATCH", "DELETE", "POST", "GET"};
	struct site s;

	site_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		for (int with_body = 0; with_body < 2; with_body++) {
			struct http_request r = {
				.url = "/echo", .method = methods[i], .allow_private = true};

			r.body = with_body ? slice_of("text") : (struct slice){.p = NULL};
			ck_assert_int_eq(site_fetch(&s, r), HTTP_DONE);
			ck_assert_int_eq(
				strncmp(buf_text(&s.got.body), methods[i], strlen(methods[i])), 0);
			ck_assert_int_eq(site_said(&s, "\n\ntext"), with_body);
		}
	}
	s.want_header = "Content-Length";
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/ok",
							      .method = "HEAD",
							      .allow_private = true}),
			 HTTP_DONE);
	ck_assert_str_eq(s.got.header, "5");
	ck_assert_uint_eq(s.got.body.len, 0);
	site_finish(&s);
}
END_TEST

static enum http_outcome hop(struct site *s, const char *path, int max)
{
	return site_fetch(
		s, (struct http_request){.url = path, .redirects_max = max, .allow_private = true});
}

START_TEST(redirects_are_followed_up_to_the_limit)
{
	struct site s;

	site_init(&s);
	s.want_header = "X-Hop";
	ck_assert_int_eq(hop(&s, "/hop/3", 3), HTTP_DONE);
	ck_assert_str_eq(buf_text(&s.got.body), "arrived");
	ck_assert_ptr_nonnull(strstr(s.got.url, "/hop/0"));
	/* The headers are those of the last response only. */
	ck_assert_str_eq(s.got.header, "(none)");
	ck_assert_int_eq(hop(&s, "/hop/4", 3), HTTP_TRANSPORT);
	ck_assert_str_eq(s.got.error, "too many redirects");
	ck_assert_int_eq(hop(&s, "/hop/1", 0), HTTP_DONE);
	ck_assert_int_eq(s.got.status, 302);
	ck_assert_str_eq(s.got.header, "yes");
	site_finish(&s);
}
END_TEST

START_TEST(a_redirect_to_another_scheme_is_refused)
{
	struct site s;

	site_init(&s);
	ck_assert_int_eq(hop(&s, "/to-file", 3), HTTP_TRANSPORT);
	ck_assert_ptr_nonnull(strstr(s.got.error, "redirected"));
	ck_assert_int_eq(hop(&s, "/to-ftp", 3), HTTP_TRANSPORT);
	site_finish(&s);
}
END_TEST

START_TEST(a_transfer_that_stays_at_its_origin_is_not_led_away)
{
	struct http_request r = {
		.redirects_max = 3, .stays_at_origin = true, .allow_private = true};
	char head[256];
	struct site s;

	site_init(&s);
	r.url = "/hop/3";
	ck_assert_int_eq(site_fetch(&s, r), HTTP_DONE);
	ck_assert_str_eq(buf_text(&s.got.body), "arrived");
	/* The same host at another port, and by another name. */
	for (int i = 0; i < 2; i++) {
		char url[64];

		(void)snprintf(head, sizeof(head),
			       "HTTP/1.1 302 Found\r\nlocation: http://%s:%d/ok\r\n"
			       "Content-Length: 0\r\n\r\n",
			       i ? "localhost" : "127.0.0.1", i ? s.raw_port : s.port);
		s.raw_text = slice_of(head);
		s.raw_closes = true;
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", s.raw_port);
		r.url = url;
		ck_assert_int_eq(site_fetch(&s, r), HTTP_REFUSED_ADDRESS);
		ck_assert_str_eq(s.got.error, "redirected to another host");
		r.redirects_max = 0;
		ck_assert_int_eq(site_fetch(&s, r), HTTP_DONE);
		r.redirects_max = 3;
	}
	site_finish(&s);
}
END_TEST

struct pieces {
	struct site s; /* first: both callbacks get its address */
	struct buf text;
	size_t enough;
	int status;
};

static void on_piece(void *arg, const struct http_response *so_far)
{
	struct pieces *p = arg;

	p->status = so_far->status;
	buf_append(&p->text, so_far->body.p, so_far->body.len);
	if (p->text.len < p->enough)
		return;
	http_cancel((struct http_transfer *)(uintptr_t)so_far->transfer);
	site_on_answer(&p->s, so_far);
}

static enum http_outcome fetch_pieces(struct pieces *p, const char *path, size_t bytes_max)
{
	buf_clear(&p->text);
	return site_fetch(&p->s, (struct http_request){.url = path,
						       .data = on_piece,
						       .body_bytes_max = bytes_max,
						       .allow_private = true});
}

START_TEST(a_body_may_be_handed_over_piece_by_piece)
{
	struct pieces p = {.enough = SIZE_MAX};

	site_init(&p.s);
	ck_assert_int_eq(fetch_pieces(&p, "/gzip", 0), HTTP_DONE);
	ck_assert_str_eq(buf_text(&p.text), "hello, compressed");
	ck_assert_uint_eq(p.s.got.body.len, 0);
	ck_assert_int_eq(fetch_pieces(&p, "/nowhere", 0), HTTP_DONE);
	ck_assert_str_eq(buf_text(&p.text), "no such thing");
	ck_assert_int_eq(p.status, 404);
	ck_assert_int_eq(fetch_pieces(&p, "/endless", 100000), HTTP_TOO_LARGE);
	ck_assert_uint_le(p.text.len, 100000);
	/* It may be cancelled from there. */
	p.enough = 50000;
	ck_assert_int_eq(fetch_pieces(&p, "/endless", 10 * 1000 * 1000), HTTP_DONE);
	ck_assert_uint_ge(p.text.len, 50000);
	ck_assert_uint_lt(p.text.len, 10 * 1000 * 1000);
	buf_finish(&p.text);
	site_finish(&p.s);
}
END_TEST

START_TEST(a_redirected_post_becomes_a_get)
{
	struct site s;

	site_init(&s);
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/to-echo",
							      .method = "POST",
							      .body = {.p = "text", .len = 4},
							      .redirects_max = 1,
							      .allow_private = true}),
			 HTTP_DONE);
	ck_assert_int_eq(strncmp(buf_text(&s.got.body), "GET\n", 4), 0);
	ck_assert(!site_said(&s, "text"));
	site_finish(&s);
}
END_TEST

static void never(void *arg, const struct http_response *r)
{
	(void)arg;
	(void)r;
	ck_abort_msg("a cancelled transfer called back");
}

struct cancelling {
	struct site s;
	struct loop_timer timer;
	struct http_transfer *queued;
	struct http_transfer *running;
	int calls;
};

static void cancel_running(void *arg)
{
	struct cancelling *c = arg;

	http_cancel(c->running);
	loop_stop(c->s.loop);
}

START_TEST(a_cancelled_transfer_never_calls_back)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
	struct http_request r = {.allow_private = true, .timeout_ms = 20000};
	struct cancelling c = {.calls = 0};
	char url[64];

	site_init(&c.s);
	c.s.raw_text = (struct slice){.p = head, .len = sizeof(head) - 1};
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", c.s.raw_port);
	r.url = url;
	http_cancel(http_start(c.s.http, &r, never, NULL));
	c.running = http_start(c.s.http, &r, never, NULL);
	http_cancel(http_start(c.s.http, &r, never, NULL));
	loop_timer_init(&c.timer, c.s.loop, cancel_running, &c);
	loop_timer_in(&c.timer, 50);
	loop_run(c.s.loop);
	ck_assert_int_eq(c.s.raw_accepted, 1);
	ck_assert_int_eq(site_get(&c.s, "/ok"), HTTP_DONE);
	/* What is in flight at the end goes silently. */
	(void)http_start(c.s.http, &r, never, NULL);
	site_finish(&c.s);
}
END_TEST

/* Cancels itself, a transfer of the same instant, and one that has not begun. */
static void cancel_all(void *arg, const struct http_response *r)
{
	struct cancelling *c = arg;

	ck_assert_int_eq(r->outcome, HTTP_BAD_URL);
	http_cancel((struct http_transfer *)(uintptr_t)r->transfer);
	http_cancel(c->running);
	http_cancel(c->queued);
	c->calls++;
	loop_stop(c->s.loop);
}

START_TEST(a_callback_may_cancel_itself_and_others)
{
	const struct http_request bad = {.url = "bad"};
	const struct http_request refused = {.url = "http://127.0.0.1:9/", .timeout_ms = 1000};
	struct cancelling c = {.calls = 0};

	site_init(&c.s);
	c.running = http_start(c.s.http, &refused, never, NULL);
	(void)http_start(c.s.http, &bad, cancel_all, &c);
	c.queued = http_start(c.s.http, &bad, never, NULL);
	loop_run(c.s.loop);
	ck_assert_int_eq(c.calls, 1);
	ck_assert_int_eq(site_get(&c.s, "/ok"), HTTP_DONE);
	site_finish(&c.s);
}
END_TEST

static void destroy_client(void *arg, const struct http_response *r)
{
	struct site *s = arg;

	http_destroy(s->http);
	s->http = NULL;
	ck_assert_str_eq(r->content_type, "text/plain"); /* borrowed until we return */
	loop_stop(s->loop);
}

START_TEST(a_callback_may_destroy_the_client)
{
	struct http_request r = {.allow_private = true, .timeout_ms = 20000};
	char url[64], hanging[64];
	struct site s;

	site_init(&s);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/ok", s.port);
	(void)snprintf(hanging, sizeof(hanging), "http://127.0.0.1:%d/", s.raw_port);
	r.url = hanging;
	(void)http_start(s.http, &r, never, NULL);
	r.url = url;
	(void)http_start(s.http, &r, destroy_client, &s);
	loop_run(s.loop);
	ck_assert_ptr_null(s.http);
	site_finish(&s);
}
END_TEST

/* Each callback starts the next request, which must end in a later turn, however fast it fails. */
struct chain {
	struct site s;
	int turn;
	int turn_started;
	int left;
};

static bool count_turn(void *arg)
{
	struct chain *c = arg;

	c->turn++;
	return false;
}

static void chain_next(void *arg, const struct http_response *r)
{
	struct chain *c = arg;
	const struct http_request bad = {.url = "bad"};
	const struct http_request refused = {.url = "http://127.0.0.1:9/", .timeout_ms = 1000};

	(void)r;
	ck_assert_int_gt(c->turn, c->turn_started);
	c->turn_started = c->turn;
	if (c->left-- > 0)
		(void)http_start(c->s.http, c->left % 2 ? &bad : &refused, chain_next, c);
	else
		loop_stop(c->s.loop);
}

START_TEST(a_callback_comes_in_a_later_turn_than_its_start)
{
	struct chain c = {.left = 20, .turn_started = -1};

	site_init(&c.s);
	loop_set_turn_end(c.s.loop, count_turn, &c);
	(void)http_start(c.s.http, &(struct http_request){.url = "bad"}, chain_next, &c);
	ck_assert_int_eq(c.left, 20);
	loop_run(c.s.loop);
	ck_assert_int_eq(c.left, -1);
	site_finish(&c.s);
}
END_TEST

static void count_one(void *arg, const struct http_response *r)
{
	struct chain *c = arg;

	ck_assert_int_eq(r->outcome, HTTP_DONE);
	ck_assert_int_eq(r->status, 200);
	ck_assert(slice_eq(r->body, "hello"));
	if (--c->left == 0)
		loop_stop(c->s.loop);
}

START_TEST(many_transfers_run_side_by_side)
{
	struct chain c = {.left = 64};
	char url[64];
	struct http_request r = {.url = url, .timeout_ms = 20000, .allow_private = true};

	site_init(&c.s);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/ok", c.s.port);
	for (int round = 0; round < 2; round++) {
		c.left = 64;
		for (int i = 0; i < 64; i++)
			(void)http_start(c.s.http, &r, count_one, &c);
		loop_run(c.s.loop);
		ck_assert_int_eq(c.left, 0);
	}
	site_finish(&c.s);
}
END_TEST

static void count_answer(void *arg, const struct http_response *r)
{
	struct answer *got = arg;

	got->calls++;
	got->outcome = r->outcome;
	got->status = r->status;
}

START_TEST(what_is_in_flight_may_be_finished_without_the_loop_for_a_while)
{
	struct answer got[2] = {{.calls = 0}, {.calls = 0}};
	struct boottime began;
	char url[64];
	struct site s;

	site_init(&s);
	http_linger(s.http, 1000); /* nothing was ever asked */
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/ok", s.port);
	http_start(
		s.http,
		&(struct http_request){
			.url = url, .method = "DELETE", .timeout_ms = 5000, .allow_private = true},
		count_answer, &got[0]);
	http_linger(s.http, 5000);
	ck_assert_int_eq(got[0].calls, 1);
	ck_assert_int_eq(got[0].outcome, HTTP_DONE);
	/* A server that never answers: nobody accepts. */
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", s.raw_port);
	http_start(s.http,
		   &(struct http_request){.url = url, .timeout_ms = 50000, .allow_private = true},
		   count_answer, &got[1]);
	began = clock_boot();
	http_linger(s.http, 100);
	ck_assert_int_lt(clock_boot().ms - began.ms, UNIT_AT_ONCE_MS);
	ck_assert_int_ge(clock_boot().ms - began.ms, 90);
	ck_assert_int_eq(got[1].calls, 0);
	site_finish(&s);
}
END_TEST

START_TEST(a_request_carries_nothing_of_the_one_before)
{
	const struct http_header header = {"Authorization", "Bearer abc"};
	struct http_request r = {.url = "/echo",
				 .method = "PATCH",
				 .headers = &header,
				 .headers_count = 1,
				 .body = slice_of("secret"),
				 .user_agent = "other/2",
				 .redirects_max = 1,
				 .allow_private = true};
	struct site s;

	site_init(&s);
	ck_assert_int_eq(site_fetch(&s, r), HTTP_DONE);
	ck_assert(site_said(&s, "PATCH"));
	ck_assert(site_said(&s, "Authorization: Bearer abc\n"));
	ck_assert(site_said(&s, "secret"));
	ck_assert_int_eq(site_get(&s, "/echo"), HTTP_DONE);
	ck_assert(site_said(&s, "GET"));
	ck_assert(site_said(&s, "User-Agent: farebox-test/1\n"));
	ck_assert(!site_said(&s, "Authorization"));
	ck_assert(!site_said(&s, "secret"));
	ck_assert_int_eq(site_get(&s, "/to-echo"), HTTP_DONE);
	ck_assert_int_eq(s.got.status, 302);
	r = (struct http_request){.url = "/echo"};
	ck_assert_int_eq(site_fetch(&s, r), HTTP_REFUSED_ADDRESS);
	site_finish(&s);
}
END_TEST

START_TEST(a_client_without_requests_costs_nothing)
{
	struct loop *loop = loop_create();

	http_destroy(http_create(loop, "x"));
	http_destroy(NULL);
	loop_destroy(loop);
}
END_TEST

UNIT_MAIN("http", an_answer_has_status_body_type_headers_and_url, headers_are_sent_as_given,
	  a_conditional_request_is_answered_304, a_line_break_in_a_header_is_refused,
	  a_body_is_copied_and_sent_without_a_form_type, a_long_body_is_sent_whole_and_at_once,
	  every_method_is_sent_as_named, redirects_are_followed_up_to_the_limit,
	  a_redirect_to_another_scheme_is_refused,
	  a_transfer_that_stays_at_its_origin_is_not_led_away,
	  a_body_may_be_handed_over_piece_by_piece, a_redirected_post_becomes_a_get,
	  a_cancelled_transfer_never_calls_back, a_callback_may_cancel_itself_and_others,
	  a_callback_may_destroy_the_client, a_callback_comes_in_a_later_turn_than_its_start,
	  many_transfers_run_side_by_side,
	  what_is_in_flight_may_be_finished_without_the_loop_for_a_while,
	  a_request_carries_nothing_of_the_one_before, a_client_without_requests_costs_nothing)
