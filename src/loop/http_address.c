#include "loop/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

struct prefix4 {
	uint32_t net;
	int bits;
};

struct prefix6 {
	uint8_t net[16];
	int bits;
};

/* The special-purpose registry of IANA, as far as it is not globally reachable. */
static const struct prefix4 NOT_PUBLIC4[] = {
	{0x00000000, 8},  /* this network */
	{0x0a000000, 8},  /* private */
	{0x64400000, 10}, /* carrier-grade NAT */
	{0x7f000000, 8},  /* loopback */
	{0xa9fe0000, 16}, /* link-local, cloud metadata */
	{0xac100000, 12}, /* private */
	{0xc0000000, 24}, /* protocol assignments */
	{0xc0000200, 24}, /* documentation */
	{0xc0586300, 24}, /* relays of 6to4, retired */
	{0xc0a80000, 16}, /* private */
	{0xc6120000, 15}, /* benchmarks */
	{0xc6336400, 24}, /* documentation */
	{0xcb007100, 24}, /* documentation */
	{0xe0000000, 4},  /* multicast */
	{0xf0000000, 4},  /* reserved, broadcast */
};

/* Of global unicast, 2000::/3; all else but the embedded forms below is refused anyway. */
static const struct prefix6 NOT_PUBLIC6[] = {
	{{0x20, 0x01, 0x00}, 23},       /* protocol assignments, Teredo, benchmarks, ORCHID */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x20, 0x02}, 16},             /* 6to4, retired: carries any IPv4 address */
	{{0x3f, 0xff, 0x00}, 20},       /* documentation */
};

static const struct prefix6 GLOBAL_UNICAST = {{0x20}, 3};
/* These two stand for the IPv4 address in their last 32 bits. */
static const struct prefix6 V4_MAPPED = {{[10] = 0xff, [11] = 0xff}, 96};
static const struct prefix6 NAT64 = {{0x00, 0x64, 0xff, 0x9b}, 96};

static bool is_public4(uint32_t a)
{
	for (size_t i = 0; i < ARRAY_LEN(NOT_PUBLIC4); i++) {
		if ((a ^ NOT_PUBLIC4[i].net) >> (32 - NOT_PUBLIC4[i].bits) == 0)
			return false;
	}
	return true;
}

static bool is_within(const uint8_t a[16], const struct prefix6 *prefix)
{
	int bytes = prefix->bits / 8;
	int rest = prefix->bits % 8;

	if (memcmp(a, prefix->net, (size_t)bytes) != 0)
		return false;
	return rest == 0 || (a[bytes] ^ prefix->net[bytes]) >> (8 - rest) == 0;
}

static bool is_public6(const uint8_t a[16])
{
	if (is_within(a, &V4_MAPPED) || is_within(a, &NAT64)) {
		uint32_t v4;

		memcpy(&v4, a + 12, sizeof(v4));
		return is_public4(ntohl(v4));
	}
	if (!is_within(a, &GLOBAL_UNICAST))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(NOT_PUBLIC6); i++) {
		if (is_within(a, &NOT_PUBLIC6[i]))
			return false;
	}
	return true;
}

bool http_address_is_public(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		return is_public4(ntohl(in.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, address, sizeof(in6));
		return is_public6(in6.sin6_addr.s6_addr);
	}
	return false;
}

char *http_url_host(const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *copy = NULL;

	CHECK(u);
	if (!strpbrk(url, " \t\r\n") && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0))
		copy = xstrdup(host);
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(u);
	return copy;
}

static bool is_localhost(const char *host)
{
	static const char NAME[] = "localhost";
	size_t len = strlen(host), name_len = strlen(NAME);

	if (len && host[len - 1] == '.')
		len--;
	if (len < name_len || strncasecmp(host + len - name_len, NAME, name_len) != 0)
		return false;
	return len == name_len || host[len - name_len - 1] == '.';
}

bool http_host_is_private(const char *host)
{
	size_t start = *host == '[';
	CLEANUP(free_charp) char *bare = xstrndup(host + start, strcspn(host + start, "%]"));
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	/* Also 127.1 and 0x7f000001, which the resolver takes for addresses. */
	if (inet_aton(bare, &in.sin_addr) != 0)
		return !http_address_is_public((const struct sockaddr *)&in);
	if (inet_pton(AF_INET6, bare, &in6.sin6_addr) == 1)
		return !http_address_is_public((const struct sockaddr *)&in6);
	return is_localhost(bare);
}
