/*
 * fake-openai: paid APIs on 127.0.0.1, for tests and for trying farebox without the network. It
 * prints "listening PORT" and ends at the end of its input or at SIGTERM.
 *
 *	POST /v1/chat/completions   as OpenAI's, also as a stream
 *	POST /v1/messages           as Anthropic's, also as a stream
 *	GET  /v1/companies/DOMAIN   a plain API: {"data": {"domain", "name", "cost"}}
 *	GET  /control/requests      "METHOD PATH KEY" a line
 *
 * The answer is "You said: " and the last message, or its first text. A word is a token, and an
 *image is 1105; the model says how it goes:
 *
 *	die        the connection breaks after the first words
 *	hang       silence after the first words
 *	no-usage   an answer without usage
 *	zero       a usage of 0
 *	status-N   the status N, with a reason
 */

#include "json/edge.h"
#include "json/emit.h"

#include "serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	IMAGE_TOKENS = 1105, /* one of 2048 x 4096, as OpenAI counts it */
};

struct fake {
	struct buf requests;
};

/* What one request wants. */
struct wish {
	json_t *body;
	struct MHD_Connection *connection; /* suspended when it hangs */
	const char *model;
	const char *said;
	bool is_stream;
	bool is_anthropic;
	struct buf text; /* the answer */
	bool dies, hangs;
};

static int64_t words_of(const char *text)
{
	int64_t n = 0;

	for (bool is_in = false; *text; text++) {
		bool is_word = *text != ' ' && *text != '\n';

		n += is_word && !is_in;
		is_in = is_word;
	}
	return n;
}

static int64_t content_words(const json_t *content)
{
	int64_t n = 0;

	if (json_is_string(content))
		return words_of(json_string_value(content));
	for (size_t i = 0; i < json_array_size(content); i++) {
		const char *text = json_string_value(
			json_object_get(json_array_get(content, i), "text"));

		n += text ? words_of(text) : IMAGE_TOKENS;
	}
	return n;
}

static int64_t prompt_words(const struct wish *w)
{
	const json_t *messages = json_object_get(w->body, "messages");
	int64_t n = 0;

	for (size_t i = 0; i < json_array_size(messages); i++)
		n += content_words(json_object_get(json_array_get(messages, i), "content"));
	return n;
}

static bool is_model(const struct wish *w, const char *name)
{
	return strcmp(w->model, name) == 0;
}

static void emit_usage(struct emit *e, const struct wish *w, int64_t output)
{
	bool is_zero = is_model(w, "zero");

	if (is_model(w, "no-usage"))
		return;
	emit_key(e, "usage");
	emit_object(e);
	emit_key_i64(e, w->is_anthropic ? "input_tokens" : "prompt_tokens",
		     is_zero ? 0 : prompt_words(w));
	emit_key_i64(e, w->is_anthropic ? "output_tokens" : "completion_tokens",
		     is_zero ? 0 : output);
	emit_object_end(e);
}

static void event(struct wish *w, const char *name, struct buf *data)
{
	if (w->is_anthropic)
		buf_printf(&w->text, "event: %s\n", name);
	buf_printf(&w->text, "data: %s\n\n", buf_text(data));
	buf_clear(data);
}

static void openai_delta(struct wish *w, const char *text, const char *reason)
{
	struct buf b = BUF_INIT;
	struct emit e;

	emit_init(&e, &b);
	emit_object(&e);
	emit_key_text(&e, "model", w->model);
	emit_key(&e, "choices");
	emit_array(&e);
	emit_object(&e);
	emit_key(&e, "delta");
	emit_object(&e);
	if (text)
		emit_key_text(&e, "content", text);
	emit_object_end(&e);
	emit_key_text(&e, "finish_reason", reason);
	emit_object_end(&e);
	emit_array_end(&e);
	emit_object_end(&e);
	event(w, "", &b);
	buf_finish(&b);
}

static void openai_stream(struct wish *w, const char *answer)
{
	struct buf b = BUF_INIT;
	struct emit e;

	openai_delta(w, "You said: ", NULL);
	if (w->dies || w->hangs)
		return;
	openai_delta(w, answer, NULL);
	openai_delta(w, NULL, "stop");
	emit_init(&e, &b);
	emit_object(&e);
	emit_key(&e, "choices");
	emit_array(&e);
	emit_array_end(&e);
	emit_usage(&e, w, 2 + words_of(answer));
	emit_object_end(&e);
	event(w, "", &b);
	buf_puts(&w->text, "data: [DONE]\n\n");
	buf_finish(&b);
}

static void anthropic_delta(struct wish *w, const char *text)
{
	struct buf b = BUF_INIT;
	struct emit e;

	emit_init(&e, &b);
	emit_object(&e);
	emit_key_text(&e, "type", "content_block_delta");
	emit_key(&e, "delta");
	emit_object(&e);
	emit_key_text(&e, "type", "text_delta");
	emit_key_text(&e, "text", text);
	emit_object_end(&e);
	emit_object_end(&e);
	event(w, "content_block_delta", &b);
	buf_finish(&b);
}

static void anthropic_stream(struct wish *w, const char *answer)
{
	struct buf b = BUF_INIT;
	struct emit e;

	emit_init(&e, &b);
	emit_object(&e);
	emit_key_text(&e, "type", "message_start");
	emit_key(&e, "message");
	emit_object(&e);
	emit_key_text(&e, "model", w->model);
	emit_usage(&e, w, 1);
	emit_object_end(&e);
	emit_object_end(&e);
	event(w, "message_start", &b);
	anthropic_delta(w, "You said: ");
	if (w->dies || w->hangs)
		return;
	anthropic_delta(w, answer);
	emit_init(&e, &b);
	emit_object(&e);
	emit_key_text(&e, "type", "message_delta");
	emit_key(&e, "delta");
	emit_object(&e);
	emit_key_text(&e, "stop_reason", "end_turn");
	emit_object_end(&e);
	emit_usage(&e, w, 2 + words_of(answer));
	emit_object_end(&e);
	event(w, "message_delta", &b);
	buf_puts(&w->text, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
	buf_finish(&b);
}

static void whole(struct wish *w, const char *answer)
{
	CLEANUP(free_charp) char *text = xasprintf("You said: %s", answer);
	struct emit e;

	emit_init(&e, &w->text);
	emit_object(&e);
	emit_key_text(&e, "model", w->model);
	emit_key(&e, w->is_anthropic ? "content" : "choices");
	emit_array(&e);
	emit_object(&e);
	if (w->is_anthropic) {
		emit_key_text(&e, "type", "text");
		emit_key_text(&e, "text", text);
	} else {
		emit_key(&e, "message");
		emit_object(&e);
		emit_key_text(&e, "content", text);
		emit_object_end(&e);
		emit_key_text(&e, "finish_reason", "stop");
	}
	emit_object_end(&e);
	emit_array_end(&e);
	if (w->is_anthropic)
		emit_key_text(&e, "stop_reason", "end_turn");
	emit_usage(&e, w, 2 + words_of(answer));
	emit_object_end(&e);
}

static ssize_t on_piece(void *arg, uint64_t pos, char *out, size_t max)
{
	struct wish *w = arg;
	size_t n = w->text.len - (size_t)pos;

	if (n) {
		n = n < max ? n : max;
		memcpy(out, w->text.p + pos, n);
		return (ssize_t)n;
	}
	if (w->dies)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (w->hangs) {
		MHD_suspend_connection(w->connection);
		return 0;
	}
	return MHD_CONTENT_READER_END_OF_STREAM;
}

static void wish_free(void *arg)
{
	struct wish *w = arg;

	json_decref(w->body);
	buf_finish(&w->text);
	free(w);
}

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *type,
			     struct MHD_Response *r)
{
	enum MHD_Result result;

	(void)MHD_add_response_header(r, "Content-Type", type);
	if (status == 429 || status == 503)
		(void)MHD_add_response_header(r, "Retry-After", "60");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result reply_text(struct MHD_Connection *c, unsigned status, const char *type,
				  const char *text)
{
	return reply(c, status, type,
		     MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
						     MHD_RESPMEM_MUST_COPY));
}

static enum MHD_Result reply_reason(struct MHD_Connection *c, unsigned status, const char *reason)
{
	CLEANUP(free_charp) char *text = xasprintf("{\"error\":{\"message\":\"%s\"}}", reason);

	return reply_text(c, status, "application/json", text);
}

static const char *said(const json_t *content)
{
	const char *text = json_string_value(content);

	for (size_t i = 0; i < json_array_size(content) && !text; i++)
		text = json_string_value(json_object_get(json_array_get(content, i), "text"));
	return text;
}

static enum MHD_Result chat(struct MHD_Connection *c, bool is_anthropic, const struct buf *body)
{
	struct wish *w = xzalloc(sizeof(*w));
	const json_t *messages;
	const char *model;
	int64_t status;

	w->body = edge_parse(buf_slice(body), NULL);
	messages = json_object_get(w->body, "messages");
	model = json_string_value(json_object_get(w->body, "model"));
	w->connection = c;
	w->model = model ? model : "";
	w->said = said(json_object_get(json_array_get(messages, json_array_size(messages) - 1),
				       "content"));
	w->is_stream = json_is_true(json_object_get(w->body, "stream"));
	w->is_anthropic = is_anthropic;
	w->dies = is_model(w, "die");
	w->hangs = is_model(w, "hang");
	if (!model || !w->said) {
		wish_free(w);
		return reply_reason(c, 400, "model and messages are needed");
	}
	if (strncmp(model, "status-", 7) == 0 &&
	    parse_i64(slice_of(model + 7), 200, 599, &status)) {
		wish_free(w);
		return reply_reason(c, (unsigned)status, "as you wished");
	}
	if (!w->is_stream)
		whole(w, w->said);
	else if (is_anthropic)
		anthropic_stream(w, w->said);
	else
		openai_stream(w, w->said);
	return reply(
		c, 200, w->is_stream ? "text/event-stream" : "application/json",
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536, on_piece, w, wish_free));
}

static enum MHD_Result company(struct MHD_Connection *c, const char *domain)
{
	struct buf b = BUF_INIT;
	struct emit e;
	enum MHD_Result result;

	emit_init(&e, &b);
	emit_object(&e);
	emit_key(&e, "data");
	emit_object(&e);
	emit_key_text(&e, "domain", domain);
	emit_key_text(&e, "name", "Tidewater");
	emit_key(&e, "cost");
	emit_raw(&e, slice_of("0.005"));
	emit_object_end(&e);
	emit_object_end(&e);
	result = reply_text(c, 200, "application/json", buf_text(&b));
	buf_finish(&b);
	return result;
}

static const char *key_of(struct MHD_Connection *c)
{
	const char *key = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");

	if (!key)
		key = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "x-api-key");
	return key ? key : "-";
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *method,
			      const char *path, const struct buf *body)
{
	struct fake *fake = arg;
	static const char COMPANIES[] = "/v1/companies/";
	bool is_post = strcmp(method, "POST") == 0;

	if (strcmp(path, "/control/requests") == 0)
		return reply_text(c, 200, "text/plain", buf_text(&fake->requests));
	buf_printf(&fake->requests, "%s %s %s\n", method, path, key_of(c));
	if (strstr(key_of(c), "bad"))
		return reply_reason(c, 401, "Incorrect API key provided");
	if (is_post && strcmp(path, "/v1/chat/completions") == 0)
		return chat(c, false, body);
	if (is_post && strcmp(path, "/v1/messages") == 0)
		return chat(c, true, body);
	if (!is_post && strncmp(path, COMPANIES, strlen(COMPANIES)) == 0)
		return company(c, path + strlen(COMPANIES));
	return reply_reason(c, 404, "no such path");
}

int main(void)
{
	struct fake fake = {.requests = BUF_INIT};
	struct serve serve = {.answer = answer, .arg = &fake};

	edge_init();
	serve_listen(&serve);
	serve_run(&serve);
}
