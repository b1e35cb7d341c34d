/*
 * Answers: objects with their expansions, lists with their cursors, and errors.
 */

#include "stripe_double.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LIMIT_DEFAULT = 10,
	LIMIT_MAX = 100,
	EXPAND_DEPTH_MAX = 4,
	REFUNDS_SHOWN_MAX = 10,
};

json_t *error_body(const char *type, const char *code, const char *param, const char *message,
		   const char *request_id)
{
	json_t *error = json_object();

	put_text(error, "type", type);
	if (code != NULL) {
		char *url CLEANUP(free_charp) = xasprintf("https://stripe.com/docs/error-codes/%s",
							  code);

		put_text(error, "code", code);
		put_text(error, "doc_url", url);
	}
	put_text(error, "message", message);
	if (param != NULL)
		put_text(error, "param", param);
	if (request_id != NULL) {
		char *log CLEANUP(free_charp) = xasprintf(
			"https://dashboard.stripe.com/test/logs/%s", request_id);

		put_text(error, "request_log_url", log);
	}
	return json_pack("{s:o}", "error", error);
}

void refuse(struct call *call, unsigned status, const char *code, const char *param,
	    const char *fmt, ...)
{
	char message[1024];
	va_list args;

	CHECK(call->status == 0);
	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	call->status = status;
	call->body = error_body(status == 402 ? "card_error" : "invalid_request_error", code, param,
				message, call->request_id);
}

void refuse_more(struct call *call, const char *name, TAKES json_t *value)
{
	put(json_object_get(call->body, "error"), name, value);
}

/* Members that are absent unless asked for. */
static json_t *include(const struct fake *f, const json_t *object, const char *name)
{
	const char *id = text_of(object, "id");
	char *url CLEANUP(free_charp) = NULL;
	const json_t *all = store_all(f, "refund");
	json_t *found;

	if (text_is(object, "object", "invoice") && strcmp(name, "payments") == 0)
		return invoice_payments_of(f, id);
	if (!text_is(object, "object", "charge") || strcmp(name, "refunds") != 0)
		return NULL;
	found = json_array();
	for (size_t i = json_array_size(all); i > 0; i--) {
		json_t *refund = json_array_get(all, i - 1);

		if (text_is(refund, "charge", id) && json_array_size(found) < REFUNDS_SHOWN_MAX)
			(void)json_array_append_new(found, json_deep_copy(refund));
	}
	url = xasprintf("/v1/charges/%s/refunds", id);
	return list_of(found, url);
}

static bool expand_in(const struct fake *f, json_t *node, const char *path);

static bool expand_each(const struct fake *f, json_t *array, const char *path)
{
	size_t i;
	json_t *item;

	json_array_foreach (array, i, item) {
		if (!expand_in(f, item, path))
			return false;
	}
	return true;
}

/* False when there is nothing to expand at the path. */
static bool expand_in(const struct fake *f, json_t *node, const char *path)
{
	size_t len = strcspn(path, ".");
	char *name CLEANUP(free_charp) = xstrndup(path, len);
	const char *rest = path[len] == '.' ? path + len + 1 : NULL;
	json_t *value;

	if (json_is_array(node))
		return expand_each(f, node, path);
	value = json_object_get(node, name);
	if (value == NULL) {
		value = include(f, node, name);
		if (value == NULL)
			return false;
		put(node, name, value);
	} else if (json_is_string(value)) {
		value = json_object_get(f->by_id, json_string_value(value));
		if (value == NULL)
			return false;
		value = json_deep_copy(value);
		put(node, name, value);
	}
	if (json_is_null(value) || rest == NULL)
		return json_is_null(value) || json_is_object(value);
	return expand_in(f, value, rest);
}

static bool expand_all(struct call *call, json_t *body)
{
	const json_t *paths = json_object_get(call->params, "expand");
	size_t i;
	json_t *path;

	json_array_foreach ((json_t *)(uintptr_t)paths, i, path) {
		const char *text = json_string_value(path);
		size_t depth = 1;

		for (const char *p = text; *p != '\0'; p++)
			depth += *p == '.';
		if (depth > EXPAND_DEPTH_MAX) {
			refuse(call, 400, NULL, "expand",
			       "You cannot expand more than 4 levels of a property: %s", text);
			return false;
		}
		if (!expand_in(call->fake, body, text)) {
			refuse(call, 400, NULL, "expand", "This property cannot be expanded (%s).",
			       text);
			return false;
		}
	}
	return true;
}

static void answer_with(struct call *call, TAKES json_t *body)
{
	CHECK(call->status == 0);
	if (!expand_all(call, body)) {
		json_decref(body);
		return;
	}
	call->status = 200;
	call->body = body;
}

void answer(struct call *call, const json_t *object)
{
	answer_with(call, json_deep_copy(object));
}

static bool in_range(const json_t *range, int64_t created)
{
	if (range == NULL)
		return true;
	if (json_is_integer(range))
		return created == json_integer_value(range);
	return (!has(range, "gt") || created > int_of(range, "gt")) &&
	       (!has(range, "gte") || created >= int_of(range, "gte")) &&
	       (!has(range, "lt") || created < int_of(range, "lt")) &&
	       (!has(range, "lte") || created <= int_of(range, "lte"));
}

/* A parameter that is a text or a boolean asks for a member that is equal. */
static bool fits(const json_t *object, struct call *call)
{
	static const char *const paging[] = {"starting_after", "ending_before"};
	const char *name;
	json_t *value;

	if (bool_of(object, "deleted"))
		return false;
	json_object_foreach (call->params, name, value) {
		if (strcmp(name, paging[0]) == 0 || strcmp(name, paging[1]) == 0)
			continue;
		if ((json_is_string(value) || json_is_boolean(value)) &&
		    !json_equal(value, json_object_get(object, name)))
			return false;
	}
	return in_range(json_object_get(call->params, "created"), int_of(object, "created"));
}

/* The place of the cursor among all; SIZE_MAX when the call was refused. */
static size_t find_cursor(struct call *call, const char *type, const char *param)
{
	const char *id = text_of(call->params, param);
	const json_t *all = store_all(call->fake, type);

	for (size_t i = 0; i < json_array_size(all); i++) {
		if (text_is(json_array_get(all, i), "id", id))
			return i;
	}
	refuse(call, 400, "resource_missing", param, "No such %s: '%s'", type, id);
	return SIZE_MAX;
}

void answer_list(struct call *call, const char *type, bool (*keep)(const json_t *, struct call *))
{
	const json_t *all = store_all(call->fake, type);
	json_t *found = json_array();
	json_t *list;
	char *url CLEANUP(free_charp) = NULL;
	int64_t limit = has(call->params, "limit") ? int_of(call->params, "limit") : LIMIT_DEFAULT;
	bool is_backward = has(call->params, "ending_before");
	bool has_more = false;
	size_t begin = 0;
	size_t end = json_array_size(all);

	limit = limit < 1 ? 1 : limit > LIMIT_MAX ? LIMIT_MAX : limit;
	if (is_backward && has(call->params, "starting_after"))
		refuse(call, 400, NULL, "ending_before",
		       "You cannot parameterize both starting_after and ending_before");
	else if (is_backward)
		begin = find_cursor(call, type, "ending_before") + 1;
	else if (has(call->params, "starting_after"))
		end = find_cursor(call, type, "starting_after");
	if (call->status != 0) {
		json_decref(found);
		return;
	}
	/* Newest first; before a cursor, those next to it. */
	while (begin < end && !has_more) {
		json_t *object = json_array_get(all, is_backward ? begin++ : --end);

		if (!fits(object, call) || (keep != NULL && !keep(object, call)))
			continue;
		if (json_array_size(found) == (size_t)limit)
			has_more = true;
		else if (is_backward)
			(void)json_array_insert_new(found, 0, json_deep_copy(object));
		else
			(void)json_array_append_new(found, json_deep_copy(object));
	}
	url = call->id == NULL
		      ? xstrdup(call->spec->path)
		      : xasprintf("%.*s%s%s", (int)strcspn(call->spec->path, "{"), call->spec->path,
				  call->id, strchr(call->spec->path, '}') + 1);
	list = list_of(found, url);
	put_bool(list, "has_more", has_more);
	answer_with(call, list);
}
