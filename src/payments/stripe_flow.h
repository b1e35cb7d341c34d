#ifndef PAYMENTS_STRIPE_FLOW_H
#define PAYMENTS_STRIPE_FLOW_H

/*
 * What the files of the Stripe gateway share. A flow is one question to the gateway that takes
 * several steps: reads of the store, requests whose bytes are durable before they go out, and reads
 * of Stripe's objects. After each step it goes on at f->next. A flow that was aborted while a
 * command of its is in flight is freed by that command's callback.
 *
 * Idempotency keys: "pay_X" for the intent of a payment, "pay_X-session", "pay_X-invoice",
 * "pay_X-credit", "pay_X-fee", "pay_X-finalize"; "cust-org_Y-N" for the N-th customer of an org;
 * those of the mirror stand in stripe_mirror.c.
 */

#include "payments/gateway.h"
#include "payments/stripe.h"
#include "payments/stripe_store.h"

struct stripe_gateway {
	struct gateway gateway;
	struct loop *loop;
	struct wallet *wallet;
	struct stripe *stripe;
	char *return_url;
	const char *default_email;
	bool is_live;
	struct walltime (*now)(void *arg);
	void *now_arg;
};

struct stripe_flow;
typedef void flow_fn(struct stripe_flow *f);

struct stripe_flow {
	struct stripe_gateway *g; /* NULL: aborted */
	struct gateway_call *call;
	flow_fn *next;
	struct wallet_query query;
	bool is_committing;
	/* The request at hand; texts are owned. */
	struct stripe_call http;
	bool is_calling;
	bool is_stale;  /* it was kept too long ago to be repeated: it was not sent */
	bool is_kept;   /* its bytes are durable; else it is a question, or may be done twice */
	bool is_repeat; /* it may have been sent before */
	struct payment_note *note; /* of the command in flight, whose it is; NULL: none */
	struct walltime sent;      /* of what was kept: the last time before this flow sent it */
	char *key, *path, *form;
	/* What is known. */
	struct stripe_facts facts;
	struct stripe_objects objects; /* of the mirror */
	int64_t attempt;               /* of a key that was used up before */
	char *card;                    /* owned */
	char *object;                  /* id of what the flow works on, owned */
	flow_fn *then;     /* after the customer is there; after a list was read to its end */
	bool is_bare;      /* the customer was made just now: has no card */
	bool may_come_yet; /* what is not in the list */
	int64_t pages;
	bool is_checked; /* what usage is told to is there */
	bool must_exist; /* the subscription, which is not made again */
};

struct stripe_flow *flow_create(struct stripe_gateway *g, struct gateway_call *call);
void flow_destroy(struct stripe_flow *f);
struct walltime flow_now(const struct stripe_flow *f);

/* Ends the question; f is gone afterwards. The text is copied; NULL: none. */
void flow_end(struct stripe_flow *f, enum gateway_result result, const char *reason);
/* The same for an answer that every request may get: forbidden, refused, unknown. */
void flow_end_by_answer(struct stripe_flow *f);

/* Reads the facts, then next. */
void flow_facts(struct stripe_flow *f, flow_fn *next);
void flow_get(struct stripe_flow *f, const char *path, const struct buf *form, flow_fn *next);
/* Keeps the bytes, and with them the payment's new reference (NULL: as it was), then sends those
 * that were kept first. The form is taken over. */
void flow_post(struct stripe_flow *f, const char *key, const char *path, TAKES struct buf *form,
	       const char *ref, flow_fn *next);
/* Whether what flow_post kept last may be on its way to Stripe yet, sent before this flow by any
 * process: what a list lacks is then not known to have come to nothing. */
bool flow_may_be_under_way(const struct stripe_flow *f);
/* For what may be done twice: sent at once, under a key of its own. */
void flow_post_once(struct stripe_flow *f, const char *method, const char *path,
		    TAKES struct buf *form, flow_fn *next);
/* Notes the payment's reference, durably, then next. */
void flow_note(struct stripe_flow *f, const char *ref, flow_fn *next);
/* Keeps the org's customer and the address that it has at Stripe, durably, then next;
 * facts.customer is the one that counts. email may be NULL. */
void flow_keep_customer(struct stripe_flow *f, const char *customer, const char *email,
			flow_fn *next);

/* Of a list: nothing from long before the payment. Left out when that is of the future, because the
 * clock was set back since. */
void flow_form_since(const struct stripe_flow *f, struct buf *form);

/* Keeps the id of an object that is made once, durably, then next. */
void flow_keep_object(struct stripe_flow *f, const char *name, const char *ref, flow_fn *next);

/* A member that is an id, or an expanded object with one. NULL: neither. Borrowed. */
const char *stripe_id_member(const json_t *object, const char *name);
const char *stripe_text_member(const json_t *object, const char *name);
/* False when it is missing or no whole number. */
bool stripe_cents_member(const json_t *object, const char *name, struct cents *out);
struct walltime stripe_time_member(const json_t *object, const char *name);
/* A payment's id in the object's metadata; ID_NONE: none of ours. */
struct id stripe_payment_of(const json_t *object);
struct cents stripe_total(const struct payment_view *p);

/* stripe_customer.c: makes sure that facts.customer is there and has the org's address. */
void flow_customer(struct stripe_flow *f, flow_fn *then);
/* The customer is gone over there: another one is made. */
void flow_customer_again(struct stripe_flow *f, flow_fn *then);
/* Makes sure that it is there over there as we know it: what is posted for one that is gone fails
 * under its key for good. */
void flow_customer_check(struct stripe_flow *f, flow_fn *then);
/* f->card: what the org saved; NULL: none. */
void flow_card(struct stripe_flow *f, flow_fn *then);
void stripe_portal(struct gateway *g, struct gateway_call *call);

/* stripe_charge.c. */
void stripe_charge(struct gateway *g, struct gateway_call *call);
/* What became of the intent or the session in f->http.object. */
void charge_read_intent(struct stripe_flow *f);
void charge_read_session(struct stripe_flow *f);

/* stripe_invoice.c. */
void stripe_invoice(struct gateway *g, struct gateway_call *call);
void invoice_read(struct stripe_flow *f);

/* stripe_ask.c. */
void flow_ask(struct stripe_flow *f, const char *ref);
void stripe_ask(struct gateway *g, struct gateway_call *call);
void stripe_cancel_payment(struct gateway *g, struct gateway_call *call);

/* stripe_mirror.c. */
void stripe_mirror(struct gateway *g, struct gateway_call *call);
void mirror_next_step(struct stripe_flow *f);
void mirror_read_objects(struct stripe_flow *f);
void mirror_list_subscriptions(struct stripe_flow *f);

/* stripe_mirror_check.c: goes on with mirror_next_step, or ends the question. */
void mirror_check(struct stripe_flow *f);

/* stripe_found.c: false when it is not paid, or no payment of ours. The texts are the object's. */
bool stripe_paid_read(const json_t *object, struct gateway_paid *out);

/* stripe_news.c. */
void stripe_news(struct gateway *g, struct gateway_news *news);
void stripe_news_abort(struct gateway *g, struct gateway_news *news);
bool stripe_notice(struct gateway *g, const json_t *event, struct gateway_notice *out,
		   struct err *err);

#endif
