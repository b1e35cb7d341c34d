#ifndef PROVIDERS_UPSTREAM_LIST_H
#define PROVIDERS_UPSTREAM_LIST_H

/* What a server lists, brought to what any host can read: one bad member makes widely used clients
 * refuse the whole list. */

#include "base/buf.h"

#include <jansson.h>

/* Member of a tool of tools_sift: arrays of a header's name and the path of keys to the argument
 * that it repeats. */
#define TOOL_HEADERS "headers"

/* A new array of sound tools, each with name, title, description, inputSchema, outputSchema,
 * annotations and TOOL_HEADERS only; those that cannot be offered are left out, and logged when
 * this is news. */
json_t *tools_sift(const char *upstream, const json_t *tools, bool is_news);
/* In a list of tools_sift; NULL when there is none of the name. Borrowed. */
const json_t *tools_named(const json_t *tools, const char *name);
/* The value of a header Mcp-Param-...: a text that is no plain ASCII goes in base64. False: the
 * argument is not there, or of a kind that has no header. */
bool tools_write_header(const json_t *arguments, const json_t *header, struct buf *out);
/* The members of a request for the next page. */
void tools_write_cursor(struct buf *out, const char *cursor);

#endif
