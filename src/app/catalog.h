#ifndef APP_CATALOG_H
#define APP_CATALOG_H

/*
 * What is for sale: the detectors and the tools of farebox.json, put into the registry with their
 * prices and providers.
 */

#include "app/config.h"
#include "signals/signals.h"
#include "tools/registry.h"

struct catalog_parts {
	struct loop *loop;
	struct http *http;
	struct sessions *sessions;
	bool allow_private; /* of the network: for providers */
	struct signals *signals;
	struct tools *tools;
	json_t *orgs; /* of the configuration; NULL for none */
};

/* Adds each fault; what is sound is registered all the same. */
void catalog_fill(const struct app_config *config, const struct catalog_parts *parts,
		  struct faults *faults);

#endif
