#include "cli/cli.h"

#include "app/app.h"
#include "base/limits.h"
#include "base/process.h"
#include "base/suggest.h"
#include "base/vault.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/edge.h"

#include <string.h>
#include <unistd.h>

static const struct command *const ROOT_COMMANDS[] = {
	&COMMAND_MCP,
	&COMMAND_CALL,
	&COMMAND_QUOTE,
	&COMMAND_TOOLS,
	&COMMAND_BILLING,
	&COMMAND_KEYS,
	&COMMAND_ORGS,
	&COMMAND_GRANT,
	&COMMAND_LEDGER,
	&COMMAND_SANDBOX,
	&COMMAND_WEBHOOK,
	&COMMAND_CONFIG,
	&COMMAND_PRICES,
	&COMMAND_DOCTOR,
	&COMMAND_HELP,
	&COMMAND_VERSION,
	NULL,
};

static const char *const ROOT_EXAMPLES[] = {
	"farebox tools",
	"farebox call detect_hiring '{\"company\": {\"domain\": \"example.com\"}}'",
	"farebox billing balance",
	NULL,
};

const struct command COMMAND_ROOT = {
	.name = "farebox",
	.summary = "A prepaid meter for agent tools.",
	.text = "Without a command, and with stdin not a terminal, it serves MCP as 'farebox mcp' "
		"does.\n"
		"\n"
		"Environment:\n"
		"  FAREBOX_CONFIG         farebox.json; without it, the built-in tools only\n"
		"  FAREBOX_STORE          the wallet's file; default "
		"~/.local/share/farebox/wallet.db\n"
		"  FAREBOX_API_KEY        the caller's key\n"
		"  FAREBOX_PAYMENTS       stripe, sandbox or off; default stripe when its key is "
		"set, "
		"else off\n"
		"  FAREBOX_PROVIDER_KEY_NAME\n"
		"                         your own key at the provider that the configuration "
		"calls "
		"NAME\n"
		"  FAREBOX_SEAL_KEY       seals connected sessions; default a file beside the "
		"wallet\n"
		"  STRIPE_SECRET_KEY      the key of your Stripe account, secret or restricted\n"
		"  STRIPE_WEBHOOK_SECRET  for 'farebox webhook'; several while one is rolled\n"
		"  FAREBOX_LOG            error, warn, info or debug; lines on stderr\n"
		"A secret may come from a file instead: STRIPE_SECRET_KEY_FILE names it, and so "
		"on.\n"
		"A secret that is set but empty is refused: unset it.\n"
		"\n"
		"Exit status: 0 ok, 1 failed, 2 usage.",
	.examples = ROOT_EXAMPLES,
	.commands = ROOT_COMMANDS,
};

static const struct command *find_below(const struct command *command, const char *name)
{
	for (size_t i = 0; command->commands[i]; i++) {
		if (strcmp(command->commands[i]->name, name) == 0)
			return command->commands[i];
	}
	return NULL;
}

static int unknown_command(struct cli *cli, const char *name)
{
	struct suggestion best;

	suggestion_init(&best, name);
	for (size_t i = 0; cli->command->commands[i]; i++)
		suggestion_offer(&best, cli->command->commands[i]->name);
	return cli_usage(cli, &(struct usage_fault){.suggestion = best.found},
			 "there is no command '%s%s%s'", cli->path, *cli->path ? " " : "", name);
}

static int no_command(struct cli *cli)
{
	if (cli->wants_json)
		return cli_usage(cli, &(struct usage_fault){0}, "a command is missing");
	help_print(cli, cli->command, cli->path, stderr);
	return CLI_USAGE;
}

static void descend(struct cli *cli, const struct command *command)
{
	size_t len = strlen(cli->path);

	CHECK(len + strlen(command->name) + 2 <= sizeof(cli->path));
	(void)snprintf(cli->path + len, sizeof(cli->path) - len, "%s%s", len ? " " : "",
		       command->name);
	cli->command = command;
}

static int check_required(struct cli *cli)
{
	const struct command *c = cli->command;

	for (const struct option_spec *o = c->options; o && o->name; o++) {
		if (o->is_required && !cli_value(cli, o->name))
			return cli_usage(cli, &(struct usage_fault){.option = o->name},
					 "is required");
	}
	if (cli->operands_count < c->operands_required)
		return cli_usage(cli,
				 &(struct usage_fault){.operand = c->operands[cli->operands_count]},
				 "is missing");
	return CLI_OK;
}

static int operands_allowed(const struct command *command)
{
	int n = 0;

	while (n < OPERANDS_MAX && command->operands[n])
		n++;
	return n;
}

static int run_leaf(struct cli *cli)
{
	int allowed = operands_allowed(cli->command);
	int status = check_required(cli);

	if (status != CLI_OK)
		return status;
	if (cli->operands_count > allowed)
		return cli_usage(cli, &(struct usage_fault){0}, "'%s' is one operand too many",
				 cli->operands[allowed]);
	return cli->command->run(cli);
}

static int run_bare(struct cli *cli)
{
	if (isatty(STDIN_FILENO)) {
		help_print(cli, &COMMAND_ROOT, "", stdout);
		return CLI_OK;
	}
	descend(cli, &COMMAND_MCP);
	return COMMAND_MCP.run(cli);
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
	int used, status;

	if (argc <= 1)
		return run_bare(cli);
	for (;;) {
		const struct command *below;

		if (!cli_read_options(cli, argc, argv, &used, &status))
			return status;
		if (!cli->command->commands)
			return run_leaf(cli);
		argc -= used;
		argv += used;
		if (argc <= 0)
			return no_command(cli);
		below = find_below(cli->command, argv[0]);
		if (!below)
			return unknown_command(cli, argv[0]);
		descend(cli, below);
	}
}

int cli_main(int argc, char **argv)
{
	struct cli cli = {.command = &COMMAND_ROOT};
	struct err err = ERR_INIT;
	int status;

	/* Before the arguments are read: there may be too little even for that. */
	if (!process_prepare(&err)) {
		cli_note("%s", err.text);
		return CLI_FAILED;
	}
	vault_open();
	edge_init();
	cli.out_is_terminal = isatty(STDOUT_FILENO);
	status = dispatch(&cli, argc, argv);
	if (!cli_flush() && status == CLI_OK)
		status = CLI_FAILED;
	if (cli.must_settle)
		cli_settle(&cli);
	if (cli.signals && status == CLI_OK)
		status = CLI_FAILED;
	app_destroy(cli.app);
	return status;
}
