#ifndef APP_UPSTREAMS_H
#define APP_UPSTREAMS_H

/*
 * The upstreams of farebox.json: each an MCP server whose tools are put into the registry with the
 * prices of the configuration. A tool without a price is not offered. The last list of each is kept
 * in the store, so that a new process can list at once and the tools of a server that is down stay
 * listed; their calls fail then, and are released.
 */

#include "app/config.h"
#include "loop/http.h"
#include "tools/registry.h"
#include "wallet/wallet.h"

struct upstreams;

struct upstreams_config {
	struct loop *loop;
	struct http *http;
	struct wallet *wallet;
	struct tools *tools;
	const struct app_config *config;
};

/* Starts nothing. Adds each fault; what is sound is served. */
struct upstreams *upstreams_create(const struct upstreams_config *config, struct faults *faults);
/* Ends the children, blocking for a moment: they get UPSTREAM_END_MS to end with their stdin,
 * unless there is no time. After the wallet and the tools, before the loop. NULL is allowed. */
void upstreams_destroy(struct upstreams *ups, bool is_hurried);

#endif
