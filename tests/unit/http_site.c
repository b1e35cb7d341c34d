#include "http_site.h"

#include "unit.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char HELLO_GZIP[] =
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51\x48\xce\xcf\x2d\x28"
	"\x4a\x2d\x2e\x4e\x4d\x01\x00\x12\x7e\x19\x78\x11\x00\x00\x00";
/* 65536 zero bytes; the middle is zero, too. */
static const char BOMB_GZIP[96] =
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee"
	"\x08\x0a";
static const char BOMB_GZIP_END[] = "\x6a\xeb\x8e\x97\xd7\x00\x00\x01\x00";

/* The well-behaved server: microhttpd in its own thread, without state. */

static ssize_t endless(void *arg, uint64_t pos, char *out, size_t max)
{
	(void)arg;
	(void)pos;
	memset(out, 'x', max);
	return (ssize_t)max;
}

static enum MHD_Result add_line(void *arg, enum MHD_ValueKind kind, const char *name,
				const char *value)
{
	(void)kind;
	buf_printf(arg, "%s: %s\n", name, value);
	return MHD_YES;
}

static struct MHD_Response *text_response(const char *text, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, (void *)(uintptr_t)text,
								 MHD_RESPMEM_MUST_COPY);

	(void)MHD_add_response_header(r, "Content-Type", "text/plain");
	return r;
}

/* What came, said back. */
static struct MHD_Response *echo(struct MHD_Connection *c, const char *method,
				 const struct buf *body)
{
	struct buf text = BUF_INIT;
	struct MHD_Response *r;

	buf_printf(&text, "%s\n", method);
	(void)MHD_get_connection_values(c, MHD_HEADER_KIND, add_line, &text);
	buf_printf(&text, "\n%s", buf_text(body));
	r = text_response(text.p, text.len);
	buf_finish(&text);
	return r;
}

static struct MHD_Response *redirect(const char *to)
{
	struct MHD_Response *r = text_response("moved", 5);

	(void)MHD_add_response_header(r, "Location", to);
	(void)MHD_add_response_header(r, "X-Hop", "yes");
	return r;
}

static struct MHD_Response *gzip(const char *p, size_t len)
{
	struct MHD_Response *r = text_response(p, len);

	(void)MHD_add_response_header(r, "Content-Encoding", "gzip");
	return r;
}

static struct MHD_Response *bomb(void)
{
	char text[96];

	memcpy(text, BOMB_GZIP, sizeof(text));
	memcpy(text + 87, BOMB_GZIP_END, 9);
	return gzip(text, sizeof(text));
}

static struct MHD_Response *tagged(struct MHD_Connection *c, int *status)
{
	const char *have = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-None-Match");
	bool is_same = have && strcmp(have, "\"v1\"") == 0;
	struct MHD_Response *r = text_response("version 1", is_same ? 0 : 9);

	(void)MHD_add_response_header(r, "ETag", "\"v1\"");
	*status = is_same ? 304 : 200;
	return r;
}

static struct MHD_Response *answer(struct MHD_Connection *c, const char *path, const char *method,
				   const struct buf *body, int *status)
{
	char to[64];

	*status = 200;
	if (strcmp(path, "/ok") == 0)
		return text_response("hello", 5);
	if (strcmp(path, "/echo") == 0)
		return echo(c, method, body);
	if (strcmp(path, "/etag") == 0)
		return tagged(c, status);
	if (strcmp(path, "/gzip") == 0)
		return gzip(HELLO_GZIP, sizeof(HELLO_GZIP) - 1);
	if (strcmp(path, "/bomb") == 0)
		return bomb();
	if (strcmp(path, "/endless") == 0)
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32768, endless, NULL,
							 NULL);
	if (strcmp(path, "/hop/0") == 0)
		return text_response("arrived", 7);
	*status = 302;
	if (strncmp(path, "/hop/", 5) == 0) {
		(void)snprintf(to, sizeof(to), "/hop/%c", path[5] - 1);
		return redirect(to);
	}
	if (strcmp(path, "/to-echo") == 0)
		return redirect("/echo");
	if (strcmp(path, "/to-file") == 0)
		return redirect("file:///etc/hostname");
	if (strcmp(path, "/to-ftp") == 0)
		return redirect("ftp://127.0.0.1/x");
	*status = 404;
	return text_response("no such thing", 13);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct buf *body = *state;
	struct MHD_Response *r;
	enum MHD_Result result;
	int status;

	(void)arg;
	(void)version;
	if (!body) {
		*state = xzalloc(sizeof(*body));
		return MHD_YES;
	}
	if (*upload_len) {
		buf_append(body, upload, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	r = answer(c, path, method, body, &status);
	result = MHD_queue_response(c, (unsigned)status, r);
	MHD_destroy_response(r);
	return result;
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct buf *body = *state;

	(void)arg;
	(void)c;
	(void)why;
	if (body)
		buf_finish(body);
	free(body);
	*state = NULL;
}

static void on_dribble(void *arg)
{
	struct site *s = arg;

	if (send(s->raw_fd, "x", 1, MSG_NOSIGNAL) == 1)
		loop_timer_in(&s->dribble, 5);
}

static void raw_close(struct site *s)
{
	loop_timer_cancel(&s->dribble);
	loop_fd_remove(s->raw);
	s->raw = NULL;
	if (s->raw_fd >= 0)
		(void)close(s->raw_fd);
	s->raw_fd = -1;
}

static void on_raw_request(void *arg, uint32_t events)
{
	struct site *s = arg;
	char request[4096];

	(void)events;
	if (recv(s->raw_fd, request, sizeof(request), 0) <= 0) {
		raw_close(s);
		return;
	}
	ck_assert_int_eq(send(s->raw_fd, s->raw_text.p, s->raw_text.len, MSG_NOSIGNAL),
			 (ssize_t)s->raw_text.len);
	if (s->raw_closes)
		raw_close(s);
	else
		loop_timer_in(&s->dribble, 5);
}

static void on_accept(void *arg, uint32_t events)
{
	struct site *s = arg;

	(void)events;
	raw_close(s);
	s->raw_fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(s->raw_fd, 0);
	s->raw_accepted++;
	s->raw = loop_fd_add(s->loop, s->raw_fd, EPOLLIN, on_raw_request, s);
}

static int port_of(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

static void raw_start(struct site *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->raw_fd = -1;
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->listen_fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(s->listen_fd, 16), 0);
	s->raw_port = port_of(s->listen_fd);
	s->listener = loop_fd_add(s->loop, s->listen_fd, EPOLLIN, on_accept, s);
	loop_timer_init(&s->dribble, s->loop, on_dribble, s);
}

void site_init(struct site *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	(void)signal(SIGPIPE, SIG_IGN);
	*s = (struct site){.loop = loop_create()};
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->http = http_create(s->loop, "farebox-test/1");
	s->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
				     NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&in,
				     MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
				     MHD_OPTION_CONNECTION_LIMIT, 256u, MHD_OPTION_END);
	ck_assert_ptr_nonnull(s->daemon);
	s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	raw_start(s);
}

void site_finish(struct site *s)
{
	http_destroy(s->http);
	raw_close(s);
	loop_fd_remove(s->listener);
	(void)close(s->listen_fd);
	MHD_stop_daemon(s->daemon);
	buf_finish(&s->got.body);
	loop_destroy(s->loop);
}

void site_on_answer(void *arg, const struct http_response *r)
{
	struct site *s = arg;
	const char *header = s->want_header ? http_response_header(r, s->want_header) : NULL;

	s->got.calls++;
	s->got.outcome = r->outcome;
	s->got.status = r->status;
	buf_clear(&s->got.body);
	buf_append(&s->got.body, r->body.p, r->body.len);
	(void)snprintf(s->got.type, sizeof(s->got.type), "%s", r->content_type);
	(void)snprintf(s->got.url, sizeof(s->got.url), "%s", r->effective_url);
	(void)snprintf(s->got.header, sizeof(s->got.header), "%s", header ? header : "(none)");
	(void)snprintf(s->got.error, sizeof(s->got.error), "%s", r->error);
	loop_stop(s->loop);
}

enum http_outcome site_fetch(struct site *s, struct http_request r)
{
	char url[256];

	if (r.url[0] == '/') {
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", s->port, r.url);
		r.url = url;
	}
	if (!r.timeout_ms)
		r.timeout_ms = 20 * 1000;
	s->got.calls = 0;
	(void)http_start(s->http, &r, site_on_answer, s);
	loop_run(s->loop);
	ck_assert_int_eq(s->got.calls, 1);
	ck_assert_int_eq(s->got.outcome == HTTP_DONE, s->got.error[0] == '\0');
	return s->got.outcome;
}

enum http_outcome site_get(struct site *s, const char *path)
{
	return site_fetch(s, (struct http_request){.url = path, .allow_private = true});
}

enum http_outcome site_get_raw(struct site *s, const char *text, size_t len, bool closes,
			       int64_t timeout_ms)
{
	char url[64];

	s->raw_text = (struct slice){.p = text, .len = len};
	s->raw_closes = closes;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", s->raw_port);
	return site_fetch(s, (struct http_request){
				     .url = url, .allow_private = true, .timeout_ms = timeout_ms});
}

bool site_said(const struct site *s, const char *text)
{
	return strstr(buf_text(&s->got.body), text) != NULL;
}
