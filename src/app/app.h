#ifndef APP_APP_H
#define APP_APP_H

/*
 * Builds everything in order from the environment and farebox.json, and owns it. One thread, one
 * struct app, one loop. Nothing here touches the network or opens the store: the store is opened
 * with the first command that needs it.
 */

#include "base/err.h"
#include "loop/loop.h"
#include "payments/payments.h"
#include "tools/tools.h"
#include "wallet/wallet.h"
#include "json/faults.h"

#include <jansson.h>

struct app;

struct app_options {
	const char *config_path; /* NULL: FAREBOX_CONFIG, else no configuration */
	const char *store;       /* NULL: FAREBOX_STORE, else the default path */
};

/* NULL and err with what is wrong and the remedy. */
struct app *app_create(const struct app_options *options, struct err *err);
/* Ends what is in flight, closes the store. NULL is allowed. */
void app_destroy(struct app *app);

struct loop *app_loop(struct app *app);
struct wallet *app_wallet(struct app *app);
struct payments *app_payments(struct app *app);
struct tools *app_tools(struct app *app);
/* The caller's own key from FAREBOX_API_KEY; NULL for none. */
const char *app_api_key(const struct app *app);
/* The default org's name by the configuration, which the store's follows; NULL: it says none. */
const char *app_default_name(const struct app *app);
/* Whether the member orgs of the configuration has one of this name. */
bool app_org_is_configured(const struct app *app, const char *name);
/* The default org's address by the configuration, which goes before the store's; NULL: none. */
const char *app_default_email(const struct app *app);
struct microusd app_starter(const struct app *app);
const char *app_store(const struct app *app);

/* On the way out, with a second at most: no sibling and no child is waited for longer than a
 * moment.
 */
void app_hurry(struct app *app);
/* What a transport does at the end of each turn, after the wallet's batch; true: more to do. */
void app_set_turn_end(struct app *app, loop_turn_fn *fn, void *arg);
/* Nothing is queued or under way in wallet, tools and payments. */
bool app_is_settled(const struct app *app);
/* Runs the loop until done(arg) says true or the deadline passes (false). For the command line. */
bool app_run_until(struct app *app, bool (*done)(void *arg), void *arg, struct boottime deadline);

/* Adds all faults of a configuration. Touches neither store nor network and starts nothing. */
void app_config_check(json_t *config, struct faults *faults);
/* Adds those that show in the store, which is read and never made: a store that is not there yet is
 * a warning. False: it cannot be read, and err says why. */
MUST_USE bool app_config_check_store(const json_t *config, struct faults *faults, struct err *err);

/* Sets the level of the log by FAREBOX_LOG. */
MUST_USE bool app_choose_log(struct err *err);
/* Path or URL of the store: given, else FAREBOX_STORE, else app_default_store. Owned by the caller;
 * NULL and err when there is no place for it. */
char *app_choose_store(const char *given, struct err *err);
/*
 * How payments are taken, by FAREBOX_PAYMENTS, STRIPE_SECRET_KEY and FAREBOX_STRIPE_API_BASE: fills
 * in mode, stripe_key and stripe_api_base. *out_key owns the key and is for secret_free, also after
 * false.
 */
MUST_USE bool app_choose_payments(struct payments_config *out, char **out_key, struct err *err);
/* Whether the environment has a live key; a fault in it is told where payments are looked at. */
bool app_payments_are_live(void);

/* $XDG_DATA_HOME/farebox/wallet.db, else ~/.local/share/farebox/wallet.db; owned by the caller. */
char *app_default_store(void);

#endif
