#include "providers/llm_parts.h"

#include "base/base.h"
#include "json/edge.h"

#include <string.h>

static bool starts_with(struct slice s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s.len >= len && memcmp(s.p, prefix, len) == 0;
}

/* What all providers read. */
static bool read_data_url(struct slice url, struct llm_part *out)
{
	static const char *const TYPES[] = {"image/png", "image/jpeg", "image/gif", "image/webp"};

	for (size_t i = 0; i < ARRAY_LEN(TYPES); i++) {
		CLEANUP(free_charp) char *prefix = xasprintf("data:%s;base64,", TYPES[i]);
		size_t len = strlen(prefix);

		if (!starts_with(url, prefix) || url.len == len)
			continue;
		out->kind = LLM_PART_IMAGE_DATA;
		out->media_type = slice_of(TYPES[i]);
		out->base64 = (struct slice){.p = url.p + len, .len = url.len - len};
		return true;
	}
	return false;
}

static bool read_part(const json_t *json, struct llm_part *out)
{
	const json_t *text = json_object_get(json, "text");
	const json_t *url = json_object_get(json_object_get(json, "image_url"), "url");
	struct slice type = edge_slice(json_object_get(json, "type"));

	*out = (struct llm_part){.kind = LLM_PART_TEXT};
	if (slice_eq(type, "text") && json_is_string(text)) {
		out->text = edge_slice(text);
		return true;
	}
	if (!slice_eq(type, "image_url") || !json_is_string(url))
		return false;
	out->text = edge_slice(url);
	if (read_data_url(out->text, out))
		return true;
	out->kind = LLM_PART_IMAGE_URL;
	return starts_with(out->text, "https://");
}

size_t llm_parts_count(const json_t *content)
{
	return json_is_array(content) ? json_array_size(content) : 1;
}

struct llm_part llm_part_at(const json_t *content, size_t i)
{
	struct llm_part part;

	if (!json_is_array(content))
		return (struct llm_part){.kind = LLM_PART_TEXT, .text = edge_slice(content)};
	CHECK(read_part(json_array_get(content, i), &part));
	return part;
}

static const char *fault_of_parts(const json_t *message, const json_t *content)
{
	bool is_user = slice_eq(edge_slice(json_object_get(message, "role")), "user");
	struct llm_part part;

	if (!json_array_size(content))
		return "must have a text or a list of parts each";
	for (size_t i = 0; i < json_array_size(content); i++) {
		if (!read_part(json_array_get(content, i), &part))
			return "must have parts that are a text, or an image_url whose url is "
			       "https://..., or data:image/png;base64,... (or jpeg, gif, webp)";
		if (part.kind != LLM_PART_TEXT && !is_user)
			return "must have images in messages of the user only";
	}
	return NULL;
}

const char *llm_messages_fault(const json_t *messages)
{
	size_t n = json_array_size(messages);

	if (!n)
		return "must be a list of messages";
	for (size_t i = 0; i < n; i++) {
		const json_t *message = json_array_get(messages, i);
		const json_t *content = json_object_get(message, "content");
		const char *fault;

		if (!json_is_string(json_object_get(message, "role")))
			return "must have a role and a content each";
		if (json_is_string(content))
			continue;
		fault = fault_of_parts(message, content);
		if (fault)
			return fault;
	}
	return NULL;
}
