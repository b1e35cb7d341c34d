#ifndef APP_CATALOG_H
#define APP_CATALOG_H

/*
 * What is for sale: the detectors and the tools of farebox.json, put into the registry with their
 * prices and providers.
 */

#include "app/config.h"
#include "base/buf.h"
#include "signals/signals.h"
#include "tools/registry.h"

struct catalog_parts {
	struct loop *loop;
	struct signals *signals;
	struct tools *tools;
};

/* Appends a line "POINTER: text" for each fault and returns how many there are; what is sound is
 * registered all the same. */
size_t catalog_fill(const struct app_config *config, const struct catalog_parts *parts,
		    struct buf *out_faults);

#endif
