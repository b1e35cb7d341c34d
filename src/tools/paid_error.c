/*
 * The error of a metered call that did not succeed.
 */

#include "tools/paid.h"
#include "json/edge.h"

#include <string.h>

/* What a refused call proposes to buy at least. */
#define TOP_UP_MINIMUM ((struct microusd){5 * MICROUSD_PER_USD})

struct microusd paid_proposal(const struct meter_call *call, struct microusd shortfall)
{
	const struct preferences *prefs = &call->after.prefs;
	struct microusd amount = microusd_max(TOP_UP_MINIMUM, microusd_ceil_usd(shortfall));

	if (prefs->auto_reload_enabled)
		amount = microusd_max(amount, prefs->auto_reload_amount);
	return amount;
}

struct microusd paid_shortfall(const struct meter_call *call)
{
	return microusd_max(MICROUSD_ZERO,
			    microusd_minus(call->needed, wallet_spendable(&call->after)));
}

/* The tools that buy tokens are there for this caller. */
static bool may_buy(const struct meter_call *call)
{
	return call->caller.scopes & SCOPE_BILLING;
}

/* Of a price by model: the largest max_tokens that fits what there is, and the words for it. */
static void affordable(const struct meter_call *call, struct microusd limit, struct emit *e,
		       struct tool_error *error)
{
	const char *how = may_buy(call) ? " (buy_tokens adds to the balance)" : "";
	char needed[MONEY_TEXT_SIZE], have[MONEY_TEXT_SIZE];
	int64_t most;
	bool fits;

	if (call->price->kind != PRICE_LLM)
		return;
	fits = price_llm_affordable(call->price, call->arguments, call->own_key != NULL, limit,
				    &most);
	tokens_text(call->needed, needed);
	tokens_text(microusd_max(limit, MICROUSD_ZERO), have);
	emit_key(e, "max_tokens_affordable");
	if (fits)
		emit_i64(e, most);
	else
		emit_null(e);
	if (fits)
		tool_error_hint(error,
				"Nothing was executed. This call may cost %s tokens, there are %s: "
				"lower max_tokens to %lld, or have the limit raised%s. Do not "
				"retry it unchanged.",
				needed, have, (long long)most, how);
	else
		tool_error_hint(error,
				"Nothing was executed. This call may cost %s tokens, there are %s: "
				"not even its prompt and max_tokens of 1 fit. Shorten it, or have "
				"the limit raised%s.",
				needed, have, how);
}

static void insufficient(const struct meter_call *call, const struct open_payment *open,
			 struct tool_error *error)
{
	struct microusd shortfall = paid_shortfall(call);
	struct emit e;

	emit_init(&e, &error->members);
	emit_key_tokens(&e, "needed_tokens", call->needed);
	emit_key_tokens(&e, "available_tokens", wallet_spendable(&call->after));
	emit_key_tokens(&e, "shortfall_tokens", shortfall);
	emit_key(&e, "top_up");
	emit_object(&e);
	if (may_buy(call))
		emit_key_text(&e, "tool", "buy_tokens");
	/* Of the page, where there is one: both are read together. */
	emit_key_usd(&e, "amount_usd",
		     open && open->url ? open->credit : paid_proposal(call, shortfall));
	if (open && open->url)
		emit_key_text(&e, "url", open->url);
	emit_object_end(&e);
	if (open && open->is_pending)
		emit_key_bool(&e, "payment_pending", true);
	if (open && open->url)
		tool_error_hint(error, "Nothing was executed. A payment is open: ask the user to "
				       "pay at top_up.url, then call again.");
	else if (!may_buy(call))
		tool_error_hint(error, "Nothing was executed. This key buys no tokens: ask the "
				       "user, or the operator ('farebox billing checkout'), to add "
				       "them, then call again; do not retry before that.");
	affordable(call, wallet_spendable(&call->after), &e, error);
}

static void over_budget(const struct meter_call *call, struct tool_error *error)
{
	const struct wallet_view *view = &call->after;
	struct microusd used = microusd_plus(view->captured_month, view->held);
	struct microusd budget = wallet_bound_prefs(view).budget_limit;
	char limit[MONEY_TEXT_SIZE];
	struct emit e;

	usd_text_people(budget, limit);
	tool_error_message(error,
			   "The organisation's monthly budget of $%s does not allow this "
			   "call.",
			   limit);
	emit_init(&e, &error->members);
	emit_key_text(&e, "limit", "org_monthly");
	emit_key_usd(&e, "limit_usd", budget);
	emit_key_usd(&e, "used_usd", used);
	emit_key_tokens(&e, "needed_tokens", call->needed);
	emit_key(&e, "resets_at");
	emit_walltime(&e, walltime_next_month(walltime_of_month(view->month)));
	affordable(call, microusd_minus(budget, used), &e, error);
}

static void over_key(const struct meter_call *call, bool is_daily, struct tool_error *error)
{
	char limit[MONEY_TEXT_SIZE], used[MONEY_TEXT_SIZE];
	struct emit e;

	tokens_text(call->key_limit.limit, limit);
	tokens_text(call->key_limit.used, used);
	tool_error_message(error,
			   "This key may spend %s tokens a %s; %s are used or held, and this call "
			   "does not fit.",
			   limit, is_daily ? "day" : "month", used);
	emit_init(&e, &error->members);
	emit_key_text(&e, "limit", is_daily ? "key_daily" : "key_monthly");
	emit_key_tokens(&e, "limit_tokens", call->key_limit.limit);
	emit_key_tokens(&e, "used_tokens", call->key_limit.used);
	emit_key_tokens(&e, "needed_tokens", call->needed);
	emit_key(&e, "resets_at");
	emit_walltime(&e, call->key_limit.resets);
	affordable(call, microusd_minus(call->key_limit.limit, call->key_limit.used), &e, error);
}

static int64_t seconds_up(int64_t ms)
{
	return (ms + 999) / 1000;
}

static void rate_limited(const struct meter_call *call, struct tool_error *error)
{
	struct emit e;

	emit_init(&e, &error->members);
	emit_key_i64(&e, "retry_after_s", seconds_up(call->retry_after_ms));
}

static void loop_detected(const struct tools *tools, const struct meter_call *call,
			  struct tool_error *error)
{
	struct guard_config guard = meter_guard(tools->config.meter);
	bool is_released = guard.released && call->seen.released >= guard.released;
	int64_t times = is_released ? call->seen.released : call->seen.made;
	struct emit e;

	tool_error_message(error,
			   "%s was called with the same arguments %lld times within %lld s%s.",
			   call->tool->name, (long long)times, (long long)guard.window_s,
			   is_released ? " without success" : "");
	emit_init(&e, &error->members);
	emit_key(&e, "seen");
	emit_object(&e);
	emit_key_text(&e, "tool", call->tool->name);
	emit_key_i64(&e, "calls", call->seen.made);
	emit_key_i64(&e, "released", call->seen.released);
	emit_key_i64(&e, "window_s", guard.window_s);
	emit_object_end(&e);
	emit_key_i64(&e, "reopens_in_s", seconds_up(call->retry_after_ms));
}

static void over_cap(const struct meter_call *call, struct tool_error *error)
{
	char needed[MONEY_TEXT_SIZE], cap[MONEY_TEXT_SIZE];
	struct emit e;

	tokens_text(call->needed, needed);
	tokens_text(call->cap, cap);
	tool_error_message(error,
			   "This call may cost %s tokens, the caller's farebox/maxTokens is %s.",
			   needed, cap);
	tool_error_hint(error,
			"Nothing was executed. Call again with a farebox/maxTokens of at "
			"least %s.",
			needed);
	emit_init(&e, &error->members);
	emit_key_text(&e, "limit", "call");
	emit_key_tokens(&e, "needed_tokens", call->needed);
	emit_key_tokens(&e, "max_tokens", call->cap);
	emit_key(&e, "resets_at");
	emit_null(&e);
	affordable(call, call->cap, &e, error);
}

static void upstream(const struct meter_call *call, struct tool_error *error)
{
	const struct provider_result *r = &call->result;
	struct emit e;

	if (err_is_set(&r->err))
		tool_error_message(error, "%s: %s", call->tool->name, r->err.text);
	else if (call->outcome == METER_TIMEOUT)
		tool_error_message(error, "%s: the provider did not answer in time",
				   call->tool->name);
	error->is_final = error->is_final || call->outcome == METER_REPLAYED;
	if (call->outcome == METER_REPLAYED)
		tool_error_hint(error, "This is the stored end of a call that was charged. Use a "
				       "new idempotency key to run it again.");
	else if (r->is_key_refused)
		tool_error_hint(error,
				"The tokens are back. It is not the arguments: %s before "
				"this tool is called again.",
				call->own_key ? "the user has to give another key of this provider"
					      : "the operator of this tool has to see to its key");
	else if (r->has_begun)
		tool_error_hint(error, "The answer broke off after it had begun: what was used of "
				       "it is charged. Try again later.");
	else if (microusd_sign(call->charge.amount) > 0)
		tool_error_hint(error,
				"This tool is charged for failed calls, too. Try again later.");
	else if (r->may_have_run)
		tool_error_hint(error, "The tokens are back. The provider may have executed this "
				       "call: find out before you repeat what must not happen "
				       "twice.");
	emit_init(&e, &error->members);
	if (r->status)
		emit_key_i64(&e, "provider_status", r->status);
	if (r->retry_after_s >= 0)
		emit_key_i64(&e, "retry_after_s", r->retry_after_s);
}

static void no_store(const struct tools *tools, const struct meter_call *call,
		     struct tool_error *error)
{
	struct emit e;

	tool_error_store(tools, error);
	if (!call->was_executed)
		return;
	/* What ran is never to be asked for again just so, whatever is wrong with the store. */
	error->code = ERROR_STORE_UNAVAILABLE;
	error->is_final = true;
	tool_error_hint(error, "The tool ran, but its charge could not be confirmed: the result is "
			       "withheld. get_usage shows whether the tokens came back.");
	emit_init(&e, &error->members);
	emit_key_bool(&e, "executed", true);
}

static void replay_lost(const struct meter_call *call, struct tool_error *error)
{
	struct emit e;

	tool_error_message(error, "This call was charged once; its result was too large to keep.");
	tool_error_hint(error, "Use a new idempotency key to run it again.");
	emit_init(&e, &error->members);
	emit_key_id(&e, "call_id", "call", call->id);
	emit_key_tokens(&e, "charged_tokens", call->charge.amount);
	emit_key_bool(&e, "replayed", true);
}

static enum error_code code_of(enum meter_outcome outcome)
{
	switch (outcome) {
	case METER_UNAUTHENTICATED:
		return ERROR_UNAUTHENTICATED;
	case METER_INSUFFICIENT:
		return ERROR_INSUFFICIENT_CREDITS;
	case METER_OVER_BUDGET:
	case METER_OVER_CAP:
	case METER_OVER_KEY_DAY:
	case METER_OVER_KEY_MONTH:
		return ERROR_BUDGET_EXCEEDED;
	case METER_UNPRICED:
		return ERROR_INVALID_ARGUMENTS;
	case METER_RATE_LIMITED:
		return ERROR_RATE_LIMITED;
	case METER_LOOP:
		return ERROR_LOOP_DETECTED;
	case METER_CONFLICT:
	case METER_REPLAY_LOST:
		return ERROR_IDEMPOTENCY_CONFLICT;
	case METER_INVALID:
		return ERROR_INVALID_ARGUMENTS;
	case METER_REJECTED:
		return ERROR_UPSTREAM_REJECTED;
	case METER_FAILED:
	case METER_TOOL_FAILED:
		return ERROR_UPSTREAM_ERROR;
	case METER_TIMEOUT:
	case METER_CANCELLED:
		return ERROR_UPSTREAM_TIMEOUT;
	case METER_STORE:
		return ERROR_STORE_UNAVAILABLE;
	case METER_OK:
	case METER_REPLAYED:
	case METER_SPENT:
		break;
	}
	die("meter outcome %d is no error", (int)outcome);
}

void paid_error(const struct tools *tools, const struct meter_call *call,
		const struct open_payment *open, struct tool_error *error)
{
	bool is_replay = call->outcome == METER_REPLAYED;

	tool_error_init(error, is_replay ? ERROR_UPSTREAM_ERROR : code_of(call->outcome));
	switch (call->outcome) {
	case METER_INSUFFICIENT:
		insufficient(call, open, error);
		return;
	case METER_OVER_BUDGET:
		over_budget(call, error);
		return;
	case METER_OVER_CAP:
		over_cap(call, error);
		return;
	case METER_OVER_KEY_DAY:
	case METER_OVER_KEY_MONTH:
		over_key(call, call->outcome == METER_OVER_KEY_DAY, error);
		return;
	case METER_UNPRICED:
		tool_error_fault(error, call->result.err.text); /* of the price */
		return;
	case METER_RATE_LIMITED:
		rate_limited(call, error);
		return;
	case METER_LOOP:
		loop_detected(tools, call, error);
		return;
	case METER_REPLAY_LOST:
		replay_lost(call, error);
		return;
	case METER_STORE:
		no_store(tools, call, error);
		return;
	case METER_INVALID:
		tool_error_field(error, call->result.field, call->result.err.text);
		return;
	case METER_REJECTED:
	case METER_FAILED:
	case METER_TIMEOUT:
	case METER_TOOL_FAILED:
	case METER_REPLAYED:
		upstream(call, error);
		return;
	case METER_CANCELLED:
		tool_error_message(error, "The call was cancelled.");
		return;
	case METER_OK:
	case METER_SPENT:
	case METER_UNAUTHENTICATED:
	case METER_CONFLICT:
		return;
	}
}

void meter_error(const struct tools *tools, const struct meter_call *call, struct tool_error *error)
{
	paid_error(tools, call, NULL, error);
}
