#ifndef METER_METER_H
#define METER_METER_H

/*
 * One paid call from start to end: look up its idempotency key, price it, hold the bound, execute,
 * settle, report. The only place where wallet, pricing and providers meet.
 *
 *	LOOKUP/HOLD --ok--> EXECUTE --done--> SETTLE --committed--> done
 *	     | refused            | cancel, timeout     \ gone: delivered unpaid, logged
 *	     v                    v
 *	    done               RELEASE
 *
 * The caller fills a meter_call, starts it, and gets done exactly once, also after a cancel.
 */

#include "loop/loop.h"
#include "pricing/book.h"
#include "providers/provider.h"
#include "wallet/wallet.h"

struct meter;

/* A tool with a price, as the registry keeps it: lives as long as the meter. */
struct priced_tool {
	const char *name;
	struct price_book book;
	struct provider *provider;
	int64_t timeout_ms;
	bool charge_on_error;
	enum unknown_usage unknown_usage;
	struct rate_limit rate; /* for each key; calls 0: none */
	char *byok_name;        /* which of the caller's own keys the provider takes, owned; NULL */
	bool has_usage_inside;  /* farebox's own: usage goes into the structured result, too */
};

enum meter_outcome {
	METER_OK,
	METER_REPLAYED,
	METER_TOOL_FAILED, /* an upstream's isError: result has its content */
	METER_UNAUTHENTICATED,
	METER_INSUFFICIENT,
	METER_OVER_BUDGET,  /* of the org */
	METER_OVER_CAP,     /* the caller's own maxTokens */
	METER_OVER_KEY_DAY, /* the key's own limits: key_limit says more */
	METER_OVER_KEY_MONTH,
	METER_UNPRICED,     /* no price for these arguments: result.err is "FIELD: text" */
	METER_RATE_LIMITED, /* retry_after_ms */
	METER_LOOP,         /* the spend guard: seen, retry_after_ms */
	METER_CONFLICT,
	METER_REPLAY_LOST, /* charged once, result not kept */
	METER_INVALID,     /* the provider could not send the arguments */
	METER_REJECTED,
	METER_FAILED,
	METER_TIMEOUT,
	METER_CANCELLED,
	METER_SPENT, /* what prepare_hold added made the hold a mere lookup, which found nothing */
	METER_STORE, /* no store; executed tells whether the provider ran */
};

struct meter_call {
	/* In. The arguments are borrowed until done. */
	const struct priced_tool *tool;
	const struct price *price; /* the one for the caller's org, of the tool's book */
	const char *own_key; /* the caller's own at this provider; NULL; borrowed until done */
	struct caller caller;
	json_t *arguments;
	struct digest digest; /* over tool and arguments; needed with a key, and by the guard */
	const char *idempotency_key; /* NULL for none; borrowed until done */
	bool has_cap;
	struct microusd cap;
	struct boottime deadline;
	void (*progress)(struct meter_call *call, const char *message); /* NULL: nobody listens */
	/* May add riders, and a decision, to the hold before it is submitted; NULL: nothing to add.
	 */
	void (*prepare_hold)(struct meter_call *call, struct wallet_cmd *hold);
	void (*done)(struct meter_call *call);
	void *arg;

	/* Out, in done; result is finished by meter_call_finish. */
	enum meter_outcome outcome;
	struct id id;
	struct provider_result result;
	struct charge charge;        /* amount 0 when released */
	struct microusd needed;      /* the bound: what the hold takes */
	struct microusd written_off; /* used, and beyond what could be charged */
	struct {
		struct microusd limit, used;
		struct walltime resets;
	} key_limit;
	int64_t retry_after_ms;
	struct {
		int64_t made, released;
	} seen;
	struct wallet_view after; /* of the last command */
	bool has_after;
	bool was_executed;
	bool was_released; /* there was a hold, and it was given back */
	bool was_unpaid;   /* delivered without a charge: the hold had expired */
	struct digest receipt;

	/* The meter's own. */
	struct meter *meter;
	int state;
	bool is_cancelled;
	bool has_bound;
	struct execution execution;
	struct loop_timer timer;
	struct id lease, subject;
	bool is_limited, is_real;
	int64_t idempotency_day;
	int64_t join_wait_ms;
	struct meter_call *next, *prev;
};

/* guard is the wallet's. */
struct meter *meter_create(struct loop *loop, struct wallet *wallet, struct guard_config guard);
/* No call may be in flight. */
void meter_destroy(struct meter *m);

void meter_call_start(struct meter *m, struct meter_call *call);
/* A cancel counts until the capture is submitted; done comes in any case. */
void meter_call_cancel(struct meter_call *call);
/* The capture is submitted. */
bool meter_call_is_settling(const struct meter_call *call);
void meter_call_finish(struct meter_call *call);
/* On the way out: holds that the store could not end in time are tried once more, now. */
void meter_release_now(struct meter *m);
/* Calls need their digest, also without an idempotency key. */
bool meter_is_guarded(const struct meter *m);
struct guard_config meter_guard(const struct meter *m);
size_t meter_in_flight(const struct meter *m);
/* Called after each settlement and each hold refused for credits, with the org: where auto-reload
 * looks. */
void meter_set_watch(struct meter *m, void (*fn)(void *arg, struct id org), void *arg);

/* The usage object of DESIGN section 4, as JSON text. */
void meter_usage(const struct meter_call *call, struct buf *out);

#endif
