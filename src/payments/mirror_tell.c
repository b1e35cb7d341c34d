/*
 * The mirror of one org in a round: work after work, until there is nothing more to tell of it now.
 *
 *	WORK -> (PLAN | TELL -> NOTE) -> WORK ...
 *
 * What fails is this org's alone: it is put off, longer each time, and said once. That the till
 * cannot be asked at all shows when several fail one after the other.
 */

#include "base/log.h"
#include "payments/mirror_room.h"

#include <stdlib.h>
#include <string.h>

static void work(struct teller *t);

static struct walltime now_of(const struct teller *t)
{
	return payments_now(t->m->p);
}

void teller_finish(struct teller *t)
{
	mirror_work_finish(&t->work);
	gateway_call_finish(&t->call);
}

void teller_stop(struct teller *t)
{
	wallet_query_cancel(t->m->p->wallet, &t->query);
	if (t->is_calling)
		t->m->p->gateway->abort(t->m->p->gateway, &t->call);
	t->is_calling = false;
}

static void on_noted(struct wallet_cmd *cmd)
{
	struct mirror_change *c = container_of(cmd->riders, struct mirror_change, rider);
	struct teller *t = cmd->arg;
	struct mirror *m = t->m;

	if (!mirror_is_committed(m))
		return;
	if (cmd->outcome != WALLET_OK) {
		mirror_fail(m, "the store cannot be used");
		mirror_teller_over(t);
	} else if (!c->is_ours) {
		mirror_lose(m);
		mirror_teller_over(t);
	} else if (m->is_stopping) {
		mirror_teller_over(t);
	} else if (c->kind == MIRROR_USAGE_TOLD && !t->is_behind) {
		/* What came since makes an event some seconds later. */
		m->wants_more = true;
		mirror_teller_over(t);
	} else {
		work(t);
	}
}

static void note(struct teller *t, TAKES struct mirror_change *c)
{
	struct mirror *m = t->m;

	c->holder = m->holder;
	c->now = now_of(t);
	if (c->kind == MIRROR_USAGE_TOLD)
		t->is_behind = c->work.entries >= QUERY_ROWS_PER_STEP &&
			       ++t->events < MIRROR_EVENTS_PER_TURN;
	mirror_submit(m, &c->rider, on_noted, t);
}

static struct mirror_change *change(struct teller *t, enum mirror_change_kind kind)
{
	return mirror_change_create(kind, mirror_gateway(t->m), t->org, &t->work);
}

static void log_told(const struct teller *t)
{
	char org[ID_TEXT_SIZE], name[ID_TEXT_SIZE];

	if (!log_is_on(LOG_INFO))
		return;
	id_text("org", t->org, org);
	if (t->item.is_grant) {
		log_info("event=mirror_grant_told org=%s entry=%lld", org, (long long)t->item.seq);
		return;
	}
	id_text("call", t->item.call, name);
	log_info("event=mirror_usage_told org=%s call=%s units=%lld", org, name,
		 (long long)t->item.units);
}

static void told(struct teller *t)
{
	const struct mirror_work *w = &t->work;
	struct mirror_change *c;
	char org[ID_TEXT_SIZE];

	log_told(t);
	id_text("org", t->org, org);
	if (t->item.is_grant ? w->grant.trouble : w->trouble)
		log_info("event=mirror_goes_on org=%s", org);
	t->m->failures = 0;
	t->m->is_set_up = true;
	c = change(t, t->item.is_grant ? MIRROR_GRANT_TOLD : MIRROR_USAGE_TOLD);
	c->is_checked = t->item.wants_check;
	c->ref = t->call.ref;
	t->call.ref = NULL;
	note(t, c);
}

static int64_t put_off_ms(const struct mirror *m, int64_t failures)
{
	int64_t ms = m->interval_ms;

	while (failures-- > 0 && ms < MIRROR_BACKOFF_MS_MAX)
		ms *= 2;
	return ms < MIRROR_BACKOFF_MS_MAX ? ms : MIRROR_BACKOFF_MS_MAX;
}

/* Each trouble of an org once. */
static void say(const struct teller *t, const char *before, const char *reason)
{
	char org[ID_TEXT_SIZE];

	if (before && strcmp(before, reason) == 0)
		return;
	id_text("org", t->org, org);
	log_warn("event=mirror_lags org=%s reason=%s", org, log_quote(reason));
}

static void put_off(struct teller *t)
{
	const char *reason = t->call.reason ? t->call.reason : "no answer";
	const struct mirror_work *w = &t->work;
	bool is_grant = t->item.is_grant;
	struct mirror *m = t->m;
	struct mirror_change *c;
	struct walltime at = now_of(t);

	say(t, is_grant ? w->grant.trouble : w->trouble, reason);
	at.ms += put_off_ms(m, is_grant ? w->grant.failures : w->failures);
	mirror_due_at(m, at);
	if (t->call.result == GATEWAY_UNKNOWN && ++m->failures >= MIRROR_FAILURES_MAX)
		mirror_fail(m, reason);
	c = change(t, is_grant ? MIRROR_GRANT_PUT_OFF : MIRROR_USAGE_PUT_OFF);
	c->not_before = at;
	c->reason = xstrdup(reason);
	note(t, c);
}

static void on_told(struct gateway_call *call)
{
	struct teller *t = call->arg;

	t->is_calling = false;
	switch (call->result) {
	case GATEWAY_SUCCEEDED:
		told(t);
		return;
	case GATEWAY_REFUSED:
	case GATEWAY_UNKNOWN:
		put_off(t);
		return;
	case GATEWAY_DECLINED:
	case GATEWAY_ACTION_REQUIRED:
	case GATEWAY_OPEN:
	case GATEWAY_CANCELLED:
	case GATEWAY_FORBIDDEN:
	case GATEWAY_PORTAL:
		/* So for every org. */
		mirror_fail(t->m, call->reason);
		mirror_teller_over(t);
		return;
	}
	die("the till's meter answered %d", (int)call->result);
}

/* Whole cents, rounded up: no usage is left without credit. */
static struct cents cents_ceil(struct microusd amount)
{
	struct microusd cent;

	CHECK(microusd_from_cents(&cent, cents_of(1)));
	return cents_of(microusd_steps_ceil(amount, cent));
}

static struct gateway_mirror usage_of(const struct teller *t)
{
	const struct mirror_work *w = &t->work;
	int64_t age_ms = now_of(t).ms - w->made.ms, checked_ms = now_of(t).ms - w->checked.ms;

	return (struct gateway_mirror){
		.call = w->call,
		.units = w->units,
		.units_told = w->units_told,
		.at = w->at,
		.since = w->started,
		/* What was made in the future is of an unknown age: the clock was set back. */
		.is_old = age_ms < 0 || age_ms >= TILL_REPLAY_MS,
		.wants_check = checked_ms < 0 || checked_ms >= MIRROR_CHECK_MS,
	};
}

static void tell(struct teller *t)
{
	const struct mirror_work *w = &t->work;
	struct gateway *g = t->m->p->gateway;

	if (w->has_grant)
		t->item = (struct gateway_mirror){
			.is_grant = true,
			.seq = w->grant.seq,
			.payment = w->grant.payment,
			.credit = cents_ceil(w->grant.amount),
		};
	else
		t->item = usage_of(t);
	gateway_call_finish(&t->call);
	t->call = (struct gateway_call){
		.org = t->org,
		.mirror = &t->item,
		.give_up = boottime_after(clock_boot(), MIRROR_GIVE_UP_MS),
		.done = on_told,
		.arg = t,
	};
	t->is_calling = true;
	g->mirror(g, &t->call);
}

static bool work_step(struct wallet_query *q, struct db *db)
{
	struct teller *t = container_of(q, struct teller, query);

	if (mirror_work_read(db, mirror_gateway(t->m), t->org, now_of(t), &t->work) != DB_OK)
		q->is_failed = true;
	return true;
}

static void work_done(struct wallet_query *q)
{
	struct teller *t = container_of(q, struct teller, query);
	const struct mirror_work *w = &t->work;

	if (q->is_failed) {
		mirror_fail(t->m, "the store cannot be read");
		mirror_teller_over(t);
	} else if (w->has_grant || (w->has_event && !w->is_put_off)) {
		tell(t);
	} else if (!w->has_event && w->plan.next_seq > w->plan.seq) {
		note(t, change(t, MIRROR_PLANNED));
	} else {
		mirror_teller_over(t);
	}
}

static void work(struct teller *t)
{
	mirror_work_finish(&t->work);
	t->query = (struct wallet_query){
		.step = work_step,
		.done = work_done,
		.deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS),
	};
	wallet_query(t->m->p->wallet, &t->query);
}

void teller_start(struct teller *t, struct id org)
{
	t->is_busy = true;
	t->org = org;
	t->events = 0;
	t->is_behind = false;
	work(t);
}
