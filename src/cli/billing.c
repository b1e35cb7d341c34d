/*
 * Balance, payments and usage, by the same tools that agents call, so that the rules are the same.
 */

#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/edge.h"
#include "json/emit.h"

#include <stdlib.h>
#include <string.h>

static void print_sandbox(const json_t *result)
{
	if (json_is_true(json_object_get(result, "sandbox")))
		cli_note("sandbox: no money moves");
}

static void add_pair(struct table *t, const char *label, const json_t *object, const char *member)
{
	CLEANUP(free_charp) char *cell = json_cell(json_object_get(object, member));

	pairs_add(t, label, cell);
}

static void print_prices(const json_t *prices)
{
	static const struct column COLUMNS[] = {
		{"TOOL", COLUMN_TEXT},
		{"PRICE", COLUMN_TEXT},
		{"TOKENS", COLUMN_RIGHT},
	};
	struct table *t;
	const json_t *price;
	size_t i;

	if (!json_array_size(prices))
		return;
	(void)putchar('\n');
	t = table_create(COLUMNS, ARRAY_LEN(COLUMNS), true);
	json_array_foreach (prices, i, price) {
		const json_t *tokens = json_object_get(price, "tokens");
		CLEANUP(free_charp) char *name = json_cell(json_object_get(price, "tool"));
		CLEANUP(free_charp) char *kind = json_cell(json_object_get(price, "kind"));
		CLEANUP(free_charp)
		char *most = json_cell(tokens ? tokens : json_object_get(price, "max_tokens"));

		table_row(t, (const char *const[]){name, kind, most});
	}
	table_print(t);
}

static int run_balance(struct cli *cli)
{
	CLEANUP(edge_decref) json_t *result = NULL;
	int status = cli_call_own(cli, "get_token_balance", slice_of(""), &result);
	const json_t *reload;
	struct table *t;

	if (!result)
		return status;
	reload = json_object_get(result, "auto_reload");
	t = pairs_create();
	add_pair(t, "tokens", result, "tokens");
	add_pair(t, "held", result, "held_tokens");
	add_pair(t, "USD", result, "usd");
	pairs_add(t, "auto-reload",
		  json_is_true(json_object_get(reload, "enabled")) ? "on" : "off");
	if (json_is_string(json_object_get(reload, "last_error")))
		add_pair(t, "last reload", reload, "last_error");
	table_print(t);
	print_prices(json_object_get(result, "prices"));
	print_sandbox(result);
	return status;
}

static void print_checkout(const json_t *result)
{
	struct table *t = pairs_create();

	add_pair(t, "pay at", result, "url");
	add_pair(t, "credit, USD", result, "credit_usd");
	add_pair(t, "fee, USD", result, "fee_usd");
	add_pair(t, "total, USD", result, "total_usd");
	add_pair(t, "payment", result, "payment_id");
	table_print(t);
	print_sandbox(result);
	if (json_is_true(json_object_get(result, "sandbox")))
		cli_note("to pay it: farebox sandbox pay %s",
			 json_string_value(json_object_get(result, "payment_id")));
}

static int run_checkout(struct cli *cli)
{
	CLEANUP(edge_decref) json_t *result = NULL;
	struct buf arguments = BUF_INIT;
	struct decimal amount;
	struct emit e;
	int status;

	if (!decimal_parse(slice_of(cli_value(cli, "amount")), &amount))
		return cli_usage(cli, &(struct usage_fault){.option = "amount"},
				 "must be a number of USD, as in 20 or 12.50");
	emit_init(&e, &arguments);
	emit_object(&e);
	emit_key(&e, "amount_usd");
	emit_decimal(&e, amount);
	emit_object_end(&e);
	emit_done(&e);
	status = cli_call_own(cli, "top_up_credits", buf_slice(&arguments), &result);
	buf_finish(&arguments);
	if (result)
		print_checkout(result);
	return status;
}

/* true, false, null and numbers as they are, all else as text, which the tool then refuses by the
 * name of the preference. */
static void emit_value(struct emit *e, const char *text)
{
	struct decimal d;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		emit_bool(e, text[0] == 't');
	else if (strcmp(text, "null") == 0)
		emit_null(e);
	else if (decimal_parse(slice_of(text), &d))
		emit_decimal(e, d);
	else
		emit_text(e, text);
}

/* All --set as an object; empty when there is none. False: told. */
static bool read_sets(struct cli *cli, struct buf *out)
{
	struct emit e;

	emit_init(&e, out);
	for (size_t i = 0; i < cli->values_count; i++) {
		const char *text = cli->values[i].text;
		const char *equals = strchr(text, '=');

		if (!equals || equals == text) {
			(void)cli_usage(cli, &(struct usage_fault){.option = "set"},
					"must be KEY=VALUE, not '%s'", text);
			return false;
		}
		if (i == 0)
			emit_object(&e);
		emit_key_slice(&e, (struct slice){.p = text, .len = (size_t)(equals - text)});
		emit_value(&e, equals + 1);
	}
	if (cli->values_count)
		emit_object_end(&e);
	emit_done(&e);
	return true;
}

static int run_preferences(struct cli *cli)
{
	CLEANUP(edge_decref) json_t *result = NULL;
	struct buf arguments = BUF_INIT;
	int status = CLI_USAGE;
	struct table *t;

	if (read_sets(cli, &arguments))
		status = cli_call_own(
			cli, arguments.len ? "set_billing_preferences" : "get_billing_preferences",
			buf_slice(&arguments), &result);
	buf_finish(&arguments);
	if (!result)
		return status;
	t = pairs_create();
	add_pair(t, "auto_reload_enabled", result, "auto_reload_enabled");
	add_pair(t, "auto_reload_threshold", result, "auto_reload_threshold");
	add_pair(t, "auto_reload_amount", result, "auto_reload_amount");
	add_pair(t, "budget_limit", result, "budget_limit");
	table_print(t);
	return status;
}

static void print_rows(const json_t *rows, const struct column *columns, const char *const *members,
		       size_t count)
{
	struct table *t = table_create(columns, count, true);
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		char **cells = xarray(count, sizeof(*cells));

		for (size_t c = 0; c < count; c++)
			cells[c] = json_cell(json_object_get(row, members[c]));
		table_row(t, (const char *const *)cells);
		for (size_t c = 0; c < count; c++)
			free(cells[c]);
		free(cells);
	}
	table_print(t);
}

static int run_invoices(struct cli *cli)
{
	static const struct column COLUMNS[] = {
		{"ID", COLUMN_TEXT},   {"TYPE", COLUMN_TEXT},    {"STATUS", COLUMN_TEXT},
		{"USD", COLUMN_RIGHT}, {"CREATED", COLUMN_TEXT}, {"URL", COLUMN_TEXT},
	};
	static const char *const MEMBERS[] = {"id",         "type",    "status",
					      "amount_usd", "created", "url"};
	const char *limit = cli_value(cli, "limit"), *cursor = cli_value(cli, "cursor");
	CLEANUP(edge_decref) json_t *result = NULL;
	struct buf arguments = BUF_INIT;
	struct emit e;
	int64_t n;
	int status;

	if (limit && !parse_i64(slice_of(limit), 1, 100, &n))
		return cli_usage(cli, &(struct usage_fault){.option = "limit"},
				 "must be between 1 and 100");
	emit_init(&e, &arguments);
	emit_object(&e);
	if (limit)
		emit_key_i64(&e, "limit", n);
	if (cursor)
		emit_key_text(&e, "cursor", cursor);
	emit_object_end(&e);
	emit_done(&e);
	status = cli_call_own(cli, "list_invoices", buf_slice(&arguments), &result);
	buf_finish(&arguments);
	if (!result)
		return status;
	print_rows(json_object_get(result, "items"), COLUMNS, MEMBERS, ARRAY_LEN(COLUMNS));
	cursor = json_string_value(json_object_get(result, "next_cursor"));
	if (cursor)
		cli_note("more: farebox billing invoices --cursor %s", cursor);
	print_sandbox(result);
	return status;
}

static int run_portal(struct cli *cli)
{
	CLEANUP(edge_decref) json_t *result = NULL;
	int status = cli_call_own(cli, "billing_portal", slice_of(""), &result);

	if (!result)
		return status;
	print_clean(stdout, json_string_value(json_object_get(result, "url")));
	(void)putchar('\n');
	print_sandbox(result);
	return status;
}

static void print_usage(json_t *result)
{
	static const struct column COLUMNS[] = {
		{"GROUP", COLUMN_TEXT},     {"CALLS", COLUMN_RIGHT},  {"CHARGED", COLUMN_RIGHT},
		{"REFUNDED", COLUMN_RIGHT}, {"TOKENS", COLUMN_RIGHT}, {"TOKENS BACK", COLUMN_RIGHT},
	};
	static const char *const MEMBERS[] = {"group",    "calls",  "charged",
					      "refunded", "tokens", "refunded_tokens"};
	json_t *groups = json_object_get(result, "groups");
	json_t *totals = json_object_get(result, "totals");

	(void)json_object_set_new(totals, "group", json_string("total"));
	(void)json_array_append(groups, totals);
	print_rows(groups, COLUMNS, MEMBERS, ARRAY_LEN(COLUMNS));
	cli_note("%s to %s, UTC", json_string_value(json_object_get(result, "from")),
		 json_string_value(json_object_get(result, "to")));
}

static int run_usage(struct cli *cli)
{
	static const struct {
		const char *option;
		const char *argument;
	} ROWS[] = {{"from", "from"}, {"to", "to"}, {"group-by", "group_by"}};
	CLEANUP(edge_decref) json_t *result = NULL;
	struct buf arguments = BUF_INIT;
	struct emit e;
	int status;

	emit_init(&e, &arguments);
	emit_object(&e);
	for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
		const char *value = cli_value(cli, ROWS[i].option);

		if (value)
			emit_key_text(&e, ROWS[i].argument, value);
	}
	emit_object_end(&e);
	emit_done(&e);
	status = cli_call_own(cli, "get_usage", buf_slice(&arguments), &result);
	buf_finish(&arguments);
	if (result)
		print_usage(result);
	return status;
}

static const struct option_spec CHECKOUT_OPTIONS[] = {
	{"amount", "USD", "What to add to the balance, 5 to 10000; the fee comes on top.", true},
	{.name = NULL},
};
static const char *const CHECKOUT_EXAMPLES[] = {"farebox billing checkout --amount 20", NULL};

static const struct option_spec PREFERENCES_OPTIONS[] = {
	{"set", "KEY=VALUE", "Change one; may be given several times.", false},
	{.name = NULL},
};
static const char *const PREFERENCES_EXAMPLES[] = {
	"farebox billing preferences",
	"farebox billing preferences --set auto_reload_enabled=true --set auto_reload_amount=25",
	"farebox billing preferences --set budget_limit=null",
	NULL,
};

static const struct option_spec INVOICES_OPTIONS[] = {
	{"limit", "N", "Rows on a page, 1 to 100.", false},
	{"cursor", "CURSOR", "The next page, as the page before gave it.", false},
	{.name = NULL},
};

static const struct option_spec USAGE_OPTIONS[] = {
	{"from", "DATE", "First day, YYYY-MM-DD in UTC; the first of this month by default.",
	 false},
	{"to", "DATE", "Last day, included; today by default.", false},
	{"group-by", "WHAT", "tool, day or key; tool by default.", false},
	{.name = NULL},
};
static const char *const USAGE_EXAMPLES[] = {
	"farebox billing usage --group-by day",
	"farebox billing usage --from 2026-11-01 --to 2026-11-30 --json",
	NULL,
};

static const struct command BALANCE = {
	.name = "balance",
	.summary = "Shows what can be spent now, and the prices.",
	.run = run_balance,
};
static const struct command CHECKOUT = {
	.name = "checkout",
	.summary = "Makes a payment page that tops up the balance.",
	.text = "The balance is credited when the page is paid.",
	.examples = CHECKOUT_EXAMPLES,
	.options = CHECKOUT_OPTIONS,
	.run = run_checkout,
};
static const struct command PREFERENCES = {
	.name = "preferences",
	.summary = "Shows or changes auto-reload and the monthly budget.",
	.text = "Keys: auto_reload_enabled (true, false), auto_reload_threshold and "
		"auto_reload_amount\n(USD), budget_limit (USD a month, or null for none).",
	.examples = PREFERENCES_EXAMPLES,
	.options = PREFERENCES_OPTIONS,
	.run = run_preferences,
};
static const struct command INVOICES = {
	.name = "invoices",
	.summary = "Lists invoices, charges and refunds, newest first.",
	.options = INVOICES_OPTIONS,
	.run = run_invoices,
};
static const struct command PORTAL = {
	.name = "portal",
	.summary = "Prints a link to the page where cards are saved and changed.",
	.run = run_portal,
};
static const struct command USAGE = {
	.name = "usage",
	.summary = "Sums up the paid calls of a time.",
	.examples = USAGE_EXAMPLES,
	.options = USAGE_OPTIONS,
	.run = run_usage,
};

static const struct command *const COMMANDS[] = {
	&BALANCE, &CHECKOUT, &PREFERENCES, &INVOICES, &PORTAL, &USAGE, NULL,
};

static const char *const EXAMPLES[] = {
	"farebox billing balance",
	"farebox billing checkout --amount 20",
	NULL,
};

const struct command COMMAND_BILLING = {
	.name = "billing",
	.summary = "Balance, payments, preferences and usage of the caller's org.",
	.examples = EXAMPLES,
	.commands = COMMANDS,
};
