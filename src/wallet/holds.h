#ifndef WALLET_HOLDS_H
#define WALLET_HOLDS_H

/*
 * The holds that are open now, for the operator to see. Reading them changes nothing.
 */

#include "db/db.h"

#define HOLD_LIST_MAX 20

struct hold_view {
	struct id id, org;
	char *tool; /* owned */
	struct microusd amount;
	int64_t age_ms; /* not negative */
};

struct hold_list {
	int64_t count;                         /* all that are open */
	size_t items_count;                    /* the oldest of them */
	struct hold_view items[HOLD_LIST_MAX]; /* oldest first */
};

MUST_USE enum db_status hold_list_read(struct db *db, struct hold_list *out);
void hold_list_finish(struct hold_list *list);

#endif
