/*
 * Help, from the table of commands: for people, and with --json as one object.
 */

#include "base/suggest.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "json/emit.h"

#include <string.h>

#define COLUMN_MIN 14

static const struct option_spec COMMON[] = {
	{"json", NULL, "Print JSON on stdout, failures too.", false},
	{"help", NULL, "Show this help (also -h).", false},
	{"version", NULL, "Show the version.", false},
	{.name = NULL},
};

static void put_usage(const struct command *command, const char *path, struct buf *out)
{
	buf_printf(out, "farebox%s%s", *path ? " " : "", path);
	if (command->commands)
		buf_puts(out, " COMMAND");
	for (int i = 0; i < OPERANDS_MAX && command->operands[i]; i++)
		buf_printf(out, i < command->operands_required ? " %s" : " [%s]",
			   command->operands[i]);
	for (const struct option_spec *o = command->options; o && o->name; o++)
		buf_printf(out, " %s--%s%s%s%s", o->is_required ? "" : "[", o->name,
			   o->value ? " " : "", o->value ? o->value : "",
			   o->is_required ? "" : "]");
}

static void put_rows(const struct option_spec *options, FILE *out)
{
	for (const struct option_spec *o = options; o && o->name; o++) {
		CLEANUP(free_charp)
		char *left = xasprintf("--%s%s%s", o->name, o->value ? " " : "",
				       o->value ? o->value : "");

		(void)fprintf(out, "  %-*s  %s\n", COLUMN_MIN + 8, left, o->help);
	}
}

static void put_commands(const struct command *command, FILE *out)
{
	(void)fputs("\nCommands:\n", out);
	for (size_t i = 0; command->commands[i]; i++)
		(void)fprintf(out, "  %-*s  %s\n", COLUMN_MIN, command->commands[i]->name,
			      command->commands[i]->summary);
}

static void print_for_people(const struct command *command, const char *path, FILE *out)
{
	struct buf usage = BUF_INIT;

	put_usage(command, path, &usage);
	(void)fprintf(out, "Usage: %s\n\n%s\n", buf_text(&usage), command->summary);
	buf_finish(&usage);
	if (command->examples)
		(void)fputs("\nExamples:\n", out);
	for (size_t i = 0; command->examples && command->examples[i]; i++)
		(void)fprintf(out, "  %s\n", command->examples[i]);
	if (command->commands)
		put_commands(command, out);
	(void)fputs("\nOptions:\n", out);
	put_rows(command->options, out);
	put_rows(COMMON, out);
	if (command->text)
		(void)fprintf(out, "\n%s\n", command->text);
	if (command->commands)
		(void)fprintf(out, "\nSee 'farebox%s%s COMMAND --help' for each.\n",
			      *path ? " " : "", path);
}

static void emit_options(struct emit *e, const struct option_spec *options)
{
	for (const struct option_spec *o = options; o && o->name; o++) {
		emit_object(e);
		emit_key_text(e, "name", o->name);
		emit_key_text(e, "value", o->value);
		emit_key_bool(e, "required", o->is_required);
		emit_key_text(e, "help", o->help);
		emit_object_end(e);
	}
}

static void emit_command(struct emit *e, const struct command *command, const char *path)
{
	struct buf usage = BUF_INIT;

	put_usage(command, path, &usage);
	emit_object(e);
	emit_key_text(e, "name", command->name);
	emit_key_text(e, "summary", command->summary);
	emit_key_text(e, "usage", buf_text(&usage));
	buf_finish(&usage);
	emit_key(e, "options");
	emit_array(e);
	emit_options(e, command->options);
	emit_options(e, COMMON);
	emit_array_end(e);
	emit_key(e, "examples");
	emit_array(e);
	for (size_t i = 0; command->examples && command->examples[i]; i++)
		emit_text(e, command->examples[i]);
	emit_array_end(e);
	emit_key(e, "commands");
	emit_array(e);
	/* The tree is two levels deep. */
	for (size_t i = 0; command->commands && command->commands[i]; i++) {
		CLEANUP(free_charp)
		char *below = xasprintf("%s%s%s", path, *path ? " " : "",
					command->commands[i]->name);

		emit_command(e, command->commands[i], below);
	}
	emit_array_end(e);
	emit_object_end(e);
}

void help_print(const struct cli *cli, const struct command *command, const char *path, FILE *out)
{
	struct buf json = BUF_INIT;
	struct emit e;

	if (!cli->wants_json) {
		print_for_people(command, path, out);
		return;
	}
	emit_init(&e, &json);
	emit_command(&e, command, path);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

/* NULL: told. */
static const struct command *find(struct cli *cli, const struct command *from, const char *name)
{
	struct suggestion best;

	suggestion_init(&best, name);
	for (size_t i = 0; from->commands && from->commands[i]; i++) {
		if (strcmp(from->commands[i]->name, name) == 0)
			return from->commands[i];
		suggestion_offer(&best, from->commands[i]->name);
	}
	(void)cli_usage(cli, &(struct usage_fault){.operand = "COMMAND", .suggestion = best.found},
			"there is no command '%s'", name);
	return NULL;
}

static int run(struct cli *cli)
{
	const struct command *command = &COMMAND_ROOT;
	struct buf path = BUF_INIT;

	for (int i = 0; i < cli->operands_count; i++) {
		command = find(cli, command, cli_operand(cli, i));
		if (!command) {
			buf_finish(&path);
			return CLI_USAGE;
		}
		buf_printf(&path, "%s%s", i ? " " : "", command->name);
	}
	help_print(cli, command, buf_text(&path), stdout);
	buf_finish(&path);
	return CLI_OK;
}

static const char *const EXAMPLES[] = {
	"farebox help call",
	"farebox help keys create",
	NULL,
};

const struct command COMMAND_HELP = {
	.name = "help",
	.summary = "Shows what a command does and takes.",
	.examples = EXAMPLES,
	.operands = {"COMMAND", "SUBCOMMAND"},
	.run = run,
};
