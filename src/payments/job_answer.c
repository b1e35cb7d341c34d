/*
 * Who waits for a payment waits so long and not longer; the payment goes on.
 */

#include "payments/room.h"

/* An insert or a read is ended by the wallet, at the same deadline. */
static bool may_be_late(const struct job *job)
{
	return job->phase == JOB_TILL || job->phase == JOB_SETTLE;
}

void jobs_set_answer_timer(struct payments *p)
{
	struct boottime next = {.ms = INT64_MAX};

	for (const struct job *job = p->jobs; job; job = job->next) {
		for (const struct pay_request *r = job->waiting; r && may_be_late(job);
		     r = r->next) {
			if (r->answer_by.ms < next.ms)
				next = r->answer_by;
		}
	}
	if (next.ms == INT64_MAX)
		loop_timer_cancel(&p->answer_timer);
	else
		loop_timer_at(&p->answer_timer, next);
}

void jobs_answer_late(void *arg)
{
	struct payments *p = arg;
	struct boottime now = clock_boot();

	for (struct job *job = p->jobs; job; job = job->next) {
		struct pay_request *next;

		for (struct pay_request *r = job->waiting; r && may_be_late(job); r = next) {
			next = r->next;
			if (r->answer_by.ms > now.ms)
				continue;
			if (job->is_portal)
				err_set(&r->err, "the payment service gave no answer");
			request_ready(r, job, job->is_portal ? PAY_UNAVAILABLE : PAY_PENDING);
		}
	}
	jobs_set_answer_timer(p);
	payments_deliver(p);
}
