/*
 * getopt_long over a command's table of options, with messages of our own.
 */

#include "base/suggest.h"
#include "cli/cli.h"
#include "cli/print.h"

#include <getopt.h>
#include <string.h>

#define OPTIONS_MAX   12
#define COMMON_COUNT  3
#define FIRST_OF_SPEC 1000 /* beyond every character: tells them apart in getopt's results */

enum {
	COMMON_JSON = 256,
	COMMON_HELP = 'h',
	COMMON_VERSION = 'V',
};

static const struct option COMMON[COMMON_COUNT] = {
	{"json", no_argument, NULL, COMMON_JSON},
	{"help", no_argument, NULL, COMMON_HELP},
	{"version", no_argument, NULL, COMMON_VERSION},
};

const char *cli_value(const struct cli *cli, const char *name)
{
	for (size_t i = cli->values_count; i > 0; i--) {
		if (strcmp(cli->values[i - 1].name, name) == 0)
			return cli->values[i - 1].text;
	}
	return NULL;
}

const char *cli_operand(const struct cli *cli, int i)
{
	return i < cli->operands_count ? cli->operands[i] : NULL;
}

static void fill_long(const struct command *command, struct option out[])
{
	size_t n = 0;

	for (const struct option_spec *o = command->options; o && o->name; o++) {
		CHECK(n < OPTIONS_MAX);
		out[n] = (struct option){
			.name = o->name,
			.has_arg = o->value ? required_argument : no_argument,
			.val = FIRST_OF_SPEC + (int)n,
		};
		n++;
	}
	for (size_t i = 0; i < COMMON_COUNT; i++)
		out[n++] = COMMON[i];
	out[n] = (struct option){.name = NULL};
}

static int unknown_option(struct cli *cli, const char *given)
{
	struct suggestion best;
	const char *name = strncmp(given, "--", 2) == 0 ? given + 2 : NULL;

	if (!name)
		return cli_usage(cli, &(struct usage_fault){0}, "there is no option '%s'", given);
	suggestion_init(&best, name);
	for (const struct option_spec *o = cli->command->options; o && o->name; o++)
		suggestion_offer(&best, o->name);
	for (size_t i = 0; i < COMMON_COUNT; i++)
		suggestion_offer(&best, COMMON[i].name);
	return cli_usage(cli, &(struct usage_fault){.suggestion = best.found, .is_option = true},
			 "there is no option '%s'", given);
}

static int take_value(struct cli *cli, const struct option_spec *spec, const char *text)
{
	if (cli->values_count == OPTION_VALUES_MAX)
		return cli_usage(cli, &(struct usage_fault){.option = spec->name},
				 "there are more than %d options", OPTION_VALUES_MAX);
	cli->values[cli->values_count++] = (struct option_value){spec->name, text};
	return CLI_OK;
}

/* The word that getopt stumbled over. */
static const char *bad_word(char **argv)
{
	return optind > 0 && argv[optind - 1] ? argv[optind - 1] : "";
}

/* True when the reading goes on. */
static bool take_option(struct cli *cli, int found, char **argv, int *status)
{
	const struct option_spec *specs = cli->command->options;

	if (found == COMMON_JSON) {
		cli->wants_json = true;
		return true;
	}
	if (found >= FIRST_OF_SPEC) {
		/* A switch that is there has no text, which is something else than none. */
		*status = take_value(cli, &specs[found - FIRST_OF_SPEC], optarg ? optarg : "");
		return *status == CLI_OK;
	}
	if (found == COMMON_HELP) {
		help_print(cli, cli->command, cli->path, stdout);
		*status = CLI_OK;
	} else if (found == COMMON_VERSION) {
		*status = COMMAND_VERSION.run(cli);
	} else if (found == ':' && optopt >= FIRST_OF_SPEC) {
		*status = cli_usage(
			cli, &(struct usage_fault){.option = specs[optopt - FIRST_OF_SPEC].name},
			"needs a value");
	} else if (optopt && strncmp(bad_word(argv), "--", 2) == 0) {
		*status = cli_usage(cli, &(struct usage_fault){0}, "'%s': it takes no value",
				    bad_word(argv));
	} else if (optopt) {
		char letter[] = {'-', (char)optopt, '\0'};

		*status = unknown_option(cli, letter);
	} else {
		*status = unknown_option(cli, bad_word(argv));
	}
	return false;
}

/* Also a fault in front of --json is told as JSON, and --help --json is help in JSON. */
static bool asks_for_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--json") == 0)
			return true;
	}
	return false;
}

bool cli_read_options(struct cli *cli, int argc, char **argv, int *out_used, int *status)
{
	struct option table[OPTIONS_MAX + COMMON_COUNT + 1];
	const char *letters = cli->command->commands ? "+:hV" : ":hV";
	int found;

	cli->wants_json = cli->wants_json || asks_for_json(argc, argv);
	fill_long(cli->command, table);
	opterr = 0;
	optind = 0; /* GNU: start anew */
	while ((found = getopt_long(argc, argv, letters, table, NULL)) != -1) {
		if (!take_option(cli, found, argv, status))
			return false;
	}
	*out_used = optind;
	cli->operands = argv + optind;
	cli->operands_count = argc - optind;
	return true;
}
