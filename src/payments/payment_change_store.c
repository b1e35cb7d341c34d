/*
 * What changes a payment that is there: its state with the money that belongs to it, the till's
 * name of it, and when it was asked about.
 */

#include "payments/payment_store.h"

#include "base/limits.h"
#include "wallet/account.h"
#include "wallet/play.h"

#include <stdlib.h>
#include <string.h>

static void count_row(void *arg, const struct db_row *row)
{
	(void)row;
	++*(int64_t *)arg;
}

static void change_destroy(struct rider *rider)
{
	struct payment_change *c = container_of(rider, struct payment_change, rider);

	payment_view_finish(&c->after);
	free(c->ref);
	free(c->charge_ref);
	free(c->url);
	free(c->reason);
	free(c->trouble);
	free(c);
}

/* Bytes of a request are durable before they go out: where none are, the till never heard of it. */
static bool is_heard(struct db *db, struct id payment)
{
	static const char SQL[] =
		"SELECT r.key FROM payment p JOIN gateway_request r ON r.gateway = p.gateway "
		"WHERE p.id = $1 AND r.key >= $2 AND r.key < $3 LIMIT 1";
	char from[ID_TEXT_SIZE], to[ID_TEXT_SIZE + 1];
	struct db_stmt *s = db_stmt(db, SQL);
	int64_t count = 0;

	/* As in stripe_store.c: "pay_X" and all "pay_X-...". */
	payment_id_text(payment, from);
	(void)snprintf(to, sizeof(to), "%s.", from);
	db_bind_id(s, payment);
	db_bind_text(s, from);
	db_bind_text(s, to);
	db_queue(s, count_row, &count);
	db_wait(db);
	return count > 0;
}

static bool may_change(const struct payment_change *c, struct db *db, const struct wallet_cmd *cmd)
{
	enum payment_state from = c->after.state;

	if (!payment_may_become(from, c->to))
		return false;
	if (c->only_if_unheard && is_heard(db, c->payment))
		return false;
	if (!c->is_grant)
		return true;
	/* A payment whose grant was disputed since is not won back by late news of it. */
	return !payment_has_grant(from) &&
	       (cmd->outcome == WALLET_OK || cmd->outcome == WALLET_DUPLICATE);
}

static void write_state(struct db *db, const struct payment_change *c)
{
	static const char SQL[] =
		"UPDATE payment SET state = $1, gateway_ref = COALESCE($2, gateway_ref), "
		"charge_ref = COALESCE($3, charge_ref), url = COALESCE($4, url), reason = $5, "
		"finished_ms = $6, declined_ms = $7 WHERE id = $8";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_i64(s, c->to);
	db_bind_text(s, c->ref);
	db_bind_text(s, c->charge_ref);
	db_bind_text(s, c->url);
	db_bind_text(s, c->reason);
	if (payment_is_unfinished(c->to))
		db_bind_null(s);
	else
		db_bind_walltime(s, c->now);
	if (c->is_decline)
		db_bind_walltime(s, c->now);
	else
		db_bind_null(s);
	db_bind_id(s, c->payment);
	db_queue_write(s, 1);
}

static void replace(char **text, const char *by)
{
	if (!by)
		return;
	free(*text);
	*text = xstrdup(by);
}

static void change_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct payment_change *c = container_of(rider, struct payment_change, rider);
	struct payment_view *after = &c->after;
	bool is_there;

	payment_view_finish(after);
	c->was_changed = false;
	if (payment_find(db, c->payment, &is_there, after) != DB_OK)
		return;
	c->is_there = is_there;
	if (!is_there || !may_change(c, db, cmd))
		return;
	write_state(db, c);
	if (after->kind == PAYMENT_RELOAD && !payment_is_unfinished(c->to))
		reload_end_row(db, c);
	c->was_changed = true;
	after->state = c->to;
	replace(&after->ref, c->ref);
	replace(&after->charge_ref, c->charge_ref);
	replace(&after->url, c->url);
	free(after->reason);
	after->reason = c->reason ? xstrdup(c->reason) : NULL;
	if (!payment_is_unfinished(c->to))
		after->finished = c->now;
}

struct payment_change *payment_change_create(struct id payment, enum payment_state to,
					     struct walltime now)
{
	struct payment_change *c = xzalloc(sizeof(*c));

	c->rider = (struct rider){.apply = change_apply, .destroy = change_destroy};
	c->payment = payment;
	c->to = to;
	c->now = now;
	return c;
}

static void note_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"UPDATE payment SET state = CASE WHEN state = 1 THEN 2 ELSE state END, "
		"gateway_ref = COALESCE($1, gateway_ref) WHERE id = $2";
	struct payment_note *n = container_of(rider, struct payment_note, rider);
	struct payment_view found;
	bool is_there;
	struct db_stmt *s;

	(void)cmd;
	n->is_over = false;
	if (payment_find(db, n->payment, &is_there, &found) != DB_OK)
		return;
	n->is_over = !is_there || !payment_is_unfinished(found.state);
	payment_view_finish(&found);
	if (n->is_over)
		return;
	s = db_stmt(db, SQL);
	db_bind_text(s, n->ref);
	db_bind_id(s, n->payment);
	db_queue_write(s, 1);
}

static void note_destroy(struct rider *rider)
{
	struct payment_note *n = container_of(rider, struct payment_note, rider);

	free(n->ref);
	free(n);
}

struct payment_note *payment_note_create(struct id payment, const char *ref)
{
	struct payment_note *n = xzalloc(sizeof(*n));

	n->rider = (struct rider){.apply = note_apply, .destroy = note_destroy};
	n->payment = payment;
	n->ref = ref ? xstrdup(ref) : NULL;
	return n;
}

static void ask_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char FIND[] = "SELECT asked_ms FROM payment WHERE id = $1 "
				   "AND asked_ms IS NOT NULL AND asked_ms > $2 AND asked_ms <= $3";
	static const char UPDATE[] = "UPDATE payment SET asked_ms = $1 WHERE id = $2";
	struct payment_ask *a = container_of(rider, struct payment_ask, rider);
	struct db_stmt *s = db_stmt(db, FIND);
	int64_t count = 0;

	(void)cmd;
	db_bind_id(s, a->payment);
	db_bind_walltime(s, (struct walltime){.ms = a->now.ms - a->spacing_ms});
	db_bind_walltime(s, a->now);
	db_queue(s, count_row, &count);
	db_wait(db);
	a->is_ours = count == 0;
	if (!a->is_ours)
		return;
	s = db_stmt(db, UPDATE);
	db_bind_walltime(s, a->now);
	db_bind_id(s, a->payment);
	db_queue_write(s, -1);
}

static void ask_destroy(struct rider *rider)
{
	free(container_of(rider, struct payment_ask, rider));
}

struct payment_ask *payment_ask_create(struct id payment, struct walltime now, int64_t spacing_ms)
{
	struct payment_ask *a = xzalloc(sizeof(*a));

	a->rider = (struct rider){.apply = ask_apply, .destroy = ask_destroy};
	a->payment = payment;
	a->now = now;
	a->spacing_ms = spacing_ms;
	return a;
}
