#ifndef PROVIDERS_SESSION_STORE_H
#define PROVIDERS_SESSION_STORE_H

/*
 * The sessions with sites that callers connected, for ${session:NAME}. A session is sealed in the
 * store, opened for the request that carries it, and shown to nobody.
 */

#include "base/err.h"
#include "wallet/wallet.h"

struct sessions;

/* store is the path or URL; nothing is read before the first session is needed. */
struct sessions *sessions_create(struct wallet *wallet, const char *store);
void sessions_destroy(struct sessions *s); /* NULL is allowed */

/* Fill the first part of a zeroed one; done comes in this turn's end or a later one. */
struct session_read {
	struct id org;
	const char *site;    /* borrowed until done or finish, as is the next */
	const char *account; /* NULL: the one connected last */
	struct boottime deadline;
	void (*done)(struct session_read *read);
	void *arg;

	/* Out; owned by the read. */
	bool is_failed; /* the store could not be read */
	bool is_found;
	char *secret; /* NULL: there is none, or it cannot be opened, and err says why */
	struct err err;

	struct sessions *sessions;
	struct wallet_query query;
};

void session_read_start(struct session_read *read, struct sessions *s);
/* Also of one that is done or was never started. */
void session_read_finish(struct session_read *read);

/* Keeps a session, in the place of one with the same account; everything is copied. NULL and err
 * when there is no key to seal it with. */
struct rider *session_rider(struct sessions *s, struct id org, const char *site,
			    const char *account, struct slice secret, struct walltime at,
			    struct err *err);

struct session_view {
	char *account;
	struct walltime connected;
};

/* In order of their names. */
struct session_list {
	struct session_view *items;
	size_t count;
};

struct db;
/* For the step of a query. False when the store could not be read. */
MUST_USE bool session_list_read(struct db *db, struct id org, const char *site,
				struct session_list *out);
void session_list_finish(struct session_list *list);

#endif
