#ifndef PRICING_BOOK_H
#define PRICING_BOOK_H

/*
 * The prices of one tool: its own, and those of orgs that have another (`orgs.NAME.prices.TOOL`).
 */

#include "pricing/price.h"

struct org_price {
	char *org; /* its name, owned */
	struct price price;
};

struct price_book {
	struct price price;
	struct org_price *orgs;
	size_t orgs_count;
};

/* orgs is the member of the configuration, NULL for none. False names the fault; *out_at is then
 * the name of the org whose price it is (borrowed from orgs), NULL for the tool's own. */
MUST_USE bool book_read(const json_t *price, const json_t *orgs, const char *tool,
			struct price_book *out, const char **out_at, struct err *err);
/* It holds a price of that kind, its own or an org's. */
bool book_has(const struct price_book *book, enum price_kind kind);
void book_finish(struct price_book *book);
/* org is a name; NULL for none. Borrowed from the book. */
const struct price *book_price(const struct price_book *book, const char *org);

#endif
