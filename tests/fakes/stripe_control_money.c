/*
 * What people and banks do, by POST /_control/PATH with a JSON object:
 *
 *	cards/add            customer, [behaviour, brand, last4, exp_month, exp_year, default]
 *	cards/behave         payment_method, behaviour
 *	cards/detach         payment_method
 *	customers/delete     customer
 *	intents/settle       payment_intent, paid       one that is processing or requires_action
 *	invoices/pay         invoice, [behaviour, gives_up]     on the hosted page
 *	invoices/pay_out_of_band, invoices/void         invoice
 *	sessions/complete    session, [behaviour, save, default, brand, last4, ...]
 *	sessions/expire      session
 *	charges/without_intent  charge                  as some ways to pay an invoice leave it
 *	charges/refund       charge, [amount, reason, status]
 *	refunds/settle       refund, good               false: it fails
 *	disputes/open        charge, [amount, inquiry]
 *	disputes/escalate    dispute                    an inquiry becomes a dispute
 *	disputes/close       dispute, won
 *	credits/spend        customer, amount
 *	meters/move          meter, status              active or inactive
 *	subscriptions/cancel subscription
 *
 * The answer is the object as it is then. A customer who is there passes a challenge
 * (authentication_required, requires_action) unless he gives up.
 */

#include "stripe_double.h"

#include <string.h>

/* The object that the body names; sets *out_why without it. */
static json_t *named(const struct fake *f, const json_t *body, const char *member, const char *type,
		     const char **out_why)
{
	json_t *object = store_find(f, type, text_of(body, member));

	if (object == NULL)
		*out_why = "there is no such object";
	return object;
}

/* A card as the body describes it. */
static json_t *card_of(struct fake *f, const json_t *body, const char **out_why)
{
	const char *name = has(body, "behaviour") ? text_of(body, "behaviour") : "ok";
	const struct card_behaviour *behaviour = find_behaviour(name);
	json_t *card;

	if (behaviour == NULL) {
		*out_why = "there is no such behaviour";
		return NULL;
	}
	card = card_new(f, behaviour);
	put_params(json_object_get(card, "card"), body, "brand last4 exp_month exp_year");
	return card;
}

static json_t *cards_add(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *customer = named(f, body, "customer", "customer", out_why);
	json_t *card = customer == NULL ? NULL : card_of(f, body, out_why);

	if (card == NULL)
		return NULL;
	card_give(f, card, text_of(customer, "id"));
	if (bool_of(body, "default"))
		make_default(f, customer, text_of(card, "id"));
	return card;
}

static json_t *cards_behave(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *card = named(f, body, "payment_method", "payment_method", out_why);

	if (card != NULL && find_behaviour(text_of(body, "behaviour")) == NULL)
		*out_why = "there is no such behaviour";
	else if (card != NULL)
		put_text(f->hidden, text_of(card, "id"), text_of(body, "behaviour"));
	return card;
}

static json_t *cards_detach(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *card = named(f, body, "payment_method", "payment_method", out_why);

	if (card != NULL && !card_drop(f, card))
		*out_why = "the card is not attached";
	return card;
}

static json_t *customers_delete(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *customer = named(f, body, "customer", "customer", out_why);

	if (customer != NULL && !customer_drop(f, customer))
		*out_why = "the customer is deleted already";
	return customer;
}

static json_t *intents_settle(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *intent = named(f, body, "payment_intent", "payment_intent", out_why);

	if (intent == NULL)
		return NULL;
	if (text_is(intent, "status", "processing") || text_is(intent, "status", "requires_action"))
		intent_settle(f, intent, bool_of(body, "paid"));
	else
		*out_why = "only one that is processing or requires_action can be settled";
	return intent;
}

static json_t *invoices_pay(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *invoice = named(f, body, "invoice", "invoice", out_why);
	json_t *card = invoice == NULL ? NULL : card_of(f, body, out_why);
	json_t *payments;
	json_t *payment;
	json_t *charge = NULL;

	if (card == NULL)
		return NULL;
	if (!text_is(invoice, "status", "open") && !text_is(invoice, "status", "uncollectible")) {
		*out_why = "the page takes no payment: the invoice is not open";
		return NULL;
	}
	payments = invoice_payments_of(f, text_of(invoice, "id"));
	payment = json_array_get(json_object_get(payments, "data"), 0);
	payment = json_object_get(payment, "payment");
	if (invoice_try(f, invoice, card, CUSTOMER_PRESENT, &charge) == TRY_ACTION &&
	    !bool_of(body, "gives_up"))
		intent_settle(f,
			      store_find(f, "payment_intent", text_of(payment, "payment_intent")),
			      true);
	json_decref(payments);
	return invoice;
}

static json_t *invoices_pay_out_of_band(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *invoice = named(f, body, "invoice", "invoice", out_why);

	if (invoice != NULL && text_is(invoice, "status", "open"))
		invoice_paid_out_of_band(f, invoice);
	else
		*out_why = "there is no such open invoice";
	return invoice;
}

static json_t *invoices_void(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *invoice = named(f, body, "invoice", "invoice", out_why);

	if (invoice != NULL)
		(void)invoice_void_if_open(f, invoice, out_why);
	return invoice;
}

static json_t *sessions_complete(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *session = named(f, body, "session", "checkout.session", out_why);
	json_t *customer = store_find(f, "customer", text_of(session, "customer"));
	json_t *card;
	bool is_saved;

	if (session == NULL)
		return NULL;
	if (!text_is(session, "status", "open")) {
		*out_why = "the session is not open";
		return NULL;
	}
	card = card_of(f, body, out_why);
	if (card == NULL)
		return NULL;
	is_saved = bool_of(body, "save") || bool_of(body, "default");
	if (session_complete(f, session, card, is_saved) == TRY_ACTION &&
	    !bool_of(body, "gives_up"))
		intent_settle(f,
			      store_find(f, "payment_intent", text_of(session, "payment_intent")),
			      true);
	if (bool_of(body, "default") && customer != NULL)
		make_default(f, customer, text_of(card, "id"));
	return session;
}

static json_t *sessions_expire(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *session = named(f, body, "session", "checkout.session", out_why);

	if (session != NULL && text_is(session, "status", "open"))
		session_end(f, session);
	else
		*out_why = "there is no such open session";
	return session;
}

static json_t *meters_move(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *meter = named(f, body, "meter", "billing.meter", out_why);

	if (meter != NULL)
		put_text(meter, "status", text_of(body, "status"));
	return meter;
}

static json_t *subscriptions_cancel(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *subscription = named(f, body, "subscription", "subscription", out_why);

	if (subscription != NULL)
		subscription_cancel(f, subscription);
	return subscription;
}

static json_t *charges_without_intent(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *charge = named(f, body, "charge", "charge", out_why);
	const json_t *all = store_all(f, "invoice_payment");

	for (size_t i = 0; charge != NULL && i < json_array_size(all); i++) {
		json_t *payment = json_object_get(json_array_get(all, i), "payment");

		if (!text_is(payment, "payment_intent", text_of(charge, "payment_intent")))
			continue;
		(void)json_object_del(payment, "payment_intent");
		put_text(payment, "type", "charge");
		put_text(payment, "charge", text_of(charge, "id"));
	}
	if (charge != NULL)
		put(charge, "payment_intent", json_null());
	return charge;
}

static json_t *charges_refund(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *charge = named(f, body, "charge", "charge", out_why);
	int64_t left = int_of(charge, "amount") - int_of(charge, "amount_refunded");
	int64_t amount = has(body, "amount") ? int_of(body, "amount") : left;

	if (charge == NULL)
		return NULL;
	if (!text_is(charge, "status", "succeeded") || amount < 1 || amount > left) {
		*out_why = "that much of this charge cannot be refunded";
		return NULL;
	}
	return refund_make(f, charge, amount, text_of(body, "reason"), NULL,
			   has(body, "status") ? text_of(body, "status") : "succeeded");
}

static json_t *refunds_settle(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *refund = named(f, body, "refund", "refund", out_why);
	bool is_good = bool_of(body, "good");

	if (refund == NULL)
		return NULL;
	if (text_is(refund, "status", "pending") ||
	    (text_is(refund, "status", "succeeded") && !is_good))
		refund_settle(f, refund, is_good);
	else
		*out_why = "only pending refunds settle, and those that succeeded may still fail";
	return refund;
}

static json_t *disputes_open(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *charge = named(f, body, "charge", "charge", out_why);

	if (charge == NULL)
		return NULL;
	if (!text_is(charge, "status", "succeeded") || bool_of(charge, "disputed")) {
		*out_why = "only a charge that succeeded can be disputed, and once";
		return NULL;
	}
	return dispute_open(f, charge,
			    has(body, "amount") ? int_of(body, "amount") : int_of(charge, "amount"),
			    bool_of(body, "inquiry"));
}

static json_t *disputes_escalate(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *dispute = named(f, body, "dispute", "dispute", out_why);

	if (dispute != NULL && text_is(dispute, "status", "warning_needs_response"))
		dispute_withdraw(f, dispute);
	else
		*out_why = "there is no such inquiry";
	return dispute;
}

static json_t *disputes_close(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *dispute = named(f, body, "dispute", "dispute", out_why);

	if (dispute != NULL && (text_is(dispute, "status", "needs_response") ||
				text_is(dispute, "status", "warning_needs_response")))
		dispute_close(f, dispute, bool_of(body, "won"));
	else
		*out_why = "there is no such open dispute";
	return dispute;
}

static json_t *credits_take(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *customer = named(f, body, "customer", "customer", out_why);

	if (customer != NULL &&
	    credits_spend(f, text_of(customer, "id"), int_of(body, "amount")) != 0)
		*out_why = "the grants do not hold that much; they are empty now";
	return customer;
}

static const struct {
	const char *path;
	json_t *(*act)(struct fake *f, const json_t *body, const char **out_why);
} ACTS[] = {
	{"cards/add", cards_add},
	{"cards/behave", cards_behave},
	{"cards/detach", cards_detach},
	{"charges/refund", charges_refund},
	{"charges/without_intent", charges_without_intent},
	{"credits/spend", credits_take},
	{"customers/delete", customers_delete},
	{"disputes/close", disputes_close},
	{"disputes/escalate", disputes_escalate},
	{"disputes/open", disputes_open},
	{"intents/settle", intents_settle},
	{"invoices/pay", invoices_pay},
	{"invoices/pay_out_of_band", invoices_pay_out_of_band},
	{"invoices/void", invoices_void},
	{"meters/move", meters_move},
	{"refunds/settle", refunds_settle},
	{"sessions/complete", sessions_complete},
	{"sessions/expire", sessions_expire},
	{"subscriptions/cancel", subscriptions_cancel},
};

json_t *control_money(struct fake *f, const char *path, const json_t *body, const char **out_why)
{
	for (size_t i = 0; i < ARRAY_LEN(ACTS); i++) {
		if (strcmp(ACTS[i].path, path) == 0) {
			json_t *object = ACTS[i].act(f, body, out_why);

			return *out_why == NULL ? json_deep_copy(object) : NULL;
		}
	}
	return NULL;
}
