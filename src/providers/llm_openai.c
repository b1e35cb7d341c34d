/* The chat completions of OpenAI, and of the many who speak the same. */

#include "providers/llm_api.h"

#include "json/edge.h"

#include <string.h>

static bool openai_write(const struct llm_call *call, struct emit *e, const char **out_fault)
{
	(void)out_fault;
	emit_object(e);
	emit_key_text(e, "model", call->model);
	emit_key(e, "messages");
	emit_json(e, call->messages);
	if (call->max_tokens)
		emit_key_i64(e, call->max_tokens_name, call->max_tokens);
	if (call->temperature) {
		emit_key(e, "temperature");
		emit_json(e, call->temperature);
	}
	if (call->stop) {
		emit_key(e, "stop");
		emit_json(e, call->stop);
	}
	if (call->is_stream) {
		emit_key_bool(e, "stream", true);
		emit_key(e, "stream_options");
		emit_object(e);
		emit_key_bool(e, "include_usage", true);
		emit_object_end(e);
	}
	emit_object_end(e);
	return true;
}

/* prompt_tokens includes the cached ones, completion_tokens the reasoning. */
static void read_usage(const json_t *usage, struct llm_usage *out)
{
	const json_t *details = json_object_get(usage, "prompt_tokens_details");
	struct llm_usage u = {.is_known = false};

	if (!json_is_object(usage))
		return;
	u.is_known = llm_count(usage, "prompt_tokens", false, &u.input) &&
		     llm_count(usage, "completion_tokens", false, &u.output);
	/* DeepSeek's name for it stands beside the totals. */
	if (json_object_get(details, "cached_tokens") ||
	    !json_object_get(usage, "prompt_cache_hit_tokens"))
		u.is_known = llm_count(details, "cached_tokens", true, &u.cached_input) &&
			     u.is_known;
	else
		u.is_known = llm_count(usage, "prompt_cache_hit_tokens", true, &u.cached_input) &&
			     u.is_known;
	if (u.cached_input > u.input)
		u.is_known = false;
	*out = u;
}

static const json_t *first_choice(const json_t *root)
{
	return json_array_get(json_object_get(root, "choices"), 0);
}

static bool openai_read(json_t *root, struct llm_answer *out)
{
	const json_t *choice = first_choice(root);
	const json_t *message = json_object_get(choice, "message");
	const json_t *content = json_object_get(message, "content");

	if (!json_is_object(message) ||
	    !(json_is_string(content) || !content || json_is_null(content)))
		return false;
	/* A refusal is an answer, too. */
	llm_add_content(out,
			json_is_string(content) ? content : json_object_get(message, "refusal"));
	llm_keep_text(&out->model, json_object_get(root, "model"));
	llm_keep_text(&out->finish_reason, json_object_get(choice, "finish_reason"));
	read_usage(json_object_get(root, "usage"), &out->usage);
	out->is_over = true;
	return true;
}

static bool openai_event(json_t *data, struct llm_answer *out)
{
	const json_t *choice = first_choice(data);
	const json_t *delta = json_object_get(choice, "delta");

	if (!json_is_object(data))
		return false;
	if (json_is_object(json_object_get(data, "error"))) {
		llm_note_error(out, json_object_get(data, "error"));
		return true;
	}
	llm_keep_text(&out->model, json_object_get(data, "model"));
	llm_add_content(out, json_object_get(delta, "content"));
	llm_add_content(out, json_object_get(delta, "refusal"));
	llm_keep_text(&out->finish_reason, json_object_get(choice, "finish_reason"));
	/* In the last one; some repeat it in each. */
	read_usage(json_object_get(data, "usage"), &out->usage);
	return true;
}

const struct llm_api LLM_OPENAI = {
	.name = "openai",
	.path = "/chat/completions",
	.key_header = "Authorization",
	.key_format = "Bearer {key}",
	.write = openai_write,
	.read = openai_read,
	.event = openai_event,
};
