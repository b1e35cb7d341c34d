#include "base/limits.h"

#include "http_site.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

START_TEST(a_body_may_be_as_long_as_the_cap_and_no_longer)
{
	struct http_request r = {.url = "/ok", .body_bytes_max = 5, .allow_private = true};
	struct site s;

	site_init(&s);
	ck_assert_int_eq(site_fetch(&s, r), HTTP_DONE);
	r.body_bytes_max = 4;
	ck_assert_int_eq(site_fetch(&s, r), HTTP_TOO_LARGE);
	r.url = "/endless";
	r.body_bytes_max = 100 * 1000;
	ck_assert_int_eq(site_fetch(&s, r), HTTP_TOO_LARGE);
	ck_assert_str_eq(s.got.error, "the answer is above 100000 bytes");
	ck_assert_uint_le(s.got.body.len, 100 * 1000);
	r.body_bytes_max = 0;
	ck_assert_int_eq(site_fetch(&s, r), HTTP_TOO_LARGE);
	ck_assert_uint_le(s.got.body.len, HTTP_BODY_BYTES_MAX);
	site_finish(&s);
}
END_TEST

START_TEST(the_cap_counts_decoded_bytes)
{
	struct http_request r = {.url = "/bomb", .body_bytes_max = 65536, .allow_private = true};
	struct site s;

	site_init(&s);
	ck_assert_int_eq(site_get(&s, "/gzip"), HTTP_DONE);
	ck_assert_str_eq(buf_text(&s.got.body), "hello, compressed");
	ck_assert_int_eq(site_fetch(&s, r), HTTP_DONE);
	ck_assert_uint_eq(s.got.body.len, 65536);
	r.body_bytes_max = 65535;
	ck_assert_int_eq(site_fetch(&s, r), HTTP_TOO_LARGE);
	site_finish(&s);
}
END_TEST

START_TEST(headers_are_capped)
{
	struct buf text = BUF_INIT;
	struct site s;

	site_init(&s);
	buf_puts(&text, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; text.len < HTTP_HEADER_BYTES_MAX + 4096; i++)
		buf_printf(&text, "X-%d: %0500d\r\n", i, i);
	buf_puts(&text, "Content-Length: 0\r\n\r\n");
	ck_assert_int_eq(site_get_raw(&s, text.p, text.len, true, 0), HTTP_TOO_LARGE);
	buf_finish(&text);
	site_finish(&s);
}
END_TEST

/* libcurl calls it a lack of memory, and whoever reads that looks in the wrong place. */
START_TEST(a_header_that_is_too_long_is_called_so)
{
	struct buf text = BUF_INIT;
	struct site s;

	site_init(&s);
	buf_printf(&text, "HTTP/1.1 200 OK\r\nX: %0200000d\r\n\r\n", 1);
	(void)site_get_raw(&s, text.p, text.len, true, 0);
	ck_assert_str_eq(s.got.error, "a header of the answer is too long");
	buf_finish(&text);
	site_finish(&s);
}
END_TEST

START_TEST(a_server_that_hangs_or_dribbles_ends_in_a_timeout)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
	struct boottime start = clock_boot();
	struct site s;

	site_init(&s);
	ck_assert_int_eq(site_get_raw(&s, head, sizeof(head) - 1, false, 100), HTTP_TIMEOUT);
	ck_assert_int_eq(s.got.status, 200);
	loop_fd_events(s.listener, 0);
	ck_assert_int_eq(site_get_raw(&s, "", 0, false, 100), HTTP_TIMEOUT);
	ck_assert_int_eq(s.got.status, 0);
	ck_assert_int_ge(clock_boot().ms - start.ms, 200);
	site_finish(&s);
}
END_TEST

START_TEST(an_answer_cut_short_is_a_transport_fault)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
	};
	struct site s;

	site_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		ck_assert_int_eq(site_get_raw(&s, texts[i], strlen(texts[i]), true, 0),
				 HTTP_TRANSPORT);
		ck_assert_str_eq(s.got.error, "the answer was cut short");
		ck_assert_int_eq(s.got.status, 200);
	}
	ck_assert_int_eq(site_get_raw(&s, "", 0, true, 0), HTTP_TRANSPORT);
	ck_assert_int_eq(site_get_raw(&s, "gibberish\r\n\r\n", 13, true, 0), HTTP_TRANSPORT);
	/* A body that ends with the connection is whole. */
	ck_assert_int_eq(site_get_raw(&s, "HTTP/1.1 200 OK\r\n\r\nall", 22, true, 0), HTTP_DONE);
	ck_assert_str_eq(buf_text(&s.got.body), "all");
	site_finish(&s);
}
END_TEST

START_TEST(nobody_listening_is_a_transport_fault)
{
	char url[64];
	struct site s;

	site_init(&s);
	loop_fd_remove(s.listener);
	s.listener = NULL;
	(void)close(s.listen_fd);
	s.listen_fd = -1;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", s.raw_port);
	ck_assert_int_eq(site_get(&s, url), HTTP_TRANSPORT);
	site_finish(&s);
}
END_TEST

START_TEST(private_addresses_are_refused_in_every_spelling)
{
	static const char *const hosts[] = {
		"127.0.0.1",        "localhost", "127.1", "2130706433",
		"0x7f.1",           "0.0.0.0",   "[::1]", "[::ffff:127.0.0.1]",
		"[64:ff9b::7f00:1]"};
	char url[64];
	struct site s;

	site_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		(void)snprintf(url, sizeof(url), "http://%s:%d/", hosts[i], s.raw_port);
		ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = url}),
				 HTTP_REFUSED_ADDRESS);
		ck_assert_str_eq(s.got.error, "the address is not public");
	}
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/ok"}), HTTP_REFUSED_ADDRESS);
	ck_assert_int_eq(s.raw_accepted, 0);
	site_finish(&s);
}
END_TEST

START_TEST(a_kept_connection_to_a_private_address_is_refused_too)
{
	struct site s;

	site_init(&s);
	ck_assert_int_eq(site_get(&s, "/ok"), HTTP_DONE);
	ck_assert_int_eq(site_fetch(&s, (struct http_request){.url = "/ok"}), HTTP_REFUSED_ADDRESS);
	ck_assert_int_eq(s.got.status, 0);
	ck_assert_int_eq(site_get(&s, "/ok"), HTTP_DONE);
	site_finish(&s);
}
END_TEST

/* The name cannot be looked up, as one of its labels is too long; a proxy would be asked first. */
START_TEST(a_proxy_of_the_environment_is_used_with_allow_private_only)
{
	struct http_request r = {
		.url = "http://"
		       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		       ".invalid/"};
	char proxy[64];
	struct site s;

	site_init(&s);
	(void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", s.port);
	(void)setenv("http_proxy", proxy, 1);
	ck_assert_int_eq(site_fetch(&s, r), HTTP_TRANSPORT);
	r.allow_private = true;
	ck_assert_int_eq(site_fetch(&s, r), HTTP_DONE);
	ck_assert_int_eq(s.got.status, 404);
	(void)unsetenv("http_proxy");
	site_finish(&s);
}
END_TEST

START_TEST(bad_urls_are_named_and_secrets_in_them_are_not)
{
	static const char *const urls[] = {
		"",
		"nonsense",
		"file:///etc/hostname",
		"ftp://s3cret@example.com/",
		"http://",
		"http:///s3cret",
		"http://user:s3cret@[::1/",
		"http://user:s3cret@127.0.0.1:99999/",
		"https://127.0.0.1:s3cret/",
		"http://127.0.0.1/a b?s3cret",
	};
	struct site s;

	site_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		ck_assert_msg(site_fetch(&s, (struct http_request){.url = urls[i],
								   .allow_private = true}) ==
				      HTTP_BAD_URL,
			      "%s", urls[i]);
		ck_assert_ptr_null(strstr(s.got.error, "s3cret"));
	}
	ck_assert_int_eq(site_get(&s, "http://user:s3cret@127.0.0.1:1/?key=s3cret"),
			 HTTP_TRANSPORT);
	ck_assert_ptr_null(strstr(s.got.error, "s3cret"));
	site_finish(&s);
}
END_TEST

/* What came in pieces. */
struct pieces {
	struct site site;
	int count;
	struct buf all;
	int cancel_at; /* cancels with this piece; 0 never */
	bool destroys; /* takes the whole client down instead */
	struct http_transfer *transfer;
};

static void on_piece(void *arg, const struct http_response *so_far)
{
	struct pieces *p = container_of(arg, struct pieces, site);

	ck_assert_int_eq(so_far->status, 200);
	p->count++;
	buf_append(&p->all, so_far->body.p, so_far->body.len);
	if (p->count != p->cancel_at)
		return;
	if (p->destroys)
		http_destroy(p->site.http);
	else
		http_cancel(p->transfer);
	loop_stop(p->site.loop);
}

static void ask_in_pieces(struct pieces *p, const char *path, size_t bytes_max)
{
	char url[64];
	struct http_request r = {.url = url,
				 .timeout_ms = 20000,
				 .allow_private = true,
				 .body_bytes_max = bytes_max,
				 .data = on_piece};

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s",
		       *path ? p->site.port : p->site.raw_port, path);
	p->transfer = http_start(p->site.http, &r, site_on_answer, &p->site);
	loop_run(p->site.loop);
}

START_TEST(a_body_may_be_handed_on_as_it_comes)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n0123456789";
	struct pieces p = {.count = 0};

	site_init(&p.site);
	p.site.raw_text = slice_of(text);
	ask_in_pieces(&p, "", 0);
	ck_assert_int_eq(p.site.got.outcome, HTTP_DONE);
	ck_assert_int_eq(p.site.got.calls, 1);
	ck_assert_uint_eq(p.site.got.body.len, 0);
	ck_assert_int_ge(p.count, 2);
	ck_assert_str_eq(buf_text(&p.all), "0123456789xxxxxxxxxxxxxx");
	buf_finish(&p.all);
	site_finish(&p.site);
}
END_TEST

START_TEST(all_pieces_together_are_bounded)
{
	struct pieces p = {.count = 0};

	site_init(&p.site);
	ask_in_pieces(&p, "/endless", 1000 * 1000);
	ck_assert_int_eq(p.site.got.outcome, HTTP_TOO_LARGE);
	ck_assert_uint_le(p.all.len, 1000 * 1000);
	ck_assert_uint_gt(p.all.len, 500 * 1000);
	buf_finish(&p.all);
	site_finish(&p.site);
}
END_TEST

START_TEST(a_transfer_may_be_cancelled_with_one_of_its_pieces)
{
	for (int destroys = 0; destroys < 2; destroys++) {
		struct pieces p = {.cancel_at = 3, .destroys = destroys};

		site_init(&p.site);
		ask_in_pieces(&p, "/endless", 0);
		ck_assert_int_eq(p.count, 3);
		ck_assert_int_eq(p.site.got.calls, 0);
		if (destroys)
			p.site.http = http_create(p.site.loop, "x");
		buf_finish(&p.all);
		site_finish(&p.site);
	}
}
END_TEST

UNIT_MAIN("http_faults", a_body_may_be_as_long_as_the_cap_and_no_longer,
	  the_cap_counts_decoded_bytes, headers_are_capped, a_header_that_is_too_long_is_called_so,
	  a_server_that_hangs_or_dribbles_ends_in_a_timeout,
	  an_answer_cut_short_is_a_transport_fault, nobody_listening_is_a_transport_fault,
	  private_addresses_are_refused_in_every_spelling,
	  a_kept_connection_to_a_private_address_is_refused_too,
	  a_proxy_of_the_environment_is_used_with_allow_private_only,
	  bad_urls_are_named_and_secrets_in_them_are_not, a_body_may_be_handed_on_as_it_comes,
	  all_pieces_together_are_bounded, a_transfer_may_be_cancelled_with_one_of_its_pieces)
