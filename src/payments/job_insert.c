/*
 * The beginning of a payment that a caller asks for: its row, or the earlier payment that answers
 * instead, or the brake on a card that is declined again and again.
 */

#include "base/limits.h"
#include "payments/room.h"

#include <stdlib.h>

static void submit_insert(struct job *job);

/* The till may know more of an earlier payment than we: who paid at a page asks again before
 * anybody has looked. */
static bool may_have_news(const struct job *job)
{
	const struct payment_view *p = &job->payment;

	if (payment_is_in_flight(p->state))
		return true;
	return p->kind == PAYMENT_BUY && job->p->gateway->is_remote &&
	       payment_is_unfinished(p->state);
}

/* The earlier payment answers: what it came to, or what it comes to yet. */
static void join_earlier(struct job *job, TAKES struct payment_view *earlier)
{
	struct job *other = job_find(job->p, earlier->id);

	payment_view_finish(&job->payment);
	job->payment = *earlier;
	*earlier = (struct payment_view){.url = NULL};
	for (struct pay_request *r = job->waiting; r; r = r->next)
		r->is_replayed = true;
	if (other) {
		while (job->waiting) {
			struct pay_request *r = job->waiting;

			payments_abandon(r);
			request_push(&other->waiting, r);
		}
		job_unlink(job);
		job_free(job);
		jobs_set_answer_timer(other->p);
	} else if (!may_have_news(job)) {
		job->has_after = payment_has_grant(job->payment.state);
		job_end_by_state(job);
	} else {
		/* Of another process, or of one that is gone: the till knows it by its id. */
		job_till(job);
	}
}

/*
 * The caller hears that nothing happened. When the commit's outcome was not known the row may stand
 * all the same, and a look would have it charged: it is cancelled, if it is there. If a look of
 * another process was faster, it may be charged: then it stays unfinished until the till says.
 */
static void withdraw(struct job *job)
{
	struct wallet_cmd *cmd = job_command(job, WALLET_OP_RIDERS, NULL);
	struct payment_change *change = payment_change_create(job->payment.id, PAYMENT_CANCELLED,
							      payments_now(job->p));

	change->only_if_unheard = true;
	wallet_cmd_add_rider(cmd, &change->rider);
	wallet_submit(job->p->wallet, cmd);
}

static void on_brake_timer(void *arg)
{
	struct job *job = arg;

	/* Abandoned before anything happened. */
	if (!job->waiting) {
		job->payment.id = ID_NONE;
		job_end(job, PAY_RATE_LIMITED);
		return;
	}
	job->payment.created = payments_now(job->p);
	submit_insert(job);
}

/* What is in flight may be declined yet: it is waited for, as long as the caller does. */
static void braked(struct job *job, const struct payment_insert *insert)
{
	const struct boottime again = boottime_after(clock_boot(), BUY_BRAKE_STEP_MS);

	if (insert->retry_after_ms == 0 && job->waiting && again.ms < job->insert_by.ms) {
		job->phase = JOB_BRAKED;
		loop_timer_init(&job->timer, job->p->loop, on_brake_timer, job);
		loop_timer_at(&job->timer, again);
		return;
	}
	for (struct pay_request *r = job->waiting; r; r = r->next)
		r->retry_after_ms = insert->retry_after_ms ? insert->retry_after_ms
							   : BUY_BRAKE_BUSY_MS;
	job->payment.id = ID_NONE;
	job_end(job, PAY_RATE_LIMITED);
}

/* Nothing was made. What counts only because nobody has asked about it is asked about now. */
static void bound(struct job *job, const struct payment_insert *insert)
{
	for (struct pay_request *r = job->waiting; r; r = r->next) {
		r->ceiling = insert->ceiling;
		r->room = insert->room;
	}
	job->supersedes = insert->has_expired;
	job->payment.id = ID_NONE;
	job_end(job, PAY_BOUND);
}

static void on_inserted(struct wallet_cmd *cmd)
{
	struct job *job = cmd->arg;
	struct payment_insert *insert = job->insert;

	job->insert = NULL;
	if (!job->p) {
		job_free(job);
		return;
	}
	if (cmd->outcome != WALLET_OK) {
		withdraw(job);
		job->payment.id = ID_NONE;
		job_end(job, PAY_UNAVAILABLE);
		return;
	}
	job->after = cmd->after;
	switch (insert->outcome) {
	case PAYMENT_INSERT_BRAKED:
		braked(job, insert);
		return;
	case PAYMENT_INSERT_PLAY:
		for (struct pay_request *r = job->waiting; r; r = r->next)
			err_set(&r->err, "%s", PLAY_REFUSED);
		job->payment = (struct payment_view){.url = NULL};
		job_end(job, PAY_NOT_CONFIGURED);
		return;
	case PAYMENT_INSERT_BOUND:
		bound(job, insert);
		return;
	case PAYMENT_INSERT_MADE:
		job->payment.credit = insert->payment.credit;
		job_log(job, "payment_made");
		job->supersedes = insert->supersedes;
		job_till(job);
		return;
	case PAYMENT_INSERT_EARLIER:
		join_earlier(job, &insert->earlier);
		return;
	case PAYMENT_INSERT_CONFLICT:
		payment_view_finish(&job->payment);
		job->payment = insert->earlier;
		insert->earlier = (struct payment_view){.url = NULL};
		job_end(job, PAY_CONFLICT);
		return;
	case PAYMENT_INSERT_NO_ORG:
		for (struct pay_request *r = job->waiting; r; r = r->next)
			err_set(&r->err, "there is no such org");
		job->payment = (struct payment_view){.url = NULL};
		job_end(job, PAY_BAD_REQUEST);
		return;
	}
}

static void submit_insert(struct job *job)
{
	struct wallet_cmd *cmd = job_command(job, WALLET_OP_RIDERS, on_inserted);
	const struct purchase_till till = payments_till(job->p);

	job->phase = JOB_INSERT;
	job->insert = payment_insert_create(&job->payment, job->idempotency_key, &till);
	job->insert->minimum = job->minimum;
	job->insert->page_of = job->page_of;
	job->insert->is_operator = job->is_operator;
	cmd->deadline = job->insert_by;
	wallet_cmd_add_rider(cmd, &job->insert->rider);
	wallet_submit(job->p->wallet, cmd);
}

void job_insert(struct job *job, const char *idempotency_key, struct microusd minimum,
		struct boottime deadline)
{
	job->idempotency_key = idempotency_key ? xstrdup(idempotency_key) : NULL;
	job->minimum = minimum;
	job->insert_by = deadline;
	submit_insert(job);
}
