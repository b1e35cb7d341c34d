#ifndef PROVIDERS_ECHO_H
#define PROVIDERS_ECHO_H

/*
 * {"kind": "echo", "delay_ms": 0, "outcome": "ok|5xx|4xx|timeout|garbage"}: answers
 * {"echo": ARGUMENTS} after a delay, or fails in the named way. For tests, demos and benchmarks.
 */

#include "providers/provider.h"

/* NULL and err (with the member's name) when the configuration is wrong. */
struct provider *echo_provider_create(struct loop *loop, const json_t *config, struct err *err);

#endif
