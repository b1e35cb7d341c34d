#ifndef PAYMENTS_ROOM_H
#define PAYMENTS_ROOM_H

/*
 * What the files of this room share.
 *
 * A job is one payment that this process is driving, with the requests that wait for it:
 *
 *	INSERT --made--> TILL --answer--> SETTLE --committed--> over
 *	     \ too many may be declined: BRAKED, and then again
 *	     \ an earlier payment answers: its job, its receipt, or the till again
 *	CLAIM (of a reload), READ (of a payment to be paid in the sandbox) begin elsewhere.
 *
 * What a job has not brought to its end, because the till or the store does not answer, stays
 * unfinished in the store and a look takes it up again.
 */

#include "payments/gateway.h"
#include "payments/payment_store.h"
#include "payments/poller_store.h"

struct back;
struct found;
struct mirror;
struct note;
struct waiter;

enum job_phase {
	JOB_INSERT,
	JOB_BRAKED,
	JOB_CLAIM,
	JOB_READ,
	JOB_TILL,
	JOB_SETTLE,
};

struct job {
	struct payments *p; /* NULL: the room is gone, and the command's callback frees the job */
	enum job_phase phase;
	struct payment_view payment;
	struct pay_request *waiting;
	struct wallet_view after;
	bool has_after;
	struct look *look;   /* asked by it; NULL: by somebody else */
	struct look *joined; /* a refresh that would have asked the same */
	bool is_portal;      /* has no payment */
	bool is_pay;         /* by the user, in the sandbox */
	bool is_notice;      /* the till said that there is news */
	bool is_refused;     /* the till cannot be asked like this */
	bool is_forbidden;   /* the operator's key may not */
	bool was_changed;
	bool is_operator;
	bool supersedes;  /* an earlier invoice, which is ended afterwards */
	int64_t declines; /* of the reloads before this one */
	/* INSERT, BRAKED. */
	char *idempotency_key; /* owned; NULL: none */
	struct microusd minimum;
	struct id page_of; /* likewise */
	struct boottime insert_by;
	struct loop_timer timer; /* BRAKED */
	struct gateway_call call;
	struct wallet_query query; /* READ */
	bool is_found;             /* READ */
	char *notice_ref;          /* READ, owned; NULL: none */
	/* The rider of the command in flight, whose it is. */
	struct payment_insert *insert;
	struct payment_change *change;
	struct reload_claim *claim;
	struct job *next, **link;
};

/* An org whose reload may be tried again at a time. */
struct cooling {
	struct id org;
	struct walltime at;
};

struct watch {
	struct wallet_query query;
	struct id *orgs; /* to be looked at */
	size_t orgs_count, orgs_size;
	struct id *due; /* found by the query's steps */
	size_t due_count, due_size;
	struct cooling *cooling;
	size_t cooling_count, cooling_size;
	struct loop_timer timer; /* the end of the next cool-down */
};

struct look {
	struct payments *p; /* NULL: the room is gone, and the claim's callback frees it */
	bool is_refresh;    /* of one org, for who waits */
	bool is_first;      /* refresh: the first one, which asks about all */
	bool wants_news;    /* also of what went back */
	struct id org;      /* ID_NONE: all */
	struct pay_request *waiting;
	bool is_running, is_forced;
	bool is_wanted_again;    /* once this one is over */
	bool claims, is_claimed; /* the poller's turn */
	struct wallet_query query;
	struct payment_unfinished_list page;
	struct id cursor;
	bool is_last_page, has_charges;
	struct walltime began, oldest, seen;
	struct poller_pass pass;
	bool is_cut; /* the pass goes on in the next look */
	size_t jobs; /* of this page, not over */
	size_t left; /* still unfinished after they were asked about */
	struct back *back;
	int64_t wait_ms;
	struct loop_timer timer;
	struct look *next, **link;
};

/* How often one org's payments were looked at. */
struct often {
	struct id org;
	struct boottime last;
	int64_t count; /* less one for each spacing since */
};

struct payments {
	struct loop *loop;
	struct wallet *wallet;
	struct payments_config config;
	struct gateway *gateway; /* NULL: payments are off */
	struct job *jobs;
	struct pay_request *ready; /* done is due */
	struct loop_timer ready_timer;
	struct loop_timer answer_timer; /* the next request that waits no longer */
	struct watch watch;
	struct look *look;
	struct look *refreshes;
	struct mirror *mirror;           /* NULL: off */
	struct id poller;                /* this process among those of the store */
	struct often refreshed, refused; /* by who asks for it */
	bool was_refreshed;
	struct note *notes; /* notices under way */
	struct waiter *waiters;
};

struct walltime payments_now(const struct payments *p);
struct purchase_till payments_till(const struct payments *p);

/* requests: payments.c. */
void request_begin(struct payments *p, struct pay_request *request);
/* An answer without a job; it comes in a later turn as all do. */
void request_answer(struct pay_request *request, enum pay_outcome outcome);
void request_push(struct pay_request **list, struct pay_request *request);
/* Takes it out of its list, fills in what the job came to, and has it delivered. */
void request_ready(struct pay_request *request, const struct job *job, enum pay_outcome outcome);
void payments_deliver(struct payments *p);

/* job.c. */
struct job *job_create(struct payments *p, enum job_phase phase);
/* Frees it, or leaves that to the callback of its command. */
void job_drop(struct job *job);
/* The two halves of that, for one that is in no command. */
void job_unlink(struct job *job);
void job_free(struct job *job);
void job_log(const struct job *job, const char *what);
/* Of its org, with its id and arg. */
struct wallet_cmd *job_command(struct job *job, enum wallet_op op, wallet_cmd_fn *done);
struct job *job_find(const struct payments *p, struct id payment);
/* job_insert.c. The key is copied. */
void job_insert(struct job *job, const char *idempotency_key, struct microusd minimum,
		struct boottime deadline);
void job_claim(struct job *job);
/* Asks the till what its state calls for: charge, invoice, cancel, or what became of it. */
void job_till(struct job *job);
void job_portal(struct job *job);
/* Reads a payment that the till has news of, and asks about it; payments.c. */
/* ref (NULL: unknown) is the till's name of it, for one that the store does not know; borrowed. */
void job_look_up(struct payments *p, struct id payment, const char *ref,
		 struct pay_request *request);
void job_grant(struct job *job);
/* Over: the requests get the outcome, and the job is gone. */
void job_end(struct job *job, enum pay_outcome outcome);
/* The same with the outcome that its payment's state means. */
void job_end_by_state(struct job *job);
/* Sets the timer by which the next waiting request is answered. */
void jobs_set_answer_timer(struct payments *p);
void jobs_answer_late(void *arg);

/* reload.c. */
void watch_init(struct payments *p);
void watch_finish(struct payments *p);
void watch_later(struct payments *p, struct id org, struct walltime at);

/* look.c. */
void poll_init(struct payments *p);
void poll_finish(struct payments *p);
/* There is something unfinished to look after. */
void poll_soon(struct payments *p);
/* is_granted: there is a charge now, of which something may go back. */
void poll_job_over(struct look *look, bool is_unfinished, bool is_granted);
/* False when the org was looked at too often of late; true counts as a look. */
bool poll_may_look(struct often *often, struct id org, int64_t spacing_ms);
void poll_refresh(struct payments *p, struct pay_request *request);
void look_destroy(struct look *look);

/* back.c: what went back, since a time or of one charge, and (wants_waiting) what became of
 * reversals that were not over. done comes in a later turn, unless aborted; all that was told is
 * durable then if was_heard. */
struct back_question {
	struct walltime since;
	const char *charge_ref;
	struct walltime paid_since;
	const char *paid_ref; /* or what was paid by this name */
	bool wants_waiting;
	struct gateway_place place; /* copied */
};
typedef void back_fn(struct back *back, bool was_heard);
struct back *back_start(struct payments *p, const struct back_question *question, back_fn *done,
			void *arg);
void *back_arg(const struct back *back);
/* In done: there is more than is asked at once, and where it goes on; also after a failure. */
bool back_is_cut(const struct back *back);
const struct gateway_place *back_place(const struct back *back);
void back_abort(struct back *back);

/* found.c: what the till was paid, perhaps without the store knowing it. done comes in a later
 * turn; what is to be credited is, if was_heard. After founds_abort it does not come; that says for
 * how many. */
typedef void found_fn(void *arg, bool was_heard);
void found_start(struct payments *p, struct found **list, const struct gateway_paid *paid,
		 found_fn *done, void *arg);
size_t founds_abort(struct found **list);

/* wait.c. */
void waiters_finish(struct payments *p);
void waiters_tell(struct payments *p, struct id payment);

/* mirror.c. */
void mirror_init(struct payments *p);
void mirror_finish(struct payments *p);
/* The first use of the store. Again: tells now. */
void mirror_resume(struct payments *p);
/* There may be something to tell. */
void mirror_soon(struct payments *p);

/* notice.c. Of a payment that the store does not know. */
void note_paid(struct payments *p, const char *ref, struct pay_request *request);
void notes_finish(struct payments *p);

#endif
