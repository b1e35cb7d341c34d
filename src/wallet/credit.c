/*
 * Money in and out of an org's balance, orgs, keys, and preferences.
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

static bool org_is_known(struct batch *b, const struct wallet_cmd *cmd)
{
	static const char SQL[] = "SELECT id FROM org WHERE name = $1 OR id = $2";
	struct db_stmt *s = db_stmt(b->db, SQL);
	bool is_there = false;

	db_bind_text(s, cmd->name);
	db_bind_id(s, cmd->id);
	db_queue(s, note_row, &is_there);
	db_wait(b->db);
	return is_there;
}

void apply_org_create(struct batch *b, struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"INSERT INTO org (id, name, email, created_ms) VALUES ($1, $2, $3, $4)";
	struct entry_values e = {
		.kind = ENTRY_STARTER,
		.from = ACCOUNT_PROMO,
		.to = ACCOUNT_AVAILABLE,
		.amount = cmd->amount,
		.ref = cmd->id,
	};
	struct db_stmt *s;
	struct row *row;

	if (org_is_known(b, cmd)) {
		cmd->outcome = WALLET_DUPLICATE;
		return;
	}
	cmd->caller.org = cmd->id;
	s = db_stmt(b->db, SQL);
	db_bind_id(s, cmd->id);
	db_bind_text(s, cmd->name);
	db_bind_text(s, cmd->email);
	db_bind_walltime(s, b->now);
	db_queue_write(s, 1);
	row = batch_row_new(b, cmd->id);
	if (microusd_sign(cmd->amount) > 0)
		CHECK(batch_entry(b, row, &e, &cmd->receipt));
	cmd->outcome = WALLET_OK;
}

void apply_org_email(struct batch *b, struct wallet_cmd *cmd)
{
	static const char SQL[] = "UPDATE org SET email = $1 WHERE id = $2";
	struct db_stmt *s;

	if (!batch_row(b, cmd->caller.org)->exists) {
		cmd->outcome = WALLET_NO_ORG;
		return;
	}
	s = db_stmt(b->db, SQL);
	db_bind_text(s, cmd->email);
	db_bind_id(s, cmd->caller.org);
	db_queue_write(s, 1);
	cmd->outcome = WALLET_OK;
}

static void revoke(struct batch *b, struct id key, struct id org)
{
	static const char SQL[] = "UPDATE api_key SET revoked_ms = $1 WHERE id = $2 "
				  "AND org = $3 AND revoked_ms IS NULL";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_walltime(s, b->now);
	db_bind_id(s, key);
	db_bind_id(s, org);
	db_queue_write(s, -1);
}

struct chain {
	struct id root; /* ID_NONE: the key itself */
	bool is_limited;
};

static void read_chain(void *arg, const struct db_row *row)
{
	struct chain *chain = arg;

	chain->root = db_row_is_null(row, "root") ? db_row_id(row, "id") : db_row_id(row, "root");
	chain->is_limited = db_row_bool(row, "is_limited");
}

/* What counts for the key that is replaced counts for its successor. */
static void read_chain_of(struct batch *b, struct id key, struct chain *out)
{
	static const char SQL[] = "SELECT id, root, is_limited FROM api_key WHERE id = $1";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, key);
	db_queue(s, read_chain, out);
	db_wait(b->db);
}

void apply_key_create(struct batch *b, struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"INSERT INTO api_key (id, org, hash, prefix, label, created_ms, root, is_limited) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING";
	bool is_limited = cmd->limits.has_daily || cmd->limits.has_monthly ||
			  cmd->limits.rate.calls > 0;
	struct chain chain = {.root = ID_NONE, .is_limited = is_limited};
	struct db_stmt *s;

	if (!batch_row(b, cmd->caller.org)->exists) {
		cmd->outcome = WALLET_NO_ORG;
		return;
	}
	/* A key that was revoked in the meantime makes no other: that would be free of limits. */
	if (!key_is_good(b, cmd->caller)) {
		cmd->outcome = WALLET_UNAUTHENTICATED;
		return;
	}
	if (!id_is_none(cmd->replaces)) {
		read_chain_of(b, cmd->replaces, &chain);
		revoke(b, cmd->replaces, cmd->caller.org);
	} else if (is_limited) {
		limit_write_new(b, cmd->id, &cmd->limits);
	}
	s = db_stmt(b->db, SQL);
	db_bind_id(s, cmd->id);
	db_bind_id(s, cmd->caller.org);
	db_bind_blob(s, cmd->hash.b, sizeof(cmd->hash.b));
	db_bind_text(s, cmd->prefix);
	db_bind_text(s, cmd->label);
	db_bind_walltime(s, b->now);
	db_bind_id(s, chain.root);
	db_bind_bool(s, chain.is_limited);
	db_queue_write(s, -1);
	cmd->outcome = WALLET_OK;
}

void apply_key_revoke(struct batch *b, struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"SELECT id FROM api_key WHERE id = $1 AND org = $2 AND revoked_ms IS NULL";
	struct db_stmt *s = db_stmt(b->db, SQL);
	bool is_there = false;

	db_bind_id(s, cmd->id);
	db_bind_id(s, cmd->caller.org);
	db_queue(s, note_row, &is_there);
	db_wait(b->db);
	cmd->outcome = is_there ? WALLET_OK : WALLET_GONE;
	if (is_there)
		revoke(b, cmd->id, cmd->caller.org);
}

void apply_preferences(struct batch *b, struct wallet_cmd *cmd)
{
	struct row *row = batch_row(b, cmd->caller.org);
	struct preferences *prefs = &row->view.prefs;

	if (!row->exists) {
		cmd->outcome = WALLET_NO_ORG;
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
