/*
 * Invoices from their finalization on: open, paid, void, uncollectible.
 */

#include "stripe_double.h"

#include <inttypes.h>
#include <string.h>

static void invoice_move(struct fake *f, json_t *invoice, const char *status, const char *when)
{
	put_text(invoice, "status", status);
	put_int(json_object_get(invoice, "status_transitions"), when, fake_now(f));
}

static json_t *payment_of(const struct fake *f, const json_t *invoice)
{
	return store_by(f, "invoice_payment", "invoice", text_of(invoice, "id"));
}

static json_t *intent_of(const struct fake *f, const json_t *invoice)
{
	const json_t *payment = json_object_get(payment_of(f, invoice), "payment");

	return store_find(f, "payment_intent", text_of(payment, "payment_intent"));
}

static void give_number(struct fake *f, json_t *invoice)
{
	json_t *customer = store_find(f, "customer", text_of(invoice, "customer"));
	int64_t sequence = int_of(customer, "next_invoice_sequence");
	char *number CLEANUP(free_charp) = xasprintf(
		"%s-%04" PRId64,
		has(customer, "invoice_prefix") ? text_of(customer, "invoice_prefix") : "GONE",
		sequence);
	char *id CLEANUP(free_charp) = random_id("test_", 40);
	const char *account = text_of(json_object_get(f->shapes, "account"), "id");
	char *page CLEANUP(free_charp) = xasprintf("https://invoice.stripe.com/i/%s/%s?s=ap",
						   account, id);
	char *pdf CLEANUP(free_charp) = xasprintf("https://pay.stripe.com/invoice/%s/%s/pdf?s=ap",
						  account, id);

	if (customer != NULL && has(customer, "next_invoice_sequence"))
		put_int(customer, "next_invoice_sequence", sequence + 1);
	put_text(invoice, "number", number);
	put_text(invoice, "hosted_invoice_url", page);
	put_text(invoice, "invoice_pdf", pdf);
}

static void await_payment(struct fake *f, json_t *invoice)
{
	json_t *intent = intent_new(f, int_of(invoice, "amount_due"), text_of(invoice, "currency"),
				    text_of(invoice, "customer"));
	json_t *payment = store_new(f, "invoice_payment");

	put_text(intent, "description", "Payment for Invoice");
	put_int(payment, "amount_requested", int_of(invoice, "amount_due"));
	put_text(payment, "currency", text_of(invoice, "currency"));
	put_text(payment, "invoice", text_of(invoice, "id"));
	put_text(json_object_get(payment, "payment"), "payment_intent", text_of(intent, "id"));
	emit(f, "payment_intent.created", intent);
}

bool invoice_open(struct call *c, json_t *invoice)
{
	struct fake *f = c->fake;
	int64_t due = int_of(invoice, "amount_due");

	if (text_is(invoice, "collection_method", "send_invoice") &&
	    !has(invoice, "customer_email"))
		refuse(c, 400, NULL, NULL,
		       "Missing email. In order to create invoices that are sent to the customer, "
		       "the customer must have a valid email.");
	else if (due < 0 || (due > 0 && due < AMOUNT_MIN))
		refuse(c, 400, "amount_too_small", NULL,
		       "The total of this invoice is below the smallest amount that can be "
		       "charged.");
	if (c->status != 0)
		return false;
	invoice_move(f, invoice, "open", "finalized_at");
	put_int(invoice, "effective_at", fake_now(f));
	give_number(f, invoice);
	if (due > 0)
		await_payment(f, invoice);
	emit(f, "invoice.finalized", invoice);
	if (due == 0)
		invoice_paid(f, invoice);
	return true;
}

void invoice_finalize(struct call *c)
{
	json_t *invoice = store_need(c, "invoice", c->id, NULL);

	if (invoice == NULL)
		return;
	if (!text_is(invoice, "status", "draft")) {
		refuse(c, 400, NULL, NULL,
		       "This invoice is already finalized, you can't re-finalize a non-draft "
		       "invoice.");
		return;
	}
	if (has(c->params, "auto_advance"))
		put_bool(invoice, "auto_advance", bool_of(c->params, "auto_advance"));
	if (invoice_open(c, invoice))
		answer(c, invoice);
}

void invoice_paid(struct fake *f, json_t *invoice)
{
	json_t *payment = payment_of(f, invoice);

	invoice_move(f, invoice, "paid", "paid_at");
	put_int(invoice, "amount_paid", int_of(invoice, "total"));
	put_int(invoice, "amount_remaining", 0);
	put_bool(invoice, "auto_advance", false);
	if (payment != NULL) {
		put_bool(invoice, "attempted", true);
		put_int(invoice, "attempt_count", int_of(invoice, "attempt_count") + 1);
		put_text(payment, "status", "paid");
		put_int(payment, "amount_paid", int_of(invoice, "total"));
		put_int(json_object_get(payment, "status_transitions"), "paid_at", fake_now(f));
		emit(f, "invoice_payment.paid", payment);
	}
	emit(f, "invoice.paid", invoice);
	emit(f, "invoice.payment_succeeded", invoice);
}

/* No payment is left behind, and invoice.paid is the only word about it. */
void invoice_paid_out_of_band(struct fake *f, json_t *invoice)
{
	json_t *payment = payment_of(f, invoice);
	json_t *intent = intent_of(f, invoice);

	if (payment != NULL) {
		intent_drop(f, intent, "void_invoice");
		store_delete(f, "invoice_payment", text_of(payment, "id"));
	}
	invoice_move(f, invoice, "paid", "paid_at");
	put_int(invoice, "amount_paid", int_of(invoice, "total"));
	put_int(invoice, "amount_remaining", 0);
	emit(f, "invoice.paid", invoice);
}

void invoice_payment_failed(struct fake *f, json_t *invoice, const char *event)
{
	put_bool(invoice, "attempted", true);
	put_int(invoice, "attempt_count", int_of(invoice, "attempt_count") + 1);
	emit(f, event, invoice);
}

enum try_result invoice_try(struct fake *f, json_t *invoice, json_t *card,
			    enum customer_is customer, json_t **out_charge)
{
	return intent_try(f, intent_of(f, invoice), card, customer, out_charge);
}

static json_t *card_for(struct call *c, const json_t *invoice)
{
	const json_t *customer = store_find(c->fake, "customer", text_of(invoice, "customer"));
	const char *id = text_of(c->params, "payment_method");

	if (id == NULL)
		id = text_of(invoice, "default_payment_method");
	if (id == NULL)
		id = text_of(json_object_get(customer, "invoice_settings"),
			     "default_payment_method");
	if (id == NULL) {
		refuse(c, 400, NULL, NULL,
		       "There is no `default_payment_method` set on this Customer or Invoice. "
		       "Please set one, or pass a `payment_method`.");
		return NULL;
	}
	return need_card(c, id, "payment_method");
}

static void collect(struct call *c, json_t *invoice)
{
	json_t *card = card_for(c, invoice);
	json_t *charge = NULL;
	bool is_present = has(c->params, "off_session") && !bool_of(c->params, "off_session");

	if (card == NULL)
		return;
	if (has(card, "customer") && !text_is(card, "customer", text_of(invoice, "customer"))) {
		refuse(c, 400, NULL, "payment_method",
		       "The PaymentMethod does not belong to the customer of the invoice.");
		return;
	}
	switch (invoice_try(c->fake, invoice, card, is_present ? CUSTOMER_PRESENT : CUSTOMER_ABSENT,
			    &charge)) {
	case TRY_DECLINED:
		refuse_card(c, card_behaviour(c->fake, card), card, charge,
			    intent_of(c->fake, invoice));
		break;
	case TRY_ACTION:
		refuse(c, 402, "invoice_payment_intent_requires_action", NULL,
		       "This payment requires additional user action before it can be completed "
		       "successfully.");
		refuse_more(c, "payment_intent", json_deep_copy(intent_of(c->fake, invoice)));
		break;
	case TRY_SUCCEEDED:
	case TRY_PROCESSING:
		answer(c, invoice);
		break;
	}
}

void invoice_pay(struct call *c)
{
	json_t *invoice = store_need(c, "invoice", c->id, NULL);

	if (invoice == NULL)
		return;
	if (text_is(invoice, "status", "paid")) {
		refuse(c, 400, NULL, NULL, "Invoice is already paid");
		return;
	}
	if (text_is(invoice, "status", "void")) {
		refuse(c, 400, NULL, NULL, "Invoices that are void cannot be paid.");
		return;
	}
	if (text_is(intent_of(c->fake, invoice), "status", "processing")) {
		refuse(c, 400, NULL, NULL,
		       "This invoice can't be modified while a payment on it is still pending.");
		return;
	}
	if (text_is(invoice, "status", "draft") && !invoice_open(c, invoice))
		return;
	if (text_is(invoice, "status", "paid")) {
		answer(c, invoice);
	} else if (bool_of(c->params, "paid_out_of_band")) {
		invoice_paid_out_of_band(c->fake, invoice);
		answer(c, invoice);
	} else {
		collect(c, invoice);
	}
}

bool invoice_void_if_open(struct fake *f, json_t *invoice, const char **out_why)
{
	json_t *intent = intent_of(f, invoice);
	json_t *payment = payment_of(f, invoice);

	if (text_is(invoice, "status", "paid"))
		*out_why = "Invoices with `paid` payments cannot be voided.";
	else if (!text_is(invoice, "status", "open") &&
		 !text_is(invoice, "status", "uncollectible"))
		*out_why = "You can only pass in open invoices. This invoice isn't open.";
	else if (text_is(intent, "status", "processing"))
		*out_why = "This invoice can't be modified while a payment on it is still pending. "
			   "Wait for it to succeed or fail.";
	if (*out_why != NULL)
		return false;
	invoice_move(f, invoice, "void", "voided_at");
	put_int(invoice, "amount_remaining", 0);
	put_text(payment, "status", "canceled");
	put_int(json_object_get(payment, "status_transitions"), "canceled_at", fake_now(f));
	intent_drop(f, intent, "void_invoice");
	emit(f, "invoice.voided", invoice);
	return true;
}

void invoice_void(struct call *c)
{
	json_t *invoice = store_need(c, "invoice", c->id, NULL);
	const char *why = NULL;

	if (invoice == NULL)
		return;
	if (invoice_void_if_open(c->fake, invoice, &why))
		answer(c, invoice);
	else
		refuse(c, 400, NULL, NULL, "%s", why);
}

void invoice_mark_uncollectible(struct call *c)
{
	json_t *invoice = store_need(c, "invoice", c->id, NULL);

	if (invoice == NULL)
		return;
	if (!text_is(invoice, "status", "open")) {
		refuse(c, 400, NULL, NULL,
		       "You can only pass in open invoices. This invoice isn't open.");
		return;
	}
	invoice_move(c->fake, invoice, "uncollectible", "marked_uncollectible_at");
	emit(c->fake, "invoice.marked_uncollectible", invoice);
	answer(c, invoice);
}
