/*
 * The saved card, charged off-session; without one, or when the bank wants its owner, a page to pay
 * at, which saves the card.
 */

#include "payments/stripe_flow.h"

#include "base/limits.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Where a payer lands when the operator names no page of his own. */
#define LANDING "https://example.com/"

static void post_intent(struct stripe_flow *f);
static void post_session(struct stripe_flow *f);
static void reconcile_intent(struct stripe_flow *f);

static bool is_text(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

static void put_about(struct stripe_flow *f, struct buf *form, const char *prefix)
{
	static const char *const NAMES[] = {"purchase_id", "org_id", "credit_cents"};
	char texts[ARRAY_LEN(NAMES)][MONEY_TEXT_SIZE];

	payment_id_text(f->call->payment->id, texts[0]);
	id_text("org", f->call->org, texts[1]);
	cents_text(f->call->payment->credit, texts[2]);
	for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
		CLEANUP(free_charp) char *key = xasprintf("%s[%s]", prefix, NAMES[i]);

		stripe_form(form, key, texts[i]);
	}
}

/* "2500 tokens": what is bought. */
static char *what_is_bought(const struct payment_view *p)
{
	char tokens[MONEY_TEXT_SIZE];

	tokens_text(payment_credit(p), tokens);
	return xasprintf("%s tokens", tokens);
}

static void set_text(char **to, const char *text)
{
	free(*to);
	*to = text ? xstrdup(text) : NULL;
}

/* Ours, over the right sum. Else something is wrong that no answer can mend. */
static bool is_sound(const struct stripe_flow *f, struct cents paid, const char *what)
{
	const json_t *object = f->http.object;
	const struct payment_view *p = f->call->payment;

	if (cents_cmp(paid, stripe_total(p)) == 0 &&
	    is_text(stripe_text_member(object, "currency"), "usd") &&
	    id_eq(stripe_payment_of(object), p->id))
		return true;
	log_fault("event=paid_amount_differs %s=%s action=not_credited", what,
		  stripe_text_member(object, "id") ? stripe_text_member(object, "id") : "none");
	return false;
}

static void on_canceled(struct stripe_flow *f)
{
	if (f->http.outcome == STRIPE_UNKNOWN || f->http.outcome == STRIPE_FORBIDDEN) {
		flow_end_by_answer(f);
		return;
	}
	if (f->http.outcome != STRIPE_OK) {
		/* It is in another state than we thought. */
		CLEANUP(free_charp) char *path = xasprintf("/v1/payment_intents/%s", f->object);

		flow_get(f, path, NULL, charge_read_intent);
		return;
	}
	charge_read_intent(f);
}

/* Only its owner can use this card now: the intent is ended before another way to pay is opened, so
 * that not both can be paid. */
static void wants_owner(struct stripe_flow *f, const char *intent)
{
	CLEANUP(free_charp) char *path = NULL;

	if (!intent) {
		flow_end(f, GATEWAY_UNKNOWN, NULL);
		return;
	}
	set_text(&f->object, intent);
	path = xasprintf("/v1/payment_intents/%s/cancel", f->object);
	flow_post_once(f, "POST", path, NULL, on_canceled);
}

static void intent_is_canceled(struct stripe_flow *f)
{
	if (!f->facts.has_intent || f->call->payment->ref) {
		flow_end(f, GATEWAY_CANCELLED, NULL);
		return;
	}
	/* By us, when the bank wanted the owner. */
	if (f->call->payment->kind == PAYMENT_RELOAD)
		flow_end(f, GATEWAY_ACTION_REQUIRED, NULL);
	else
		post_session(f);
}

static bool wants_no_retry(const json_t *error)
{
	static const char *const CODES[] = {"lost_card", "stolen_card", "expired_card",
					    "pickup_card", "incorrect_number"};
	const char *advice = stripe_text_member(error, "advice_code");
	const char *decline = stripe_text_member(error, "decline_code");
	const char *code = stripe_text_member(error, "code");

	if (is_text(advice, "do_not_try_again"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(CODES); i++) {
		if (is_text(decline, CODES[i]) || is_text(code, CODES[i]))
			return true;
	}
	return false;
}

static bool is_for_owner(const json_t *error)
{
	return is_text(stripe_text_member(error, "code"), "authentication_required") ||
	       is_text(stripe_text_member(error, "decline_code"), "authentication_required");
}

static void declined(struct stripe_flow *f, const json_t *error)
{
	const char *code = stripe_text_member(error, "decline_code");
	const char *message = stripe_text_member(error, "message");
	CLEANUP(free_charp) char *reason = NULL;

	if (!code)
		code = stripe_text_member(error, "code");
	reason = xasprintf("%s: %s", code ? code : "card_declined",
			   message ? message : "The card was declined.");
	f->call->never_retry = wants_no_retry(error);
	flow_end(f, GATEWAY_DECLINED, reason);
}

static void intent_succeeded(struct stripe_flow *f, const char *id)
{
	struct cents received = {0};

	if (!stripe_cents_member(f->http.object, "amount_received", &received))
		received = (struct cents){0};
	if (!is_sound(f, received, "intent")) {
		flow_end(f, GATEWAY_UNKNOWN, NULL);
		return;
	}
	set_text(&f->call->ref, id);
	set_text(&f->call->charge_ref, id);
	flow_end(f, GATEWAY_SUCCEEDED, NULL);
}

static void still_processing(struct stripe_flow *f)
{
	flow_end(f, GATEWAY_UNKNOWN, NULL);
}

void charge_read_intent(struct stripe_flow *f)
{
	const json_t *object = f->http.object;
	const json_t *error = json_object_get(object, "last_payment_error");
	const char *id = stripe_text_member(object, "id");
	const char *status = stripe_text_member(object, "status");

	if (f->http.outcome == STRIPE_NOT_FOUND) {
		flow_end(f, GATEWAY_CANCELLED, "it is not known at Stripe");
	} else if (f->http.outcome != STRIPE_OK || !id || !status) {
		flow_end_by_answer(f);
	} else if (strcmp(status, "succeeded") == 0) {
		intent_succeeded(f, id);
	} else if (strcmp(status, "canceled") == 0) {
		intent_is_canceled(f);
	} else if (strcmp(status, "processing") == 0) {
		/* Under its key the answer would be this one for ever: it is asked by its name. */
		CLEANUP(free_charp) char *ref = xstrdup(id);

		flow_note(f, ref, still_processing);
	} else if (strcmp(status, "requires_payment_method") == 0 && json_is_object(error) &&
		   !is_for_owner(error)) {
		set_text(&f->call->ref, id);
		declined(f, error);
	} else {
		CLEANUP(free_charp) char *intent = xstrdup(id);

		wants_owner(f, intent);
	}
}

/* The answer under the key will not say what happened: a list may. After a failure that is not kept
 * under it (or not said to be) a repetition may make it happen yet. */
static bool says_nothing(struct stripe_flow *f)
{
	const struct stripe_call *http = &f->http;

	f->may_come_yet = !f->is_stale && http->outcome == STRIPE_UNKNOWN && !http->is_replayed;
	return f->is_stale || http->outcome == STRIPE_KEY_MISUSED ||
	       (http->outcome == STRIPE_UNKNOWN && (http->is_replayed || http->status >= 500));
}

static void on_intent(struct stripe_flow *f)
{
	const json_t *intent = json_object_get(f->http.error, "payment_intent");

	f->facts.has_intent = true;
	if (says_nothing(f)) {
		reconcile_intent(f);
	} else if (f->http.outcome == STRIPE_OK) {
		charge_read_intent(f);
	} else if (f->http.outcome == STRIPE_DECLINED && is_for_owner(f->http.error)) {
		CLEANUP(free_charp) char *id = NULL;

		if (stripe_text_member(intent, "id"))
			id = xstrdup(stripe_text_member(intent, "id"));
		wants_owner(f, id);
	} else if (f->http.outcome == STRIPE_DECLINED) {
		set_text(&f->call->ref, stripe_text_member(intent, "id"));
		declined(f, f->http.error);
	} else {
		flow_end_by_answer(f);
	}
}

static void post_intent(struct stripe_flow *f)
{
	const struct payment_view *p = f->call->payment;
	CLEANUP(free_charp) char *description = what_is_bought(p);
	struct buf form = BUF_INIT;
	char key[ID_TEXT_SIZE];

	payment_id_text(p->id, key);
	stripe_form_cents(&form, "amount", stripe_total(p));
	stripe_form(&form, "currency", "usd");
	stripe_form(&form, "customer", f->facts.customer);
	stripe_form(&form, "payment_method", f->card);
	stripe_form(&form, "allowed_payment_method_types[0]", "card");
	stripe_form_bool(&form, "off_session", true);
	stripe_form_bool(&form, "confirm", true);
	stripe_form(&form, "description", description);
	put_about(f, &form, "metadata");
	flow_post(f, key, "/v1/payment_intents", &form, NULL, on_intent);
}

void charge_read_session(struct stripe_flow *f)
{
	const json_t *object = f->http.object;
	const char *status = stripe_text_member(object, "status");
	const char *url = stripe_text_member(object, "url");
	const char *intent = stripe_id_member(object, "payment_intent");
	struct cents total = {0};

	if (f->http.outcome == STRIPE_NOT_FOUND) {
		flow_end(f, GATEWAY_CANCELLED, "its page is not known at Stripe");
		return;
	}
	if (f->http.outcome != STRIPE_OK || !status) {
		flow_end_by_answer(f);
		return;
	}
	set_text(&f->call->ref, stripe_text_member(object, "id"));
	if (strcmp(status, "expired") == 0) {
		flow_end(f, GATEWAY_CANCELLED, NULL);
	} else if (strcmp(status, "complete") != 0 ||
		   !is_text(stripe_text_member(object, "payment_status"), "paid")) {
		set_text(&f->call->url, url);
		flow_end(f, f->facts.has_intent ? GATEWAY_ACTION_REQUIRED : GATEWAY_OPEN, NULL);
	} else if (!stripe_cents_member(object, "amount_total", &total) ||
		   !is_sound(f, total, "session") || !intent) {
		flow_end(f, GATEWAY_UNKNOWN, NULL);
	} else {
		set_text(&f->call->charge_ref, intent);
		flow_end(f, GATEWAY_SUCCEEDED, NULL);
	}
}

/* The list is newest first; ours is the one that names the payment. False: not on this page. */
static json_t *find_ours(struct stripe_flow *f)
{
	const json_t *data = json_object_get(f->http.object, "data");
	json_t *object;
	size_t i;

	json_array_foreach (data, i, object) {
		if (id_eq(stripe_payment_of(object), f->call->payment->id))
			return json_incref(object);
	}
	return NULL;
}

static void list_page(struct stripe_flow *f, const char *path, bool by_time, const char *after,
		      flow_fn *next)
{
	struct buf form = BUF_INIT;

	stripe_form(&form, "customer", f->facts.customer);
	if (by_time)
		flow_form_since(f, &form);
	stripe_form_i64(&form, "limit", 100);
	stripe_form(&form, "starting_after", after);
	flow_get(f, path, &form, next);
	buf_finish(&form);
}

/* True when the answer has been dealt with: ours was found (it stands as http.object then and read
 * goes on with it), there is another page, or none of it can be read. */
static bool look_through(struct stripe_flow *f, const char *path, bool by_time, flow_fn *again,
			 flow_fn *read)
{
	const json_t *data = json_object_get(f->http.object, "data");
	json_t *ours;
	const char *last;

	if (f->http.outcome != STRIPE_OK) {
		flow_end_by_answer(f);
		return true;
	}
	ours = find_ours(f);
	if (ours) {
		json_decref(f->http.object);
		f->http.object = ours;
		read(f);
		return true;
	}
	last = stripe_text_member(json_array_get(data, json_array_size(data) - 1), "id");
	if (last && json_is_true(json_object_get(f->http.object, "has_more"))) {
		CLEANUP(free_charp) char *after = xstrdup(last);

		/* What was not looked at may be ours. */
		if (++f->pages < TILL_PAGES_MAX)
			list_page(f, path, by_time, after, again);
		else
			flow_end(f, GATEWAY_UNKNOWN, NULL);
		return true;
	}
	return false;
}

/* What Stripe does not know did not happen; but it may be on its way yet, or happen with the next
 * repetition. */
static void is_nowhere(struct stripe_flow *f)
{
	if (f->may_come_yet || flow_may_be_under_way(f))
		flow_end(f, GATEWAY_UNKNOWN, NULL);
	else
		flow_end(f, GATEWAY_CANCELLED, "Stripe did not take it, and nothing was charged");
}

static void on_intents(struct stripe_flow *f)
{
	if (!look_through(f, "/v1/payment_intents", true, on_intents, charge_read_intent))
		is_nowhere(f);
}

static void reconcile_intent(struct stripe_flow *f)
{
	f->pages = 0;
	if (f->facts.customer)
		list_page(f, "/v1/payment_intents", true, NULL, on_intents);
	else
		flow_end(f, GATEWAY_UNKNOWN, NULL);
}

static void on_sessions(struct stripe_flow *f)
{
	if (!look_through(f, "/v1/checkout/sessions", false, on_sessions, charge_read_session))
		is_nowhere(f);
}

static void on_session(struct stripe_flow *f)
{
	f->facts.has_session = true;
	if (says_nothing(f)) {
		f->pages = 0;
		list_page(f, "/v1/checkout/sessions", false, NULL, on_sessions);
	} else {
		charge_read_session(f);
	}
}

static void post_session(struct stripe_flow *f)
{
	const struct payment_view *p = f->call->payment;
	const char *landing = f->g->return_url ? f->g->return_url : LANDING;
	CLEANUP(free_charp) char *name = what_is_bought(p);
	char id[ID_TEXT_SIZE], key[ID_TEXT_SIZE + 16];
	struct buf form = BUF_INIT;

	payment_id_text(p->id, id);
	(void)snprintf(key, sizeof(key), "%s-session", id);
	stripe_form(&form, "mode", "payment");
	stripe_form(&form, "customer", f->facts.customer);
	stripe_form(&form, "success_url", landing);
	stripe_form(&form, "cancel_url", landing);
	stripe_form(&form, "allowed_payment_method_types[0]", "card");
	stripe_form(&form, "line_items[0][price_data][currency]", "usd");
	stripe_form_cents(&form, "line_items[0][price_data][unit_amount]", stripe_total(p));
	stripe_form(&form, "line_items[0][price_data][product_data][name]", name);
	stripe_form_i64(&form, "line_items[0][quantity]", 1);
	stripe_form(&form, "payment_intent_data[setup_future_usage]", "off_session");
	put_about(f, &form, "payment_intent_data[metadata]");
	put_about(f, &form, "metadata");
	flow_post(f, key, "/v1/checkout/sessions", &form, NULL, on_session);
}

static void on_card(struct stripe_flow *f)
{
	if (f->card)
		post_intent(f);
	else if (f->call->payment->kind == PAYMENT_RELOAD)
		flow_end(f, GATEWAY_OPEN, NULL); /* nobody is there to pay */
	else
		post_session(f);
}

static void on_customer(struct stripe_flow *f)
{
	if (f->call->payment->kind == PAYMENT_CHECKOUT)
		flow_customer_check(f, post_session);
	else
		flow_card(f, on_card);
}

static void charge_facts(struct stripe_flow *f)
{
	const struct payment_view *p = f->call->payment;
	int64_t age_ms = flow_now(f).ms - p->created.ms;

	if (p->ref)
		flow_ask(f, p->ref);
	else if (f->facts.has_session && f->facts.customer)
		post_session(f);
	else if (f->facts.has_intent)
		post_intent(f);
	else if (age_ms > TILL_BEGIN_MS)
		flow_end(f, GATEWAY_CANCELLED, "it was not begun in time, and nothing was charged");
	else
		flow_customer(f, on_customer);
}

void stripe_charge(struct gateway *g, struct gateway_call *call)
{
	struct stripe_gateway *s = container_of(g, struct stripe_gateway, gateway);

	flow_facts(flow_create(s, call), charge_facts);
}
