#include "app/catalog.h"

#include "app/check.h"
#include "app/detectors.h"
#include "app/upstreams.h"
#include "base/limits.h"
#include "base/log.h"
#include "providers/echo.h"
#include "providers/http.h"
#include "providers/llm.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

static struct provider *create_http_provider(const struct catalog_parts *parts, const json_t *tool,
					     struct err *err)
{
	struct http_provider_parts p = {
		.loop = parts->loop,
		.http = parts->http,
		.allow_private = parts->allow_private,
		.sessions = parts->sessions,
		.input_schema = json_object_get(tool, "inputSchema"),
	};

	return http_provider_create(&p, json_object_get(tool, "provider"), err);
}

static struct provider *create_llm_provider(const struct catalog_parts *parts, const json_t *tool,
					    struct err *err)
{
	struct llm_provider_parts p = {
		.loop = parts->loop, .http = parts->http, .allow_private = parts->allow_private};

	return llm_provider_create(&p, json_object_get(tool, "provider"), err);
}

static struct provider *create_provider(const struct catalog_parts *parts, const json_t *tool,
					struct err *err)
{
	const json_t *config = json_object_get(tool, "provider");
	const char *kind = json_string_value(json_object_get(config, "kind"));
	struct provider *provider = NULL;

	if (kind && strcmp(kind, "echo") == 0)
		provider = echo_provider_create(parts->loop, config, err);
	else if (kind && strcmp(kind, "http") == 0)
		provider = create_http_provider(parts, tool, err);
	else if (kind && strcmp(kind, "llm") == 0)
		provider = create_llm_provider(parts, tool, err);
	else
		err_set(err, "kind %s is not served by this version of farebox",
			kind ? kind : "(none)");
	if (!provider)
		err_prefix(err, "provider");
	return provider;
}

/* The tool's prices: its own, and those of orgs. tool is the name that agents see. */
static bool read_prices(const struct catalog_parts *parts, const char *tool, const json_t *price,
			bool says_usage, struct priced_tool *priced, struct err *err)
{
	const char *org;

	if (book_read(price, parts->orgs, tool, &priced->book, &org, err))
		return says_usage || !book_has(&priced->book, PRICE_LLM) ||
		       err_set(err, "price: kind: " PRICE_LLM_WORDS);
	if (org)
		err_prefix(err, "its price in /orgs/%s/prices", org);
	else
		err_prefix(err, "price");
	return false;
}

static void read_rate_limit(const json_t *config, struct priced_tool *priced)
{
	const json_t *rate = json_object_get(config, "rate_limit");

	if (rate) /* the shape says what is in it */
		CHECK(edge_i64(json_object_get(rate, "calls"), &priced->rate.calls) &&
		      edge_i64(json_object_get(rate, "per_s"), &priced->rate.per_s));
}

/* Which of the caller's own keys the provider takes. */
static void read_byok(const json_t *config, struct priced_tool *priced)
{
	const json_t *byok = json_object_get(json_object_get(config, "provider"), "byok");
	const char *name = json_string_value(json_object_get(byok, "name"));

	if (name)
		priced->byok_name = xstrdup(name);
}

static bool read_unknown_usage(const json_t *config, struct priced_tool *priced, struct err *err)
{
	const char *name = json_string_value(json_object_get(config, "unknown_usage"));

	return unknown_usage_read(name, &priced->unknown_usage) ||
	       err_set(err, "unknown_usage: must be hold, zero or estimate");
}

/* Price, time and provider of a configured tool. */
static struct priced_tool *read_tool(const struct catalog_parts *parts, const char *name,
				     const json_t *config, struct err *err)
{
	struct priced_tool *priced = xzalloc(sizeof(*priced));

	if (read_prices(parts, name, json_object_get(config, "price"), config_says_usage(config),
			priced, err) &&
	    read_unknown_usage(config, priced, err)) {
		priced->timeout_ms = config_timeout_ms(config);
		priced->charge_on_error = json_is_true(json_object_get(config, "charge_on_error"));
		read_rate_limit(config, priced);
		read_byok(config, priced);
		priced->provider = create_provider(parts, config, err);
	}
	if (!priced->provider) {
		priced_tool_destroy(priced);
		return NULL;
	}
	return priced;
}

static bool is_llm(const json_t *tool)
{
	const json_t *provider = json_object_get(tool, "provider");

	return slice_eq(edge_slice(json_object_get(provider, "kind")), "llm");
}

/* Farebox's own words, where the configuration has none. All borrowed from ours. */
static void describe_llm(struct tool_description *d, const json_t *ours)
{
	if (!d->title)
		d->title = json_string_value(json_object_get(ours, "title"));
	if (!d->description)
		d->description = json_string_value(json_object_get(ours, "description"));
	if (!d->input_schema)
		d->input_schema = json_object_get(ours, "inputSchema");
	d->output_schema = json_object_get(ours, "outputSchema");
	d->annotations = json_object_get(ours, "annotations");
}

static void add_tool(struct faults *f, const struct catalog_parts *parts, const char *name,
		     const json_t *config)
{
	CLEANUP(free_charp) char *pointer = pointer_below("/tools", name);
	struct tool_description d = {
		.name = name,
		.title = json_string_value(json_object_get(config, "title")),
		.description = json_string_value(json_object_get(config, "description")),
		.input_schema = json_object_get(config, "inputSchema"),
	};
	CLEANUP(edge_decref) json_t *ours = is_llm(config) ? llm_description() : NULL;
	struct err err = ERR_INIT;
	struct priced_tool *priced;

	if (ours)
		describe_llm(&d, ours);
	priced = read_tool(parts, name, config, &err);
	if (!priced || !tools_add_paid(parts->tools, &d, priced, &err))
		faults_add(f, pointer, "%s", err.text);
}

static void add_detector(struct faults *f, const struct catalog_parts *parts,
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
	priced = xzalloc(sizeof(*priced));
	read_rate_limit(config, priced);
	priced->timeout_ms = config_timeout_ms(config);
	if (read_prices(parts, detector->tool, price ? price : fallback, false, priced, &err))
		priced->provider = detector_provider_create(parts->signals, detector);
	if (!priced->provider) {
		priced_tool_destroy(priced);
		faults_add(f, pointer, "%s", err.text);
		return;
	}
	if (!tools_add_detector(parts->tools, detector, priced, &err))
		faults_add(f, pointer, "%s", err.text);
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

/* A price of an org for a tool that is not there was meant for another. */
static void check_orgs(struct faults *f, const json_t *root, const struct catalog_parts *parts)
{
	const char *org, *tool;
	json_t *config, *price;

	json_object_foreach (parts->orgs, org, config) {
		json_object_foreach (json_object_get(config, "prices"), tool, price) {
			CLEANUP(free_charp) char *at = NULL;

			if (tools_find(parts->tools, slice_of(tool)) ||
			    config_is_upstream_name(root, tool))
				continue;
			at = xasprintf("/orgs/%s/prices/%s", org, tool);
			faults_add(f, at, "there is no such tool with a price");
		}
	}
}

void catalog_fill(const struct app_config *config, const struct catalog_parts *parts,
		  struct faults *faults)
{
	const json_t *detectors = json_object_get(config->root, "detectors");
	const char *name;
	json_t *tool;

	for (size_t i = 0; DETECTORS[i]; i++)
		add_detector(faults, parts, DETECTORS[i], default_price(DETECTORS[i]),
			     json_object_get(detectors, DETECTORS[i]->name));
	json_object_foreach (json_object_get(config->root, "tools"), name, tool)
		add_tool(faults, parts, name, tool);
	check_orgs(faults, config->root, parts);
}
