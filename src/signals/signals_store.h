#ifndef SIGNALS_SIGNALS_STORE_H
#define SIGNALS_SIGNALS_STORE_H

/*
 * What detectors keep in the store: the last snapshot for an org and company, and the order in
 * which detect_signal asks the detectors. Reads are queries of the wallet's loop; writes are
 * riders.
 */

#include "base/limits.h"
#include "wallet/wallet.h"

/* Fill the first part of a zeroed one; done comes in this turn's end or a later one. */
struct snapshot_read {
	struct id org;
	const char *detector; /* borrowed until done or cancel, as is the next */
	const char *company;
	struct boottime deadline;
	void (*done)(struct snapshot_read *read);
	void *arg;

	/* Out; owned by the read. */
	bool is_failed;    /* the store could not be read */
	char *fingerprint; /* NULL: no run yet */
	char *snapshot;    /* JSON */
	struct walltime at;

	struct wallet *wallet;
	struct wallet_query query;
};

void snapshot_read_start(struct snapshot_read *read, struct wallet *wallet);
/* Also of one that is done or was never started. */
void snapshot_read_finish(struct snapshot_read *read);

/* Replaces the snapshot; everything is copied. */
struct rider *snapshot_rider(struct id org, const char *detector, const char *company,
			     const char *fingerprint, struct slice snapshot, struct walltime at);

/* The order as it was set: names of detectors, in a text of names with one blank between. */
struct order_read {
	struct id org;
	struct boottime deadline;
	void (*done)(struct order_read *read);
	void *arg;

	bool is_failed;
	char *names; /* NULL: never set */

	struct wallet *wallet;
	struct wallet_query query;
};

void order_read_start(struct order_read *read, struct wallet *wallet);
void order_read_finish(struct order_read *read);
struct rider *order_rider(struct id org, const char *names);

#endif
