/*
 * A tool with a price: its call goes through the meter.
 */

#include "tools/paid.h"
#include "base/pool.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

/* Over the tool and its arguments. */
static struct digest digest_of(const struct tool *tool, json_t *arguments)
{
	struct digest of_arguments = edge_digest(arguments);
	struct buf b = BUF_INIT;
	struct digest d;

	buf_append(&b, tool->name, strlen(tool->name) + 1);
	buf_append(&b, of_arguments.b, sizeof(of_arguments.b));
	d = sha256(b.p, b.len);
	buf_finish(&b);
	return d;
}

const struct price *tool_price(const struct tool_call *call, const struct tool *tool)
{
	return book_price(&tool->priced->book, call->org_name);
}

const char *tool_own_key(const struct tools *tools, const struct tool *tool)
{
	const char *name = tool->priced->byok_name;

	if (!name || !tools->config.own_key)
		return NULL;
	return tools->config.own_key(tools->config.own_key_arg, name);
}

void meter_prepare(const struct tool_call *call, const struct tool *tool, json_t *arguments,
		   const char *idempotency_key, struct meter_call *out)
{
	struct meter *meter = call->tools->config.meter;

	*out = (struct meter_call){
		.tool = tool->priced,
		.price = tool_price(call, tool),
		.own_key = tool_own_key(call->tools, tool),
		.caller = call->caller,
		.arguments = arguments,
		.idempotency_key = idempotency_key,
		.has_cap = call->options.has_max_tokens,
		.cap = call->options.max_tokens,
		.deadline = call->deadline,
	};
	if (idempotency_key || meter_is_guarded(meter) || pay_may_offer(call) ||
	    call->options.request_state)
		out->digest = digest_of(tool, arguments);
}

static void put_usage(const struct meter_call *call, struct tool_reply *reply, struct buf *usage)
{
	struct emit e;

	meter_usage(call, usage);
	emit_init(&e, &reply->meta);
	emit_key(&e, "farebox/usage");
	emit_raw(&e, buf_slice(usage));
}

/* {"signals":...} and its usage make one object. */
static void put_result(struct meter_call *call, struct tool_reply *reply, const struct buf *usage)
{
	struct buf *structured = &call->result.structured;

	if (call->tool->has_usage_inside && structured->len > 1) {
		structured->len--; /* the closing brace */
		if (structured->len > 1)
			buf_putc(structured, ',');
		buf_puts(structured, "\"usage\":");
		buf_append(structured, usage->p, usage->len);
		buf_putc(structured, '}');
	}
	if (!call->result.content.len) {
		tool_reply_structured(reply, buf_slice(structured));
		return;
	}
	buf_append(&reply->content, call->result.content.p, call->result.content.len);
	buf_append(&reply->structured, buf_text(structured), structured->len);
}

static bool is_good(const struct meter_call *call)
{
	return (call->outcome == METER_OK || call->outcome == METER_REPLAYED) &&
	       call->result.outcome != PROVIDER_TOOL_FAILED;
}

void paid_reply(struct paid *paid)
{
	struct meter_call *call = &paid->meter;
	struct buf usage = BUF_INIT;
	struct tool_reply reply;
	struct tool_error error;

	tool_reply_init(&reply);
	if (call->was_executed || call->was_released || call->outcome == METER_REPLAYED)
		put_usage(call, &reply, &usage);
	if (is_good(call)) {
		put_result(call, &reply, &usage);
	} else {
		paid_error(paid->call->tools, call, &paid->open, &error);
		/* An upstream's own words stand; our object is in _meta only. */
		if (call->result.content.len)
			buf_append(&reply.content, call->result.content.p,
				   call->result.content.len);
		tool_reply_error(&reply, &error);
		tool_error_finish(&error);
	}
	buf_finish(&usage);
	tool_call_reply(paid->call, &reply);
}

static void on_metered(struct meter_call *meter)
{
	struct paid *paid = container_of(meter, struct paid, meter);

	paid->is_started = false;
	if (meter->outcome == METER_SPENT)
		paid_refuse_state(paid, "requestState was used before");
	else if (meter->outcome == METER_INSUFFICIENT && !paid->call->is_cancelled)
		pay_instead(paid);
	else
		paid_reply(paid);
}

static void on_progress(struct meter_call *meter, const char *message)
{
	struct paid *paid = container_of(meter, struct paid, meter);

	paid->call->progress(paid->call->arg, message);
}

static void paid_finish(struct tool_call *call)
{
	struct paid *paid = call->state;

	CHECK(!paid->is_started);
	pay_finish(paid);
	meter_call_finish(&paid->meter);
	free(paid->open.url);
	pool_free(paid);
}

void paid_run(struct paid *paid)
{
	struct tool_call *call = paid->call;
	struct meter_call *meter = &paid->meter;

	/* While the store was asked for the key of a requestState. */
	if (call->is_cancelled) {
		meter->outcome = METER_CANCELLED;
		paid_reply(paid);
		return;
	}
	meter_call_finish(meter);
	meter_prepare(call, call->tool, call->arguments, call->idempotency_key, meter);
	meter->progress = call->progress ? on_progress : NULL;
	meter->done = on_metered;
	if (paid->has_state)
		meter->prepare_hold = pay_spend;
	paid->is_started = true;
	meter_call_start(call->tools->config.meter, meter);
}

static void paid_start(struct tool_call *call)
{
	struct paid *paid = pool_zalloc(sizeof(*paid));

	paid->call = call;
	call->state = paid;
	call->finish = paid_finish;
	provider_result_init(&paid->meter.result);
	if (call->options.request_state)
		pay_resume(paid);
	else
		paid_run(paid);
}

static void paid_cancel(struct tool_call *call)
{
	struct paid *paid = call->state;

	if (paid && paid->is_started)
		meter_call_cancel(&paid->meter);
	else if (paid)
		pay_cancel(paid);
}

static bool paid_is_charged(const struct tool_call *call)
{
	const struct paid *paid = call->state;

	return paid && paid->is_started && meter_call_is_settling(&paid->meter);
}

const struct tool_entry TOOL_PAID = {
	.name = "paid",
	.scope = SCOPE_CALL,
	.start = paid_start,
	.cancel = paid_cancel,
	.is_charged = paid_is_charged,
};
