#ifndef TOOLS_PAID_H
#define TOOLS_PAID_H

/*
 * What the files of paid tools share: the call through the meter (paid.c), its errors
 *(paid_error.c), and the way by which a caller who ran out pays and goes on (pay.c).
 *
 *	paid_start --requestState--> CHECK --ok--> HOLD --insufficient--> WAIT --paid--> HOLD
 *	     |                                      ^  |                    | not yet
 *	     +--------------------------------------+  +--first time--> OFFER: a page to pay at
 *
 * After a wait a refused hold is an error, whatever it was refused for. Before a call is refused or
 * offered a page for the first time, the till is asked about a payment that is open, and the hold
 *is tried once more: who was told to pay and to call again has perhaps paid.
 */

#include "base/limits.h"
#include "tools/internal.h"

/* A payment that the caller may still pay. */
struct open_payment {
	char *url; /* owned; NULL: none */
	struct microusd credit;
	bool is_pending; /* it was waited for in vain */
};

struct paid {
	struct tool_call *call;
	struct meter_call meter;
	bool is_started;
	struct microusd shortfall;
	struct open_payment open;
	/* Pay and continue. */
	struct pay_request request; /* of a page, or of a wait */
	bool is_asking;
	bool has_waited, has_looked;
	struct walltime newest; /* of the open payments; 0: there is none */
	struct id payment;      /* ID_NONE: none is waited for */
	bool has_state;
	struct digest seal; /* of the caller's requestState */
	struct walltime state_expires;
	char state_text[PAY_STATE_TEXT_MAX + 1];
	struct pay_key *key; /* the rider in flight, whose it is */
};

/* The reply of the metered call as it came out. */
void paid_reply(struct paid *paid);
/* Runs the call through the meter, from its hold on. */
void paid_run(struct paid *paid);
/* What is missing, and what to buy for it: whole dollars, $5 at least. */
struct microusd paid_shortfall(const struct meter_call *call);
struct microusd paid_proposal(const struct meter_call *call, struct microusd shortfall);
void paid_error(const struct tools *tools, const struct meter_call *call,
		const struct open_payment *open, struct tool_error *error);
/* The request itself is wrong: JSON-RPC's invalid params. The text is static. */
void paid_refuse_state(struct paid *paid, const char *text);

/* pay.c. The client can open a page to pay at, or the configuration says so. */
bool pay_may_offer(const struct tool_call *call);
/* The hold was refused for lack of credits. */
void pay_instead(struct paid *paid);
/* A call that carries the requestState of an earlier one. */
void pay_resume(struct paid *paid);
/* Marks the state as used, in the batch of the hold that it leads to. */
void pay_spend(struct meter_call *meter, struct wallet_cmd *hold);
void pay_cancel(struct paid *paid);
void pay_finish(struct paid *paid);

#endif
