#ifndef PAYMENTS_STRIPE_DOCTOR_H
#define PAYMENTS_STRIPE_DOCTOR_H

/*
 * Looks over a Stripe account from outside, as `farebox doctor` shows it: which key it is, whether
 * Stripe is reached and the clocks agree, the account, what a restricted key may read, the billing
 * portal. It only reads, and needs neither wallet nor store. The key stands in no finding.
 * https://docs.stripe.com/api/accounts/retrieve, https://docs.stripe.com/keys#limit-access
 */

#include "payments/gateway.h"
#include "payments/stripe.h"

enum finding_level {
	FINDING_OK,
	FINDING_WARN, /* works, but not all of it, or not as one would want */
	FINDING_FAIL,
};

/* Texts are borrowed until the callback returns. */
struct finding {
	enum finding_level level;
	const char *check;  /* its name: "stripe.account" */
	const char *text;   /* what was found */
	const char *remedy; /* NULL with FINDING_OK */
};

struct stripe_doctor;

struct stripe_doctor_config {
	struct stripe_config stripe;
	void (*found)(void *arg, const struct finding *finding);
	/* What was paid of late, the newest hundred of each kind; NULL: not wanted. */
	void (*paid)(void *arg, const struct gateway_paid *paid);
	void (*done)(void *arg); /* once, in a later turn, after the last finding */
	void *arg;
};

/* Starts it: at most two rounds of reads, each of STRIPE_DOCTOR_MS. NULL and err when the key is
 * malformed or the base may not be spoken to. */
struct stripe_doctor *stripe_doctor_create(struct loop *loop, struct http *http,
					   const struct stripe_doctor_config *config,
					   struct err *err);
/* After done, or earlier: then done does not come. NULL is allowed. */
void stripe_doctor_destroy(struct stripe_doctor *d);

#endif
