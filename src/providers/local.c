#include "providers/local.h"

#include <stdlib.h>

struct local_provider {
	struct provider base;
	local_start_fn *start;
	local_cancel_fn *cancel;
	local_destroy_fn *destroy;
	void *arg;
};

static struct local_provider *of(struct provider *p)
{
	return container_of(p, struct local_provider, base);
}

static void local_start(struct provider *p, struct execution *x)
{
	of(p)->start(of(p)->arg, x);
}

static void local_cancel(struct provider *p, struct execution *x)
{
	of(p)->cancel(of(p)->arg, x);
}

static void local_destroy(struct provider *p)
{
	of(p)->destroy(of(p)->arg);
	free(of(p));
}

static const struct provider_kind LOCAL = {
	.name = "local",
	.start = local_start,
	.cancel = local_cancel,
	.destroy = local_destroy,
};

struct provider *local_provider_create(local_start_fn *start, local_cancel_fn *cancel,
				       local_destroy_fn *destroy, TAKES void *arg)
{
	struct local_provider *p = xzalloc(sizeof(*p));

	p->base.kind = &LOCAL;
	p->start = start;
	p->cancel = cancel;
	p->destroy = destroy;
	p->arg = arg;
	return &p->base;
}
