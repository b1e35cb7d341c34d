/*
 * The hiring detector: how many jobs a company has open on its public boards, and how that has
 * changed. Boards that the caller names are all asked and their jobs are added up. Without a name
 * all sources are asked for the one that the company's domain or name suggests, and the first in
 * their order that has jobs is believed. A source that fails does not spoil the answer of another:
 * what it had last time is kept for the comparison.
 */

#include "signals/look.h"

#include "base/limits.h"
#include "signals/fetch.h"
#include "signals/score.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* Once a guess has an answer, those before it in the order get this much longer. */
	GRACE_MS = 2000,
};

enum source_state {
	SOURCE_WAITING,
	SOURCE_KNOWN,   /* has a board of that name */
	SOURCE_UNKNOWN, /* says that it has none */
	SOURCE_FAILED,
};

/* What is kept of a board between runs. */
struct board_memory {
	char digest[DIGEST_TEXT_SIZE]; /* "" for none */
	struct marks marks;
};

struct source {
	struct hiring *hiring;
	enum board_kind kind;
	char *label; /* greenhouse:acme */
	const char *board;
	bool is_short; /* the full listing was too large */
	struct fetch fetch;
	enum source_state state;
	enum fetch_outcome failure;
	struct postings found;
	struct board_memory last;
	struct board_memory now;
	bool is_used;
};

struct hiring {
	struct look look;
	struct source sources[BOARD_KINDS];
	size_t n;
	bool is_guess;
	struct loop_timer grace;
};

static void on_fetched(struct fetch *f, enum fetch_outcome outcome,
		       const struct http_response *response);

static void ask(struct source *s)
{
	struct signals *signals = s->hiring->look.d->signals;
	char *url CLEANUP(free_charp) = board_url(s->kind, signals->boards[s->kind].base_url,
						  s->board, !s->is_short);

	fetch_start(&s->fetch, url);
}

static void add_source(struct hiring *h, enum board_kind kind, const char *board)
{
	struct signals *signals = h->look.d->signals;
	struct source *s = &h->sources[h->n];

	if (board == NULL || !signals->boards[kind].is_enabled)
		return;
	h->n++;
	s->hiring = h;
	s->kind = kind;
	s->board = board;
	s->label = xasprintf("%s:%s", board_name(kind), board);
	s->fetch = (struct fetch){
		.signals = signals,
		.deadline = h->look.d->deadline,
		.accept = "application/json",
		.body_bytes_max = BOARD_BYTES_MAX,
		.done = on_fetched,
		.arg = s,
	};
}

static void read_memory(struct hiring *h)
{
	json_t *root CLEANUP(edge_decref) = NULL;
	const json_t *sources;

	if (h->look.last.snapshot == NULL)
		return;
	/* What cannot be read is as good as nothing: this is a first look then. */
	root = edge_parse(slice_of(h->look.last.snapshot), NULL);
	sources = json_object_get(root, "sources");
	for (size_t i = 0; i < h->n; i++) {
		struct source *s = &h->sources[i];
		const json_t *memory = json_object_get(sources, s->label);
		struct slice digest = edge_slice(json_object_get(memory, "digest"));

		if (digest.len != DIGEST_TEXT_SIZE - 1 ||
		    !marks_read(edge_slice(json_object_get(memory, "marks")), &s->last.marks))
			continue;
		memcpy(s->last.digest, digest.p, digest.len);
	}
}

static void write_memory(const struct hiring *h, struct buf *out)
{
	struct emit e;
	struct buf marks = BUF_INIT;

	emit_init(&e, out);
	emit_object(&e);
	emit_key(&e, "sources");
	emit_object(&e);
	for (size_t i = 0; i < h->n; i++) {
		const struct source *s = &h->sources[i];
		const struct board_memory *m = s->is_used ? &s->now : &s->last;

		if (m->digest[0] == '\0' || (!s->is_used && s->state != SOURCE_FAILED))
			continue;
		buf_clear(&marks);
		marks_write(&m->marks, &marks);
		emit_key_slice(&e, slice_of(s->label));
		emit_object(&e);
		emit_key_text(&e, "digest", m->digest);
		emit_key_text(&e, "marks", buf_text(&marks));
		emit_object_end(&e);
	}
	emit_object_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	buf_finish(&marks);
}

/* One board: its digest. Several: over all of them, with what failed as it was last. */
static void make_fingerprint(const struct hiring *h, char out[DIGEST_TEXT_SIZE])
{
	struct buf lines = BUF_INIT;
	struct digest digest;
	size_t count = 0;

	for (size_t i = 0; i < h->n; i++) {
		const struct source *s = &h->sources[i];
		const struct board_memory *m = s->is_used ? &s->now : &s->last;

		if (m->digest[0] == '\0' || (!s->is_used && s->state != SOURCE_FAILED))
			continue;
		memcpy(out, m->digest, DIGEST_TEXT_SIZE);
		buf_printf(&lines, "%s %s\n", s->label, m->digest);
		count++;
	}
	if (count != 1) {
		digest = sha256(buf_text(&lines), lines.len);
		digest_text(&digest, out);
	}
	buf_finish(&lines);
}

/* What the boards that answered come to. */
struct summary {
	struct postings all;
	size_t added;
	size_t removed;
	bool has_last;
	bool is_partial;
	const char *source_url;
	struct walltime now;
	char fingerprint[DIGEST_TEXT_SIZE];
};

static void summarise(struct hiring *h, struct summary *sum)
{
	for (size_t i = 0; i < h->n; i++) {
		struct source *s = &h->sources[i];
		struct digest digest;

		/* In a guess only one board counts, so the others' trouble does not. */
		sum->is_partial |= !h->is_guess && s->state == SOURCE_FAILED;
		if (!s->is_used)
			continue;
		digest = postings_digest(&s->found);
		digest_text(&digest, s->now.digest);
		postings_marks(&s->found, &s->now.marks);
		if (s->last.digest[0] != '\0') {
			sum->has_last = true;
			sum->added += marks_count_new(&s->last.marks, &s->now.marks);
			sum->removed += marks_count_new(&s->now.marks, &s->last.marks);
		}
		if (sum->source_url == NULL || (sum->all.n == 0 && s->found.n > 0))
			sum->source_url = s->fetch.url;
		postings_move(&sum->all, &s->found);
	}
	make_fingerprint(h, sum->fingerprint);
}

static void write_evidence(const struct summary *sum, struct buf *out)
{
	struct emit e;

	emit_init(&e, out);
	emit_object(&e);
	emit_key_i64(&e, "open_jobs", (int64_t)sum->all.n);
	emit_key(&e, "departments");
	emit_departments(&e, &sum->all);
	emit_key(&e, "locations");
	emit_locations(&e, &sum->all);
	emit_key(&e, "newest");
	emit_newest(&e, &sum->all, sum->now);
	if (sum->has_last) {
		emit_key_i64(&e, "added", (int64_t)sum->added);
		emit_key_i64(&e, "removed", (int64_t)sum->removed);
	}
	emit_object_end(&e);
	emit_done(&e);
}

static void write_result(const struct hiring *h, const struct summary *sum)
{
	struct detection *d = h->look.d;
	enum board_trust trust = h->is_guess ? h->look.company.trust : BOARD_NAMED;
	struct buf evidence = BUF_INIT;
	struct signal signal = {
		.type = "hiring",
		.strength = score_hiring(sum->all.n, sum->added),
		.confidence = confidence_hiring(trust, sum->is_partial),
		.detected_at = sum->now,
		.source_url = sum->source_url,
		.fingerprint = sum->fingerprint,
	};

	write_evidence(sum, &evidence);
	signal.evidence = buf_slice(&evidence);
	signal.has_event_at = postings_newest_at(&sum->all, sum->now, &signal.event_at);
	d->signals_count = sum->all.n > 0 ? 1 : 0;
	emit_signals(&d->result, d->signals_count > 0 ? &signal : NULL, d->is_unchanged);
	buf_finish(&evidence);
}

static void answer(struct hiring *h)
{
	struct detection *d = h->look.d;
	struct summary sum = {.now = clock_wall()};
	struct buf memory = BUF_INIT;

	summarise(h, &sum);
	d->is_unchanged = h->look.last.fingerprint != NULL &&
			  strcmp(h->look.last.fingerprint, sum.fingerprint) == 0;
	write_result(h, &sum);
	if (!d->is_unchanged) {
		write_memory(h, &memory);
		look_remember(&h->look, sum.fingerprint, buf_slice(&memory), sum.now);
		buf_finish(&memory);
	}
	postings_finish(&sum.all);
	detection_end(d, d->is_unchanged ? DETECTION_FREE : DETECTION_OK);
}

/* Nobody has an answer: the first failure says why, else nobody knows the company. */
static void give_up(struct hiring *h)
{
	struct detection *d = h->look.d;

	for (size_t i = 0; i < h->n; i++) {
		const struct source *s = &h->sources[i];

		if (s->state != SOURCE_FAILED)
			continue;
		d->status = s->fetch.status;
		d->retry_after_s = s->fetch.retry_after_s;
		d->err = s->fetch.err;
		err_prefix(&d->err, "%s", board_name(s->kind));
		detection_end(d,
			      s->failure == FETCH_TIMEOUT ? DETECTION_TIMEOUT : DETECTION_FAILED);
		return;
	}
	d->status = h->sources[0].fetch.status;
	err_set(&d->err, "no job board knows %s", h->sources[0].board);
	detection_end(d, DETECTION_NO_SOURCE);
}

static bool has_jobs(const struct source *s)
{
	return s->state == SOURCE_KNOWN && s->found.n > 0;
}

/* The board to believe in a guess; NULL when there is none (yet: *out_waits). One without jobs is
 * believed only when nobody has any: companies leave empty boards behind when they move. */
static struct source *pick_guess(struct hiring *h, bool *out_waits)
{
	struct source *empty = NULL;

	*out_waits = false;
	for (size_t i = 0; i < h->n; i++) {
		struct source *s = &h->sources[i];

		if (s->state == SOURCE_WAITING) {
			*out_waits = true;
			return NULL;
		}
		if (has_jobs(s))
			return s;
		if (s->state == SOURCE_KNOWN && empty == NULL)
			empty = s;
	}
	return empty;
}

static void consider_guess(struct hiring *h)
{
	bool waits;
	struct source *best = pick_guess(h, &waits);

	for (size_t i = 0; waits && i < h->n; i++) {
		if (has_jobs(&h->sources[i]) && !loop_timer_is_set(&h->grace))
			loop_timer_in(&h->grace, GRACE_MS);
	}
	if (waits)
		return;
	if (best == NULL) {
		give_up(h);
		return;
	}
	best->is_used = true;
	answer(h);
}

/* Somebody has an answer: those who have not must not use up the caller's time. */
static void on_grace(void *arg)
{
	struct hiring *h = arg;

	for (size_t i = 0; i < h->n; i++) {
		struct source *s = &h->sources[i];

		if (s->state != SOURCE_WAITING)
			continue;
		fetch_finish(&s->fetch);
		s->failure = FETCH_TIMEOUT;
		s->state = SOURCE_FAILED;
	}
	consider_guess(h);
}

static void consider(struct hiring *h)
{
	bool is_any_known = false;

	if (h->is_guess) {
		consider_guess(h);
		return;
	}
	for (size_t i = 0; i < h->n; i++) {
		if (h->sources[i].state == SOURCE_WAITING)
			return;
		h->sources[i].is_used = h->sources[i].state == SOURCE_KNOWN;
		is_any_known |= h->sources[i].is_used;
	}
	if (is_any_known)
		answer(h);
	else
		give_up(h);
}

static void read_answer(struct source *s, const struct http_response *response)
{
	struct err err = ERR_INIT;

	if (board_parse(s->kind, response->body, &s->found, &err)) {
		postings_settle(&s->found);
		s->state = SOURCE_KNOWN;
		return;
	}
	err_set(&s->fetch.err, "%s: %s", s->fetch.url, err.text);
	s->failure = FETCH_FAILED;
	s->state = SOURCE_FAILED;
}

static void on_fetched(struct fetch *f, enum fetch_outcome outcome,
		       const struct http_response *response)
{
	struct source *s = f->arg;

	switch (outcome) {
	case FETCH_OK:
		read_answer(s, response);
		break;
	case FETCH_MISSING:
		/* A status says that there is no such board; no such host is a failure. */
		s->state = response != NULL ? SOURCE_UNKNOWN : SOURCE_FAILED;
		s->failure = outcome;
		break;
	case FETCH_TOO_LARGE:
		if (board_has_short_listing(s->kind) && !s->is_short) {
			s->is_short = true;
			ask(s);
			return;
		}
		s->state = SOURCE_FAILED;
		s->failure = outcome;
		break;
	case FETCH_NOT_MODIFIED:
	case FETCH_REFUSED:
	case FETCH_TIMEOUT:
	case FETCH_FAILED:
		s->state = SOURCE_FAILED;
		s->failure = outcome;
		break;
	}
	consider(s->hiring);
}

static void go(struct look *look)
{
	struct hiring *h = container_of(look, struct hiring, look);

	read_memory(h);
	for (size_t i = 0; i < h->n; i++)
		ask(&h->sources[i]);
}

static void plan(struct hiring *h)
{
	const struct company *c = &h->look.company;

	h->is_guess = !c->has_boards;
	for (int kind = 0; kind < BOARD_KINDS; kind++)
		add_source(h, kind, h->is_guess ? c->slug : c->boards[kind]);
}

static void hiring_start(struct detection *d)
{
	struct hiring *h = xzalloc(sizeof(*h));
	const struct company *c = &h->look.company;

	d->state = h;
	loop_timer_init(&h->grace, d->signals->loop, on_grace, h);
	if (!look_begin(&h->look, d))
		return;
	if (!c->has_boards && c->slug == NULL) {
		err_set(&d->err, "/company: needs boards, a domain, or a name to guess from");
		look_end_later(&h->look, DETECTION_BAD_INPUT);
		return;
	}
	plan(h);
	if (h->n == 0) {
		err_set(&d->err, "the source is switched off in the configuration");
		look_end_later(&h->look, DETECTION_NO_SOURCE);
		return;
	}
	look_recall(&h->look, c->key, go);
}

static void hiring_stop(struct detection *d)
{
	struct hiring *h = d->state;

	if (h == NULL)
		return;
	for (size_t i = 0; i < h->n; i++) {
		struct source *s = &h->sources[i];

		fetch_finish(&s->fetch);
		postings_finish(&s->found);
		marks_finish(&s->last.marks);
		marks_finish(&s->now.marks);
		free(s->label);
	}
	loop_timer_cancel(&h->grace);
	look_finish(&h->look);
	free(h);
	d->state = NULL;
}

const struct detector DETECTOR_HIRING = {
	.name = "hiring",
	.tool = "detect_hiring",
	.start = hiring_start,
	.stop = hiring_stop,
};
