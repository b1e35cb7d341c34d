#include "loop/http.h"

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static bool is_public(const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return http_address_is_public((const struct sockaddr *)&in);
	ck_assert_msg(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1, "%s", text);
	return http_address_is_public((const struct sockaddr *)&in6);
}

START_TEST(addresses_that_are_not_public_are_known)
{
	static const char *const texts[] = {"0.0.0.0",
					    "0.255.255.255",
					    "10.0.0.0",
					    "10.255.255.255",
					    "100.64.0.0",
					    "100.127.255.255",
					    "127.0.0.1",
					    "127.255.255.255",
					    "169.254.0.0",
					    "169.254.169.254",
					    "172.16.0.0",
					    "172.31.255.255",
					    "192.0.0.1",
					    "192.0.2.255",
					    "192.88.99.1",
					    "192.168.0.0",
					    "192.168.255.255",
					    "198.18.0.0",
					    "198.19.255.255",
					    "198.51.100.7",
					    "203.0.113.0",
					    "224.0.0.1",
					    "239.255.255.255",
					    "240.0.0.0",
					    "255.255.255.255",
					    "::",
					    "::1",
					    "::7f00:1",
					    "::8.8.8.8",
					    "::ffff:127.0.0.1",
					    "::ffff:10.1.2.3",
					    "::ffff:169.254.169.254",
					    "::ffff:0:8.8.8.8",
					    "64:ff9b::127.0.0.1",
					    "64:ff9b::192.168.1.1",
					    "64:ff9b:1::8.8.8.8",
					    "64:ff9b::1:8.8.8.8",
					    "100::1",
					    "2001::1",
					    "2001:2::1",
					    "2001:10::1",
					    "2001:20::1",
					    "2001:1ff:ffff::1",
					    "2001:db8::1",
					    "2001:db8:ffff::1",
					    "2002:7f00:1::1",
					    "2002:808:808::1",
					    "3fff::1",
					    "3fff:fff::1",
					    "4000::1",
					    "5f00::1",
					    "fc00::1",
					    "fd12:3456::1",
					    "fdff:ffff::1",
					    "fe80::1",
					    "febf::1",
					    "fec0::1",
					    "ff02::1",
					    "ffff::1"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_msg(!is_public(texts[i]), "%s", texts[i]);
	ck_assert(!http_address_is_public(&(struct sockaddr){.sa_family = AF_UNIX}));
}
END_TEST

START_TEST(public_addresses_are_known_to_their_edges)
{
	static const char *const texts[] = {
		"1.0.0.0",          "1.1.1.1",         "8.8.8.8",         "9.255.255.255",
		"11.0.0.0",         "100.63.255.255",  "100.128.0.0",     "126.255.255.255",
		"128.0.0.1",        "169.253.255.255", "169.255.0.0",     "172.15.255.255",
		"172.32.0.0",       "192.0.1.0",       "192.0.3.0",       "192.88.98.255",
		"192.167.255.255",  "192.169.0.0",     "198.17.255.255",  "198.20.0.0",
		"198.51.101.0",     "203.0.112.255",   "223.255.255.255", "::ffff:8.8.8.8",
		"64:ff9b::8.8.8.8", "2000::1",         "2001:200::1",     "2001:4860:4860::8888",
		"2001:db7:ffff::1", "2001:db9::1",     "2003::1",         "2606:4700::1111",
		"2a00:1450::1",     "3ffe::1",         "3fff:1000::1"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_msg(is_public(texts[i]), "%s", texts[i]);
}
END_TEST

START_TEST(a_url_without_a_host_is_none)
{
	static const char *const GOOD[][2] = {{"https://example.com", "example.com"},
					      {"http://u:p@[::1]:80/x?y", "[::1]"},
					      {"HTTPS://a.b:1/", "a.b"}};
	static const char *const BAD[] = {"",         "https://",        "example.com",
					  "/x",       "ftp://a.b",       "https://a b/",
					  "http://:", "http://a:99999/", "file:///etc/passwd"};

	for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
		char *host = http_url_host(GOOD[i][0]);

		ck_assert_msg(host != NULL, "%s", GOOD[i][0]);
		ck_assert_str_eq(host, GOOD[i][1]);
		free(host);
	}
	for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
		ck_assert_msg(http_url_host(BAD[i]) == NULL, "%s", BAD[i]);
}
END_TEST

START_TEST(private_hosts_are_known_by_their_text)
{
	static const char *const PRIVATE[] = {"localhost",    "LocalHost.", "a.localhost",
					      "127.0.0.1",    "127.1",      "0x7f000001",
					      "017700000001", "[::1]",      "::1",
					      "[fe80::1%lo]", "10.0.0.1",   "[::ffff:10.0.0.1]"};
	static const char *const OTHERS[] = {"example.com", "8.8.8.8",       "[2606:4700::1111]",
					     "mylocalhost", "localhost.com", "10.example.com"};

	for (size_t i = 0; i < ARRAY_LEN(PRIVATE); i++)
		ck_assert_msg(http_host_is_private(PRIVATE[i]), "%s", PRIVATE[i]);
	for (size_t i = 0; i < ARRAY_LEN(OTHERS); i++)
		ck_assert_msg(!http_host_is_private(OTHERS[i]), "%s", OTHERS[i]);
}
END_TEST

UNIT_MAIN("http_address", a_url_without_a_host_is_none, private_hosts_are_known_by_their_text,
	  addresses_that_are_not_public_are_known, public_addresses_are_known_to_their_edges)
