/*
 * The names that agents would see. Those of an upstream's tools are known in advance only where the
 * configuration prices them one by one.
 */

#include "app/check.h"

#include "base/embedded.h"
#include "base/limits.h"
#include "signals/signals.h"
#include "wallet/account.h"
#include "json/edge.h"

#include <string.h>
#include <strings.h>

/* As names in "tools", and as hosts that hand them to a model take them. */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
#define ALL_TOOLS       "*"

static bool is_off(const json_t *root, const struct detector *detector)
{
	const json_t *config = json_object_get(json_object_get(root, "detectors"), detector->name);

	return json_is_false(json_object_get(config, "enabled"));
}

static const struct detector *detector_of(const char *tool)
{
	for (size_t i = 0; DETECTORS[i]; i++) {
		if (strcmp(DETECTORS[i]->tool, tool) == 0)
			return DETECTORS[i];
	}
	return NULL;
}

bool config_is_builtin(const json_t *root, const char *name)
{
	CLEANUP(free_charp) char *path = xasprintf("tools/%s.json", name);
	const struct detector *detector = detector_of(name);

	return embedded_find(path) && !(detector && is_off(root, detector));
}

static char *prefix_of(const char *upstream, const json_t *config)
{
	const char *prefix = json_string_value(json_object_get(config, "prefix"));

	return prefix ? xstrdup(prefix) : xasprintf("%s__", upstream);
}

/* The upstream's own name of the tool; NULL when the name is not of this upstream. */
static const char *own_name(const char *name, const char *upstream, const json_t *config)
{
	CLEANUP(free_charp) char *prefix = prefix_of(upstream, config);
	size_t len = strlen(prefix);

	return strncmp(name, prefix, len) == 0 && name[len] ? name + len : NULL;
}

bool config_is_upstream_name(const json_t *root, const char *name)
{
	const char *upstream;
	json_t *config;

	json_object_foreach (json_object_get(root, "upstreams"), upstream, config) {
		if (own_name(name, upstream, config))
			return true;
	}
	return false;
}

/* Names so far, each with the place that gives it. */
struct names {
	const json_t *root;
	json_t *places;
	struct faults *out;
};

static void add_name(const struct names *n, const char *name, const char *place)
{
	const char *other = json_string_value(json_object_get(n->places, name));

	if (config_is_builtin(n->root, name))
		faults_add(n->out, place, "%s is a tool of farebox itself; choose another name",
			   name);
	else if (other)
		faults_add(n->out, place, "gives the same name as %s: %s", other, name);
	else
		CHECK(json_object_set_new(n->places, name, json_string(place)) == 0);
}

static void add_priced(const struct names *n, const char *prefix, const char *tool,
		       const char *place)
{
	CLEANUP(free_charp) char *name = xasprintf("%s%s", prefix, tool);

	if (strcmp(tool, ALL_TOOLS) == 0)
		return;
	if (strlen(name) > TOOL_NAME_BYTES_MAX)
		faults_add(n->out, place, "its name with the prefix is longer than %d: %s",
			   TOOL_NAME_BYTES_MAX, name);
	else if (name[strspn(name, NAME_CHARACTERS)])
		faults_add(n->out, place,
			   "hosts take letters, digits, _ and - only in a tool's name: %s", name);
	else
		add_name(n, name, place);
}

static bool prices_all(const json_t *config)
{
	return json_object_get(json_object_get(config, "prices"), ALL_TOOLS) != NULL;
}

/* Which of their tools have the same name shows when they run. */
static void compare_prefixes(const struct names *n, const char *upstream, const json_t *config)
{
	CLEANUP(free_charp) char *at = pointer_below("/upstreams", upstream);
	CLEANUP(free_charp) char *prefix = prefix_of(upstream, config);
	const char *name;
	json_t *other;

	json_object_foreach (json_object_get(n->root, "upstreams"), name, other) {
		CLEANUP(free_charp) char *others = prefix_of(name, other);

		if (strcmp(name, upstream) == 0)
			return;
		if (strcmp(prefix, others) == 0 && (prices_all(config) || prices_all(other)))
			faults_warn(
				n->out, at,
				"has the prefix of /upstreams/%s: where both have a tool of one "
				"name, only one of them is offered",
				name);
	}
}

static void add_upstream(const struct names *n, const char *upstream, const json_t *config)
{
	CLEANUP(free_charp) char *at = pointer_below("/upstreams", upstream);
	CLEANUP(free_charp) char *prices = pointer_below(at, "prices");
	CLEANUP(free_charp) char *prefix = prefix_of(upstream, config);
	const char *tool;
	json_t *price;

	if (strlen(prefix) >= TOOL_NAME_BYTES_MAX) {
		CLEANUP(free_charp) char *place = pointer_below(at, "prefix");
		bool is_given = json_object_get(config, "prefix") != NULL;

		faults_add(n->out, is_given ? place : at,
			   "the prefix %s leaves no room for a name: a tool's has %d characters at "
			   "most",
			   prefix, TOOL_NAME_BYTES_MAX);
		return;
	}
	compare_prefixes(n, upstream, config);
	json_object_foreach (json_object_get(config, "prices"), tool, price) {
		CLEANUP(free_charp) char *place = pointer_below(prices, tool);

		add_priced(n, prefix, tool, place);
	}
}

/* A price for a tool that is not there was meant for another. */
static void check_org_price(const struct names *n, const char *tool, const char *place)
{
	const struct detector *detector = detector_of(tool);
	const char *upstream, *own;
	json_t *config;

	if (json_object_get(n->places, tool) || (detector && !is_off(n->root, detector)))
		return;
	json_object_foreach (json_object_get(n->root, "upstreams"), upstream, config) {
		own = own_name(tool, upstream, config);
		if (!own || !prices_all(config))
			continue;
		faults_warn(n->out, place,
			    "whether the upstream %s has a tool %s is not known before it runs",
			    upstream, own);
		return;
	}
	faults_add(n->out, place, "there is no such tool with a price");
}

static void check_org_prices(const struct names *n)
{
	const char *org, *tool;
	json_t *config, *price;

	json_object_foreach (json_object_get(n->root, "orgs"), org, config) {
		CLEANUP(free_charp) char *at = pointer_below("/orgs", org);
		CLEANUP(free_charp) char *prices = pointer_below(at, "prices");

		json_object_foreach (json_object_get(config, "prices"), tool, price) {
			CLEANUP(free_charp) char *place = pointer_below(prices, tool);

			check_org_price(n, tool, place);
		}
	}
}

/* A name before this one that means the same org. */
static bool is_there_before(json_t *orgs, const char *name)
{
	const char *other;
	json_t *config;

	json_object_foreach (orgs, other, config) {
		if (strcmp(other, name) == 0)
			return false;
		if (strcasecmp(other, name) == 0)
			return true;
	}
	return false;
}

void config_check_org_names(const json_t *root, struct faults *faults)
{
	const char *own = json_string_value(json_object_get(json_object_get(root, "org"), "name"));
	const char *fault = own ? org_name_fault(own) : NULL;
	const char *name;
	json_t *config;

	if (fault)
		faults_add(faults, "/org/name", "%s", fault);
	json_object_foreach (json_object_get(root, "orgs"), name, config) {
		CLEANUP(free_charp) char *place = pointer_below("/orgs", name);

		fault = org_name_fault(name);
		if (fault)
			faults_add(faults, place, "the name %s", fault);
		else if (is_there_before(json_object_get(root, "orgs"), name))
			faults_add(faults, place,
				   "differs from another only in the case of letters");
	}
}

void config_check_names(const json_t *root, struct faults *faults)
{
	struct names names = {.root = root, .places = json_object(), .out = faults};
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(root, "tools"), name, value) {
		CLEANUP(free_charp) char *place = pointer_below("/tools", name);

		add_name(&names, name, place);
	}
	json_object_foreach (json_object_get(root, "upstreams"), name, value)
		add_upstream(&names, name, value);
	check_org_prices(&names);
	json_decref(names.places);
}
