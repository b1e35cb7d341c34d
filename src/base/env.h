#ifndef BASE_ENV_H
#define BASE_ENV_H

/*
 * Variables of the environment. A secret that is set but empty is nobody's wish: a script that lost
 * its value, or a host that fills in an empty field. It is refused, for without it another wallet
 * would be chosen than was meant; and so is, for every variable, a place that a host did not fill,
 * ${...}. Other variables that are empty are as if they were not set, as is usual.
 */

#include "base/base.h"
#include "base/err.h"

/* *out is borrowed for good; NULL: it is not set, or empty. False names the variable and what to
 * do. */
MUST_USE bool env_text(const char *name, const char **out, struct err *err);
/* The same of one that must not be empty. */
MUST_USE bool env_filled(const char *name, const char **out, struct err *err);

/* Whether a value that stands at name may be used at all. */
MUST_USE bool env_check(const char *name, const char *value, struct err *err);

#endif
