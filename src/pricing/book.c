#include "pricing/book.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool read_orgs(const json_t *orgs, const char *tool, struct price_book *book,
		      const char **out_at, struct err *err)
{
	const char *name;
	json_t *org;

	/* Iterating does not change it. */
	json_object_foreach ((json_t *)(uintptr_t)orgs, name, org) {
		const json_t *price = json_object_get(json_object_get(org, "prices"), tool);
		struct org_price *item;

		if (!price)
			continue;
		book->orgs = xrealloc_array(book->orgs, book->orgs_count + 1, sizeof(*book->orgs));
		item = &book->orgs[book->orgs_count];
		if (!price_read(price, &item->price, err)) {
			*out_at = name;
			return false;
		}
		item->org = xstrdup(name);
		book->orgs_count++;
	}
	return true;
}

bool book_read(const json_t *price, const json_t *orgs, const char *tool, struct price_book *out,
	       const char **out_at, struct err *err)
{
	struct price_book book = {.orgs_count = 0};

	*out_at = NULL;
	if (!price_read(price, &book.price, err))
		return false;
	if (!read_orgs(orgs, tool, &book, out_at, err)) {
		book_finish(&book);
		return false;
	}
	*out = book;
	return true;
}

bool book_has(const struct price_book *book, enum price_kind kind)
{
	for (size_t i = 0; i < book->orgs_count; i++) {
		if (book->orgs[i].price.kind == kind)
			return true;
	}
	return book->price.kind == kind;
}

void book_finish(struct price_book *book)
{
	price_finish(&book->price);
	for (size_t i = 0; i < book->orgs_count; i++) {
		free(book->orgs[i].org);
		price_finish(&book->orgs[i].price);
	}
	free(book->orgs);
	book->orgs = NULL;
	book->orgs_count = 0;
}

const struct price *book_price(const struct price_book *book, const char *org)
{
	for (size_t i = 0; org && i < book->orgs_count; i++) {
		if (strcasecmp(book->orgs[i].org, org) == 0)
			return &book->orgs[i].price;
	}
	return &book->price;
}
