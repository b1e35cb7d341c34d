#ifndef SIGNALS_POSTING_H
#define SIGNALS_POSTING_H

/*
 * Open jobs as a board lists them, in one form whatever the board, and what can be said of a list
 * of them.
 */

#include "base/clock.h"
#include "base/digest.h"
#include "signals/marks.h"
#include "json/emit.h"

struct posting {
	char *id;
	char *title;
	char *department;   /* "" when not said */
	char *location;     /* "" when not said */
	char *url;          /* NULL when there is none */
	struct walltime at; /* when it was published */
	bool has_at;
};

/* Zeroed memory is an empty list. */
struct postings {
	struct posting *v;
	size_t n;
	size_t size;
};

void postings_add(struct postings *list, TAKES struct posting posting);
/* Moves all of `from` behind those of `list`. */
void postings_move(struct postings *list, struct postings *from);
/* Sorts by id and drops what is there twice. */
void postings_settle(struct postings *list);
void postings_finish(struct postings *list);
void posting_finish(struct posting *p);

/* Over ids, titles and locations of a settled list: boards touch their dates without a change. */
struct digest postings_digest(const struct postings *list);
void postings_marks(const struct postings *list, struct marks *out);
/* The newest publication that is not after now; false when none is dated. */
bool postings_newest_at(const struct postings *list, struct walltime now, struct walltime *out);

/* [{"name":...,"open_jobs":...}], the largest first, at most SIGNAL_GROUPS_MAX. */
void emit_departments(struct emit *e, const struct postings *list);
void emit_locations(struct emit *e, const struct postings *list);
/* [{"title":...,"url":...,"at":...}], the newest first, at most SIGNAL_NEWEST_MAX. */
void emit_newest(struct emit *e, const struct postings *list, struct walltime now);

#endif
