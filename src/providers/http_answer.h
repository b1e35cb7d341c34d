#ifndef PROVIDERS_HTTP_ANSWER_H
#define PROVIDERS_HTTP_ANSWER_H

/*
 * What an answer over HTTP means, for http and llm providers: 408, 425, 429 and 5xx failed, other
 * 4xx refused our arguments, the rest that is no success failed.
 */

#include "providers/provider.h"

#include "loop/http.h"

/* What must stand in no error text. */
typedef bool answer_leaks_fn(const void *arg, struct slice text);

struct answer_secrets {
	answer_leaks_fn *leaks; /* NULL: nothing is secret */
	const void *arg;
	const char *own_key; /* of the caller; NULL for none */
	bool is_keyless;     /* no key of anybody was sent */
	bool hides_host;     /* which libcurl's words would name */
};

/* Appends ": " and the provider's words as one line, unless they hold a secret. */
void answer_quote(struct slice words, const struct answer_secrets *secrets, struct buf *out);

/* Fills outcome, status, retry_after_s and err for an answer that is no success; the provider's own
 * words are quoted when they hold no secret. */
void answer_failed(const struct http_response *r, const struct answer_secrets *secrets,
		   struct provider_result *out);
enum provider_outcome answer_outcome(int status);

/* In seconds, of the header Retry-After as number or date; -1 for none. */
int64_t answer_retry_after(const struct http_response *r);

/* application/json, or what is built on it. */
bool answer_is_json(const char *content_type);

/*
 * The body of a success becomes the result: JSON as structured content (what the pointer finds; an
 * object as it is, any other value as {"result": value}; no body as {}); text/..., XML and other
 * types that are text, image/... and audio/... as a content block. All else has failed: another
 * type, text that is not in its charset (UTF-8 where it names none), a pointer to nothing.
 */
void answer_read(const struct http_response *r, const char *pointer, struct provider_result *out);

#endif
