#ifndef CLI_CLI_H
#define CLI_CLI_H

/*
 * The command line. Each subcommand is a const entry in a tree of commands, one file each; help,
 * options and suggestions for typos come from the entries. Data goes to stdout, all else to
 * stderr, and with --json both results and failures are one JSON value on stdout.
 */

#include "base/base.h"

#include <stdio.h>

struct app;
struct cli;

enum {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
};

/* The whole program; returns its exit status. */
int cli_main(int argc, char **argv);

struct option_spec {
	const char *name;  /* without dashes */
	const char *value; /* what stands for its value in help; NULL: a switch */
	const char *help;
	bool is_required;
};

#define OPERANDS_MAX 2

struct command {
	const char *name;
	const char *summary;
	const char *text;                   /* more paragraphs for help; NULL for none */
	const char *const *examples;        /* whole command lines, ended by NULL; NULL for none */
	const struct option_spec *options;  /* ended by one without a name; NULL for none */
	const char *operands[OPERANDS_MAX]; /* their names in help */
	int operands_required;
	/* Ended by NULL: the commands below this one, which then has no run. */
	const struct command *const *commands;
	int (*run)(struct cli *cli);
};

extern const struct command COMMAND_ROOT;
extern const struct command COMMAND_MCP;
extern const struct command COMMAND_CALL;
extern const struct command COMMAND_QUOTE;
extern const struct command COMMAND_TOOLS;
extern const struct command COMMAND_BILLING;
extern const struct command COMMAND_KEYS;
extern const struct command COMMAND_ORGS;
extern const struct command COMMAND_GRANT;
extern const struct command COMMAND_LEDGER;
extern const struct command COMMAND_SANDBOX;
extern const struct command COMMAND_WEBHOOK;
extern const struct command COMMAND_CONFIG;
extern const struct command COMMAND_PRICES;
extern const struct command COMMAND_DOCTOR;
extern const struct command COMMAND_HELP;
extern const struct command COMMAND_VERSION;

#define OPTION_VALUES_MAX 64
#define COMMAND_PATH_SIZE 64

struct option_value {
	const char *name;
	const char *text; /* NULL for a switch; borrowed from argv */
};

/* One run of the program. */
struct cli {
	const struct command *command;
	char path[COMMAND_PATH_SIZE]; /* "keys create" */
	bool wants_json;
	bool out_is_terminal;
	char **operands;
	int operands_count;
	struct option_value values[OPTION_VALUES_MAX];
	size_t values_count;
	/* Made when a command first needs it. */
	struct app *app;
	bool must_settle;         /* what a tool has left under way ends before the program does */
	bool has_signals;         /* the loop delivers them */
	int signals;              /* how many came */
	struct tool_run *running; /* what a signal cancels; NULL for none */
};

/* options.c: the last value that was given; NULL when there is none. */
const char *cli_value(const struct cli *cli, const char *name);
/* NULL when it was not given. */
const char *cli_operand(const struct cli *cli, int i);
/* Reads the options of one command; for a command that has others below it, only those in front
 * of the first operand. *status is set when there is nothing left to run. */
MUST_USE bool cli_read_options(struct cli *cli, int argc, char **argv, int *out_used, int *status);

/* help.c */
void help_print(const struct cli *cli, const struct command *command, const char *path, FILE *out);

#endif
