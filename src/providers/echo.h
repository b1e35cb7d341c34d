#ifndef PROVIDERS_ECHO_H
#define PROVIDERS_ECHO_H

/*
 * {"kind": "echo", "delay_ms": 0, "outcome": "ok|5xx|4xx|timeout|garbage|broken|stalled",
 * "usage": false}: answers {"echo": ARGUMENTS} after a delay, or fails in the named way; broken and
 * stalled have begun their content by then. With usage it says the usage that the argument `usage`
 * ({"input", "cached_input", "cache_write", "output"}) holds, as a model would, and none where it
 * is absent. For tests, demos and benchmarks.
 */

#include "providers/provider.h"

/* NULL and err (with the member's name) when the configuration is wrong. */
struct provider *echo_provider_create(struct loop *loop, const json_t *config, struct err *err);

#endif
