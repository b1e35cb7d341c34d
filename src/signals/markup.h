#ifndef SIGNALS_MARKUP_H
#define SIGNALS_MARKUP_H

/*
 * Reduces markup of a stranger to what our parsers need before libxml2 sees it: tags without
 * attributes, text and, in XML, CDATA sections. Comments, doctypes (and with them every entity
 * declaration), processing instructions and, in HTML, the insides of scripts and styles go.
 *
 * This is for time, not taste: libxml2 compares each attribute of a tag with all before it, so one
 * tag of 2 MB would keep this process busy for minutes. The reduction is linear.
 */

#include "base/buf.h"

enum markup {
	MARKUP_HTML, /* a short <meta ... charset ...> keeps its attributes */
	MARKUP_XML,  /* so does the <?xml ...?> at the start */
};

/* Appends to out; returns how many start tags there were. */
size_t markup_reduce(struct slice in, enum markup kind, struct buf *out);

#endif
