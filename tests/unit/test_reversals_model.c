/*
 * Random refunds, disputes and what became of them, told in any order, doubled, late, some before
 * their payment is known and many in one batch, against a reference of a few lines:
 *
 *	taken = floor(credit x min(gone, total) / total)
 *
 * where gone is what the latest news that was told of each reversal says is taken.
 */

#include "any.h"
#include "payments/reversal_store.h"
#include "till.h"
#include "unit.h"

#define PAYMENTS       4
#define REVERSALS_EACH 5
#define STEPS          200
#define STARTER_MICRO  (100 * MICROUSD_PER_TOKEN)

struct model_reversal {
	char ref[32];
	enum reversal_kind kind;
	int64_t amount, told_amount; /* cents */
	int64_t turn;                /* what is true by now */
	int64_t told;                /* the latest that was told; -1: nothing */
};

struct model_payment {
	struct id id;
	char charge_ref[ID_TEXT_SIZE + 8];
	int64_t credit, fee; /* cents */
	struct model_reversal reversals[REVERSALS_EACH];
};

struct model {
	struct model_payment payments[PAYMENTS];
	int64_t spent_micro;
};

static void name_charge(struct gateway_call *call)
{
	char id[ID_TEXT_SIZE];

	payment_id_text(call->payment->id, id);
	call->charge_ref = xasprintf("ch_%s", id);
}

static void charge(struct gateway *g, struct gateway_call *call)
{
	name_charge(call);
	till_charge(g, call);
}

static void ask(struct gateway *g, struct gateway_call *call)
{
	name_charge(call);
	till_ask(g, call);
}

static bool is_taken(const struct model_reversal *r, int64_t turn)
{
	(void)r;
	return turn == 1; /* 0: an inquiry; 2: failed, or won */
}

static struct gateway_reversal news_of(const struct model_payment *p,
				       const struct model_reversal *r, int64_t turn)
{
	return (struct gateway_reversal){
		.kind = r->kind,
		.ref = r->ref,
		.charge_ref = p->charge_ref,
		.amount = {r->amount},
		.is_taken = is_taken(r, turn),
		.turn = turn,
		.is_over = turn == 2,
		.status = "told",
		.created = clock_wall(),
	};
}

/* Submits what is told; it is applied with all else of the batch. */
static void tell(struct house *h, const struct model_payment *p, struct model_reversal *r,
		 int64_t turn, bool is_known)
{
	struct gateway_reversal news = news_of(p, r, turn);
	struct reversal_change *change;

	wallet_submit(h->wallet, reversal_cmd_create("till", &news, &change));
	if (!is_known || turn < r->told)
		return;
	r->told = turn;
	r->told_amount = r->amount;
}

static int64_t gone_of(const struct model_payment *p, enum reversal_kind kind)
{
	int64_t gone = 0;

	for (size_t i = 0; i < REVERSALS_EACH; i++) {
		const struct model_reversal *r = &p->reversals[i];

		if (r->kind == kind && r->told >= 0 && is_taken(r, r->told))
			gone += r->told_amount;
	}
	return gone;
}

static int64_t taken_micro(const struct model_payment *p)
{
	int64_t total = p->credit + p->fee;
	int64_t gone = gone_of(p, REVERSAL_REFUND) + gone_of(p, REVERSAL_DISPUTE);

	if (gone > total)
		gone = total;
	return p->credit * 10000 * gone / total;
}

static enum payment_state state_of(const struct model_payment *p)
{
	if (gone_of(p, REVERSAL_DISPUTE) > 0)
		return PAYMENT_DISPUTED;
	return gone_of(p, REVERSAL_REFUND) >= p->credit + p->fee ? PAYMENT_REFUNDED
								 : PAYMENT_SUCCEEDED;
}

static void check(struct house *h, const struct model *m)
{
	int64_t expected = STARTER_MICRO - m->spent_micro;
	struct wallet_view view = {0};
	bool is_there = false;

	for (size_t i = 0; i < PAYMENTS; i++) {
		const struct model_payment *p = &m->payments[i];
		struct payment_view found;

		expected += p->credit * 10000 - taken_micro(p);
		ck_assert(payment_read(wallet_db(h->wallet), p->id, "till", &is_there, &found) ==
			  DB_OK);
		ck_assert(is_there);
		ck_assert_msg(found.state == state_of(p), "payment %zu is %s, not %s", i,
			      payment_state_name(found.state), payment_state_name(state_of(p)));
		payment_view_finish(&found);
	}
	ck_assert(wallet_view_read(wallet_db(h->wallet), h->org, &is_there, &view) == DB_OK);
	ck_assert_int_eq(view.available.v, expected);
}

/* Buys and top-ups in turn; of a top-up nothing is granted until it is paid. */
static void make_payments(struct house *h, struct world *world, struct model *m)
{
	for (size_t i = 0; i < PAYMENTS; i++) {
		struct model_payment *p = &m->payments[i];
		struct asked a;

		p->credit = 500 + any(5000) + (int64_t)i;
		ck_assert_int_eq(i % 2 ? house_top_up(h, &a, p->credit)
				       : house_buy(h, &a, p->credit, NULL),
				 PAY_OK);
		p->id = a.request.payment.id;
		p->fee = a.request.payment.fee.v;
		ck_assert_int_eq(p->fee > 0, i % 2);
		(void)snprintf(p->charge_ref, sizeof(p->charge_ref), "ch_");
		payment_id_text(p->id, p->charge_ref + 3);
		asked_finish(&a);
		for (size_t j = 0; j < REVERSALS_EACH; j++) {
			struct model_reversal *r = &p->reversals[j];

			*r = (struct model_reversal){.told = -1};
			r->kind = any(3) ? REVERSAL_REFUND : REVERSAL_DISPUTE;
			r->turn = r->kind == REVERSAL_REFUND;
			r->amount = 1 + any(any(2) ? p->credit + p->fee : 300);
			(void)snprintf(r->ref, sizeof(r->ref), "r_%zu_%zu", i, j);
			/* Before it is paid nothing is ours. */
			if (i % 2)
				tell(h, p, r, r->turn, false);
		}
		store_turns(h->wallet);
		if (i % 2)
			world->charged[world->charges++] = p->id;
	}
	payments_resume(h->payments);
	house_run(h);
}

static void spend_some(struct house *h, struct model *m)
{
	int64_t tokens = house_tokens(h);

	if (tokens < 2)
		return;
	tokens = 1 + any(tokens - 1);
	ck_assert(house_spend(h, tokens));
	m->spent_micro += tokens * MICROUSD_PER_TOKEN;
}

static void step(struct house *h, struct model *m)
{
	struct model_payment *p = &m->payments[any(PAYMENTS)];
	struct model_reversal *r = &p->reversals[any(REVERSALS_EACH)];

	switch (any(8)) {
	case 0: /* it goes on over there */
		if (r->turn < 2)
			r->turn++;
		return;
	case 1: /* the amount of a dispute may change */
		if (r->kind == REVERSAL_DISPUTE)
			r->amount = 1 + any(p->credit);
		return;
	case 2: /* old news; an amount belongs to the latest only */
		if (r->amount == r->told_amount)
			tell(h, p, r, any(r->turn + 1), true);
		return;
	case 3:
		tell(h, p, r, r->turn, true);
		tell(h, p, r, r->turn, true);
		return;
	default:
		tell(h, p, r, r->turn, true);
		return;
	}
}

static void play(uint64_t with)
{
	struct world *world = world_create();
	struct model m = {.spent_micro = 0};
	struct house h;

	seed = with * UINT64_C(0x9e3779b97f4a7c15);
	world->answer = GATEWAY_SUCCEEDED;
	house_open(&h, store_new(), world);
	h.payments->gateway->charge = charge;
	h.payments->gateway->ask = ask;
	make_payments(&h, world, &m);
	check(&h, &m);
	for (int i = 0; i < STEPS; i++) {
		step(&h, &m);
		if (any(3))
			continue; /* several in one batch */
		store_turns(h.wallet);
		check(&h, &m);
		if (!any(6))
			spend_some(&h, &m);
	}
	/* In the end all is told. */
	for (size_t i = 0; i < PAYMENTS; i++) {
		for (size_t j = 0; j < REVERSALS_EACH; j++)
			tell(&h, &m.payments[i], &m.payments[i].reversals[j],
			     m.payments[i].reversals[j].turn, true);
	}
	store_turns(h.wallet);
	check(&h, &m);
	house_proves_itself(&h);
	house_close(&h);
}

START_TEST(what_is_taken_follows_from_the_latest_news_in_any_order)
{
	for (uint64_t n = 1; n <= 12; n++)
		play(n);
}
END_TEST

/* Only that there is one counts here. */
static void never_asked(struct gateway *g, struct gateway_news *news)
{
	(void)g;
	(void)news;
	ck_abort_msg("it is not time yet");
}

START_TEST(a_purchase_that_succeeds_is_watched_for_what_goes_back)
{
	struct world *world = world_create();
	struct asked a;
	struct house h;

	world->answer = GATEWAY_SUCCEEDED;
	house_open(&h, store_new(), world);
	/* A till without news is not asked for any. */
	ck_assert_int_eq(house_buy(&h, &a, 500, NULL), PAY_OK);
	asked_finish(&a);
	ck_assert(!loop_timer_is_set(&h.payments->look->timer));
	h.payments->gateway->charge = charge;
	h.payments->gateway->news = never_asked;
	ck_assert_int_eq(house_buy(&h, &a, 600, NULL), PAY_OK);
	asked_finish(&a);
	ck_assert(loop_timer_is_set(&h.payments->look->timer));
	house_close(&h);
}
END_TEST

UNIT_MAIN("reversals_model", what_is_taken_follows_from_the_latest_news_in_any_order,
	  a_purchase_that_succeeds_is_watched_for_what_goes_back)
