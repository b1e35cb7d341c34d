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
	struct microusd sum;

	if (!view->prefs.has_budget)
		return true;
	return microusd_add(&sum, view->captured_month, view->held) &&
	       microusd_add(&sum, sum, amount) && microusd_cmp(sum, view->prefs.budget_limit) <= 0;
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
	struct row *row = NULL;

	cmd->outcome = admit(b, cmd, &row);
	if (cmd->outcome != WALLET_OK)
		return;
	if (!fits_budget(&row->view, cmd->amount)) {
		cmd->outcome = WALLET_OVER_BUDGET;
		return;
	}
	if (microusd_cmp(row->view.available, cmd->amount) < 0) {
		cmd->outcome = WALLET_INSUFFICIENT;
		return;
	}
	if (!batch_entry(b, row, &e, &cmd->receipt)) {
		cmd->outcome = WALLET_OVERFLOW;
		return;
	}
	lease_ensure(b);
	cmd->lease = b->w->lease;
	if (cmd->idempotency_key)
		idempotency_begin(b, cmd);
	write_hold(b, cmd);
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

void apply_capture(struct batch *b, struct wallet_cmd *cmd)
{
	struct row *row = batch_row(b, cmd->caller.org);
	struct entry_values e;
	struct microusd rest;

	CHECK(microusd_sign(cmd->amount) >= 0 && microusd_cmp(cmd->amount, cmd->held) <= 0);
	b->holds_delta--;
	if (!row->exists || !hold_is_open(b, cmd)) {
		cmd->outcome = WALLET_GONE;
		return;
	}
	rest = microusd_minus(cmd->held, cmd->amount);
	if (microusd_sign(rest) > 0) {
		e = entry_of(cmd, ENTRY_RELEASE, ACCOUNT_HELD, ACCOUNT_AVAILABLE, rest);
		CHECK(batch_entry(b, row, &e, NULL));
	}
	e = entry_of(cmd, ENTRY_CAPTURE, ACCOUNT_HELD, ACCOUNT_REVENUE, cmd->amount);
	e.is_closing = true;
	CHECK(batch_entry(b, row, &e, &cmd->receipt));
	row->view.captured_month = microusd_plus_capped(row->view.captured_month, cmd->amount);
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

	if (!row->exists || !hold_is_open(b, cmd)) {
		b->holds_delta -= !cmd->may_be_absent;
		cmd->outcome = WALLET_GONE;
		return;
	}
	b->holds_delta--;
	e.is_closing = true;
	CHECK(batch_entry(b, row, &e, &cmd->receipt));
	delete_hold(b, cmd->id);
	if (cmd->idempotency_key)
		idempotency_drop(b, cmd->caller.org, cmd->idempotency_day, cmd->idempotency_key);
	cmd->outcome = WALLET_OK;
}
