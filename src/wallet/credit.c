/*
 * Money in and out of an org's balance, and its preferences.
 */

#include "wallet/internal.h"

#include <string.h>

static void note_row(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
}

/* A business fact moves money once, whoever reports it and however often. */
static bool fact_is_known(struct batch *b, const char *fact)
{
	static const char SQL[] = "SELECT name FROM fact WHERE name = $1";
	struct db_stmt *s = db_stmt(b->db, SQL);
	bool is_there = false;

	db_bind_text(s, fact);
	db_queue(s, note_row, &is_there);
	db_wait(b->db);
	return is_there;
}

static void write_fact(struct batch *b, const char *fact, const struct row *row)
{
	static const char SQL[] = "INSERT INTO fact (name, org, entry_seq) VALUES ($1, $2, $3)";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_text(s, fact);
	db_bind_id(s, row->view.org);
	db_bind_i64(s, row->view.seq);
	db_queue_write(s, 1);
}

static enum account other_side(enum entry_kind kind)
{
	switch (kind) {
	case ENTRY_PURCHASE:
	case ENTRY_RELOAD:
	case ENTRY_REFUND:
	case ENTRY_DISPUTE:
	case ENTRY_DISPUTE_REVERSAL:
		return ACCOUNT_FUNDING;
	case ENTRY_STARTER:
	case ENTRY_GRANT:
	case ENTRY_ADJUSTMENT:
		return ACCOUNT_PROMO;
	case ENTRY_HOLD:
	case ENTRY_CAPTURE:
	case ENTRY_RELEASE:
	case ENTRY_EXPIRE:
	case ENTRY_WRITEOFF:
		break;
	}
	die("entry kind %d is neither credit nor debit", (int)kind);
}

static void move_money(struct batch *b, struct wallet_cmd *cmd, bool is_credit)
{
	struct row *row = batch_row(b, cmd->caller.org);
	enum account other = other_side(cmd->kind);
	struct entry_values e = {
		.kind = cmd->kind,
		.from = is_credit ? other : ACCOUNT_AVAILABLE,
		.to = is_credit ? ACCOUNT_AVAILABLE : other,
		.amount = cmd->amount,
		.ref = cmd->id,
		.key = cmd->caller.key,
		.note = cmd->note,
		.is_play = cmd->is_play,
	};

	if (!row->exists) {
		cmd->outcome = WALLET_NO_ORG;
		return;
	}
	if (cmd->fact && fact_is_known(b, cmd->fact)) {
		cmd->outcome = WALLET_DUPLICATE;
		return;
	}
	if (!batch_entry(b, row, &e, &cmd->receipt)) {
		cmd->outcome = WALLET_OVERFLOW;
		return;
	}
	if (cmd->fact)
		write_fact(b, cmd->fact, row);
	cmd->outcome = WALLET_OK;
}

void apply_grant(struct batch *b, struct wallet_cmd *cmd)
{
	move_money(b, cmd, true);
}

void apply_take(struct batch *b, struct wallet_cmd *cmd)
{
	move_money(b, cmd, false);
}

void apply_preferences(struct batch *b, struct wallet_cmd *cmd)
{
	struct row *row = batch_row(b, cmd->caller.org);
	struct preferences *prefs = &row->view.prefs;

	if (!row->exists) {
		cmd->outcome = WALLET_NO_ORG;
		return;
	}
	if (!key_is_good(b, cmd->caller)) {
		cmd->outcome = WALLET_UNAUTHENTICATED;
		return;
	}
	if (cmd->sets_budget && !cmd->is_operator && !ceiling_allows(&row->view, &cmd->prefs)) {
		cmd->outcome = WALLET_FORBIDDEN;
		return;
	}
	if (cmd->sets_enabled)
		prefs->auto_reload_enabled = cmd->prefs.auto_reload_enabled;
	if (cmd->sets_threshold)
		prefs->auto_reload_threshold = cmd->prefs.auto_reload_threshold;
	if (cmd->sets_amount)
		prefs->auto_reload_amount = cmd->prefs.auto_reload_amount;
	if (cmd->sets_budget) {
		prefs->has_budget = cmd->prefs.has_budget;
		prefs->budget_limit = cmd->prefs.budget_limit;
	}
	row->is_dirty = true;
	cmd->outcome = WALLET_OK;
}
