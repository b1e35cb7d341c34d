#include "stripe_site.h"

#include "unit.h"

#include "json/edge.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void conn_close(struct site_conn *c)
{
	loop_fd_remove(c->source);
	c->source = NULL;
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	buf_finish(&c->request);
}

static bool is_whole(const struct buf *request)
{
	const char *text = buf_text(request);
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strstr(text, "Content-Length: ");
	int64_t n = 0;

	if (!end)
		return false;
	if (length && length < end) {
		length += strlen("Content-Length: ");
		ck_assert(parse_i64((struct slice){.p = length, .len = strcspn(length, "\r")}, 0,
				    1000000, &n));
	}
	return request->len - (size_t)(end + 4 - text) >= (size_t)n;
}

static void answer(struct site_conn *c, const struct reply *reply)
{
	const char *body = reply->body ? reply->body : "{}";
	struct buf text = BUF_INIT;

	if (reply->hangs)
		return;
	if (!reply->drops) {
		buf_printf(&text, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s", reply->status,
			   strlen(body), reply->headers ? reply->headers : "");
		buf_puts(&text, "Connection: close\r\n\r\n");
		buf_append(&text, body, strlen(body) - reply->cut);
		ck_assert_int_eq(send(c->fd, text.p, text.len, MSG_NOSIGNAL), (ssize_t)text.len);
		buf_finish(&text);
	}
	conn_close(c);
}

static void on_request(void *arg, uint32_t events)
{
	struct site_conn *c = arg;
	struct stripe_site *s = c->site;
	char chunk[4096];
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), 0);

	(void)events;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	buf_append(&c->request, chunk, (size_t)n);
	if (!is_whole(&c->request))
		return;
	ck_assert_uint_lt(s->requests_count, s->replies_count);
	s->times[s->requests_count] = clock_boot();
	s->requests[s->requests_count++] = buf_steal(&c->request);
	answer(c, &s->replies[s->requests_count - 1]);
}

static void on_accept(void *arg, uint32_t events)
{
	struct stripe_site *s = arg;
	struct site_conn *c;

	(void)events;
	ck_assert_uint_lt(s->conns_count, SITE_REQUESTS_MAX);
	c = &s->conns[s->conns_count++];
	*c = (struct site_conn){.site = s};
	c->fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(c->fd, 0);
	c->source = loop_fd_add(s->loop, c->fd, EPOLLIN, on_request, c);
}

static void forget(struct stripe_site *s)
{
	for (size_t i = 0; i < s->conns_count; i++)
		conn_close(&s->conns[i]);
	for (size_t i = 0; i < s->requests_count; i++)
		free(s->requests[i]);
	s->conns_count = 0;
	s->requests_count = 0;
}

void stripe_site_script(struct stripe_site *s, const struct reply *replies, size_t n)
{
	ck_assert_uint_le(n, SITE_REQUESTS_MAX);
	forget(s);
	s->replies = replies;
	s->replies_count = n;
}

void stripe_site_init(struct stripe_site *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	struct err err = ERR_INIT;
	char base[64];

	edge_init();
	(void)signal(SIGPIPE, SIG_IGN);
	*s = (struct stripe_site){.loop = loop_create()};
	s->http = http_create(s->loop, "farebox-test/1");
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->listen_fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(s->listen_fd, 16), 0);
	ck_assert_int_eq(getsockname(s->listen_fd, (struct sockaddr *)&in, &len), 0);
	s->port = ntohs(in.sin_port);
	s->listener = loop_fd_add(s->loop, s->listen_fd, EPOLLIN, on_accept, s);
	(void)snprintf(base, sizeof(base), "http://127.0.0.1:%d/", s->port);
	s->stripe = stripe_create(s->loop, s->http,
				  &(struct stripe_config){.key = SITE_KEY, .api_base = base}, &err);
	ck_assert_msg(s->stripe != NULL, "%s", err.text);
}

void stripe_site_finish(struct stripe_site *s)
{
	stripe_destroy(s->stripe);
	http_destroy(s->http);
	forget(s);
	loop_fd_remove(s->listener);
	(void)close(s->listen_fd);
	loop_destroy(s->loop);
}

struct stripe_call stripe_site_post(void)
{
	return (struct stripe_call){.method = "POST",
				    .path = "/v1/payment_intents",
				    .form = "amount=2500&currency=usd",
				    .idempotency_key = "pay_1"};
}

struct stripe_call stripe_site_get(void)
{
	return (struct stripe_call){
		.method = "GET", .path = "/v1/payment_intents", .form = "limit=3"};
}

void stripe_site_done(struct stripe_call *call)
{
	struct stripe_site *s = call->arg;

	s->done_count++;
	loop_stop(s->loop);
}

void stripe_site_call(struct stripe_site *s, struct stripe_call *call)
{
	int before = s->done_count;

	call->done = stripe_site_done;
	call->arg = s;
	stripe_start(s->stripe, call);
	ck_assert_int_eq(s->done_count, before);
	loop_run(s->loop);
	ck_assert_int_eq(s->done_count, before + 1);
	ck_assert_int_eq(call->outcome == STRIPE_OK, call->object != NULL);
	ck_assert_int_eq(call->outcome != STRIPE_OK, call->text != NULL);
}
