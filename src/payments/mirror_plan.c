/*
 * What entries come to as usage and credit.
 *
 * Usage is what was captured; what was written off is none. Every credit is told, not only what was
 * paid for: the till bills usage that no credit covers, and this is prepaid. For the same reason
 * credit is rounded up to the cent and not taken back there when a payment is refunded: the ledger
 * is the gate, so a credit that is left over at the till buys nothing.
 */

#include "payments/mirror_store.h"

#include <stdlib.h>

/* A unit is $0.001. */
static struct microusd unit(void)
{
	struct microusd u;

	CHECK(microusd_from_usd_exact(&u, (struct decimal){.digits = 1, .scale = 3}));
	return u;
}

static bool is_credit(const struct mirror_entry *entry)
{
	switch (entry->kind) {
	case ENTRY_STARTER:
	case ENTRY_GRANT:
	case ENTRY_PURCHASE:
	case ENTRY_RELOAD:
		return true;
	case ENTRY_ADJUSTMENT:
		return entry->to == ACCOUNT_AVAILABLE;
	case ENTRY_HOLD:
	case ENTRY_CAPTURE:
	case ENTRY_RELEASE:
	case ENTRY_EXPIRE:
	case ENTRY_REFUND:
	case ENTRY_DISPUTE:
	case ENTRY_DISPUTE_REVERSAL: /* its credit was not taken back there */
	case ENTRY_WRITEOFF:
		return false;
	}
	return false;
}

static void add_grant(struct mirror_plan *plan, const struct mirror_entry *entry)
{
	if (plan->grants_count == plan->grants_size) {
		plan->grants_size = plan->grants_size ? 2 * plan->grants_size : 4;
		plan->grants = xrealloc_array(plan->grants, plan->grants_size,
					      sizeof(*plan->grants));
	}
	plan->grants[plan->grants_count++] = (struct mirror_grant){
		.seq = entry->seq,
		.payment = entry->payment,
		.amount = entry->amount,
	};
}

bool mirror_plan_add(struct mirror_plan *plan, const struct mirror_entry *entry)
{
	if (microusd_sign(entry->amount) > 0) {
		if (entry->kind == ENTRY_CAPTURE) {
			if (!microusd_add(&plan->sum, plan->sum, entry->amount))
				return false;
			plan->call = entry->ref;
			plan->at = entry->at;
		} else if (is_credit(entry)) {
			add_grant(plan, entry);
		}
	}
	plan->next_seq = entry->seq;
	return true;
}

int64_t mirror_plan_units(const struct mirror_plan *plan, struct microusd *out_remainder)
{
	int64_t units = microusd_steps_floor(plan->sum, unit());
	struct microusd told;

	CHECK(microusd_mul(&told, unit(), units));
	*out_remainder = microusd_minus(plan->sum, told);
	return units;
}

void mirror_plan_finish(struct mirror_plan *plan)
{
	free(plan->grants);
	*plan = (struct mirror_plan){.grants = NULL};
}
