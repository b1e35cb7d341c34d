#include "payments/poller_store.h"

#include "base/limits.h"

#include <stdlib.h>

struct poller_row {
	bool is_there;
	struct id holder;
	struct walltime until, next, seen;
	struct poller_pass pass;
};

static void read_row(void *arg, const struct db_row *row)
{
	struct poller_row *out = arg;

	*out = (struct poller_row){
		.is_there = true,
		.holder = db_row_id(row, "holder"),
		.until = db_row_walltime(row, "until_ms"),
		.next = db_row_walltime(row, "next_ms"),
		.seen = db_row_walltime(row, "seen_ms"),
		.pass.since = db_row_walltime(row, "pass_since_ms"),
		.pass.seen = db_row_walltime(row, "pass_seen_ms"),
		.pass.place.list = db_row_i64(row, "pass_list"),
	};
	if (!db_row_is_null(row, "pass_after"))
		out->pass.place.after = xstrdup(db_row_text(row, "pass_after"));
}

static void write_claim(struct db *db, const struct poller_claim *c)
{
	static const char SQL[] =
		"INSERT INTO poller (gateway, holder, until_ms, next_ms, seen_ms) "
		"VALUES ($1, $2, $3, $4, 0) ON CONFLICT (gateway) DO UPDATE SET "
		"holder = excluded.holder, until_ms = excluded.until_ms, "
		"next_ms = excluded.next_ms";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_text(s, c->gateway);
	db_bind_id(s, c->holder);
	db_bind_walltime(s, (struct walltime){.ms = c->now.ms + POLLER_TURN_MS});
	db_bind_walltime(s, (struct walltime){.ms = c->now.ms + c->wait_ms});
	db_queue_write(s, 1);
}

static void claim_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"SELECT holder, until_ms, next_ms, seen_ms, pass_since_ms, pass_seen_ms, "
		"pass_list, pass_after FROM poller WHERE gateway = $1";
	struct poller_claim *c = container_of(rider, struct poller_claim, rider);
	struct poller_row row = {.is_there = false};
	struct db_stmt *s = db_stmt(db, SQL);

	(void)cmd;
	db_bind_text(s, c->gateway);
	db_queue(s, read_row, &row);
	db_wait(db);
	c->is_ours = c->is_held = false;
	c->seen = row.seen;
	poller_pass_finish(&c->pass);
	c->pass = row.pass;
	/* A turn that seems to last longer than turns do is of a clock that was set back. */
	if (row.is_there && !id_eq(row.holder, c->holder) && row.until.ms > c->now.ms &&
	    row.until.ms - c->now.ms <= POLLER_TURN_MS) {
		c->is_held = true;
		c->again = row.until;
		return;
	}
	if (row.is_there && !c->is_forced && row.next.ms > c->now.ms &&
	    row.next.ms - c->now.ms <= PAYMENT_LOOK_MS_MAX) {
		c->again = row.next;
		return;
	}
	c->is_ours = true;
	write_claim(db, c);
}

void poller_pass_finish(struct poller_pass *pass)
{
	free(pass->place.after);
	*pass = (struct poller_pass){.since = {0}};
}

static void claim_destroy(struct rider *rider)
{
	struct poller_claim *c = container_of(rider, struct poller_claim, rider);

	poller_pass_finish(&c->pass);
	free(c);
}

struct poller_claim *poller_claim_create(const char *gateway, struct id holder)
{
	struct poller_claim *c = xzalloc(sizeof(*c));

	c->rider = (struct rider){.apply = claim_apply, .destroy = claim_destroy};
	c->gateway = gateway;
	c->holder = holder;
	return c;
}

struct release {
	struct rider rider;
	const char *gateway;
	struct id holder;
	struct walltime seen, next;
	struct poller_pass pass;
};

static void release_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"UPDATE poller SET until_ms = 0, seen_ms = CASE WHEN $1 > seen_ms THEN $1 ELSE "
		"seen_ms END, pass_since_ms = $2, pass_seen_ms = $3, pass_list = $4, "
		"pass_after = $5, next_ms = CASE WHEN $2 > 0 THEN $6 ELSE next_ms END "
		"WHERE gateway = $7 AND holder = $8";
	struct release *r = container_of(rider, struct release, rider);
	struct db_stmt *s = db_stmt(db, SQL);

	(void)cmd;
	db_bind_walltime(s, r->seen);
	db_bind_walltime(s, r->pass.since);
	db_bind_walltime(s, r->pass.seen);
	db_bind_i64(s, r->pass.place.list);
	db_bind_text(s, r->pass.place.after);
	db_bind_walltime(s, r->next);
	db_bind_text(s, r->gateway);
	db_bind_id(s, r->holder);
	db_queue_write(s, -1);
}

static void release_destroy(struct rider *rider)
{
	struct release *r = container_of(rider, struct release, rider);

	poller_pass_finish(&r->pass);
	free(r);
}

struct rider *poller_release_create(const char *gateway, struct id holder, struct walltime seen,
				    const struct poller_pass *pass, struct walltime next)
{
	struct release *r = xzalloc(sizeof(*r));

	r->rider = (struct rider){.apply = release_apply, .destroy = release_destroy};
	r->gateway = gateway;
	r->holder = holder;
	r->seen = seen;
	r->pass = *pass;
	r->pass.place.after = pass->place.after ? xstrdup(pass->place.after) : NULL;
	r->next = next;
	return &r->rider;
}

static void abandon_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] = "UPDATE poller SET until_ms = 0, next_ms = 0 "
				  "WHERE gateway = $1 AND holder = $2";
	struct release *r = container_of(rider, struct release, rider);
	struct db_stmt *s = db_stmt(db, SQL);

	(void)cmd;
	db_bind_text(s, r->gateway);
	db_bind_id(s, r->holder);
	db_queue_write(s, -1);
}

struct rider *poller_abandon_create(const char *gateway, struct id holder)
{
	struct release *r = xzalloc(sizeof(*r));

	r->rider = (struct rider){.apply = abandon_apply, .destroy = release_destroy};
	r->gateway = gateway;
	r->holder = holder;
	return &r->rider;
}

static void read_seen(void *arg, const struct db_row *row)
{
	*(struct walltime *)arg = db_row_walltime(row, "seen_ms");
}

enum db_status poller_seen_read(struct db *db, const char *gateway, struct walltime *out)
{
	static const char SQL[] = "SELECT seen_ms FROM poller WHERE gateway = $1";
	struct db_stmt *s = db_stmt(db, SQL);

	*out = (struct walltime){0};
	db_bind_text(s, gateway);
	db_queue(s, read_seen, out);
	return db_flush(db);
}
