#ifndef PAYMENTS_CEILING_H
#define PAYMENTS_CEILING_H

/*
 * The ceilings of purchases, which only the operator sets: what one purchase, the purchases of a
 * UTC day and those of a UTC month may come to, without fees. A payment that waits for its payer,
 * or for the till, counts for now; one that is paid, for when it was; one that came to nothing,
 * never.
 */

#include "base/clock.h"
#include "base/money.h"

#include <jansson.h>

/* 0: nothing may be bought. */
struct ceiling {
	struct microusd per_call, per_day, per_month;
};

/* All of a configuration: for every org, and what single orgs have instead. */
struct ceilings;

/* Of a configuration whose shape is sound: its members purchases and orgs.NAME.purchases. What an
 * org does not say is as for every org, and what is not said at all has a default. */
struct ceilings *ceilings_create(const json_t *root);
void ceilings_destroy(struct ceilings *c); /* NULL is allowed */
/* Borrowed. */
const struct ceiling *ceilings_of(const struct ceilings *c, const char *org);

enum ceiling_kind {
	CEILING_NONE,
	CEILING_PER_CALL,
	CEILING_PER_DAY,
	CEILING_PER_MONTH,
};

/* What an org may buy at a time. */
struct purchase_room {
	struct ceiling ceiling;
	struct microusd spent_day, spent_month;
	struct walltime now;
};

/* The ceiling that does not allow a purchase; of several the one that stays longest. */
enum ceiling_kind purchase_refused(const struct purchase_room *room, struct microusd amount);
/* The most that one purchase may be now; never negative. */
struct microusd purchase_most(const struct purchase_room *room);

/* Of one ceiling: "per_day", its limit, what counts for it (0 of per_call), and when it is counted
 * anew (0: never). */
const char *ceiling_name(enum ceiling_kind kind);
struct microusd ceiling_limit(const struct purchase_room *room, enum ceiling_kind kind);
struct microusd ceiling_spent(const struct purchase_room *room, enum ceiling_kind kind);
struct walltime ceiling_resets(const struct purchase_room *room, enum ceiling_kind kind);
/* For people: why it refuses amount. The caller frees it. */
char *ceiling_text(const struct purchase_room *room, enum ceiling_kind kind,
		   struct microusd amount);

#endif
