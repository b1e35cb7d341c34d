/*
 * The look at what is unfinished: at the first use of the store, and then as long as there is
 * something, less and less often. What was in flight when a process ended is asked for again under
 * its own id; what waits for a payer is asked about, or cancelled when its time is over; then the
 * till is asked what went back, some pages a look, and soon again while there are more. A till that
 * is far away is looked at by one process of a store at a time. A refresh is a look at one org's
 * payments, for somebody who waits for it. The first one of a process asks about all that a look
 * does: a command may end before its look has come to anything.
 *
 *	READ --something--> CLAIM --ours--> READ, ASK a page after the other --> NEWS --> over
 */

#include "base/limits.h"
#include "payments/room.h"

#include <stdlib.h>

static void next_page(struct look *look);

static struct walltime earliest(struct walltime a, struct walltime b)
{
	return a.ms < b.ms ? a : b;
}

static void set_timer(struct look *look)
{
	if (!loop_timer_is_set(&look->timer))
		loop_timer_in(&look->timer, look->wait_ms);
}

static void submit_rider(struct payments *p, TAKES struct rider *rider)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});

	wallet_cmd_add_rider(cmd, rider);
	wallet_submit(p->wallet, cmd);
}

static void refresh_over(struct look *look)
{
	struct payments *p = look->p;
	bool has_news = look->has_charges && (!look->wants_news || look->is_cut);

	while (look->waiting)
		request_ready(look->waiting, NULL, PAY_OK);
	look_destroy(look);
	payments_deliver(p);
	/* What was paid unseen may have gone back unseen. */
	if (has_news)
		payments_resume(p);
}

/* Ends the turn. What went back is known up to the beginning of the pass, once it is over; that of
 * a payment which was open then is found when it is paid. */
static void release(struct look *look, bool was_heard)
{
	struct payments *p = look->p;
	struct poller_pass *pass = &look->pass;
	struct walltime next = {.ms = payments_now(p).ms + PAYMENT_NEWS_STEP_MS};
	struct walltime seen = {0};

	pass->seen = earliest(pass->seen, look->oldest);
	if (was_heard && look->has_charges && !look->is_cut)
		seen = pass->seen;
	if (!pass->place.list && !pass->place.after)
		poller_pass_finish(pass);
	submit_rider(p, poller_release_create(p->gateway->name, p->poller, seen, pass, next));
	look->is_claimed = false;
}

static void look_over(struct look *look, bool was_heard)
{
	struct payments *p = look->p;

	look->is_running = false;
	look->is_forced = false;
	if (look->is_refresh) {
		refresh_over(look);
		return;
	}
	if (look->is_claimed)
		release(look, was_heard);
	if (look->is_wanted_again && was_heard) {
		payments_resume(p);
		return;
	}
	if (look->is_cut) {
		loop_timer_in(&look->timer, PAYMENT_NEWS_STEP_MS);
		return;
	}
	if (!look->left && !(look->has_charges && p->gateway->news))
		return;
	set_timer(look);
	look->wait_ms *= 2;
	if (look->wait_ms > PAYMENT_LOOK_MS_MAX)
		look->wait_ms = PAYMENT_LOOK_MS_MAX;
}

static void news_over(struct back *back, bool was_heard)
{
	const struct gateway_place *place = back_place(back);
	struct look *look = back_arg(back);

	look->back = NULL;
	look->is_cut = back_is_cut(back);
	free(look->pass.place.after);
	look->pass.place = *place;
	look->pass.place.after = place->after ? xstrdup(place->after) : NULL;
	look_over(look, was_heard);
}

static void begin_pass(struct look *look)
{
	struct walltime since = {.ms = look->began.ms -
				       PAYMENT_NEWS_DAYS * 24 * 60 * 60 * INT64_C(1000)};

	if (look->seen.ms)
		since = earliest(since, look->seen);
	look->pass = (struct poller_pass){.since = since, .seen = look->began};
}

/* What is paid from here on may be missing in the store: an older copy of it, put back, knows of
 * nothing later than what it has seen. */
static struct walltime paid_since(const struct look *look)
{
	struct walltime since = {.ms = look->seen.ms - PAYMENT_FOUND_OVERLAP_MS};

	return since.ms > look->pass.since.ms ? since : look->pass.since;
}

static void pages_over(struct look *look)
{
	struct payments *p = look->p;

	if (!look->wants_news || !p->gateway->news || !look->has_charges) {
		look_over(look, true);
		return;
	}
	if (!look->pass.since.ms)
		begin_pass(look);
	look->back = back_start(p,
				&(struct back_question){
					.since = look->pass.since,
					.paid_since = paid_since(look),
					.wants_waiting = !look->is_refresh,
					.place = look->pass.place,
				},
				news_over, look);
}

void poll_job_over(struct look *look, bool is_unfinished, bool is_granted)
{
	CHECK(look->jobs > 0);
	look->jobs--;
	look->left += is_unfinished;
	look->has_charges = look->has_charges || (is_granted && look->p->gateway->news);
	if (look->jobs > 0)
		return;
	if (look->is_last_page)
		pages_over(look);
	else
		next_page(look);
}

static bool look_step(struct wallet_query *query, struct db *db)
{
	struct look *look = container_of(query, struct look, query);
	const char *gateway = look->p->gateway->name;

	if (payment_unfinished_read(db, gateway, look->org, look->cursor, PAYMENT_LOOK_ROWS,
				    &look->page) != DB_OK ||
	    (look->is_refresh && poller_seen_read(db, gateway, &look->seen) != DB_OK))
		query->is_failed = true;
	/* Also where nothing was bought: the store may be an older copy. */
	look->has_charges = look->has_charges || (look->wants_news && look->p->gateway->news);
	return true;
}

static void ask(struct look *look, struct payment_unfinished *item)
{
	struct payments *p = look->p;
	struct job *job = job_create(p, JOB_TILL);

	job->payment = item->view;
	item->view = (struct payment_view){.url = NULL};
	job->declines = item->declines;
	job->look = look;
	look->jobs++;
	job_till(job);
}

static bool is_to_be_asked(const struct look *look, const struct payment_unfinished *item)
{
	return !look->is_refresh || look->is_first || !payment_is_in_flight(item->view.state);
}

/* True when somebody else asks already; who waits for a refresh waits for another look's job. */
static bool join(struct look *look, struct job *job)
{
	if (!job)
		return false;
	if (look->is_refresh && job->look && !job->joined) {
		job->joined = look;
		look->jobs++;
	} else {
		look->left++;
	}
	return true;
}

static void ask_page(struct look *look)
{
	struct payments *p = look->p;

	/* A job may end at once: not before all have begun. */
	look->jobs++;
	for (size_t i = 0; i < look->page.count; i++) {
		struct payment_unfinished *item = &look->page.items[i];

		look->cursor = item->view.id;
		look->oldest = earliest(look->oldest, item->view.created);
		if (!join(look, job_find(p, item->view.id)) && is_to_be_asked(look, item))
			ask(look, item);
	}
	payment_unfinished_list_finish(&look->page);
	poll_job_over(look, false, false);
}

static void on_claimed(struct wallet_cmd *cmd)
{
	struct poller_claim *claim = container_of(cmd->riders, struct poller_claim, rider);
	struct look *look = cmd->arg;
	int64_t wait_ms;

	if (!look->p) {
		free(look);
		return;
	}
	look->claims = false;
	if (cmd->outcome != WALLET_OK) {
		payment_unfinished_list_finish(&look->page);
		look->left++;
		look_over(look, false);
		return;
	}
	look->seen = claim->seen;
	look->pass = claim->pass;
	claim->pass.place.after = NULL;
	look->is_claimed = claim->is_ours;
	if (claim->is_ours) {
		ask_page(look);
		return;
	}
	/* What was to be asked now still is, when it is another's turn that is waited for. */
	look->is_forced = look->is_forced && claim->is_held;
	payment_unfinished_list_finish(&look->page);
	look->is_running = false;
	look->is_forced = look->is_forced || look->is_wanted_again;
	look->is_wanted_again = false;
	wait_ms = claim->again.ms - payments_now(look->p).ms;
	loop_timer_in(&look->timer, wait_ms > 0 ? wait_ms : 0);
}

static void claim(struct look *look)
{
	struct payments *p = look->p;
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});
	struct poller_claim *rider = poller_claim_create(p->gateway->name, p->poller);

	rider->now = look->began;
	rider->is_forced = look->is_forced;
	rider->wait_ms = look->wait_ms;
	wallet_cmd_add_rider(cmd, &rider->rider);
	cmd->deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	cmd->done = on_claimed;
	cmd->arg = look;
	look->claims = true;
	wallet_submit(p->wallet, cmd);
}

static void look_done(struct wallet_query *query)
{
	struct look *look = container_of(query, struct look, query);
	bool is_first = id_is_none(look->cursor);

	look->is_last_page = query->is_failed || look->page.count < PAYMENT_LOOK_ROWS;
	look->left += query->is_failed;
	if (is_first && look->page.count == 0 && (!look->has_charges || query->is_failed))
		look_over(look, false);
	else if (is_first && !look->is_refresh && look->p->gateway->is_remote)
		claim(look);
	else
		ask_page(look);
}

static void next_page(struct look *look)
{
	look->query.deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	wallet_query(look->p->wallet, &look->query);
}

static void look_start(struct look *look)
{
	loop_timer_cancel(&look->timer);
	look->is_running = true;
	look->began = payments_now(look->p);
	look->oldest = look->began;
	look->cursor = ID_NONE;
	look->left = 0;
	look->has_charges = false;
	look->is_cut = false;
	poller_pass_finish(&look->pass);
	next_page(look);
}

void payments_resume(struct payments *p)
{
	mirror_resume(p);
	if (!p->gateway)
		return;
	/* One at a time; the one under way may have passed what is to be looked at. */
	p->look->is_wanted_again = p->look->is_running;
	if (p->look->is_running)
		return;
	p->look->is_forced = true;
	look_start(p->look);
}

void poll_soon(struct payments *p)
{
	struct look *look = p->look;
	struct boottime soon = boottime_after(clock_boot(), PAYMENT_LOOK_MS);

	look->wait_ms = PAYMENT_LOOK_MS;
	if (loop_timer_is_set(&look->timer) && look->timer.at.ms > soon.ms)
		loop_timer_cancel(&look->timer);
	set_timer(look);
}

static void on_timer(void *arg)
{
	struct look *look = arg;

	if (!look->is_running)
		look_start(look);
}

/* The refresh's own: whoever waits, waits no longer; what was asked goes on. */
static void on_refresh_timer(void *arg)
{
	struct look *look = arg;
	struct payments *p = look->p;

	while (look->waiting)
		request_ready(look->waiting, NULL, PAY_OK);
	payments_deliver(p);
}

static struct look *look_create(struct payments *p, loop_timer_fn *fn)
{
	struct look *look = xzalloc(sizeof(*look));

	look->p = p;
	look->query = (struct wallet_query){.step = look_step, .done = look_done};
	look->wait_ms = PAYMENT_LOOK_MS;
	loop_timer_init(&look->timer, p->loop, fn, look);
	return look;
}

void look_destroy(struct look *look)
{
	struct payments *p = look->p;

	wallet_query_cancel(p->wallet, &look->query);
	loop_timer_cancel(&look->timer);
	payment_unfinished_list_finish(&look->page);
	poller_pass_finish(&look->pass);
	if (look->back)
		back_abort(look->back);
	if (look->link) {
		*look->link = look->next;
		if (look->next)
			look->next->link = look->link;
	}
	look->p = NULL;
	if (!look->claims)
		free(look); /* else its command's callback does */
}

static struct look *refresh_find(const struct payments *p, struct id org, bool wants_news)
{
	for (struct look *look = p->refreshes; look; look = look->next) {
		if (id_eq(look->org, org) && look->wants_news == wants_news)
			return look;
	}
	return NULL;
}

bool poll_may_look(struct often *often, struct id org, int64_t spacing_ms)
{
	struct boottime now = clock_boot();
	int64_t count = often->count - (now.ms - often->last.ms) / spacing_ms;

	if (!id_eq(often->org, org) || count < 0)
		count = 0;
	if (count >= PAYMENT_REFRESH_BURST)
		return false;
	*often = (struct often){.org = org, .last = now, .count = count + 1};
	return true;
}

void poll_refresh(struct payments *p, struct pay_request *request)
{
	bool is_first = !p->was_refreshed;
	bool wants_news = request->wants_news || is_first;
	struct look *look = refresh_find(p, request->org, wants_news);
	struct boottime until = boottime_after(clock_boot(), PAYMENT_REFRESH_MS);

	if (request->answer_by.ms > until.ms)
		request->answer_by = until;
	p->was_refreshed = true;
	if (!look) {
		look = look_create(p, on_refresh_timer);
		look->is_refresh = true;
		look->is_first = is_first;
		look->wants_news = wants_news;
		look->org = request->org;
		look->next = p->refreshes;
		look->link = &p->refreshes;
		if (look->next)
			look->next->link = &look->next;
		p->refreshes = look;
		request_push(&look->waiting, request);
		look_start(look);
	} else {
		request_push(&look->waiting, request);
	}
	loop_timer_at(&look->timer, request->answer_by);
}

/* The turn is given back: another process need not wait for it to run out. */
void payments_leave(struct payments *p)
{
	struct look *look = p->look;

	if (look->is_claimed || look->claims)
		submit_rider(p, poller_abandon_create(p->gateway->name, p->poller));
}

void poll_init(struct payments *p)
{
	p->look = look_create(p, on_timer);
	p->look->wants_news = true;
	p->poller = wallet_new_id(p->wallet);
}

void poll_finish(struct payments *p)
{
	while (p->refreshes)
		look_destroy(p->refreshes);
	look_destroy(p->look);
}
