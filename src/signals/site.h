#ifndef SIGNALS_SITE_H
#define SIGNALS_SITE_H

/*
 * What the website detector keeps of a site: the home page's validators, digest and blocks of
 * text, and the addresses of its sitemap. As a snapshot it is JSON.
 */

#include "base/clock.h"
#include "base/digest.h"
#include "signals/marks.h"
#include "signals/score.h"
#include "signals/sitemap.h"

/* Zeroed memory is an empty one. */
struct site {
	char *url; /* what was looked at: another address is another site */
	char *etag;
	char *last_modified;
	char page[DIGEST_TEXT_SIZE]; /* of the visible text; "" = never seen */
	struct marks blocks;

	char *sitemap_url; /* where it is; NULL: none was found */
	char *sitemap_etag;
	char *sitemap_last_modified;
	char sitemap[DIGEST_TEXT_SIZE]; /* which files were read; "" = none */
	struct marks urls;
};

void site_finish(struct site *s);
void site_write(const struct site *s, struct buf *out);
/* False when the text is no snapshot; then out stays untouched. */
MUST_USE bool site_read(struct slice text, struct site *out);

/* Fills page and blocks from the visible text of a page. */
void site_set_page(struct site *s, struct slice text);
/* Fills urls from the addresses that are pages. */
void site_set_urls(struct site *s, const struct sitemap *map);

/* Over page and urls: the same site looks the same. */
void site_fingerprint(const struct site *s, char out[DIGEST_TEXT_SIZE]);

/* The entries of map that `last` did not have, the most telling first; NULL ends it. The caller
 * frees the array; the entries are borrowed. */
const struct sitemap_entry **site_new_urls(const struct site *last, const struct sitemap *map,
					   size_t *out_n);

#endif
