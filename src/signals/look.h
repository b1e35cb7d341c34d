#ifndef SIGNALS_LOOK_H
#define SIGNALS_LOOK_H

/*
 * What every detector's state begins with: whom it looks at and what it saw last.
 */

#include "signals/company.h"
#include "signals/room.h"
#include "signals/signals_store.h"

struct look {
	struct detection *d;
	struct company company;
	struct snapshot_read last;
	void (*go)(struct look *look);
	struct loop_timer later;
	enum detection_outcome later_outcome;
};

/* Zeroed memory in. False when the company cannot be read: the end is on its way, the state must
 * stay until stop. */
MUST_USE bool look_begin(struct look *look, struct detection *d);
/* Reads the last snapshot under key (borrowed until finish), then calls go. */
void look_recall(struct look *look, const char *key, void (*go)(struct look *look));
/* Ends in a later turn; for what is known before anything was asked. */
void look_end_later(struct look *look, enum detection_outcome outcome);
void look_finish(struct look *look);

/* Puts the new snapshot on the detection's riders. */
void look_remember(struct look *look, const char *fingerprint, struct slice snapshot,
		   struct walltime at);

#endif
