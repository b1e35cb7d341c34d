#include "providers/llm.h"

#include "base/limits.h"
#include "loop/http.h"
#include "loop/loop.h"
#include "providers/event_stream.h"
#include "providers/http_answer.h"
#include "providers/http_request.h"
#include "providers/llm_config.h"
#include "providers/llm_parts.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct llm_provider {
	struct provider base;
	struct loop *loop;
	struct http *http;
	bool allow_private;
	struct llm_config config;
};

struct llm_run {
	struct llm_provider *provider;
	struct execution *execution;
	struct http_transfer *transfer;
	struct llm_answer answer;
	struct event_stream stream;
	struct buf collected; /* what is no stream of events */
	const char *fault;    /* why a stream is of no use; a constant */
	struct loop_timer progress;
	size_t reported_bytes;
	struct loop_timer linger; /* the stream is over, and is not closed */
};

static struct llm_provider *of(struct provider *p)
{
	return container_of(p, struct llm_provider, base);
}

void llm_answer_finish(struct llm_answer *a)
{
	buf_finish(&a->content);
	buf_finish(&a->reason);
	free(a->model);
	free(a->finish_reason);
}

void llm_add_content(struct llm_answer *a, const json_t *text)
{
	struct slice s = edge_slice(text);

	if (!s.len)
		return;
	a->has_begun = true;
	buf_append(&a->content, s.p, s.len);
}

void llm_keep_text(char **out, const json_t *text)
{
	if (!*out && json_string_length(text))
		*out = xstrdup(json_string_value(text));
}

bool llm_count(const json_t *usage, const char *name, bool may_be_absent, int64_t *out)
{
	const json_t *value = json_object_get(usage, name);
	int64_t n;

	if (!value || json_is_null(value)) {
		*out = 0;
		return may_be_absent;
	}
	if (!edge_i64(value, &n) || n < 0 || n > LLM_COUNT_MAX) {
		*out = 0;
		return false;
	}
	*out = n;
	return true;
}

void llm_note_error(struct llm_answer *a, const json_t *error)
{
	struct slice message = edge_slice(json_object_get(error, "message"));

	a->is_error = true;
	buf_append(&a->reason, message.p, message.len);
}

static void run_free(struct llm_run *run)
{
	loop_timer_cancel(&run->progress);
	loop_timer_cancel(&run->linger);
	if (run->transfer)
		http_cancel(run->transfer);
	event_stream_finish(&run->stream);
	buf_finish(&run->collected);
	llm_answer_finish(&run->answer);
	free(run);
}

static bool plan_leaks(const void *arg, struct slice text)
{
	return http_plan_leaks(arg, text);
}

static struct answer_secrets secrets_of(const struct llm_run *run)
{
	return (struct answer_secrets){.leaks = plan_leaks,
				       .arg = &run->provider->config.plan,
				       .own_key = run->execution->own_key,
				       .hides_host = run->provider->config.plan.hides_host};
}

static const char *model_of(const struct llm_run *run)
{
	return json_string_value(json_object_get(run->execution->arguments, "model"));
}

static void put_answer(const struct llm_run *run, struct buf *out)
{
	const struct llm_answer *a = &run->answer;
	struct emit e;

	emit_init(&e, out);
	emit_object(&e);
	emit_key_text(&e, "model", a->model ? a->model : model_of(run));
	emit_key(&e, "content");
	emit_slice(&e, buf_slice(&a->content));
	emit_key_text(&e, "finish_reason", a->finish_reason ? a->finish_reason : "unknown");
	emit_key(&e, "usage");
	if (a->usage.is_known) {
		emit_object(&e);
		emit_key_i64(&e, "input_tokens", a->usage.input);
		emit_key_i64(&e, "cached_input_tokens", a->usage.cached_input);
		if (a->usage.cache_write)
			emit_key_i64(&e, "cache_write_tokens", a->usage.cache_write);
		emit_key_i64(&e, "output_tokens", a->usage.output);
		emit_object_end(&e);
	} else {
		emit_null(&e);
	}
	emit_object_end(&e);
	emit_done(&e);
}

/* Takes what the run knows into the result and ends it. */
static void end(struct llm_run *run, struct provider_result *result)
{
	struct execution *x = run->execution;

	result->usage = run->answer.usage;
	result->output_bytes = (int64_t)run->answer.content.len;
	if (result->outcome == PROVIDER_OK)
		put_answer(run, &result->structured);
	else
		result->has_begun = run->answer.has_begun;
	run_free(run);
	execution_done(x, result);
}

static void end_ok(struct llm_run *run)
{
	struct provider_result result;

	provider_result_init(&result);
	result.outcome = PROVIDER_OK;
	result.status = 200;
	end(run, &result);
}

static void end_failed(struct llm_run *run, const char *text)
{
	struct answer_secrets secrets = secrets_of(run);
	struct provider_result result;
	struct buf whole = BUF_INIT;

	provider_result_init(&result);
	result.outcome = PROVIDER_FAILED;
	result.status = 200;
	buf_puts(&whole, text);
	answer_quote(buf_slice(&run->answer.reason), &secrets, &whole);
	err_set(&result.err, "%s", buf_text(&whole));
	buf_finish(&whole);
	end(run, &result);
}

/* All of the content is there, even if the stream was cut after it. */
static bool is_whole(const struct llm_answer *a)
{
	return a->finish_reason || (a->is_over && a->has_begun);
}

static void end_with(struct llm_run *run, const struct http_response *r)
{
	struct answer_secrets secrets = secrets_of(run);
	struct provider_result result;

	provider_result_init(&result);
	answer_failed(r, &secrets, &result);
	end(run, &result);
}

static void end_collected(struct llm_run *run)
{
	json_t *root = edge_parse(buf_slice(&run->collected), NULL);

	if (root && run->provider->config.api->read(root, &run->answer)) {
		end_ok(run);
	} else {
		if (json_is_object(json_object_get(root, "error")))
			llm_note_error(&run->answer, json_object_get(root, "error"));
		end_failed(run, "the provider's answer is not a chat completion");
	}
	json_decref(root);
}

static bool is_success(int status)
{
	return status >= 200 && status < 300;
}

static void on_response(void *arg, const struct http_response *r)
{
	struct llm_run *run = arg;
	struct http_response whole = *r;

	run->transfer = NULL;
	whole.body = buf_slice(&run->collected);
	if (is_whole(&run->answer))
		end_ok(run);
	else if (r->outcome != HTTP_DONE || !is_success(r->status))
		end_with(run, &whole);
	else if (run->collected.len)
		end_collected(run);
	else
		end_failed(run, "the provider's answer broke off, or is empty");
}

/* False when the stream is of no use from here on. */
static bool read_event(struct llm_run *run, struct slice data)
{
	struct llm_answer *a = &run->answer;
	json_t *json;
	bool is_good;

	if (slice_eq(data, "[DONE]")) {
		a->is_over = true;
		return true;
	}
	json = edge_parse(data, NULL);
	is_good = json && run->provider->config.api->event(json, a);
	json_decref(json);
	if (!is_good)
		run->fault = "the provider's stream makes no sense";
	else if (a->is_error)
		run->fault = "the provider broke off";
	else if (a->content.len > LLM_CONTENT_BYTES_MAX)
		run->fault = "the answer is too long";
	return run->fault == NULL;
}

static bool read_chunk(struct llm_run *run, struct slice bytes)
{
	char *data;
	size_t len;

	if (!event_stream_feed(&run->stream, bytes)) {
		run->fault = "the provider's stream has an event that is too large";
		return false;
	}
	while (event_stream_next(&run->stream, &data, &len)) {
		if (!read_event(run, (struct slice){.p = data, .len = len}))
			return false;
	}
	return true;
}

/* In chunks: many events may have come at once, and the bound is for one. */
static void read_stream(struct llm_run *run, struct slice bytes)
{
	while (bytes.len) {
		size_t len = bytes.len < LLM_CHUNK_BYTES ? bytes.len : LLM_CHUNK_BYTES;

		if (!read_chunk(run, (struct slice){.p = bytes.p, .len = len}))
			return;
		bytes.p += len;
		bytes.len -= len;
	}
}

static bool is_stream(const struct http_response *r)
{
	static const char TYPE[] = "text/event-stream";

	return is_success(r->status) && strncasecmp(r->content_type, TYPE, strlen(TYPE)) == 0;
}

static void on_data(void *arg, const struct http_response *so_far)
{
	struct llm_run *run = arg;

	if (!is_stream(so_far)) {
		if (so_far->body.len > PROVIDER_BODY_BYTES_MAX - run->collected.len)
			end_failed(run, "the provider's answer is too large");
		else
			buf_append(&run->collected, so_far->body.p, so_far->body.len);
		return;
	}
	read_stream(run, so_far->body);
	run->execution->has_begun = run->answer.has_begun;
	run->execution->usage = run->answer.usage;
	run->execution->output_bytes = (int64_t)run->answer.content.len;
	if (run->fault) {
		end_failed(run, run->fault);
		return;
	}
	if (run->answer.is_over && !loop_timer_is_set(&run->linger))
		loop_timer_in(&run->linger, LLM_LINGER_MS);
	if (run->answer.has_begun && run->execution->progress && !loop_timer_is_set(&run->progress))
		loop_timer_in(&run->progress, LLM_PROGRESS_MS);
}

static void on_progress(void *arg)
{
	struct llm_run *run = arg;
	size_t bytes = run->answer.content.len;
	CLEANUP(free_charp) char *text = xasprintf("%zu bytes of the answer so far", bytes);

	if (bytes == run->reported_bytes)
		return; /* the next piece starts the timer again */
	run->reported_bytes = bytes;
	run->execution->progress(run->execution, text);
}

static void on_linger(void *arg)
{
	struct llm_run *run = arg;

	if (is_whole(&run->answer))
		end_ok(run);
	else
		end_failed(run, "the provider's answer is empty");
}

/* Writes the request's body. False: the execution was refused. */
static bool make_body(struct llm_provider *p, struct execution *x, struct buf *out)
{
	const struct llm_config *c = &p->config;
	const char *model = json_string_value(json_object_get(x->arguments, "model"));
	const json_t *max_tokens = json_object_get(x->arguments, "max_tokens");
	const char *mapped = model ? json_string_value(json_object_get(c->models, model)) : NULL;
	struct llm_call call = {
		.model = mapped ? mapped : model,
		.messages = json_object_get(x->arguments, "messages"),
		.temperature = json_object_get(x->arguments, "temperature"),
		.stop = json_object_get(x->arguments, "stop"),
		.max_tokens = x->max_output,
		.is_stream = c->is_stream,
		.max_tokens_name = c->max_tokens_name,
	};
	const char *fault = llm_messages_fault(call.messages);
	struct emit e;

	if (!model || !*model) {
		execution_refuse(x, "model", "must name a model");
		return false;
	}
	if (max_tokens && (!edge_i64(max_tokens, &call.max_tokens) || call.max_tokens < 1)) {
		execution_refuse(x, "max_tokens", "must be a number above 0");
		return false;
	}
	if (!call.max_tokens && c->api->needs_max_tokens)
		call.max_tokens = LLM_MAX_TOKENS_DEFAULT;
	emit_init(&e, out);
	if (!fault && c->api->write(&call, &e, &fault))
		return true;
	execution_refuse(x, "messages", fault);
	return false;
}

static bool make_request(struct llm_provider *p, struct execution *x, struct http_made *out)
{
	struct llm_config *c = &p->config;
	struct buf body = BUF_INIT;
	struct template_fault fault;

	if (!x->own_key && !c->has_key && c->plan.own_key.name) {
		CLEANUP(free_charp)
		char *text = xasprintf("this tool needs your own key of its provider: "
				       "FAREBOX_PROVIDER_KEY_%s",
				       c->plan.own_key.name);

		execution_fail(x, PROVIDER_REJECTED, 0, text);
		return false;
	}
	if (!make_body(p, x, &body)) {
		buf_finish(&body);
		return false;
	}
	if (http_make(&c->plan, NULL, x->own_key, NULL, out, &fault) != TEMPLATE_OK) {
		buf_finish(&body);
		execution_refuse(x, fault.field, fault.text);
		return false;
	}
	http_made_set_body(out, &body);
	return true;
}

static void llm_start(struct provider *base, struct execution *x)
{
	struct llm_provider *p = of(base);
	struct http_made made;
	struct http_request request = {
		.method = "POST", .is_once = true, .allow_private = p->allow_private};
	struct llm_run *run;

	if (!make_request(p, x, &made))
		return;
	run = xzalloc(sizeof(*run));
	run->provider = p;
	run->execution = x;
	event_stream_init(&run->stream, LLM_EVENT_BYTES_MAX);
	loop_timer_init(&run->progress, p->loop, on_progress, run);
	loop_timer_init(&run->linger, p->loop, on_linger, run);
	x->state = run;
	request.url = buf_text(&made.url);
	request.headers = made.headers;
	request.headers_count = made.headers_count;
	request.body = buf_slice(&made.body);
	request.timeout_ms = execution_time_ms(x);
	request.body_bytes_max = LLM_STREAM_BYTES_MAX;
	request.data = on_data;
	run->transfer = http_start(p->http, &request, on_response, run);
	http_made_finish(&made);
}

static void llm_cancel(struct provider *base, struct execution *x)
{
	(void)base;
	if (x->state)
		run_free(x->state);
	x->state = NULL;
}

static void llm_destroy(struct provider *base)
{
	struct llm_provider *p = of(base);

	llm_config_finish(&p->config);
	free(p);
}

static const struct provider_kind LLM = {
	.name = "llm",
	.may_break_off = true,
	.start = llm_start,
	.cancel = llm_cancel,
	.destroy = llm_destroy,
};

struct provider *llm_provider_create(const struct llm_provider_parts *parts, const json_t *config,
				     struct err *err)
{
	struct llm_provider *p;
	struct llm_config c;

	if (!llm_config_read(config, &c, err))
		return NULL;
	p = xzalloc(sizeof(*p));
	p->base.kind = &LLM;
	p->loop = parts->loop;
	p->http = parts->http;
	p->allow_private = parts->allow_private;
	p->config = c;
	return &p->base;
}

void llm_provider_check(const json_t *config, bool allow_private, struct faults *faults)
{
	struct llm_config c;

	if (!llm_config_read_all(config, &c, faults))
		return;
	if (!allow_private)
		http_plan_check_host(&c.plan, "/base_url", faults);
	llm_config_finish(&c);
}
