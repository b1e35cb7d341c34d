#ifndef WALLET_USAGE_H
#define WALLET_USAGE_H

/*
 * What an org's calls cost: a call counts when its hold ends (captured, released or expired);
 * refused calls never had one. Read from sums that are kept as calls end, so that a month costs its
 * quarters of an hour and not its calls. A long read all the same: usage_step reads at most
 * USAGE_ROWS_PER_STEP sums and is called until it returns true.
 */

#include "wallet/wallet.h"

enum usage_by {
	USAGE_BY_TOOL,
	USAGE_BY_DAY,
	USAGE_BY_KEY,
};

struct usage_group {
	char *name; /* tool, 2026-11-21, or the key's prefix ("local" without a key) */
	int64_t calls;
	int64_t charged;
	int64_t refunded;
	struct microusd amount;
	struct microusd refunded_amount;
};

struct usage {
	/* In. */
	struct id org;
	int64_t day_from, day_to; /* days since 1970, both inclusive */
	enum usage_by by;
	/* Out: sorted by name. */
	struct usage_group *groups;
	size_t groups_count;
	struct usage_group totals; /* name is NULL */
	enum db_status status;
	/* Place: the last sum that was read. */
	int64_t quarter;
	char *tool;
	struct id key;
	int64_t rows;
};

/* Quarters of an hour since 1970, UTC; days begin with a multiple of USAGE_QUARTERS_PER_DAY. */
#define USAGE_QUARTERS_PER_DAY INT64_C(96)
int64_t usage_quarter(struct walltime t);

void usage_init(struct usage *u, struct id org, int64_t day_from, int64_t day_to, enum usage_by by);
bool usage_step(struct usage *u, struct db *db);
void usage_finish(struct usage *u);

#endif
