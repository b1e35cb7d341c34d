#ifndef WALLET_CLOCK_H
#define WALLET_CLOCK_H

/*
 * What time it is for budgets, limits, rates and the days of idempotency keys. A wall clock may be
 * set wrong, and one that is far ahead would move all periods on until that date. So a jump ahead
 * is believed only when the boot clock moved as far, when the boot is another one, or when the
 * operator says so (WALLET_OP_BELIEVE_CLOCK); until then time goes on from where it was. A step
 * back is taken as it is, for periods only move forward anyway. Both are logged once, and kept for
 * the operator to see.
 */

#include "db/db.h"

struct clock_belief {
	bool is_known; /* false: the store has seen no batch yet */
	uint8_t boot[16];
	struct walltime wall; /* was right when */
	struct boottime at;   /* the boot clock said this */
	struct walltime earliest;
	int64_t ahead_ms, back_ms; /* at most, as far as it was seen; 0: it was not */
	struct walltime ahead_seen, back_seen;
};

struct clock_verdict {
	struct walltime now;    /* to go by */
	struct walltime steady; /* the same, but it does not step back within a boot */
	int64_t ahead_ms;       /* of what the clock says and is not believed; 0: none */
	int64_t back_ms;        /* by how much it is behind; 0: it is not */
};

MUST_USE enum db_status clock_belief_read(struct db *db, struct clock_belief *out);
void clock_judge(const struct clock_belief *belief, const struct clocks *clocks,
		 struct clock_verdict *out);

#endif
