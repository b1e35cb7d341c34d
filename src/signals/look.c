#include "signals/look.h"

static void on_later(void *arg)
{
	struct look *look = arg;

	detection_end(look->d, look->later_outcome);
}

bool look_begin(struct look *look, struct detection *d)
{
	look->d = d;
	loop_timer_init(&look->later, d->signals->loop, on_later, look);
	if (company_read(d->company, &look->company, &d->err))
		return true;
	look_end_later(look, DETECTION_BAD_INPUT);
	return false;
}

static void on_snapshot(struct snapshot_read *last)
{
	struct look *look = last->arg;

	if (last->is_failed) {
		err_set(&look->d->err, "the store cannot be read");
		look_end_later(look, DETECTION_FAILED);
		return;
	}
	look->go(look);
}

void look_recall(struct look *look, const char *key, void (*go)(struct look *look))
{
	struct detection *d = look->d;

	look->go = go;
	look->last = (struct snapshot_read){
		.org = d->org,
		.detector = d->detector->name,
		.company = key,
		.deadline = d->deadline,
		.done = on_snapshot,
		.arg = look,
	};
	snapshot_read_start(&look->last, d->signals->wallet);
}

void look_end_later(struct look *look, enum detection_outcome outcome)
{
	look->later_outcome = outcome;
	loop_timer_in(&look->later, 0);
}

void look_finish(struct look *look)
{
	snapshot_read_finish(&look->last);
	loop_timer_cancel(&look->later);
	company_finish(&look->company);
}

void look_remember(struct look *look, const char *fingerprint, struct slice snapshot,
		   struct walltime at)
{
	struct detection *d = look->d;
	struct rider *rider = snapshot_rider(d->org, d->detector->name, look->last.company,
					     fingerprint, snapshot, at);

	rider->next = d->riders;
	d->riders = rider;
}
