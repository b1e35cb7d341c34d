/*
 * fake-company: the website and the job boards of a made-up company on 127.0.0.1, for tests and for
 * trying farebox without the network. It prints "listening PORT" and ends at the end of its input
 * or at SIGTERM. What it serves lies in the folder company/ (or the one named as its argument).
 *
 *	GET  /, /robots.txt, /sitemap.xml                   the website, with validators
 *	GET  /moved, /loop, /big                            redirects, and a page of 3 MiB
 *	GET  /v1/boards/tidewater/jobs                      Greenhouse
 *	GET  /v0/postings/tidewater-labs                    Lever
 *	GET  /posting-api/job-board/tidewater-sea           Ashby
 *	     the board "hollow" of each is there and empty; others answer as the real ones do
 *	POST /control/fail?path=P&status=N[&retry_after=S][&times=N]
 *	POST /control/fail?path=P&mode=hang|garbage|close|drop-after-half[&times=N]
 *	POST /control/serve?path=P&type=T                   the body of this request, from now on
 *	POST /control/change                                new content everywhere
 *	POST /control/reset                                 as at the start
 *	GET  /control/requests                              "METHOD PATH STATUS" a line, since reset
 */

#include "base/buf.h"

#include "serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	FAULTS_MAX = 32,
	BIG_BYTES = 3 * 1024 * 1024,
	FILE_BYTES_MAX = 1024 * 1024,
};

enum fault_mode {
	FAULT_STATUS,
	FAULT_HANG,
	FAULT_GARBAGE,
	FAULT_CLOSE,
	FAULT_HALF,
	FAULT_SERVE,
};

struct fault {
	char *path;
	enum fault_mode mode;
	int64_t status;
	char *retry_after; /* NULL for none */
	int64_t times;     /* -1: until reset */
	char *type;        /* of what is served instead */
	struct buf body;
};

struct resource {
	const char *path;
	const char *type;
	const char *file;
	const char *changed_file;
	bool has_validators;
};

static const struct resource RESOURCES[] = {
	{"/", "text/html; charset=utf-8", "index.html", "index.changed.html", true},
	{"/robots.txt", "text/plain", "robots.txt", "robots.txt", false},
	{"/sitemap.xml", "application/xml", "sitemap.xml", "sitemap.changed.xml", true},
	{"/v1/boards/tidewater/jobs", "application/json", "greenhouse.json",
	 "greenhouse.changed.json", false},
	{"/v0/postings/tidewater-labs", "application/json", "lever.json", "lever.changed.json",
	 false},
	{"/posting-api/job-board/tidewater-sea", "application/json", "ashby.json",
	 "ashby.changed.json", false},
};

/* Answers that need no file. */
static const struct fixed {
	const char *prefix;
	bool is_whole; /* the prefix is the whole path */
	unsigned status;
	const char *type;
	const char *body;
	const char *location;
} FIXED[] = {
	{"/moved", true, 302, "text/plain", "", "/"},
	{"/loop", true, 302, "text/plain", "", "/loop"},
	{"/v1/boards/hollow/jobs", true, 200, "application/json",
	 "{\"jobs\":[],\"meta\":{\"total\":0}}", NULL},
	{"/v0/postings/hollow", true, 200, "application/json", "[]", NULL},
	{"/posting-api/job-board/hollow", true, 200, "application/json",
	 "{\"apiVersion\":\"1\",\"jobs\":[]}", NULL},
	{"/v1/boards/", false, 404, "application/json",
	 "{\"status\":404,\"error\":\"Job not found\"}", NULL},
	{"/v0/postings/", false, 404, "application/json",
	 "{\"ok\":false,\"error\":\"Document not found\"}", NULL},
	{"/posting-api/job-board/", false, 404, "text/plain", "Not Found", NULL},
};

struct fake {
	const char *dir;
	char *base; /* http://127.0.0.1:PORT */
	bool is_changed;
	struct fault faults[FAULTS_MAX];
	size_t faults_count;
	struct buf requests;
};

/* A body of which only the first half arrives. */
struct half {
	struct buf body;
};

static bool read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rbe");
	char chunk[4096];
	size_t n;

	if (f == NULL)
		return false;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && out->len < FILE_BYTES_MAX)
		buf_append(out, chunk, n);
	fclose(f);
	return true;
}

/* Puts our address in the place of {{BASE}}. */
static void expand(const struct fake *fake, const struct buf *in, struct buf *out)
{
	static const char mark[] = "{{BASE}}";
	const char *p = buf_text(in);
	const char *hit;

	while ((hit = strstr(p, mark)) != NULL) {
		buf_append(out, p, (size_t)(hit - p));
		buf_puts(out, fake->base);
		p = hit + sizeof(mark) - 1;
	}
	buf_puts(out, p);
}

static bool load(const struct fake *fake, const struct resource *r, struct buf *out)
{
	char *path CLEANUP(free_charp) = xasprintf("%s/%s", fake->dir,
						   fake->is_changed ? r->changed_file : r->file);
	struct buf raw = BUF_INIT;
	bool ok = read_file(path, &raw);

	if (ok)
		expand(fake, &raw, out);
	else
		fprintf(stderr, "cannot read %s\n", path);
	buf_finish(&raw);
	return ok;
}

static const struct resource *find_resource(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(RESOURCES); i++) {
		if (strcmp(RESOURCES[i].path, path) == 0)
			return &RESOURCES[i];
	}
	return NULL;
}

static enum MHD_Result reply(struct fake *fake, struct MHD_Connection *c, const char *what,
			     unsigned status, TAKES struct MHD_Response *response)
{
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	/* Connections are not kept: each test sees its own. */
	(void)MHD_add_response_header(response, "Connection", "close");
	buf_printf(&fake->requests, "%s %u\n", what, status);
	result = MHD_queue_response(c, status, response);
	MHD_destroy_response(response);
	return result;
}

static struct MHD_Response *make_response(const char *type, const char *body, size_t len)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);

	if (response != NULL && type != NULL)
		(void)MHD_add_response_header(response, "Content-Type", type);
	return response;
}

static ssize_t read_half(void *arg, uint64_t at, char *out, size_t max)
{
	struct half *half = arg;
	size_t end = half->body.len / 2;

	if (at >= end)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (max > end - at)
		max = end - at;
	memcpy(out, half->body.p + at, max);
	return (ssize_t)max;
}

static void free_half(void *arg)
{
	struct half *half = arg;

	buf_finish(&half->body);
	free(half);
}

static enum MHD_Result reply_half(struct fake *fake, struct MHD_Connection *c, const char *what,
				  const char *path)
{
	const struct resource *r = find_resource(path);
	struct half *half = xzalloc(sizeof(*half));
	struct MHD_Response *response;

	if (r == NULL || !load(fake, r, &half->body))
		buf_puts(&half->body, "only half of this arrives");
	response = MHD_create_response_from_callback(half->body.len, 1024, read_half, half,
						     free_half);
	if (response != NULL && r != NULL)
		(void)MHD_add_response_header(response, "Content-Type", r->type);
	return reply(fake, c, what, 200, response);
}

static enum MHD_Result reply_fault(struct fake *fake, struct MHD_Connection *c, const char *what,
				   struct fault *fault)
{
	static const char garbage[] = "\x89\x01\x02%% this is not what was asked for {[(";
	struct MHD_Response *response;

	if (fault->times > 0)
		fault->times--;
	switch (fault->mode) {
	case FAULT_STATUS:
		response = make_response("text/plain", "made to fail", 12);
		if (response != NULL && fault->retry_after != NULL)
			(void)MHD_add_response_header(response, "Retry-After", fault->retry_after);
		return reply(fake, c, what, (unsigned)fault->status, response);
	case FAULT_HANG:
		buf_printf(&fake->requests, "%s 0\n", what);
		MHD_suspend_connection(c);
		return MHD_YES;
	case FAULT_GARBAGE:
		response = make_response("application/octet-stream", garbage, sizeof(garbage) - 1);
		return reply(fake, c, what, 200, response);
	case FAULT_CLOSE:
		buf_printf(&fake->requests, "%s 0\n", what);
		return MHD_NO;
	case FAULT_HALF:
		return reply_half(fake, c, what, fault->path);
	case FAULT_SERVE:
		response = make_response(fault->type, buf_text(&fault->body), fault->body.len);
		return reply(fake, c, what, 200, response);
	}
	return MHD_NO;
}

/* The last one that was made for the path. */
static struct fault *find_fault(struct fake *fake, const char *path)
{
	for (size_t i = fake->faults_count; i > 0; i--) {
		struct fault *fault = &fake->faults[i - 1];

		if (fault->times != 0 && strcmp(fault->path, path) == 0)
			return fault;
	}
	return NULL;
}

static enum MHD_Result reply_resource(struct fake *fake, struct MHD_Connection *c, const char *what,
				      const struct resource *r)
{
	const char *known = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-None-Match");
	const char *etag = fake->is_changed ? "\"tide-2\"" : "\"tide-1\"";
	const char *date = fake->is_changed ? "Tue, 04 Nov 2025 10:00:00 GMT"
					    : "Mon, 06 Oct 2025 10:00:00 GMT";
	struct MHD_Response *response;
	struct buf body = BUF_INIT;
	bool is_known = r->has_validators && known != NULL && strcmp(known, etag) == 0;
	bool is_loaded = is_known || load(fake, r, &body);

	response = make_response(is_known ? NULL : r->type, buf_text(&body), body.len);
	buf_finish(&body);
	if (response != NULL && r->has_validators) {
		(void)MHD_add_response_header(response, "ETag", etag);
		(void)MHD_add_response_header(response, "Last-Modified", date);
	}
	if (!is_loaded)
		return reply(fake, c, what, 500, response);
	return reply(fake, c, what, is_known ? 304 : 200, response);
}

static enum MHD_Result reply_big(struct fake *fake, struct MHD_Connection *c, const char *what)
{
	struct buf body = BUF_INIT;
	struct MHD_Response *response;

	buf_puts(&body, "<html><body>");
	while (body.len < BIG_BYTES)
		buf_puts(&body, "<p>All of this is far too much for one page.</p>\n");
	response = make_response("text/html", body.p, body.len);
	buf_finish(&body);
	return reply(fake, c, what, 200, response);
}

static enum MHD_Result reply_fixed(struct fake *fake, struct MHD_Connection *c, const char *what,
				   const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(FIXED); i++) {
		const struct fixed *f = &FIXED[i];
		struct MHD_Response *response;

		if (f->is_whole ? strcmp(path, f->prefix) != 0
				: strncmp(path, f->prefix, strlen(f->prefix)) != 0)
			continue;
		response = make_response(f->type, f->body, strlen(f->body));
		if (response != NULL && f->location != NULL)
			(void)MHD_add_response_header(response, "Location", f->location);
		return reply(fake, c, what, f->status, response);
	}
	return reply(fake, c, what, 404,
		     make_response("text/html", "<h1>There is no such page</h1>", 30));
}

static void reset(struct fake *fake)
{
	for (size_t i = 0; i < fake->faults_count; i++) {
		free(fake->faults[i].path);
		free(fake->faults[i].retry_after);
		free(fake->faults[i].type);
		buf_finish(&fake->faults[i].body);
	}
	fake->faults_count = 0;
	fake->is_changed = false;
	buf_clear(&fake->requests);
}

static bool read_mode(const char *text, enum fault_mode *out)
{
	static const struct {
		const char *name;
		enum fault_mode mode;
	} modes[] = {
		{"hang", FAULT_HANG},
		{"garbage", FAULT_GARBAGE},
		{"close", FAULT_CLOSE},
		{"drop-after-half", FAULT_HALF},
	};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcmp(modes[i].name, text) == 0) {
			*out = modes[i].mode;
			return true;
		}
	}
	return false;
}

static bool add_page(struct fake *fake, struct MHD_Connection *c, const struct buf *body)
{
	const char *path = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "path");
	const char *type = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "type");
	struct fault *fault = &fake->faults[fake->faults_count];

	if (path == NULL || fake->faults_count == FAULTS_MAX)
		return false;
	*fault = (struct fault){
		.path = xstrdup(path),
		.mode = FAULT_SERVE,
		.times = -1,
		.type = xstrdup(type == NULL ? "text/html" : type),
	};
	buf_append(&fault->body, buf_text(body), body->len);
	fake->faults_count++;
	return true;
}

static bool add_fault(struct fake *fake, struct MHD_Connection *c)
{
	const char *path = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "path");
	const char *status = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "status");
	const char *mode = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "mode");
	const char *retry = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "retry_after");
	const char *times = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "times");
	struct fault fault = {.mode = FAULT_STATUS, .status = 500, .times = -1};

	if (path == NULL || fake->faults_count == FAULTS_MAX ||
	    (mode != NULL && !read_mode(mode, &fault.mode)) ||
	    (status != NULL && !parse_i64(slice_of(status), 200, 599, &fault.status)) ||
	    (times != NULL && !parse_i64(slice_of(times), 1, 1000, &fault.times)))
		return false;
	fault.path = xstrdup(path);
	fault.retry_after = retry == NULL ? NULL : xstrdup(retry);
	fake->faults[fake->faults_count++] = fault;
	return true;
}

static enum MHD_Result control(struct fake *fake, struct MHD_Connection *c, const char *path,
			       const struct buf *body)
{
	struct MHD_Response *response;
	unsigned status = 200;
	enum MHD_Result result;

	if (strcmp(path, "/control/change") == 0)
		fake->is_changed = true;
	else if (strcmp(path, "/control/reset") == 0)
		reset(fake);
	else if (strcmp(path, "/control/fail") == 0)
		status = add_fault(fake, c) ? 200 : 400;
	else if (strcmp(path, "/control/serve") == 0)
		status = add_page(fake, c, body) ? 200 : 400;
	else if (strcmp(path, "/control/requests") != 0)
		status = 404;
	response = strcmp(path, "/control/requests") == 0
			   ? make_response("text/plain", buf_text(&fake->requests),
					   fake->requests.len)
			   : make_response("text/plain", status == 200 ? "ok\n" : "no\n", 3);
	if (response == NULL)
		return MHD_NO;
	result = MHD_queue_response(c, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *method,
			      const char *path, const struct buf *body)
{
	struct fake *fake = arg;
	char *what CLEANUP(free_charp) = xasprintf("%s %s", method, path);
	const struct resource *r = find_resource(path);
	struct fault *fault = find_fault(fake, path);

	if (strncmp(path, "/control/", 9) == 0)
		return control(fake, c, path, body);
	if (fault != NULL)
		return reply_fault(fake, c, what, fault);
	if (r != NULL)
		return reply_resource(fake, c, what, r);
	if (strcmp(path, "/big") == 0)
		return reply_big(fake, c, what);
	return reply_fixed(fake, c, what, path);
}

int main(int argc, char **argv)
{
	struct fake fake = {.dir = argc > 1 ? argv[1] : COMPANY_DIR};
	struct serve serve = {.answer = answer, .arg = &fake};

	serve_listen(&serve);
	fake.base = xasprintf("http://127.0.0.1:%d", serve.port);
	serve_run(&serve);
}
