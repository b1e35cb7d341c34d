#include "dropping.h"

#include "base/buf.h"

#include "unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct dropping_connection {
	struct dropping *server;
	int fd;
	struct loop_fd *source;
	struct buf request;
	bool is_waiting; /* for its answer */
};

static void close_connection(struct dropping_connection *c)
{
	for (int i = 0; i < DROPPING_CONNECTIONS_MAX; i++) {
		if (c->server->connections[i] == c)
			c->server->connections[i] = NULL;
	}
	loop_fd_remove(c->source);
	(void)close(c->fd);
	buf_finish(&c->request);
	free(c);
}

static const char *next_status(struct dropping *d)
{
	if (d->refuses_expectation)
		return "417 Expectation Failed";
	if (!d->redirects)
		return "200 OK";
	d->redirects--;
	return "302 Found\r\nLocation: /";
}

static void answer(struct dropping_connection *c)
{
	const char *body = c->server->body ? c->server->body : "{}";
	char text[2048];
	int len = snprintf(text, sizeof(text),
			   "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
			   "Content-Length: %zu\r\n\r\n%s",
			   next_status(c->server), strlen(body), body);

	ck_assert_int_lt(len, (int)sizeof(text));
	ck_assert_int_eq(send(c->fd, text, (size_t)len, MSG_NOSIGNAL), len);
	c->is_waiting = false;
	buf_clear(&c->request);
	if (c->server->closes)
		close_connection(c);
}

static void answer_all(struct dropping *d)
{
	int waiting = 0;

	for (int i = 0; i < DROPPING_CONNECTIONS_MAX; i++)
		waiting += d->connections[i] && d->connections[i]->is_waiting;
	if (waiting < d->hold)
		return;
	for (int i = 0; i < DROPPING_CONNECTIONS_MAX; i++) {
		if (d->connections[i] && d->connections[i]->is_waiting)
			answer(d->connections[i]);
	}
}

/* With its body. */
static bool is_whole(const struct buf *request)
{
	const char *text = buf_text(request);
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strstr(text, "Content-Length: ");

	if (!end)
		return false;
	if (!length || length > end || strstr(text, "Expect: "))
		return true;
	return request->len - (size_t)(end + 4 - text) >=
	       strtoul(length + strlen("Content-Length: "), NULL, 10);
}

static void on_bytes(void *arg, uint32_t events)
{
	struct dropping_connection *c = arg;
	struct dropping *d = c->server;
	char bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	(void)events;
	if (n <= 0) {
		close_connection(c);
		return;
	}
	buf_append(&c->request, bytes, (size_t)n);
	if (!is_whole(&c->request))
		return;
	d->arrivals++;
	if (d->drops && !d->redirects) {
		close_connection(c);
		return;
	}
	c->is_waiting = true;
	answer_all(d);
}

static void on_accept(void *arg, uint32_t events)
{
	struct dropping *d = arg;
	struct dropping_connection *c = xzalloc(sizeof(*c));
	int i = 0;

	(void)events;
	while (i < DROPPING_CONNECTIONS_MAX && d->connections[i])
		i++;
	ck_assert_int_lt(i, DROPPING_CONNECTIONS_MAX);
	d->connections[i] = c;
	d->accepted++;
	c->server = d;
	c->fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(c->fd, 0);
	c->source = loop_fd_add(d->loop, c->fd, EPOLLIN, on_bytes, c);
}

void dropping_init(struct dropping *d, struct loop *loop)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);

	*d = (struct dropping){.loop = loop, .hold = 1};
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	d->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(d->listen_fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(getsockname(d->listen_fd, (struct sockaddr *)&in, &len), 0);
	d->port = ntohs(in.sin_port);
}

void dropping_listen(struct dropping *d)
{
	ck_assert_int_eq(listen(d->listen_fd, DROPPING_CONNECTIONS_MAX), 0);
	d->listener = loop_fd_add(d->loop, d->listen_fd, EPOLLIN, on_accept, d);
}

void dropping_finish(struct dropping *d)
{
	for (int i = 0; i < DROPPING_CONNECTIONS_MAX; i++) {
		if (d->connections[i])
			close_connection(d->connections[i]);
	}
	if (d->listener)
		loop_fd_remove(d->listener);
	(void)close(d->listen_fd);
}
