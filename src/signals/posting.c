#include "signals/posting.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

void posting_finish(struct posting *p)
{
	free(p->id);
	free(p->title);
	free(p->department);
	free(p->location);
	free(p->url);
	memset(p, 0, sizeof(*p));
}

void postings_add(struct postings *list, TAKES struct posting posting)
{
	if (list->n == list->size) {
		list->size = list->size == 0 ? 64 : list->size * 2;
		list->v = xrealloc_array(list->v, list->size, sizeof(*list->v));
	}
	list->v[list->n++] = posting;
}

void postings_move(struct postings *list, struct postings *from)
{
	for (size_t i = 0; i < from->n; i++)
		postings_add(list, from->v[i]);
	from->n = 0;
	postings_finish(from);
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(((const struct posting *)a)->id, ((const struct posting *)b)->id);
}

void postings_settle(struct postings *list)
{
	size_t n = 0;

	if (list->n == 0)
		return;
	qsort(list->v, list->n, sizeof(*list->v), compare_ids);
	for (size_t i = 0; i < list->n; i++) {
		if (n > 0 && compare_ids(&list->v[n - 1], &list->v[i]) == 0)
			posting_finish(&list->v[i]);
		else
			list->v[n++] = list->v[i];
	}
	list->n = n;
}

void postings_finish(struct postings *list)
{
	for (size_t i = 0; i < list->n; i++)
		posting_finish(&list->v[i]);
	free(list->v);
	memset(list, 0, sizeof(*list));
}

struct digest postings_digest(const struct postings *list)
{
	struct buf lines = BUF_INIT;
	struct digest digest;

	/* The texts are clean: neither separator can be in them. */
	for (size_t i = 0; i < list->n; i++) {
		const struct posting *p = &list->v[i];

		buf_printf(&lines, "%s\t%s\t%s\n", p->id, p->title, p->location);
	}
	digest = sha256(buf_text(&lines), lines.len);
	buf_finish(&lines);
	return digest;
}

void postings_marks(const struct postings *list, struct marks *out)
{
	for (size_t i = 0; i < list->n; i++)
		marks_add(out, mark_of(slice_of(list->v[i].id), 0));
	marks_settle(out);
}

static bool is_dated(const struct posting *p, struct walltime now)
{
	return p->has_at && p->at.ms <= now.ms;
}

bool postings_newest_at(const struct postings *list, struct walltime now, struct walltime *out)
{
	bool is_found = false;

	for (size_t i = 0; i < list->n; i++) {
		const struct posting *p = &list->v[i];

		if (is_dated(p, now) && (!is_found || p->at.ms > out->ms)) {
			*out = p->at;
			is_found = true;
		}
	}
	return is_found;
}

struct group {
	const char *name;
	int64_t open_jobs;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a;
	const struct group *y = b;

	if (x->open_jobs != y->open_jobs)
		return x->open_jobs < y->open_jobs ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Takes the names' array and sorts it. */
static void emit_groups(struct emit *e, const char **names, size_t n)
{
	struct group *groups = xarray(n + 1, sizeof(*groups));
	size_t count = 0;

	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++) {
		if (count == 0 || strcmp(groups[count - 1].name, names[i]) != 0)
			groups[count++] = (struct group){.name = names[i]};
		groups[count - 1].open_jobs++;
	}
	qsort(groups, count, sizeof(*groups), compare_groups);
	emit_array(e);
	for (size_t i = 0; i < count && i < SIGNAL_GROUPS_MAX; i++) {
		emit_object(e);
		emit_key_text(e, "name", groups[i].name);
		emit_key_i64(e, "open_jobs", groups[i].open_jobs);
		emit_object_end(e);
	}
	emit_array_end(e);
	free(groups);
	free(names);
}

void emit_departments(struct emit *e, const struct postings *list)
{
	const char **names = xarray(list->n + 1, sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].department[0] != '\0')
			names[n++] = list->v[i].department;
	}
	emit_groups(e, names, n);
}

void emit_locations(struct emit *e, const struct postings *list)
{
	const char **names = xarray(list->n + 1, sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i].location[0] != '\0')
			names[n++] = list->v[i].location;
	}
	emit_groups(e, names, n);
}

static bool is_newer(const struct posting *a, const struct posting *b, struct walltime now)
{
	bool a_dated = is_dated(a, now);
	bool b_dated = is_dated(b, now);

	if (a_dated != b_dated)
		return a_dated;
	if (a_dated && a->at.ms != b->at.ms)
		return a->at.ms > b->at.ms;
	return strcmp(a->title, b->title) < 0;
}

/* Keeps the best few in order; few are wanted, so a list is enough. */
static size_t pick_newest(const struct postings *list, struct walltime now,
			  const struct posting *out[SIGNAL_NEWEST_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct posting *p = &list->v[i];
		size_t at = n;

		while (at > 0 && is_newer(p, out[at - 1], now))
			at--;
		if (at == SIGNAL_NEWEST_MAX)
			continue;
		if (n < SIGNAL_NEWEST_MAX)
			n++;
		memmove(out + at + 1, out + at, (n - at - 1) * sizeof(*out));
		out[at] = p;
	}
	return n;
}

void emit_newest(struct emit *e, const struct postings *list, struct walltime now)
{
	const struct posting *newest[SIGNAL_NEWEST_MAX];
	size_t n = pick_newest(list, now, newest);

	emit_array(e);
	for (size_t i = 0; i < n; i++) {
		emit_object(e);
		emit_key_text(e, "title", newest[i]->title);
		emit_key_text(e, "url", newest[i]->url);
		emit_key(e, "at");
		if (is_dated(newest[i], now))
			emit_walltime(e, newest[i]->at);
		else
			emit_null(e);
		emit_object_end(e);
	}
	emit_array_end(e);
}
