/*
 * PaymentIntents and their charges.
 */

#include "stripe_double.h"

#include <string.h>

json_t *balance_move(struct fake *f, const char *type, int64_t amount, int64_t fee,
		     const json_t *source)
{
	json_t *moved = store_new(f, "balance_transaction");

	put_int(moved, "amount", amount);
	put_int(moved, "fee", fee);
	put_int(moved, "net", amount - fee);
	put_text(moved, "type", type);
	put_text(moved, "reporting_category", strcmp(type, "adjustment") == 0 ? "dispute" : type);
	put_text(moved, "currency", text_of(source, "currency"));
	put_text(moved, "source", text_of(source, "id"));
	put_int(moved, "available_on", fake_now(f) + 2 * DAY_S);
	return moved;
}

json_t *intent_new(struct fake *f, int64_t amount, const char *currency, const char *customer)
{
	json_t *intent = store_new(f, "payment_intent");
	char *prefix CLEANUP(free_charp) = xasprintf("%s_secret_", text_of(intent, "id"));
	char *secret CLEANUP(free_charp) = random_id(prefix, 25);

	put_text(intent, "client_secret", secret);
	put_int(intent, "amount", amount);
	put_text(intent, "currency", currency);
	put_text(intent, "customer", customer);
	return intent;
}

static json_t *charge_new(struct fake *f, json_t *intent, const json_t *card)
{
	json_t *charge = store_new(f, "charge");
	json_t *details = json_pack("{s:O, s:s}", "card", json_object_get(card, "card"), "type",
				    "card");

	put_params(charge, intent,
		   "amount currency customer description metadata receipt_email "
		   "statement_descriptor statement_descriptor_suffix");
	put_text(charge, "payment_intent", text_of(intent, "id"));
	put_text(charge, "payment_method", text_of(card, "id"));
	put(charge, "payment_method_details", details);
	put_text(intent, "latest_charge", text_of(charge, "id"));
	return charge;
}

static json_t *outcome_of(const struct card_behaviour *failed)
{
	if (failed == NULL)
		return json_pack("{s:n, s:n, s:n, s:s, s:n, s:s, s:s}", "advice_code",
				 "network_advice_code", "network_decline_code", "network_status",
				 "approved_by_network", "reason", "seller_message",
				 "Payment complete.", "type", "authorized");
	return json_pack("{s:s?, s:n, s:s, s:s, s:s, s:s, s:s}", "advice_code", failed->advice,
			 "network_advice_code", "network_decline_code", "51", "network_status",
			 "declined_by_network", "reason", failed->decline_code, "seller_message",
			 "The bank did not approve the payment.", "type", "issuer_declined");
}

/* The card of a payment for which the customer allowed further use stays with him. */
static void keep_card(struct fake *f, const json_t *intent, json_t *card)
{
	if (has(intent, "setup_future_usage") && has(intent, "customer") && !has(card, "customer"))
		card_give(f, card, text_of(intent, "customer"));
}

static void charge_pass(struct fake *f, json_t *intent, json_t *charge, json_t *card)
{
	enum card_result result = card_behaviour(f, card)->result;
	int64_t amount = int_of(intent, "amount");
	char *url CLEANUP(free_charp) = random_id("https://pay.stripe.com/receipts/payment/", 40);
	json_t *invoice = invoice_of_intent(f, text_of(intent, "id"));

	put_text(charge, "status", "succeeded");
	put_bool(charge, "paid", true);
	put_bool(charge, "captured", true);
	put_int(charge, "amount_captured", amount);
	put_text(charge, "receipt_url", url);
	put(charge, "outcome", outcome_of(NULL));
	/* The charge names it only later, as with automatic_async. */
	(void)balance_move(f, "charge", amount, (amount * 29 + 500) / 1000 + 30, charge);
	put_text(intent, "payment_method", text_of(card, "id"));
	put_text(intent, "status", "succeeded");
	put_int(intent, "amount_received", amount);
	put(intent, "next_action", json_null());
	put(intent, "last_payment_error", json_null());
	keep_card(f, intent, card);
	emit(f, "charge.succeeded", charge);
	if (result == CARD_DISPUTES || result == CARD_INQUIRES)
		(void)dispute_open(f, charge, amount, result == CARD_INQUIRES);
	emit(f, "payment_intent.succeeded", intent);
	if (invoice != NULL)
		invoice_paid(f, invoice);
}

static void charge_fail(struct fake *f, json_t *intent, json_t *charge,
			const struct card_behaviour *b, const json_t *card)
{
	json_t *invoice = invoice_of_intent(f, text_of(intent, "id"));

	put_text(charge, "status", "failed");
	put_text(charge, "failure_code", b->code);
	put_text(charge, "failure_message", b->message);
	put(charge, "outcome", outcome_of(b));
	put_text(intent, "status", "requires_payment_method");
	put_text(intent, "payment_method", NULL);
	put(intent, "next_action", json_null());
	put(intent, "last_payment_error", decline_json(b, card, text_of(charge, "id")));
	emit(f, "charge.failed", charge);
	emit(f, "payment_intent.payment_failed", intent);
	if (invoice != NULL)
		invoice_payment_failed(f, invoice, "invoice.payment_failed");
}

static enum try_result intent_ask(struct fake *f, json_t *intent, const json_t *card)
{
	json_t *invoice = invoice_of_intent(f, text_of(intent, "id"));

	put_text(intent, "payment_method", text_of(card, "id"));
	put_text(intent, "status", "requires_action");
	put(intent, "next_action",
	    json_pack("{s:s, s:{s:s}}", "type", "use_stripe_sdk", "use_stripe_sdk", "type",
		      "three_d_secure_redirect"));
	emit(f, "payment_intent.requires_action", intent);
	if (invoice != NULL)
		invoice_payment_failed(f, invoice, "invoice.payment_action_required");
	return TRY_ACTION;
}

enum try_result intent_try(struct fake *f, json_t *intent, json_t *card, enum customer_is customer,
			   json_t **out_charge)
{
	const struct card_behaviour *b = card_behaviour(f, card);
	json_t *charge;

	if (b->result == CARD_ASKS && customer == CUSTOMER_NOT_ASKED)
		b = find_behaviour("authentication_required");
	if (b->result == CARD_ASKS ||
	    (b->result == CARD_ASKS_OFF_SESSION && customer == CUSTOMER_PRESENT))
		return intent_ask(f, intent, card);
	charge = charge_new(f, intent, card);
	*out_charge = charge;
	if (b->result == CARD_WAITS) {
		put_text(intent, "payment_method", text_of(card, "id"));
		put_text(intent, "status", "processing");
		emit(f, "charge.pending", charge);
		emit(f, "payment_intent.processing", intent);
		return TRY_PROCESSING;
	}
	if (b->result == CARD_DECLINES || b->result == CARD_ASKS_OFF_SESSION) {
		charge_fail(f, intent, charge, b, card);
		return TRY_DECLINED;
	}
	charge_pass(f, intent, charge, card);
	return TRY_SUCCEEDED;
}

void intent_settle(struct fake *f, json_t *intent, bool is_paid)
{
	json_t *card = store_find(f, "payment_method", text_of(intent, "payment_method"));
	json_t *charge = store_find(f, "charge", text_of(intent, "latest_charge"));

	if (!text_is(charge, "status", "pending"))
		charge = charge_new(f, intent, card);
	if (is_paid)
		charge_pass(f, intent, charge, card);
	else
		charge_fail(f, intent, charge, find_behaviour("generic_decline"), card);
	session_of_intent_settled(f, intent, is_paid);
}

void intent_drop(struct fake *f, json_t *intent, const char *reason)
{
	put_text(intent, "status", "canceled");
	put_text(intent, "cancellation_reason", reason);
	put_int(intent, "canceled_at", fake_now(f));
	put(intent, "next_action", json_null());
	emit(f, "payment_intent.canceled", intent);
}

/* Whether every method that the intent would take works without a redirect. */
static bool has_no_redirects(const json_t *params)
{
	static const char *const without[] = {"card", "link", "us_bank_account", "sepa_debit"};
	const json_t *automatic = json_object_get(params, "automatic_payment_methods");
	const json_t *allowed = json_object_get(params, "allowed_payment_method_types");
	size_t i;
	json_t *type;

	if (allowed == NULL)
		return text_is(automatic, "allow_redirects", "never");
	json_array_foreach ((json_t *)(uintptr_t)allowed, i, type) {
		bool is_without = false;

		for (size_t k = 0; k < ARRAY_LEN(without); k++)
			is_without = is_without || strcmp(json_string_value(type), without[k]) == 0;
		if (!is_without)
			return false;
	}
	return true;
}

static bool methods_may(struct call *c)
{
	static const char *const others[] = {"automatic_payment_methods",
					     "excluded_payment_method_types",
					     "payment_method_configuration"};

	for (size_t i = 0; has(c->params, "allowed_payment_method_types") && i < ARRAY_LEN(others);
	     i++) {
		if (has(c->params, others[i])) {
			refuse(c, 400, NULL, others[i],
			       "You may only specify one of these parameters: "
			       "allowed_payment_method_types, %s.",
			       others[i]);
			return false;
		}
	}
	return true;
}

static bool is_currency(const char *text)
{
	return strlen(text) == 3 && strspn(text, "abcdefghijklmnopqrstuvwxyz") == 3;
}

static bool amount_may(struct call *c)
{
	int64_t amount = int_of(c->params, "amount");

	if (!is_currency(text_of(c->params, "currency")))
		refuse(c, 400, NULL, "currency", "Invalid currency: %s",
		       text_of(c->params, "currency"));
	else if (amount < 1)
		refuse(c, 400, "parameter_invalid_integer", "amount",
		       "This value must be greater than or equal to 1.");
	else if (amount < AMOUNT_MIN)
		refuse(c, 400, "amount_too_small", "amount", "Amount must be at least $0.50 usd");
	else if (amount > AMOUNT_MAX)
		refuse(c, 400, "amount_too_large", "amount",
		       "Amount must be no more than $999,999.99");
	return c->status == 0;
}

static bool confirm_may(struct call *c)
{
	const json_t *p = c->params;
	bool is_confirmed = bool_of(p, "confirm");
	bool is_off_session = json_is_string(json_object_get(p, "off_session")) ||
			      bool_of(p, "off_session");

	if (is_off_session && !is_confirmed)
		refuse(c, 400, NULL, "off_session",
		       "off_session can only be used when confirm is true.");
	else if (is_off_session && has(p, "setup_future_usage"))
		refuse(c, 400, NULL, "setup_future_usage",
		       "The parameter setup_future_usage cannot be used together with "
		       "off_session.");
	else if (bool_of(p, "error_on_requires_action") && !is_confirmed)
		refuse(c, 400, NULL, "error_on_requires_action",
		       "error_on_requires_action can only be used when confirm is true.");
	else if (has(p, "return_url") && !is_confirmed)
		refuse(c, 400, NULL, "return_url",
		       "return_url can only be used when confirm is true.");
	else if (is_confirmed && !has(p, "payment_method"))
		refuse(c, 400, "payment_intent_unexpected_state", NULL,
		       "You cannot confirm this PaymentIntent because it's missing a payment "
		       "method.");
	else if (is_confirmed && !has(p, "return_url") && !has_no_redirects(p))
		refuse(c, 400, NULL, "return_url",
		       "This PaymentIntent is configured to accept payment methods enabled in your "
		       "Dashboard. Because some of these payment methods might redirect your "
		       "customer off of your page, you must provide a `return_url`. If you don't "
		       "want to accept redirect-based payment methods, set "
		       "`automatic_payment_methods[enabled]` to `true` and "
		       "`automatic_payment_methods[allow_redirects]` to `never`.");
	return c->status == 0;
}

/* The card, which has to be the customer's; false when refused. */
static bool card_may(struct call *c, json_t **out_card)
{
	const char *id = text_of(c->params, "payment_method");
	const char *customer = text_of(c->params, "customer");
	json_t *card;

	*out_card = NULL;
	if (customer != NULL && need_customer(c) == NULL)
		return false;
	if (id == NULL)
		return true;
	card = need_card(c, id, "payment_method");
	if (card == NULL)
		return false;
	if (has(card, "customer") && !text_is(card, "customer", customer)) {
		refuse(c, 400, NULL, "payment_method",
		       customer == NULL
			       ? "The PaymentMethod %s belongs to a customer. Please include the "
				 "Customer in the `customer` parameter."
			       : "The PaymentMethod %s does not belong to the Customer you "
				 "supplied.",
		       id);
		return false;
	}
	*out_card = card;
	return true;
}

static json_t *intent_of_params(struct call *c, const json_t *card)
{
	const json_t *p = c->params;
	const json_t *allowed = json_object_get(p, "allowed_payment_method_types");
	json_t *intent = intent_new(c->fake, int_of(p, "amount"), text_of(p, "currency"),
				    text_of(p, "customer"));

	put_params(intent, p,
		   "automatic_payment_methods capture_method description receipt_email "
		   "setup_future_usage statement_descriptor statement_descriptor_suffix "
		   "excluded_payment_method_types");
	put_metadata(intent, p);
	if (allowed != NULL)
		put(intent, "payment_method_types", json_deep_copy(allowed));
	if (card != NULL) {
		put_text(intent, "payment_method", text_of(card, "id"));
		put_text(intent, "status", "requires_confirmation");
	}
	emit(c->fake, "payment_intent.created", intent);
	return intent;
}

void intent_create(struct call *c)
{
	bool is_off_session = json_is_string(json_object_get(c->params, "off_session")) ||
			      bool_of(c->params, "off_session");
	json_t *card = NULL;
	json_t *charge = NULL;
	json_t *intent;

	if (!methods_may(c) || !amount_may(c) || !confirm_may(c) || !card_may(c, &card))
		return;
	if (has(c->params, "capture_method") && text_is(c->params, "capture_method", "manual")) {
		refuse(c, 400, "double_does_not_serve", "capture_method",
		       "This double captures at once");
		return;
	}
	intent = intent_of_params(c, card);
	if (bool_of(c->params, "confirm") &&
	    intent_try(c->fake, intent, card,
		       bool_of(c->params, "error_on_requires_action") ? CUSTOMER_NOT_ASKED
		       : is_off_session                               ? CUSTOMER_ABSENT
								      : CUSTOMER_PRESENT,
		       &charge) == TRY_DECLINED) {
		const struct card_behaviour *b = card_behaviour(c->fake, card);

		if (b->code == NULL)
			b = find_behaviour("authentication_required");
		refuse_card(c, b, card, charge, intent);
		return;
	}
	answer(c, intent);
}

void intent_list(struct call *c)
{
	answer_list(c, "payment_intent", NULL);
}

void intent_get(struct call *c)
{
	const json_t *intent = store_need(c, "payment_intent", c->id, NULL);

	if (intent != NULL)
		answer(c, intent);
}

void intent_cancel(struct call *c)
{
	static const char *const from[] = {"requires_payment_method", "requires_confirmation",
					   "requires_action", "processing"};
	json_t *intent = store_need(c, "payment_intent", c->id, NULL);
	const char *reason = text_of(c->params, "cancellation_reason");
	bool may = false;

	if (intent == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		may = may || text_is(intent, "status", from[i]);
	if (invoice_of_intent(c->fake, c->id) != NULL) {
		refuse(c, 400, NULL, NULL,
		       "You cannot cancel PaymentIntents created by invoices. Void the invoice "
		       "instead.");
	} else if (!may) {
		refuse(c, 400, "payment_intent_unexpected_state", NULL,
		       "You cannot cancel this PaymentIntent because it has a status of %s. Only a "
		       "PaymentIntent with one of the following statuses may be canceled: "
		       "requires_payment_method, requires_capture, requires_confirmation, "
		       "requires_action, processing.",
		       text_of(intent, "status"));
		refuse_more(c, "payment_intent", json_deep_copy(intent));
	} else {
		intent_drop(c->fake, intent, reason);
		answer(c, intent);
	}
}

/* By the time that somebody asks, charges know their balance transaction. */
static void name_balance_transactions(struct fake *f)
{
	const json_t *moved = store_all(f, "balance_transaction");

	for (size_t i = json_array_size(moved); i > 0; i--) {
		const json_t *one = json_array_get(moved, i - 1);
		json_t *charge = store_find(f, "charge", text_of(one, "source"));

		if (has(charge, "balance_transaction"))
			return;
		if (charge != NULL && text_is(one, "type", "charge"))
			put_text(charge, "balance_transaction", text_of(one, "id"));
	}
}

void charge_list(struct call *c)
{
	name_balance_transactions(c->fake);
	answer_list(c, "charge", NULL);
}

void charge_get(struct call *c)
{
	const json_t *charge = store_need(c, "charge", c->id, NULL);

	if (charge == NULL)
		return;
	name_balance_transactions(c->fake);
	answer(c, charge);
}
