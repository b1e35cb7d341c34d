#include "cli/orgs.h"

#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/emit.h"

#include <stdlib.h>
#include <string.h>

static void emit_org(struct emit *e, const struct org_view *org, const struct wallet_view *view)
{
	emit_object(e);
	emit_key_id(e, "id", "org", org->id);
	emit_key_text(e, "name", org->name);
	emit_key_text(e, "email", org->email);
	emit_key_bool(e, "default", org->is_default);
	emit_key(e, "created");
	emit_walltime(e, org->created);
	emit_key_tokens(e, "tokens", wallet_spendable(view));
	emit_key_tokens(e, "held_tokens", view->held);
	emit_object_end(e);
}

/* One @ with something on both sides, and nothing that ends a header line. */
static bool is_email(const char *text)
{
	const char *at = strchr(text, '@');

	return at && at != text && at[1] && !strchr(at + 1, '@') && !strpbrk(text, " \t\r\n<>,;");
}

static bool check_email(struct cli *cli, const char *email)
{
	if (!cli_check_text(cli, "email", email, CLI_EMAIL_BYTES_MAX))
		return false;
	if (is_email(email))
		return true;
	(void)cli_usage(cli, &(struct usage_fault){.option = "email"},
			"must be an address, as in billing@example.com");
	return false;
}

static bool check_name(struct cli *cli, const char *name)
{
	const char *fault;

	if (!cli_check_text(cli, "name", name, ORG_NAME_BYTES_MAX))
		return false;
	fault = org_name_fault(name);
	if (fault)
		(void)cli_usage(cli, &(struct usage_fault){.option = "name"}, "%s", fault);
	return !fault;
}

static int refuse_taken(struct cli *cli, const char *name)
{
	return cli_fail_field(cli, "--name", "'farebox orgs list' shows them.",
			      "there is an org '%s' already, or one that differs in the case of "
			      "letters only",
			      name);
}

static void print_org(const struct cli *cli, const struct org_view *org,
		      const struct wallet_view *view)
{
	struct buf json = BUF_INIT;
	struct emit e;

	emit_init(&e, &json);
	emit_org(&e, org, view);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static void print_created(const struct cli *cli, struct org_view *org,
			  const struct cmd_result *result)
{
	char id[ID_TEXT_SIZE], tokens[MONEY_TEXT_SIZE];

	if (cli->wants_json) {
		print_org(cli, org, &result->after);
		return;
	}
	id_text("org", org->id, id);
	tokens_text(wallet_spendable(&result->after), tokens);
	(void)puts(id);
	cli_note("%s has %s tokens; 'farebox keys create --org %s' makes its key", org->name,
		 tokens, id);
}

static int run_create(struct cli *cli)
{
	const char *name = cli_value(cli, "name"), *email = cli_value(cli, "email");
	struct org_view org = {.name = NULL};
	struct cmd_result result;
	struct wallet_cmd *cmd;

	if (!check_name(cli, name) || (email && !check_email(cli, email)))
		return CLI_USAGE;
	if (!cli_db(cli))
		return CLI_FAILED;
	cmd = wallet_cmd_create(WALLET_OP_ORG_CREATE, (struct caller){.org = ID_NONE});
	org.id = cmd->id = wallet_new_id(app_wallet(cli->app));
	cmd->name = xstrdup(name);
	cmd->email = email ? xstrdup(email) : NULL;
	cmd->amount = app_starter(cli->app);
	if (!cli_submit(cli, cmd, &result))
		return CLI_FAILED;
	if (result.outcome == WALLET_DUPLICATE)
		return refuse_taken(cli, name);
	CHECK(result.outcome == WALLET_OK);
	org.created = result.now;
	org.name = xstrdup(name);
	org.email = email ? xstrdup(email) : NULL;
	print_created(cli, &org, &result);
	org_view_finish(&org);
	return CLI_OK;
}

static void print_email(const struct cli *cli, const struct org_view *org,
			const struct wallet_view *view)
{
	const char *configured = app_default_email(cli->app);

	if (cli->wants_json)
		print_org(cli, org, view);
	else
		cli_note("invoices of %s go to %s", org->name, org->email);
	if (configured && org->is_default && strcmp(configured, org->email) != 0)
		cli_note("but while farebox.json has org.email, %s is used for this org",
			 configured);
}

static int run_email(struct cli *cli)
{
	const char *email = cli_value(cli, "email");
	struct org_view org = {.name = NULL};
	struct cmd_result result;
	struct wallet_cmd *cmd;
	int status = CLI_FAILED;
	struct db *db;

	if (!check_email(cli, email))
		return CLI_USAGE;
	db = cli_db(cli);
	if (!db)
		return CLI_FAILED;
	if (!cli_find_org(cli, db, cli_value(cli, "org"), &org, &status))
		return status;
	cmd = wallet_cmd_create(WALLET_OP_ORG_EMAIL, (struct caller){.org = org.id});
	cmd->email = xstrdup(email);
	if (cli_submit(cli, cmd, &result)) {
		CHECK(result.outcome == WALLET_OK); /* orgs are never taken away */
		free(org.email);
		org.email = xstrdup(email);
		print_email(cli, &org, &result.after);
		status = CLI_OK;
	}
	org_view_finish(&org);
	return status;
}

static void print_renamed(const struct cli *cli, const struct org_view *org, const char *old,
			  const struct wallet_view *view)
{
	if (cli->wants_json)
		print_org(cli, org, view);
	else
		cli_note("%s is called %s now", old, org->name);
	if (app_org_is_configured(cli->app, old) && !app_org_is_configured(cli->app, org->name))
		cli_note("but farebox.json still has '%s' in orgs: put the new name there, or its "
			 "prices and ceilings are nobody's",
			 old);
}

/* What stands in the store: the wallet sees to it that the default org has the configured name. */
static int rename_org(struct cli *cli, struct org_view *org, const char *name)
{
	const char *configured = app_default_name(cli->app);
	CLEANUP(free_charp) char *old = NULL;
	struct cmd_result result;
	struct wallet_cmd *cmd;

	if (org->is_default && configured && strcmp(name, configured) != 0)
		return cli_fail_field(cli, "--name",
				      "Change org.name there; the store follows with its next use.",
				      "the default org is called '%s' by org.name in farebox.json",
				      configured);
	cmd = wallet_cmd_create(WALLET_OP_ORG_RENAME, (struct caller){.org = org->id});
	cmd->name = xstrdup(name);
	if (!cli_submit(cli, cmd, &result))
		return CLI_FAILED;
	if (result.outcome == WALLET_DUPLICATE)
		return refuse_taken(cli, name);
	CHECK(result.outcome == WALLET_OK); /* orgs are never taken away */
	old = org->name;
	org->name = xstrdup(name);
	print_renamed(cli, org, old, &result.after);
	return CLI_OK;
}

static int run_rename(struct cli *cli)
{
	const char *name = cli_value(cli, "name");
	struct org_view org = {.name = NULL};
	int status = CLI_FAILED;
	struct db *db;

	if (!check_name(cli, name))
		return CLI_USAGE;
	db = cli_db(cli);
	if (!db || !cli_find_org(cli, db, cli_value(cli, "org"), &org, &status))
		return status;
	status = rename_org(cli, &org, name);
	org_view_finish(&org);
	return status;
}

static bool add_org(struct db *db, const struct org_view *org, struct table *t, struct emit *e)
{
	char id[ID_TEXT_SIZE], tokens[MONEY_TEXT_SIZE], held[MONEY_TEXT_SIZE];
	char created[WALLTIME_TEXT_SIZE];
	struct wallet_view view = {.available = MICROUSD_ZERO};
	bool is_there;

	if (wallet_view_read(db, org->id, &is_there, &view) != DB_OK)
		return false;
	emit_org(e, org, &view);
	id_text("org", org->id, id);
	tokens_text(wallet_spendable(&view), tokens);
	tokens_text(view.held, held);
	walltime_text(org->created, created);
	table_row(t, (const char *const[]){id, tokens, held, created, org->name,
					   org->email ? org->email : "-"});
	return true;
}

static int print_orgs(struct cli *cli, struct db *db, const struct org_list *list)
{
	static const struct column COLUMNS[] = {
		{"ID", COLUMN_TEXT},      {"TOKENS", COLUMN_RIGHT}, {"HELD", COLUMN_RIGHT},
		{"CREATED", COLUMN_TEXT}, {"NAME", COLUMN_TEXT},    {"EMAIL", COLUMN_TEXT},
	};
	struct table *t = table_create(COLUMNS, ARRAY_LEN(COLUMNS), true);
	struct buf json = BUF_INIT;
	int status = CLI_OK;
	struct emit e;

	emit_init(&e, &json);
	emit_object(&e);
	emit_key(&e, "orgs");
	emit_array(&e);
	for (size_t i = 0; i < list->count && status == CLI_OK; i++) {
		if (!add_org(db, &list->items[i], t, &e))
			status = cli_fail_read(cli, db);
	}
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	if (status != CLI_OK || cli->wants_json) {
		table_destroy(t);
		if (status == CLI_OK)
			print_json(cli, buf_slice(&json));
	} else {
		table_print(t);
	}
	buf_finish(&json);
	return status;
}

static int run_list(struct cli *cli)
{
	struct org_list list = {.count = 0};
	struct db *db = cli_db(cli);
	int status;

	if (!db)
		return CLI_FAILED;
	if (org_list_read(db, &list) == DB_OK)
		status = print_orgs(cli, db, &list);
	else
		status = cli_fail_read(cli, db);
	org_list_finish(&list);
	return status;
}

static const struct option_spec CREATE_OPTIONS[] = {
	{"name", "NAME", "Its name, as configuration and commands use it.", true},
	{"email", "ADDRESS", "Where its invoices go; needed for payment by invoice.", false},
	{.name = NULL},
};
static const char *const CREATE_EXAMPLES[] = {
	"farebox orgs create --name acme --email billing@acme.example",
	NULL,
};

static const struct command CREATE = {
	.name = "create",
	.summary = "Makes an org with a wallet of its own and its starter tokens.",
	.examples = CREATE_EXAMPLES,
	.options = CREATE_OPTIONS,
	.run = run_create,
};
static const struct command LIST = {
	.name = "list",
	.summary = "Lists the orgs and their balances.",
	.run = run_list,
};

static const struct option_spec EMAIL_OPTIONS[] = {
	{"org", "ORG", "Name or id of the org.", true},
	{"email", "ADDRESS", "Where its invoices go.", true},
	{.name = NULL},
};
static const char *const EMAIL_EXAMPLES[] = {
	"farebox orgs email --org acme --email billing@acme.example",
	NULL,
};

static const struct command EMAIL = {
	.name = "email",
	.summary = "Sets the address that an org's invoices go to.",
	.text = "For the default org, org.email in farebox.json goes before it.",
	.examples = EMAIL_EXAMPLES,
	.options = EMAIL_OPTIONS,
	.run = run_email,
};

static const struct option_spec RENAME_OPTIONS[] = {
	{"org", "ORG", "Name or id of the org.", true},
	{"name", "NAME", "What it is called from now on.", true},
	{.name = NULL},
};
static const char *const RENAME_EXAMPLES[] = {"farebox orgs rename --org acme --name apex", NULL};

static const struct command RENAME = {
	.name = "rename",
	.summary = "Gives an org another name; its wallet, keys and id stay.",
	.text = "Prices and limits in farebox.json go by the name: change it there, too. The "
		"default "
		"org follows\norg.name of farebox.json by itself, where that is set.",
	.examples = RENAME_EXAMPLES,
	.options = RENAME_OPTIONS,
	.run = run_rename,
};

static const struct command *const COMMANDS[] = {
	&CREATE, &EMAIL, &LIST, &RENAME, &COMMAND_ORGS_VOID, NULL};

const struct command COMMAND_ORGS = {
	.name = "orgs",
	.summary = "Orgs of the local store: the tenants that pay.",
	.examples = CREATE_EXAMPLES,
	.commands = COMMANDS,
};
