/*
 * The objects, their ids, and the events about them.
 */

#include "stripe_double.h"

#include "base/clock.h"
#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *type;
	const char *prefix;
	size_t digits;
	const char *name; /* in messages, when it is not the type */
} TYPES[] = {
	{"balance_transaction", "txn_1", 23, NULL},
	{"billing.credit_grant", "credgr_test_61", 23, NULL},
	{"billing.meter", "mtr_test_61", 23, NULL},
	{"billing.meter_event", "", 0, NULL},
	{"billing_portal.configuration", "bpc_1", 23, NULL},
	{"billing_portal.session", "bps_1", 23, NULL},
	{"charge", "ch_3", 23, NULL},
	{"checkout.session", "cs_test_a1", 56, NULL},
	{"customer", "cus_", 14, NULL},
	{"dispute", "du_1", 23, NULL},
	{"event", "evt_1", 23, NULL},
	{"invoice", "in_1", 23, NULL},
	{"invoice_payment", "inpay_1", 23, NULL},
	{"invoiceitem", "ii_1", 23, NULL},
	{"line_item", "il_1", 23, NULL},
	{"payment_intent", "pi_3", 23, NULL},
	{"payment_method", "pm_1", 23, "PaymentMethod"},
	{"price", "price_1", 23, NULL},
	{"product", "prod_", 14, NULL},
	{"refund", "re_3", 23, NULL},
	{"setup_intent", "seti_1", 23, "setupintent"},
	{"subscription", "sub_1", 23, NULL},
	{"subscription_item", "si_", 14, NULL},
};

int64_t fake_now(const struct fake *f)
{
	return clock_wall().ms / 1000 + f->clock_offset_s;
}

char *random_id(const char *prefix, size_t digits)
{
	static const char alphabet[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint8_t random[64];
	char text[sizeof(random) + 1];

	CHECK(digits <= sizeof(random));
	random_bytes(random, sizeof(random));
	for (size_t i = 0; i < digits; i++)
		text[i] = alphabet[random[i] % (sizeof(alphabet) - 1)];
	text[digits] = '\0';
	return xasprintf("%s%s", prefix, text);
}

static size_t find_type(const char *type)
{
	size_t i = 0;

	while (strcmp(TYPES[i].type, type) != 0) {
		i++;
		CHECK(i < ARRAY_LEN(TYPES));
	}
	return i;
}

json_t *shape_new(const struct fake *f, const char *type)
{
	size_t i = find_type(type);
	json_t *shape = json_object_get(f->shapes, type);
	json_t *object = json_object();

	CHECK(shape != NULL);
	if (TYPES[i].digits > 0) {
		char *id CLEANUP(free_charp) = random_id(TYPES[i].prefix, TYPES[i].digits);

		put_text(object, "id", id);
	}
	shape = json_deep_copy(shape);
	CHECK(json_object_update(object, shape) == 0);
	json_decref(shape);
	if (strcmp(type, "line_item") != 0)
		put_int(object, "created", fake_now(f));
	return object;
}

json_t *store_all(const struct fake *f, const char *type)
{
	json_t *all = json_object_get(f->objects, type);

	if (all == NULL) {
		all = json_array();
		put(f->objects, type, all);
	}
	return all;
}

json_t *store_new(struct fake *f, const char *type)
{
	json_t *object = shape_new(f, type);

	(void)json_array_append_new(store_all(f, type), object);
	if (has(object, "id"))
		(void)json_object_set(f->by_id, text_of(object, "id"), object);
	return object;
}

void store_delete(struct fake *f, const char *type, const char *id)
{
	json_t *all = store_all(f, type);

	for (size_t i = 0; i < json_array_size(all); i++) {
		if (text_is(json_array_get(all, i), "id", id)) {
			(void)json_object_del(f->by_id, id);
			(void)json_array_remove(all, i);
			return;
		}
	}
}

json_t *store_find(const struct fake *f, const char *type, const char *id)
{
	json_t *object = id == NULL ? NULL : json_object_get(f->by_id, id);

	return text_is(object, "object", type) ? object : NULL;
}

json_t *store_by(const struct fake *f, const char *type, const char *name, const char *value)
{
	const json_t *all = store_all(f, type);

	for (size_t i = json_array_size(all); i > 0; i--) {
		json_t *object = json_array_get(all, i - 1);

		if (text_is(object, name, value))
			return object;
	}
	return NULL;
}

json_t *store_need(struct call *call, const char *type, const char *id, const char *param)
{
	json_t *object = store_find(call->fake, type, id);
	size_t i = find_type(type);

	if (object == NULL)
		refuse(call, param == NULL ? 404 : 400, "resource_missing",
		       param == NULL ? "id" : param, "No such %s: '%s'",
		       TYPES[i].name == NULL ? type : TYPES[i].name, id);
	return object;
}

json_t *need_customer(struct call *call)
{
	const char *id = text_of(call->params, "customer");
	json_t *customer;

	if (id == NULL) {
		refuse(call, 400, "parameter_missing", "customer",
		       "Missing required param: customer.");
		return NULL;
	}
	customer = store_need(call, "customer", id, "customer");
	if (customer != NULL && bool_of(customer, "deleted")) {
		refuse(call, 400, "resource_missing", "customer", "No such customer: '%s'", id);
		return NULL;
	}
	return customer;
}

void emit_changed(struct fake *f, const char *type, const json_t *object, TAKES json_t *previous)
{
	json_t *event = store_new(f, "event");
	json_t *data = json_pack("{s:o}", "object", json_deep_copy(object));
	char *payload;

	if (previous != NULL)
		put(data, "previous_attributes", previous);
	put(event, "data", data);
	put_text(event, "type", type);
	if (f->current != NULL) {
		json_t *request = json_object_get(event, "request");

		put_text(request, "id", f->current->request_id);
		put_text(request, "idempotency_key", f->current->key);
	}
	payload = json_dumps(event, JSON_INDENT(2));
	webhooks_emitted(f->webhooks, text_of(event, "id"), payload, fake_now(f));
	free(payload);
}

void emit(struct fake *f, const char *type, const json_t *object)
{
	emit_changed(f, type, object, NULL);
}

void store_tick(struct fake *f)
{
	json_t *sessions = store_all(f, "checkout.session");
	int64_t now = fake_now(f);
	size_t i;
	json_t *session;

	json_array_foreach (sessions, i, session) {
		if (text_is(session, "status", "open") && int_of(session, "expires_at") <= now)
			session_end(f, session);
	}
}

static bool is_wanted(const json_t *event, struct call *c)
{
	const json_t *types = json_object_get(c->params, "types");

	for (size_t i = 0; i < json_array_size(types); i++) {
		if (text_is(event, "type", json_string_value(json_array_get(types, i))))
			return true;
	}
	return types == NULL;
}

void event_list(struct call *c)
{
	if (has(c->params, "type") && has(c->params, "types"))
		refuse(c, 400, NULL, "types", "You may pass either `type` or `types`, not both.");
	else
		answer_list(c, "event", is_wanted);
}

void event_get(struct call *c)
{
	const json_t *event = store_need(c, "event", c->id, NULL);

	if (event != NULL)
		answer(c, event);
}

void account_get(struct call *c)
{
	answer(c, json_object_get(c->fake->shapes, "account"));
}

void balance_transaction_get(struct call *c)
{
	const json_t *moved = store_need(c, "balance_transaction", c->id, NULL);

	if (moved != NULL)
		answer(c, moved);
}
