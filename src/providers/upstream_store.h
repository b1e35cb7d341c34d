#ifndef PROVIDERS_UPSTREAM_STORE_H
#define PROVIDERS_UPSTREAM_STORE_H

/* The last list of an upstream's tools, in the store: a JSON array, and whose it is. */

#include "base/digest.h"
#include "wallet/wallet.h"

/* Embedded by who reads; done comes once, text is owned by it and NULL when there is none. */
struct upstream_list_read {
	struct wallet_query query;
	struct wallet *wallet;
	const char *name;
	struct digest identity;
	char *text;
	void (*done)(struct upstream_list_read *read);
};
void upstream_list_read_start(struct upstream_list_read *read, struct wallet *wallet);
void upstream_list_read_cancel(struct upstream_list_read *read);

/* For a command of the wallet; the text is copied. */
struct rider *upstream_list_rider(const char *name, struct digest identity, struct slice text,
				  struct walltime at);

#endif
