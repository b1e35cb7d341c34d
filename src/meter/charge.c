/*
 * What an execution costs, and how it is told.
 */

#include "base/log.h"
#include "meter/internal.h"
#include "json/edge.h"
#include "json/emit.h"

static struct price_facts facts_of(const struct meter_call *call)
{
	return (struct price_facts){
		.arguments = call->arguments,
		.usage = call->result.usage,
		.is_own_key = call->own_key != NULL,
	};
}

/* What came of an answer, for an estimate. */
static size_t output_bytes(const struct provider_result *r)
{
	if (r->output_bytes >= 0)
		return (size_t)r->output_bytes;
	return r->content.len ? r->content.len : r->structured.len;
}

/* Missing usage is never zero by itself: the tool's policy decides. */
static void charge_unknown(struct meter_call *call, const char *reason)
{
	struct price_facts facts = facts_of(call);
	const struct provider_result *r = &call->result;
	const char *charged = "hold";

	call->charge = (struct charge){.amount = call->needed};
	switch (call->tool->unknown_usage) {
	case UNKNOWN_USAGE_HOLD:
		break;
	case UNKNOWN_USAGE_ZERO:
		call->charge.amount = MICROUSD_ZERO;
		charged = "zero";
		break;
	case UNKNOWN_USAGE_ESTIMATE:
		call->charge = price_estimate(call->price, &facts, output_bytes(r));
		charged = "estimate";
		break;
	}
	log_warn("event=usage_missing tool=%s charged=%s reason=%s", call->tool->name, charged,
		 log_quote(reason));
}

/* What stands in the first text, where it is JSON: many MCP servers answer so. */
static json_t *spoken_result(const struct provider_result *r)
{
	CLEANUP(edge_decref) json_t *content = edge_parse(buf_slice(&r->content), NULL);
	const json_t *text = json_object_get(json_array_get(content, 0), "text");

	return json_is_string(text) ? edge_parse(edge_slice(text), NULL) : NULL;
}

/* What a price's pointers call the result. A new reference, or NULL for none. */
static json_t *result_of(const struct provider_result *r)
{
	CLEANUP(edge_decref) json_t *whole = NULL;

	if (!r->structured.len)
		return spoken_result(r);
	whole = edge_parse(buf_slice(&r->structured), NULL);
	return json_incref(r->is_wrapped ? json_object_get(whole, "result") : whole);
}

void charge_answer(struct meter_call *call)
{
	CLEANUP(edge_decref) json_t *result = NULL;
	struct price_facts facts = facts_of(call);
	struct err err = ERR_INIT;

	if (price_needs_result(call->price))
		result = result_of(&call->result);
	facts.result = result;
	if (!price_charge(call->price, &facts, &call->charge, &err))
		charge_unknown(call, err.text);
}

void charge_broken(struct meter_call *call)
{
	struct price_facts facts = facts_of(call);
	struct err err = ERR_INIT;

	if (call->price->kind == PRICE_LLM && facts.usage.is_known &&
	    price_charge(call->price, &facts, &call->charge, &err))
		return;
	charge_unknown(call, "the answer broke off");
}

void meter_usage(const struct meter_call *call, struct buf *out)
{
	char receipt[DIGEST_TEXT_SIZE];
	struct emit e;

	emit_init(&e, out);
	emit_object(&e);
	emit_key_usd(&e, "cost", call->charge.amount);
	emit_key_text(&e, "currency", "USD");
	emit_key_tokens(&e, "tokens", call->charge.amount);
	emit_key_usd(&e, "credits_remaining", wallet_spendable(&call->after));
	if (call->charge.has_raw_cost) {
		emit_key(&e, "raw_cost");
		emit_decimal(&e, call->charge.raw_cost);
		emit_key(&e, "markup");
		emit_decimal(&e, call->charge.markup);
	}
	emit_key_id(&e, "call_id", "call", call->id);
	if (call->outcome == METER_STORE) {
		emit_key(&e, "receipt");
		emit_null(&e);
	} else {
		digest_text(&call->receipt, receipt);
		emit_key_text(&e, "receipt", receipt);
	}
	if (microusd_sign(call->written_off) > 0)
		emit_key_usd(&e, "written_off", call->written_off);
	if (call->outcome == METER_REPLAYED)
		emit_key_bool(&e, "replayed", true);
	emit_object_end(&e);
	emit_done(&e);
}
