/*
 * A hold and its two ends. A hold is open from its entry to the one entry that closes it.
 */

#include "wallet/internal.h"

#include <string.h>

static struct entry_values entry_of(const struct wallet_cmd *cmd, enum entry_kind kind,
				    enum account from, enum account to, struct microusd amount)
{
	return (struct entry_values){
		.kind = kind,
		.from = from,
		.to = to,
		.amount = amount,
		.ref = cmd->id,
		.key = cmd->caller.key,
		.tool = cmd->tool,
		.price_version = cmd->price_version,
	};
}

/* Captures of the month and open holds together stay within the org's limit. */
static bool fits_budget(const struct wallet_view *view, struct microusd amount)
{
	struct preferences prefs = wallet_bound_prefs(view);
	struct microusd sum;

	if (!prefs.has_budget)
		return true;
	return microusd_add(&sum, view->captured_month, view->held) &&
	       microusd_add(&sum, sum, amount) && microusd_cmp(sum, prefs.budget_limit) <= 0;
}

/* Who asks, and whether this call was made before. */
static enum wallet_outcome admit(struct batch *b, struct wallet_cmd *cmd, struct row **out)
{
	struct row *row;

	if (!key_is_good(b, cmd->caller))
		return WALLET_UNAUTHENTICATED;
	row = batch_row(b, cmd->caller.org);
	if (!row->exists)
		return WALLET_NO_ORG;
	*out = row;
	return cmd->idempotency_key ? idempotency_find(b, cmd) : WALLET_OK;
}

/* Whose limits, rates and marks a call counts for. */
static void find_subject(struct batch *b, struct wallet_cmd *cmd)
{
	const struct key_row *key = batch_key(b, cmd->caller.key);

	cmd->subject = key ? key->root : cmd->caller.org;
	cmd->is_limited = key && key->is_limited;
}

/* Rates, then the spend guard. */
static enum wallet_outcome guard(struct batch *b, struct wallet_cmd *cmd,
				 const struct limit_row *limit)
{
	if (!rate_has_room(b, cmd->subject, cmd->tool, cmd->rate, &cmd->retry_after_ms))
		return WALLET_RATE_LIMITED;
	if (limit && !rate_has_room(b, cmd->subject, "", limit->limits.rate, &cmd->retry_after_ms))
		return WALLET_RATE_LIMITED;
	return guard_is_open(b, cmd) ? WALLET_OK : WALLET_LOOP;
}

/* What refuses a call before its funds do. */
static enum wallet_outcome bound(struct batch *b, struct wallet_cmd *cmd, const struct row *row,
				 const struct limit_row *limit)
{
	enum wallet_outcome outcome = guard(b, cmd, limit);

	if (outcome != WALLET_OK)
		return outcome;
	if (!fits_budget(&row->view, cmd->amount))
		return WALLET_OVER_BUDGET;
	if (limit)
		outcome = limit_check(limit, cmd, cmd->amount);
	if (outcome != WALLET_OK)
		return outcome;
	return microusd_cmp(wallet_spendable(&row->view), cmd->amount) < 0 ? WALLET_INSUFFICIENT
									   : WALLET_OK;
}

/* The call is held: only now it counts. */
static void count_call(struct batch *b, struct wallet_cmd *cmd, struct limit_row *limit)
{
	rate_take(b, cmd->subject, cmd->tool, cmd->rate);
	guard_made(b, cmd);
	if (!limit)
		return;
	rate_take(b, cmd->subject, "", limit->limits.rate);
	limit_hold(limit, cmd->amount);
}

static void write_hold(struct batch *b, const struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"INSERT INTO hold (id, org, api_key, tool, amount_microusd, lease, price_version, "
		"idempotency_day, idempotency_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, cmd->id);
	db_bind_id(s, cmd->caller.org);
	db_bind_id(s, cmd->caller.key);
	db_bind_text(s, cmd->tool);
	db_bind_microusd(s, cmd->amount);
	db_bind_id(s, cmd->lease);
	db_bind_i64(s, cmd->price_version);
	if (cmd->idempotency_key)
		db_bind_i64(s, cmd->idempotency_day);
	else
		db_bind_null(s);
	db_bind_text(s, cmd->idempotency_key);
	db_queue_write(s, 1);
}

void apply_hold(struct batch *b, struct wallet_cmd *cmd)
{
	struct entry_values e = entry_of(cmd, ENTRY_HOLD, ACCOUNT_AVAILABLE, ACCOUNT_HELD,
					 cmd->amount);
	struct limit_row *limit;
	struct row *row = NULL;

	cmd->outcome = admit(b, cmd, &row);
	if (cmd->outcome != WALLET_OK)
		return;
	find_subject(b, cmd);
	limit = cmd->is_limited ? batch_limit(b, cmd->subject) : NULL;
	cmd->outcome = bound(b, cmd, row, limit);
	if (cmd->outcome != WALLET_OK)
		return;
	if (!batch_entry(b, row, &e, &cmd->receipt)) {
		cmd->outcome = WALLET_OVERFLOW;
		return;
	}
	lease_ensure(b);
	cmd->lease = b->w->lease;
	cmd->is_real = row->view.is_live;
	if (cmd->idempotency_key)
		idempotency_begin(b, cmd);
	write_hold(b, cmd);
	count_call(b, cmd, limit);
	b->holds_delta++;
}

void apply_lookup(struct batch *b, struct wallet_cmd *cmd)
{
	struct row *row;

	cmd->outcome = admit(b, cmd, &row);
}

static void delete_hold(struct batch *b, struct id id)
{
	static const char SQL[] = "DELETE FROM hold WHERE id = $1";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, id);
	db_queue_write(s, 1);
}

static void note_row(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
}

/* Whether the hold is open. Nobody but us ends the holds of a living lease, so the lease is proof
 * enough, except after a commit of unknown outcome. */
static bool hold_is_open(struct batch *b, const struct wallet_cmd *cmd)
{
	static const char SQL[] = "SELECT id FROM hold WHERE id = $1";
	bool is_there = false;
	struct db_stmt *s;

	if (!lease_is_good(b, cmd->lease))
		return false;
	if (!cmd->may_be_absent)
		return true;
	s = db_stmt(b->db, SQL);
	db_bind_id(s, cmd->id);
	db_queue(s, note_row, &is_there);
	db_wait(b->db);
	return is_there;
}

/* What of an overrun may be charged: available, the caller's cap, the budget and the key's limits
 * all have to allow it. The open hold counts in the latter two already. */
static struct microusd chargeable(const struct wallet_cmd *cmd, const struct wallet_view *view,
				  const struct limit_row *limit)
{
	struct microusd most = microusd_minus(cmd->amount, cmd->held), left;
	struct preferences prefs = wallet_bound_prefs(view);

	most = microusd_min(most, microusd_max(wallet_spendable(view), MICROUSD_ZERO));
	if (cmd->has_cap)
		most = microusd_min(most, microusd_minus(cmd->cap, cmd->held));
	if (prefs.has_budget) {
		left = microusd_minus(prefs.budget_limit,
				      microusd_plus_capped(view->captured_month, view->held));
		most = microusd_min(most, left);
	}
	if (limit)
		most = microusd_min(most, limit_room(limit));
	return microusd_max(most, MICROUSD_ZERO);
}

/*
 * More was used than was held. What may be charged of it is captured from available; the platform
 * bears the rest, which is written off. Both are entries of their own, before the one that ends the
 * hold.
 */
static struct microusd capture_overrun(struct batch *b, struct wallet_cmd *cmd, struct row *row,
				       const struct limit_row *limit)
{
	struct microusd extra = chargeable(cmd, &row->view, limit);
	struct microusd rest = microusd_minus(microusd_minus(cmd->amount, cmd->held), extra);
	struct entry_values e;

	if (microusd_sign(rest) > 0) {
		e = entry_of(cmd, ENTRY_WRITEOFF, ACCOUNT_WRITEOFF, ACCOUNT_REVENUE, rest);
		CHECK(batch_entry(b, row, &e, NULL));
	}
	if (microusd_sign(extra) > 0) {
		e = entry_of(cmd, ENTRY_CAPTURE, ACCOUNT_AVAILABLE, ACCOUNT_REVENUE, extra);
		CHECK(batch_entry(b, row, &e, NULL));
	}
	cmd->written_off = rest;
	return extra;
}

void apply_capture(struct batch *b, struct wallet_cmd *cmd)
{
	struct row *row = batch_row(b, cmd->caller.org);
	bool is_over = microusd_cmp(cmd->amount, cmd->held) > 0;
	struct limit_row *limit = cmd->is_limited ? batch_limit(b, cmd->subject) : NULL;
	struct microusd captured = is_over ? cmd->held : cmd->amount, rest;
	struct entry_values e;

	CHECK(microusd_sign(cmd->amount) >= 0 && (!is_over || cmd->may_exceed));
	cmd->charged = cmd->written_off = MICROUSD_ZERO;
	if (lease_is_lost(b->w, cmd->lease)) {
		cmd->outcome = WALLET_UNAVAILABLE;
		return;
	}
	b->holds_delta--;
	if (!row->exists || !hold_is_open(b, cmd)) {
		cmd->outcome = WALLET_GONE;
		return;
	}
	cmd->charged = captured;
	if (is_over)
		cmd->charged = microusd_plus(captured, capture_overrun(b, cmd, row, limit));
	rest = microusd_minus(cmd->held, captured);
	if (microusd_sign(rest) > 0) {
		e = entry_of(cmd, ENTRY_RELEASE, ACCOUNT_HELD, ACCOUNT_AVAILABLE, rest);
		CHECK(batch_entry(b, row, &e, NULL));
	}
	e = entry_of(cmd, ENTRY_CAPTURE, ACCOUNT_HELD, ACCOUNT_REVENUE, captured);
	e.is_closing = true;
	e.is_real = cmd->is_real;
	CHECK(batch_entry(b, row, &e, &cmd->receipt));
	row->view.captured_month = microusd_plus_capped(row->view.captured_month, cmd->charged);
	if (limit)
		limit_end(limit, cmd->held, cmd->charged);
	delete_hold(b, cmd->id);
	if (cmd->idempotency_key)
		idempotency_keep(b, cmd, row->view.seq);
	cmd->outcome = WALLET_OK;
}

void apply_release(struct batch *b, struct wallet_cmd *cmd)
{
	struct row *row = batch_row(b, cmd->caller.org);
	struct entry_values e = entry_of(cmd, ENTRY_RELEASE, ACCOUNT_HELD, ACCOUNT_AVAILABLE,
					 cmd->held);
	struct limit_row *limit;

	if (lease_is_lost(b->w, cmd->lease)) {
		cmd->outcome = WALLET_GONE;
		return;
	}
	if (!row->exists || !hold_is_open(b, cmd)) {
		b->holds_delta -= !cmd->may_be_absent;
		cmd->outcome = WALLET_GONE;
		return;
	}
	b->holds_delta--;
	e.is_closing = true;
	CHECK(batch_entry(b, row, &e, &cmd->receipt));
	limit = cmd->is_limited ? batch_limit(b, cmd->subject) : NULL;
	if (limit)
		limit_end(limit, cmd->held, MICROUSD_ZERO);
	guard_end(b, cmd);
	delete_hold(b, cmd->id);
	if (cmd->idempotency_key)
		idempotency_drop(b, cmd->caller.org, cmd->idempotency_day, cmd->idempotency_key);
	cmd->outcome = WALLET_OK;
}
