#ifndef PROVIDERS_UPSTREAM_H
#define PROVIDERS_UPSTREAM_H

/*
 * An operator's MCP server whose tools are offered for a price: a child process over stdio, or a
 * Streamable HTTP URL. We are its client, in revision 2026-07-28 where it speaks that, else with
 * the handshake of the older ones.
 *
 * Nothing runs until it is wanted. From then on it is kept running: when it ends, or cannot be
 * started, it is started again after a while that doubles. Calls in flight fail then, and are
 * released; calls that come while it starts wait for it.
 *
 *	IDLE --want--> STARTING --list--> READY
 *	                  |  ^               |
 *	                  v  | time          | ended, broken
 *	                WAITING <------------+
 *
 * Over HTTP in the older revisions a session is kept: a GET stream is open in it where the server
 *has one, an answer that breaks off is read on where events have ids, and the server is told of the
 *end.
 *
 * What is not passed through: _meta of its tools and results, requests of its own (sampling,
 * elicitation, roots: they are refused), log messages, resources and prompts.
 */

#include "base/digest.h"
#include "providers/provider.h"
#include "json/faults.h"

struct upstream;

/* The tools that it lists: an array of tool objects, each with a name and an object for its
 * inputSchema at least. Comes when a list was read, whether it changed or not. Borrowed. */
typedef void upstream_tools_fn(void *arg, json_t *tools);
/* A start has succeeded or failed. */
typedef void upstream_moved_fn(void *arg);

struct upstream_config {
	const char *name;   /* copied */
	json_t *config;     /* the member of "upstreams"; a reference is taken */
	bool allow_private; /* a url may lead to private addresses */
	struct loop *loop;
	struct http *http;
	upstream_tools_fn *on_tools;
	upstream_moved_fn *on_moved;
	void *arg;
};

/* Adds all faults of a configuration, with pointers from it, also those for which its start would
 * fail: secrets that are not set, a program that is not there. Starts nothing. */
void upstream_check(const json_t *config, bool allow_private, struct faults *faults);

/* Touches nothing yet. NULL and err with the member's name when the configuration is wrong. */
struct upstream *upstream_create(const struct upstream_config *config, struct err *err);
/* Kills what still runs. NULL is allowed. */
void upstream_destroy(struct upstream *up);

/* Starts it when it was never started; reads an old list anew. */
void upstream_want(struct upstream *up);
/* Its list has been read from the running server. */
bool upstream_is_ready(const struct upstream *up);
/* The last start did not succeed. */
bool upstream_has_failed(const struct upstream *up);
/* Why the last start did not succeed, with its name; "" when it has not failed. */
const char *upstream_trouble(const struct upstream *up);
const char *upstream_name(const struct upstream *up);
/* Over what says which server it is: a list kept under another one is not its. */
struct digest upstream_identity(const struct upstream *up);

/* Executes a tool, by the upstream's own name for it, which is copied. The upstream must outlive
 * it. */
struct provider *upstream_tool_create(struct upstream *up, const char *tool);

/* The end of this process: ends the children of all, at once and in order: stdin is closed, after
 * grace_ms SIGTERM, after UPSTREAM_TERM_MS SIGKILL. Blocks. */
void upstreams_end(struct upstream *const *ups, size_t n, int64_t grace_ms);

#endif
