#include "base/limits.h"
#include "mcp_host.h"

START_TEST(a_reply_is_wrapped_for_its_era)
{
	struct host h;

	host_set_up(&h);
	ck_assert_str_eq(
		say(&h, REQUEST("1", "tools/call",
				"{\"name\":\"echo\",\"arguments\":{\"q\":[1]},\"_meta\":{}}")),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\","
		"\"text\":"
		"\"{\\\"q\\\":[1]}\"}],\"structuredContent\":{\"q\":[1]},\"_meta\":{"
		"\"farebox/usage\":{\"tokens\":1}}}}\n");
	ck_assert_str_eq(
		say(&h, MODERN_CALL("\"s\"", "echo")),
		"{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"result\":{\"resultType\":\"complete\","
		"\"content\":[{\"type\":\"text\",\"text\":\"{}\"}],\"structuredContent\":{},"
		"\"_meta\":{" SERVER_META ",\"farebox/usage\":{\"tokens\":1}}}}\n");
	ck_assert_str_eq(h.fake->key, "fbx_key");
	host_tear_down(&h);
}
END_TEST

START_TEST(an_error_has_no_structured_content)
{
	struct host h;

	host_set_up(&h);
	ck_assert_str_eq(
		say(&h, CALL("1", "fail")),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\","
		"\"text\":\"failed\"}],\"isError\":true}}\n");
	host_tear_down(&h);
}
END_TEST

START_TEST(malformed_calls_and_unknown_tools_are_protocol_errors)
{
	static const char *const params[] = {
		"{}",
		"{\"name\":7}",
		"{\"name\":\"echo\",\"arguments\":[]}",
		"{\"name\":\"echo\",\"arguments\":null}",
		"{\"name\":\"nothing\"}",
		"{\"name\":\"echo\\u0000\"}",
	};
	struct host h;

	host_set_up(&h);
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		char *line = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
				       "\"params\":%s}",
				       params[i]);

		assert_code(say(&h, line), "-32602");
		free(line);
	}
	assert_code(say(&h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}"), "-32602");
	assert_has(say(&h, CALL("1", "nothing")), "\"Unknown tool: nothing\"");
	ck_assert_uint_eq(h.fake->started, 0);
	host_tear_down(&h);
}
END_TEST

START_TEST(bad_options_are_a_tool_error)
{
	struct host h;
	const char *reply;

	host_set_up(&h);
	reply = say(&h, REQUEST("1", "tools/call",
				"{\"name\":\"echo\",\"_meta\":{\"farebox/maxTokens\":\"x\"}}"));
	assert_has(reply, "farebox/maxTokens: not a number");
	assert_has(reply, "\"isError\":true,\"_meta\":{\"farebox/error\":{}}");
	ck_assert_uint_eq(h.fake->started, 0);
	host_tear_down(&h);
}
END_TEST

START_TEST(tools_hear_who_calls_in_both_eras)
{
	struct host h;

	host_set_up(&h);
	(void)say(&h, CALL("1", "echo"));
	ck_assert_str_eq(h.fake->client_name, "");
	ck_assert(!h.fake->has_url_elicitation);
	(void)say(&h, HELLO("2025-11-25"));
	(void)say(&h, CALL("1", "echo"));
	ck_assert_str_eq(h.fake->client_name, "x");
	ck_assert(h.fake->has_url_elicitation);
	(void)say(&h, HELLO("2025-06-18")); /* which knows no URLs in elicitation */
	(void)say(&h, CALL("1", "echo"));
	ck_assert(!h.fake->has_url_elicitation);
	(void)say(&h, MODERN_CALL("1", "echo"));
	ck_assert_str_eq(h.fake->client_name, "");
	(void)say(&h, REQUEST("1", "tools/call",
			      "{\"name\":\"echo\",\"_meta\":{"
			      "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
			      "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"cli\"},"
			      "\"io.modelcontextprotocol/clientCapabilities\":"
			      "{\"elicitation\":{\"url\":{}}}}}"));
	ck_assert_str_eq(h.fake->client_name, "cli");
	ck_assert(h.fake->has_url_elicitation);
	host_tear_down(&h);
}
END_TEST

START_TEST(a_call_has_its_deadline_from_receipt)
{
	struct host h;

	host_set_up(&h);
	(void)say(&h, CALL("1", "echo"));
	ck_assert_int_eq(h.fake->deadline.ms, loop_now(h.loop).ms + CALL_DEADLINE_MS);
	host_tear_down(&h);
}
END_TEST

START_TEST(ids_keep_their_type_also_when_the_reply_comes_later)
{
	static const char *const ids[] = {
		"0", "\"\"", "-7", "5.0", "\"7\"", "7", "12345678901234567890123"};
	struct host h;

	host_set_up(&h);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		char *line = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"tools/call\","
				       "\"params\":{\"name\":\"steps\"}}",
				       ids[i]);
		char *want = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{" DONE "}}\n",
				       ids[i]);

		ck_assert_str_eq(say(&h, line), "");
		fake_tools_finish(h.fake);
		ck_assert_str_eq(buf_text(&h.out), want);
		free(line);
		free(want);
	}
	host_tear_down(&h);
}
END_TEST

START_TEST(an_id_in_flight_is_not_run_twice)
{
	struct host h;

	host_set_up(&h);
	(void)say(&h, CALL("5", "steps"));
	ck_assert_uint_eq(mcp_session_in_flight(h.session), 1);
	assert_has(say(&h, CALL("5", "steps")), "{\"jsonrpc\":\"2.0\",\"id\":5,\"error\":{"
						"\"code\":-32600,");
	assert_has(say(&h, CALL("5.0", "steps")), "\"id\":5.0,\"error\":{\"code\":-32600,");
	ck_assert_uint_eq(h.fake->started, 1);
	/* "5" is another id than 5. */
	ck_assert_str_eq(say(&h, CALL("\"5\"", "steps")), "");
	ck_assert_uint_eq(h.fake->started, 2);
	fake_tools_finish(h.fake);
	ck_assert_uint_eq(mcp_session_in_flight(h.session), 0);
	assert_has(say(&h, CALL("5", "echo")), "\"result\"");
	host_tear_down(&h);
}
END_TEST

START_TEST(progress_needs_a_token_and_counts_up)
{
	static const char plain[] =
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{"
		"\"progressToken\":\"p3\",\"progress\":1,\"message\":\"one\"}}\n"
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{"
		"\"progressToken\":\"p3\",\"progress\":2}}\n";
	struct host h;

	host_set_up(&h);
	ck_assert_str_eq(
		say(&h, REQUEST("1", "tools/call",
				"{\"name\":\"steps\",\"_meta\":{\"progressToken\":\"p3\"}}")),
		plain);
	ck_assert_str_eq(say(&h, CALL("3", "steps")), "");
	ck_assert_str_eq(say(&h, REQUEST("4", "tools/call",
					 "{\"name\":\"steps\",\"_meta\":{\"progressToken\":{}}}")),
			 "");
	assert_has(
		say(&h, REQUEST("2", "tools/call",
				"{\"name\":\"steps\",\"_meta\":{" CLAIM ",\"progressToken\":-7}}")),
		"\"progressToken\":-7,\"progress\":2}");
	host_tear_down(&h);
}
END_TEST

START_TEST(nothing_more_is_sent_for_a_cancelled_call)
{
	struct host h;

	host_set_up(&h);
	(void)say(&h, REQUEST("\"a\"", "tools/call",
			      "{\"name\":\"stubborn\",\"_meta\":{\"progressToken\":1}}"));
	(void)say(&h, CALL("2", "never"));
	(void)say(&h, CALL("3", "steps"));
	ck_assert_str_eq(say(&h, CANCEL("\"\\u0061\"")), "");
	ck_assert_str_eq(say(&h, CANCEL("2.0")), "");
	ck_assert_uint_eq(h.fake->cancelled, 2);
	ck_assert_uint_eq(mcp_session_in_flight(h.session), 1);
	ck_assert_uint_eq(tools_in_flight(h.fake->tools), 2);
	fake_tools_progress(h.fake, "step");
	ck_assert_str_eq(buf_text(&h.out), "");
	fake_tools_finish(h.fake);
	ck_assert_str_eq(buf_text(&h.out),
			 "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{" DONE "}}\n");
	host_tear_down(&h);
}
END_TEST

START_TEST(replies_of_an_array_leave_together)
{
	static const char array[] = "[" CALL("1", "steps") "," CALL("2", "never") "," CALL(
		"3", "bare") "," MODERN_CALL("4", "bare") "]";
	struct host h;

	host_set_up(&h);
	(void)say(&h, HELLO("2025-03-26"));
	ck_assert_str_eq(say(&h, array), "");
	ck_assert_str_eq(say(&h, CANCEL("2")), "");
	fake_tools_finish(h.fake);
	assert_has(buf_text(&h.out), "[{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"content\":[]}},"
				     "{\"jsonrpc\":\"2.0\",\"id\":4,\"error\":{\"code\":-32600,");
	assert_has(buf_text(&h.out), ",{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{" DONE "}}]\n");
	(void)say(&h, "[" CALL("1", "never") "," CALL("2", "stubborn") "]");
	host_tear_down(&h); /* in the middle of one */
}
END_TEST

START_TEST(cancel_all_answers_nobody)
{
	struct host h;

	host_set_up(&h);
	for (int i = 0; i < 100; i++) {
		char *line = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\","
				       "\"params\":{\"name\":\"%s\"}}",
				       i, i % 2 ? "never" : "stubborn");

		ck_assert_str_eq(say(&h, line), "");
		free(line);
	}
	ck_assert_uint_eq(mcp_session_in_flight(h.session), 100);
	mcp_session_cancel_all(h.session);
	ck_assert_uint_eq(mcp_session_in_flight(h.session), 0);
	ck_assert_uint_eq(h.fake->cancelled, 100);
	fake_tools_finish(h.fake);
	ck_assert_str_eq(buf_text(&h.out), "");
	host_tear_down(&h);
}
END_TEST

START_TEST(calls_may_outlive_their_session)
{
	struct host h;

	host_set_up(&h);
	(void)say(&h, CALL("1", "stubborn"));
	(void)say(&h, CALL("2", "never"));
	(void)say(&h, LISTEN("3"));
	mcp_session_destroy(h.session);
	h.session = NULL;
	buf_clear(&h.out);
	fake_tools_finish(h.fake);
	ck_assert_str_eq(buf_text(&h.out), "");
	host_tear_down(&h);
}
END_TEST

UNIT_MAIN("mcp_call", a_reply_is_wrapped_for_its_era, an_error_has_no_structured_content,
	  malformed_calls_and_unknown_tools_are_protocol_errors, bad_options_are_a_tool_error,
	  tools_hear_who_calls_in_both_eras, a_call_has_its_deadline_from_receipt,
	  ids_keep_their_type_also_when_the_reply_comes_later, an_id_in_flight_is_not_run_twice,
	  progress_needs_a_token_and_counts_up, nothing_more_is_sent_for_a_cancelled_call,
	  replies_of_an_array_leave_together, cancel_all_answers_nobody,
	  calls_may_outlive_their_session)
