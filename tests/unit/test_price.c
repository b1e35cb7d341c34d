/*
 * Prices: what is held, what is charged, what is refused, and which price a version names.
 */

#include "unit.h"

#include "base/buf.h"
#include "base/limits.h"
#include "pricing/book.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

#define LLM                                                                                        \
	"{\"kind\":\"llm\",\"models\":{\"mini\":{\"input\":0.15,\"cached_input\":0.075,"           \
	"\"output\":0.6},\"big\":{\"input\":\"2.5\",\"output\":10,\"max_output\":100}}}"

static json_t *json(const char *text)
{
	struct err err = ERR_INIT;
	json_t *value = edge_parse(slice_of(text), &err);

	ck_assert_msg(value, "%s: %s", text, err.text);
	return value;
}

static struct price price_of(const char *text)
{
	CLEANUP(edge_decref) json_t *config = json(text);
	struct err err = ERR_INIT;
	struct price p;

	ck_assert_msg(price_read(config, &p, &err), "%s: %s", text, err.text);
	return p;
}

static void assert_refused(const char *text, const char *why)
{
	CLEANUP(edge_decref) json_t *config = json(text);
	struct err err = ERR_INIT;
	struct price p;

	ck_assert_msg(!price_read(config, &p, &err), "%s", text);
	ck_assert_str_eq(err.text, why);
}

/* -1: refused; *err says why. */
static int64_t bound(const struct price *p, const char *arguments, bool is_own_key, struct err *err)
{
	CLEANUP(edge_decref) json_t *value = json(arguments);
	struct microusd out = {-77};

	return price_bound(p, value, is_own_key, &out, err) ? out.v : -1;
}

/* -1: unknown. */
static int64_t charge(const struct price *p, const char *arguments, const char *result,
		      struct llm_usage usage, bool is_own_key, struct charge *out)
{
	CLEANUP(edge_decref) json_t *a = json(arguments);
	CLEANUP(edge_decref) json_t *r = result ? json(result) : NULL;
	struct price_facts facts = {
		.arguments = a, .result = r, .usage = usage, .is_own_key = is_own_key};

	return price_charge(p, &facts, out, NULL) ? out->amount.v : -1;
}

static struct llm_usage used(int64_t input, int64_t cached, int64_t output)
{
	return (struct llm_usage){
		.is_known = true, .input = input, .cached_input = cached, .output = output};
}

static int64_t tokens_of(const char *text, int64_t image_tokens)
{
	CLEANUP(edge_decref) json_t *arguments = json(text);

	return price_llm_prompt_tokens(arguments, image_tokens);
}

START_TEST(a_price_is_a_number_or_a_decimal_in_a_string)
{
	struct price a = price_of("{\"kind\":\"flat\",\"tokens\":7.5}");
	struct price b = price_of("{\"kind\":\"flat\",\"tokens\":\"7.5\"}");

	ck_assert_int_eq(bound(&a, "{}", false, NULL), 75000);
	ck_assert_int_eq(bound(&b, "{}", true, NULL), 75000);
	price_finish(&a);
	price_finish(&b);
	assert_refused("{\"kind\":\"flat\",\"tokens\":\"x\"}",
		       "tokens: must be a number that is not negative");
	assert_refused("{\"kind\":\"flat\",\"tokens\":-1}",
		       "tokens: must be a number that is not negative");
	assert_refused("{\"kind\":\"flat\",\"tokens\":0.00001}",
		       "tokens: has more than four decimals or is too large");
	assert_refused("{\"kind\":\"free\"}", "kind: must be flat, per_unit, cost_plus or llm");
	assert_refused("{}", "kind: is required: flat, per_unit, cost_plus or llm");
	assert_refused(
		"{\"kind\":\"per_unit\",\"tokens_per_unit\":1,\"units\":{\"pointer\":\"/x\"},"
		"\"max_units\":1}",
		"units: a pointer starts with /result or /arguments");
	assert_refused("{\"kind\":\"per_unit\",\"tokens_per_unit\":1,"
		       "\"units\":{\"pointer\":\"/result\"},\"max_units\":0}",
		       "max_units: must be at least 1");
	assert_refused("{\"kind\":\"llm\",\"models\":{}}",
		       "models: must be an object with a model at least");
	assert_refused("{\"kind\":\"llm\",\"models\":{\"m\":{\"input\":0.0000001,\"output\":1}}}",
		       "models: m: input: has more than six decimals");
	assert_refused("{\"kind\":\"llm\",\"markup\":0.5,\"models\":{\"m\":{\"input\":1,"
		       "\"output\":1}}}",
		       "markup: must be at least 1");
}
END_TEST

START_TEST(a_version_names_the_content_of_a_price)
{
	struct price a = price_of("{\"kind\":\"flat\",\"tokens\":5}");
	struct price same = price_of("{ \"tokens\": 5.0, \"kind\": \"flat\" }");
	struct price other = price_of("{\"kind\":\"flat\",\"tokens\":6}");

	ck_assert_int_eq(a.version, same.version);
	ck_assert_int_ne(a.version, other.version);
	ck_assert_int_gt(a.version, 0);
	ck_assert(a.version < INT64_C(1) << 53);
	ck_assert_str_eq(a.text, "{\"kind\":\"flat\",\"tokens\":5}");
	/* Stored on entries: the same in every build. */
	ck_assert_int_eq(a.version, INT64_C(8397891784613074));
	price_finish(&a);
	price_finish(&same);
	price_finish(&other);
}
END_TEST

START_TEST(units_are_counted_and_never_pass_the_hold)
{
	struct price p = price_of("{\"kind\":\"per_unit\",\"tokens_per_unit\":0.5,"
				  "\"units\":{\"pointer\":\"/result/n\"},\"max_units\":10}");
	static const struct {
		const char *result;
		int64_t charge; /* -1: unknown */
	} CASES[] = {
		{"{\"n\":0}", 0},
		{"{\"n\":3}", 15000},
		{"{\"n\":\"3\"}", 15000},
		{"{\"n\":[1,2]}", 10000},
		{"{\"n\":[]}", 0},
		{"{\"n\":0.0001}", 1},
		{"{\"n\":10}", 50000},
		{"{\"n\":11}", 50000},
		{"{\"n\":9223372036854775807}", 50000},
		{"{\"n\":-1}", -1},
		{"{\"n\":null}", -1},
		{"{\"n\":\"many\"}", -1},
		{"{\"n\":{}}", -1},
		{"{}", -1},
		{"[]", -1},
	};
	struct charge c;

	ck_assert_int_eq(bound(&p, "{}", false, NULL), 50000);
	for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
		ck_assert_msg(charge(&p, "{}", CASES[i].result, (struct llm_usage){0}, false, &c) ==
				      CASES[i].charge,
			      "%s", CASES[i].result);
	ck_assert_int_eq(charge(&p, "{}", NULL, (struct llm_usage){0}, false, &c), -1);
	price_finish(&p);
}
END_TEST

START_TEST(ones_own_key_pays_the_fee_only)
{
	struct price p = price_of("{\"kind\":\"cost_plus\",\"raw_cost_usd\":0.1}");
	struct price llm = price_of(LLM);
	struct charge c;
	char text[MONEY_TEXT_SIZE];

	ck_assert_int_eq(bound(&p, "{}", false, NULL), 105000);
	ck_assert_int_eq(bound(&p, "{}", true, NULL), 5000);
	ck_assert_int_eq(charge(&p, "{}", NULL, (struct llm_usage){0}, true, &c), 5000);
	decimal_text(c.markup, text);
	ck_assert_str_eq(text, "0.05");
	ck_assert_int_eq(charge(&llm, "{\"model\":\"big\"}", NULL, used(1000000, 0, 0), true, &c),
			 125000);
	decimal_text(c.markup, text);
	ck_assert_str_eq(text, "0.05");
	decimal_text(c.raw_cost, text);
	ck_assert_str_eq(text, "2.5");
	price_finish(&p);
	price_finish(&llm);
}
END_TEST

START_TEST(tokens_are_priced_to_the_pico_dollar_and_rounded_once)
{
	struct price p = price_of(LLM);
	struct price fine = price_of("{\"kind\":\"llm\",\"markup\":1,\"models\":{\"m\":{"
				     "\"input\":0.000001,\"cached_input\":0,\"output\":0.5}}}");
	struct charge c;
	char text[MONEY_TEXT_SIZE];

	/* 600 x 0.15 + 400 x 0.075 + 7 x 0.6 = 124.2 micro-USD, x 1.05 = 130.41. */
	ck_assert_int_eq(charge(&p, "{\"model\":\"mini\"}", NULL, used(1000, 400, 7), false, &c),
			 131);
	decimal_text(c.raw_cost, text);
	ck_assert_str_eq(text, "0.0001242");
	/* cached_input is the input price by default. */
	ck_assert_int_eq(charge(&p, "{\"model\":\"big\"}", NULL, used(400, 400, 0), false, &c),
			 1050);
	/* A pico-dollar is rounded up, not away; two halves make one and not two. */
	ck_assert_int_eq(charge(&fine, "{\"model\":\"m\"}", NULL, used(1, 0, 0), false, &c), 1);
	decimal_text(c.raw_cost, text);
	ck_assert_str_eq(text, "0.000000000001");
	ck_assert_int_eq(charge(&fine, "{\"model\":\"m\"}", NULL, used(0, 0, 2), false, &c), 1);
	ck_assert_int_eq(charge(&fine, "{\"model\":\"m\"}", NULL, used(1, 0, 2), false, &c), 2);
	ck_assert_int_eq(charge(&fine, "{\"model\":\"m\"}", NULL, used(0, 0, 0), false, &c), 0);
	/* The ends: what does not fit is unknown, and nothing wraps. */
	ck_assert_int_eq(
		charge(&p, "{\"model\":\"big\"}", NULL, used(INT64_MAX, 0, INT64_MAX), false, &c),
		-1);
	ck_assert_int_eq(charge(&p, "{\"model\":\"big\"}", NULL, used(1, 2, 0), false, &c), -1);
	ck_assert_int_eq(charge(&p, "{\"model\":\"big\"}", NULL, used(-1, 0, 0), false, &c), -1);
	ck_assert_int_eq(charge(&p, "{\"model\":\"big\"}", NULL, (struct llm_usage){0}, false, &c),
			 -1);
	price_finish(&p);
	price_finish(&fine);
}
END_TEST

START_TEST(what_is_written_to_a_cache_has_a_price_of_its_own)
{
	struct price p = price_of("{\"kind\":\"llm\",\"markup\":1.05,\"models\":{"
				  "\"c\":{\"input\":3,\"cached_input\":0.3,\"cache_write\":3.75,"
				  "\"output\":15},\"d\":{\"input\":3,\"output\":15},"
				  "\"cheap\":{\"input\":3,\"cache_write\":0.000001,\"output\":15},"
				  "\"dear\":{\"input\":1,\"cached_input\":9,\"cache_write\":5,"
				  "\"output\":15}}}");
	struct llm_usage u = {.is_known = true, .input = 100, .cached_input = 50, .output = 10};
	static const char ASK[] = "{\"model\":\"c\",\"max_tokens\":1}";
	char text[MONEY_TEXT_SIZE];
	struct charge c;
	int64_t tokens;

	u.cache_write = 30;
	/* 20 x 3 + 50 x 0.3 + 30 x 3.75 + 10 x 15 = 337.5 micro-USD, x 1.05 = 354.375. */
	ck_assert_int_eq(charge(&p, "{\"model\":\"c\"}", NULL, u, false, &c), 355);
	decimal_text(c.raw_cost, text);
	ck_assert_str_eq(text, "0.0003375");
	/* With one's own key the fee: 337.5 x 0.05 = 16.875. */
	ck_assert_int_eq(charge(&p, "{\"model\":\"c\"}", NULL, u, true, &c), 17);
	/* Without a rate it is input: 50 x 3 + 50 x 3 + 150 = 450, x 1.05 = 472.5. */
	ck_assert_int_eq(charge(&p, "{\"model\":\"d\"}", NULL, u, false, &c), 473);
	/* 20 x 3 + 50 x 3 + 30 pico-dollars + 150 = 360.00003, x 1.05. */
	ck_assert_int_eq(charge(&p, "{\"model\":\"cheap\"}", NULL, u, false, &c), 379);
	decimal_text(c.raw_cost, text);
	ck_assert_str_eq(text, "0.00036000003");
	/* Parts of one prompt: together they are no more than it. */
	u.cache_write = 50;
	ck_assert_int_gt(charge(&p, "{\"model\":\"c\"}", NULL, u, false, &c), 0);
	u.cache_write = 51;
	ck_assert_int_eq(charge(&p, "{\"model\":\"c\"}", NULL, u, false, &c), -1);
	u.cache_write = -1;
	ck_assert_int_eq(charge(&p, "{\"model\":\"c\"}", NULL, u, false, &c), -1);
	u.cache_write = INT64_MAX;
	ck_assert_int_eq(charge(&p, "{\"model\":\"c\"}", NULL, u, false, &c), -1);
	/* The hold is that of the dearest: all of the prompt is written, or read. */
	tokens = tokens_of(ASK, 1);
	u = (struct llm_usage){.is_known = true, .input = tokens, .output = 1};
	u.cache_write = tokens;
	ck_assert_int_eq(bound(&p, ASK, false, NULL), charge(&p, ASK, NULL, u, false, &c));
	u.cache_write = 0;
	u.cached_input = tokens_of("{\"model\":\"dear\",\"max_tokens\":1}", 1);
	u.input = u.cached_input;
	ck_assert_int_eq(bound(&p, "{\"model\":\"dear\",\"max_tokens\":1}", false, NULL),
			 charge(&p, "{\"model\":\"dear\"}", NULL, u, false, &c));
	price_finish(&p);
	assert_refused("{\"kind\":\"llm\",\"models\":{\"m\":{\"input\":1,\"output\":1,"
		       "\"cache_write\":0.0000001}}}",
		       "models: m: cache_write: has more than six decimals");
}
END_TEST

START_TEST(an_unknown_model_has_no_price)
{
	struct price p = price_of(LLM);
	struct err err = ERR_INIT;

	ck_assert_int_eq(bound(&p, "{\"model\":\"huge\"}", false, &err), -1);
	ck_assert_str_eq(err.text, "model: there is no price for it; those with one are big, mini");
	err = (struct err)ERR_INIT;
	ck_assert_int_eq(bound(&p, "{\"model\":5}", false, &err), -1);
	ck_assert_str_eq(err.text, "model: is required; those with one are big, mini");
	err = (struct err)ERR_INIT;
	ck_assert_int_eq(bound(&p, "{\"model\":\"mini\",\"max_tokens\":-1}", false, &err), -1);
	ck_assert_str_eq(err.text, "max_tokens: must be between 1 and 100000000");
	ck_assert_int_eq(bound(&p, "{\"model\":\"mini\",\"max_tokens\":1.5}", false, NULL), -1);
	price_finish(&p);
}
END_TEST

START_TEST(the_bound_covers_the_prompt_and_all_output)
{
	struct price p = price_of(LLM);
	/* "model", "big", "max_tokens", "messages", "role", "user", "content" and 100 bytes. */
	static const char ASK[] =
		"{\"model\":\"big\",\"max_tokens\":50,\"messages\":[{\"role\":\"user\",\"content\":"
		"\"0123456789012345678901234567890123456789012345678901234567890123456789"
		"012345678901234567890123456789\"}]}";
	CLEANUP(edge_decref) json_t *ask = json(ASK);
	CLEANUP(edge_decref) json_t *none = json("{\"model\":\"big\",\"max_tokens\":null}");
	int64_t tokens = price_llm_prompt_tokens(ask, LLM_TOKENS_PER_IMAGE);
	struct llm_usage all = used(tokens, 0, 50);
	struct charge c;

	ck_assert_int_ge(tokens, 50);
	ck_assert_int_le(tokens, 110);
	ck_assert_int_eq(bound(&p, ASK, false, NULL), charge(&p, ASK, NULL, all, false, &c));
	ck_assert_int_eq(price_llm_max_output(&p, ask), 50);
	ck_assert_int_eq(price_llm_max_output(&p, none), 100);
	price_finish(&p);
}
END_TEST

/* As the schema has them, with n images of so many bytes and a text. */
static char *with_images(size_t n, size_t bytes)
{
	struct buf out = BUF_INIT;

	buf_puts(&out, "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\","
		       "\"content\":[{\"type\":\"text\",\"text\":\"what?\"}");
	for (size_t i = 0; i < n; i++) {
		buf_puts(&out, ",{\"type\":\"image_url\",\"image_url\":{\"url\":\"");
		for (size_t j = 0; j < bytes; j++)
			buf_putc(&out, 'x');
		buf_puts(&out, "\",\"detail\":\"high\"}}");
	}
	buf_puts(&out, "]}]}");
	return buf_steal(&out);
}

START_TEST(an_image_counts_as_one_whatever_its_data)
{
	CLEANUP(free_charp) char *none = with_images(0, 0);
	CLEANUP(free_charp) char *one = with_images(1, 10), *big = with_images(1, 100000);
	CLEANUP(free_charp) char *three = with_images(3, 10);
	int64_t text = tokens_of(none, 1000);
	int64_t first = tokens_of(one, 1000) - text;

	ck_assert_int_eq(LLM_TOKENS_PER_IMAGE, 48169);
	/* The rest is the names around it. */
	ck_assert_int_ge(first, 1000);
	ck_assert_int_le(first, 1060);
	ck_assert_int_eq(tokens_of(big, 1000), tokens_of(one, 1000));
	ck_assert_int_eq(tokens_of(one, 5000) - tokens_of(one, 1000), 4000);
	ck_assert_int_ge(tokens_of(three, 1000), text + 3000);
	/* What only looks like one is text, too. */
	ck_assert_int_ge(tokens_of("{\"image_url\":{\"url\":\"0123456789\"}}", 1000), 5);
	ck_assert_int_ge(
		tokens_of("{\"type\":\"image_url\",\"text\":\"0123456789012345678901234567890"
			  "12345678901234567890\"}",
			  1),
		25);
	ck_assert_int_ge(tokens_of("{\"type\":\"input_audio\",\"data\":\"0123\"}", 1),
			 LLM_TOKENS_PER_MEDIA);
}
END_TEST

START_TEST(the_bound_of_an_image_is_the_models)
{
	struct price p = price_of("{\"kind\":\"llm\",\"markup\":1,\"models\":{"
				  "\"m\":{\"input\":1,\"output\":1,\"image_tokens\":1600}}}");
	struct price other = price_of("{\"kind\":\"llm\",\"markup\":1,\"models\":{"
				      "\"m\":{\"input\":1,\"output\":1}}}");
	CLEANUP(free_charp) char *one = with_images(1, 10);
	int64_t own = bound(&p, one, false, NULL), most = bound(&other, one, false, NULL);

	ck_assert_int_gt(own, 1600);
	ck_assert_int_eq(most - own, LLM_TOKENS_PER_IMAGE - 1600);
	price_finish(&p);
	price_finish(&other);
	assert_refused("{\"kind\":\"llm\",\"models\":{\"m\":{\"input\":1,\"output\":1,"
		       "\"image_tokens\":0}}}",
		       "models: m: image_tokens: must be between 1 and 1000000");
}
END_TEST

/* The largest max_tokens that fits: it does, and one more does not. */
START_TEST(what_is_affordable_is_exact)
{
	struct price p = price_of(LLM);

	for (int64_t limit = 0; limit < 3000; limit += 7) {
		CLEANUP(edge_decref) json_t *ask = json("{\"model\":\"mini\",\"max_tokens\":4000}");
		struct microusd most = {limit}, out;
		int64_t fits = 0;

		if (!price_llm_affordable(&p, ask, false, most, &fits)) {
			ck_assert(json_object_set_new(ask, "max_tokens", json_integer(1)) == 0);
			ck_assert(price_bound(&p, ask, false, &out, NULL) && out.v > limit);
			continue;
		}
		ck_assert_int_ge(fits, 1);
		ck_assert_int_le(fits, 4000);
		ck_assert(json_object_set_new(ask, "max_tokens", json_integer(fits)) == 0);
		ck_assert(price_bound(&p, ask, false, &out, NULL) && out.v <= limit);
		if (fits == 4000)
			continue;
		ck_assert(json_object_set_new(ask, "max_tokens", json_integer(fits + 1)) == 0);
		ck_assert(price_bound(&p, ask, false, &out, NULL) && out.v > limit);
	}
	price_finish(&p);
}
END_TEST

/* The call that was refused had no max_tokens; naming one must not make it dearer. */
START_TEST(a_proposed_max_tokens_fits_also_where_there_was_none)
{
	struct price p = price_of(LLM);

	for (int64_t limit = 100; limit < 1000; limit += 13) {
		CLEANUP(edge_decref) json_t *ask = json("{\"model\":\"big\"}");
		struct microusd most = {limit}, out;
		int64_t fits = 0;

		ck_assert(price_llm_affordable(&p, ask, false, most, &fits));
		ck_assert(json_object_set_new(ask, "max_tokens", json_integer(fits)) == 0);
		ck_assert(price_bound(&p, ask, false, &out, NULL) && out.v <= limit);
		ck_assert(json_object_set_new(ask, "max_tokens", json_integer(fits + 1)) == 0);
		ck_assert(price_bound(&p, ask, false, &out, NULL) && out.v > limit);
	}
	price_finish(&p);
}
END_TEST

/* LiteLLM#37992 in the other direction: a cost that is there is not a missing one. */
START_TEST(a_cost_of_many_decimals_is_a_cost)
{
	struct price p = price_of("{\"kind\":\"cost_plus\",\"raw_cost_usd\":{\"pointer\":"
				  "\"/result/cost\"},\"max_raw_cost_usd\":0.5}");
	struct price units = price_of("{\"kind\":\"per_unit\",\"tokens_per_unit\":1,"
				      "\"units\":{\"pointer\":\"/result/n\"},\"max_units\":9}");
	struct charge c;

	ck_assert_int_eq(charge(&p, "{}", "{\"cost\":2.0999999999999998e-05}",
				(struct llm_usage){0}, false, &c),
			 100);
	ck_assert_int_eq(charge(&p, "{}", "{\"cost\":\"0.0035058238075909086\"}",
				(struct llm_usage){0}, false, &c),
			 3700);
	ck_assert_int_eq(charge(&units, "{}", "{\"n\":0.30000000000000000004}",
				(struct llm_usage){0}, false, &c),
			 3000);
	ck_assert_int_eq(charge(&p, "{}", "{\"cost\":-1e-30}", (struct llm_usage){0}, false, &c),
			 -1);
	price_finish(&p);
	price_finish(&units);
}
END_TEST

START_TEST(an_org_may_have_prices_of_its_own)
{
	CLEANUP(edge_decref) json_t *own = json("{\"kind\":\"flat\",\"tokens\":10}");
	CLEANUP(edge_decref)
	json_t *orgs = json("{\"acme\":{\"prices\":{\"t\":{\"kind\":\"flat\",\"tokens\":8}}},"
			    "\"bad\":{\"prices\":{\"u\":{\"kind\":\"flat\",\"tokens\":-8}}}}");
	struct err err = ERR_INIT;
	struct price_book book;
	const char *at;

	ck_assert(book_read(own, orgs, "t", &book, &at, &err));
	ck_assert_int_eq(book_price(&book, NULL)->bound.v, 100000);
	ck_assert_int_eq(book_price(&book, "other")->bound.v, 100000);
	ck_assert_int_eq(book_price(&book, "acme")->bound.v, 80000);
	book_finish(&book);
	ck_assert(!book_read(own, orgs, "u", &book, &at, &err));
	ck_assert_str_eq(at, "bad");
}
END_TEST

START_TEST(a_price_tells_itself)
{
	static const struct {
		const char *price, *sentence, *members;
	} CASES[] = {
		{"{\"kind\":\"flat\",\"tokens\":1}",
		 "Costs 1 token ($0.01) per call; failed calls are refunded.",
		 "\"kind\":\"flat\",\"tokens\":1"},
		{"{\"kind\":\"per_unit\",\"tokens_per_unit\":2,\"units\":{\"pointer\":\"/result\"},"
		 "\"max_units\":5}",
		 "Costs 2 tokens ($0.02) per unit, at most 10 tokens ($0.10) per call; failed "
		 "calls are refunded.",
		 "\"kind\":\"per_unit\",\"tokens_per_unit\":2,\"max_units\":5,\"max_tokens\":10"},
		{"{\"kind\":\"llm\",\"models\":{\"m\":{\"input\":1,\"output\":2}}}",
		 "Costs $1 per million input tokens and $2 per million output tokens of m, times "
		 "1.05; quote says what a call can cost at most; failed calls are refunded.",
		 "\"kind\":\"llm\",\"models\":{\"m\":{\"input\":1,\"cached_input\":1,\"output\":2}}"
		 ","
		 "\"markup\":1.05"},
	};

	static const char *const REFUNDS[] = {
		[REFUND_FAILED] = "Costs 1 token ($0.01) per call; failed calls are refunded.",
		[REFUND_BEFORE_ANSWER] = "Costs 1 token ($0.01) per call; calls that fail before "
					 "the answer begins are refunded.",
		[REFUND_NO_TOOL_ERROR] = "Costs 1 token ($0.01) per call; failed calls are "
					 "refunded, but not those that the tool itself answers "
					 "with an error.",
	};

	for (size_t i = 0; i < ARRAY_LEN(REFUNDS); i++) {
		struct price p = price_of(CASES[0].price);
		struct buf text = BUF_INIT;

		price_sentence(&p, (enum price_refund)i, &text);
		ck_assert_str_eq(buf_text(&text), REFUNDS[i]);
		buf_finish(&text);
		price_finish(&p);
	}
	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		struct price p = price_of(CASES[i].price);
		struct buf text = BUF_INIT;

		price_sentence(&p, REFUND_FAILED, &text);
		ck_assert_str_eq(buf_text(&text), CASES[i].sentence);
		buf_clear(&text);
		price_members(&p, &text);
		ck_assert_str_eq(buf_text(&text), CASES[i].members);
		buf_finish(&text);
		price_finish(&p);
	}
}
END_TEST

UNIT_MAIN("price", a_price_is_a_number_or_a_decimal_in_a_string,
	  a_version_names_the_content_of_a_price, units_are_counted_and_never_pass_the_hold,
	  ones_own_key_pays_the_fee_only, tokens_are_priced_to_the_pico_dollar_and_rounded_once,
	  what_is_written_to_a_cache_has_a_price_of_its_own, an_unknown_model_has_no_price,
	  the_bound_covers_the_prompt_and_all_output, an_image_counts_as_one_whatever_its_data,
	  the_bound_of_an_image_is_the_models, what_is_affordable_is_exact,
	  a_proposed_max_tokens_fits_also_where_there_was_none, a_cost_of_many_decimals_is_a_cost,
	  an_org_may_have_prices_of_its_own, a_price_tells_itself)
