#ifndef SIGNALS_COMPANY_H
#define SIGNALS_COMPANY_H

/*
 * Who is asked about: the `company` argument of a detector, normalised.
 */

#include "base/err.h"
#include "signals/boards.h"
#include "signals/score.h"
#include "signals/url.h"

#include <jansson.h>

/* Zeroed memory is an empty one. */
struct company {
	struct url home;                 /* empty when neither url nor domain is given */
	char *key;                       /* the same company under the same name, for snapshots */
	char *slug;                      /* what its job board is probably called; NULL: no idea */
	enum board_trust trust;          /* in slug */
	const char *boards[BOARD_KINDS]; /* as named by the caller; borrowed; NULL = not named */
	bool has_boards;
};

/* False names the member that cannot be used. Absent, null and empty members count as not given;
 * giving nothing at all is the detector's to refuse. */
MUST_USE bool company_read(const json_t *argument, struct company *out, struct err *err);
void company_finish(struct company *c);

/* acme for acme.com, www.acme.co.uk and jobs.acme.com:8443. The caller frees it; NULL for none. */
char *slug_of_host(const char *host);
/* acmerockets for "Acme Rockets, Inc."; the caller frees it; NULL for none. */
char *slug_of_name(const char *name);

#endif
