/*
 * A tool of an upstream as a provider.
 */

#include "base/limits.h"
#include "providers/upstream_list.h"
#include "providers/upstream_room.h"
#include "json/edge.h"
#include "json/emit.h"
#include "json/schema.h"

#include <stdlib.h>
#include <string.h>

struct upstream_tool {
	struct provider base;
	struct upstream *up;
	char *name;
};

/* A call: in the queue of its upstream while that starts, then a request. */
struct upstream_exec {
	struct execution *x;
	struct upstream *up;
	const struct upstream_tool *tool;
	struct upstream_request *request; /* NULL: in the queue */
	struct upstream_exec *next;       /* in the queue */
	struct boottime began, told;
	bool was_sent_again;
};

static struct upstream_tool *of(struct provider *p)
{
	return container_of(p, struct upstream_tool, base);
}

static void put_in_queue(struct upstream_exec *e)
{
	e->next = NULL;
	*e->up->queue_end = e;
	e->up->queue_end = &e->next;
}

static void take_from_queue(struct upstream_exec *e)
{
	struct upstream_exec **at = &e->up->queue;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	if (!*at)
		e->up->queue_end = at;
}

static void finish(struct upstream_exec *e, struct provider_result *result)
{
	struct execution *x = e->x;

	free(e);
	execution_done(x, result);
}

static void fail_lost(struct upstream_exec *e, const struct upstream_answer *a)
{
	struct provider_result result;

	provider_result_init(&result);
	result.outcome = a->outcome;
	result.status = a->status;
	result.retry_after_s = a->retry_after_s;
	result.may_have_run = a->may_have_run;
	err_set(&result.err, "%s%s", a->message,
		a->may_have_run ? "; it may have executed the call" : "");
	finish(e, &result);
}

static void fail_retry(struct upstream_exec *e, enum provider_outcome outcome,
		       int64_t retry_after_s, const char *text)
{
	struct provider_result result;

	provider_result_init(&result);
	result.outcome = outcome;
	result.retry_after_s = retry_after_s;
	err_set(&result.err, "%s", text);
	finish(e, &result);
}

static void fail(struct upstream_exec *e, enum provider_outcome outcome, const char *text)
{
	struct err err = ERR_INIT;

	err_set(&err, "upstream %s: %s", e->up->name, text);
	fail_retry(e, outcome, -1, err.text);
}

/* Blocks of content: hosts refuse a result with any other. */
static bool is_content(const json_t *content)
{
	if (!json_is_array(content))
		return false;
	for (size_t i = 0; i < json_array_size(content); i++) {
		const json_t *block = json_array_get(content, i);

		if (!json_is_string(json_object_get(block, "type")))
			return false;
	}
	return true;
}

/* NULL when it is a result that can be handed on. */
static const char *fault_of(const struct upstream_exec *e, const json_t *result)
{
	const json_t *tool = tools_named(e->up->tools, e->tool->name);
	const json_t *content = json_object_get(result, "content");
	const json_t *structured = json_object_get(result, "structuredContent");
	const char *type = json_string_value(json_object_get(result, "resultType"));

	if (type && strcmp(type, "input_required") == 0)
		return "asks for input of the user, which is not passed through";
	if (type && strcmp(type, "complete") != 0)
		return "answered with a kind of result that is not known here";
	if (content ? !is_content(content) : !json_is_object(structured))
		return "answered with no content";
	if (json_is_true(json_object_get(result, "isError")))
		return NULL;
	if (json_object_get(tool, "outputSchema") && !json_is_object(structured))
		return "promises structured content and sent none";
	return NULL;
}

/* The whole content is passed on; this is for those who see our words only. */
static void say_failure(const struct upstream_exec *e, const json_t *content, struct err *err)
{
	const char *text = NULL;

	for (size_t i = 0; i < json_array_size(content) && !text; i++)
		text = json_string_value(json_object_get(json_array_get(content, i), "text"));
	if (text)
		err_set(err, "upstream %s: the tool failed: %.300s", e->up->name, text);
	else
		err_set(err, "upstream %s: the tool failed", e->up->name);
}

/* Hosts check what a tool promised, and throw away a result that does not fit. A schema that we
 * cannot read promises nothing. */
static bool is_as_promised(const struct upstream_exec *e, const json_t *structured, struct err *err)
{
	const json_t *tool = tools_named(e->up->tools, e->tool->name);
	json_t *promised = json_object_get(tool, "outputSchema");
	struct err ignored = ERR_INIT;
	struct schema *schema = promised && structured ? schema_create(promised, &ignored) : NULL;
	struct schema_fault fault;
	bool is_good = !schema || schema_check(schema, structured, &fault);

	if (!is_good)
		err_set(err, "its result does not fit its outputSchema: %s%s%s", fault.field,
			*fault.field ? " " : "", fault.text);
	schema_destroy(schema);
	return is_good;
}

static void take_result(struct upstream_exec *e, const json_t *answer)
{
	const char *fault = fault_of(e, answer);
	struct err err = ERR_INIT;
	const json_t *content = json_object_get(answer, "content");
	const json_t *structured = json_object_get(answer, "structuredContent");
	struct provider_result result;

	if (!fault && !json_is_true(json_object_get(answer, "isError")) &&
	    !is_as_promised(e, structured, &err))
		fault = err.text;
	if (fault) {
		fail(e, PROVIDER_FAILED, fault);
		return;
	}
	provider_result_init(&result);
	result.outcome = PROVIDER_OK;
	if (content)
		edge_dump(content, false, &result.content);
	if (json_is_true(json_object_get(answer, "isError"))) {
		result.outcome = PROVIDER_TOOL_FAILED;
		say_failure(e, content, &result.err);
	} else if (json_is_object(structured)) {
		edge_dump(structured, false, &result.structured);
	}
	if (result.content.len + result.structured.len > UPSTREAM_RESULT_BYTES_MAX) {
		provider_result_finish(&result);
		fail(e, PROVIDER_FAILED, "the result is too large");
		return;
	}
	finish(e, &result);
}

static void take_error(struct upstream_exec *e, const struct upstream_answer *a)
{
	struct err err = ERR_INIT;

	err_set(&err, "%.300s (code %lld)", a->message, (long long)a->code);
	fail(e, a->code == RPC_INVALID_PARAMS ? PROVIDER_REJECTED : PROVIDER_FAILED, err.text);
}

static void begin(struct upstream_exec *e);

static void on_answer(void *arg, const struct upstream_answer *a)
{
	struct upstream_exec *e = arg;

	e->request = NULL;
	switch (a->kind) {
	case ANSWER_RESULT:
		take_result(e, a->result);
		return;
	case ANSWER_ERROR:
		take_error(e, a);
		return;
	case ANSWER_LOST:
		/* The server says that the session was gone, so it was not executed: it waits for
		 * the next one. */
		if (a->is_unsent && !e->was_sent_again) {
			e->was_sent_again = true;
			e->x->may_have_run = false;
			put_in_queue(e);
			upstream_lost_session(e->up);
			return;
		}
		fail_lost(e, a);
		return;
	}
}

/* "3 of 10" where the server gives no words. */
static void on_progress(void *arg, const json_t *params)
{
	struct upstream_exec *e = arg;
	struct boottime now = loop_now(e->up->config.loop);
	const char *message = json_string_value(json_object_get(params, "message"));
	const json_t *total = json_object_get(params, "total");
	struct buf text = BUF_INIT;

	/* A host that reads slowly must not make us keep all that a server says. */
	if (now.ms - e->told.ms < UPSTREAM_PROGRESS_MS)
		return;
	e->told = now;
	if (message && strlen(message) <= UPSTREAM_LOG_LINE_BYTES) {
		buf_puts(&text, message);
	} else if (json_is_number(json_object_get(params, "progress"))) {
		edge_dump(json_object_get(params, "progress"), false, &text);
		if (json_is_number(total)) {
			buf_puts(&text, " of ");
			edge_dump(total, false, &text);
		}
	}
	if (text.len)
		e->x->progress(e->x, buf_text(&text));
	buf_finish(&text);
}

static int64_t left_ms(const struct upstream_exec *e)
{
	int64_t ms = e->began.ms + e->x->timeout_ms - clock_boot().ms;

	return ms > 1 ? ms : 1;
}

static void begin(struct upstream_exec *e)
{
	const json_t *tool = tools_named(e->up->tools, e->tool->name);
	struct buf members = BUF_INIT;
	struct upstream_question q = {
		.method = "tools/call",
		.name = e->tool->name,
		.param_headers = json_object_get(tool, TOOL_HEADERS),
		.arguments = e->x->arguments,
		.timeout_ms = left_ms(e),
		.answer = on_answer,
		.progress = e->x->progress ? on_progress : NULL,
		.arg = e,
	};
	struct emit out;

	emit_init(&out, &members);
	emit_key_text(&out, "name", e->tool->name);
	emit_key(&out, "arguments");
	emit_json(&out, e->x->arguments);
	q.members = buf_slice(&members);
	e->request = client_ask(e->up, &q);
	buf_finish(&members);
	e->x->may_have_run = e->request != NULL;
	if (!e->request)
		fail(e, PROVIDER_FAILED, "it does not read its input");
}

void calls_begin(struct upstream *up)
{
	struct upstream_exec *queue = up->queue;

	up->queue = NULL;
	up->queue_end = &up->queue;
	while (queue) {
		struct upstream_exec *e = queue;

		queue = e->next;
		begin(e);
	}
}

void calls_fail(struct upstream *up)
{
	while (up->queue) {
		struct upstream_exec *e = up->queue;

		take_from_queue(e);
		fail_retry(e, PROVIDER_FAILED, -1, up->trouble.text);
	}
}

/* Between two starts: a short wait is better than a failure. */
static bool is_worth_waiting(const struct upstream_exec *e)
{
	int64_t ms = e->up->restart_timer.at.ms - clock_boot().ms;

	return ms <= UPSTREAM_BACKOFF_WAIT_MS && ms < e->x->timeout_ms;
}

static void upstream_tool_start(struct provider *p, struct execution *x)
{
	struct upstream_tool *tool = of(p);
	struct upstream *up = tool->up;
	struct upstream_exec *e = xzalloc(sizeof(*e));

	e->x = x;
	e->up = up;
	e->tool = tool;
	e->began = clock_boot();
	x->state = e;
	switch (up->state) {
	case UPSTREAM_READY:
		begin(e);
		return;
	case UPSTREAM_IDLE:
	case UPSTREAM_STARTING:
		put_in_queue(e);
		upstream_want(up);
		return;
	case UPSTREAM_WAITING:
		if (is_worth_waiting(e))
			put_in_queue(e);
		else
			fail_retry(e, PROVIDER_FAILED,
				   (up->restart_timer.at.ms - clock_boot().ms) / 1000 + 1,
				   up->trouble.text);
		return;
	case UPSTREAM_ENDED:
		fail(e, PROVIDER_FAILED, "farebox is ending");
		return;
	}
}

static void upstream_tool_cancel(struct provider *p, struct execution *x)
{
	struct upstream_exec *e = x->state;

	(void)p;
	if (!e)
		return;
	x->state = NULL;
	if (e->request)
		client_cancel(e->request);
	else
		take_from_queue(e);
	free(e);
}

static void upstream_tool_destroy(struct provider *p)
{
	free(of(p)->name);
	free(of(p));
}

static const struct provider_kind UPSTREAM_TOOL = {
	.name = "upstream",
	.has_tool_errors = true,
	.start = upstream_tool_start,
	.cancel = upstream_tool_cancel,
	.destroy = upstream_tool_destroy,
};

struct provider *upstream_tool_create(struct upstream *up, const char *tool)
{
	struct upstream_tool *p = xzalloc(sizeof(*p));

	p->base.kind = &UPSTREAM_TOOL;
	p->up = up;
	p->name = xstrdup(tool);
	return &p->base;
}
