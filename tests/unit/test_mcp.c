#include "base/limits.h"
#include "mcp_host.h"

START_TEST(discover_says_what_we_speak)
{
	struct host h;
	const char *reply;

	host_set_up(&h);
	reply = say(&h, REQUEST("\"d1\"", "server/discover", "{" META "}"));
	assert_has(reply,
		   "{\"jsonrpc\":\"2.0\",\"id\":\"d1\",\"result\":{\"resultType\":\"complete\","
		   "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{}},"
		   "\"instructions\":\"");
	assert_has(reply,
		   "\"ttlMs\":3600000,\"cacheScope\":\"public\",\"_meta\":{" SERVER_META "}}}\n");
	host_tear_down(&h);
}
END_TEST

START_TEST(modern_list_is_private_and_says_how_long_it_holds)
{
	struct host h;
	const char *reply;

	host_set_up(&h);
	reply = say(&h, REQUEST("1", "tools/list", "{" META "}"));
	assert_has(reply, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\","
			  "\"tools\":[{\"name\":\"echo\",");
	assert_has(reply,
		   "\"ttlMs\":300000,\"cacheScope\":\"private\",\"_meta\":{" SERVER_META "}");
	ck_assert(!has(reply, "nextCursor"));
	host_tear_down(&h);
}
END_TEST

START_TEST(modern_requests_need_version_and_capabilities)
{
	static const char *const metas[] = {
		"{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}",
		"{\"_meta\":{\"io.modelcontextprotocol/clientCapabilities\":{}}}",
		"{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":5,"
		"\"io.modelcontextprotocol/clientCapabilities\":{}}}",
		"{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		"\"io.modelcontextprotocol/clientCapabilities\":null}}",
		"{\"_meta\":7}",
		"[]",
	};
	struct host h;

	host_set_up(&h);
	for (size_t i = 0; i < ARRAY_LEN(metas); i++) {
		char *line = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
				       "\"params\":%s}",
				       metas[i]);

		assert_code(say(&h, line), "-32602");
		free(line);
	}
	host_tear_down(&h);
}
END_TEST

START_TEST(unknown_versions_are_told_what_is_supported)
{
	static const char line[] = REQUEST(
		"2", "tools/list",
		"{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2099-01-01\"}}");
	static const char older[] = REQUEST(
		"2", "tools/list",
		"{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2025-11-25\","
		"\"io.modelcontextprotocol/clientCapabilities\":{}}}");
	struct host h;

	host_set_up(&h);
	ck_assert_str_eq(
		say(&h, line),
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32022,\"message\":"
		"\"Unsupported protocol version\",\"data\":{\"supported\":[\"2026-07-28\"],"
		"\"requested\":\"2099-01-01\"}}}\n");
	assert_code(say(&h, older), "-32022");
	/* Neither counts as a modern request. */
	assert_has(say(&h, REQUEST("3", "tools/list", "{}")), "\"result\":{\"tools\":");
	host_tear_down(&h);
}
END_TEST

START_TEST(old_methods_with_a_modern_claim_are_unknown)
{
	static const char *const methods[] = {"initialize",       "ping",
					      "logging/setLevel", "resources/subscribe",
					      "prompts/list",     "nonsense"};
	struct host h;

	host_set_up(&h);
	(void)say(&h, HELLO("2025-11-25"));
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		char *line = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\","
				       "\"params\":{" META "}}",
				       methods[i]);

		assert_code(say(&h, line), "-32601");
		free(line);
	}
	host_tear_down(&h);
}
END_TEST

START_TEST(initialize_answers_a_revision_that_both_speak)
{
	static const char *const asked[][2] = {
		{HELLO("2025-11-25"), "2025-11-25"}, {HELLO("2025-06-18"), "2025-06-18"},
		{HELLO("2025-03-26"), "2025-03-26"}, {HELLO("2024-11-05"), "2024-11-05"},
		{HELLO("2024-10-07"), "2025-11-25"}, {HELLO("2026-07-28"), "2025-11-25"},
	};
	struct host h;

	host_set_up(&h);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		const char *reply = say(&h, asked[i][0]);
		char *want = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{"
				       "\"protocolVersion\":\"%s\",\"serverInfo\":" SERVER
				       ",\"capabilities\":{\"tools\":{}},\"instructions\":\"",
				       asked[i][1]);

		assert_has(reply, want);
		ck_assert(!has(reply, "resultType"));
		free(want);
	}
	assert_code(say(&h, REQUEST("1", "initialize", "{}")), "-32602");
	ck_assert_str_eq(say(&h, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"),
			 "");
	host_tear_down(&h);
}
END_TEST

START_TEST(legacy_answers_have_nothing_modern)
{
	struct host h;
	const char *reply;

	host_set_up(&h);
	(void)say(&h, HELLO("2025-06-18"));
	reply = say(&h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
	assert_has(reply,
		   "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"echo\"");
	ck_assert(!has(reply, "resultType") && !has(reply, "ttlMs") && !has(reply, "_meta"));
	ck_assert_str_eq(say(&h, REQUEST("2", "ping", "{}")),
			 "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n");
	assert_code(say(&h, REQUEST("3", "logging/setLevel", "{\"level\":\"info\"}")), "-32601");
	assert_code(say(&h, REQUEST("4", "server/discover", "{}")), "-32601");
	host_tear_down(&h);
}
END_TEST

START_TEST(plain_lines_before_any_handshake_are_served)
{
	struct host h;

	host_set_up(&h);
	assert_has(say(&h, REQUEST("1", "tools/list", "{}")), "\"result\":{\"tools\":");
	ck_assert_str_eq(say(&h, CALL("2", "bare")),
			 "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[]}}\n");
	ck_assert_str_eq(say(&h, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}"),
			 "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}\n");
	assert_code(say(&h, REQUEST("4", "server/discover", "{}")), "-32602");
	host_tear_down(&h);
}
END_TEST

START_TEST(after_a_modern_request_a_claimless_one_is_refused)
{
	struct host h;

	host_set_up(&h);
	(void)say(&h, REQUEST("1", "tools/list", "{" META "}"));
	assert_code(say(&h, CALL("2", "echo")), "-32602");
	assert_code(say(&h, REQUEST("3", "tools/list", "{}")), "-32602");
	ck_assert_uint_eq(h.fake->started, 0);
	assert_has(say(&h, REQUEST("4", "ping", "{}")), "\"result\":{}");
	/* An initialize opens the legacy era beside the modern one. */
	assert_has(say(&h, HELLO("2025-11-25")), "\"protocolVersion\":\"2025-11-25\"");
	assert_has(say(&h, CALL("5", "echo")), "\"result\":{\"content\":");
	assert_has(say(&h, MODERN_CALL("6", "echo")), "\"resultType\":\"complete\"");
	host_tear_down(&h);
}
END_TEST

START_TEST(senseless_notifications_are_ignored)
{
	static const char *const lines[] = {
		CANCEL("99"),
		CANCEL("null"),
		CANCEL("{}"),
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":[1]}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/unknown\",\"params\":{}}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"echo\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
		"",
		"  \t\r",
	};
	struct host h;

	host_set_up(&h);
	(void)say(&h, CALL("1", "never"));
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		ck_assert_str_eq(say(&h, lines[i]), "");
	ck_assert_uint_eq(h.fake->started, 1);
	ck_assert_uint_eq(mcp_session_in_flight(h.session), 1);
	host_tear_down(&h);
}
END_TEST

START_TEST(malformed_lines_are_answered)
{
	struct host h;

	host_set_up(&h);
	ck_assert_str_eq(say(&h, "nonsense"),
			 "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":"
			 "\"Parse error\"}}\n");
	assert_has(say(&h, "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":1}"),
		   "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"error\":{\"code\":-32600,");
	buf_clear(&h.out);
	mcp_session_line_too_long(h.session);
	assert_has(buf_text(&h.out), "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,");
	host_tear_down(&h);
}
END_TEST

START_TEST(arrays_are_answered_only_where_negotiated)
{
	static const char array[] = "[" REQUEST("1", "ping", "{}") "]";
	static const char refused[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,";
	struct host h;

	host_set_up(&h);
	assert_has(say(&h, array), refused);
	(void)say(&h, HELLO("2025-11-25"));
	assert_has(say(&h, array), refused);
	(void)say(&h, HELLO("2025-03-26"));
	ck_assert_str_eq(say(&h, array), "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]\n");
	assert_has(say(&h, "[]"), refused);
	ck_assert_str_eq(
		say(&h, "[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}]"), "");
	ck_assert_str_eq(say(&h, "[" REQUEST("1", "ping", "{}") ",1,[]," HELLO("2025-03-26") "]"),
			 "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}},"
			 "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":"
			 "\"Invalid Request: not an object\"}},"
			 "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":"
			 "\"Invalid Request: an array\"}},"
			 "{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":{\"code\":-32600,\"message\":"
			 "\"Invalid Request: initialize in a batch\"}}]\n");
	host_tear_down(&h);
}
END_TEST

START_TEST(long_lists_come_in_pages)
{
	struct host h;
	const char *reply;

	host_set_up_with(&h, 2 * TOOLS_PER_PAGE); /* 8 others stand in front */
	reply = say(&h, REQUEST("1", "tools/list", "{" META "}"));
	assert_has(reply, "\"name\":\"filler_0191\"");
	ck_assert(!has(reply, "filler_0192"));
	assert_has(reply, "],\"nextCursor\":\"200\"");
	reply = say(&h, REQUEST("1", "tools/list", "{\"cursor\":\"200\"," META "}"));
	assert_has(reply, "\"tools\":[{\"name\":\"filler_0192\"");
	assert_has(reply, "\"cacheScope\":\"private\"");
	reply = say(&h, REQUEST("1", "tools/list", "{\"cursor\":\"400\"," META "}"));
	assert_has(reply, "\"name\":\"filler_0399\"");
	ck_assert(!has(reply, "nextCursor"));
	host_tear_down(&h);
}
END_TEST

START_TEST(foreign_cursors_are_refused)
{
	static const char *const cursors[] = {"\"0\"",   "\"1\"",    "\"x\"", "\"\"",
					      "\"800\"", "\"-200\"", "7",     "null"};
	struct host h;

	host_set_up_with(&h, TOOLS_PER_PAGE);
	for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
		char *line = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
				       "\"params\":{\"cursor\":%s}}",
				       cursors[i]);

		assert_code(say(&h, line), "-32602");
		free(line);
	}
	host_tear_down(&h);
}
END_TEST

START_TEST(a_listen_is_acknowledged_and_kept_open)
{
	struct host h;

	host_set_up(&h);
	ck_assert_str_eq(say(&h, LISTEN("\"l\"")),
			 "{\"jsonrpc\":\"2.0\",\"method\":"
			 "\"notifications/subscriptions/acknowledged\",\"params\":{\"_meta\":{"
			 "\"io.modelcontextprotocol/subscriptionId\":\"l\"},\"notifications\":{}}}"
			 "\n");
	ck_assert_uint_eq(mcp_session_in_flight(h.session), 0);
	assert_code(say(&h, LISTEN("\"l\"")), "-32600");
	assert_code(say(&h, REQUEST("2", "subscriptions/listen", "{" META "}")), "-32602");
	ck_assert_str_eq(say(&h, CANCEL("\"l\"")), "");
	(void)say(&h, LISTEN("9"));
	buf_clear(&h.out);
	mcp_session_cancel_all(h.session);
	ck_assert_str_eq(buf_text(&h.out), "");
	mcp_session_close_listens(h.session);
	ck_assert_str_eq(buf_text(&h.out),
			 "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"resultType\":\"complete\","
			 "\"_meta\":{" SERVER_META
			 ",\"io.modelcontextprotocol/subscriptionId\":9}}}\n");
	assert_code(say(&h, LISTEN("10")), "-32603");
	host_tear_down(&h);
}
END_TEST

START_TEST(listens_have_a_limit)
{
	struct host h;

	host_set_up(&h);
	for (int i = 0; i <= LISTENS_MAX; i++) {
		char *line = xasprintf(
			"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
			"\"subscriptions/listen\",\"params\":{\"notifications\":{}," META "}}",
			i);

		if (i < LISTENS_MAX)
			assert_has(say(&h, line), "acknowledged");
		else
			assert_code(say(&h, line), "-32603");
		free(line);
	}
	host_tear_down(&h);
}
END_TEST

UNIT_MAIN("mcp", discover_says_what_we_speak, modern_list_is_private_and_says_how_long_it_holds,
	  modern_requests_need_version_and_capabilities,
	  unknown_versions_are_told_what_is_supported, old_methods_with_a_modern_claim_are_unknown,
	  initialize_answers_a_revision_that_both_speak, legacy_answers_have_nothing_modern,
	  plain_lines_before_any_handshake_are_served,
	  after_a_modern_request_a_claimless_one_is_refused, senseless_notifications_are_ignored,
	  malformed_lines_are_answered, arrays_are_answered_only_where_negotiated,
	  long_lists_come_in_pages, foreign_cursors_are_refused,
	  a_listen_is_acknowledged_and_kept_open, listens_have_a_limit)
