/*
 * Customers, and cards with what happens when they are charged.
 */

#include "stripe_double.h"

#include <string.h>

#define DECLINED "Your card was declined."

static const struct card_behaviour BEHAVIOURS[] = {
	{"ok", "pm_card_visa", CARD_PAYS, false, NULL, NULL, NULL, NULL},
	{"insufficient_funds", NULL, CARD_DECLINES, false, "card_declined", "insufficient_funds",
	 "try_again_later", "Your card has insufficient funds."},
	{"generic_decline", "pm_card_chargeCustomerFail", CARD_DECLINES, false, "card_declined",
	 "generic_decline", "try_again_later", DECLINED},
	{"lost_card", NULL, CARD_DECLINES, false, "card_declined", "lost_card", "do_not_try_again",
	 DECLINED},
	{"do_not_honor", NULL, CARD_DECLINES, false, "card_declined", "do_not_honor",
	 "try_again_later", DECLINED},
	{"expired_card", NULL, CARD_DECLINES, false, "expired_card", "expired_card",
	 "do_not_try_again", "Your card has expired."},
	{"incorrect_cvc", NULL, CARD_DECLINES, false, "incorrect_cvc", "incorrect_cvc",
	 "confirm_card_data", "Your card's security code is incorrect."},
	{"authentication_required", "pm_card_authenticationRequired", CARD_ASKS_OFF_SESSION, false,
	 "authentication_required", "authentication_required", NULL,
	 "Your card was declined. This transaction requires authentication."},
	{"requires_action", NULL, CARD_ASKS, false, NULL, NULL, NULL, NULL},
	{"processing", NULL, CARD_WAITS, false, NULL, NULL, NULL, NULL},
	{"dispute", "pm_card_createDispute", CARD_DISPUTES, false, NULL, NULL, NULL, NULL},
	{"inquiry", "pm_card_createDisputeInquiry", CARD_INQUIRES, false, NULL, NULL, NULL, NULL},
	{"attach_declined", "pm_card_chargeDeclined", CARD_DECLINES, true, "card_declined",
	 "generic_decline", "try_again_later", DECLINED},
	{"attach_insufficient_funds", "pm_card_chargeDeclinedInsufficientFunds", CARD_DECLINES,
	 true, "card_declined", "insufficient_funds", "try_again_later",
	 "Your card has insufficient funds."},
	{"attach_expired", "pm_card_chargeDeclinedExpiredCard", CARD_DECLINES, true, "expired_card",
	 "expired_card", "do_not_try_again", "Your card has expired."},
};

const struct card_behaviour *find_behaviour(const char *name)
{
	for (size_t i = 0; name != NULL && i < ARRAY_LEN(BEHAVIOURS); i++) {
		if (strcmp(BEHAVIOURS[i].name, name) == 0)
			return &BEHAVIOURS[i];
	}
	return NULL;
}

static const struct card_behaviour *find_test_card(const char *id)
{
	for (size_t i = 0; i < ARRAY_LEN(BEHAVIOURS); i++) {
		if (BEHAVIOURS[i].test_card != NULL && strcmp(BEHAVIOURS[i].test_card, id) == 0)
			return &BEHAVIOURS[i];
	}
	return NULL;
}

const struct card_behaviour *card_behaviour(const struct fake *f, const json_t *card)
{
	return find_behaviour(text_of(f->hidden, text_of(card, "id")));
}

json_t *card_new(struct fake *f, const struct card_behaviour *behaviour)
{
	json_t *card = store_new(f, "payment_method");

	put_text(f->hidden, text_of(card, "id"), behaviour->name);
	return card;
}

void card_give(struct fake *f, json_t *card, const char *customer)
{
	put_text(card, "customer", customer);
	emit(f, "payment_method.attached", card);
}

void make_default(struct fake *f, json_t *customer, const char *card)
{
	json_t *settings = json_object_get(customer, "invoice_settings");
	json_t *previous = json_pack("{s:{s:O}}", "invoice_settings", "default_payment_method",
				     json_object_get(settings, "default_payment_method"));

	put_text(settings, "default_payment_method", card);
	emit_changed(f, "customer.updated", customer, previous);
}

bool card_drop(struct fake *f, json_t *card)
{
	json_t *customer = store_find(f, "customer", text_of(card, "customer"));
	json_t *settings = json_object_get(customer, "invoice_settings");

	if (!has(card, "customer"))
		return false;
	if (text_is(settings, "default_payment_method", text_of(card, "id")))
		make_default(f, customer, NULL);
	put_text(card, "customer", NULL);
	emit_changed(f, "payment_method.detached", card,
		     json_pack("{s:O}", "customer", json_object_get(customer, "id")));
	return true;
}

bool customer_drop(struct fake *f, json_t *customer)
{
	json_t *cards = store_all(f, "payment_method");
	char *id CLEANUP(free_charp) = xstrdup(text_of(customer, "id"));
	size_t i;
	json_t *card;

	if (bool_of(customer, "deleted"))
		return false;
	emit(f, "customer.deleted", customer);
	json_array_foreach (cards, i, card) {
		if (text_is(card, "customer", id))
			put_text(card, "customer", NULL);
	}
	json_array_foreach (store_all(f, "subscription"), i, card) {
		if (text_is(card, "customer", id))
			subscription_cancel(f, card);
	}
	(void)json_object_clear(customer);
	put_text(customer, "id", id);
	put_text(customer, "object", "customer");
	put_bool(customer, "deleted", true);
	return true;
}

json_t *decline_json(const struct card_behaviour *b, const json_t *card, const char *charge)
{
	json_t *error = json_pack("{s:s, s:s, s:s}", "type", "card_error", "code", b->code,
				  "message", b->message);
	char *url CLEANUP(free_charp) = xasprintf("https://stripe.com/docs/error-codes/%s",
						  b->code);

	put_text(error, "doc_url", url);
	put_text(error, "decline_code", b->decline_code);
	if (b->advice != NULL)
		put_text(error, "advice_code", b->advice);
	if (charge != NULL)
		put_text(error, "charge", charge);
	if (card != NULL)
		put(error, "payment_method", json_deep_copy(card));
	return error;
}

void refuse_card(struct call *call, const struct card_behaviour *b, const json_t *card,
		 const json_t *charge, const json_t *intent)
{
	json_t *error = decline_json(b, card, text_of(charge, "id"));
	const char *name;
	json_t *value;

	refuse(call, 402, b->code, NULL, "%s", b->message);
	json_object_foreach (error, name, value)
		refuse_more(call, name, json_incref(value));
	if (intent != NULL)
		refuse_more(call, "payment_intent", json_deep_copy(intent));
	json_decref(error);
}

json_t *need_card(struct call *call, const char *id, const char *param)
{
	const struct card_behaviour *test_card = find_test_card(id);

	if (test_card == NULL)
		return store_need(call, "payment_method", id, param);
	if (test_card->refuses_attach) {
		refuse_card(call, test_card, NULL, NULL, NULL);
		return NULL;
	}
	return card_new(call->fake, test_card);
}

void card_get(struct call *c)
{
	const json_t *card = store_need(c, "payment_method", c->id, NULL);

	if (card != NULL)
		answer(c, card);
}

void card_attach(struct call *c)
{
	const json_t *customer = need_customer(c);
	json_t *card = customer == NULL ? NULL : need_card(c, c->id, NULL);

	if (card == NULL)
		return;
	if (has(card, "customer") && !text_is(card, "customer", text_of(customer, "id"))) {
		refuse(c, 400, NULL, NULL,
		       "The payment method you provided has already been attached to a customer.");
		return;
	}
	if (!has(card, "customer"))
		card_give(c->fake, card, text_of(customer, "id"));
	answer(c, card);
}

void card_detach(struct call *c)
{
	json_t *card = store_need(c, "payment_method", c->id, NULL);

	if (card == NULL)
		return;
	if (card_drop(c->fake, card))
		answer(c, card);
	else
		refuse(c, 400, NULL, NULL,
		       "The payment method you provided is not attached to a customer so "
		       "detachment "
		       "is impossible.");
}

static bool is_of_customer(const json_t *card, struct call *c)
{
	return text_is(card, "customer", c->id);
}

void customer_cards(struct call *c)
{
	if (store_need(c, "customer", c->id, NULL) != NULL)
		answer_list(c, "payment_method", is_of_customer);
}

static bool is_of_params(const json_t *card, struct call *c)
{
	return !has(c->params, "customer") ||
	       text_is(card, "customer", text_of(c->params, "customer"));
}

void cards_of_params(struct call *c)
{
	answer_list(c, "payment_method", is_of_params);
}

/* The e-mail address and the default card, before anything is changed. */
static bool customer_may(struct call *c, const char *id)
{
	const json_t *settings = json_object_get(c->params, "invoice_settings");
	const char *email = text_of(c->params, "email");
	const char *card = text_of(settings, "default_payment_method");
	const char *at = email == NULL ? NULL : strchr(email, '@');

	if (email != NULL &&
	    (at == NULL || at == email || strchr(at, '.') == NULL || strchr(email, ' ') != NULL)) {
		refuse(c, 400, "email_invalid", "email", "Invalid email address: %s", email);
		return false;
	}
	if (card != NULL &&
	    (id == NULL || !text_is(store_find(c->fake, "payment_method", card), "customer", id))) {
		refuse(c, 400, "resource_missing", "invoice_settings[default_payment_method]",
		       "The customer does not have a payment method with the ID %s. The payment "
		       "method must be attached to the customer.",
		       card);
		return false;
	}
	return true;
}

static void customer_fill(struct call *c, json_t *customer)
{
	const json_t *settings = json_object_get(c->params, "invoice_settings");

	put_params(customer, c->params,
		   "address description email name phone preferred_locales tax_exempt");
	put_params(json_object_get(customer, "invoice_settings"), settings,
		   "default_payment_method footer");
	put_metadata(customer, c->params);
}

void customer_create(struct call *c)
{
	const char *card_id = text_of(c->params, "payment_method");
	json_t *card = NULL;
	json_t *customer;
	char *prefix CLEANUP(free_charp) = random_id("", 8);

	if (!customer_may(c, NULL))
		return;
	if (card_id != NULL) {
		card = need_card(c, card_id, "payment_method");
		if (card == NULL)
			return;
	}
	customer = store_new(c->fake, "customer");
	put_text(customer, "invoice_prefix", prefix);
	customer_fill(c, customer);
	emit(c->fake, "customer.created", customer);
	if (card != NULL)
		card_give(c->fake, card, text_of(customer, "id"));
	answer(c, customer);
}

void customer_list(struct call *c)
{
	answer_list(c, "customer", NULL);
}

void customer_get(struct call *c)
{
	const json_t *customer = store_need(c, "customer", c->id, NULL);

	if (customer != NULL)
		answer(c, customer);
}

void customer_update(struct call *c)
{
	json_t *customer = store_need(c, "customer", c->id, NULL);
	json_t *before;

	if (customer == NULL)
		return;
	if (bool_of(customer, "deleted")) {
		refuse(c, 404, "resource_missing", "id", "No such customer: '%s'", c->id);
		return;
	}
	if (!customer_may(c, c->id))
		return;
	before = json_deep_copy(customer);
	customer_fill(c, customer);
	if (!json_equal(before, customer)) {
		json_t *previous = json_object();
		const char *name;
		json_t *value;

		json_object_foreach (before, name, value) {
			if (!json_equal(value, json_object_get(customer, name)))
				put(previous, name, json_incref(value));
		}
		emit_changed(c->fake, "customer.updated", customer, previous);
	}
	json_decref(before);
	answer(c, customer);
}

void customer_delete(struct call *c)
{
	json_t *customer = store_need(c, "customer", c->id, NULL);

	if (customer == NULL)
		return;
	if (customer_drop(c->fake, customer))
		answer(c, customer);
	else
		refuse(c, 404, "resource_missing", "id", "No such customer: '%s'", c->id);
}
