#ifndef PAYMENTS_PAYMENT_STORE_H
#define PAYMENTS_PAYMENT_STORE_H

/*
 * Payments in the store. Riders decide within the transaction of their command, so that two
 * processes cannot decide twice; they may be applied again when a batch is retried, also when the
 * first try was durable after all, and come to the same then. A rider belongs to its command: its
 * results are read in the command's callback and not after it.
 */

#include "payments/ceiling.h"
#include "payments/payment.h"
#include "payments/reload_rule.h"

#define PAYMENT_COLUMNS                                                                            \
	"id, org, kind, state, attempt, credit_cents, fee_cents, gateway_ref, charge_ref, url, "   \
	"reason, created_ms, expires_ms, finished_ms"
/* Of every gateway; *out is owned, and empty when there is none. */
MUST_USE enum db_status payment_find(struct db *db, struct id id, bool *out_found,
				     struct payment_view *out);
/* Of a row with those columns. */
struct payment_view payment_view_of_row(const struct db_row *row);
void payment_insert_row(struct db *db, const struct payment_view *p, int64_t attempt,
			const char *idempotency_key, const char *gateway, bool by_operator);

/* The till by which something is bought, and what may be bought there. */
struct purchase_till {
	const char *gateway;
	bool is_remote;
	const struct ceilings *ceilings; /* NULL: everything */
};

/* ceiling_store.c: what the org may buy at a time. out_has_expired: something counts whose time is
 * over, because the till has not been asked since. */
MUST_USE enum db_status purchase_room_read(struct db *db, const struct purchase_till *till,
					   struct id org, const char *org_name, struct walltime now,
					   struct purchase_room *out, bool *out_has_expired);

enum payment_insert_outcome {
	PAYMENT_INSERT_MADE,
	PAYMENT_INSERT_EARLIER,  /* an earlier payment answers instead */
	PAYMENT_INSERT_CONFLICT, /* the idempotency key stands for another amount */
	PAYMENT_INSERT_NO_ORG,
	PAYMENT_INSERT_BRAKED, /* as many buys as may be declined were, or may be yet */
	PAYMENT_INSERT_PLAY,   /* no play money on a live store */
	PAYMENT_INSERT_BOUND,  /* a ceiling of purchases: ceiling, room */
};

/* A new payment, unless an earlier one answers. */
struct payment_insert {
	struct rider rider;
	/* In. */
	struct payment_view payment; /* id, org, kind, state, amounts, created */
	char *idempotency_key;       /* owned, NULL for none */
	struct microusd minimum;     /* CHECKOUT: what an open payment must cover to answer */
	struct id page_of;           /* CHECKOUT: whose open page answers, too; ID_NONE: nobody's */
	struct cents wanted;         /* payment.credit as it was asked for */
	struct purchase_till till;
	bool is_operator; /* neither bound by the ceilings nor counted */
	/* Out. */
	enum payment_insert_outcome outcome;
	enum ceiling_kind ceiling; /* BOUND */
	struct purchase_room room; /* likewise */
	bool has_expired;       /* of what counts in it, something the till is to be asked about */
	bool supersedes;        /* an open one is to be ended now */
	int64_t retry_after_ms; /* BRAKED; 0: some are in flight */
	struct payment_view earlier;
};

/* brake_store.c: whether this buy must not be begun now, and for how long. */
bool buy_is_braked(struct db *db, struct payment_insert *in);
/* ceiling_store.c: whether a ceiling refuses it. A CHECKOUT may be made smaller instead. */
bool purchase_is_bound(struct db *db, struct payment_insert *in, const char *org_name);

struct payment_insert *payment_insert_create(const struct payment_view *payment,
					     const char *idempotency_key,
					     const struct purchase_till *till);

/* The next state of a payment, if it may still become that. */
struct payment_change {
	struct rider rider;
	/* In. */
	struct id payment;
	enum payment_state to;
	bool is_grant;          /* only if the command moved the money, now or earlier */
	bool only_if_unheard;   /* not once a request of it was kept: the till may have it */
	char *ref, *charge_ref; /* owned; NULL: stay */
	char *url;              /* owned; NULL: stays */
	char *reason;           /* owned; NULL: none */
	bool is_decline;        /* of the saved card, by a caller: counts for the brake */
	struct walltime now;
	/* A reload that ends: what its row says from then on. */
	int64_t declines;
	struct walltime not_before;
	char *trouble; /* owned */
	/* Out. */
	bool was_changed;
	bool is_there;
	struct payment_view after;
};

struct payment_change *payment_change_create(struct id payment, enum payment_state to,
					     struct walltime now);

/* What the till made of a payment that it has not answered yet: created becomes submitted. Decided
 * in the transaction: a payment that another process has ended stays as it is. */
struct payment_note {
	struct rider rider;
	struct id payment;
	char *ref;    /* owned; NULL: stays */
	bool is_over; /* out: it was finished, so nothing was changed */
};

struct payment_note *payment_note_create(struct id payment, const char *ref);

/* Takes the right to ask the till about an open payment, unless another did within spacing_ms. */
struct payment_ask {
	struct rider rider;
	struct id payment;
	struct walltime now;
	int64_t spacing_ms;
	bool is_ours; /* out */
};

struct payment_ask *payment_ask_create(struct id payment, struct walltime now, int64_t spacing_ms);

/* What a change of a reload that ends leaves in the org's row. */
void reload_end_row(struct db *db, const struct payment_change *c);

/* Takes the org's one place for a reload, when it is due by cmd->after. */
struct reload_claim {
	struct rider rider;
	/* In. */
	struct payment_view payment; /* id, org, created */
	struct purchase_till till;
	/* Out. */
	enum reload_verdict verdict;
	struct cents amount;
	int64_t declines;
	struct walltime not_before;
};

struct reload_claim *reload_claim_create(const struct payment_view *payment,
					 const struct purchase_till *till);

/* All but prefs and available, which are the wallet's. Reloads of another till do not count. The
 * trouble is the caller's. */
MUST_USE enum db_status reload_facts_read(struct db *db, const struct purchase_till *till,
					  struct id org, struct walltime now,
					  struct reload_facts *out);

MUST_USE enum db_status payment_read(struct db *db, struct id id, const char *gateway,
				     bool *out_found, struct payment_view *out);

/* What this gateway has not finished, of one org or (ID_NONE) of all, in order of id, after the
 * given one. */
struct payment_unfinished {
	struct payment_view view;
	int64_t declines; /* of a reload, before this one */
};
struct payment_unfinished_list {
	struct payment_unfinished *items;
	size_t count;
};
MUST_USE enum db_status payment_unfinished_read(struct db *db, const char *gateway, struct id org,
						struct id after, size_t limit,
						struct payment_unfinished_list *out);
void payment_unfinished_list_finish(struct payment_unfinished_list *list);

#endif
