#ifndef WALLET_VERIFY_H
#define WALLET_VERIFY_H

/*
 * The ledger proves itself. For each org: the hash chain is whole, the sums of the entries are the
 * wallet row, held is the sum of the open holds, every hold ends exactly once, available is not
 * negative unless a refund or dispute took money that was spent; what a limited key is said to hold
 * is the sum of its open holds; the sums of usage are those of the entries. Payments have exactly
 * one grant (a check that the payments room adds through its own function on the command line).
 *
 * Reads in one consistent view.
 */

#include "base/buf.h"
#include "wallet/wallet.h"

#define VERIFY_FAULTS_MAX 50

struct verify_report {
	int64_t orgs;
	int64_t entries;
	int64_t open_holds;
	int64_t faults;
	struct buf faults_text; /* one line each, at most VERIFY_FAULTS_MAX */
	struct digest root;     /* over the heads of all orgs in order of id */
};

MUST_USE enum db_status ledger_verify(struct db *db, struct verify_report *out);
void verify_report_finish(struct verify_report *report);

struct ledger_entry {
	struct id org;
	int64_t seq;
	enum entry_kind kind;
	enum account from, to;
	struct microusd amount;
	struct id ref;    /* call or payment; ID_NONE for none */
	struct id key;    /* ID_NONE for none */
	const char *tool; /* NULL for none */
	bool is_closing;  /* ends the hold that ref names */
	int64_t price_version;
	struct walltime at;
	const char *note; /* NULL for none */
	struct digest hash;
};

/* All entries of org (ID_NONE: of all orgs) in order of org and seq. */
typedef void ledger_entry_fn(void *arg, const struct ledger_entry *entry);
MUST_USE enum db_status ledger_each(struct db *db, struct id org, ledger_entry_fn *fn, void *arg);

/*
 * The hash of an entry: SHA-256 over the previous hash (32 bytes, zero for the first) and the
 * fields in the order of the struct: ids as 16 bytes (zero for none), integers as 8 bytes big
 * endian, texts as an 8-byte length and their bytes (length -1 for none).
 */
struct digest ledger_entry_hash(const struct digest *previous, const struct ledger_entry *entry);

#endif
