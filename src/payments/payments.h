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
 *	succeeded <-> refunded, disputed: as money goes back and comes again
 *
 * The payment row and its idempotency key are durable before the gateway hears of it. The grant and
 *the change to succeeded are one wallet command with a rider, keyed by the business fact, so that a
 *reply, a poll and a notice together credit once. A restart resolves what was created or submitted
 *by asking the gateway again under the same key.
 *
 * Amounts of payments are cents; the wallet's are micro-USD.
 */

#include "base/buf.h"
#include "loop/loop.h"
#include "payments/ceiling.h"
#include "wallet/wallet.h"

#include <jansson.h>

struct payments;
struct http;

/* Values are stored. */
enum payment_kind {
	PAYMENT_BUY = 1,      /* the saved card, now */
	PAYMENT_TOP_UP = 2,   /* a hosted invoice with a fee */
	PAYMENT_RELOAD = 3,   /* the saved card, by the auto-reload rule */
	PAYMENT_CHECKOUT = 4, /* a page for a caller who ran out, without a fee */
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
	char *ref;        /* the till's name for it; owned; NULL for none yet */
	char *charge_ref; /* owned; NULL for none yet */
	char *url;        /* owned; NULL for none */
	char *reason;     /* owned; why it failed; NULL for none */
	struct walltime created;
	struct walltime expires;  /* an open one is cancelled then */
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
	PAY_BAD_REQUEST,  /* err names the field and the remedy (no e-mail address, ...) */
	PAY_PENDING,      /* the till has not answered in time; goes on in the background */
	PAY_UNAVAILABLE,  /* the store */
	PAY_BOUND,        /* a ceiling of purchases: ceiling, room */
	PAY_RATE_LIMITED, /* declined too often: the card is left alone for retry_after_ms */
};

/* One request of a tool or the command line. The caller owns it until done. */
struct pay_request {
	struct id org;
	struct cents amount;
	struct microusd minimum; /* checkout: what an open payment must cover to be offered */
	/* checkout: who has one open page at a time, which is offered again whatever it covers, a
	 * key or an org; ID_NONE: nobody. */
	struct id page_of;
	const char *idempotency_key; /* buy: the caller's own, NULL for none; borrowed until done */
	bool is_operator;            /* by hand, beyond the ceilings of purchases */
	bool wants_news;             /* refresh: also of what went back */
	struct boottime deadline;
	void (*done)(struct pay_request *request);
	/* wait: it is time to ask the till once more; NULL: nobody listens. */
	void (*progress)(struct pay_request *request);
	void *arg;

	/* Results. */
	enum pay_outcome outcome;
	bool is_replayed;
	struct payment_view payment; /* finished by pay_request_finish */
	char *url;                   /* portal; owned */
	struct wallet_view after;    /* after a grant */
	bool has_after;
	int64_t retry_after_ms;    /* RATE_LIMITED */
	enum ceiling_kind ceiling; /* BOUND */
	struct purchase_room room; /* likewise */
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
	PAYMENTS_STRIPE,
};

struct payments_config {
	enum payments_mode mode;
	struct decimal fee_percent; /* of top_up_credits */
	struct cents fee_minimum;
	const struct ceilings *ceilings; /* outlives the wallet; NULL: none */
	/* STRIPE; texts are borrowed until payments_create returns, but for the return URL. */
	const char *stripe_key;
	const char *stripe_api_base; /* NULL: Stripe's own */
	/* The default org's address is the configuration's, whatever the store says; borrowed. */
	const char *default_email;
	const char *return_url;    /* where Stripe's pages lead back to; NULL: nowhere of ours */
	bool meter;                /* usage and credit are mirrored at Stripe's meter */
	int64_t meter_interval_ms; /* how soon after a use; 0: MIRROR_MS */
	/* For tests of the rules that count minutes and days; NULL: clock_wall. */
	struct walltime (*now)(void *arg);
	void *now_arg;
};

/* NULL and err when the mode's configuration cannot be used. http is for PAYMENTS_STRIPE. */
struct payments *payments_create(struct loop *loop, struct http *http, struct wallet *wallet,
				 const struct payments_config *config, struct err *err);
/* Before the wallet. What is under way stays in the store as it is, and requests that still wait
 * hear nothing. NULL is allowed. */
void payments_destroy(struct payments *p);
/* With a key for real money: the wallet is to mark its store. */
bool payments_config_is_live(const struct payments_config *config);
bool payments_is_sandbox(const struct payments *p);
bool payments_is_on(const struct payments *p);

/* What top_up_credits adds: percent of the credit, half up to the cent, at least the minimum. */
struct cents payments_fee(const struct payments *p, struct cents credit);

/* Done comes in a later turn. Charges the saved card. The same amount within 5 minutes without a
 * new key answers with the first payment, as does the same key at any time. After BUY_DECLINES_MAX
 * declines of an org within BUY_BRAKE_MS the card is left alone until the oldest is older; those in
 * flight may become declines, so beside so many the next one waits. */
void payments_buy(struct payments *p, struct pay_request *request);
/* An invoice with credit and fee; the same amount within 5 minutes answers with the first while it
 * is open. */
void payments_top_up(struct payments *p, struct pay_request *request);
void payments_portal(struct payments *p, struct pay_request *request);
/* A page to pay at, without a fee; an open payment over minimum at least is offered again instead
 * of a second one, as is the open page of page_of. Where a ceiling does not allow the amount it is
 * made smaller, down to minimum. */
void payments_checkout(struct payments *p, struct pay_request *request);
/*
 * Waits until a payment of request->org is over: PAY_OK when it is paid, PAY_DECLINED when it came
 * to nothing, PAY_PENDING at the deadline. The till is asked after 2, 3, 5, 5 ... s, by one process
 * of the store at a time.
 */
void payments_wait(struct payments *p, struct id payment, struct pay_request *request);
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
/* The process ends; one wallet turn is to come yet. */
void payments_leave(struct payments *p);

/* Why a live store takes no play money. */
#define PLAY_REFUSED                                                                               \
	"this store was used with a live Stripe key, so nothing is bought on it in the sandbox "   \
	"or with a test key"

/* The user's part in the sandbox: pays an open or waiting payment. done as above; PAY_BAD_REQUEST
 * when it is not open. request->org is looked at only when it is set: another org's payment is not
 * found then. */
void payments_sandbox_pay(struct payments *p, struct id payment, struct pay_request *request);

/* Asks the till about the org's open payments, so that a balance read afterwards is current. done
 * (PAY_OK, whatever was heard) comes when all are answered or at the deadline; at once where
 * nothing is open or was asked a moment ago. */
void payments_refresh(struct payments *p, struct pay_request *request);
/* A paid call was refused while a payment was open, the newest since that time. True: it is time to
 * ask the till about it. The longer nobody has paid, the less often that is. */
bool payments_refused(struct payments *p, struct id org, struct walltime opened);
/*
 * A notice that the till sent, already verified (stripe_signature_verify). It is a hint only: what
 * it names is asked about, by the same way as a poll. PAY_OK: what it told is durable, or is none
 * of ours; PAY_PENDING or PAY_UNAVAILABLE: it should be sent again; PAY_BAD_REQUEST: err.
 */
void payments_notice(struct payments *p, const json_t *event, struct pay_request *request);

/* Names the till in the store: "sandbox", "stripe", "stripe_test"; "" when payments are off. */
const char *payments_gateway_name(const struct payments *p);

/* For readers: payments of a till, newest first, after the cursor (ID_NONE: from the top), at most
 * limit. */
struct payment_list {
	struct payment_view *items; /* payments */
	size_t count;
	bool has_more;
};
MUST_USE enum db_status payment_list_read(struct db *db, const char *gateway, struct id org,
					  struct id after, size_t limit, struct payment_list *out);
void payment_list_finish(struct payment_list *list);

/* What was paid and what went back, one list in the same order; id is its place in it. */
enum money_item_type {
	MONEY_INVOICE,
	MONEY_CHARGE,
	MONEY_REFUND,
	MONEY_DISPUTE,
};
struct money_item {
	struct id id;
	enum money_item_type type;
	char *ref;    /* a refund's or dispute's name at the till; owned; NULL: a payment */
	char *status; /* owned */
	struct cents amount;
	struct walltime created;
	char *url; /* owned; NULL: none */
};
struct money_list {
	struct money_item *items;
	size_t count;
	bool has_more;
};
MUST_USE enum db_status money_list_read(struct db *db, const char *gateway, struct id org,
					struct id after, size_t limit, struct money_list *out);
void money_list_finish(struct money_list *list);

/* Money at the till that bears the name of a payment and cannot be credited; newest first. */
struct stray {
	char *ref; /* the till's name of it; owned */
	struct cents amount;
	char *reason; /* owned */
};
struct stray_list {
	struct stray *items;
	size_t count;
};
MUST_USE enum db_status stray_list_read(struct db *db, const char *gateway, size_t limit,
					struct stray_list *out);
void stray_list_finish(struct stray_list *list);
/* Whether the store has a payment, or knows that it cannot be credited; ref is the till's name. */
MUST_USE enum db_status payment_is_there(struct db *db, struct id payment, const char *ref,
					 bool *out);

/* Auto-reload as the balance shows it. last_trouble is owned, NULL for none. */
struct reload_view {
	char *last_trouble;
	bool in_flight;
	int64_t declines; /* one after the other, since the last success */
};
MUST_USE enum db_status reload_view_read(struct db *db, struct id org, struct reload_view *out);
void reload_view_finish(struct reload_view *v);
/* The trouble as it is now: somebody may have switched auto-reload on or off since. The caller
 * frees it. NULL for NULL. */
char *reload_trouble_now(const char *trouble, bool is_enabled);

/*
 * The mirror of usage and credit at the till's meter. It begins with what happens after the first
 * start of a process that has it switched on; switched off it stands still, and goes on from there.
 */
struct mirror_view {
	bool is_started; /* ever, for this gateway */
	struct walltime started;
	int64_t lag_entries; /* of the ledger, not told yet */
	int64_t lag_grants;
	char *trouble; /* of the last round, owned; NULL: none */
	struct walltime trouble_at;
	int64_t orgs_in_trouble; /* put off, and only they */
	char *org_trouble;       /* of one of them, owned; NULL: none */
};
/* gateway as payments_gateway_name says it. */
MUST_USE enum db_status mirror_view_read(struct db *db, const char *gateway,
					 struct mirror_view *out);
void mirror_view_finish(struct mirror_view *v);

/* Every succeeded payment has exactly one grant, and every grant of a payment its payment. Appends
 * a line for each fault. */
MUST_USE enum db_status payments_verify(struct db *db, int64_t *out_faults, struct buf *out_text);

const char *payment_state_name(enum payment_state state);
/* It waits for the payer. */
bool payment_is_payable(enum payment_state state);
const char *payment_kind_name(enum payment_kind kind);

#endif
