#ifndef PROVIDERS_HTTP_PLAN_H
#define PROVIDERS_HTTP_PLAN_H

/*
 * The configuration of an http provider, read once: templates compiled, secrets fetched, the host
 * fixed. For http.c and its neighbours.
 *
 * The scheme, host and port never hold an argument. A ${env:} that begins the URL is taken as it is
 * (a base URL); elsewhere in path and query it is encoded like an argument.
 */

#include "providers/template.h"

#include "loop/http.h"
#include "json/faults.h"

/* A header, a parameter of the query or a field of a form. */
struct http_member {
	char *name;
	struct template value;
	bool is_url; /* stood in the URL: name and own text are encoded already */
};

struct http_members {
	struct http_member *items;
	size_t count;
};

/* A JSON template: constants, texts, arguments with their type, and what holds them. */
struct body_node;

/* "Bearer {key}" and the header that it goes to. */
struct own_key {
	char *name; /* NULL: callers cannot bring a key */
	char *header;
	char *before, *after;
};

struct http_plan {
	const char *method; /* constant */
	char *origin;       /* scheme://host:port */
	bool hides_host;    /* the host comes from the environment: it is in no error text */
	struct template *segments;
	size_t segments_count;
	struct http_members query;
	struct http_members headers;
	struct http_members form;
	bool has_form;
	struct body_node *body; /* NULL without one */
	char *result;           /* JSON pointer; "" is the whole */
	int *success;           /* NULL: 200 to 299 */
	size_t success_count;
	struct own_key own_key;
	char *session; /* NULL: none is needed */
};

/* False names the first fault: "headers: Authorization: EXAMPLE_KEY is not set ...". input_schema
 * may be NULL; where it lists its properties, an argument that is none of them is a fault. */
MUST_USE bool http_plan_read(const json_t *config, const json_t *input_schema,
			     struct http_plan *out, struct err *err);
/* The same, and adds all faults, with pointers from config. */
MUST_USE bool http_plan_read_all(const json_t *config, const json_t *input_schema,
				 struct http_plan *out, struct faults *faults);
/* Adds a fault where the host is written as an address that is not public. */
void http_plan_check_host(const struct http_plan *plan, const char *pointer, struct faults *faults);
void http_plan_finish(struct http_plan *plan);

bool http_plan_is_success(const struct http_plan *plan, int status);
/* A name that may be configured: a token, and not one that the transfer itself sets. */
MUST_USE bool http_header_name_check(const char *name, struct err *err);
/* A redirect is an answer, not something to follow. */
bool http_plan_has_redirects(const struct http_plan *plan);
/* It was made with a secret of the environment. */
bool http_plan_has_secret(const struct http_plan *plan);
/* One of its secrets stands in the text. */
bool http_plan_leaks(const struct http_plan *plan, struct slice text);

/* Each argument is a property of the schema, or the schema lists none. */
MUST_USE bool template_is_known(const struct template *t, const json_t *schema, struct err *err);
void http_members_finish(struct http_members *m);
bool http_members_leak(const struct http_members *m, struct slice text);
void own_key_finish(struct own_key *k);
/* False when the key cannot stand in a header. */
MUST_USE bool own_key_value(const struct own_key *k, const char *key, struct buf *out);

/* The URL's path and query, taken apart (http_url.c). */
MUST_USE bool http_url_read(const char *text, struct http_plan *plan, struct err *err);

/* The body (http_body.c). Adds all faults, with their pointers below at; NULL when there is one. */
struct body_node *body_read(const json_t *config, const json_t *schema, const char *at,
			    struct faults *faults);
void body_destroy(struct body_node *node); /* NULL is allowed */
bool body_has_secret(const struct body_node *node);
bool body_leaks(const struct body_node *node, struct slice text);
/* Members and items whose argument is missing are left out; TEMPLATE_MISSING when the whole is. */
MUST_USE enum template_outcome body_fill(const struct body_node *node, json_t *arguments,
					 struct buf *out, struct template_fault *fault);

#endif
