/*
 * How a price is told: a sentence for people and models, and members for programs.
 */

#include "base/limits.h"
#include "pricing/price.h"
#include "json/emit.h"

#include <string.h>

/* "5 tokens ($0.05)". */
static void put_money(struct microusd amount, struct buf *out)
{
	char tokens[MONEY_TEXT_SIZE], usd[MONEY_TEXT_SIZE];

	tokens_text(amount, tokens);
	usd_text_people(amount, usd);
	buf_printf(out, "%s %s ($%s)", tokens, strcmp(tokens, "1") == 0 ? "token" : "tokens", usd);
}

static void put_decimal(struct decimal d, struct buf *out)
{
	char text[MONEY_TEXT_SIZE];

	decimal_text(d, text);
	buf_puts(out, text);
}

static void llm_sentence(const struct price *p, struct buf *out)
{
	if (p->models_count == 1) {
		buf_puts(out, "$");
		put_decimal(p->models[0].input, out);
		buf_puts(out, " per million input tokens and $");
		put_decimal(p->models[0].output, out);
		buf_printf(out, " per million output tokens of %s, times ", p->models[0].name);
	} else {
		buf_printf(out, "what the model uses at its price (%zu models), times ",
			   p->models_count);
	}
	put_decimal(p->markup, out);
	buf_puts(out, "; quote says what a call can cost at most");
}

static const char *refund_words(enum price_refund refund)
{
	switch (refund) {
	case REFUND_FAILED:
		return "failed calls are refunded";
	case REFUND_BEFORE_ANSWER:
		return "calls that fail before the answer begins are refunded";
	case REFUND_NO_TOOL_ERROR:
		return "failed calls are refunded, but not those that the tool itself answers "
		       "with an error";
	}
	die("refund %d", (int)refund);
}

void price_sentence(const struct price *p, enum price_refund refund, struct buf *out)
{
	buf_puts(out, "Costs ");
	switch (p->kind) {
	case PRICE_FLAT:
		put_money(p->bound, out);
		buf_puts(out, " per call");
		break;
	case PRICE_PER_UNIT:
		put_money(p->tokens, out);
		buf_puts(out, " per unit, at most ");
		put_money(p->bound, out);
		buf_puts(out, " per call");
		break;
	case PRICE_COST_PLUS:
		buf_puts(out, p->raw_cost_pointer ? "at most " : "");
		put_money(p->bound, out);
		buf_puts(out, " per call");
		break;
	case PRICE_LLM:
		llm_sentence(p, out);
		break;
	}
	buf_printf(out, "; %s.", refund_words(refund));
}

static void emit_key_decimal(struct emit *e, const char *key, struct decimal d)
{
	emit_key(e, key);
	emit_decimal(e, d);
}

static void emit_models(struct emit *e, const struct price *p)
{
	emit_key(e, "models");
	emit_object(e);
	for (size_t i = 0; i < p->models_count && i < LLM_MODELS_SHOWN_MAX; i++) {
		const struct llm_model *m = &p->models[i];

		emit_key_slice(e, slice_of(m->name));
		emit_object(e);
		emit_key_decimal(e, "input", m->input);
		emit_key_decimal(e, "cached_input", m->cached_input);
		if (llm_model_has_cache_write(m))
			emit_key_decimal(e, "cache_write", m->cache_write);
		emit_key_decimal(e, "output", m->output);
		emit_object_end(e);
	}
	emit_object_end(e);
	if (p->models_count > LLM_MODELS_SHOWN_MAX)
		emit_key_i64(e, "models_count", (int64_t)p->models_count);
}

void price_members(const struct price *p, struct buf *out)
{
	struct emit e;

	emit_init(&e, out);
	emit_key_text(&e, "kind", price_kind_name(p->kind));
	switch (p->kind) {
	case PRICE_FLAT:
		emit_key_tokens(&e, "tokens", p->tokens);
		return;
	case PRICE_PER_UNIT:
		emit_key_tokens(&e, "tokens_per_unit", p->tokens);
		emit_key_i64(&e, "max_units", p->max_units);
		emit_key_tokens(&e, "max_tokens", p->bound);
		return;
	case PRICE_COST_PLUS:
		emit_key_tokens(&e, "max_tokens", p->bound);
		if (p->raw_cost_pointer)
			emit_key_decimal(&e, "max_raw_cost_usd", p->raw_cost_max);
		else
			emit_key_decimal(&e, "raw_cost_usd", p->raw_cost);
		break;
	case PRICE_LLM:
		emit_models(&e, p);
		break;
	}
	emit_key_decimal(&e, "markup", p->markup);
}
