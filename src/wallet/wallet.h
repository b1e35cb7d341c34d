#ifndef WALLET_WALLET_H
#define WALLET_WALLET_H

/*
 * The wallet is a state machine: a batch of commands in, a batch of outcomes out. Commands are
 * plain data with their ids fixed when they are made; those submitted in one turn of the loop are
 * applied as one durable transaction (group commit) and their callbacks run after the commit, so
 * nothing that depends on a command can leave the process before it is on disk.
 *
 * A batch that finds the store busy stays queued and is tried again; after a commit of unknown
 * outcome the ids are looked up first. A command that cannot be applied before its deadline ends
 * with WALLET_UNAVAILABLE and has not happened.
 *
 * All amounts are micro-USD. The wallet knows no JSON and no prices.
 */

#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "base/money.h"
#include "db/db.h"

struct wallet;
struct wallet_cmd;
struct watchdog;

/* Values are stored. */
enum entry_kind {
	ENTRY_STARTER = 1,
	ENTRY_GRANT = 2,
	ENTRY_PURCHASE = 3,
	ENTRY_RELOAD = 4,
	ENTRY_HOLD = 5,
	ENTRY_CAPTURE = 6,
	ENTRY_RELEASE = 7,
	ENTRY_EXPIRE = 8,
	ENTRY_REFUND = 9,
	ENTRY_DISPUTE = 10,
	ENTRY_DISPUTE_REVERSAL = 11,
	ENTRY_WRITEOFF = 12,
	ENTRY_ADJUSTMENT = 13,
};

enum account {
	ACCOUNT_AVAILABLE = 1, /* of the org */
	ACCOUNT_HELD = 2,      /* of the org */
	ACCOUNT_REVENUE = 3,   /* of the platform, as are those below */
	ACCOUNT_FUNDING = 4,
	ACCOUNT_PROMO = 5,
	ACCOUNT_WRITEOFF = 6,
};

enum wallet_op {
	WALLET_OP_HOLD,
	WALLET_OP_LOOKUP, /* the idempotency part of a hold, nothing else */
	WALLET_OP_CAPTURE,
	WALLET_OP_RELEASE,
	WALLET_OP_GRANT,     /* credits available; entry kind says why */
	WALLET_OP_TAKE,      /* debits available, also below zero: refund, dispute, adjustment */
	WALLET_OP_VOID_PLAY, /* takes out what is left of play money; amount says how much */
	WALLET_OP_ORG_CREATE,
	WALLET_OP_ORG_DEFAULT, /* see org.c; the wallet's own */
	WALLET_OP_ORG_EMAIL,   /* of the caller's org */
	WALLET_OP_ORG_RENAME,  /* the caller's org */
	WALLET_OP_KEY_CREATE,
	WALLET_OP_KEY_REVOKE,
	WALLET_OP_PREFERENCES,
	WALLET_OP_RIDERS,        /* runs its riders in the transaction, touches no wallet */
	WALLET_OP_SWEEP,         /* releases the holds of processes that are gone */
	WALLET_OP_BELIEVE_CLOCK, /* the operator's word that the wall clock is right; see clock.h */
};

enum wallet_outcome {
	WALLET_OK,
	/* No store before the deadline, or it was replaced since the hold: nothing happened. */
	WALLET_UNAVAILABLE,
	WALLET_UNAUTHENTICATED, /* the key is unknown or revoked */
	WALLET_NO_ORG,
	WALLET_INSUFFICIENT, /* wallet_spendable(&cmd->after) is what there is */
	WALLET_OVER_BUDGET,  /* the org's monthly budget */
	WALLET_GONE,         /* the hold is not open any more; the key to replace is revoked */
	WALLET_DUPLICATE,    /* this fact, name or id is there already */
	WALLET_REPLAY,       /* same idempotency key and digest: cmd->stored has the result */
	WALLET_CONFLICT,     /* same idempotency key, other digest */
	WALLET_IN_FLIGHT,    /* same idempotency key and digest, not settled yet */
	WALLET_OVERFLOW,     /* the sum does not fit the ledger */
	WALLET_OVER_KEY_DAY, /* the key's own limits; cmd->key_limit says more */
	WALLET_OVER_KEY_MONTH,
	WALLET_RATE_LIMITED, /* cmd->retry_after_ms */
	WALLET_LOOP,         /* the spend guard is closed: cmd->seen, cmd->retry_after_ms */
	WALLET_FORBIDDEN,    /* more than the caller may give, or the operator allows */
};

/* A bucket of `calls` that refills evenly within per_s: so many at once, and so many again in
 * each per_s. calls 0: no limit. */
struct rate_limit {
	int64_t calls;
	int64_t per_s;
};

/* The same call (key, tool, arguments) is refused for window_s once it was released or made so
 * often within window_s; 0 switches that off. */
struct guard_config {
	int64_t released;
	int64_t repeated;
	int64_t window_s;
};

/* What an end says to the spend guard. */
enum guard_mark {
	GUARD_NO_MARK,
	GUARD_RELEASED,
	GUARD_NO_NEWS, /* as if the call had not been made */
};

/* What a key may spend in a UTC day and month, and how fast it may call. */
struct key_limits {
	bool has_daily, has_monthly;
	struct microusd daily, monthly;
	struct rate_limit rate;
};

/* What a key may do; none includes another. Values are stored, added up. */
enum scope {
	SCOPE_CALL = 1,    /* paid tools, and reading */
	SCOPE_BILLING = 2, /* moving money, preferences, keys of its own org */
	SCOPE_ADMIN = 4,   /* other orgs */
};
#define SCOPES_ALL   (SCOPE_CALL | SCOPE_BILLING | SCOPE_ADMIN)
/* Of a caller of a local store without a key, and of keys that were made before there were scopes.
 */
#define SCOPES_LOCAL (SCOPE_CALL | SCOPE_BILLING)

/* Who calls. key is ID_NONE for a local caller without one. scopes is for the rooms that decide
 * what may be asked for; the wallet looks at it only where a key makes another. */
struct caller {
	struct id org;
	struct id key;
	unsigned scopes;
};

struct preferences {
	bool auto_reload_enabled;
	struct microusd auto_reload_threshold;
	struct microusd auto_reload_amount;
	bool has_budget;
	struct microusd budget_limit;
};

/* The wallet row as it stands after the command. */
struct wallet_view {
	struct id org;
	struct microusd available;
	struct microusd held;
	int64_t seq;   /* of the last entry */
	int64_t month; /* that captured_month counts for, year * 100 + month */
	struct microusd captured_month;
	struct preferences prefs;
	struct microusd play; /* what is left of money from the sandbox or a test key; play.h */
	bool is_live;         /* the store was used with a live key: play cannot be spent */
	/* What the operator allows in a month at most; of a command's outcome, and where
	 * wallet_ceiling_read was asked. */
	bool has_ceiling;
	struct microusd ceiling;
};

/* By the name of the org; those that are not there have that of all, if there is one. */
struct budget_ceiling {
	const char *org;
	struct microusd usd;
};
struct budget_ceilings {
	bool has_all;
	struct microusd all;
	const struct budget_ceiling *orgs;
	size_t count;
};

/* What can be spent now: available, less play money on a live store; negative in debt. */
struct microusd wallet_spendable(const struct wallet_view *view);

/*
 * A rider is plain data that rides in a command's transaction: payment state, a stored result, a
 * fingerprint. apply is a function of a *_store.c of some room; it may queue reads and writes and
 * flush. It sees the command's outcome and may run again when the batch is retried, so it changes
 * only the store and its own data. It runs in submission order, also for commands that failed
 * with another outcome than WALLET_UNAVAILABLE.
 */
struct rider {
	void (*apply)(struct rider *rider, struct db *db, const struct wallet_cmd *cmd);
	void (*destroy)(struct rider *rider); /* NULL: not owned by the command */
	struct rider *next;
};

typedef void wallet_cmd_fn(struct wallet_cmd *cmd);

/*
 * Made by wallet_cmd_create, filled in, submitted once. The wallet owns it from wallet_submit to
 * the callback; the callback's end destroys it with its riders.
 */
struct wallet_cmd {
	enum wallet_op op;
	struct caller caller;
	struct id id; /* call, payment, key or org; see the op */
	struct microusd amount;
	struct walltime now;      /* out: of its batch; its entries carry it */
	struct boottime deadline; /* 0: CALL_DEADLINE_MS after it is submitted */

	/* HOLD, LOOKUP, CAPTURE, RELEASE. The tool's name is borrowed for ever (registry). */
	const char *tool;
	int64_t price_version;
	struct id lease;        /* CAPTURE, RELEASE: as the hold's outcome gave it */
	struct id subject;      /* likewise: who is counted, a chain of keys or an org */
	bool is_limited;        /* likewise: subject has limits */
	bool is_real;           /* likewise: no play money is in it */
	struct microusd held;   /* CAPTURE, RELEASE: what the hold took */
	bool may_be_absent;     /* RELEASE of a hold whose commit was never confirmed */
	char *idempotency_key;  /* owned, NULL for none; HOLD, LOOKUP, CAPTURE, RELEASE */
	struct digest digest;   /* over tool and arguments; with a key, and where guarded */
	bool is_guarded;        /* HOLD: the spend guard counts it */
	enum guard_mark guard;  /* RELEASE of such a call */
	struct rate_limit rate; /* HOLD: of the tool, for each key */
	/* CAPTURE: amount may be more than held. What available, the cap, the key's limits and
	 * the budget do not allow is written off. */
	bool may_exceed;
	bool has_cap;
	struct microusd cap;
	int64_t idempotency_day; /* set by HOLD; CAPTURE and RELEASE pass it on */
	char *result; /* CAPTURE with a key: the provider's part, owned; NULL: not kept */
	size_t result_len;

	/* GRANT, TAKE: the business fact that this can happen for only once; owned, NULL = none. */
	enum entry_kind kind;
	char *fact;
	char *note;   /* owned; GRANT, TAKE */
	bool is_play; /* GRANT, TAKE: of the sandbox, or of a test key */

	/* ORG_CREATE: name, email and starter grant in amount; ORG_RENAME: name; ORG_EMAIL: email;
	 * KEY_*: label, hash, prefix. */
	char *name;
	char *email;
	char *label;
	char *prefix;
	struct digest hash;
	/* KEY_CREATE: revoked in the same batch, its limits and what it used pass on, and its
	 * scopes unless there are others here; ID_NONE = none. Else the new key has these limits,
	 * and these scopes, of which there is one at least. */
	struct id replaces;
	struct key_limits limits;
	unsigned scopes;

	/* PREFERENCES: the members that change. */
	struct preferences prefs;
	bool sets_enabled, sets_threshold, sets_amount, sets_budget;
	/* Nobody raises the budget above the ceiling (FORBIDDEN) but the operator, for whom it
	 * stands there until the ceiling is raised. */
	bool is_operator;

	/* Decides in the transaction, right before the command is applied, what it is: op, caller's
	 * org, id, kind, amount and fact. NULL: it is as it was made. May run again, as riders. */
	void (*decide)(struct wallet_cmd *cmd, struct db *db);

	struct rider *riders;
	wallet_cmd_fn *done; /* NULL is allowed */
	void *arg;

	/* Results, valid in the callback. */
	enum wallet_outcome outcome;
	struct wallet_view after;
	struct digest receipt;         /* hash of this command's main entry */
	struct id stored_call;         /* REPLAY */
	struct microusd stored_charge; /* REPLAY: from the entry */
	struct digest stored_receipt;
	char *stored; /* REPLAY: owned; NULL: was charged, result not kept */
	size_t stored_len;
	bool executed_before_expiry; /* CAPTURE that came too late: nothing was charged */
	struct microusd charged;     /* CAPTURE */
	struct microusd written_off; /* CAPTURE that may exceed */
	struct {
		struct microusd limit, used; /* used: captures and open holds */
		struct walltime resets;
	} key_limit;            /* OVER_KEY_* */
	int64_t retry_after_ms; /* RATE_LIMITED, LOOP */
	struct {
		int64_t made, released; /* within the window */
	} seen;                         /* LOOP */

	/* The wallet's own. */
	struct wallet_cmd *next;
};

struct wallet_config {
	const char *store; /* path or URL */
	/* The org of callers without a key, made on first use of a local store. A named one has
	 * this name from then on: the store's is changed when it has another. */
	const char *default_org;
	bool is_default_named;
	const char *default_email; /* NULL = none */
	struct microusd starter;   /* granted to a new org, once */
	struct guard_config guard; /* all 0: off */
	/* Its orgs are borrowed for as long as the wallet lives. */
	struct budget_ceilings ceilings;
	const struct clocks *clocks; /* copied; NULL: this machine's */
	struct watchdog *watchdog;   /* NULL: none; borrowed */
	bool is_live;                /* payments are real: marks the store for ever */
};

struct wallet *wallet_create(const struct wallet_config *config);
/* Closes the store. Commands still queued end with WALLET_UNAVAILABLE. NULL is allowed. */
void wallet_destroy(struct wallet *w);

struct wallet_cmd *wallet_cmd_create(enum wallet_op op, struct caller caller);
void wallet_cmd_add_rider(struct wallet_cmd *cmd, TAKES struct rider *rider);
/* For a command that is not submitted. */
void wallet_cmd_destroy(struct wallet_cmd *cmd);
void wallet_submit(struct wallet *w, TAKES struct wallet_cmd *cmd);

/*
 * A query reads the last committed state, outside of the write batch and after it. step runs once
 * a turn until it returns true (finished); long reads keep their place in the struct that embeds
 * the query and read at most QUERY_ROWS_PER_STEP rows a step. done follows in the same turn;
 * is_failed tells that the store could not be read. The caller owns it; it must not be freed
 * before done or wallet_query_cancel.
 */
struct wallet_query {
	bool (*step)(struct wallet_query *query, struct db *db);
	void (*done)(struct wallet_query *query);
	struct boottime deadline;
	bool is_long;     /* of many steps: QUERIES_LONG_PER_ORG of an org go at once */
	struct id org;    /* of a long one */
	const char *name; /* for the watchdog; NULL: none */
	bool is_failed;
	bool is_queued;
	bool waits;
	struct wallet_query *next, *prev;
};

void wallet_query(struct wallet *w, struct wallet_query *query);
void wallet_query_cancel(struct wallet *w, struct wallet_query *query);

/*
 * The turn's end: applies what is queued as one batch, runs queries and callbacks. True when work
 * is left that can be done at once. When the store is busy, *out_retry_ms is how long to wait
 * before the next try, else -1.
 */
bool wallet_turn(struct wallet *w, int64_t *out_retry_ms);
/* On the way out: a turn waits for other processes only HURRY_WAIT_MS from now on. is_killed: so
 * does all else, and closing does only what must be done (see db_hurry). */
void wallet_hurry(struct wallet *w, bool is_killed);
bool wallet_is_idle(const struct wallet *w);
/* Renews the lease of this process while it has holds open, and looks for leases of others that ran
 * out: to be called at least every LEASE_RENEW_MS. */
void wallet_tick(struct wallet *w);
/* Why there is no default org although the store is open: the name that it is to have is another's;
 * "" when there is one. */
const char *wallet_default_trouble(const struct wallet *w);
/* True while the store is open. */
bool wallet_is_open(const struct wallet *w);
/* Another number after each opening and each time that the open store was left. */
int64_t wallet_openings(const struct wallet *w);
/* Why the store cannot be used; "" when it can. Borrowed until the next turn. */
const char *wallet_trouble(const struct wallet *w);
/* Whether that does not pass by itself: a person has to do something. */
bool wallet_is_broken(const struct wallet *w);

/* For readers: fills in the ceiling of view->org. */
MUST_USE enum db_status wallet_ceiling_read(const struct wallet *w, struct db *db,
					    struct wallet_view *view);
/* The preferences with the budget that holds: the lower one of the org's own and the ceiling. */
struct preferences wallet_bound_prefs(const struct wallet_view *view);

struct id wallet_new_id(struct wallet *w);
/* What time it is for periods and in what is stored: the wall clock, unless it is not believed
 * (clock.h). */
struct walltime wallet_now(const struct wallet *w);

/* Opens the store now and blocks at most wait_ms; for the command line. What a process that is gone
 * left behind is as it was: wallet_sweep_now. */
MUST_USE bool wallet_open_now(struct wallet *w, int64_t wait_ms, struct err *err);
/* Ends the holds of processes that are gone, in the open store; what cannot be done now is left to
 * the next. */
void wallet_sweep_now(struct wallet *w);
/* The open connection for a reader on the command line (verify, export); NULL when not open. */
struct db *wallet_db(struct wallet *w);

const char *entry_kind_name(enum entry_kind kind);
const char *account_name(enum account account);

#endif
