#include "app/catalog.h"

#include "app/detectors.h"
#include "base/limits.h"
#include "base/log.h"
#include "providers/echo.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

/* A configuration's prices are all of one version until a price book changes at run time. */
#define PRICE_VERSION 1

struct fault_lines {
	struct buf *out;
	size_t count;
};

static void fault(struct fault_lines *f, const char *pointer, const char *text)
{
	f->count++;
	buf_printf(f->out, "%s: %s\n", pointer, text);
}

/* A member that the shape knows and that changes what is charged or served must be served. */
static void refuse_unserved(struct fault_lines *f, const char *pointer, const json_t *object,
			    const char *name)
{
	CLEANUP(free_charp) char *at = xasprintf("%s/%s", pointer, name);

	if (json_object_get(object, name))
		fault(f, at, "is not served by this version of farebox");
}

static bool read_timeout(const json_t *config, int64_t *out, struct err *err)
{
	const json_t *value = json_object_get(config, "timeout_ms");

	*out = TOOL_TIMEOUT_MS_DEFAULT;
	if (value && (!edge_i64(value, out) || *out < 1 || *out > CALL_DEADLINE_MS))
		return err_set(err, "timeout_ms: must be between 1 and %d", CALL_DEADLINE_MS);
	return true;
}

static struct provider *create_provider(const struct catalog_parts *parts, const json_t *config,
					struct err *err)
{
	const char *kind = json_string_value(json_object_get(config, "kind"));
	struct provider *provider = NULL;

	if (kind && strcmp(kind, "echo") == 0) {
		provider = echo_provider_create(parts->loop, config, err);
		if (!provider)
			err_prefix(err, "provider");
		return provider;
	}
	err_set(err, "provider: kind %s is not served by this version of farebox",
		kind ? kind : "(none)");
	return NULL;
}

/* Price, time and provider of a configured tool. */
static struct priced_tool *read_tool(const struct catalog_parts *parts, const json_t *config,
				     struct err *err)
{
	struct priced_tool *priced = xzalloc(sizeof(*priced));

	if (!price_read(json_object_get(config, "price"), PRICE_VERSION, &priced->price, err)) {
		err_prefix(err, "price");
	} else if (read_timeout(config, &priced->timeout_ms, err)) {
		priced->charge_on_error = json_is_true(json_object_get(config, "charge_on_error"));
		priced->provider = create_provider(parts, json_object_get(config, "provider"), err);
	}
	if (!priced->provider) {
		priced_tool_destroy(priced);
		return NULL;
	}
	return priced;
}

static void add_tool(struct fault_lines *f, const struct catalog_parts *parts, const char *name,
		     const json_t *config)
{
	CLEANUP(free_charp) char *pointer = xasprintf("/tools/%s", name);
	struct tool_description d = {
		.name = name,
		.title = json_string_value(json_object_get(config, "title")),
		.description = json_string_value(json_object_get(config, "description")),
		.input_schema = json_object_get(config, "inputSchema"),
	};
	struct err err = ERR_INIT;
	struct priced_tool *priced;

	refuse_unserved(f, pointer, config, "rate_limit");
	refuse_unserved(f, pointer, config, "unknown_usage");
	priced = read_tool(parts, config, &err);
	if (!priced || !tools_add_paid(parts->tools, &d, priced, &err))
		fault(f, pointer, err.text);
}

static void add_detector(struct fault_lines *f, const struct catalog_parts *parts,
			 const struct detector *detector, const char *default_price,
			 const json_t *config)
{
	CLEANUP(free_charp) char *pointer = xasprintf("/detectors/%s", detector->name);
	CLEANUP(edge_decref) json_t *fallback = edge_parse(slice_of(default_price), NULL);
	const json_t *price = json_object_get(config, "price");
	struct priced_tool *priced;
	struct err err = ERR_INIT;

	if (json_is_false(json_object_get(config, "enabled")))
		return;
	refuse_unserved(f, pointer, config, "rate_limit");
	priced = xzalloc(sizeof(*priced));
	if (!price_read(price ? price : fallback, PRICE_VERSION, &priced->price, &err))
		err_prefix(&err, "price");
	else if (read_timeout(config, &priced->timeout_ms, &err))
		priced->provider = detector_provider_create(parts->signals, detector);
	if (!priced->provider) {
		priced_tool_destroy(priced);
		fault(f, pointer, err.text);
		return;
	}
	if (!tools_add_detector(parts->tools, detector, priced, &err))
		fault(f, pointer, err.text);
}

static const char *default_price(const struct detector *detector)
{
	static const struct {
		const struct detector *detector;
		const char *price;
	} PRICES[] = {
		{&DETECTOR_HIRING, "{\"kind\":\"flat\",\"tokens\":5}"},
		{&DETECTOR_WEBSITE_CHANGE, "{\"kind\":\"flat\",\"tokens\":3}"},
	};

	for (size_t i = 0; i < ARRAY_LEN(PRICES); i++) {
		if (PRICES[i].detector == detector)
			return PRICES[i].price;
	}
	die("no price for detector %s", detector->name);
}

size_t catalog_fill(const struct app_config *config, const struct catalog_parts *parts,
		    struct buf *out_faults)
{
	static const char *const NO_EFFECT_YET[] = {"guard", "clients"};
	const json_t *detectors = json_object_get(config->root, "detectors");
	struct fault_lines f = {.out = out_faults};
	const char *name;
	json_t *tool;

	for (size_t i = 0; DETECTORS[i]; i++)
		add_detector(&f, parts, DETECTORS[i], default_price(DETECTORS[i]),
			     json_object_get(detectors, DETECTORS[i]->name));
	json_object_foreach (json_object_get(config->root, "tools"), name, tool)
		add_tool(&f, parts, name, tool);
	refuse_unserved(&f, "", config->root, "upstreams");
	refuse_unserved(&f, "", config->root, "orgs");
	for (size_t i = 0; i < ARRAY_LEN(NO_EFFECT_YET); i++) {
		if (json_object_get(config->root, NO_EFFECT_YET[i]))
			log_warn("event=config_without_effect member=/%s", NO_EFFECT_YET[i]);
	}
	return f.count;
}
