/*
 * One payment from its row to its receipt.
 */

#include "base/limits.h"
#include "base/log.h"
#include "payments/room.h"
#include "wallet/play.h"

#include <stdlib.h>

#define NO_ANSWER "the payment service gave no answer"

struct job *job_create(struct payments *p, enum job_phase phase)
{
	struct job *job = xzalloc(sizeof(*job));

	job->p = p;
	job->phase = phase;
	job->next = p->jobs;
	job->link = &p->jobs;
	if (job->next)
		job->next->link = &job->next;
	p->jobs = job;
	return job;
}

void job_unlink(struct job *job)
{
	*job->link = job->next;
	if (job->next)
		job->next->link = job->link;
}

void job_free(struct job *job)
{
	gateway_call_finish(&job->call);
	payment_view_finish(&job->payment);
	free(job->idempotency_key);
	free(job->notice_ref);
	free(job);
}

void job_drop(struct job *job)
{
	struct payments *p = job->p;

	job_unlink(job);
	job->p = NULL;
	switch (job->phase) {
	case JOB_INSERT:
	case JOB_CLAIM:
	case JOB_SETTLE:
		return; /* its command's callback comes, at the latest when the wallet goes */
	case JOB_BRAKED:
		loop_timer_cancel(&job->timer);
		break;
	case JOB_READ:
		wallet_query_cancel(p->wallet, &job->query);
		break;
	case JOB_TILL:
		p->gateway->abort(p->gateway, &job->call);
		break;
	}
	job_free(job);
}

struct job *job_find(const struct payments *p, struct id payment)
{
	for (struct job *job = p->jobs; job; job = job->next) {
		/* Before its insert or claim is decided a job has no payment yet. */
		if (id_eq(job->payment.id, payment) &&
		    (job->phase == JOB_TILL || job->phase == JOB_SETTLE))
			return job;
	}
	return NULL;
}

void gateway_call_finish(struct gateway_call *call)
{
	free(call->url);
	free(call->reason);
	free(call->ref);
	free(call->charge_ref);
	call->url = NULL;
	call->reason = NULL;
	call->ref = NULL;
	call->charge_ref = NULL;
}

void job_log(const struct job *job, const char *what)
{
	const struct payment_view *p = &job->payment;
	char id[ID_TEXT_SIZE], org[ID_TEXT_SIZE];
	char credit[MONEY_TEXT_SIZE], fee[MONEY_TEXT_SIZE];
	struct microusd fee_value;

	if (!log_is_on(LOG_INFO))
		return;
	payment_id_text(p->id, id);
	id_text("org", p->org, org);
	CHECK(microusd_from_cents(&fee_value, p->fee));
	usd_text(payment_credit(p), credit);
	usd_text(fee_value, fee);
	log_info("event=%s payment=%s org=%s kind=%s state=%s credit_usd=%s fee_usd=%s reason=%s",
		 what, id, org, payment_kind_name(p->kind), payment_state_name(p->state), credit,
		 fee, p->reason ? log_quote(p->reason) : "none");
}

static enum pay_outcome outcome_of(const struct job *job)
{
	const struct payment_view *p = &job->payment;

	switch (p->state) {
	case PAYMENT_CREATED:
	case PAYMENT_SUBMITTED:
		return PAY_PENDING;
	case PAYMENT_REQUIRES_ACTION:
		return PAY_ACTION_REQUIRED;
	case PAYMENT_OPEN:
		return p->kind == PAYMENT_BUY ? PAY_NEEDS_CARD : PAY_OK;
	case PAYMENT_FAILED:
		return job->is_refused ? PAY_BAD_REQUEST : PAY_DECLINED;
	case PAYMENT_CANCELLED:
		return job->is_forbidden ? PAY_NOT_CONFIGURED : PAY_DECLINED;
	case PAYMENT_SUCCEEDED:
	case PAYMENT_REFUNDED:
	case PAYMENT_DISPUTED:
		return PAY_OK;
	}
	die("payment state %d", (int)p->state);
}

void job_end(struct job *job, enum pay_outcome outcome)
{
	struct payments *p = job->p;
	bool supersedes = job->supersedes;
	bool is_unfinished = !job->is_portal && outcome != PAY_UNAVAILABLE &&
			     outcome != PAY_RATE_LIMITED && outcome != PAY_BOUND &&
			     !id_is_none(job->payment.org) &&
			     payment_is_unfinished(job->payment.state);

	job_unlink(job);
	while (job->waiting)
		request_ready(job->waiting, job, outcome);
	if (job->look)
		poll_job_over(job->look, is_unfinished, job->has_after);
	else if (is_unfinished)
		poll_soon(p);
	if (job->joined)
		poll_job_over(job->joined, is_unfinished, job->has_after);
	job_free(job);
	payments_deliver(p);
	if (supersedes)
		payments_resume(p);
}

/* What the user's payment in the sandbox came to. */
static void end_pay(struct job *job)
{
	bool is_paid = job->was_changed || job->phase == JOB_SETTLE;

	is_paid = is_paid && payment_has_grant(job->payment.state);
	for (struct pay_request *r = job->waiting; r; r = r->next) {
		if (is_paid)
			r->is_replayed = !job->was_changed;
		else
			err_set(&r->err, "the payment is %s, so it cannot be paid",
				payment_state_name(job->payment.state));
	}
	job_end(job, is_paid ? PAY_OK : PAY_BAD_REQUEST);
}

void job_end_by_state(struct job *job)
{
	if (job->is_pay) {
		end_pay(job);
		return;
	}
	if (job->is_refused || job->is_forbidden) {
		for (struct pay_request *r = job->waiting; r; r = r->next)
			err_set(&r->err, "%s", job->payment.reason ? job->payment.reason : "");
	}
	job_end(job, outcome_of(job));
}

struct wallet_cmd *job_command(struct job *job, enum wallet_op op, wallet_cmd_fn *done)
{
	struct wallet_cmd *cmd = wallet_cmd_create(op, (struct caller){.org = job->payment.org});

	cmd->id = job->payment.id;
	cmd->deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	cmd->done = done;
	cmd->arg = job;
	return cmd;
}

static void on_claimed(struct wallet_cmd *cmd)
{
	struct job *job = cmd->arg;
	const struct reload_claim *claim = job->claim;

	job->claim = NULL;
	if (!job->p) {
		job_free(job);
		return;
	}
	if (cmd->outcome != WALLET_OK || claim->verdict != RELOAD_DUE) {
		if (cmd->outcome == WALLET_OK &&
		    (claim->verdict == RELOAD_COOLING ||
		     (claim->verdict == RELOAD_BOUND && claim->not_before.ms)))
			watch_later(job->p, job->payment.org, claim->not_before);
		else if (cmd->outcome != WALLET_OK || claim->verdict == RELOAD_IN_FLIGHT)
			poll_soon(job->p);
		job_end(job, PAY_UNAVAILABLE);
		return;
	}
	job->payment.credit = claim->payment.credit;
	job->declines = claim->declines;
	job_log(job, "payment_made");
	job_till(job);
}

void job_claim(struct job *job)
{
	struct wallet_cmd *cmd = job_command(job, WALLET_OP_RIDERS, on_claimed);
	const struct purchase_till till = payments_till(job->p);

	job->phase = JOB_CLAIM;
	job->claim = reload_claim_create(&job->payment, &till);
	wallet_cmd_add_rider(cmd, &job->claim->rider);
	wallet_submit(job->p->wallet, cmd);
}

static void on_settled(struct wallet_cmd *cmd)
{
	struct job *job = cmd->arg;
	struct payments *p = job->p;
	struct payment_change *change = job->change;
	struct id org = job->payment.org;
	struct id payment = job->payment.id;
	bool is_reload = job->payment.kind == PAYMENT_RELOAD;

	job->change = NULL;
	if (!p) {
		job_free(job);
		return;
	}
	if (cmd->outcome != WALLET_OK && cmd->outcome != WALLET_DUPLICATE) {
		if (cmd->outcome != WALLET_UNAVAILABLE)
			log_fault("event=payment_not_granted fact=%s outcome=%d",
				  cmd->fact ? cmd->fact : "none", (int)cmd->outcome);
		/* A user who pays in the sandbox is asked to do it again, others to wait. */
		job_end(job, job->is_pay ? PAY_UNAVAILABLE : PAY_PENDING);
		return;
	}
	if (!change->is_there) {
		/* The store was replaced in the meantime, and this one has never heard of it. */
		log_fault("event=payment_not_in_store reason=store_was_replaced");
		job_end(job, PAY_UNAVAILABLE);
		return;
	}
	payment_view_finish(&job->payment);
	job->payment = change->after;
	change->after = (struct payment_view){.url = NULL};
	job->was_changed = change->was_changed;
	job->after = cmd->after;
	job->has_after = payment_has_grant(job->payment.state);
	if (job->was_changed)
		job_log(job, "payment_changed");
	else if (payment_is_in_flight(job->payment.state))
		job->is_refused = job->is_forbidden = false; /* another process has begun it */
	/* From now on some of it may go back. */
	if (job->has_after && p->gateway->news)
		poll_soon(p);
	job_end_by_state(job);
	waiters_tell(p, payment);
	/* Whether it is enough, or when to try again. */
	if (is_reload)
		payments_watch(p, org);
}

static void submit_change(struct job *job, struct wallet_cmd *cmd,
			  TAKES struct payment_change *change)
{
	job->phase = JOB_SETTLE;
	job->change = change;
	wallet_cmd_add_rider(cmd, &change->rider);
	wallet_submit(job->p->wallet, cmd);
	jobs_set_answer_timer(job->p);
}

static struct payment_change *change_to(const struct job *job, enum payment_state to)
{
	struct payment_change *change = payment_change_create(job->payment.id, to,
							      payments_now(job->p));

	change->only_if_unheard = job->call.is_unheard && payment_is_in_flight(job->payment.state);
	/* For a reload that comes to its end without a decline. */
	change->declines = to == PAYMENT_SUCCEEDED ? 0 : job->declines;
	change->ref = job->call.ref ? xstrdup(job->call.ref) : NULL;
	change->charge_ref = job->call.charge_ref ? xstrdup(job->call.charge_ref) : NULL;
	change->not_before = (struct walltime){.ms = job->payment.created.ms + RELOAD_SPACING_MS};
	return change;
}

void job_grant(struct job *job)
{
	struct wallet_cmd *cmd = job_command(job, WALLET_OP_GRANT, on_settled);
	struct payment_change *change = change_to(job, PAYMENT_SUCCEEDED);

	cmd->kind = job->payment.kind == PAYMENT_RELOAD ? ENTRY_RELOAD : ENTRY_PURCHASE;
	cmd->amount = payment_credit(&job->payment);
	cmd->fact = payment_fact(job->payment.id);
	cmd->note = xasprintf("%s by %s", payment_kind_name(job->payment.kind),
			      job->p->gateway->name);
	cmd->is_play = play_is_till(job->p->gateway->name);
	change->is_grant = true;
	submit_change(job, cmd, change);
}

static void job_change(struct job *job, enum payment_state to, const char *url, const char *reason)
{
	struct wallet_cmd *cmd = job_command(job, WALLET_OP_RIDERS, on_settled);
	struct payment_change *change = change_to(job, to);

	change->is_decline = to == PAYMENT_FAILED && job->payment.kind == PAYMENT_BUY &&
			     !job->is_refused;
	change->url = url ? xstrdup(url) : NULL;
	change->reason = reason ? xstrdup(reason) : NULL;
	submit_change(job, cmd, change);
}

/* In one batch: the payment, the place for the next reload, and perhaps the switch. */
static void reload_failed(struct job *job, const char *reason, bool is_final)
{
	struct payment_change *change = change_to(job, PAYMENT_FAILED);
	struct reload_decline decline = reload_declined(job->declines, is_final, change->now);
	struct wallet_cmd *cmd = job_command(
		job, decline.switches_off ? WALLET_OP_PREFERENCES : WALLET_OP_RIDERS, on_settled);

	cmd->sets_enabled = decline.switches_off;
	cmd->prefs.auto_reload_enabled = false;
	change->reason = xstrdup(reason);
	change->declines = decline.declines;
	change->not_before = decline.not_before;
	change->trouble = reload_trouble_text(reason, &decline);
	submit_change(job, cmd, change);
}

/* It came to nothing without a decline: an outage, or a key that may not charge. */
static void job_cancelled(struct job *job, const char *reason)
{
	struct wallet_cmd *cmd = job_command(job, WALLET_OP_RIDERS, on_settled);
	struct payment_change *change = change_to(job, PAYMENT_CANCELLED);
	struct reload_decline pause = {.not_before = {.ms = change->now.ms + RELOAD_DECLINED_MS}};

	change->reason = xstrdup(reason);
	if (job->payment.kind == PAYMENT_RELOAD) {
		change->not_before = pause.not_before;
		change->trouble = reload_trouble_text(reason, &pause);
	}
	submit_change(job, cmd, change);
}

static void job_failed(struct job *job, const char *reason, bool is_final)
{
	if (job->payment.kind == PAYMENT_RELOAD)
		reload_failed(job, reason, is_final);
	else
		job_change(job, PAYMENT_FAILED, NULL, reason);
}

/* The payer is asked for: a reload has none. */
static void job_waits(struct job *job, enum payment_state to)
{
	if (job->payment.kind == PAYMENT_RELOAD)
		reload_failed(job,
			      to == PAYMENT_OPEN
				      ? "no saved card"
				      : "authentication_required: the bank wants the card's owner",
			      true);
	else if (payment_is_in_flight(job->payment.state))
		job_change(job, to, job->call.url, NULL);
	else
		job_end_by_state(job); /* no news */
}

static void on_till(struct gateway_call *call)
{
	struct job *job = call->arg;
	const char *reason = call->reason ? call->reason : "declined";

	/* Of one that is over only this is news: that the money came in all the same. */
	if (!payment_is_unfinished(job->payment.state) && call->result != GATEWAY_SUCCEEDED &&
	    call->result != GATEWAY_UNKNOWN) {
		job_end_by_state(job);
		return;
	}
	switch (call->result) {
	case GATEWAY_SUCCEEDED:
		job_grant(job);
		return;
	case GATEWAY_DECLINED:
		job_failed(job, reason, call->never_retry);
		return;
	case GATEWAY_ACTION_REQUIRED:
		job_waits(job, PAYMENT_REQUIRES_ACTION);
		return;
	case GATEWAY_OPEN:
		job_waits(job, PAYMENT_OPEN);
		return;
	case GATEWAY_CANCELLED:
		job_cancelled(job, call->reason ? call->reason : "not paid in time");
		return;
	case GATEWAY_FORBIDDEN:
		job->is_forbidden = true;
		job_cancelled(job, reason);
		return;
	case GATEWAY_REFUSED:
		job->is_refused = true;
		job_failed(job, reason, false);
		return;
	case GATEWAY_UNKNOWN:
		/* The page that it has can be paid all the same. */
		if (payment_is_in_flight(job->payment.state) || job->is_notice)
			job_end(job, PAY_PENDING);
		else
			job_end_by_state(job);
		return;
	case GATEWAY_PORTAL:
		break;
	}
	die("the till answered %d to a payment", (int)call->result);
}

static void begin_call(struct job *job, void (*done)(struct gateway_call *call))
{
	gateway_call_finish(&job->call);
	job->phase = JOB_TILL;
	job->call = (struct gateway_call){
		.org = job->payment.org,
		.payment = job->is_portal ? NULL : &job->payment,
		.give_up = boottime_after(clock_boot(), TILL_GIVE_UP_MS),
		.done = done,
		.arg = job,
	};
	jobs_set_answer_timer(job->p);
}

void job_till(struct job *job)
{
	struct gateway *g = job->p->gateway;
	const struct payment_view *p = &job->payment;

	begin_call(job, on_till);
	if (payment_is_in_flight(p->state) && p->kind == PAYMENT_TOP_UP)
		g->invoice(g, &job->call);
	else if (payment_is_in_flight(p->state))
		g->charge(g, &job->call);
	else if (payment_is_expired(p, payments_now(job->p)))
		g->cancel(g, &job->call);
	else
		g->ask(g, &job->call);
}

static void on_portal(struct gateway_call *call)
{
	struct job *job = call->arg;
	enum pay_outcome outcome = PAY_UNAVAILABLE;

	if (call->result == GATEWAY_PORTAL)
		outcome = PAY_OK;
	else if (call->result == GATEWAY_REFUSED)
		outcome = PAY_BAD_REQUEST;
	else if (call->result == GATEWAY_FORBIDDEN)
		outcome = PAY_NOT_CONFIGURED;
	for (struct pay_request *r = job->waiting; r; r = r->next) {
		if (outcome == PAY_OK)
			r->url = xstrdup(call->url);
		else
			err_set(&r->err, "%s", call->reason ? call->reason : NO_ANSWER);
	}
	job_end(job, outcome);
}

void job_portal(struct job *job)
{
	struct gateway *g = job->p->gateway;

	begin_call(job, on_portal);
	g->portal(g, &job->call);
}
