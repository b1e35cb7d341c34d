#include "wallet/account.h"

#include "wallet/internal.h"

#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

#define KEY_SECRET_BYTES 32

#define ORG_COLUMNS                                                                                \
	"SELECT id, name, email, created_ms, id IN (SELECT org FROM default_org) AS is_default "   \
	"FROM org "

void api_key_make(char out[API_KEY_SIZE])
{
	static const char DIGITS[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t secret[KEY_SECRET_BYTES];
	uint32_t bits = 0;
	int have = 0;
	char *p = out + 4;

	random_bytes(secret, sizeof(secret));
	memcpy(out, "fbx_", 4);
	for (size_t i = 0; i < sizeof(secret); i++) {
		bits = bits << 8 | secret[i];
		for (have += 8; have >= 6; have -= 6)
			*p++ = DIGITS[bits >> (have - 6) & 63];
	}
	*p++ = DIGITS[bits << (6 - have) & 63];
	*p = '\0';
	explicit_bzero(secret, sizeof(secret));
	CHECK(p - out == API_KEY_SIZE - 1);
}

struct digest api_key_hash(struct slice key)
{
	return sha256(key.p, key.len);
}

bool api_key_looks_right(struct slice key)
{
	return key.len == API_KEY_SIZE - 1 && memcmp(key.p, "fbx_", 4) == 0;
}

enum scope scope_at(size_t i)
{
	static const enum scope SCOPES[] = {SCOPE_CALL, SCOPE_BILLING, SCOPE_ADMIN};

	return i < ARRAY_LEN(SCOPES) ? SCOPES[i] : 0;
}

const char *scope_name(enum scope scope)
{
	switch (scope) {
	case SCOPE_CALL:
		return "call";
	case SCOPE_BILLING:
		return "billing";
	case SCOPE_ADMIN:
		return "admin";
	}
	die("scope %d", (int)scope);
}

/* Bits that a later version may have written are no scopes of ours. */
unsigned scopes_of_row(const struct db_row *row)
{
	if (db_row_is_null(row, "scopes"))
		return SCOPES_LOCAL;
	return (unsigned)(db_row_i64(row, "scopes") & SCOPES_ALL);
}

struct key_found {
	bool is_there;
	struct caller caller;
};

static void read_caller(void *arg, const struct db_row *row)
{
	struct key_found *f = arg;

	f->is_there = true;
	f->caller.key = db_row_id(row, "id");
	f->caller.org = db_row_id(row, "org");
	f->caller.scopes = scopes_of_row(row);
}

static enum db_status find_caller(struct db *db, const char *sql, const struct digest *hash,
				  struct key_found *out)
{
	struct db_stmt *s = db_stmt(db, sql);

	*out = (struct key_found){.is_there = false};
	db_bind_blob(s, hash->b, sizeof(hash->b));
	db_queue(s, read_caller, out);
	return db_flush(db);
}

enum db_status key_find_by_hash(struct db *db, const struct digest *hash, bool *out_found,
				struct caller *out)
{
	static const char SQL[] =
		"SELECT id, org, scopes FROM api_key WHERE hash = $1 AND revoked_ms IS NULL";
	struct key_found f;
	enum db_status status = find_caller(db, SQL, hash, &f);

	if (status != DB_OK)
		return status;
	*out_found = f.is_there;
	if (f.is_there)
		*out = f.caller;
	return DB_OK;
}

enum db_status key_scopes_read(struct db *db, const struct digest *hash, bool *out_found,
			       unsigned *out)
{
	static const char SQL[] = "SELECT id, org, scopes FROM api_key WHERE hash = $1";
	struct key_found f;
	enum db_status status = find_caller(db, SQL, hash, &f);

	if (status != DB_OK)
		return status;
	*out_found = f.is_there;
	if (f.is_there)
		*out = f.caller.scopes;
	return DB_OK;
}

static void read_org(void *arg, const struct db_row *row)
{
	struct org_list *list = arg;
	const char *email = db_row_text(row, "email");

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = (struct org_view){
		.id = db_row_id(row, "id"),
		.name = xstrdup(db_row_text(row, "name")),
		.email = email ? xstrdup(email) : NULL,
		.created = db_row_walltime(row, "created_ms"),
		.is_default = db_row_bool(row, "is_default"),
	};
}

static enum db_status take_one(struct org_list *list, enum db_status status, bool *out_found,
			       struct org_view *out)
{
	if (status == DB_OK) {
		*out_found = list->count == 1;
		if (list->count == 1)
			*out = list->items[0];
		free(list->items);
	} else {
		org_list_finish(list);
	}
	return status;
}

enum db_status org_find_by_name(struct db *db, const char *name, bool *out_found,
				struct org_view *out)
{
	static const char SQL[] = ORG_COLUMNS "WHERE name = $1";
	struct db_stmt *s = db_stmt(db, SQL);
	struct org_list list = {.count = 0};

	db_bind_text(s, name);
	db_queue(s, read_org, &list);
	return take_one(&list, db_flush(db), out_found, out);
}

enum db_status org_find(struct db *db, struct id id, bool *out_found, struct org_view *out)
{
	static const char SQL[] = ORG_COLUMNS "WHERE id = $1";
	struct db_stmt *s = db_stmt(db, SQL);
	struct org_list list = {.count = 0};

	db_bind_id(s, id);
	db_queue(s, read_org, &list);
	return take_one(&list, db_flush(db), out_found, out);
}

enum db_status org_find_default(struct db *db, bool *out_found, struct org_view *out)
{
	static const char SQL[] = ORG_COLUMNS "WHERE id = (SELECT org FROM default_org)";
	struct org_list list = {.count = 0};

	db_queue(db_stmt(db, SQL), read_org, &list);
	return take_one(&list, db_flush(db), out_found, out);
}

void org_view_finish(struct org_view *org)
{
	free(org->name);
	free(org->email);
	org->name = NULL;
	org->email = NULL;
}

enum db_status org_list_read(struct db *db, struct org_list *out)
{
	static const char SQL[] = ORG_COLUMNS "ORDER BY id";

	*out = (struct org_list){.count = 0};
	db_queue(db_stmt(db, SQL), read_org, out);
	return db_flush(db);
}

void org_list_finish(struct org_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		org_view_finish(&list->items[i]);
	free(list->items);
	*list = (struct org_list){.count = 0};
}

static void read_key(void *arg, const struct db_row *row)
{
	struct key_list *list = arg;
	struct key_view *key;
	const char *prefix = db_row_text(row, "prefix");
	size_t len = strlen(prefix);

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	key = &list->items[list->count++];
	*key = (struct key_view){
		.id = db_row_id(row, "id"),
		.org = db_row_id(row, "org"),
		.label = xstrdup(db_row_text(row, "label")),
		.created = db_row_walltime(row, "created_ms"),
		.is_revoked = !db_row_is_null(row, "revoked_ms"),
		.scopes = scopes_of_row(row),
		.is_before_scopes = db_row_is_null(row, "scopes"),
		.limits.has_daily = !db_row_is_null(row, "daily_microusd"),
		.limits.has_monthly = !db_row_is_null(row, "monthly_microusd"),
	};
	if (key->limits.has_daily)
		key->limits.daily = db_row_microusd(row, "daily_microusd");
	if (key->limits.has_monthly)
		key->limits.monthly = db_row_microusd(row, "monthly_microusd");
	if (!db_row_is_null(row, "rate_calls")) {
		key->limits.rate.calls = db_row_i64(row, "rate_calls");
		key->limits.rate.per_s = db_row_i64(row, "rate_per_s");
	}
	CHECK(len < sizeof(key->prefix));
	memcpy(key->prefix, prefix, len + 1);
}

enum db_status key_list_read(struct db *db, struct id org, struct key_list *out)
{
	static const char OF_ORG[] =
		"SELECT id, org, prefix, label, created_ms, revoked_ms, scopes, "
		"daily_microusd, monthly_microusd, rate_calls, rate_per_s FROM api_key "
		"LEFT JOIN key_limit ON key_limit.key = coalesce(root, id) "
		"WHERE org = $1 ORDER BY id DESC";
	static const char ALL[] =
		"SELECT id, org, prefix, label, created_ms, revoked_ms, scopes, "
		"daily_microusd, monthly_microusd, rate_calls, rate_per_s FROM api_key "
		"LEFT JOIN key_limit ON key_limit.key = coalesce(root, id) ORDER BY id DESC";
	struct db_stmt *s = db_stmt(db, id_is_none(org) ? ALL : OF_ORG);

	*out = (struct key_list){.count = 0};
	if (!id_is_none(org))
		db_bind_id(s, org);
	db_queue(s, read_key, out);
	return db_flush(db);
}

void key_list_finish(struct key_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].label);
	free(list->items);
	*list = (struct key_list){.count = 0};
}

void wallet_view_of_row(const struct db_row *row, struct wallet_view *view)
{
	struct preferences *prefs = &view->prefs;

	view->org = db_row_id(row, "org");
	view->available = db_row_microusd(row, "available_microusd");
	view->held = db_row_microusd(row, "held_microusd");
	view->seq = db_row_i64(row, "seq");
	view->month = db_row_i64(row, "month");
	view->captured_month = db_row_microusd(row, "captured_month_microusd");
	view->play = db_row_microusd(row, "play_microusd");
	view->is_live = !db_row_is_null(row, "live_seq");
	prefs->auto_reload_enabled = db_row_bool(row, "auto_reload_enabled");
	prefs->auto_reload_threshold = db_row_microusd(row, "auto_reload_threshold_microusd");
	prefs->auto_reload_amount = db_row_microusd(row, "auto_reload_amount_microusd");
	prefs->has_budget = !db_row_is_null(row, "budget_limit_microusd");
	if (prefs->has_budget)
		prefs->budget_limit = db_row_microusd(row, "budget_limit_microusd");
}

struct view_found {
	struct walltime now;
	bool is_there;
	struct wallet_view view;
};

static void read_view(void *arg, const struct db_row *row)
{
	struct view_found *f = arg;

	f->is_there = true;
	wallet_view_of_row(row, &f->view);
	/* A month that has passed counts nothing. */
	if (f->view.month < walltime_month(f->now)) {
		f->view.month = walltime_month(f->now);
		f->view.captured_month = MICROUSD_ZERO;
	}
}

enum db_status wallet_view_read(struct db *db, struct id org, bool *out_found,
				struct wallet_view *out)
{
	static const char SQL[] =
		"SELECT org, available_microusd, held_microusd, seq, month, "
		"captured_month_microusd, auto_reload_enabled, auto_reload_threshold_microusd, "
		"auto_reload_amount_microusd, budget_limit_microusd, play_microusd, live_seq "
		"FROM wallet WHERE org = $1";
	struct view_found f = {.now = clock_of_reader(db)};
	struct db_stmt *s = db_stmt(db, SQL);
	enum db_status status;

	db_bind_id(s, org);
	db_queue(s, read_view, &f);
	status = db_flush(db);
	if (status != DB_OK)
		return status;
	*out_found = f.is_there;
	if (f.is_there)
		*out = f.view;
	return DB_OK;
}
