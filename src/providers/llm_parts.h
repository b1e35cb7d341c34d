#ifndef PROVIDERS_LLM_PARTS_H
#define PROVIDERS_LLM_PARTS_H

/*
 * The content of a message: a text, or a list of parts as OpenAI writes them, {"type": "text",
 * "text"} and {"type": "image_url", "image_url": {"url", "detail"?}}. An image is behind an https
 * URL or in a data: URL, in one of four formats that all providers take.
 */

#include "base/base.h"

#include <jansson.h>

enum llm_part_kind {
	LLM_PART_TEXT,
	LLM_PART_IMAGE_URL,
	LLM_PART_IMAGE_DATA,
};

/* Borrowed from the message. */
struct llm_part {
	enum llm_part_kind kind;
	struct slice text;               /* of a text; else the whole URL */
	struct slice media_type, base64; /* of data */
};

/* NULL when the messages can be put to a provider; else what they must be (a constant). Images are
 * for messages of the user. */
const char *llm_messages_fault(const json_t *messages);
/* How many parts a content has; a plain text is one. */
size_t llm_parts_count(const json_t *content);
/* One of those; the messages have no fault. */
struct llm_part llm_part_at(const json_t *content, size_t i);

#endif
