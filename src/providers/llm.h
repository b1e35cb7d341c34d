#ifndef PROVIDERS_LLM_H
#define PROVIDERS_LLM_H

/*
 * LLM APIs: {"kind": "llm", "api": "openai" or "anthropic", "base_url", "key", "headers", "byok",
 * "models", "stream"}. The arguments and the result of such a tool are those of schemas/llm.json.
 *
 * "models" maps a name of ours (in arguments and price book) to the provider's; others are passed
 * as they are. With "stream" the answer is read as it is written: progress is reported, and what
 * fails on the way is known to have begun. Where the caller names no max_tokens, the execution's
 * max_output is sent; without one, none, or 4096 where the API wants a figure. Either way one whole
 * result comes out. A request is never sent twice.
 */

#include "providers/provider.h"

#include "json/faults.h"

struct llm_provider_parts {
	struct loop *loop;
	struct http *http;
	bool allow_private;
};

/* NULL and err with the member's name when the configuration is wrong or a secret is missing. */
struct provider *llm_provider_create(const struct llm_provider_parts *parts, const json_t *config,
				     struct err *err);

/* Adds all faults of a configuration, with pointers from it, also those that come to light with a
 * call only. */
void llm_provider_check(const json_t *config, bool allow_private, struct faults *faults);

/* schemas/llm.json: a new reference. */
json_t *llm_description(void);

#endif
