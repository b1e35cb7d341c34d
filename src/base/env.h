#ifndef BASE_ENV_H
#define BASE_ENV_H

/*
 * Variables of the environment. One that is set but empty is nobody's wish: a script that lost its
 * value, or a host that fills in an empty field. It is refused, and so is a place that a host did
 * not fill, ${...}: what they would choose is another store, another wallet, another configuration
 * than was meant.
 */

#include "base/base.h"
#include "base/err.h"

/* *out is borrowed for good; NULL: it is not set. False names the variable and what to do. */
MUST_USE bool env_text(const char *name, const char **out, struct err *err);

/* Whether a value that stands at name may be used at all. */
MUST_USE bool env_check(const char *name, const char *value, struct err *err);

#endif
