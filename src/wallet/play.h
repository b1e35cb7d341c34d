#ifndef WALLET_PLAY_H
#define WALLET_PLAY_H

/*
 * Play money: what was bought in the sandbox or with a test key. As long as a store is played with
 * it is money as any other, and is spent first. A store that was used with a live key once is live
 * for ever: from then on no hold takes play money, in no process. What is left of it stands in the
 * wallet row; it moves as the entries do, so that anybody can follow it through the ledger.
 */

#include "wallet/wallet.h"

/* Whether a till, by its name in the store, takes no real money. */
bool play_is_till(const char *gateway);

/* Of an entry of kind purchase or reload: whether its note names such a till. */
bool play_is_grant(enum entry_kind kind, const char *note);
/* The note of the entry that takes play money out, and whether an entry is that. */
#define PLAY_VOID_NOTE "test money voided"
bool play_is_void(enum entry_kind kind, const char *note);

/* An entry as far as it moves play money. */
struct play_entry {
	enum entry_kind kind;
	enum account from, to;
	struct microusd amount;
	bool is_play; /* of a purchase in the sandbox or with a test key, or of its way back */
	bool is_real; /* an end of a hold that was made on a live store */
};
/* What is left of the play money after the entry; view has moved its sums already, and says whether
 * the store is live. */
void play_move(struct wallet_view *view, const struct play_entry *e);

/* Orgs with play money that is left, and whether the store is live. */
struct play_org {
	struct id id;
	char *name; /* owned by the list */
	struct microusd amount;
};
struct play_list {
	bool is_live;
	struct play_org *items;
	size_t count;
};
MUST_USE enum db_status play_list_read(struct db *db, struct play_list *out);
void play_list_finish(struct play_list *list);

#endif
