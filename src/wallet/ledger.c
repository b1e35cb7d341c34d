/*
 * Entries: each moves an amount from one account to another and is chained to the one before it by
 * its hash. The only place that changes available and held.
 */

#include "wallet/internal.h"
#include "wallet/play.h"

#include <string.h>

static_assert(ENTRY_STARTER == 1 && ENTRY_ADJUSTMENT == 13, "stored: never renumber");
static_assert(ACCOUNT_AVAILABLE == 1 && ACCOUNT_WRITEOFF == 6, "stored: never renumber");

#define HASHED_TEXT_BYTES_MAX 1024

static uint8_t *put_i64(uint8_t *p, int64_t v)
{
	for (int i = 0; i < 8; i++)
		*p++ = (uint8_t)((uint64_t)v >> (56 - 8 * i));
	return p;
}

static uint8_t *put_id(uint8_t *p, struct id id)
{
	memcpy(p, id.b, sizeof(id.b));
	return p + sizeof(id.b);
}

static uint8_t *put_text(uint8_t *p, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	CHECK(len <= HASHED_TEXT_BYTES_MAX);
	p = put_i64(p, text ? (int64_t)len : -1);
	if (len)
		memcpy(p, text, len);
	return p + len;
}

struct digest ledger_entry_hash(const struct digest *previous, const struct ledger_entry *e)
{
	uint8_t bytes[256 + 2 * HASHED_TEXT_BYTES_MAX];
	uint8_t *p = bytes;

	memcpy(p, previous->b, sizeof(previous->b));
	p += sizeof(previous->b);
	p = put_id(p, e->org);
	p = put_i64(p, e->seq);
	p = put_i64(p, e->kind);
	p = put_i64(p, e->from);
	p = put_i64(p, e->to);
	p = put_i64(p, e->amount.v); /* Raw: the hash is over the stored number. */
	p = put_id(p, e->ref);
	p = put_id(p, e->key);
	p = put_text(p, e->tool);
	p = put_i64(p, e->is_closing);
	p = put_i64(p, e->price_version);
	p = put_i64(p, e->at.ms);
	p = put_text(p, e->note);
	return sha256(bytes, (size_t)(p - bytes));
}

static bool move(struct wallet_view *view, const struct entry_values *e)
{
	struct microusd available = view->available, held = view->held, total;

	if (e->from == ACCOUNT_AVAILABLE && !microusd_sub(&available, available, e->amount))
		return false;
	if (e->to == ACCOUNT_AVAILABLE && !microusd_add(&available, available, e->amount))
		return false;
	if (e->from == ACCOUNT_HELD && !microusd_sub(&held, held, e->amount))
		return false;
	if (e->to == ACCOUNT_HELD && !microusd_add(&held, held, e->amount))
		return false;
	CHECK(microusd_sign(held) >= 0);
	/* All that is held must be able to come back. */
	if (microusd_sign(available) > 0 && !microusd_add(&total, available, held))
		return false;
	view->available = available;
	view->held = held;
	return true;
}

static void write_entry(struct batch *b, const struct ledger_entry *e)
{
	static const char SQL[] =
		"INSERT INTO entry (org, seq, kind, from_account, to_account, amount_microusd, "
		"ref, api_key, tool, is_closing, price_version, at_ms, note, hash) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
	struct db_stmt *s = db_stmt(b->db, SQL);

	db_bind_id(s, e->org);
	db_bind_i64(s, e->seq);
	db_bind_i64(s, e->kind);
	db_bind_i64(s, e->from);
	db_bind_i64(s, e->to);
	db_bind_microusd(s, e->amount);
	db_bind_id(s, e->ref);
	db_bind_id(s, e->key);
	db_bind_text(s, e->tool);
	db_bind_bool(s, e->is_closing);
	db_bind_i64(s, e->price_version);
	db_bind_walltime(s, e->at);
	db_bind_text(s, e->note);
	db_bind_blob(s, e->hash.b, sizeof(e->hash.b));
	db_queue_write(s, 1);
}

bool batch_entry(struct batch *b, struct row *row, const struct entry_values *v,
		 struct digest *out_receipt)
{
	struct ledger_entry e = {
		.org = row->view.org,
		.seq = row->view.seq + 1,
		.kind = v->kind,
		.from = v->from,
		.to = v->to,
		.amount = v->amount,
		.ref = v->ref,
		.key = v->key,
		.tool = v->tool,
		.is_closing = v->is_closing,
		.price_version = v->price_version,
		.at = b->now,
		.note = v->note,
	};

	CHECK(microusd_sign(v->amount) >= 0);
	if (!move(&row->view, v))
		return false;
	e.hash = ledger_entry_hash(&row->head, &e);
	play_move(&row->view, &(struct play_entry){
				      .kind = v->kind,
				      .from = v->from,
				      .to = v->to,
				      .amount = v->amount,
				      .is_play = v->is_play,
				      .is_real = v->is_real,
			      });
	write_entry(b, &e);
	row->view.seq = e.seq;
	row->head = e.hash;
	row->is_dirty = true;
	b->last_org = row->view.org;
	usage_sums_count(b, &e);
	if (out_receipt)
		*out_receipt = e.hash;
	return true;
}

const char *entry_kind_name(enum entry_kind kind)
{
	switch (kind) {
	case ENTRY_STARTER:
		return "starter_grant";
	case ENTRY_GRANT:
		return "grant";
	case ENTRY_PURCHASE:
		return "purchase";
	case ENTRY_RELOAD:
		return "reload";
	case ENTRY_HOLD:
		return "hold";
	case ENTRY_CAPTURE:
		return "capture";
	case ENTRY_RELEASE:
		return "release";
	case ENTRY_EXPIRE:
		return "expire";
	case ENTRY_REFUND:
		return "refund";
	case ENTRY_DISPUTE:
		return "dispute";
	case ENTRY_DISPUTE_REVERSAL:
		return "dispute_reversal";
	case ENTRY_WRITEOFF:
		return "writeoff";
	case ENTRY_ADJUSTMENT:
		return "adjustment";
	}
	return "unknown";
}

const char *account_name(enum account account)
{
	switch (account) {
	case ACCOUNT_AVAILABLE:
		return "available";
	case ACCOUNT_HELD:
		return "held";
	case ACCOUNT_REVENUE:
		return "revenue";
	case ACCOUNT_FUNDING:
		return "funding";
	case ACCOUNT_PROMO:
		return "promo";
	case ACCOUNT_WRITEOFF:
		return "writeoff";
	}
	return "unknown";
}
