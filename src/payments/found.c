/*
 * Money at the till that the store does not know: its payment is made anew, and then asked about
 * and credited as every other one.
 */

#include "payments/found_store.h"
#include "payments/room.h"

#include "base/limits.h"
#include "base/log.h"

#include <stdlib.h>

struct found {
	struct payments *p; /* NULL: aborted, and the command's callback frees it */
	struct pay_request request;
	bool is_asking;
	found_fn *done;
	void *arg;
	struct found *next, **link;
};

static void found_unlink(struct found *found)
{
	*found->link = found->next;
	if (found->next)
		found->next->link = found->link;
}

static void found_end(struct found *found, bool was_heard)
{
	found_fn *done = found->done;
	void *arg = found->arg;

	found_unlink(found);
	free(found);
	done(arg, was_heard);
}

static void on_asked(struct pay_request *request)
{
	struct found *found = request->arg;
	bool was_heard = request->outcome != PAY_PENDING && request->outcome != PAY_UNAVAILABLE;

	pay_request_finish(request);
	/* What went back of it was told before it was known. */
	payments_resume(found->p);
	found_end(found, was_heard);
}

static void log_found(const struct found_insert *f)
{
	char id[ID_TEXT_SIZE];

	payment_id_text(f->payment.id, id);
	if (f->outcome == FOUND_MADE)
		log_info("event=payment_found payment=%s ref=%s", id, f->payment.ref);
	else if (f->outcome == FOUND_STRAY && f->is_news)
		log_warn("event=stray_money ref=%s payment=%s reason=%s action=see_doctor",
			 f->payment.ref, id, log_quote(f->reason));
}

static void on_inserted(struct wallet_cmd *cmd)
{
	struct found_insert *f = container_of(cmd->riders, struct found_insert, rider);
	struct found *found = cmd->arg;

	if (cmd->outcome == WALLET_OK)
		log_found(f);
	if (!found->p) {
		free(found);
		return;
	}
	if (cmd->outcome != WALLET_OK || f->outcome != FOUND_MADE) {
		found_end(found, cmd->outcome == WALLET_OK);
		return;
	}
	found->is_asking = true;
	found->request = (struct pay_request){.done = on_asked, .arg = found};
	request_begin(found->p, &found->request);
	job_look_up(found->p, f->payment.id, NULL, &found->request);
}

void found_start(struct payments *p, struct found **list, const struct gateway_paid *paid,
		 found_fn *done, void *arg)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS, (struct caller){0});
	struct found *found = xzalloc(sizeof(*found));

	found->p = p;
	found->done = done;
	found->arg = arg;
	found->next = *list;
	found->link = list;
	if (found->next)
		found->next->link = &found->next;
	*list = found;
	wallet_cmd_add_rider(cmd,
			     &found_insert_create(p->gateway->name, paid, payments_now(p))->rider);
	cmd->deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	cmd->done = on_inserted;
	cmd->arg = found;
	wallet_submit(p->wallet, cmd);
}

size_t founds_abort(struct found **list)
{
	size_t count = 0;

	while (*list) {
		struct found *found = *list;

		found_unlink(found);
		found->p = NULL;
		count++;
		if (!found->is_asking)
			continue;
		payments_abandon(&found->request);
		free(found);
	}
	return count;
}
