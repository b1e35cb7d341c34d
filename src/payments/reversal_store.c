#include "payments/reversal_store.h"

#include "wallet/play.h"

#include <stdlib.h>
#include <string.h>

struct stored {
	bool is_there;
	int64_t turn;
	bool is_taken;
};

static void read_stored(void *arg, const struct db_row *row)
{
	struct stored *out = arg;

	out->is_there = true;
	out->turn = db_row_i64(row, "turn");
	out->is_taken = db_row_bool(row, "is_taken");
}

struct sums {
	struct cents refunds, disputes;
	const char *ref; /* not counted: it is being decided */
};

static void read_sum(void *arg, const struct db_row *row)
{
	struct sums *sums = arg;
	struct cents amount = db_row_cents(row, "amount_cents");

	if (strcmp(db_row_text(row, "ref"), sums->ref) == 0)
		return;
	if (db_row_i64(row, "kind") == REVERSAL_DISPUTE)
		sums->disputes = cents_plus(sums->disputes, amount);
	else
		sums->refunds = cents_plus(sums->refunds, amount);
}

struct paid {
	bool is_there;
	struct payment_view view;
	struct microusd taken;
};

static void read_paid(void *arg, const struct db_row *row)
{
	struct paid *out = arg;

	/* One of ours has a charge of its own; the first stands for it. */
	if (out->is_there)
		return;
	out->is_there = true;
	out->view = payment_view_of_row(row);
	out->taken = db_row_microusd(row, "taken_microusd");
}

/* All that the decision needs. False: not ours, or the store fails, which sticks. */
static bool read_facts(struct db *db, struct reversal_change *c, struct paid *paid,
		       struct stored *stored, struct sums *sums)
{
	static const char PAID[] = "SELECT " PAYMENT_COLUMNS ", taken_microusd FROM payment "
				   "WHERE gateway = $1 AND charge_ref = $2 ORDER BY id LIMIT 1";
	static const char STORED[] =
		"SELECT turn, is_taken FROM reversal WHERE gateway = $1 AND ref = $2";
	static const char SUMS[] =
		"SELECT ref, kind, amount_cents FROM reversal WHERE payment = $1 AND is_taken = 1";
	struct db_stmt *s = db_stmt(db, PAID);

	db_bind_text(s, c->gateway);
	db_bind_text(s, c->charge_ref);
	db_queue(s, read_paid, paid);
	s = db_stmt(db, STORED);
	db_bind_text(s, c->gateway);
	db_bind_text(s, c->ref);
	db_queue(s, read_stored, stored);
	db_wait(db);
	if (!paid->is_there || !payment_has_grant(paid->view.state)) {
		payment_view_finish(&paid->view);
		return false;
	}
	sums->ref = c->ref;
	s = db_stmt(db, SUMS);
	db_bind_id(s, paid->view.id);
	db_queue(s, read_sum, sums);
	db_wait(db);
	return true;
}

static enum payment_state state_after(struct cents refunds, struct cents disputes,
				      struct cents total)
{
	if (cents_cmp(disputes, (struct cents){0}) > 0)
		return PAYMENT_DISPUTED;
	return cents_cmp(refunds, total) >= 0 ? PAYMENT_REFUNDED : PAYMENT_SUCCEEDED;
}

static enum entry_kind kind_of_taking(const struct reversal_change *c)
{
	return c->kind == REVERSAL_DISPUTE ? ENTRY_DISPUTE : ENTRY_REFUND;
}

/* The entry that moves what is between the share taken now and the one that it must be. */
static void move(struct wallet_cmd *cmd, const struct reversal_change *c,
		 struct microusd taken_before, bool is_turn)
{
	int direction = microusd_cmp(c->taken, taken_before);

	if (direction == 0)
		return;
	cmd->op = direction > 0 ? WALLET_OP_TAKE : WALLET_OP_GRANT;
	cmd->kind = direction > 0 ? kind_of_taking(c) : ENTRY_DISPUTE_REVERSAL;
	cmd->is_play = play_is_till(c->gateway);
	cmd->amount = direction > 0 ? microusd_minus(c->taken, taken_before)
				    : microusd_minus(taken_before, c->taken);
	/* An amount may change while the money stays; then the row alone says what is known. */
	if (is_turn)
		cmd->fact = xasprintf("reversal:%s:%lld", c->ref, (long long)c->turn);
	cmd->note = xasprintf("%s %s", c->ref, c->status);
}

static void decide(struct wallet_cmd *cmd, struct db *db)
{
	struct reversal_change *c = container_of(cmd->riders, struct reversal_change, rider);
	struct paid paid = {.is_there = false};
	struct stored stored = {.is_there = false};
	struct sums sums = {.refunds = {0}, .disputes = {0}};
	struct cents total, gone;

	free(cmd->fact);
	free(cmd->note);
	cmd->fact = cmd->note = NULL;
	cmd->op = WALLET_OP_RIDERS;
	payment_view_finish(&c->payment);
	c->is_news = false;
	c->is_ours = read_facts(db, c, &paid, &stored, &sums);
	if (!c->is_ours)
		return;
	c->payment = paid.view;
	cmd->caller.org = paid.view.org;
	cmd->id = paid.view.id;
	c->is_news = !stored.is_there || c->turn > stored.turn ||
		     (c->turn == stored.turn && c->is_taken == stored.is_taken);
	if (!c->is_news)
		return;
	if (c->is_taken && c->kind == REVERSAL_DISPUTE)
		sums.disputes = cents_plus(sums.disputes, c->amount);
	else if (c->is_taken)
		sums.refunds = cents_plus(sums.refunds, c->amount);
	total = cents_plus(paid.view.credit, paid.view.fee);
	gone = cents_min(total, cents_plus(sums.refunds, sums.disputes));
	c->taken = microusd_share_floor(payment_credit(&paid.view), gone, total);
	c->state = state_after(sums.refunds, sums.disputes, total);
	move(cmd, c, paid.taken, !stored.is_there || c->turn > stored.turn);
}

static void write_reversal(struct db *db, const struct reversal_change *c, struct id id)
{
	static const char SQL[] =
		"INSERT INTO reversal (id, gateway, ref, org, payment, kind, amount_cents, turn, "
		"is_taken, is_over, status, created_ms) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
		"ON CONFLICT (gateway, ref) DO UPDATE SET amount_cents = excluded.amount_cents, "
		"turn = excluded.turn, is_taken = excluded.is_taken, is_over = excluded.is_over, "
		"status = excluded.status";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_id(s, id);
	db_bind_text(s, c->gateway);
	db_bind_text(s, c->ref);
	db_bind_id(s, c->payment.org);
	db_bind_id(s, c->payment.id);
	db_bind_i64(s, c->kind);
	db_bind_cents(s, c->amount);
	db_bind_i64(s, c->turn);
	db_bind_bool(s, c->is_taken);
	db_bind_bool(s, c->is_over);
	db_bind_text(s, c->status);
	db_bind_walltime(s, c->created);
	db_queue_write(s, 1);
}

static void write_payment(struct db *db, const struct reversal_change *c)
{
	static const char SQL[] =
		"UPDATE payment SET state = $1, taken_microusd = $2 WHERE id = $3";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_i64(s, c->state);
	db_bind_microusd(s, c->taken);
	db_bind_id(s, c->payment.id);
	db_queue_write(s, 1);
}

/* By time, as all ids, behind its payment (the till counts whole seconds, by another clock), and
 * the same whoever tells: its digits follow from the till's name. */
static struct id id_of(const struct reversal_change *c)
{
	struct digest d = sha256(c->ref, strlen(c->ref));
	int64_t ms = c->created.ms, paid_ms = c->payment.created.ms;
	struct id id;

	if (ms <= paid_ms)
		ms = paid_ms + 1;

	memcpy(id.b, d.b, sizeof(id.b));
	for (int i = 0; i < 6; i++)
		id.b[i] = (uint8_t)(ms >> (40 - 8 * i));
	id.b[6] = (uint8_t)(0x70 | (id.b[6] & 0x0f));
	id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
	return id;
}

static void change_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	struct reversal_change *c = container_of(rider, struct reversal_change, rider);

	if (!c->is_news || cmd->outcome != WALLET_OK)
		return;
	CHECK(c->state == c->payment.state || payment_may_become(c->payment.state, c->state));
	write_reversal(db, c, id_of(c));
	write_payment(db, c);
}

static void change_destroy(struct rider *rider)
{
	struct reversal_change *c = container_of(rider, struct reversal_change, rider);

	payment_view_finish(&c->payment);
	free(c->ref);
	free(c->charge_ref);
	free(c->status);
	free(c);
}

struct wallet_cmd *reversal_cmd_create(const char *gateway, const struct gateway_reversal *r,
				       struct reversal_change **out)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});
	struct reversal_change *c = xzalloc(sizeof(*c));

	c->rider = (struct rider){.apply = change_apply, .destroy = change_destroy};
	c->gateway = gateway;
	c->kind = r->kind;
	c->ref = xstrdup(r->ref);
	c->charge_ref = xstrdup(r->charge_ref);
	c->status = xstrdup(r->status);
	c->amount = r->amount;
	c->is_taken = r->is_taken;
	c->is_over = r->is_over;
	c->turn = r->turn;
	c->created = r->created;
	wallet_cmd_add_rider(cmd, &c->rider);
	cmd->decide = decide;
	*out = c;
	return cmd;
}

static void read_waiting(void *arg, const struct db_row *row)
{
	struct reversal_ref_list *list = arg;

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = (struct reversal_ref){
		.id = db_row_id(row, "id"),
		.kind = (enum reversal_kind)db_row_i64(row, "kind"),
		.ref = xstrdup(db_row_text(row, "ref")),
	};
}

enum db_status reversal_waiting_read(struct db *db, const char *gateway, struct id after,
				     size_t limit, struct reversal_ref_list *out)
{
	static const char SQL[] = "SELECT id, kind, ref FROM reversal WHERE gateway = $1 "
				  "AND is_over = 0 AND id > $2 ORDER BY id LIMIT $3";
	struct reversal_ref_list list = {.items = NULL};
	struct db_stmt *s = db_stmt(db, SQL);
	enum db_status status;

	db_bind_text(s, gateway);
	db_bind_blob(s, after.b, sizeof(after.b));
	db_bind_i64(s, (int64_t)limit);
	db_queue(s, read_waiting, &list);
	status = db_flush(db);
	if (status == DB_OK)
		*out = list;
	else
		reversal_ref_list_finish(&list);
	return status;
}

void reversal_ref_list_finish(struct reversal_ref_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].ref);
	free(list->items);
	*list = (struct reversal_ref_list){.items = NULL};
}
