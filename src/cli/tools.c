#include "tools/tools.h"

#include "cli/print.h"
#include "cli/run.h"
#include "json/edge.h"
#include "json/emit.h"

#include <string.h>

static void print_listings(const struct cli *cli, const struct tools *tools, unsigned scopes)
{
	struct buf json = BUF_INIT;
	struct emit e;

	emit_init(&e, &json);
	emit_object(&e);
	emit_key(&e, "tools");
	emit_array(&e);
	for (size_t i = 0; i < tools_count(tools); i++) {
		if (tool_is_for(tools_at(tools, i), scopes))
			emit_raw(&e, tool_listing(tools_at(tools, i)));
	}
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

/* Owned by the caller. */
static char *price_cell(const json_t *price)
{
	const json_t *tokens = json_object_get(price, "tokens");
	const json_t *max = json_object_get(price, "max_tokens");
	const json_t *models = json_object_get(price, "models");
	CLEANUP(free_charp) char *amount = json_cell(tokens ? tokens : max);

	if (!price)
		return xstrdup("free");
	if (models)
		return xasprintf(
			"by the model, %zu of them",
			json_object_get(price, "models_count")
				? (size_t)json_integer_value(json_object_get(price, "models_count"))
				: json_object_size(models));
	if (!tokens && !max)
		return xstrdup(json_string_value(json_object_get(price, "kind")));
	return xasprintf("%s%s %s", tokens ? "" : "at most ", amount,
			 strcmp(amount, "1") == 0 ? "token" : "tokens");
}

/* In the caller's balance; NULL when it is not there. */
static const json_t *price_of(const json_t *balance, const char *tool)
{
	size_t i;
	json_t *price;

	json_array_foreach (json_object_get(balance, "prices"), i, price) {
		if (strcmp(json_string_value(json_object_get(price, "tool")), tool) == 0)
			return price;
	}
	return NULL;
}

static void add_row(struct table *t, const struct tool *tool, const json_t *balance)
{
	struct err err = ERR_INIT;
	CLEANUP(edge_decref) json_t *listing = edge_parse(tool_listing(tool), &err);
	const json_t *meta = json_object_get(listing, "_meta");
	const char *title = json_string_value(json_object_get(listing, "title"));
	const json_t *own = price_of(balance, tool_name(tool));
	CLEANUP(free_charp)
	char *price = price_cell(own ? own : json_object_get(meta, "farebox/price"));

	table_row(t, (const char *const[]){tool_name(tool), price, title ? title : ""});
}

static int run(struct cli *cli)
{
	static const struct column COLUMNS[] = {
		{"NAME", COLUMN_TEXT},
		{"PRICE", COLUMN_TEXT},
		{"TITLE", COLUMN_TEXT},
	};
	CLEANUP(edge_decref) json_t *balance = NULL;
	const struct tools *tools;
	unsigned scopes;
	struct table *t;
	int status;

	if (!cli_app(cli))
		return CLI_FAILED;
	scopes = cli_await_list(cli);
	tools = app_tools(cli->app);
	if (cli->wants_json) {
		print_listings(cli, tools, scopes);
		return CLI_OK;
	}
	/* The store is asked only where somebody has prices of their own. */
	if (tools_has_org_prices(tools)) {
		status = cli_call_own(cli, "get_token_balance", slice_of(""), &balance);
		if (status != CLI_OK)
			return status;
	}
	t = table_create(COLUMNS, ARRAY_LEN(COLUMNS), true);
	for (size_t i = 0; i < tools_count(tools); i++) {
		if (tool_is_for(tools_at(tools, i), scopes))
			add_row(t, tools_at(tools, i), balance);
	}
	table_print(t);
	return CLI_OK;
}

static const char *const EXAMPLES[] = {
	"farebox tools",
	"farebox tools --json",
	NULL,
};

const struct command COMMAND_TOOLS = {
	.name = "tools",
	.summary = "Lists the tools and what a call of each costs.",
	.text = "Of a caller with FAREBOX_API_KEY only those that the key may use. The prices are "
		"those of the\ncaller's org. With --json it prints the tools whole, as MCP's "
		"tools/list does, with the prices\nfor everybody.",
	.examples = EXAMPLES,
	.run = run,
};
