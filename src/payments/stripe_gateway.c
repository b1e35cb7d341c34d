/*
 * The gateway that takes real money. What it is asked for twice it does once: each request that
 * makes or moves something has a key that follows from the payment, and bytes that were kept before
 * the first went out. After 23 hours, when Stripe may forget a key, it lists instead of repeating.
 */

#include "payments/stripe_flow.h"

#include <stdlib.h>

static void gateway_abort(struct gateway *g, struct gateway_call *call)
{
	(void)g;
	if (call->state)
		flow_destroy(call->state);
}

static void gateway_destroy(struct gateway *g)
{
	struct stripe_gateway *s = container_of(g, struct stripe_gateway, gateway);

	stripe_destroy(s->stripe);
	free(s->return_url);
	free(s);
}

struct gateway *stripe_gateway_create(struct loop *loop, struct http *http, struct wallet *wallet,
				      const struct payments_config *config, struct err *err)
{
	/* Test and live money do not mix: each has its own payments in the store. */
	static const char *const NAMES[] = {
		[STRIPE_MODE_TEST] = "stripe_test",
		[STRIPE_MODE_LIVE] = "stripe",
	};
	struct stripe_config client = {
		.key = config->stripe_key,
		.api_base = config->stripe_api_base,
	};
	struct stripe_gateway *s;
	struct stripe *stripe;
	enum stripe_mode mode;
	bool is_restricted;

	stripe = stripe_create(loop, http, &client, err);
	if (!stripe)
		return NULL;
	CHECK(stripe_key_mode(config->stripe_key, &mode, &is_restricted));
	s = xzalloc(sizeof(*s));
	s->gateway = (struct gateway){
		.name = NAMES[mode],
		.is_remote = true,
		.charge = stripe_charge,
		.invoice = stripe_invoice,
		.portal = stripe_portal,
		.ask = stripe_ask,
		.cancel = stripe_cancel_payment,
		.abort = gateway_abort,
		.news = stripe_news,
		.news_abort = stripe_news_abort,
		.notice = stripe_notice,
		.mirror = stripe_mirror,
		.destroy = gateway_destroy,
	};
	s->loop = loop;
	s->wallet = wallet;
	s->stripe = stripe;
	s->return_url = config->return_url ? xstrdup(config->return_url) : NULL;
	s->default_email = config->default_email;
	s->is_live = mode == STRIPE_MODE_LIVE;
	s->now = config->now;
	s->now_arg = config->now_arg;
	return &s->gateway;
}
