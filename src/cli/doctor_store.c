/*
 * doctor: the store, the default org in it, and the caller's key. A store that is not there is not
 * made.
 */

#include "cli/doctor.h"

#include "app/check.h"
#include "base/limits.h"
#include "base/secret.h"
#include "cli/run.h"
#include "wallet/clock.h"
#include "wallet/holds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder that the store's file would be made in, or the nearest one above it. */
static bool may_be_made(const char *path)
{
	CLEANUP(free_charp) char *folder = xstrdup(path);
	char *slash;

	while ((slash = strrchr(folder, '/')) != NULL) {
		*slash = '\0';
		if (access(*folder ? folder : "/", F_OK) == 0)
			return access(*folder ? folder : "/", W_OK | X_OK) == 0;
	}
	return access(".", W_OK | X_OK) == 0;
}

static void check_missing(struct doctor *d)
{
	if (may_be_made(d->store))
		doctor_add(d, FINDING_OK, "store", NULL,
			   "%s: not there yet, made with the first call", d->store);
	else
		doctor_add(d, FINDING_FAIL, "store",
			   "Set FAREBOX_STORE to a file in a folder that this user may write.",
			   "%s: cannot be made there", d->store);
}

/* One file that only its owner may get at; one that is not there is as well. */
static void check_mode(struct doctor *d, const char *path)
{
	CLEANUP(free_charp) char *remedy = NULL;
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || !(st.st_mode & SECRET_MODE_BAD))
		return;
	remedy = xasprintf("chmod 600 %s", path);
	doctor_add(d, FINDING_FAIL, "store.mode", remedy,
		   "others than its owner may get at %s (mode %04o)", path,
		   (unsigned)(st.st_mode & 07777));
}

/* Who may write the folder may put another store in the place of this one. */
static void check_folder(struct doctor *d, const char *path)
{
	CLEANUP(free_charp) char *folder = xstrdup(path);
	CLEANUP(free_charp) char *remedy = NULL;
	char *slash = strrchr(folder, '/');
	struct stat st;

	if (!slash)
		return;
	slash[slash == folder] = '\0';
	if (stat(folder, &st) != 0 || !(st.st_mode & S_IWOTH) || (st.st_mode & S_ISVTX))
		return;
	remedy = xasprintf("chmod o-w %s", folder);
	doctor_add(d, FINDING_FAIL, "store.folder", remedy,
		   "everybody may remove or replace what is in %s (mode %04o)", folder,
		   (unsigned)(st.st_mode & 07777));
}

/* As they are before the store is opened: the next call puts them right. */
static void check_modes(struct doctor *d)
{
	static const char *const SUFFIXES[] = {"", "-wal", "-shm", "-queue", "-lock", ".seal"};
	char *path = realpath(d->store, NULL);

	if (!path)
		return;
	for (size_t i = 0; i < ARRAY_LEN(SUFFIXES); i++) {
		CLEANUP(free_charp) char *name = xasprintf("%s%s", path, SUFFIXES[i]);

		check_mode(d, name);
	}
	check_folder(d, path);
	free(path);
}

/* False: there is nothing to open. */
static bool check_file(struct doctor *d)
{
	struct stat st;

	if (stat(d->store, &st) != 0) {
		if (errno == ENOENT && lstat(d->store, &st) != 0)
			check_missing(d);
		else
			doctor_add(d, FINDING_FAIL, "store",
				   "Set FAREBOX_STORE to a file of this user's.", "%s: %s",
				   d->store, strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		doctor_add(d, FINDING_FAIL, "store", "Set FAREBOX_STORE to a file.",
			   "%s is not a file", d->store);
		return false;
	}
	if (st.st_size == 0)
		doctor_add(d, FINDING_OK, "store", NULL,
			   "%s: is empty, made a store with the first call", d->store);
	return st.st_size > 0;
}

/* The default org, also of a store that no version which marks it has used: then it is the one of
 * the configured name, or the oldest. */
static enum db_status find_default(struct doctor *d, struct db *db, bool *out_found,
				   struct org_view *out)
{
	struct org_list list = {.count = 0};
	enum db_status status = org_find_default(db, out_found, out);

	if (status == DB_OK && !*out_found)
		status = org_find_by_name(db, d->config.org_name, out_found, out);
	if (status != DB_OK || *out_found)
		return status;
	status = org_list_read(db, &list);
	*out_found = status == DB_OK && list.count > 0;
	if (*out_found)
		status = org_find(db, list.items[0].id, out_found, out);
	org_list_finish(&list);
	return status;
}

/* As the wallet looks at it: the case of letters is no difference. */
static bool is_anothers(struct db *db, const char *name, struct id org)
{
	struct org_list list = {.count = 0};
	bool found = false;

	if (org_list_read(db, &list) == DB_OK) {
		for (size_t i = 0; i < list.count; i++)
			found = found || (!id_eq(list.items[i].id, org) &&
					  strcasecmp(list.items[i].name, name) == 0);
	}
	org_list_finish(&list);
	return found;
}

/* org.name of the file is not what the store says. */
static void check_name(struct doctor *d, struct db *db, const struct org_view *org)
{
	const char *name = d->config.org_name;

	if (!d->config.is_org_named || strcmp(org->name, name) == 0)
		return;
	if (is_anothers(db, name, org->id))
		doctor_add(d, FINDING_FAIL, "org.name",
			   "Set org.name to the name of the default org, or give the other another "
			   "name with 'farebox orgs rename'.",
			   "org.name is %s, but the default org is %s, and %s is another one", name,
			   org->name, name);
	else
		doctor_add(d, FINDING_OK, "org.name", NULL,
			   "the default org, %s, is called %s with the next call", org->name, name);
}

static void check_org(struct doctor *d, struct db *db)
{
	struct org_view org = {.name = NULL};
	struct wallet_view view;
	bool is_there = false;
	char tokens[MONEY_TEXT_SIZE];

	if (find_default(d, db, &is_there, &org) != DB_OK ||
	    (is_there && wallet_view_read(db, org.id, &is_there, &view) != DB_OK)) {
		doctor_add(d, FINDING_FAIL, "org", "Run 'farebox ledger verify'.",
			   "the default org cannot be read: %s", db_error(db));
	} else if (!is_there) {
		doctor_add(d, FINDING_OK, "org", NULL,
			   "%s: not there yet, made with the first call", d->config.org_name);
	} else {
		tokens_text(wallet_spendable(&view), tokens);
		doctor_add(d, FINDING_OK, "org", NULL, "%s: %s tokens can be spent", org.name,
			   tokens);
		d->has_email = org.email != NULL;
		check_name(d, db, &org);
	}
	org_view_finish(&org);
}

/* Prices and limits of the file that are nobody's. */
static void check_configured(struct doctor *d, struct db *db)
{
	struct faults faults = FAULTS_INIT;

	if (config_check_store(d->config.root, db, &faults) != DB_OK)
		doctor_add(d, FINDING_FAIL, "orgs", "Run 'farebox ledger verify'.",
			   "the orgs cannot be read: %s", db_error(db));
	for (size_t i = 0; i < faults.count; i++)
		doctor_add(d, FINDING_FAIL, "orgs",
			   "Correct the name in farebox.json; 'farebox orgs list' shows those that "
			   "there are.",
			   "%s: %s", faults.items[i].pointer, faults.items[i].text);
	faults_finish(&faults);
}

/* Keys of the time before scopes may buy, and nobody decided that. */
static void check_keys(struct doctor *d, struct db *db)
{
	struct key_list list = {.count = 0};

	if (key_list_read(db, ID_NONE, &list) != DB_OK)
		doctor_add(d, FINDING_FAIL, "keys", "Run 'farebox ledger verify'.",
			   "the keys cannot be read: %s", db_error(db));
	for (size_t i = 0; i < list.count; i++) {
		const struct key_view *key = &list.items[i];
		CLEANUP(free_charp) char *remedy = NULL;

		if (key->is_revoked || !key->is_before_scopes)
			continue;
		remedy = xasprintf("Replace it by one that may do what it is for: 'farebox keys "
				   "rotate %s --scopes call', or call,billing.",
				   key->prefix);
		doctor_add(d, FINDING_WARN, "keys", remedy,
			   "%s%s%s was made before keys had scopes, and has call and billing",
			   key->prefix, *key->label ? " " : "", key->label);
	}
	key_list_finish(&list);
}

/* The caller's key, where one is given. */
static void check_api_key(struct doctor *d, struct db *db)
{
	static const char REMEDY[] = "Give the key that 'farebox keys create' printed, or leave it "
				     "out to use the default org.";
	struct err err = ERR_INIT;
	struct caller caller;
	char *key = NULL;
	struct digest hash;
	bool is_there = false;

	if (!secret_from_env("FAREBOX_API_KEY", &key, &err)) {
		doctor_add(d, FINDING_FAIL, "api_key", REMEDY, "%s", err.text);
		return;
	}
	if (!key)
		return;
	hash = api_key_hash(slice_of(key));
	secret_free(key);
	if (!db)
		doctor_add(d, FINDING_WARN, "api_key", REMEDY,
			   "FAREBOX_API_KEY is set, and there is no store to look it up in");
	else if (key_find_by_hash(db, &hash, &is_there, &caller) != DB_OK || !is_there)
		doctor_add(d, FINDING_FAIL, "api_key", REMEDY,
			   "the store does not know FAREBOX_API_KEY, or it was revoked");
	else
		doctor_add(d, FINDING_OK, "api_key", NULL,
			   "FAREBOX_API_KEY is a key of this store");
}

/* A URL may have a password in it. */
static bool is_url(const char *store)
{
	return strstr(store, "://") != NULL;
}

static struct db *open_store(struct doctor *d)
{
	struct err err = ERR_INIT;
	struct db *db = NULL;
	int64_t version = 0;
	enum db_status status;

	if (!is_url(d->store) && !check_file(d))
		return NULL;
	status = db_open_for(DB_LOOK, d->store, CLI_STORE_MS, &db, &err);
	/* What is no store of ours is not ours to make safe. */
	if (status != DB_BROKEN && !is_url(d->store))
		check_modes(d);
	if (status != DB_OK) {
		/* A fault that passes by itself is none of the installation's. */
		doctor_add(d, status == DB_FAILED ? FINDING_WARN : FINDING_FAIL, "store",
			   status == DB_BUSY
				   ? "Another process holds it for long; look for one that was "
				     "stopped."
				   : "Do as it says, or set FAREBOX_STORE to another file.",
			   "%s", err_is_set(&err) ? err.text : "is busy");
		return NULL;
	}
	if (db_version_read(db, &version) != DB_OK)
		doctor_add(d, FINDING_FAIL, "store", "Run 'farebox ledger verify'.",
			   "cannot be read: %s", db_error(db));
	else
		doctor_add(d, FINDING_OK, "store", NULL, "%s, %s, tables of version %d",
			   is_url(d->store) ? "FAREBOX_STORE" : d->store, db_engine_name(db),
			   (int)version);
	return db;
}

static void add_mirror(struct doctor *d, const char *gateway, const struct mirror_view *v)
{
	bool is_well = !v->trouble && !v->orgs_in_trouble;
	CLEANUP(free_charp) char *orgs = NULL;

	orgs = v->orgs_in_trouble
		       ? xasprintf("; of %d orgs: %s", (int)v->orgs_in_trouble, v->org_trouble)
		       : xstrdup("");
	doctor_add(d, is_well ? FINDING_OK : FINDING_WARN, "stripe.meter",
		   is_well ? NULL : "It is tried again by itself; calls do not wait for it.",
		   "%s: %d ledger entries and %d grants are not told yet%s%s%s", gateway,
		   (int)v->lag_entries, (int)v->lag_grants, v->trouble ? "; " : "",
		   v->trouble ? v->trouble : "", orgs);
}

/* What Stripe's meter has not been told yet; test and live are told apart. */
static void check_mirror(struct doctor *d, struct db *db)
{
	static const char *const GATEWAYS[] = {"stripe", "stripe_test"};

	for (size_t i = 0; i < ARRAY_LEN(GATEWAYS); i++) {
		struct mirror_view view = {.trouble = NULL};

		if (mirror_view_read(db, GATEWAYS[i], &view) == DB_OK && view.is_started)
			add_mirror(d, GATEWAYS[i], &view);
		mirror_view_finish(&view);
	}
}

/* A hold older than every call may be is of a process that is gone. */
static void check_holds(struct doctor *d, struct db *db)
{
	struct hold_list list;
	int64_t oldest_ms;

	if (hold_list_read(db, &list) != DB_OK) {
		doctor_add(d, FINDING_FAIL, "holds", "Run 'farebox ledger verify'.",
			   "cannot be read: %s", db_error(db));
		return;
	}
	oldest_ms = list.items_count ? list.items[0].age_ms : 0;
	if (oldest_ms > CALL_DEADLINE_MS + LEASE_MS)
		doctor_add(
			d, FINDING_WARN, "holds",
			"Whatever uses the store next releases those of processes that are gone, "
			"'farebox orgs list' for one.",
			"%d open, the oldest for %d s", (int)list.count, (int)(oldest_ms / 1000));
	else
		doctor_add(d, FINDING_OK, "holds", NULL,
			   list.count ? "%d open, the oldest for %d s" : "none open",
			   (int)list.count, (int)(oldest_ms / 1000));
	hold_list_finish(&list);
}

static void check_clock(struct doctor *d, struct db *db)
{
	static const char AHEAD[] = "Set the clock right; when it is right, run 'farebox doctor "
				    "--believe-clock'.";
	static const char BACK[] = "Keep the clock set by NTP; 'farebox doctor --believe-clock' "
				   "takes this note away.";
	struct clock_belief belief;
	struct clock_verdict now;
	char when[WALLTIME_TEXT_SIZE];

	if (clock_belief_read(db, &belief) != DB_OK)
		return; /* told by who reads the store */
	clock_judge(&belief, db_clocks(db), &now);
	if (now.ahead_ms) {
		doctor_add(d, FINDING_WARN, "clock", AHEAD,
			   "is %lld s ahead of where the boot clock has it, and not believed: "
			   "budgets, limits and rates go on from before",
			   (long long)(now.ahead_ms / 1000));
	} else if (now.back_ms || belief.back_ms) {
		walltime_text(belief.back_seen, when);
		doctor_add(d, FINDING_WARN, "clock", BACK, "stepped back by %lld s, seen at %s",
			   (long long)((belief.back_ms ? belief.back_ms : now.back_ms) / 1000),
			   belief.back_ms ? when : "this moment");
	} else if (belief.ahead_ms) {
		walltime_text(belief.ahead_seen, when);
		doctor_add(d, FINDING_WARN, "clock", BACK,
			   "was %lld s ahead, at what it called %s, and was not believed",
			   (long long)(belief.ahead_ms / 1000), when);
	} else {
		doctor_add(d, FINDING_OK, "clock", NULL, "goes as the boot clock does");
	}
}

static void add_test_money(void *arg, const char *text, const char *remedy)
{
	doctor_add(arg, FINDING_FAIL, "test_money", remedy, "%s", text);
}

/* What was paid at Stripe and can be credited to nobody here. */
static void check_strays(struct doctor *d, struct db *db)
{
	static const char *const GATEWAYS[] = {"stripe", "stripe_test"};
	static const char REMEDY[] =
		"Look it up in the Stripe dashboard. If it is this store's, give its tokens with "
		"'farebox grant --org ORG --tokens N'; if it is another store's, leave it there; "
		"else refund it.";

	for (size_t i = 0; i < ARRAY_LEN(GATEWAYS); i++) {
		struct stray_list list = {.count = 0};

		if (stray_list_read(db, GATEWAYS[i], DOCTOR_STRAYS_MAX, &list) != DB_OK)
			continue;
		for (size_t n = 0; n < list.count; n++) {
			const struct stray *stray = &list.items[n];
			char usd[MONEY_TEXT_SIZE];
			struct microusd amount;

			CHECK(microusd_from_cents(&amount, stray->amount));
			usd_text_people(amount, usd);
			doctor_add(d, FINDING_WARN, "stripe.unknown_money", REMEDY,
				   "%s over $%s is not credited: %s", stray->ref, usd,
				   stray->reason);
		}
		stray_list_finish(&list);
	}
}

/* Money of the sandbox and of test keys, on a store for real money. */
static void check_test_money(struct doctor *d, struct db *db)
{
	if (!store_check_test_money(db, app_payments_are_live(), add_test_money, d))
		doctor_add(d, FINDING_FAIL, "test_money", "Run 'farebox ledger verify'.",
			   "the wallets cannot be read: %s", db_error(db));
}

void doctor_check_store(struct doctor *d)
{
	struct err err = ERR_INIT;
	struct db *db = NULL;

	d->store = app_choose_store(NULL, &err);
	if (d->store)
		db = open_store(d);
	else
		doctor_add(d, FINDING_FAIL, "store", "Set FAREBOX_STORE.", "%s", err.text);
	if (db) {
		check_org(d, db);
		check_holds(d, db);
		check_clock(d, db);
		check_configured(d, db);
		check_keys(d, db);
		check_mirror(d, db);
		check_test_money(d, db);
		check_strays(d, db);
	}
	check_api_key(d, db);
	db_close(db);
}
