#include "providers/llm_config.h"

#include "base/embedded.h"
#include "providers/llm.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

json_t *llm_description(void)
{
	const struct embedded_file *file = embedded_find("llm.json");
	struct err err = ERR_INIT;
	json_t *json;

	CHECK(file);
	json = edge_parse((struct slice){.p = file->text, .len = file->len}, &err);
	if (!json)
		die("llm.json: %s", err.text);
	return json;
}

/* The operator's own header wins. */
static void add_header(json_t *headers, const char *name, const char *value)
{
	const char *key;
	json_t *other;

	json_object_foreach (headers, key, other) {
		if (strcasecmp(key, name) == 0)
			return;
	}
	CHECK(json_object_set_new(headers, name, json_string(value)) == 0);
}

static void add_key(json_t *headers, const struct llm_api *api, const char *key)
{
	size_t before = (size_t)(strstr(api->key_format, "{key}") - api->key_format);
	CLEANUP(free_charp) char *value = xasprintf("%.*s%s", (int)before, api->key_format, key);

	add_header(headers, api->key_header, value);
}

static json_t *headers_of(const json_t *config, const struct llm_api *api)
{
	const json_t *given = json_object_get(config, "headers");
	const char *key = json_string_value(json_object_get(config, "key"));
	json_t *headers = given ? json_copy((json_t *)(uintptr_t)given) : json_object();

	if (key)
		add_key(headers, api, key);
	if (api->version_header)
		add_header(headers, api->version_header, api->version);
	add_header(headers, "Content-Type", "application/json");
	add_header(headers, "Accept",
		   json_is_true(json_object_get(config, "stream")) ? "text/event-stream"
								   : "application/json");
	return headers;
}

static json_t *own_key_of(const json_t *config, const struct llm_api *api)
{
	const json_t *given = json_object_get(config, "byok");
	json_t *byok = given ? json_copy((json_t *)(uintptr_t)given) : NULL;

	if (byok && !json_object_get(byok, "header"))
		CHECK(json_object_set_new(byok, "header", json_string(api->key_header)) == 0);
	if (byok && !json_object_get(byok, "format"))
		CHECK(json_object_set_new(byok, "format", json_string(api->key_format)) == 0);
	return byok;
}

static void add_segments(struct http_plan *plan, const char *path)
{
	while (*path) {
		size_t len = strcspn(path + 1, "/");
		struct template t;

		CHECK(template_read((struct slice){.p = path + 1, .len = len}, 0, &t, NULL));
		plan->segments = xrealloc_array(plan->segments, plan->segments_count + 1,
						sizeof(*plan->segments));
		plan->segments[plan->segments_count++] = t;
		path += 1 + len;
	}
}

/* A base without a path is one without a version. */
static bool extend_url(struct http_plan *plan, const struct llm_api *api, struct faults *faults)
{
	if (plan->query.count) {
		faults_add(faults, "/base_url", "cannot have a query");
		return false;
	}
	while (plan->segments_count && !plan->segments[plan->segments_count - 1].count)
		plan->segments_count--;
	if (!plan->segments_count)
		add_segments(plan, "/v1");
	add_segments(plan, api->path);
	return true;
}

/* The member that the operator wrote, for one of those that were made from it. */
static const char *own_place(const json_t *config, const char *pointer)
{
	const char *given = strrchr(pointer, '/');
	const char *name;
	json_t *value;

	if (strcmp(pointer, "/url") == 0)
		return "/base_url";
	if (strncmp(pointer, "/headers/", 9) != 0)
		return pointer;
	json_object_foreach (json_object_get(config, "headers"), name, value) {
		if (strcmp(name, given + 1) == 0)
			return pointer;
	}
	return "/key";
}

static bool read_http(const json_t *config, const json_t *http, struct http_plan *plan,
		      struct faults *faults)
{
	/* A schema without properties: no argument can stand in a text. */
	CLEANUP(edge_decref) json_t *schema = json_pack("{s:{}}", "properties");
	struct faults found = FAULTS_INIT;
	bool is_good;

	CHECK(schema);
	is_good = http_plan_read_all(http, schema, plan, &found);
	for (size_t i = 0; i < found.count; i++)
		faults_add(faults, own_place(config, found.items[i].pointer), "%s",
			   found.items[i].text);
	faults_finish(&found);
	return is_good;
}

static bool read_plan(const json_t *config, const struct llm_api *api, struct http_plan *plan,
		      struct faults *faults)
{
	CLEANUP(edge_decref) json_t *http = json_object();
	json_t *byok = own_key_of(config, api);
	const json_t *url = json_object_get(config, "base_url");

	CHECK(json_object_set_new(http, "method", json_string("POST")) == 0);
	if (url)
		CHECK(json_object_set(http, "url", (json_t *)(uintptr_t)url) == 0);
	CHECK(json_object_set_new(http, "headers", headers_of(config, api)) == 0);
	if (byok)
		CHECK(json_object_set_new(http, "byok", byok) == 0);
	if (!read_http(config, http, plan, faults))
		return false;
	if (extend_url(plan, api, faults))
		return true;
	http_plan_finish(plan);
	return false;
}

bool llm_config_read_all(const json_t *config, struct llm_config *out, struct faults *faults)
{
	const char *api = json_string_value(json_object_get(config, "api"));
	struct llm_config c = {.max_tokens_name = "max_tokens", .api = &LLM_OPENAI};
	bool is_known = api && strcmp(api, LLM_OPENAI.name) == 0;

	if (api && strcmp(api, LLM_ANTHROPIC.name) == 0) {
		c.api = &LLM_ANTHROPIC;
		is_known = true;
	}
	if (!is_known)
		faults_add(faults, "/api", "must be openai or anthropic");
	c.is_stream = json_is_true(json_object_get(config, "stream"));
	c.has_key = json_object_get(config, "key") != NULL;
	if (!read_plan(config, c.api, &c.plan, faults))
		return false;
	if (!is_known) {
		http_plan_finish(&c.plan);
		return false;
	}
	/* Its newer models take this name only; who speaks the same knows the older one. */
	if (strcasecmp(c.plan.origin, "https://api.openai.com") == 0)
		c.max_tokens_name = "max_completion_tokens";
	c.models = json_incref(json_object_get(config, "models"));
	*out = c;
	return true;
}

bool llm_config_read(const json_t *config, struct llm_config *out, struct err *err)
{
	struct faults faults = FAULTS_INIT;
	bool is_good = llm_config_read_all(config, out, &faults);

	CHECK(faults_are_none(&faults, err) == is_good);
	faults_finish(&faults);
	return is_good;
}

void llm_config_finish(struct llm_config *c)
{
	http_plan_finish(&c->plan);
	json_decref(c->models);
}
