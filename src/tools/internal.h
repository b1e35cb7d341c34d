#ifndef TOOLS_INTERNAL_H
#define TOOLS_INTERNAL_H

/*
 * What the families of tools share: the entry, a call while it runs, and the ways to end it.
 */

#include "base/embedded.h"
#include "base/limits.h"
#include "meter/meter.h"
#include "payments/payments.h"
#include "signals/signals.h"
#include "tools/registry.h"
#include "tools/tools.h"
#include "json/emit.h"
#include "json/schema.h"

/* A tool of farebox's own. Start runs once the caller is known and the arguments are checked; it
 * ends the call with one of the tool_call_ functions below, now or later. */
struct tool_entry {
	const char *name;
	/* Who may see and call it; 0: anybody. */
	enum scope scope;
	/* Answers without an org when the caller gave no key. */
	bool needs_no_org;
	/* What such a call needs beside; the arguments are not checked yet. 0: nothing. NULL:
	 * never. */
	enum scope (*needs_also)(const struct tool_call *call);
	void (*start)(struct tool_call *call);
	/* NULL: the call runs to its end, only its reply is dropped. */
	void (*cancel)(struct tool_call *call);
	/* Something is charged already, or will be. NULL: never. */
	bool (*is_charged)(const struct tool_call *call);
};

/* One family a file; each table is ended by an entry without a name. */
extern const struct tool_entry TOOLS_BALANCE[];
extern const struct tool_entry TOOLS_BILLING[];
extern const struct tool_entry TOOLS_PREFERENCES[];
extern const struct tool_entry TOOLS_USAGE[];
extern const struct tool_entry TOOLS_KEYS[];
extern const struct tool_entry TOOLS_QUOTE[];
extern const struct tool_entry TOOLS_SIGNALS[];
extern const struct tool_entry TOOLS_LINKEDIN[];
extern const struct tool_entry TOOLS_MODELS[];
/* Runs a tool with a price. */
extern const struct tool_entry TOOL_PAID;

struct tool {
	char *name;
	size_t name_len;
	const struct tool_entry *entry;
	struct priced_tool *priced;       /* owned; NULL when it is free */
	const struct detector *detector;  /* NULL when it is none */
	struct schema *input;             /* NULL until the first call of a tool of our own */
	const struct embedded_file *file; /* its description; NULL for a configured tool */
	char *listing;
	size_t listing_len;
	/* Its place in the list, and whether it is there: one that its upstream took back stays in
	 * memory, as calls may still hold it. */
	size_t group, rank;
	bool is_retired, is_marked;
};

/* A page that was offered to a client which carries nothing from one call to the next. */
struct pay_offer {
	struct id payment;
	struct digest digest; /* of the call */
};

struct tools {
	struct tools_config config;
	struct pay_offer offers[PAY_OFFERS_MAX];
	size_t offers_next;
	struct tool **items;
	size_t count, size;
	struct tool **retired;
	size_t retired_count;
	struct tools_source source;
	struct tools_wait *waits;
	uint64_t moves; /* of the source */
	struct tools_watch *watches;
	struct tool_call *calls;
	size_t calls_count, calls_bytes;
	/* The caller that was resolved last; a hold checks its key again in its own batch. */
	bool has_cached;
	bool cached_is_keyed;
	int64_t cached_opening; /* of the store: another may lie there since */
	struct digest cached_hash;
	struct caller cached;
	/* The key that was looked up last for a listing. */
	bool has_listed;
	struct digest listed_hash;
	unsigned listed_scopes;
};

struct tool_call {
	struct tools *tools;
	const struct tool *tool;
	json_t *arguments;                                   /* owned reference */
	char *idempotency_key, *client_name, *request_state; /* owned */
	struct tool_options options;
	struct boottime deadline;
	tool_progress_fn *progress;
	tool_done_fn *done;
	void *arg;
	bool is_cancelled;

	bool is_keyed;
	struct digest key_hash;
	bool has_caller;
	struct caller caller;
	char *org_name;            /* owned; only where an org has prices of its own */
	struct wallet_query query; /* for the call's reads, one after the other */

	/* The family's own. finish, when set, frees it. */
	void *state;
	void (*finish)(struct tool_call *call);
	struct tool_call *next, *prev;
};

/* Ends: each frees the call. The object is the structured result. */
void tool_call_result(struct tool_call *call, struct slice object);
void tool_call_reply(struct tool_call *call, struct tool_reply *reply); /* finishes the reply */
void tool_call_error(struct tool_call *call, TAKES struct tool_error *error);
void tool_call_fail(struct tool_call *call, enum error_code code);
/* STORE_UNAVAILABLE, or STORE_BROKEN where its trouble does not pass by itself; tool_call_fail
 * makes the same of STORE_UNAVAILABLE. */
void tool_error_store(const struct tools *tools, struct tool_error *error);
void tool_call_bad_field(struct tool_call *call, const char *field, const char *text);
void tool_call_forbid(struct tool_call *call, enum scope lacking);

/* Ends a call with the error that says so. */
void tool_call_end_cancelled(struct tool_call *call);

/* The caller may do what needs the scope. */
bool tool_call_may(const struct tool_call *call, enum scope scope);

/* content[0] is the text of an object. */
void tool_reply_structured(struct tool_reply *reply, struct slice object);

/* Starts a read; step and done get the call by tool_call_of. A store that cannot be read ends the
 * call, so done need not look. */
void tool_call_query(struct tool_call *call,
		     bool (*step)(struct wallet_query *query, struct db *db),
		     void (*done)(struct wallet_query *query));
struct tool_call *tool_call_of(struct wallet_query *query);

/* paid.c: the error of a metered call that did not succeed, and what the caller may spend. */
void meter_error(const struct tools *tools, const struct meter_call *call,
		 struct tool_error *error);
/* Fills in what a metered call of a tool needs: price, keys, digest, cap and deadline. arguments
 * and idempotency_key (NULL for none) are borrowed until it is done. */
void meter_prepare(const struct tool_call *call, const struct tool *tool, json_t *arguments,
		   const char *idempotency_key, struct meter_call *out);
/* The price of a tool for the caller of this call. */
const struct price *tool_price(const struct tool_call *call, const struct tool *tool);
/* The caller's own key for the tool's provider; NULL for none. */
const char *tool_own_key(const struct tools *tools, const struct tool *tool);

/* registry.c, for import.c: what tools/list prints of it; puts it into the list. */
void tool_describe(struct tool *tool, const struct tool_description *d, json_t *meta);
void tool_destroy(struct tool *tool);
void tools_push(struct tools *tools, struct tool *tool);

/* The schema of the arguments. Those of our own tools are compiled when they are first needed: a
 * host that only probes must not wait for them. */
const struct schema *tool_input(const struct tool *tool);

/* The detectors of the registry, in its order; NULL when i is past the last. */
const struct tool *tools_detector(const struct tools *tools, size_t i);
const struct tool *tools_detector_by_name(const struct tools *tools, struct slice name);

/* "sandbox":true where the payments are. */
void emit_sandbox(struct emit *e, const struct tools *tools);

#endif
