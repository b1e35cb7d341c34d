/*
 * Payments against the ledger: each side is read once, in one view, and the two are matched by the
 * payment's id: what was granted, and what refunds and disputes took back of it.
 */

#include "payments/payment.h"
#include "wallet/verify.h"

#include <stdlib.h>
#include <string.h>

struct grant {
	struct id payment;
	struct id org;
	enum entry_kind kind;
	struct microusd amount;
};

struct matching {
	struct grant *grants;
	size_t grants_count, grants_size;
	size_t next; /* of the grants, which are sorted as the payments come */
	struct grant *takings;
	size_t takings_count, takings_size, takings_next;
	int64_t faults;
	struct buf *text;
};

static void fault(struct matching *m, struct id payment, const char *what)
{
	char text[ID_TEXT_SIZE];

	if (m->faults++ >= VERIFY_FAULTS_MAX)
		return;
	payment_id_text(payment, text);
	buf_printf(m->text, "%s: %s\n", text, what);
}

static struct grant grant_of(const struct db_row *row)
{
	return (struct grant){
		.payment = db_row_id(row, "ref"),
		.org = db_row_id(row, "org"),
		.kind = (enum entry_kind)db_row_i64(row, "kind"),
		.amount = db_row_microusd(row, "amount_microusd"),
	};
}

static void read_grant(void *arg, const struct db_row *row)
{
	struct matching *m = arg;

	if (m->grants_count == m->grants_size) {
		m->grants_size = m->grants_size ? 2 * m->grants_size : 64;
		m->grants = xrealloc_array(m->grants, m->grants_size, sizeof(*m->grants));
	}
	m->grants[m->grants_count++] = grant_of(row);
}

static void read_taking(void *arg, const struct db_row *row)
{
	struct matching *m = arg;

	if (m->takings_count == m->takings_size) {
		m->takings_size = m->takings_size ? 2 * m->takings_size : 64;
		m->takings = xrealloc_array(m->takings, m->takings_size, sizeof(*m->takings));
	}
	m->takings[m->takings_count++] = grant_of(row);
}

static int by_payment(const void *a, const void *b)
{
	const struct grant *x = a, *y = b;

	return memcmp(x->payment.b, y->payment.b, sizeof(x->payment.b));
}

/* Grants of payments before this one have none. */
static void pass_strangers(struct matching *m, const uint8_t *until)
{
	while (m->next < m->grants_count &&
	       (!until || memcmp(m->grants[m->next].payment.b, until, sizeof(struct id)) < 0))
		fault(m, m->grants[m->next++].payment, "a grant in the ledger without a payment");
}

static void pass_strange_takings(struct matching *m, const uint8_t *until)
{
	while (m->takings_next < m->takings_count &&
	       (!until ||
		memcmp(m->takings[m->takings_next].payment.b, until, sizeof(struct id)) < 0))
		fault(m, m->takings[m->takings_next++].payment,
		      "taken back in the ledger without a payment");
}

/* What the ledger says was taken back of it, and not given back. */
static struct microusd taken_of(struct matching *m, struct id id)
{
	struct microusd taken = MICROUSD_ZERO;

	for (; m->takings_next < m->takings_count && id_eq(m->takings[m->takings_next].payment, id);
	     m->takings_next++) {
		const struct grant *t = &m->takings[m->takings_next];

		taken = t->kind == ENTRY_DISPUTE_REVERSAL ? microusd_minus(taken, t->amount)
							  : microusd_plus(taken, t->amount);
	}
	return taken;
}

static void match(void *arg, const struct db_row *row)
{
	struct matching *m = arg;
	struct id id = db_row_id(row, "id"), org = db_row_id(row, "org");
	enum payment_state state = (enum payment_state)db_row_i64(row, "state");
	enum entry_kind kind = db_row_i64(row, "kind") == PAYMENT_RELOAD ? ENTRY_RELOAD
									 : ENTRY_PURCHASE;
	struct microusd credit;
	size_t grants = 0;

	CHECK(microusd_from_cents(&credit, db_row_cents(row, "credit_cents")));
	pass_strangers(m, id.b);
	pass_strange_takings(m, id.b);
	if (microusd_cmp(taken_of(m, id), db_row_microusd(row, "taken_microusd")) != 0)
		fault(m, id, "what was taken back of it differs from the ledger");
	for (; m->next < m->grants_count && id_eq(m->grants[m->next].payment, id); m->next++) {
		const struct grant *g = &m->grants[m->next];

		grants++;
		if (!id_eq(g->org, org) || g->kind != kind || microusd_cmp(g->amount, credit) != 0)
			fault(m, id, "its grant is of another org, kind or amount");
	}
	if (payment_has_grant(state) && grants == 0)
		fault(m, id, "succeeded and has no grant in the ledger");
	else if (!payment_has_grant(state) && grants > 0)
		fault(m, id, "has a grant in the ledger and did not succeed");
	else if (grants > 1)
		fault(m, id, "has more than one grant in the ledger");
}

enum db_status payments_verify(struct db *db, int64_t *out_faults, struct buf *out_text)
{
	static const char GRANTS[] = "SELECT org, kind, ref, amount_microusd FROM entry "
				     "WHERE kind IN (3, 4)";
	static const char PAYMENTS[] =
		"SELECT id, org, kind, state, credit_cents, taken_microusd FROM payment "
		"ORDER BY id";
	static const char TAKINGS[] = "SELECT org, kind, ref, amount_microusd FROM entry "
				      "WHERE kind IN (9, 10, 11)";
	struct matching m = {.text = out_text};
	enum db_status status = db_read_begin(db);

	if (status == DB_OK) {
		db_queue(db_stmt(db, GRANTS), read_grant, &m);
		db_queue(db_stmt(db, TAKINGS), read_taking, &m);
		status = db_flush(db);
	}
	if (status == DB_OK) {
		if (m.grants_count)
			qsort(m.grants, m.grants_count, sizeof(*m.grants), by_payment);
		if (m.takings_count)
			qsort(m.takings, m.takings_count, sizeof(*m.takings), by_payment);
		db_queue(db_stmt(db, PAYMENTS), match, &m);
		status = db_flush(db);
	}
	if (status == DB_OK) {
		pass_strangers(&m, NULL);
		pass_strange_takings(&m, NULL);
	}
	db_read_end(db);
	free(m.grants);
	free(m.takings);
	if (status == DB_OK)
		*out_faults = m.faults;
	return status;
}
