/*
 * The brake on a card that is declined again and again: an agent that tries on and on looks to the
 * bank like somebody who tests cards. Auto-reload has a rule of its own and does not count.
 */

#include "payments/payment_store.h"

#include "base/limits.h"

struct brake {
	int64_t count;
	struct walltime oldest;
};

/* Newest first. */
static void read_decline(void *arg, const struct db_row *row)
{
	struct brake *brake = arg;

	brake->count++;
	brake->oldest = db_row_walltime(row, "declined_ms");
}

static void count_row(void *arg, const struct db_row *row)
{
	(void)row;
	++*(int64_t *)arg;
}

bool buy_is_braked(struct db *db, struct payment_insert *in)
{
	/* Another process may have ended its buy after this one was asked for; what is far in the
	 * future is of a clock that was set back since. */
	static const char DECLINED[] =
		"SELECT declined_ms FROM payment WHERE org = $1 AND gateway = $2 "
		"AND declined_ms > $3 AND declined_ms <= $4 ORDER BY declined_ms DESC LIMIT $5";
	static const char IN_FLIGHT[] =
		"SELECT id FROM payment WHERE org = $1 AND kind = 1 AND gateway = $2 "
		"AND created_ms > $3 AND created_ms <= $4 AND state IN (1, 2) LIMIT $5";
	static const char *const BOTH[] = {DECLINED, IN_FLIGHT};
	const struct payment_view *p = &in->payment;
	struct brake brake = {.count = 0};
	int64_t in_flight = 0;

	for (size_t i = 0; i < ARRAY_LEN(BOTH); i++) {
		struct db_stmt *s = db_stmt(db, BOTH[i]);

		db_bind_id(s, p->org);
		db_bind_text(s, in->till.gateway);
		db_bind_walltime(s, (struct walltime){.ms = p->created.ms - BUY_BRAKE_MS});
		db_bind_walltime(s, (struct walltime){.ms = p->created.ms + BUY_BRAKE_MS});
		db_bind_i64(s, BUY_DECLINES_MAX);
		if (i == 0)
			db_queue(s, read_decline, &brake);
		else
			db_queue(s, count_row, &in_flight);
	}
	db_wait(db);
	in->retry_after_ms = 0;
	if (brake.count >= BUY_DECLINES_MAX)
		in->retry_after_ms = brake.oldest.ms + BUY_BRAKE_MS - p->created.ms;
	if (in->retry_after_ms > BUY_BRAKE_MS)
		in->retry_after_ms = BUY_BRAKE_MS;
	return brake.count + in_flight >= BUY_DECLINES_MAX;
}
