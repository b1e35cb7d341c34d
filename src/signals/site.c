#include "signals/site.h"

#include "base/limits.h"
#include "signals/url.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

void site_finish(struct site *s)
{
	free(s->url);
	free(s->etag);
	free(s->last_modified);
	free(s->sitemap_url);
	free(s->sitemap_etag);
	free(s->sitemap_last_modified);
	marks_finish(&s->blocks);
	marks_finish(&s->urls);
	memset(s, 0, sizeof(*s));
}

static void emit_marks(struct emit *e, const char *key, const struct marks *m)
{
	struct buf text = BUF_INIT;

	marks_write(m, &text);
	emit_key_text(e, key, buf_text(&text));
	buf_finish(&text);
}

void site_write(const struct site *s, struct buf *out)
{
	struct emit e;

	emit_init(&e, out);
	emit_object(&e);
	emit_key_text(&e, "url", s->url);
	emit_key_text(&e, "etag", s->etag);
	emit_key_text(&e, "last_modified", s->last_modified);
	emit_key_text(&e, "page", s->page);
	emit_marks(&e, "blocks", &s->blocks);
	emit_key_text(&e, "sitemap_url", s->sitemap_url);
	emit_key_text(&e, "sitemap_etag", s->sitemap_etag);
	emit_key_text(&e, "sitemap_last_modified", s->sitemap_last_modified);
	emit_key_text(&e, "sitemap", s->sitemap);
	emit_marks(&e, "urls", &s->urls);
	emit_object_end(&e);
	emit_done(&e);
}

static char *member(const json_t *root, const char *name)
{
	const char *text = json_string_value(json_object_get(root, name));

	return text == NULL ? NULL : xstrdup(text);
}

static bool read_digest(const json_t *root, const char *name, char out[DIGEST_TEXT_SIZE])
{
	struct slice s = edge_slice(json_object_get(root, name));

	if (s.len != 0 && s.len != DIGEST_TEXT_SIZE - 1)
		return false;
	memcpy(out, s.p, s.len);
	out[s.len] = '\0';
	return true;
}

bool site_read(struct slice text, struct site *out)
{
	json_t *root CLEANUP(edge_decref) = edge_parse(text, NULL);
	struct site s = {
		.url = member(root, "url"),
		.etag = member(root, "etag"),
		.last_modified = member(root, "last_modified"),
		.sitemap_url = member(root, "sitemap_url"),
		.sitemap_etag = member(root, "sitemap_etag"),
		.sitemap_last_modified = member(root, "sitemap_last_modified"),
	};

	if (s.url == NULL || !read_digest(root, "page", s.page) ||
	    !read_digest(root, "sitemap", s.sitemap) ||
	    !marks_read(edge_slice(json_object_get(root, "blocks")), &s.blocks) ||
	    !marks_read(edge_slice(json_object_get(root, "urls")), &s.urls)) {
		site_finish(&s);
		return false;
	}
	*out = s;
	return true;
}

void site_set_page(struct site *s, struct slice text)
{
	struct digest digest = sha256(text.p, text.len);
	const char *end = text.p + text.len;

	digest_text(&digest, s->page);
	for (const char *p = text.p; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		if (stop == NULL)
			stop = end;
		if (stop > p)
			marks_add(&s->blocks, mark_of((struct slice){p, (size_t)(stop - p)}, 0));
		p = stop + 1;
	}
	marks_settle(&s->blocks);
}

/* Pages near the top are kept first: a new /pricing tells more than the next blog post. */
static uint64_t url_mark(const char *url)
{
	return mark_of(slice_of(url), url_depth(url_path(url)));
}

void site_set_urls(struct site *s, const struct sitemap *map)
{
	for (size_t i = 0; i < map->n; i++) {
		if (!map->v[i].is_sitemap)
			marks_add(&s->urls, url_mark(map->v[i].url));
	}
	marks_settle(&s->urls);
}

void site_fingerprint(const struct site *s, char out[DIGEST_TEXT_SIZE])
{
	struct buf text = BUF_INIT;
	struct digest digest;

	buf_printf(&text, "%s\n%s\n", s->page, s->sitemap);
	marks_write(&s->urls, &text);
	digest = sha256(buf_text(&text), text.len);
	digest_text(&digest, out);
	buf_finish(&text);
}

static int points_of(const struct sitemap_entry *entry)
{
	int points = 0;

	(void)url_topic(url_path(entry->url), &points);
	return points;
}

static int compare_entries(const void *a, const void *b)
{
	const struct sitemap_entry *x = *(const struct sitemap_entry *const *)a;
	const struct sitemap_entry *y = *(const struct sitemap_entry *const *)b;
	int by_points = points_of(y) - points_of(x);
	unsigned x_depth = url_depth(url_path(x->url));
	unsigned y_depth = url_depth(url_path(y->url));

	if (by_points != 0)
		return by_points;
	if (x_depth != y_depth)
		return x_depth < y_depth ? -1 : 1;
	return strcmp(x->url, y->url);
}

const struct sitemap_entry **site_new_urls(const struct site *last, const struct sitemap *map,
					   size_t *out_n)
{
	const struct sitemap_entry **list = xarray(map->n + 1, sizeof(*list));
	size_t n = 0;
	size_t unique = 0;

	for (size_t i = 0; i < map->n; i++) {
		const struct sitemap_entry *entry = &map->v[i];

		if (!entry->is_sitemap && marks_is_new(&last->urls, url_mark(entry->url)))
			list[n++] = entry;
	}
	qsort(list, n, sizeof(*list), compare_entries);
	for (size_t i = 0; i < n; i++) {
		if (unique == 0 || strcmp(list[unique - 1]->url, list[i]->url) != 0)
			list[unique++] = list[i];
	}
	list[unique] = NULL;
	*out_n = unique;
	return list;
}
