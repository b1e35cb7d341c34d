#ifndef MCP_INFLIGHT_H
#define MCP_INFLIGHT_H

/*
 * The requests that are not answered yet, found by their id. An entry belongs to the table while a
 * reply is owed; cancelled ones leave it, so that their id is free, and live on their own until
 * their call ends.
 */

#include "base/buf.h"
#include "rpc/rpc.h"
#include "tools/tools.h"

struct mcp_session;
struct mcp_batch;
struct request;

struct inflight {
	struct mcp_session *session; /* NULL once nobody waits for the reply */
	struct inflight *next;       /* in its bucket */
	uint64_t hash;
	char *id;                /* owned: the raw token */
	struct mcp_batch *batch; /* NULL: the reply is a line of its own */
	bool is_modern;
	bool is_listen;   /* a subscription; otherwise a call, or a request that waits */
	bool wants_tools; /* of a subscription: changes of the list */
	bool is_starting; /* tools_call has not returned */
	bool is_done;
	char *progress_token; /* owned, raw; NULL for none */
	int64_t progress;
	struct tool_call *call;
	/* A request that waits for upstreams, and how it goes on; handle is NULL for others. Its
	 * message is kept whole, but for the id above: whoever goes on with it may look at all of
	 * it, as at one that has just come. */
	struct tools_wait wait;
	void (*handle)(struct mcp_session *s, struct request *r);
	struct rpc_message message;
	size_t waiting_bytes; /* of memory, while it waits */
	struct boottime received;
	size_t key_len;
	char key[];
};

struct inflight_table {
	struct inflight **buckets;
	size_t n_buckets; /* a power of two, or 0 */
	size_t count;
};

/* Frees the table, which is empty. */
void inflight_table_finish(struct inflight_table *table);

struct inflight *inflight_find(const struct inflight_table *table, struct slice key);
/* Makes an entry and puts it in; no other has the key. */
struct inflight *inflight_add(struct inflight_table *table, struct slice key, TAKES char *id);
void inflight_remove(struct inflight_table *table, struct inflight *entry);
/* Any entry that is a subscription or is none; NULL when there are none left. */
struct inflight *inflight_any(const struct inflight_table *table, bool is_listen);

/* Calls fn, which must not change the table, with each subscription. */
void inflight_each_listen(const struct inflight_table *table, void (*fn)(struct inflight *entry));

void inflight_free(struct inflight *entry);

#endif
