#ifndef PAYMENTS_GATEWAY_H
#define PAYMENTS_GATEWAY_H

/*
 * The till behind the payments: it takes the money, and answers what became of it. It knows no
 * wallet and keeps nothing: what it is asked twice for the same payment, it does once (the
 * payment's id is the idempotency key), and answers the same.
 *
 * Each call is asynchronous: done comes in a later turn, exactly once, or never after abort.
 */

#include "payments/payments.h"

struct gateway;
struct gateway_call;

enum gateway_result {
	GATEWAY_SUCCEEDED,       /* the money is there */
	GATEWAY_DECLINED,        /* reason */
	GATEWAY_ACTION_REQUIRED, /* the bank wants the user: url */
	GATEWAY_OPEN,            /* waits for a payer: url */
	GATEWAY_CANCELLED,       /* nobody can pay it any more */
	GATEWAY_REFUSED,         /* cannot be asked like this: reason says what to change */
	GATEWAY_UNKNOWN,         /* no answer: what happened is not known, ask again */
	GATEWAY_PORTAL,          /* url */
};

struct gateway_call {
	/* In; the payment is borrowed until done (NULL for a portal). */
	struct id org;
	const struct payment_view *payment;
	void (*done)(struct gateway_call *call);
	void *arg;

	/* Out; finished by gateway_call_finish. */
	enum gateway_result result;
	char *url;
	char *reason;
	bool never_retry; /* DECLINED: the card will not work again */

	/* The gateway's own. */
	struct loop_timer timer;
};

/* An implementation embeds it. */
struct gateway {
	const char *name; /* stands in the store beside each payment */
	void (*charge)(struct gateway *g, struct gateway_call *call);
	void (*invoice)(struct gateway *g, struct gateway_call *call);
	void (*portal)(struct gateway *g, struct gateway_call *call);
	/* What became of an open or waiting payment. */
	void (*ask)(struct gateway *g, struct gateway_call *call);
	/* Ends an open or waiting payment; answers SUCCEEDED when the payer was faster. */
	void (*cancel)(struct gateway *g, struct gateway_call *call);
	/* done does not come any more. */
	void (*abort)(struct gateway *g, struct gateway_call *call);
	void (*destroy)(struct gateway *g);
};

void gateway_call_finish(struct gateway_call *call);

/* The till without network, for trying things out: buys succeed, an amount of 5.02 is declined and
 * 5.03 wants the user; invoices stay open until payments_sandbox_pay. */
struct gateway *sandbox_create(struct loop *loop);

/* payments_create with a till of the caller's. */
struct payments *payments_create_with(struct loop *loop, struct wallet *wallet,
				      const struct payments_config *config,
				      TAKES struct gateway *gateway);

#endif
