#ifndef SIGNALS_SCORE_H
#define SIGNALS_SCORE_H

/*
 * How strong a signal is and how sure we are, in hundredths (0 to 100) and by integers only, and
 * the one place where a signal becomes JSON.
 */

#include "base/clock.h"
#include "base/digest.h"
#include "json/emit.h"

/* Grows with the open jobs and with what was added since the last run (0 for a first run). */
int score_hiring(size_t open_jobs, size_t added);

/* How the board was found. */
enum board_trust {
	BOARD_NAMED,             /* by the caller */
	BOARD_GUESSED_BY_DOMAIN, /* acme.com -> acme */
	BOARD_GUESSED_BY_NAME,
};

/* is_partial: a source that was asked for did not answer. */
int confidence_hiring(enum board_trust trust, bool is_partial);

/* What changed on a site. */
struct site_change {
	size_t changed_blocks; /* on the page now and not before */
	size_t removed_blocks;
	size_t total_blocks; /* on the page now */
	size_t new_urls;
	int notable; /* sum of url_notability over the topics that are new */
};

int score_website(const struct site_change *change);
int confidence_website(const struct site_change *change);

/* What a new path tells: "careers", "pricing", ..., or NULL; out_points is its weight. */
const char *url_topic(const char *path, int *out_points);

/* A signal. Numbers are hundredths; fingerprint is hex text; evidence is JSON. */
struct signal {
	const char *type;
	int strength;
	int confidence;
	bool has_event_at;
	struct walltime event_at;
	struct walltime detected_at;
	const char *source_url;
	struct slice evidence;
	const char *fingerprint;
};

void emit_signal(struct emit *e, const struct signal *s);
/* {"signals":[...],"unchanged":...}; signal NULL for none. */
void emit_signals(struct buf *out, const struct signal *signal, bool is_unchanged);

#endif
