#include "app/config.h"

#include "app/check.h"
#include "base/embedded.h"
#include "base/env.h"
#include "base/limits.h"
#include "base/vault.h"
#include "json/edge.h"
#include "json/schema.h"

#include <stdlib.h>
#include <string.h>

#define ENV                    "${env:"
#define STARTER_TOKENS         100
#define GUARD_RELEASED_DEFAULT 5
#define GUARD_REPEATED_DEFAULT 100
#define GUARD_WINDOW_S_DEFAULT 60
#define FEE_PERCENT            ((struct decimal){.digits = 55, .scale = 1})
#define FEE_MINIMUM            ((struct cents){80})
#define CONFIG_SCHEMA_NAME     "config.json"

json_t *config_shape(const json_t *root, struct faults *faults)
{
	const struct embedded_file *file = embedded_find(CONFIG_SCHEMA_NAME);
	CLEANUP(edge_decref) json_t *document = NULL;
	struct err err = ERR_INIT;
	struct schema *schema;
	json_t *known;

	CHECK(file);
	document = edge_parse((struct slice){.p = file->text, .len = file->len}, &err);
	schema = document ? schema_create(document, &err) : NULL;
	if (!schema)
		die("schemas/%s: %s", CONFIG_SCHEMA_NAME, err.text);
	known = schema_faults(schema, root, faults, CONFIG_FAULTS_MAX);
	schema_destroy(schema);
	return known;
}

static void read_org(const json_t *org, struct app_config *c)
{
	const json_t *starter = json_object_get(org, "starter_tokens");
	const char *name = json_string_value(json_object_get(org, "name"));
	int64_t tokens = STARTER_TOKENS;

	c->org_name = name ? name : "default";
	c->is_org_named = name != NULL;
	c->org_email = json_string_value(json_object_get(org, "email"));
	if (starter)
		CHECK(edge_i64(starter, &tokens)); /* the shape says so */
	CHECK(microusd_from_tokens(&c->starter, tokens));
}

static void read_fees(const json_t *fees, struct app_config *c)
{
	const json_t *fee = json_object_get(fees, "top_up_credits");
	const json_t *percent = json_object_get(fee, "percent");
	const json_t *minimum = json_object_get(fee, "minimum_usd");
	struct decimal usd;

	c->fee_percent = FEE_PERCENT;
	c->fee_minimum = FEE_MINIMUM;
	if (percent)
		CHECK(edge_decimal(percent, false, &c->fee_percent));
	if (minimum)
		CHECK(edge_decimal(minimum, false, &usd) &&
		      cents_from_usd_exact(&c->fee_minimum, usd));
}

bool config_return_url(const json_t *root, char **out, struct err *err)
{
	const json_t *stripe = json_object_get(root, "stripe");
	const char *text = json_string_value(json_object_get(stripe, "return_url"));
	const char *end = text ? strchr(text, '}') : NULL;
	CLEANUP(free_charp) char *name = NULL;
	const char *value;

	*out = NULL;
	if (!text)
		return true;
	if (strncmp(text, ENV, strlen(ENV)) != 0 || !end) {
		*out = xstrdup(text);
		return true;
	}
	name = xstrndup(text + strlen(ENV), (size_t)(end - text) - strlen(ENV));
	if (!env_filled(name, &value, err))
		return false;
	if (!value)
		return err_set(err, "the environment has no %s", name);
	*out = xasprintf("%s%s", value, end + 1);
	return true;
}

static int64_t read_count(const json_t *object, const char *name, int64_t otherwise)
{
	const json_t *value = json_object_get(object, name);

	if (value)
		CHECK(edge_i64(value, &otherwise)); /* the shape says so */
	return otherwise;
}

static struct guard_config read_guard(const json_t *guard)
{
	return (struct guard_config){
		.released = read_count(guard, "released", GUARD_RELEASED_DEFAULT),
		.repeated = read_count(guard, "repeated", GUARD_REPEATED_DEFAULT),
		.window_s = read_count(guard, "window_s", GUARD_WINDOW_S_DEFAULT),
	};
}

/* True when there is one. */
static bool read_ceiling(const json_t *config, struct microusd *out)
{
	const json_t *value = json_object_get(json_object_get(config, "budget"), "max_usd");
	struct decimal usd;

	if (value) /* the shape says that it is exact */
		CHECK(edge_decimal(value, false, &usd) && microusd_from_usd_exact(out, usd));
	return value != NULL;
}

static struct budget_ceilings read_ceilings(const json_t *root)
{
	const json_t *orgs = json_object_get(root, "orgs");
	struct budget_ceilings c = {.count = 0};
	struct budget_ceiling *items;
	const char *name;
	json_t *config;

	c.has_all = read_ceiling(root, &c.all);
	items = xarray(json_object_size(orgs) + 1, sizeof(*items));
	json_object_foreach ((json_t *)(uintptr_t)orgs, name, config) {
		items[c.count] = (struct budget_ceiling){.org = name};
		c.count += read_ceiling(config, &items[c.count].usd);
	}
	c.orgs = items;
	return c;
}

int64_t config_timeout_ms(const json_t *config)
{
	const json_t *value = json_object_get(config, "timeout_ms");
	int64_t ms = TOOL_TIMEOUT_MS_DEFAULT;

	if (value)
		CHECK(edge_i64(value, &ms)); /* the shape says so, and that it is within bounds */
	CHECK(ms >= 1 && ms <= CALL_DEADLINE_MS);
	return ms;
}

bool config_says_usage(const json_t *tool)
{
	const json_t *provider = json_object_get(tool, "provider");
	struct slice kind = edge_slice(json_object_get(provider, "kind"));

	return slice_eq(kind, "llm") || slice_eq(kind, "echo");
}

bool config_refuse(const char *path, const json_t *root, struct err *err)
{
	struct faults faults = FAULTS_INIT;
	const struct fault *first;
	size_t n;

	config_check(root, &faults);
	n = faults_grave(&faults);
	first = faults_first(&faults, "");
	if (n > 1)
		err_set(err, "%s: %s: %s (and %zu more: see 'farebox config check')", path,
			first->pointer, first->text, n - 1);
	else if (first)
		err_set(err, "%s: %s: %s", path, first->pointer, first->text);
	faults_finish(&faults);
	return !first;
}

static void take_named(const char *text)
{
	const char *end;

	while ((text = strstr(text, ENV)) && (end = strchr(text, '}'))) {
		CLEANUP(free_charp) char *name = NULL;

		text += strlen(ENV);
		name = xstrndup(text, (size_t)(end - text));
		vault_take(name);
		text = end;
	}
}

void config_take_secrets(const json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(value))
		take_named(json_string_value(value));
	json_array_foreach (value, i, item)
		config_take_secrets(item);
	json_object_foreach ((json_t *)(uintptr_t)value, key, item)
		config_take_secrets(item);
}

/* Its shape is sound, or it is refused with what is wrong. */
static bool read_root(const char *path, json_t **out, struct err *err)
{
	struct faults faults = FAULTS_INIT, twice = FAULTS_INIT;
	bool is_good;

	*out = edge_parse_file(path, CONFIG_BYTES_MAX, &twice, err);
	if (!*out)
		return false;
	config_take_secrets(*out);
	json_decref(config_shape(*out, &faults));
	if (!faults.count)
		config_check_org_names(*out, &faults);
	is_good = faults.count == 0 && twice.count == 0;
	if (twice.count)
		err_set(err, "%s: %s: %s", path, twice.items[0].pointer, twice.items[0].text);
	else if (!is_good)
		(void)config_refuse(path, *out, err);
	faults_finish(&twice);
	faults_finish(&faults);
	if (!is_good)
		json_decref(*out);
	return is_good;
}

static void read_meter(const json_t *stripe, struct app_config *c)
{
	const json_t *interval = json_object_get(stripe, "meter_interval_s");

	c->meter = json_is_true(json_object_get(stripe, "meter"));
	if (interval)
		CHECK(edge_i64(interval, &c->meter_interval_s)); /* the shape says so */
}

bool app_config_read(const char *path, struct app_config *out, struct err *err)
{
	struct app_config c = {.root = NULL};
	const json_t *network;

	if (!path)
		c.root = json_object();
	else if (!read_root(path, &c.root, err))
		return false;
	read_meter(json_object_get(c.root, "stripe"), &c);
	network = json_object_get(c.root, "network");
	c.allow_private = json_is_true(json_object_get(network, "allow_private"));
	c.contact = json_string_value(json_object_get(network, "contact"));
	c.guard = read_guard(json_object_get(c.root, "guard"));
	c.ceilings = read_ceilings(c.root);
	c.has_org_prices = json_object_size(json_object_get(c.root, "orgs")) > 0;
	read_org(json_object_get(c.root, "org"), &c);
	read_fees(json_object_get(c.root, "fees"), &c);
	if (!config_return_url(c.root, &c.return_url, err)) {
		err_prefix(err, "/stripe/return_url");
		app_config_finish(&c);
		return false;
	}
	*out = c;
	return true;
}

void app_config_finish(struct app_config *config)
{
	free(config->return_url);
	config->return_url = NULL;
	free((void *)(uintptr_t)config->ceilings.orgs);
	config->ceilings = (struct budget_ceilings){.count = 0};
	json_decref(config->root);
	config->root = NULL;
}
