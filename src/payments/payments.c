/*
 * The room's life, and the requests: checked, given a job, answered.
 */

#include "base/limits.h"
#include "payments/room.h"
#include "payments/stripe.h"
#include "wallet/account.h"
#include "wallet/play.h"

#include <stdlib.h>
#include <string.h>

static void deliver_timer(void *arg)
{
	payments_deliver(arg);
}

struct payments *payments_create_with(struct loop *loop, struct wallet *wallet,
				      const struct payments_config *config,
				      TAKES struct gateway *gateway)
{
	struct payments *p = xzalloc(sizeof(*p));

	p->loop = loop;
	p->wallet = wallet;
	p->config = *config;
	p->gateway = gateway;
	loop_timer_init(&p->ready_timer, loop, deliver_timer, p);
	loop_timer_init(&p->answer_timer, loop, jobs_answer_late, p);
	watch_init(p);
	poll_init(p);
	mirror_init(p);
	return p;
}

struct payments *payments_create(struct loop *loop, struct http *http, struct wallet *wallet,
				 const struct payments_config *config, struct err *err)
{
	struct gateway *gateway = NULL;

	switch (config->mode) {
	case PAYMENTS_OFF:
		break;
	case PAYMENTS_SANDBOX:
		gateway = sandbox_create(loop);
		break;
	case PAYMENTS_STRIPE:
		gateway = stripe_gateway_create(loop, http, wallet, config, err);
		if (!gateway)
			return NULL;
		break;
	}
	return payments_create_with(loop, wallet, config, gateway);
}

static void request_unlink(struct pay_request *request)
{
	if (!request->link)
		return;
	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
	request->next = NULL;
	request->link = NULL;
}

void payments_destroy(struct payments *p)
{
	if (!p)
		return;
	while (p->ready)
		request_unlink(p->ready);
	while (p->jobs) {
		while (p->jobs->waiting)
			request_unlink(p->jobs->waiting);
		job_drop(p->jobs);
	}
	for (struct look *look = p->refreshes; look; look = look->next) {
		while (look->waiting)
			request_unlink(look->waiting);
	}
	notes_finish(p);
	waiters_finish(p);
	watch_finish(p);
	poll_finish(p);
	mirror_finish(p);
	loop_timer_cancel(&p->ready_timer);
	loop_timer_cancel(&p->answer_timer);
	if (p->gateway)
		p->gateway->destroy(p->gateway);
	free(p);
}

bool payments_config_is_live(const struct payments_config *config)
{
	enum stripe_mode mode;
	bool is_restricted;

	return config->mode == PAYMENTS_STRIPE &&
	       stripe_key_mode(config->stripe_key, &mode, &is_restricted) &&
	       mode == STRIPE_MODE_LIVE;
}

bool payments_is_sandbox(const struct payments *p)
{
	return p->config.mode == PAYMENTS_SANDBOX;
}

bool payments_is_on(const struct payments *p)
{
	return p->gateway != NULL;
}

const char *payments_gateway_name(const struct payments *p)
{
	return p->gateway ? p->gateway->name : "";
}

bool payments_is_idle(const struct payments *p)
{
	for (const struct job *job = p->jobs; job; job = job->next) {
		if (!job->look)
			return false;
	}
	return !p->ready && !p->notes && !p->waiters && !p->watch.query.is_queued;
}

struct walltime payments_now(const struct payments *p)
{
	return p->config.now ? p->config.now(p->config.now_arg) : wallet_now(p->wallet);
}

struct purchase_till payments_till(const struct payments *p)
{
	return (struct purchase_till){
		.gateway = p->gateway->name,
		.is_remote = p->gateway->is_remote,
		.ceilings = p->config.ceilings,
	};
}

struct cents payments_fee(const struct payments *p, struct cents credit)
{
	struct cents fee;

	CHECK(cents_percent_half_up(&fee, credit, p->config.fee_percent));
	return cents_cmp(fee, p->config.fee_minimum) < 0 ? p->config.fee_minimum : fee;
}

void request_push(struct pay_request **list, struct pay_request *request)
{
	CHECK(!request->link);
	while (*list)
		list = &(*list)->next;
	*list = request;
	request->link = list;
	request->next = NULL;
}

void request_ready(struct pay_request *request, const struct job *job, enum pay_outcome outcome)
{
	struct payments *p = request->payments;

	request_unlink(request);
	request->outcome = outcome;
	if (job && !id_is_none(job->payment.id))
		payment_view_copy(&request->payment, &job->payment);
	if (job && job->has_after) {
		request->after = job->after;
		request->has_after = true;
	}
	request_push(&p->ready, request);
}

void payments_deliver(struct payments *p)
{
	while (p->ready) {
		struct pay_request *request = p->ready;

		request_unlink(request);
		request->done(request);
	}
}

void payments_abandon(struct pay_request *request)
{
	request_unlink(request);
}

void pay_request_finish(struct pay_request *request)
{
	CHECK(!request->link);
	payment_view_finish(&request->payment);
	free(request->url);
	request->url = NULL;
}

void request_begin(struct payments *p, struct pay_request *request)
{
	struct boottime latest = boottime_after(clock_boot(), PAYMENT_ANSWER_MS);
	bool has_deadline = request->deadline.ms > 0 && request->deadline.ms < latest.ms;

	request->payments = p;
	request->answer_by = has_deadline ? request->deadline : latest;
	request->next = NULL;
	request->link = NULL;
	request->is_replayed = false;
	request->has_after = false;
	request->url = NULL;
	request->payment = (struct payment_view){.url = NULL};
	request->err = (struct err)ERR_INIT;
}

void request_answer(struct pay_request *request, enum pay_outcome outcome)
{
	request_ready(request, NULL, outcome);
	loop_timer_in(&request->payments->ready_timer, 0);
}

static bool is_in_range(struct cents amount)
{
	struct microusd value, min, max;
	int64_t tokens_per_usd = MICROUSD_PER_USD / MICROUSD_PER_TOKEN;

	CHECK(microusd_from_tokens(&min, PAYMENT_USD_MIN * tokens_per_usd));
	CHECK(microusd_from_tokens(&max, PAYMENT_USD_MAX * tokens_per_usd));
	return microusd_from_cents(&value, amount) && microusd_cmp(value, min) >= 0 &&
	       microusd_cmp(value, max) <= 0;
}

/* Tools check their arguments against their schemas; money is checked here again. */
static bool request_is_good(struct pay_request *request)
{
	const char *key = request->idempotency_key;

	if (!is_in_range(request->amount))
		return err_set(&request->err, "amount_usd must be between %d and %d",
			       PAYMENT_USD_MIN, PAYMENT_USD_MAX);
	if (key && (!*key || strlen(key) > IDEMPOTENCY_KEY_BYTES_MAX))
		return err_set(&request->err, "idempotency_key must have 1 to %d bytes",
			       IDEMPOTENCY_KEY_BYTES_MAX);
	return true;
}

static void start(struct payments *p, struct pay_request *request, enum payment_kind kind)
{
	struct job *job;

	request_begin(p, request);
	if (!p->gateway) {
		request_answer(request, PAY_NOT_CONFIGURED);
		return;
	}
	if (!request_is_good(request)) {
		request_answer(request, PAY_BAD_REQUEST);
		return;
	}
	job = job_create(p, JOB_INSERT);
	/* One durable row before the till hears of it. A near one has nothing to prepare and may
	 * hear of it as from this commit. */
	job->payment = (struct payment_view){
		.id = wallet_new_id(p->wallet),
		.org = request->org,
		.kind = kind,
		.state = p->gateway->is_remote ? PAYMENT_CREATED : PAYMENT_SUBMITTED,
		.credit = request->amount,
		.created = payments_now(p),
	};
	if (kind == PAYMENT_TOP_UP)
		job->payment.fee = payments_fee(p, request->amount);
	if (kind == PAYMENT_CHECKOUT)
		job->page_of = request->page_of;
	job->is_operator = request->is_operator;
	request_push(&job->waiting, request);
	job_insert(job, kind == PAYMENT_BUY ? request->idempotency_key : NULL, request->minimum,
		   request->answer_by);
}

void payments_buy(struct payments *p, struct pay_request *request)
{
	start(p, request, PAYMENT_BUY);
}

void payments_top_up(struct payments *p, struct pay_request *request)
{
	start(p, request, PAYMENT_TOP_UP);
}

void payments_checkout(struct payments *p, struct pay_request *request)
{
	start(p, request, PAYMENT_CHECKOUT);
}

void payments_portal(struct payments *p, struct pay_request *request)
{
	struct job *job;

	request_begin(p, request);
	if (!p->gateway) {
		request_answer(request, PAY_NOT_CONFIGURED);
		return;
	}
	job = job_create(p, JOB_TILL);
	job->payment.org = request->org;
	job->is_portal = true;
	request_push(&job->waiting, request);
	job_portal(job);
}

static bool read_payment(struct wallet_query *query, struct db *db)
{
	struct job *job = container_of(query, struct job, query);
	struct id id = job->payment.id;

	struct reload_view reload = {.last_trouble = NULL};

	job->after = (struct wallet_view){.is_live = false};
	if (payment_read(db, id, job->p->gateway->name, &job->is_found, &job->payment) != DB_OK ||
	    (job->is_found &&
	     wallet_view_read(db, job->payment.org, &(bool){false}, &job->after) != DB_OK) ||
	    (job->is_found && reload_view_read(db, job->payment.org, &reload) != DB_OK))
		query->is_failed = true;
	/* Also one that is in flight elsewhere may be declined here. */
	job->declines = reload.declines;
	reload_view_finish(&reload);
	return true;
}

static void end_unpaid(struct job *job, const char *why)
{
	/* It may be another org's. */
	payment_view_finish(&job->payment);
	job->payment = (struct payment_view){.url = NULL};
	for (struct pay_request *r = job->waiting; r; r = r->next)
		err_set(&r->err, "%s", why);
	job_end(job, PAY_BAD_REQUEST);
}

/* The till said that there is news of it. */
static void ask_what_was_read(struct job *job)
{
	struct job *other = job_find(job->p, job->payment.id);

	if (!job->is_found && job->notice_ref && job->waiting) {
		struct pay_request *r = job->waiting;

		/* Of a store that was put back, perhaps. */
		request_unlink(r);
		note_paid(job->p, job->notice_ref, r);
		job->payment.id = ID_NONE;
		job_end(job, PAY_OK);
	} else if (!job->is_found) {
		job->payment.id = ID_NONE; /* none of ours: heard, and nothing to do */
		job_end(job, PAY_OK);
	} else if (other) {
		while (job->waiting) {
			struct pay_request *r = job->waiting;

			request_unlink(r);
			request_push(&other->waiting, r);
		}
		other->is_notice = true;
		job_end(job, PAY_OK);
		jobs_set_answer_timer(other->p);
	} else if (payment_has_grant(job->payment.state)) {
		job_end(job, PAY_OK);
	} else {
		job_till(job);
	}
}

static void pay_what_was_read(struct wallet_query *query)
{
	struct job *job = container_of(query, struct job, query);
	const struct pay_request *request = job->waiting;
	enum payment_state state = job->payment.state;

	if (!request && !job->is_notice)
		end_unpaid(job, ""); /* abandoned before anything happened */
	else if (query->is_failed)
		job_end(job, PAY_UNAVAILABLE);
	else if (job->is_notice)
		ask_what_was_read(job);
	else if (!job->is_found ||
		 (!id_is_none(request->org) && !id_eq(request->org, job->payment.org)))
		end_unpaid(job, "the sandbox has no such payment");
	else if (job->after.is_live)
		end_unpaid(job, PLAY_REFUSED);
	else if (payment_is_expired(&job->payment, payments_now(job->p)))
		job_till(job);
	else if (payment_is_payable(state))
		job_grant(job);
	else
		job_end_by_state(job);
}

static void read_job(struct job *job, struct id payment, struct pay_request *request)
{
	job->payment.id = payment;
	request_push(&job->waiting, request);
	job->query = (struct wallet_query){
		.step = read_payment,
		.done = pay_what_was_read,
		.deadline = request->answer_by,
	};
	wallet_query(job->p->wallet, &job->query);
}

void job_look_up(struct payments *p, struct id payment, const char *ref,
		 struct pay_request *request)
{
	struct job *job = job_create(p, JOB_READ);

	job->notice_ref = ref ? xstrdup(ref) : NULL;
	job->is_notice = true;
	read_job(job, payment, request);
}

void payments_sandbox_pay(struct payments *p, struct id payment, struct pay_request *request)
{
	struct job *job;

	request_begin(p, request);
	if (!payments_is_sandbox(p)) {
		request_answer(request, PAY_NOT_CONFIGURED);
		return;
	}
	job = job_create(p, JOB_READ);
	job->is_pay = true;
	read_job(job, payment, request);
}

static bool is_far_away(const struct payments *p)
{
	return p->gateway && p->gateway->is_remote;
}

void payments_refresh(struct payments *p, struct pay_request *request)
{
	request_begin(p, request);
	if (is_far_away(p) &&
	    poll_may_look(&p->refreshed, request->org, PAYMENT_REFRESH_SPACING_MS))
		poll_refresh(p, request);
	else
		request_answer(request, PAY_OK);
}

bool payments_refused(struct payments *p, struct id org, struct walltime opened)
{
	int64_t spacing_ms = (payments_now(p).ms - opened.ms) / PAYMENT_REFUSED_SPACING_OF_AGE;

	if (spacing_ms < PAYMENT_REFUSED_SPACING_MS)
		spacing_ms = PAYMENT_REFUSED_SPACING_MS;
	return is_far_away(p) && poll_may_look(&p->refused, org, spacing_ms);
}
