#ifndef PAYMENTS_STRIPE_SECRETS_H
#define PAYMENTS_STRIPE_SECRETS_H

/*
 * The secrets that webhook signatures are checked with: STRIPE_WEBHOOK_SECRET, or the file that
 * STRIPE_WEBHOOK_SECRET_FILE names. While one is rolled there are two; commas or white space stand
 * between them. https://docs.stripe.com/webhooks#roll-endpoint-secrets
 */

#include "base/err.h"

#include <stddef.h>

/* In limits.h: STRIPE_SECRETS_MAX. */
struct stripe_secrets {
	const char **items; /* borrowed from text */
	size_t count;       /* 0: none is set */
	char *text;
	size_t text_len;
};

/* False and err, without a secret in it, when they cannot be read or are too many; out needs no
 * finish then. */
MUST_USE bool stripe_secrets_read(struct stripe_secrets *out, struct err *err);
/* Wipes them. */
void stripe_secrets_finish(struct stripe_secrets *secrets);

#endif
