/*
 * What was paid at Stripe, as far as it names a payment of ours: whose it is and over what.
 */

#include "payments/stripe_flow.h"

#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

#define CREDIT_LINE "credit"
#define FEE_LINE    "fee"

static bool is_text(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

/* Of the invoice's lines what is of this kind. */
static struct cents sum_of_lines(const json_t *invoice, const char *kind)
{
	const json_t *lines = json_object_get(json_object_get(invoice, "lines"), "data");
	struct cents sum = {0}, amount;
	const json_t *line;
	size_t i;

	json_array_foreach (lines, i, line) {
		const json_t *metadata = json_object_get(line, "metadata");

		if (is_text(stripe_text_member(metadata, "kind"), kind) &&
		    stripe_cents_member(line, "amount", &amount))
			sum = cents_plus(sum, amount);
	}
	return sum;
}

/* What the metadata says that it buys; older ones say nothing. */
static bool agrees(const json_t *object, struct cents credit)
{
	const char *text = stripe_text_member(json_object_get(object, "metadata"), "credit_cents");
	char expected[MONEY_TEXT_SIZE];

	cents_text(credit, expected);
	return !text || strcmp(text, expected) == 0;
}

static const char *read_intent(const json_t *object, struct gateway_paid *out)
{
	struct cents amount = {0};

	if (!stripe_cents_member(object, "amount_received", &out->credit) ||
	    !stripe_cents_member(object, "amount", &amount))
		return "it does not say what was received";
	if (cents_cmp(amount, out->credit) != 0)
		return "another amount was received than it is over";
	return NULL;
}

static const char *read_invoice(const json_t *object, struct gateway_paid *out)
{
	struct cents paid = {0};

	out->credit = sum_of_lines(object, CREDIT_LINE);
	out->fee = sum_of_lines(object, FEE_LINE);
	if (!stripe_cents_member(object, "amount_paid", &paid) ||
	    cents_cmp(paid, cents_plus(out->credit, out->fee)) != 0) {
		out->credit = paid;
		out->fee = (struct cents){0};
		return "what was paid is not the sum of its lines";
	}
	return NULL;
}

bool stripe_paid_read(const json_t *object, struct gateway_paid *out)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *ref = stripe_text_member(object, "id");
	bool is_invoice = is_text(stripe_text_member(object, "object"), "invoice");
	const char *org = stripe_text_member(metadata, "org_id");

	*out = (struct gateway_paid){
		.payment = stripe_payment_of(object),
		.ref = ref,
		.is_invoice = is_invoice,
		.created = stripe_time_member(object, "created"),
	};
	if (!ref || id_is_none(out->payment) ||
	    !is_text(stripe_text_member(object, "status"), is_invoice ? "paid" : "succeeded"))
		return false;
	out->trouble = is_invoice ? read_invoice(object, out) : read_intent(object, out);
	if (!out->trouble && !agrees(object, out->credit))
		out->trouble = "what was paid is not what its metadata says";
	if (!out->trouble && !is_text(stripe_text_member(object, "currency"), "usd"))
		out->trouble = "it is not in USD";
	if (!out->trouble && (!org || !id_parse("org", slice_of(org), &out->org)))
		out->trouble = "its metadata names no org";
	if (!out->trouble && cents_cmp(out->credit, (struct cents){0}) <= 0)
		out->trouble = "it is over nothing";
	return true;
}
