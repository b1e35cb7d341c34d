/*
 * doctor: payments. Stripe is asked, and only read.
 */

#include "cli/doctor.h"

#include "base/limits.h"
#include "base/secret.h"
#include "payments/stripe_secrets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_email(struct doctor *d)
{
	if (d->config.org_email || d->has_email)
		doctor_add(d, FINDING_OK, "org.email", NULL, "invoices have an address to go to");
	else
		doctor_add(d, FINDING_WARN, "org.email",
			   "Set org.email in farebox.json, or run 'farebox orgs email --org ORG "
			   "--email "
			   "ADDRESS'.",
			   "the default org has no address: top_up_credits is refused");
}

static void check_return_url(struct doctor *d)
{
	if (d->config.return_url)
		doctor_add(d, FINDING_OK, "stripe.return_url", NULL, "payers come back to %s",
			   d->config.return_url);
	else
		doctor_add(d, FINDING_WARN, "stripe.return_url",
			   "Set stripe.return_url in farebox.json to a page of yours.",
			   "not set: after paying, payers land on example.com");
}

static void check_webhook(struct doctor *d)
{
	static const char REMEDY[] =
		"Set STRIPE_WEBHOOK_SECRET to the endpoint's signing secret, whsec_..., or leave "
		"it out.";
	struct stripe_secrets secrets;
	struct err err = ERR_INIT;
	size_t odd = 0;

	if (!stripe_secrets_read(&secrets, &err)) {
		doctor_add(d, FINDING_FAIL, "stripe.webhook", REMEDY, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < secrets.count; i++)
		odd += strncmp(secrets.items[i], "whsec_", 6) != 0;
	if (!secrets.count)
		doctor_add(d, FINDING_OK, "stripe.webhook", NULL,
			   "no signing secret is set: farebox asks Stripe itself what became of "
			   "payments");
	else if (odd)
		doctor_add(d, FINDING_WARN, "stripe.webhook", REMEDY,
			   "the signing secret does not begin with whsec_");
	else
		doctor_add(d, FINDING_OK, "stripe.webhook", NULL,
			   "%zu signing %s for 'farebox webhook'", secrets.count,
			   secrets.count == 1 ? "secret" : "secrets");
	stripe_secrets_finish(&secrets);
	doctor_check_secret_file(d, "stripe.webhook", "STRIPE_WEBHOOK_SECRET_FILE");
}

static void on_found(void *arg, const struct finding *f)
{
	doctor_add(arg, f->level, f->check, f->remedy, "%s", f->text);
}

static void on_paid(void *arg, const struct gateway_paid *paid)
{
	struct doctor *d = arg;
	bool is_there = false;
	struct microusd amount;

	if (!d->db || payment_is_there(d->db, paid->payment, paid->ref, &is_there) != DB_OK ||
	    is_there || !microusd_from_cents(&amount, paid->credit))
		return;
	d->unknown++;
	d->unknown_amount = microusd_plus_capped(d->unknown_amount, amount);
}

/* Of the newest at Stripe. */
static void tell_unknown(struct doctor *d)
{
	char usd[MONEY_TEXT_SIZE];

	if (!d->unknown)
		return;
	usd_text_people(d->unknown_amount, usd);
	doctor_add(d, FINDING_WARN, "stripe.unknown_money",
		   "Run 'farebox billing balance': what belongs to an org of this store is "
		   "credited; the rest is named here then.",
		   "Stripe has %zu paid %s over $%s that the store does not know", d->unknown,
		   d->unknown == 1 ? "payment" : "payments", usd);
}

static void on_done(void *arg)
{
	loop_stop(((struct doctor *)arg)->loop);
}

/* The one part that uses the network. */
static void ask_stripe(struct doctor *d)
{
	struct stripe_doctor_config config = {
		.stripe = {.key = d->payments.stripe_key, .api_base = d->payments.stripe_api_base},
		.found = on_found,
		.paid = on_paid,
		.done = on_done,
		.arg = d,
	};
	struct err err = ERR_INIT;
	struct stripe_doctor *stripe;
	struct http *http;

	/* A store that is not there is not made; what is wrong with it was told. */
	if (d->store && (strstr(d->store, "://") || access(d->store, F_OK) == 0) &&
	    db_open_for(DB_LOOK, d->store, CLI_STORE_MS, &d->db, &err) != DB_OK)
		d->db = NULL;
	d->loop = loop_create();
	http = http_create(d->loop, "farebox/" FAREBOX_VERSION);
	stripe = stripe_doctor_create(d->loop, http, &config, &err);
	if (stripe)
		loop_run(d->loop);
	else
		doctor_add(d, FINDING_FAIL, "stripe.key",
			   "Copy the secret key, or a restricted one, from the Stripe dashboard, "
			   "Developers > API keys.",
			   "%s", err.text);
	tell_unknown(d);
	stripe_doctor_destroy(stripe);
	db_close(d->db);
	d->db = NULL;
	http_destroy(http);
	loop_destroy(d->loop);
}

/* False: a key must not be sent there. */
static bool check_api_base(struct doctor *d)
{
	static const char REMEDY[] =
		"It is for tests: take FAREBOX_STRIPE_API_BASE out of the environment.";
	const char *base = d->payments.stripe_api_base;
	struct err err = ERR_INIT;
	bool is_loopback;

	if (!base)
		return true;
	if (http_base_check(base, &is_loopback, &err)) {
		doctor_add(d, FINDING_WARN, "stripe.api_base", REMEDY, "Stripe is asked at %s",
			   base);
		return true;
	}
	doctor_add(d, FINDING_FAIL, "stripe.api_base", REMEDY, "FAREBOX_STRIPE_API_BASE: %s",
		   err.text);
	return false;
}

static void check_stripe(struct doctor *d)
{
	doctor_add(d, FINDING_OK, "payments", NULL, "stripe");
	if (check_api_base(d))
		ask_stripe(d);
	doctor_check_secret_file(d, "stripe.key", "STRIPE_SECRET_KEY_FILE");
	check_return_url(d);
	check_email(d);
	check_webhook(d);
}

void doctor_check_payments(struct doctor *d)
{
	struct err err = ERR_INIT;

	if (!app_choose_payments(&d->payments, &d->key, &err)) {
		doctor_add(d, FINDING_FAIL, "payments",
			   "Correct the environment: FAREBOX_PAYMENTS, and STRIPE_SECRET_KEY or "
			   "STRIPE_SECRET_KEY_FILE.",
			   "%s", err.text);
		return;
	}
	switch (d->payments.mode) {
	case PAYMENTS_OFF:
		doctor_add(d, FINDING_OK, "payments", NULL,
			   "off: nothing can be bought; Stripe is not looked at");
		return;
	case PAYMENTS_SANDBOX:
		doctor_add(d, FINDING_OK, "payments", NULL,
			   "sandbox: play money; Stripe is not looked at");
		return;
	case PAYMENTS_STRIPE:
		check_stripe(d);
		return;
	}
	die("payments mode %d", (int)d->payments.mode);
}
