/*
 * Random commands against a reference model of a few lines: whatever the order, the batch size and
 * the restarts, the wallet says what the model says and the ledger proves itself.
 */

#include "any.h"
#include "store.h"
#include "unit.h"

#define CALLS_MAX 64
#define STEPS     600

struct model_call {
	bool is_open;
	bool is_keyed;
	struct id id, lease;
	int64_t held;
};

/* A key with limits; half of the calls carry it. */
struct model_key {
	struct id id;
	int64_t daily, monthly;
	int64_t held, captured;
};

struct model {
	int64_t available, held, captured;
	bool has_budget;
	int64_t budget;
	struct model_call calls[CALLS_MAX];
	struct model_key key;
};

struct pending {
	struct ran ran;
	int64_t charged, written_off; /* got */
	enum wallet_outcome expected;
	int64_t charges, writes_off;
	struct model_call *opens;
	bool is_used;
};

static void note(struct wallet_cmd *cmd)
{
	struct pending *p = container_of(cmd->arg, struct pending, ran);

	store_note(cmd);
	p->charged = cmd->charged.v;
	p->written_off = cmd->written_off.v;
}

static void submit(struct wallet *w, struct wallet_cmd *cmd, struct pending *p)
{
	p->ran = (struct ran){.is_done = false};
	p->is_used = true;
	cmd->done = note;
	cmd->arg = &p->ran;
	wallet_submit(w, cmd);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void step_hold(struct wallet *w, struct id org, struct model *m, struct pending *p)
{
	int64_t tokens = any(60);
	bool is_keyed = any(2);
	struct wallet_cmd *cmd = store_hold(w, org, tokens);
	struct model_call *call = NULL;
	int64_t of_key = m->key.captured + m->key.held + tokens;

	p->expected = WALLET_OK;
	if (m->has_budget && m->captured + m->held + tokens > m->budget)
		p->expected = WALLET_OVER_BUDGET;
	else if (is_keyed && of_key > m->key.daily)
		p->expected = WALLET_OVER_KEY_DAY;
	else if (is_keyed && of_key > m->key.monthly)
		p->expected = WALLET_OVER_KEY_MONTH;
	else if (m->available < tokens)
		p->expected = WALLET_INSUFFICIENT;
	if (is_keyed)
		cmd->caller.key = m->key.id;
	for (size_t i = 0; i < CALLS_MAX && !call; i++) {
		if (!m->calls[i].is_open && id_is_none(m->calls[i].id))
			call = &m->calls[i];
	}
	if (p->expected == WALLET_OK && call) {
		m->available -= tokens;
		m->held += tokens;
		m->key.held += is_keyed ? tokens : 0;
		*call = (struct model_call){
			.is_open = true, .is_keyed = is_keyed, .id = cmd->id, .held = tokens};
		p->opens = call;
	} else if (p->expected == WALLET_OK) {
		wallet_cmd_destroy(cmd);
		return;
	}
	submit(w, cmd, p);
}

/* What may be charged of what was used beyond the hold. */
static int64_t overrun(const struct model *m, const struct model_call *call, int64_t extra,
		       int64_t cap)
{
	extra = least(extra, m->available);
	if (cap >= 0)
		extra = least(extra, cap - call->held);
	if (m->has_budget)
		extra = least(extra, m->budget - m->captured - m->held);
	if (call->is_keyed)
		extra = least(extra,
			      least(m->key.daily, m->key.monthly) - m->key.captured - m->key.held);
	return extra > 0 ? extra : 0;
}

/* Ends a hold of an earlier batch. */
static void step_end(struct wallet *w, struct id org, struct model *m, struct pending *p)
{
	struct model_call *call = &m->calls[any(CALLS_MAX)];
	bool is_capture = any(2), is_over = is_capture && any(3) == 0;
	int64_t tokens, cap = is_over && any(2) ? call->held + any(30) : -1, extra = 0;
	struct wallet_cmd *cmd;

	if (!call->is_open || id_is_none(call->lease))
		return;
	tokens = is_capture ? any(call->held + 1) : 0;
	if (is_over) {
		tokens = call->held + any(80);
		extra = overrun(m, call, tokens - call->held, cap);
	}
	cmd = store_end(is_capture ? WALLET_OP_CAPTURE : WALLET_OP_RELEASE, org, call->id,
			call->lease, call->held, tokens);
	cmd->may_exceed = is_over;
	cmd->has_cap = cap >= 0;
	ck_assert(microusd_from_tokens(&cmd->cap, cap));
	if (call->is_keyed) {
		cmd->caller.key = cmd->subject = m->key.id;
		cmd->is_limited = true;
	}
	p->expected = WALLET_OK;
	p->charges = is_over ? call->held + extra : tokens;
	p->writes_off = tokens - p->charges;
	submit(w, cmd, p);
	m->held -= call->held;
	m->available += call->held - p->charges;
	m->captured += p->charges;
	if (call->is_keyed) {
		m->key.held -= call->held;
		m->key.captured += p->charges;
	}
	*call = (struct model_call){.is_open = false};
}

static void step_grant(struct wallet *w, struct id org, struct model *m, struct pending *p)
{
	int64_t tokens = any(100);

	p->expected = WALLET_OK;
	submit(w, store_grant(w, org, tokens, NULL), p);
	m->available += tokens;
}

static void step_budget(struct wallet *w, struct id org, struct model *m, struct pending *p)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_PREFERENCES,
						   (struct caller){.org = org});

	m->has_budget = any(2);
	m->budget = m->captured + any(200);
	cmd->sets_budget = true;
	cmd->prefs.has_budget = m->has_budget;
	ck_assert(microusd_from_tokens(&cmd->prefs.budget_limit, m->budget));
	p->expected = WALLET_OK;
	submit(w, cmd, p);
}

static void check_batch(struct wallet *w, struct id org, const struct model *m,
			struct pending *pending, size_t n, uint64_t started)
{
	struct wallet_view view;
	bool found;

	store_turns(w);
	for (size_t i = 0; i < n; i++) {
		struct pending *p = &pending[i];

		if (!p->is_used)
			continue;
		ck_assert(p->ran.is_done);
		ck_assert_msg(p->ran.outcome == p->expected, "seed %llu: %d, not %d",
			      (unsigned long long)started, p->ran.outcome, p->expected);
		ck_assert_int_eq(p->charged, p->charges * MICROUSD_PER_TOKEN);
		ck_assert_int_eq(p->written_off, p->writes_off * MICROUSD_PER_TOKEN);
		if (p->opens)
			p->opens->lease = p->ran.lease;
	}
	ck_assert(wallet_view_read(wallet_db(w), org, &found, &view) == DB_OK && found);
	ck_assert_int_eq(view.available.v, m->available * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(view.held.v, m->held * MICROUSD_PER_TOKEN);
	ck_assert_int_eq(view.captured_month.v, m->captured * MICROUSD_PER_TOKEN);
}

static struct id make_key(struct wallet *w, struct id org, const struct model_key *limits)
{
	struct wallet_cmd *cmd = wallet_cmd_create(
		WALLET_OP_KEY_CREATE, (struct caller){.org = org, .scopes = SCOPES_ALL});
	struct id id = wallet_new_id(w);

	cmd->id = id;
	memcpy(cmd->hash.b, id.b, sizeof(id.b));
	cmd->scopes = SCOPE_CALL;
	cmd->prefix = xstrdup("fbx_test");
	cmd->label = xstrdup("");
	cmd->limits.has_daily = cmd->limits.has_monthly = true;
	ck_assert(microusd_from_tokens(&cmd->limits.daily, limits->daily));
	ck_assert(microusd_from_tokens(&cmd->limits.monthly, limits->monthly));
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	return id;
}

static void run_model(uint64_t started)
{
	const char *path = store_new();
	struct wallet *w = store_wallet(path, 100);
	struct id org = store_default_org(w);
	struct model m = {.available = 100};

	store_within_a_day();
	seed = started;
	m.key.daily = 100 + any(2000);
	m.key.monthly = 100 + any(2000);
	m.key.id = make_key(w, org, &m.key);
	for (int step = 0; step < STEPS;) {
		struct pending pending[40] = {0};
		size_t n = (size_t)any((int64_t)ARRAY_LEN(pending)) + 1;

		for (size_t i = 0; i < n; i++, step++) {
			int64_t what = any(100);

			if (what < 45)
				step_hold(w, org, &m, &pending[i]);
			else if (what < 85)
				step_end(w, org, &m, &pending[i]);
			else if (what < 97)
				step_grant(w, org, &m, &pending[i]);
			else
				step_budget(w, org, &m, &pending[i]);
		}
		check_batch(w, org, &m, pending, n, started);
	}
	store_proves_itself(w, -1);
	wallet_destroy(w);
}

START_TEST(the_wallet_agrees_with_its_model)
{
	const char *given = getenv("FAREBOX_TEST_SEED");

	if (given) {
		run_model(strtoull(given, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= 12; i++)
		run_model(i * UINT64_C(0x9e3779b97f4a7c15));
}
END_TEST

UNIT_MAIN("wallet_model", the_wallet_agrees_with_its_model)
