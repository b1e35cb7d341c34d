#include "providers/http_plan.h"

#include "base/limits.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAY_ALL (TEMPLATE_MAY_ARGUMENT | TEMPLATE_MAY_SECRET)

/* What the transfer itself decides. */
static const char *const OUR_HEADERS[] = {
	"Host",    "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE",
	"Trailer", "Expect",         "Accept-Encoding",
};

static bool is_header_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				"!#$%&'*+-.^_`|~");

	return n > 0 && !name[n];
}

bool http_header_name_check(const char *name, struct err *err)
{
	if (!is_header_name(name))
		return err_set(err, "is not a name of a header");
	for (size_t i = 0; i < ARRAY_LEN(OUR_HEADERS); i++) {
		if (strcasecmp(name, OUR_HEADERS[i]) == 0)
			return err_set(err, "cannot be set");
	}
	return true;
}

/* Of the operator's own text and secrets; arguments are looked at when they come. */
static bool header_value_check(const struct template *t, struct err *err)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->parts[i].kind == TEMPLATE_ARGUMENT || t->parts[i].kind == TEMPLATE_SESSION)
			continue;
		for (const char *p = t->parts[i].text; *p; p++) {
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				return err_set(err, "holds a control character");
		}
	}
	return true;
}

/* What reads a configuration; all its faults are told. */
struct reader {
	const json_t *config;
	const json_t *schema; /* of the arguments; NULL: any */
	struct http_plan *plan;
	struct faults *faults;
};

static bool member_read(const char *name, const json_t *value, bool is_header, unsigned may,
			struct http_members *out, struct err *err)
{
	struct http_member m = {.is_url = false};

	if (is_header && !http_header_name_check(name, err))
		return false;
	if (!template_read(edge_slice(value), may, &m.value, err))
		return false;
	if (is_header && !header_value_check(&m.value, err)) {
		template_finish(&m.value);
		return false;
	}
	m.name = xstrdup(name);
	out->items = xrealloc_array(out->items, out->count + 1, sizeof(*out->items));
	out->items[out->count++] = m;
	return true;
}

/* One whose arguments are no properties of the schema is a fault, and is read all the same. */
static void members_read(const struct reader *r, const char *name, unsigned may,
			 struct http_members *out)
{
	bool is_headers = strcmp(name, "headers") == 0;
	json_t *object = json_object_get(r->config, name);
	CLEANUP(free_charp) char *place = pointer_below("", name);
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		CLEANUP(free_charp) char *at = pointer_below(place, key);
		struct err err = ERR_INIT;

		if (!member_read(key, value, is_headers, may, out, &err) ||
		    !template_is_known(&out->items[out->count - 1].value, r->schema, &err))
			faults_add(r->faults, at, "%s", err.text);
	}
}

void http_members_finish(struct http_members *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->items[i].name);
		template_finish(&m->items[i].value);
	}
	free(m->items);
	*m = (struct http_members){.items = NULL};
}

bool http_members_leak(const struct http_members *m, struct slice text)
{
	for (size_t i = 0; i < m->count; i++) {
		if (template_leaks(&m->items[i].value, text))
			return true;
	}
	return false;
}

static void own_key_read(const struct reader *r)
{
	const json_t *config = json_object_get(r->config, "byok");
	const char *name = json_string_value(json_object_get(config, "name"));
	const char *header = json_string_value(json_object_get(config, "header"));
	const char *format = json_string_value(json_object_get(config, "format"));
	struct own_key *out = &r->plan->own_key;
	struct err err = ERR_INIT;
	const char *key;

	if (!config)
		return;
	header = header ? header : "Authorization";
	format = format ? format : "Bearer {key}";
	key = strstr(format, "{key}");
	if (!name)
		faults_add(r->faults, "/byok/name", "is required");
	if (!key)
		faults_add(r->faults, "/byok/format", "must hold {key}");
	if (!http_header_name_check(header, &err))
		faults_add(r->faults, "/byok/header", "%s", err.text);
	if (!name || !key)
		return;
	out->name = xstrdup(name);
	out->header = xstrdup(header);
	out->before = xstrndup(format, (size_t)(key - format));
	out->after = xstrdup(key + strlen("{key}"));
}

void own_key_finish(struct own_key *k)
{
	free(k->name);
	free(k->header);
	free(k->before);
	free(k->after);
}

bool own_key_value(const struct own_key *k, const char *key, struct buf *out)
{
	buf_puts(out, k->before);
	buf_puts(out, key);
	buf_puts(out, k->after);
	for (size_t i = 0; i < out->len; i++) {
		if ((unsigned char)out->p[i] < 0x20 || out->p[i] == 0x7f)
			return false;
	}
	return *key != '\0';
}

static void read_method(const struct reader *r)
{
	static const char *const METHODS[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
	const char *method = json_string_value(json_object_get(r->config, "method"));
	bool has_body = json_object_get(r->config, "body") || json_object_get(r->config, "form");

	if (!method)
		method = "GET";
	for (size_t i = 0; i < ARRAY_LEN(METHODS); i++) {
		if (strcmp(method, METHODS[i]) == 0)
			r->plan->method = METHODS[i];
	}
	if (!r->plan->method)
		faults_add(r->faults, "/method", "must be GET, POST, PUT, PATCH or DELETE");
	if (has_body && strcmp(method, "GET") == 0)
		faults_add(r->faults, "/method", "a body or form needs POST, PUT, PATCH or DELETE");
}

static void read_body(const struct reader *r)
{
	const json_t *body = json_object_get(r->config, "body");

	r->plan->has_form = json_object_get(r->config, "form") != NULL;
	members_read(r, "form", MAY_ALL, &r->plan->form);
	if (body && r->plan->has_form)
		faults_add(r->faults, "", "must not have body and form at once");
	else if (body)
		r->plan->body = body_read(body, r->schema, "/body", r->faults);
}

static void read_success(const struct reader *r)
{
	const json_t *success = json_object_get(r->config, "success");
	size_t n = json_array_size(success);

	if (!n)
		return;
	r->plan->success = xarray(n, sizeof(*r->plan->success));
	for (size_t i = 0; i < n; i++) {
		int64_t status;

		if (edge_i64(json_array_get(success, i), &status) && status >= 100 && status <= 599)
			r->plan->success[r->plan->success_count++] = (int)status;
		else
			faults_add(r->faults, "/success", "must list status codes");
	}
}

/* A parsed answer has the pointer's tokens to look for; what is no pointer finds nothing, ever. */
static void read_result(const struct reader *r)
{
	const char *result = json_string_value(json_object_get(r->config, "result"));

	if (result && !edge_is_pointer(result))
		faults_add(r->faults, "/result",
			   "is not a JSON pointer: it starts with a slash, and ~ is written as ~0");
	r->plan->result = xstrdup(result ? result : "");
}

static bool names_session(const struct template *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->parts[i].kind == TEMPLATE_SESSION &&
		    !(name && strcmp(t->parts[i].text, name) == 0))
			return false;
	}
	return true;
}

static void session_check(const struct reader *r)
{
	const struct http_plan *plan = r->plan;
	bool is_used = false;

	for (size_t i = 0; i < plan->headers.count; i++) {
		const struct http_member *m = &plan->headers.items[i];
		CLEANUP(free_charp) char *at = pointer_below("/headers", m->name);

		is_used = is_used || template_has(&m->value, TEMPLATE_SESSION);
		if (!names_session(&m->value, plan->session))
			faults_add(r->faults, at,
				   "${session:NAME} needs the member \"session\" with that name");
	}
	if (plan->session && !is_used)
		faults_add(r->faults, "/session", "no header holds ${session:%s}", plan->session);
}

/* A name that the schema does not have is a slip of the pen, else never noticed. */
static bool is_known(const char *name, const json_t *schema, struct err *err)
{
	const char *at = name;

	while (*at) {
		const json_t *properties = json_object_get(schema, "properties");
		size_t len = strcspn(at, ".");

		if (!json_is_object(properties))
			return true;
		schema = json_object_getn(properties, at, len);
		if (!schema)
			return err_set(err, "{%s} is not a property of inputSchema", name);
		at += len + (at[len] == '.');
	}
	return true;
}

bool template_is_known(const struct template *t, const json_t *schema, struct err *err)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->parts[i].kind == TEMPLATE_ARGUMENT &&
		    !is_known(t->parts[i].text, schema, err))
			return false;
	}
	return true;
}

static void read_url(const struct reader *r)
{
	const char *url = json_string_value(json_object_get(r->config, "url"));
	const struct http_plan *plan = r->plan;
	struct err err = ERR_INIT;
	bool is_good = http_url_read(url ? url : "", r->plan, &err);

	for (size_t i = 0; is_good && i < plan->segments_count; i++)
		is_good = template_is_known(&plan->segments[i], r->schema, &err);
	for (size_t i = 0; is_good && i < plan->query.count; i++)
		is_good = template_is_known(&plan->query.items[i].value, r->schema, &err);
	if (!is_good)
		faults_add(r->faults, "/url", "%s", err.text);
}

bool http_plan_read_all(const json_t *config, const json_t *input_schema, struct http_plan *out,
			struct faults *faults)
{
	const char *session = json_string_value(json_object_get(config, "session"));
	struct http_plan plan = {.session = session ? xstrdup(session) : NULL};
	struct faults found = FAULTS_INIT;
	struct reader r = {
		.config = config, .schema = input_schema, .plan = &plan, .faults = &found};
	bool is_good;

	read_method(&r);
	read_url(&r);
	members_read(&r, "headers", MAY_ALL | TEMPLATE_MAY_SESSION, &plan.headers);
	members_read(&r, "query", MAY_ALL, &plan.query);
	read_body(&r);
	read_result(&r);
	read_success(&r);
	own_key_read(&r);
	session_check(&r);
	is_good = found.count == 0;
	faults_take(faults, "", &found);
	if (is_good)
		*out = plan;
	else
		http_plan_finish(&plan);
	return is_good;
}

bool http_plan_read(const json_t *config, const json_t *input_schema, struct http_plan *out,
		    struct err *err)
{
	struct faults faults = FAULTS_INIT;
	bool is_good = http_plan_read_all(config, input_schema, out, &faults);

	CHECK(faults_are_none(&faults, err) == is_good);
	faults_finish(&faults);
	return is_good;
}

void http_plan_check_host(const struct http_plan *plan, const char *pointer, struct faults *faults)
{
	CLEANUP(free_charp) char *host = http_url_host(plan->origin);

	if (host && http_host_is_private(host))
		faults_add(faults, pointer, "%s", HTTP_PRIVATE_WORDS);
}

void http_plan_finish(struct http_plan *plan)
{
	if (plan->origin)
		explicit_bzero(plan->origin, strlen(plan->origin));
	free(plan->origin);
	for (size_t i = 0; i < plan->segments_count; i++)
		template_finish(&plan->segments[i]);
	free(plan->segments);
	http_members_finish(&plan->query);
	http_members_finish(&plan->headers);
	http_members_finish(&plan->form);
	body_destroy(plan->body);
	free(plan->result);
	free(plan->success);
	own_key_finish(&plan->own_key);
	free(plan->session);
}

bool http_plan_is_success(const struct http_plan *plan, int status)
{
	for (size_t i = 0; i < plan->success_count; i++) {
		if (plan->success[i] == status)
			return true;
	}
	return !plan->success && status >= 200 && status < 300;
}

static bool members_have_secret(const struct http_members *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (template_has(&m->items[i].value, TEMPLATE_SECRET))
			return true;
	}
	return false;
}

bool http_plan_has_secret(const struct http_plan *plan)
{
	for (size_t i = 0; i < plan->segments_count; i++) {
		if (template_has(&plan->segments[i], TEMPLATE_SECRET))
			return true;
	}
	return members_have_secret(&plan->query) || members_have_secret(&plan->headers) ||
	       members_have_secret(&plan->form) || (plan->body && body_has_secret(plan->body));
}

bool http_plan_has_redirects(const struct http_plan *plan)
{
	for (size_t i = 0; i < plan->success_count; i++) {
		if (plan->success[i] >= 300 && plan->success[i] < 400)
			return true;
	}
	return false;
}

bool http_plan_leaks(const struct http_plan *plan, struct slice text)
{
	for (size_t i = 0; i < plan->segments_count; i++) {
		if (template_leaks(&plan->segments[i], text))
			return true;
	}
	return http_members_leak(&plan->query, text) || http_members_leak(&plan->headers, text) ||
	       http_members_leak(&plan->form, text) || (plan->body && body_leaks(plan->body, text));
}
