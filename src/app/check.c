#include "app/check.h"

#include "app/config.h"
#include "base/limits.h"
#include "loop/http.h"
#include "pricing/price.h"
#include "providers/http.h"
#include "providers/llm.h"
#include "providers/upstream.h"
#include "signals/signals.h"
#include "json/edge.h"
#include "json/schema.h"

#include <string.h>

struct checker {
	const json_t *root;
	const struct faults *shape;
	struct faults *out;
	bool allow_private;
};

/* What has not the right shape is told so already. */
static bool has_shape(const struct checker *c, const char *at)
{
	return !faults_first(c->shape, at);
}

/* is_model: the provider says a model's usage. */
static void check_price(const struct checker *c, const char *at, const json_t *price, bool is_model)
{
	struct faults found = FAULTS_INIT;
	struct price parsed;

	if (!price)
		return;
	if (price_read_all(price, &parsed, &found)) {
		if (parsed.kind == PRICE_LLM && !is_model)
			faults_add(&found, "/kind", PRICE_LLM_WORDS);
		price_finish(&parsed);
	}
	faults_take(c->out, at, &found);
}

/* err is "POINTER: text", with "/" for the whole schema. */
static void add_schema_fault(const struct checker *c, const char *at, const struct err *err)
{
	size_t len = strcspn(err->text, ":");
	CLEANUP(free_charp)
	char *place = xasprintf("%s%.*s", at, len > 1 ? (int)len : 0, err->text);

	faults_add(c->out, place, "%s", err->text + len + strspn(err->text + len, ": "));
}

static void check_input(const struct checker *c, const char *at, json_t *schema)
{
	CLEANUP(free_charp) char *place = pointer_below(at, "inputSchema");
	const char *type = json_string_value(json_object_get(schema, "type"));
	struct err err = ERR_INIT;
	struct schema *compiled;

	if (!schema || !has_shape(c, place))
		return;
	if (!type || strcmp(type, "object") != 0)
		faults_add(c->out, place, "its type must be \"object\"");
	compiled = schema_create(schema, &err);
	if (!compiled)
		add_schema_fault(c, place, &err);
	schema_destroy(compiled);
}

/* A name that callers may use, and that nobody could charge. */
static void check_models(const struct checker *c, const char *at, const json_t *tool)
{
	const json_t *priced = json_object_get(json_object_get(tool, "price"), "models");
	CLEANUP(free_charp) char *models = pointer_below(at, "models");
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(json_object_get(tool, "provider"), "models"), name,
			     value) {
		CLEANUP(free_charp) char *place = pointer_below(models, name);

		if (json_is_object(priced) && !json_object_get(priced, name))
			faults_add(c->out, place, "has no price in the models of the tool's price");
	}
}

static void check_provider(const struct checker *c, const char *at, const json_t *tool)
{
	const json_t *provider = json_object_get(tool, "provider");
	struct slice kind = edge_slice(json_object_get(provider, "kind"));
	struct faults found = FAULTS_INIT;
	int64_t ms;

	if (slice_eq(kind, "http")) {
		http_provider_check(provider, json_object_get(tool, "inputSchema"),
				    c->allow_private, &found);
	} else if (slice_eq(kind, "llm")) {
		llm_provider_check(provider, c->allow_private, &found);
		check_models(c, at, tool);
	} else if (slice_eq(kind, "echo")) {
		if (edge_i64(json_object_get(provider, "delay_ms"), &ms) && ms > CALL_DEADLINE_MS)
			faults_add(&found, "/delay_ms", "must be at most %d", CALL_DEADLINE_MS);
	}
	faults_take(c->out, at, &found);
}

static void check_tool(const struct checker *c, const char *name, const json_t *tool)
{
	CLEANUP(free_charp) char *at = pointer_below("/tools", name);
	CLEANUP(free_charp) char *price = pointer_below(at, "price");
	CLEANUP(free_charp) char *provider = pointer_below(at, "provider");

	check_price(c, price, json_object_get(tool, "price"), config_says_usage(tool));
	check_input(c, at, json_object_get(tool, "inputSchema"));
	check_provider(c, provider, tool);
}

static void check_upstream(const struct checker *c, const char *name, const json_t *config)
{
	CLEANUP(free_charp) char *at = pointer_below("/upstreams", name);
	CLEANUP(free_charp) char *prices = pointer_below(at, "prices");
	struct faults found = FAULTS_INIT;
	const char *tool;
	json_t *price;

	upstream_check(config, c->allow_private, &found);
	faults_take(c->out, at, &found);
	if (!json_object_size(json_object_get(config, "prices")))
		faults_warn(c->out, prices,
			    "without a price none of its tools is offered; "
			    "* has the price of all");
	json_object_foreach (json_object_get(config, "prices"), tool, price) {
		CLEANUP(free_charp) char *place = pointer_below(prices, tool);

		check_price(c, place, price, false);
	}
}

static void check_detectors(const struct checker *c)
{
	const json_t *network = json_object_get(c->root, "network");
	const json_t *detectors = json_object_get(c->root, "detectors");
	struct signals_config config = {
		.contact = json_string_value(json_object_get(network, "contact")),
		.allow_private = c->allow_private,
		.detectors = detectors,
	};

	signals_check(&config, c->out);
	for (size_t i = 0; DETECTORS[i]; i++) {
		const json_t *detector = json_object_get(detectors, DETECTORS[i]->name);
		CLEANUP(free_charp) char *at = pointer_below("/detectors", DETECTORS[i]->name);
		CLEANUP(free_charp) char *price = pointer_below(at, "price");

		check_price(c, price, json_object_get(detector, "price"), false);
	}
}

static void check_orgs(const struct checker *c)
{
	const json_t *tools = json_object_get(c->root, "tools");
	const char *org, *tool;
	json_t *config, *price;

	json_object_foreach (json_object_get(c->root, "orgs"), org, config) {
		CLEANUP(free_charp) char *at = pointer_below("/orgs", org);
		CLEANUP(free_charp) char *prices = pointer_below(at, "prices");

		json_object_foreach (json_object_get(config, "prices"), tool, price) {
			CLEANUP(free_charp) char *place = pointer_below(prices, tool);

			check_price(c, place, price,
				    config_says_usage(json_object_get(tools, tool)));
		}
	}
}

static void check_return_url(const struct checker *c)
{
	CLEANUP(free_charp) char *url = NULL;
	CLEANUP(free_charp) char *host = NULL;
	struct err err = ERR_INIT;

	if (!config_return_url(c->root, &url, &err))
		faults_add(c->out, "/stripe/return_url", "%s", err.text);
	if (!url)
		return;
	host = http_url_host(url);
	if (!host)
		faults_add(c->out, "/stripe/return_url",
			   "is not a URL with http or https and a host");
}

static void check_all(const struct checker *c)
{
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(c->root, "tools"), name, value)
		check_tool(c, name, value);
	json_object_foreach (json_object_get(c->root, "upstreams"), name, value)
		check_upstream(c, name, value);
	check_detectors(c);
	check_orgs(c);
	check_return_url(c);
	config_check_org_names(c->root, c->out);
	config_check_names(c->root, c->out);
}

void config_check(const json_t *root, struct faults *faults)
{
	struct faults shape = FAULTS_INIT, found = FAULTS_INIT;
	CLEANUP(edge_decref) json_t *known = config_shape(root, &shape);
	const json_t *network = json_object_get(known, "network");
	struct checker c = {
		.root = known,
		.shape = &shape,
		.out = &found,
		.allow_private = json_is_true(json_object_get(network, "allow_private")),
	};

	check_all(&c);
	for (size_t i = 0; i < found.count; i++) {
		const struct fault *f = &found.items[i];

		if (!has_shape(&c, f->pointer))
			continue;
		if (f->is_warning)
			faults_warn(faults, f->pointer, "%s", f->text);
		else
			faults_add(faults, f->pointer, "%s", f->text);
	}
	faults_finish(&found);
	faults_take(faults, "", &shape);
	faults_sort(faults);
}
