#ifndef TOOLS_PAY_STORE_H
#define TOOLS_PAY_STORE_H

/*
 * What pay and continue keeps in the store: the key that seals a requestState, so that a fresh
 * process knows it, and the seals that were used, so that each leads to one hold.
 */

#include "wallet/wallet.h"

struct paid;

/* Reads the key, makes it where there is none, and tells whether a seal was used. */
struct pay_key {
	struct rider rider;
	struct paid *paid; /* who asked; NULL: it is gone */
	struct digest seal;
	struct walltime now;
	/* Out. */
	uint8_t key[32];
	bool is_there;
};
struct pay_key *pay_key_create(struct paid *paid);

/* Turns a hold into a lookup of its idempotency key when the seal was used, and marks it as used
 * when the hold was granted. The command's first rider. */
void pay_seal_spend(struct wallet_cmd *hold, const struct digest *seal, struct walltime expires);

#endif
