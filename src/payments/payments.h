#ifndef PAYMENTS_PAYMENTS_H
#define PAYMENTS_PAYMENTS_H

/*
 * Money in: buying tokens with a saved card, topping up by a hosted invoice, auto-reload, and the
 * list of what was paid. One state machine for every gateway; the gateway (sandbox.c; a real one
 * beside it) only talks to the till.
 *
 *	created -> submitted -> succeeded | failed | requires_action | open | cancelled
 *	requires_action -> succeeded | failed | cancelled
 *	open -> succeeded | cancelled
 *	failed, cancelled -> succeeded, when the money came in all the same
 *	succeeded -> refunded | disputed;  disputed -> succeeded
 *
 * The payment row and its idempotency key are durable before the gateway hears of it; a gateway
 * that needs no preparation gets it as submitted at once. The grant
 * and the change to succeeded are one wallet command with a rider, keyed by the business fact, so
 * that a reply, a poll and a notice together credit once. A restart resolves what was created or
 * submitted by asking the gateway again under the same key.
 *
 * Amounts of payments are cents; the wallet's are micro-USD.
 */

#include "base/buf.h"
#include "loop/loop.h"
#include "wallet/wallet.h"

struct payments;

/* Values are stored. */
enum payment_kind {
	PAYMENT_BUY = 1,    /* the saved card, now */
	PAYMENT_TOP_UP = 2, /* a hosted invoice with a fee */
	PAYMENT_RELOAD = 3, /* the saved card, by the auto-reload rule */
};

enum payment_state {
	PAYMENT_CREATED = 1,
	PAYMENT_SUBMITTED = 2,
	PAYMENT_REQUIRES_ACTION = 3,
	PAYMENT_OPEN = 4,
	PAYMENT_SUCCEEDED = 5,
	PAYMENT_FAILED = 6,
	PAYMENT_CANCELLED = 7,
	PAYMENT_REFUNDED = 8,
	PAYMENT_DISPUTED = 9,
};

struct payment_view {
	struct id id;
	struct id org;
	enum payment_kind kind;
	enum payment_state state;
	struct cents credit;
	struct cents fee;
	char *url;    /* owned; NULL for none */
	char *reason; /* owned; why it failed; NULL for none */
	struct walltime created;
	struct walltime finished; /* 0 while it is open */
};

void payment_view_finish(struct payment_view *p);

enum pay_outcome {
	PAY_OK,              /* the payment's state says how far it came */
	PAY_DECLINED,        /* request->payment.reason */
	PAY_ACTION_REQUIRED, /* request->payment.url */
	PAY_NEEDS_CARD,      /* no saved card: request->payment.url is where to pay and save one */
	PAY_CONFLICT,        /* same idempotency key, other amount */
	PAY_NOT_CONFIGURED,
	PAY_BAD_REQUEST, /* err names the field and the remedy (no e-mail address, ...) */
	PAY_PENDING,     /* the till has not answered in time; goes on in the background */
	PAY_UNAVAILABLE, /* the store */
};

/* One request of a tool or the command line. The caller owns it until done. */
struct pay_request {
	struct id org;
	struct cents amount;
	const char *idempotency_key; /* buy: the caller's own, NULL for none; borrowed until done */
	struct boottime deadline;
	void (*done)(struct pay_request *request);
	void *arg;

	/* Results. */
	enum pay_outcome outcome;
	bool is_replayed;
	struct payment_view payment; /* finished by pay_request_finish */
	char *url;                   /* portal; owned */
	struct wallet_view after;    /* after a grant */
	bool has_after;
	struct err err;

	/* The payments room's own. */
	struct payments *payments;
	struct boottime answer_by;
	struct pay_request *next, **link; /* link is NULL while it is in no list */
};

void pay_request_finish(struct pay_request *request);

enum payments_mode {
	PAYMENTS_OFF,
	PAYMENTS_SANDBOX,
};

struct payments_config {
	enum payments_mode mode;
	struct decimal fee_percent; /* of top_up_credits */
	struct cents fee_minimum;
	/* For tests of the rules that count minutes and days; NULL: clock_wall. */
	struct walltime (*now)(void *arg);
	void *now_arg;
};

struct payments *payments_create(struct loop *loop, struct wallet *wallet,
				 const struct payments_config *config);
/* Before the wallet. What is under way stays in the store as it is, and requests that still wait
 * hear nothing. NULL is allowed. */
void payments_destroy(struct payments *p);
bool payments_is_sandbox(const struct payments *p);
bool payments_is_on(const struct payments *p);

/* What top_up_credits adds: percent of the credit, half up to the cent, at least the minimum. */
struct cents payments_fee(const struct payments *p, struct cents credit);

/* Done comes in a later turn. Charges the saved card. The same amount within 5 minutes without a
 * new key answers with the first payment, as does the same key at any time. */
void payments_buy(struct payments *p, struct pay_request *request);
/* An invoice with credit and fee; the same amount within 5 minutes answers with the first while it
 * is open. */
void payments_top_up(struct payments *p, struct pay_request *request);
void payments_portal(struct payments *p, struct pay_request *request);
/* A request whose caller is gone: done does not come, the payment goes on. */
void payments_abandon(struct pay_request *request);
/* Nothing is under way that must be waited for. */
bool payments_is_idle(const struct payments *p);

/* Looks whether the org's auto-reload is due and starts one; never inside a settlement. Cheap to
 * call often: at most one look an org a turn. */
void payments_watch(struct payments *p, struct id org);
/* The first use of the store after start: payments that a crash left behind are resolved, and
 * open ones are asked about from then on, on a timer with backoff. Again: looks now. */
void payments_resume(struct payments *p);

/* The user's part in the sandbox: pays an open or waiting payment. done as above; PAY_BAD_REQUEST
 * when it is not open. request->org is looked at only when it is set: another org's payment is not
 * found then. */
void payments_sandbox_pay(struct payments *p, struct id payment, struct pay_request *request);

/* For readers: newest first, after the cursor (ID_NONE: from the top), at most limit. */
struct payment_list {
	struct payment_view *items;
	size_t count;
	bool has_more;
};
MUST_USE enum db_status payment_list_read(struct db *db, struct id org, struct id after,
					  size_t limit, struct payment_list *out);
void payment_list_finish(struct payment_list *list);

/* Auto-reload as the balance shows it. last_trouble is owned, NULL for none. */
struct reload_view {
	char *last_trouble;
	bool in_flight;
};
MUST_USE enum db_status reload_view_read(struct db *db, struct id org, struct reload_view *out);
void reload_view_finish(struct reload_view *v);

/* Every succeeded payment has exactly one grant, and every grant of a payment its payment. Appends
 * a line for each fault. */
MUST_USE enum db_status payments_verify(struct db *db, int64_t *out_faults, struct buf *out_text);

const char *payment_state_name(enum payment_state state);
const char *payment_kind_name(enum payment_kind kind);

#endif
