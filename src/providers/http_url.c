/* The URL of an http provider, taken apart once: what an argument fills cannot move a border. */

#include "providers/http_plan.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* ${env:BASE} at the start is text of the operator, with its borders; braces in it are its own. */
static bool unfold_base(const char *text, struct buf *out, struct err *err)
{
	const char *end = strchr(text, '}');
	struct template t;
	const char *base;
	size_t len;

	if (strncmp(text, "${env:", 6) != 0 || !end) {
		buf_puts(out, text);
		return true;
	}
	if (!template_read((struct slice){.p = text, .len = (size_t)(end + 1 - text)},
			   TEMPLATE_MAY_SECRET, &t, err))
		return false;
	base = t.parts[0].text;
	len = strlen(base);
	if (end[1] == '/') {
		while (len && base[len - 1] == '/')
			len--;
	}
	for (size_t i = 0; i < len; i++) {
		buf_putc(out, base[i]);
		if (base[i] == '{' || base[i] == '}')
			buf_putc(out, base[i]);
	}
	buf_puts(out, end + 1);
	template_finish(&t);
	return true;
}

static bool is_host(const char *host)
{
	size_t name = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789.-_");
	const char *port = host + name;
	int64_t n;

	if (*host == '[') {
		name = 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
		if (host[name] != ']')
			return false;
		port = host + name + 1;
	}
	if (name == 0 || (*port && *port != ':'))
		return false;
	return !*port || parse_i64(slice_of(port + 1), 1, 65535, &n);
}

static bool read_origin(const char *text, size_t scheme_len, size_t len, struct http_plan *plan,
			struct err *err)
{
	struct slice authority = {.p = text + scheme_len, .len = len - scheme_len};
	struct template_fault fault;
	struct buf host = BUF_INIT;
	struct template t;
	bool is_good;

	if (!template_read(authority, TEMPLATE_MAY_SECRET, &t, err)) {
		err_prefix(err, "the host");
		return false;
	}
	CHECK(template_fill(&t, PLACE_TEXT, NULL, NULL, &host, &fault) == TEMPLATE_OK);
	plan->hides_host = plan->hides_host || template_has(&t, TEMPLATE_SECRET);
	template_finish(&t);
	is_good = is_host(buf_text(&host));
	if (is_good)
		plan->origin = xasprintf("%.*s%s", (int)scheme_len, text, buf_text(&host));
	else
		err_set(err, "must begin with http:// or https://, a host and, if need be, a port; "
			     "a user name belongs into a header");
	buf_finish(&host);
	return is_good;
}

static bool read_segments(struct slice path, struct http_plan *plan, struct err *err)
{
	size_t at = 0;

	while (at < path.len) {
		const char *start = path.p + at + 1; /* behind the slash */
		size_t left = path.len - at - 1;
		const char *end = memchr(start, '/', left);
		struct slice segment = {.p = start, .len = end ? (size_t)(end - start) : left};
		struct template t;

		if (!template_read(segment, TEMPLATE_MAY_ARGUMENT | TEMPLATE_MAY_SECRET, &t, err))
			return false;
		plan->segments = xrealloc_array(plan->segments, plan->segments_count + 1,
						sizeof(*plan->segments));
		plan->segments[plan->segments_count++] = t;
		at += 1 + segment.len;
	}
	return true;
}

static bool read_parameter(struct slice text, struct http_plan *plan, struct err *err)
{
	const char *equals = memchr(text.p, '=', text.len);
	size_t name_len = equals ? (size_t)(equals - text.p) : text.len;
	struct slice value = {.p = equals ? equals + 1 : "",
			      .len = equals ? text.len - name_len - 1 : 0};
	struct http_member m = {.is_url = true};

	if (memchr(text.p, '{', name_len))
		return err_set(err, "the name of a parameter cannot be a template");
	if (!template_read(value, TEMPLATE_MAY_ARGUMENT | TEMPLATE_MAY_SECRET, &m.value, err))
		return false;
	m.name = xstrndup(text.p, name_len);
	plan->query.items = xrealloc_array(plan->query.items, plan->query.count + 1,
					   sizeof(*plan->query.items));
	plan->query.items[plan->query.count++] = m;
	return true;
}

static bool read_query(struct slice query, struct http_plan *plan, struct err *err)
{
	size_t at = 0;

	while (at < query.len) {
		const char *start = query.p + at;
		const char *end = memchr(start, '&', query.len - at);
		struct slice text = {.p = start,
				     .len = end ? (size_t)(end - start) : query.len - at};

		if (text.len && !read_parameter(text, plan, err))
			return false;
		at += text.len + 1;
	}
	return true;
}

static bool read_parts(const char *text, struct http_plan *plan, struct err *err)
{
	size_t scheme_len = strncasecmp(text, "https://", 8) == 0  ? 8
			    : strncasecmp(text, "http://", 7) == 0 ? 7
								   : 0;
	size_t origin_len = scheme_len + strcspn(text + scheme_len, "/?#");
	const char *path = text + origin_len;
	size_t path_len = strcspn(path, "?");

	if (!scheme_len)
		return err_set(err, "must begin with http:// or https://");
	if (strchr(path, '#'))
		return err_set(err, "cannot have a fragment");
	if (strpbrk(text, " \t\r\n"))
		return err_set(err, "holds a blank");
	if (!read_origin(text, scheme_len, origin_len, plan, err) ||
	    !read_segments((struct slice){.p = path, .len = path_len}, plan, err))
		return false;
	return !path[path_len] || read_query(slice_of(path + path_len + 1), plan, err);
}

bool http_url_read(const char *text, struct http_plan *plan, struct err *err)
{
	struct buf whole = BUF_INIT;
	bool is_good;

	plan->hides_host = text[0] == '$';
	is_good = unfold_base(text, &whole, err) && read_parts(buf_text(&whole), plan, err);

	if (whole.p)
		explicit_bzero(whole.p, whole.len);
	buf_finish(&whole);
	return is_good;
}
