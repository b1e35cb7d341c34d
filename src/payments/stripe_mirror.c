/*
 * The mirror at Stripe's meter, https://docs.stripe.com/billing/subscriptions/usage-based: a meter
 * of units of $0.001, a product and a price for it, all made once; a subscription a customer,
 *billed at $2; credit grants; and usage events, which count once by their name.
 *
 *	facts -> customer -> objects -> the first that is missing is found or made -> objects ...
 *	                            \-> grant, or event
 *
 * Keys: "mirror-product", "mirror-price-PRODUCT", "mirror-sub-CUSTOMER", "grant-pay_X" for a
 *payment and "grant-org_Y-SEQ" for another credit, with "-N" behind it after it was used up N
 *times.
 */

#include "payments/stripe_flow.h"

#include "base/limits.h"
#include "base/log.h"
#include "json/edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_NAME    "usage_milli_usd"
#define PRODUCT_NAME  "Usage"
#define UNIT_CENTS    "0.1"
#define THRESHOLD     200 /* cents: an invoice each $2 */
#define KEY_SIZE      160
#define LIST_MAX      100
#define MINUTE_S      60
#define DAY_MS        (24 * 60 * 60 * INT64_C(1000))
#define FUTURE_S      240 /* Stripe takes 5 minutes */
#define MINUTE_OF(ms) ((ms) / 1000 / MINUTE_S * MINUTE_S)

/* What fails here fails for every org alike, but for its subscription: somebody must look. */
static void setup_failed(struct stripe_flow *f, bool is_of_org)
{
	if (f->http.outcome == STRIPE_REFUSED || f->http.outcome == STRIPE_NOT_FOUND ||
	    f->http.outcome == STRIPE_DECLINED) {
		CLEANUP(free_charp)
		char *text = xasprintf("the meter's set-up: %s", f->http.text);

		flow_end(f, is_of_org ? GATEWAY_REFUSED : GATEWAY_FORBIDDEN, text);
		return;
	}
	flow_end_by_answer(f);
}

/* The bytes that were kept may be of an earlier customer. */
static bool names_customer(const struct stripe_flow *f)
{
	return f->form && strstr(f->form, f->facts.customer);
}

/* Another customer stands in for one that was deleted over there. */
static bool is_customer_gone(const struct stripe_flow *f)
{
	const char *param = stripe_error_member(&f->http, "param");

	return f->http.outcome == STRIPE_NOT_FOUND && !f->is_bare && param &&
	       strcmp(param, "customer") == 0 && names_customer(f);
}

/* The key's answer is lost for good, or belongs to something else. */
static bool is_used_up(const struct stripe_flow *f)
{
	return f->is_stale || f->http.outcome == STRIPE_KEY_MISUSED ||
	       (f->http.outcome == STRIPE_UNKNOWN && f->http.is_replayed) ||
	       (f->http.outcome == STRIPE_NOT_FOUND && f->form && strstr(f->form, "customer=") &&
		!names_customer(f));
}

/* Ends the flow at the limit: then it is not ours alone that went wrong. */
static bool may_try_again(struct stripe_flow *f)
{
	if (++f->attempt <= TILL_PAGES_MAX)
		return true;
	flow_end(f, GATEWAY_UNKNOWN, "no key of the mirror is free");
	return false;
}

static void post_kept(struct stripe_flow *f, const char *key, const char *path,
		      TAKES struct buf *form, flow_fn *next)
{
	CLEANUP(free_charp) char *text = NULL;

	text = f->attempt ? xasprintf("%s-%lld", key, (long long)f->attempt) : xstrdup(key);
	flow_post(f, text, path, form, NULL, next);
}

static void keep(struct stripe_flow *f, const char *name, const char *id)
{
	f->attempt = 0;
	flow_keep_object(f, name, id, mirror_read_objects);
}

/* The answer to the making of an object of a name. */
static void on_made(struct stripe_flow *f, const char *name, flow_fn *again)
{
	const char *id = stripe_text_member(f->http.object, "id");

	if (is_used_up(f)) {
		if (may_try_again(f))
			again(f);
	} else if (name == f->facts.customer && is_customer_gone(f)) {
		flow_customer_again(f, mirror_read_objects);
	} else if (f->http.outcome != STRIPE_OK || !id) {
		setup_failed(f, name == f->facts.customer);
	} else {
		log_info("event=mirror_set_up object=%s ref=%s",
			 name == f->facts.customer ? "subscription" : name, id);
		keep(f, name, id);
	}
}

typedef const char *match_fn(const struct stripe_flow *f, const json_t *item);

/* The id of the one that is meant, in this page. NULL: none. Borrowed. */
static const char *find_in_page(const struct stripe_flow *f, match_fn *match)
{
	const json_t *data = json_object_get(f->http.object, "data");
	size_t i;
	json_t *item;

	json_array_foreach (data, i, item) {
		if (match(f, item))
			return stripe_text_member(item, "id");
	}
	return NULL;
}

/* Asks for the page after this one; false when there is none. */
static bool next_page(struct stripe_flow *f, const char *path, const char *key, const char *value,
		      flow_fn *next)
{
	const json_t *data = json_object_get(f->http.object, "data");
	const json_t *last = json_array_get(data, json_array_size(data) - 1);
	const char *after = stripe_text_member(last, "id");
	struct buf form = BUF_INIT;

	if (!json_is_true(json_object_get(f->http.object, "has_more")) || !after ||
	    ++f->pages > TILL_PAGES_MAX)
		return false;
	stripe_form(&form, key, value);
	stripe_form_i64(&form, "limit", LIST_MAX);
	stripe_form(&form, "starting_after", after);
	flow_get(f, path, &form, next);
	buf_finish(&form);
	return true;
}

static void first_page(struct stripe_flow *f, const char *path, const char *key, const char *value,
		       flow_fn *next)
{
	struct buf form = BUF_INIT;

	f->pages = 0;
	stripe_form(&form, key, value);
	stripe_form_i64(&form, "limit", LIST_MAX);
	flow_get(f, path, &form, next);
	buf_finish(&form);
}

/* The meter: found by its event name, which Stripe has once only. */

static void on_meter_made(struct stripe_flow *f)
{
	on_made(f, "meter", mirror_read_objects);
}

static void make_meter(struct stripe_flow *f)
{
	struct buf form = BUF_INIT;

	stripe_form(&form, "display_name", PRODUCT_NAME);
	stripe_form(&form, "event_name", EVENT_NAME);
	stripe_form(&form, "default_aggregation[formula]", "sum");
	stripe_form(&form, "customer_mapping[type]", "by_id");
	stripe_form(&form, "customer_mapping[event_payload_key]", "stripe_customer_id");
	stripe_form(&form, "value_settings[event_payload_key]", "value");
	flow_post_once(f, "POST", "/v1/billing/meters", &form, on_meter_made);
}

static const char *is_our_meter(const struct stripe_flow *f, const json_t *item)
{
	const char *name = stripe_text_member(item, "event_name");
	const char *status = stripe_text_member(item, "status");

	(void)f;
	return name && strcmp(name, EVENT_NAME) == 0 && status && strcmp(status, "active") == 0
		       ? name
		       : NULL;
}

static void on_meters(struct stripe_flow *f)
{
	const char *id = find_in_page(f, is_our_meter);

	if (f->http.outcome != STRIPE_OK)
		setup_failed(f, false);
	else if (id)
		keep(f, "meter", id);
	else if (!next_page(f, "/v1/billing/meters", "status", "active", on_meters))
		make_meter(f);
}

/* Product and price: the answers to their keys; a lost one leaves an unused product behind. */

static void make_product(struct stripe_flow *f);
static void make_price(struct stripe_flow *f);

static void on_product(struct stripe_flow *f)
{
	on_made(f, "product", make_product);
}

static void make_product(struct stripe_flow *f)
{
	struct buf form = BUF_INIT;

	stripe_form(&form, "name", PRODUCT_NAME);
	post_kept(f, "mirror-product", "/v1/products", &form, on_product);
}

static void on_price(struct stripe_flow *f)
{
	on_made(f, "price", make_price);
}

static void make_price(struct stripe_flow *f)
{
	char key[KEY_SIZE];
	struct buf form = BUF_INIT;

	stripe_form(&form, "currency", "usd");
	stripe_form(&form, "product", f->objects.product);
	stripe_form(&form, "recurring[interval]", "month");
	stripe_form(&form, "recurring[usage_type]", "metered");
	stripe_form(&form, "recurring[meter]", f->objects.meter);
	stripe_form(&form, "unit_amount_decimal", UNIT_CENTS);
	(void)snprintf(key, sizeof(key), "mirror-price-%s", f->objects.product);
	post_kept(f, key, "/v1/prices", &form, on_price);
}

/* The customer's subscription: found by its price, so that there is one only. */

static void on_subscription(struct stripe_flow *f)
{
	on_made(f, f->facts.customer, mirror_list_subscriptions);
}

static void make_subscription(struct stripe_flow *f)
{
	char key[KEY_SIZE];
	struct buf form = BUF_INIT;

	stripe_form(&form, "customer", f->facts.customer);
	stripe_form(&form, "items[0][price]", f->objects.price);
	stripe_form_i64(&form, "billing_thresholds[amount_gte]", THRESHOLD);
	(void)snprintf(key, sizeof(key), "mirror-sub-%s", f->facts.customer);
	post_kept(f, key, "/v1/subscriptions", &form, on_subscription);
}

static const char *has_our_price(const struct stripe_flow *f, const json_t *item)
{
	const json_t *data = json_object_get(json_object_get(item, "items"), "data");
	const char *status = stripe_text_member(item, "status");
	size_t i;
	json_t *line;

	if (status && strcmp(status, "canceled") == 0)
		return NULL;

	json_array_foreach (data, i, line) {
		const char *price = stripe_id_member(line, "price");

		if (price && strcmp(price, f->objects.price) == 0)
			return price;
	}
	return NULL;
}

static void was_cancelled(struct stripe_flow *f)
{
	CLEANUP(free_charp)
	char *text = xasprintf("the subscription %s of %s was cancelled at Stripe: usage waits "
			       "until there is one with the price %s again",
			       f->objects.subscription, f->facts.customer, f->objects.price);

	flow_end(f, GATEWAY_REFUSED, text);
}

static void on_subscriptions(struct stripe_flow *f)
{
	const char *id = find_in_page(f, has_our_price);

	if (is_customer_gone(f))
		flow_customer_again(f, mirror_read_objects);
	else if (f->http.outcome != STRIPE_OK)
		setup_failed(f, true);
	else if (id)
		keep(f, f->facts.customer, id);
	else if (next_page(f, "/v1/subscriptions", "customer", f->facts.customer, on_subscriptions))
		return;
	else if (f->must_exist)
		was_cancelled(f);
	else
		make_subscription(f);
}

void mirror_list_subscriptions(struct stripe_flow *f)
{
	first_page(f, "/v1/subscriptions", "customer", f->facts.customer, on_subscriptions);
}

/* Usage. */

static void on_event(struct stripe_flow *f)
{
	const char *code = stripe_error_member(&f->http, "code");
	const char *message = stripe_error_member(&f->http, "message");

	/* A duplicate is what a lost answer leads to: it has arrived. It has no code in v1. */
	if (f->http.outcome == STRIPE_OK ||
	    (f->http.outcome == STRIPE_REFUSED &&
	     ((code && strcmp(code, "duplicate_meter_event") == 0) ||
	      (message && strstr(message, "event already exists")))))
		flow_end(f, GATEWAY_SUCCEEDED, NULL);
	else
		flow_end_by_answer(f);
}

static void send_event(struct stripe_flow *f)
{
	const struct gateway_mirror *m = f->call->mirror;
	int64_t now_ms = flow_now(f).ms, oldest_ms = now_ms - MIRROR_AGE_DAYS_MAX * DAY_MS;
	int64_t at_s = m->at.ms / 1000, latest_s = now_ms / 1000 + FUTURE_S;
	char call[ID_TEXT_SIZE];
	struct buf form = BUF_INIT;

	id_text("call", m->call, call);
	if (m->at.ms < oldest_ms) {
		log_warn("event=mirror_event_is_old call=%s age_days=%lld told_as_days=%d", call,
			 (long long)((now_ms - m->at.ms) / DAY_MS), (int)MIRROR_AGE_DAYS_MAX);
		at_s = oldest_ms / 1000;
	}
	stripe_form(&form, "event_name", EVENT_NAME);
	stripe_form(&form, "identifier", call);
	stripe_form(&form, "payload[stripe_customer_id]", f->facts.customer);
	stripe_form_i64(&form, "payload[value]", m->units);
	stripe_form_i64(&form, "timestamp", at_s < latest_s ? at_s : latest_s);
	flow_post_once(f, "POST", "/v1/billing/meter_events", &form, on_event);
}

static void on_sums(struct stripe_flow *f)
{
	const struct gateway_mirror *m = f->call->mirror;
	const json_t *data = json_object_get(f->http.object, "data");
	int64_t sum = 0, part, want;
	size_t i;
	json_t *item;

	if (f->http.outcome != STRIPE_OK) {
		flow_end_by_answer(f);
		return;
	}
	json_array_foreach (data, i, item) {
		if (!edge_i64(json_object_get(item, "aggregated_value"), &part) ||
		    __builtin_add_overflow(sum, part, &sum)) {
			flow_end(f, GATEWAY_REFUSED, "the meter's sum cannot be read");
			return;
		}
	}
	if (!__builtin_add_overflow(m->units_told, m->units, &want) && sum >= want)
		flow_end(f, GATEWAY_SUCCEEDED, NULL);
	else
		send_event(f);
}

/* The event's name may be forgotten: the sum tells whether it is in. */
static void ask_sums(struct stripe_flow *f)
{
	CLEANUP(free_charp)
	char *path = xasprintf("/v1/billing/meters/%s/event_summaries", f->objects.meter);
	int64_t now_ms = flow_now(f).ms, from_ms = f->call->mirror->since.ms;
	int64_t to_ms = f->call->mirror->at.ms;
	struct buf form = BUF_INIT;

	/* The clock may have been set back since it was sent. */
	if (to_ms < now_ms)
		to_ms = now_ms;
	if (from_ms > now_ms - MIRROR_AGE_DAYS_MAX * DAY_MS)
		from_ms = now_ms - MIRROR_AGE_DAYS_MAX * DAY_MS;
	stripe_form(&form, "customer", f->facts.customer);
	stripe_form_i64(&form, "start_time", MINUTE_OF(from_ms) - MINUTE_S);
	stripe_form_i64(&form, "end_time", MINUTE_OF(to_ms) + MINUTE_S);
	flow_get(f, path, &form, on_sums);
	buf_finish(&form);
}

/* Credit. */

static void grant_key(const struct stripe_flow *f, char out[KEY_SIZE])
{
	const struct gateway_mirror *m = f->call->mirror;
	char id[ID_TEXT_SIZE];

	if (!id_is_none(m->payment)) {
		payment_id_text(m->payment, id);
		(void)snprintf(out, KEY_SIZE, "grant-%s", id);
	} else {
		id_text("org", f->call->org, id);
		(void)snprintf(out, KEY_SIZE, "grant-%s-%lld", id, (long long)m->seq);
	}
}

static void list_grants(struct stripe_flow *f);

static void on_grant(struct stripe_flow *f)
{
	const char *id = stripe_text_member(f->http.object, "id");

	if (is_used_up(f)) {
		list_grants(f);
	} else if (is_customer_gone(f)) {
		flow_customer_again(f, mirror_read_objects);
	} else if (f->http.outcome != STRIPE_OK || !id) {
		flow_end_by_answer(f);
	} else {
		f->call->ref = xstrdup(id);
		flow_end(f, GATEWAY_SUCCEEDED, NULL);
	}
}

static void send_grant(struct stripe_flow *f)
{
	const struct gateway_mirror *m = f->call->mirror;
	bool is_paid = !id_is_none(m->payment);
	char key[KEY_SIZE], payment[ID_TEXT_SIZE];
	struct buf form = BUF_INIT;

	grant_key(f, key);
	stripe_form(&form, "customer", f->facts.customer);
	stripe_form(&form, "amount[type]", "monetary");
	stripe_form(&form, "amount[monetary][currency]", "usd");
	stripe_form_cents(&form, "amount[monetary][value]", m->credit);
	stripe_form(&form, "applicability_config[scope][price_type]", "metered");
	stripe_form(&form, "category", is_paid ? "paid" : "promotional");
	stripe_form(&form, "name",
		    is_paid  ? "Tokens"
		    : m->seq ? "Free tokens"
			     : "Balance before metering");
	if (is_paid) {
		payment_id_text(m->payment, payment);
		stripe_form(&form, "metadata[payment_id]", payment);
	}
	stripe_form(&form, "metadata[grant]", key);
	post_kept(f, key, "/v1/billing/credit_grants", &form, on_grant);
}

static const char *is_this_grant(const struct stripe_flow *f, const json_t *item)
{
	const char *name = stripe_text_member(json_object_get(item, "metadata"), "grant");
	char key[KEY_SIZE];

	grant_key(f, key);
	return name && strcmp(name, key) == 0 ? name : NULL;
}

static void on_grants(struct stripe_flow *f)
{
	const char *id = find_in_page(f, is_this_grant);

	if (f->http.outcome != STRIPE_OK) {
		flow_end_by_answer(f);
	} else if (id) {
		f->call->ref = xstrdup(id);
		flow_end(f, GATEWAY_SUCCEEDED, NULL);
	} else if (!next_page(f, "/v1/billing/credit_grants", "customer", f->facts.customer,
			      on_grants) &&
		   may_try_again(f)) {
		send_grant(f);
	}
}

/* Nobody knows the key any more: it is looked for before another one is used. */
static void list_grants(struct stripe_flow *f)
{
	first_page(f, "/v1/billing/credit_grants", "customer", f->facts.customer, on_grants);
}

void mirror_next_step(struct stripe_flow *f)
{
	if (!f->objects.meter)
		first_page(f, "/v1/billing/meters", "status", "active", on_meters);
	else if (!f->objects.product)
		make_product(f);
	else if (!f->objects.price)
		make_price(f);
	else if (!f->objects.subscription)
		mirror_list_subscriptions(f);
	else if (f->call->mirror->is_grant)
		send_grant(f);
	else if (f->call->mirror->wants_check && !f->is_checked)
		mirror_check(f);
	else if (f->call->mirror->is_old)
		ask_sums(f);
	else
		send_event(f);
}

static bool objects_step(struct wallet_query *query, struct db *db)
{
	struct stripe_flow *f = container_of(query, struct stripe_flow, query);

	if (stripe_objects_read(db, f->g->gateway.name, f->facts.customer, &f->objects) != DB_OK)
		query->is_failed = true;
	return true;
}

static void objects_done(struct wallet_query *query)
{
	struct stripe_flow *f = container_of(query, struct stripe_flow, query);

	if (query->is_failed)
		flow_end(f, GATEWAY_UNKNOWN, NULL);
	else
		mirror_next_step(f);
}

void mirror_read_objects(struct stripe_flow *f)
{
	stripe_objects_finish(&f->objects);
	f->query = (struct wallet_query){
		.step = objects_step,
		.done = objects_done,
		.deadline = f->call->give_up,
	};
	wallet_query(f->g->wallet, &f->query);
}

static void on_facts(struct stripe_flow *f)
{
	flow_customer(f, mirror_read_objects);
}

void stripe_mirror(struct gateway *g, struct gateway_call *call)
{
	struct stripe_gateway *s = container_of(g, struct stripe_gateway, gateway);

	flow_facts(flow_create(s, call), on_facts);
}
