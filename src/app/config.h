#ifndef APP_CONFIG_H
#define APP_CONFIG_H

/*
 * farebox.json: read, checked against schemas/config.json, then each room's section by the room
 * itself. A member that the shape allows and that this build does not serve yet is a fault, too:
 * nothing of a configuration is ever ignored in silence.
 */

#include "base/err.h"
#include "base/money.h"
#include "wallet/wallet.h"
#include "json/faults.h"

#include <jansson.h>

struct app_config {
	json_t *root; /* owned; {} without a file */
	const char *org_name;
	bool is_org_named;     /* by the file, else it is "default" */
	const char *org_email; /* NULL = none */
	struct microusd starter;
	struct decimal fee_percent;
	struct cents fee_minimum;
	char *return_url;         /* owned; NULL = none */
	bool meter;               /* usage and credit are mirrored at Stripe's meter */
	int64_t meter_interval_s; /* how soon after a use; 0: the default */
	bool allow_private;
	const char *contact; /* NULL = none */
	struct guard_config guard;
	struct budget_ceilings ceilings; /* orgs is owned; its names are of root */
	bool has_org_prices;
};

/* path NULL: the defaults. False: err names the first fault with its JSON pointer. */
MUST_USE bool app_config_read(const char *path, struct app_config *out, struct err *err);
void app_config_finish(struct app_config *config);

/* Whether a tool's provider is one that says a model's usage, so that it may have a price by
 * model; not without a provider. */
bool config_says_usage(const json_t *tool);

/* All faults of the shape; returns a copy without the members that nobody knows. */
json_t *config_shape(const json_t *root, struct faults *faults);
/* stripe.return_url, which may begin with the value of a variable; NULL: none. Owned by the caller.
 */
MUST_USE bool config_return_url(const json_t *root, char **out, struct err *err);
/* Every variable that a text names as ${env:NAME} goes to the vault, before anything is started
 * that could read our environment. */
void config_take_secrets(const json_t *root);
/* timeout_ms of a tool, an upstream or a detector, within the bounds of the shape. */
int64_t config_timeout_ms(const json_t *config);
/* Puts the first fault and the number of the others into err; true when there is none. */
bool config_refuse(const char *path, const json_t *root, struct err *err);

#endif
