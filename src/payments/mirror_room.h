#ifndef PAYMENTS_MIRROR_ROOM_H
#define PAYMENTS_MIRROR_ROOM_H

/*
 * What the two files of the mirror share: mirror.c has the rounds, mirror_tell.c tells of one org.
 * A round has one teller an org, a few orgs at a time; only until what all of them need stands at
 * the till is there but one.
 */

#include "base/limits.h"
#include "payments/mirror_store.h"
#include "payments/room.h"

/* One org at hand. */
struct teller {
	struct mirror *m;
	bool is_busy;
	struct id org;
	int64_t events; /* told of it in this round */
	bool is_behind; /* by more than the event that was told */
	struct wallet_query query;
	struct mirror_work work;
	struct gateway_mirror item;
	struct gateway_call call;
	bool is_calling;
};

struct mirror {
	struct payments *p; /* NULL: the room is gone, and the last command's callback frees it */
	struct id holder;   /* this process among those of the store */
	struct walltime born;
	int64_t interval_ms;
	bool was_resumed, has_begun, is_running;
	size_t commands; /* in flight, of the tellers, too */
	bool is_set_up;  /* what all orgs need stands at the till */
	bool wants_more; /* something happened since the page was read */
	bool is_backing_off;
	struct loop_timer timer;
	int64_t wait_ms; /* after the next failure */
	struct wallet_query query;
	bool is_started;
	struct mirror_start_list start;
	/* The round. */
	bool is_stopping, has_failed; /* no org is begun any more, because all would fail */
	bool is_lost;                 /* the turn is another process's now */
	struct loop_timer renew_timer;
	struct mirror_page page;
	size_t next;
	struct walltime due; /* of what was put off; 0: nothing was */
	struct teller tellers[MIRROR_ORGS_AT_ONCE];
	size_t busy;
	int64_t failures; /* of orgs, one after the other */
	char *trouble;    /* of this round, owned */
	char *said;       /* what the log has, owned */
	struct walltime said_at;
};

/* mirror.c. */
const char *mirror_gateway(const struct mirror *m);
void mirror_submit(struct mirror *m, TAKES struct rider *rider, wallet_cmd_fn *done, void *arg);
/* False when the room is gone, and the mirror with it. */
bool mirror_is_committed(struct mirror *m);
/* Ends the round once its tellers are over; it is tried again later. */
void mirror_fail(struct mirror *m, const char *reason);
/* It took too long, and another process goes on. */
void mirror_lose(struct mirror *m);
/* It was put off until then. */
void mirror_due_at(struct mirror *m, struct walltime at);
void mirror_teller_over(struct teller *t);

/* mirror_tell.c. */
void teller_start(struct teller *t, struct id org);
/* Nothing of it is under way afterwards but a command. */
void teller_stop(struct teller *t);
void teller_finish(struct teller *t);

#endif
