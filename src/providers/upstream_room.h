#ifndef PROVIDERS_UPSTREAM_ROOM_H
#define PROVIDERS_UPSTREAM_ROOM_H

/*
 * What the files of an upstream share. upstream.c is its life: started, listed, ended, started
 * again. upstream_client.c is the protocol: requests and their answers by id, in both eras.
 * upstream_call.c executes tools. Below them is a link: upstream_stdio.c or upstream_http.c.
 */

#include "loop/http.h"
#include "loop/loop.h"
#include "providers/upstream.h"
#include "rpc/rpc.h"

#define MCP_MODERN "2026-07-28"
#define MCP_LEGACY "2025-11-25"

#define UPSTREAM_BUCKETS 64

enum upstream_state {
	UPSTREAM_IDLE,
	UPSTREAM_STARTING,
	UPSTREAM_READY,
	UPSTREAM_WAITING, /* for the time of the next start */
	UPSTREAM_ENDED,   /* for good */
};

enum upstream_era {
	ERA_UNKNOWN,
	ERA_MODERN,
	ERA_LEGACY,
};

struct upstream_link;
struct upstream_exec;

/* What became of a request. */
enum answer_kind {
	ANSWER_RESULT,
	ANSWER_ERROR, /* a JSON-RPC error: code, message and data are the upstream's */
	ANSWER_LOST,  /* none will come: outcome, status and message say why */
};

struct upstream_answer {
	enum answer_kind kind;
	json_t *result; /* borrowed */
	int64_t code;
	const json_t *data;
	const char *message;
	enum provider_outcome outcome;
	int status;
	int64_t retry_after_s; /* -1 for none */
	bool may_have_run;     /* LOST when the server had it */
	bool is_unsent;        /* LOST before it was executed: the session was gone */
};

typedef void upstream_answer_fn(void *arg, const struct upstream_answer *answer);
typedef void upstream_progress_fn(void *arg, const json_t *params);

/* A request under way. It is freed after its answer, or by upstream_forget. */
struct upstream_request {
	struct upstream *up;
	int64_t id;
	upstream_answer_fn *answer;
	upstream_progress_fn *progress; /* NULL: no token was sent */
	void *arg;
	void *link_state; /* the link's own */
	struct upstream_request *next;
};

/* What is asked. The members are those of params, without braces and _meta; may be empty. */
struct upstream_question {
	const char *method;
	const char *name; /* of the tool that is called; NULL for other methods */
	struct slice members;
	const json_t *param_headers; /* TOOL_HEADERS of the tool; NULL for none */
	const json_t *arguments;
	int64_t timeout_ms;
	bool is_legacy; /* without the modern _meta */
	upstream_answer_fn *answer;
	upstream_progress_fn *progress;
	void *arg;
};

/* A line on its way out. */
struct upstream_line {
	struct upstream_request *request; /* NULL: a notification, or an answer of ours */
	const struct upstream_question *question;
	struct slice text; /* with its newline */
};

/* A way to a server. */
struct upstream_link_kind {
	/* Ready to send afterwards. False: it cannot be reached. */
	bool (*start)(struct upstream *up, struct err *err);
	/* NULL, or called when the handshake of an older revision is done. */
	void (*shaken)(struct upstream *up);
	/* False: it cannot be sent. */
	bool (*send)(struct upstream *up, const struct upstream_line *line);
	/* The request is over; frees its link_state. */
	void (*release)(struct upstream_request *r);
	/* Nothing comes from it afterwards until start. */
	void (*stop)(struct upstream *up);
	void (*destroy)(struct upstream *up);
	/* NULL, or the steps of upstreams_end: is told that we end; is killed; true from wait when
	 * nothing is left to wait for. */
	void (*close_input)(struct upstream *up);
	void (*terminate)(struct upstream *up);
	bool (*wait)(struct upstream *up, int64_t ms);
};

extern const struct upstream_link_kind UPSTREAM_STDIO;
extern const struct upstream_link_kind UPSTREAM_HTTP;

struct upstream {
	struct upstream_config config;
	char *name;
	int64_t start_ms; /* that a start may take */
	const struct upstream_link_kind *kind;
	struct upstream_link *link; /* NULL until the first start */
	uint64_t generation;        /* of the link: what came before a restart is void */

	enum upstream_state state;
	enum upstream_era era; /* kept over restarts */
	bool is_guess;         /* of the era: it ended when it was asked */
	bool is_probing;       /* discover is not answered */
	bool is_shaking;       /* initialize is sent and not answered */
	const char *version;   /* negotiated, of the older ones; a constant */
	bool tells_changes;    /* of its list */
	bool has_failed;
	struct err trouble; /* why it is not running */
	struct loop_timer start_timer;
	struct loop_timer probe_timer;
	struct loop_timer restart_timer;
	struct loop_timer list_timer;
	int64_t backoff_ms;
	struct boottime ready_at;

	int64_t last_id;
	struct upstream_request *requests[UPSTREAM_BUCKETS];
	size_t requests_count;
	struct upstream_request *listen;

	/* The list under way, page by page, and the last one that was whole. */
	json_t *pages;
	size_t pages_count;
	size_t pages_bytes;
	size_t line_bytes; /* of the message that is being taken */
	bool is_listing;
	bool is_list_stale; /* changed while it was read */
	json_t *tools;
	struct digest raw_tools; /* as it was sent */
	struct boottime listed_at;

	struct upstream_exec *queue; /* calls that wait for the start */
	struct upstream_exec **queue_end;

	/* What a sound server hardly sends. */
	size_t garbage_lines; /* since its last good answer */
	size_t noise;         /* lines that answer nothing, in this second */
	struct boottime noise_since;
	size_t logged; /* lines of it in our log, in this window */
	size_t not_logged;
	struct boottime log_since;
};

/* upstream_config.c: refuses what cannot work; values are read when they are needed. */
MUST_USE bool upstream_config_check(const json_t *config, struct err *err);
/* Replaces each ${env:NAME}. NULL and err when one is not set; for secret_free. */
char *upstream_expand(const char *text, struct err *err);

/* upstream.c, for the client and the links. */
/* The link is gone, for the reason given: calls in flight fail, a restart is planned. */
void upstream_down(struct upstream *up, const char *why);
/* The handshake is done. */
void upstream_shaken(struct upstream *up);
/* The server's session is over: a handshake anew, at once. */
void upstream_lost_session(struct upstream *up);
/* The list has changed, as the server says. */
void upstream_relist(struct upstream *up);
/* True when one more line of what it prints may go to our log. */
bool upstream_may_log(struct upstream *up);

/* upstream_client.c */
void client_shake(struct upstream *up);
/* NULL: it could not be sent. */
struct upstream_request *client_ask(struct upstream *up, const struct upstream_question *question);
/* No answer is wanted any more: the server is told. */
void client_cancel(struct upstream_request *r);
/* Ends the request. One that is lost has been sent: the server may have executed it. */
void client_answer(struct upstream_request *r, const struct upstream_answer *answer);
void client_lose(struct upstream_request *r, enum provider_outcome outcome, const char *why);
void client_lose_all(struct upstream *up, const char *why);
/* One message; the text may be changed in place. Anything may have happened to the upstream after
 * it: see generation. */
void client_take(struct upstream *up, char *line, size_t len);
void client_take_too_long(struct upstream *up);

/* upstream_call.c */
void calls_begin(struct upstream *up);
void calls_fail(struct upstream *up);

#endif
