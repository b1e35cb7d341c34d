/*
 * Auto-reload: which orgs to look at, and when. The look is a read after the turn's batch; only
 * what seems due asks for the org's one place for a reload, in a batch of its own, and is decided
 * there.
 */

#include "base/limits.h"
#include "payments/room.h"
#include "wallet/account.h"
#include "wallet/play.h"

#include <stdlib.h>
#include <string.h>

#define ORGS_PER_STEP 64

static bool ids_push(struct id **ids, size_t *count, size_t *size, struct id id)
{
	if (*count && id_eq((*ids)[*count - 1], id))
		return true;
	if (*count == *size) {
		if (*size == RELOAD_WATCH_MAX)
			return false;
		*size = *size ? 2 * *size : 4;
		*ids = xrealloc_array(*ids, *size, sizeof(**ids));
	}
	(*ids)[(*count)++] = id;
	return true;
}

/* The words of the balance change in a batch, as a reload begins in one. */
static void bound(struct payments *p, struct id org, const struct reload_facts *facts)
{
	struct watch *watch = &p->watch;
	struct walltime resets = ceiling_resets(&facts->purchases, reload_ceiling(facts));
	CLEANUP(free_charp) char *text = reload_bound_text(facts);

	if (resets.ms)
		watch_later(p, org, resets);
	if (!facts->trouble || strcmp(facts->trouble, text) != 0)
		(void)ids_push(&watch->due, &watch->due_count, &watch->due_size, org);
}

static void follow(struct payments *p, struct id org, const struct reload_facts *facts,
		   struct walltime now)
{
	struct watch *watch = &p->watch;
	struct cents amount;

	switch (reload_decide(facts, now, &amount)) {
	case RELOAD_DUE:
		(void)ids_push(&watch->due, &watch->due_count, &watch->due_size, org);
		return;
	case RELOAD_COOLING:
		watch_later(p, org, facts->not_before);
		return;
	case RELOAD_IN_FLIGHT:
		/* Perhaps of a process that is gone. */
		poll_soon(p);
		return;
	case RELOAD_BOUND:
		bound(p, org, facts);
		return;
	case RELOAD_NOT_WANTED:
	case RELOAD_NO_ROOM:
		return;
	}
}

static void look_at(struct payments *p, struct db *db, struct id org)
{
	struct purchase_till till = payments_till(p);
	struct walltime now = payments_now(p);
	struct reload_facts facts = {.in_flight = false};
	struct wallet_view view;
	bool is_found = false;

	if (wallet_view_read(db, org, &is_found, &view) != DB_OK || !is_found)
		return;
	/* Nearly all looks end here. */
	if (!view.prefs.auto_reload_enabled ||
	    microusd_cmp(wallet_spendable(&view), view.prefs.auto_reload_threshold) >= 0)
		return;
	if (view.is_live && play_is_till(p->gateway->name))
		return;
	if (wallet_ceiling_read(p->wallet, db, &view) != DB_OK)
		return;
	facts.prefs = wallet_bound_prefs(&view);
	facts.available = wallet_spendable(&view);
	if (reload_facts_read(db, &till, org, now, &facts) == DB_OK)
		follow(p, org, &facts, now);
	free(facts.trouble);
}

static bool watch_step(struct wallet_query *query, struct db *db)
{
	struct payments *p = container_of(query, struct payments, watch.query);

	for (int i = 0; i < ORGS_PER_STEP && p->watch.orgs_count; i++)
		look_at(p, db, p->watch.orgs[--p->watch.orgs_count]);
	return p->watch.orgs_count == 0;
}

static void start_query(struct payments *p)
{
	p->watch.query.deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	wallet_query(p->wallet, &p->watch.query);
}

static void watch_done(struct wallet_query *query)
{
	struct payments *p = container_of(query, struct payments, watch.query);
	struct watch *watch = &p->watch;

	/* The next settlement asks again. */
	if (query->is_failed)
		watch->orgs_count = 0;
	while (watch->due_count) {
		struct job *job = job_create(p, JOB_CLAIM);

		job->payment = (struct payment_view){
			.id = wallet_new_id(p->wallet),
			.org = watch->due[--watch->due_count],
			.kind = PAYMENT_RELOAD,
			.state = p->gateway->is_remote ? PAYMENT_CREATED : PAYMENT_SUBMITTED,
			.created = payments_now(p),
		};
		job_claim(job);
	}
	if (watch->orgs_count)
		start_query(p);
}

void payments_watch(struct payments *p, struct id org)
{
	struct watch *watch = &p->watch;

	if (!p->gateway)
		return;
	mirror_soon(p);
	/* Beyond the limit an org waits for its next settlement. */
	(void)ids_push(&watch->orgs, &watch->orgs_count, &watch->orgs_size, org);
	if (!watch->query.is_queued)
		start_query(p);
}

static void set_timer(struct payments *p)
{
	const struct watch *watch = &p->watch;
	int64_t now_ms = payments_now(p).ms, wait_ms = RELOAD_DECLINED_MS;

	for (size_t i = 0; i < watch->cooling_count; i++) {
		int64_t ms = watch->cooling[i].at.ms - now_ms;

		if (ms < wait_ms)
			wait_ms = ms > 0 ? ms : 0;
	}
	if (watch->cooling_count)
		loop_timer_in(&p->watch.timer, wait_ms);
	else
		loop_timer_cancel(&p->watch.timer);
}

static void cooled_down(void *arg)
{
	struct payments *p = arg;
	struct watch *watch = &p->watch;
	struct walltime now = payments_now(p);
	size_t kept = 0;

	for (size_t i = 0; i < watch->cooling_count; i++) {
		struct cooling c = watch->cooling[i];

		if (c.at.ms > now.ms)
			watch->cooling[kept++] = c;
		else
			payments_watch(p, c.org);
	}
	watch->cooling_count = kept;
	set_timer(p);
}

void watch_later(struct payments *p, struct id org, struct walltime at)
{
	struct watch *watch = &p->watch;
	size_t i = 0;

	while (i < watch->cooling_count && !id_eq(watch->cooling[i].org, org))
		i++;
	if (i == watch->cooling_size) {
		if (watch->cooling_size == RELOAD_WATCH_MAX)
			return;
		watch->cooling_size = watch->cooling_size ? 2 * watch->cooling_size : 4;
		watch->cooling = xrealloc_array(watch->cooling, watch->cooling_size,
						sizeof(*watch->cooling));
	}
	if (i == watch->cooling_count)
		watch->cooling_count++;
	watch->cooling[i] = (struct cooling){.org = org, .at = at};
	set_timer(p);
}

void watch_init(struct payments *p)
{
	p->watch.query = (struct wallet_query){.step = watch_step, .done = watch_done};
	loop_timer_init(&p->watch.timer, p->loop, cooled_down, p);
}

void watch_finish(struct payments *p)
{
	wallet_query_cancel(p->wallet, &p->watch.query);
	loop_timer_cancel(&p->watch.timer);
	free(p->watch.orgs);
	free(p->watch.due);
	free(p->watch.cooling);
}
