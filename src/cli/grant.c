#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/emit.h"

static void print_granted(const struct cli *cli, const char *org, struct microusd amount,
			  const struct cmd_result *result)
{
	char tokens[MONEY_TEXT_SIZE], balance[MONEY_TEXT_SIZE], receipt[DIGEST_TEXT_SIZE];
	struct buf json = BUF_INIT;
	struct emit e;

	tokens_text(amount, tokens);
	tokens_text(wallet_spendable(&result->after), balance);
	digest_text(&result->receipt, receipt);
	if (!cli->wants_json) {
		(void)fputs("granted ", stdout);
		(void)fputs(tokens, stdout);
		(void)fputs(" tokens to ", stdout);
		print_clean(stdout, org);
		(void)printf(", which has %s now\n", balance);
		return;
	}
	emit_init(&e, &json);
	emit_object(&e);
	emit_key_text(&e, "org", org);
	emit_key_id(&e, "org_id", "org", result->after.org);
	emit_key_tokens(&e, "tokens", amount);
	emit_key_tokens(&e, "balance_tokens", wallet_spendable(&result->after));
	emit_key_text(&e, "receipt", receipt);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static int grant(struct cli *cli, const struct org_view *org, struct microusd amount,
		 const char *reason)
{
	struct wallet_cmd *cmd;
	struct cmd_result result;

	cmd = wallet_cmd_create(WALLET_OP_GRANT, (struct caller){.org = org->id});
	cmd->id = wallet_new_id(app_wallet(cli->app));
	cmd->kind = ENTRY_GRANT;
	cmd->amount = amount;
	cmd->note = reason ? xstrdup(reason) : NULL;
	if (!cli_submit(cli, cmd, &result))
		return CLI_FAILED;
	if (result.outcome == WALLET_OVERFLOW)
		return cli_fail_field(cli, "--tokens", NULL,
				      "the balance would be more than the ledger can hold");
	CHECK(result.outcome == WALLET_OK);
	print_granted(cli, org->name, amount, &result);
	return CLI_OK;
}

static int run(struct cli *cli)
{
	const char *reason = cli_value(cli, "reason");
	struct microusd amount;
	struct decimal tokens;
	struct org_view org;
	struct db *db;
	int status = CLI_FAILED;

	if (!decimal_parse(slice_of(cli_value(cli, "tokens")), &tokens) ||
	    decimal_sign(tokens) <= 0 || !microusd_from_tokens_exact(&amount, tokens))
		return cli_usage(cli, &(struct usage_fault){.option = "tokens"},
				 "must be a number above 0 with at most four decimals");
	if (reason && !cli_check_text(cli, "reason", reason, CLI_REASON_BYTES_MAX))
		return CLI_USAGE;
	db = cli_db(cli);
	if (!db || !cli_find_org(cli, db, cli_value(cli, "org"), &org, &status))
		return status;
	status = grant(cli, &org, amount, reason);
	org_view_finish(&org);
	return status;
}

static const char *const EXAMPLES[] = {
	"farebox grant --tokens 500",
	"farebox grant --tokens 25.5 --org acme --reason 'goodwill for the outage'",
	NULL,
};

static const struct option_spec OPTIONS[] = {
	{"tokens", "N", "How many; above 0, at most four decimals.", true},
	{"org", "ORG", "To whom, by name or id; the default org without it.", false},
	{"reason", "TEXT", "Kept in the ledger's entry; at most 500 bytes.", false},
	{.name = NULL},
};

const struct command COMMAND_GRANT = {
	.name = "grant",
	.summary = "Gives tokens to an org of the local store, without a payment.",
	.examples = EXAMPLES,
	.options = OPTIONS,
	.run = run,
};
