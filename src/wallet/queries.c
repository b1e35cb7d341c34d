/*
 * Reads of the last committed state, between the batches. Each has its place in a line; a turn
 * gives steps to those in front until its time is over. Long ones of one org go a few at a time,
 * the rest of them wait beside the line: else one caller's reports would be everyone's wait.
 */

#include "wallet/internal.h"

#include "base/limits.h"
#include "base/watchdog.h"

static void append(struct query_line *line, struct wallet_query *query)
{
	query->next = NULL;
	query->prev = line->last;
	if (line->last)
		line->last->next = query;
	else
		line->first = query;
	line->last = query;
	line->count++;
}

static void take_out(struct query_line *line, struct wallet_query *query)
{
	if (query->prev)
		query->prev->next = query->next;
	else
		line->first = query->next;
	if (query->next)
		query->next->prev = query->prev;
	else
		line->last = query->prev;
	line->count--;
}

static int long_of(const struct query_line *line, struct id org)
{
	int n = 0;

	for (const struct wallet_query *q = line->first; q; q = q->next)
		n += q->is_long && id_eq(q->org, org);
	return n;
}

/* A long one has left the line: the next of its org comes in. */
static void let_in(struct wallet *w, struct id org)
{
	for (struct wallet_query *q = w->crowd.first; q; q = q->next) {
		if (!id_eq(q->org, org))
			continue;
		take_out(&w->crowd, q);
		q->waits = false;
		append(&w->queries, q);
		return;
	}
}

void wallet_query(struct wallet *w, struct wallet_query *query)
{
	CHECK(!query->is_queued);
	query->is_failed = false;
	query->is_queued = true;
	query->waits = query->is_long && long_of(&w->queries, query->org) >= QUERIES_LONG_PER_ORG;
	append(query->waits ? &w->crowd : &w->queries, query);
}

void wallet_query_cancel(struct wallet *w, struct wallet_query *query)
{
	if (!query->is_queued)
		return;
	query->is_queued = false;
	take_out(query->waits ? &w->crowd : &w->queries, query);
	if (query->is_long && !query->waits)
		let_in(w, query->org);
}

static void query_done(struct wallet *w, struct wallet_query *query)
{
	const char *name = query->name; /* it may be gone after done */

	wallet_query_cancel(w, query);
	query->done(query);
	watchdog_lap(w->config.watchdog, "the end of a query", name);
}

static void to_the_end(struct wallet *w, struct wallet_query *query)
{
	take_out(&w->queries, query);
	append(&w->queries, query);
}

/* A done may cancel, free and add others, so nothing is kept across it. Where one had to wait for
 * another program in vain the others have their turns to come: each may wait as long. */
bool queries_run(struct wallet *w)
{
	struct boottime began = clock_boot();
	enum db_status status = DB_OK;

	for (size_t n = w->queries.count; n && w->queries.first && status != DB_BUSY; n--) {
		struct wallet_query *query = w->queries.first;
		bool is_done = query->step(query, w->db);

		status = db_flush(w->db);
		watchdog_lap(w->config.watchdog, "a step of a query", query->name);
		if (status != DB_OK)
			query->is_failed = is_done = true;
		if (is_done)
			query_done(w, query);
		else
			to_the_end(w, query);
		if (clock_boot().ms - began.ms >= QUERY_MS_PER_TURN)
			break;
	}
	return w->queries.first != NULL;
}

void queries_fail(struct wallet *w, bool all)
{
	struct boottime now = clock_boot();

	for (size_t n = w->queries.count; n && w->queries.first; n--) {
		struct wallet_query *query = w->queries.first;

		if (!all && query->deadline.ms > now.ms) {
			to_the_end(w, query);
			continue;
		}
		query->is_failed = true;
		query_done(w, query);
	}
}

void queries_fail_all(struct wallet *w)
{
	while (w->queries.first)
		queries_fail(w, true);
}
