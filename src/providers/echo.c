#include "providers/echo.h"

#include "base/limits.h"
#include "loop/loop.h"
#include "json/edge.h"
#include "json/emit.h"

#include <stdlib.h>
#include <string.h>

enum echo_outcome {
	ECHO_OK,
	ECHO_5XX,
	ECHO_4XX,
	ECHO_TIMEOUT,
	ECHO_GARBAGE,
	ECHO_BROKEN,  /* fails after the first byte of content */
	ECHO_STALLED, /* is silent after it */
};

struct echo_provider {
	struct provider base;
	struct loop *loop;
	int64_t delay_ms;
	enum echo_outcome outcome;
	bool says_usage;
};

/* An answer that waits for its time. */
struct echo_wait {
	struct loop_timer timer;
	struct echo_provider *provider;
	struct execution *execution;
};

static struct echo_provider *of(struct provider *p)
{
	return container_of(p, struct echo_provider, base);
}

static int64_t count_of(const json_t *given, const char *name)
{
	int64_t n = 0;

	return edge_i64(json_object_get(given, name), &n) ? n : 0;
}

/* What the caller says that was used. */
static struct llm_usage usage_of(const struct echo_provider *p, const struct execution *x)
{
	const json_t *given = json_object_get(x->arguments, "usage");
	struct llm_usage usage = {.is_known = p->says_usage && json_is_object(given)};

	usage.input = count_of(given, "input");
	usage.cached_input = count_of(given, "cached_input");
	usage.cache_write = count_of(given, "cache_write");
	usage.output = count_of(given, "output");
	return usage;
}

static void break_off(const struct echo_provider *p, struct execution *x)
{
	struct provider_result result;

	provider_result_init(&result);
	result.outcome = p->outcome == ECHO_STALLED ? PROVIDER_TIMEOUT : PROVIDER_FAILED;
	result.has_begun = true;
	result.usage = usage_of(p, x);
	err_set(&result.err, "the provider broke off in the middle of its answer");
	execution_done(x, &result);
}

static void answer(const struct echo_provider *p, struct execution *x)
{
	struct provider_result result;
	struct emit e;

	switch (p->outcome) {
	case ECHO_5XX:
		execution_fail(x, PROVIDER_FAILED, 503, "the provider answered 503");
		return;
	case ECHO_4XX:
		execution_fail(x, PROVIDER_REJECTED, 400, "the provider answered 400");
		return;
	case ECHO_TIMEOUT:
		execution_fail(x, PROVIDER_TIMEOUT, 0, "the provider did not answer in time");
		return;
	case ECHO_GARBAGE:
		execution_fail(x, PROVIDER_FAILED, 200, "the provider's answer is not JSON");
		return;
	case ECHO_BROKEN:
	case ECHO_STALLED:
		break_off(p, x);
		return;
	case ECHO_OK:
		break;
	}
	provider_result_init(&result);
	result.outcome = PROVIDER_OK;
	result.usage = usage_of(p, x);
	emit_init(&e, &result.structured);
	emit_object(&e);
	emit_key(&e, "echo");
	emit_json(&e, x->arguments);
	emit_object_end(&e);
	emit_done(&e);
	execution_done(x, &result);
}

static void on_time(void *arg)
{
	struct echo_wait *wait = arg;
	struct echo_provider *p = wait->provider;
	struct execution *x = wait->execution;

	free(wait);
	answer(p, x);
}

static void echo_start(struct provider *base, struct execution *x)
{
	struct echo_provider *p = of(base);
	struct echo_wait *wait;
	int64_t delay_ms = p->delay_ms;

	/* Silence until the tool's time is over. */
	if (p->outcome == ECHO_STALLED) {
		x->has_begun = true;
		x->usage = usage_of(p, x);
	}
	if (p->outcome == ECHO_TIMEOUT || p->outcome == ECHO_STALLED)
		delay_ms = x->timeout_ms;
	if (!delay_ms) {
		answer(p, x);
		return;
	}
	wait = xzalloc(sizeof(*wait));
	wait->provider = p;
	wait->execution = x;
	loop_timer_init(&wait->timer, p->loop, on_time, wait);
	loop_timer_in(&wait->timer, delay_ms);
	x->state = wait;
}

static void echo_cancel(struct provider *base, struct execution *x)
{
	struct echo_wait *wait = x->state;

	(void)base;
	if (!wait)
		return;
	loop_timer_cancel(&wait->timer);
	free(wait);
	x->state = NULL;
}

static void echo_destroy(struct provider *p)
{
	free(of(p));
}

static const struct provider_kind ECHO = {
	.name = "echo",
	.start = echo_start,
	.cancel = echo_cancel,
	.destroy = echo_destroy,
};

struct echo_fields {
	const char *kind;
	int64_t delay_ms;
	const char *outcome;
	bool usage;
	json_t *byok;
};

static const struct field ECHO_FIELDS[] = {
	{"kind", FIELD_TEXT, true, offsetof(struct echo_fields, kind), FIELD_NO_SEEN},
	{"delay_ms", FIELD_I64, false, offsetof(struct echo_fields, delay_ms), FIELD_NO_SEEN},
	{"outcome", FIELD_TEXT, false, offsetof(struct echo_fields, outcome), FIELD_NO_SEEN},
	{"usage", FIELD_BOOL, false, offsetof(struct echo_fields, usage), FIELD_NO_SEEN},
	/* Changes the price only, which is not this provider's business. */
	{"byok", FIELD_JSON, false, offsetof(struct echo_fields, byok), FIELD_NO_SEEN},
};

struct provider *echo_provider_create(struct loop *loop, const json_t *config, struct err *err)
{
	static const char *const OUTCOMES[] = {"ok",      "5xx",    "4xx",    "timeout",
					       "garbage", "broken", "stalled"};
	struct echo_fields f = {.outcome = "ok"};
	struct echo_provider *p;
	size_t outcome = 0;

	if (!fields_read_strict(ECHO_FIELDS, ARRAY_LEN(ECHO_FIELDS), config, &f, err))
		return NULL;
	while (outcome < ARRAY_LEN(OUTCOMES) && strcmp(OUTCOMES[outcome], f.outcome) != 0)
		outcome++;
	if (outcome == ARRAY_LEN(OUTCOMES)) {
		err_set(err, "outcome: must be ok, 5xx, 4xx, timeout, garbage, broken or stalled");
		return NULL;
	}
	if (f.delay_ms < 0 || f.delay_ms > CALL_DEADLINE_MS) {
		err_set(err, "delay_ms: must be between 0 and %d", CALL_DEADLINE_MS);
		return NULL;
	}
	p = xzalloc(sizeof(*p));
	p->base.kind = &ECHO;
	p->loop = loop;
	p->delay_ms = f.delay_ms;
	p->outcome = (enum echo_outcome)outcome;
	p->says_usage = f.usage;
	return &p->base;
}
