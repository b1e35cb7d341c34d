#include "api_site.h"

#include "loop/loop.h"
#include "providers/http.h"
#include "providers/llm.h"
#include "json/edge.h"

#include "unit.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct asking {
	char *uri;
	struct buf body;
};

struct saying {
	struct api_reply reply;
	char *body; /* its own copy */
	size_t len;
};

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *c)
{
	struct asking *a = xzalloc(sizeof(*a));

	(void)arg;
	(void)c;
	a->uri = xstrdup(uri);
	return a;
}

static enum MHD_Result add_line(void *arg, enum MHD_ValueKind kind, const char *name,
				const char *value)
{
	(void)kind;
	buf_printf(arg, "%s: %s\n", name, value);
	return MHD_YES;
}

static ssize_t on_piece(void *arg, uint64_t pos, char *out, size_t max)
{
	const struct saying *s = arg;
	size_t n;

	if (s->reply.endless_bytes) {
		if (pos >= s->reply.endless_bytes)
			return MHD_CONTENT_READER_END_OF_STREAM;
		memset(out, 'x', max);
		return (ssize_t)max;
	}
	if (pos >= s->len) {
		switch (s->reply.end) {
		case API_ENDS:
			return MHD_CONTENT_READER_END_OF_STREAM;
		case API_BREAKS:
			return MHD_CONTENT_READER_END_WITH_ERROR;
		case API_HANGS:
			return 0;
		}
	}
	n = s->len - pos < s->reply.piece_bytes ? s->len - pos : s->reply.piece_bytes;
	n = n < max ? n : max;
	memcpy(out, s->body + pos, n);
	return (ssize_t)n;
}

static void saying_free(void *arg)
{
	struct saying *s = arg;

	free(s->body);
	free(s);
}

static struct MHD_Response *response_of(const struct api_reply *reply)
{
	struct saying *s = xzalloc(sizeof(*s));
	const char *body = reply->body ? reply->body : "";
	struct MHD_Response *r;

	s->reply = *reply;
	s->len = reply->body_len ? reply->body_len : strlen(body);
	s->body = xmalloc(s->len + 1);
	memcpy(s->body, body, s->len);
	if (reply->piece_bytes || reply->endless_bytes)
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536, on_piece, s,
							 saying_free);
	r = MHD_create_response_from_buffer(s->len, s->body, MHD_RESPMEM_MUST_COPY);
	saying_free(s);
	return r;
}

static enum MHD_Result answer(struct api_site *s, struct MHD_Connection *c, const char *method,
			      const struct asking *a)
{
	struct api_reply reply = {.status = 599, .body = "{\"message\":\"not in the script\"}"};
	struct MHD_Response *r;
	enum MHD_Result result;
	struct buf *asked;

	ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
	if (s->replies_next < s->replies_count)
		reply = s->replies[s->replies_next++];
	ck_assert_uint_lt(s->asked_count, API_REPLIES_MAX);
	asked = &s->asked[s->asked_count++];
	buf_printf(asked, "%s %s\n", method, a->uri);
	(void)MHD_get_connection_values(c, MHD_HEADER_KIND, add_line, asked);
	buf_printf(asked, "\n%s", buf_text(&a->body));
	ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
	r = response_of(&reply);
	if (!reply.type || *reply.type)
		(void)MHD_add_response_header(r, "Content-Type",
					      reply.type ? reply.type : "application/json");
	if (reply.header)
		(void)MHD_add_response_header(r, reply.header, reply.value);
	result = MHD_queue_response(c, (unsigned)(reply.status ? reply.status : 200), r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct asking *a = *state;

	(void)path;
	(void)version;
	if (!a->body.cap) {
		a->body.cap = (size_t)1 << 24;
		return MHD_YES;
	}
	if (*upload_len) {
		buf_append(&a->body, upload, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	return answer(arg, c, method, a);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct asking *a = *state;

	(void)arg;
	(void)c;
	(void)why;
	if (!a)
		return;
	free(a->uri);
	buf_finish(&a->body);
	free(a);
	*state = NULL;
}

void api_init(struct api_site *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	(void)signal(SIGPIPE, SIG_IGN);
	edge_init();
	*s = (struct api_site){.loop = loop_create()};
	provider_result_init(&s->result);
	ck_assert_int_eq(pthread_mutex_init(&s->lock, NULL), 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->http = http_create(s->loop, "farebox-test/1");
	s->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR,
		(struct sockaddr *)&in, MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	ck_assert_ptr_nonnull(s->daemon);
	s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void api_reset(struct api_site *s)
{
	ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
	s->replies_count = s->replies_next = s->asked_count = 0;
	for (size_t i = 0; i < API_REPLIES_MAX; i++)
		buf_finish(&s->asked[i]);
	ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
}

void api_finish(struct api_site *s)
{
	http_destroy(s->http);
	MHD_stop_daemon(s->daemon);
	api_reset(s);
	provider_result_finish(&s->result);
	json_decref(s->arguments);
	loop_destroy(s->loop);
	ck_assert_int_eq(pthread_mutex_destroy(&s->lock), 0);
}

void api_say(struct api_site *s, struct api_reply reply)
{
	ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
	ck_assert_uint_lt(s->replies_count, API_REPLIES_MAX);
	s->replies[s->replies_count++] = reply;
	ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
}

json_t *api_json(const struct api_site *s, const char *text)
{
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	json_t *value;

	for (; *text; text++) {
		if (*text == '@')
			buf_printf(&b, "http://127.0.0.1:%d", s->port);
		else
			buf_putc(&b, *text == '\'' ? '"' : *text);
	}
	value = edge_parse(buf_slice(&b), &err);
	ck_assert_msg(value != NULL, "%s: %s", buf_text(&b), err.text);
	buf_finish(&b);
	return value;
}

struct provider *api_llm(struct api_site *s, const char *config)
{
	struct llm_provider_parts parts = {.loop = s->loop, .http = s->http, .allow_private = true};
	json_t *json = api_json(s, config);
	struct err err = ERR_INIT;
	struct provider *p = llm_provider_create(&parts, json, &err);

	ck_assert_msg(p != NULL, "%s", err.text);
	json_decref(json);
	return p;
}

static void on_done(struct execution *x, struct provider_result *result)
{
	struct api_site *s = container_of(x, struct api_site, execution);

	ck_assert(!s->is_done);
	s->result = *result;
	s->is_done = true;
	if (s->is_waiting)
		loop_stop(s->loop);
}

static void on_progress(struct execution *x, const char *message)
{
	struct api_site *s = container_of(x, struct api_site, execution);

	s->progress_count++;
	(void)snprintf(s->progress, sizeof(s->progress), "%s", message);
}

void api_start(struct api_site *s, struct provider *p, const char *arguments, const char *own_key,
	       int64_t timeout_ms)
{
	json_decref(s->arguments);
	s->arguments = api_json(s, arguments);
	provider_result_finish(&s->result);
	provider_result_init(&s->result);
	s->is_done = false;
	s->progress_count = 0;
	s->execution = (struct execution){
		.tool = "tested",
		.arguments = s->arguments,
		.timeout_ms = timeout_ms,
		.own_key = own_key,
		.max_output = s->max_output,
		.progress = on_progress,
		.done = on_done,
	};
	provider_start(p, &s->execution);
}

void api_wait(struct api_site *s)
{
	s->is_waiting = true;
	if (!s->is_done)
		loop_run(s->loop);
	s->is_waiting = false;
	ck_assert(s->is_done);
	ck_assert_ptr_null(s->execution.state);
	ck_assert_int_eq(s->result.outcome == PROVIDER_OK, !err_is_set(&s->result.err));
}

static void on_pass(void *arg)
{
	loop_stop(arg);
}

void api_pass(struct api_site *s, int64_t ms)
{
	struct loop_timer timer;

	loop_timer_init(&timer, s->loop, on_pass, s->loop);
	loop_timer_in(&timer, ms);
	loop_run(s->loop);
}

enum provider_outcome api_run(struct api_site *s, struct provider *p, const char *arguments,
			      const char *own_key, int64_t timeout_ms)
{
	api_start(s, p, arguments, own_key, timeout_ms);
	api_wait(s);
	return s->result.outcome;
}

const char *api_asked(struct api_site *s, size_t i)
{
	const char *text;

	ck_assert_int_eq(pthread_mutex_lock(&s->lock), 0);
	ck_assert_uint_lt(i, s->asked_count);
	text = buf_text(&s->asked[i]);
	ck_assert_int_eq(pthread_mutex_unlock(&s->lock), 0);
	return text;
}

bool api_asked_has(struct api_site *s, size_t i, const char *text)
{
	return strstr(api_asked(s, i), text) != NULL;
}

const char *api_structured(const struct api_site *s)
{
	return buf_text(&s->result.structured);
}

struct provider *api_provider(struct api_site *s, const char *config)
{
	struct http_provider_parts parts = {
		.loop = s->loop, .http = s->http, .allow_private = true};
	json_t *json = api_json(s, config);
	struct err err = ERR_INIT;
	struct provider *p = http_provider_create(&parts, json, &err);

	ck_assert_msg(p != NULL, "%s", err.text);
	json_decref(json);
	return p;
}
