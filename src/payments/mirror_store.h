#ifndef PAYMENTS_MIRROR_STORE_H
#define PAYMENTS_MIRROR_STORE_H

/*
 * How far the till's meter has been told of the ledger. What moves on does so by comparing: a
 * change that another process made first is left as it is, so that the turn (one process of a store
 * at a time) only saves work, and nothing is told twice or left out without it.
 */

#include "payments/gateway.h"
#include "wallet/wallet.h"

/* Credit that is to be told. */
struct mirror_grant {
	int64_t seq;
	struct id payment; /* ID_NONE: not paid for through this gateway */
	struct microusd amount;
	/* Of one that was put off. */
	int64_t failures;
	char *trouble; /* owned by the work; NULL: none */
};

/* What an org's next entries come to: pure, filled by mirror_plan_add, freed by
 * mirror_plan_finish. Starts with seq and remainder as they stand in the store. */
struct mirror_plan {
	int64_t seq;
	struct microusd remainder;
	/* Afterwards. */
	int64_t next_seq;
	struct microusd sum; /* remainder and usage */
	struct id call;      /* the last with usage */
	struct walltime at;
	struct mirror_grant *grants;
	size_t grants_count, grants_size;
};
struct mirror_entry {
	int64_t seq;
	enum entry_kind kind;
	enum account to;
	struct microusd amount;
	struct id ref, payment;
	struct walltime at;
};
/* False: the sum is full, and the entry is of the next plan. */
bool mirror_plan_add(struct mirror_plan *plan, const struct mirror_entry *entry);
/* Whole units of $0.001 of the sum, and what is carried. */
int64_t mirror_plan_units(const struct mirror_plan *plan, struct microusd *out_remainder);
void mirror_plan_finish(struct mirror_plan *plan);

/* Orgs as they stood when the mirror was switched on. */
struct mirror_start {
	struct id org;
	int64_t seq;
	struct microusd balance;
};
struct mirror_start_list {
	struct mirror_start *items;
	size_t count, size;
};
/* Reads them as of a time, unless the mirror was started before. */
MUST_USE enum db_status mirror_start_read(struct db *db, const char *gateway, struct walltime since,
					  bool *out_is_started, struct mirror_start_list *out);
void mirror_start_list_finish(struct mirror_start_list *list);
/* Starts the mirror there, unless another process was faster. */
struct rider *mirror_start_create(const char *gateway, struct walltime since,
				  TAKES struct mirror_start_list *list);

/* A turn or a pause that lasts; not what a clock that was set back makes of one that is over. */
bool mirror_is_ahead(struct walltime t, struct walltime now, int64_t ms_max);
/* In a transaction: makes the turn last. False: it is another's. */
bool mirror_turn_extend(struct db *db, const char *gateway, struct id holder, struct walltime now);

/* Takes the turn, when it is free and time. */
struct mirror_claim {
	struct rider rider;
	/* In. */
	const char *gateway;
	struct id holder;
	struct walltime now;
	/* Out. */
	bool is_ours;
	struct walltime again; /* when to try again, if it is not ours */
};
struct mirror_claim *mirror_claim_create(const char *gateway, struct id holder,
					 struct walltime now);
/* Makes the turn last, if it still is this holder's. */
struct mirror_renewal {
	struct rider rider;
	/* In. */
	const char *gateway;
	struct id holder;
	struct walltime now;
	/* Out. */
	bool is_ours;
};
struct mirror_renewal *mirror_renewal_create(const char *gateway, struct id holder,
					     struct walltime now);
/* Ends the turn; nobody takes the next before the time. trouble NULL: there was none. */
struct rider *mirror_release_create(const char *gateway, struct id holder, struct walltime now,
				    struct walltime next, const char *trouble);

/* Orgs of which something is to be told, in order, after the given one. */
struct mirror_page {
	struct id *orgs;
	size_t count, size;
	struct id last; /* looked at */
	bool is_last;
	struct walltime due; /* the first of what is not to be told yet; 0: nothing is */
};
MUST_USE enum db_status mirror_page_read(struct db *db, const char *gateway, struct id after,
					 struct walltime now, struct mirror_page *out);
void mirror_page_finish(struct mirror_page *page);

/* What comes next for an org: a grant, else an event on its way, else a plan. */
struct mirror_work {
	bool has_row;
	bool has_grant;
	struct mirror_grant grant;
	bool has_event, is_put_off;
	struct id call;
	int64_t units, units_told;
	int64_t entries; /* of the event */
	struct walltime at, made, started;
	struct walltime checked; /* that what it is told to is there; 0: never */
	int64_t failures;        /* of the event */
	char *trouble;           /* owned; NULL: none */
	struct mirror_plan plan;
};
MUST_USE enum db_status mirror_work_read(struct db *db, const char *gateway, struct id org,
					 struct walltime now, struct mirror_work *out);
void mirror_work_finish(struct mirror_work *work);

enum mirror_change_kind {
	MIRROR_PLANNED,       /* the plan is kept: its event, its grants */
	MIRROR_USAGE_TOLD,    /* the event has arrived */
	MIRROR_USAGE_PUT_OFF, /* until not_before */
	MIRROR_GRANT_TOLD,
	MIRROR_GRANT_PUT_OFF,
};
struct mirror_change {
	struct rider rider;
	/* In. */
	enum mirror_change_kind kind;
	const char *gateway;
	struct id org, holder;
	struct walltime now, not_before;
	struct mirror_work work; /* owned */
	char *ref;               /* of the grant, owned; NULL: none */
	char *reason;            /* why it was put off, owned */
	bool is_checked;         /* the till said that what usage is told to is there */
	/* Out. */
	bool is_ours; /* the turn still is, and lasts */
};
/* Takes the work over. */
struct mirror_change *mirror_change_create(enum mirror_change_kind kind, const char *gateway,
					   struct id org, TAKES struct mirror_work *work);

#endif
