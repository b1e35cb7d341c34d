#ifndef PAYMENTS_REVERSAL_STORE_H
#define PAYMENTS_REVERSAL_STORE_H

/*
 * Money that goes back, and comes again. A payment's taken share of its credit follows from the
 * reversals that stand on the till's side:
 *
 *	taken = credit x min(amounts taken, paid) / paid, rounded down
 *
 * so a refund of the whole invoice takes the credit and not the fee, what is told twice or in
 * another order comes to the same, and never more is taken than was granted.
 */

#include "payments/gateway.h"
#include "payments/payment_store.h"

/*
 * A command that brings the ledger in line with a reversal: decided in its transaction, a TAKE, a
 * GRANT, or nothing when the payment is not ours or the news is old. rider is the command's.
 */
struct reversal_change {
	struct rider rider;
	/* In; texts are owned. */
	const char *gateway;
	enum reversal_kind kind;
	char *ref, *charge_ref, *status;
	struct cents amount;
	bool is_taken, is_over;
	int64_t turn;
	struct walltime created;
	/* Decided. */
	bool is_ours;
	bool is_news;
	struct payment_view payment;
	enum payment_state state; /* of the payment, afterwards */
	struct microusd taken;    /* afterwards */
};

struct wallet_cmd *reversal_cmd_create(const char *gateway, const struct gateway_reversal *r,
				       struct reversal_change **out);

/* Reversals that the till may still say something of, in order of id, after the given one. */
struct reversal_ref {
	struct id id;
	enum reversal_kind kind;
	char *ref; /* owned by the list */
};
struct reversal_ref_list {
	struct reversal_ref *items;
	size_t count;
};
MUST_USE enum db_status reversal_waiting_read(struct db *db, const char *gateway, struct id after,
					      size_t limit, struct reversal_ref_list *out);
void reversal_ref_list_finish(struct reversal_ref_list *list);

#endif
