#ifndef SIGNALS_ROOM_H
#define SIGNALS_ROOM_H

/*
 * What the files of this room share: the detectors' surroundings and how they are configured.
 */

#include "signals/boards.h"
#include "signals/signals.h"

struct signals_source {
	char *base_url; /* without a slash at its end */
	bool is_enabled;
};

struct signals {
	struct loop *loop;
	struct http *http;
	struct wallet *wallet;
	char *user_agent;
	bool allow_private;
	struct signals_source boards[BOARD_KINDS];
};

/* Fills boards from the configuration's "detectors"; err has a JSON pointer. */
MUST_USE bool signals_config_read(struct signals *s, const json_t *detectors, struct err *err);
void signals_config_finish(struct signals *s);
/* A contact that may stand in a header. */
bool signals_is_contact(const char *text);

/* The end of a detection: stops its detector and reports. d may be gone afterwards. */
void detection_end(struct detection *d, enum detection_outcome outcome);

#endif
