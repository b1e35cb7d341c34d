#ifndef PROVIDERS_LOCAL_H
#define PROVIDERS_LOCAL_H

/*
 * A provider inside this process, given by function pointers: how detectors stand behind the
 * meter without this room knowing them. The functions have the meaning of struct provider_kind's.
 */

#include "providers/provider.h"

typedef void local_start_fn(void *arg, struct execution *x);
typedef void local_cancel_fn(void *arg, struct execution *x);
typedef void local_destroy_fn(void *arg);

/* Takes arg; destroy frees it. */
struct provider *local_provider_create(local_start_fn *start, local_cancel_fn *cancel,
				       local_destroy_fn *destroy, TAKES void *arg);

#endif
