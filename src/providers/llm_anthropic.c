/* The messages of Anthropic. */

#include "providers/llm_api.h"

#include "base/limits.h"
#include "providers/llm_parts.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

static bool is_role(const json_t *message, const char *role)
{
	return slice_eq(edge_slice(json_object_get(message, "role")), role);
}

static void add_paragraph(struct buf *out, struct slice text)
{
	if (!text.len)
		return;
	if (out->len)
		buf_puts(out, "\n\n");
	buf_append(out, text.p, text.len);
}

/* What the system says stands apart from the conversation. */
static void write_system(const struct llm_call *call, struct emit *e)
{
	struct buf text = BUF_INIT;
	size_t n = json_array_size(call->messages);

	for (size_t i = 0; i < n; i++) {
		const json_t *message = json_array_get(call->messages, i);
		const json_t *content = json_object_get(message, "content");

		for (size_t j = 0; is_role(message, "system") && j < llm_parts_count(content); j++)
			add_paragraph(&text, llm_part_at(content, j).text);
	}
	if (text.len) {
		emit_key(e, "system");
		emit_slice(e, buf_slice(&text));
	}
	buf_finish(&text);
}

static void write_part(const struct llm_part *part, struct emit *e)
{
	emit_object(e);
	emit_key_text(e, "type", part->kind == LLM_PART_TEXT ? "text" : "image");
	if (part->kind == LLM_PART_TEXT) {
		emit_key(e, "text");
		emit_slice(e, part->text);
		emit_object_end(e);
		return;
	}
	emit_key(e, "source");
	emit_object(e);
	emit_key_text(e, "type", part->kind == LLM_PART_IMAGE_URL ? "url" : "base64");
	if (part->kind == LLM_PART_IMAGE_URL) {
		emit_key(e, "url");
		emit_slice(e, part->text);
	} else {
		emit_key(e, "media_type");
		emit_slice(e, part->media_type);
		emit_key(e, "data");
		emit_slice(e, part->base64);
	}
	emit_object_end(e);
	emit_object_end(e);
}

static void write_message(const json_t *message, struct emit *e)
{
	const json_t *content = json_object_get(message, "content");

	if (json_is_string(content)) {
		emit_json(e, message);
		return;
	}
	emit_object(e);
	emit_key(e, "role");
	emit_json(e, json_object_get(message, "role"));
	emit_key(e, "content");
	emit_array(e);
	for (size_t i = 0; i < llm_parts_count(content); i++) {
		struct llm_part part = llm_part_at(content, i);

		write_part(&part, e);
	}
	emit_array_end(e);
	emit_object_end(e);
}

static size_t write_messages(const struct llm_call *call, struct emit *e)
{
	size_t n = json_array_size(call->messages), written = 0;

	emit_key(e, "messages");
	emit_array(e);
	for (size_t i = 0; i < n; i++) {
		const json_t *message = json_array_get(call->messages, i);

		if (is_role(message, "system"))
			continue;
		write_message(message, e);
		written++;
	}
	emit_array_end(e);
	return written;
}

static bool anthropic_write(const struct llm_call *call, struct emit *e, const char **out_fault)
{
	size_t written;

	emit_object(e);
	emit_key_text(e, "model", call->model);
	emit_key_i64(e, "max_tokens", call->max_tokens);
	write_system(call, e);
	written = write_messages(call, e);
	if (call->temperature) {
		emit_key(e, "temperature");
		emit_json(e, call->temperature);
	}
	if (call->stop) {
		emit_key(e, "stop_sequences");
		if (json_is_string(call->stop))
			emit_array(e);
		emit_json(e, call->stop);
		if (json_is_string(call->stop))
			emit_array_end(e);
	}
	if (call->is_stream)
		emit_key_bool(e, "stream", true);
	emit_object_end(e);
	if (!written)
		*out_fault = "needs one of the user";
	return written > 0;
}

/* input_tokens leaves out what was read from the cache and what was written to it, which has a
 * price of its own. What stands there replaces what was known: a stream says its output more than
 * once. */
static bool read_counts(const json_t *usage, struct llm_usage *u)
{
	int64_t fresh, read, written;

	if (!json_is_object(usage))
		return false;
	if (json_object_get(usage, "input_tokens")) {
		if (!llm_count(usage, "input_tokens", false, &fresh) ||
		    !llm_count(usage, "cache_read_input_tokens", true, &read) ||
		    !llm_count(usage, "cache_creation_input_tokens", true, &written))
			return false;
		u->input = fresh + read + written;
		u->cached_input = read;
		u->cache_write = written;
	}
	return llm_count(usage, "output_tokens", false, &u->output);
}

static const char *finish_word(const char *word)
{
	static const char *const WORDS[][2] = {
		{"end_turn", "stop"},
		{"stop_sequence", "stop"},
		{"max_tokens", "length"},
		{"refusal", "content_filter"},
	};

	for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
		if (strcmp(WORDS[i][0], word) == 0)
			return WORDS[i][1];
	}
	return word;
}

static void keep_finish(struct llm_answer *out, const json_t *word)
{
	if (!out->finish_reason && json_is_string(word))
		out->finish_reason = xstrdup(finish_word(json_string_value(word)));
}

static bool anthropic_read(json_t *root, struct llm_answer *out)
{
	const json_t *blocks = json_object_get(root, "content");
	size_t n = json_array_size(blocks);

	if (!json_is_array(blocks))
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *block = json_array_get(blocks, i);

		if (slice_eq(edge_slice(json_object_get(block, "type")), "text"))
			llm_add_content(out, json_object_get(block, "text"));
	}
	llm_keep_text(&out->model, json_object_get(root, "model"));
	keep_finish(out, json_object_get(root, "stop_reason"));
	out->usage.is_known = json_object_get(json_object_get(root, "usage"), "input_tokens") &&
			      read_counts(json_object_get(root, "usage"), &out->usage);
	out->is_over = true;
	return true;
}

/* The first figures come with the start, the last with the reason of the end. */
static void message_start(const json_t *message, struct llm_answer *out)
{
	const json_t *usage = json_object_get(message, "usage");

	llm_keep_text(&out->model, json_object_get(message, "model"));
	out->has_input = json_object_get(usage, "input_tokens") && read_counts(usage, &out->usage);
}

static void message_delta(const json_t *data, struct llm_answer *out)
{
	const json_t *usage = json_object_get(data, "usage");
	bool has_input = out->has_input || json_object_get(usage, "input_tokens");

	keep_finish(out, json_object_get(json_object_get(data, "delta"), "stop_reason"));
	out->usage.is_known = read_counts(usage, &out->usage) && has_input;
}

static bool anthropic_event(json_t *data, struct llm_answer *out)
{
	struct slice type = edge_slice(json_object_get(data, "type"));

	if (!type.len)
		return false;
	if (slice_eq(type, "message_start"))
		message_start(json_object_get(data, "message"), out);
	else if (slice_eq(type, "content_block_start"))
		llm_add_content(out,
				json_object_get(json_object_get(data, "content_block"), "text"));
	else if (slice_eq(type, "content_block_delta"))
		llm_add_content(out, json_object_get(json_object_get(data, "delta"), "text"));
	else if (slice_eq(type, "message_delta"))
		message_delta(data, out);
	else if (slice_eq(type, "message_stop"))
		out->is_over = true;
	else if (slice_eq(type, "error"))
		llm_note_error(out, json_object_get(data, "error"));
	/* Pings, and what is still to come. */
	return true;
}

const struct llm_api LLM_ANTHROPIC = {
	.name = "anthropic",
	.path = "/messages",
	.key_header = "x-api-key",
	.key_format = "{key}",
	.version_header = "anthropic-version",
	.version = "2023-06-01",
	.needs_max_tokens = true,
	.write = anthropic_write,
	.read = anthropic_read,
	.event = anthropic_event,
};
