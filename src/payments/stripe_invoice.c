/*
 * A top-up: an invoice with two lines, credit and fee, finalized, that the user pays at its page.
 * Each of the four requests has a key and kept bytes of its own, so that the work is taken up where
 * it was left; the total is checked before anybody sees the page.
 */

#include "payments/stripe_flow.h"

#include "base/limits.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define CREDIT_LINE "credit"
#define FEE_LINE    "fee"

static bool is_text(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

static void make_key(const struct stripe_flow *f, const char *what, char out[ID_TEXT_SIZE + 16])
{
	char id[ID_TEXT_SIZE];

	payment_id_text(f->call->payment->id, id);
	(void)snprintf(out, ID_TEXT_SIZE + 16, "%s-%s", id, what);
}

static void put_about(const struct stripe_flow *f, struct buf *form)
{
	char payment[ID_TEXT_SIZE], org[ID_TEXT_SIZE];

	payment_id_text(f->call->payment->id, payment);
	id_text("org", f->call->org, org);
	stripe_form(form, "metadata[topup_id]", payment);
	stripe_form(form, "metadata[org_id]", org);
	stripe_form_cents(form, "metadata[credit_cents]", f->call->payment->credit);
}

static void set_text(char **to, const char *text)
{
	free(*to);
	*to = text ? xstrdup(text) : NULL;
}

static void on_deleted(struct stripe_flow *f)
{
	flow_end(f, f->call->result, NULL);
}

/* The draft that cannot be brought to its end is taken away again, if it can be. */
static void drop_draft(struct stripe_flow *f, enum gateway_result result, const char *reason)
{
	CLEANUP(free_charp) char *path = NULL;

	f->call->result = result;
	set_text(&f->call->reason, reason);
	if (!f->object) {
		flow_end(f, result, NULL);
		return;
	}
	path = xasprintf("/v1/invoices/%s", f->object);
	flow_post_once(f, "DELETE", path, NULL, on_deleted);
}

/* Under this step's key the answer stays a failure, so the invoice cannot be brought to its end. */
static bool is_kept_failure(const struct stripe_flow *f)
{
	return f->http.outcome == STRIPE_UNKNOWN && f->http.is_replayed;
}

/* A step was not taken. What may have happened is found out by repeating it. */
static void step_failed(struct stripe_flow *f)
{
	if (f->http.outcome == STRIPE_REFUSED || f->http.outcome == STRIPE_NOT_FOUND)
		drop_draft(f, GATEWAY_REFUSED, f->http.text);
	else if (is_kept_failure(f))
		drop_draft(f, GATEWAY_CANCELLED, "Stripe could not make the invoice; try again");
	else
		flow_end_by_answer(f);
}

/* The paid invoice's own intent, or the charge where it has none: what its refunds will name. NULL:
 * it was paid out of band. */
static const char *money_of(const json_t *payments)
{
	const json_t *payment;
	size_t i;

	json_array_foreach (json_object_get(payments, "data"), i, payment) {
		const json_t *by = json_object_get(payment, "payment");
		const char *id = stripe_id_member(by, "payment_intent");

		if (!id)
			id = stripe_id_member(by, "charge");

		if (id && is_text(stripe_text_member(payment, "status"), "paid"))
			return id;
	}
	return NULL;
}

static void paid_by(struct stripe_flow *f, const char *ref)
{
	if (!ref) {
		log_warn("event=invoice_paid_out_of_band invoice=%s action=grant_by_hand",
			 f->object);
		flow_end(f, GATEWAY_CANCELLED, "paid out of band, so nothing was credited");
		return;
	}
	set_text(&f->call->charge_ref, ref);
	flow_end(f, GATEWAY_SUCCEEDED, NULL);
}

static void on_payments(struct stripe_flow *f)
{
	if (f->http.outcome == STRIPE_OK)
		paid_by(f, money_of(f->http.object));
	else
		flow_end_by_answer(f);
}

static bool is_sound(const struct stripe_flow *f, const char *sum)
{
	const json_t *object = f->http.object;
	const struct payment_view *p = f->call->payment;
	struct cents amount;

	if (stripe_cents_member(object, sum, &amount) && cents_cmp(amount, stripe_total(p)) == 0 &&
	    is_text(stripe_text_member(object, "currency"), "usd") &&
	    id_eq(stripe_payment_of(object), p->id))
		return true;
	log_fault("event=invoice_differs invoice=%s member=%s action=not_credited", f->object, sum);
	return false;
}

static void is_paid(struct stripe_flow *f)
{
	const json_t *payments = json_object_get(f->http.object, "payments");
	struct buf form = BUF_INIT;

	if (!is_sound(f, "amount_paid")) {
		flow_end(f, GATEWAY_UNKNOWN, NULL);
		return;
	}
	if (json_is_object(payments)) {
		paid_by(f, money_of(payments));
		return;
	}
	stripe_form(&form, "invoice", f->object);
	flow_get(f, "/v1/invoice_payments", &form, on_payments);
	buf_finish(&form);
}

void invoice_read(struct stripe_flow *f)
{
	const json_t *object = f->http.object;
	const char *status = stripe_text_member(object, "status");
	const char *id = stripe_text_member(object, "id");

	if (f->http.outcome == STRIPE_NOT_FOUND ||
	    (f->http.outcome == STRIPE_OK && json_is_true(json_object_get(object, "deleted")))) {
		flow_end(f, GATEWAY_CANCELLED, "its invoice is not known at Stripe");
		return;
	}
	if (f->http.outcome != STRIPE_OK || !status || !id) {
		flow_end_by_answer(f);
		return;
	}
	set_text(&f->object, id);
	set_text(&f->call->ref, id);
	if (strcmp(status, "paid") == 0) {
		is_paid(f);
	} else if (strcmp(status, "open") == 0 || strcmp(status, "uncollectible") == 0) {
		/* Written off in the dashboard it can still be paid. */
		set_text(&f->call->url, stripe_text_member(object, "hosted_invoice_url"));
		flow_end(f, GATEWAY_OPEN, NULL);
	} else if (strcmp(status, "draft") == 0) {
		drop_draft(f, GATEWAY_CANCELLED, "its invoice was not finished in time");
	} else {
		flow_end(f, GATEWAY_CANCELLED, NULL);
	}
}

static void on_voided(struct stripe_flow *f)
{
	flow_end(f, GATEWAY_REFUSED,
		 "the invoice that Stripe made is over another sum: has the customer a balance, a "
		 "discount or a tax there?");
}

/* Nobody sees the page of an invoice over another sum. */
static void read_finalized(struct stripe_flow *f)
{
	const char *status = stripe_text_member(f->http.object, "status");
	CLEANUP(free_charp) char *path = NULL;

	if (f->http.outcome != STRIPE_OK || !is_text(status, "open") ||
	    (is_sound(f, "total") && is_sound(f, "amount_due"))) {
		invoice_read(f);
		return;
	}
	path = xasprintf("/v1/invoices/%s/void", f->object);
	flow_post_once(f, "POST", path, NULL, on_voided);
}

static void ask_finalized(struct stripe_flow *f, flow_fn *next)
{
	CLEANUP(free_charp) char *path = xasprintf("/v1/invoices/%s", f->object);
	struct buf form = BUF_INIT;

	stripe_form(&form, "expand[0]", "payments");
	flow_get(f, path, &form, next);
	buf_finish(&form);
}

/* It may be finalized all the same: by an earlier try, or in the dashboard. */
static void on_not_finalized(struct stripe_flow *f)
{
	CLEANUP(free_charp) char *reason = f->call->reason;

	f->call->reason = NULL;
	if (f->http.outcome == STRIPE_OK &&
	    is_text(stripe_text_member(f->http.object, "status"), "draft"))
		drop_draft(f, GATEWAY_REFUSED, reason);
	else
		read_finalized(f);
}

static void on_finalized(struct stripe_flow *f)
{
	if (f->is_stale || is_kept_failure(f)) {
		ask_finalized(f, read_finalized);
	} else if (f->http.outcome == STRIPE_REFUSED) {
		set_text(&f->call->reason, f->http.text);
		ask_finalized(f, on_not_finalized);
	} else if (f->http.outcome != STRIPE_OK) {
		step_failed(f);
	} else {
		read_finalized(f);
	}
}

static void finalize(struct stripe_flow *f)
{
	CLEANUP(free_charp) char *path = xasprintf("/v1/invoices/%s/finalize", f->object);
	char key[ID_TEXT_SIZE + 16];
	struct buf form = BUF_INIT;

	make_key(f, "finalize", key);
	stripe_form_bool(&form, "auto_advance", false);
	flow_post(f, key, path, &form, NULL, on_finalized);
}

static void on_fee(struct stripe_flow *f)
{
	if (f->is_stale)
		flow_ask(f, f->object);
	else if (f->http.outcome != STRIPE_OK)
		step_failed(f);
	else
		finalize(f);
}

static void post_line(struct stripe_flow *f, const char *kind, struct cents amount,
		      const char *description, const char *ref, flow_fn *next)
{
	char key[ID_TEXT_SIZE + 16];
	struct buf form = BUF_INIT;

	make_key(f, kind, key);
	stripe_form(&form, "customer", f->facts.customer);
	stripe_form(&form, "invoice", f->object);
	stripe_form_cents(&form, "amount", amount);
	stripe_form(&form, "currency", "usd");
	stripe_form(&form, "description", description);
	stripe_form(&form, "metadata[kind]", kind);
	flow_post(f, key, "/v1/invoiceitems", &form, ref, next);
}

static void on_credit(struct stripe_flow *f)
{
	struct cents fee = f->call->payment->fee;

	if (f->is_stale)
		flow_ask(f, f->object);
	else if (f->http.outcome != STRIPE_OK)
		step_failed(f);
	else if (cents_cmp(fee, (struct cents){0}) == 0)
		finalize(f);
	else
		post_line(f, FEE_LINE, fee, "Processing fee", NULL, on_fee);
}

static void add_lines(struct stripe_flow *f)
{
	const struct payment_view *p = f->call->payment;
	CLEANUP(free_charp) char *description = NULL;
	char tokens[MONEY_TEXT_SIZE];

	tokens_text(payment_credit(p), tokens);
	description = xasprintf("%s tokens", tokens);
	post_line(f, CREDIT_LINE, p->credit, description, f->object, on_credit);
}

static void list_page(struct stripe_flow *f, const char *after);

static json_t *find_ours(const struct stripe_flow *f)
{
	json_t *object;
	size_t i;

	json_array_foreach (json_object_get(f->http.object, "data"), i, object) {
		if (id_eq(stripe_payment_of(object), f->call->payment->id))
			return object;
	}
	return NULL;
}

/* The key's time is over, or it stands for a failure: whether there is an invoice says the list. */
static void on_list(struct stripe_flow *f)
{
	const json_t *data = json_object_get(f->http.object, "data");
	const char *last = stripe_text_member(json_array_get(data, json_array_size(data) - 1),
					      "id");
	const json_t *ours = find_ours(f);

	if (f->http.outcome != STRIPE_OK) {
		flow_end_by_answer(f);
	} else if (ours) {
		set_text(&f->object, stripe_text_member(ours, "id"));
		ask_finalized(f, read_finalized);
	} else if (last && json_is_true(json_object_get(f->http.object, "has_more"))) {
		CLEANUP(free_charp) char *after = xstrdup(last);

		if (++f->pages < TILL_PAGES_MAX)
			list_page(f, after);
		else
			flow_end(f, GATEWAY_UNKNOWN, NULL);
	} else if (flow_may_be_under_way(f)) {
		flow_end(f, GATEWAY_UNKNOWN, NULL);
	} else {
		flow_end(f, GATEWAY_CANCELLED, "Stripe did not make the invoice");
	}
}

static void list_page(struct stripe_flow *f, const char *after)
{
	struct buf form = BUF_INIT;

	stripe_form(&form, "customer", f->facts.customer);
	flow_form_since(f, &form);
	stripe_form_i64(&form, "limit", 100);
	stripe_form(&form, "starting_after", after);
	flow_get(f, "/v1/invoices", &form, on_list);
	buf_finish(&form);
}

static void reconcile(struct stripe_flow *f)
{
	f->pages = 0;
	if (f->facts.customer)
		list_page(f, NULL);
	else
		flow_end(f, GATEWAY_UNKNOWN, NULL);
}

static void post_invoice(struct stripe_flow *f);

static void on_invoice(struct stripe_flow *f)
{
	const char *id = stripe_text_member(f->http.object, "id");

	f->facts.has_invoice = true;
	if (f->is_stale || f->http.outcome == STRIPE_KEY_MISUSED ||
	    (f->http.outcome == STRIPE_UNKNOWN && f->http.is_replayed)) {
		reconcile(f);
	} else if (f->http.outcome == STRIPE_NOT_FOUND && !f->is_bare) {
		/* The customer is gone; under this key the answer may stay that one. */
		flow_end(f, GATEWAY_REFUSED, f->http.text);
	} else if (f->http.outcome != STRIPE_OK || !id) {
		flow_end_by_answer(f);
	} else {
		set_text(&f->object, id);
		add_lines(f);
	}
}

static void post_invoice(struct stripe_flow *f)
{
	char key[ID_TEXT_SIZE + 16];
	struct buf form = BUF_INIT;

	make_key(f, "invoice", key);
	stripe_form(&form, "customer", f->facts.customer);
	stripe_form(&form, "collection_method", "send_invoice");
	stripe_form_i64(&form, "days_until_due", 1);
	stripe_form_bool(&form, "auto_advance", false);
	stripe_form(&form, "pending_invoice_items_behavior", "exclude");
	stripe_form(&form, "currency", "usd");
	stripe_form(&form, "payment_settings[payment_method_types][0]", "card");
	put_about(f, &form);
	flow_post(f, key, "/v1/invoices", &form, NULL, on_invoice);
}

static void on_customer(struct stripe_flow *f)
{
	flow_customer_check(f, post_invoice);
}

static void invoice_facts(struct stripe_flow *f)
{
	const struct payment_view *p = f->call->payment;
	int64_t age_ms = flow_now(f).ms - p->created.ms;

	if (f->facts.has_invoice)
		post_invoice(f);
	else if (age_ms > TILL_BEGIN_MS)
		flow_end(f, GATEWAY_CANCELLED, "it was not begun in time");
	else if (!f->facts.email)
		flow_end(
			f, GATEWAY_REFUSED,
			"org.email is missing: Stripe sends invoices to an address. Set org.email "
			"in farebox.json for the default org, or run 'farebox orgs email --org ORG "
			"--email ADDRESS'");
	else
		flow_customer(f, on_customer);
}

void stripe_invoice(struct gateway *g, struct gateway_call *call)
{
	struct stripe_gateway *s = container_of(g, struct stripe_gateway, gateway);

	flow_facts(flow_create(s, call), invoice_facts);
}
