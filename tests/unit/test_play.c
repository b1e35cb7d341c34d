/*
 * Play money: spent first while a store is played with, and never again once it is live.
 */

#include "any.h"
#include "till.h"
#include "unit.h"

#include "wallet/play.h"

#define STEPS     400
#define HOLDS_MAX 64

static struct wallet *open_wallet(const char *path, bool is_live)
{
	struct wallet_config config = {.store = path, .default_org = "default", .is_live = is_live};
	struct wallet *w;

	ck_assert(microusd_from_tokens(&config.starter, 100));
	w = wallet_create(&config);
	(void)store_default_org(w);
	return w;
}

static struct wallet_view view_of(struct wallet *w, struct id org)
{
	struct wallet_view view = {0};
	bool is_there = false;

	ck_assert(wallet_view_read(wallet_db(w), org, &is_there, &view) == DB_OK && is_there);
	return view;
}

static int64_t spendable(struct wallet *w, struct id org)
{
	struct wallet_view view = view_of(w, org);

	return wallet_spendable(&view).v / MICROUSD_PER_TOKEN;
}

static int64_t play(struct wallet *w, struct id org)
{
	return view_of(w, org).play.v / MICROUSD_PER_TOKEN;
}

/* Bought in the sandbox, with a live key, or given by the operator. */
static void grant(struct wallet *w, struct id org, int64_t tokens, const char *note)
{
	struct wallet_cmd *cmd = store_grant(w, org, tokens, NULL);

	cmd->kind = note ? ENTRY_PURCHASE : ENTRY_GRANT;
	cmd->note = note ? xstrdup(note) : NULL;
	cmd->is_play = play_is_grant(cmd->kind, note);
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
}

static void take(struct wallet *w, struct id org, struct id payment, int64_t tokens, bool is_play)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_TAKE, (struct caller){.org = org});

	cmd->id = payment;
	cmd->kind = ENTRY_REFUND;
	cmd->is_play = is_play;
	ck_assert(microusd_from_tokens(&cmd->amount, tokens));
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
}

struct call {
	struct id id, lease;
	int64_t held;
	bool is_real;
};

static void note_call(struct wallet_cmd *cmd)
{
	struct call *call = cmd->arg;

	if (cmd->outcome != WALLET_OK) {
		ck_assert_int_eq(cmd->outcome, WALLET_INSUFFICIENT);
		return;
	}
	*call = (struct call){
		.id = cmd->id,
		.lease = cmd->lease,
		.held = cmd->amount.v / MICROUSD_PER_TOKEN,
		.is_real = cmd->is_real,
	};
}

/* False: there is not enough that can be spent. */
static bool hold(struct wallet *w, struct id org, int64_t tokens, struct call *out)
{
	struct wallet_cmd *cmd = store_hold(w, org, tokens);

	*out = (struct call){.held = -1};
	cmd->done = note_call;
	cmd->arg = out;
	wallet_submit(w, cmd);
	store_turns(w);
	return out->held >= 0;
}

static void end(struct wallet *w, struct id org, const struct call *call, int64_t tokens)
{
	struct wallet_cmd *cmd = store_end(tokens ? WALLET_OP_CAPTURE : WALLET_OP_RELEASE, org,
					   call->id, call->lease, call->held, tokens);

	cmd->is_real = call->is_real;
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
}

static int64_t voided(struct wallet *w, struct id org)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_VOID_PLAY,
						   (struct caller){.org = org});
	int64_t before = view_of(w, org).available.v;

	cmd->id = wallet_new_id(w);
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	return (before - view_of(w, org).available.v) / MICROUSD_PER_TOKEN;
}

START_TEST(play_money_is_spent_first)
{
	struct wallet *w = open_wallet(store_new(), false);
	struct id org = store_default_org(w);
	struct call call;

	grant(w, org, 50, "buy by sandbox");
	grant(w, org, 30, "buy by stripe_test");
	grant(w, org, 7, "buy by stripe");
	grant(w, org, 5, NULL);
	ck_assert_int_eq(play(w, org), 80);
	ck_assert_int_eq(spendable(w, org), 192);
	ck_assert(hold(w, org, 60, &call));
	end(w, org, &call, 45);
	ck_assert_int_eq(play(w, org), 35);
	ck_assert(hold(w, org, 60, &call));
	end(w, org, &call, 0);
	ck_assert(hold(w, org, 60, &call));
	end(w, org, &call, 60);
	ck_assert_int_eq(play(w, org), 0);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_store_that_was_live_once_spends_no_play_money_in_any_process)
{
	const char *path = store_new();
	struct wallet *w = open_wallet(path, false);
	struct id org = store_default_org(w);
	struct call before, call;

	grant(w, org, 1000, "buy by sandbox");
	ck_assert(hold(w, org, 300, &before));
	/* Another process with a live key, and this one goes on. */
	wallet_destroy(open_wallet(path, true));
	ck_assert_int_eq(spendable(w, org), 0);
	ck_assert(!hold(w, org, 1, &call));
	end(w, org, &before, 250);
	ck_assert_int_eq(play(w, org), 750);
	ck_assert_int_eq(spendable(w, org), 100);
	ck_assert(!hold(w, org, 101, &call));
	ck_assert(hold(w, org, 100, &call));
	end(w, org, &call, 40);
	ck_assert_int_eq(play(w, org), 750);
	ck_assert_int_eq(spendable(w, org), 60);
	grant(w, org, 500, "buy by stripe");
	ck_assert_int_eq(spendable(w, org), 560);
	store_proves_itself(w, 0);
	wallet_destroy(w);
	w = open_wallet(path, false);
	ck_assert_int_eq(spendable(w, org), 560);
	ck_assert(!hold(w, org, 561, &call));
	wallet_destroy(w);
}
END_TEST

START_TEST(an_org_that_is_made_on_a_live_store_is_live_from_its_first_entry)
{
	struct wallet *w = open_wallet(store_new(), true);
	struct id org = store_default_org(w);
	struct call call;

	ck_assert_int_eq(spendable(w, org), 100);
	grant(w, org, 50, "buy by stripe_test");
	ck_assert_int_eq(spendable(w, org), 100);
	ck_assert(!hold(w, org, 101, &call));
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(voiding_takes_out_what_is_left_once)
{
	const char *path = store_new();
	struct wallet *w = open_wallet(path, false);
	struct id org = store_default_org(w);
	struct call call;

	grant(w, org, 1000, "buy by sandbox");
	ck_assert(hold(w, org, 400, &call));
	end(w, org, &call, 400);
	wallet_destroy(open_wallet(path, true));
	ck_assert_int_eq(voided(w, org), 600);
	ck_assert_int_eq(voided(w, org), 0);
	ck_assert_int_eq(play(w, org), 0);
	ck_assert_int_eq(spendable(w, org), 100);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(what_a_call_holds_is_voided_when_it_is_over)
{
	const char *path = store_new();
	struct wallet *w = open_wallet(path, false);
	struct id org = store_default_org(w);
	struct call call;

	grant(w, org, 1000, "buy by sandbox");
	ck_assert(hold(w, org, 900, &call));
	wallet_destroy(open_wallet(path, true));
	ck_assert_int_eq(voided(w, org), 200);
	end(w, org, &call, 0);
	ck_assert_int_eq(spendable(w, org), 100);
	ck_assert_int_eq(voided(w, org), 800);
	ck_assert_int_eq(spendable(w, org), 100);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(a_debt_of_real_money_is_not_paid_with_play_money)
{
	const char *path = store_new();
	struct wallet *w = open_wallet(path, false);
	struct id org = store_default_org(w);
	struct call call;

	grant(w, org, 40, "buy by sandbox");
	wallet_destroy(open_wallet(path, true));
	ck_assert(hold(w, org, 100, &call));
	end(w, org, &call, 100);
	take(w, org, wallet_new_id(w), 40, false);
	ck_assert_int_eq(spendable(w, org), 0);
	grant(w, org, 50, "buy by stripe");
	ck_assert_int_eq(spendable(w, org), 10);
	ck_assert_int_eq(voided(w, org), 40);
	ck_assert_int_eq(spendable(w, org), 10);
	store_proves_itself(w, 0);
	wallet_destroy(w);
}
END_TEST

START_TEST(the_sandbox_sells_nothing_on_a_live_store)
{
	const char *path = store_new();
	struct asked a, page;
	struct house h;

	house_open(&h, path, NULL);
	ck_assert_int_eq(house_top_up(&h, &page, 2000), PAY_OK);
	house_prefers(&h, true, 50000, 2000, -1);
	wallet_destroy(open_wallet(path, true));
	ck_assert_int_eq(house_buy(&h, &a, 500, NULL), PAY_NOT_CONFIGURED);
	ck_assert_str_eq(a.request.err.text, PLAY_REFUSED);
	asked_finish(&a);
	ck_assert_int_eq(house_top_up(&h, &a, 2000), PAY_NOT_CONFIGURED);
	asked_finish(&a);
	ck_assert_int_eq(house_pay(&h, &a, page.request.payment.id), PAY_BAD_REQUEST);
	ck_assert_str_eq(a.request.err.text, PLAY_REFUSED);
	asked_finish(&a);
	asked_finish(&page);
	house_watch(&h);
	ck_assert_int_eq(house_count(&h), 1);
	ck_assert_int_eq(house_tokens(&h), 100);
	house_proves_itself(&h);
	house_close(&h);
}
END_TEST

/* All but the refunds, whose rule the cases above say. */
struct model {
	int64_t available, play;
	bool is_live;
	struct call calls[HOLDS_MAX];
	size_t count;
};

static int64_t model_spendable(const struct model *m)
{
	int64_t left = m->available - m->play;

	return !m->is_live ? m->available : left > 0 ? left : 0;
}

static void model_spend(struct model *m, const struct call *call, int64_t tokens)
{
	m->available += call->held - tokens;
	if (!call->is_real)
		m->play -= tokens < m->play ? tokens : m->play;
}

static void step_call(struct wallet *w, struct id org, struct model *m)
{
	int64_t tokens = any(200);
	struct call *call = &m->calls[m->count];

	if (m->count < HOLDS_MAX && any(2)) {
		bool fits = tokens <= model_spendable(m);

		ck_assert_int_eq(hold(w, org, tokens, call), fits);
		if (!fits)
			return;
		ck_assert_int_eq(call->is_real, m->is_live);
		m->available -= tokens;
		m->count++;
	} else if (m->count) {
		struct call over = m->calls[any((int64_t)m->count)];
		size_t i = 0;

		while (!id_eq(m->calls[i].id, over.id))
			i++;
		m->calls[i] = m->calls[--m->count];
		tokens = any(3) ? any(over.held + 1) : 0;
		end(w, org, &over, tokens);
		model_spend(m, &over, tokens);
	}
}

static void step(struct wallet *w, struct id org, struct model *m)
{
	int64_t tokens = 1 + any(300);

	switch (any(12)) {
	case 0:
		if (!m->is_live) {
			grant(w, org, tokens, any(2) ? "buy by sandbox" : "reload by stripe_test");
			m->play += tokens;
			m->available += tokens;
		}
		return;
	case 1:
		grant(w, org, tokens, m->is_live && any(2) ? "buy by stripe" : NULL);
		m->available += tokens;
		return;
	case 2:
		if (any(10) == 0) {
			tokens = m->count ? (m->play < m->available ? m->play : m->available)
					  : m->play;
			ck_assert_int_eq(voided(w, org), tokens);
			m->play -= tokens;
			m->available -= tokens;
		}
		return;
	default:
		step_call(w, org, m);
		return;
	}
}

START_TEST(random_calls_leave_the_play_money_that_the_model_says)
{
	const char *given = getenv("SEED");
	uint64_t start = given ? strtoull(given, NULL, 10) : (uint64_t)clock_boot().ms;

	for (int round = 0; round < 4; round++, start += 1000003) {
		const char *path = store_new();
		struct wallet *w = open_wallet(path, false);
		struct id org = store_default_org(w);
		struct model *m = xzalloc(sizeof(*m));

		printf("SEED=%llu\n", (unsigned long long)start);
		(void)fflush(stdout);
		seed = start * 2 + 1;
		m->available = 100;
		for (int i = 0; i < STEPS; i++) {
			if (i == STEPS / 2) {
				wallet_destroy(open_wallet(path, true));
				m->is_live = true;
			}
			step(w, org, m);
			ck_assert_int_eq(play(w, org), m->play);
			ck_assert_int_eq(spendable(w, org), model_spendable(m));
		}
		store_proves_itself(w, (int64_t)m->count);
		free(m);
		wallet_destroy(w);
	}
}
END_TEST

UNIT_MAIN("play", play_money_is_spent_first,
	  a_store_that_was_live_once_spends_no_play_money_in_any_process,
	  an_org_that_is_made_on_a_live_store_is_live_from_its_first_entry,
	  voiding_takes_out_what_is_left_once, what_a_call_holds_is_voided_when_it_is_over,
	  a_debt_of_real_money_is_not_paid_with_play_money,
	  the_sandbox_sells_nothing_on_a_live_store,
	  random_calls_leave_the_play_money_that_the_model_says)
