/*
 * The website detector: what has changed on a company's home page and in its sitemap since the
 * last look. It asks for the page, then for the sitemap (robots.txt says where, once), both
 * conditionally; of a sitemap that lists others it reads a few. Trouble with the sitemap never
 * spoils the answer: what was known of it stays for the next comparison.
 */

#include "signals/look.h"

#include "base/limits.h"
#include "signals/fetch.h"
#include "signals/html.h"
#include "signals/score.h"
#include "signals/site.h"

#include <stdlib.h>
#include <string.h>

enum step {
	STEP_PAGE,
	STEP_ROBOTS,
	STEP_SITEMAP,
	STEP_CHILD,
};

struct website {
	struct look look;
	char *key;
	char *base; /* where the home page was found, after redirects */
	enum step step;
	struct fetch fetch;
	struct site last;
	bool has_last;
	struct site now;
	bool is_page_known; /* not modified: now's page is last's */
	struct sitemap map;
	bool has_map; /* read in this run, whole */
	struct buf map_files;
	char *children[SITEMAP_CHILDREN_MAX];
	size_t child;
	size_t children_count;
};

static void judge(struct website *w);

static void get(struct website *w, enum step step, const char *url)
{
	static const char html[] = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1";
	static const char xml[] = "application/xml,text/xml;q=0.9,*/*;q=0.5";
	struct fetch *f = &w->fetch;

	w->step = step;
	f->etag = NULL;
	f->last_modified = NULL;
	switch (step) {
	case STEP_PAGE:
		f->accept = html;
		f->body_bytes_max = PAGE_BYTES_MAX;
		f->etag = w->last.etag;
		f->last_modified = w->last.last_modified;
		break;
	case STEP_ROBOTS:
		f->accept = "text/plain,*/*;q=0.5";
		f->body_bytes_max = ROBOTS_BYTES_MAX;
		break;
	case STEP_SITEMAP:
		f->accept = xml;
		f->body_bytes_max = SITEMAP_BYTES_MAX;
		f->etag = w->last.sitemap_etag;
		f->last_modified = w->last.sitemap_last_modified;
		break;
	case STEP_CHILD:
		f->accept = xml;
		f->body_bytes_max = SITEMAP_BYTES_MAX;
		break;
	}
	fetch_start(f, url);
}

static char *copy(const char *text)
{
	return text == NULL ? NULL : xstrdup(text);
}

static void copy_marks(struct marks *to, const struct marks *from)
{
	for (size_t i = 0; i < from->n; i++)
		marks_add(to, from->v[i]);
	to->is_cut = from->is_cut;
}

/* Ends without an answer. */
static void fail(struct website *w, enum detection_outcome outcome)
{
	struct detection *d = w->look.d;

	d->status = w->fetch.status;
	d->retry_after_s = w->fetch.retry_after_s;
	err_set(&d->err, "%s", w->fetch.err.text);
	detection_end(d, outcome);
}

static bool is_page_type(const char *content_type)
{
	return content_type[0] == '\0' || strncasecmp(content_type, "text/", 5) == 0 ||
	       strcasestr(content_type, "html") != NULL || strcasestr(content_type, "xml") != NULL;
}

static bool read_page(struct website *w, const struct http_response *r)
{
	struct buf text = BUF_INIT;
	bool is_page = is_page_type(r->content_type) && html_text(r->body, r->content_type, &text);

	if (is_page) {
		site_set_page(&w->now, (struct slice){buf_text(&text), text.len});
		w->now.etag = fetch_validator(r, "ETag");
		w->now.last_modified = fetch_validator(r, "Last-Modified");
	} else {
		err_set(&w->fetch.err, "%s is not a web page", w->fetch.url);
	}
	buf_finish(&text);
	return is_page;
}

static void keep_page(struct website *w)
{
	w->is_page_known = true;
	w->now.etag = copy(w->last.etag);
	w->now.last_modified = copy(w->last.last_modified);
	memcpy(w->now.page, w->last.page, sizeof(w->now.page));
	copy_marks(&w->now.blocks, &w->last.blocks);
}

static void after_page(struct website *w, const struct http_response *r)
{
	char *robots CLEANUP(free_charp) = NULL;

	if (w->last.sitemap_url != NULL) {
		get(w, STEP_SITEMAP, w->last.sitemap_url);
		return;
	}
	w->base = copy(r->effective_url[0] != '\0' ? r->effective_url : w->now.url);
	robots = url_join(w->base, slice_of("/robots.txt"));
	if (robots == NULL)
		judge(w);
	else
		get(w, STEP_ROBOTS, robots);
}

static void on_page(struct website *w, enum fetch_outcome outcome, const struct http_response *r)
{
	switch (outcome) {
	case FETCH_OK:
		if (read_page(w, r))
			after_page(w, r);
		else
			fail(w, DETECTION_FAILED);
		break;
	case FETCH_NOT_MODIFIED:
		keep_page(w);
		after_page(w, r);
		break;
	case FETCH_MISSING:
		fail(w, DETECTION_NO_SOURCE);
		break;
	case FETCH_REFUSED:
		fail(w, DETECTION_BAD_INPUT);
		break;
	case FETCH_TIMEOUT:
		fail(w, DETECTION_TIMEOUT);
		break;
	case FETCH_TOO_LARGE:
	case FETCH_FAILED:
		fail(w, DETECTION_FAILED);
		break;
	}
}

/* The sitemap as it was known, for want of a better one. */
static void keep_sitemap(struct website *w)
{
	w->has_map = false;
	w->now.sitemap_url = copy(w->last.sitemap_url);
	w->now.sitemap_etag = copy(w->last.sitemap_etag);
	w->now.sitemap_last_modified = copy(w->last.sitemap_last_modified);
	memcpy(w->now.sitemap, w->last.sitemap, sizeof(w->now.sitemap));
	copy_marks(&w->now.urls, &w->last.urls);
}

static void on_robots(struct website *w, enum fetch_outcome outcome, const struct http_response *r)
{
	char *url CLEANUP(free_charp) = NULL;

	if (outcome == FETCH_OK)
		url = robots_sitemap(r->body, r->effective_url);
	if (url == NULL)
		url = url_join(w->base, slice_of("/sitemap.xml"));
	if (url == NULL || outcome == FETCH_TIMEOUT)
		judge(w);
	else
		get(w, STEP_SITEMAP, url);
}

static bool is_packed(const char *url)
{
	size_t n = strlen(url);

	return n > 3 && strcasecmp(url + n - 3, ".gz") == 0;
}

/* Which of the listed sitemaps are read: those of pages first, since posts change daily. */
static void choose_children(struct website *w)
{
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < w->map.n && w->children_count < SITEMAP_CHILDREN_MAX; i++) {
			const struct sitemap_entry *entry = &w->map.v[i];
			bool is_pages = strcasestr(url_path(entry->url), "page") != NULL;

			if (entry->is_sitemap && !is_packed(entry->url) && is_pages == (round == 0))
				w->children[w->children_count++] = xstrdup(entry->url);
		}
	}
}

static void finish_sitemap(struct website *w)
{
	struct digest digest = sha256(buf_text(&w->map_files), w->map_files.len);

	digest_text(&digest, w->now.sitemap);
	site_set_urls(&w->now, &w->map);
	w->has_map = true;
	judge(w);
}

static void next_child(struct website *w)
{
	if (w->child < w->children_count)
		get(w, STEP_CHILD, w->children[w->child]);
	else
		finish_sitemap(w);
}

static void read_sitemap(struct website *w, const struct http_response *r)
{
	if (!sitemap_parse(r->body, r->effective_url, &w->map, NULL)) {
		judge(w);
		return;
	}
	buf_printf(&w->map_files, "%s\n", w->fetch.url);
	w->now.sitemap_url = copy(w->fetch.url);
	choose_children(w);
	/* Of several files one alone says nothing about news in the others. */
	if (w->children_count == 0) {
		w->now.sitemap_etag = fetch_validator(r, "ETag");
		w->now.sitemap_last_modified = fetch_validator(r, "Last-Modified");
	}
	next_child(w);
}

static void on_sitemap(struct website *w, enum fetch_outcome outcome, const struct http_response *r)
{
	switch (outcome) {
	case FETCH_OK:
		read_sitemap(w, r);
		return;
	case FETCH_MISSING:
		break;
	case FETCH_NOT_MODIFIED:
	case FETCH_REFUSED:
	case FETCH_TOO_LARGE:
	case FETCH_TIMEOUT:
	case FETCH_FAILED:
		keep_sitemap(w);
		break;
	}
	judge(w);
}

static void on_child(struct website *w, enum fetch_outcome outcome, const struct http_response *r)
{
	if (outcome == FETCH_OK && sitemap_parse(r->body, r->effective_url, &w->map, NULL))
		buf_printf(&w->map_files, "%s\n", w->fetch.url);
	else if (outcome != FETCH_OK && outcome != FETCH_MISSING) {
		free_charp(&w->now.sitemap_url);
		keep_sitemap(w);
		judge(w);
		return;
	}
	w->child++;
	next_child(w);
}

static void on_fetched(struct fetch *f, enum fetch_outcome outcome,
		       const struct http_response *response)
{
	struct website *w = f->arg;

	switch (w->step) {
	case STEP_PAGE:
		on_page(w, outcome, response);
		break;
	case STEP_ROBOTS:
		on_robots(w, outcome, response);
		break;
	case STEP_SITEMAP:
		on_sitemap(w, outcome, response);
		break;
	case STEP_CHILD:
		on_child(w, outcome, response);
		break;
	}
}

/* What is new, and what it says. */
struct news {
	struct site_change change;
	const struct sitemap_entry **urls; /* owned; the entries are borrowed */
	const char *topics[16];
	size_t topics_count;
	struct walltime now;
};

static void add_topic(struct news *news, const char *url)
{
	int points = 0;
	const char *topic = url_topic(url_path(url), &points);

	if (topic == NULL || news->topics_count == ARRAY_LEN(news->topics))
		return;
	for (size_t i = 0; i < news->topics_count; i++) {
		if (strcmp(news->topics[i], topic) == 0)
			return;
	}
	news->topics[news->topics_count++] = topic;
	news->change.notable += points;
}

static void compare(const struct website *w, struct news *news)
{
	struct site_change *c = &news->change;

	c->total_blocks = w->now.blocks.n;
	if (!w->is_page_known) {
		c->changed_blocks = marks_count_new(&w->last.blocks, &w->now.blocks);
		c->removed_blocks = marks_count_new(&w->now.blocks, &w->last.blocks);
	}
	/* Another choice of files would make old pages look new. */
	if (!w->has_map || strcmp(w->last.sitemap, w->now.sitemap) != 0)
		return;
	news->urls = site_new_urls(&w->last, &w->map, &c->new_urls);
	for (size_t i = 0; i < c->new_urls; i++)
		add_topic(news, news->urls[i]->url);
}

/* Blocks that only changed places are no news. */
static bool is_unchanged(const struct website *w, const struct site_change *c)
{
	bool is_page_same = strcmp(w->last.page, w->now.page) == 0 ||
			    (c->changed_blocks == 0 && c->removed_blocks == 0 &&
			     !w->now.blocks.is_cut && !w->last.blocks.is_cut);

	return is_page_same && c->new_urls == 0;
}

/* When it happened, as far as the site says something that fits between the two looks. */
static bool find_event(const struct website *w, const struct news *news, struct walltime *out)
{
	const int64_t day_ms = INT64_C(24) * 60 * 60 * 1000;
	struct walltime best = {w->look.last.at.ms - day_ms};
	struct walltime t;
	bool is_found = false;

	if (!w->is_page_known && w->now.last_modified != NULL &&
	    http_date_read(w->now.last_modified, &t) && t.ms > best.ms && t.ms <= news->now.ms) {
		best = t;
		is_found = true;
	}
	for (size_t i = 0; i < news->change.new_urls; i++) {
		const struct sitemap_entry *entry = news->urls[i];

		if (entry->has_lastmod && entry->lastmod.ms > best.ms &&
		    entry->lastmod.ms <= news->now.ms) {
			best = entry->lastmod;
			is_found = true;
		}
	}
	if (is_found)
		*out = best;
	return is_found;
}

static void write_evidence(const struct website *w, const struct news *news, struct buf *out)
{
	const struct site_change *c = &news->change;
	struct emit e;

	emit_init(&e, out);
	emit_object(&e);
	emit_key_i64(&e, "changed_blocks", (int64_t)c->changed_blocks);
	emit_key_i64(&e, "removed_blocks", (int64_t)c->removed_blocks);
	emit_key_i64(&e, "total_blocks", (int64_t)c->total_blocks);
	emit_key_i64(&e, "new_url_count", (int64_t)c->new_urls);
	emit_key(&e, "new_urls");
	emit_array(&e);
	for (size_t i = 0; i < c->new_urls && i < SIGNAL_NEW_URLS_MAX; i++)
		emit_text(&e, news->urls[i]->url);
	emit_array_end(&e);
	emit_key(&e, "topics");
	emit_array(&e);
	for (size_t i = 0; i < news->topics_count; i++)
		emit_text(&e, news->topics[i]);
	emit_array_end(&e);
	emit_key(&e, "since");
	emit_walltime(&e, w->look.last.at);
	emit_object_end(&e);
	emit_done(&e);
}

static void write_signal(const struct website *w, const struct news *news, const char *fingerprint)
{
	struct detection *d = w->look.d;
	struct buf evidence = BUF_INIT;
	struct signal signal = {
		.type = "website_change",
		.strength = score_website(&news->change),
		.confidence = confidence_website(&news->change),
		.detected_at = news->now,
		.source_url = w->now.url,
		.fingerprint = fingerprint,
	};

	write_evidence(w, news, &evidence);
	signal.evidence = buf_slice(&evidence);
	signal.has_event_at = find_event(w, news, &signal.event_at);
	d->signals_count = 1;
	emit_signals(&d->result, &signal, false);
	buf_finish(&evidence);
}

static void remember(struct website *w, const char *fingerprint, struct walltime now)
{
	struct buf snapshot = BUF_INIT;

	site_write(&w->now, &snapshot);
	if (w->look.last.snapshot == NULL || !slice_eq(buf_slice(&snapshot), w->look.last.snapshot))
		look_remember(&w->look, fingerprint, buf_slice(&snapshot), now);
	buf_finish(&snapshot);
}

static void judge(struct website *w)
{
	struct detection *d = w->look.d;
	struct news news = {.now = clock_wall()};
	char fingerprint[DIGEST_TEXT_SIZE];
	bool is_news = false;

	site_fingerprint(&w->now, fingerprint);
	if (w->has_last) {
		compare(w, &news);
		d->is_unchanged = is_unchanged(w, &news.change);
		is_news = !d->is_unchanged;
	}
	if (is_news)
		write_signal(w, &news, fingerprint);
	else
		emit_signals(&d->result, NULL, d->is_unchanged);
	remember(w, fingerprint, news.now);
	free(news.urls);
	detection_end(d, is_news ? DETECTION_OK : DETECTION_FREE);
}

static void go(struct look *look)
{
	struct website *w = container_of(look, struct website, look);

	if (look->last.snapshot != NULL && site_read(slice_of(look->last.snapshot), &w->last)) {
		/* Another page of the same company is a first look. */
		w->has_last = strcmp(w->last.url, w->now.url) == 0;
		if (!w->has_last)
			site_finish(&w->last);
	}
	get(w, STEP_PAGE, w->now.url);
}

static void website_start(struct detection *d)
{
	struct website *w = xzalloc(sizeof(*w));
	const struct company *c = &w->look.company;

	d->state = w;
	if (!look_begin(&w->look, d))
		return;
	if (c->home.text == NULL) {
		err_set(&d->err, "/company: needs a url or a domain");
		look_end_later(&w->look, DETECTION_BAD_INPUT);
		return;
	}
	w->now.url = xstrdup(c->home.text);
	w->key = xasprintf("%s%s", c->key, strcmp(c->home.path, "/") == 0 ? "" : c->home.path);
	w->fetch = (struct fetch){
		.signals = d->signals,
		.deadline = d->deadline,
		.done = on_fetched,
		.arg = w,
	};
	look_recall(&w->look, w->key, go);
}

static void website_stop(struct detection *d)
{
	struct website *w = d->state;

	if (w == NULL)
		return;
	fetch_finish(&w->fetch);
	look_finish(&w->look);
	site_finish(&w->last);
	site_finish(&w->now);
	sitemap_finish(&w->map);
	buf_finish(&w->map_files);
	for (size_t i = 0; i < w->children_count; i++)
		free(w->children[i]);
	free(w->key);
	free(w->base);
	free(w);
	d->state = NULL;
}

const struct detector DETECTOR_WEBSITE_CHANGE = {
	.name = "website_change",
	.tool = "detect_website_change",
	.start = website_start,
	.stop = website_stop,
};
