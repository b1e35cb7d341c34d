#ifndef PROVIDERS_LLM_CONFIG_H
#define PROVIDERS_LLM_CONFIG_H

/* The configuration of an llm provider, read once. For llm.c only. */

#include "providers/http_plan.h"
#include "providers/llm_api.h"

struct llm_config {
	const struct llm_api *api;
	/* URL and headers; its body is written for each call. */
	struct http_plan plan;
	bool has_key; /* of the operator */
	bool is_stream;
	const char *max_tokens_name;
	json_t *models; /* NULL: all names are the provider's */
};

MUST_USE bool llm_config_read(const json_t *config, struct llm_config *out, struct err *err);
/* The same, and adds all faults, with pointers from config. */
MUST_USE bool llm_config_read_all(const json_t *config, struct llm_config *out,
				  struct faults *faults);
void llm_config_finish(struct llm_config *c);

#endif
