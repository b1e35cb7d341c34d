/*
 * The mirror of usage and credit at the till's meter. The ledger is the truth; this tells of it
 * what is durable, some seconds later and as long as there is something to tell, never as part of a
 * call. What fails stays where it is and is told later.
 *
 *	START once -> PAGE --something--> CLAIM --ours--> org after org: WORK -> (PLAN | TELL ->
 *NOTE)
 *
 * An event is durable before it is sent, bears the id of its last call, and is sent again under it
 * until it has arrived: a crash anywhere tells it once.
 */

#include "base/limits.h"
#include "base/log.h"
#include "payments/mirror_store.h"
#include "payments/room.h"

#include <stdlib.h>
#include <string.h>

struct mirror {
	struct payments *p; /* NULL: the room is gone, and the command's callback frees it */
	struct id holder;   /* this process among those of the store */
	struct walltime born;
	bool was_resumed, has_begun, is_running;
	bool is_committing;
	bool wants_more; /* something happened since the page was read */
	bool is_put_off; /* something is not to be told yet */
	bool is_backing_off;
	struct loop_timer timer;
	int64_t wait_ms; /* after the next failure */
	struct wallet_query query;
	bool is_started;
	struct mirror_start_list start;
	struct mirror_page page;
	size_t next;
	int64_t events; /* told of the org at hand */
	bool is_behind; /* by more than the event that was told */
	struct mirror_work work;
	struct gateway_mirror item;
	struct gateway_call call;
	bool is_calling;
	char *trouble; /* of this round, owned */
	char *said;    /* what the log has, owned */
	struct walltime said_at;
};

static void work(struct mirror *m);
static void read_page(struct mirror *m);

static const char *gateway_name(const struct mirror *m)
{
	return m->p->gateway->name;
}

static struct id org_at_hand(const struct mirror *m)
{
	return m->page.orgs[m->next];
}

static void mirror_free(struct mirror *m)
{
	mirror_start_list_finish(&m->start);
	mirror_page_finish(&m->page);
	mirror_work_finish(&m->work);
	gateway_call_finish(&m->call);
	free(m->trouble);
	free(m->said);
	free(m);
}

static void query(struct mirror *m, bool (*step)(struct wallet_query *, struct db *),
		  void (*done)(struct wallet_query *))
{
	m->query = (struct wallet_query){
		.step = step,
		.done = done,
		.deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS),
	};
	wallet_query(m->p->wallet, &m->query);
}

static void submit(struct mirror *m, TAKES struct rider *rider, wallet_cmd_fn *done)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});

	wallet_cmd_add_rider(cmd, rider);
	cmd->deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	cmd->done = done;
	cmd->arg = m;
	m->is_committing = true;
	wallet_submit(m->p->wallet, cmd);
}

/* False when the room is gone, and the mirror with it. */
static bool is_committed(struct mirror *m)
{
	m->is_committing = false;
	if (m->p)
		return true;
	mirror_free(m);
	return false;
}

/* The first of a round stays: what follows may follow from it. */
static void note_trouble(struct mirror *m, const char *text)
{
	if (!m->trouble)
		m->trouble = xstrdup(text ? text : "no answer");
}

/* Once, and then now and again while it lasts. */
static void say_trouble(struct mirror *m)
{
	struct walltime now = payments_now(m->p);

	if (!m->trouble && m->said)
		log_info("event=mirror_goes_on gateway=%s", gateway_name(m));
	if (m->trouble && (!m->said || strcmp(m->said, m->trouble) != 0 ||
			   now.ms - m->said_at.ms > MIRROR_SAY_MS)) {
		log_warn("event=mirror_lags gateway=%s reason=%s", gateway_name(m),
			 log_quote(m->trouble));
		m->said_at = now;
	}
	free(m->said);
	m->said = m->trouble;
	m->trouble = NULL;
}

static void double_wait(struct mirror *m)
{
	m->wait_ms *= 2;
	if (m->wait_ms > MIRROR_BACKOFF_MS_MAX)
		m->wait_ms = MIRROR_BACKOFF_MS_MAX;
}

/* The end of a round, whose turn this process had or not. */
static void round_over(struct mirror *m, bool is_failed)
{
	m->is_running = false;
	m->is_backing_off = is_failed;
	mirror_page_finish(&m->page);
	mirror_work_finish(&m->work);
	if (is_failed) {
		loop_timer_in(&m->timer, m->wait_ms);
		double_wait(m);
		return;
	}
	m->wait_ms = MIRROR_MS;
	if (m->wants_more)
		loop_timer_in(&m->timer, MIRROR_MS);
	else if (m->is_put_off)
		loop_timer_in(&m->timer, MIRROR_PUT_OFF_MS);
}

static void on_released(struct wallet_cmd *cmd)
{
	(void)is_committed(cmd->arg);
}

static void turn_over(struct mirror *m, bool is_failed)
{
	struct walltime now = payments_now(m->p);
	struct walltime next = {.ms = is_failed ? now.ms + m->wait_ms : 0};

	submit(m, mirror_release_create(gateway_name(m), m->holder, now, next, m->trouble),
	       on_released);
	say_trouble(m);
	round_over(m, is_failed);
}

static void next_org(struct mirror *m)
{
	m->next++;
	m->events = 0;
	if (m->next < m->page.count)
		work(m);
	else if (!m->page.is_last)
		read_page(m);
	else
		turn_over(m, false);
}

static void on_noted(struct wallet_cmd *cmd)
{
	struct mirror_change *c = container_of(cmd->riders, struct mirror_change, rider);
	struct mirror *m = cmd->arg;

	if (!is_committed(m))
		return;
	if (cmd->outcome != WALLET_OK) {
		note_trouble(m, "the store cannot be used");
		turn_over(m, true);
	} else if (!c->is_ours) {
		/* It took too long, and another process goes on. */
		m->wants_more = true;
		round_over(m, false);
	} else if (c->kind == MIRROR_USAGE_TOLD && !m->is_behind) {
		/* What came since makes an event some seconds later. */
		m->wants_more = true;
		next_org(m);
	} else {
		work(m);
	}
}

static void note(struct mirror *m, enum mirror_change_kind kind)
{
	struct mirror_change *c = mirror_change_create(kind, gateway_name(m), org_at_hand(m),
						       &m->work);

	c->holder = m->holder;
	c->now = payments_now(m->p);
	if (kind == MIRROR_USAGE_PUT_OFF || kind == MIRROR_GRANT_PUT_OFF) {
		c->not_before.ms = c->now.ms + MIRROR_PUT_OFF_MS;
		m->is_put_off = true;
	}
	if (kind == MIRROR_USAGE_TOLD)
		m->is_behind = c->work.entries >= QUERY_ROWS_PER_STEP &&
			       ++m->events < MIRROR_EVENTS_PER_TURN;
	c->ref = m->call.ref;
	m->call.ref = NULL;
	submit(m, &c->rider, on_noted);
}

static void log_told(const struct mirror *m)
{
	char org[ID_TEXT_SIZE], name[ID_TEXT_SIZE];

	if (!log_is_on(LOG_INFO))
		return;
	id_text("org", org_at_hand(m), org);
	if (m->item.is_grant) {
		log_info("event=mirror_grant_told org=%s entry=%lld", org, (long long)m->item.seq);
		return;
	}
	id_text("call", m->item.call, name);
	log_info("event=mirror_usage_told org=%s call=%s units=%lld", org, name,
		 (long long)m->item.units);
}

static void on_told(struct gateway_call *call)
{
	struct mirror *m = call->arg;
	bool is_grant = m->item.is_grant;

	m->is_calling = false;
	switch (call->result) {
	case GATEWAY_SUCCEEDED:
		log_told(m);
		note(m, is_grant ? MIRROR_GRANT_TOLD : MIRROR_USAGE_TOLD);
		return;
	case GATEWAY_REFUSED:
		/* This one alone: the others are not kept waiting. */
		note_trouble(m, call->reason);
		note(m, is_grant ? MIRROR_GRANT_PUT_OFF : MIRROR_USAGE_PUT_OFF);
		return;
	case GATEWAY_DECLINED:
	case GATEWAY_ACTION_REQUIRED:
	case GATEWAY_OPEN:
	case GATEWAY_CANCELLED:
	case GATEWAY_FORBIDDEN:
	case GATEWAY_UNKNOWN:
	case GATEWAY_PORTAL:
		note_trouble(m, call->reason);
		turn_over(m, true);
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

static void tell(struct mirror *m)
{
	const struct mirror_work *w = &m->work;
	struct gateway *g = m->p->gateway;

	if (w->has_grant)
		m->item = (struct gateway_mirror){
			.is_grant = true,
			.seq = w->grant.seq,
			.payment = w->grant.payment,
			.credit = cents_ceil(w->grant.amount),
		};
	else
		m->item = (struct gateway_mirror){
			.call = w->call,
			.units = w->units,
			.units_told = w->units_told,
			.at = w->at,
			.since = w->started,
			.is_old = payments_now(m->p).ms - w->made.ms >= TILL_REPLAY_MS,
		};
	gateway_call_finish(&m->call);
	m->call = (struct gateway_call){
		.org = org_at_hand(m),
		.mirror = &m->item,
		.give_up = boottime_after(clock_boot(), MIRROR_GIVE_UP_MS),
		.done = on_told,
		.arg = m,
	};
	m->is_calling = true;
	g->mirror(g, &m->call);
}

static bool work_step(struct wallet_query *q, struct db *db)
{
	struct mirror *m = container_of(q, struct mirror, query);

	if (mirror_work_read(db, gateway_name(m), org_at_hand(m), payments_now(m->p), &m->work) !=
	    DB_OK)
		q->is_failed = true;
	return true;
}

static void work_done(struct wallet_query *q)
{
	struct mirror *m = container_of(q, struct mirror, query);
	const struct mirror_work *w = &m->work;

	if (q->is_failed) {
		note_trouble(m, "the store cannot be read");
		turn_over(m, true);
	} else if (w->has_grant || (w->has_event && !w->is_put_off)) {
		tell(m);
	} else if (!w->has_event && w->plan.next_seq > w->plan.seq) {
		note(m, MIRROR_PLANNED);
	} else {
		next_org(m);
	}
}

static void work(struct mirror *m)
{
	mirror_work_finish(&m->work);
	query(m, work_step, work_done);
}

static void on_claimed(struct wallet_cmd *cmd)
{
	struct mirror_claim *c = container_of(cmd->riders, struct mirror_claim, rider);
	struct mirror *m = cmd->arg;
	int64_t wait_ms;

	if (!is_committed(m))
		return;
	if (cmd->outcome != WALLET_OK) {
		round_over(m, true);
		return;
	}
	if (c->is_ours) {
		work(m);
		return;
	}
	/* Another process tells, or the till is left alone for a while. */
	wait_ms = c->again.ms - payments_now(m->p).ms;
	round_over(m, false);
	loop_timer_in(&m->timer, wait_ms > MIRROR_MS ? wait_ms : MIRROR_MS);
}

static bool page_step(struct wallet_query *q, struct db *db)
{
	struct mirror *m = container_of(q, struct mirror, query);
	struct id after = m->page.last;

	mirror_page_finish(&m->page);
	if (mirror_page_read(db, gateway_name(m), after, payments_now(m->p), &m->page) != DB_OK)
		q->is_failed = true;
	m->is_put_off = m->is_put_off || m->page.has_put_off;
	/* Pages of which nothing is to be told are passed here. */
	return q->is_failed || m->page.count > 0 || m->page.is_last;
}

static void first_page_done(struct wallet_query *q)
{
	struct mirror *m = container_of(q, struct mirror, query);

	m->next = 0;
	m->events = 0;
	if (q->is_failed)
		round_over(m, true);
	else if (m->page.count == 0)
		round_over(m, false);
	else
		submit(m,
		       &mirror_claim_create(gateway_name(m), m->holder, payments_now(m->p))->rider,
		       on_claimed);
}

static void page_done(struct wallet_query *q)
{
	struct mirror *m = container_of(q, struct mirror, query);

	m->next = 0;
	if (q->is_failed)
		turn_over(m, true);
	else if (m->page.count == 0)
		turn_over(m, false);
	else
		work(m);
}

static void read_page(struct mirror *m)
{
	query(m, page_step, page_done);
}

static void on_begun(struct wallet_cmd *cmd)
{
	struct mirror *m = cmd->arg;

	if (!is_committed(m))
		return;
	m->has_begun = cmd->outcome == WALLET_OK;
	m->wants_more = true;
	round_over(m, !m->has_begun);
}

static bool start_step(struct wallet_query *q, struct db *db)
{
	struct mirror *m = container_of(q, struct mirror, query);

	if (mirror_start_read(db, gateway_name(m), m->born, &m->is_started, &m->start) != DB_OK)
		q->is_failed = true;
	return true;
}

static void start_done(struct wallet_query *q)
{
	struct mirror *m = container_of(q, struct mirror, query);

	if (q->is_failed) {
		round_over(m, true);
	} else if (m->is_started) {
		m->has_begun = true;
		m->wants_more = true;
		round_over(m, false);
	} else {
		submit(m, mirror_start_create(gateway_name(m), m->born, &m->start), on_begun);
	}
}

static void run(struct mirror *m)
{
	loop_timer_cancel(&m->timer);
	m->is_running = true;
	m->wants_more = false;
	m->is_put_off = false;
	if (m->has_begun) {
		m->page.last = ID_NONE;
		query(m, page_step, first_page_done);
	} else {
		mirror_start_list_finish(&m->start);
		query(m, start_step, start_done);
	}
}

static void on_timer(void *arg)
{
	struct mirror *m = arg;

	if (m->is_running)
		return;
	/* The release of the last turn may still wait for the store. */
	if (m->is_committing)
		loop_timer_in(&m->timer, MIRROR_MS);
	else
		run(m);
}

void mirror_resume(struct payments *p)
{
	struct mirror *m = p->mirror;

	if (!m)
		return;
	if (!m->was_resumed || (!m->is_running && !m->is_backing_off))
		loop_timer_in(&m->timer, 0);
	m->was_resumed = true;
}

void mirror_soon(struct payments *p)
{
	struct boottime soon = boottime_after(clock_boot(), MIRROR_MS);
	struct mirror *m = p->mirror;

	if (!m || !m->was_resumed || m->is_backing_off)
		return;
	m->wants_more = true;
	if (!m->is_running && (!loop_timer_is_set(&m->timer) || m->timer.at.ms > soon.ms))
		loop_timer_at(&m->timer, soon);
}

void mirror_init(struct payments *p)
{
	struct mirror *m;

	if (!p->config.meter || !p->gateway || !p->gateway->mirror)
		return;
	m = xzalloc(sizeof(*m));
	m->p = p;
	m->holder = wallet_new_id(p->wallet);
	/* The ledger's clock. */
	m->born = clock_wall();
	m->wait_ms = MIRROR_MS;
	loop_timer_init(&m->timer, p->loop, on_timer, m);
	p->mirror = m;
}

void mirror_finish(struct payments *p)
{
	struct mirror *m = p->mirror;

	if (!m)
		return;
	p->mirror = NULL;
	loop_timer_cancel(&m->timer);
	wallet_query_cancel(p->wallet, &m->query);
	if (m->is_calling)
		p->gateway->abort(p->gateway, &m->call);
	m->p = NULL;
	if (!m->is_committing)
		mirror_free(m);
}
