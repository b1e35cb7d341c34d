#ifndef PAYMENTS_FOUND_STORE_H
#define PAYMENTS_FOUND_STORE_H

/*
 * Money at the till that the store does not know, because an older copy of it was put back: what
 * the till tells of it becomes a payment again, open, which is then settled as any other is, under
 * its own business fact. What does not fit is noted once.
 */

#include "payments/gateway.h"
#include "payments/payment_store.h"

enum found_outcome {
	FOUND_KNOWN, /* the store has the payment */
	FOUND_MADE,  /* it has it now */
	FOUND_STRAY, /* it cannot be credited */
};

struct found_insert {
	struct rider rider;
	/* In; texts are owned. */
	struct payment_view payment;
	const char *gateway;
	char *trouble; /* NULL: none */
	/* Out. */
	enum found_outcome outcome;
	const char *reason; /* STRAY */
	bool is_news;       /* STRAY: not noted before */
};

struct found_insert *found_insert_create(const char *gateway, const struct gateway_paid *paid,
					 struct walltime now);

#endif
