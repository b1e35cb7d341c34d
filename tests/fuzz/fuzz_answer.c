#include "fuzz.h"

#include "loop/http.h"
#include "providers/http_answer.h"
#include "providers/llm_api.h"
#include "json/edge.h"

/* A kind of content and a body: the result is JSON, and so are the parts of a model's answer. */

static void try_model(const struct llm_api *api, json_t *root)
{
	struct llm_answer whole = {.is_over = false}, part = {.is_over = false};

	(void)api->read(root, &whole);
	(void)api->event(root, &part);
	(void)api->event(root, &part);
	llm_answer_finish(&whole);
	llm_answer_finish(&part);
}

static void check_json(struct slice text)
{
	json_t *value = text.len ? edge_parse_loose(text, NULL) : NULL;

	CHECK(value || !text.len);
	json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice type, body;
	struct provider_result result;
	struct answer_secrets secrets = {.own_key = "key"};
	struct http_response r = {.outcome = HTTP_DONE, .effective_url = "", .error = ""};
	char *content_type, *copy;
	json_t *root;

	fuzz_split(data, size, &type, &body);
	content_type = xstrndup(type.p, type.len);
	copy = fuzz_copy(body.p, body.len);
	r.content_type = content_type;
	r.body = (struct slice){.p = copy, .len = body.len};
	for (int status = 200; status <= 400; status += 200) {
		provider_result_init(&result);
		r.status = status;
		if (status == 200)
			answer_read(&r, "", &result);
		else
			answer_failed(&r, &secrets, &result);
		CHECK(result.outcome == PROVIDER_OK || result.err.text[0]);
		check_json(buf_slice(&result.structured));
		check_json(buf_slice(&result.content));
		provider_result_finish(&result);
	}
	root = edge_parse(r.body, NULL);
	if (root) {
		try_model(&LLM_OPENAI, root);
		try_model(&LLM_ANTHROPIC, root);
	}
	json_decref(root);
	free(copy);
	free(content_type);
	return 0;
}
