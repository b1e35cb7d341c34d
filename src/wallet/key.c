/*
 * API keys: made, replaced, revoked.
 */

#include "wallet/internal.h"

static void note_row(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
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

/* What a new key has of the one that it replaces. */
struct chain {
	bool is_there;  /* and good */
	struct id root; /* ID_NONE: the key itself */
	bool is_limited;
	bool has_scopes; /* else it was made before there were any, and so is its successor */
	unsigned scopes;
};

static void read_chain(void *arg, const struct db_row *row)
{
	struct chain *chain = arg;

	chain->is_there = true;
	chain->root = db_row_is_null(row, "root") ? db_row_id(row, "id") : db_row_id(row, "root");
	chain->is_limited = db_row_bool(row, "is_limited");
	chain->has_scopes = !db_row_is_null(row, "scopes");
	chain->scopes = scopes_of_row(row);
}

/* What counts for the key that is replaced counts for its successor. */
static void read_chain_of(struct batch *b, struct id key, struct id org, struct chain *out)
{
	static const char SQL[] = "SELECT id, root, is_limited, scopes FROM api_key "
				  "WHERE id = $1 AND org = $2 AND revoked_ms IS NULL";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, key);
	db_bind_id(s, org);
	db_queue(s, read_chain, out);
	db_wait(b->db);
}

static void write_key(struct batch *b, const struct wallet_cmd *cmd, const struct chain *chain)
{
	static const char SQL[] =
		"INSERT INTO api_key (id, org, hash, prefix, label, created_ms, root, is_limited, "
		"scopes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, cmd->id);
	db_bind_id(s, cmd->caller.org);
	db_bind_blob(s, cmd->hash.b, sizeof(cmd->hash.b));
	db_bind_text(s, cmd->prefix);
	db_bind_text(s, cmd->label);
	db_bind_walltime(s, b->now);
	db_bind_id(s, chain->root);
	db_bind_bool(s, chain->is_limited);
	if (chain->has_scopes)
		db_bind_i64(s, chain->scopes);
	else
		db_bind_null(s);
	db_queue_write(s, -1);
}

static bool is_made(struct batch *b, struct id key)
{
	static const char SQL[] = "SELECT id FROM api_key WHERE id = $1";
	struct db_stmt *s = db_stmt(b->db, SQL);
	bool is_there = false;

	db_bind_id(s, key);
	db_queue(s, note_row, &is_there);
	db_wait(b->db);
	return is_there;
}

void apply_key_create(struct batch *b, struct wallet_cmd *cmd)
{
	bool is_limited = cmd->limits.has_daily || cmd->limits.has_monthly ||
			  cmd->limits.rate.calls > 0;
	struct chain chain = {.root = ID_NONE, .is_limited = is_limited};

	if (!batch_row(b, cmd->caller.org)->exists) {
		cmd->outcome = WALLET_NO_ORG;
		return;
	}
	/* A batch of unknown outcome is tried again: it was durable after all. */
	if (is_made(b, cmd->id)) {
		cmd->outcome = WALLET_OK;
		return;
	}
	/* A key that was revoked in the meantime makes no other: that would be free of limits. */
	if (!key_is_good(b, cmd->caller)) {
		cmd->outcome = WALLET_UNAUTHENTICATED;
		return;
	}
	if (!id_is_none(cmd->replaces)) {
		read_chain_of(b, cmd->replaces, cmd->caller.org, &chain);
		/* Replaced by somebody else, or revoked: it has no second successor. */
		if (!chain.is_there) {
			cmd->outcome = WALLET_GONE;
			return;
		}
	}
	if (cmd->scopes) {
		chain.has_scopes = true;
		chain.scopes = cmd->scopes;
	}
	/* A caller who makes a key gives it nothing that he has not himself. */
	if ((chain.has_scopes ? chain.scopes : SCOPES_LOCAL) & ~cmd->caller.scopes) {
		cmd->outcome = WALLET_FORBIDDEN;
		return;
	}
	CHECK(chain.has_scopes || !id_is_none(cmd->replaces));
	if (!id_is_none(cmd->replaces))
		revoke(b, cmd->replaces, cmd->caller.org);
	else if (is_limited)
		limit_write_new(b, cmd->id, &cmd->limits);
	write_key(b, cmd, &chain);
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
