#include "wallet/verify.h"

#include "wallet/internal.h"
#include "wallet/usage.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A hold that has begun and not ended: entries of one org, in order. */
struct open_hold {
	struct id id;
	struct microusd left;
	bool is_real;
};

struct verifier {
	struct verify_report *report;
	struct db *db;
	/* The org that is being read. */
	struct id org;
	bool has_org;
	struct digest head;
	int64_t seq;
	struct wallet_view sums;
	struct usage_group usage;
	bool took_back; /* a refund or dispute: only then may available be negative */
	void *open;     /* search tree of struct open_hold */
	size_t open_count;
	struct play_check play;
	struct buf heads; /* of all orgs, for the root */
};

static void fault(struct verify_report *report, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void fault(struct verify_report *report, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (report->faults++ >= VERIFY_FAULTS_MAX)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_printf(&report->faults_text, "%s\n", text);
}

static int compare_holds(const void *a, const void *b)
{
	const struct open_hold *x = a, *y = b;

	return memcmp(x->id.b, y->id.b, sizeof(x->id.b));
}

static struct open_hold *find_hold(struct verifier *v, struct id id)
{
	struct open_hold key = {.id = id};
	void *node = tfind(&key, &v->open, compare_holds);

	return node ? *(struct open_hold **)node : NULL;
}

static void check_hold(struct verifier *v, const struct ledger_entry *e)
{
	struct open_hold *hold = find_hold(v, e->ref);
	char name[ID_TEXT_SIZE];

	id_text("call", e->ref, name);
	if (e->kind == ENTRY_HOLD) {
		if (hold) {
			fault(v->report, "%s: a second hold", name);
			return;
		}
		hold = xmalloc(sizeof(*hold));
		*hold = (struct open_hold){
			.id = e->ref,
			.left = e->amount,
			.is_real = play_check_is_real(&v->play, e),
		};
		CHECK(tsearch(hold, &v->open, compare_holds));
		v->open_count++;
		return;
	}
	if (!hold) {
		fault(v->report, "%s: %s without an open hold", name, entry_kind_name(e->kind));
		return;
	}
	/* What a model used beyond its hold comes from available. */
	if (e->kind == ENTRY_CAPTURE && e->from == ACCOUNT_AVAILABLE && !e->is_closing)
		return;
	if (!microusd_sub(&hold->left, hold->left, e->amount) || microusd_sign(hold->left) < 0)
		fault(v->report, "%s: more than was held was moved", name);
	if (!e->is_closing)
		return;
	if (microusd_sign(hold->left) != 0)
		fault(v->report, "%s: ended with something left in it", name);
	(void)tdelete(hold, &v->open, compare_holds);
	free(hold);
	v->open_count--;
}

static void check_sums(struct verifier *v, const struct ledger_entry *e)
{
	struct wallet_view *sums = &v->sums;
	const struct open_hold *hold;
	bool fits = true;

	if (e->from == ACCOUNT_AVAILABLE)
		fits = fits && microusd_sub(&sums->available, sums->available, e->amount);
	if (e->to == ACCOUNT_AVAILABLE)
		fits = fits && microusd_add(&sums->available, sums->available, e->amount);
	if (e->from == ACCOUNT_HELD)
		fits = fits && microusd_sub(&sums->held, sums->held, e->amount);
	if (e->to == ACCOUNT_HELD)
		fits = fits && microusd_add(&sums->held, sums->held, e->amount);
	if (!fits || e->from == e->to || microusd_sign(e->amount) < 0)
		fault(v->report, "entry %lld: not a movement between two accounts",
		      (long long)e->seq);
	hold = find_hold(v, e->ref);
	play_check_entry(&v->play, e, hold && hold->is_real, sums);
	if (e->kind == ENTRY_REFUND || e->kind == ENTRY_DISPUTE)
		v->took_back = true;
	if (microusd_sign(sums->available) < 0 && !v->took_back)
		fault(v->report, "entry %lld: available falls below zero", (long long)e->seq);
}

/* What ended, as the sums of usage should have it. */
static void check_usage(struct verifier *v, const struct ledger_entry *e)
{
	struct usage_group *u = &v->usage;

	if (!e->tool || (!e->is_closing && e->kind != ENTRY_CAPTURE))
		return;
	if (e->kind == ENTRY_CAPTURE) {
		u->charged += e->is_closing;
		u->amount = microusd_plus_capped(u->amount, e->amount);
	} else {
		u->refunded++;
		u->refunded_amount = microusd_plus_capped(u->refunded_amount, e->amount);
	}
}

/* The wallet row and the open holds of an org, as the store has them. */
struct stored {
	bool has_row;
	struct wallet_view view;
	struct digest head;
	int64_t holds;
	struct microusd held;
	struct usage_group usage;
};

static void read_wallet(void *arg, const struct db_row *row)
{
	struct stored *stored = arg;
	struct slice head = db_row_blob(row, "head");

	stored->has_row = true;
	stored->view.available = db_row_microusd(row, "available_microusd");
	stored->view.held = db_row_microusd(row, "held_microusd");
	stored->view.seq = db_row_i64(row, "seq");
	if (head.len == sizeof(stored->head.b))
		memcpy(stored->head.b, head.p, head.len);
}

static void read_usage(void *arg, const struct db_row *row)
{
	struct usage_group *u = arg;

	u->charged = db_row_i64(row, "charged");
	u->refunded = db_row_i64(row, "refunded");
	u->amount = db_row_microusd(row, "amount");
	u->refunded_amount = db_row_microusd(row, "refunded_amount");
}

static bool is_same_usage(const struct usage_group *a, const struct usage_group *b)
{
	return a->charged == b->charged && a->refunded == b->refunded &&
	       microusd_cmp(a->amount, b->amount) == 0 &&
	       microusd_cmp(a->refunded_amount, b->refunded_amount) == 0;
}

struct hold_check {
	struct verifier *verifier;
	struct stored *stored;
};

static void read_hold(void *arg, const struct db_row *row)
{
	struct hold_check *check = arg;
	struct id id = db_row_id(row, "id");
	const struct open_hold *hold = find_hold(check->verifier, id);
	char name[ID_TEXT_SIZE];

	id_text("call", id, name);
	check->stored->holds++;
	check->stored->held = microusd_plus(check->stored->held,
					    db_row_microusd(row, "amount_microusd"));
	if (!hold || microusd_cmp(hold->left, db_row_microusd(row, "amount_microusd")) != 0)
		fault(check->verifier->report, "%s: an open hold that the ledger does not have",
		      name);
}

static void free_hold(void *p)
{
	free(p);
}

static void close_org(struct verifier *v)
{
	static const char WALLET[] =
		"SELECT available_microusd, held_microusd, seq, head FROM wallet WHERE org = $1";
	static const char HOLDS[] = "SELECT id, amount_microusd FROM hold WHERE org = $1";
	static const char USAGE[] =
		"SELECT coalesce(sum(charged), 0) AS charged, coalesce(sum(refunded), 0) AS "
		"refunded, coalesce(sum(charged_microusd), 0) AS amount, "
		"coalesce(sum(refunded_microusd), 0) AS refunded_amount FROM usage_sum "
		"WHERE org = $1";
	struct stored stored = {0};
	struct hold_check check = {.verifier = v, .stored = &stored};
	char name[ID_TEXT_SIZE];
	struct db_stmt *s;

	if (!v->has_org)
		return;
	id_text("org", v->org, name);
	s = db_stmt(v->db, WALLET);
	db_bind_id(s, v->org);
	db_queue(s, read_wallet, &stored);
	s = db_stmt(v->db, HOLDS);
	db_bind_id(s, v->org);
	db_queue(s, read_hold, &check);
	s = db_stmt(v->db, USAGE);
	db_bind_id(s, v->org);
	db_queue(s, read_usage, &stored.usage);
	if (db_flush(v->db) != DB_OK)
		fault(v->report, "%s: cannot be read", name);
	if (!stored.has_row)
		fault(v->report, "%s: no wallet row", name);
	else if (stored.view.seq != v->seq || !digest_eq(&stored.head, &v->head))
		fault(v->report, "%s: the wallet row is not at the ledger's end", name);
	if (microusd_cmp(stored.view.available, v->sums.available) != 0)
		fault(v->report, "%s: available is not the sum of its entries", name);
	if (microusd_cmp(stored.view.held, v->sums.held) != 0 ||
	    microusd_cmp(stored.held, v->sums.held) != 0)
		fault(v->report, "%s: held is not the sum of its open holds", name);
	if (stored.holds != (int64_t)v->open_count)
		fault(v->report, "%s: %lld holds are open, the ledger has %zu", name,
		      (long long)stored.holds, v->open_count);
	if (!is_same_usage(&stored.usage, &v->usage))
		fault(v->report, "%s: the sums of usage are not those of its entries", name);
	if (stored.has_row && microusd_cmp(v->sums.play, v->play.stored) != 0)
		fault(v->report, "%s: play money is not what its entries leave of it", name);
	play_check_finish(&v->play);
	v->report->open_holds += stored.holds;
	v->report->orgs++;
	buf_append(&v->heads, v->head.b, sizeof(v->head.b));
	tdestroy(v->open, free_hold);
	v->open = NULL;
	v->open_count = 0;
	v->has_org = false;
}

static void open_org(struct verifier *v, struct id org)
{
	close_org(v);
	v->org = org;
	v->has_org = true;
	v->head = (struct digest){0};
	v->seq = 0;
	v->sums = (struct wallet_view){.org = org};
	v->usage = (struct usage_group){0};
	v->took_back = false;
	if (play_check_open(&v->play, v->db, org) != DB_OK)
		fault(v->report, "the play money of an org cannot be read");
}

static void check_entry(void *arg, const struct ledger_entry *e)
{
	struct verifier *v = arg;
	struct digest hash;
	char name[ID_TEXT_SIZE];

	if (!v->has_org || !id_eq(v->org, e->org))
		open_org(v, e->org);
	id_text("org", e->org, name);
	v->report->entries++;
	if (e->seq != v->seq + 1)
		fault(v->report, "%s: entry %lld follows %lld", name, (long long)e->seq,
		      (long long)v->seq);
	hash = ledger_entry_hash(&v->head, e);
	if (!digest_eq(&hash, &e->hash))
		fault(v->report, "%s: entry %lld breaks the chain", name, (long long)e->seq);
	v->head = e->hash;
	v->seq = e->seq;
	check_usage(v, e);
	check_sums(v, e);
	if (e->kind == ENTRY_HOLD || e->kind == ENTRY_CAPTURE || e->kind == ENTRY_RELEASE ||
	    e->kind == ENTRY_EXPIRE)
		check_hold(v, e);
}

static void count_row(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = db_row_i64(row, "n");
}

/* Wallets without an entry, holds and facts without a wallet: the joins that streaming misses. */
static enum db_status check_strays(struct verifier *v)
{
	static const struct {
		const char *sql;
		const char *what;
	} CHECKS[] = {
		{"SELECT count(*) AS n FROM wallet WHERE seq = 0 AND "
		 "(available_microusd <> 0 OR held_microusd <> 0)",
		 "wallets with money but no entries"},
		{"SELECT count(*) AS n FROM hold WHERE NOT EXISTS "
		 "(SELECT 1 FROM wallet WHERE wallet.org = hold.org)",
		 "open holds of no org"},
		{"SELECT count(*) AS n FROM fact WHERE NOT EXISTS (SELECT 1 FROM entry "
		 "WHERE entry.org = fact.org AND entry.seq = fact.entry_seq)",
		 "facts without their entry"},
		{"SELECT count(*) AS n FROM wallet WHERE NOT EXISTS "
		 "(SELECT 1 FROM org WHERE org.id = wallet.org)",
		 "wallets of no org"},
		{"SELECT count(*) AS n FROM key_limit WHERE held_microusd <> "
		 "(SELECT coalesce(sum(hold.amount_microusd), 0) FROM hold JOIN api_key "
		 "ON api_key.id = hold.api_key WHERE coalesce(api_key.root, api_key.id) = "
		 "key_limit.key)",
		 "limited keys whose held is not the sum of their open holds"},
	};

	for (size_t i = 0; i < ARRAY_LEN(CHECKS); i++) {
		int64_t n = 0;
		enum db_status status;

		db_queue(db_stmt(v->db, CHECKS[i].sql), count_row, &n);
		status = db_flush(v->db);
		if (status != DB_OK)
			return status;
		if (n)
			fault(v->report, "%lld %s", (long long)n, CHECKS[i].what);
	}
	return DB_OK;
}

enum db_status ledger_verify(struct db *db, struct verify_report *out)
{
	struct verifier v = {.report = out, .db = db};
	enum db_status status;

	*out = (struct verify_report){.faults = 0};
	status = db_read_begin(db);
	if (status != DB_OK)
		return status;
	status = ledger_each(db, ID_NONE, check_entry, &v);
	if (status == DB_OK) {
		close_org(&v);
		status = check_strays(&v);
	}
	db_read_end(db);
	tdestroy(v.open, free_hold);
	play_check_finish(&v.play);
	out->root = sha256(v.heads.p, v.heads.len);
	buf_finish(&v.heads);
	return status;
}

void verify_report_finish(struct verify_report *report)
{
	buf_finish(&report->faults_text);
}

struct each {
	ledger_entry_fn *fn;
	void *arg;
};

static void read_entry(void *arg, const struct db_row *row)
{
	const struct each *each = arg;
	struct slice hash = db_row_blob(row, "hash");
	struct ledger_entry e = {
		.org = db_row_id(row, "org"),
		.seq = db_row_i64(row, "seq"),
		.kind = (enum entry_kind)db_row_i64(row, "kind"),
		.from = (enum account)db_row_i64(row, "from_account"),
		.to = (enum account)db_row_i64(row, "to_account"),
		.amount = db_row_microusd(row, "amount_microusd"),
		.ref = db_row_id(row, "ref"),
		.key = db_row_id(row, "api_key"),
		.tool = db_row_text(row, "tool"),
		.is_closing = db_row_bool(row, "is_closing"),
		.price_version = db_row_i64(row, "price_version"),
		.at = db_row_walltime(row, "at_ms"),
		.note = db_row_text(row, "note"),
	};

	if (hash.len == sizeof(e.hash.b))
		memcpy(e.hash.b, hash.p, hash.len);
	each->fn(each->arg, &e);
}

enum db_status ledger_each(struct db *db, struct id org, ledger_entry_fn *fn, void *arg)
{
	static const char ALL[] =
		"SELECT org, seq, kind, from_account, to_account, amount_microusd, ref, api_key, "
		"tool, is_closing, price_version, at_ms, note, hash FROM entry ORDER BY org, seq";
	static const char OF_ORG[] =
		"SELECT org, seq, kind, from_account, to_account, amount_microusd, ref, api_key, "
		"tool, is_closing, price_version, at_ms, note, hash FROM entry "
		"WHERE org = $1 ORDER BY seq";
	struct each each = {.fn = fn, .arg = arg};
	struct db_stmt *s = db_stmt(db, id_is_none(org) ? ALL : OF_ORG);

	if (!id_is_none(org))
		db_bind_id(s, org);
	db_queue(s, read_entry, &each);
	return db_flush(db);
}
