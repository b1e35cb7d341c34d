#ifndef CLI_ORGS_H
#define CLI_ORGS_H

/* Commands below orgs that have a file of their own. */

#include "cli/cli.h"

/* orgs_void.c. */
extern const struct command COMMAND_ORGS_VOID;

#endif
