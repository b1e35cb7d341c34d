/*
 * list_models: the language models that can be called, by the tools that sell them. Prices are
 * those of the caller's org, in USD for a million tokens, before the markup.
 */

#include "tools/internal.h"

static void emit_model(struct emit *e, const char *tool, const struct price *price,
		       const struct llm_model *model)
{
	emit_object(e);
	emit_key_text(e, "model", model->name);
	emit_key_text(e, "tool", tool);
	emit_key(e, "input_usd_per_million");
	emit_decimal(e, model->input);
	emit_key(e, "cached_input_usd_per_million");
	emit_decimal(e, model->cached_input);
	if (llm_model_has_cache_write(model)) {
		emit_key(e, "cache_write_usd_per_million");
		emit_decimal(e, model->cache_write);
	}
	emit_key(e, "output_usd_per_million");
	emit_decimal(e, model->output);
	emit_key(e, "markup");
	emit_decimal(e, price->markup);
	emit_key_i64(e, "max_output_tokens", model->max_output);
	emit_object_end(e);
}

static void start(struct tool_call *call)
{
	const struct tools *tools = call->tools;
	struct buf out = BUF_INIT;
	struct emit e;

	emit_init(&e, &out);
	emit_object(&e);
	emit_key(&e, "models");
	emit_array(&e);
	for (size_t i = 0; i < tools->count; i++) {
		const struct tool *tool = tools->items[i];
		const struct price *price = tool->priced ? tool_price(call, tool) : NULL;

		for (size_t k = 0; price && k < price->models_count; k++)
			emit_model(&e, tool->name, price, &price->models[k]);
	}
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	tool_call_result(call, buf_slice(&out));
	buf_finish(&out);
}

const struct tool_entry TOOLS_MODELS[] = {
	{.name = "list_models", .scope = SCOPE_CALL, .start = start},
	{.name = NULL},
};
