#include "app/upstreams.h"

#include "base/limits.h"
#include "base/log.h"
#include "providers/upstream.h"
#include "providers/upstream_store.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

/* As tools' names in the configuration, and as hosts that hand them to a model take them. */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

struct served {
	struct upstreams *ups;
	struct upstream *up;
	size_t group; /* in the registry */
	const json_t *config;
	char *prefix;
	int64_t timeout_ms;
	struct rate_limit rate; /* of each of its tools */
	bool charge_on_error;
	bool is_listed;  /* from the server or the store */
	bool was_wanted; /* the store was asked */
	bool is_reading; /* it has not answered */
	struct upstream_list_read read;
	struct digest last; /* of the list that was imported, and is in the store */
	bool has_last;
};

struct upstreams {
	struct upstreams_config config;
	struct served **items;
	size_t count;
};

static const json_t *price_of(const struct served *s, const char *tool)
{
	const json_t *prices = json_object_get(s->config, "prices");
	const json_t *price = json_object_get(prices, tool);

	return price ? price : json_object_get(prices, "*");
}

/* Why the tool is not offered; NULL when it is. */
static const char *fault_of(const char *name)
{
	if (strlen(name) > TOOL_NAME_BYTES_MAX)
		return "its name with the prefix is too long";
	if (name[strspn(name, NAME_CHARACTERS)] != '\0')
		return "its name holds characters that hosts refuse";
	return NULL;
}

/* A list is long, and its faults are mostly the same: the first ones are named. */
static void log_refused(const struct served *s, size_t *refused, const char *tool,
			const char *reason)
{
	if (++*refused <= LOG_NAMED_MAX)
		log_warn("event=tool_not_imported upstream=%s tool=%s reason=%s",
			 upstream_name(s->up), log_quote(tool), log_quote(reason));
}

/* NULL when an org's price of it cannot be read; the tool's own was read with the configuration. */
static struct priced_tool *create_priced(const struct served *s, const json_t *price,
					 const char *tool, const char *name, size_t *refused)
{
	const json_t *orgs = json_object_get(s->ups->config.config->root, "orgs");
	struct priced_tool *priced = xzalloc(sizeof(*priced));
	struct err err = ERR_INIT;
	const char *org;

	if (!book_read(price, orgs, name, &priced->book, &org, &err)) {
		log_refused(s, refused, tool, err.text);
		free(priced);
		return NULL;
	}
	priced->rate = s->rate;
	priced->timeout_ms = s->timeout_ms;
	priced->charge_on_error = s->charge_on_error;
	priced->provider = upstream_tool_create(s->up, tool);
	return priced;
}

/* False when it is not offered. The name is the caller's. */
static bool make_import(const struct served *s, json_t *tool, const json_t *price, size_t *refused,
			struct tool_import *out)
{
	const char *own = json_string_value(json_object_get(tool, "name"));
	char *name = xasprintf("%s%s", s->prefix, own);
	const char *fault = fault_of(name);
	struct priced_tool *priced;

	if (fault) {
		log_refused(s, refused, own, fault);
		free(name);
		return false;
	}
	priced = create_priced(s, price, own, name, refused);
	if (!priced) {
		free(name);
		return false;
	}
	*out = (struct tool_import){
		.description =
			{
				.name = name,
				.title = json_string_value(json_object_get(tool, "title")),
				.description = json_string_value(
					json_object_get(tool, "description")),
				.input_schema = json_object_get(tool, "inputSchema"),
				.output_schema = json_object_get(tool, "outputSchema"),
				.annotations = json_object_get(tool, "annotations"),
			},
		.priced = priced,
	};
	return true;
}

static void import(struct served *s, json_t *tools)
{
	size_t n = json_array_size(tools), count = 0, refused = 0;
	struct tool_import *imports = xarray(n + 1, sizeof(*imports));
	struct buf unpriced = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		json_t *tool = json_array_get(tools, i);
		const char *own = json_string_value(json_object_get(tool, "name"));
		const json_t *price = price_of(s, own);

		if (price)
			count += make_import(s, tool, price, &refused, &imports[count]);
		else
			buf_printf(&unpriced, "%s%s", unpriced.len ? " " : "", own);
	}
	if (refused > LOG_NAMED_MAX)
		log_warn("event=tools_not_imported upstream=%s more=%zu", upstream_name(s->up),
			 refused - LOG_NAMED_MAX);
	if (unpriced.len)
		log_warn("event=tools_not_imported upstream=%s reason=\"no price\" tools=%s",
			 upstream_name(s->up), log_quote(buf_text(&unpriced)));
	buf_finish(&unpriced);
	tools_import(s->ups->config.tools, s->group, imports, count);
	for (size_t i = 0; i < count; i++)
		free((char *)(uintptr_t)imports[i].description.name);
	free(imports);
	s->is_listed = true;
}

static void keep(struct served *s, struct slice text)
{
	struct wallet_cmd *cmd;

	if (text.len > UPSTREAM_LIST_BYTES_MAX)
		return;
	cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){.org = ID_NONE});
	wallet_cmd_add_rider(cmd,
			     upstream_list_rider(upstream_name(s->up), upstream_identity(s->up),
						 text, clock_wall()));
	wallet_submit(s->ups->config.wallet, cmd);
}

/* The same list again, as most are, changes nothing. */
static void on_tools(void *arg, json_t *tools)
{
	struct served *s = arg;
	struct buf text = BUF_INIT;
	struct digest digest;

	edge_dump(tools, false, &text);
	digest = sha256(text.p, text.len);
	if (!s->has_last || !digest_eq(&digest, &s->last)) {
		import(s, tools);
		keep(s, buf_slice(&text));
	}
	s->last = digest;
	s->has_last = true;
	buf_finish(&text);
}

static void on_moved(void *arg)
{
	struct served *s = arg;

	tools_source_moved(s->ups->config.tools);
}

/* What the server itself has said in the meantime is newer. */
static void on_read(struct upstream_list_read *read)
{
	struct served *s = container_of(read, struct served, read);
	CLEANUP(edge_decref) json_t *tools = NULL;

	s->is_reading = false;
	if (read->text && !s->is_listed)
		tools = edge_parse(slice_of(read->text), NULL);
	if (json_is_array(tools)) {
		import(s, tools);
		s->last = sha256(read->text, strlen(read->text));
		s->has_last = true;
	}
	free(read->text);
	read->text = NULL;
	tools_source_moved(s->ups->config.tools);
}

static void want(struct served *s)
{
	if (!s->was_wanted) {
		s->was_wanted = true;
		s->is_reading = true;
		s->read = (struct upstream_list_read){
			.name = upstream_name(s->up),
			.identity = upstream_identity(s->up),
			.done = on_read,
		};
		upstream_list_read_start(&s->read, s->ups->config.wallet);
	}
	upstream_want(s->up);
}

static bool is_listed(void *arg)
{
	struct upstreams *ups = arg;
	bool is_all = true;

	for (size_t i = 0; i < ups->count; i++)
		want(ups->items[i]);
	for (size_t i = 0; i < ups->count; i++) {
		const struct served *s = ups->items[i];

		is_all = is_all && (s->is_listed || (!s->is_reading && upstream_has_failed(s->up)));
	}
	return is_all;
}

static bool has_prefix(const struct served *s, struct slice name)
{
	size_t len = strlen(s->prefix);

	return name.len >= len && memcmp(name.p, s->prefix, len) == 0;
}

static bool is_well(void *arg, struct slice name, struct err *err)
{
	const struct upstreams *ups = arg;

	for (size_t i = 0; i < ups->count; i++) {
		const struct served *s = ups->items[i];

		if (!has_prefix(s, name) || upstream_is_ready(s->up))
			continue;
		if (upstream_has_failed(s->up))
			return err_set(err, "%s", upstream_trouble(s->up));
		return err_set(err, "upstream %s: it is starting, and has not listed its tools yet",
			       upstream_name(s->up));
	}
	return true;
}

static bool may_have(void *arg, struct slice name)
{
	struct upstreams *ups = arg;
	bool may = false;

	for (size_t i = 0; i < ups->count; i++) {
		struct served *s = ups->items[i];

		if (!has_prefix(s, name))
			continue;
		want(s);
		may = may || s->is_reading ||
		      !(upstream_is_ready(s->up) || upstream_has_failed(s->up));
	}
	return may;
}

static bool check_prices(struct faults *f, const char *at, const json_t *config)
{
	CLEANUP(free_charp) char *prices = pointer_below(at, "prices");
	bool is_good = true;
	const char *tool;
	json_t *price;

	json_object_foreach (json_object_get(config, "prices"), tool, price) {
		CLEANUP(free_charp) char *place = pointer_below(prices, tool);
		struct faults found = FAULTS_INIT;
		struct price parsed;

		if (price_read_all(price, &parsed, &found)) {
			if (parsed.kind == PRICE_LLM)
				faults_add(&found, "/kind", PRICE_LLM_WORDS);
			price_finish(&parsed);
		}
		is_good = is_good && !found.count;
		faults_take(f, place, &found);
	}
	return is_good;
}

static struct rate_limit rate_of(const json_t *config)
{
	const json_t *limit = json_object_get(config, "rate_limit");
	struct rate_limit rate = {.calls = 0};

	if (limit) /* the shape says what is in it */
		CHECK(edge_i64(json_object_get(limit, "calls"), &rate.calls) &&
		      edge_i64(json_object_get(limit, "per_s"), &rate.per_s));
	return rate;
}

static void add(struct upstreams *ups, struct faults *f, const char *name, json_t *config)
{
	CLEANUP(free_charp) char *at = pointer_below("/upstreams", name);
	const char *prefix = json_string_value(json_object_get(config, "prefix"));
	struct served *s = xzalloc(sizeof(*s));
	struct err err = ERR_INIT;

	s->ups = ups;
	s->config = config;
	s->up = upstream_create(
		&(struct upstream_config){
			.name = name,
			.config = config,
			.allow_private = ups->config.config->allow_private,
			.loop = ups->config.loop,
			.http = ups->config.http,
			.on_tools = on_tools,
			.on_moved = on_moved,
			.arg = s,
		},
		&err);
	if (!s->up)
		faults_add(f, at, "%s", err.text);
	if (!check_prices(f, at, config) || !s->up) {
		upstream_destroy(s->up);
		free(s);
		return;
	}
	s->prefix = prefix ? xstrdup(prefix) : xasprintf("%s__", name);
	s->timeout_ms = config_timeout_ms(config);
	s->rate = rate_of(config);
	s->charge_on_error = json_is_true(json_object_get(config, "charge_on_error"));
	ups->items[ups->count++] = s;
	s->group = ups->count;
}

struct upstreams *upstreams_create(const struct upstreams_config *config, struct faults *faults)
{
	json_t *section = json_object_get(config->config->root, "upstreams");
	struct upstreams *ups = xzalloc(sizeof(*ups));
	struct tools_source source = {
		.arg = ups,
		.is_listed = is_listed,
		.may_have = may_have,
		.is_well = is_well,
	};
	const char *name;
	json_t *member;

	ups->config = *config;
	ups->items = xarray(json_object_size(section) + 1, sizeof(ups->items[0]));
	json_object_foreach (section, name, member)
		add(ups, faults, name, member);
	if (ups->count)
		tools_set_source(config->tools, &source);
	return ups;
}

static void end_children(const struct upstreams *ups, int64_t grace_ms)
{
	struct upstream **all = xarray(ups->count + 1, sizeof(*all));

	for (size_t i = 0; i < ups->count; i++)
		all[i] = ups->items[i]->up;
	upstreams_end(all, ups->count, grace_ms);
	free(all);
}

void upstreams_destroy(struct upstreams *ups, bool is_hurried)
{
	if (!ups)
		return;
	end_children(ups, is_hurried ? 0 : UPSTREAM_END_MS);
	for (size_t i = 0; i < ups->count; i++) {
		struct served *s = ups->items[i];

		upstream_destroy(s->up);
		free(s->prefix);
		free(s);
	}
	free(ups->items);
	free(ups);
}
