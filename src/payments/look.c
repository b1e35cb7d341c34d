/*
 * The look at what is unfinished: at the first use of the store, and then as long as there is
 * something, less and less often. What was in flight when a process ended is asked for again under
 * its own id; what waits for a payer is asked about, or cancelled when its time is over.
 */

#include "base/limits.h"
#include "payments/room.h"

static void next_page(struct payments *p);

static void set_timer(struct payments *p)
{
	struct look *look = &p->look;

	if (!loop_timer_is_set(&look->timer))
		loop_timer_in(&look->timer, look->wait_ms);
}

static void page_is_over(struct payments *p)
{
	struct look *look = &p->look;

	if (!look->is_last_page) {
		next_page(p);
		return;
	}
	if (!look->left)
		return;
	set_timer(p);
	look->wait_ms *= 2;
	if (look->wait_ms > PAYMENT_LOOK_MS_MAX)
		look->wait_ms = PAYMENT_LOOK_MS_MAX;
}

void poll_job_over(struct payments *p, bool is_unfinished)
{
	CHECK(p->look.jobs > 0);
	p->look.jobs--;
	p->look.left += is_unfinished;
	if (p->look.jobs == 0)
		page_is_over(p);
}

static bool look_step(struct wallet_query *query, struct db *db)
{
	struct payments *p = container_of(query, struct payments, look.query);
	struct look *look = &p->look;

	if (payment_unfinished_read(db, p->gateway->name, look->cursor, PAYMENT_LOOK_ROWS,
				    &look->page) != DB_OK)
		query->is_failed = true;
	return true;
}

static void look_done(struct wallet_query *query)
{
	struct payments *p = container_of(query, struct payments, look.query);
	struct look *look = &p->look;

	look->is_last_page = query->is_failed || look->page.count < PAYMENT_LOOK_ROWS;
	look->left += query->is_failed;
	for (size_t i = 0; i < look->page.count; i++) {
		struct payment_unfinished *item = &look->page.items[i];
		struct job *job;

		look->cursor = item->view.id;
		if (job_find(p, item->view.id)) {
			look->left++;
			continue;
		}
		job = job_create(p, JOB_TILL);
		job->payment = item->view;
		item->view = (struct payment_view){.url = NULL};
		job->declines = item->declines;
		job->is_look = true;
		look->jobs++;
		job_till(job);
	}
	payment_unfinished_list_finish(&look->page);
	if (look->jobs == 0)
		page_is_over(p);
}

static void next_page(struct payments *p)
{
	p->look.query.deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	wallet_query(p->wallet, &p->look.query);
}

void payments_resume(struct payments *p)
{
	struct look *look = &p->look;

	/* One at a time; the one under way sees what there is. */
	if (!p->gateway || look->query.is_queued || look->jobs)
		return;
	loop_timer_cancel(&look->timer);
	look->cursor = ID_NONE;
	look->left = 0;
	next_page(p);
}

void poll_soon(struct payments *p)
{
	struct look *look = &p->look;
	struct boottime soon = boottime_after(clock_boot(), PAYMENT_LOOK_MS);

	look->wait_ms = PAYMENT_LOOK_MS;
	if (loop_timer_is_set(&look->timer) && look->timer.at.ms > soon.ms)
		loop_timer_cancel(&look->timer);
	set_timer(p);
}

static void on_timer(void *arg)
{
	payments_resume(arg);
}

void poll_init(struct payments *p)
{
	p->look.query = (struct wallet_query){.step = look_step, .done = look_done};
	p->look.wait_ms = PAYMENT_LOOK_MS;
	loop_timer_init(&p->look.timer, p->loop, on_timer, p);
}

void poll_finish(struct payments *p)
{
	wallet_query_cancel(p->wallet, &p->look.query);
	loop_timer_cancel(&p->look.timer);
	payment_unfinished_list_finish(&p->look.page);
}
