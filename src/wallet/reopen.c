/*
 * When the store that was open is not what lies at its place any more: what is to be forgotten with
 * it, and whether entries that were answered for are missing in what is opened instead.
 */

#include "wallet/internal.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct witness_head {
	struct id org;
	int64_t seq;
	struct digest head;
};

static void read_head(void *arg, const struct db_row *row)
{
	struct witness *witness = arg;
	struct slice head = db_row_blob(row, "head");
	struct witness_head *h;

	if (head.len != sizeof(h->head.b))
		return;
	witness->heads = xrealloc_array(witness->heads, witness->count + 1,
					sizeof(*witness->heads));
	h = &witness->heads[witness->count++];
	h->org = db_row_id(row, "org");
	h->seq = db_row_i64(row, "seq");
	memcpy(h->head.b, head.p, head.len);
}

void witness_take(struct witness *witness, struct db *db)
{
	static const char SQL[] = "SELECT org, seq, head FROM wallet LIMIT 4096";

	witness_finish(witness);
	db_queue(db_stmt(db, SQL), read_head, witness);
	witness->is_taken = db_flush(db) == DB_OK;
}

void witness_finish(struct witness *witness)
{
	free(witness->heads);
	*witness = (struct witness){.heads = NULL};
}

struct found_head {
	int64_t seq; /* the last of this org that is there */
	bool is_there;
	struct digest hash;
};

static void read_entry(void *arg, const struct db_row *row)
{
	struct found_head *found = arg;
	struct slice hash = db_row_blob(row, "hash");

	CHECK(hash.len == sizeof(found->hash.b));
	memcpy(found->hash.b, hash.p, hash.len);
	found->is_there = true;
}

static void read_seq(void *arg, const struct db_row *row)
{
	((struct found_head *)arg)->seq = db_row_i64(row, "seq");
}

/* How many entries of the org are missing; at least one where its chain is another. */
static int64_t missing_of(const struct witness_head *h, struct db *db)
{
	static const char ENTRY[] = "SELECT hash FROM entry WHERE org = $1 AND seq = $2";
	static const char LAST[] = "SELECT seq FROM wallet WHERE org = $1";
	struct found_head found = {.seq = 0};
	struct db_stmt *s = db_stmt(db, ENTRY);

	db_bind_id(s, h->org);
	db_bind_i64(s, h->seq);
	db_queue(s, read_entry, &found);
	s = db_stmt(db, LAST);
	db_bind_id(s, h->org);
	db_queue(s, read_seq, &found);
	if (db_flush(db) != DB_OK || h->seq == 0 ||
	    (found.is_there && digest_eq(&found.hash, &h->head)))
		return 0;
	return found.seq < h->seq ? h->seq - found.seq : 1;
}

bool witness_confirms(const struct witness *witness, struct db *db, const char *store)
{
	int64_t entries = 0, orgs = 0;

	if (!witness->is_taken)
		return false;
	for (size_t i = 0; i < witness->count; i++) {
		int64_t missing = missing_of(&witness->heads[i], db);

		entries += missing;
		orgs += missing > 0;
	}
	if (orgs)
		log_fault("event=entries_missing store=%s orgs=%lld entries=%lld "
			  "reason=store_was_replaced",
			  log_quote(store), (long long)orgs, (long long)entries);
	return orgs == 0;
}

bool lease_is_lost(const struct wallet *w, struct id lease)
{
	for (size_t i = 0; i < w->lost_count; i++) {
		if (id_eq(w->lost_leases[i], lease))
			return true;
	}
	return false;
}

void wallet_forget_leases(struct wallet *w)
{
	if (!id_is_none(w->lease)) {
		w->lost_leases = xrealloc_array(w->lost_leases, w->lost_count + 1,
						sizeof(*w->lost_leases));
		w->lost_leases[w->lost_count++] = w->lease;
	}
	w->lease = ID_NONE;
	w->holds_open = 0;
	w->is_unsure = false;
}
