#include "app/config.h"

#include "base/embedded.h"
#include "base/limits.h"
#include "json/edge.h"
#include "json/schema.h"

#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX         50
#define STARTER_TOKENS     100
#define FEE_PERCENT        ((struct decimal){.digits = 55, .scale = 1})
#define FEE_MINIMUM        ((struct cents){80})
#define CONFIG_SCHEMA_NAME "config.json"
#define ENV                "${env:"

size_t app_config_shape_faults(const json_t *root, struct buf *out)
{
	const struct embedded_file *file = embedded_find(CONFIG_SCHEMA_NAME);
	CLEANUP(edge_decref) json_t *document = NULL;
	struct schema_fault faults[FAULTS_MAX];
	struct err err = ERR_INIT;
	struct schema *schema;
	size_t n;

	CHECK(file);
	document = edge_parse((struct slice){.p = file->text, .len = file->len}, &err);
	schema = document ? schema_create(document, &err) : NULL;
	if (!schema)
		die("schemas/%s: %s", CONFIG_SCHEMA_NAME, err.text);
	n = schema_faults(schema, root, faults, FAULTS_MAX);
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s: %s\n", *faults[i].field ? faults[i].field : "/",
			   faults[i].text);
	schema_destroy(schema);
	return n;
}

static void read_org(const json_t *org, struct app_config *c)
{
	const json_t *starter = json_object_get(org, "starter_tokens");
	const char *name = json_string_value(json_object_get(org, "name"));
	int64_t tokens = STARTER_TOKENS;

	c->org_name = name ? name : "default";
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

/* The URL may begin with the value of a variable. */
static bool read_return_url(const json_t *stripe, char **out, struct err *err)
{
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
	value = getenv(name);
	if (!value || !*value)
		return err_set(err, "/stripe/return_url: the environment has no %s", name);
	*out = xasprintf("%s%s", value, end + 1);
	return true;
}

/* The first line of the faults. */
static bool refuse(const char *path, const struct buf *faults, size_t n, struct err *err)
{
	const char *text = buf_text(faults);
	int len = (int)strcspn(text, "\n");

	if (n > 1)
		return err_set(err, "%s: %.*s (and %zu more: see 'farebox config check')", path,
			       len, text, n - 1);
	return err_set(err, "%s: %.*s", path, len, text);
}

bool app_config_read(const char *path, struct app_config *out, struct err *err)
{
	struct app_config c = {.root = NULL};
	struct buf faults = BUF_INIT;
	const json_t *network;
	size_t n;

	if (path) {
		c.root = edge_parse_file(path, CONFIG_BYTES_MAX, NULL, err);
		if (!c.root)
			return false;
		n = app_config_shape_faults(c.root, &faults);
		if (n) {
			(void)refuse(path, &faults, n, err);
			buf_finish(&faults);
			json_decref(c.root);
			return false;
		}
	} else {
		c.root = json_object();
	}
	c.meter = json_is_true(json_object_get(json_object_get(c.root, "stripe"), "meter"));
	network = json_object_get(c.root, "network");
	c.allow_private = json_is_true(json_object_get(network, "allow_private"));
	c.contact = json_string_value(json_object_get(network, "contact"));
	read_org(json_object_get(c.root, "org"), &c);
	read_fees(json_object_get(c.root, "fees"), &c);
	if (!read_return_url(json_object_get(c.root, "stripe"), &c.return_url, err)) {
		json_decref(c.root);
		return false;
	}
	*out = c;
	return true;
}

void app_config_finish(struct app_config *config)
{
	free(config->return_url);
	config->return_url = NULL;
	json_decref(config->root);
	config->root = NULL;
}
