/*
 * A notice of the till is a hint: the payment or the charge that it names is asked about, so that a
 * forged, doubled, late or reordered one comes to nothing more than a question.
 */

#include "base/limits.h"
#include "payments/room.h"

#include <stdlib.h>

/* A notice about a charge; one about a payment is a job. */
struct note {
	struct payments *p;
	struct back *back;
	struct pay_request *waiting;
	struct note *next, **link;
};

static void note_free(struct note *note)
{
	*note->link = note->next;
	if (note->next)
		note->next->link = note->link;
	free(note);
}

static void on_back(struct back *back, bool was_heard)
{
	struct note *note = back_arg(back);
	struct payments *p = note->p;

	while (note->waiting)
		request_ready(note->waiting, NULL, was_heard ? PAY_OK : PAY_PENDING);
	note_free(note);
	payments_deliver(p);
}

static void ask(struct payments *p, const struct back_question *question,
		struct pay_request *request)
{
	struct note *note = xzalloc(sizeof(*note));

	note->p = p;
	note->next = p->notes;
	note->link = &p->notes;
	if (note->next)
		note->next->link = &note->next;
	p->notes = note;
	request_push(&note->waiting, request);
	note->back = back_start(p, question, on_back, note);
}

void note_paid(struct payments *p, const char *ref, struct pay_request *request)
{
	ask(p, &(struct back_question){.paid_ref = ref}, request);
}

void notes_finish(struct payments *p)
{
	while (p->notes) {
		struct note *note = p->notes;

		while (note->waiting)
			payments_abandon(note->waiting);
		back_abort(note->back);
		note_free(note);
	}
}

void payments_notice(struct payments *p, const json_t *event, struct pay_request *request)
{
	struct gateway_notice notice = {.payment = ID_NONE};

	request_begin(p, request);
	if (!p->gateway || !p->gateway->notice) {
		request_answer(request, PAY_NOT_CONFIGURED);
		return;
	}
	if (!p->gateway->notice(p->gateway, event, &notice, &request->err))
		request_answer(request, PAY_BAD_REQUEST);
	else if (notice.charge_ref)
		ask(p, &(struct back_question){.charge_ref = notice.charge_ref}, request);
	else if (!id_is_none(notice.payment))
		job_look_up(p, notice.payment, notice.ref, request);
	else
		request_answer(request, PAY_OK);
}
