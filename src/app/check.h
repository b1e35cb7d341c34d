#ifndef APP_CHECK_H
#define APP_CHECK_H

/*
 * All that is wrong with a configuration, at once: its shape, and what only shows when one member
 * is held against another, the environment or the machine. Touches neither store (but for
 * config_check_store) nor network and starts nothing.
 *
 * It is stricter than the start of the program, which lets one upstream or provider fail for
 * itself.
 */

#include "db/db.h"
#include "json/faults.h"

#include <jansson.h>

/* Adds all faults, by pointer. */
void config_check(const json_t *root, struct faults *faults);

/* Faults that show in the store (check_store.c). Only reads it; also with a configuration that has
 * other faults. */
MUST_USE enum db_status config_check_store(const json_t *root, struct db *db,
					   struct faults *faults);

/* One fault and what to do about it; both are borrowed. */
typedef void store_fault_fn(void *arg, const char *text, const char *remedy);

/* Test money of orgs that cannot be spent, because the store is live or is_live_key says that it is
 * about to be (check_store.c). False: the store cannot be read. */
MUST_USE bool store_check_test_money(struct db *db, bool is_live_key, store_fault_fn *fault,
				     void *arg);

/* Names that no org can have, which the program does not start with (check_names.c). */
void config_check_org_names(const json_t *root, struct faults *faults);
/* Names of tools, where several would have the same or nobody would have them (check_names.c). */
void config_check_names(const json_t *root, struct faults *faults);
/* Farebox has a tool of this name itself: free, or a detector that is on. */
bool config_is_builtin(const json_t *root, const char *name);
/* An upstream's prefix stands in front of the name: whether there is such a tool shows when the
 * upstream runs. */
bool config_is_upstream_name(const json_t *root, const char *name);

#endif
