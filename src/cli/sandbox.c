/*
 * The user's part of a payment in the sandbox.
 */

#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/emit.h"

struct pay_run {
	struct pay_request request;
	bool is_done;
};

static void on_paid(struct pay_request *request)
{
	((struct pay_run *)request->arg)->is_done = true;
}

static bool is_done(void *arg)
{
	return ((const struct pay_run *)arg)->is_done;
}

static struct microusd usd_of(struct cents c)
{
	struct microusd a;

	CHECK(microusd_from_cents(&a, c));
	return a;
}

static int print_paid(struct cli *cli, const struct pay_request *r)
{
	const struct payment_view *p = &r->payment;
	struct microusd credit = usd_of(p->credit), fee = usd_of(p->fee);
	char tokens[MONEY_TEXT_SIZE], total[MONEY_TEXT_SIZE], balance[MONEY_TEXT_SIZE];
	struct buf json = BUF_INIT;
	struct emit e;

	if (!cli->wants_json) {
		usd_text_people(microusd_plus(credit, fee), total);
		tokens_text(credit, tokens);
		tokens_text(wallet_spendable(&r->after), balance);
		(void)printf("paid $%s: %s tokens%s%s\n", total, tokens,
			     r->has_after ? ", balance " : "", r->has_after ? balance : "");
		return CLI_OK;
	}
	emit_init(&e, &json);
	emit_object(&e);
	emit_key_id(&e, "payment_id", "pay", p->id);
	emit_key_text(&e, "status", payment_state_name(p->state));
	emit_key_usd(&e, "credit_usd", credit);
	emit_key_usd(&e, "fee_usd", fee);
	emit_key_usd(&e, "total_usd", microusd_plus(credit, fee));
	emit_key_tokens(&e, "tokens", credit);
	if (r->has_after)
		emit_key_tokens(&e, "balance_tokens", wallet_spendable(&r->after));
	emit_key_bool(&e, "sandbox", true);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
	return CLI_OK;
}

static int tell(struct cli *cli, const struct pay_request *r)
{
	switch (r->outcome) {
	case PAY_OK:
		return print_paid(cli, r);
	case PAY_DECLINED:
		return cli_fail_text(cli, ERROR_PAYMENT_DECLINED, NULL, "%s",
				     r->payment.reason ? r->payment.reason : "It was declined.");
	case PAY_ACTION_REQUIRED:
		return cli_fail_code(cli, ERROR_PAYMENT_ACTION_REQUIRED);
	case PAY_CONFLICT:
		return cli_fail_code(cli, ERROR_IDEMPOTENCY_CONFLICT);
	case PAY_NOT_CONFIGURED:
		return cli_fail_code(cli, ERROR_PAYMENTS_NOT_CONFIGURED);
	case PAY_BAD_REQUEST:
		return cli_fail_field(cli, "PAYMENT", "'farebox billing invoices' shows them.",
				      "%s", r->err.text);
	case PAY_NEEDS_CARD:
	case PAY_PENDING:
	case PAY_BOUND:
	case PAY_RATE_LIMITED:
	case PAY_UNAVAILABLE:
		return cli_fail_store(cli);
	}
	die("pay outcome %d", (int)r->outcome);
}

static int pay(struct cli *cli, struct id payment)
{
	struct payments *payments = app_payments(cli->app);
	struct boottime deadline = boottime_after(clock_boot(), CLI_STORE_MS);
	struct pay_run run = {.is_done = false};
	int status;

	run.request.deadline = deadline;
	run.request.done = on_paid;
	run.request.arg = &run;
	payments_sandbox_pay(payments, payment, &run.request);
	if (app_run_until(cli->app, is_done, &run, boottime_after(deadline, CLI_SLACK_MS))) {
		status = tell(cli, &run.request);
		cli->must_settle = true;
	} else {
		payments_abandon(&run.request);
		status = cli_fail_store(cli);
	}
	pay_request_finish(&run.request);
	return status;
}

static int run_pay(struct cli *cli)
{
	const char *name = cli_operand(cli, 0);
	struct id payment;

	if (!id_parse("pay", slice_of(name), &payment))
		return cli_usage(cli, &(struct usage_fault){.operand = "PAYMENT"},
				 "'%s' is no payment's id, as in pay_0193...", name);
	if (!cli_app(cli))
		return CLI_FAILED;
	if (!payments_is_sandbox(app_payments(cli->app)))
		return cli_fail_text(cli, ERROR_PAYMENTS_NOT_CONFIGURED,
				     "Set FAREBOX_PAYMENTS=sandbox.",
				     "Payments are not in the sandbox.");
	return pay(cli, payment);
}

static const char *const EXAMPLES[] = {
	"FAREBOX_PAYMENTS=sandbox farebox billing checkout --amount 20",
	"FAREBOX_PAYMENTS=sandbox farebox sandbox pay pay_0193...",
	NULL,
};

static const struct command PAY = {
	.name = "pay",
	.summary = "Pays an open payment, as the user would on its page.",
	.text = "Only with FAREBOX_PAYMENTS=sandbox, where no money moves.",
	.examples = EXAMPLES,
	.operands = {"PAYMENT"},
	.operands_required = 1,
	.run = run_pay,
};

static const struct command *const COMMANDS[] = {&PAY, NULL};

const struct command COMMAND_SANDBOX = {
	.name = "sandbox",
	.summary = "The user's part in sandbox payments.",
	.examples = EXAMPLES,
	.commands = COMMANDS,
};
