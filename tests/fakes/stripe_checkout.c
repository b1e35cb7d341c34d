/*
 * Checkout sessions, SetupIntents and the billing portal.
 */

#include "stripe_double.h"

#include <string.h>

enum {
	SESSION_MIN_S = 30 * 60,
};

static bool is_url(const char *text)
{
	return text != NULL &&
	       (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0);
}

static bool url_may(struct call *c, const char *name)
{
	if (has(c->params, name) && !is_url(text_of(c->params, name)))
		refuse(c, 400, "url_invalid", name, "Not a valid URL");
	return c->status == 0;
}

/* Sets the price of a line; false when refused. */
static bool line_price(struct call *c, const json_t *line, int64_t *out_amount,
		       const char **currency)
{
	const json_t *data = json_object_get(line, "price_data");
	const json_t *price = NULL;
	const char *id = text_of(line, "price");
	const char *product = text_of(data, "product");

	if ((data == NULL) == (id == NULL)) {
		refuse(c, 400, "parameter_missing", "line_items[0][price]",
		       "You must specify either `price` or `price_data` for each line item.");
	} else if (id != NULL) {
		price = store_need(c, "price", id, "line_items[0][price]");
	} else if ((product == NULL) == !has(data, "product_data")) {
		refuse(c, 400, NULL, "line_items[0][price_data]",
		       "You must specify one of `product` or `product_data`.");
	} else if (product == NULL || store_need(c, "product", product, "product") != NULL) {
		price = data;
	}
	if (c->status != 0)
		return false;
	if (!has(price, "unit_amount") || !has(line, "quantity") || int_of(line, "quantity") < 1) {
		refuse(c, 400, "parameter_missing", "line_items[0][quantity]",
		       "A line item needs a unit amount and a quantity.");
		return false;
	}
	*out_amount = int_of(price, "unit_amount") * int_of(line, "quantity");
	*currency = text_of(price, "currency");
	return true;
}

static bool total_of(struct call *c, int64_t *out_total, const char **out_currency)
{
	const json_t *lines = json_object_get(c->params, "line_items");
	size_t i;
	json_t *line;

	*out_total = 0;
	json_array_foreach ((json_t *)(uintptr_t)lines, i, line) {
		int64_t amount;
		const char *currency;

		if (!line_price(c, line, &amount, &currency))
			return false;
		if (i > 0 && strcmp(currency, *out_currency) != 0) {
			refuse(c, 400, NULL, "line_items", "All prices must have one currency.");
			return false;
		}
		*out_currency = currency;
		*out_total += amount;
	}
	if (json_array_size(lines) == 0)
		refuse(c, 400, "parameter_missing", "line_items",
		       "`line_items` is required in payment mode.");
	else if (*out_total < AMOUNT_MIN)
		refuse(c, 400, "amount_too_small", NULL,
		       "The Checkout Session's total amount due must add up to at least $0.50 usd");
	return c->status == 0;
}

static bool setup_may(struct call *c)
{
	if (has(c->params, "line_items") || has(c->params, "payment_intent_data"))
		refuse(c, 400, NULL,
		       has(c->params, "line_items") ? "line_items" : "payment_intent_data",
		       "You cannot pass line_items or payment_intent_data in setup mode.");
	else if (!has(c->params, "allowed_payment_method_types") && !has(c->params, "currency"))
		refuse(c, 400, "parameter_missing", "currency",
		       "In setup mode, one of currency or allowed_payment_method_types is "
		       "required.");
	else if (has(c->params, "submit_type"))
		refuse(c, 400, NULL, "submit_type", "submit_type is not for setup mode.");
	return c->status == 0;
}

static bool session_may(struct call *c)
{
	const json_t *p = c->params;
	int64_t expires = int_of(p, "expires_at") - fake_now(c->fake);

	if (!has(p, "mode"))
		refuse(c, 400, "parameter_missing", "mode", "Missing required param: mode.");
	else if (text_is(p, "mode", "subscription") ||
		 (has(p, "ui_mode") && !text_is(p, "ui_mode", "hosted_page")))
		refuse(c, 400, "double_does_not_serve", has(p, "ui_mode") ? "ui_mode" : "mode",
		       "This double serves payment and setup on hosted pages");
	else if (!has(p, "success_url"))
		refuse(c, 400, "parameter_missing", "success_url",
		       "You must provide a success_url.");
	else if (has(p, "customer") && has(p, "customer_email"))
		refuse(c, 400, NULL, "customer_email",
		       "You may only specify one of these parameters: customer, customer_email.");
	else if (has(p, "expires_at") && (expires < SESSION_MIN_S || expires > DAY_S))
		refuse(c, 400, NULL, "expires_at",
		       "The `expires_at` timestamp must be between 30 minutes and 24 hours from "
		       "Checkout Session creation.");
	else if (text_is(p, "mode", "payment") && has(p, "setup_intent_data"))
		refuse(c, 400, NULL, "setup_intent_data",
		       "You can not pass `setup_intent_data` in `payment` mode.");
	return c->status == 0 && url_may(c, "success_url") && url_may(c, "cancel_url") &&
	       (!has(p, "customer") || need_customer(c) != NULL) &&
	       (!text_is(p, "mode", "setup") || setup_may(c));
}

static json_t *setup_new(struct fake *f, const char *customer, const json_t *data)
{
	json_t *setup = store_new(f, "setup_intent");
	char *prefix CLEANUP(free_charp) = xasprintf("%s_secret_", text_of(setup, "id"));
	char *secret CLEANUP(free_charp) = random_id(prefix, 25);

	put_text(setup, "client_secret", secret);
	put_text(setup, "customer", customer);
	put_params(setup, data, "description");
	put_metadata(setup, data);
	emit(f, "setup_intent.created", setup);
	return setup;
}

void session_create(struct call *c)
{
	struct fake *f = c->fake;
	const json_t *p = c->params;
	bool is_payment = text_is(p, "mode", "payment");
	const char *currency = text_of(p, "currency");
	int64_t total = 0;
	char *url CLEANUP(free_charp) = NULL;
	json_t *session;

	if (!session_may(c) || (is_payment && !total_of(c, &total, &currency)))
		return;
	session = store_new(f, "checkout.session");
	url = xasprintf("https://checkout.stripe.com/c/pay/%s#fidkdWxOYHwnPyd1blpxYHZxWjA0",
			text_of(session, "id"));
	put_text(session, "url", url);
	put_int(session, "expires_at",
		has(p, "expires_at") ? int_of(p, "expires_at") : fake_now(f) + DAY_S);
	put_params(session, p,
		   "mode cancel_url client_reference_id customer customer_creation customer_email "
		   "locale submit_type success_url");
	put_text(session, "currency", currency);
	put_metadata(session, p);
	if (is_payment) {
		put_int(session, "amount_subtotal", total);
		put_int(session, "amount_total", total);
		put_text(session, "customer_creation", has(p, "customer") ? NULL : "if_required");
		/* Kept out of sight until it is paid. */
		if (has(p, "payment_intent_data"))
			put(f->hidden, text_of(session, "id"),
			    json_deep_copy(json_object_get(p, "payment_intent_data")));
	} else {
		json_t *setup = setup_new(f, text_of(p, "customer"),
					  json_object_get(p, "setup_intent_data"));

		put_text(session, "payment_status", "no_payment_required");
		put_text(session, "setup_intent", text_of(setup, "id"));
	}
	answer(c, session);
}

void session_end(struct fake *f, json_t *session)
{
	put_text(session, "status", "expired");
	put_text(session, "url", NULL);
	emit(f, "checkout.session.expired", session);
}

void session_expire(struct call *c)
{
	json_t *session = store_need(c, "checkout.session", c->id, NULL);

	if (session == NULL)
		return;
	if (!text_is(session, "status", "open")) {
		refuse(c, 400, NULL, NULL,
		       "Only Checkout Sessions with a status in [\"open\"] can be expired. This "
		       "Checkout Session has a status of %s.",
		       text_of(session, "status"));
		return;
	}
	session_end(c->fake, session);
	answer(c, session);
}

static void session_close(struct fake *f, json_t *session, const char *payment_status)
{
	const json_t *customer = store_find(f, "customer", text_of(session, "customer"));

	put_text(session, "status", "complete");
	put_text(session, "payment_status", payment_status);
	put_text(session, "url", NULL);
	put(session, "customer_details",
	    json_pack("{s:n, s:s?, s:s?, s:n, s:s, s:n}", "address", "email",
		      has(customer, "email") ? text_of(customer, "email")
					     : text_of(session, "customer_email"),
		      "name", text_of(customer, "name"), "phone", "tax_exempt", "none", "tax_ids"));
	emit(f, "checkout.session.completed", session);
}

static enum try_result complete_setup(struct fake *f, json_t *session, json_t *card)
{
	json_t *setup = store_find(f, "setup_intent", text_of(session, "setup_intent"));

	if (has(session, "customer") && !has(card, "customer"))
		card_give(f, card, text_of(session, "customer"));
	put_text(setup, "payment_method", text_of(card, "id"));
	put_text(setup, "status", "succeeded");
	emit(f, "setup_intent.succeeded", setup);
	session_close(f, session, "no_payment_required");
	return TRY_SUCCEEDED;
}

static json_t *session_intent(struct fake *f, json_t *session)
{
	const json_t *data = json_object_get(f->hidden, text_of(session, "id"));
	json_t *intent = store_find(f, "payment_intent", text_of(session, "payment_intent"));

	if (intent != NULL)
		return intent;
	intent = intent_new(f, int_of(session, "amount_total"), text_of(session, "currency"),
			    text_of(session, "customer"));
	put_params(intent, data, "description receipt_email setup_future_usage");
	put_metadata(intent, data);
	put_text(session, "payment_intent", text_of(intent, "id"));
	emit(f, "payment_intent.created", intent);
	return intent;
}

/* In payment mode a decline leaves the session open, as the page lets the customer try again. */
enum try_result session_complete(struct fake *f, json_t *session, json_t *card, bool is_saved)
{
	json_t *intent;
	json_t *charge = NULL;
	enum try_result result;

	if (text_is(session, "mode", "setup"))
		return complete_setup(f, session, card);
	intent = session_intent(f, session);
	if (is_saved && has(session, "customer") && !has(card, "customer"))
		card_give(f, card, text_of(session, "customer"));
	result = intent_try(f, intent, card, CUSTOMER_PRESENT, &charge);
	if (result == TRY_SUCCEEDED)
		session_close(f, session, "paid");
	else if (result == TRY_PROCESSING)
		session_close(f, session, "unpaid");
	return result;
}

void session_of_intent_settled(struct fake *f, const json_t *intent, bool is_paid)
{
	json_t *session = store_by(f, "checkout.session", "payment_intent", text_of(intent, "id"));

	if (session == NULL)
		return;
	if (text_is(session, "status", "open")) {
		if (is_paid)
			session_close(f, session, "paid");
		return;
	}
	put_text(session, "payment_status", is_paid ? "paid" : "unpaid");
	emit(f,
	     is_paid ? "checkout.session.async_payment_succeeded"
		     : "checkout.session.async_payment_failed",
	     session);
}

void session_list(struct call *c)
{
	answer_list(c, "checkout.session", NULL);
}

void session_get(struct call *c)
{
	const json_t *session = store_need(c, "checkout.session", c->id, NULL);

	if (session != NULL)
		answer(c, session);
}

void setup_create(struct call *c)
{
	const char *card_id = text_of(c->params, "payment_method");
	json_t *card = NULL;
	json_t *setup;

	if (has(c->params, "customer") && need_customer(c) == NULL)
		return;
	if (card_id != NULL) {
		card = need_card(c, card_id, "payment_method");
		if (card == NULL)
			return;
	}
	if (bool_of(c->params, "confirm") && card == NULL) {
		refuse(c, 400, "setup_intent_unexpected_state", NULL,
		       "You cannot confirm this SetupIntent because it's missing a payment "
		       "method.");
		return;
	}
	setup = setup_new(c->fake, text_of(c->params, "customer"), c->params);
	if (card != NULL) {
		put_text(setup, "payment_method", card_id);
		put_text(setup, "status", "requires_confirmation");
	}
	if (bool_of(c->params, "confirm")) {
		put_text(setup, "payment_method", text_of(card, "id"));
		put_text(setup, "status", "succeeded");
		if (has(setup, "customer") && !has(card, "customer"))
			card_give(c->fake, card, text_of(setup, "customer"));
		emit(c->fake, "setup_intent.succeeded", setup);
	}
	answer(c, setup);
}

void setup_get(struct call *c)
{
	const json_t *setup = store_need(c, "setup_intent", c->id, NULL);

	if (setup != NULL)
		answer(c, setup);
}

/* The configuration that the dashboard makes; NULL while nobody has saved it there. */
static json_t *portal_configuration(struct fake *f)
{
	json_t *all = store_all(f, "billing_portal.configuration");

	if (f->has_portal && json_array_size(all) == 0)
		(void)store_new(f, "billing_portal.configuration");
	return f->has_portal ? json_array_get(all, 0) : NULL;
}

void portal_session_create(struct call *c)
{
	const char *id = text_of(c->params, "configuration");
	const json_t *flow = json_object_get(c->params, "flow_data");
	const json_t *configuration;
	char *url CLEANUP(free_charp) = random_id("https://billing.stripe.com/p/session/test_", 48);
	json_t *session;

	if (need_customer(c) == NULL || !url_may(c, "return_url"))
		return;
	configuration = id != NULL
				? store_need(c, "billing_portal.configuration", id, "configuration")
				: portal_configuration(c->fake);
	if (configuration == NULL) {
		if (c->status == 0)
			refuse(c, 400, NULL, NULL,
			       "No configuration provided and your test mode default configuration "
			       "has not been created. Provide a configuration or create your "
			       "default by saving your customer portal settings in test mode at "
			       "https://dashboard.stripe.com/test/settings/billing/portal.");
		return;
	}
	session = store_new(c->fake, "billing_portal.session");
	put_text(session, "configuration", text_of(configuration, "id"));
	put_params(session, c->params, "customer locale return_url");
	put_text(session, "url", url);
	if (flow != NULL)
		put(session, "flow", json_deep_copy(flow));
	answer(c, session);
}

void portal_configuration_list(struct call *c)
{
	(void)portal_configuration(c->fake);
	answer_list(c, "billing_portal.configuration", NULL);
}
