#ifndef PRICING_INTERNAL_H
#define PRICING_INTERNAL_H

/*
 * Private to this room: the kinds of prices that have a file of their own.
 */

#include "pricing/price.h"
#include "json/edge.h"

/* markup of cost_plus and llm, NULL for the default; sets fee, too. */
bool price_read_markup(const json_t *value, struct price *p, struct faults *faults);
#define MARKUP_DEFAULT ((struct decimal){.digits = 105, .scale = 2})
/* The members of a price; what the table refuses is one fault. */
MUST_USE bool price_fields(const struct field *table, size_t n, const json_t *config, void *out,
			   struct faults *faults);

/* llm_price.c */
void llm_read(const json_t *config, struct price *p, struct faults *faults);
void llm_finish(struct price *p);
MUST_USE bool llm_bound(const struct price *p, const json_t *arguments, bool is_own_key,
			struct microusd *out, struct err *err);
MUST_USE bool llm_charge(const struct price *p, const struct price_facts *facts, struct charge *out,
			 struct err *err);

#endif
