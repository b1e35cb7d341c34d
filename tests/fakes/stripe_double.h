#ifndef STRIPE_DOUBLE_H
#define STRIPE_DOUBLE_H

/*
 * fake-stripe: a strict stand-in for api.stripe.com, version 2026-10-28.endive, for the calls that
 * farebox may make. Objects have states, lists have cursors, idempotency keys are kept, events are
 * sent and signed; whatever Stripe refuses is refused, and so is what Stripe takes but this double
 * does not act on. The control interface is described in stripe_control.c.
 *
 * Guesses, where nothing is written: what an endpoint itself refuses (400, 404) is kept under the
 * key like any answer, what the table of parameters refuses is not; a test asks for lock_timeout,
 * the double does not find locks by itself.
 *
 * All is one thread: a select loop serves the connections, holds the answers that are to be late
 * and sends the webhooks. Stripe's objects are jansson values, made from stripe/shapes.json and
 * kept in struct fake; functions here borrow them unless they say otherwise.
 */

#include "base/base.h"

#include <jansson.h>

#define STRIPE_VERSION "2026-10-28.endive"
#define SECRET_KEY     "sk_test_farebox"
#define RESTRICTED_KEY "rk_test_farebox"

enum {
	DAY_S = 24 * 60 * 60,
	AMOUNT_MIN = 50,
	AMOUNT_MAX = 99999999,
};

struct fault;
struct webhooks;

struct fake {
	json_t *shapes;   /* type: an object of the type, as when it was made */
	json_t *objects;  /* type: array, in order of creation */
	json_t *by_id;    /* id: the same objects */
	json_t *hidden;   /* by id, what Stripe does not show: how a card behaves, ... */
	json_t *keys;     /* the records of stripe_keys.c */
	json_t *requests; /* the log: method, path, params, key, status, ... */
	json_t *denied;   /* array of "METHOD /PATH" that the restricted key may not */
	json_t *meter_faults;
	struct fault *faults;
	struct webhooks *webhooks;
	const struct call *current; /* what events name as their cause, or NULL */
	int64_t clock_offset_s;
	int64_t invoices_count;
	int port;
	bool has_portal;
};

struct call_spec;

/* One call of the API. */
struct call {
	struct fake *fake;
	const struct call_spec *spec;
	const char *key;        /* the idempotency key, or NULL */
	const char *request_id; /* borrowed */
	char *id;               /* of the path's {id}, owned, or NULL */
	json_t *params;         /* owned; typed by the table */
	/* The answer; set once, by answer, refuse or refuse_card. */
	unsigned status;
	json_t *body;
	bool is_invalid; /* refused before the endpoint ran: not kept under the key */
};

struct call_spec {
	const char *method;
	const char *path;
	void (*handle)(struct call *call);
	const char *params; /* in the language of stripe_params.c */
};

/* stripe_calls.c. Sets *out_id (owned, NULL without); NULL when there is no such call. */
const struct call_spec *find_call(const char *method, const char *path, char **out_id);

/* stripe_form.c. A tree of objects and strings; NULL, with the reason, when malformed. */
json_t *form_decode(struct slice text, char **out_fault);

/* stripe_params.c. Types the tree as the table says into call->params, or refuses the call. */
void params_check(struct call *call, const json_t *tree);

/* stripe_json.c: jansson in fewer words. NULL, 0 and false for what is absent. */
const char *text_of(const json_t *object, const char *name);
int64_t int_of(const json_t *object, const char *name);
bool bool_of(const json_t *object, const char *name);
json_t *child_of(const json_t *object, const char *name); /* an object or array, else NULL */
bool has(const json_t *object, const char *name);         /* and it is not null */
bool text_is(const json_t *object, const char *name, const char *value);
void put(json_t *object, const char *name, TAKES json_t *value);
void put_text(json_t *object, const char *name, const char *value); /* NULL: null */
void put_int(json_t *object, const char *name, int64_t value);
void put_bool(json_t *object, const char *name, bool value);
/* Copies the members that params has and names lists (with blanks between). "" becomes null. */
void put_params(json_t *object, const json_t *params, const char *names);
/* Merges metadata as Stripe does: "" deletes a key, "" for all of it deletes all. */
void put_metadata(json_t *object, const json_t *params);
json_t *list_of(TAKES json_t *data, const char *url);

/* stripe_answer.c. */
void answer(struct call *call, const json_t *object);
void answer_list(struct call *call, const char *type, bool (*keep)(const json_t *, struct call *));
void refuse(struct call *call, unsigned status, const char *code, const char *param,
	    const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Adds a member to the error of a refused call. */
void refuse_more(struct call *call, const char *name, TAKES json_t *value);
json_t *error_body(const char *type, const char *code, const char *param, const char *message,
		   const char *request_id);

/* stripe_store.c. */
int64_t fake_now(const struct fake *f);
char *random_id(const char *prefix, size_t digits); /* owned */
/* A new object of stripe/shapes.json with its id and created. */
json_t *store_new(struct fake *f, const char *type);
/* The same outside of the store, for what is part of another object. New. */
json_t *shape_new(const struct fake *f, const char *type);
void store_delete(struct fake *f, const char *type, const char *id);
json_t *store_find(const struct fake *f, const char *type, const char *id);
/* The object that a parameter names: refuses with 400, or with 404 when param is NULL (the path).
 * NULL when refused. */
json_t *store_need(struct call *call, const char *type, const char *id, const char *param);
json_t *store_all(const struct fake *f, const char *type);
/* The newest object of the type whose member is the value, or NULL. */
json_t *store_by(const struct fake *f, const char *type, const char *name, const char *value);
/* A customer that is there and not deleted. */
json_t *need_customer(struct call *call);
void emit(struct fake *f, const char *type, const json_t *object);
void emit_changed(struct fake *f, const char *type, const json_t *object, TAKES json_t *previous);
/* What time brings: sessions expire. */
void store_tick(struct fake *f);

/* stripe_cards.c: how a card behaves when it is charged. */
enum card_result {
	CARD_PAYS,
	CARD_DECLINES,
	CARD_ASKS_OFF_SESSION, /* 402 without the customer, a challenge with him */
	CARD_ASKS,             /* 200 and requires_action, whoever is there */
	CARD_WAITS,            /* 200 and processing */
	CARD_DISPUTES,         /* pays, and is disputed at once */
	CARD_INQUIRES,         /* the same without the money */
};

struct card_behaviour {
	const char *name;
	const char *test_card; /* Stripe's name for one, or NULL */
	enum card_result result;
	bool refuses_attach;
	const char *code;
	const char *decline_code;
	const char *advice;
	const char *message;
};

const struct card_behaviour *find_behaviour(const char *name);
const struct card_behaviour *card_behaviour(const struct fake *f, const json_t *card);
json_t *card_new(struct fake *f, const struct card_behaviour *behaviour);
void card_give(struct fake *f, json_t *card, const char *customer);
/* The card of payment_method= as a charge takes it: a test card's name makes a new one. */
json_t *need_card(struct call *call, const char *id, const char *param);
void make_default(struct fake *f, json_t *customer, const char *card); /* NULL: none */
/* Detached; deleted. False when it is so already. */
bool card_drop(struct fake *f, json_t *card);
bool customer_drop(struct fake *f, json_t *customer);
/* Answers 402 as for a declined card; card, charge and intent may be NULL. */
void refuse_card(struct call *call, const struct card_behaviour *b, const json_t *card,
		 const json_t *charge, const json_t *intent);
json_t *decline_json(const struct card_behaviour *b, const json_t *card, const char *charge);

/* stripe_payments.c. */
enum try_result {
	TRY_SUCCEEDED,
	TRY_DECLINED,
	TRY_ACTION,
	TRY_PROCESSING,
};

enum customer_is {
	CUSTOMER_PRESENT,
	CUSTOMER_ABSENT,
	CUSTOMER_NOT_ASKED, /* error_on_requires_action */
};

json_t *intent_new(struct fake *f, int64_t amount, const char *currency, const char *customer);
/* Charges the card for the intent, with the events. On a decline, *out_charge is the failed one. */
enum try_result intent_try(struct fake *f, json_t *intent, json_t *card, enum customer_is customer,
			   json_t **out_charge);
/* What became of one that was processing or asked for the customer. */
void intent_settle(struct fake *f, json_t *intent, bool is_paid);
void intent_drop(struct fake *f, json_t *intent, const char *reason);
json_t *balance_move(struct fake *f, const char *type, int64_t amount, int64_t fee,
		     const json_t *source);

/* stripe_refunds.c. */
json_t *refund_make(struct fake *f, json_t *charge, int64_t amount, const char *reason,
		    const json_t *params, const char *status);
void refund_settle(struct fake *f, json_t *refund, bool is_good);
json_t *dispute_open(struct fake *f, json_t *charge, int64_t amount, bool is_inquiry);
void dispute_withdraw(struct fake *f, json_t *dispute);
void dispute_close(struct fake *f, json_t *dispute, bool is_won);

/* stripe_invoices.c and stripe_invoice_pay.c. */
json_t *invoice_of_intent(const struct fake *f, const char *intent);
json_t *invoice_payments_of(const struct fake *f, const char *invoice); /* new: a list */
void invoice_count(json_t *invoice);
bool invoice_open(struct call *call, json_t *invoice);
void invoice_paid(struct fake *f, json_t *invoice);
void invoice_paid_out_of_band(struct fake *f, json_t *invoice);
void invoice_payment_failed(struct fake *f, json_t *invoice, const char *event);
bool invoice_void_if_open(struct fake *f, json_t *invoice, const char **out_why);
enum try_result invoice_try(struct fake *f, json_t *invoice, json_t *card,
			    enum customer_is customer, json_t **out_charge);

/* stripe_checkout.c. */
void session_end(struct fake *f, json_t *session);
enum try_result session_complete(struct fake *f, json_t *session, json_t *card, bool is_saved);
void session_of_intent_settled(struct fake *f, const json_t *intent, bool is_paid);

/* stripe_billing.c. Takes from the customer's grants; what they did not hold. */
int64_t credits_spend(struct fake *f, const char *customer, int64_t amount);

/* stripe_keys.c. */
enum key_state {
	KEY_NEW,    /* it is now in progress */
	KEY_REPLAY, /* *out_record has the answer */
	KEY_BUSY,
	KEY_OTHER_PATH,
	KEY_OTHER_PARAMS,
};

enum key_state key_begin(struct fake *f, const char *key, const char *method, const char *path,
			 const json_t *tree, json_t **out_record);
/* The end of what began with KEY_NEW: text NULL forgets the key. */
void key_end(struct fake *f, const char *key, unsigned status, const char *text,
	     const char *request_id);

/* stripe_faults.c. */
enum fault_kind {
	FAULT_DELAY_BEFORE,
	FAULT_ERROR_BEFORE,
	FAULT_DROP_BEFORE,
	FAULT_ERROR_AFTER,
	FAULT_DROP_AFTER,
	FAULT_TRUNCATE,
	FAULT_DELAY_AFTER,
};

struct fault {
	const char *name;
	enum fault_kind kind;
	char *method; /* NULL: any */
	char *path;   /* how the path begins */
	int64_t skip; /* so many pass first */
	int64_t count;
	unsigned status;
	char *code;         /* of the error, NULL for none */
	char *message;      /* NULL: one that fits */
	char *reason;       /* Stripe-Rate-Limited-Reason */
	char *retry_after;  /* Retry-After */
	char *should_retry; /* Stripe-Should-Retry */
	bool is_html;
	bool is_saved; /* under the key, as the answer of this request */
	int64_t ms;
	struct fault *next;
};

/* NULL, with the reason, when the description is not understood. */
bool fault_add(struct fake *f, const json_t *what, const char **out_why);
/* Uses up one turn of the first fault that fits; NULL without. Borrowed until fault_clear. */
const struct fault *fault_take(struct fake *f, enum fault_kind first, enum fault_kind last,
			       const char *method, const char *path);
void fault_clear(struct fake *f);
json_t *fault_body(const struct fault *fault, const char *request_id); /* new */

/* stripe_webhooks.c. */
struct webhooks *webhooks_create(void);
void webhooks_destroy(struct webhooks *w);
void webhooks_clear(struct webhooks *w);
char *webhook_signature(struct slice payload, const char *secret, int64_t t);
/* Where to, and whether each event goes there by itself; url NULL: nowhere. */
void webhooks_aim(struct webhooks *w, const char *url, const char *secret, bool is_auto);
void webhooks_emitted(struct webhooks *w, const char *event, const char *payload, int64_t now);
/* In turn: after all others that were sent so. False without a place to send it to. */
bool webhooks_send(struct webhooks *w, const char *event, const char *payload, int64_t now,
		   bool is_in_turn);
json_t *webhooks_deliveries(const struct webhooks *w); /* new */
/* For the loop: adds its descriptors, and does what is due. */
void webhooks_fds(struct webhooks *w, void *in, void *out, void *bad, int *max, int64_t *wait_ms);
void webhooks_run(struct webhooks *w);

/* stripe_control.c. The answer of /_control/PATH, new; *out_status is 200 unless set. */
json_t *control(struct fake *f, const char *method, const char *path, const json_t *body,
		unsigned *out_status);
/* stripe_report.c. New. */
json_t *report_invariants(const struct fake *f);
/* stripe_control_money.c: what customers, banks and the dashboard do. NULL with *out_why. */
json_t *control_money(struct fake *f, const char *path, const json_t *body, const char **out_why);

/* stripe.c */
void fake_clear(struct fake *f);

/* stripe_api.c: one request of the API, from its gate to its answer. */
enum send_how {
	SEND_WHOLE,
	SEND_HALF,
	SEND_NOTHING,
};

struct request {
	struct fake *fake;
	/* Borrowed; headers are NULL when absent. */
	const char *method;
	const char *path;
	const char *query;
	struct slice body;
	const char *authorization;
	const char *version;
	const char *content_type;
	const char *key;
	/* The answer; status 0 while there is none. */
	unsigned status;
	char *text;
	char *request_id;
	char *original; /* request that is replayed, or NULL */
	char *reason;   /* headers that a fault has asked for, or NULL */
	char *retry_after;
	char *should_retry;
	bool is_html;
	enum send_how how;
	/* Inside. */
	const struct call_spec *spec;
	char *id;
	json_t *tree;
	json_t *log;    /* its entry in requests */
	json_t *record; /* of the key, to be replayed */
	bool holds_key;
};

/* Both return the milliseconds to wait: before api_run, unless there is an answer already; before
 * the answer is sent. */
int64_t api_begin(struct request *r);
int64_t api_run(struct request *r);
void api_finish(struct request *r);

/* stripe_http.c: the connections. */
struct http_fake;
struct http_fake *http_fake_create(struct fake *f);
void http_fake_destroy(struct http_fake *h);
/* Serves until one of the descriptors has something to read. */
void http_fake_serve(struct http_fake *h, int one, int other);

/* The calls. */
void account_get(struct call *c);
void balance_transaction_get(struct call *c);
void card_attach(struct call *c);
void card_detach(struct call *c);
void card_get(struct call *c);
void charge_get(struct call *c);
void charge_list(struct call *c);
void credit_summary_get(struct call *c);
void customer_cards(struct call *c);
void cards_of_params(struct call *c);
void customer_create(struct call *c);
void customer_delete(struct call *c);
void customer_get(struct call *c);
void customer_list(struct call *c);
void customer_update(struct call *c);
void dispute_get(struct call *c);
void dispute_list(struct call *c);
void event_get(struct call *c);
void event_list(struct call *c);
void grant_create(struct call *c);
void grant_list(struct call *c);
void intent_cancel(struct call *c);
void intent_create(struct call *c);
void intent_get(struct call *c);
void intent_list(struct call *c);
void invoice_add_lines(struct call *c);
void invoice_create(struct call *c);
void invoice_delete(struct call *c);
void invoice_finalize(struct call *c);
void invoice_get(struct call *c);
void invoice_list(struct call *c);
void invoice_mark_uncollectible(struct call *c);
void invoice_pay(struct call *c);
void invoice_payment_list(struct call *c);
void invoice_void(struct call *c);
void invoiceitem_create(struct call *c);
void meter_create(struct call *c);
void meter_event_create(struct call *c);
void meter_list(struct call *c);
void meter_get(struct call *c);
void meter_sums(struct call *c);
void portal_configuration_list(struct call *c);
void portal_session_create(struct call *c);
void price_create(struct call *c);
void price_list(struct call *c);
void product_create(struct call *c);
void refund_create(struct call *c);
void refund_get(struct call *c);
void refund_list(struct call *c);
void session_create(struct call *c);
void session_expire(struct call *c);
void session_get(struct call *c);
void session_list(struct call *c);
void setup_create(struct call *c);
void setup_get(struct call *c);
void subscription_create(struct call *c);
void subscription_list(struct call *c);
void subscription_get(struct call *c);
void subscription_cancel(struct fake *f, json_t *subscription);

#endif
