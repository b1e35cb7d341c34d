#ifndef APP_DETECTORS_H
#define APP_DETECTORS_H

/* A detector as a local provider: signals and providers do not know each other. */

#include "providers/provider.h"
#include "signals/signals.h"

struct provider *detector_provider_create(struct signals *signals, const struct detector *detector);

#endif
