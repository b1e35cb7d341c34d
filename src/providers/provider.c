#include "providers/provider.h"

#include "base/limits.h"
#include "base/strike.h"
#include "base/vault.h"

#include <stdio.h>
#include <string.h>

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

static void cut(struct buf *b, size_t len)
{
	if (len == b->len)
		return;
	b->len = len;
	b->p[len] = '\0';
}

void provider_result_strike(struct provider_result *r, const char *secret)
{
	struct strike s = {.count = 0};
	size_t len = strlen(r->err.text);

	strike_add(&s, secret, strlen(secret));
	cut(&r->structured, strike_json(&s, r->structured.p, r->structured.len));
	cut(&r->content, strike_json(&s, r->content.p, r->content.len));
	r->err.text[strike_text(&s, r->err.text, len)] = '\0';
	strike_finish(&s);
}

/* An API that repeats the request in its answer must not hand our keys to the caller, nor to the
 * store that keeps answers. */
static void strike_known(struct provider_result *r)
{
	cut(&r->structured, vault_strike_json(r->structured.p, r->structured.len));
	cut(&r->content, vault_strike_json(r->content.p, r->content.len));
	vault_strike(r->err.text);
}

void execution_done(struct execution *x, struct provider_result *result)
{
	strike_known(result);
	if (x->own_key)
		provider_result_strike(result, x->own_key);
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
