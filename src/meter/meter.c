#include "meter/meter.h"

#include "base/limits.h"
#include "base/log.h"
#include "meter/internal.h"
#include "meter/price_store.h"
#include "meter/stored.h"

#include <stdlib.h>
#include <string.h>

/* How long a second call with the same key waits before it looks again: doubling. */
#define JOIN_WAIT_MS_FIRST 5
#define JOIN_WAIT_MS_MAX   200

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

static void submit_hold(struct meter_call *call);

static void become(struct meter_call *call, enum call_state next)
{
	CHECK(MAY_BECOME[call->state] & 1 << next);
	call->state = next;
}

struct meter *meter_create(struct loop *loop, struct wallet *wallet, struct guard_config guard)
{
	struct meter *m = xzalloc(sizeof(*m));

	m->loop = loop;
	m->wallet = wallet;
	m->guard = guard;
	return m;
}

void meter_destroy(struct meter *m)
{
	if (!m)
		return;
	CHECK(!m->calls);
	orphans_destroy(m);
	free(m->versions);
	free(m);
}

size_t meter_in_flight(const struct meter *m)
{
	return m->calls_count;
}

bool meter_is_guarded(const struct meter *m)
{
	return m->guard.released || m->guard.repeated;
}

struct guard_config meter_guard(const struct meter *m)
{
	return m->guard;
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
	cmd->price_version = call->price->version;
	cmd->lease = call->lease;
	cmd->subject = call->subject;
	cmd->is_limited = call->is_limited;
	cmd->is_real = call->is_real;
	cmd->digest = call->digest;
	cmd->deadline = call->deadline;
	if (call->idempotency_key) {
		cmd->idempotency_key = xstrdup(call->idempotency_key);
		cmd->idempotency_day = call->idempotency_day;
	}
	cmd->done = done;
	cmd->arg = call;
	return cmd;
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
		orphan_adopt(call);
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

static void release(struct meter_call *call, enum meter_outcome outcome, enum guard_mark mark)
{
	struct wallet_cmd *cmd = command(call, WALLET_OP_RELEASE, on_released);

	become(call, CALL_RELEASING);
	loop_timer_cancel(&call->timer);
	call->outcome = outcome;
	call->charge = (struct charge){.amount = MICROUSD_ZERO};
	cmd->held = call->needed;
	cmd->guard = meter_is_guarded(call->meter) ? mark : GUARD_NO_MARK;
	give_riders(call, cmd);
	wallet_submit(call->meter->wallet, cmd);
}

/* Never in silence: the platform bears what could not be charged. */
static void note_charge(struct meter_call *call, const struct wallet_cmd *cmd)
{
	char id[ID_TEXT_SIZE], usd[MONEY_TEXT_SIZE];

	call->receipt = cmd->receipt;
	call->charge.amount = cmd->charged;
	call->written_off = cmd->written_off;
	if (microusd_sign(cmd->written_off) == 0)
		return;
	id_text("call", call->id, id);
	usd_text(cmd->written_off, usd);
	log_warn("event=written_off call=%s tool=%s usd=%s", id, call->tool->name, usd);
}

static void on_captured(struct wallet_cmd *cmd)
{
	struct meter_call *call = cmd->arg;
	char id[ID_TEXT_SIZE];

	if (cmd->outcome == WALLET_UNAVAILABLE) {
		/* Not durable, so it does not leave the process. */
		call->charge = (struct charge){.amount = MICROUSD_ZERO};
		orphan_adopt(call);
		finish(call, METER_STORE);
		return;
	}
	note_after(call, cmd);
	if (cmd->outcome == WALLET_OK) {
		note_charge(call, cmd);
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
	cmd->held = call->needed;
	cmd->amount = call->charge.amount;
	cmd->may_exceed = call->price->kind == PRICE_LLM;
	cmd->has_cap = call->has_cap;
	cmd->cap = call->cap;
	if (call->idempotency_key)
		stored_result_write(call, outcome, &cmd->result, &cmd->result_len);
	give_riders(call, cmd);
	wallet_submit(call->meter->wallet, cmd);
}

/* No answer, or not all of it: what came before its first byte of content costs nothing. */
static void fail(struct meter_call *call, enum meter_outcome outcome)
{
	if (!call->result.has_begun) {
		release(call, outcome, GUARD_RELEASED);
		return;
	}
	charge_broken(call);
	capture(call, outcome);
}

static void on_executed(struct execution *x, struct provider_result *result)
{
	struct meter_call *call = container_of(x, struct meter_call, execution);

	CHECK(call->state == CALL_EXECUTING);
	call->result = *result;
	call->was_executed = true;
	switch (call->result.outcome) {
	case PROVIDER_OK:
		charge_answer(call);
		capture(call, METER_OK);
		return;
	case PROVIDER_OK_FREE:
		release(call, METER_OK, GUARD_NO_NEWS);
		return;
	case PROVIDER_TOOL_FAILED:
		if (call->tool->charge_on_error) {
			charge_answer(call);
			capture(call, METER_TOOL_FAILED);
		} else {
			release(call, METER_TOOL_FAILED, GUARD_RELEASED);
		}
		return;
	case PROVIDER_INVALID:
		release(call, METER_INVALID, GUARD_RELEASED);
		return;
	case PROVIDER_REJECTED:
		fail(call, METER_REJECTED);
		return;
	case PROVIDER_FAILED:
		fail(call, METER_FAILED);
		return;
	case PROVIDER_TIMEOUT:
		fail(call, METER_TIMEOUT);
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
	call->result.may_have_run = call->execution.may_have_run;
	call->result.has_begun = call->execution.has_begun;
	call->result.usage = call->execution.usage;
	call->result.output_bytes = call->execution.output_bytes;
	fail(call, outcome);
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
		.own_key = call->own_key,
		.max_output = price_llm_max_output(call->price, call->arguments),
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
	return call->has_cap && microusd_cmp(call->needed, call->cap) > 0;
}

/* The place of a version among those that the store has; where it would stand. */
static size_t version_place(const struct meter *m, int64_t version)
{
	size_t low = 0, high = m->versions_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (m->versions[middle] < version)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool version_is_stored(const struct meter *m, int64_t version)
{
	size_t at = version_place(m, version);

	return at < m->versions_count && m->versions[at] == version;
}

static void version_note(struct meter *m, int64_t version)
{
	size_t at = version_place(m, version);

	if (at < m->versions_count && m->versions[at] == version)
		return;
	m->versions = xrealloc_array(m->versions, m->versions_count + 1, sizeof(*m->versions));
	memmove(&m->versions[at + 1], &m->versions[at],
		(m->versions_count - at) * sizeof(*m->versions));
	m->versions[at] = version;
	m->versions_count++;
}

static bool may_hold(const struct meter_call *call)
{
	return call->has_bound && !over_cap(call);
}

/* A call that passes no hold now, and whose key is not known. */
static void refuse(struct meter_call *call)
{
	if (may_hold(call)) {
		finish(call, METER_SPENT);
		return;
	}
	if (call->has_bound) {
		finish(call, METER_OVER_CAP);
		return;
	}
	CHECK(!price_bound(call->price, call->arguments, call->own_key != NULL, &call->needed,
			   &call->result.err));
	finish(call, METER_UNPRICED);
}

static void begin(struct meter_call *call, const struct wallet_cmd *cmd)
{
	call->lease = cmd->lease;
	call->subject = cmd->subject;
	call->is_limited = cmd->is_limited;
	call->is_real = cmd->is_real;
	call->receipt = cmd->receipt;
	call->idempotency_day = cmd->idempotency_day;
	version_note(call->meter, call->price->version);
	if (call->is_cancelled)
		release(call, METER_CANCELLED, GUARD_RELEASED);
	else
		execute(call);
}

/* What a limit or the guard saw. */
static void note_refusal(struct meter_call *call, const struct wallet_cmd *cmd)
{
	call->key_limit.limit = cmd->key_limit.limit;
	call->key_limit.used = cmd->key_limit.used;
	call->key_limit.resets = cmd->key_limit.resets;
	call->retry_after_ms = cmd->retry_after_ms;
	call->seen.made = cmd->seen.made;
	call->seen.released = cmd->seen.released;
}

static void on_held(struct wallet_cmd *cmd)
{
	struct meter_call *call = cmd->arg;

	if (cmd->outcome != WALLET_UNAVAILABLE && cmd->outcome != WALLET_UNAUTHENTICATED &&
	    cmd->outcome != WALLET_NO_ORG)
		note_after(call, cmd);
	note_refusal(call, cmd);
	switch (cmd->outcome) {
	case WALLET_OK:
		if (cmd->op == WALLET_OP_LOOKUP)
			refuse(call);
		else
			begin(call, cmd);
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
	case WALLET_OVER_KEY_DAY:
		finish(call, METER_OVER_KEY_DAY);
		return;
	case WALLET_OVER_KEY_MONTH:
		finish(call, METER_OVER_KEY_MONTH);
		return;
	case WALLET_RATE_LIMITED:
		finish(call, METER_RATE_LIMITED);
		return;
	case WALLET_LOOP:
		finish(call, METER_LOOP);
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
	case WALLET_FORBIDDEN:
		break;
	}
	die("hold ended with %d", (int)cmd->outcome);
}

static void submit_hold(struct meter_call *call)
{
	/* The key comes before price and guards: a repeated call is answered from the store even
	 * when it could not be paid or passes the caller's cap now. */
	enum wallet_op op = may_hold(call) ? WALLET_OP_HOLD : WALLET_OP_LOOKUP;
	struct wallet_cmd *cmd = command(call, op, on_held);

	become(call, CALL_HOLDING);
	cmd->amount = call->needed;
	cmd->rate = call->tool->rate;
	cmd->is_guarded = meter_is_guarded(call->meter);
	if (call->prepare_hold)
		call->prepare_hold(call, cmd);
	if (op == WALLET_OP_HOLD && !version_is_stored(call->meter, call->price->version))
		wallet_cmd_add_rider(cmd, price_rider(call->price));
	wallet_submit(call->meter->wallet, cmd);
}

void meter_call_start(struct meter *m, struct meter_call *call)
{
	call->meter = m;
	call->state = CALL_NEW;
	call->id = wallet_new_id(m->wallet);
	provider_result_init(&call->result);
	call->has_bound = price_bound(call->price, call->arguments, call->own_key != NULL,
				      &call->needed, NULL);
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
