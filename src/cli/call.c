#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/edge.h"
#include "json/emit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES 65536

/* All of stdin. False: told. */
static bool read_stdin(struct cli *cli, struct buf *out)
{
	const struct usage_fault fault = {.operand = "JSON"};

	for (;;) {
		char chunk[CHUNK_BYTES];
		ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

		if (n == 0)
			return true;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)cli_usage(cli, &fault, "stdin: %s", strerror(errno));
			return false;
		}
		if (!buf_append_capped(out, chunk, (size_t)n)) {
			(void)cli_usage(cli, &fault, "is longer than %d bytes", RPC_LINE_BYTES_MAX);
			return false;
		}
	}
}

json_t *cli_read_arguments(struct cli *cli, const char *given)
{
	const struct usage_fault fault = {.operand = "JSON"};
	struct buf text = BUF_CAPPED(RPC_LINE_BYTES_MAX);
	struct err err = ERR_INIT;
	json_t *object = NULL;

	if (strcmp(given, "-") != 0) {
		object = edge_parse(slice_of(given), &err);
	} else if (read_stdin(cli, &text)) {
		object = edge_parse(buf_slice(&text), &err);
	} else {
		buf_finish(&text);
		return NULL;
	}
	buf_finish(&text);
	if (!object) {
		(void)cli_usage(cli, &fault, "%s", err.text);
	} else if (!json_is_object(object)) {
		(void)cli_usage(cli, &fault, "must be an object, as in '{\"name\": \"value\"}'");
		json_decref(object);
		object = NULL;
	}
	return object;
}

static bool read_options(struct cli *cli, struct tool_options *out)
{
	const char *max = cli_value(cli, "max-tokens");
	const char *key = cli_value(cli, "idempotency-key");
	struct decimal tokens;

	*out = (struct tool_options){.client_name = "farebox-cli", .idempotency_key = key};
	if (max) {
		if (!decimal_parse(slice_of(max), &tokens) || decimal_sign(tokens) < 0 ||
		    !microusd_from_tokens_exact(&out->max_tokens, tokens)) {
			(void)cli_usage(cli, &(struct usage_fault){.option = "max-tokens"},
					"must be a number of tokens that is not negative, with at "
					"most four decimals");
			return false;
		}
		out->has_max_tokens = true;
	}
	return !key || cli_check_text(cli, "idempotency-key", key, IDEMPOTENCY_KEY_BYTES_MAX);
}

/* The text blocks of a result that is not structured. */
static void print_content(const struct cli *cli, struct slice content)
{
	CLEANUP(edge_decref) json_t *blocks = NULL;
	struct buf object = BUF_INIT;
	struct err err = ERR_INIT;
	const json_t *block;
	struct emit e;
	size_t i;

	if (cli->wants_json) {
		emit_init(&e, &object);
		emit_object(&e);
		emit_key_raw(&e, "content", content);
		emit_object_end(&e);
		emit_done(&e);
		print_json(cli, buf_slice(&object));
		buf_finish(&object);
		return;
	}
	blocks = edge_parse(content, &err);
	CHECK(blocks);
	json_array_foreach (blocks, i, block) {
		const char *text = json_string_value(json_object_get(block, "text"));

		if (text && cli->out_is_terminal)
			print_clean(stdout, text);
		else if (text)
			(void)fputs(text, stdout);
		else
			(void)fputs("(a block that is no text: see --json)", stdout);
		(void)fputc('\n', stdout);
	}
}

static int print_reply(struct cli *cli, const struct tool *tool, const struct tool_reply *reply)
{
	int status = CLI_OK;

	if (reply->is_error)
		status = cli_fail_reply(cli, reply);
	else if (reply->structured.len)
		print_json(cli, buf_slice(&reply->structured));
	else
		print_content(cli, buf_slice(&reply->content));
	cli_print_cost(tool, reply);
	return status;
}

static int run(struct cli *cli)
{
	const char *given = cli_operand(cli, 1);
	CLEANUP(edge_decref) json_t *arguments = NULL;
	struct tool_options options;
	const struct tool *tool;
	struct tool_reply reply;
	int status = CLI_FAILED;

	if (!read_options(cli, &options))
		return CLI_USAGE;
	if (given) {
		arguments = cli_read_arguments(cli, given);
		if (!arguments)
			return CLI_USAGE;
	}
	if (!cli_app(cli))
		return CLI_FAILED;
	tool = cli_find_tool(cli, cli_operand(cli, 0), "TOOL", &status);
	if (!tool)
		return status;
	if (cli_call(cli, tool, arguments, &options, &reply))
		status = print_reply(cli, tool, &reply);
	tool_reply_finish(&reply);
	return status;
}

static const char *const EXAMPLES[] = {
	"farebox call detect_hiring '{\"company\": {\"domain\": \"example.com\"}}'",
	"echo '{\"amount_usd\": 20}' | farebox call top_up_credits -",
	"farebox call detect_hiring --max-tokens 5 --idempotency-key run-7 '{...}'",
	NULL,
};

static const struct option_spec OPTIONS[] = {
	{"max-tokens", "N", "Refuse the call if it may cost more than N tokens.", false},
	{"idempotency-key", "K", "The same key and arguments within 24 h charge once.", false},
	{.name = NULL},
};

const struct command COMMAND_CALL = {
	.name = "call",
	.summary = "Calls a tool, as an agent would, and prints its result.",
	.text = "JSON is the arguments, an object; '-' reads it from stdin. The cost goes to "
		"stderr.\nCtrl-C cancels the call and gives back what it holds.",
	.examples = EXAMPLES,
	.options = OPTIONS,
	.operands = {"TOOL", "JSON"},
	.operands_required = 1,
	.run = run,
};
