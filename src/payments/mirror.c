/*
 * The mirror of usage and credit at the till's meter. The ledger is the truth; this tells of it
 * what is durable, some seconds later and as long as there is something to tell, never as part of a
 * call. What fails stays where it is and is told later.
 *
 *	START once -> PAGE --something--> CLAIM --ours--> a few orgs at a time: mirror_tell.c
 *
 * An event is durable before it is sent, bears the id of its last call, and is sent again under it
 * until it has arrived: a crash anywhere tells it once. The turn is short and renewed, so that
 * nobody waits long for a process that was killed.
 */

#include "base/log.h"
#include "payments/mirror_room.h"

#include <stdlib.h>
#include <string.h>

static void fill(struct mirror *m);
static void read_page(struct mirror *m);

const char *mirror_gateway(const struct mirror *m)
{
	return m->p->gateway->name;
}

static void mirror_free(struct mirror *m)
{
	for (size_t i = 0; i < ARRAY_LEN(m->tellers); i++)
		teller_finish(&m->tellers[i]);
	mirror_start_list_finish(&m->start);
	mirror_page_finish(&m->page);
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

void mirror_submit(struct mirror *m, TAKES struct rider *rider, wallet_cmd_fn *done, void *arg)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});

	wallet_cmd_add_rider(cmd, rider);
	cmd->deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	cmd->done = done;
	cmd->arg = arg;
	m->commands++;
	wallet_submit(m->p->wallet, cmd);
}

bool mirror_is_committed(struct mirror *m)
{
	m->commands--;
	if (m->p)
		return true;
	if (!m->commands)
		mirror_free(m);
	return false;
}

/* Once, and then now and again while it lasts. */
static void say_trouble(struct mirror *m)
{
	struct walltime now = payments_now(m->p);

	if (!m->trouble && m->said)
		log_info("event=mirror_goes_on gateway=%s", mirror_gateway(m));
	if (m->trouble && (!m->said || strcmp(m->said, m->trouble) != 0 ||
			   now.ms - m->said_at.ms > MIRROR_SAY_MS)) {
		log_warn("event=mirror_lags gateway=%s reason=%s", mirror_gateway(m),
			 log_quote(m->trouble));
		m->said_at = now;
	}
	free(m->said);
	m->said = m->trouble;
	m->trouble = NULL;
}

/* The end of a round, whose turn this process had or not. */
static void round_over(struct mirror *m, bool is_failed)
{
	int64_t due_ms = m->due.ms - payments_now(m->p).ms;

	m->is_running = false;
	m->is_backing_off = is_failed;
	loop_timer_cancel(&m->renew_timer);
	mirror_page_finish(&m->page);
	if (is_failed) {
		loop_timer_in(&m->timer, m->wait_ms);
		m->wait_ms *= 2;
		if (m->wait_ms > MIRROR_BACKOFF_MS_MAX)
			m->wait_ms = MIRROR_BACKOFF_MS_MAX;
		return;
	}
	m->wait_ms = m->interval_ms;
	if (m->wants_more)
		loop_timer_in(&m->timer, m->interval_ms);
	else if (m->due.ms)
		loop_timer_in(&m->timer, due_ms > 0 ? due_ms : 0);
}

static void on_released(struct wallet_cmd *cmd)
{
	(void)mirror_is_committed(cmd->arg);
}

static void turn_over(struct mirror *m)
{
	struct walltime now = payments_now(m->p);
	struct walltime next = {.ms = m->has_failed ? now.ms + m->wait_ms : 0};

	if (m->is_lost) {
		m->wants_more = true;
		round_over(m, false);
		return;
	}
	mirror_submit(m, mirror_release_create(mirror_gateway(m), m->holder, now, next, m->trouble),
		      on_released, m);
	say_trouble(m);
	round_over(m, m->has_failed);
}

void mirror_fail(struct mirror *m, const char *reason)
{
	/* The first of a round stays: what follows may follow from it. */
	if (!m->trouble)
		m->trouble = xstrdup(reason ? reason : "no answer");
	m->is_stopping = true;
	m->has_failed = true;
}

void mirror_lose(struct mirror *m)
{
	m->is_stopping = true;
	m->is_lost = true;
}

void mirror_due_at(struct mirror *m, struct walltime at)
{
	if (!m->due.ms || at.ms < m->due.ms)
		m->due = at;
}

static struct teller *free_teller(struct mirror *m)
{
	/* Two that make the same thing at the till stand in each other's way. */
	size_t most = m->is_set_up ? ARRAY_LEN(m->tellers) : 1;

	for (size_t i = 0; i < most; i++) {
		if (!m->tellers[i].is_busy)
			return &m->tellers[i];
	}
	return NULL;
}

/* Begins as many orgs as may be; the last one that is over goes on, or ends the round. */
static void fill(struct mirror *m)
{
	struct teller *t;

	while (!m->is_stopping && m->next < m->page.count && (t = free_teller(m)) != NULL) {
		m->busy++;
		teller_start(t, m->page.orgs[m->next++]);
	}
	if (m->busy)
		return;
	if (m->is_stopping || m->page.is_last)
		turn_over(m);
	else
		read_page(m);
}

void mirror_teller_over(struct teller *t)
{
	struct mirror *m = t->m;

	CHECK(t->is_busy && m->busy > 0);
	t->is_busy = false;
	m->busy--;
	fill(m);
}

static void on_renewed(struct wallet_cmd *cmd)
{
	struct mirror_renewal *r = container_of(cmd->riders, struct mirror_renewal, rider);
	struct mirror *m = cmd->arg;

	if (!mirror_is_committed(m) || !m->is_running)
		return;
	if (cmd->outcome == WALLET_OK && !r->is_ours)
		mirror_lose(m);
	else
		loop_timer_in(&m->renew_timer, MIRROR_RENEW_MS);
}

static void on_renew_timer(void *arg)
{
	struct mirror *m = arg;

	mirror_submit(
		m, &mirror_renewal_create(mirror_gateway(m), m->holder, payments_now(m->p))->rider,
		on_renewed, m);
}

static void on_claimed(struct wallet_cmd *cmd)
{
	struct mirror_claim *c = container_of(cmd->riders, struct mirror_claim, rider);
	struct mirror *m = cmd->arg;
	int64_t wait_ms;

	if (!mirror_is_committed(m))
		return;
	if (cmd->outcome != WALLET_OK) {
		round_over(m, true);
		return;
	}
	if (c->is_ours) {
		loop_timer_in(&m->renew_timer, MIRROR_RENEW_MS);
		fill(m);
		return;
	}
	/* Another process tells, or the till is left alone for a while. */
	wait_ms = c->again.ms - payments_now(m->p).ms;
	round_over(m, false);
	loop_timer_in(&m->timer, wait_ms > m->interval_ms ? wait_ms : m->interval_ms);
}

static bool page_step(struct wallet_query *q, struct db *db)
{
	struct mirror *m = container_of(q, struct mirror, query);
	struct id after = m->page.last;

	mirror_page_finish(&m->page);
	if (mirror_page_read(db, mirror_gateway(m), after, payments_now(m->p), &m->page) != DB_OK)
		q->is_failed = true;
	if (m->page.due.ms)
		mirror_due_at(m, m->page.due);
	/* Pages of which nothing is to be told are passed here. */
	return q->is_failed || m->page.count > 0 || m->page.is_last;
}

static void first_page_done(struct wallet_query *q)
{
	struct mirror *m = container_of(q, struct mirror, query);

	m->next = 0;
	if (q->is_failed)
		round_over(m, true);
	else if (m->page.count == 0)
		round_over(m, false);
	else
		mirror_submit(m,
			      &mirror_claim_create(mirror_gateway(m), m->holder, payments_now(m->p))
				       ->rider,
			      on_claimed, m);
}

static void begin_round(struct mirror *m)
{
	m->page.last = ID_NONE;
	query(m, page_step, first_page_done);
}

static void page_done(struct wallet_query *q)
{
	struct mirror *m = container_of(q, struct mirror, query);

	m->next = 0;
	if (q->is_failed)
		mirror_fail(m, "the store cannot be read");
	fill(m);
}

static void read_page(struct mirror *m)
{
	query(m, page_step, page_done);
}

static void on_begun(struct wallet_cmd *cmd)
{
	struct mirror *m = cmd->arg;

	if (!mirror_is_committed(m))
		return;
	m->has_begun = cmd->outcome == WALLET_OK;
	m->wants_more = true;
	round_over(m, !m->has_begun);
}

static bool start_step(struct wallet_query *q, struct db *db)
{
	struct mirror *m = container_of(q, struct mirror, query);

	if (mirror_start_read(db, mirror_gateway(m), m->born, &m->is_started, &m->start) != DB_OK)
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
		begin_round(m);
	} else {
		mirror_submit(m, mirror_start_create(mirror_gateway(m), m->born, &m->start),
			      on_begun, m);
	}
}

static void run(struct mirror *m)
{
	loop_timer_cancel(&m->timer);
	m->is_running = true;
	m->wants_more = false;
	m->due = (struct walltime){0};
	m->is_stopping = m->has_failed = m->is_lost = false;
	m->failures = 0;
	if (m->has_begun) {
		begin_round(m);
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
	if (m->commands)
		loop_timer_in(&m->timer, m->interval_ms);
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
	struct mirror *m = p->mirror;
	struct boottime soon;

	if (!m || !m->was_resumed || m->is_backing_off)
		return;
	soon = boottime_after(clock_boot(), m->interval_ms);
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
	m->born = wallet_now(p->wallet);
	m->interval_ms = p->config.meter_interval_ms ? p->config.meter_interval_ms : MIRROR_MS;
	m->wait_ms = m->interval_ms;
	loop_timer_init(&m->timer, p->loop, on_timer, m);
	loop_timer_init(&m->renew_timer, p->loop, on_renew_timer, m);
	for (size_t i = 0; i < ARRAY_LEN(m->tellers); i++)
		m->tellers[i].m = m;
	p->mirror = m;
}

void mirror_finish(struct payments *p)
{
	struct mirror *m = p->mirror;

	if (!m)
		return;
	p->mirror = NULL;
	loop_timer_cancel(&m->timer);
	loop_timer_cancel(&m->renew_timer);
	wallet_query_cancel(p->wallet, &m->query);
	for (size_t i = 0; i < ARRAY_LEN(m->tellers); i++)
		teller_stop(&m->tellers[i]);
	m->p = NULL;
	if (!m->commands)
		mirror_free(m);
}
