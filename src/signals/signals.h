#ifndef SIGNALS_SIGNALS_H
#define SIGNALS_SIGNALS_H

/*
 * Detectors of buying signals. Each is one file with a const struct detector; app puts it behind
 * the meter as a local provider. A detector fetches politely (fetch.c: conditional, capped, no
 * private addresses, a User-Agent that names farebox and a contact), scores what it found, and
 * compares with its last run for this org and company (signals_store.c), whose snapshot is
 * replaced by a rider of the call's settlement.
 */

#include "base/buf.h"
#include "base/err.h"
#include "loop/http.h"
#include "loop/loop.h"
#include "wallet/wallet.h"
#include "json/faults.h"

#include <jansson.h>

struct signals;
struct detection;

struct detector {
	const char *name; /* "hiring": in farebox.json and in detect_signal's `ran` */
	const char *tool; /* "detect_hiring" */
	void (*start)(struct detection *d);
	/* Stops what is in flight and frees d->state; also called after done. */
	void (*stop)(struct detection *d);
};

extern const struct detector DETECTOR_HIRING;
extern const struct detector DETECTOR_WEBSITE_CHANGE;
/* All of them, in the default order of detect_signal; ended by NULL. */
extern const struct detector *const DETECTORS[];

enum detection_outcome {
	DETECTION_OK,        /* an answer, also "nothing found": charged */
	DETECTION_FREE,      /* unchanged, or the first look of a detector that reports change */
	DETECTION_NO_SOURCE, /* no source has such a company: released */
	DETECTION_BAD_INPUT, /* the company's members give nothing to look at; err names what */
	DETECTION_FAILED,    /* the source cannot be reached or answers garbage: released */
	DETECTION_TIMEOUT,
};

/* One run. The caller owns it from signals_start to done or signals_cancel. */
struct detection {
	/* In; borrowed until done. */
	const struct detector *detector;
	struct id org;
	json_t *company; /* the argument, checked against the tool's schema */
	int64_t timeout_ms;
	void (*done)(struct detection *d);
	void *arg;

	/* Out; finished by detection_finish. */
	enum detection_outcome outcome;
	struct buf result; /* {"signals":[...],"unchanged":false}; empty when it failed */
	size_t signals_count;
	bool is_unchanged;
	int status;            /* of the source, 0 for none */
	int64_t retry_after_s; /* -1 for none */
	struct err err;
	struct rider *riders; /* to ride in the settlement, charged or not */

	/* The room's own. */
	struct signals *signals;
	struct boottime deadline;
	void *state;
};

struct signals_config {
	const char *contact; /* for the User-Agent; NULL for none */
	bool allow_private;
	const json_t *detectors; /* the configuration's "detectors"; borrowed; NULL for none */
};

/* Adds all faults of a configuration that has the right shape, with pointers from its root. */
void signals_check(const struct signals_config *config, struct faults *faults);
/* NULL and err with the JSON pointer of the fault in the configuration. */
struct signals *signals_create(struct loop *loop, struct http *http, struct wallet *wallet,
			       const struct signals_config *config, struct err *err);
void signals_destroy(struct signals *s);

/* Fill the first part of d. done comes once, in a later turn. */
void signals_start(struct signals *s, struct detection *d);
/* done does not come any more. */
void signals_cancel(struct detection *d);
void detection_finish(struct detection *d);

#endif
