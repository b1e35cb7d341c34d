#include "signals/sitemap.h"

#include "base/limits.h"
#include "signals/markup.h"
#include "signals/text.h"
#include "signals/url.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 16,
	LASTMOD_BYTES_MAX = 64,
};

enum element {
	ELEMENT_OTHER,
	ELEMENT_URL,
	ELEMENT_SITEMAP,
	ELEMENT_LOC,
	ELEMENT_LASTMOD,
};

struct reading {
	const char *url;
	struct sitemap *out;
	enum element open[DEPTH_MAX];
	unsigned depth; /* also counts what is deeper than open[] */
	struct buf loc;
	struct buf lastmod;
	bool has_known_root;
	bool is_too_long; /* the entry that is open */
};

/* A prefix is part of the name here: <image:loc> stands below <image:image>, not below <url>. */
static enum element element_of(const char *name)
{
	if (strcmp(name, "url") == 0)
		return ELEMENT_URL;
	if (strcmp(name, "sitemap") == 0)
		return ELEMENT_SITEMAP;
	if (strcmp(name, "loc") == 0)
		return ELEMENT_LOC;
	return strcmp(name, "lastmod") == 0 ? ELEMENT_LASTMOD : ELEMENT_OTHER;
}

static bool is_entry(enum element e)
{
	return e == ELEMENT_URL || e == ELEMENT_SITEMAP;
}

static void on_start(void *arg, const xmlChar *xml_name, const xmlChar **attributes)
{
	struct reading *r = arg;
	const char *name = (const char *)xml_name;
	const char *colon = strchr(name, ':');

	(void)attributes;
	/* Some write the whole file with a prefix: <sm:url>. */
	if (colon != NULL && strncmp(name, "image:", 6) != 0 && strncmp(name, "video:", 6) != 0)
		name = colon + 1;
	if (r->depth == 0)
		r->has_known_root = strcmp(name, "urlset") == 0 ||
				    strcmp(name, "sitemapindex") == 0;
	if (r->depth < DEPTH_MAX) {
		r->open[r->depth] = element_of(name);
		if (is_entry(r->open[r->depth])) {
			buf_clear(&r->loc);
			buf_clear(&r->lastmod);
			r->is_too_long = false;
		}
	}
	r->depth++;
}

static void on_text(void *arg, const xmlChar *text, int len)
{
	struct reading *r = arg;
	struct buf *to;

	if (r->depth < 2 || r->depth > DEPTH_MAX || !is_entry(r->open[r->depth - 2]))
		return;
	if (r->open[r->depth - 1] == ELEMENT_LOC)
		to = &r->loc;
	else if (r->open[r->depth - 1] == ELEMENT_LASTMOD)
		to = &r->lastmod;
	else
		return;
	if (!buf_append_capped(to, text, (size_t)len))
		r->is_too_long = true;
}

static bool read_lastmod(const char *text, struct walltime *out)
{
	struct slice s = slice_of(text);
	int64_t day;

	if (walltime_parse(s, out))
		return true;
	if (!day_parse(s, &day))
		return false;
	out->ms = day * 24 * 60 * 60 * 1000;
	return true;
}

static bool names_sitemap(const char *url)
{
	size_t n = strcspn(url, "?");

	return n > 4 && ascii_eq_nocase((struct slice){url + n - 4, 4}, ".xml");
}

static void add_entry(struct reading *r, enum element kind)
{
	char *loc CLEANUP(free_charp) = text_clean(buf_slice(&r->loc), URL_BYTES_MAX);
	char *lastmod CLEANUP(free_charp) = text_clean(buf_slice(&r->lastmod), LASTMOD_BYTES_MAX);
	struct sitemap_entry entry = {.url = url_join(r->url, slice_of(loc))};
	struct sitemap *s = r->out;

	if (r->is_too_long || entry.url == NULL) {
		free(entry.url);
		return;
	}
	entry.is_sitemap = kind == ELEMENT_SITEMAP || names_sitemap(entry.url);
	entry.has_lastmod = read_lastmod(lastmod, &entry.lastmod);
	if (s->n == s->size) {
		s->size = s->size == 0 ? 64 : s->size * 2;
		s->v = xrealloc_array(s->v, s->size, sizeof(*s->v));
	}
	s->v[s->n++] = entry;
}

static void on_end(void *arg, const xmlChar *name)
{
	struct reading *r = arg;

	(void)name;
	CHECK(r->depth > 0);
	r->depth--;
	if (r->depth < DEPTH_MAX && is_entry(r->open[r->depth]) && r->out->n < SITEMAP_URLS_MAX)
		add_entry(r, r->open[r->depth]);
}

static void parse(struct slice text, struct reading *r)
{
	xmlSAXHandler sax;
	xmlParserCtxtPtr parser;

	if (text.len == 0 || text.len > INT32_MAX)
		return;
	parser = xmlCreateMemoryParserCtxt(text.p, (int)text.len);
	CHECK(parser != NULL);
	(void)xmlCtxtUseOptions(parser, XML_PARSE_RECOVER | XML_PARSE_NONET | XML_PARSE_NOERROR |
						XML_PARSE_NOWARNING | XML_PARSE_SAX1);
	memset(&sax, 0, sizeof(sax));
	sax.startElement = on_start;
	sax.endElement = on_end;
	sax.characters = on_text;
	sax.ignorableWhitespace = on_text;
	sax.cdataBlock = on_text;
	*parser->sax = sax;
	parser->userData = r;
	(void)xmlParseDocument(parser);
	xmlFreeParserCtxt(parser);
}

bool sitemap_parse(struct slice text, const char *url, struct sitemap *out, struct err *err)
{
	size_t before = out->n;
	struct buf reduced = BUF_INIT;
	struct reading r = {
		.url = url,
		.out = out,
		.loc = BUF_CAPPED(URL_BYTES_MAX * 2),
		.lastmod = BUF_CAPPED(LASTMOD_BYTES_MAX * 4),
	};

	(void)markup_reduce(text, MARKUP_XML, &reduced);
	parse(buf_slice(&reduced), &r);
	buf_finish(&reduced);
	buf_finish(&r.loc);
	buf_finish(&r.lastmod);
	if (out->n == before && !r.has_known_root)
		return err_set(err, "not a sitemap");
	return true;
}

void sitemap_finish(struct sitemap *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].url);
	free(s->v);
	memset(s, 0, sizeof(*s));
}

/* The value of a line "Sitemap: ADDRESS", empty for another line. */
static struct slice sitemap_line(struct slice line)
{
	static const char key[] = "sitemap:";
	const size_t n = sizeof(key) - 1;

	while (line.len > 0 && text_blank_len(line.p, line.p + line.len) > 0) {
		line.p++;
		line.len--;
	}
	if (line.len < n || !ascii_eq_nocase((struct slice){line.p, n}, key))
		return (struct slice){line.p, 0};
	return (struct slice){line.p + n, line.len - n};
}

static bool is_packed(const char *url)
{
	size_t n = strlen(url);

	return n > 3 && strcmp(url + n - 3, ".gz") == 0;
}

char *robots_sitemap(struct slice text, const char *url)
{
	const char *end = text.len > 0 ? text.p + text.len : text.p;
	char *packed = NULL;

	for (const char *p = text.p; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		struct slice line = {p, (size_t)((stop == NULL ? end : stop) - p)};
		char *value CLEANUP(free_charp) = text_clean(sitemap_line(line), URL_BYTES_MAX);
		char *found = url_join(url, slice_of(value));

		p = stop == NULL ? end : stop + 1;
		if (found == NULL)
			continue;
		if (!is_packed(found)) {
			free(packed);
			return found;
		}
		if (packed == NULL)
			packed = found;
		else
			free(found);
	}
	return packed;
}
