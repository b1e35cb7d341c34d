/*
 * What only shows when the configuration is held against the store: orgs that are not there, whose
 * prices and limits would be nobody's; and money that is in it and cannot be spent.
 */

#include "app/check.h"

#include "base/suggest.h"
#include "wallet/account.h"
#include "wallet/play.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_there(const struct org_list *orgs, const char *name)
{
	for (size_t i = 0; i < orgs->count; i++) {
		if (strcasecmp(orgs->items[i].name, name) == 0)
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

bool store_check_test_money(struct db *db, bool is_live_key, store_fault_fn *fault, void *arg)
{
	struct play_list list = {.count = 0};

	if (play_list_read(db, &list) != DB_OK)
		return false;
	for (size_t i = 0; i < list.count && (list.is_live || is_live_key); i++) {
		const struct play_org *org = &list.items[i];
		CLEANUP(free_charp) char *text = NULL;
		CLEANUP(free_charp) char *remedy = NULL;
		char tokens[MONEY_TEXT_SIZE], id[ID_TEXT_SIZE];

		tokens_text(org->amount, tokens);
		id_text("org", org->id, id);
		text = xasprintf("%s has %s tokens that were bought in the sandbox or with a test "
				 "key; %s, so they cannot be spent",
				 org->name, tokens,
				 list.is_live ? "this store was used with a live Stripe key"
					      : "STRIPE_SECRET_KEY is a live one");
		remedy = xasprintf("farebox orgs void-test-money --org %s", id);
		fault(arg, text, remedy);
	}
	play_list_finish(&list);
	return true;
}
