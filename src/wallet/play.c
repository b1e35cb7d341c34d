#include "wallet/play.h"

#include "wallet/internal.h"

#include <stdlib.h>
#include <string.h>

bool play_is_till(const char *gateway)
{
	return strcmp(gateway, "sandbox") == 0 || strcmp(gateway, "stripe_test") == 0;
}

/* "buy by sandbox", as payments write it. */
bool play_is_grant(enum entry_kind kind, const char *note)
{
	const char *by = note ? strstr(note, " by ") : NULL;

	return (kind == ENTRY_PURCHASE || kind == ENTRY_RELOAD) && by && play_is_till(by + 4);
}

bool play_is_void(enum entry_kind kind, const char *note)
{
	return kind == ENTRY_ADJUSTMENT && note && strcmp(note, PLAY_VOID_NOTE) == 0;
}

/* Of an overrun what is taken is what may be spent when it is; of a hold, what could when it was
 * made. */
static bool spends(const struct wallet_view *view, const struct play_entry *e)
{
	if (e->kind != ENTRY_CAPTURE)
		return false;
	return e->from == ACCOUNT_HELD ? !e->is_real : !view->is_live;
}

void play_move(struct wallet_view *view, const struct play_entry *e)
{
	struct microusd *play = &view->play;
	struct microusd all;

	if (spends(view, e) || (e->is_play && e->from == ACCOUNT_AVAILABLE))
		*play = microusd_minus(*play, microusd_min(*play, e->amount));
	else if (e->is_play && e->to == ACCOUNT_AVAILABLE)
		*play = microusd_plus_capped(*play, e->amount);
	/* Once there is real money, a debt of it is not paid with play money. */
	if (!view->is_live && microusd_sign(*play) > 0 &&
	    microusd_add(&all, view->available, view->held))
		*play = microusd_min(*play, microusd_max(all, MICROUSD_ZERO));
}

struct microusd wallet_spendable(const struct wallet_view *view)
{
	struct microusd left;

	if (!view->is_live || microusd_sign(view->play) == 0)
		return view->available;
	if (!microusd_sub(&left, view->available, view->play))
		left = MICROUSD_ZERO;
	return microusd_min(view->available, microusd_max(left, MICROUSD_ZERO));
}

static void note_live(void *arg, const struct db_row *row)
{
	(void)row;
	*(bool *)arg = true;
}

static void queue_live(struct db *db, bool *out)
{
	static const char SQL[] = "SELECT since_ms FROM live WHERE id = 1";

	*out = false;
	db_queue(db_stmt(db, SQL), note_live, out);
}

bool store_is_live(struct db *db)
{
	bool is_live;

	queue_live(db, &is_live);
	db_wait(db);
	return is_live;
}

enum db_status live_mark(struct db *db, int64_t wait_ms, struct walltime now)
{
	static const char MARK[] =
		"INSERT INTO live (id, since_ms) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
	static const char ORGS[] = "UPDATE wallet SET live_seq = seq WHERE live_seq IS NULL";
	enum db_status status;
	struct db_stmt *s;
	bool is_live;

	queue_live(db, &is_live);
	status = db_flush(db);
	if (status != DB_OK || is_live)
		return status;
	status = db_begin(db, wait_ms);
	if (status != DB_OK)
		return status;
	s = db_stmt(db, MARK);
	db_bind_walltime(s, now);
	db_queue_write(s, -1);
	db_queue_write(db_stmt(db, ORGS), -1);
	status = db_flush(db);
	if (status == DB_OK)
		return db_commit(db);
	db_rollback(db);
	return status;
}

void apply_void_play(struct batch *b, struct wallet_cmd *cmd)
{
	struct row *row = batch_row(b, cmd->caller.org);
	struct wallet_view *view = &row->view;
	struct entry_values e = {
		.kind = ENTRY_ADJUSTMENT,
		.from = ACCOUNT_AVAILABLE,
		.to = ACCOUNT_FUNDING, /* whence it came */
		.note = PLAY_VOID_NOTE,
		.is_play = true,
	};

	cmd->outcome = row->exists ? WALLET_OK : WALLET_NO_ORG;
	if (!row->exists)
		return;
	cmd->amount = view->play;
	/* Some of it may be held: that is taken out when the calls are over. */
	if (microusd_sign(view->held) > 0)
		cmd->amount = microusd_min(view->play,
					   microusd_max(view->available, MICROUSD_ZERO));
	e.amount = cmd->amount;
	if (microusd_sign(cmd->amount) > 0 && !batch_entry(b, row, &e, &cmd->receipt))
		cmd->outcome = WALLET_OVERFLOW;
}

static void read_org(void *arg, const struct db_row *row)
{
	struct play_list *list = arg;

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = (struct play_org){
		.id = db_row_id(row, "id"),
		.name = xstrdup(db_row_text(row, "name")),
		.amount = db_row_microusd(row, "play_microusd"),
	};
}

enum db_status play_list_read(struct db *db, struct play_list *out)
{
	static const char SQL[] =
		"SELECT org.id, org.name, wallet.play_microusd FROM wallet JOIN org "
		"ON org.id = wallet.org WHERE wallet.play_microusd > 0 ORDER BY org.name";
	struct play_list list = {.count = 0};
	enum db_status status;

	queue_live(db, &list.is_live);
	db_queue(db_stmt(db, SQL), read_org, &list);
	status = db_flush(db);
	if (status == DB_OK)
		*out = list;
	else
		play_list_finish(&list);
	return status;
}

void play_list_finish(struct play_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].name);
	free(list->items);
	*list = (struct play_list){.count = 0};
}
