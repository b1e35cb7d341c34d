/*
 * What a test asks at its end: whether anybody was charged twice, or is two customers.
 */

#include "stripe_double.h"

#include <string.h>

static void count_one(json_t *counts, const char *name, const json_t *charge)
{
	json_t *count = json_object_get(counts, name);

	if (count == NULL) {
		count = json_pack("{s:i, s:i, s:i, s:[]}", "charges", 0, "amount", 0, "refunded", 0,
				  "ids");
		put(counts, name, count);
	}
	put_int(count, "charges", int_of(count, "charges") + 1);
	put_int(count, "amount", int_of(count, "amount") + int_of(charge, "amount"));
	put_int(count, "refunded", int_of(count, "refunded") + int_of(charge, "amount_refunded"));
	(void)json_array_append(json_object_get(count, "ids"), json_object_get(charge, "id"));
}

/* Succeeded charges by what they are for. */
static void count_charges(const struct fake *f, json_t *purchases, json_t *topups, json_t *others)
{
	const json_t *all = store_all(f, "charge");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *charge = json_array_get(all, i);
		const char *intent_id = text_of(charge, "payment_intent");
		const json_t *intent = store_find(f, "payment_intent", intent_id);
		const json_t *invoice = invoice_of_intent(f, intent_id);
		const char *purchase = text_of(json_object_get(intent, "metadata"), "purchase_id");
		const char *topup = text_of(json_object_get(invoice, "metadata"), "topup_id");

		if (!text_is(charge, "status", "succeeded"))
			continue;
		if (topup != NULL)
			count_one(topups, topup, charge);
		else if (purchase != NULL)
			count_one(purchases, purchase, charge);
		else
			(void)json_array_append(others, json_object_get(charge, "id"));
	}
}

static void name_doubles(const json_t *counts, json_t *doubles)
{
	const char *name;
	json_t *count;

	json_object_foreach ((json_t *)(uintptr_t)counts, name, count) {
		if (int_of(count, "charges") > 1)
			(void)json_array_append_new(doubles, json_string(name));
	}
}

json_t *report_invariants(const struct fake *f)
{
	json_t *purchases = json_object();
	json_t *topups = json_object();
	json_t *others = json_array();
	json_t *doubles = json_array();
	json_t *orgs = json_object();
	const json_t *customers = store_all(f, "customer");

	count_charges(f, purchases, topups, others);
	name_doubles(purchases, doubles);
	name_doubles(topups, doubles);
	for (size_t i = 0; i < json_array_size(customers); i++) {
		const json_t *metadata = json_object_get(json_array_get(customers, i), "metadata");
		const char *org = text_of(metadata, "org_id");

		if (org != NULL)
			put_int(orgs, org, int_of(orgs, org) + 1);
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:O}", "purchases", purchases, "topups", topups,
			 "unclaimed_charges", others, "charged_twice", doubles, "customers_of_org",
			 orgs, "meter_event_faults", f->meter_faults);
}
