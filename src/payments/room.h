#ifndef PAYMENTS_ROOM_H
#define PAYMENTS_ROOM_H

/*
 * What the files of this room share.
 *
 * A job is one payment that this process is driving, with the requests that wait for it:
 *
 *	INSERT --made--> TILL --answer--> SETTLE --committed--> over
 *	     \ an earlier payment answers: its job, its receipt, or the till again
 *	CLAIM (of a reload), READ (of a payment to be paid in the sandbox) begin elsewhere.
 *
 * What a job has not brought to its end, because the till or the store does not answer, stays
 * unfinished in the store and a look takes it up again.
 */

#include "payments/gateway.h"
#include "payments/payment_store.h"

enum job_phase {
	JOB_INSERT,
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
	bool is_look;    /* nobody asked for it */
	bool is_portal;  /* has no payment */
	bool is_pay;     /* by the user, in the sandbox */
	bool is_refused; /* the till cannot be asked like this */
	bool was_changed;
	int64_t declines; /* of the reloads before this one */
	struct gateway_call call;
	struct wallet_query query; /* READ */
	bool is_found;             /* READ */
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
	struct wallet_query query;
	struct payment_unfinished_list page;
	struct id cursor;
	bool is_last_page;
	size_t jobs; /* of this page, not over */
	size_t left; /* still unfinished after they were asked about */
	int64_t wait_ms;
	struct loop_timer timer;
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
	struct look look;
};

struct walltime payments_now(const struct payments *p);

/* requests: payments.c. */
void request_push(struct pay_request **list, struct pay_request *request);
/* Takes it out of its list, fills in what the job came to, and has it delivered. */
void request_ready(struct pay_request *request, const struct job *job, enum pay_outcome outcome);
void payments_deliver(struct payments *p);

/* job.c. */
struct job *job_create(struct payments *p, enum job_phase phase);
/* Frees it, or leaves that to the callback of its command. */
void job_drop(struct job *job);
struct job *job_find(const struct payments *p, struct id payment);
void job_insert(struct job *job, const char *idempotency_key, struct boottime deadline);
void job_claim(struct job *job);
/* Asks the till what its state calls for: charge, invoice, cancel, or what became of it. */
void job_till(struct job *job);
void job_portal(struct job *job);
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
void poll_job_over(struct payments *p, bool is_unfinished);

#endif
