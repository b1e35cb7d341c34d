#ifndef PROVIDERS_HTTP_REQUEST_H
#define PROVIDERS_HTTP_REQUEST_H

/* A plan filled with the arguments of one call. For http.c. */

#include "providers/http_plan.h"

struct http_made {
	struct buf url;
	struct buf body;
	bool has_body;
	struct http_header *headers; /* names borrowed, values owned */
	size_t headers_count;
	bool is_confined; /* carries headers that no other host may see */
};

/* Other than TEMPLATE_OK: fault names the argument, and out is empty. own_key and session may be
 * NULL. The plan outlives what is made of it. */
MUST_USE enum template_outcome http_make(const struct http_plan *plan, json_t *arguments,
					 const char *own_key, const char *session,
					 struct http_made *out, struct template_fault *fault);
/* Moves another body in. */
void http_made_set_body(struct http_made *made, struct buf *body);
/* Zeroes what may be secret. */
void http_made_finish(struct http_made *made);

#endif
