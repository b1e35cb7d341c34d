/*
 * What an org has bought of late, as its ceilings count it. Decided within the batch that makes a
 * payment, so that any number of processes cannot pass a ceiling together.
 */

#include "payments/payment_store.h"

#include "base/limits.h"

struct sums {
	struct purchase_room *room;
	bool *has_expired;
};

static void read_sums(void *arg, const struct db_row *row)
{
	const struct sums *sums = arg;

	CHECK(microusd_from_cents(&sums->room->spent_day, db_row_cents(row, "day_cents")));
	CHECK(microusd_from_cents(&sums->room->spent_month, db_row_cents(row, "month_cents")));
	*sums->has_expired = db_row_i64(row, "expired") > 0;
}

/* Of what a till that is far away has open only that till can say that nobody has paid it: it
 * counts beyond its time until it was asked. */
enum db_status purchase_room_read(struct db *db, const struct purchase_till *till, struct id org,
				  const char *org_name, struct walltime now,
				  struct purchase_room *out, bool *out_has_expired)
{
	static const char SQL[] =
		"SELECT CAST(COALESCE(SUM(CASE WHEN finished_ms IS NULL OR finished_ms >= $1 "
		"THEN credit_cents ELSE 0 END), 0) AS BIGINT) AS day_cents, "
		"CAST(COALESCE(SUM(credit_cents), 0) AS BIGINT) AS month_cents, "
		"CAST(COALESCE(SUM(CASE WHEN finished_ms IS NULL AND "
		"COALESCE(expires_ms, created_ms + $2) <= $3 THEN 1 ELSE 0 END), 0) AS BIGINT) "
		"AS expired FROM payment WHERE org = $4 AND gateway = $5 AND by_operator = 0 "
		"AND state NOT IN (6, 7) AND (finished_ms >= $6 OR (finished_ms IS NULL "
		"AND ($7 = 1 OR COALESCE(expires_ms, created_ms + $2) > $3)))";
	struct sums sums = {.room = out, .has_expired = out_has_expired};
	int64_t day_ms = INT64_C(24) * 60 * 60 * 1000;
	struct db_stmt *s = db_stmt(db, SQL);

	*out = (struct purchase_room){
		.ceiling = *ceilings_of(till->ceilings, org_name),
		.now = now,
	};
	*out_has_expired = false;
	db_bind_walltime(s, (struct walltime){.ms = walltime_day(now) * day_ms});
	db_bind_i64(s, PAYMENT_OPEN_MS);
	db_bind_walltime(s, now);
	db_bind_id(s, org);
	db_bind_text(s, till->gateway);
	db_bind_walltime(s, walltime_of_month(walltime_month(now)));
	db_bind_i64(s, till->is_remote);
	db_queue(s, read_sums, &sums);
	return db_flush(db);
}

/* A page for a caller who ran out may be smaller than what is best for him, as long as it covers
 * what is missing. */
static bool shrink(struct payment_insert *in)
{
	struct microusd most = purchase_most(&in->room), cent = {MICROUSD_PER_CENT}, least;
	struct cents credit;

	CHECK(microusd_from_tokens(&least,
				   PAYMENT_USD_MIN * (MICROUSD_PER_USD / MICROUSD_PER_TOKEN)));
	if (!microusd_mul(&most, cent, microusd_steps_floor(most, cent)) ||
	    microusd_cmp(most, microusd_max(least, in->minimum)) < 0 ||
	    !cents_from_microusd_exact(&credit, most))
		return false;
	in->payment.credit = credit;
	return true;
}

bool purchase_is_bound(struct db *db, struct payment_insert *in, const char *org_name)
{
	const struct payment_view *p = &in->payment;

	in->ceiling = CEILING_NONE;
	in->has_expired = false;
	in->payment.credit = in->wanted;
	if (!in->till.ceilings || in->is_operator ||
	    purchase_room_read(db, &in->till, p->org, org_name, p->created, &in->room,
			       &in->has_expired) != DB_OK)
		return false;
	in->ceiling = purchase_refused(&in->room, payment_credit(p));
	if (in->ceiling == CEILING_NONE)
		return false;
	return p->kind != PAYMENT_CHECKOUT || !shrink(in);
}
