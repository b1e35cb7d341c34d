/*
 * Looks everything over that payments and calls stand on, and says what to do. It changes nothing:
 * a store that is not there is not made, and Stripe is only read. It stands beside the app, not on
 * it, so that one fault does not hide the others, and so that no open payment is taken up.
 */

#include "app/app.h"
#include "app/config.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "cli/print.h"
#include "cli/run.h"
#include "payments/stripe_doctor.h"
#include "payments/stripe_secrets.h"
#include "json/edge.h"
#include "json/emit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_MODE_BAD 077 /* what nobody else may do with a wallet or a secret */

struct row {
	enum finding_level level;
	const char *check; /* static */
	char *text;
	char *remedy; /* NULL: none */
};

struct doctor {
	struct row *rows;
	size_t count;
	size_t warned, failed;
	struct app_config config;
	struct payments_config payments;
	char *key;
	char *store;
	bool has_email; /* of the default org */
	struct loop *loop;
};

static void add(struct doctor *d, enum finding_level level, const char *check, const char *remedy,
		const char *fmt, ...) PRINTF_LIKE(5, 6);

static void add(struct doctor *d, enum finding_level level, const char *check, const char *remedy,
		const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->rows = xrealloc_array(d->rows, d->count + 1, sizeof(*d->rows));
	d->rows[d->count++] = (struct row){
		.level = level,
		.check = check,
		.text = xstrdup(text),
		.remedy = remedy ? xstrdup(remedy) : NULL,
	};
	d->warned += level == FINDING_WARN;
	d->failed += level == FINDING_FAIL;
}

/* Faults of the file with their pointers, the first of them told. */
static void check_file(struct doctor *d, const char *path)
{
	struct faults faults = FAULTS_INIT;
	struct err err = ERR_INIT;
	CLEANUP(edge_decref) json_t *root = edge_parse_file(path, CONFIG_BYTES_MAX, NULL, &err);
	const struct fault *first;
	size_t n;

	if (!root) {
		add(d, FINDING_FAIL, "config",
		    "Correct FAREBOX_CONFIG or the file; 'farebox config init' writes one to start "
		    "with.",
		    "%s", err.text);
		return;
	}
	app_config_check(root, &faults);
	n = faults_grave(&faults);
	first = faults_first(&faults, "");
	if (first)
		add(d, FINDING_FAIL, "config", "'farebox config check' names every fault.",
		    "%s: %zu %s, the first at %s: %s", path, n, n == 1 ? "fault" : "faults",
		    first->pointer, first->text);
	else
		add(d, FINDING_OK, "config", NULL, "%s", path);
	/* What follows reads it where it can be read. */
	if (!app_config_read(path, &d->config, &err))
		d->config.root = NULL;
	faults_finish(&faults);
}

static void check_config(struct doctor *d)
{
	const char *path = getenv("FAREBOX_CONFIG");
	struct err err = ERR_INIT;

	if (path && *path)
		check_file(d, path);
	else
		add(d, FINDING_OK, "config", NULL,
		    "FAREBOX_CONFIG is not set: the built-in tools only");
	/* What follows reads it, also where the file is at fault. */
	if (!d->config.root)
		CHECK(app_config_read(NULL, &d->config, &err));
}

static void check_log(struct doctor *d)
{
	const char *level = getenv("FAREBOX_LOG");

	if (level && *level && !log_level_set(level))
		add(d, FINDING_FAIL, "log", "Set FAREBOX_LOG to one of these, or leave it out.",
		    "FAREBOX_LOG must be error, warn, info or debug, not %s", level);
}

/* A secret in a file is only as secret as the file. */
static void check_secret_file(struct doctor *d, const char *check, const char *variable)
{
	const char *path = getenv(variable);
	CLEANUP(free_charp) char *remedy = NULL;
	struct stat st;

	if (!path || !*path || stat(path, &st) != 0 || !(st.st_mode & SECRET_MODE_BAD))
		return;
	remedy = xasprintf("chmod 600 %s", path);
	add(d, FINDING_WARN, check, remedy, "%s: others than its owner may read %s (mode %04o)",
	    variable, path, (unsigned)(st.st_mode & 07777));
}

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
		add(d, FINDING_OK, "store", NULL, "%s: not there yet, made with the first call",
		    d->store);
	else
		add(d, FINDING_FAIL, "store",
		    "Set FAREBOX_STORE to a file in a folder that this user may write.",
		    "%s: cannot be made there", d->store);
}

/* False: there is nothing to open. */
static bool check_mode(struct doctor *d)
{
	CLEANUP(free_charp) char *remedy = NULL;
	struct stat st;

	if (stat(d->store, &st) != 0) {
		if (errno == ENOENT)
			check_missing(d);
		else
			add(d, FINDING_FAIL, "store", "Set FAREBOX_STORE to a file of this user's.",
			    "%s: %s", d->store, strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		add(d, FINDING_FAIL, "store", "Set FAREBOX_STORE to a file.", "%s is not a file",
		    d->store);
		return false;
	}
	if (st.st_mode & SECRET_MODE_BAD) {
		remedy = xasprintf("chmod 600 %s", d->store);
		add(d, FINDING_FAIL, "store.mode", remedy,
		    "others than its owner may get at %s (mode %04o)", d->store,
		    (unsigned)(st.st_mode & 07777));
	}
	return true;
}

static void check_org(struct doctor *d, struct db *db)
{
	struct org_view org = {.name = NULL};
	struct wallet_view view;
	bool is_there = false;
	char tokens[MONEY_TEXT_SIZE];

	if (org_find_by_name(db, d->config.org_name, &is_there, &org) != DB_OK ||
	    (is_there && wallet_view_read(db, org.id, &is_there, &view) != DB_OK)) {
		add(d, FINDING_FAIL, "org", "Run 'farebox ledger verify'.",
		    "the default org cannot be read: %s", db_error(db));
	} else if (!is_there) {
		add(d, FINDING_OK, "org", NULL, "%s: not there yet, made with the first call",
		    d->config.org_name);
	} else {
		tokens_text(view.available, tokens);
		add(d, FINDING_OK, "org", NULL, "%s: %s tokens can be spent", org.name, tokens);
		d->has_email = org.email != NULL;
	}
	org_view_finish(&org);
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
		add(d, FINDING_FAIL, "api_key", REMEDY, "%s", err.text);
		return;
	}
	if (!key)
		return;
	hash = api_key_hash(slice_of(key));
	secret_free(key);
	if (!db)
		add(d, FINDING_WARN, "api_key", REMEDY,
		    "FAREBOX_API_KEY is set, and there is no store to look it up in");
	else if (key_find_by_hash(db, &hash, &is_there, &caller) != DB_OK || !is_there)
		add(d, FINDING_FAIL, "api_key", REMEDY,
		    "the store does not know FAREBOX_API_KEY, or it was revoked");
	else
		add(d, FINDING_OK, "api_key", NULL, "FAREBOX_API_KEY is a key of this store");
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

	if (!is_url(d->store) && !check_mode(d))
		return NULL;
	status = db_open(d->store, CLI_STORE_MS, &db, &err);
	if (status != DB_OK) {
		add(d, FINDING_FAIL, "store",
		    status == DB_BUSY ? "Another process holds it for long; look for one that was "
					"stopped."
				      : "Set FAREBOX_STORE to a farebox store that this user may "
					"write.",
		    "%s%s%s", is_url(d->store) ? "" : d->store, is_url(d->store) ? "" : ": ",
		    err_is_set(&err) ? err.text : "is busy");
		return NULL;
	}
	if (db_version_read(db, &version) != DB_OK)
		add(d, FINDING_FAIL, "store", "Run 'farebox ledger verify'.", "cannot be read: %s",
		    db_error(db));
	else
		add(d, FINDING_OK, "store", NULL, "%s, %s, tables of version %d",
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
	add(d, is_well ? FINDING_OK : FINDING_WARN, "stripe.meter",
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

static void check_store(struct doctor *d)
{
	struct err err = ERR_INIT;
	struct db *db = NULL;

	d->store = app_choose_store(NULL, &err);
	if (d->store)
		db = open_store(d);
	else
		add(d, FINDING_FAIL, "store", "Set FAREBOX_STORE.", "%s", err.text);
	if (db) {
		check_org(d, db);
		check_mirror(d, db);
	}
	check_api_key(d, db);
	db_close(db);
}

static void check_email(struct doctor *d)
{
	if (d->config.org_email || d->has_email)
		add(d, FINDING_OK, "org.email", NULL, "invoices have an address to go to");
	else
		add(d, FINDING_WARN, "org.email",
		    "Set org.email in farebox.json, or run 'farebox orgs email --org ORG --email "
		    "ADDRESS'.",
		    "the default org has no address: top_up_credits is refused");
}

static void check_return_url(struct doctor *d)
{
	if (d->config.return_url)
		add(d, FINDING_OK, "stripe.return_url", NULL, "payers come back to %s",
		    d->config.return_url);
	else
		add(d, FINDING_WARN, "stripe.return_url",
		    "Set stripe.return_url in farebox.json to a page of yours.",
		    "not set: after paying, payers land on example.com");
}

static void check_webhook(struct doctor *d)
{
	static const char REMEDY[] =
		"Set STRIPE_WEBHOOK_SECRET to the endpoint's signing secret, whsec_..., or leave "
		"it out.";
	struct stripe_secrets secrets;
	struct err err = ERR_INIT;
	size_t odd = 0;

	if (!stripe_secrets_read(&secrets, &err)) {
		add(d, FINDING_FAIL, "stripe.webhook", REMEDY, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < secrets.count; i++)
		odd += strncmp(secrets.items[i], "whsec_", 6) != 0;
	if (!secrets.count)
		add(d, FINDING_OK, "stripe.webhook", NULL,
		    "no signing secret is set: farebox asks Stripe itself what became of payments");
	else if (odd)
		add(d, FINDING_WARN, "stripe.webhook", REMEDY,
		    "the signing secret does not begin with whsec_");
	else
		add(d, FINDING_OK, "stripe.webhook", NULL, "%zu signing %s for 'farebox webhook'",
		    secrets.count, secrets.count == 1 ? "secret" : "secrets");
	stripe_secrets_finish(&secrets);
	check_secret_file(d, "stripe.webhook", "STRIPE_WEBHOOK_SECRET_FILE");
}

static void on_found(void *arg, const struct finding *f)
{
	add(arg, f->level, f->check, f->remedy, "%s", f->text);
}

static void on_done(void *arg)
{
	loop_stop(((struct doctor *)arg)->loop);
}

/* The one part that uses the network. */
static void ask_stripe(struct doctor *d)
{
	struct stripe_doctor_config config = {
		.stripe = {.key = d->payments.stripe_key, .api_base = d->payments.stripe_api_base},
		.found = on_found,
		.done = on_done,
		.arg = d,
	};
	struct err err = ERR_INIT;
	struct stripe_doctor *stripe;
	struct http *http;

	d->loop = loop_create();
	http = http_create(d->loop, "farebox/" FAREBOX_VERSION);
	stripe = stripe_doctor_create(d->loop, http, &config, &err);
	if (stripe)
		loop_run(d->loop);
	else
		add(d, FINDING_FAIL, "stripe.key",
		    "Copy the secret key, or a restricted one, from the Stripe dashboard, "
		    "Developers > API keys.",
		    "%s", err.text);
	stripe_doctor_destroy(stripe);
	http_destroy(http);
	loop_destroy(d->loop);
}

/* False: a key must not be sent there. */
static bool check_api_base(struct doctor *d)
{
	static const char REMEDY[] =
		"It is for tests: take FAREBOX_STRIPE_API_BASE out of the environment.";
	const char *base = d->payments.stripe_api_base;
	struct err err = ERR_INIT;
	bool is_loopback;

	if (!base)
		return true;
	if (http_base_check(base, &is_loopback, &err)) {
		add(d, FINDING_WARN, "stripe.api_base", REMEDY, "Stripe is asked at %s", base);
		return true;
	}
	add(d, FINDING_FAIL, "stripe.api_base", REMEDY, "FAREBOX_STRIPE_API_BASE: %s", err.text);
	return false;
}

static void check_stripe(struct doctor *d)
{
	add(d, FINDING_OK, "payments", NULL, "stripe");
	if (check_api_base(d))
		ask_stripe(d);
	check_secret_file(d, "stripe.key", "STRIPE_SECRET_KEY_FILE");
	check_return_url(d);
	check_email(d);
	check_webhook(d);
}

static void check_payments(struct doctor *d)
{
	struct err err = ERR_INIT;

	if (!app_choose_payments(&d->payments, &d->key, &err)) {
		add(d, FINDING_FAIL, "payments",
		    "Correct the environment: FAREBOX_PAYMENTS, and STRIPE_SECRET_KEY or "
		    "STRIPE_SECRET_KEY_FILE.",
		    "%s", err.text);
		return;
	}
	switch (d->payments.mode) {
	case PAYMENTS_OFF:
		add(d, FINDING_OK, "payments", NULL,
		    "off: nothing can be bought; Stripe is not looked at");
		return;
	case PAYMENTS_SANDBOX:
		add(d, FINDING_OK, "payments", NULL,
		    "sandbox: play money; Stripe is not looked at");
		return;
	case PAYMENTS_STRIPE:
		check_stripe(d);
		return;
	}
	die("payments mode %d", (int)d->payments.mode);
}

static const char *level_name(enum finding_level level)
{
	switch (level) {
	case FINDING_OK:
		return "ok";
	case FINDING_WARN:
		return "warn";
	case FINDING_FAIL:
		return "fail";
	}
	die("finding level %d", (int)level);
}

static void print_rows_json(const struct cli *cli, const struct doctor *d)
{
	struct buf json = BUF_INIT;
	struct emit e;

	emit_init(&e, &json);
	emit_object(&e);
	emit_key_bool(&e, "ok", !d->failed);
	emit_key(&e, "checks");
	emit_array(&e);
	for (size_t i = 0; i < d->count; i++) {
		emit_object(&e);
		emit_key_text(&e, "status", level_name(d->rows[i].level));
		emit_key_text(&e, "check", d->rows[i].check);
		emit_key_text(&e, "text", d->rows[i].text);
		emit_key_text(&e, "remedy", d->rows[i].remedy);
		emit_object_end(&e);
	}
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static void print_rows(const struct doctor *d)
{
	static const struct column COLUMNS[] = {
		{"STATUS", COLUMN_TEXT},
		{"CHECK", COLUMN_TEXT},
		{"FOUND", COLUMN_TEXT},
	};
	struct table *t = table_create(COLUMNS, ARRAY_LEN(COLUMNS), true);

	for (size_t i = 0; i < d->count; i++) {
		const struct row *row = &d->rows[i];

		table_row(t, (const char *const[]){level_name(row->level), row->check, row->text});
		if (row->remedy) {
			CLEANUP(free_charp) char *remedy = xasprintf("-> %s", row->remedy);

			table_row(t, (const char *const[]){"", "", remedy});
		}
	}
	table_print(t);
	cli_note("%zu checks: %zu failed, %zu warned", d->count, d->failed, d->warned);
}

static void doctor_finish(struct doctor *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->rows[i].text);
		free(d->rows[i].remedy);
	}
	free(d->rows);
	free(d->store);
	secret_free(d->key);
	app_config_finish(&d->config);
}

static int run(struct cli *cli)
{
	struct doctor d = {.payments = {.mode = PAYMENTS_OFF}};
	int status;

	check_log(&d);
	check_config(&d);
	check_store(&d);
	check_payments(&d);
	if (cli->wants_json)
		print_rows_json(cli, &d);
	else
		print_rows(&d);
	status = d.failed ? CLI_FAILED : CLI_OK;
	doctor_finish(&d);
	return status;
}

static const char *const EXAMPLES[] = {
	"farebox doctor",
	"STRIPE_SECRET_KEY_FILE=~/.config/farebox/stripe.key farebox doctor",
	NULL,
};

const struct command COMMAND_DOCTOR = {
	.name = "doctor",
	.summary = "Checks configuration, store and payments, and says what to do.",
	.text = "It changes nothing, and uses the network only to ask Stripe, when payments go "
		"through it.\nExit status 1 when a check failed; warnings do not count.",
	.examples = EXAMPLES,
	.run = run,
};
