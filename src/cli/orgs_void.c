/*
 * orgs void-test-money: takes play money out of wallets, each by an entry of its ledger.
 */

#include "cli/orgs.h"
#include "cli/print.h"
#include "cli/run.h"
#include "wallet/play.h"
#include "json/emit.h"

#include <string.h>

struct voiding {
	struct cli *cli;
	struct emit e;
	int64_t orgs;
};

static void tell(struct voiding *v, const struct play_org *org, const struct cmd_result *r)
{
	char tokens[MONEY_TEXT_SIZE], left[MONEY_TEXT_SIZE];

	emit_object(&v->e);
	emit_key_id(&v->e, "id", "org", org->id);
	emit_key_text(&v->e, "name", org->name);
	emit_key_tokens(&v->e, "voided_tokens", r->amount);
	emit_key_tokens(&v->e, "tokens", wallet_spendable(&r->after));
	emit_key_tokens(&v->e, "test_tokens", r->after.play);
	emit_object_end(&v->e);
	v->orgs++;
	if (v->cli->wants_json)
		return;
	tokens_text(r->amount, tokens);
	tokens_text(r->after.play, left);
	cli_note("%s: %s test tokens are taken out", org->name, tokens);
	if (microusd_sign(r->after.play) > 0)
		cli_note("%s: %s more are held by calls in flight; run this again later", org->name,
			 left);
}

static bool void_one(struct voiding *v, const struct play_org *org)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_VOID_PLAY,
						   (struct caller){.org = org->id});
	struct cmd_result result;

	cmd->id = wallet_new_id(app_wallet(v->cli->app));
	if (!cli_submit(v->cli, cmd, &result))
		return false;
	CHECK(result.outcome == WALLET_OK); /* orgs are never taken away */
	/* Somebody else may have been faster. */
	if (microusd_sign(result.amount) > 0 || microusd_sign(result.after.play) > 0)
		tell(v, org, &result);
	return true;
}

/* id ID_NONE: all. */
static bool void_all(struct voiding *v, const struct play_list *list, struct id id)
{
	for (size_t i = 0; i < list->count; i++) {
		bool is_wanted = id_is_none(id) || id_eq(id, list->items[i].id);

		if (is_wanted && !void_one(v, &list->items[i]))
			return false;
	}
	return true;
}

static int run_on(struct cli *cli, struct db *db, struct id org)
{
	struct play_list list = {.count = 0};
	struct voiding v = {.cli = cli};
	struct buf json = BUF_INIT;
	int status = CLI_FAILED;

	if (play_list_read(db, &list) != DB_OK)
		return cli_fail_read(cli, db);
	emit_init(&v.e, &json);
	emit_object(&v.e);
	emit_key(&v.e, "orgs");
	emit_array(&v.e);
	if (void_all(&v, &list, org)) {
		emit_array_end(&v.e);
		emit_object_end(&v.e);
		emit_done(&v.e);
		if (cli->wants_json)
			print_json(cli, buf_slice(&json));
		else if (!v.orgs)
			cli_note("there is no test money");
		status = CLI_OK;
	}
	buf_finish(&json);
	play_list_finish(&list);
	return status;
}

static bool is_given(const struct cli *cli, const char *name)
{
	for (size_t i = 0; i < cli->values_count; i++) {
		if (strcmp(cli->values[i].name, name) == 0)
			return true;
	}
	return false;
}

static int run_void(struct cli *cli)
{
	const char *name = cli_value(cli, "org");
	struct org_view org = {.id = ID_NONE};
	int status = CLI_FAILED;
	struct db *db;

	if (name && is_given(cli, "all"))
		return cli_usage(cli, &(struct usage_fault){.option = "all"},
				 "and --org exclude each other");
	db = cli_db(cli);
	if (!db)
		return CLI_FAILED;
	if (name && !cli_find_org(cli, db, name, &org, &status))
		return status;
	status = run_on(cli, db, org.id);
	org_view_finish(&org);
	return status;
}

static const struct option_spec OPTIONS[] = {
	{"org", "ORG", "Name or id of the org.", false},
	{"all", NULL, "Of every org, as without --org.", false},
	{.name = NULL},
};
static const char *const EXAMPLES[] = {
	"farebox orgs void-test-money",
	"farebox orgs void-test-money --org acme",
	NULL,
};

const struct command COMMAND_ORGS_VOID = {
	.name = "void-test-money",
	.summary = "Takes out tokens that were bought in the sandbox or with a test key.",
	.text = "Each org's by an entry of its ledger; what was bought with real money, starter "
		"tokens and grants stay. A store that was used with a live key does not let such "
		"tokens be spent in any case.",
	.examples = EXAMPLES,
	.options = OPTIONS,
	.run = run_void,
};
