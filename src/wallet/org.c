/*
 * Orgs: made, named, and which of them serves callers without a key. That is a row of the store, so
 * that a configuration which calls it otherwise gives it another name and no second starter grant.
 */

#include "wallet/internal.h"

#include <stdlib.h>
#include <string.h>

static void note_row(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
}

/* Names that differ in the case of letters only are told apart by nobody. */
static bool name_is_taken(struct batch *b, const char *name, struct id but_by)
{
	static const char SQL[] = "SELECT id FROM org WHERE lower(name) = lower($1) AND id <> $2";
	struct db_stmt *s = db_stmt(b->db, SQL);
	bool is_there = false;

	db_bind_text(s, name);
	db_bind_blob(s, but_by.b, sizeof(but_by.b));
	db_queue(s, note_row, &is_there);
	db_wait(b->db);
	return is_there;
}

static bool id_is_taken(struct batch *b, struct id id)
{
	static const char SQL[] = "SELECT id FROM org WHERE id = $1";
	struct db_stmt *s = db_stmt(b->db, SQL);
	bool is_there = false;

	db_bind_id(s, id);
	db_queue(s, note_row, &is_there);
	db_wait(b->db);
	return is_there;
}

static void create(struct batch *b, struct wallet_cmd *cmd)
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
	struct db_stmt *s = db_stmt(b->db, SQL);
	struct row *row;

	cmd->caller.org = cmd->id;
	db_bind_id(s, cmd->id);
	db_bind_text(s, cmd->name);
	db_bind_text(s, cmd->email);
	db_bind_walltime(s, b->now);
	db_queue_write(s, 1);
	row = batch_row_new(b, cmd->id);
	if (microusd_sign(cmd->amount) > 0)
		CHECK(batch_entry(b, row, &e, &cmd->receipt));
}

void apply_org_create(struct batch *b, struct wallet_cmd *cmd)
{
	cmd->outcome = WALLET_DUPLICATE;
	if (name_is_taken(b, cmd->name, ID_NONE) || id_is_taken(b, cmd->id))
		return;
	create(b, cmd);
	cmd->outcome = WALLET_OK;
}

static void rename_org(struct batch *b, struct id org, const char *name)
{
	static const char SQL[] = "UPDATE org SET name = $1 WHERE id = $2";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_text(s, name);
	db_bind_id(s, org);
	db_queue_write(s, 1);
}

void apply_org_rename(struct batch *b, struct wallet_cmd *cmd)
{
	cmd->outcome = WALLET_NO_ORG;
	if (!batch_row(b, cmd->caller.org)->exists)
		return;
	cmd->outcome = WALLET_DUPLICATE;
	if (name_is_taken(b, cmd->name, cmd->caller.org))
		return;
	rename_org(b, cmd->caller.org, cmd->name);
	cmd->outcome = WALLET_OK;
}

struct org_found {
	struct id id;
	char *name; /* owned; NULL: none was found */
};

static void read_found(void *arg, const struct db_row *row)
{
	struct org_found *found = arg;

	free(found->name);
	found->id = db_row_id(row, "id");
	found->name = xstrdup(db_row_text(row, "name"));
}

/* In a store of an earlier version no org is marked: it is the one of the configuration's name or,
 * when that has changed in the meantime, the oldest, which the first use of the store made. */
static void find_unmarked(struct batch *b, const char *name, struct org_found *out)
{
	static const char BY_NAME[] = "SELECT id, name FROM org WHERE name = $1";
	static const char OLDEST[] = "SELECT id, name FROM org ORDER BY id LIMIT 1";
	struct db_stmt *s = db_stmt(b->db, BY_NAME);

	db_bind_text(s, name);
	db_queue(s, read_found, out);
	db_wait(b->db);
	if (out->name)
		return;
	db_queue(db_stmt(b->db, OLDEST), read_found, out);
	db_wait(b->db);
}

static void mark(struct batch *b, struct id org)
{
	static const char SQL[] = "INSERT INTO default_org (id, org) VALUES (1, $1)";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, org);
	db_queue_write(s, 1);
}

static void find_marked(struct batch *b, struct org_found *out)
{
	static const char SQL[] =
		"SELECT org.id AS id, name FROM default_org JOIN org ON org.id = default_org.org";

	db_queue(db_stmt(b->db, SQL), read_found, out);
	db_wait(b->db);
}

/* is_default_named, in the wallet's configuration, says whether the name of cmd goes before the
 * store's. DUPLICATE: it is another org's; cmd->label is the name that stays. */
void apply_org_default(struct batch *b, struct wallet_cmd *cmd)
{
	struct org_found found = {.name = NULL};

	cmd->outcome = WALLET_OK;
	find_marked(b, &found);
	if (!found.name) {
		find_unmarked(b, cmd->name, &found);
		if (!found.name)
			create(b, cmd);
		mark(b, found.name ? found.id : cmd->id);
	}
	if (found.name && b->w->config.is_default_named && strcmp(found.name, cmd->name) != 0) {
		free(cmd->label);
		cmd->label = found.name;
		found.name = NULL;
		if (name_is_taken(b, cmd->name, found.id))
			cmd->outcome = WALLET_DUPLICATE;
		else
			rename_org(b, found.id, cmd->name);
	}
	free(found.name);
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
