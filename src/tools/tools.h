#ifndef TOOLS_TOOLS_H
#define TOOLS_TOOLS_H

/*
 * The tools that an agent sees: a registry of entries, each a name, its schemas and a handler, and
 * the way a call goes through them: authorise, check the arguments, run. mcp, web and the command
 * line all call tools through here and wrap the same reply.
 */

#include "base/buf.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "tools/error.h"
#include "wallet/wallet.h"

#include <jansson.h>

struct tools;
struct tool;
struct tool_call;

/*
 * What a call came to. The texts are JSON: content an array of content blocks, structured an
 * object (empty for none: always so on an error), meta the members of the result's _meta without
 * braces, as in "farebox/usage":{...} (empty for none).
 */
/* The client is to have a page opened, and to call again. Texts are owned. */
struct tool_pay {
	char *url; /* NULL: the reply is another one */
	char *message;
	char *payment; /* its name */
	char *state;   /* for the next call to carry; NULL: nothing */
};

struct tool_reply {
	struct tool_pay pay;
	/* The request itself is refused, as invalid params; static. NULL: it is not. */
	const char *invalid_params;
	bool is_error;
	int http_status; /* 200, or the error's */
	struct buf content;
	struct buf structured;
	struct buf meta;
};

void tool_reply_init(struct tool_reply *reply);
void tool_reply_finish(struct tool_reply *reply);
/* The reply for an error object; for transports that refuse before a call starts. */
void tool_reply_error(struct tool_reply *reply, const struct tool_error *error);

/* What the user said to a page that was offered: consent is not payment. */
enum pay_answer {
	PAY_ANSWER_NONE,
	PAY_ANSWER_YES,
	PAY_ANSWER_NO,
};

/* What the caller may say about a call beside its arguments. */
struct tool_options {
	bool has_max_tokens;
	struct microusd max_tokens;  /* _meta["farebox/maxTokens"], as money */
	const char *idempotency_key; /* NULL for none; copied */
	const char *client_name;     /* NULL for unknown; copied */
	bool has_url_elicitation;
	bool carries_state;        /* the client gives back a requestState; else it does not */
	const char *request_state; /* NULL for none; copied */
	enum pay_answer answer;    /* of the user, to the page */
	size_t bytes;              /* of memory that the arguments take, for who bounds that */
	/* Asked on the operator's own command line: a caller without a key may do anything. */
	bool is_operator;
};

typedef void tool_done_fn(void *arg, struct tool_reply *reply); /* reply is borrowed */
typedef void tool_progress_fn(void *arg, const char *message);

/* Reads _meta of a request into options; borrowed texts. False names the bad member: the call is
 * INVALID_ARGUMENTS. NULL meta is allowed. */
MUST_USE bool tool_options_read(const json_t *meta, struct tool_options *out, struct err *err);

/* One of farebox's own that charges a card, or lets one be charged: not what one calls free. */
bool tool_moves_money(const struct tool *tool);

/* NULL when there is no such tool. */
const struct tool *tools_find(const struct tools *tools, struct slice name);

/*
 * Starts a call. Takes a reference of arguments (NULL = {}). key is the caller's API key, NULL for
 * none. done comes exactly once, possibly before this returns; after tool_call_cancel it comes,
 * too, with whatever the call came to, and the transport drops it. The handle is valid until done.
 */
struct tool_call *tools_call(struct tools *tools, const struct tool *tool, json_t *arguments,
			     const char *key, const struct tool_options *options,
			     struct boottime deadline, tool_progress_fn *progress,
			     tool_done_fn *done, void *arg);
void tool_call_cancel(struct tool_call *call);
/* For a cancel that comes after the call's first capture was submitted: it begins nothing new, and
 * done comes with a reply that is to be sent. False: nothing is charged yet; nothing was done. */
bool tool_call_wind_up(struct tool_call *call);
size_t tools_in_flight(const struct tools *tools);
/* The memory that their arguments take, as their callers said. */
size_t tools_bytes_in_flight(const struct tools *tools);

/* Some org has prices of its own: get_token_balance shows the caller's; listings do not. */
bool tools_has_org_prices(const struct tools *tools);

/* The registry in its stable order, as tools/list prints it: one JSON object each. */
size_t tools_count(const struct tools *tools);
const struct tool *tools_at(const struct tools *tools, size_t i);
/* Whether a caller with these scopes may call it, and is shown it in a list. */
bool tool_is_for(const struct tool *tool, unsigned scopes);
const char *tool_name(const struct tool *tool);
struct slice tool_listing(const struct tool *tool);

/*
 * Tools of upstreams come late, and may change. A list, or a tool, may be waited for: true when
 * there is nothing to wait for; else fn is called once, when that is so or after a while, unless
 * the wait is cancelled. An empty name stands for the list. Starts upstreams as needed.
 *
 * A list is a caller's: key is his, NULL for none, and the store is asked what it may do, which is
 * in scopes afterwards. While the store cannot be read that is what was known before, else what a
 * new key may do; of a key that nobody knows all, as nothing it calls is run. A tool is anybody's.
 */
struct tools_wait {
	struct tools *tools; /* NULL: nothing is waited for */
	unsigned scopes;     /* of the caller of a list */
	/* His key is being looked up. */
	bool asks;
	bool is_found;
	struct digest key_hash;
	struct wallet_query query;
	char *name;
	struct loop_timer timer;
	void (*fn)(void *arg);
	void *arg;
	uint64_t seen; /* the move at which it was last found to go on */
	struct tools_wait *next, *prev;
};
MUST_USE bool tools_await(struct tools *tools, struct slice name, const char *key,
			  struct tools_wait *wait, void (*fn)(void *arg), void *arg);
void tools_wait_cancel(struct tools_wait *wait); /* idle is allowed */
/* Of a tool that is not known: false and err when it may be one of an upstream that does not run
 * (yet), which says why; true when there is no such tool. */
MUST_USE bool tools_are_well(const struct tools *tools, struct slice name, struct err *err);

/* Whether the list may ever change, and who is told when it has. */
struct tools_watch {
	struct tools *tools;
	void (*fn)(void *arg);
	void *arg;
	struct tools_watch *next, *prev;
};
bool tools_may_change(const struct tools *tools);
void tools_watch_start(struct tools *tools, struct tools_watch *watch, void (*fn)(void *arg),
		       void *arg);
void tools_watch_stop(struct tools_watch *watch);

#endif
