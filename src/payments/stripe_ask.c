/*
 * What became of a payment, by the name that Stripe has for what was made of it; and its end.
 */

#include "payments/stripe_flow.h"

#include <stdlib.h>
#include <string.h>

struct kind {
	const char *prefix; /* of the id */
	const char *path;
	const char *expand;
	const char *end; /* the verb that ends it */
	flow_fn *read;
};

static const struct kind KINDS[] = {
	{"pi_", "/v1/payment_intents", NULL, "cancel", charge_read_intent},
	{"cs_", "/v1/checkout/sessions", NULL, "expire", charge_read_session},
	{"in_", "/v1/invoices", "payments", "void", invoice_read},
};

static const struct kind *kind_of(const char *ref)
{
	for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
		if (strncmp(ref, KINDS[i].prefix, strlen(KINDS[i].prefix)) == 0)
			return &KINDS[i];
	}
	return NULL;
}

void flow_ask(struct stripe_flow *f, const char *ref)
{
	const struct kind *kind = kind_of(ref);
	CLEANUP(free_charp) char *path = NULL;
	struct buf form = BUF_INIT;

	if (!kind) {
		flow_end(f, GATEWAY_UNKNOWN, NULL);
		return;
	}
	path = xasprintf("%s/%s", kind->path, ref);
	stripe_form(&form, "expand[0]", kind->expand);
	flow_get(f, path, &form, kind->read);
	buf_finish(&form);
}

static void ask_facts(struct stripe_flow *f)
{
	const char *ref = f->call->payment->ref;

	if (ref)
		flow_ask(f, ref);
	else
		flow_end(f, GATEWAY_CANCELLED, NULL); /* Stripe never had it */
}

void stripe_ask(struct gateway *g, struct gateway_call *call)
{
	struct stripe_gateway *s = container_of(g, struct stripe_gateway, gateway);

	flow_facts(flow_create(s, call), ask_facts);
}

/* Refused: the payer was faster, or somebody else ended it. */
static void on_ended(struct stripe_flow *f)
{
	switch (f->http.outcome) {
	case STRIPE_OK:
		flow_end(f, GATEWAY_CANCELLED, "not paid in time");
		return;
	case STRIPE_REFUSED:
	case STRIPE_NOT_FOUND:
	case STRIPE_DECLINED:
	case STRIPE_KEY_MISUSED:
		flow_ask(f, f->call->payment->ref);
		return;
	case STRIPE_FORBIDDEN:
	case STRIPE_UNKNOWN:
		flow_end(f, GATEWAY_UNKNOWN, f->http.text);
		return;
	}
	die("stripe outcome %d", (int)f->http.outcome);
}

static void cancel_facts(struct stripe_flow *f)
{
	const char *ref = f->call->payment->ref;
	const struct kind *kind = ref ? kind_of(ref) : NULL;
	CLEANUP(free_charp) char *path = NULL;

	if (!kind) {
		flow_end(f, GATEWAY_CANCELLED, NULL);
		return;
	}
	path = xasprintf("%s/%s/%s", kind->path, ref, kind->end);
	flow_post_once(f, "POST", path, NULL, on_ended);
}

void stripe_cancel_payment(struct gateway *g, struct gateway_call *call)
{
	struct stripe_gateway *s = container_of(g, struct stripe_gateway, gateway);

	flow_facts(flow_create(s, call), cancel_facts);
}
