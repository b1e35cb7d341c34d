#include "providers/http_request.h"

#include "base/limits.h"
#include "base/secret.h"
#include "json/edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct maker {
	const struct http_plan *plan;
	json_t *arguments;
	const char *session;
	struct http_made *made;
	struct template_fault *fault;
};

static enum template_outcome too_long(struct maker *m, const char *what)
{
	m->fault->field[0] = '\0';
	(void)snprintf(m->fault->text, sizeof(m->fault->text), "the arguments make %s too long",
		       what);
	return TEMPLATE_UNFIT;
}

static void put_separator(struct buf *out, size_t start, char first)
{
	if (out->len == start) {
		if (first)
			buf_putc(out, first);
	} else {
		buf_putc(out, '&');
	}
}

static void put_name(const struct http_member *member, struct buf *out)
{
	if (member->is_url)
		buf_puts(out, member->name);
	else
		percent_encode(slice_of(member->name), out);
	buf_putc(out, '=');
}

/* A list is repeated: tag=a&tag=b. */
static enum template_outcome put_list(struct maker *m, const struct http_member *member,
				      const json_t *list, struct buf *out, size_t start, char first)
{
	const char *name = member->value.parts[0].text;
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		enum template_outcome outcome;

		put_separator(out, start, first);
		put_name(member, out);
		outcome = template_fill_value(json_array_get(list, i),
					      first ? PLACE_QUERY : PLACE_FORM, name, out,
					      m->fault);
		if (outcome != TEMPLATE_OK)
			return outcome;
	}
	return TEMPLATE_OK;
}

static enum template_outcome put_member(struct maker *m, const struct http_member *member,
					struct buf *out, size_t start, char first)
{
	size_t before = out->len;
	enum template_outcome outcome;

	if (template_is_argument(&member->value)) {
		const json_t *value = template_argument(&member->value.parts[0], m->arguments);

		if (json_is_array(value))
			return put_list(m, member, value, out, start, first);
	}
	put_separator(out, start, first);
	put_name(member, out);
	outcome = template_fill(&member->value,
				member->is_url ? PLACE_URL
				: first        ? PLACE_QUERY
					       : PLACE_FORM,
				m->arguments, NULL, out, m->fault);
	if (outcome != TEMPLATE_MISSING)
		return outcome;
	out->len = before;
	if (out->p)
		out->p[before] = '\0';
	return TEMPLATE_OK;
}

/* first is put in front of the first member of a query; 0 for a form, which has none. */
static enum template_outcome put_members(struct maker *m, const struct http_members *members,
					 struct buf *out, size_t start, char first)
{
	for (size_t i = 0; i < members->count; i++) {
		enum template_outcome outcome = put_member(m, &members->items[i], out, start,
							   first);

		if (outcome != TEMPLATE_OK)
			return outcome;
	}
	return TEMPLATE_OK;
}

static enum template_outcome make_url(struct maker *m)
{
	const struct http_plan *plan = m->plan;
	struct buf *url = &m->made->url;
	enum template_outcome outcome;

	buf_puts(url, plan->origin);
	if (!plan->segments_count)
		buf_putc(url, '/');
	for (size_t i = 0; i < plan->segments_count; i++) {
		buf_putc(url, '/');
		outcome = template_fill(&plan->segments[i], PLACE_SEGMENT, m->arguments, NULL, url,
					m->fault);
		if (outcome != TEMPLATE_OK)
			return outcome;
	}
	outcome = put_members(m, &plan->query, url, url->len, '?');
	if (outcome == TEMPLATE_OK && url->len > PROVIDER_URL_BYTES_MAX)
		return too_long(m, "the URL");
	return outcome;
}

static void add_header(struct http_made *made, const char *name, TAKES char *value)
{
	made->headers[made->headers_count++] = (struct http_header){.name = name, .value = value};
}

static enum template_outcome make_header(struct maker *m, const struct http_member *member)
{
	struct buf value = BUF_INIT;
	enum template_outcome outcome;

	outcome = template_fill(&member->value, PLACE_HEADER, m->arguments, m->session, &value,
				m->fault);
	if (outcome == TEMPLATE_OK && value.len > PROVIDER_HEADER_BYTES_MAX)
		outcome = too_long(m, "a header");
	add_header(m->made, member->name, buf_steal(&value));
	return outcome;
}

static bool has_header(const struct http_made *made, const char *name)
{
	for (size_t i = 0; i < made->headers_count; i++) {
		if (strcasecmp(made->headers[i].name, name) == 0)
			return true;
	}
	return false;
}

static enum template_outcome make_own_key(struct maker *m, const char *key)
{
	const struct own_key *own = &m->plan->own_key;
	struct buf value = BUF_INIT;
	bool is_good = own_key_value(own, key, &value);

	add_header(m->made, own->header, buf_steal(&value));
	if (is_good)
		return TEMPLATE_OK;
	m->fault->field[0] = '\0';
	(void)snprintf(m->fault->text, sizeof(m->fault->text),
		       "your own key for this provider holds a control character");
	return TEMPLATE_UNFIT;
}

static enum template_outcome make_headers(struct maker *m, const char *own_key)
{
	const struct http_members *headers = &m->plan->headers;
	struct http_made *made = m->made;
	bool is_own = own_key && m->plan->own_key.name;
	enum template_outcome outcome = TEMPLATE_OK;

	/* The own key, the type of the body and what is accepted. */
	made->headers = xarray(headers->count + 3, sizeof(*made->headers));
	for (size_t i = 0; i < headers->count && outcome == TEMPLATE_OK; i++) {
		if (!is_own || strcasecmp(headers->items[i].name, m->plan->own_key.header) != 0)
			outcome = make_header(m, &headers->items[i]);
	}
	if (outcome == TEMPLATE_OK && is_own)
		outcome = make_own_key(m, own_key);
	made->is_confined = made->headers_count > 0;
	if (!has_header(made, "Accept"))
		add_header(made, "Accept", xstrdup("application/json, */*;q=0.5"));
	if (made->has_body && !has_header(made, "Content-Type"))
		add_header(made, "Content-Type",
			   xstrdup(m->plan->has_form ? "application/x-www-form-urlencoded"
						     : "application/json"));
	return outcome;
}

static enum template_outcome make_body(struct maker *m)
{
	struct http_made *made = m->made;

	made->has_body = m->plan->has_form || m->plan->body;
	if (m->plan->has_form)
		return put_members(m, &m->plan->form, &made->body, 0, '\0');
	if (m->plan->body)
		return body_fill(m->plan->body, m->arguments, &made->body, m->fault);
	return TEMPLATE_OK;
}

enum template_outcome http_make(const struct http_plan *plan, json_t *arguments,
				const char *own_key, const char *session, struct http_made *out,
				struct template_fault *fault)
{
	struct http_made made = {.headers = NULL};
	struct maker m = {.plan = plan,
			  .arguments = arguments,
			  .session = session,
			  .made = &made,
			  .fault = fault};
	enum template_outcome outcome = make_url(&m);

	if (outcome == TEMPLATE_OK)
		outcome = make_body(&m);
	if (outcome == TEMPLATE_OK)
		outcome = make_headers(&m, own_key);
	if (outcome != TEMPLATE_OK)
		http_made_finish(&made);
	else
		*out = made;
	return outcome;
}

static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->len);
	buf_finish(b);
}

void http_made_set_body(struct http_made *made, struct buf *body)
{
	wipe(&made->body);
	made->body = *body;
	made->has_body = true;
	*body = (struct buf)BUF_INIT;
}

void http_made_finish(struct http_made *made)
{
	wipe(&made->url);
	wipe(&made->body);
	for (size_t i = 0; i < made->headers_count; i++)
		secret_free((char *)(uintptr_t)made->headers[i].value);
	free(made->headers);
	*made = (struct http_made){.headers = NULL};
}
