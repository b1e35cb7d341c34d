/*
 * The tools of upstreams in the registry.
 */

#include "base/limits.h"
#include "base/log.h"
#include "tools/internal.h"

#include <stdlib.h>
#include <string.h>

static struct tool *find_in(struct tool *const *items, size_t count, size_t group, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (items[i]->group == group && strcmp(items[i]->name, name) == 0)
			return items[i];
	}
	return NULL;
}

/* Also one that was taken back. */
static struct tool *find_known(const struct tools *tools, size_t group, const char *name)
{
	struct tool *tool = find_in(tools->items, tools->count, group, name);

	return tool ? tool : find_in(tools->retired, tools->retired_count, group, name);
}

/* Their schemas may use what ours do not: then any object passes here, and the server checks. */
static struct schema *compile_any(const char *name, json_t *schema)
{
	struct err err = ERR_INIT;
	struct schema *compiled = schema ? schema_create(schema, &err) : NULL;
	json_t *any;

	if (compiled)
		return compiled;
	log_debug("event=schema_not_checked tool=%s reason=%s", name, log_quote(err.text));
	any = json_pack("{s:s}", "type", "object");
	CHECK(any);
	compiled = schema_create(any, &err);
	CHECK(compiled);
	json_decref(any);
	return compiled;
}

static struct tool *create(struct tools *tools, size_t group, const struct tool_import *import,
			   size_t *refused)
{
	const char *name = import->description.name;
	const char *fault = NULL;
	struct tool *tool;

	if (tools_find(tools, slice_of(name)))
		fault = "there is another tool of this name";
	else if (tools->count + tools->retired_count >= TOOLS_MAX)
		fault = "there are too many tools";
	if (fault) {
		if (++*refused <= LOG_NAMED_MAX)
			log_warn("event=tool_not_imported tool=%s reason=%s", name,
				 log_quote(fault));
		priced_tool_destroy(import->priced);
		return NULL;
	}
	tool = xzalloc(sizeof(*tool));
	tool->name = xstrdup(name);
	tool->name_len = strlen(name);
	tool->entry = &TOOL_PAID;
	tool->priced = import->priced;
	tool->priced->name = tool->name;
	tool->group = group;
	tools_push(tools, tool);
	return tool;
}

static void unretire(struct tools *tools, struct tool *tool)
{
	size_t i = 0;

	while (tools->retired[i] != tool)
		i++;
	tools->retired[i] = tools->retired[--tools->retired_count];
	tool->is_retired = false;
	tools_push(tools, tool);
}

static void retire(struct tools *tools, struct tool *tool)
{
	tool->is_retired = true;
	tools->retired = xrealloc_array(tools->retired, tools->retired_count + 1,
					sizeof(tools->retired[0]));
	tools->retired[tools->retired_count++] = tool;
}

/* True when what is listed of it has changed. Its price cannot: it is the configuration's. */
static bool describe(struct tool *tool, const struct tool_import *import)
{
	char *before = tool->listing;
	bool is_same;

	tool->listing = NULL;
	tool_describe(tool, &import->description, NULL);
	is_same = before && strcmp(before, tool->listing) == 0;
	free(before);
	if (is_same)
		return false;
	schema_destroy(tool->input);
	tool->input = compile_any(tool->name, import->description.input_schema);
	return true;
}

static bool import_one(struct tools *tools, size_t group, size_t rank,
		       const struct tool_import *import, size_t *refused)
{
	struct tool *tool = find_known(tools, group, import->description.name);
	bool has_changed = false;

	if (!tool) {
		tool = create(tools, group, import, refused);
		if (!tool)
			return false;
	} else {
		priced_tool_destroy(import->priced);
		if (tool->is_retired) {
			unretire(tools, tool);
			has_changed = true;
		}
		has_changed = has_changed || tool->rank != rank;
	}
	tool->rank = rank;
	tool->is_marked = true;
	return describe(tool, import) || has_changed;
}

/* What the last list had and this one has not. */
static bool retire_unmarked(struct tools *tools, size_t group)
{
	size_t kept = 0;

	for (size_t i = 0; i < tools->count; i++) {
		struct tool *tool = tools->items[i];

		if (tool->group == group && !tool->is_marked)
			retire(tools, tool);
		else
			tools->items[kept++] = tool;
		tool->is_marked = false;
	}
	if (kept == tools->count)
		return false;
	tools->count = kept;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct tool *x = *(struct tool *const *)a;
	const struct tool *y = *(struct tool *const *)b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

void tools_import(struct tools *tools, size_t group, const struct tool_import *imports, size_t n)
{
	bool has_changed = false;
	struct tools_watch *next;
	size_t refused = 0;

	CHECK(group > 0);
	for (size_t i = 0; i < n; i++)
		has_changed = import_one(tools, group, i, &imports[i], &refused) || has_changed;
	if (refused > LOG_NAMED_MAX)
		log_warn("event=tools_not_imported more=%zu", refused - LOG_NAMED_MAX);
	has_changed = retire_unmarked(tools, group) || has_changed;
	if (!has_changed)
		return;
	qsort(tools->items, tools->count, sizeof(tools->items[0]), compare);
	for (struct tools_watch *w = tools->watches; w; w = next) {
		next = w->next;
		w->fn(w->arg);
	}
}
