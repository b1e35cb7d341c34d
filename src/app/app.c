#include "app/app.h"

#include "app/catalog.h"
#include "app/check.h"
#include "app/config.h"
#include "app/own_keys.h"
#include "app/upstreams.h"
#include "base/env.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "loop/http.h"
#include "meter/meter.h"
#include "providers/session_store.h"
#include "signals/signals.h"
#include "tools/registry.h"
#include "json/edge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Turns of the wallet that the end may take to release what is in flight. */
#define LAST_TURNS 16

struct app {
	struct app_config config;
	char *store;
	char *api_key;
	char *stripe_key;
	struct own_keys own_keys;
	struct loop *loop;
	struct http *http;
	struct wallet *wallet;
	struct ceilings *ceilings;
	struct payments *payments;
	struct signals *signals;
	struct sessions *sessions;
	struct meter *meter;
	struct tools *tools;
	struct upstreams *upstreams;
	bool is_hurried;
	struct loop_timer tick;  /* leases: renewed and looked after */
	struct loop_timer retry; /* the store was busy */
	int64_t openings;        /* of the store, that were looked after */
	loop_turn_fn *turn_end;
	void *turn_end_arg;
	/* app_run_until */
	bool (*until)(void *arg);
	void *until_arg;
	bool is_reached;
};

char *app_default_store(void)
{
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");

	/* A relative XDG path is to be ignored (XDG base directory specification). */
	if (data && data[0] == '/')
		return xasprintf("%s/farebox/wallet.db", data);
	if (home && home[0] == '/')
		return xasprintf("%s/.local/share/farebox/wallet.db", home);
	return NULL;
}

char *app_choose_store(const char *given, struct err *err)
{
	const char *store = given;
	char *chosen;

	if (!given && !env_text("FAREBOX_STORE", &store, err))
		return NULL;
	chosen = store ? xstrdup(store) : app_default_store();
	if (!chosen)
		err_set(err, "no place for the wallet: set FAREBOX_STORE or HOME");
	return chosen;
}

/* PAYMENTS_STRIPE where nothing is said: a key alone means Stripe. */
static bool read_mode(enum payments_mode *out, bool *out_is_said, struct err *err)
{
	static const struct {
		const char *name;
		enum payments_mode mode;
	} MODES[] = {
		{"off", PAYMENTS_OFF}, {"sandbox", PAYMENTS_SANDBOX}, {"stripe", PAYMENTS_STRIPE}};
	const char *name;
	size_t i = 0;

	if (!env_text("FAREBOX_PAYMENTS", &name, err))
		return false;
	while (name && i < ARRAY_LEN(MODES) && strcmp(name, MODES[i].name) != 0)
		i++;
	if (name && i == ARRAY_LEN(MODES))
		return err_set(err, "FAREBOX_PAYMENTS: must be stripe, sandbox or off, not %s",
			       name);
	*out = name ? MODES[i].mode : PAYMENTS_STRIPE;
	*out_is_said = name != NULL;
	return true;
}

bool app_choose_payments(struct payments_config *out, char **out_key, struct err *err)
{
	const char *unused;
	bool is_said = false;

	*out_key = NULL;
	if (!read_mode(&out->mode, &is_said, err) || !env_filled("STRIPE_SECRET_KEY", &unused, err))
		return false;
	/* Without Stripe the file with its key need not be there. */
	if (out->mode == PAYMENTS_STRIPE && !secret_from_env("STRIPE_SECRET_KEY", out_key, err))
		return false;
	if (!is_said && !*out_key)
		out->mode = PAYMENTS_OFF;
	if (out->mode == PAYMENTS_STRIPE && !*out_key)
		return err_set(err, "FAREBOX_PAYMENTS: stripe needs a key in STRIPE_SECRET_KEY or "
				    "in the file that STRIPE_SECRET_KEY_FILE names");
	out->stripe_key = *out_key;
	return env_text("FAREBOX_STRIPE_API_BASE", &out->stripe_api_base, err);
}

static void on_watch(void *arg, struct id org)
{
	payments_watch(arg, org);
}

static void on_tick(void *arg)
{
	struct app *app = arg;

	wallet_tick(app->wallet);
	loop_timer_in(&app->tick, LEASE_RENEW_MS);
}

static void on_retry(void *arg)
{
	(void)arg; /* the turn's end tries again */
}

/* The first use of the store, or of another in its place: what a crash left behind is looked after
 * now, never at start-up. */
static void look_at_store(struct app *app)
{
	if (!wallet_is_open(app->wallet) || app->openings == wallet_openings(app->wallet))
		return;
	app->openings = wallet_openings(app->wallet);
	wallet_tick(app->wallet);
	loop_timer_in(&app->tick, LEASE_RENEW_MS);
	payments_resume(app->payments);
}

static bool on_turn_end(void *arg)
{
	struct app *app = arg;
	int64_t retry_ms;
	bool is_more = wallet_turn(app->wallet, &retry_ms);

	look_at_store(app);
	if (retry_ms >= 0)
		loop_timer_in(&app->retry, retry_ms);
	if (app->turn_end && app->turn_end(app->turn_end_arg))
		is_more = true;
	if (app->until && app->until(app->until_arg)) {
		app->is_reached = true;
		loop_stop(app->loop);
	}
	return is_more;
}

static void create_wallet(struct app *app, const struct payments_config *payments)
{
	struct wallet_config config = {
		.store = app->store,
		.default_org = app->config.org_name,
		.is_default_named = app->config.is_org_named,
		.default_email = app->config.org_email,
		.starter = app->config.starter,
		.guard = app->config.guard,
		.watchdog = loop_watchdog(app->loop),
		.ceilings = app->config.ceilings,
		.is_live = payments_config_is_live(payments),
	};

	app->wallet = wallet_create(&config);
}

static bool create_parts(struct app *app, const struct payments_config *payments, struct err *err)
{
	struct signals_config signals = {
		.contact = app->config.contact,
		.allow_private = app->config.allow_private,
		.detectors = json_object_get(app->config.root, "detectors"),
	};
	struct tools_config tools = {
		.loop = app->loop,
		.clients = json_object_get(app->config.root, "clients"),
		.has_org_prices = app->config.has_org_prices,
		.own_key = own_keys_find,
		.own_key_arg = &app->own_keys,
	};

	app->http = http_create(app->loop, "farebox/" FAREBOX_VERSION);
	create_wallet(app, payments);
	app->sessions = sessions_create(app->wallet, app->store);
	app->payments = payments_create(app->loop, app->http, app->wallet, payments, err);
	if (!app->payments)
		return false;
	app->signals = signals_create(app->loop, app->http, app->wallet, &signals, err);
	if (!app->signals)
		return false;
	app->meter = meter_create(app->loop, app->wallet, app->config.guard);
	meter_set_watch(app->meter, on_watch, app->payments);
	tools.wallet = app->wallet;
	tools.meter = app->meter;
	tools.payments = app->payments;
	tools.sessions = app->sessions;
	app->tools = tools_create(&tools);
	return true;
}

static void fill(struct app *app, struct faults *faults)
{
	struct catalog_parts parts = {
		.loop = app->loop,
		.http = app->http,
		.sessions = app->sessions,
		.allow_private = app->config.allow_private,
		.signals = app->signals,
		.tools = app->tools,
		.orgs = json_object_get(app->config.root, "orgs"),
	};
	struct upstreams_config upstreams = {
		.loop = app->loop,
		.http = app->http,
		.wallet = app->wallet,
		.tools = app->tools,
		.config = &app->config,
	};

	catalog_fill(&app->config, &parts, faults);
	app->upstreams = upstreams_create(&upstreams, faults);
}

static bool fill_catalog(struct app *app, const char *path, struct err *err)
{
	struct faults faults = FAULTS_INIT;
	bool is_good;

	fill(app, &faults);
	is_good = faults.count == 0;
	/* The whole check knows the places better. */
	if (!is_good && config_refuse(path, app->config.root, err))
		err_set(err, "%s: %s: %s", path, faults.items[0].pointer, faults.items[0].text);
	faults_finish(&faults);
	return is_good;
}

/* For tests: what takes longer than this in one piece ends the process. */
static bool read_watchdog(struct app *app, struct err *err)
{
	const char *text = getenv("FAREBOX_WATCHDOG_FATAL_MS");
	int64_t *out = &loop_watchdog(app->loop)->fatal_ms;

	if (text && *text && !parse_i64(slice_of(text), 1, INT64_MAX, out))
		return err_set(err, "FAREBOX_WATCHDOG_FATAL_MS: must be a number of milliseconds "
				    "of the processor, above 0");
	return true;
}

static bool build(struct app *app, const struct app_options *options, struct err *err)
{
	const char *path = options->config_path;
	struct payments_config payments = {.mode = PAYMENTS_OFF};

	if ((!path && !env_text("FAREBOX_CONFIG", &path, err)) ||
	    !app_config_read(path, &app->config, err))
		return false;
	app->store = app_choose_store(options->store, err);
	if (!app->store || !app_choose_payments(&payments, &app->stripe_key, err) ||
	    !secret_from_env("FAREBOX_API_KEY", &app->api_key, err) ||
	    !own_keys_read(&app->own_keys, err))
		return false;
	payments.fee_percent = app->config.fee_percent;
	payments.fee_minimum = app->config.fee_minimum;
	app->ceilings = ceilings_create(app->config.root);
	payments.ceilings = app->ceilings;
	payments.return_url = app->config.return_url;
	payments.meter = app->config.meter;
	payments.meter_interval_ms = app->config.meter_interval_s * 1000;
	payments.default_email = app->config.org_email;
	app->loop = loop_create();
	loop_timer_init(&app->tick, app->loop, on_tick, app);
	loop_timer_init(&app->retry, app->loop, on_retry, app);
	loop_set_turn_end(app->loop, on_turn_end, app);
	return read_watchdog(app, err) && create_parts(app, &payments, err) &&
	       fill_catalog(app, path, err);
}

bool app_choose_log(struct err *err)
{
	const char *level;

	if (!env_text("FAREBOX_LOG", &level, err))
		return false;
	if (level && !log_level_set(level))
		return err_set(err, "FAREBOX_LOG must be error, warn, info or debug, not %s",
			       level);
	return true;
}

struct app *app_create(const struct app_options *options, struct err *err)
{
	struct app *app = xzalloc(sizeof(*app));

	edge_init();
	if (!app_choose_log(err) || !build(app, options, err)) {
		app_destroy(app);
		return NULL;
	}
	return app;
}

void app_destroy(struct app *app)
{
	int64_t retry_ms;

	if (!app)
		return;
	if (app->tools) {
		struct boottime until = boottime_after(clock_boot(), LAST_TURNS_MS);

		wallet_hurry(app->wallet, app->is_hurried);
		tools_cancel_all(app->tools);
		meter_release_now(app->meter);
		payments_leave(app->payments);
		for (int i = 0; i < LAST_TURNS && wallet_turn(app->wallet, &retry_ms); i++) {
			if (app->is_hurried && clock_boot().ms >= until.ms)
				break;
		}
	}
	if (app->loop) {
		loop_timer_cancel(&app->tick);
		loop_timer_cancel(&app->retry);
	}
	/* Then the wallet: its queued commands end, and with them what waits for them. */
	if (app->meter)
		meter_set_watch(app->meter, NULL, NULL);
	payments_destroy(app->payments);
	wallet_destroy(app->wallet);
	tools_destroy(app->tools);
	meter_destroy(app->meter);
	signals_destroy(app->signals);
	upstreams_destroy(app->upstreams, app->is_hurried);
	sessions_destroy(app->sessions);
	if (app->http)
		http_destroy(app->http);
	if (app->loop)
		loop_destroy(app->loop);
	secret_free(app->api_key);
	secret_free(app->stripe_key);
	own_keys_finish(&app->own_keys);
	ceilings_destroy(app->ceilings);
	free(app->store);
	app_config_finish(&app->config);
	free(app);
	log_settle_all();
}

struct loop *app_loop(struct app *app)
{
	return app->loop;
}

struct wallet *app_wallet(struct app *app)
{
	return app->wallet;
}

struct payments *app_payments(struct app *app)
{
	return app->payments;
}

struct tools *app_tools(struct app *app)
{
	return app->tools;
}

const char *app_api_key(const struct app *app)
{
	return app->api_key;
}

const char *app_default_name(const struct app *app)
{
	return app->config.is_org_named ? app->config.org_name : NULL;
}

bool app_org_is_configured(const struct app *app, const char *name)
{
	const char *org;
	json_t *config;

	json_object_foreach (json_object_get(app->config.root, "orgs"), org, config) {
		if (strcasecmp(org, name) == 0)
			return true;
	}
	return false;
}

const char *app_default_email(const struct app *app)
{
	return app->config.org_email;
}

struct microusd app_starter(const struct app *app)
{
	return app->config.starter;
}

const char *app_store(const struct app *app)
{
	return app->store;
}

void app_hurry(struct app *app)
{
	app->is_hurried = true;
	wallet_hurry(app->wallet, true);
}

void app_set_turn_end(struct app *app, loop_turn_fn *fn, void *arg)
{
	app->turn_end = fn;
	app->turn_end_arg = arg;
}

bool app_is_settled(const struct app *app)
{
	return wallet_is_idle(app->wallet) && tools_in_flight(app->tools) == 0 &&
	       payments_is_idle(app->payments);
}

static void on_deadline(void *arg)
{
	loop_stop(arg);
}

bool app_run_until(struct app *app, bool (*done)(void *arg), void *arg, struct boottime deadline)
{
	struct loop_timer timer;

	if (done(arg))
		return true;
	app->until = done;
	app->until_arg = arg;
	app->is_reached = false;
	loop_timer_init(&timer, app->loop, on_deadline, app->loop);
	loop_timer_at(&timer, deadline);
	/* What was submitted before waits for the end of a turn, so the first must not wait. */
	loop_timer_in(&app->retry, 0);
	loop_run(app->loop);
	loop_timer_cancel(&timer);
	app->until = NULL;
	return app->is_reached;
}

/* Built and thrown away: nothing in it touches the store or the network. */
static void check_build(json_t *config, struct faults *faults)
{
	struct app *app = xzalloc(sizeof(*app));
	struct payments_config payments = {.mode = PAYMENTS_OFF};
	struct err err = ERR_INIT;

	app->config.root = json_incref(config);
	app->config.org_name = "default";
	app->config.fee_percent = (struct decimal){0};
	app->store = xstrdup("");
	app->loop = loop_create();
	loop_timer_init(&app->tick, app->loop, on_tick, app);
	loop_timer_init(&app->retry, app->loop, on_retry, app);
	if (create_parts(app, &payments, &err))
		fill(app, faults);
	else
		faults_add(faults, "", "%s", err.text);
	app_destroy(app);
}

/* A URL is a server's, which is there or not. */
static bool is_missing(const char *store)
{
	struct stat st;

	return !strstr(store, "://") && stat(store, &st) != 0 && errno == ENOENT;
}

static void add_test_money(void *arg, const char *text, const char *remedy)
{
	faults_add(arg, "", "the store: %s; run '%s'", text, remedy);
}

bool app_payments_are_live(void)
{
	struct payments_config payments = {.mode = PAYMENTS_OFF};
	struct err err = ERR_INIT;
	char *key = NULL;
	bool is_live;

	is_live = app_choose_payments(&payments, &key, &err) && payments_config_is_live(&payments);
	secret_free(key);
	return is_live;
}

bool app_config_check_store(const json_t *config, struct faults *faults, struct err *err)
{
	CLEANUP(free_charp) char *store = app_choose_store(NULL, err);
	struct db *db = NULL;
	bool is_read;

	if (!store)
		return false;
	if (is_missing(store)) {
		faults_warn(faults, "", "%s is not there yet: the first call makes it", store);
		return true;
	}
	is_read = db_open_for(DB_LOOK, store, CLI_STORE_MS, &db, err) == DB_OK;
	if (!is_read && !err_is_set(err))
		err_set(err, "%s: the store is busy", store);
	if (is_read &&
	    (config_check_store(config, db, faults) != DB_OK ||
	     !store_check_test_money(db, app_payments_are_live(), add_test_money, faults)))
		is_read = err_set(err, "%s: %s", store, db_error(db));
	db_close(db);
	faults_sort(faults);
	return is_read;
}

void app_config_check(json_t *config, struct faults *faults)
{
	config_take_secrets(config);
	config_check(config, faults);
	if (!faults_grave(faults))
		check_build(config, faults);
}
