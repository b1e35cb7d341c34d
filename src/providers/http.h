#ifndef PROVIDERS_HTTP_H
#define PROVIDERS_HTTP_H

/*
 * The operator's HTTP API behind the meter: {"kind": "http", "method", "url", "headers", "query",
 * "body" or "form", "result", "success", "byok", "session"}. template.h says what may stand in its
 * texts, http_answer.h what becomes of an answer.
 *
 * An argument that is not given, or null, leaves out the parameter, field or member of the body
 * that it was meant for; path and headers need theirs. A list that is the whole of a parameter or
 * field is repeated. GET, PUT and DELETE are tried again, at most twice, when the connection fails
 * or the answer is 502, 503 or 504; POST and PATCH never. A GET follows redirects, with configured
 * headers only within its own scheme, host and port.
 *
 * With "session" the caller's session with that site is read first: of the account that the
 * argument `account` names, else the one connected last.
 */

#include "providers/provider.h"

#include "json/faults.h"

struct sessions;

struct http_provider_parts {
	struct loop *loop;
	struct http *http;
	bool allow_private;
	struct sessions *sessions;  /* NULL: the configuration cannot name one */
	const json_t *input_schema; /* of the tool; read during create; NULL: any object */
};

/* NULL and err with the member's name when the configuration is wrong or a secret is missing. */
struct provider *http_provider_create(const struct http_provider_parts *parts, const json_t *config,
				      struct err *err);
/* Adds all faults of a configuration, with pointers from it, also those that come to light with a
 * call only. input_schema may be NULL. */
void http_provider_check(const json_t *config, const json_t *input_schema, bool allow_private,
			 struct faults *faults);

#endif
