#ifndef PAYMENTS_STRIPE_H
#define PAYMENTS_STRIPE_H

/*
 * One call of Stripe's API: form-encoded out, JSON back, repeated with the same key as long as its
 * outcome is not known. https://docs.stripe.com/api (idempotent requests, errors, versioning).
 *
 * Repeated are transport errors, answers that cannot be read, 409, 429 and 5xx, with jitter,
 * honouring Stripe-Should-Retry and Retry-After; a decline never is. The secret key stands in no
 * log line and no error text.
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/money.h"
#include "loop/http.h"
#include "loop/loop.h"

#include <jansson.h>

#define STRIPE_VERSION "2026-10-28.endive"

struct stripe;
struct stripe_call;

struct stripe_config {
	const char *key;      /* sk_..., rk_...; copied, and wiped in the end */
	const char *api_base; /* NULL: https://api.stripe.com; http only to loopback */
};

/* NULL and err when the base may not be spoken to or the key is malformed. */
struct stripe *stripe_create(struct loop *loop, struct http *http,
			     const struct stripe_config *config, struct err *err);
/* Calls under way are cancelled, silently. NULL is allowed. */
void stripe_destroy(struct stripe *s);

enum stripe_outcome {
	STRIPE_OK,          /* object */
	STRIPE_DECLINED,    /* 402 card_error: the last word for this idempotency key */
	STRIPE_REFUSED,     /* 400: wrong parameters, or an object in another state */
	STRIPE_NOT_FOUND,   /* Stripe says that the object is missing */
	STRIPE_KEY_MISUSED, /* the idempotency key was used with other parameters */
	STRIPE_FORBIDDEN,   /* 401, 403: the secret key is wrong or may not do this */
	/* No answer, or none of Stripe's, or 409, 429, 5xx to the end, or refused without a look at
	 * the idempotency key after a try of which nothing is known: it may have happened. */
	STRIPE_UNKNOWN,
};

/* Caller-owned, and kept in its place until done or cancel. Starts zeroed; stripe_call_finish makes
 * it fit to be started again. */
struct stripe_call {
	/* In, borrowed until done. */
	const char *method; /* "GET", "POST", "DELETE" */
	const char *path;   /* "/v1/customers" */
	/* Form text as stripe_form makes it; the query of a GET or DELETE, the body of a POST. */
	const char *form;
	const char *idempotency_key; /* of a POST */
	/* No try runs beyond this, or starts with less than STRIPE_TRY_MS_MIN left; 0: in
	 * STRIPE_GIVE_UP_MS. */
	struct boottime give_up;
	void (*done)(struct stripe_call *call);
	void *arg;

	/* Out, valid in done; freed by stripe_call_finish. */
	enum stripe_outcome outcome;
	int status;     /* HTTP; 0: none */
	json_t *object; /* of STRIPE_OK, owned */
	json_t *error;  /* the "error" object of another answer, owned; NULL: it had none */
	/* For people, not with STRIPE_OK: code (else type), decline code and Stripe's message, or
	 * what went wrong on the way; never the key. Owned. */
	char *text;
	char *request_id; /* owned; NULL: none */
	bool is_replayed;
	struct walltime answered; /* the answer's Date header; 0: none */

	/* The client's own. */
	struct stripe *stripe;
	struct http_transfer *transfer;
	struct loop_timer timer;
	struct boottime ends;    /* give_up, or what stands for it */
	struct boottime started; /* this try */
	int tries;
	bool is_doubtful; /* an earlier try may have been executed */
	struct stripe_call *next, **link;
};

/* Done comes in a later turn, exactly once, unless cancelled. */
void stripe_start(struct stripe *s, struct stripe_call *call);
/* Done does not come any more. One that is over is allowed. What an earlier try answered is freed
 * by stripe_call_finish, here and after stripe_destroy, too. */
void stripe_cancel(struct stripe_call *call);
void stripe_call_finish(struct stripe_call *call);

/* A text member of the error object: "code", "decline_code", "advice_code", "type", "param"; NULL.
 * Borrowed from the call. */
const char *stripe_error_member(const struct stripe_call *call, const char *name);

/* Form texts. Keys are given as Stripe writes them ("metadata[org_id]") and are escaped. A value of
 * NULL is left out, an empty one is sent: it unsets. */
void stripe_form(struct buf *out, const char *key, const char *value);
void stripe_form_i64(struct buf *out, const char *key, int64_t value);
void stripe_form_bool(struct buf *out, const char *key, bool value);
/* The count of cents, without a point. */
void stripe_form_cents(struct buf *out, const char *key, struct cents value);

enum stripe_mode {
	STRIPE_MODE_TEST,
	STRIPE_MODE_LIVE,
};
/* By the key's prefix; false when it is no secret or restricted key. */
bool stripe_key_mode(const char *key, enum stripe_mode *out_mode, bool *out_is_restricted);

/*
 * Webhook signatures: https://docs.stripe.com/webhooks#verify-manually. True when one of the v1
 * signatures in the header is the HMAC-SHA256 of "t.body" under one of the secrets and t is at most
 * STRIPE_SIGNATURE_AGE_S away from now. Empty secrets count for nothing. header may be NULL. err
 * says what was wrong, without the secret.
 */
MUST_USE bool stripe_signature_verify(struct slice body, const char *header,
				      const char *const *secrets, size_t secrets_count,
				      struct walltime now, struct err *err);

#endif
