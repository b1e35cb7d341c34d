#include "tools/pay_store.h"

#include "base/limits.h"
#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

static void read_key(void *arg, const struct db_row *row)
{
	struct pay_key *k = arg;
	struct slice key = db_row_blob(row, "key");

	k->is_there = key.len == sizeof(k->key);
	if (k->is_there)
		memcpy(k->key, key.p, key.len);
}

static void make_key(struct pay_key *k, struct db *db)
{
	static const char SQL[] = "INSERT INTO pay_key (id, key) VALUES (1, $1)";
	struct db_stmt *s = db_stmt(db, SQL);

	random_bytes(k->key, sizeof(k->key));
	db_bind_blob(s, k->key, sizeof(k->key));
	db_queue_write(s, 1);
	k->is_there = true;
}

/* Late: a call whose state was in time when it began may still be on its way to its hold. */
static void purge(const struct pay_key *k, struct db *db)
{
	static const char SQL[] = "DELETE FROM pay_spent WHERE expires_ms < $1";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_walltime(s, (struct walltime){.ms = k->now.ms - PAY_STATE_MS});
	db_queue_write(s, -1);
}

static void key_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] = "SELECT key FROM pay_key WHERE id = 1";
	struct pay_key *k = container_of(rider, struct pay_key, rider);

	k->now = cmd->now;
	k->is_there = false;
	db_queue(db_stmt(db, SQL), read_key, k);
	db_wait(db);
	if (!k->is_there)
		make_key(k, db);
	purge(k, db);
}

static void key_destroy(struct rider *rider)
{
	struct pay_key *k = container_of(rider, struct pay_key, rider);

	explicit_bzero(k->key, sizeof(k->key));
	free(k);
}

struct pay_key *pay_key_create(struct paid *paid)
{
	struct pay_key *k = xzalloc(sizeof(*k));

	k->rider = (struct rider){.apply = key_apply, .destroy = key_destroy};
	k->paid = paid;
	return k;
}

struct spending {
	struct rider rider;
	struct digest seal;
	struct walltime expires;
};

static void note_row(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
}

static void decide(struct wallet_cmd *cmd, struct db *db)
{
	static const char SQL[] = "SELECT expires_ms FROM pay_spent WHERE seal = $1";
	const struct spending *sp = container_of(cmd->riders, struct spending, rider);
	struct db_stmt *s = db_stmt(db, SQL);
	bool is_spent = false;

	db_bind_blob(s, sp->seal.b, sizeof(sp->seal.b));
	db_queue(s, note_row, &is_spent);
	db_wait(db);
	/* A call that comes again with its idempotency key is answered all the same. */
	cmd->op = is_spent ? WALLET_OP_LOOKUP : WALLET_OP_HOLD;
}

static void spend_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] = "INSERT INTO pay_spent (seal, expires_ms) VALUES ($1, $2)";
	const struct spending *sp = container_of(rider, struct spending, rider);
	struct db_stmt *s;

	if (cmd->op != WALLET_OP_HOLD || cmd->outcome != WALLET_OK)
		return;
	s = db_stmt(db, SQL);
	db_bind_blob(s, sp->seal.b, sizeof(sp->seal.b));
	db_bind_walltime(s, sp->expires);
	db_queue_write(s, 1);
}

static void spend_destroy(struct rider *rider)
{
	free(container_of(rider, struct spending, rider));
}

void pay_seal_spend(struct wallet_cmd *hold, const struct digest *seal, struct walltime expires)
{
	struct spending *sp;

	CHECK(!hold->riders && !hold->decide);
	if (hold->op != WALLET_OP_HOLD)
		return;
	sp = xzalloc(sizeof(*sp));
	sp->rider = (struct rider){.apply = spend_apply, .destroy = spend_destroy};
	sp->seal = *seal;
	sp->expires = expires;
	wallet_cmd_add_rider(hold, &sp->rider);
	hold->decide = decide;
}
