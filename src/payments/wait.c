/*
 * Who waits for a payment to be paid: the store says when it is, because any process may hear of
 * it; the till is asked less and less often, by one process of the store at a time.
 */

#include "base/limits.h"
#include "payments/room.h"

#include <stdlib.h>

struct waiter {
	struct payments *p; /* NULL: the room is gone, and the command's callback frees it */
	struct pay_request *waiting; /* NULL: abandoned */
	struct boottime until;
	struct id payment;
	struct payment_view view;
	bool is_there;
	struct wallet_query query;
	struct loop_timer timer;
	bool is_asking;
	struct boottime next_ask;
	size_t asks;
	struct waiter *next, **link;
};

/* Seconds before an ask, the last one again and again. */
static const int64_t ASK_S[] = {2, 3, 5};

static void look(struct waiter *w);

static void waiter_free(struct waiter *w)
{
	payment_view_finish(&w->view);
	free(w);
}

static void waiter_destroy(struct waiter *w)
{
	wallet_query_cancel(w->p->wallet, &w->query);
	loop_timer_cancel(&w->timer);
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	w->p = NULL;
	if (!w->is_asking)
		waiter_free(w);
}

static void end(struct waiter *w, enum pay_outcome outcome)
{
	struct payments *p = w->p;
	struct pay_request *request = w->waiting;

	payment_view_copy(&request->payment, &w->view);
	request_ready(request, NULL, outcome);
	waiter_destroy(w);
	payments_deliver(p);
}

static int64_t spacing_ms(const struct waiter *w)
{
	size_t last = ARRAY_LEN(ASK_S) - 1;

	return ASK_S[w->asks < last ? w->asks : last] * 1000;
}

static void set_timer(struct waiter *w)
{
	int64_t left_ms = w->until.ms - clock_boot().ms;
	int64_t wait_ms = left_ms < PAYMENT_WAIT_STEP_MS ? left_ms : PAYMENT_WAIT_STEP_MS;

	loop_timer_in(&w->timer, wait_ms > 0 ? wait_ms : 0);
}

static void ask_till(struct waiter *w)
{
	struct job *job;

	if (job_find(w->p, w->payment))
		return;
	job = job_create(w->p, JOB_TILL);
	payment_view_copy(&job->payment, &w->view);
	job_till(job);
}

static void on_claimed(struct wallet_cmd *cmd)
{
	struct payment_ask *ask = container_of(cmd->riders, struct payment_ask, rider);
	struct waiter *w = cmd->arg;

	w->is_asking = false;
	if (!w->p) {
		waiter_free(w);
		return;
	}
	if (cmd->outcome == WALLET_OK && ask->is_ours)
		ask_till(w);
}

static void claim(struct waiter *w)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});
	struct payment_ask *ask = payment_ask_create(w->payment, payments_now(w->p),
						     spacing_ms(w) / 2);

	wallet_cmd_add_rider(cmd, &ask->rider);
	cmd->deadline = w->until;
	cmd->done = on_claimed;
	cmd->arg = w;
	w->is_asking = true;
	wallet_submit(w->p->wallet, cmd);
}

/* It is time to ask, whoever does: who waits hears that it goes on. */
static void on_ask_time(struct waiter *w)
{
	if (w->waiting->progress)
		w->waiting->progress(w->waiting);
	if (w->p->gateway->is_remote && !w->is_asking)
		claim(w);
	w->asks++;
	w->next_ask = boottime_after(clock_boot(), spacing_ms(w));
}

static bool look_step(struct wallet_query *query, struct db *db)
{
	struct waiter *w = container_of(query, struct waiter, query);

	payment_view_finish(&w->view);
	w->view = (struct payment_view){.url = NULL};
	w->is_there = false;
	if (payment_read(db, w->payment, w->p->gateway->name, &w->is_there, &w->view) != DB_OK)
		query->is_failed = true;
	return true;
}

static void look_done(struct wallet_query *query)
{
	struct waiter *w = container_of(query, struct waiter, query);
	struct boottime now = clock_boot();

	/* Abandoned: its caller is gone. */
	if (!w->waiting)
		waiter_destroy(w);
	else if (query->is_failed)
		end(w, PAY_UNAVAILABLE);
	else if (!w->is_there || !id_eq(w->view.org, w->waiting->org))
		end(w, PAY_BAD_REQUEST);
	else if (payment_has_grant(w->view.state))
		end(w, PAY_OK);
	else if (!payment_is_unfinished(w->view.state))
		end(w, PAY_DECLINED);
	else if (now.ms >= w->until.ms)
		end(w, PAY_PENDING);
	else {
		if (now.ms >= w->next_ask.ms)
			on_ask_time(w);
		set_timer(w);
	}
}

static void look(struct waiter *w)
{
	w->query.deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	if (!w->query.is_queued)
		wallet_query(w->p->wallet, &w->query);
}

static void on_timer(void *arg)
{
	look(arg);
}

void waiters_finish(struct payments *p)
{
	while (p->waiters) {
		struct waiter *w = p->waiters;

		if (w->waiting)
			payments_abandon(w->waiting);
		waiter_destroy(w);
	}
}

/* A job settled it: who waits need not wait for the next step. */
void waiters_tell(struct payments *p, struct id payment)
{
	for (struct waiter *w = p->waiters; w; w = w->next) {
		if (id_eq(w->payment, payment))
			look(w);
	}
}

void payments_wait(struct payments *p, struct id payment, struct pay_request *request)
{
	struct boottime deadline = request->deadline;
	struct waiter *w;

	request_begin(p, request);
	if (!p->gateway) {
		request_answer(request, PAY_NOT_CONFIGURED);
		return;
	}
	if (deadline.ms > 0)
		request->answer_by = deadline;
	w = xzalloc(sizeof(*w));
	w->p = p;
	w->payment = payment;
	w->until = request->answer_by;
	w->next_ask = boottime_after(clock_boot(), ASK_S[0] * 1000);
	w->query = (struct wallet_query){.step = look_step, .done = look_done};
	loop_timer_init(&w->timer, p->loop, on_timer, w);
	w->next = p->waiters;
	w->link = &p->waiters;
	if (w->next)
		w->next->link = &w->next;
	p->waiters = w;
	request_push(&w->waiting, request);
	look(w);
}
