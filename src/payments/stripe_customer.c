/*
 * The customer of an org at Stripe: made once, under a fixed key and with the bytes that were kept
 * first, so that two processes come to the same one; and the card it saved.
 */

#include "payments/stripe_flow.h"

#include <stdlib.h>
#include <string.h>

static void create(struct stripe_flow *f);

static void on_known(struct stripe_flow *f)
{
	flow_customer(f, f->then);
}

static void put_customer(const struct stripe_flow *f, struct buf *form)
{
	char org[ID_TEXT_SIZE];

	id_text("org", f->call->org, org);
	stripe_form(form, "name", f->facts.org_name);
	stripe_form(form, "email", f->facts.email);
	stripe_form(form, "metadata[org_id]", org);
}

/* The org's name or address was corrected since the bytes that were sent were kept. */
static bool is_corrected(const struct stripe_flow *f)
{
	struct buf form = BUF_INIT;
	bool is_other;

	put_customer(f, &form);
	is_other = strcmp(f->form, buf_text(&form)) != 0;
	buf_finish(&form);
	return is_other;
}

static void on_created(struct stripe_flow *f)
{
	const char *id = stripe_text_member(f->http.object, "id");

	/* Its answer is lost for good, or its key stands for something else, or for bytes that
	 * Stripe will always refuse: the next number. */
	if (f->is_stale || f->http.outcome == STRIPE_KEY_MISUSED ||
	    (f->http.outcome == STRIPE_UNKNOWN && f->http.is_replayed) ||
	    (f->http.outcome == STRIPE_REFUSED && is_corrected(f))) {
		create(f);
		return;
	}
	if (f->http.outcome != STRIPE_OK || !id) {
		flow_end_by_answer(f);
		return;
	}
	f->is_bare = true;
	/* When a kept request was repeated its address may be an earlier one. */
	flow_keep_customer(f, id, stripe_text_member(f->http.object, "email"), on_known);
}

static void create(struct stripe_flow *f)
{
	char org[ID_TEXT_SIZE], key[ID_TEXT_SIZE + 32];
	struct buf form = BUF_INIT;

	f->facts.attempt++;
	id_text("org", f->call->org, org);
	(void)snprintf(key, sizeof(key), "cust-%s-%lld", org, (long long)f->facts.attempt);
	put_customer(f, &form);
	flow_post(f, key, "/v1/customers", &form, NULL, on_created);
}

static void on_updated(struct stripe_flow *f)
{
	if (f->http.outcome == STRIPE_NOT_FOUND) {
		flow_customer_again(f, f->then);
		return;
	}
	if (f->http.outcome != STRIPE_OK) {
		flow_end_by_answer(f);
		return;
	}
	flow_keep_customer(f, f->facts.customer, f->facts.email, f->then);
}

static bool has_its_address(const struct stripe_facts *facts)
{
	return !facts->email ||
	       (facts->customer_email && strcmp(facts->email, facts->customer_email) == 0);
}

void flow_customer(struct stripe_flow *f, flow_fn *then)
{
	CLEANUP(free_charp) char *path = NULL;
	struct buf form = BUF_INIT;

	f->then = then;
	if (!f->facts.customer) {
		create(f);
		return;
	}
	if (has_its_address(&f->facts)) {
		then(f);
		return;
	}
	path = xasprintf("/v1/customers/%s", f->facts.customer);
	stripe_form(&form, "email", f->facts.email);
	flow_post_once(f, "POST", path, &form, on_updated);
}

void flow_customer_again(struct stripe_flow *f, flow_fn *then)
{
	free(f->facts.customer);
	f->facts.customer = NULL;
	f->then = then;
	create(f);
}

static bool is_gone(const struct stripe_flow *f)
{
	return f->http.outcome == STRIPE_NOT_FOUND ||
	       json_is_true(json_object_get(f->http.object, "deleted"));
}

static void on_checked(struct stripe_flow *f)
{
	if (is_gone(f))
		flow_customer_again(f, f->then);
	else if (f->http.outcome != STRIPE_OK)
		flow_end_by_answer(f);
	else
		f->then(f);
}

void flow_customer_check(struct stripe_flow *f, flow_fn *then)
{
	CLEANUP(free_charp) char *path = NULL;

	/* A fresh one is. */
	if (f->is_bare) {
		then(f);
		return;
	}
	f->then = then;
	path = xasprintf("/v1/customers/%s", f->facts.customer);
	flow_get(f, path, NULL, on_checked);
}

static void on_cards(struct stripe_flow *f)
{
	const json_t *cards = json_object_get(f->http.object, "data");
	const char *id = stripe_text_member(json_array_get(cards, 0), "id");

	if (f->http.outcome != STRIPE_OK) {
		flow_end_by_answer(f);
		return;
	}
	if (id)
		f->card = xstrdup(id);
	f->then(f);
}

/* Checkout saves a card without making it the default, so the newest stands in for one. */
static void list_cards(struct stripe_flow *f)
{
	CLEANUP(free_charp)
	char *path = xasprintf("/v1/customers/%s/payment_methods", f->facts.customer);
	struct buf form = BUF_INIT;

	stripe_form(&form, "type", "card");
	stripe_form_i64(&form, "limit", 1);
	flow_get(f, path, &form, on_cards);
	buf_finish(&form);
}

static void on_customer(struct stripe_flow *f)
{
	const json_t *settings = json_object_get(f->http.object, "invoice_settings");
	const json_t *card = json_object_get(settings, "default_payment_method");
	const char *type = stripe_text_member(card, "type");
	const char *id = stripe_id_member(settings, "default_payment_method");
	CLEANUP(free_charp) char *path = NULL;

	if (is_gone(f)) {
		flow_customer_again(f, f->then);
		return;
	}
	/* Of a deleted one nothing can be expanded. */
	if (f->http.outcome == STRIPE_REFUSED && f->form) {
		path = xasprintf("/v1/customers/%s", f->facts.customer);
		flow_get(f, path, NULL, on_customer);
		return;
	}
	if (f->http.outcome != STRIPE_OK) {
		flow_end_by_answer(f);
		return;
	}
	if (!id || (type && strcmp(type, "card") != 0)) {
		list_cards(f);
		return;
	}
	f->card = xstrdup(id);
	f->then(f);
}

void flow_card(struct stripe_flow *f, flow_fn *then)
{
	CLEANUP(free_charp) char *path = xasprintf("/v1/customers/%s", f->facts.customer);
	struct buf form = BUF_INIT;

	free(f->card);
	f->card = NULL;
	if (f->is_bare) {
		then(f);
		return;
	}
	f->then = then;
	stripe_form(&form, "expand[0]", "invoice_settings.default_payment_method");
	flow_get(f, path, &form, on_customer);
	buf_finish(&form);
}

static void open_portal(struct stripe_flow *f);

static void on_portal(struct stripe_flow *f)
{
	const char *url = stripe_text_member(f->http.object, "url");

	if (f->http.outcome == STRIPE_NOT_FOUND && !f->is_bare) {
		flow_customer_again(f, open_portal);
		return;
	}
	if (f->http.outcome != STRIPE_OK || !url) {
		flow_end_by_answer(f);
		return;
	}
	f->call->url = xstrdup(url);
	flow_end(f, GATEWAY_PORTAL, NULL);
}

static void open_portal(struct stripe_flow *f)
{
	struct buf form = BUF_INIT;

	stripe_form(&form, "customer", f->facts.customer);
	stripe_form(&form, "return_url", f->g->return_url);
	flow_post_once(f, "POST", "/v1/billing_portal/sessions", &form, on_portal);
}

static void portal_facts(struct stripe_flow *f)
{
	flow_customer(f, open_portal);
}

void stripe_portal(struct gateway *g, struct gateway_call *call)
{
	struct stripe_gateway *s = container_of(g, struct stripe_gateway, gateway);

	flow_facts(flow_create(s, call), portal_facts);
}
