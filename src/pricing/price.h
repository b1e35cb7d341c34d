#ifndef PRICING_PRICE_H
#define PRICING_PRICE_H

/*
 * What a tool costs: pure functions over a price that was read from the configuration once. The
 * hold takes the bound of the call's arguments; the charge is computed after the execution. That of
 * flat, per_unit and cost_plus never passes the bound; a model may use more than was estimated
 * (llm), and then the meter decides what of it can be charged.
 *
 * With the caller's own provider key (is_own_key) cost_plus and llm charge the platform's fee only:
 * raw cost x (markup - 1). flat and per_unit do not depend on it.
 */

#include "base/err.h"
#include "base/money.h"
#include "json/faults.h"

#include <jansson.h>

struct buf;

enum price_kind {
	PRICE_FLAT,
	PRICE_PER_UNIT,
	PRICE_COST_PLUS,
	PRICE_LLM,
};

/* USD for a million tokens. */
struct llm_model {
	char *name; /* owned */
	struct decimal input, cached_input, cache_write, output;
	int64_t max_output;   /* of a call without max_tokens; LLM_MAX_OUTPUT_DEFAULT by default */
	int64_t image_tokens; /* that an image takes at most; LLM_TOKENS_PER_IMAGE by default */
};

struct price {
	enum price_kind kind;
	/* Says which price this is: the first 53 bits of the SHA-256 of its canonical JSON, so that
	 * every process gives the same price the same number, without asking anybody. */
	int64_t version;
	char *text; /* that JSON, owned */
	/* FLAT; PER_UNIT: of one unit. */
	struct microusd tokens;
	/* PER_UNIT */
	char *units_pointer; /* owned */
	int64_t max_units;
	/* COST_PLUS: a constant raw cost, or a pointer into {"arguments", "result"} with a bound.
	 */
	struct decimal raw_cost;
	char *raw_cost_pointer; /* owned; NULL for a constant */
	struct decimal raw_cost_max;
	/* LLM: in order of their names. */
	struct llm_model *models; /* owned */
	size_t models_count;
	/* COST_PLUS, LLM */
	struct decimal markup, fee; /* fee: markup - 1 */
	/* The largest charge of a call, and with the caller's own key. LLM: depends on the
	 * arguments, see price_bound. */
	struct microusd bound, bound_own_key;
};

/* What a model used. input counts all prompt tokens, those read from a cache and those written to
 * one among them; output counts reasoning tokens, too. */
struct llm_usage {
	bool is_known;
	int64_t input;
	int64_t cached_input;
	int64_t cache_write;
	int64_t output;
};

/* What is charged when a provider answered, or broke off in the middle of its answer, and did not
 * say what it used. */
enum unknown_usage {
	UNKNOWN_USAGE_HOLD,     /* the whole hold */
	UNKNOWN_USAGE_ZERO,     /* nothing */
	UNKNOWN_USAGE_ESTIMATE, /* llm: see price_estimate; other kinds: the whole hold */
};

/* What one execution cost. raw_cost and markup are set for cost_plus and llm only; markup is what
 * the raw cost was multiplied with. */
struct charge {
	struct microusd amount;
	bool has_raw_cost;
	struct decimal raw_cost;
	struct decimal markup;
};

/* An execution to be charged. */
struct price_facts {
	json_t *arguments; /* borrowed */
	json_t *result;    /* borrowed; NULL when there is none, or nobody asks for it */
	struct llm_usage usage;
	bool is_own_key;
};

/* Reads a `price` member. Prices are JSON numbers or decimals in strings. False names the fault:
 * "raw_cost_usd: ...". */
MUST_USE bool price_read(const json_t *config, struct price *out, struct err *err);
/* The same, and adds all faults, with pointers from config. */
MUST_USE bool price_read_all(const json_t *config, struct price *out, struct faults *faults);
void price_finish(struct price *p);
/* Why a price by model stands where nothing says a model's usage: each call would cost its hold. */
#define PRICE_LLM_WORDS                                                                            \
	"llm is for tools with a provider of kind llm; price what an answer says with per_unit "   \
	"or cost_plus and a pointer"
const char *price_kind_name(enum price_kind kind);
/* NULL is the default. False: no such policy. */
MUST_USE bool unknown_usage_read(const char *name, enum unknown_usage *out);

/*
 * The largest charge of a call with these arguments. False only for llm, when the arguments name no
 * model with a price (unknown price, no service) or a bad max_tokens; err is "FIELD: text".
 */
MUST_USE bool price_bound(const struct price *p, const json_t *arguments, bool is_own_key,
			  struct microusd *out, struct err *err);

/* The charge for a finished execution. False: its usage is not known, and err says what is
 * missing; then unknown_usage decides. */
MUST_USE bool price_charge(const struct price *p, const struct price_facts *facts,
			   struct charge *out, struct err *err);
/* Of an llm: the prompt as it was estimated for the hold, and output_bytes of answer, a token for
 * each two of them. For the other kinds the bound. */
struct charge price_estimate(const struct price *p, const struct price_facts *facts,
			     size_t output_bytes);
/* price_charge looks at facts.result. */
bool price_needs_result(const struct price *p);

/*
 * llm only. The output tokens that the hold covers: `max_tokens` of the arguments, else the
 * model's max_output; the provider must be sent the same. 0 for other kinds or a bad model.
 */
int64_t price_llm_max_output(const struct price *p, const json_t *arguments);
/* The model has a rate of its own for what is written to a cache. */
bool llm_model_has_cache_write(const struct llm_model *m);
/*
 * An upper estimate of a prompt's tokens: one for each two bytes of text in the arguments (English
 * takes about four bytes a token, code three, CJK and base64 two, so ordinary text stays below),
 * LLM_TOKENS_PER_MESSAGE for each object in them, image_tokens for each image, whose data or URL
 * does not count, and LLM_TOKENS_PER_MEDIA for each part that is neither text nor image, whose data
 * counts as well. Only such media behind an URL can be far larger.
 */
int64_t price_llm_prompt_tokens(const json_t *arguments, int64_t image_tokens);
/* The largest max_tokens whose bound is within limit; false when not even 1 is. Needs a bound. */
MUST_USE bool price_llm_affordable(const struct price *p, const json_t *arguments, bool is_own_key,
				   struct microusd limit, int64_t *out);

/* Which failed calls cost nothing. */
enum price_refund {
	REFUND_FAILED,        /* all */
	REFUND_BEFORE_ANSWER, /* those that fail before the first byte of an answer */
	REFUND_NO_TOOL_ERROR, /* all but those that the tool itself answers with an error */
};

/* "Costs 5 tokens ($0.05) per call; failed calls are refunded." Appended to out. */
void price_sentence(const struct price *p, enum price_refund refund, struct buf *out);
/* Members of a price object: "kind":"flat","tokens":5. Appended to out. */
void price_members(const struct price *p, struct buf *out);

#endif
