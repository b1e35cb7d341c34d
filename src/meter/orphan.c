/*
 * Holds whose calls are answered already and that are still to be given back, because the store
 * could not do it in time.
 */

#include "meter/internal.h"

#include <stdlib.h>

/* A hold that could not be released is tried again after this. */
#define ORPHAN_RETRY_MS 1000

struct orphan {
	struct meter *meter;
	struct loop_timer timer;
	struct caller caller;
	struct id call, lease, subject;
	bool is_limited;
	const char *tool;
	int64_t price_version;
	struct microusd held;
	char *idempotency_key;
	int64_t idempotency_day;
	struct orphan *next, *prev;
};

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
	cmd->subject = o->subject;
	cmd->is_limited = o->is_limited;
	cmd->price_version = o->price_version;
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

void orphan_adopt(struct meter_call *call)
{
	struct meter *m = call->meter;
	struct orphan *o = xzalloc(sizeof(*o));

	o->meter = m;
	o->caller = call->caller;
	o->call = call->id;
	o->lease = call->lease;
	o->tool = call->tool->name;
	o->subject = call->subject;
	o->is_limited = call->is_limited;
	o->price_version = call->price->version;
	o->held = call->needed;
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

void orphans_destroy(struct meter *m)
{
	/* Their lease runs out with this process. */
	while (m->orphans)
		orphan_destroy(m->orphans);
}
