#ifndef TOOLS_REGISTRY_H
#define TOOLS_REGISTRY_H

/*
 * How the registry is built, by app: first the free tools, whose schemas the program carries, then
 * detectors and configured tools.
 */

#include "meter/meter.h"
#include "payments/payments.h"
#include "signals/signals.h"
#include "tools/tools.h"

struct sessions;

struct tools_config {
	struct loop *loop;
	struct wallet *wallet;
	struct meter *meter;
	struct payments *payments;
	struct sessions *sessions;
	const json_t *clients; /* the member of the configuration, borrowed; NULL for none */
	bool needs_key;        /* a caller without a key is nobody */
	/* Some org has prices of its own: callers' orgs are looked up by name. */
	bool has_org_prices;
	/* The caller's own key at a provider, by the name that its tool gives it; NULL: there is
	 * none. Borrowed for as long as the tools live. Only where the environment is the
	 * caller's; NULL: no caller has one. */
	const char *(*own_key)(void *arg, const char *name);
	void *own_key_arg;
};

/* Holds all free tools. */
struct tools *tools_create(const struct tools_config *config);
/* Before the end: what can be released is released. */
void tools_cancel_all(struct tools *tools);
/* Calls that are left are dropped: their done does not come. After the wallet and before the
 * meter. NULL is allowed. */
void tools_destroy(struct tools *tools);

/*
 * A detector, described by its schema file; takes the priced tool and its provider, whose name it
 * sets.
 */
MUST_USE bool tools_add_detector(struct tools *tools, const struct detector *detector,
				 TAKES struct priced_tool *priced, struct err *err);

/* A tool of the configuration. Members that are NULL are left out of the listing. */
struct tool_description {
	const char *name;
	const char *title;
	const char *description;
	json_t *input_schema; /* NULL: any object */
	json_t *output_schema;
	json_t *annotations;
};
MUST_USE bool tools_add_paid(struct tools *tools, const struct tool_description *description,
			     TAKES struct priced_tool *priced, struct err *err);

/*
 * The tools of one upstream, of which there are several, each a group from 1 on. They stand behind
 * all others, in the order of their groups; what was in the group and is not in the list is offered
 * no more. A tool that the arguments' schema of cannot be checked here is checked by its server.
 * The priced tools are taken; one that cannot be added is left out and logged.
 */
struct tool_import {
	struct tool_description description;
	struct priced_tool *priced;
};
void tools_import(struct tools *tools, size_t group, const struct tool_import *imports, size_t n);

/* Where they come from. */
struct tools_source {
	void *arg;
	/* Starts what is needed. True when the list is known, or will not be for now. */
	bool (*is_listed)(void *arg);
	/* Likewise; true while a tool of the name may still come. */
	bool (*may_have)(void *arg, struct slice name);
	/* False with the reason why a tool of the name is not known, where one may be. */
	bool (*is_well)(void *arg, struct slice name, struct err *err);
};
void tools_set_source(struct tools *tools, const struct tools_source *source);
/* The source may answer otherwise now: those who wait look again. */
void tools_source_moved(struct tools *tools);

void priced_tool_destroy(struct priced_tool *priced); /* NULL is allowed */

#endif
