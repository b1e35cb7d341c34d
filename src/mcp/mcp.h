#ifndef MCP_MCP_H
#define MCP_MCP_H

/*
 * The Model Context Protocol over any transport: a session takes messages and answers through a
 * function, in both eras. A request that carries the _meta of 2026-07-28 is served statelessly by
 * modern.c; after an initialize, and for scripts that send neither, legacy.c serves the older
 * revisions. stdio.c is the transport of agent hosts. Nothing here knows HTTP.
 */

#include "base/buf.h"
#include "loop/loop.h"
#include "tools/tools.h"

#define MCP_VERSION_MODERN "2026-07-28"
#define MCP_VERSION_LEGACY "2025-11-25"

struct mcp_session;

/* Appends lines to the transport's output. The text is complete lines. */
typedef void mcp_send_fn(void *arg, struct slice lines);

struct mcp_session_config {
	struct tools *tools;
	struct loop *loop;
	const char *api_key; /* of the caller; NULL for none; borrowed */
	mcp_send_fn *send;
	bool may_push; /* send may be called at any time, not only to answer */
	void *arg;
};

struct mcp_session *mcp_session_create(const struct mcp_session_config *config);
/* Cancels what is in flight; its replies are dropped. */
void mcp_session_destroy(struct mcp_session *s);

/* One message; the text may be changed in place. */
void mcp_session_line(struct mcp_session *s, char *line, size_t len);
/* A line was longer than we take. */
void mcp_session_line_too_long(struct mcp_session *s);
/* Requests that will still be answered; subscriptions do not count. */
size_t mcp_session_in_flight(const struct mcp_session *s);
/* The memory that the messages of requests take which wait for upstreams. */
size_t mcp_session_waiting_bytes(const struct mcp_session *s);
/* Cancels all calls in flight; they are released and not answered. */
void mcp_session_cancel_all(struct mcp_session *s);
/* Ends subscriptions with their result; no new request is taken. */
void mcp_session_close_listens(struct mcp_session *s);

#endif
