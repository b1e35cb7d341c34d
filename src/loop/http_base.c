/*
 * Where secrets may be sent.
 */

#include "loop/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static bool is_loopback(const char *host)
{
	size_t len = strlen(host);
	struct in_addr in;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &in) == 1)
		return ntohl(in.s_addr) >> 24 == IN_LOOPBACKNET;
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		CLEANUP(free_charp) char *address = xstrndup(host + 1, len - 2);
		struct in6_addr in6;

		return inet_pton(AF_INET6, address, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
	}
	return false;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool is_there = curl_url_get(url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return is_there;
}

/* By libcurl's own parser, so that what is looked at is where it goes. */
static bool judge_base(CURLU *url, const char *base, bool *out_is_loopback, struct err *err)
{
	char *scheme = NULL, *host = NULL;
	bool is_fit = false;

	if (curl_url_set(url, CURLUPART_URL, base, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
		(void)err_set(err, "is not a URL");
	} else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) ||
		   has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT)) {
		(void)err_set(err, "has more than a host, a port and a path");
	} else if (strcmp(scheme, "https") == 0) {
		is_fit = true;
	} else if (strcmp(scheme, "http") != 0) {
		(void)err_set(err, "is not https");
	} else if (is_loopback(host)) {
		is_fit = true;
	} else {
		(void)err_set(err, "must be https: secrets would cross the network in clear; http "
				   "is for 127.0.0.1 and localhost only");
	}
	if (is_fit)
		*out_is_loopback = is_loopback(host);
	curl_free(scheme);
	curl_free(host);
	return is_fit;
}

bool http_base_check(const char *base, bool *out_is_loopback, struct err *err)
{
	CURLU *url = curl_url();
	bool is_fit;

	CHECK(url);
	is_fit = judge_base(url, base, out_is_loopback, err);
	curl_url_cleanup(url);
	return is_fit;
}
