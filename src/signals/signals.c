#include "signals/signals.h"

#include "signals/room.h"

#include <stdlib.h>

enum {
	/* An answer must be ready a little before the caller gives up on it. */
	MARGIN_MS_MAX = 250,
	MARGIN_PART = 10,
};

const struct detector *const DETECTORS[] = {
	&DETECTOR_HIRING,
	&DETECTOR_WEBSITE_CHANGE,
	NULL,
};

bool signals_is_contact(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

struct signals *signals_create(struct loop *loop, struct http *http, struct wallet *wallet,
			       const struct signals_config *config, struct err *err)
{
	struct signals *s = xzalloc(sizeof(*s));

	s->loop = loop;
	s->http = http;
	s->wallet = wallet;
	s->allow_private = config->allow_private;
	if (config->contact != NULL && !signals_is_contact(config->contact)) {
		err_set(err, "/network/contact: must not have control characters");
		signals_destroy(s);
		return NULL;
	}
	if (config->contact != NULL && config->contact[0] != '\0')
		s->user_agent = xasprintf("farebox/%s (+%s)", FAREBOX_VERSION, config->contact);
	else
		s->user_agent = xasprintf("farebox/%s", FAREBOX_VERSION);
	if (!signals_config_read(s, config->detectors, err)) {
		signals_destroy(s);
		return NULL;
	}
	return s;
}

void signals_destroy(struct signals *s)
{
	if (s == NULL)
		return;
	signals_config_finish(s);
	free(s->user_agent);
	free(s);
}

void signals_start(struct signals *s, struct detection *d)
{
	int64_t margin_ms = d->timeout_ms / MARGIN_PART;

	if (margin_ms > MARGIN_MS_MAX)
		margin_ms = MARGIN_MS_MAX;
	d->outcome = DETECTION_FAILED;
	d->result = (struct buf)BUF_INIT;
	d->signals_count = 0;
	d->is_unchanged = false;
	d->status = 0;
	d->retry_after_s = -1;
	d->err = (struct err)ERR_INIT;
	d->riders = NULL;
	d->signals = s;
	d->deadline = boottime_after(clock_boot(), d->timeout_ms - margin_ms);
	d->state = NULL;
	d->detector->start(d);
}

void signals_cancel(struct detection *d)
{
	d->detector->stop(d);
}

void detection_end(struct detection *d, enum detection_outcome outcome)
{
	d->outcome = outcome;
	d->detector->stop(d);
	d->done(d);
}

void detection_finish(struct detection *d)
{
	while (d->riders != NULL) {
		struct rider *rider = d->riders;

		d->riders = rider->next;
		if (rider->destroy != NULL)
			rider->destroy(rider);
	}
	buf_finish(&d->result);
}
