#include "base/limits.h"
#include "loop/http_sockets.h"
#include "providers/http.h"
#include "json/edge.h"

#include "api_site.h"
#include "dropping.h"
#include "unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG_MS 20000

static const char HELLO[] = "{'model':'m','messages':[{'role':'user','content':'hello'}]}";
static const char COMPLETION[] = "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":"
				 "\"Hi\"},\"finish_reason\":\"stop\"}],\"usage\":{"
				 "\"prompt_tokens\":1,\"completion_tokens\":1}}";

/* The client and the loop of an API's site, and a server that drops what it reads. */
struct house {
	struct api_site api;
	struct dropping server;
	char url[64];
	int left;
	enum http_outcome outcome;
	char error[256];
	bool was_sent;
};

static void house_init(struct house *h)
{
	*h = (struct house){.left = 0};
	api_init(&h->api);
	dropping_init(&h->server, h->api.loop);
	(void)snprintf(h->url, sizeof(h->url), "http://127.0.0.1:%d/", h->server.port);
}

static void house_finish(struct house *h)
{
	dropping_finish(&h->server);
	api_finish(&h->api);
}

static void on_answer(void *arg, const struct http_response *r)
{
	struct house *h = arg;

	h->outcome = r->outcome;
	h->was_sent = r->was_sent;
	(void)snprintf(h->error, sizeof(h->error), "%s", r->error);
	if (--h->left == 0)
		loop_stop(h->api.loop);
}

static struct http_request post(struct house *h)
{
	return (struct http_request){.method = "POST",
				     .url = h->url,
				     .body = slice_of("x=1"),
				     .timeout_ms = LONG_MS,
				     .allow_private = true,
				     .is_once = true};
}

/* So many at once. The outcome is the last one's. */
static enum http_outcome send_many(struct house *h, struct http_request r, int count)
{
	h->left = count;
	for (int i = 0; i < count; i++)
		(void)http_start(h->api.http, &r, on_answer, h);
	loop_run(h->api.loop);
	return h->outcome;
}

/* Leaves so many connections that are kept. */
static void keep(struct house *h, int count)
{
	h->server.hold = count;
	ck_assert_int_eq(send_many(h, post(h), count), HTTP_DONE);
	ck_assert_int_eq(h->server.accepted, count);
	h->server.hold = 1;
	h->server.arrivals = 0;
}

START_TEST(what_is_sent_once_is_not_sent_again_on_another_connection)
{
	static const char *const METHODS[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};

	for (int kept = 0; kept <= 8; kept += kept ? 7 : 1) {
		for (size_t i = 0; i < ARRAY_LEN(METHODS); i++) {
			struct house h;
			struct http_request r;

			house_init(&h);
			dropping_listen(&h.server);
			if (kept)
				keep(&h, kept);
			h.server.drops = true;
			r = post(&h);
			r.method = METHODS[i];
			if (i == 0)
				r.body = (struct slice){.p = NULL};
			ck_assert_int_eq(send_many(&h, r, 1), HTTP_TRANSPORT);
			ck_assert_int_eq(h.server.arrivals, 1);
			ck_assert(h.was_sent);
			ck_assert_str_eq(h.error, "the connection broke before an answer");
			house_finish(&h);
		}
	}
}
END_TEST

START_TEST(what_may_be_repeated_is_sent_again_on_another_connection)
{
	struct house h;
	struct http_request r;

	house_init(&h);
	dropping_listen(&h.server);
	keep(&h, 1);
	h.server.drops = true;
	r = post(&h);
	r.is_once = false;
	ck_assert_int_eq(send_many(&h, r, 1), HTTP_TRANSPORT);
	ck_assert_int_eq(h.server.arrivals, 2);
	house_finish(&h);
}
END_TEST

START_TEST(an_expectation_that_is_refused_does_not_send_it_again)
{
	static const struct http_header EXPECT = {"Expect", "100-continue"};
	struct house h;
	struct http_request r;

	house_init(&h);
	dropping_listen(&h.server);
	h.server.refuses_expectation = true;
	r = post(&h);
	r.headers = &EXPECT;
	r.headers_count = 1;
	for (int is_once = 0; is_once < 2; is_once++) {
		r.is_once = is_once;
		h.server.arrivals = 0;
		ck_assert_int_eq(send_many(&h, r, 1), HTTP_TRANSPORT);
		ck_assert_int_eq(h.server.arrivals, 1);
		ck_assert_str_eq(h.error, "the server wants the request a second time");
	}
	house_finish(&h);
}
END_TEST

START_TEST(what_a_redirect_leads_to_is_another_request_and_sent_once)
{
	struct house h;
	struct http_request r;

	house_init(&h);
	dropping_listen(&h.server);
	r = post(&h);
	r.method = "GET";
	r.body = (struct slice){.p = NULL};
	r.redirects_max = 3;
	h.server.redirects = 2;
	ck_assert_int_eq(send_many(&h, r, 1), HTTP_DONE);
	ck_assert_int_eq(h.server.arrivals, 3);
	h.server.arrivals = 0;
	h.server.redirects = 2;
	h.server.drops = true; /* the one after the redirects */
	ck_assert_int_eq(send_many(&h, r, 1), HTTP_TRANSPORT);
	ck_assert_int_eq(h.server.arrivals, 3);
	ck_assert(h.was_sent);
	house_finish(&h);
}
END_TEST

START_TEST(a_connection_that_ended_in_the_meantime_is_replaced)
{
	struct house h;

	house_init(&h);
	dropping_listen(&h.server);
	h.server.closes = true;
	for (int i = 1; i <= 4; i++) {
		ck_assert_int_eq(send_many(&h, post(&h), 1), HTTP_DONE);
		ck_assert_int_eq(h.server.accepted, i);
		ck_assert_int_eq(h.server.arrivals, i);
	}
	house_finish(&h);
}
END_TEST

START_TEST(a_burst_uses_the_connections_of_the_one_before)
{
	struct house h;

	house_init(&h);
	dropping_listen(&h.server);
	keep(&h, 64);
	for (int i = 1; i <= 3; i++) {
		ck_assert_int_eq(send_many(&h, post(&h), 64), HTTP_DONE);
		ck_assert_int_eq(h.server.accepted, 64);
		ck_assert_int_eq(h.server.arrivals, 64 * i);
	}
	house_finish(&h);
}
END_TEST

START_TEST(a_connection_that_was_idle_for_long_is_not_trusted)
{
	struct house h;
	struct http_request r;

	house_init(&h);
	dropping_listen(&h.server);
	keep(&h, 1);
	/* libcurl counts whole seconds. */
	api_pass(&h.api, (HTTP_ONCE_KEPT_S + 1) * 1000 + 50);
	r = post(&h);
	r.is_once = false;
	ck_assert_int_eq(send_many(&h, r, 1), HTTP_DONE);
	ck_assert_int_eq(h.server.accepted, 1);
	api_pass(&h.api, (HTTP_ONCE_KEPT_S + 1) * 1000 + 50);
	ck_assert_int_eq(send_many(&h, post(&h), 1), HTTP_DONE);
	ck_assert_int_eq(h.server.accepted, 2);
	house_finish(&h);
}
END_TEST

START_TEST(what_never_left_is_said_to_be_so)
{
	struct house h;

	house_init(&h); /* nobody listens */
	ck_assert_int_eq(send_many(&h, post(&h), 1), HTTP_TRANSPORT);
	ck_assert(!h.was_sent);
	house_finish(&h);
}
END_TEST

/* A connection to the listening socket, and its other end. */
static void connect_to(int listen_fd, int port, int *out_ours, int *out_theirs)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*out_ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(*out_ours, (struct sockaddr *)&in, sizeof(in)), 0);
	*out_theirs = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(*out_theirs, 0);
}

static int local_port_of(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

/* As TLS does: its last words come before the end. */
START_TEST(the_end_of_a_connection_is_seen_behind_what_was_still_said)
{
	struct http_sockets sockets = {.items = NULL};
	struct dropping d;
	struct loop *loop = loop_create();
	int ours[2], theirs[2];
	struct pollfd end;

	dropping_init(&d, loop);
	dropping_listen(&d);
	for (int i = 0; i < 2; i++) {
		connect_to(d.listen_fd, d.port, &ours[i], &theirs[i]);
		http_sockets_add(&sockets, ours[i]);
	}
	ck_assert_int_eq(send(theirs[1], "bye", 3, MSG_NOSIGNAL), 3);
	for (int i = 0; i < 2; i++)
		ck_assert(!http_sockets_has_ended(&sockets, "127.0.0.1", d.port,
						  local_port_of(ours[i])));
	(void)close(theirs[1]);
	end = (struct pollfd){.fd = ours[1], .events = POLLRDHUP};
	ck_assert_int_eq(poll(&end, 1, LONG_MS), 1);
	ck_assert(http_sockets_has_ended(&sockets, "127.0.0.1", d.port, local_port_of(ours[1])));
	ck_assert(!http_sockets_has_ended(&sockets, "127.0.0.1", d.port, local_port_of(ours[0])));
	/* Other ends are another connection, and so is one that was removed. */
	ck_assert(!http_sockets_has_ended(&sockets, "127.0.0.2", d.port, local_port_of(ours[1])));
	http_sockets_remove(&sockets, ours[1]);
	ck_assert(!http_sockets_has_ended(&sockets, "127.0.0.1", d.port, local_port_of(ours[1])));
	ck_assert_uint_eq(sockets.count, 1);
	(void)close(ours[0]);
	(void)close(ours[1]);
	(void)close(theirs[0]);
	http_sockets_finish(&sockets);
	dropping_finish(&d);
	loop_destroy(loop);
}
END_TEST

static struct provider *http_tool(struct house *h, const char *method)
{
	struct http_provider_parts parts = {
		.loop = h->api.loop, .http = h->api.http, .allow_private = true};
	CLEANUP(free_charp)
	char *text = xasprintf("{'url':'%s','method':'%s'%s}", h->url, method,
			       strcmp(method, "GET") == 0 ? "" : ",'body':{'a':1}");
	json_t *config = api_json(&h->api, text);
	struct err err = ERR_INIT;
	struct provider *p = http_provider_create(&parts, config, &err);

	ck_assert_msg(p != NULL, "%s", err.text);
	json_decref(config);
	return p;
}

/* A second call, on the connections that the first ones left. */
static void check_dropped(struct house *h, struct provider *p, const char *arguments)
{
	ck_assert_int_eq(api_run(&h->api, p, arguments, NULL, LONG_MS), PROVIDER_OK);
	h->server.arrivals = 0;
	h->server.drops = true;
	ck_assert_int_eq(api_run(&h->api, p, arguments, NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_int_eq(h->server.arrivals, 1);
	ck_assert(h->api.result.may_have_run);
	ck_assert_str_eq(h->api.result.err.text,
			 "the provider broke off: the connection broke before an answer; "
			 "it may have executed the request");
	provider_destroy(p);
}

START_TEST(a_paid_request_of_any_method_is_sent_once)
{
	static const char *const METHODS[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};

	for (size_t i = 0; i < ARRAY_LEN(METHODS); i++) {
		struct house h;

		house_init(&h);
		dropping_listen(&h.server);
		check_dropped(&h, http_tool(&h, METHODS[i]), "{}");
		house_finish(&h);
	}
}
END_TEST

START_TEST(a_model_is_asked_once)
{
	for (int is_stream = 0; is_stream < 2; is_stream++) {
		struct house h;
		CLEANUP(free_charp) char *config = NULL;

		house_init(&h);
		dropping_listen(&h.server);
		h.server.body = COMPLETION;
		config = xasprintf("{'api':'openai','base_url':'%sv1','key':'k','stream':%s}",
				   h.url, is_stream ? "true" : "false");
		check_dropped(&h, api_llm(&h.api, config), HELLO);
		house_finish(&h);
	}
}
END_TEST

static void on_time_to_listen(void *arg)
{
	dropping_listen(arg);
}

START_TEST(what_found_nobody_is_tried_again_where_its_method_allows_it)
{
	struct house h;
	struct provider *p;
	struct loop_timer timer;

	house_init(&h);
	p = http_tool(&h, "POST");
	ck_assert_int_eq(api_run(&h.api, p, "{}", NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert(!h.api.result.may_have_run);
	provider_destroy(p);
	p = http_tool(&h, "GET");
	loop_timer_init(&timer, h.api.loop, on_time_to_listen, &h.server);
	loop_timer_in(&timer, PROVIDER_RETRY_MS / 4);
	ck_assert_int_eq(api_run(&h.api, p, "{}", NULL, LONG_MS), PROVIDER_OK);
	ck_assert_int_eq(h.server.arrivals, 1);
	provider_destroy(p);
	house_finish(&h);
}
END_TEST

UNIT_MAIN("http_once", what_is_sent_once_is_not_sent_again_on_another_connection,
	  what_may_be_repeated_is_sent_again_on_another_connection,
	  an_expectation_that_is_refused_does_not_send_it_again,
	  what_a_redirect_leads_to_is_another_request_and_sent_once,
	  a_connection_that_ended_in_the_meantime_is_replaced,
	  a_burst_uses_the_connections_of_the_one_before,
	  a_connection_that_was_idle_for_long_is_not_trusted, what_never_left_is_said_to_be_so,
	  the_end_of_a_connection_is_seen_behind_what_was_still_said,
	  a_paid_request_of_any_method_is_sent_once, a_model_is_asked_once,
	  what_found_nobody_is_tried_again_where_its_method_allows_it)
