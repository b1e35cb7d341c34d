#include "cli/store_check.h"

#include "wallet/play.h"

#include <stdlib.h>

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
