#include "base/limits.h"
#include "signals/boards.h"
#include "signals/company.h"
#include "signals/html.h"
#include "signals/marks.h"
#include "signals/score.h"
#include "signals/site.h"
#include "signals/sitemap.h"
#include "signals/url.h"
#include "json/edge.h"

#include "unit.h"

#include <string.h>

static struct postings parse_board(enum board_kind kind, const char *text)
{
	struct postings list = {0};
	struct err err = ERR_INIT;

	ck_assert_msg(board_parse(kind, slice_of(text), &list, &err), "%s", err.text);
	postings_settle(&list);
	return list;
}

static void refuse_board(enum board_kind kind, const char *text)
{
	struct postings list = {0};
	struct err err = ERR_INIT;

	ck_assert_msg(!board_parse(kind, slice_of(text), &list, &err), "taken: %s", text);
	ck_assert(err_is_set(&err));
	ck_assert_uint_eq(list.n, 0);
	postings_finish(&list);
}

START_TEST(greenhouse_jobs_are_read_and_prospect_posts_are_not_open_jobs)
{
	struct postings list = parse_board(
		BOARD_GREENHOUSE,
		"{\"meta\":{\"total\":167},\"jobs\":["
		"{\"id\":8503792002,\"internal_job_id\":7,\"title\":\" Account  Executive \","
		"\"location\":{\"name\":\"Remote, Italy\"},\"metadata\":null,"
		"\"absolute_url\":\"https://boards.example/8503792002\","
		"\"first_published\":\"2026-04-17T05:58:03-04:00\","
		"\"updated_at\":\"2026-07-17T08:48:22-04:00\","
		"\"departments\":[{\"id\":1,\"name\":\"Sales\"},{\"id\":2,\"name\":\"More\"}]},"
		"{\"id\":2,\"internal_job_id\":null,\"title\":\"Tell us about you\"},"
		"{\"id\":3,\"title\":\"No more than this\"}]}");

	ck_assert_uint_eq(list.n, 2);
	ck_assert_str_eq(list.v[0].id, "greenhouse:3");
	ck_assert_str_eq(list.v[0].location, "");
	ck_assert_ptr_null(list.v[0].url);
	ck_assert(!list.v[0].has_at);
	ck_assert_str_eq(list.v[1].id, "greenhouse:8503792002");
	ck_assert_str_eq(list.v[1].title, "Account Executive");
	ck_assert_str_eq(list.v[1].department, "Sales");
	ck_assert_str_eq(list.v[1].location, "Remote, Italy");
	ck_assert_int_eq(list.v[1].at.ms, INT64_C(1776419883000));
	postings_finish(&list);
}
END_TEST

START_TEST(lever_jobs_are_read_with_their_milliseconds)
{
	struct postings list = parse_board(
		BOARD_LEVER,
		"[{\"id\":\"3414ba28\",\"text\":\"Engineer\\u00a0III\",\"categories\":{\"team\":"
		"\"Engineering\",\"location\":\"New York\",\"allLocations\":[\"New York\"]},"
		"\"country\":null,\"createdAt\":1779223091267,\"lists\":[],"
		"\"hostedUrl\":\"javascript:alert(1)\"}]");

	ck_assert_uint_eq(list.n, 1);
	ck_assert_str_eq(list.v[0].title, "Engineer III");
	ck_assert_str_eq(list.v[0].department, "Engineering");
	ck_assert_int_eq(list.v[0].at.ms, INT64_C(1779223091267));
	ck_assert_ptr_null(list.v[0].url);
	postings_finish(&list);
	list = parse_board(BOARD_LEVER, "[]");
	ck_assert_uint_eq(list.n, 0);
	postings_finish(&list);
}
END_TEST

START_TEST(ashby_jobs_that_are_not_listed_are_left_out)
{
	struct postings list = parse_board(
		BOARD_ASHBY, "{\"jobs\":[{\"id\":\"a\",\"title\":\"X\",\"isListed\":false},"
			     "{\"id\":\"b\",\"title\":\"Y\",\"isListed\":true,"
			     "\"publishedAt\":\"2025-01-15T10:36:04.937+00:00\"},"
			     "{\"id\":\"b\",\"title\":\"Y once more\"},"
			     "{\"id\":\"c\",\"title\":\"Z\"}]}");

	ck_assert_uint_eq(list.n, 2);
	ck_assert_str_eq(list.v[0].id, "ashby:b");
	ck_assert_int_eq(list.v[0].at.ms, INT64_C(1736937364937));
	ck_assert_str_eq(list.v[1].id, "ashby:c");
	postings_finish(&list);
}
END_TEST

START_TEST(what_is_no_list_of_jobs_is_refused)
{
	refuse_board(BOARD_GREENHOUSE, "{\"status\":404,\"error\":\"Job not found\"}");
	refuse_board(BOARD_LEVER, "{\"ok\":false,\"error\":\"Document not found\"}");
	refuse_board(BOARD_ASHBY, "Not Found");
	refuse_board(BOARD_GREENHOUSE, "");
	refuse_board(BOARD_GREENHOUSE, "[]");
	refuse_board(BOARD_GREENHOUSE, "{\"jobs\":{\"a\":1}}");
	refuse_board(BOARD_GREENHOUSE, "{\"jobs\":[1,null,\"x\",[]]}");
	refuse_board(BOARD_LEVER, "[{\"id\":true,\"text\":5}]");
	refuse_board(BOARD_ASHBY, "{\"jobs\":[{\"id\":\"a\",\"title\":\"cut");
	refuse_board(BOARD_ASHBY, "<html>{\"jobs\":[]}</html>");
}
END_TEST

START_TEST(odd_entries_do_not_spoil_the_good_ones)
{
	struct postings list = parse_board(
		BOARD_GREENHOUSE,
		"{\"jobs\":[17,{\"id\":{},\"title\":\"x\"},{\"id\":9.5,\"title\":\"x\"},"
		"{\"id\":4,\"title\":\"  \"},{\"title\":\"no id\"},"
		"{\"id\":5,\"title\":\"Good\",\"location\":\"text\",\"departments\":{\"name\":1},"
		"\"updated_at\":17,\"absolute_url\":[],\"internal_job_id\":\"x\"}]}");

	ck_assert_uint_eq(list.n, 1);
	ck_assert_str_eq(list.v[0].title, "Good");
	ck_assert_str_eq(list.v[0].location, "");
	ck_assert_str_eq(list.v[0].department, "");
	postings_finish(&list);
}
END_TEST

START_TEST(numbers_beyond_64_bits_do_not_become_other_numbers)
{
	struct postings list;

	refuse_board(BOARD_GREENHOUSE,
		     "{\"jobs\":[{\"id\":99999999999999999999999,\"title\":\"x\"}]}");
	refuse_board(BOARD_LEVER, "[{\"id\":\"a\",\"text\":\"x\",\"createdAt\":1e999}]");
	list = parse_board(BOARD_LEVER, "[{\"id\":\"a\",\"text\":\"x\",\"createdAt\":-5},"
					"{\"id\":\"b\",\"text\":\"x\",\"createdAt\":"
					"9223372036854775807}]");
	ck_assert_uint_eq(list.n, 2);
	ck_assert(!list.v[0].has_at);
	ck_assert(!list.v[1].has_at);
	postings_finish(&list);
}
END_TEST

START_TEST(long_texts_are_cut_at_a_character)
{
	struct buf text = BUF_INIT;
	struct postings list;

	buf_puts(&text, "[{\"id\":\"a\",\"text\":\"x");
	for (int i = 0; i < 150; i++)
		buf_puts(&text, "\xc3\xbc");
	buf_puts(&text, "\"}]");
	list = parse_board(BOARD_LEVER, buf_text(&text));
	ck_assert_uint_eq(strlen(list.v[0].title), SIGNAL_TEXT_BYTES_MAX - 1);
	buf_finish(&text);
	postings_finish(&list);
}
END_TEST

START_TEST(the_digest_of_a_board_ignores_order_and_dates)
{
	struct postings a = parse_board(BOARD_GREENHOUSE,
					"{\"jobs\":[{\"id\":1,\"title\":\"A\",\"updated_at\":"
					"\"2026-01-01T00:00:00Z\"},{\"id\":2,\"title\":\"B\"}]}");
	struct postings b = parse_board(BOARD_GREENHOUSE,
					"{\"jobs\":[{\"id\":2,\"title\":\"B\"},{\"id\":1,"
					"\"title\":\"A\",\"updated_at\":"
					"\"2026-02-02T00:00:00Z\"}]}");
	struct postings c = parse_board(BOARD_GREENHOUSE,
					"{\"jobs\":[{\"id\":1,\"title\":\"A\",\"location\":"
					"{\"name\":\"Oslo\"}},{\"id\":2,\"title\":\"B\"}]}");
	struct digest of_a = postings_digest(&a);
	struct digest of_b = postings_digest(&b);
	struct digest of_c = postings_digest(&c);

	ck_assert(digest_eq(&of_a, &of_b));
	ck_assert(!digest_eq(&of_a, &of_c));
	postings_finish(&a);
	postings_finish(&b);
	postings_finish(&c);
}
END_TEST

START_TEST(groups_are_sorted_by_count_then_name_and_newest_by_date)
{
	struct postings list = parse_board(
		BOARD_LEVER,
		"[{\"id\":\"1\",\"text\":\"T1\",\"createdAt\":1000,\"categories\":{\"department\":"
		"\"B\"}},"
		"{\"id\":\"2\",\"text\":\"T2\",\"createdAt\":3000,\"categories\":{\"department\":"
		"\"A\"}},"
		"{\"id\":\"3\",\"text\":\"T3\",\"categories\":{\"department\":\"C\"}},"
		"{\"id\":\"4\",\"text\":\"T4\",\"createdAt\":2000,\"categories\":{\"department\":"
		"\"C\"}},"
		"{\"id\":\"5\",\"text\":\"T5\",\"createdAt\":9000000,\"categories\":{}}]");
	struct buf out = BUF_INIT;
	struct emit e;

	emit_init(&e, &out);
	emit_departments(&e, &list);
	ck_assert_str_eq(buf_text(&out), "[{\"name\":\"C\",\"open_jobs\":2},{\"name\":\"A\","
					 "\"open_jobs\":1},{\"name\":\"B\",\"open_jobs\":1}]");
	buf_clear(&out);
	emit_init(&e, &out);
	/* T5 is dated after now: its date is not believed. */
	emit_newest(&e, &list, (struct walltime){5000});
	ck_assert_ptr_nonnull(strstr(buf_text(&out),
				     "[{\"title\":\"T2\",\"url\":null,\"at\":"
				     "\"1970-01-01T00:00:03Z\"},{\"title\":\"T4\""));
	ck_assert_ptr_nonnull(strstr(buf_text(&out), "\"T5\",\"url\":null,\"at\":null}]"));
	buf_finish(&out);
	postings_finish(&list);
}
END_TEST

START_TEST(the_text_of_a_page_is_what_a_reader_sees)
{
	struct buf out = BUF_INIT;

	ck_assert(html_text(
		slice_of("<!DOCTYPE html><html><head><title>T &amp; Co</title>"
			 "<style>p{color:red}</style><script>if (a<b) x('</p>');</script></head>"
			 "<body><!-- <p>no</p> --><p>One <b>bold</b>\n  word</p><ul><li>a<li>b</ul>"
			 "<noscript><p>no</p></noscript><template><p>no</p></template>"
			 "<div data-x='<p>no</p>'>tail&nbsp;end &copy; 1 < 2</div>"
			 "<SCRIPT>no</SCRIPT ><svg><text>no</text></svg>last</body></html>"),
		"", &out));
	ck_assert_str_eq(buf_text(&out), "T & Co\nOne bold word\na\nb\ntail end \xc2\xa9 1 < 2\n"
					 "last\n");
	buf_finish(&out);
}
END_TEST

static void expect_text(const char *html, const char *content_type, const char *text)
{
	struct buf out = BUF_INIT;

	ck_assert(html_text(slice_of(html), content_type, &out));
	ck_assert_str_eq(buf_text(&out), text);
	buf_finish(&out);
}

START_TEST(charsets_come_from_the_header_then_the_page_and_bad_ones_do_no_harm)
{
	expect_text("<p>caf\xe9</p>", "text/html; charset=ISO-8859-1", "caf\xc3\xa9\n");
	expect_text("<meta charset=\"iso-8859-1\"><p>caf\xe9</p>", "text/html", "caf\xc3\xa9\n");
	expect_text("<meta http-equiv=Content-Type content='text/html; charset=windows-1251'>"
		    "<p>\xe4\xe0</p>",
		    "", "\xd0\xb4\xd0\xb0\n");
	expect_text("<p>caf\xc3\xa9</p>", "text/html; charset=utf-8", "caf\xc3\xa9\n");
	expect_text("<p>plain</p>", "text/html; charset=no-such-thing", "plain\n");
	expect_text("<meta charset=utf-8><p>caf\xc3\xa9</p>", "text/html;charset=\"",
		    "caf\xc3\xa9\n");
}
END_TEST

START_TEST(broken_pages_are_read_as_far_as_they_go)
{
	struct buf out = BUF_INIT;

	expect_text("<p>a<div", "", "a\n");
	expect_text("<p>a<script>never ends <p>b", "", "a\n");
	expect_text("<p>a<a href=\"never ends>b</p><p>c", "", "a\n");
	expect_text("<p>a<!-- never ends <p>b", "", "a\n");
	expect_text("</p></b><p>a</x></p>>b", "", "a\n>b\n");
	ck_assert(!html_text(slice_of("no markup at all"), "text/html", &out));
	ck_assert(!html_text(slice_of(""), "text/html", &out));
	ck_assert_uint_eq(out.len, 0);
	buf_finish(&out);
}
END_TEST

static void repeat(struct buf *out, const char *text, size_t bytes)
{
	while (out->len < bytes)
		buf_puts(out, text);
}

/* Each of these took libxml2 alone minutes; the time limit of a test is the check. */
START_TEST(hostile_markup_takes_no_more_than_a_moment)
{
	struct buf page = BUF_INIT;
	struct buf out = BUF_INIT;
	struct sitemap map = {0};

	buf_puts(&page, "<p>x</p><a");
	for (int i = 0; page.len < PAGE_BYTES_MAX; i++)
		buf_printf(&page, " a%x", (unsigned)i);
	buf_puts(&page, ">y</a>");
	ck_assert(html_text(buf_slice(&page), "", &out));
	ck_assert_str_eq(buf_text(&out), "x\ny\n");

	buf_clear(&page);
	repeat(&page, "<b>", PAGE_BYTES_MAX / 2);
	repeat(&page, "</i>", PAGE_BYTES_MAX);
	ck_assert(html_text(buf_slice(&page), "", &out));

	buf_clear(&page);
	buf_puts(&page, "<urlset><url");
	for (int i = 0; page.len < SITEMAP_BYTES_MAX; i++)
		buf_printf(&page, " a%x=\"\"", (unsigned)i);
	buf_puts(&page, "><loc>/a</loc></url></urlset>");
	ck_assert(sitemap_parse(buf_slice(&page), "https://x.example/", &map, NULL));
	ck_assert_uint_eq(map.n, 1);
	sitemap_finish(&map);
	buf_finish(&page);
	buf_finish(&out);
}
END_TEST

START_TEST(sitemaps_are_read_whatever_their_root_and_addresses_are_resolved)
{
	static const char index[] =
		"\n<?xml version=\"1.0\" encoding=\"UTF-8\"?><?xml-stylesheet href=\"/x.xsl\"?>"
		"<sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\"><sitemap>"
		"<loc>/post-sitemap.xml</loc><lastmod>2025-11-27T00:34:49+00:00</lastmod></sitemap>"
		"</sitemapindex><!-- made by a plugin -->";
	static const char pages[] =
		"<urlset xmlns:image=\"i\"><url><loc> https://acme.example/a?x=1&amp;y=2&z=3 </loc>"
		"<image:image><image:loc>https://cdn.example/p.png</image:loc></image:image>"
		"<lastmod>2016-11-21</lastmod></url><url><loc><![CDATA[/b]]></loc></url>"
		"<url><loc>https://acme.example/sub-sitemap.xml</loc></url>"
		"<url><loc>ftp://acme.example/c</loc></url><url><loc></loc></url><url/></urlset>";
	struct sitemap map = {0};

	ck_assert(sitemap_parse(slice_of(index), "https://acme.example/x/index.xml", &map, NULL));
	ck_assert_uint_eq(map.n, 1);
	ck_assert_str_eq(map.v[0].url, "https://acme.example/post-sitemap.xml");
	ck_assert(map.v[0].is_sitemap);
	ck_assert_int_eq(map.v[0].lastmod.ms, INT64_C(1764203689000));
	ck_assert(sitemap_parse(slice_of(pages), "https://acme.example/s.xml", &map, NULL));
	ck_assert_uint_eq(map.n, 4);
	ck_assert_str_eq(map.v[1].url, "https://acme.example/a?x=1&y=2&z=3");
	ck_assert(map.v[1].has_lastmod);
	ck_assert(!map.v[1].is_sitemap);
	ck_assert_str_eq(map.v[2].url, "https://acme.example/b");
	ck_assert(!map.v[2].has_lastmod);
	ck_assert(map.v[3].is_sitemap);
	sitemap_finish(&map);
}
END_TEST

START_TEST(what_is_no_sitemap_is_refused_and_entities_stay_closed)
{
	struct sitemap map = {0};

	ck_assert(!sitemap_parse(slice_of("<html><body><h1>404</h1></body></html>"),
				 "https://x.example/", &map, NULL));
	ck_assert(!sitemap_parse(slice_of(""), "https://x.example/", &map, NULL));
	ck_assert(!sitemap_parse(slice_of("{\"a\":1}"), "https://x.example/", &map, NULL));
	ck_assert(sitemap_parse(slice_of("<urlset></urlset>"), "https://x.example/", &map, NULL));
	ck_assert_uint_eq(map.n, 0);
	ck_assert(!sitemap_parse(slice_of("<!DOCTYPE u [<!ENTITY f SYSTEM "
					  "\"file:///etc/hostname\"><!ENTITY a \"aaa\">]>"
					  "<urlset><url><loc>/x&f;&a;</loc></url></urlset>"),
				 "https://x.example/", &map, NULL));
	ck_assert(sitemap_parse(slice_of("<!DOCTYPE u SYSTEM \"http://127.0.0.1:1/x.dtd\">"
					 "<urlset><url><loc>/x&f;&a;</loc></url></urlset>"),
				"https://x.example/", &map, NULL));
	ck_assert_uint_eq(map.n, 1);
	ck_assert_str_eq(map.v[0].url, "https://x.example/x&f;&a;");
	sitemap_finish(&map);
}
END_TEST

static void expect_robots(const char *text, const char *url)
{
	char *found = robots_sitemap(slice_of(text), "https://acme.example/robots.txt");

	ck_assert_pstr_eq(found, url);
	free(found);
}

START_TEST(robots_txt_says_where_the_sitemap_is)
{
	expect_robots("User-agent: *\r\nDisallow: /a\r\nSITEMAP:  https://x.example/s.xml \r\n",
		      "https://x.example/s.xml");
	expect_robots("Sitemap: /a.xml.gz\nSitemap: /b.xml\nSitemap: /c.xml",
		      "https://acme.example/b.xml");
	expect_robots("Sitemap: /a.xml.gz\n", "https://acme.example/a.xml.gz");
	expect_robots("Sitemap:\nSitemap: file:///etc/passwd\n", NULL);
	expect_robots("", NULL);
	expect_robots("<!DOCTYPE html><html><body>Sitemap</body></html>", NULL);
}
END_TEST

static void expect_slug(const char *host, const char *slug)
{
	char *found = slug_of_host(host);

	ck_assert_pstr_eq(found, slug);
	free(found);
}

START_TEST(a_board_is_guessed_from_the_registered_name)
{
	char *found;

	expect_slug("acme.com", "acme");
	expect_slug("www.acme.com", "acme");
	expect_slug("jobs.acme.co.uk:8443", "acme");
	expect_slug("www.acme.com.br", "acme");
	expect_slug("co.uk", "co");
	expect_slug("localhost", "localhost");
	expect_slug("127.0.0.1:8080", NULL);
	expect_slug("[::1]:8080", NULL);
	found = slug_of_name("Acme Rockets, Inc.");
	ck_assert_str_eq(found, "acmerockets");
	free(found);
	found = slug_of_name("M\xc3\xbcller & S\xc3\xb6hne GmbH");
	ck_assert_str_eq(found, "mullersohne");
	free(found);
	found = slug_of_name("Limited");
	ck_assert_str_eq(found, "limited");
	free(found);
	ck_assert_ptr_null(slug_of_name(" ., "));
	ck_assert_ptr_null(slug_of_name("\xe4\xba\xac"));
}
END_TEST

static void expect_company(const char *argument, const char *key, const char *home)
{
	json_t *value = edge_parse(slice_of(argument), NULL);
	struct company c = {0};
	struct err err = ERR_INIT;

	ck_assert_msg(company_read(value, &c, &err), "%s: %s", argument, err.text);
	ck_assert_str_eq(c.key, key);
	ck_assert_pstr_eq(c.home.text, home);
	company_finish(&c);
	json_decref(value);
}

static void refuse_company(const char *argument, const char *text)
{
	json_t *value = edge_parse(slice_of(argument), NULL);
	struct company c = {0};
	struct err err = ERR_INIT;

	ck_assert(!company_read(value, &c, &err));
	ck_assert_str_eq(err.text, text);
	json_decref(value);
}

START_TEST(a_company_has_one_key_however_it_is_written)
{
	expect_company("{\"domain\":\"ACME.com.\"}", "acme.com", "https://acme.com/");
	expect_company("{\"domain\":\" https://www.acme.com/about?x \",\"name\":\"Acme\"}",
		       "acme.com", "https://www.acme.com/");
	expect_company("{\"domain\":\"127.0.0.1:8080\"}", "127.0.0.1:8080",
		       "https://127.0.0.1:8080/");
	expect_company("{\"url\":\"http://www.acme.com:80/team#x\"}", "acme.com",
		       "http://www.acme.com/team");
	expect_company("{\"url\":\"http://127.0.0.1:99/\",\"domain\":\"acme.com\"}", "acme.com",
		       "http://127.0.0.1:99/");
	expect_company("{\"name\":\"Acme, Inc.\"}", "acme", NULL);
	expect_company("{\"boards\":{\"lever\":\"x\",\"ashby\":\"y\"}}", "lever:x,ashby:y", NULL);
	expect_company("{}", "", NULL);
	refuse_company("{\"domain\":\"not a domain\"}", "/company/domain: not a domain name");
	refuse_company("{\"domain\":\"a@b.com\"}", "/company/domain: not a domain name");
	refuse_company("{\"url\":\"file:///etc/passwd\"}",
		       "/company/url: not an http or https address");
	refuse_company("{\"url\":\"https://user:pw@acme.com/\"}",
		       "/company/url: not an http or https address");
}
END_TEST

START_TEST(marks_find_what_is_new_also_when_the_list_was_cut)
{
	struct marks before = {0};
	struct marks now = {0};
	struct marks copy = {0};
	struct buf text = BUF_INIT;

	for (int i = 0; i < MARKS_MAX + 500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/blog/%d", i);
		marks_add(&before, mark_of(slice_of(name), 2));
		marks_add(&now, mark_of(slice_of(name), 2));
	}
	marks_add(&now, mark_of(slice_of("/pricing"), 1));
	marks_settle(&before);
	marks_settle(&now);
	ck_assert(before.is_cut);
	ck_assert_uint_eq(before.n, MARKS_MAX);
	ck_assert_uint_eq(marks_count_new(&before, &now), 1);
	ck_assert_uint_eq(marks_count_new(&now, &before), 0);
	marks_write(&before, &text);
	ck_assert(marks_read(buf_slice(&text), &copy));
	ck_assert(copy.is_cut);
	ck_assert_uint_eq(marks_count_new(&copy, &now), 1);
	ck_assert(!marks_read(slice_of("0123"), &copy));
	ck_assert(!marks_read(slice_of("000000000000000200000000000000010"), &copy));
	marks_finish(&before);
	marks_finish(&now);
	marks_finish(&copy);
	buf_finish(&text);
}
END_TEST

START_TEST(a_snapshot_is_read_back_and_rubbish_is_not)
{
	struct site site = {.url = xstrdup("https://acme.example/")};
	struct site copy = {0};
	struct buf text = BUF_INIT;
	struct buf again = BUF_INIT;

	site.etag = xstrdup("W/\"a\\b\"");
	site_set_page(&site, slice_of("one\ntwo\none\n"));
	ck_assert_uint_eq(site.blocks.n, 2);
	site_write(&site, &text);
	ck_assert(site_read(buf_slice(&text), &copy));
	site_write(&copy, &again);
	ck_assert_str_eq(buf_text(&text), buf_text(&again));
	site_finish(&site);
	site_finish(&copy);
	ck_assert(!site_read(slice_of("{}"), &copy));
	ck_assert(!site_read(slice_of("nonsense"), &copy));
	ck_assert(!site_read(slice_of("{\"url\":\"x\",\"blocks\":\"zz\"}"), &copy));
	buf_finish(&text);
	buf_finish(&again);
}
END_TEST

START_TEST(scores_stay_in_their_range_and_grow_with_the_news)
{
	struct site_change change = {
		.changed_blocks = SIZE_MAX / 2, .new_urls = SIZE_MAX, .notable = 99};
	int before = 0;
	int points = 0;

	ck_assert_int_eq(score_hiring(0, 0), 0);
	for (size_t n = 1; n < 100000; n *= 3) {
		ck_assert_int_ge(score_hiring(n, 0), before);
		ck_assert_int_ge(score_hiring(n, 2), score_hiring(n, 1));
		ck_assert_int_gt(score_hiring(n, 1), score_hiring(n, 0));
		before = score_hiring(n, 0);
	}
	ck_assert_int_eq(score_hiring(SIZE_MAX, SIZE_MAX), 100);
	ck_assert_int_eq(score_website(&change), 100);
	ck_assert_str_eq(url_topic("/en/Careers/x", &points), "careers");
	ck_assert_str_eq(url_topic("/pricing.html?a", &points), "pricing");
	ck_assert_ptr_null(url_topic("/blog/2025/pricing", &points));
	ck_assert_ptr_null(url_topic("/", &points));
}
END_TEST

START_TEST(what_was_read_as_an_address_is_read_again_as_the_same)
{
	static const char *const GOOD[] = {"https://acme.com./a", "http://ACME.com:80/a/../b?c",
					   "http://127.1/", "http://0x7f.1:8080/x"};
	static const char *const BAD[] = {
		"https://acme.com../", "https://8./", "http://127.0.0.1./", "http://127.1./",
		"http://0x7f./",       "http://./",   "http://../"};

	for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
		struct url u, again;

		ck_assert_msg(url_read(GOOD[i], &u, NULL), "%s", GOOD[i]);
		ck_assert_msg(url_read(u.text, &again, NULL), "%s", u.text);
		ck_assert_str_eq(u.text, again.text);
		ck_assert_str_eq(u.host, again.host);
		ck_assert_int_eq(u.is_address, again.is_address);
		url_finish(&u);
		url_finish(&again);
	}
	for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
		struct url u;

		ck_assert_msg(!url_read(BAD[i], &u, NULL), "%s", BAD[i]);
	}
}
END_TEST

UNIT_MAIN("signals_parse", what_was_read_as_an_address_is_read_again_as_the_same,
	  greenhouse_jobs_are_read_and_prospect_posts_are_not_open_jobs,
	  lever_jobs_are_read_with_their_milliseconds, ashby_jobs_that_are_not_listed_are_left_out,
	  what_is_no_list_of_jobs_is_refused, odd_entries_do_not_spoil_the_good_ones,
	  numbers_beyond_64_bits_do_not_become_other_numbers, long_texts_are_cut_at_a_character,
	  the_digest_of_a_board_ignores_order_and_dates,
	  groups_are_sorted_by_count_then_name_and_newest_by_date,
	  the_text_of_a_page_is_what_a_reader_sees,
	  charsets_come_from_the_header_then_the_page_and_bad_ones_do_no_harm,
	  broken_pages_are_read_as_far_as_they_go, hostile_markup_takes_no_more_than_a_moment,
	  sitemaps_are_read_whatever_their_root_and_addresses_are_resolved,
	  what_is_no_sitemap_is_refused_and_entities_stay_closed,
	  robots_txt_says_where_the_sitemap_is, a_board_is_guessed_from_the_registered_name,
	  a_company_has_one_key_however_it_is_written,
	  marks_find_what_is_new_also_when_the_list_was_cut,
	  a_snapshot_is_read_back_and_rubbish_is_not,
	  scores_stay_in_their_range_and_grow_with_the_news)
