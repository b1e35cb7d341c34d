#include "signals/url.h"

#include "base/limits.h"
#include "signals/text.h"

#include <curl/curl.h>
#include <string.h>

static void free_curlu(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void free_curl_text(char **p)
{
	curl_free(*p);
}

/* The handle with text resolved into it, or NULL. */
static CURLU *parse(const char *base, const char *text)
{
	CURLU *u = curl_url();
	char *scheme CLEANUP(free_curl_text) = NULL;
	const unsigned flags = CURLU_DISALLOW_USER;

	CHECK(u != NULL);
	if ((base != NULL && curl_url_set(u, CURLUPART_URL, base, flags) != CURLUE_OK) ||
	    curl_url_set(u, CURLUPART_URL, text, flags) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)) {
		curl_url_cleanup(u);
		return NULL;
	}
	return u;
}

static bool host_is_address(const char *host)
{
	return host[0] == '[' || strspn(host, "0123456789.") == strlen(host);
}

/* "acme.com." is the same host. "acme.com.." is none, and neither is "8.", of which libcurl would
 * make a name here and an address the next time. */
static bool strip_root(struct buf *host)
{
	const char *last;

	if (!host->len || host->p[host->len - 1] != '.')
		return true;
	host->p[--host->len] = '\0';
	last = strrchr(host->p, '.');
	last = last ? last + 1 : host->p;
	return *last && (*last < '0' || *last > '9');
}

static char *read_host(CURLU *u, bool *out_is_address)
{
	char *host CLEANUP(free_curl_text) = NULL;
	char *port CLEANUP(free_curl_text) = NULL;
	struct buf out = BUF_INIT;

	if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK || host[0] == '\0')
		return NULL;
	*out_is_address = host_is_address(host);
	for (const char *p = host; *p != '\0'; p++)
		buf_putc(&out, ascii_lower(*p));
	if (!strip_root(&out) || curl_url_set(u, CURLUPART_HOST, buf_text(&out), 0) != CURLUE_OK) {
		buf_finish(&out);
		return NULL;
	}
	if (curl_url_get(u, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) == CURLUE_OK)
		buf_printf(&out, ":%s", port);
	return buf_steal(&out);
}

bool url_read(const char *text, struct url *out, struct err *err)
{
	CURLU *u CLEANUP(free_curlu) = NULL;
	char *whole CLEANUP(free_curl_text) = NULL;
	char *path CLEANUP(free_curl_text) = NULL;
	char *host CLEANUP(free_charp) = NULL;
	bool is_address = false;

	if (strlen(text) > URL_BYTES_MAX)
		return err_set(err, "an address of more than %d bytes", URL_BYTES_MAX);
	u = parse(NULL, text);
	if (u == NULL)
		return err_set(err, "not an http or https address");
	host = read_host(u, &is_address);
	if (host == NULL || curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_URL, &whole, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
		return err_set(err, "not an http or https address");
	out->text = xstrdup(whole);
	out->host = host;
	host = NULL;
	out->path = xstrdup(path);
	out->is_address = is_address;
	return true;
}

void url_finish(struct url *u)
{
	free_charp(&u->text);
	free_charp(&u->host);
	free_charp(&u->path);
	memset(u, 0, sizeof(*u));
}

char *url_join(const char *base, struct slice reference)
{
	CURLU *u CLEANUP(free_curlu) = NULL;
	char *whole CLEANUP(free_curl_text) = NULL;
	char *text CLEANUP(free_charp) = NULL;

	if (reference.len == 0 || reference.len > URL_BYTES_MAX ||
	    memchr(reference.p, '\0', reference.len) != NULL)
		return NULL;
	text = xstrndup(reference.p, reference.len);
	u = parse(base, text);
	if (u == NULL || curl_url_get(u, CURLUPART_URL, &whole, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
		return NULL;
	return strlen(whole) <= URL_BYTES_MAX ? xstrdup(whole) : NULL;
}

const char *url_path(const char *text)
{
	const char *host = strstr(text, "://");
	const char *path = host == NULL ? NULL : strchr(host + 3, '/');

	return path == NULL ? "/" : path;
}

unsigned url_depth(const char *path)
{
	unsigned depth = 0;

	for (const char *p = path; *p != '\0'; p++) {
		if (*p == '/' && p[1] != '/' && p[1] != '\0')
			depth++;
	}
	return depth;
}

void url_escape(struct buf *out, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (ascii_is_alpha(*text) || ascii_is_digit(*text) || strchr("-._~", c) != NULL) {
			buf_putc(out, *text);
		} else {
			buf_putc(out, '%');
			buf_putc(out, digits[c >> 4]);
			buf_putc(out, digits[c & 15]);
		}
	}
}
