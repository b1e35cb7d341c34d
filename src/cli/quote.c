#include "cli/print.h"
#include "cli/run.h"
#include "json/edge.h"
#include "json/emit.h"

static void print(const json_t *quote)
{
	static const struct {
		const char *member;
		const char *label;
	} ROWS[] = {
		{"tool", "tool"},
		{"kind", "price"},
		{"hold_tokens", "tokens at most"},
		{"max_usd", "USD at most"},
		{"affordable", "affordable"},
		{"balance_tokens", "balance, tokens"},
	};
	struct table *t = pairs_create();

	for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
		CLEANUP(free_charp)
		char *cell = json_cell(json_object_get(quote, ROWS[i].member));

		pairs_add(t, ROWS[i].label, cell);
	}
	table_print(t);
}

static int run(struct cli *cli)
{
	const char *tool = cli_operand(cli, 0), *given = cli_operand(cli, 1);
	CLEANUP(edge_decref) json_t *arguments = NULL;
	CLEANUP(edge_decref) json_t *quote = NULL;
	struct buf text = BUF_INIT;
	struct emit e;
	int status;

	if (given) {
		arguments = cli_read_arguments(cli, given);
		if (!arguments)
			return CLI_USAGE;
	}
	if (!cli_app(cli))
		return CLI_FAILED;
	if (!cli_find_tool(cli, tool, "TOOL", &status))
		return status;
	emit_init(&e, &text);
	emit_object(&e);
	emit_key_text(&e, "tool", tool);
	if (arguments) {
		emit_key(&e, "arguments");
		emit_json(&e, arguments);
	}
	emit_object_end(&e);
	emit_done(&e);
	status = cli_call_own(cli, "quote", buf_slice(&text), &quote);
	buf_finish(&text);
	if (quote)
		print(quote);
	return status;
}

static const char *const EXAMPLES[] = {
	"farebox quote detect_hiring",
	"farebox quote detect_hiring '{\"company\": {\"domain\": \"example.com\"}}'",
	NULL,
};

const struct command COMMAND_QUOTE = {
	.name = "quote",
	.summary = "Says what a call would cost at most, without making it.",
	.text = "JSON is the arguments of the call, an object; '-' reads it from stdin.",
	.examples = EXAMPLES,
	.operands = {"TOOL", "JSON"},
	.operands_required = 1,
	.run = run,
};
