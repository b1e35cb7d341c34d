#ifndef METER_INTERNAL_H
#define METER_INTERNAL_H

/*
 * What the files of this room share: the meter's own state.
 */

#include "meter/meter.h"

struct orphan;

struct meter {
	struct loop *loop;
	struct wallet *wallet;
	struct guard_config guard;
	struct meter_call *calls;
	size_t calls_count;
	struct orphan *orphans;
	/* Of prices, those that the store is known to have; in order. */
	int64_t *versions;
	size_t versions_count;
	void (*watch)(void *arg, struct id org);
	void *watch_arg;
};

/* orphan.c: the store could not end this hold in time: the caller is told, and the hold is tried
 * again as long as this process lives; after that its lease runs out. */
void orphan_adopt(struct meter_call *call);
void orphans_destroy(struct meter *m);

/* charge.c: sets call->charge. Of an answer; and of one that broke off after it had begun. */
void charge_answer(struct meter_call *call);
void charge_broken(struct meter_call *call);

#endif
