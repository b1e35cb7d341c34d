#ifndef PROVIDERS_PROVIDER_H
#define PROVIDERS_PROVIDER_H

/*
 * How a paid tool is executed. A provider starts an execution and reports its end once, in the
 * same turn or a later one; it knows nothing of prices. Each kind is one file with a const struct
 * provider_kind.
 */

#include "base/buf.h"
#include "base/err.h"
#include "pricing/price.h"
#include "wallet/wallet.h"

#include <jansson.h>

struct execution;
struct loop;
struct http;

enum provider_outcome {
	PROVIDER_OK,
	PROVIDER_OK_FREE,     /* an answer that is not charged: no news, a first look */
	PROVIDER_TOOL_FAILED, /* an upstream's own isError; content is passed through */
	PROVIDER_INVALID,     /* the arguments cannot be sent: nothing was */
	PROVIDER_REJECTED,    /* 4xx other than 408, 425, 429: our arguments were refused */
	PROVIDER_FAILED,      /* 5xx, 408, 425, 429, transport, garbage */
	PROVIDER_TIMEOUT,
};

/* The answer. Texts are owned by the result; result_finish frees them. */
struct provider_result {
	enum provider_outcome outcome;
	struct buf structured; /* a JSON object; empty when there is none */
	struct buf content;    /* a JSON array of content blocks; empty: built from structured */
	bool is_wrapped;       /* the answer is no object: structured is {"result": ANSWER} */
	int status;            /* HTTP status of the provider, 0 for none */
	int64_t retry_after_s; /* -1 for none */
	bool may_have_run;     /* failed, and the provider may have done what was asked */
	bool is_key_refused;   /* PROVIDER_REJECTED, of the key or its account: 401, 402, 403 */
	/* Of a model, also when it failed in mid-stream. */
	struct llm_usage usage;
	int64_t output_bytes; /* of a model's words, whole or not; -1: not a model's */
	bool has_begun;       /* failed after the first byte of the answer's content */
	struct err err;       /* for the outcomes that failed */
	char field[128];      /* PROVIDER_INVALID: dotted name of the argument, "" for none */
	struct rider *riders; /* run in the settlement's transaction, charged or not; owned */
};

void provider_result_init(struct provider_result *r);
void provider_result_finish(struct provider_result *r);

/* One execution. The meter embeds it; a provider keeps its own state behind `state`. */
struct execution {
	/* In, borrowed until done or cancel. */
	const char *tool;
	struct caller caller;
	struct id call;
	json_t *arguments;
	int64_t timeout_ms; /* from start */
	/* The caller's own key for this provider (BYOK); NULL: the operator's is used. */
	const char *own_key;
	/* Of a tool with a price by model: the output tokens that the hold covers, which the
	 * provider asks for where the arguments have no max_tokens. 0: no such price. */
	int64_t max_output;
	/* Kept up to date by the provider while it runs, for an execution that is cancelled or
	 * whose time is over: the request has been sent, the first byte of content has come, and
	 * what is known of usage. */
	bool may_have_run;
	bool has_begun;
	struct llm_usage usage;
	int64_t output_bytes;
	/* A provider may report progress; NULL when nobody listens. */
	void (*progress)(struct execution *x, const char *message);
	/* Called once; takes over result by moving it. Not after cancel. */
	void (*done)(struct execution *x, struct provider_result *result);
	void *state;
};

struct provider {
	const struct provider_kind *kind;
};

struct provider_kind {
	const char *name;
	bool may_break_off;   /* an answer may end in its middle, and costs what came */
	bool has_tool_errors; /* PROVIDER_TOOL_FAILED is one of its outcomes */
	void (*start)(struct provider *p, struct execution *x);
	/* Stops; done is not called afterwards and state is released. */
	void (*cancel)(struct provider *p, struct execution *x);
	void (*destroy)(struct provider *p);
};

void provider_start(struct provider *p, struct execution *x);
void provider_cancel(struct provider *p, struct execution *x);
void provider_destroy(struct provider *p); /* NULL is allowed */

/* Strikes a secret that only this execution knows, such as a session. */
void provider_result_strike(struct provider_result *r, const char *secret);

/* For the ends of a provider: strikes the secrets of the process from the result (base/vault.h),
 * and calls done. */
void execution_done(struct execution *x, struct provider_result *result);
void execution_fail(struct execution *x, enum provider_outcome outcome, int status,
		    const char *text);
/* PROVIDER_INVALID. */
void execution_refuse(struct execution *x, const char *field, const char *text);
/* The time that the provider may use: it ends before the meter's own timer does. */
int64_t execution_time_ms(const struct execution *x);

#endif
