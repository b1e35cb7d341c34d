#ifndef CLI_STORE_CHECK_H
#define CLI_STORE_CHECK_H

/* What doctor and 'config check --store' say of a store alike. */

#include "db/db.h"

/* One fault and what to do about it; both are borrowed. */
typedef void store_fault_fn(void *arg, const char *text, const char *remedy);

/* Test money of orgs that cannot be spent, because the store is live or is_live_key says that it is
 * about to be. False: the store cannot be read. */
MUST_USE bool store_check_test_money(struct db *db, bool is_live_key, store_fault_fn *fault,
				     void *arg);

#endif
