#ifndef SIGNALS_HTML_H
#define SIGNALS_HTML_H

/*
 * What a reader sees of a page: its text in UTF-8, one line for each block (paragraph, heading,
 * list item, cell), white space collapsed. Scripts, styles, templates, comments and what is shown
 * without scripts only are left out.
 */

#include "base/buf.h"

/* content_type is the answer's header, for its charset; "" for none. Appends to out. False when
 * there is no markup in it. */
MUST_USE bool html_text(struct slice html, const char *content_type, struct buf *out);

#endif
