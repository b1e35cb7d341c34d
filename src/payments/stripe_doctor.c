/*
 * First the account alone: when Stripe is not reached, or the key is wrong, nothing else is asked.
 * Then a list of one item of each kind that farebox works with; 403 says that the key lacks it.
 */

#include "payments/stripe_doctor.h"

#include "payments/stripe_flow.h"

#include "base/limits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_PAGE "the Stripe dashboard, Developers > API keys"

/* What farebox needs of each, in the words of the dashboard's page for restricted keys. */
static const struct area {
	const char *path, *form;
	const char *permission;
	bool is_portal;
	bool is_paid; /* the list tells what was paid */
} AREAS[] = {
	{"/v1/customers", "limit=1", "Customers: Write", false, false},
	{"/v1/payment_methods", "type=card&limit=1", "PaymentMethods: Read", false, false},
	{"/v1/payment_intents", "limit=100", "PaymentIntents: Write", false, true},
	{"/v1/checkout/sessions", "limit=1", "Checkout Sessions: Write", false, false},
	{"/v1/invoices", "limit=100", "Invoices: Write", false, true},
	{"/v1/refunds", "limit=1", "Charges and Refunds: Read", false, false},
	{"/v1/disputes", "limit=1", "Disputes: Read", false, false},
	{"/v1/billing_portal/configurations", "is_default=true&limit=1", "Customer portal: Write",
	 true, false},
};

struct stripe_doctor {
	struct stripe_doctor_config config;
	struct loop *loop;
	struct stripe *stripe;
	enum stripe_mode mode;
	bool is_restricted;
	struct stripe_call account;
	struct stripe_call areas[ARRAY_LEN(AREAS)];
	size_t pending; /* of areas */
};

static void find(struct stripe_doctor *d, enum finding_level level, const char *check,
		 const char *remedy, const char *fmt, ...) PRINTF_LIKE(5, 6);

static void find(struct stripe_doctor *d, enum finding_level level, const char *check,
		 const char *remedy, const char *fmt, ...)
{
	struct finding finding = {.level = level, .check = check, .remedy = remedy};
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	finding.text = text;
	d->config.found(d->config.arg, &finding);
}

static const char *text_at(const json_t *object, const char *outer, const char *name)
{
	const json_t *in = outer ? json_object_get(object, outer) : object;
	const char *text = json_string_value(json_object_get(in, name));

	return text && *text ? text : NULL;
}

static void find_key(struct stripe_doctor *d)
{
	bool is_live = d->mode == STRIPE_MODE_LIVE;

	find(d, FINDING_OK, "stripe.key", NULL, "%s_%s_...: a %s key of %s mode%s",
	     d->is_restricted ? "rk" : "sk", is_live ? "live" : "test",
	     d->is_restricted ? "restricted" : "secret", is_live ? "live" : "test",
	     is_live ? ", which takes real money" : ", in which no money moves");
}

/* False: nothing can be asked of it. */
static bool find_reach(struct stripe_doctor *d, const struct stripe_call *call)
{
	static const char NETWORK[] =
		"Look at the network: name resolution, and a firewall or proxy between here and "
		"api.stripe.com, port 443; farebox uses no proxy for Stripe.";
	static const char OUTAGE[] =
		"Try again in a minute; https://status.stripe.com tells of outages.";
	bool is_outage = call->status >= 500 || call->status == 429;

	if (call->outcome == STRIPE_UNKNOWN && call->status) {
		find(d, FINDING_FAIL, "stripe.reach", is_outage ? OUTAGE : NETWORK,
		     "answered with HTTP status %d: %s", call->status, call->text);
		return false;
	}
	if (!call->status) {
		find(d, FINDING_FAIL, "stripe.reach", NETWORK, "%s", call->text);
		return false;
	}
	find(d, FINDING_OK, "stripe.reach", NULL, "answers, API version %s", STRIPE_VERSION);
	return true;
}

static void find_clock(struct stripe_doctor *d, const struct stripe_call *call)
{
	static const char REMEDY[] =
		"Set the clock by the network's time: timedatectl set-ntp true. Webhook "
		"signatures older than 5 minutes are refused.";
	int64_t skew_s = (clock_wall().ms - call->answered.ms) / 1000;
	int64_t off_s = skew_s < 0 ? -skew_s : skew_s;
	enum finding_level level = FINDING_OK;

	if (!call->answered.ms) {
		find(d, FINDING_WARN, "stripe.clock",
		     "Something between here and Stripe takes the Date header away.",
		     "the answer has no date to compare the clock with");
		return;
	}
	if (off_s > STRIPE_DOCTOR_SKEW_FAIL_S)
		level = FINDING_FAIL;
	else if (off_s > STRIPE_DOCTOR_SKEW_WARN_S)
		level = FINDING_WARN;
	if (level == FINDING_OK)
		find(d, level, "stripe.clock", NULL, "agrees with Stripe's to a minute");
	else
		find(d, level, "stripe.clock", REMEDY, "%" PRId64 " s %s Stripe's", off_s,
		     skew_s < 0 ? "behind" : "ahead of");
}

static void find_account(struct stripe_doctor *d, const json_t *account)
{
	const char *id = text_at(account, NULL, "id");
	const char *country = text_at(account, NULL, "country");
	const char *name = text_at(account, "business_profile", "name");
	bool may_charge = json_is_true(json_object_get(account, "charges_enabled"));
	const json_t *dashboard = json_object_get(json_object_get(account, "settings"),
						  "dashboard");
	bool is_live = d->mode == STRIPE_MODE_LIVE;

	if (!name)
		name = text_at(dashboard, NULL, "display_name");
	if (!name)
		name = text_at(account, NULL, "email");
	if (!name)
		name = "no name";
	if (!id)
		id = "no id";
	if (!country)
		country = "no country";
	if (may_charge)
		find(d, FINDING_OK, "stripe.account", NULL, "%s, %s, %s, charges enabled", id, name,
		     country);
	else
		find(d, is_live ? FINDING_FAIL : FINDING_WARN, "stripe.account",
		     is_live ? "Activate the account in the Stripe dashboard; until then Stripe "
			       "refuses charges."
			     : "Test payments work without it; activate the account before going "
			       "live.",
		     "%s, %s, %s, charges not enabled", id, name, country);
}

static void find_portal(struct stripe_doctor *d, const struct stripe_call *call)
{
	if (json_array_size(json_object_get(call->object, "data")))
		find(d, FINDING_OK, "stripe.portal", NULL, "the billing portal is set up");
	else
		find(d, FINDING_WARN, "stripe.portal",
		     "Open Settings > Billing > Customer portal in the Stripe dashboard, in the "
		     "mode of this key, and save it once.",
		     "the billing portal is not set up: billing_portal gives no link");
}

/* True when the list was given. */
static bool find_area(struct stripe_doctor *d, const struct area *area,
		      const struct stripe_call *call)
{
	CLEANUP(free_charp) char *remedy = NULL;

	if (call->outcome == STRIPE_OK)
		return true;
	if (call->outcome != STRIPE_FORBIDDEN) {
		find(d, FINDING_WARN, "stripe.permissions", "Run farebox doctor again.",
		     "GET %s was not answered as it should: %s", area->path, call->text);
		return false;
	}
	remedy = xasprintf("Give the key the permission '%s' in " KEYS_PAGE ".", area->permission);
	find(d, FINDING_FAIL, "stripe.permissions", remedy, "the key may not read %s: %s",
	     area->path, call->text);
	return false;
}

static void find_areas(struct stripe_doctor *d)
{
	size_t good = 0;

	for (size_t i = 0; i < ARRAY_LEN(AREAS); i++)
		good += find_area(d, &AREAS[i], &d->areas[i]);
	if (good == ARRAY_LEN(AREAS))
		find(d, FINDING_OK, "stripe.permissions", NULL,
		     d->is_restricted ? "the key may read the lists that farebox reads; what it "
					"may write shows with the first payment"
				      : "a secret key may do all");
	for (size_t i = 0; i < ARRAY_LEN(AREAS); i++) {
		if (AREAS[i].is_portal && d->areas[i].outcome == STRIPE_OK)
			find_portal(d, &d->areas[i]);
	}
}

static void tell_paid(struct stripe_doctor *d, const struct stripe_call *call)
{
	const json_t *object;
	struct gateway_paid paid;
	size_t i;

	json_array_foreach (json_object_get(call->object, "data"), i, object) {
		if (stripe_paid_read(object, &paid))
			d->config.paid(d->config.arg, &paid);
	}
}

static void on_area(struct stripe_call *call)
{
	struct stripe_doctor *d = call->arg;

	if (--d->pending)
		return;
	find_areas(d);
	for (size_t i = 0; i < ARRAY_LEN(AREAS) && d->config.paid; i++) {
		if (AREAS[i].is_paid && d->areas[i].outcome == STRIPE_OK)
			tell_paid(d, &d->areas[i]);
	}
	d->config.done(d->config.arg);
}

static void ask_areas(struct stripe_doctor *d)
{
	d->pending = ARRAY_LEN(AREAS);
	for (size_t i = 0; i < ARRAY_LEN(AREAS); i++) {
		d->areas[i] = (struct stripe_call){
			.method = "GET",
			.path = AREAS[i].path,
			.form = AREAS[i].form,
			.give_up = boottime_after(clock_boot(), STRIPE_DOCTOR_MS),
			.done = on_area,
			.arg = d,
		};
		stripe_start(d->stripe, &d->areas[i]);
	}
}

static void on_account(struct stripe_call *call)
{
	struct stripe_doctor *d = call->arg;

	if (!find_reach(d, call)) {
		d->config.done(d->config.arg);
		return;
	}
	find_clock(d, call);
	if (call->status == 401) {
		find(d, FINDING_FAIL, "stripe.account",
		     "Copy the key again from " KEYS_PAGE "; it may have been rolled or deleted.",
		     "Stripe does not know this key: %s", call->text);
		d->config.done(d->config.arg);
		return;
	}
	if (call->outcome == STRIPE_OK)
		find_account(d, call->object);
	else
		find(d, FINDING_WARN, "stripe.account",
		     "Payments do not need it. To see the account here, let the key read it.",
		     "the account cannot be read: %s", call->text);
	ask_areas(d);
}

struct stripe_doctor *stripe_doctor_create(struct loop *loop, struct http *http,
					   const struct stripe_doctor_config *config,
					   struct err *err)
{
	struct stripe *stripe = stripe_create(loop, http, &config->stripe, err);
	struct stripe_doctor *d;

	if (!stripe)
		return NULL;
	d = xzalloc(sizeof(*d));
	d->config = *config;
	d->stripe = stripe;
	CHECK(stripe_key_mode(config->stripe.key, &d->mode, &d->is_restricted));
	d->config.stripe = (struct stripe_config){.key = NULL}; /* the client has its own */
	find_key(d);
	d->account = (struct stripe_call){
		.method = "GET",
		.path = "/v1/account",
		.give_up = boottime_after(clock_boot(), STRIPE_DOCTOR_MS),
		.done = on_account,
		.arg = d,
	};
	stripe_start(d->stripe, &d->account);
	return d;
}

void stripe_doctor_destroy(struct stripe_doctor *d)
{
	if (!d)
		return;
	stripe_destroy(d->stripe);
	stripe_call_finish(&d->account);
	for (size_t i = 0; i < ARRAY_LEN(AREAS); i++)
		stripe_call_finish(&d->areas[i]);
	free(d);
}
