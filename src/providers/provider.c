#include "providers/provider.h"

#include "base/limits.h"

#include <stdio.h>

void provider_result_init(struct provider_result *r)
{
	*r = (struct provider_result){
		.outcome = PROVIDER_FAILED, .retry_after_s = -1, .output_bytes = -1};
}

void provider_result_finish(struct provider_result *r)
{
	buf_finish(&r->structured);
	buf_finish(&r->content);
	while (r->riders) {
		struct rider *rider = r->riders;

		r->riders = rider->next;
		rider->next = NULL;
		if (rider->destroy)
			rider->destroy(rider);
	}
}

void provider_start(struct provider *p, struct execution *x)
{
	p->kind->start(p, x);
}

void provider_cancel(struct provider *p, struct execution *x)
{
	p->kind->cancel(p, x);
}

void provider_destroy(struct provider *p)
{
	if (p)
		p->kind->destroy(p);
}

void execution_done(struct execution *x, struct provider_result *result)
{
	x->state = NULL;
	x->done(x, result);
}

void execution_fail(struct execution *x, enum provider_outcome outcome, int status,
		    const char *text)
{
	struct provider_result result;

	provider_result_init(&result);
	result.outcome = outcome;
	result.status = status;
	err_set(&result.err, "%s", text);
	execution_done(x, &result);
}

void execution_refuse(struct execution *x, const char *field, const char *text)
{
	struct provider_result result;

	provider_result_init(&result);
	result.outcome = PROVIDER_INVALID;
	(void)snprintf(result.field, sizeof(result.field), "%s", field);
	err_set(&result.err, "%s", text);
	execution_done(x, &result);
}

int64_t execution_time_ms(const struct execution *x)
{
	int64_t kept_ms = x->timeout_ms / 10 < PROVIDER_KEPT_BACK_MS ? x->timeout_ms / 10
								     : PROVIDER_KEPT_BACK_MS;

	return x->timeout_ms - kept_ms;
}
