/*
 * What went back: the till is asked, each reversal that it tells becomes a command that decides in
 * its transaction what it means, and it is over when all of them are durable.
 */

#include "base/limits.h"
#include "base/log.h"
#include "payments/reversal_store.h"
#include "payments/room.h"

#include <stdlib.h>

struct back {
	struct payments *p; /* NULL: aborted, and the last command's callback frees it */
	struct back_question question;
	char *charge_ref, *paid_ref; /* owned */
	struct found *founds;        /* under way */
	struct gateway_place place;  /* where the lists go on; owned */
	bool is_cut;
	int64_t rounds; /* of the lists of one charge, which are not left for later */
	struct gateway_news news;
	bool is_asking;
	struct wallet_query query;
	struct reversal_ref_list waiting;
	size_t next;
	struct id cursor;
	size_t commands; /* in flight */
	bool is_told;    /* the till has said all */
	bool was_heard;
	back_fn *done;
	void *arg;
};

static void ask_next(struct back *back);

static void back_free(struct back *back)
{
	reversal_ref_list_finish(&back->waiting);
	free(back->charge_ref);
	free(back->paid_ref);
	free(back->place.after);
	free(back->news.place.after);
	free(back);
}

static void end_if_over(struct back *back)
{
	if (!back->is_told || back->commands)
		return;
	back->done(back, back->was_heard);
	back_free(back);
}

static void log_reversal(const struct reversal_change *c, const struct wallet_cmd *cmd)
{
	char id[ID_TEXT_SIZE], amount[MONEY_TEXT_SIZE];

	if (!c->is_news || cmd->op == WALLET_OP_RIDERS || !log_is_on(LOG_INFO))
		return;
	payment_id_text(c->payment.id, id);
	usd_text(cmd->amount, amount);
	log_info("event=%s payment=%s ref=%s status=%s credit_usd=%s",
		 cmd->op == WALLET_OP_TAKE ? "credit_taken_back" : "credit_given_back", id, c->ref,
		 c->status, amount);
}

static void on_applied(struct wallet_cmd *cmd)
{
	struct reversal_change *c = container_of(cmd->riders, struct reversal_change, rider);
	struct back *back = cmd->arg;

	back->commands--;
	if (cmd->outcome == WALLET_OK) {
		log_reversal(c, cmd);
	} else {
		back->was_heard = false;
		if (cmd->outcome != WALLET_UNAVAILABLE)
			log_fault("event=reversal_not_applied ref=%s outcome=%d", c->ref,
				  (int)cmd->outcome);
	}
	if (back->p) {
		if (cmd->outcome == WALLET_OK && cmd->op == WALLET_OP_TAKE)
			payments_watch(back->p, cmd->caller.org);
		end_if_over(back);
	} else if (!back->commands) {
		back_free(back);
	}
}

static void on_item(struct gateway_news *news, const struct gateway_reversal *reversal)
{
	struct back *back = container_of(news, struct back, news);
	struct reversal_change *change;
	struct wallet_cmd *cmd;

	cmd = reversal_cmd_create(back->p->gateway->name, reversal, &change);
	cmd->deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	cmd->done = on_applied;
	cmd->arg = back;
	back->commands++;
	wallet_submit(back->p->wallet, cmd);
}

static void on_found(void *arg, bool was_heard)
{
	struct back *back = arg;

	back->commands--;
	back->was_heard = back->was_heard && was_heard;
	end_if_over(back);
}

static void on_paid(struct gateway_news *news, const struct gateway_paid *paid)
{
	struct back *back = container_of(news, struct back, news);

	back->commands++;
	found_start(back->p, &back->founds, paid, on_found, back);
}

static void ask(struct back *back);

static void on_told(struct gateway_news *news)
{
	struct back *back = container_of(news, struct back, news);

	back->is_asking = false;
	if (news->is_cut && back->charge_ref && ++back->rounds < TILL_PAGES_MAX) {
		ask(back);
		return;
	}
	back->was_heard = back->was_heard && !news->is_failed &&
			  !(news->is_cut && back->charge_ref);
	if (!news->ref && !news->paid_ref) {
		back->place = news->place;
		back->is_cut = news->is_cut;
		news->place.after = NULL;
	}
	/* The single ones come once the lists are read to their end. */
	if (back->is_cut)
		back->question.wants_waiting = false;
	ask_next(back);
}

static void ask(struct back *back)
{
	struct gateway *g = back->p->gateway;

	back->is_asking = true;
	back->news.give_up = boottime_after(clock_boot(), TILL_GIVE_UP_MS);
	back->news.item = on_item;
	back->news.paid = on_paid;
	back->news.done = on_told;
	g->news(g, &back->news);
}

static bool waiting_step(struct wallet_query *query, struct db *db)
{
	struct back *back = container_of(query, struct back, query);

	if (reversal_waiting_read(db, back->p->gateway->name, back->cursor, PAYMENT_LOOK_ROWS,
				  &back->waiting) != DB_OK)
		query->is_failed = true;
	return true;
}

static void waiting_done(struct wallet_query *query)
{
	struct back *back = container_of(query, struct back, query);

	back->next = 0;
	if (query->is_failed)
		back->was_heard = false;
	if (back->waiting.count < PAYMENT_LOOK_ROWS)
		back->question.wants_waiting = false;
	if (back->waiting.count)
		back->cursor = back->waiting.items[back->waiting.count - 1].id;
	ask_next(back);
}

/* The next reversal that is not over, or the next page of them. */
static void ask_next(struct back *back)
{
	if (back->next < back->waiting.count) {
		const struct reversal_ref *ref = &back->waiting.items[back->next++];

		back->news = (struct gateway_news){.ref = ref->ref, .kind = ref->kind};
		ask(back);
		return;
	}
	reversal_ref_list_finish(&back->waiting);
	if (back->question.wants_waiting) {
		back->query = (struct wallet_query){
			.step = waiting_step,
			.done = waiting_done,
			.deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS),
		};
		wallet_query(back->p->wallet, &back->query);
		return;
	}
	back->is_told = true;
	end_if_over(back);
}

struct back *back_start(struct payments *p, const struct back_question *question, back_fn *done,
			void *arg)
{
	struct back *back = xzalloc(sizeof(*back));

	back->p = p;
	back->question = *question;
	back->charge_ref = question->charge_ref ? xstrdup(question->charge_ref) : NULL;
	back->paid_ref = question->paid_ref ? xstrdup(question->paid_ref) : NULL;
	back->was_heard = true;
	back->done = done;
	back->arg = arg;
	back->news = (struct gateway_news){
		.since = question->since,
		.charge_ref = back->charge_ref,
		.paid_since = question->paid_since,
		.paid_ref = back->paid_ref,
		.place = {.list = question->place.list},
	};
	if (question->place.after)
		back->news.place.after = xstrdup(question->place.after);
	ask(back);
	return back;
}

void *back_arg(const struct back *back)
{
	return back->arg;
}

bool back_is_cut(const struct back *back)
{
	return back->is_cut;
}

const struct gateway_place *back_place(const struct back *back)
{
	return &back->place;
}

void back_abort(struct back *back)
{
	struct payments *p = back->p;

	if (back->is_asking)
		p->gateway->news_abort(p->gateway, &back->news);
	wallet_query_cancel(p->wallet, &back->query);
	back->commands -= founds_abort(&back->founds);
	back->p = NULL;
	if (!back->commands)
		back_free(back);
}
