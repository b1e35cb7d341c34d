#include "fake_tools.h"

#include "json/edge.h"
#include "json/emit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_BYTES (256 * 1024)

struct tool {
	char name[32];
	char listing[160];
};

struct tools {
	struct fake_tools fake;
	struct loop *loop;
	struct tool *list;
	size_t count;
	struct tool_call *calls;
	size_t in_flight;
};

struct tool_call {
	struct tools *tools;
	const struct tool *tool;
	struct tool_call *next;
	struct loop_timer timer;
	json_t *arguments;
	tool_progress_fn *progress;
	tool_done_fn *done;
	void *arg;
};

static const char *const names[] = {
	"echo", "fail", "bare", "steps", "soon", "never", "stubborn", "large",
};

struct fake_tools *fake_tools_create(struct loop *loop, size_t fillers)
{
	struct tools *tools = xzalloc(sizeof(*tools));

	tools->loop = loop;
	tools->fake.tools = tools;
	tools->count = ARRAY_LEN(names) + fillers;
	tools->list = xzalloc(tools->count * sizeof(tools->list[0]));
	for (size_t i = 0; i < tools->count; i++) {
		struct tool *t = &tools->list[i];

		if (i < ARRAY_LEN(names))
			(void)snprintf(t->name, sizeof(t->name), "%s", names[i]);
		else
			(void)snprintf(t->name, sizeof(t->name), "filler_%04zu",
				       i - ARRAY_LEN(names));
		(void)snprintf(t->listing, sizeof(t->listing),
			       "{\"name\":\"%s\",\"inputSchema\":{\"type\":\"object\"}}", t->name);
	}
	return &tools->fake;
}

static void call_end(struct tool_call *call, struct tool_reply *reply)
{
	struct tool_call **at = &call->tools->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	call->tools->in_flight--;
	loop_timer_cancel(&call->timer);
	call->done(call->arg, reply);
	json_decref(call->arguments);
	free(call);
}

static void put_text(struct buf *content, struct slice text)
{
	struct emit e;

	emit_init(&e, content);
	emit_array(&e);
	emit_object(&e);
	emit_key_text(&e, "type", "text");
	emit_key(&e, "text");
	emit_slice(&e, text);
	emit_object_end(&e);
	emit_array_end(&e);
	emit_done(&e);
}

static void call_succeed(struct tool_call *call)
{
	struct tool_reply reply;

	tool_reply_init(&reply);
	put_text(&reply.content, slice_of("done"));
	call_end(call, &reply);
	tool_reply_finish(&reply);
}

void fake_tools_destroy(struct fake_tools *fake)
{
	struct tools *tools = fake->tools;

	fake_tools_finish(fake);
	free(tools->list);
	free(tools);
}

void fake_tools_finish(struct fake_tools *fake)
{
	while (fake->tools->calls)
		call_succeed(fake->tools->calls);
}

void fake_tools_progress(struct fake_tools *fake, const char *message)
{
	for (struct tool_call *call = fake->tools->calls; call; call = call->next)
		call->progress(call->arg, message);
}

void tool_reply_init(struct tool_reply *reply)
{
	*reply = (struct tool_reply){.http_status = 200};
}

void tool_reply_finish(struct tool_reply *reply)
{
	buf_finish(&reply->content);
	buf_finish(&reply->structured);
	buf_finish(&reply->meta);
}

void tool_error_init(struct tool_error *e, enum error_code code)
{
	*e = (struct tool_error){.code = code};
}

void tool_error_finish(struct tool_error *e)
{
	buf_finish(&e->members);
}

void tool_error_message(struct tool_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
}

void tool_error_fault(struct tool_error *e, const char *text)
{
	tool_error_message(e, "%s", text);
}

void tool_reply_error(struct tool_reply *reply, const struct tool_error *error)
{
	reply->is_error = true;
	reply->http_status = 400;
	put_text(&reply->content, slice_of(error->message));
	buf_puts(&reply->meta, "\"farebox/error\":{}");
}

bool tool_options_read(const json_t *meta, struct tool_options *out, struct err *err)
{
	const json_t *max = json_object_get(meta, "farebox/maxTokens");

	*out = (struct tool_options){.has_max_tokens = max != NULL};
	if (max && !json_is_number(max))
		return err_set(err, "farebox/maxTokens: not a number");
	return true;
}

const struct tool *tools_find(const struct tools *tools, struct slice name)
{
	for (size_t i = 0; i < tools->count; i++) {
		if (slice_eq(name, tools->list[i].name))
			return &tools->list[i];
	}
	return NULL;
}

static void on_timer(void *arg)
{
	call_succeed(arg);
}

static void run_now(struct tool_call *call)
{
	struct tool_reply reply;

	tool_reply_init(&reply);
	if (strcmp(call->tool->name, "echo") == 0) {
		edge_dump(call->arguments, false, &reply.structured);
		put_text(&reply.content, buf_slice(&reply.structured));
		buf_puts(&reply.meta, "\"farebox/usage\":{\"tokens\":1}");
	} else if (strcmp(call->tool->name, "fail") == 0) {
		reply.is_error = true;
		put_text(&reply.content, slice_of("failed"));
		buf_puts(&reply.structured, "{\"wrong\":1}");
	} else if (strcmp(call->tool->name, "large") == 0) {
		char *text = xmalloc(LARGE_BYTES);

		memset(text, 'x', LARGE_BYTES);
		put_text(&reply.content, (struct slice){.p = text, .len = LARGE_BYTES});
		free(text);
	}
	call_end(call, &reply);
	tool_reply_finish(&reply);
}

static void remember(struct fake_tools *fake, json_t *arguments, const char *key,
		     const struct tool_options *options, struct boottime deadline)
{
	struct buf text = BUF_INIT;

	fake->started++;
	(void)snprintf(fake->client_name, sizeof(fake->client_name), "%s",
		       options->client_name ? options->client_name : "");
	(void)snprintf(fake->key, sizeof(fake->key), "%s", key ? key : "");
	fake->has_url_elicitation = options->has_url_elicitation;
	fake->deadline = deadline;
	edge_dump(arguments, false, &text);
	(void)snprintf(fake->arguments, sizeof(fake->arguments), "%s", buf_text(&text));
	buf_finish(&text);
}

struct tool_call *tools_call(struct tools *tools, const struct tool *tool, json_t *arguments,
			     const char *key, const struct tool_options *options,
			     struct boottime deadline, tool_progress_fn *progress,
			     tool_done_fn *done, void *arg)
{
	struct tool_call *call = xzalloc(sizeof(*call));

	call->arguments = arguments ? json_incref(arguments) : json_object();
	remember(&tools->fake, call->arguments, key, options, deadline);
	call->tools = tools;
	call->tool = tool;
	call->progress = progress;
	call->done = done;
	call->arg = arg;
	call->next = tools->calls;
	tools->calls = call;
	tools->in_flight++;
	loop_timer_init(&call->timer, tools->loop, on_timer, call);
	if (strcmp(tool->name, "steps") == 0) {
		progress(arg, "one");
		progress(arg, NULL);
	} else if (strcmp(tool->name, "soon") == 0) {
		loop_timer_in(&call->timer, 0);
	} else if (strcmp(tool->name, "never") != 0 && strcmp(tool->name, "stubborn") != 0) {
		run_now(call);
		return NULL;
	}
	return call;
}

void tool_call_cancel(struct tool_call *call)
{
	call->tools->fake.cancelled++;
	if (strcmp(call->tool->name, "stubborn") != 0)
		call_succeed(call);
}

bool tool_call_wind_up(struct tool_call *call)
{
	(void)call;
	return false;
}

size_t tools_in_flight(const struct tools *tools)
{
	return tools->in_flight;
}

size_t tools_bytes_in_flight(const struct tools *tools)
{
	(void)tools;
	return 0;
}

size_t tools_count(const struct tools *tools)
{
	return tools->count;
}

const struct tool *tools_at(const struct tools *tools, size_t i)
{
	CHECK(i < tools->count);
	return &tools->list[i];
}

bool tool_is_for(const struct tool *tool, unsigned scopes)
{
	(void)tool;
	(void)scopes;
	return true;
}

const char *tool_name(const struct tool *tool)
{
	return tool->name;
}

struct slice tool_listing(const struct tool *tool)
{
	return slice_of(tool->listing);
}

/* These have no upstreams. */
bool tools_may_change(const struct tools *tools)
{
	(void)tools;
	return false;
}

bool tools_await(struct tools *tools, struct slice name, const char *key, struct tools_wait *wait,
		 void (*fn)(void *arg), void *arg)
{
	(void)tools;
	(void)name;
	(void)key;
	(void)fn;
	(void)arg;
	wait->scopes = SCOPES_LOCAL;
	return true;
}

void tools_wait_cancel(struct tools_wait *wait)
{
	(void)wait;
}

bool tools_are_well(const struct tools *tools, struct slice name, struct err *err)
{
	(void)tools;
	(void)name;
	(void)err;
	return true;
}

void tools_watch_start(struct tools *tools, struct tools_watch *watch, void (*fn)(void *arg),
		       void *arg)
{
	*watch = (struct tools_watch){.tools = tools, .fn = fn, .arg = arg};
}

void tools_watch_stop(struct tools_watch *watch)
{
	watch->tools = NULL;
}
