#ifndef PAYMENTS_GATEWAY_H
#define PAYMENTS_GATEWAY_H

/*
 * The till behind the payments: it takes the money, and answers what became of it. What it is asked
 * twice for the same payment, it does once (the payment's id is the idempotency key), and answers
 * the same.
 *
 * Each call is asynchronous: done comes in a later turn, exactly once, or never after abort.
 */

#include "payments/payments.h"

#include <jansson.h>

struct gateway;
struct gateway_call;

enum gateway_result {
	GATEWAY_SUCCEEDED,       /* the money is there: charge_ref */
	GATEWAY_DECLINED,        /* reason */
	GATEWAY_ACTION_REQUIRED, /* the bank wants the user: url */
	GATEWAY_OPEN,            /* waits for a payer: url */
	GATEWAY_CANCELLED,       /* nobody can pay it any more: reason, or none */
	GATEWAY_REFUSED,         /* cannot be asked like this: reason says what to change */
	GATEWAY_FORBIDDEN,       /* the operator's key may not: reason; nothing happened */
	GATEWAY_UNKNOWN,         /* no last word: what happened is not known yet, ask again */
	GATEWAY_PORTAL,          /* url */
};

/* What the till's meter is told of an org. */
struct gateway_mirror {
	bool is_grant;
	/* Usage of a batch of calls; the last one's id is its name, under which it counts once. */
	struct id call;
	int64_t units; /* of $0.001 */
	struct walltime at;
	bool is_old;           /* the till may have forgotten whether it heard of it */
	bool wants_check;      /* whether what usage is told to is still there */
	int64_t units_told;    /* of this org before it */
	struct walltime since; /* of the first usage at the earliest */
	/* A grant: the ledger entry that gave credit. */
	int64_t seq;
	struct id payment; /* ID_NONE: it was not paid for here */
	struct cents credit;
};

struct gateway_call {
	/* In; the payment is borrowed until done (NULL for a portal, a mirror), and the mirror. */
	struct id org;
	const struct payment_view *payment;
	const struct gateway_mirror *mirror;
	struct boottime give_up; /* the till is not asked again after this */
	void (*done)(struct gateway_call *call);
	void *arg;

	/* Out; finished by gateway_call_finish. */
	enum gateway_result result;
	char *url;
	char *reason;
	char *ref;        /* the till's name of what was made; NULL: as it was */
	char *charge_ref; /* what its refunds and disputes will name */
	bool never_retry; /* DECLINED: the card will not work again */
	/* No request of the payment was kept when this was decided: another process may have begun
	 * it since. */
	bool is_unheard;

	/* The gateway's own. */
	struct loop_timer timer;
	void *state;
};

/* Values are stored. */
enum reversal_kind {
	REVERSAL_REFUND = 1,
	REVERSAL_DISPUTE = 2,
};

/* Money of a payment that went back, as the till tells it now. Texts are borrowed. */
struct gateway_reversal {
	enum reversal_kind kind;
	const char *ref;
	const char *charge_ref;
	struct cents amount; /* of what was paid, fee and all */
	bool is_taken;       /* the till has taken it from us */
	int64_t turn;        /* how often it changed sides: older news has less */
	bool is_over;        /* nothing more is expected */
	const char *status;  /* in the till's words */
	struct walltime created;
};

/* What the till was paid and that names a payment of a store like this one. Texts are borrowed. */
struct gateway_paid {
	struct id payment;
	struct id org;
	const char *ref;
	bool is_invoice; /* with a fee; else what a card was charged */
	struct cents credit, fee;
	struct walltime created;
	const char *trouble; /* why it must not be credited; NULL: none */
};

/* How far a long list was read. */
struct gateway_place {
	int64_t list; /* of the gateway's own */
	char *after;  /* owned; NULL: from the top */
};

/* A question for what went back: since a time, of one charge, or of one reversal. */
struct gateway_news {
	/* In; texts are borrowed until done. */
	struct walltime since;  /* everything since */
	const char *charge_ref; /* or all of this charge */
	const char *ref;        /* or this one, of this kind */
	enum reversal_kind kind;
	struct walltime paid_since; /* everything paid since; with since */
	const char *paid_ref;       /* or what was paid by this name */
	struct boottime give_up;
	void (*paid)(struct gateway_news *news, const struct gateway_paid *paid);
	void (*item)(struct gateway_news *news, const struct gateway_reversal *reversal);
	void (*done)(struct gateway_news *news);
	void *arg;
	/* In: of everything, where to go on. Out: where it stopped; zero when all was told. */
	struct gateway_place place;

	/* Out. */
	bool is_failed;
	bool is_cut; /* there is more than is told at once: ask again from place */

	/* The gateway's own. */
	void *state;
};

/* What a notice of the till is about. Texts are borrowed from it. */
struct gateway_notice {
	struct id payment;      /* ID_NONE: none of ours */
	const char *ref;        /* of the payment at the till; NULL: it does not say */
	const char *charge_ref; /* something of this charge went back; NULL: not that */
};

/* An implementation embeds it. */
struct gateway {
	const char *name; /* stands in the store beside each payment */
	/* It is far away: asked by one process of a store at a time, and may forget to answer. */
	bool is_remote;
	void (*charge)(struct gateway *g, struct gateway_call *call);
	void (*invoice)(struct gateway *g, struct gateway_call *call);
	void (*portal)(struct gateway *g, struct gateway_call *call);
	/* What became of a payment that it knows. */
	void (*ask)(struct gateway *g, struct gateway_call *call);
	/* Ends an open or waiting payment; answers SUCCEEDED when the payer was faster. */
	void (*cancel)(struct gateway *g, struct gateway_call *call);
	/* done does not come any more. */
	void (*abort)(struct gateway *g, struct gateway_call *call);
	/* These are NULL where nothing goes back and nothing is told. */
	void (*news)(struct gateway *g, struct gateway_news *news);
	void (*news_abort)(struct gateway *g, struct gateway_news *news);
	/* Tells usage or credit; SUCCEEDED also when it was told before, REFUSED when the rest may
	 * still go well. NULL where there is no meter. */
	void (*mirror)(struct gateway *g, struct gateway_call *call);
	/* False: err says why the notice is not to be believed, or not understood. */
	bool (*notice)(struct gateway *g, const json_t *event, struct gateway_notice *out,
		       struct err *err);
	void (*destroy)(struct gateway *g);
};

void gateway_call_finish(struct gateway_call *call);

/* The till without network, for trying things out: buys succeed, an amount of 5.02 is declined and
 * 5.03 wants the user; invoices stay open until payments_sandbox_pay. */
struct gateway *sandbox_create(struct loop *loop);

/* Stripe: stripe_gateway.c. NULL and err when the configuration cannot be used. */
struct gateway *stripe_gateway_create(struct loop *loop, struct http *http, struct wallet *wallet,
				      const struct payments_config *config, struct err *err);

/* payments_create with a till of the caller's. */
struct payments *payments_create_with(struct loop *loop, struct wallet *wallet,
				      const struct payments_config *config,
				      TAKES struct gateway *gateway);

#endif
