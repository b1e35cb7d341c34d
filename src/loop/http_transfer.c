#include "loop/http_transfer.h"

#include "base/limits.h"
#include "loop/http_sockets.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whether the request that is under way has begun to leave: the first one, or what the last
 * redirect led to. libcurl's own count of redirects has other repetitions in it. */
static bool was_sent(const struct http_transfer *t)
{
	return t->is_sent && !(t->may_redirect && t->answer_class == '3');
}

static int status_of(const struct http_transfer *t)
{
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

/* Called for each piece of the body after it was decoded. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_transfer *t = arg;
	size_t len = size * n;

	if (t->handed_on_bytes + len > t->body.cap || !buf_append_capped(&t->body, p, len)) {
		t->passed_bytes_max = t->body.cap;
		return 0;
	}
	if (t->data) {
		t->handed_on_bytes += len;
		http_note_fresh(t);
	}
	return len;
}

static bool header_store(struct http_transfer *t, const char *p, size_t len)
{
	const char *colon = memchr(p, ':', len);
	const char *value, *end = p + len;

	if (!colon || colon == p || *p == ' ' || *p == '\t' || memchr(p, '\0', len))
		return true;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	return buf_append_capped(&t->headers, p, (size_t)(colon - p)) &&
	       buf_append_capped(&t->headers, "", 1) &&
	       buf_append_capped(&t->headers, value, (size_t)(end - value)) &&
	       buf_append_capped(&t->headers, "", 1);
}

static bool is_same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	char *x = NULL, *y = NULL;
	bool is_same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       strcasecmp(x, y) == 0;

	curl_free(x);
	curl_free(y);
	return is_same;
}

/* What cannot be read leads elsewhere. */
static bool leads_to_origin(struct http_transfer *t, const char *location)
{
	CURLU *from = curl_url(), *to = curl_url();
	const char *now = NULL;
	bool is_same;

	CHECK(from && to);
	(void)curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &now);
	is_same = now && curl_url_set(from, CURLUPART_URL, t->origin, 0) == CURLUE_OK &&
		  curl_url_set(to, CURLUPART_URL, now, 0) == CURLUE_OK &&
		  curl_url_set(to, CURLUPART_URL, location, 0) == CURLUE_OK &&
		  is_same_part(from, to, CURLUPART_SCHEME) &&
		  is_same_part(from, to, CURLUPART_HOST) && is_same_part(from, to, CURLUPART_PORT);
	curl_url_cleanup(from);
	curl_url_cleanup(to);
	return is_same;
}

/* False when the header that was just stored, from start on, is a redirect away from the origin. */
static bool may_follow(struct http_transfer *t, size_t start)
{
	const char *name;

	if (!t->origin || t->headers.len == start || status_of(t) / 100 != 3)
		return true;
	name = t->headers.p + start;
	if (strcasecmp(name, "Location") != 0)
		return true;
	t->is_elsewhere = !leads_to_origin(t, name + strlen(name) + 1);
	t->is_refused = t->is_elsewhere;
	return !t->is_elsewhere;
}

/* The 2 of "HTTP/1.1 200 OK"; 1xx announce an answer only. */
static void note_class(struct http_transfer *t, const char *p, size_t len)
{
	const char *space = memchr(p, ' ', len);

	if (space && space + 1 < p + len && space[1] != '1')
		t->answer_class = space[1];
}

/* One header line, terminated by CR LF, of any response in the chain. */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_transfer *t = arg;
	size_t len = size * n, start = t->headers.len;

	if (len >= 5 && memcmp(p, "HTTP/", 5) == 0) {
		buf_clear(&t->headers);
		note_class(t, p, len);
		return len;
	}
	if (header_store(t, p, len))
		return may_follow(t, start) ? len : 0;
	t->passed_bytes_max = t->headers.cap;
	return 0;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_transfer *t = arg;
	int fd;

	/* libcurl wants to send it again: no need to connect for that. */
	t->is_repetition = t->is_repetition || (t->is_once && was_sent(t));
	t->is_refused = !t->allow_private &&
			(purpose != CURLSOCKTYPE_IPCXN || !http_address_is_public(&address->addr));
	if (t->is_repetition || t->is_refused)
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    address->protocol);
	if (fd >= 0)
		http_sockets_add(http_sockets_of(t->http), fd);
	return fd;
}

/* Of a connection, which may outlive the transfer that it was opened for. */
static int on_close(void *arg, curl_socket_t fd)
{
	http_sockets_remove(arg, fd);
	return close(fd);
}

static bool is_public(const char *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
		return http_address_is_public((const struct sockaddr *)&in);
	return inet_pton(AF_INET6, address, &in6.sin6_addr) == 1 &&
	       http_address_is_public((const struct sockaddr *)&in6);
}

/* Before each request, on a new connection or a kept one: a connection that was opened for a
 * transfer with allow_private must not serve one without. libcurl comes here again with a request
 * that it sends again, for whatever reason. */
static int on_connected(void *arg, char *peer, char *local, int peer_port, int local_port)
{
	struct http_transfer *t = arg;

	(void)local;
	t->is_refused = !t->allow_private && !is_public(peer);
	t->is_repetition = t->is_repetition || (t->is_once && was_sent(t));
	if (t->is_refused || t->is_repetition)
		return CURL_PREREQFUNC_ABORT;
	/* libcurl looks for itself before it takes a kept connection, but takes the last words of
	 * TLS for a sign of life. */
	t->is_stale = t->is_once && !t->requests_sent && !t->was_renewed &&
		      http_sockets_has_ended(http_sockets_of(t->http), peer, peer_port, local_port);
	if (t->is_stale)
		return CURL_PREREQFUNC_ABORT;
	t->requests_sent++;
	t->is_sent = true;
	t->answer_class = '\0';
	return CURL_PREREQFUNC_OK;
}

static void check_set(CURLcode code)
{
	if (code == CURLE_OUT_OF_MEMORY)
		out_of_memory(0);
	CHECK(code == CURLE_OK);
}

#define SET(t, option, value) check_set(curl_easy_setopt((t)->easy, option, value))

static void set_network(struct http_transfer *t, const struct http_request *r)
{
	int64_t ms = r->timeout_ms < 1 ? 1 : r->timeout_ms;

	if (ms > INT_MAX)
		ms = INT_MAX;
	t->allow_private = r->allow_private;
	t->is_once = r->is_once;
	if (r->is_once)
		SET(t, CURLOPT_MAXAGE_CONN, (long)HTTP_ONCE_KEPT_S);
	SET(t, CURLOPT_NOSIGNAL, 1L);
	SET(t, CURLOPT_TIMEOUT_MS, (long)ms);
	SET(t, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	SET(t, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(t, CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(t, CURLOPT_OPENSOCKETDATA, t);
	SET(t, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	SET(t, CURLOPT_CLOSESOCKETDATA, http_sockets_of(t->http));
	SET(t, CURLOPT_PREREQFUNCTION, on_connected);
	SET(t, CURLOPT_PREREQDATA, t);
	/* A proxy would look names up and connect for us, beyond the check of addresses. */
	if (!r->allow_private || r->no_proxy)
		SET(t, CURLOPT_PROXY, "");
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(t, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(t, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
	SET(t, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
	SET(t, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else the end of a transfer waits for the thread that looks its name up. */
	SET(t, CURLOPT_QUICK_EXIT, 1L);
#endif
	/* This bounds how often libcurl sends a request again that asked for 100 and got 417, too.
	 */
	SET(t, CURLOPT_MAXREDIRS, (long)r->redirects_max);
	t->may_redirect = r->redirects_max > 0;
	if (t->may_redirect) {
		SET(t, CURLOPT_FOLLOWLOCATION, 1L);
		if (r->stays_at_origin)
			t->origin = xstrdup(r->url);
	}
}

static void set_sinks(struct http_transfer *t, const struct http_request *r, const char *user_agent)
{
	t->data = r->data;
	t->body.cap = r->body_bytes_max ? r->body_bytes_max : HTTP_BODY_BYTES_MAX;
	t->headers.cap = HTTP_HEADER_BYTES_MAX;
	SET(t, CURLOPT_PRIVATE, t);
	SET(t, CURLOPT_ERRORBUFFER, t->curl_error);
	SET(t, CURLOPT_WRITEFUNCTION, on_body);
	SET(t, CURLOPT_WRITEDATA, t);
	SET(t, CURLOPT_HEADERFUNCTION, on_header);
	SET(t, CURLOPT_HEADERDATA, t);
	SET(t, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	(void)curl_easy_setopt(t->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	SET(t, CURLOPT_USERAGENT, r->user_agent ? r->user_agent : user_agent);
}

static void set_method(struct http_transfer *t, const struct http_request *r)
{
	const char *method = r->method ? r->method : "GET";
	bool is_post = strcmp(method, "POST") == 0;
	size_t len = r->body.p ? r->body.len : 0;

	if (strcmp(method, "HEAD") == 0) {
		SET(t, CURLOPT_NOBODY, 1L);
		return;
	}
	/* Not said for a plain GET or POST: libcurl would stick to it through redirects. */
	if (!is_post && (r->body.p || strcmp(method, "GET") != 0))
		SET(t, CURLOPT_CUSTOMREQUEST, method);
	if (!is_post && !r->body.p && strcmp(method, "PUT") != 0 && strcmp(method, "PATCH") != 0)
		return;
	t->request_body = xmalloc(len);
	if (len)
		memcpy(t->request_body, r->body.p, len);
	SET(t, CURLOPT_POST, 1L);
	SET(t, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	SET(t, CURLOPT_POSTFIELDS, t->request_body);
}

static void add_header_line(struct http_transfer *t, const char *line)
{
	struct curl_slist *list = curl_slist_append(t->request_headers, line);

	CHECK(list);
	t->request_headers = list;
}

static void set_headers(struct http_transfer *t, const struct http_request *r)
{
	bool has_type = false, has_expect = false;

	for (size_t i = 0; i < r->headers_count; i++) {
		const struct http_header *h = &r->headers[i];
		/* "Name:" would remove a header, "Name;" sends an empty one. */
		char *line = h->value[0] ? xasprintf("%s: %s", h->name, h->value)
					 : xasprintf("%s;", h->name);

		add_header_line(t, line);
		free(line);
		has_type = has_type || strcasecmp(h->name, "Content-Type") == 0;
		has_expect = has_expect || strcasecmp(h->name, "Expect") == 0;
	}
	/* libcurl would call any body a form, and wait a second for "100 Continue". */
	if (t->request_body && !has_type)
		add_header_line(t, "Content-Type:");
	if (t->request_body && !has_expect)
		add_header_line(t, "Expect:");
	SET(t, CURLOPT_HTTPHEADER, t->request_headers);
}

static bool is_token(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			     "!#$%&'*+-.^_`|~");

	return n > 0 && s[n] == '\0';
}

/* NULL when the request may be sent; values of a header may come from arguments of a call, and must
 * not start a line of their own. */
static const char *request_fault(const struct http_request *r)
{
	const char *host = NULL;

	if (strncasecmp(r->url, "http://", 7) == 0)
		host = r->url + 7;
	else if (strncasecmp(r->url, "https://", 8) == 0)
		host = r->url + 8;
	if (!host || *host == '\0' || *host == '/')
		return "not an http or https URL";
	if (r->method && !is_token(r->method))
		return "not a method";
	for (size_t i = 0; i < r->headers_count; i++) {
		if (!is_token(r->headers[i].name))
			return "not a name of a header";
		if (strpbrk(r->headers[i].value, "\r\n"))
			return "a line break in a header";
	}
	return NULL;
}

struct http_transfer *transfer_create(struct http *http, const struct http_request *request,
				      const char *user_agent)
{
	struct http_transfer *t = xzalloc(sizeof(*t));

	t->http = http;
	t->bad_request = request_fault(request);
	if (t->bad_request)
		return t;
	t->easy = http_handle_take(http);
	set_network(t, request);
	set_sinks(t, request, user_agent);
	set_method(t, request);
	set_headers(t, request);
	if (curl_easy_setopt(t->easy, CURLOPT_URL, request->url) != CURLE_OK)
		t->bad_request = "the URL is too long";
	return t;
}

bool transfer_renew(struct http_transfer *t)
{
	if (!t->is_stale || t->was_renewed)
		return false;
	t->was_renewed = true;
	SET(t, CURLOPT_FRESH_CONNECT, 1L);
	return true;
}

void transfer_free(struct http_transfer *t)
{
	http_handle_give_back(t->http, t->easy);
	curl_slist_free_all(t->request_headers);
	free(t->request_body);
	free(t->origin);
	buf_finish(&t->body);
	buf_finish(&t->headers);
	free(t);
}

/* True when a URL of the chain was at fault. libcurl has the same codes for answers that are not
 * HTTP; but then the request has been sent. */
static bool is_url_fault(const struct http_transfer *t, CURLcode code, long redirects)
{
	return (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) &&
	       t->requests_sent <= redirects;
}

static long redirects_of(const struct http_transfer *t)
{
	long redirects = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	return redirects;
}

/* The connection ended under a request that was sent, with no word of an answer. */
static bool is_broken(const struct http_transfer *t, CURLcode code)
{
	return was_sent(t) && !t->answer_class &&
	       (t->is_repetition || code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
		code == CURLE_SEND_ERROR || code == CURLE_PARTIAL_FILE || code == CURLE_HTTP2 ||
		code == CURLE_HTTP2_STREAM);
}

/* libcurl's own words, unless they may quote a URL, with what it carries. */
static const char *transport_error(const struct http_transfer *t, CURLcode code)
{
	const char *text = t->curl_error;

	if (is_broken(t, code))
		return "the connection broke before an answer";
	if (t->is_repetition || (code == CURLE_TOO_MANY_REDIRECTS && !t->may_redirect))
		return "the server wants the request a second time";
	if (code == CURLE_PARTIAL_FILE)
		return "the answer was cut short";
	/* Its word for a line beyond its own limit, and for what cannot be opened before that. */
	if (code == CURLE_OUT_OF_MEMORY)
		return t->requests_sent ? "a header of the answer is too long"
					: "no connection can be made: too few descriptors, "
					  "processes or memory";
	if (code == CURLE_TOO_MANY_REDIRECTS)
		return "too many redirects";
	if (is_url_fault(t, code, redirects_of(t)))
		return "redirected to what is not an http or https URL";
	if (*text == '\0' || strpbrk(text, "@?") || strstr(text, "://"))
		return curl_easy_strerror(code);
	return text;
}

static enum http_outcome outcome_of(const struct http_transfer *t, CURLcode code)
{
	long redirects;

	if (t->bad_request)
		return HTTP_BAD_URL;
	if (code == CURLE_OK)
		return HTTP_DONE;
	if (t->passed_bytes_max)
		return HTTP_TOO_LARGE;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return HTTP_TIMEOUT;
	if (t->is_refused)
		return HTTP_REFUSED_ADDRESS;
	redirects = redirects_of(t);
	if (redirects == 0 && is_url_fault(t, code, redirects))
		return HTTP_BAD_URL;
	return HTTP_TRANSPORT;
}

static void error_text(struct http_transfer *t, enum http_outcome outcome, CURLcode code)
{
	switch (outcome) {
	case HTTP_DONE:
		break;
	case HTTP_TOO_LARGE:
		(void)snprintf(t->error, sizeof(t->error), "the answer is above %zu bytes",
			       t->passed_bytes_max);
		break;
	case HTTP_REFUSED_ADDRESS:
		(void)snprintf(t->error, sizeof(t->error), "%s",
			       t->is_elsewhere ? "redirected to another host"
					       : "the address is not public");
		break;
	case HTTP_BAD_URL:
		(void)snprintf(t->error, sizeof(t->error), "%s",
			       t->bad_request ? t->bad_request : "the URL is malformed");
		break;
	case HTTP_TIMEOUT:
	case HTTP_TRANSPORT:
		(void)snprintf(t->error, sizeof(t->error), "%s", transport_error(t, code));
		break;
	}
}

void transfer_response(struct http_transfer *t, CURLcode code, struct http_response *out)
{
	long status = 0;
	const char *content_type = NULL, *url = NULL;

	if (t->easy) {
		(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		(void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &content_type);
		(void)curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
	}
	out->outcome = outcome_of(t, code);
	error_text(t, out->outcome, code);
	out->error = t->error;
	out->was_sent = t->easy && was_sent(t);
	out->status = (int)status;
	out->body = buf_slice(&t->body);
	out->content_type = content_type ? content_type : "";
	out->effective_url = url ? url : "";
	out->transfer = t;
}

const char *http_response_header(const struct http_response *response, const char *name)
{
	struct slice headers = buf_slice(&response->transfer->headers);
	const char *p = headers.p;
	const char *end = p + headers.len;

	while (p < end) {
		const char *value = p + strlen(p) + 1;

		if (strcasecmp(p, name) == 0)
			return value;
		p = value + strlen(value) + 1;
	}
	return NULL;
}

bool http_date_read(const char *text, struct walltime *out)
{
	time_t t = curl_getdate(text, NULL);

	if (t < 0)
		return false;
	out->ms = (int64_t)t * 1000;
	return true;
}
