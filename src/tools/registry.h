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

struct tools_config {
	struct loop *loop;
	struct wallet *wallet;
	struct meter *meter;
	struct payments *payments;
	const char *default_org; /* borrowed for as long as the tools live */
	bool needs_key;          /* a caller without a key is nobody */
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

void priced_tool_destroy(struct priced_tool *priced); /* NULL is allowed */

#endif
