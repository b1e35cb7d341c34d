/*
 * What the operator allows an org to spend in a month at most, whatever the org's own budget says.
 * It is the configuration's, by the name of the org, and so is read where the name is.
 */

#include "wallet/internal.h"

#include "wallet/account.h"

#include <strings.h>

void ceiling_of_name(const struct wallet *w, const char *name, struct wallet_view *view)
{
	const struct budget_ceilings *c = &w->config.ceilings;

	view->has_ceiling = c->has_all;
	view->ceiling = c->all;
	for (size_t i = 0; i < c->count; i++) {
		if (strcasecmp(c->orgs[i].org, name) != 0)
			continue;
		view->has_ceiling = true;
		view->ceiling = c->orgs[i].usd;
	}
}

enum db_status wallet_ceiling_read(const struct wallet *w, struct db *db, struct wallet_view *view)
{
	struct org_view org = {.name = NULL};
	bool is_there = false;
	enum db_status status = DB_OK;

	if (w->config.ceilings.count)
		status = org_find(db, view->org, &is_there, &org);
	ceiling_of_name(w, is_there ? org.name : "", view);
	org_view_finish(&org);
	return status;
}

struct preferences wallet_bound_prefs(const struct wallet_view *view)
{
	struct preferences prefs = view->prefs;

	if (!view->has_ceiling)
		return prefs;
	if (!prefs.has_budget || microusd_cmp(prefs.budget_limit, view->ceiling) > 0)
		prefs.budget_limit = view->ceiling;
	prefs.has_budget = true;
	return prefs;
}

/* Lowering is never refused, nor is leaving it as it is. */
bool ceiling_allows(const struct wallet_view *view, const struct preferences *wanted)
{
	const struct preferences *now = &view->prefs;

	if (!view->has_ceiling)
		return true;
	if (!wanted->has_budget)
		return !now->has_budget;
	return microusd_cmp(wanted->budget_limit, view->ceiling) <= 0 ||
	       (now->has_budget && microusd_cmp(wanted->budget_limit, now->budget_limit) <= 0);
}
