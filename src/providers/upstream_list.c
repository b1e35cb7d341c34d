#include "providers/upstream_list.h"

#include "base/limits.h"
#include "base/log.h"
#include "json/edge.h"
#include "json/emit.h"

#include <string.h>

static void copy_text(json_t *to, const json_t *from, const char *member)
{
	json_t *value = json_object_get(from, member);

	if (json_is_string(value))
		CHECK(json_object_set(to, member, value) == 0);
}

static bool is_object_schema(const json_t *schema)
{
	const char *type = json_string_value(json_object_get(schema, "type"));

	return type && strcmp(type, "object") == 0;
}

/* Hints are booleans; anything else in them is dropped. */
static json_t *sift_annotations(const json_t *from)
{
	static const char *const HINTS[] = {"readOnlyHint", "destructiveHint", "idempotentHint",
					    "openWorldHint"};
	json_t *to = json_object();

	copy_text(to, from, "title");
	for (size_t i = 0; i < ARRAY_LEN(HINTS); i++) {
		json_t *hint = json_object_get(from, HINTS[i]);

		if (json_is_boolean(hint))
			CHECK(json_object_set(to, HINTS[i], hint) == 0);
	}
	return to;
}

/* Why it cannot be offered; NULL when it can. */
static const char *fault_of(const json_t *tool)
{
	const json_t *name = json_object_get(tool, "name");
	const json_t *schema = json_object_get(tool, "inputSchema");
	const json_t *execution = json_object_get(tool, "execution");
	const char *tasks = json_string_value(json_object_get(execution, "taskSupport"));

	if (!json_is_string(name) || !json_string_length(name) ||
	    strlen(json_string_value(name)) != json_string_length(name))
		return "has no name";
	if (!is_object_schema(schema))
		return "its inputSchema is not that of an object";
	if (tasks && strcmp(tasks, "required") == 0)
		return "runs as a task only";
	return NULL;
}

/* Takes the annotations x-mcp-header out, which are between us and the server: an array for each,
 * the header's name and the path of keys to the argument. */
static void take_headers(json_t *schema, const json_t *path, json_t *out, int depth)
{
	json_t *properties = json_object_get(schema, "properties");
	const char *key;
	json_t *property;

	json_object_foreach (properties, key, property) {
		json_t *name = json_object_get(property, "x-mcp-header");
		json_t *here = json_copy((json_t *)(uintptr_t)path);

		CHECK(here && json_array_append_new(here, json_string(key)) == 0);
		if (json_is_string(name)) {
			json_t *entry = json_array();

			CHECK(json_array_append(entry, name) == 0 &&
			      json_array_extend(entry, here) == 0 &&
			      json_array_append_new(out, entry) == 0);
		}
		if (name)
			CHECK(json_object_del(property, "x-mcp-header") == 0);
		if (depth < SCHEMA_DEPTH_MAX)
			take_headers(property, here, out, depth + 1);
		json_decref(here);
	}
}

static json_t *sift(const json_t *tool)
{
	json_t *schema = json_deep_copy(json_object_get(tool, "inputSchema"));
	json_t *path = json_array();
	json_t *headers = json_array();
	json_t *to = json_object();
	json_t *output = json_object_get(tool, "outputSchema");
	const json_t *annotations = json_object_get(tool, "annotations");

	copy_text(to, tool, "name");
	copy_text(to, tool, "title");
	copy_text(to, tool, "description");
	CHECK(schema && path && headers && to);
	take_headers(schema, path, headers, 0);
	json_decref(path);
	CHECK(json_object_set_new(to, "inputSchema", schema) == 0);
	if (json_array_size(headers))
		CHECK(json_object_set(to, TOOL_HEADERS, headers) == 0);
	json_decref(headers);
	/* Hosts of the older revisions refuse a list with a schema of another type. */
	if (is_object_schema(output))
		CHECK(json_object_set(to, "outputSchema", output) == 0);
	if (json_is_object(annotations))
		CHECK(json_object_set_new(to, "annotations", sift_annotations(annotations)) == 0);
	return to;
}

json_t *tools_sift(const char *upstream, const json_t *tools, bool is_news)
{
	json_t *sound = json_array();
	size_t left_out = 0;

	for (size_t i = 0; i < json_array_size(tools); i++) {
		const json_t *tool = json_array_get(tools, i);
		const char *name = json_string_value(json_object_get(tool, "name"));
		const char *fault = fault_of(tool);

		if (!fault && tools_named(sound, name))
			fault = "is listed twice";
		if (!fault && json_array_size(sound) >= UPSTREAM_TOOLS_MAX)
			fault = "is one of too many";
		if (fault && is_news && ++left_out <= LOG_NAMED_MAX)
			log_warn("event=upstream_tool_left_out upstream=%s tool=%s reason=%s",
				 upstream, log_quote(name ? name : ""), log_quote(fault));
		if (!fault)
			CHECK(json_array_append_new(sound, sift(tool)) == 0);
	}
	if (left_out > LOG_NAMED_MAX)
		log_warn("event=upstream_tools_left_out upstream=%s more=%zu", upstream,
			 left_out - LOG_NAMED_MAX);
	return sound;
}

const json_t *tools_named(const json_t *tools, const char *name)
{
	for (size_t i = 0; i < json_array_size(tools); i++) {
		const json_t *tool = json_array_get(tools, i);

		if (strcmp(json_string_value(json_object_get(tool, "name")), name) == 0)
			return tool;
	}
	return NULL;
}

static void put_base64(struct slice text, struct buf *out)
{
	static const char DIGITS[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < text.len; i += 3) {
		size_t left = text.len - i;
		uint32_t bits = (uint32_t)(unsigned char)text.p[i] << 16;

		bits |= left > 1 ? (uint32_t)(unsigned char)text.p[i + 1] << 8 : 0;
		bits |= left > 2 ? (uint32_t)(unsigned char)text.p[i + 2] : 0;
		buf_putc(out, DIGITS[bits >> 18]);
		buf_putc(out, DIGITS[bits >> 12 & 63]);
		buf_putc(out, left > 1 ? DIGITS[bits >> 6 & 63] : '=');
		buf_putc(out, left > 2 ? DIGITS[bits & 63] : '=');
	}
}

static bool is_plain(struct slice text)
{
	static const char ENCODED[] = "=?base64?";

	if (!text.len || text.p[0] == ' ' || text.p[text.len - 1] == ' ' ||
	    (text.len >= sizeof(ENCODED) - 1 && !memcmp(text.p, ENCODED, sizeof(ENCODED) - 1)))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < ' ' || text.p[i] > '~')
			return false;
	}
	return true;
}

bool tools_write_header(const json_t *arguments, const json_t *header, struct buf *out)
{
	const json_t *value = arguments;
	struct slice text;

	for (size_t i = 1; i < json_array_size(header); i++)
		value = json_object_get(value, json_string_value(json_array_get(header, i)));
	if (json_is_boolean(value) || json_is_integer(value)) {
		edge_dump(value, false, out);
		return true;
	}
	if (!json_is_string(value))
		return false;
	text = edge_slice(value);
	if (is_plain(text)) {
		buf_append(out, text.p, text.len);
		return true;
	}
	buf_puts(out, "=?base64?");
	put_base64(text, out);
	buf_puts(out, "?=");
	return true;
}

void tools_write_cursor(struct buf *out, const char *cursor)
{
	struct emit e;

	emit_init(&e, out);
	emit_key_text(&e, "cursor", cursor);
}
