#ifndef PAYMENTS_RELOAD_RULE_H
#define PAYMENTS_RELOAD_RULE_H

/*
 * When auto-reload charges the saved card, and how much: a pure function of what the store says.
 */

#include "base/clock.h"
#include "base/money.h"
#include "payments/ceiling.h"
#include "wallet/wallet.h"

struct reload_facts {
	struct preferences prefs;
	struct microusd available;
	struct microusd reloaded; /* by reloads of this UTC month, succeeded and in flight */
	bool in_flight;
	struct walltime not_before;
	int64_t declines; /* one after the other, since the last success */
	bool has_ceilings;
	struct purchase_room purchases; /* the same with them */
	char *trouble;                  /* as the balance shows it now; NULL: none */
};

enum reload_verdict {
	RELOAD_NOT_WANTED,
	RELOAD_IN_FLIGHT,
	RELOAD_COOLING, /* until not_before */
	RELOAD_NO_ROOM, /* one step is more than the rest of the budget or the limit of a charge */
	RELOAD_BOUND,   /* one step is more than the operator's ceilings allow now */
	RELOAD_DUE,
};

/* *out_amount is set when it is due: as many whole steps of auto_reload_amount as close the gap to
 * the threshold, or as many as there is room for. */
enum reload_verdict reload_decide(const struct reload_facts *facts, struct walltime now,
				  struct cents *out_amount);

/* What a decline leaves behind. is_final: no other try can work. */
struct reload_decline {
	bool switches_off;
	int64_t declines; /* to be stored */
	struct walltime not_before;
};
struct reload_decline reload_declined(int64_t declines_before, bool is_final, struct walltime now);

/* BOUND: which ceiling it is, and for people why there is no reload, and until when. The caller
 * frees the text. */
enum ceiling_kind reload_ceiling(const struct reload_facts *facts);
char *reload_bound_text(const struct reload_facts *facts);

/* For people: why it came to nothing, and what follows from it. The caller frees it. */
char *reload_trouble_text(const char *reason, const struct reload_decline *decline);

#endif
