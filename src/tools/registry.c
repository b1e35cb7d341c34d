#include "tools/registry.h"

#include "base/limits.h"
#include "tools/internal.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

void priced_tool_destroy(struct priced_tool *priced)
{
	if (!priced)
		return;
	book_finish(&priced->book);
	provider_destroy(priced->provider);
	free(priced->byok_name);
	free(priced);
}

void tool_destroy(struct tool *tool)
{
	if (!tool)
		return;
	priced_tool_destroy(tool->priced);
	schema_destroy(tool->input);
	free(tool->name);
	free(tool->listing);
	free(tool);
}

static void emit_member(struct emit *e, const char *key, const json_t *value)
{
	if (!value)
		return;
	emit_key(e, key);
	emit_json(e, value);
}

/* As the meter does it. */
static enum price_refund refund_of(const struct priced_tool *priced)
{
	const struct provider_kind *kind = priced->provider->kind;

	if (kind->may_break_off)
		return REFUND_BEFORE_ANSWER;
	return kind->has_tool_errors && priced->charge_on_error ? REFUND_NO_TOOL_ERROR
								: REFUND_FAILED;
}

static void emit_description(struct emit *e, const struct tool *tool, const char *text)
{
	struct buf b = BUF_INIT;

	if (tool->priced) {
		price_sentence(&tool->priced->book.price, refund_of(tool->priced), &b);
		if (text)
			buf_putc(&b, ' ');
	}
	if (text)
		buf_puts(&b, text);
	if (b.len) {
		emit_key(e, "description");
		emit_slice(e, buf_slice(&b));
	}
	buf_finish(&b);
}

/* The tool's own _meta and its price. */
static void emit_meta(struct emit *e, const struct tool *tool, json_t *meta)
{
	struct buf price = BUF_INIT;
	const char *key;
	json_t *value;

	if (!tool->priced && !meta)
		return;
	emit_key(e, "_meta");
	emit_object(e);
	json_object_foreach (meta, key, value) {
		emit_key_slice(e, slice_of(key));
		emit_json(e, value);
	}
	if (tool->priced) {
		price_members(&tool->priced->book.price, &price);
		emit_key(e, "farebox/price");
		emit_object(e);
		emit_raw_members(e, buf_slice(&price));
		emit_object_end(e);
	}
	emit_object_end(e);
	buf_finish(&price);
}

/* What tools/list prints of it. */
void tool_describe(struct tool *tool, const struct tool_description *d, json_t *meta)
{
	struct buf b = BUF_INIT;
	struct emit e;

	emit_init(&e, &b);
	emit_object(&e);
	emit_key_text(&e, "name", tool->name);
	if (d->title)
		emit_key_text(&e, "title", d->title);
	emit_description(&e, tool, d->description);
	emit_key(&e, "inputSchema");
	if (d->input_schema)
		emit_json(&e, d->input_schema);
	else
		emit_raw(&e, slice_of("{\"type\":\"object\"}"));
	emit_member(&e, "outputSchema", d->output_schema);
	emit_member(&e, "annotations", d->annotations);
	emit_meta(&e, tool, meta);
	emit_object_end(&e);
	emit_done(&e);
	free(tool->listing);
	tool->listing_len = b.len;
	tool->listing = buf_steal(&b);
}

void tools_push(struct tools *tools, struct tool *tool)
{
	if (tools->count == tools->size) {
		tools->size = tools->size ? 2 * tools->size : 32;
		tools->items = xrealloc_array(tools->items, tools->size, sizeof(*tools->items));
	}
	tools->items[tools->count++] = tool;
}

static bool compile(struct tool *tool, json_t *schema, struct err *err)
{
	json_t *any = NULL;
	const char *type;

	if (!schema)
		schema = any = json_pack("{s:s}", "type", "object");
	type = json_string_value(json_object_get(schema, "type"));
	if (!type || strcmp(type, "object") != 0)
		err_set(err, "inputSchema: its type must be \"object\"");
	else
		tool->input = schema_create(schema, err);
	json_decref(any);
	return tool->input != NULL;
}

const struct schema *tool_input(const struct tool *tool)
{
	/* A cache: the tool is the same with and without it. */
	struct tool *cached = (struct tool *)(uintptr_t)tool;
	CLEANUP(edge_decref) json_t *json = NULL;
	struct err err = ERR_INIT;

	if (tool->input)
		return tool->input;
	json = edge_parse((struct slice){.p = tool->file->text, .len = tool->file->len}, &err);
	if (!json || !compile(cached, json_object_get(json, "inputSchema"), &err))
		die("%s: %s", tool->file->name, err.text);
	return tool->input;
}

bool tool_moves_money(const struct tool *tool)
{
	CLEANUP(edge_decref) json_t *json = NULL;
	struct err err = ERR_INIT;

	if (!tool->file)
		return false;
	json = edge_parse((struct slice){.p = tool->file->text, .len = tool->file->len}, &err);
	CHECK(json);
	return json_is_true(json_object_get(json_object_get(json, "_meta"),
					    "anthropic/requiresUserInteraction"));
}

static bool add(struct tools *tools, const struct tool_entry *entry,
		const struct tool_description *d, json_t *meta, TAKES struct priced_tool *priced,
		const struct detector *detector, const struct embedded_file *file, struct err *err)
{
	struct tool *tool = xzalloc(sizeof(*tool));

	tool->name = xstrdup(d->name);
	tool->name_len = strlen(d->name);
	tool->entry = entry;
	tool->priced = priced;
	tool->detector = detector;
	tool->file = file;
	if (priced)
		priced->name = tool->name;
	if (tools_find(tools, slice_of(d->name))) {
		err_set(err, "a tool of this name is there already");
		tool_destroy(tool);
		return false;
	}
	if (tools->count >= TOOLS_MAX) {
		err_set(err, "more than %d tools", TOOLS_MAX);
		tool_destroy(tool);
		return false;
	}
	if (!file && !compile(tool, d->input_schema, err)) {
		tool_destroy(tool);
		return false;
	}
	tool->rank = tools->count;
	tool_describe(tool, d, meta);
	tools_push(tools, tool);
	return true;
}

/* A tool whose description is a file of schemas/tools. */
static bool add_described(struct tools *tools, const struct tool_entry *entry, const char *name,
			  TAKES struct priced_tool *priced, const struct detector *detector,
			  struct err *err)
{
	CLEANUP(free_charp) char *path = xasprintf("tools/%s.json", name);
	const struct embedded_file *file = embedded_find(path);
	CLEANUP(edge_decref) json_t *json = NULL;
	struct tool_description d = {.name = name};

	CHECK(file);
	json = edge_parse((struct slice){.p = file->text, .len = file->len}, err);
	CHECK(json);
	d.title = json_string_value(json_object_get(json, "title"));
	d.description = json_string_value(json_object_get(json, "description"));
	d.input_schema = json_object_get(json, "inputSchema");
	d.output_schema = json_object_get(json, "outputSchema");
	d.annotations = json_object_get(json, "annotations");
	return add(tools, entry, &d, json_object_get(json, "_meta"), priced, detector, file, err);
}

struct tools *tools_create(const struct tools_config *config)
{
	static const struct tool_entry *const FAMILIES[] = {
		TOOLS_BALANCE, TOOLS_BILLING, TOOLS_PREFERENCES, TOOLS_USAGE,  TOOLS_KEYS,
		TOOLS_QUOTE,   TOOLS_SIGNALS, TOOLS_LINKEDIN,    TOOLS_MODELS,
	};
	struct tools *tools = xzalloc(sizeof(*tools));
	struct err err = ERR_INIT;

	tools->config = *config;
	for (size_t i = 0; i < ARRAY_LEN(FAMILIES); i++) {
		for (const struct tool_entry *e = FAMILIES[i]; e->name; e++) {
			if (!add_described(tools, e, e->name, NULL, NULL, &err))
				die("schemas/tools/%s.json: %s", e->name, err.text);
		}
	}
	return tools;
}

void tools_destroy(struct tools *tools)
{
	if (!tools)
		return;
	/* What cannot be cancelled, a payment, goes on without us; whoever asked is told to let go.
	 */
	while (tools->calls)
		tool_call_end_cancelled(tools->calls);
	for (size_t i = 0; i < tools->count; i++)
		tool_destroy(tools->items[i]);
	for (size_t i = 0; i < tools->retired_count; i++)
		tool_destroy(tools->retired[i]);
	free(tools->retired);
	free(tools->items);
	free(tools);
}

bool tools_add_detector(struct tools *tools, const struct detector *detector,
			TAKES struct priced_tool *priced, struct err *err)
{
	priced->has_usage_inside = true;
	return add_described(tools, &TOOL_PAID, detector->tool, priced, detector, err);
}

bool tools_add_paid(struct tools *tools, const struct tool_description *description,
		    TAKES struct priced_tool *priced, struct err *err)
{
	return add(tools, &TOOL_PAID, description, NULL, priced, NULL, NULL, err);
}

const struct tool *tools_find(const struct tools *tools, struct slice name)
{
	for (size_t i = 0; i < tools->count; i++) {
		const struct tool *tool = tools->items[i];

		if (tool->name_len == name.len && memcmp(tool->name, name.p, name.len) == 0)
			return tool;
	}
	return NULL;
}

const struct tool *tools_detector(const struct tools *tools, size_t n)
{
	for (size_t i = 0; i < tools->count; i++) {
		if (tools->items[i]->detector && n-- == 0)
			return tools->items[i];
	}
	return NULL;
}

const struct tool *tools_detector_by_name(const struct tools *tools, struct slice name)
{
	const struct tool *tool;

	for (size_t i = 0; (tool = tools_detector(tools, i)); i++) {
		if (slice_eq(name, tool->detector->name))
			return tool;
	}
	return NULL;
}

bool tools_has_org_prices(const struct tools *tools)
{
	return tools->config.has_org_prices;
}

size_t tools_count(const struct tools *tools)
{
	return tools->count;
}

const struct tool *tools_at(const struct tools *tools, size_t i)
{
	return i < tools->count ? tools->items[i] : NULL;
}

bool tool_is_for(const struct tool *tool, unsigned scopes)
{
	return !tool->entry->scope || tool->entry->scope & scopes;
}

const char *tool_name(const struct tool *tool)
{
	return tool->name;
}

struct slice tool_listing(const struct tool *tool)
{
	return (struct slice){.p = tool->listing, .len = tool->listing_len};
}
