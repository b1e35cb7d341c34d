#ifndef PRICING_PRICE_H
#define PRICING_PRICE_H

/*
 * What a tool costs: pure functions over a price that was read from the configuration once. The
 * hold takes the bound; the charge is computed after the execution and never passes the hold.
 */

#include "base/err.h"
#include "base/money.h"

#include <jansson.h>

enum price_kind {
	PRICE_FLAT,
	PRICE_COST_PLUS,
};

struct price {
	enum price_kind kind;
	int64_t version;
	/* FLAT */
	struct microusd flat;
	/* COST_PLUS: a constant raw cost, or a pointer into {"arguments", "result"} with a bound.
	 */
	struct decimal raw_cost;
	char *raw_cost_pointer; /* owned; NULL for a constant */
	struct decimal raw_cost_max;
	struct decimal markup;
	/* The largest charge: what the hold takes. */
	struct microusd bound;
};

/* What a model used. input counts all prompt tokens, those read from a cache among them; output
 * counts reasoning tokens, too. */
struct llm_usage {
	bool is_known;
	int64_t input;
	int64_t cached_input;
	int64_t output;
};

/* What one execution cost. raw_cost and markup are set for cost_plus only. */
struct charge {
	struct microusd amount;
	bool has_raw_cost;
	struct decimal raw_cost;
	struct decimal markup;
};

/* Reads a `price` member. False names the fault: "raw_cost_usd: ...". */
MUST_USE bool price_read(const json_t *config, int64_t version, struct price *out, struct err *err);
void price_finish(struct price *p);
const char *price_kind_name(enum price_kind kind);

/* The charge for a finished execution. root is {"arguments": ..., "result": ...}; NULL is allowed
 * for prices that look at neither. False: the result has no usable cost, and err says what. */
MUST_USE bool price_charge(const struct price *p, json_t *root, struct charge *out,
			   struct err *err);
bool price_needs_result(const struct price *p);

/* "Costs 5 tokens ($0.05) per call." Borrowed from buf text; appended to out. */
struct buf;
void price_sentence(const struct price *p, struct buf *out);
/* Members of a price object: "kind":"flat","tokens":5. Appended to out. */
void price_members(const struct price *p, struct buf *out);

#endif
