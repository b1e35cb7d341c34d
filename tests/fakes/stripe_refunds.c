/*
 * Money that goes back: refunds, and disputes with their balance transactions.
 */

#include "stripe_double.h"

#include <inttypes.h>
#include <string.h>

enum {
	DISPUTE_FEE = 1500,
};

json_t *refund_make(struct fake *f, json_t *charge, int64_t amount, const char *reason,
		    const json_t *params, const char *status)
{
	json_t *refund = store_new(f, "refund");
	int64_t before = int_of(charge, "amount_refunded");
	json_t *previous = json_pack("{s:I, s:b}", "amount_refunded", (json_int_t)before,
				     "refunded", 0);

	put_int(refund, "amount", amount);
	put_text(refund, "charge", text_of(charge, "id"));
	put_params(refund, charge, "currency payment_intent");
	put_text(refund, "reason", reason);
	put_text(refund, "status", status);
	put_metadata(refund, params);
	put_text(refund, "balance_transaction",
		 text_of(balance_move(f, "refund", -amount, 0, refund), "id"));
	put_int(charge, "amount_refunded", before + amount);
	put_bool(charge, "refunded", before + amount == int_of(charge, "amount"));
	emit(f, "refund.created", refund);
	emit_changed(f, "charge.refunded", charge, previous);
	return refund;
}

void refund_settle(struct fake *f, json_t *refund, bool is_good)
{
	json_t *charge = store_find(f, "charge", text_of(refund, "charge"));
	int64_t amount = int_of(refund, "amount");
	json_t *previous = json_pack("{s:s}", "status", text_of(refund, "status"));

	put_text(refund, "status", is_good ? "succeeded" : "failed");
	if (is_good) {
		emit_changed(f, "refund.updated", refund, previous);
		return;
	}
	put_text(refund, "failure_reason", "expired_or_canceled_card");
	put_text(refund, "failure_balance_transaction",
		 text_of(balance_move(f, "refund_failure", amount, 0, refund), "id"));
	put_int(charge, "amount_refunded", int_of(charge, "amount_refunded") - amount);
	put_bool(charge, "refunded", false);
	emit_changed(f, "refund.updated", refund, previous);
	emit(f, "refund.failed", refund);
	emit(f, "charge.updated", charge);
}

/* The charge that is to be refunded; NULL when refused. */
static json_t *charge_of_params(struct call *c)
{
	const char *charge = text_of(c->params, "charge");
	const char *intent = text_of(c->params, "payment_intent");
	json_t *paid;

	if ((charge == NULL) == (intent == NULL)) {
		refuse(c, 400, "parameter_missing", NULL,
		       "One of the following params should be provided for this request: "
		       "payment_intent or charge.");
		return NULL;
	}
	if (charge != NULL)
		return store_need(c, "charge", charge, "charge");
	paid = store_need(c, "payment_intent", intent, "payment_intent");
	if (paid == NULL)
		return NULL;
	if (!text_is(paid, "status", "succeeded")) {
		refuse(c, 400, "payment_intent_unexpected_state", NULL,
		       "This PaymentIntent (%s) does not have a successful charge to refund.",
		       intent);
		return NULL;
	}
	return store_find(c->fake, "charge", text_of(paid, "latest_charge"));
}

void refund_create(struct call *c)
{
	json_t *charge = charge_of_params(c);
	int64_t left = int_of(charge, "amount") - int_of(charge, "amount_refunded");
	int64_t amount = has(c->params, "amount") ? int_of(c->params, "amount") : left;
	const char *id = text_of(charge, "id");
	const json_t *dispute = store_by(c->fake, "dispute", "charge", id);

	if (charge == NULL)
		return;
	if (!text_is(charge, "status", "succeeded"))
		refuse(c, 400, NULL, NULL, "Charge %s has not succeeded and cannot be refunded.",
		       id);
	else if (dispute != NULL && !bool_of(dispute, "is_charge_refundable"))
		refuse(c, 400, "charge_disputed", NULL,
		       "Charge %s has been charged back; cannot "
		       "issue a refund.",
		       id);
	else if (left == 0)
		refuse(c, 400, "charge_already_refunded", NULL,
		       "Charge %s has already been "
		       "refunded.",
		       id);
	else if (amount < 1)
		refuse(c, 400, "parameter_invalid_integer", "amount",
		       "This value must be greater than or equal to 1.");
	else if (amount > left)
		refuse(c, 400, NULL, "amount",
		       "Refund amount (%" PRId64 ") is greater than unrefunded amount on charge "
		       "(%" PRId64 ")",
		       amount, left);
	else
		answer(c, refund_make(c->fake, charge, amount, text_of(c->params, "reason"),
				      c->params, "succeeded"));
}

void refund_list(struct call *c)
{
	answer_list(c, "refund", NULL);
}

void refund_get(struct call *c)
{
	const json_t *refund = store_need(c, "refund", c->id, NULL);

	if (refund != NULL)
		answer(c, refund);
}

static void dispute_move(struct fake *f, json_t *dispute, int64_t amount, int64_t fee)
{
	json_t *moved = balance_move(f, "adjustment", amount, fee, dispute);
	char *what CLEANUP(free_charp) = xasprintf("Chargeback %s for %s",
						   amount < 0 ? "withdrawal" : "reversal",
						   text_of(dispute, "charge"));

	put_text(moved, "description", what);
	(void)json_array_append_new(json_object_get(dispute, "balance_transactions"),
				    json_deep_copy(moved));
}

void dispute_withdraw(struct fake *f, json_t *dispute)
{
	json_t *previous = json_pack("{s:[]}", "balance_transactions");

	put_text(dispute, "status", "needs_response");
	put_bool(dispute, "is_charge_refundable", false);
	dispute_move(f, dispute, -int_of(dispute, "amount"), DISPUTE_FEE);
	emit_changed(f, "charge.dispute.funds_withdrawn", dispute, previous);
}

json_t *dispute_open(struct fake *f, json_t *charge, int64_t amount, bool is_inquiry)
{
	json_t *dispute = store_new(f, "dispute");

	put_int(dispute, "amount", amount);
	put_text(dispute, "charge", text_of(charge, "id"));
	put_params(dispute, charge, "currency payment_intent");
	put_text(dispute, "status", is_inquiry ? "warning_needs_response" : "needs_response");
	put_bool(dispute, "is_charge_refundable", is_inquiry);
	put_int(json_object_get(dispute, "evidence_details"), "due_by", fake_now(f) + 7 * DAY_S);
	put_bool(charge, "disputed", true);
	emit(f, "charge.dispute.created", dispute);
	if (!is_inquiry)
		dispute_withdraw(f, dispute);
	return dispute;
}

void dispute_close(struct fake *f, json_t *dispute, bool is_won)
{
	bool is_inquiry = text_is(dispute, "status", "warning_needs_response");

	put_text(dispute, "status", is_inquiry ? "warning_closed" : is_won ? "won" : "lost");
	if (is_won && !is_inquiry) {
		dispute_move(f, dispute, int_of(dispute, "amount"), 0);
		emit(f, "charge.dispute.funds_reinstated", dispute);
	}
	emit(f, "charge.dispute.closed", dispute);
}

void dispute_list(struct call *c)
{
	answer_list(c, "dispute", NULL);
}

void dispute_get(struct call *c)
{
	const json_t *dispute = store_need(c, "dispute", c->id, NULL);

	if (dispute != NULL)
		answer(c, dispute);
}
