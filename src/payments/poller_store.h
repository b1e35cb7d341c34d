#ifndef PAYMENTS_POLLER_STORE_H
#define PAYMENTS_POLLER_STORE_H

/*
 * One process of a store asks the till at a time: it takes the poller's row for a short while, and
 * says in it when it will be time again.
 */

#include "payments/gateway.h"
#include "payments/payment_store.h"

/* A reading of all that went back since a time, over as many looks as it takes. */
struct poller_pass {
	struct walltime since; /* 0: none is under way */
	struct walltime seen;  /* up to then it is known once this is over */
	struct gateway_place place;
};
void poller_pass_finish(struct poller_pass *pass);

struct poller_claim {
	struct rider rider;
	/* In. */
	const char *gateway;
	struct id holder;
	struct walltime now;
	bool is_forced; /* not only when it is time */
	int64_t wait_ms;
	/* Out. */
	bool is_ours;
	bool is_held;            /* by another holder; else it is not time */
	struct walltime again;   /* when to try again, if it is not ours */
	struct walltime seen;    /* refunds and disputes are known up to then; 0: never looked */
	struct poller_pass pass; /* owned */
};

struct poller_claim *poller_claim_create(const char *gateway, struct id holder);

/* Ends the turn of this holder. seen 0: as it was. The pass is copied; while one is under way, it
 * is time again at next. */
struct rider *poller_release_create(const char *gateway, struct id holder, struct walltime seen,
				    const struct poller_pass *pass, struct walltime next);

/* The same of a turn that came to nothing: the next one is due at once. */
struct rider *poller_abandon_create(const char *gateway, struct id holder);

/* Up to when the till's lists are known; 0: never looked. */
MUST_USE enum db_status poller_seen_read(struct db *db, const char *gateway, struct walltime *out);

#endif
