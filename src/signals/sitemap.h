#ifndef SIGNALS_SITEMAP_H
#define SIGNALS_SITEMAP_H

/*
 * Sitemaps (sitemaps.org) and where robots.txt says that they are. The root element's name does
 * not matter, because indexes are served as urlset and the other way round; an entry is a child
 * sitemap when its element says so or its path ends in .xml. Addresses are resolved against the
 * sitemap's own. Nothing but the text given is read, and no entity is expanded.
 */

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

struct sitemap_entry {
	char *url;
	struct walltime lastmod;
	bool has_lastmod;
	bool is_sitemap;
};

/* Zeroed memory is an empty one. At most SITEMAP_URLS_MAX entries. */
struct sitemap {
	struct sitemap_entry *v;
	size_t n;
	size_t size;
};

/* Appends what the text lists. False when it is no sitemap; then nothing was added. */
MUST_USE bool sitemap_parse(struct slice text, const char *url, struct sitemap *out,
			    struct err *err);
void sitemap_finish(struct sitemap *s);

/* The first Sitemap: line of a robots.txt, resolved against its address; one that is not a .gz is
 * preferred. NULL for none; the caller frees it. */
char *robots_sitemap(struct slice text, const char *url);

#endif
