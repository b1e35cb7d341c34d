#include "detecting.h"

#include "json/edge.h"

#include <string.h>

START_TEST(a_site_is_noted_then_unchanged_then_news)
{
	struct world w;
	struct probe probe;
	const char *requests;

	world_init(&w);
	ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_FREE);
	ck_assert(!probe.d.is_unchanged);
	ck_assert_str_eq(buf_text(&probe.d.result), "{\"signals\":[],\"unchanged\":false}");
	probe_finish(&probe);

	ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_FREE);
	ck_assert_str_eq(buf_text(&probe.d.result), "{\"signals\":[],\"unchanged\":true}");
	ck_assert_ptr_null(probe.d.riders);
	probe_finish(&probe);
	requests = world_control(&w, "requests");
	ck_assert_uint_eq(count_of_text(requests, "GET / 304"), 1);
	ck_assert_uint_eq(count_of_text(requests, "GET /sitemap.xml 304"), 1);
	ck_assert_uint_eq(count_of_text(requests, "GET /robots.txt"), 1);

	(void)world_control(&w, "change");
	ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_OK);
	ck_assert_str_eq(json_text_at(probe.signal, "/type"), "website_change");
	ck_assert_int_eq(evidence_number(probe.evidence, "changed_blocks"), 7);
	ck_assert_int_eq(evidence_number(probe.evidence, "removed_blocks"), 4);
	ck_assert_int_eq(evidence_number(probe.evidence, "new_url_count"), 3);
	ck_assert_ptr_nonnull(strstr(json_text_at(probe.evidence, "/new_urls/0"), "/careers"));
	ck_assert_str_eq(json_text_at(probe.evidence, "/topics/1"), "pricing");
	probe_finish(&probe);
	ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_FREE);
	world_finish(&w);
}
END_TEST

START_TEST(a_site_without_a_sitemap_is_compared_by_its_page)
{
	struct world w;
	struct probe probe;

	world_init(&w);
	(void)world_control(&w, "fail?path=/robots.txt&status=404");
	(void)world_control(&w, "fail?path=/sitemap.xml&status=404");
	ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_FREE);
	(void)world_control(&w, "change");
	ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_OK);
	ck_assert_int_eq(evidence_number(probe.evidence, "new_url_count"), 0);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(a_sitemap_in_trouble_does_not_make_old_pages_new)
{
	static const char *const faults[] = {"status=500", "mode=close", "mode=garbage",
					     "status=404"};
	struct world w;
	struct probe probe;

	world_init(&w);
	ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_FREE);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		char *what = xasprintf("fail?path=/sitemap.xml&%s&times=1", faults[i]);

		(void)world_control(&w, what);
		free(what);
		ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_FREE);
		ck_assert(probe.d.is_unchanged);
		probe_finish(&probe);
		ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_FREE);
		ck_assert(probe.d.is_unchanged);
		probe_finish(&probe);
	}
	world_finish(&w);
}
END_TEST

START_TEST(another_page_of_the_same_company_is_a_first_look)
{
	struct world w;
	struct probe probe;

	world_init(&w);
	ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_FREE);
	ck_assert_int_eq(probe_at(&w, &probe, SITE, "{\"url\":\"http://@/moved\"}"),
			 DETECTION_FREE);
	ck_assert(!probe.d.is_unchanged);
	probe_finish(&probe);
	ck_assert_int_eq(probe_at(&w, &probe, SITE, "{\"url\":\"http://@/moved\"}"),
			 DETECTION_FREE);
	ck_assert(probe.d.is_unchanged);
	probe_finish(&probe);
	ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_FREE);
	ck_assert(probe.d.is_unchanged);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(a_site_that_is_not_there_is_no_source_and_one_in_trouble_fails)
{
	static const struct {
		const char *fault;
		const char *company;
		enum detection_outcome outcome;
	} cases[] = {
		{NULL, "{\"url\":\"http://@/nothing\"}", DETECTION_NO_SOURCE},
		{"status=410", HOME, DETECTION_NO_SOURCE},
		{NULL, "{\"url\":\"http://no-such-host.invalid/\"}", DETECTION_NO_SOURCE},
		{NULL, "{\"url\":\"http://@/loop\"}", DETECTION_FAILED},
		{NULL, "{\"url\":\"http://@/big\"}", DETECTION_FAILED},
		{NULL, "{\"url\":\"http://127.0.0.1:1/\"}", DETECTION_FAILED},
		{NULL, "{\"domain\":\"@\"}", DETECTION_FAILED}, /* no TLS there */
		{"status=500", HOME, DETECTION_FAILED},
		{"status=304", HOME, DETECTION_FAILED},
		{"mode=garbage", HOME, DETECTION_FAILED},
		{"mode=close", HOME, DETECTION_FAILED},
		{"mode=drop-after-half", HOME, DETECTION_FAILED},
	};
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *what = xasprintf("fail?path=/&%s", cases[i].fault);

		if (cases[i].fault != NULL)
			(void)world_control(&w, what);
		free(what);
		ck_assert_msg(probe_outcome(&w, SITE, cases[i].company) == cases[i].outcome,
			      "case %zu", i);
		(void)world_control(&w, "reset");
	}
	world_finish(&w);
}
END_TEST

START_TEST(a_site_that_hangs_is_a_timeout)
{
	struct world w;
	struct probe probe;

	world_init(&w);
	(void)world_control(&w, "fail?path=/&mode=hang");
	probe_start(&w, &probe, SITE, HOME, 600);
	ck_assert_int_eq(probe_end(&w, &probe), DETECTION_TIMEOUT);
	probe_finish(&probe);

	/* The page alone is an answer when its sitemap hangs. */
	(void)world_control(&w, "reset");
	(void)world_control(&w, "fail?path=/robots.txt&mode=hang");
	probe_start(&w, &probe, SITE, HOME, 600);
	ck_assert_int_eq(probe_end(&w, &probe), DETECTION_FREE);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

static void serve(struct world *w, const char *path, const char *text)
{
	world_serve(w, path, "application/xml", slice_of(text));
}

START_TEST(of_a_sitemap_of_sitemaps_those_of_pages_are_read_first)
{
	static const char index[] =
		"<sitemapindex><sitemap><loc>/post-1.xml</loc></sitemap>"
		"<sitemap><loc>/post-2.xml</loc></sitemap><sitemap><loc>/post-3.xml</loc></sitemap>"
		"<sitemap><loc>/packed.xml.gz</loc></sitemap>"
		"<sitemap><loc>/page-sitemap.xml</loc></sitemap></sitemapindex>";
	struct world w;
	struct probe probe;
	const char *requests;

	world_init(&w);
	serve(&w, "/sitemap.xml", index);
	serve(&w, "/post-1.xml", "<urlset><url><loc>/blog/1</loc></url></urlset>");
	serve(&w, "/page-sitemap.xml", "<urlset><url><loc>/about</loc></url></urlset>");
	ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_FREE);
	requests = world_control(&w, "requests");
	ck_assert_uint_eq(count_of_text(requests, "/page-sitemap.xml 200"), 1);
	ck_assert_uint_eq(count_of_text(requests, "/post-1.xml 200"), 1);
	ck_assert_uint_eq(count_of_text(requests, "/post-3.xml"), 0);
	ck_assert_uint_eq(count_of_text(requests, ".gz"), 0);
	ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_FREE);

	serve(&w, "/page-sitemap.xml",
	      "<urlset><url><loc>/about</loc></url><url><loc>/security</loc></url></urlset>");
	ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_OK);
	ck_assert_int_eq(evidence_number(probe.evidence, "new_url_count"), 1);
	ck_assert_int_eq(evidence_number(probe.evidence, "changed_blocks"), 0);
	ck_assert_str_eq(json_text_at(probe.evidence, "/topics/0"), "security");
	probe_finish(&probe);

	/* A file that was there and fails now: nothing is known to be new. */
	(void)world_control(&w, "fail?path=/post-1.xml&status=500&times=1");
	ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_FREE);
	ck_assert(probe.d.is_unchanged);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(scripts_and_moved_blocks_are_no_news_and_new_words_are)
{
	static const struct slice pages[] = {
		{"<p>one</p><p>two</p><script>a</script>", 38},
		{"<p>one</p><p>two</p><script>b</script>", 38},
		{"<p>two</p><p class=\"x\">one</p>", 30},
	};
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		world_serve(&w, "/", "text/html", pages[i]);
		ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_FREE);
	}
	world_serve(&w, "/", "text/html", slice_of("<p>two</p><p>three</p>"));
	ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_OK);
	world_serve(&w, "/", "application/pdf", slice_of("<p>two</p>"));
	ck_assert_int_eq(probe_outcome(&w, SITE, HOME), DETECTION_FAILED);
	world_finish(&w);
}
END_TEST

UNIT_MAIN("website", of_a_sitemap_of_sitemaps_those_of_pages_are_read_first,
	  scripts_and_moved_blocks_are_no_news_and_new_words_are,
	  a_site_is_noted_then_unchanged_then_news,
	  a_site_without_a_sitemap_is_compared_by_its_page,
	  a_sitemap_in_trouble_does_not_make_old_pages_new,
	  another_page_of_the_same_company_is_a_first_look,
	  a_site_that_is_not_there_is_no_source_and_one_in_trouble_fails,
	  a_site_that_hangs_is_a_timeout)
