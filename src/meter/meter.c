#include "meter/meter.h"

#include "base/limits.h"
#include "base/log.h"
#include "meter/stored.h"
#include "json/edge.h"
#include "json/emit.h"

#include <stdlib.h>
#include <string.h>

/* How long a second call with the same key waits before it looks again: doubling. */
#define JOIN_WAIT_MS_FIRST 5
#define JOIN_WAIT_MS_MAX   200
/* A hold that could not be released is tried again after this. */
#define ORPHAN_RETRY_MS    1000

enum call_state {
	CALL_NEW,
	CALL_HOLDING,
	CALL_JOINING,
	CALL_EXECUTING,
	CALL_SETTLING,
	CALL_RELEASING,
	CALL_DONE,
};

/* Which state may follow which; the only place that says so. */
static const uint8_t MAY_BECOME[] = {
	[CALL_NEW] = 1 << CALL_HOLDING | 1 << CALL_DONE,
	[CALL_HOLDING] = 1 << CALL_JOINING | 1 << CALL_EXECUTING | 1 << CALL_RELEASING |
			 1 << CALL_DONE,
	[CALL_JOINING] = 1 << CALL_HOLDING | 1 << CALL_DONE,
	[CALL_EXECUTING] = 1 << CALL_SETTLING | 1 << CALL_RELEASING,
	[CALL_SETTLING] = 1 << CALL_DONE,
	[CALL_RELEASING] = 1 << CALL_DONE,
	[CALL_DONE] = 0,
};

struct orphan;

struct meter {
	struct loop *loop;
	struct wallet *wallet;
	struct meter_call *calls;
	size_t calls_count;
	struct orphan *orphans;
	void (*watch)(void *arg, struct id org);
	void *watch_arg;
};

/* A hold whose call is answered already and that is still to be given back. */
struct orphan {
	struct meter *meter;
	struct loop_timer timer;
	struct caller caller;
	struct id call, lease;
	const char *tool;
	struct microusd held;
	char *idempotency_key;
	int64_t idempotency_day;
	struct orphan *next, *prev;
};

static void submit_hold(struct meter_call *call);

static void become(struct meter_call *call, enum call_state next)
{
	CHECK(MAY_BECOME[call->state] & 1 << next);
	call->state = next;
}

struct meter *meter_create(struct loop *loop, struct wallet *wallet)
{
	struct meter *m = xzalloc(sizeof(*m));

	m->loop = loop;
	m->wallet = wallet;
	return m;
}

static void orphan_destroy(struct orphan *o)
{
	loop_timer_cancel(&o->timer);
	if (o->prev)
		o->prev->next = o->next;
	else
		o->meter->orphans = o->next;
	if (o->next)
		o->next->prev = o->prev;
	free(o->idempotency_key);
	free(o);
}

void meter_destroy(struct meter *m)
{
	if (!m)
		return;
	CHECK(!m->calls);
	/* Their lease runs out with this process. */
	while (m->orphans)
		orphan_destroy(m->orphans);
	free(m);
}

size_t meter_in_flight(const struct meter *m)
{
	return m->calls_count;
}

void meter_set_watch(struct meter *m, void (*fn)(void *arg, struct id org), void *arg)
{
	m->watch = fn;
	m->watch_arg = arg;
}

static void watch(struct meter *m, struct id org)
{
	if (m->watch)
		m->watch(m->watch_arg, org);
}

static void finish(struct meter_call *call, enum meter_outcome outcome)
{
	struct meter *m = call->meter;

	become(call, CALL_DONE);
	call->outcome = outcome;
	loop_timer_cancel(&call->timer);
	if (call->prev)
		call->prev->next = call->next;
	else
		m->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	m->calls_count--;
	call->done(call);
}

void meter_call_finish(struct meter_call *call)
{
	provider_result_finish(&call->result);
}

static struct wallet_cmd *command(struct meter_call *call, enum wallet_op op, wallet_cmd_fn *done)
{
	struct wallet_cmd *cmd = wallet_cmd_create(op, call->caller);

	cmd->id = call->id;
	cmd->tool = call->tool->name;
	cmd->price_version = call->tool->price.version;
	cmd->lease = call->lease;
	cmd->deadline = call->deadline;
	if (call->idempotency_key) {
		cmd->idempotency_key = xstrdup(call->idempotency_key);
		cmd->idempotency_day = call->idempotency_day;
		cmd->digest = call->digest;
	}
	cmd->done = done;
	cmd->arg = call;
	return cmd;
}

static void orphan_submit(struct orphan *o);

static void on_orphan_released(struct wallet_cmd *cmd)
{
	struct orphan *o = cmd->arg;

	if (cmd->outcome == WALLET_UNAVAILABLE)
		loop_timer_in(&o->timer, ORPHAN_RETRY_MS);
	else
		orphan_destroy(o);
}

static void on_orphan_time(void *arg)
{
	orphan_submit(arg);
}

static void orphan_submit(struct orphan *o)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RELEASE, o->caller);

	cmd->id = o->call;
	cmd->tool = o->tool;
	cmd->lease = o->lease;
	cmd->held = o->held;
	cmd->may_be_absent = true;
	if (o->idempotency_key) {
		cmd->idempotency_key = xstrdup(o->idempotency_key);
		cmd->idempotency_day = o->idempotency_day;
	}
	cmd->done = on_orphan_released;
	cmd->arg = o;
	wallet_submit(o->meter->wallet, cmd);
}

void meter_release_now(struct meter *m)
{
	for (struct orphan *o = m->orphans; o; o = o->next) {
		if (!loop_timer_is_set(&o->timer))
			continue;
		loop_timer_cancel(&o->timer);
		orphan_submit(o);
	}
}

/* The store could not end this hold in time: the caller is told, and the hold is tried again as
 * long as this process lives; after that its lease runs out. */
static void abandon_hold(struct meter_call *call)
{
	struct meter *m = call->meter;
	struct orphan *o = xzalloc(sizeof(*o));

	o->meter = m;
	o->caller = call->caller;
	o->call = call->id;
	o->lease = call->lease;
	o->tool = call->tool->name;
	o->held = call->tool->price.bound;
	o->idempotency_day = call->idempotency_day;
	if (call->idempotency_key)
		o->idempotency_key = xstrdup(call->idempotency_key);
	o->next = m->orphans;
	if (o->next)
		o->next->prev = o;
	m->orphans = o;
	loop_timer_init(&o->timer, m->loop, on_orphan_time, o);
	loop_timer_in(&o->timer, ORPHAN_RETRY_MS);
}

static void note_after(struct meter_call *call, const struct wallet_cmd *cmd)
{
	call->after = cmd->after;
	call->has_after = true;
}

static void give_riders(struct meter_call *call, struct wallet_cmd *cmd)
{
	if (!call->result.riders)
		return;
	wallet_cmd_add_rider(cmd, call->result.riders);
	call->result.riders = NULL;
}

/* RELEASE. `outcome` of the call is kept in the meantime. */
static void on_released(struct wallet_cmd *cmd)
{
	struct meter_call *call = cmd->arg;

	if (cmd->outcome == WALLET_UNAVAILABLE) {
		abandon_hold(call);
		finish(call, call->outcome == METER_CANCELLED ? METER_CANCELLED : METER_STORE);
		return;
	}
	note_after(call, cmd);
	call->was_released = true;
	if (cmd->outcome == WALLET_OK)
		call->receipt = cmd->receipt;
	watch(call->meter, call->caller.org);
	finish(call, call->outcome);
}

static void release(struct meter_call *call, enum meter_outcome outcome)
{
	struct wallet_cmd *cmd = command(call, WALLET_OP_RELEASE, on_released);

	become(call, CALL_RELEASING);
	loop_timer_cancel(&call->timer);
	call->outcome = outcome;
	call->charge = (struct charge){.amount = MICROUSD_ZERO};
	cmd->held = call->tool->price.bound;
	give_riders(call, cmd);
	wallet_submit(call->meter->wallet, cmd);
}

static void on_captured(struct wallet_cmd *cmd)
{
	struct meter_call *call = cmd->arg;
	char id[ID_TEXT_SIZE];

	if (cmd->outcome == WALLET_UNAVAILABLE) {
		/* Not durable, so it does not leave the process. */
		call->charge = (struct charge){.amount = MICROUSD_ZERO};
		abandon_hold(call);
		finish(call, METER_STORE);
		return;
	}
	note_after(call, cmd);
	if (cmd->outcome == WALLET_OK) {
		call->receipt = cmd->receipt;
	} else {
		id_text("call", call->id, id);
		log_warn("event=delivered_unpaid call=%s tool=%s reason=hold_expired", id,
			 call->tool->name);
		call->was_unpaid = true;
		call->charge = (struct charge){.amount = MICROUSD_ZERO};
	}
	watch(call->meter, call->caller.org);
	finish(call, call->outcome);
}

static void capture(struct meter_call *call, enum meter_outcome outcome)
{
	struct wallet_cmd *cmd = command(call, WALLET_OP_CAPTURE, on_captured);

	become(call, CALL_SETTLING);
	loop_timer_cancel(&call->timer);
	call->outcome = outcome;
	cmd->held = call->tool->price.bound;
	cmd->amount = call->charge.amount;
	if (call->idempotency_key)
		stored_result_write(call, outcome, &cmd->result, &cmd->result_len);
	give_riders(call, cmd);
	wallet_submit(call->meter->wallet, cmd);
}

/* What the execution costs. An answer without a usable cost charges the bound: the work was done,
 * and missing usage is never zero. */
static void price_execution(struct meter_call *call)
{
	const struct price *price = &call->tool->price;
	CLEANUP(edge_decref) json_t *root = NULL;
	struct err err = ERR_INIT;

	if (price_needs_result(price)) {
		json_t *result = edge_parse(buf_slice(&call->result.structured), NULL);

		root = json_object();
		CHECK(json_object_set(root, "arguments", call->arguments) == 0);
		CHECK(json_object_set_new(root, "result", result ? result : json_null()) == 0);
	}
	if (price_charge(price, root, &call->charge, &err))
		return;
	log_warn("event=usage_missing tool=%s charged=bound reason=%s", call->tool->name,
		 log_quote(err.text));
	call->charge = (struct charge){.amount = price->bound};
}

static void on_executed(struct execution *x, struct provider_result *result)
{
	struct meter_call *call = container_of(x, struct meter_call, execution);

	CHECK(call->state == CALL_EXECUTING);
	call->result = *result;
	call->was_executed = true;
	switch (call->result.outcome) {
	case PROVIDER_OK:
		price_execution(call);
		capture(call, METER_OK);
		return;
	case PROVIDER_OK_FREE:
		release(call, METER_OK);
		return;
	case PROVIDER_TOOL_FAILED:
		if (call->tool->charge_on_error) {
			price_execution(call);
			capture(call, METER_TOOL_FAILED);
		} else {
			release(call, METER_TOOL_FAILED);
		}
		return;
	case PROVIDER_REJECTED:
		release(call, METER_REJECTED);
		return;
	case PROVIDER_FAILED:
		release(call, METER_FAILED);
		return;
	case PROVIDER_TIMEOUT:
		release(call, METER_TIMEOUT);
		return;
	}
	die("provider outcome %d", (int)call->result.outcome);
}

static void on_progress(struct execution *x, const char *message)
{
	struct meter_call *call = container_of(x, struct meter_call, execution);

	call->progress(call, message);
}

static void stop_execution(struct meter_call *call, enum meter_outcome outcome)
{
	provider_cancel(call->tool->provider, &call->execution);
	call->was_executed = true;
	release(call, outcome);
}

static void execute(struct meter_call *call)
{
	struct execution *x = &call->execution;
	int64_t left_ms = call->deadline.ms - clock_boot().ms;
	int64_t timeout_ms = call->tool->timeout_ms < left_ms ? call->tool->timeout_ms : left_ms;

	become(call, CALL_EXECUTING);
	*x = (struct execution){
		.tool = call->tool->name,
		.caller = call->caller,
		.call = call->id,
		.arguments = call->arguments,
		.timeout_ms = timeout_ms > 1 ? timeout_ms : 1,
		.progress = call->progress ? on_progress : NULL,
		.done = on_executed,
	};
	loop_timer_in(&call->timer, x->timeout_ms);
	provider_start(call->tool->provider, x);
}

/* The timer means: the provider's time is over, or look again for the call with the same key. */
static void on_time(void *arg)
{
	struct meter_call *call = arg;

	if (call->state == CALL_EXECUTING) {
		stop_execution(call, METER_TIMEOUT);
		return;
	}
	CHECK(call->state == CALL_JOINING);
	if (clock_boot().ms >= call->deadline.ms) {
		finish(call, METER_TIMEOUT);
		return;
	}
	submit_hold(call);
}

static void join(struct meter_call *call)
{
	int64_t left_ms = call->deadline.ms - clock_boot().ms;

	call->join_wait_ms = call->join_wait_ms ? 2 * call->join_wait_ms : JOIN_WAIT_MS_FIRST;
	if (call->join_wait_ms > JOIN_WAIT_MS_MAX)
		call->join_wait_ms = JOIN_WAIT_MS_MAX;
	become(call, CALL_JOINING);
	loop_timer_in(&call->timer, left_ms < call->join_wait_ms ? (left_ms > 0 ? left_ms : 0)
								 : call->join_wait_ms);
}

static void replay(struct meter_call *call, const struct wallet_cmd *cmd)
{
	call->id = cmd->stored_call;
	call->receipt = cmd->stored_receipt;
	call->charge.amount = cmd->stored_charge;
	if (!cmd->stored) {
		finish(call, METER_REPLAY_LOST);
		return;
	}
	if (stored_result_read(call, (struct slice){.p = cmd->stored, .len = cmd->stored_len}))
		finish(call, METER_REPLAYED);
	else
		finish(call, METER_REPLAY_LOST);
}

static bool over_cap(const struct meter_call *call)
{
	return call->has_cap && microusd_cmp(call->tool->price.bound, call->cap) > 0;
}

static void on_held(struct wallet_cmd *cmd)
{
	struct meter_call *call = cmd->arg;

	if (cmd->outcome != WALLET_UNAVAILABLE && cmd->outcome != WALLET_UNAUTHENTICATED &&
	    cmd->outcome != WALLET_NO_ORG)
		note_after(call, cmd);
	call->needed = call->tool->price.bound;
	switch (cmd->outcome) {
	case WALLET_OK:
		if (cmd->op == WALLET_OP_LOOKUP) {
			finish(call, METER_OVER_CAP);
			return;
		}
		call->lease = cmd->lease;
		call->receipt = cmd->receipt;
		call->idempotency_day = cmd->idempotency_day;
		if (call->is_cancelled)
			release(call, METER_CANCELLED);
		else
			execute(call);
		return;
	case WALLET_REPLAY:
		replay(call, cmd);
		return;
	case WALLET_IN_FLIGHT:
		if (call->is_cancelled)
			finish(call, METER_CANCELLED);
		else
			join(call);
		return;
	case WALLET_CONFLICT:
		finish(call, METER_CONFLICT);
		return;
	case WALLET_INSUFFICIENT:
	case WALLET_OVERFLOW:
		watch(call->meter, call->caller.org);
		finish(call, METER_INSUFFICIENT);
		return;
	case WALLET_OVER_BUDGET:
		finish(call, METER_OVER_BUDGET);
		return;
	case WALLET_UNAUTHENTICATED:
	case WALLET_NO_ORG:
		finish(call, METER_UNAUTHENTICATED);
		return;
	case WALLET_UNAVAILABLE:
		finish(call, METER_STORE);
		return;
	case WALLET_GONE:
	case WALLET_DUPLICATE:
		break;
	}
	die("hold ended with %d", (int)cmd->outcome);
}

static void submit_hold(struct meter_call *call)
{
	/* The key comes before price and guards: a repeated call is answered from the store even
	 * when it could not be paid or passes the caller's cap now. */
	enum wallet_op op = over_cap(call) ? WALLET_OP_LOOKUP : WALLET_OP_HOLD;
	struct wallet_cmd *cmd = command(call, op, on_held);

	become(call, CALL_HOLDING);
	cmd->amount = call->tool->price.bound;
	wallet_submit(call->meter->wallet, cmd);
}

void meter_call_start(struct meter *m, struct meter_call *call)
{
	call->meter = m;
	call->state = CALL_NEW;
	call->id = wallet_new_id(m->wallet);
	provider_result_init(&call->result);
	loop_timer_init(&call->timer, m->loop, on_time, call);
	call->prev = NULL;
	call->next = m->calls;
	if (call->next)
		call->next->prev = call;
	m->calls = call;
	m->calls_count++;
	submit_hold(call);
}

void meter_call_cancel(struct meter_call *call)
{
	if (call->is_cancelled)
		return;
	call->is_cancelled = true;
	switch ((enum call_state)call->state) {
	case CALL_EXECUTING:
		stop_execution(call, METER_CANCELLED);
		return;
	case CALL_JOINING:
		finish(call, METER_CANCELLED);
		return;
	case CALL_NEW:
	case CALL_HOLDING:  /* looked at when the hold is there */
	case CALL_SETTLING: /* too late: the reply is sent */
	case CALL_RELEASING:
	case CALL_DONE:
		return;
	}
}

bool meter_call_is_settling(const struct meter_call *call)
{
	return call->state == CALL_SETTLING;
}

void meter_usage(const struct meter_call *call, struct buf *out)
{
	char receipt[DIGEST_TEXT_SIZE];
	struct emit e;

	emit_init(&e, out);
	emit_object(&e);
	emit_key_usd(&e, "cost", call->charge.amount);
	emit_key_text(&e, "currency", "USD");
	emit_key_tokens(&e, "tokens", call->charge.amount);
	emit_key_usd(&e, "credits_remaining", call->after.available);
	if (call->charge.has_raw_cost) {
		emit_key(&e, "raw_cost");
		emit_decimal(&e, call->charge.raw_cost);
		emit_key(&e, "markup");
		emit_decimal(&e, call->charge.markup);
	}
	emit_key_id(&e, "call_id", "call", call->id);
	if (call->outcome == METER_STORE) {
		emit_key(&e, "receipt");
		emit_null(&e);
	} else {
		digest_text(&call->receipt, receipt);
		emit_key_text(&e, "receipt", receipt);
	}
	if (call->outcome == METER_REPLAYED)
		emit_key_bool(&e, "replayed", true);
	emit_object_end(&e);
	emit_done(&e);
}
