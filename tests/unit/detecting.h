#ifndef DETECTING_H
#define DETECTING_H

/* Detectors over a real loop and store, looking at fake-company. */

#include "signals/signals.h"
#include "signals/signals_store.h"

#include "unit.h"

/* fake-company as a child, and everything that a detector needs, on a loop of its own. */
struct world {
	pid_t child;
	int to_child;
	int port;
	struct loop *loop;
	struct loop_timer retry;
	struct loop_timer alarm;
	struct http *http;
	struct wallet *wallet;
	struct signals *signals;
	struct id org;
	struct buf answer; /* of the last control request */
	bool is_done;
};

void world_init(struct world *w);
void world_finish(struct world *w);
/* Runs the loop until world_done. */
void world_run(struct world *w);
void world_done(struct world *w);
/* The detectors' room, configured for the fake; the caller destroys it. */
struct signals *world_signals(struct world *w, bool allow_private);
/* Tells the fake something; its answer stays in w->answer. */
const char *world_control(struct world *w, const char *what);
/* Makes the fake serve a text at a path. */
void world_serve(struct world *w, const char *path, const char *type, struct slice text);
/* What a settlement does: the riders in one transaction. */
void world_settle(struct world *w, TAKES struct rider *riders);

/* One look; company is JSON with @ in the place of the fake's address. */
struct probe {
	struct detection d;
	json_t *company;
	json_t *result; /* NULL without one */
	const json_t *signal;
	const json_t *evidence;
};

void probe_start(struct world *w, struct probe *probe, const struct detector *detector,
		 const char *company, int64_t timeout_ms);
/* Runs to the end, checks what is true of every end and settles. */
enum detection_outcome probe_end(struct world *w, struct probe *probe);
/* Both of the above. */
enum detection_outcome probe_at(struct world *w, struct probe *probe,
				const struct detector *detector, const char *company);
void probe_finish(struct probe *probe);
/* The outcome alone. */
enum detection_outcome probe_outcome(struct world *w, const struct detector *detector,
				     const char *company);

int64_t evidence_number(const json_t *object, const char *key);
const char *json_text_at(const json_t *object, const char *pointer);
size_t count_of_text(const char *text, const char *part);

#define HIRING &DETECTOR_HIRING
#define SITE   &DETECTOR_WEBSITE_CHANGE
#define NAMED  "{\"boards\":{\"greenhouse\":\"tidewater\"}}"
#define HOME   "{\"url\":\"http://@/\"}"

#endif
