/*
 * Events of Stripe that something else received: a web server, a queue, stripe-cli. The signature
 * is checked over the bytes as they came, and nothing in them is looked at before.
 */

#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "payments/stripe.h"
#include "payments/stripe_secrets.h"
#include "json/edge.h"
#include "json/emit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool read_all(int fd, struct buf *out, struct err *err)
{
	char chunk[16384];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, "%s", strerror(errno));
		if (n == 0)
			return true;
		if (!buf_append_capped(out, chunk, (size_t)n))
			return err_set(err, "longer than %d bytes", STRIPE_EVENT_BYTES_MAX);
	}
}

static bool read_body(struct cli *cli, struct buf *out)
{
	const char *path = cli_operand(cli, 0);
	bool is_stdin = !path || strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct err err = ERR_INIT;
	bool is_good = false;

	if (fd < 0)
		err_set(&err, "%s", strerror(errno));
	else
		is_good = read_all(fd, out, &err);
	if (fd >= 0 && !is_stdin)
		(void)close(fd);
	if (is_good)
		return true;
	(void)cli_fail_field(cli, "FILE",
			     "FILE is the body of the request as Stripe sent it, byte by byte.",
			     "%s: %s", is_stdin ? "stdin" : path, err.text);
	return false;
}

/* HEADER as it came, or the whole line. */
static const char *header_value(const char *given)
{
	static const char NAME[] = "Stripe-Signature:";

	if (strncasecmp(given, NAME, strlen(NAME)) != 0)
		return given;
	given += strlen(NAME);
	return given + strspn(given, " ");
}

static bool check_signature(struct cli *cli, struct slice body)
{
	struct stripe_secrets secrets;
	struct err err = ERR_INIT;
	bool is_good;

	if (!stripe_secrets_read(&secrets, &err)) {
		(void)cli_fail_text(cli, ERROR_INVALID_ARGUMENTS, "Correct it in the environment.",
				    "%s", err.text);
		return false;
	}
	if (!secrets.count) {
		stripe_secrets_finish(&secrets);
		(void)cli_fail_text(cli, ERROR_INVALID_ARGUMENTS,
				    "It is the endpoint's signing secret, whsec_..., in the Stripe "
				    "dashboard under Developers > Webhooks, or as 'stripe listen' "
				    "prints it. Answer Stripe with status 500 until it is set.",
				    "STRIPE_WEBHOOK_SECRET is not set.");
		return false;
	}
	is_good = stripe_signature_verify(body, header_value(cli_value(cli, "signature")),
					  secrets.items, secrets.count, clock_wall(), &err);
	stripe_secrets_finish(&secrets);
	if (!is_good)
		(void)cli_fail_field(cli, "--signature",
				     "Answer Stripe with status 400, and do nothing with the body.",
				     "%s", err.text);
	return is_good;
}

/* A new reference to the event. NULL: told. */
static json_t *read_event(struct cli *cli)
{
	struct buf body = BUF_CAPPED(STRIPE_EVENT_BYTES_MAX);
	struct err err = ERR_INIT;
	json_t *event = NULL;

	if (read_body(cli, &body) && check_signature(cli, buf_slice(&body))) {
		event = edge_parse(buf_slice(&body), &err);
		if (!json_is_object(event)) {
			json_decref(event);
			event = NULL;
			(void)cli_fail_field(cli, "body", "Stripe sends JSON objects only.",
					     "the signature is good, but the body is no event: %s",
					     err_is_set(&err) ? err.text : "not a JSON object");
		}
	}
	buf_finish(&body);
	return event;
}

static const char *text_of(const json_t *event, const char *name)
{
	return json_string_value(json_object_get(event, name));
}

static void print_event(const struct cli *cli, const json_t *event, const struct pay_request *r)
{
	const char *id = text_of(event, "id"), *type = text_of(event, "type");
	char payment[ID_TEXT_SIZE] = "";
	struct buf json = BUF_INIT;
	struct emit e;

	if (r && !id_is_none(r->payment.id))
		id_text("pay", r->payment.id, payment);
	if (!cli->wants_json) {
		CLEANUP(free_charp)
		char *line = xasprintf("%s %s%s%s%s%s", id ? id : "-", type ? type : "-",
				       *payment ? " " : "", payment, *payment ? " " : "",
				       *payment ? payment_state_name(r->payment.state) : "");

		print_clean(stdout, line);
		(void)putchar('\n');
		return;
	}
	emit_init(&e, &json);
	emit_object(&e);
	emit_key_text(&e, "id", id);
	emit_key_text(&e, "type", type);
	if (r) {
		emit_key_text(&e, "payment_id", *payment ? payment : NULL);
		emit_key_text(&e, "payment_status",
			      *payment ? payment_state_name(r->payment.state) : NULL);
	}
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static int run_verify(struct cli *cli)
{
	CLEANUP(edge_decref) json_t *event = read_event(cli);

	if (!event)
		return CLI_FAILED;
	print_event(cli, event, NULL);
	return CLI_OK;
}

static void on_applied(struct pay_request *request)
{
	*(bool *)request->arg = true;
}

static bool is_set(void *arg)
{
	return *(const bool *)arg;
}

static int again(struct cli *cli, const char *why)
{
	return cli_fail_text(cli, ERROR_UPSTREAM_ERROR,
			     "Let it be sent again: answer Stripe with status 500, or run this "
			     "later.",
			     "The event is not applied yet%s%s", *why ? ": " : ".", why);
}

static int tell(struct cli *cli, const json_t *event, const struct pay_request *r)
{
	switch (r->outcome) {
	case PAY_OK:
	/* A payment that failed, or that waits for its payer, is what the event was about. */
	case PAY_DECLINED:
	case PAY_ACTION_REQUIRED:
	case PAY_NEEDS_CARD:
		print_event(cli, event, r);
		return CLI_OK;
	case PAY_BAD_REQUEST:
		return cli_fail_field(cli, "body",
				      "Sending it again does not help; see 'farebox doctor'.", "%s",
				      r->err.text);
	case PAY_NOT_CONFIGURED:
		return cli_fail_code(cli, ERROR_PAYMENTS_NOT_CONFIGURED);
	case PAY_CONFLICT:
	case PAY_PENDING:
	case PAY_BOUND:
	case PAY_RATE_LIMITED:
		return again(cli, r->err.text);
	case PAY_UNAVAILABLE:
		return cli_fail_store(cli);
	}
	die("pay outcome %d", (int)r->outcome);
}

static int apply(struct cli *cli, const json_t *event)
{
	struct boottime deadline = boottime_after(clock_boot(), PAYMENT_ANSWER_MS);
	bool is_done = false;
	struct pay_request request = {.deadline = deadline, .done = on_applied, .arg = &is_done};
	int status;

	cli->must_settle = true;
	payments_notice(app_payments(cli->app), event, &request);
	if (app_run_until(cli->app, is_set, &is_done, boottime_after(deadline, CLI_SLACK_MS))) {
		status = tell(cli, event, &request);
	} else {
		payments_abandon(&request);
		status = again(cli, wallet_trouble(app_wallet(cli->app)));
	}
	pay_request_finish(&request);
	return status;
}

static int run_apply(struct cli *cli)
{
	CLEANUP(edge_decref) json_t *event = read_event(cli);

	if (!event || !cli_app(cli))
		return CLI_FAILED;
	return apply(cli, event);
}

static const struct option_spec OPTIONS[] = {
	{"signature", "HEADER", "The request's Stripe-Signature header.", true},
	{.name = NULL},
};

#define SECRET                                                                                     \
	"FILE is the body of the request, byte by byte as it came; stdin without it.\nThe "        \
	"secret is STRIPE_WEBHOOK_SECRET, or in the file that STRIPE_WEBHOOK_SECRET_FILE names; "  \
	"while\none is rolled there may be several, with commas between them."

static const char *const VERIFY_EXAMPLES[] = {
	"farebox webhook verify --signature \"$HTTP_STRIPE_SIGNATURE\" body.json",
	NULL,
};
static const char *const APPLY_EXAMPLES[] = {
	"farebox webhook apply --signature \"$HTTP_STRIPE_SIGNATURE\" < body.json",
	NULL,
};

static const struct command VERIFY = {
	.name = "verify",
	.summary = "Checks an event's signature and prints its id and type.",
	.text = SECRET,
	.examples = VERIFY_EXAMPLES,
	.options = OPTIONS,
	.operands = {"FILE"},
	.run = run_verify,
};
static const struct command APPLY = {
	.name = "apply",
	.summary = "Checks an event and does what follows from it; twice is as once.",
	.text = SECRET "\nThe event is a hint: Stripe is asked what became of the payment. Exit "
		       "status 0 when it is done\nand durable, or the event is none of ours; 1 "
		       "when it was refused or is to be sent again.",
	.examples = APPLY_EXAMPLES,
	.options = OPTIONS,
	.operands = {"FILE"},
	.run = run_apply,
};

static const struct command *const COMMANDS[] = {&VERIFY, &APPLY, NULL};

const struct command COMMAND_WEBHOOK = {
	.name = "webhook",
	.summary = "Events that Stripe sent to a server of yours.",
	.text = "They are optional: farebox asks Stripe itself what became of payments. An event "
		"makes it sooner.",
	.examples = APPLY_EXAMPLES,
	.commands = COMMANDS,
};
