/*
 * Sums of usage, kept as calls end: one row an org, quarter of an hour, tool and key, written once
 * a batch. Quarters, because every time zone begins its days at one.
 */

#include "wallet/internal.h"

#include "wallet/usage.h"

#include <stdlib.h>
#include <string.h>

struct usage_sum {
	struct id org, key;
	char *tool; /* owned */
	int64_t charged, refunded;
	struct microusd charged_amount, refunded_amount;
};

static struct usage_sum *sum_of(struct batch *b, const struct ledger_entry *e)
{
	struct usage_sum *sum;

	for (size_t i = b->sums_count; i; i--) {
		sum = &b->sums[i - 1];
		if (id_eq(sum->org, e->org) && id_eq(sum->key, e->key) &&
		    strcmp(sum->tool, e->tool) == 0)
			return sum;
	}
	if (b->sums_count == b->sums_size) {
		b->sums_size = b->sums_size ? 2 * b->sums_size : 4;
		b->sums = xrealloc_array(b->sums, b->sums_size, sizeof(*b->sums));
	}
	sum = &b->sums[b->sums_count++];
	*sum = (struct usage_sum){.org = e->org, .key = e->key, .tool = xstrdup(e->tool)};
	return sum;
}

/* What a model used beyond its hold is an entry beside the one that ends the call. */
void usage_sums_count(struct batch *b, const struct ledger_entry *e)
{
	struct usage_sum *sum;

	if (!e->tool || (!e->is_closing && e->kind != ENTRY_CAPTURE))
		return;
	sum = sum_of(b, e);
	if (e->kind == ENTRY_CAPTURE) {
		sum->charged += e->is_closing;
		sum->charged_amount = microusd_plus_capped(sum->charged_amount, e->amount);
	} else {
		sum->refunded++;
		sum->refunded_amount = microusd_plus_capped(sum->refunded_amount, e->amount);
	}
}

void usage_sums_write(struct batch *b)
{
	static const char SQL[] =
		"INSERT INTO usage_sum (org, quarter, tool, api_key, charged, refunded, "
		"charged_microusd, refunded_microusd) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
		"ON CONFLICT (org, quarter, tool, api_key) DO UPDATE SET "
		"charged = usage_sum.charged + excluded.charged, "
		"refunded = usage_sum.refunded + excluded.refunded, "
		"charged_microusd = usage_sum.charged_microusd + excluded.charged_microusd, "
		"refunded_microusd = usage_sum.refunded_microusd + excluded.refunded_microusd";

	for (size_t i = 0; i < b->sums_count; i++) {
		const struct usage_sum *sum = &b->sums[i];
		struct db_stmt *s = db_stmt(b->db, SQL);

		db_bind_id(s, sum->org);
		db_bind_i64(s, usage_quarter(b->now));
		db_bind_text(s, sum->tool);
		db_bind_blob(s, sum->key.b, sizeof(sum->key.b));
		db_bind_i64(s, sum->charged);
		db_bind_i64(s, sum->refunded);
		db_bind_microusd(s, sum->charged_amount);
		db_bind_microusd(s, sum->refunded_amount);
		db_queue_write(s, 1);
	}
}

void usage_sums_finish(struct batch *b)
{
	for (size_t i = 0; i < b->sums_count; i++)
		free(b->sums[i].tool);
	free(b->sums);
}
