/*
 * Stripe's own metering: products, prices, subscriptions, meters and credit grants. Nothing is
 * billed by it; the credits of a grant are there until the control interface spends them.
 */

#include "stripe_double.h"

#include <string.h>

enum {
	IDENTIFIER_MAX = 100,
	METER_VALUE_DIGITS_MAX = 15,
	METER_AGE_S_MAX = 35 * DAY_S,
	METER_AHEAD_S_MAX = 5 * 60,
	GRANTS_UNUSED_MAX = 100,
	MONTH_S = 30 * DAY_S,
};

void product_create(struct call *c)
{
	const char *id = text_of(c->params, "id");
	json_t *product;

	if (id != NULL && json_object_get(c->fake->by_id, id) != NULL) {
		refuse(c, 400, "resource_already_exists", "id", "Product already exists.");
		return;
	}
	product = store_new(c->fake, "product");
	if (id != NULL) {
		(void)json_object_del(c->fake->by_id, text_of(product, "id"));
		put_text(product, "id", id);
		(void)json_object_set(c->fake->by_id, id, product);
	}
	put_params(product, c->params, "active description name statement_descriptor unit_label");
	put_metadata(product, c->params);
	put_int(product, "updated", fake_now(c->fake));
	emit(c->fake, "product.created", product);
	answer(c, product);
}

static bool recurring_may(struct call *c, const json_t *recurring)
{
	bool is_metered = text_is(recurring, "usage_type", "metered");
	const char *meter = text_of(recurring, "meter");

	if (is_metered && meter == NULL)
		refuse(c, 400, "parameter_missing", "recurring[meter]",
		       "Prices with `usage_type=metered` must be backed by meters. Please specify "
		       "`recurring[meter]`.");
	else if (!is_metered && meter != NULL)
		refuse(c, 400, NULL, "recurring[meter]",
		       "`recurring[meter]` is only for `usage_type=metered`.");
	else if (meter != NULL)
		(void)store_need(c, "billing.meter", meter, "recurring[meter]");
	return c->status == 0;
}

void price_create(struct call *c)
{
	const json_t *recurring = json_object_get(c->params, "recurring");
	const char *product = text_of(c->params, "product");
	json_t *price;

	if (product == NULL) {
		refuse(c, 400, "parameter_missing", "product", "Missing required param: product.");
		return;
	}
	if (store_need(c, "product", product, "product") == NULL)
		return;
	if (has(c->params, "unit_amount") == has(c->params, "unit_amount_decimal")) {
		refuse(c, 400, "parameter_missing", "unit_amount",
		       "Prices require one of `unit_amount` and `unit_amount_decimal`.");
		return;
	}
	if (recurring != NULL && !recurring_may(c, recurring))
		return;
	price = store_new(c->fake, "price");
	put_params(price, c->params,
		   "active billing_scheme currency lookup_key nickname product tax_behavior "
		   "unit_amount unit_amount_decimal");
	put_metadata(price, c->params);
	if (recurring != NULL) {
		json_t *made = json_pack("{s:n, s:i, s:n, s:n, s:s}", "interval", "interval_count",
					 1, "meter", "trial_period_days", "usage_type", "licensed");

		put_params(made, recurring, "interval interval_count meter usage_type");
		put(price, "recurring", made);
		put_text(price, "type", "recurring");
	}
	emit(c->fake, "price.created", price);
	answer(c, price);
}

void price_list(struct call *c)
{
	answer_list(c, "price", NULL);
}

static bool items_may(struct call *c)
{
	const json_t *items = json_object_get(c->params, "items");
	size_t i;
	json_t *item;

	if (json_array_size(items) == 0)
		refuse(c, 400, "parameter_missing", "items", "Missing required param: items.");
	json_array_foreach ((json_t *)(uintptr_t)items, i, item) {
		const char *id = text_of(item, "price");
		const json_t *price;

		if (id == NULL) {
			refuse(c, 400, "parameter_missing", "items[0][price]",
			       "Missing required param: items[0][price].");
			return false;
		}
		price = store_need(c, "price", id, "items[0][price]");
		if (price == NULL)
			return false;
		if (!has(price, "recurring")) {
			refuse(c, 400, NULL, "items[0][price]",
			       "The price specified is set to `type=one_time` but this field only "
			       "accepts prices with `type=recurring`.");
			return false;
		}
		if (has(item, "quantity") &&
		    text_is(json_object_get(price, "recurring"), "usage_type", "metered")) {
			refuse(c, 400, NULL, "items[0][quantity]",
			       "You cannot set the quantity for metered plans.");
			return false;
		}
	}
	return c->status == 0;
}

void subscription_create(struct call *c)
{
	json_t *items = json_array();
	const json_t *given = json_object_get(c->params, "items");
	const json_t *thresholds = json_object_get(c->params, "billing_thresholds");
	int64_t now = fake_now(c->fake);
	json_t *subscription;
	size_t i;
	json_t *one;

	if (need_customer(c) == NULL || !items_may(c)) {
		json_decref(items);
		return;
	}
	subscription = store_new(c->fake, "subscription");
	json_array_foreach ((json_t *)(uintptr_t)given, i, one) {
		json_t *item = shape_new(c->fake, "subscription_item");

		put(item, "price",
		    json_deep_copy(store_find(c->fake, "price", text_of(one, "price"))));
		put_params(item, one, "quantity");
		put_metadata(item, one);
		put_text(item, "subscription", text_of(subscription, "id"));
		put_int(item, "current_period_start", now);
		put_int(item, "current_period_end", now + MONTH_S);
		(void)json_array_append_new(items, item);
	}
	put(subscription, "items", list_of(items, "/v1/subscription_items"));
	put_params(subscription, c->params,
		   "customer cancel_at_period_end collection_method currency "
		   "default_payment_method description");
	if (json_is_object(thresholds))
		put(subscription, "billing_thresholds",
		    json_pack("{s:O?, s:b}", "amount_gte",
			      json_object_get(thresholds, "amount_gte"),
			      "reset_billing_cycle_anchor", 0));
	put_metadata(subscription, c->params);
	put_int(subscription, "billing_cycle_anchor", now);
	put_int(subscription, "start_date", now);
	emit(c->fake, "customer.subscription.created", subscription);
	answer(c, subscription);
}

/* Those that were canceled are in no list unless they are asked for. */
static bool is_not_canceled(const json_t *subscription, struct call *c)
{
	(void)c;
	return !text_is(subscription, "status", "canceled");
}

void subscription_list(struct call *c)
{
	answer_list(c, "subscription", is_not_canceled);
}

void subscription_get(struct call *c)
{
	const json_t *subscription = store_need(c, "subscription", c->id, "id");

	if (subscription != NULL)
		answer(c, subscription);
}

void subscription_cancel(struct fake *f, json_t *subscription)
{
	if (text_is(subscription, "status", "canceled"))
		return;
	put_text(subscription, "status", "canceled");
	put_int(subscription, "canceled_at", fake_now(f));
	put_int(subscription, "ended_at", fake_now(f));
	emit(f, "customer.subscription.deleted", subscription);
}

void meter_get(struct call *c)
{
	const json_t *meter = store_need(c, "billing.meter", c->id, "id");

	if (meter != NULL)
		answer(c, meter);
}

void meter_create(struct call *c)
{
	const json_t *all = store_all(c->fake, "billing.meter");
	const char *name = text_of(c->params, "event_name");
	json_t *meter;

	for (size_t i = 0; i < json_array_size(all); i++) {
		if (text_is(json_array_get(all, i), "event_name", name) &&
		    text_is(json_array_get(all, i), "status", "active")) {
			refuse(c, 400, "resource_already_exists", "event_name",
			       "An active meter already uses the event name %s.", name);
			return;
		}
	}
	meter = store_new(c->fake, "billing.meter");
	put_params(meter, c->params,
		   "customer_mapping default_aggregation display_name event_name "
		   "event_time_window value_settings");
	put_int(meter, "updated", fake_now(c->fake));
	emit(c->fake, "billing.meter.created", meter);
	answer(c, meter);
}

void meter_list(struct call *c)
{
	answer_list(c, "billing.meter", NULL);
}

/* What Stripe finds out later and tells by a thin event; NULL when all is well. */
static const char *late_fault(const struct fake *f, const json_t *event)
{
	const json_t *meter = store_by(f, "billing.meter", "event_name",
				       text_of(event, "event_name"));
	const json_t *payload = json_object_get(event, "payload");
	const char *by;
	const char *value;

	if (meter == NULL)
		return "no_meter";
	if (!text_is(meter, "status", "active"))
		return "archived_meter";
	by = text_of(payload,
		     text_of(json_object_get(meter, "customer_mapping"), "event_payload_key"));
	value = text_of(payload,
			text_of(json_object_get(meter, "value_settings"), "event_payload_key"));
	if (by == NULL)
		return "meter_event_no_customer_defined";
	if (store_find(f, "customer", by) == NULL)
		return "meter_event_customer_not_found";
	if (value == NULL)
		return "meter_event_value_not_found";
	if (*value == '\0' || strspn(value, "0123456789") != strlen(value) ||
	    strlen(value) > METER_VALUE_DIGITS_MAX)
		return "meter_event_invalid_value";
	return NULL;
}

static bool identifier_may(struct call *c, const char *identifier)
{
	const json_t *all = store_all(c->fake, "billing.meter_event");

	if (identifier == NULL)
		return true;
	if (strlen(identifier) > IDENTIFIER_MAX) {
		refuse(c, 400, NULL, "identifier", "Invalid string: at most 100 characters");
		return false;
	}
	for (size_t i = json_array_size(all); i > 0; i--) {
		const json_t *one = json_array_get(all, i - 1);

		if (text_is(one, "identifier", identifier) &&
		    int_of(one, "created") > fake_now(c->fake) - DAY_S) {
			refuse(c, 400, NULL, NULL, "An event already exists with identifier %s.",
			       identifier);
			return false;
		}
	}
	return true;
}

void meter_event_create(struct call *c)
{
	const char *identifier = text_of(c->params, "identifier");
	int64_t now = fake_now(c->fake);
	int64_t at = has(c->params, "timestamp") ? int_of(c->params, "timestamp") : now;
	char *random CLEANUP(free_charp) = random_id("", 36);
	const char *fault;
	json_t *event;

	if (at < now - METER_AGE_S_MAX || at > now + METER_AHEAD_S_MAX) {
		refuse(c, 400, NULL, "timestamp",
		       "The timestamp must be within the past 35 calendar days or up to 5 minutes "
		       "in the future.");
		return;
	}
	if (!identifier_may(c, identifier))
		return;
	event = store_new(c->fake, "billing.meter_event");
	put_params(event, c->params, "event_name payload");
	put_text(event, "identifier", identifier == NULL ? random : identifier);
	put_int(event, "timestamp", at);
	fault = late_fault(c->fake, event);
	if (fault != NULL)
		(void)json_array_append_new(c->fake->meter_faults,
					    json_pack("{s:O, s:s}", "identifier",
						      json_object_get(event, "identifier"), "code",
						      fault));
	answer(c, event);
}

static bool is_counted(const json_t *event, const json_t *meter, const struct call *c)
{
	const json_t *payload = json_object_get(event, "payload");
	const json_t *mapping = json_object_get(meter, "customer_mapping");
	int64_t at = int_of(event, "timestamp");

	return text_is(event, "event_name", text_of(meter, "event_name")) &&
	       text_is(payload, text_of(mapping, "event_payload_key"),
		       text_of(c->params, "customer")) &&
	       at >= int_of(c->params, "start_time") && at < int_of(c->params, "end_time");
}

/* One sum over the whole time; windows are not served. */
void meter_sums(struct call *c)
{
	const json_t *meter = store_need(c, "billing.meter", c->id, "id");
	const json_t *all = store_all(c->fake, "billing.meter_event");
	int64_t start = int_of(c->params, "start_time"), end = int_of(c->params, "end_time");
	int64_t sum = 0;
	int64_t value;
	json_t *found;

	if (meter == NULL || need_customer(c) == NULL)
		return;
	if (start % 60 != 0 || end % 60 != 0 || start >= end) {
		refuse(c, 400, NULL, "start_time",
		       "`start_time` and `end_time` must be aligned with minute boundaries.");
		return;
	}
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *event = json_array_get(all, i);
		const char *text = text_of(json_object_get(event, "payload"), "value");

		if (is_counted(event, meter, c) &&
		    parse_i64(slice_of(text), 0, INT64_MAX - sum, &value))
			sum += value;
	}
	found = json_pack("[{s:s, s:s, s:I, s:I, s:I, s:s, s:b}]", "object",
			  "billing.meter_event_summary", "id", "mtrusg_1", "aggregated_value",
			  (json_int_t)sum, "start_time", (json_int_t)start, "end_time",
			  (json_int_t)end, "meter", c->id, "livemode", 0);
	found = list_of(found, "/v1/billing/meters");
	answer(c, found);
	json_decref(found);
}

static bool is_usable(const struct fake *f, const json_t *grant)
{
	return !has(grant, "voided_at") && int_of(grant, "effective_at") <= fake_now(f) &&
	       (!has(grant, "expires_at") || int_of(grant, "expires_at") > fake_now(f));
}

static int64_t grant_left(const struct fake *f, const json_t *grant)
{
	const json_t *money = json_object_get(json_object_get(grant, "amount"), "monetary");

	return int_of(money, "value") - int_of(f->hidden, text_of(grant, "id"));
}

static int64_t unused_grants(const struct fake *f, const char *customer)
{
	const json_t *all = store_all(f, "billing.credit_grant");
	int64_t count = 0;

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *grant = json_array_get(all, i);

		count += text_is(grant, "customer", customer) && is_usable(f, grant) &&
			 grant_left(f, grant) > 0;
	}
	return count;
}

void grant_create(struct call *c)
{
	const json_t *amount = json_object_get(c->params, "amount");
	const json_t *money = json_object_get(amount, "monetary");
	json_t *grant;

	if (need_customer(c) == NULL)
		return;
	if (money == NULL || int_of(money, "value") < 1) {
		refuse(c, 400, "parameter_missing", "amount[monetary]",
		       "Missing required param: amount[monetary].");
		return;
	}
	if (unused_grants(c->fake, text_of(c->params, "customer")) >= GRANTS_UNUSED_MAX) {
		refuse(c, 400, NULL, NULL,
		       "A customer can have at most 100 unused credit grants at a time.");
		return;
	}
	grant = store_new(c->fake, "billing.credit_grant");
	put_int(grant, "effective_at", fake_now(c->fake));
	put_params(grant, c->params,
		   "amount applicability_config category customer effective_at expires_at name "
		   "priority");
	put_metadata(grant, c->params);
	put_int(grant, "updated", fake_now(c->fake));
	emit(c->fake, "billing.credit_grant.created", grant);
	answer(c, grant);
}

void grant_list(struct call *c)
{
	answer_list(c, "billing.credit_grant", NULL);
}

int64_t credits_spend(struct fake *f, const char *customer, int64_t amount)
{
	const json_t *all = store_all(f, "billing.credit_grant");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *grant = json_array_get(all, i);
		int64_t left = grant_left(f, grant);
		int64_t taken = left < amount ? left : amount;

		if (!text_is(grant, "customer", customer) || !is_usable(f, grant))
			continue;
		put_int(f->hidden, text_of(grant, "id"),
			int_of(f->hidden, text_of(grant, "id")) + taken);
		amount -= taken;
	}
	return amount;
}

void credit_summary_get(struct call *c)
{
	const json_t *all = store_all(c->fake, "billing.credit_grant");
	const json_t *filter = json_object_get(c->params, "filter");
	const char *wanted = text_of(filter, "credit_grant");
	int64_t left = 0;
	json_t *money;
	json_t *summary;

	if (need_customer(c) == NULL)
		return;
	if (text_is(filter, "type", "credit_grant") != (wanted != NULL) ||
	    text_is(filter, "type", "applicability_scope") != has(filter, "applicability_scope")) {
		refuse(c, 400, "parameter_missing", "filter",
		       "The filter must have the member that its type names, and no other.");
		return;
	}
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *grant = json_array_get(all, i);

		if (text_is(grant, "customer", text_of(c->params, "customer")) &&
		    is_usable(c->fake, grant) && (wanted == NULL || text_is(grant, "id", wanted)))
			left += grant_left(c->fake, grant);
	}
	money = json_pack("{s:{s:s, s:I}, s:s}", "monetary", "currency", "usd", "value",
			  (json_int_t)left, "type", "monetary");
	summary = json_pack(
		"{s:s, s:[{s:O, s:O}], s:O, s:n, s:b}", "object", "billing.credit_balance_summary",
		"balances", "available_balance", money, "ledger_balance", money, "customer",
		json_object_get(c->params, "customer"), "customer_account", "livemode", 0);
	answer(c, summary);
	json_decref(money);
	json_decref(summary);
}
