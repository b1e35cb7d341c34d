/*
 * What is left of an org's play money, followed through its entries.
 */

#include "wallet/internal.h"
#include "wallet/play.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare_ids(const void *a, const void *b)
{
	const struct id *x = a, *y = b;

	return memcmp(x->b, y->b, sizeof(x->b));
}

static void read_base(void *arg, const struct db_row *row)
{
	struct play_check *c = arg;

	c->has_live = !db_row_is_null(row, "live_seq");
	if (c->has_live)
		c->live_seq = db_row_i64(row, "live_seq");
	c->base_seq = db_row_i64(row, "play_base_seq");
	c->base = db_row_microusd(row, "play_base_microusd");
	c->stored = db_row_microusd(row, "play_microusd");
}

enum db_status play_check_open(struct play_check *c, struct db *db, struct id org)
{
	static const char SQL[] = "SELECT play_microusd, live_seq, play_base_seq, "
				  "play_base_microusd FROM wallet WHERE org = $1";
	struct db_stmt *s = db_stmt(db, SQL);

	*c = (struct play_check){.has_live = false};
	db_bind_id(s, org);
	db_queue(s, read_base, c);
	return db_flush(db);
}

bool play_check_is_real(const struct play_check *c, const struct ledger_entry *e)
{
	return c->has_live && e->seq > c->live_seq;
}

static bool is_of_play(struct play_check *c, const struct ledger_entry *e)
{
	if (play_is_grant(e->kind, e->note)) {
		struct id *id = xmalloc(sizeof(*id));
		void **node;

		*id = e->ref;
		node = tsearch(id, &c->payments, compare_ids);
		CHECK(node);
		if (*node != id)
			free(id);
		return true;
	}
	if (e->kind == ENTRY_REFUND || e->kind == ENTRY_DISPUTE ||
	    e->kind == ENTRY_DISPUTE_REVERSAL)
		return tfind(&e->ref, &c->payments, compare_ids) != NULL;
	return play_is_void(e->kind, e->note);
}

void play_check_entry(struct play_check *c, const struct ledger_entry *e, bool is_real,
		      struct wallet_view *view)
{
	bool is_play = is_of_play(c, e);

	if (e->seq <= c->base_seq) {
		view->play = e->seq == c->base_seq ? c->base : MICROUSD_ZERO;
		return;
	}
	view->is_live = play_check_is_real(c, e);
	play_move(view, &(struct play_entry){
				.kind = e->kind,
				.from = e->from,
				.to = e->to,
				.amount = e->amount,
				.is_play = is_play,
				.is_real = is_real,
			});
}

static void free_id(void *p)
{
	free(p);
}

void play_check_finish(struct play_check *c)
{
	tdestroy(c->payments, free_id);
	c->payments = NULL;
}
