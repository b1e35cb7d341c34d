#include "signals/boards.h"

#include "base/limits.h"
#include "signals/text.h"
#include "signals/url.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

#define YEAR_10000_MS INT64_C(253402300800000)

enum reading {
	READ_OK,
	READ_NOT_OPEN, /* a post, but not an open job */
	READ_BAD,
};

struct board {
	const char *name;
	const char *base_url;
	const char *path; /* in front of the board's name */
	const char *suffix_full;
	const char *suffix_short; /* NULL: there is one listing only */
	const char *list;         /* member with the jobs; NULL: the answer is the list */
	enum reading (*read)(const json_t *job, struct posting *out);
};

static char *read_text(const json_t *value)
{
	return text_clean(edge_slice(value), SIGNAL_TEXT_BYTES_MAX);
}

static char *member_text(const json_t *object, const char *name)
{
	return read_text(json_object_get(object, name));
}

/* Ids are numbers on one board and texts on another. */
static char *read_id(const json_t *value)
{
	int64_t n;

	if (json_is_string(value))
		return read_text(value);
	return json_is_integer(value) && edge_i64(value, &n) ? xasprintf("%lld", (long long)n)
							     : xstrdup("");
}

static char *read_url(const json_t *value)
{
	struct slice s = edge_slice(value);
	char *text CLEANUP(free_charp) = NULL;
	struct url url = {0};
	char *found;

	if (s.len == 0 || memchr(s.p, '\0', s.len) != NULL)
		return NULL;
	text = xstrndup(s.p, s.len);
	if (!url_read(text, &url, NULL))
		return NULL;
	found = url.text;
	url.text = NULL;
	url_finish(&url);
	return found;
}

static bool read_time(const json_t *value, struct walltime *out)
{
	return json_is_string(value) && walltime_parse(edge_slice(value), out);
}

static enum reading read_greenhouse(const json_t *job, struct posting *out)
{
	const json_t *internal = json_object_get(job, "internal_job_id");
	const json_t *departments = json_object_get(job, "departments");

	/* A post without a job behind it collects prospects. */
	if (internal != NULL && json_is_null(internal))
		return READ_NOT_OPEN;
	out->id = read_id(json_object_get(job, "id"));
	out->title = member_text(job, "title");
	out->department = member_text(json_array_get(departments, 0), "name");
	out->location = member_text(json_object_get(job, "location"), "name");
	out->url = read_url(json_object_get(job, "absolute_url"));
	/* updated_at moves without news, so it is only the second choice. */
	out->has_at = read_time(json_object_get(job, "first_published"), &out->at) ||
		      read_time(json_object_get(job, "updated_at"), &out->at);
	return READ_OK;
}

static enum reading read_lever(const json_t *job, struct posting *out)
{
	const json_t *categories = json_object_get(job, "categories");
	int64_t created_ms;

	out->id = read_id(json_object_get(job, "id"));
	out->title = member_text(job, "text");
	out->department = member_text(categories, "department");
	if (out->department[0] == '\0') {
		free_charp(&out->department);
		out->department = member_text(categories, "team");
	}
	out->location = member_text(categories, "location");
	out->url = read_url(json_object_get(job, "hostedUrl"));
	if (edge_i64(json_object_get(job, "createdAt"), &created_ms) && created_ms > 0 &&
	    created_ms < YEAR_10000_MS) {
		out->at.ms = created_ms;
		out->has_at = true;
	}
	return READ_OK;
}

static enum reading read_ashby(const json_t *job, struct posting *out)
{
	if (json_is_false(json_object_get(job, "isListed")))
		return READ_NOT_OPEN;
	out->id = read_id(json_object_get(job, "id"));
	out->title = member_text(job, "title");
	out->department = member_text(job, "department");
	out->location = member_text(job, "location");
	out->url = read_url(json_object_get(job, "jobUrl"));
	out->has_at = read_time(json_object_get(job, "publishedAt"), &out->at);
	return READ_OK;
}

static const struct board BOARDS[BOARD_KINDS] = {
	[BOARD_GREENHOUSE] = {"greenhouse", "https://boards-api.greenhouse.io", "/v1/boards/",
			      "/jobs?content=true", "/jobs", "jobs", read_greenhouse},
	[BOARD_LEVER] = {"lever", "https://api.lever.co", "/v0/postings/", "?mode=json", NULL, NULL,
			 read_lever},
	[BOARD_ASHBY] = {"ashby", "https://api.ashbyhq.com", "/posting-api/job-board/", "", NULL,
			 "jobs", read_ashby},
};

const char *board_name(enum board_kind kind)
{
	return BOARDS[kind].name;
}

const char *board_base_url(enum board_kind kind)
{
	return BOARDS[kind].base_url;
}

bool board_has_short_listing(enum board_kind kind)
{
	return BOARDS[kind].suffix_short != NULL;
}

char *board_url(enum board_kind kind, const char *base_url, const char *board, bool is_full)
{
	const struct board *b = &BOARDS[kind];
	struct buf url = BUF_INIT;

	buf_puts(&url, base_url);
	buf_puts(&url, b->path);
	url_escape(&url, board);
	buf_puts(&url, is_full || b->suffix_short == NULL ? b->suffix_full : b->suffix_short);
	return buf_steal(&url);
}

/* Ids of other boards may be the same: the board's name goes in front. */
static enum reading read_job(const struct board *b, const json_t *job, struct postings *out)
{
	struct posting p = {0};
	enum reading reading = json_is_object(job) ? b->read(job, &p) : READ_BAD;
	char *id;

	if (reading == READ_OK && (p.id[0] == '\0' || p.title[0] == '\0'))
		reading = READ_BAD;
	if (reading != READ_OK) {
		posting_finish(&p);
		return reading;
	}
	id = xasprintf("%s:%s", b->name, p.id);
	free(p.id);
	p.id = id;
	postings_add(out, p);
	return READ_OK;
}

bool board_parse(enum board_kind kind, struct slice body, struct postings *out, struct err *err)
{
	const struct board *b = &BOARDS[kind];
	json_t *root CLEANUP(edge_decref) = edge_parse(body, err);
	const json_t *list;
	size_t good = 0;
	size_t bad = 0;

	if (root == NULL)
		return false;
	list = b->list == NULL ? root : json_object_get(root, b->list);
	if (!json_is_array(list))
		return err_set(err, "the answer has no list of jobs");
	for (size_t i = 0; i < json_array_size(list) && out->n < BOARD_POSTINGS_MAX; i++) {
		if (read_job(b, json_array_get(list, i), out) == READ_BAD)
			bad++;
		else
			good++;
	}
	/* An odd entry is left out; a list of nothing else is not a list of jobs. */
	if (bad > 0 && good == 0)
		return err_set(err, "no entry of the list of jobs can be read");
	return true;
}
