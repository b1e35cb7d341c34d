#ifndef CLI_RUN_H
#define CLI_RUN_H

/*
 * How commands use the app: its start, calls of tools, commands of the wallet, readers. Functions
 * that return false (or NULL) have printed why.
 */

#include "app/app.h"
#include "cli/cli.h"
#include "wallet/account.h"

/* The app, built when it is first asked for. NULL: told; the status is CLI_FAILED. */
struct app *cli_app(struct cli *cli);

/* Waits, within bounds, until upstreams have listed the tool of the name, or all of theirs; then it
 * is known, too, what the caller of the list may do. */
void cli_await_tool(struct cli *cli, const char *name);
unsigned cli_await_list(struct cli *cli);

/* Looks a tool up. NULL: told, with a suggestion when there is none, or with the reason why its
 * upstream does not offer it now; *out_status is the exit status. */
const struct tool *cli_find_tool(struct cli *cli, const char *name, const char *operand,
				 int *out_status);

/*
 * Calls a tool and runs the loop until its reply is there. SIGINT, SIGTERM and SIGHUP cancel it,
 * so that what it holds is released. False: it was given up, told. The caller finishes the reply.
 */
MUST_USE bool cli_call(struct cli *cli, const struct tool *tool, json_t *arguments,
		       const struct tool_options *options, struct tool_reply *out);
/* The error object in the reply's meta, told; returns the exit status. */
int cli_fail_reply(struct cli *cli, const struct tool_reply *reply);
/* One line of cost on stderr, when the reply knows a cost; free: says so. */
void cli_print_cost(const struct tool *tool, const struct tool_reply *reply);

/*
 * Calls a tool of farebox's own as billing commands do; arguments is the text of an object ("" for
 * none). Returns the exit status. With --json the result has been printed and *out is NULL; else
 * it is a new reference to the structured result for the caller to show.
 */
int cli_call_own(struct cli *cli, const char *tool, struct slice arguments, json_t **out);

/* What a wallet command came to. */
struct cmd_result {
	bool is_done;
	enum wallet_outcome outcome;
	struct microusd amount;
	struct wallet_view after;
	struct digest receipt;
	struct walltime now;
};
/* Submits and waits. False: the store is unavailable, told. */
MUST_USE bool cli_submit(struct cli *cli, TAKES struct wallet_cmd *cmd, struct cmd_result *out);

/* The open store, for readers; NULL: told. What processes that are gone left behind is ended. */
struct db *cli_db(struct cli *cli);
/* The same for who looks and changes nothing: neither ends holds nor makes a store. */
struct db *cli_db_there(struct cli *cli);
/* Says why the store cannot be used. */
int cli_fail_store(struct cli *cli);
/* A read that went wrong, told. */
int cli_fail_read(struct cli *cli, struct db *db);
/* By name or id; NULL: the default org. False: told, *out_status is set. */
MUST_USE bool cli_find_org(struct cli *cli, struct db *db, const char *name, struct org_view *out,
			   int *out_status);

/* call.c: the object in the operand JSON, "-" for stdin. NULL: told, the status is CLI_USAGE. */
json_t *cli_read_arguments(struct cli *cli, const char *given);

/* Lets the app finish what is under way, within bounds. */
void cli_settle(struct cli *cli);

/* Text that is stored: UTF-8 without control characters, of 1 to bytes_max. False: told. */
MUST_USE bool cli_check_text(struct cli *cli, const char *option, const char *text,
			     size_t bytes_max);

#endif
