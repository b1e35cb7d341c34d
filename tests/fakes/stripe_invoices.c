/*
 * Invoices while they are drafts: their lines, and the lists of them.
 */

#include "stripe_double.h"

#include <string.h>

json_t *invoice_of_intent(const struct fake *f, const char *intent)
{
	const json_t *all = store_all(f, "invoice_payment");

	for (size_t i = json_array_size(all); i > 0; i--) {
		const json_t *one = json_array_get(all, i - 1);

		if (text_is(json_object_get(one, "payment"), "payment_intent", intent))
			return store_find(f, "invoice", text_of(one, "invoice"));
	}
	return NULL;
}

json_t *invoice_payments_of(const struct fake *f, const char *invoice)
{
	const json_t *all = store_all(f, "invoice_payment");
	json_t *found = json_array();

	for (size_t i = json_array_size(all); i > 0; i--) {
		const json_t *one = json_array_get(all, i - 1);

		if (text_is(one, "invoice", invoice))
			(void)json_array_append_new(found, json_deep_copy(one));
	}
	return list_of(found, "/v1/invoice_payments");
}

void invoice_count(json_t *invoice)
{
	static const char *const sums[] = {"subtotal",   "subtotal_excluding_tax",
					   "total",      "total_excluding_tax",
					   "amount_due", "amount_remaining"};
	json_t *lines = json_object_get(invoice, "lines");
	const json_t *data = json_object_get(lines, "data");
	int64_t total = 0;

	for (size_t i = 0; i < json_array_size(data); i++)
		total += int_of(json_array_get(data, i), "amount");
	for (size_t i = 0; i < ARRAY_LEN(sums); i++)
		put_int(invoice, sums[i], total);
	put_int(lines, "total_count", (int64_t)json_array_size(data));
}

/* The newest line comes first. */
static void add_line(struct fake *f, json_t *invoice, const json_t *item)
{
	json_t *line = shape_new(f, "line_item");

	put_params(line, item, "amount currency description metadata period");
	put_int(line, "subtotal", int_of(item, "amount"));
	put_text(line, "invoice", text_of(invoice, "id"));
	put(line, "parent",
	    json_pack("{s:{s:s, s:b, s:n}, s:n, s:s}", "invoice_item_details", "invoice_item",
		      text_of(item, "id"), "proration", 0, "subscription",
		      "subscription_item_details", "type", "invoice_item_details"));
	(void)json_array_insert_new(json_object_get(json_object_get(invoice, "lines"), "data"), 0,
				    line);
	invoice_count(invoice);
}

static json_t *item_new(struct fake *f, const json_t *params, const char *customer,
			const char *currency)
{
	json_t *item = store_new(f, "invoiceitem");
	int64_t now = fake_now(f);

	put_params(item, params, "amount description");
	put_metadata(item, params);
	put_text(item, "customer", customer);
	put_text(item, "currency", currency);
	put_int(item, "net_amount", int_of(item, "amount"));
	put_int(item, "date", now);
	put(item, "period",
	    json_pack("{s:I, s:I}", "end", (json_int_t)now, "start", (json_int_t)now));
	return item;
}

static void item_join(struct fake *f, json_t *item, json_t *invoice)
{
	put_text(item, "invoice", text_of(invoice, "id"));
	add_line(f, invoice, item);
}

static bool must_be_draft(struct call *c, const json_t *invoice)
{
	if (!text_is(invoice, "status", "draft"))
		refuse(c, 400, "invoice_not_editable", NULL,
		       "This invoice is no longer editable because it is %s.",
		       text_of(invoice, "status"));
	return c->status == 0;
}

static bool terms_may(struct call *c)
{
	const json_t *p = c->params;
	bool is_sent = text_is(p, "collection_method", "send_invoice");
	bool has_due = has(p, "days_until_due") || has(p, "due_date");

	if (is_sent && !has_due)
		refuse(c, 400, "parameter_missing", "days_until_due",
		       "If invoices are sent, you must specify either `days_until_due` or "
		       "`due_date`.");
	else if (!is_sent && has_due)
		refuse(c, 400, NULL, has(p, "due_date") ? "due_date" : "days_until_due",
		       "You can only set `days_until_due` or `due_date` if `collection_method` is "
		       "`send_invoice`.");
	else if (has(p, "days_until_due") && has(p, "due_date"))
		refuse(c, 400, NULL, "due_date",
		       "You may only specify one of these parameters: days_until_due, due_date.");
	else if (has(p, "days_until_due") && int_of(p, "days_until_due") < 0)
		refuse(c, 400, "parameter_invalid_integer", "days_until_due",
		       "This value must be greater than or equal to 0.");
	else if (has(p, "due_date") && int_of(p, "due_date") <= fake_now(c->fake))
		refuse(c, 400, NULL, "due_date", "The due date must be in the future.");
	else if (has(p, "currency") && strlen(text_of(p, "currency")) != 3)
		refuse(c, 400, NULL, "currency", "Invalid currency: %s", text_of(p, "currency"));
	return c->status == 0;
}

static void gather_pending(struct fake *f, json_t *invoice)
{
	json_t *items = store_all(f, "invoiceitem");
	size_t i;
	json_t *item;

	json_array_foreach (items, i, item) {
		if (!has(item, "invoice") &&
		    text_is(item, "customer", text_of(invoice, "customer")) &&
		    text_is(item, "currency", text_of(invoice, "currency")))
			item_join(f, item, invoice);
	}
}

void invoice_create(struct call *c)
{
	const json_t *customer = need_customer(c);
	const json_t *settings = json_object_get(c->params, "payment_settings");
	char *url CLEANUP(free_charp) = NULL;
	json_t *invoice;

	if (customer == NULL || !terms_may(c))
		return;
	invoice = store_new(c->fake, "invoice");
	url = xasprintf("/v1/invoices/%s/lines", text_of(invoice, "id"));
	put_text(json_object_get(invoice, "lines"), "url", url);
	put_params(invoice, c->params,
		   "auto_advance collection_method currency default_payment_method description "
		   "due_date footer statement_descriptor");
	put_params(json_object_get(invoice, "payment_settings"), settings, "payment_method_types");
	put_metadata(invoice, c->params);
	put_text(invoice, "customer", text_of(customer, "id"));
	put_text(invoice, "customer_email", text_of(customer, "email"));
	put_text(invoice, "customer_name", text_of(customer, "name"));
	put_int(invoice, "period_start", fake_now(c->fake));
	put_int(invoice, "period_end", fake_now(c->fake));
	if (has(c->params, "days_until_due"))
		put_int(invoice, "due_date",
			fake_now(c->fake) + int_of(c->params, "days_until_due") * DAY_S);
	if (text_is(c->params, "pending_invoice_items_behavior", "include"))
		gather_pending(c->fake, invoice);
	emit(c->fake, "invoice.created", invoice);
	answer(c, invoice);
}

void invoiceitem_create(struct call *c)
{
	const json_t *customer = need_customer(c);
	const char *invoice_id = text_of(c->params, "invoice");
	json_t *invoice = NULL;
	json_t *item;

	if (customer == NULL)
		return;
	if (!has(c->params, "amount")) {
		refuse(c, 400, "parameter_missing", "amount", "Missing required param: amount.");
		return;
	}
	if (has(c->params, "quantity")) {
		refuse(c, 400, NULL, "quantity",
		       "You may only specify one of these parameters: amount, quantity.");
		return;
	}
	if (!has(c->params, "currency")) {
		refuse(c, 400, "parameter_missing", "currency",
		       "Missing required param: currency.");
		return;
	}
	if (invoice_id != NULL) {
		invoice = store_need(c, "invoice", invoice_id, "invoice");
		if (invoice == NULL || !must_be_draft(c, invoice))
			return;
		if (!text_is(invoice, "customer", text_of(customer, "id"))) {
			refuse(c, 400, NULL, "invoice",
			       "The invoice %s does not belong to the customer.", invoice_id);
			return;
		}
		if (!text_is(invoice, "currency", text_of(c->params, "currency"))) {
			refuse(c, 400, NULL, "currency",
			       "The currency of the invoice item must be that of the invoice.");
			return;
		}
	}
	item = item_new(c->fake, c->params, text_of(customer, "id"),
			text_of(c->params, "currency"));
	if (invoice != NULL)
		item_join(c->fake, item, invoice);
	emit(c->fake, "invoiceitem.created", item);
	answer(c, item);
}

void invoice_add_lines(struct call *c)
{
	json_t *invoice = store_need(c, "invoice", c->id, NULL);
	const json_t *lines = json_object_get(c->params, "lines");
	size_t i;
	json_t *line;

	if (invoice == NULL || !must_be_draft(c, invoice))
		return;
	json_array_foreach ((json_t *)(uintptr_t)lines, i, line) {
		if (!has(line, "amount")) {
			refuse(c, 400, "parameter_missing", "lines[0][amount]",
			       "Missing required param: amount of a line.");
			return;
		}
	}
	json_array_foreach ((json_t *)(uintptr_t)lines, i, line) {
		json_t *item = item_new(c->fake, line, text_of(invoice, "customer"),
					text_of(invoice, "currency"));

		item_join(c->fake, item, invoice);
	}
	emit(c->fake, "invoice.updated", invoice);
	answer(c, invoice);
}

void invoice_delete(struct call *c)
{
	json_t *invoice = store_need(c, "invoice", c->id, NULL);
	json_t *gone;

	if (invoice == NULL)
		return;
	if (!text_is(invoice, "status", "draft")) {
		refuse(c, 400, NULL, NULL, "You can only delete draft invoices.");
		return;
	}
	emit(c->fake, "invoice.deleted", invoice);
	gone = json_pack("{s:s, s:s, s:b}", "id", c->id, "object", "invoice", "deleted", 1);
	answer(c, gone);
	json_decref(gone);
	store_delete(c->fake, "invoice", c->id);
}

void invoice_list(struct call *c)
{
	answer_list(c, "invoice", NULL);
}

void invoice_get(struct call *c)
{
	const json_t *invoice = store_need(c, "invoice", c->id, NULL);

	if (invoice != NULL)
		answer(c, invoice);
}

static bool is_payment_asked_for(const json_t *one, struct call *c)
{
	const json_t *wanted = json_object_get(c->params, "payment");

	return wanted == NULL || text_is(json_object_get(one, "payment"), "payment_intent",
					 text_of(wanted, "payment_intent"));
}

void invoice_payment_list(struct call *c)
{
	const json_t *wanted = json_object_get(c->params, "payment");

	if (wanted != NULL && !has(wanted, "payment_intent"))
		refuse(c, 400, "parameter_missing", "payment[payment_intent]",
		       "Missing required param: payment[payment_intent].");
	else
		answer_list(c, "invoice_payment", is_payment_asked_for);
}
