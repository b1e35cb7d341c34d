/*
 * A tool with a price: its call goes through the meter.
 */

#include "base/pool.h"
#include "tools/internal.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

/* What a refused call proposes to buy at least. */
#define TOP_UP_MINIMUM    ((struct microusd){5 * MICROUSD_PER_USD})
/* Open payments that are looked through for one that covers the shortfall. */
#define OPEN_PAYMENTS_MAX 20

struct paid {
	struct tool_call *call;
	struct meter_call meter;
	bool is_started;
	struct microusd shortfall;
	char *open_url; /* of a payment that covers the shortfall */
};

struct digest tool_digest(const struct tool *tool, json_t *arguments)
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

static struct microusd proposal(const struct meter_call *call, struct microusd shortfall)
{
	const struct preferences *prefs = &call->after.prefs;
	struct microusd amount = microusd_max(TOP_UP_MINIMUM, microusd_ceil_usd(shortfall));

	if (prefs->auto_reload_enabled)
		amount = microusd_max(amount, prefs->auto_reload_amount);
	return amount;
}

static struct microusd shortfall_of(const struct meter_call *call)
{
	return microusd_max(MICROUSD_ZERO, microusd_minus(call->needed, call->after.available));
}

static void insufficient(const struct meter_call *call, const char *url, struct tool_error *error)
{
	struct microusd shortfall = shortfall_of(call);
	struct emit e;

	emit_init(&e, &error->members);
	emit_key_tokens(&e, "needed_tokens", call->needed);
	emit_key_tokens(&e, "available_tokens", call->after.available);
	emit_key_tokens(&e, "shortfall_tokens", shortfall);
	emit_key(&e, "top_up");
	emit_object(&e);
	emit_key_text(&e, "tool", "buy_tokens");
	emit_key_usd(&e, "amount_usd", proposal(call, shortfall));
	if (url)
		emit_key_text(&e, "url", url);
	emit_object_end(&e);
}

static void over_budget(const struct meter_call *call, struct tool_error *error)
{
	const struct wallet_view *view = &call->after;
	char limit[MONEY_TEXT_SIZE];
	struct emit e;

	usd_text_people(view->prefs.budget_limit, limit);
	tool_error_message(error,
			   "The organisation's monthly budget of $%s does not allow this "
			   "call.",
			   limit);
	emit_init(&e, &error->members);
	emit_key_text(&e, "limit", "org_monthly");
	emit_key_usd(&e, "limit_usd", view->prefs.budget_limit);
	emit_key_usd(&e, "used_usd", microusd_plus(view->captured_month, view->held));
	emit_key_tokens(&e, "needed_tokens", call->needed);
	emit_key(&e, "resets_at");
	emit_walltime(&e, walltime_next_month(clock_wall()));
}

static void over_cap(const struct meter_call *call, struct tool_error *error)
{
	char needed[MONEY_TEXT_SIZE], cap[MONEY_TEXT_SIZE];
	struct emit e;

	tokens_text(call->needed, needed);
	tokens_text(call->cap, cap);
	tool_error_message(error,
			   "This call may cost %s tokens, the caller's farebox/maxTokens is %s.",
			   needed, cap);
	tool_error_hint(error,
			"Nothing was executed. Call again with a farebox/maxTokens of at "
			"least %s.",
			needed);
	emit_init(&e, &error->members);
	emit_key_text(&e, "limit", "call");
	emit_key_tokens(&e, "needed_tokens", call->needed);
	emit_key_tokens(&e, "max_tokens", call->cap);
	emit_key(&e, "resets_at");
	emit_null(&e);
}

static void upstream(const struct meter_call *call, struct tool_error *error)
{
	const struct provider_result *r = &call->result;
	struct emit e;

	if (err_is_set(&r->err))
		tool_error_message(error, "%s: %s", call->tool->name, r->err.text);
	if (microusd_sign(call->charge.amount) > 0)
		tool_error_hint(error,
				"This tool is charged for failed calls, too. Try again later.");
	emit_init(&e, &error->members);
	if (r->status)
		emit_key_i64(&e, "provider_status", r->status);
	if (r->retry_after_s >= 0)
		emit_key_i64(&e, "retry_after_s", r->retry_after_s);
}

static void no_store(const struct tools *tools, const struct meter_call *call,
		     struct tool_error *error)
{
	struct emit e;

	if (*wallet_trouble(tools->config.wallet))
		tool_error_message(error, "The wallet's store cannot be used now: %s",
				   wallet_trouble(tools->config.wallet));
	if (!call->was_executed)
		return;
	error->is_final = true;
	tool_error_hint(error, "The tool ran, but its charge could not be confirmed: the result is "
			       "withheld. get_usage shows whether the tokens came back.");
	emit_init(&e, &error->members);
	emit_key_bool(&e, "executed", true);
}

static void replay_lost(const struct meter_call *call, struct tool_error *error)
{
	struct emit e;

	tool_error_message(error, "This call was charged once; its result was too large to keep.");
	tool_error_hint(error, "Use a new idempotency key to run it again.");
	emit_init(&e, &error->members);
	emit_key_id(&e, "call_id", "call", call->id);
	emit_key_tokens(&e, "charged_tokens", call->charge.amount);
	emit_key_bool(&e, "replayed", true);
}

static enum error_code code_of(enum meter_outcome outcome)
{
	switch (outcome) {
	case METER_UNAUTHENTICATED:
		return ERROR_UNAUTHENTICATED;
	case METER_INSUFFICIENT:
		return ERROR_INSUFFICIENT_CREDITS;
	case METER_OVER_BUDGET:
	case METER_OVER_CAP:
		return ERROR_BUDGET_EXCEEDED;
	case METER_CONFLICT:
	case METER_REPLAY_LOST:
		return ERROR_IDEMPOTENCY_CONFLICT;
	case METER_REJECTED:
		return ERROR_UPSTREAM_REJECTED;
	case METER_FAILED:
	case METER_TOOL_FAILED:
		return ERROR_UPSTREAM_ERROR;
	case METER_TIMEOUT:
	case METER_CANCELLED:
		return ERROR_UPSTREAM_TIMEOUT;
	case METER_STORE:
		return ERROR_STORE_UNAVAILABLE;
	case METER_OK:
	case METER_REPLAYED:
		break;
	}
	die("meter outcome %d is no error", (int)outcome);
}

static void fill_error(const struct tools *tools, const struct meter_call *call, const char *url,
		       struct tool_error *error)
{
	bool is_replay = call->outcome == METER_REPLAYED;

	tool_error_init(error, is_replay ? ERROR_UPSTREAM_ERROR : code_of(call->outcome));
	switch (call->outcome) {
	case METER_INSUFFICIENT:
		insufficient(call, url, error);
		return;
	case METER_OVER_BUDGET:
		over_budget(call, error);
		return;
	case METER_OVER_CAP:
		over_cap(call, error);
		return;
	case METER_REPLAY_LOST:
		replay_lost(call, error);
		return;
	case METER_STORE:
		no_store(tools, call, error);
		return;
	case METER_REJECTED:
	case METER_FAILED:
	case METER_TIMEOUT:
	case METER_TOOL_FAILED:
	case METER_REPLAYED:
		upstream(call, error);
		return;
	case METER_CANCELLED:
		tool_error_message(error, "The call was cancelled.");
		return;
	case METER_OK:
	case METER_UNAUTHENTICATED:
	case METER_CONFLICT:
		return;
	}
}

void meter_error(const struct tools *tools, const struct meter_call *call, struct tool_error *error)
{
	fill_error(tools, call, NULL, error);
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

static void reply_now(struct paid *paid)
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
		fill_error(paid->call->tools, call, paid->open_url, &error);
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

static bool covers(const struct payment_view *p, struct microusd shortfall)
{
	struct microusd credit;

	return (p->state == PAYMENT_OPEN || p->state == PAYMENT_REQUIRES_ACTION) && p->url &&
	       microusd_from_cents(&credit, p->credit) && microusd_cmp(credit, shortfall) >= 0;
}

static bool open_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct paid *paid = call->state;
	struct payment_list list = {.count = 0};

	if (payment_list_read(db, payments_gateway_name(call->tools->config.payments),
			      call->caller.org, ID_NONE, OPEN_PAYMENTS_MAX, &list) != DB_OK)
		return true;
	for (size_t i = 0; i < list.count && !paid->open_url; i++) {
		if (covers(&list.items[i], paid->shortfall))
			paid->open_url = xstrdup(list.items[i].url);
	}
	payment_list_finish(&list);
	return true;
}

static void open_done(struct wallet_query *query)
{
	/* Without the list the refusal stands as well, only without a URL. */
	reply_now(tool_call_of(query)->state);
}

static void on_metered(struct meter_call *meter)
{
	struct paid *paid = container_of(meter, struct paid, meter);

	paid->is_started = false;
	if (meter->outcome == METER_INSUFFICIENT && !paid->call->is_cancelled) {
		paid->shortfall = shortfall_of(meter);
		tool_call_query(paid->call, open_step, open_done);
		return;
	}
	reply_now(paid);
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
	meter_call_finish(&paid->meter);
	free(paid->open_url);
	pool_free(paid);
}

static void paid_start(struct tool_call *call)
{
	struct paid *paid = pool_zalloc(sizeof(*paid));
	struct meter_call *meter = &paid->meter;

	paid->call = call;
	call->state = paid;
	call->finish = paid_finish;
	meter->tool = call->tool->priced;
	meter->caller = call->caller;
	meter->arguments = call->arguments;
	if (call->idempotency_key)
		meter->digest = tool_digest(call->tool, call->arguments);
	meter->idempotency_key = call->idempotency_key;
	meter->has_cap = call->options.has_max_tokens;
	meter->cap = call->options.max_tokens;
	meter->deadline = call->deadline;
	meter->progress = call->progress ? on_progress : NULL;
	meter->done = on_metered;
	paid->is_started = true;
	meter_call_start(call->tools->config.meter, meter);
}

static void paid_cancel(struct tool_call *call)
{
	struct paid *paid = call->state;

	if (paid && paid->is_started)
		meter_call_cancel(&paid->meter);
}

static bool paid_is_charged(const struct tool_call *call)
{
	const struct paid *paid = call->state;

	return paid && paid->is_started && meter_call_is_settling(&paid->meter);
}

const struct tool_entry TOOL_PAID = {
	.name = "paid",
	.start = paid_start,
	.cancel = paid_cancel,
	.is_charged = paid_is_charged,
};
