#include "detecting.h"

#include "base/limits.h"
#include "json/edge.h"

#include <string.h>

START_TEST(open_jobs_are_a_signal_and_the_same_again_is_no_news)
{
	struct world w;
	struct probe probe;
	char first[80];

	world_init(&w);
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, NAMED), DETECTION_OK);
	ck_assert(!probe.d.is_unchanged);
	ck_assert_uint_eq(probe.d.signals_count, 1);
	ck_assert_str_eq(json_text_at(probe.signal, "/type"), "hiring");
	ck_assert_int_eq(evidence_number(probe.evidence, "open_jobs"), 3);
	ck_assert_ptr_null(json_object_get(probe.evidence, "added"));
	ck_assert_uint_eq(json_object_size(probe.evidence), 4);
	ck_assert_str_eq(json_text_at(probe.evidence, "/departments/0/name"), "Engineering");
	ck_assert_str_eq(json_text_at(probe.evidence, "/locations/1/name"), "Hamburg");
	ck_assert_str_eq(json_text_at(probe.evidence, "/newest/0/title"),
			 "Account Executive, Ports");
	ck_assert_str_eq(json_text_at(probe.signal, "/event_at"), "2025-09-20T13:00:00Z");
	(void)snprintf(first, sizeof(first), "%s", json_text_at(probe.signal, "/fingerprint"));
	probe_finish(&probe);

	ck_assert_int_eq(probe_at(&w, &probe, HIRING, NAMED), DETECTION_FREE);
	ck_assert(probe.d.is_unchanged);
	ck_assert_str_eq(json_text_at(probe.signal, "/fingerprint"), first);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(a_changed_board_tells_what_was_added_and_removed_and_weighs_more)
{
	struct world w;
	struct probe probe;
	struct decimal before;
	struct decimal after;

	world_init(&w);
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, NAMED), DETECTION_OK);
	ck_assert(edge_decimal(json_object_get(probe.signal, "strength"), false, &before));
	probe_finish(&probe);
	(void)world_control(&w, "change");
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, NAMED), DETECTION_OK);
	ck_assert(!probe.d.is_unchanged);
	ck_assert_int_eq(evidence_number(probe.evidence, "open_jobs"), 4);
	ck_assert_int_eq(evidence_number(probe.evidence, "added"), 2);
	ck_assert_int_eq(evidence_number(probe.evidence, "removed"), 1);
	ck_assert(edge_decimal(json_object_get(probe.signal, "strength"), false, &after));
	ck_assert_int_gt(decimal_cmp(after, before), 0);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(another_org_has_a_memory_of_its_own)
{
	struct world w;

	world_init(&w);
	ck_assert_int_eq(probe_outcome(&w, HIRING, NAMED), DETECTION_OK);
	ck_assert_int_eq(probe_outcome(&w, HIRING, NAMED), DETECTION_FREE);
	w.org = wallet_new_id(w.wallet);
	ck_assert_int_eq(probe_outcome(&w, HIRING, NAMED), DETECTION_OK);
	world_finish(&w);
}
END_TEST

START_TEST(an_empty_board_is_an_answer_without_a_signal)
{
	struct world w;
	struct probe probe;

	world_init(&w);
	ck_assert_int_eq(
		probe_at(&w, &probe, HIRING,
			 "{\"boards\":{\"greenhouse\":\"hollow\",\"lever\":\"hollow\",\"ashby\":"
			 "\"hollow\"}}"),
		DETECTION_OK);
	ck_assert_uint_eq(probe.d.signals_count, 0);
	ck_assert_str_eq(buf_text(&probe.d.result), "{\"signals\":[],\"unchanged\":false}");
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(all_boards_that_are_named_are_added_up)
{
	static const char all[] = "{\"domain\":\"tidewater.example\",\"boards\":{\"greenhouse\":"
				  "\"tidewater\",\"lever\":\"tidewater-labs\",\"ashby\":"
				  "\"tidewater-sea\"}}";
	struct world w;
	struct probe probe;

	world_init(&w);
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, all), DETECTION_OK);
	ck_assert_int_eq(evidence_number(probe.evidence, "open_jobs"), 6);
	probe_finish(&probe);

	/* One that fails later is taken as it was. */
	(void)world_control(&w, "fail?path=/v0/postings/tidewater-labs&status=500");
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, all), DETECTION_FREE);
	ck_assert(probe.d.is_unchanged);
	ck_assert_int_eq(evidence_number(probe.evidence, "open_jobs"), 4);
	ck_assert_int_eq(evidence_number(probe.evidence, "removed"), 0);
	probe_finish(&probe);
	(void)world_control(&w, "change");
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, all), DETECTION_OK);
	ck_assert_int_eq(evidence_number(probe.evidence, "added"), 3);
	probe_finish(&probe);
	(void)world_control(&w, "reset");
	(void)world_control(&w, "change");
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, all), DETECTION_OK);
	ck_assert_int_eq(evidence_number(probe.evidence, "open_jobs"), 9);
	ck_assert_int_eq(evidence_number(probe.evidence, "added"), 1);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(a_board_is_guessed_and_the_caller_is_told_how_sure_that_is)
{
	struct world w;
	struct probe probe;
	struct decimal named;
	struct decimal guessed;

	world_init(&w);
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, NAMED), DETECTION_OK);
	ck_assert(edge_decimal(json_object_get(probe.signal, "confidence"), false, &named));
	probe_finish(&probe);
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, "{\"domain\":\"www.Tidewater.co.uk\"}"),
			 DETECTION_OK);
	ck_assert_int_eq(evidence_number(probe.evidence, "open_jobs"), 3);
	ck_assert(edge_decimal(json_object_get(probe.signal, "confidence"), false, &guessed));
	ck_assert_int_lt(decimal_cmp(guessed, named), 0);
	probe_finish(&probe);
	ck_assert_int_eq(probe_outcome(&w, HIRING, "{\"name\":\"Tidewater, Inc.\"}"), DETECTION_OK);
	ck_assert_int_eq(probe_outcome(&w, HIRING, "{\"name\":\"Nobody Knows\"}"),
			 DETECTION_NO_SOURCE);
	/* Two do not know it and one cannot say. */
	(void)world_control(&w, "fail?path=/posting-api/job-board/nobodyknows&status=500");
	ck_assert_int_eq(probe_outcome(&w, HIRING, "{\"name\":\"Nobody Knows\"}"),
			 DETECTION_FAILED);
	world_finish(&w);
}
END_TEST

START_TEST(a_board_that_nobody_knows_is_no_source)
{
	struct world w;

	world_init(&w);
	ck_assert_int_eq(
		probe_outcome(&w, HIRING,
			      "{\"boards\":{\"greenhouse\":\"nobody\",\"lever\":\"nobody\","
			      "\"ashby\":\"nobody\"}}"),
		DETECTION_NO_SOURCE);
	world_finish(&w);
}
END_TEST

START_TEST(a_board_in_trouble_is_a_failure_and_nothing_is_remembered)
{
	static const char *const faults[] = {
		"status=500", "mode=garbage", "mode=close", "mode=drop-after-half", "status=403",
	};
	struct world w;
	struct probe probe;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		char *what = xasprintf("fail?path=/v1/boards/tidewater/jobs&%s", faults[i]);

		(void)world_control(&w, what);
		free(what);
		ck_assert_msg(probe_at(&w, &probe, HIRING, NAMED) == DETECTION_FAILED, "%s",
			      faults[i]);
		ck_assert_int_eq(probe.d.status, i == 0 ? 500 : i == 4 ? 403 : i == 1 ? 200 : 0);
		probe_finish(&probe);
		(void)world_control(&w, "reset");
	}
	ck_assert_int_eq(probe_outcome(&w, HIRING, NAMED), DETECTION_OK);
	world_finish(&w);
}
END_TEST

START_TEST(a_board_that_hangs_ends_before_the_callers_time_is_up)
{
	struct world w;
	struct probe probe;
	int64_t took_ms = INT64_MAX;
	struct boottime start;

	world_init(&w);
	(void)world_control(&w, "fail?path=/v1/boards/tidewater/jobs&mode=hang");
	for (int i = 0; i < UNIT_TRIES && took_ms >= 1000; i++) {
		start = clock_boot();
		probe_start(&w, &probe, HIRING, NAMED, 1000);
		ck_assert_int_eq(probe_end(&w, &probe), DETECTION_TIMEOUT);
		took_ms = clock_boot().ms - start.ms;
		probe_finish(&probe);
	}
	ck_assert_int_lt(took_ms, 1000);

	/* The answer of another stands. */
	probe_start(&w, &probe, HIRING,
		    "{\"boards\":{\"greenhouse\":\"tidewater\",\"lever\":\"tidewater-labs\"}}",
		    1000);
	ck_assert_int_eq(probe_end(&w, &probe), DETECTION_OK);
	ck_assert_int_eq(evidence_number(probe.evidence, "open_jobs"), 2);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(a_server_that_says_when_is_asked_once_more)
{
	struct world w;
	struct probe probe;

	world_init(&w);
	(void)world_control(&w,
			    "fail?path=/v1/boards/tidewater/jobs&status=429&retry_after=0&times=1");
	ck_assert_int_eq(probe_outcome(&w, HIRING, NAMED), DETECTION_OK);
	(void)world_control(&w,
			    "fail?path=/v1/boards/tidewater/jobs&status=503&retry_after=0&times=2");
	ck_assert_int_eq(probe_outcome(&w, HIRING, NAMED), DETECTION_FAILED);
	ck_assert_uint_eq(count_of_text(world_control(&w, "requests"), "jobs 503"), 2);
	(void)world_control(
		&w, "fail?path=/v1/boards/tidewater/jobs&status=429&retry_after=120&times=1");
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, NAMED), DETECTION_FAILED);
	ck_assert_int_eq(probe.d.status, 429);
	ck_assert_int_eq(probe.d.retry_after_s, 120);
	probe_finish(&probe);
	ck_assert_uint_eq(count_of_text(world_control(&w, "requests"), "jobs 429"), 2);
	world_finish(&w);
}
END_TEST

START_TEST(a_company_that_says_nothing_is_bad_input)
{
	static const char *const companies[] = {
		"{}",
		"{\"name\":\"  \"}",
		"{\"domain\":\"two words\"}",
		"{\"url\":\"ftp://a.example\"}",
		"{\"boards\":{}}",
	};
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < ARRAY_LEN(companies); i++) {
		ck_assert_int_eq(probe_outcome(&w, HIRING, companies[i]), DETECTION_BAD_INPUT);
		ck_assert_int_eq(probe_outcome(&w, SITE, companies[i]), DETECTION_BAD_INPUT);
	}
	ck_assert_int_eq(probe_outcome(&w, SITE, NAMED), DETECTION_BAD_INPUT);
	ck_assert_int_eq(probe_outcome(&w, SITE, "{\"name\":\"Acme\"}"), DETECTION_BAD_INPUT);
	world_finish(&w);
}
END_TEST

START_TEST(private_addresses_are_refused_unless_allowed)
{
	struct world w;
	struct probe probe;

	world_init(&w);
	signals_destroy(w.signals);
	w.signals = world_signals(&w, false);
	ck_assert_int_eq(probe_at(&w, &probe, SITE, HOME), DETECTION_BAD_INPUT);
	ck_assert_ptr_nonnull(strstr(probe.d.err.text, "public"));
	probe_finish(&probe);
	ck_assert_int_eq(probe_outcome(&w, SITE, "{\"url\":\"http://localhost/\"}"),
			 DETECTION_BAD_INPUT);
	ck_assert_int_eq(probe_outcome(&w, HIRING, NAMED), DETECTION_FAILED);
	ck_assert_str_eq(world_control(&w, "requests"), "");
	world_finish(&w);
}
END_TEST

START_TEST(a_cancelled_look_leaves_nothing_behind)
{
	struct world w;
	struct probe probe;

	world_init(&w);
	(void)world_control(&w, "fail?path=/&mode=hang");
	/* At once, before the store was read; and with the request in flight. */
	probe_start(&w, &probe, SITE, HOME, 5000);
	signals_cancel(&probe.d);
	probe_finish(&probe);
	probe_start(&w, &probe, HIRING, "{}", 5000);
	signals_cancel(&probe.d);
	probe_finish(&probe);
	probe_start(&w, &probe, SITE, HOME, 5000);
	(void)world_control(&w, "requests");
	signals_cancel(&probe.d);
	probe_finish(&probe);
	(void)world_control(&w, "requests");
	world_finish(&w);
}
END_TEST

static void on_order(struct order_read *read)
{
	ck_assert(!read->is_failed);
	world_done(read->arg);
}

START_TEST(the_order_of_detectors_is_kept_as_it_was_set)
{
	struct world w;
	struct order_read read;

	world_init(&w);
	for (int i = 0; i < 3; i++) {
		read = (struct order_read){
			.org = w.org,
			.deadline = boottime_after(clock_boot(), 10000),
			.done = on_order,
			.arg = &w,
		};
		order_read_start(&read, w.wallet);
		world_run(&w);
		ck_assert_pstr_eq(read.names, i == 0   ? NULL
					      : i == 1 ? "website_change hiring"
						       : "hiring");
		order_read_finish(&read);
		world_settle(&w, order_rider(w.org, i == 0 ? "website_change hiring" : "hiring"));
	}
	world_finish(&w);
}
END_TEST

static void refuse_config(struct world *w, const char *text, const char *message)
{
	json_t *detectors = edge_parse(slice_of(text), NULL);
	struct signals_config config = {.detectors = detectors};
	struct err err = ERR_INIT;

	ck_assert_ptr_nonnull(detectors);
	ck_assert_ptr_null(signals_create(w->loop, w->http, w->wallet, &config, &err));
	ck_assert_str_eq(err.text, message);
	json_decref(detectors);
}

START_TEST(a_fault_in_the_configuration_is_named_by_its_pointer)
{
	struct world w;

	world_init(&w);
	refuse_config(&w, "[]", "/detectors: must be an object");
	refuse_config(&w, "{\"hi/ring\":{}}", "/detectors/hi~1ring: no such detector");
	refuse_config(&w, "{\"hiring\":5}", "/detectors/hiring: must be an object");
	refuse_config(&w, "{\"hiring\":{\"colour\":1}}",
		      "/detectors/hiring/colour: not known here");
	refuse_config(&w, "{\"hiring\":{\"enabled\":1}}",
		      "/detectors/hiring/enabled: must be true or false");
	refuse_config(&w, "{\"hiring\":{\"sources\":{\"indeed\":{}}}}",
		      "/detectors/hiring/sources/indeed: no such source");
	refuse_config(&w, "{\"hiring\":{\"sources\":{\"lever\":{\"base_url\":\"file:///\"}}}}",
		      "/detectors/hiring/sources/lever/base_url: not an http or https address");
	refuse_config(&w, "{\"hiring\":{\"sources\":{\"lever\":{\"url\":\"x\"}}}}",
		      "/detectors/hiring/sources/lever/url: not known here");
	refuse_config(&w, "{\"website_change\":{\"sources\":{}}}",
		      "/detectors/website_change/sources: this detector has no sources to choose");
	world_finish(&w);
}
END_TEST

START_TEST(a_guess_prefers_a_board_with_jobs_and_does_not_wait_for_one_that_hangs)
{
	static const char jobs[] = "[{\"id\":\"a\",\"text\":\"Diver\"}]";
	struct world w;
	struct probe probe;
	struct boottime start;

	world_init(&w);
	world_serve(&w, "/v0/postings/hollow", "application/json", slice_of(jobs));
	ck_assert_int_eq(probe_at(&w, &probe, HIRING, "{\"name\":\"Hollow\"}"), DETECTION_OK);
	ck_assert_int_eq(evidence_number(probe.evidence, "open_jobs"), 1);
	probe_finish(&probe);

	(void)world_control(&w, "fail?path=/v1/boards/hollow/jobs&mode=hang");
	start = clock_boot();
	probe_start(&w, &probe, HIRING, "{\"name\":\"Hollow\"}", 20000);
	ck_assert_int_eq(probe_end(&w, &probe), DETECTION_FREE);
	ck_assert_int_lt(clock_boot().ms - start.ms, 10000);
	ck_assert(probe.d.is_unchanged);
	probe_finish(&probe);
	world_finish(&w);
}
END_TEST

START_TEST(a_board_that_is_too_large_is_asked_for_its_short_listing)
{
	struct world w;
	struct buf huge = BUF_INIT;

	world_init(&w);
	buf_puts(&huge, "{\"jobs\":[],\"x\":\"");
	while (huge.len <= BOARD_BYTES_MAX)
		buf_puts(&huge, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	buf_puts(&huge, "\"}");
	world_serve(&w, "/v1/boards/tidewater/jobs", "application/json", buf_slice(&huge));
	ck_assert_int_eq(probe_outcome(&w, HIRING, NAMED), DETECTION_FAILED);
	ck_assert_uint_eq(count_of_text(world_control(&w, "requests"), "tidewater/jobs"), 2);
	buf_finish(&huge);
	world_finish(&w);
}
END_TEST

UNIT_MAIN("hiring", a_guess_prefers_a_board_with_jobs_and_does_not_wait_for_one_that_hangs,
	  a_board_that_is_too_large_is_asked_for_its_short_listing,
	  open_jobs_are_a_signal_and_the_same_again_is_no_news,
	  a_changed_board_tells_what_was_added_and_removed_and_weighs_more,
	  another_org_has_a_memory_of_its_own, an_empty_board_is_an_answer_without_a_signal,
	  all_boards_that_are_named_are_added_up,
	  a_board_is_guessed_and_the_caller_is_told_how_sure_that_is,
	  a_board_that_nobody_knows_is_no_source,
	  a_board_in_trouble_is_a_failure_and_nothing_is_remembered,
	  a_board_that_hangs_ends_before_the_callers_time_is_up,
	  a_server_that_says_when_is_asked_once_more, a_company_that_says_nothing_is_bad_input,
	  private_addresses_are_refused_unless_allowed, a_cancelled_look_leaves_nothing_behind,
	  the_order_of_detectors_is_kept_as_it_was_set,
	  a_fault_in_the_configuration_is_named_by_its_pointer)
