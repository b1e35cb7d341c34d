/*
 * What of a configuration only shows when it is held against the store: orgs that are not there,
 * whose prices and limits would be nobody's.
 */

#include "app/check.h"

#include "base/suggest.h"
#include "wallet/account.h"

#include <string.h>

static bool is_there(const struct org_list *orgs, const char *name)
{
	for (size_t i = 0; i < orgs->count; i++) {
		if (strcmp(orgs->items[i].name, name) == 0)
			return true;
	}
	return false;
}

static void add_missing(const struct org_list *orgs, const char *name, struct faults *faults)
{
	CLEANUP(free_charp) char *at = pointer_below("/orgs", name);
	struct suggestion best;

	suggestion_init(&best, name);
	for (size_t i = 0; i < orgs->count; i++)
		suggestion_offer(&best, orgs->items[i].name);
	if (best.found)
		faults_add(faults, at, "the store has no org of this name; is %s meant?",
			   best.found);
	else
		faults_add(faults, at,
			   "the store has no org of this name; 'farebox orgs create' makes it");
}

enum db_status config_check_store(const json_t *root, struct db *db, struct faults *faults)
{
	const char *named = json_string_value(
		json_object_get(json_object_get(root, "org"), "name"));
	struct org_list orgs = {.count = 0};
	enum db_status status = org_list_read(db, &orgs);
	const char *name;
	json_t *config;

	if (status == DB_OK) {
		json_object_foreach (json_object_get(root, "orgs"), name, config) {
			/* The default org gets its name with the next use of the store, or is made.
			 */
			if (is_there(&orgs, name) || (named && strcmp(name, named) == 0) ||
			    (!orgs.count && !named && strcmp(name, "default") == 0))
				continue;
			add_missing(&orgs, name, faults);
		}
	}
	org_list_finish(&orgs);
	return status;
}
