/*
 * Whether what usage is told to is still there. Stripe takes an event for good before it has looked
 * at it: that the meter was archived since, or the subscription cancelled, it tells nobody who does
 * not ask. A customer who was deleted is made again, with a subscription; one whose subscription
 * was cancelled meant it, and the operator decides.
 */

#include "payments/stripe_flow.h"

#include <stdlib.h>
#include <string.h>

static bool is_text(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

static void on_meter(struct stripe_flow *f)
{
	const char *status = stripe_text_member(f->http.object, "status");
	bool is_gone = f->http.outcome == STRIPE_NOT_FOUND;

	if (is_gone || (f->http.outcome == STRIPE_OK && !is_text(status, "active"))) {
		CLEANUP(free_charp)
		char *text = xasprintf("the meter %s was archived at Stripe: reactivate it there",
				       f->objects.meter);

		flow_end(f, GATEWAY_FORBIDDEN, text);
	} else if (f->http.outcome != STRIPE_OK) {
		flow_end_by_answer(f);
	} else {
		f->is_checked = true;
		mirror_next_step(f);
	}
}

static void check_meter(struct stripe_flow *f)
{
	CLEANUP(free_charp) char *path = xasprintf("/v1/billing/meters/%s", f->objects.meter);

	flow_get(f, path, NULL, on_meter);
}

static void on_customer(struct stripe_flow *f)
{
	if (f->is_bare) {
		mirror_read_objects(f);
		return;
	}
	f->must_exist = true;
	mirror_list_subscriptions(f);
}

static void on_subscription(struct stripe_flow *f)
{
	const char *status = stripe_text_member(f->http.object, "status");
	bool is_over = is_text(status, "canceled") || is_text(status, "incomplete_expired");

	if (f->http.outcome == STRIPE_NOT_FOUND || (f->http.outcome == STRIPE_OK && is_over))
		flow_customer_check(f, on_customer);
	else if (f->http.outcome != STRIPE_OK)
		flow_end_by_answer(f);
	else
		check_meter(f);
}

void mirror_check(struct stripe_flow *f)
{
	CLEANUP(free_charp)
	char *path = xasprintf("/v1/subscriptions/%s", f->objects.subscription);

	flow_get(f, path, NULL, on_subscription);
}
