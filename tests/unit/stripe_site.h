#ifndef STRIPE_SITE_H
#define STRIPE_SITE_H

/*
 * A server on 127.0.0.1 that answers by a script, whatever it is asked, and keeps what it was
 * asked. It runs on the loop of the client under test, and speaks in bytes, so that it can also
 * break off.
 */

#include "loop/http.h"
#include "payments/stripe.h"

#define SITE_REQUESTS_MAX 16
#define SITE_KEY          "sk_test_4eC39HqLyjWDarjtT1zdp7dc"

/* Bodies of Stripe's errors. */
#define ERROR(members) "{\"error\":{" members "}}"
#define OUT_OF_ORDER   ERROR("\"type\":\"api_error\",\"message\":\"try later\"")
#define BAD_KEY        ERROR("\"type\":\"invalid_request_error\",\"message\":\"bad key\"")
#define KEY_IN_USE                                                                                 \
	ERROR("\"type\":\"idempotency_error\",\"code\":\"idempotency_key_in_use\","                \
	      "\"message\":\"in use\"")

struct reply {
	int status;
	const char *headers; /* lines with \r\n; NULL: none */
	const char *body;    /* NULL: "{}" */
	size_t cut;          /* so many bytes of the body are not sent */
	bool drops;          /* closes without a word */
	bool hangs;          /* never answers */
};

struct site_conn {
	struct stripe_site *site;
	struct loop_fd *source;
	int fd;
	struct buf request;
};

struct stripe_site {
	struct loop *loop;
	struct http *http;
	struct stripe *stripe;
	struct loop_fd *listener;
	int listen_fd;
	int port;
	const struct reply *replies;
	size_t replies_count;
	/* What was asked, whole, and when. */
	char *requests[SITE_REQUESTS_MAX];
	struct boottime times[SITE_REQUESTS_MAX];
	size_t requests_count;
	struct site_conn conns[SITE_REQUESTS_MAX];
	size_t conns_count;
	int done_count;
};

void stripe_site_init(struct stripe_site *s);
void stripe_site_finish(struct stripe_site *s);

/* From here on it answers with these, in order; what was asked before is forgotten. */
void stripe_site_script(struct stripe_site *s, const struct reply *replies, size_t n);
#define SCRIPT(s, ...)                                                                             \
	stripe_site_script((s), (const struct reply[]){__VA_ARGS__},                               \
			   sizeof((const struct reply[]){__VA_ARGS__}) / sizeof(struct reply))

/* Calls as the gateway makes them, to be started. */
struct stripe_call stripe_site_post(void);
struct stripe_call stripe_site_get(void);
/* Runs one call to its end. */
void stripe_site_call(struct stripe_site *s, struct stripe_call *call);
/* A call's done: counts it and stops the loop; arg is the site. */
void stripe_site_done(struct stripe_call *call);

#endif
