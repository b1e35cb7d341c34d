/*
 * Keeps nothing: what it answers follows from the payment alone, so that a payment asked for again
 * after a crash comes to the same.
 */

#include "payments/gateway.h"
#include "payments/payment.h"

#include <stdlib.h>

/* In tokens, that is cents. */
#define DECLINED_AMOUNT 502
#define ACTION_AMOUNT   503

struct sandbox {
	struct gateway gateway;
	struct loop *loop;
};

static void answer(void *arg)
{
	struct gateway_call *call = arg;

	call->done(call);
}

static void answer_later(struct gateway *g, struct gateway_call *call, enum gateway_result result)
{
	struct sandbox *s = container_of(g, struct sandbox, gateway);

	call->result = result;
	loop_timer_init(&call->timer, s->loop, answer, call);
	loop_timer_in(&call->timer, 0);
}

static bool is_amount(const struct payment_view *payment, int64_t cents)
{
	struct microusd amount;

	CHECK(microusd_from_tokens(&amount, cents));
	return microusd_cmp(payment_credit(payment), amount) == 0;
}

static char *pay_url(struct id payment)
{
	char text[ID_TEXT_SIZE];

	payment_id_text(payment, text);
	return xasprintf("https://sandbox.invalid/pay/%s", text);
}

static void sandbox_charge(struct gateway *g, struct gateway_call *call)
{
	if (call->payment->kind == PAYMENT_CHECKOUT) {
		call->url = pay_url(call->payment->id);
		answer_later(g, call, GATEWAY_OPEN);
	} else if (is_amount(call->payment, DECLINED_AMOUNT)) {
		call->reason = xstrdup("card_declined: the sandbox declines this amount");
		answer_later(g, call, GATEWAY_DECLINED);
	} else if (is_amount(call->payment, ACTION_AMOUNT)) {
		call->url = pay_url(call->payment->id);
		answer_later(g, call, GATEWAY_ACTION_REQUIRED);
	} else {
		answer_later(g, call, GATEWAY_SUCCEEDED);
	}
}

static void sandbox_invoice(struct gateway *g, struct gateway_call *call)
{
	call->url = pay_url(call->payment->id);
	answer_later(g, call, GATEWAY_OPEN);
}

static void sandbox_portal(struct gateway *g, struct gateway_call *call)
{
	char text[ID_TEXT_SIZE];

	id_text("org", call->org, text);
	call->url = xasprintf("https://sandbox.invalid/portal/%s", text);
	answer_later(g, call, GATEWAY_PORTAL);
}

/* Who pays in the sandbox says so to the store, so there is never news here. */
static void sandbox_ask(struct gateway *g, struct gateway_call *call)
{
	call->url = pay_url(call->payment->id);
	answer_later(g, call,
		     call->payment->state == PAYMENT_OPEN ? GATEWAY_OPEN : GATEWAY_ACTION_REQUIRED);
}

static void sandbox_cancel(struct gateway *g, struct gateway_call *call)
{
	answer_later(g, call, GATEWAY_CANCELLED);
}

static void sandbox_abort(struct gateway *g, struct gateway_call *call)
{
	(void)g;
	loop_timer_cancel(&call->timer);
}

static void sandbox_destroy(struct gateway *g)
{
	free(container_of(g, struct sandbox, gateway));
}

struct gateway *sandbox_create(struct loop *loop)
{
	static const struct gateway SANDBOX = {
		.name = "sandbox",
		.charge = sandbox_charge,
		.invoice = sandbox_invoice,
		.portal = sandbox_portal,
		.ask = sandbox_ask,
		.cancel = sandbox_cancel,
		.abort = sandbox_abort,
		.destroy = sandbox_destroy,
	};
	struct sandbox *s = xzalloc(sizeof(*s));

	s->gateway = SANDBOX;
	s->loop = loop;
	return &s->gateway;
}
