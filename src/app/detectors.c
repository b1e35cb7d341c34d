#include "app/detectors.h"

#include "providers/local.h"

#include <stdlib.h>

struct adapter {
	struct signals *signals;
	const struct detector *detector;
};

struct run {
	struct detection detection;
	struct execution *execution;
};

static enum provider_outcome outcome_of(enum detection_outcome outcome)
{
	switch (outcome) {
	case DETECTION_OK:
		return PROVIDER_OK;
	case DETECTION_FREE:
		return PROVIDER_OK_FREE;
	case DETECTION_NO_SOURCE:
	case DETECTION_BAD_INPUT:
		return PROVIDER_REJECTED;
	case DETECTION_FAILED:
		return PROVIDER_FAILED;
	case DETECTION_TIMEOUT:
		return PROVIDER_TIMEOUT;
	}
	die("detection outcome %d", (int)outcome);
}

static void on_detected(struct detection *d)
{
	struct run *run = container_of(d, struct run, detection);
	struct execution *x = run->execution;
	struct provider_result result;

	provider_result_init(&result);
	result.outcome = outcome_of(d->outcome);
	result.structured = d->result;
	d->result = (struct buf)BUF_INIT;
	result.status = d->status;
	result.retry_after_s = d->retry_after_s;
	result.err = d->err;
	result.riders = d->riders;
	d->riders = NULL;
	detection_finish(d);
	free(run);
	execution_done(x, &result);
}

static void start(void *arg, struct execution *x)
{
	struct adapter *a = arg;
	struct run *run = xzalloc(sizeof(*run));
	struct detection *d = &run->detection;

	run->execution = x;
	d->detector = a->detector;
	d->org = x->caller.org;
	d->company = json_object_get(x->arguments, "company");
	d->timeout_ms = x->timeout_ms;
	d->done = on_detected;
	x->state = run;
	signals_start(a->signals, d);
}

static void cancel(void *arg, struct execution *x)
{
	struct run *run = x->state;

	(void)arg;
	signals_cancel(&run->detection);
	detection_finish(&run->detection);
	free(run);
	x->state = NULL;
}

struct provider *detector_provider_create(struct signals *signals, const struct detector *detector)
{
	struct adapter *a = xzalloc(sizeof(*a));

	a->signals = signals;
	a->detector = detector;
	return local_provider_create(start, cancel, free, a);
}
