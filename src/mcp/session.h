#ifndef MCP_SESSION_H
#define MCP_SESSION_H

/*
 * What the files of this room share: the session, a request on its way to a handler, and the one
 * way in which replies leave.
 */

#include "mcp/inflight.h"
#include "mcp/mcp.h"
#include "rpc/rpc.h"
#include "json/emit.h"

#define META_VERSION      "io.modelcontextprotocol/protocolVersion"
#define META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define META_CLIENT_INFO  "io.modelcontextprotocol/clientInfo"
#define META_SERVER_INFO  "io.modelcontextprotocol/serverInfo"
#define META_SUBSCRIPTION "io.modelcontextprotocol/subscriptionId"

#define MCP_VERSION_WITH_BATCHES "2025-03-26"

/* An array of messages of 2025-03-26: its replies leave together, when the last is there. */
struct mcp_batch {
	struct buf items;
	size_t pending; /* calls in flight, and 1 while the array is read */
};

struct mcp_session {
	struct mcp_session_config config;
	struct inflight_table inflight;
	size_t waiting_bytes;
	size_t calls; /* of the entries in the table, the rest are subscriptions */
	/* From initialize; NULL before. */
	const char *legacy_version;
	char *client_name;
	bool has_url_elicitation;
	bool has_seen_modern;
	bool is_closing;
	bool has_listed; /* so that a change of the list is news */
	struct tools_watch watch;
	struct reader_memo memo; /* of params._meta, which hardly changes */
	struct buf key;          /* scratch */
	struct buf out;          /* a reply under construction */
};

/* A request and where its reply goes. */
struct request {
	struct rpc_message *m;   /* m->id may be taken by an entry in flight */
	struct mcp_batch *batch; /* NULL: a line of its own */
	const json_t *params;    /* NULL for none */
	const json_t *meta;      /* params._meta, an object; NULL for none */
	bool is_modern;
	unsigned scopes; /* of the caller, as a list is for him */
	struct boottime received;
	bool has_waited; /* for upstreams and for scopes, once */
};

typedef void request_fn(struct mcp_session *s, struct request *r);

struct method {
	const char *name;
	request_fn *handle;
};

/* NULL when it is not in the table. */
request_fn *method_find(const struct method *table, size_t n, const char *name);

/* modern.c, legacy.c, call.c */
bool modern_is_claimed(const json_t *meta);
void modern_request(struct mcp_session *s, struct request *r);
void modern_listen_end(struct mcp_session *s, struct inflight *entry);
void modern_tell_change(struct inflight *entry);
void legacy_request(struct mcp_session *s, struct request *r);
void call_request(struct mcp_session *s, struct request *r);

/* session.c: a new entry for the request, which gives it its id. */
struct inflight *session_track(struct mcp_session *s, struct request *r, bool is_listen);
/* A request that cannot be answered before upstreams have listed their tools, or that of the name
 * (empty: all, and what the caller may do is known): true when it waits; handle is called with it
 * anew. */
MUST_USE bool session_defer(struct mcp_session *s, struct request *r, struct slice name,
			    request_fn *handle);
/* Takes an entry out: no reply is owed any more. The entry stays the caller's. */
void session_untrack(struct inflight *entry);

/*
 * reply.c. Between reply_begin and reply_end the members of the result are written. A reply to a
 * modern request says that it is complete and, at its end, which server gave it; meta are further
 * members of its _meta.
 */
void reply_begin(struct mcp_session *s, const char *id, bool is_modern, struct emit *e);
/* To a modern request, with another resultType than "complete". */
void reply_begin_as(struct mcp_session *s, const char *id, const char *result_type, struct emit *e);
void reply_end(struct mcp_session *s, struct mcp_batch *batch, bool is_modern, struct slice meta,
	       struct emit *e);
void reply_error(struct mcp_session *s, const struct request *r, int code, const char *message);
void reply_error_data(struct mcp_session *s, const struct request *r, int code, const char *message,
		      struct slice data);
/* Sends the line in s->out, or adds it to the batch. */
void reply_send(struct mcp_session *s, struct mcp_batch *batch);
/* One pending item less; after the last the replies leave and the batch is freed. A NULL session
 * drops them. */
void batch_release(struct mcp_session *s, struct mcp_batch *batch);

/* Changes of the list of tools can happen, and can be told. */
bool session_tells_changes(const struct mcp_session *s);

/* Writes the value of serverInfo, of capabilities and of instructions. */
void emit_server_info(struct emit *e);
void emit_server_words(struct emit *e, const struct mcp_session *s);
/* Writes "tools" and, where there are more, "nextCursor". False: the cursor is none of ours, and an
 * error has been sent. */
MUST_USE bool tools_page_check(struct mcp_session *s, const struct request *r, size_t *out_first);
void emit_tools_page(struct emit *e, const struct tools *tools, size_t first, unsigned scopes);

#endif
