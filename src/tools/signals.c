/*
 * set_signals_order, get_signals_order, and detect_signal: a free tool that makes one metered call
 * for each detector, in the org's order, each its own hold and settlement.
 */

#include "signals/signals_store.h"

#include "base/limits.h"
#include "tools/internal.h"
#include "wallet/account.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

struct detect_run {
	const struct tool *tool;
	const char *status;
	struct microusd tokens;
};

struct detect {
	struct tool_call *call;
	struct order_read order;
	struct detect_run runs[DETECTORS_MAX];
	size_t runs_count, next;
	bool stops_at_hit;
	struct meter_call meter;
	bool is_metering;
	char *idempotency_key; /* of the detector that runs */
	json_t *arguments;     /* {"company": ...} */
	struct microusd spent;
	json_t *signals;
	struct wallet_view view;
	bool is_there;
};

static void run_next(struct detect *d);

static void detect_finish(struct tool_call *call)
{
	struct detect *d = call->state;

	CHECK(!d->is_metering);
	order_read_finish(&d->order);
	free(d->idempotency_key);
	json_decref(d->arguments);
	json_decref(d->signals);
	free(d);
}

static struct detect *begin(struct tool_call *call)
{
	struct detect *d = xzalloc(sizeof(*d));

	d->call = call;
	call->state = d;
	call->finish = detect_finish;
	return d;
}

/* The order as it was set: names that are no detectors (any more) are left out. Never set: all of
 * them as the registry has them. */
static void fill_order(struct detect *d)
{
	const struct tools *tools = d->call->tools;
	const struct tool *tool;
	const char *names = d->order.names;

	if (!names) {
		for (size_t i = 0; i < DETECTORS_MAX && (tool = tools_detector(tools, i)); i++)
			d->runs[d->runs_count++].tool = tool;
		return;
	}
	while (*names && d->runs_count < DETECTORS_MAX) {
		struct slice name = {.p = names, .len = strcspn(names, " ")};

		tool = tools_detector_by_name(tools, name);
		if (tool)
			d->runs[d->runs_count++].tool = tool;
		names += name.len + (names[name.len] == ' ');
	}
}

static void read_order(struct detect *d, void (*done)(struct order_read *read))
{
	d->order.org = d->call->caller.org;
	d->order.deadline = d->call->deadline;
	d->order.done = done;
	d->order.arg = d;
	order_read_start(&d->order, d->call->tools->config.wallet);
}

static void reply_order(struct tool_call *call, const struct detect *d)
{
	struct buf out = BUF_INIT;
	struct emit e;

	emit_init(&e, &out);
	emit_object(&e);
	emit_key(&e, "order");
	emit_array(&e);
	for (size_t i = 0; i < d->runs_count; i++)
		emit_text(&e, d->runs[i].tool->detector->name);
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

static void get_order_done(struct order_read *read)
{
	struct detect *d = read->arg;

	if (read->is_failed) {
		tool_call_fail(d->call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	fill_order(d);
	reply_order(d->call, d);
}

static void get_order_start(struct tool_call *call)
{
	read_order(begin(call), get_order_done);
}

static void on_order_set(struct wallet_cmd *cmd)
{
	struct tool_call *call = cmd->arg;

	if (cmd->outcome == WALLET_OK)
		reply_order(call, call->state);
	else
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
}

/* Names of detectors in an argument; false when the call has ended. */
static bool read_names(struct tool_call *call, const char *field, const json_t *names,
		       struct detect *d)
{
	size_t i;
	json_t *name;

	json_array_foreach (names, i, name) {
		const struct tool *tool = tools_detector_by_name(call->tools, edge_slice(name));

		if (!tool || d->runs_count == DETECTORS_MAX) {
			CLEANUP(free_charp) char *at = xasprintf("%s.%zu", field, i);

			tool_call_bad_field(call, at, "there is no such detector");
			return false;
		}
		d->runs[d->runs_count++].tool = tool;
	}
	return true;
}

static void set_order_start(struct tool_call *call)
{
	struct detect *d = begin(call);
	struct wallet_cmd *cmd;
	struct buf names = BUF_INIT;

	if (!read_names(call, "order", json_object_get(call->arguments, "order"), d))
		return;
	for (size_t i = 0; i < d->runs_count; i++)
		buf_printf(&names, "%s%s", i ? " " : "", d->runs[i].tool->detector->name);
	cmd = wallet_cmd_create(WALLET_OP_RIDERS, call->caller);
	wallet_cmd_add_rider(cmd, order_rider(call->caller.org, buf_text(&names)));
	cmd->deadline = call->deadline;
	cmd->done = on_order_set;
	cmd->arg = call;
	wallet_submit(call->tools->config.wallet, cmd);
	buf_finish(&names);
}

static bool view_step(struct wallet_query *query, struct db *db)
{
	struct tool_call *call = tool_call_of(query);
	struct detect *d = call->state;

	if (wallet_view_read(db, call->caller.org, &d->is_there, &d->view) != DB_OK)
		query->is_failed = true;
	return true;
}

static void emit_total(struct emit *e, const struct detect *d)
{
	emit_object(e);
	emit_key_usd(e, "cost", d->spent);
	emit_key_text(e, "currency", "USD");
	emit_key_tokens(e, "tokens", d->spent);
	emit_key_usd(e, "credits_remaining", wallet_spendable(&d->view));
	emit_object_end(e);
}

static void emit_detected(struct emit *e, const struct detect *d)
{
	emit_object(e);
	emit_key(e, "company");
	emit_json(e, json_object_get(d->call->arguments, "company"));
	emit_key(e, "signals");
	emit_json(e, d->signals);
	emit_key(e, "ran");
	emit_array(e);
	for (size_t i = 0; i < d->runs_count; i++) {
		const struct detect_run *run = &d->runs[i];

		emit_object(e);
		emit_key_text(e, "detector", run->tool->detector->name);
		emit_key_text(e, "status", run->status ? run->status : "skipped");
		emit_key_tokens(e, "tokens", run->tokens);
		emit_object_end(e);
	}
	emit_array_end(e);
	emit_key(e, "usage");
	emit_total(e, d);
	emit_object_end(e);
	emit_done(e);
}

static void view_done(struct wallet_query *query)
{
	struct tool_call *call = tool_call_of(query);
	struct detect *d = call->state;
	struct buf out = BUF_INIT;
	struct tool_reply reply;
	struct emit e;

	if (query->is_failed || !d->is_there) {
		tool_call_fail(call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	tool_reply_init(&reply);
	emit_init(&e, &out);
	emit_detected(&e, d);
	tool_reply_structured(&reply, buf_slice(&out));
	buf_finish(&out);
	emit_init(&e, &reply.meta);
	emit_key(&e, "farebox/usage");
	emit_total(&e, d);
	tool_call_reply(call, &reply);
}

/* Takes what a detector found; its status in `ran`. */
static const char *take_answer(struct detect *d)
{
	CLEANUP(edge_decref)
	json_t *answer = edge_parse(buf_slice(&d->meter.result.structured), NULL);
	json_t *found = json_object_get(answer, "signals");

	if (json_array_size(found))
		CHECK(json_array_extend(d->signals, found) == 0);
	if (json_is_true(json_object_get(answer, "unchanged")))
		return "unchanged";
	return json_array_size(found) ? "hit" : "none";
}

/* True when the whole call ends with this detector's error. */
static bool ends_call(const struct detect *d)
{
	switch (d->meter.outcome) {
	case METER_UNAUTHENTICATED:
	case METER_CONFLICT:
	case METER_REPLAY_LOST:
		return true;
	case METER_CANCELLED: /* what was paid for before is still told */
		return microusd_sign(d->spent) == 0;
	case METER_STORE:
		return d->next == 0;
	case METER_OK:
	case METER_REPLAYED:
	case METER_TOOL_FAILED:
	case METER_INSUFFICIENT:
	case METER_OVER_BUDGET:
	case METER_OVER_CAP:
	case METER_OVER_KEY_DAY:
	case METER_OVER_KEY_MONTH:
	case METER_UNPRICED:
	case METER_SPENT:
	case METER_RATE_LIMITED:
	case METER_LOOP:
	case METER_INVALID:
	case METER_REJECTED:
	case METER_FAILED:
	case METER_TIMEOUT:
		break;
	}
	return false;
}

static const char *status_of(struct detect *d)
{
	switch (d->meter.outcome) {
	case METER_OK:
	case METER_REPLAYED:
		return take_answer(d);
	case METER_INSUFFICIENT:
	case METER_OVER_BUDGET:
	case METER_OVER_KEY_DAY:
	case METER_OVER_KEY_MONTH:
		return "insufficient_credits";
	case METER_OVER_CAP:
	case METER_CANCELLED:
	case METER_RATE_LIMITED:
	case METER_LOOP:
		return "skipped";
	case METER_TOOL_FAILED:
	case METER_UNAUTHENTICATED:
	case METER_CONFLICT:
	case METER_REPLAY_LOST:
	case METER_UNPRICED:
	case METER_SPENT:
	case METER_INVALID:
	case METER_REJECTED:
	case METER_FAILED:
	case METER_TIMEOUT:
	case METER_STORE:
		break;
	}
	return "failed";
}

static void report_progress(struct detect *d, const struct detect_run *run)
{
	CLEANUP(free_charp)
	char *text = xasprintf("%s: %s", run->tool->detector->name, run->status);

	if (d->call->progress)
		d->call->progress(d->call->arg, text);
}

static void on_metered(struct meter_call *meter)
{
	struct detect *d = container_of(meter, struct detect, meter);
	struct detect_run *run = &d->runs[d->next];
	struct tool_error error;
	bool is_hit;

	d->is_metering = false;
	if (ends_call(d)) {
		meter_error(d->call->tools, meter, &error);
		meter_call_finish(meter);
		tool_call_error(d->call, &error);
		return;
	}
	run->status = status_of(d);
	run->tokens = meter->outcome == METER_REPLAYED ? MICROUSD_ZERO : meter->charge.amount;
	d->spent = microusd_plus(d->spent, run->tokens);
	is_hit = strcmp(run->status, "hit") == 0;
	meter_call_finish(meter);
	report_progress(d, run);
	d->next++;
	if (is_hit && d->stops_at_hit)
		d->next = d->runs_count;
	run_next(d);
}

static void meter_detector(struct detect *d, const struct tool *tool)
{
	struct tool_call *call = d->call;
	struct meter_call *meter = &d->meter;

	free(d->idempotency_key);
	d->idempotency_key = NULL;
	if (call->idempotency_key)
		d->idempotency_key = xasprintf("%s:%s", call->idempotency_key,
					       tool->detector->name);
	meter_prepare(call, tool, d->arguments, d->idempotency_key, meter);
	meter->done = on_metered;
	if (meter->has_cap)
		meter->cap = microusd_minus(meter->cap, d->spent);
	d->is_metering = true;
	meter_call_start(call->tools->config.meter, meter);
}

/* One after the other: what is left of the caller's cap is known before each. */
static void run_next(struct detect *d)
{
	if (d->next < d->runs_count && !d->call->is_cancelled)
		meter_detector(d, d->runs[d->next].tool);
	else
		tool_call_query(d->call, view_step, view_done);
}

static bool is_asked_for(const json_t *signals, const struct tool *tool)
{
	size_t i;
	json_t *name;

	json_array_foreach (signals, i, name) {
		if (slice_eq(edge_slice(name), tool->detector->name))
			return true;
	}
	return false;
}

/* Those that the call names, the ones of the org's order first. */
static void choose(struct detect *d, const struct detect *asked, const json_t *signals)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->runs_count; i++) {
		if (is_asked_for(signals, d->runs[i].tool))
			d->runs[kept++] = d->runs[i];
	}
	d->runs_count = kept;
	for (size_t i = 0; i < asked->runs_count; i++) {
		bool is_in = false;

		for (size_t k = 0; k < kept; k++)
			is_in = is_in || d->runs[k].tool == asked->runs[i].tool;
		if (!is_in && d->runs_count < DETECTORS_MAX)
			d->runs[d->runs_count++] = asked->runs[i];
	}
}

static void detect_order_done(struct order_read *read)
{
	struct detect *d = read->arg;
	const json_t *signals = json_object_get(d->call->arguments, "signals");
	struct detect asked = {.runs_count = 0};

	if (read->is_failed) {
		tool_call_fail(d->call, ERROR_STORE_UNAVAILABLE);
		return;
	}
	fill_order(d);
	if (signals) {
		if (!read_names(d->call, "signals", signals, &asked))
			return;
		choose(d, &asked, signals);
	}
	run_next(d);
}

static void detect_start(struct tool_call *call)
{
	const char *mode = json_string_value(json_object_get(call->arguments, "mode"));
	struct detect *d = begin(call);

	d->stops_at_hit = mode && strcmp(mode, "first") == 0;
	d->signals = json_array();
	d->arguments = json_object();
	CHECK(json_object_set(d->arguments, "company",
			      json_object_get(call->arguments, "company")) == 0);
	read_order(d, detect_order_done);
}

static void detect_cancel(struct tool_call *call)
{
	struct detect *d = call->state;

	if (d && d->is_metering)
		meter_call_cancel(&d->meter);
}

static bool detect_is_charged(const struct tool_call *call)
{
	const struct detect *d = call->state;

	return d && (microusd_sign(d->spent) != 0 ||
		     (d->is_metering && meter_call_is_settling(&d->meter)));
}

const struct tool_entry TOOLS_SIGNALS[] = {
	{.name = "set_signals_order", .scope = SCOPE_CALL, .start = set_order_start},
	{.name = "get_signals_order", .scope = SCOPE_CALL, .start = get_order_start},
	{.name = "detect_signal",
	 .scope = SCOPE_CALL,
	 .start = detect_start,
	 .cancel = detect_cancel,
	 .is_charged = detect_is_charged},
	{.name = NULL},
};
