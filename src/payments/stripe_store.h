#ifndef PAYMENTS_STRIPE_STORE_H
#define PAYMENTS_STRIPE_STORE_H

/*
 * What the Stripe gateway keeps: the bytes of its requests, and the customer of each org.
 */

#include "payments/payment_store.h"

/* Keeps the bytes of a request before it goes out, or finds those that were kept first: only they
 * are ever sent under this key. */
struct request_keep {
	struct rider rider;
	/* In; out they are what stands in the store. Owned. */
	const char *gateway;
	char *key, *path, *body;
	struct walltime created;
	struct walltime now; /* in: they go out, unless stale */
	/* Out. */
	bool is_repeat;       /* they were kept before, so they may have been sent */
	bool is_stale;        /* so long ago that they are not sent again */
	struct walltime sent; /* the last time before this one; of new ones: now */
};
struct request_keep *request_keep_create(const char *gateway, const char *key, const char *path,
					 struct slice body, struct walltime now);

/* The customer of an org: the first that is kept stays. */
struct customer_keep {
	struct rider rider;
	/* In; customer out is what stands in the store. Owned. */
	const char *gateway;
	struct id org;
	char *customer, *email;
	int64_t attempt;
};
struct customer_keep *customer_keep_create(const char *gateway, struct id org, const char *customer,
					   const char *email, int64_t attempt);

/* What is known before a request is made. Texts are owned; NULL: none. */
struct stripe_facts {
	char *org_name, *email;
	bool is_default_org;
	char *customer, *customer_email;
	int64_t attempt; /* of the customer's creation; 0: none yet */
	/* Requests of the payment that were kept. */
	bool has_intent, has_session, has_invoice;
};
MUST_USE enum db_status stripe_facts_read(struct db *db, const char *gateway, struct id org,
					  struct id payment, struct stripe_facts *out);
void stripe_facts_finish(struct stripe_facts *facts);

/* What the mirror set up once. Texts are owned; NULL: not there. */
struct stripe_objects {
	char *meter, *product, *price;
	char *subscription; /* of the customer */
};
MUST_USE enum db_status stripe_objects_read(struct db *db, const char *gateway,
					    const char *customer, struct stripe_objects *out);
void stripe_objects_finish(struct stripe_objects *objects);
/* The name is "meter", "product", "price", or the customer for its subscription. */
struct rider *object_keep_create(const char *gateway, const char *name, const char *ref);

#endif
