#ifndef PAYMENTS_PAYMENT_H
#define PAYMENTS_PAYMENT_H

/*
 * What a payment may become, and its names. Every change of state goes through payment_may_become,
 * in the transaction that writes it.
 */

#include "payments/payments.h"

bool payment_may_become(enum payment_state from, enum payment_state to);
/* The gateway has not said its last word. */
bool payment_is_unfinished(enum payment_state state);
/* The gateway has not answered yet. */
bool payment_is_in_flight(enum payment_state state);
/* Its money was granted, also if some was taken back since. */
bool payment_has_grant(enum payment_state state);
/* The payer may still pay, but the time for it is over. */
bool payment_is_expired(const struct payment_view *p, struct walltime now);

/* The texts are copied. */
void payment_view_copy(struct payment_view *out, const struct payment_view *p);

/* "pay_..." and the business fact that its grant is keyed by. */
void payment_id_text(struct id id, char out[ID_TEXT_SIZE]);
char *payment_fact(struct id id);
/* What is credited. */
struct microusd payment_credit(const struct payment_view *p);

#endif
