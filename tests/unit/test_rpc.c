#include "base/limits.h"
#include "rpc/rpc.h"
#include "json/edge.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static void read_once(const char *text, struct reader_memo *memo, struct rpc_message *m)
{
	/* Exactly as long as the text, so that a read beyond its end is seen. */
	size_t len = strlen(text);
	char *line = xmalloc(len ? len : 1);

	memcpy(line, text, len);
	rpc_read(line, len, memo, m);
	free(line);
}

/* The short way and the long way come to the same. */
static void read_text(const char *text, struct rpc_message *m)
{
	struct reader_memo memo = {.key = "_meta"};
	struct rpc_message long_way;

	read_once(text, NULL, &long_way);
	read_once(text, &memo, m);
	ck_assert_int_eq(m->kind, long_way.kind);
	ck_assert_int_eq(m->error_code, long_way.error_code);
	ck_assert_pstr_eq(m->id, long_way.id);
	ck_assert_pstr_eq(m->method, long_way.method);
	rpc_message_finish(&long_way);
	reader_memo_finish(&memo);
}

START_TEST(ids_are_echoed_as_they_were_spelt)
{
	static const char *const ids[] = {
		"0",
		"1",
		"-1",
		"-0",
		"\"\"",
		"\"abc\"",
		"\"a\\u0062\\n\"",
		"\"\\ud83d\\ude00\"",
		"\"\xC3\xA4\"",
		"\"a\\u0000b\"",
		"\"5\"",
		"5.0",
		"6e0",
		"6E+2",
		"1.50e1",
		"50e-1",
		"9007199254740993",
		"9223372036854775807",
		"9223372036854775808",
		"-99999999999999999999999999999999",
		"1e400",
	};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct rpc_message m;
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "{\"jsonrpc\":\"2.0\", \"id\" :\t%s ,\"method\":\"ping\"}", ids[i]);
		read_text(text, &m);
		ck_assert_msg(m.kind == RPC_REQUEST, "%s: %s", ids[i], m.error_text);
		ck_assert_str_eq(m.id, ids[i]);
		ck_assert_str_eq(m.method, "ping");
		rpc_message_finish(&m);
	}
}
END_TEST

START_TEST(other_ids_are_refused)
{
	static const char *const ids[] = {"null", "true",  "false", "{}",        "[1]",
					  "1.5",  "15e-1", "1e-2",  "{\"id\":1}"};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct rpc_message m;
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"ping\"}", ids[i]);
		read_text(text, &m);
		ck_assert_msg(m.kind == RPC_INVALID, "%s", ids[i]);
		ck_assert_int_eq(m.error_code, RPC_INVALID_REQUEST);
		ck_assert_ptr_null(m.id);
		rpc_message_finish(&m);
	}
}
END_TEST

START_TEST(an_id_has_a_largest_size)
{
	struct buf text = BUF_INIT;
	struct rpc_message m;

	for (int extra = 0; extra < 2; extra++) {
		buf_clear(&text);
		buf_puts(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"");
		for (int i = 0; i < RPC_ID_BYTES_MAX - 2 + extra; i++)
			buf_putc(&text, 'x');
		buf_puts(&text, "\"}");
		read_text(buf_text(&text), &m);
		ck_assert_int_eq(m.kind, extra ? RPC_INVALID : RPC_REQUEST);
		rpc_message_finish(&m);
	}
	buf_finish(&text);
}
END_TEST

struct bad_case {
	const char *text;
	int code;
	const char *id; /* NULL for none */
};

static const struct bad_case bad_cases[] = {
	{"", RPC_PARSE_ERROR, NULL},
	{"{", RPC_PARSE_ERROR, NULL},
	{"nonsense", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}x", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}{}", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"m\"}", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":1.,\"method\":\"m\"}", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":-,\"method\":\"m\"}", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\"", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":\"a", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":\"a\\", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":\"\\x\",\"method\":\"m\"}", RPC_PARSE_ERROR, NULL},
	{"\xEF\xBB\xBF{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xFF\"}", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xC0\x80\"}", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xED\xA0\x80\"}", RPC_PARSE_ERROR, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":\"\xC3\",\"method\":\"m\"}", RPC_PARSE_ERROR, NULL},
	{"}", RPC_PARSE_ERROR, NULL},
	{"17", RPC_INVALID_REQUEST, NULL},
	{"\"id\"", RPC_INVALID_REQUEST, NULL},
	{"null", RPC_INVALID_REQUEST, NULL},
	{"{}", RPC_INVALID_REQUEST, NULL},
	{"{\"id\":3}", RPC_INVALID_REQUEST, "3"},
	{"{\"jsonrpc\":\"1.0\",\"id\":\"x\",\"method\":\"m\"}", RPC_INVALID_REQUEST, "\"x\""},
	{"{\"jsonrpc\":2.0,\"id\":5.0,\"method\":\"m\"}", RPC_INVALID_REQUEST, "5.0"},
	{"{\"jsonrpc\":\"2.0\",\"id\":4}", RPC_INVALID_REQUEST, "4"},
	{"{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":7}", RPC_INVALID_REQUEST, "4"},
	{"{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"a\\u0000b\"}", RPC_INVALID_REQUEST, "4"},
	{"{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"m\",\"params\":5}", RPC_INVALID_REQUEST, "4"},
	{"{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"m\",\"params\":null}", RPC_INVALID_REQUEST,
	 "4"},
	{"{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":1,\"error\":{}}", RPC_INVALID_REQUEST, "4"},
	{"{\"jsonrpc\":\"2.0\",\"result\":1}", RPC_INVALID_REQUEST, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":1}", RPC_INVALID_REQUEST, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":4,\"error\":1}", RPC_INVALID_REQUEST, "4"},
	{"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"m\",\"method\":\"m\"}", RPC_INVALID_REQUEST,
	 "8"},
	{"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{\"a\":1,\"a\":2},\"id\":8}",
	 RPC_INVALID_REQUEST, "8"},
	{"{\"a\":1,\"a\":2,\"id\":\"\\x\"}", RPC_INVALID_REQUEST, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":8,\"id\":9,\"method\":\"m\"}", RPC_INVALID_REQUEST, NULL},
	{"{\"jsonrpc\":\"2.0\",\"id\":8,\"\\u0069d\":9,\"method\":\"m\"}", RPC_INVALID_REQUEST,
	 "8"},
	{"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"m\",\"params\":{\"n\":1e999}}",
	 RPC_INVALID_REQUEST, "8"},
	{"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"m\",\"params\":[9999999999999999999]}",
	 RPC_INVALID_REQUEST, "8"},
};

START_TEST(bad_messages_say_why_and_give_the_id_back)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		struct rpc_message m;

		read_text(c->text, &m);
		ck_assert_msg(m.kind == RPC_INVALID, "%s", c->text);
		ck_assert_msg(m.error_code == c->code, "%s: %d", c->text, m.error_code);
		ck_assert_ptr_nonnull(m.error_text);
		if (c->id)
			ck_assert_msg(m.id && !strcmp(m.id, c->id), "%s: %s", c->text, m.id);
		else
			ck_assert_msg(!m.id, "%s: %s", c->text, m.id);
		rpc_message_finish(&m);
	}
}
END_TEST

START_TEST(a_nul_byte_in_the_line_is_no_json)
{
	char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\0\"method\":\"m\"}";
	struct rpc_message m;

	rpc_read(line, sizeof(line) - 1, NULL, &m);
	ck_assert_int_eq(m.kind, RPC_INVALID);
	ck_assert_int_eq(m.error_code, RPC_PARSE_ERROR);
	rpc_message_finish(&m);
}
END_TEST

START_TEST(only_the_top_level_id_counts)
{
	struct rpc_message m;

	read_text("{\"params\":{\"id\":7,\"x\":[{\"id\":8}]},\"method\":\"id\",\"jsonrpc\":"
		  "\"2.0\"}\r",
		  &m);
	ck_assert_int_eq(m.kind, RPC_NOTIFICATION);
	ck_assert_ptr_null(m.id);
	ck_assert_str_eq(m.method, "id");
	ck_assert(json_is_object(m.params));
	rpc_message_finish(&m);

	read_text("{\"x\":\"\\\"id\\\":3\",\"id\":\"y\",\"method\":\"m\",\"jsonrpc\":\"2.0\"}", &m);
	ck_assert_int_eq(m.kind, RPC_REQUEST);
	ck_assert_str_eq(m.id, "\"y\"");
	rpc_message_finish(&m);

	read_text("{\"\\u0069d\":12,\"method\":\"m\",\"jsonrpc\":\"2.0\"}", &m);
	ck_assert_int_eq(m.kind, RPC_REQUEST);
	ck_assert_str_eq(m.id, "12");
	rpc_message_finish(&m);
}
END_TEST

START_TEST(depth_has_a_limit_and_the_id_comes_back)
{
	for (int extra = 0; extra < 2; extra++) {
		struct buf text = BUF_INIT;
		struct rpc_message m;
		int n = RPC_DEPTH_MAX - 1 + extra;

		buf_puts(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":");
		for (int i = 0; i < n; i++)
			buf_putc(&text, '[');
		for (int i = 0; i < n; i++)
			buf_putc(&text, ']');
		buf_puts(&text, ",\"id\":77}");
		read_text(buf_text(&text), &m);
		ck_assert_int_eq(m.kind, extra ? RPC_INVALID : RPC_REQUEST);
		ck_assert_str_eq(m.id, "77");
		if (extra)
			ck_assert_int_eq(m.error_code, RPC_INVALID_REQUEST);
		rpc_message_finish(&m);
		buf_finish(&text);
	}
}
END_TEST

START_TEST(two_hundred_thousand_brackets_do_no_harm)
{
	enum {
		BRACKETS = 200000
	};
	char *line = xmalloc(BRACKETS);
	struct rpc_message m;

	memset(line, '[', BRACKETS);
	rpc_read(line, BRACKETS, NULL, &m);
	ck_assert_int_eq(m.kind, RPC_INVALID);
	ck_assert_int_eq(m.error_code, RPC_PARSE_ERROR);
	ck_assert_ptr_null(m.id);
	rpc_message_finish(&m);
	free(line);
}
END_TEST

START_TEST(half_a_surrogate_pair_becomes_a_replacement)
{
	struct rpc_message m;

	read_text("{\"jsonrpc\":\"2.0\",\"id\":\"\\ud800\",\"method\":\"m\",\"params\":[\"\\ud83d"
		  "\\ude00\",\"a\\uD83D\",\"\\udE00\\\\ud800\",\"\\ud83d\\ud83d\\ude00\"]}",
		  &m);
	ck_assert_msg(m.kind == RPC_REQUEST, "%s", m.error_text);
	ck_assert_str_eq(m.id, "\"\\ud800\"");
	ck_assert_str_eq(json_string_value(json_array_get(m.params, 0)), "\xF0\x9F\x98\x80");
	ck_assert_str_eq(json_string_value(json_array_get(m.params, 1)), "a\xEF\xBF\xBD");
	ck_assert_str_eq(json_string_value(json_array_get(m.params, 2)), "\xEF\xBF\xBD\\ud800");
	ck_assert_str_eq(json_string_value(json_array_get(m.params, 3)),
			 "\xEF\xBF\xBD\xF0\x9F\x98\x80");
	rpc_message_finish(&m);
}
END_TEST

START_TEST(responses_are_told_from_requests)
{
	struct rpc_message m;

	read_text("{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"a\":1}}", &m);
	ck_assert_int_eq(m.kind, RPC_RESPONSE);
	ck_assert(json_is_object(m.result));
	ck_assert_str_eq(m.id, "3");
	rpc_message_finish(&m);

	read_text("{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":1}}", &m);
	ck_assert_int_eq(m.kind, RPC_RESPONSE);
	ck_assert(json_is_object(m.error));
	rpc_message_finish(&m);

	read_text("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":1}}", &m);
	ck_assert_int_eq(m.kind, RPC_RESPONSE);
	ck_assert_ptr_null(m.id);
	rpc_message_finish(&m);
}
END_TEST

START_TEST(items_of_a_batch_keep_their_ids)
{
	static const char *const ids[] = {"1", "\"a\\u0000\"", "5.0", "-3"};
	struct rpc_message m;

	read_text("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"},"
		  "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0000\",\"method\":\"m\"},"
		  "{\"jsonrpc\":\"2.0\",\"id\":5.0,\"method\":\"m\"},"
		  "{\"jsonrpc\":\"2.0\",\"id\":-3,\"method\":\"m\"},"
		  "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"},[]]",
		  &m);
	ck_assert_int_eq(m.kind, RPC_BATCH);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct rpc_message item;

		rpc_read_value(json_array_get(m.root, i), 0, &item);
		ck_assert_int_eq(item.kind, RPC_REQUEST);
		ck_assert_str_eq(item.id, ids[i]);
		rpc_message_finish(&item);
	}
	for (size_t i = 4; i < 6; i++) {
		struct rpc_message item;

		rpc_read_value(json_array_get(m.root, i), 0, &item);
		ck_assert_int_eq(item.kind, i == 4 ? RPC_INVALID : RPC_BATCH);
		rpc_message_finish(&item);
	}
	rpc_message_finish(&m);
}
END_TEST

/* The key of an id that stands in a message, and of the same text within params. */
static void check_key(const char *id, const char *want)
{
	struct buf key = BUF_INIT;
	struct rpc_message m;
	char text[256];

	(void)snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}", id);
	read_text(text, &m);
	rpc_id_key(&m, &key);
	ck_assert_str_eq(buf_text(&key), want);
	rpc_message_finish(&m);

	(void)snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[%s]}",
		       id);
	read_text(text, &m);
	if (m.kind == RPC_NOTIFICATION) { /* not beyond what jansson holds */
		buf_clear(&key);
		ck_assert(rpc_id_key_of_value(json_array_get(m.params, 0), &key));
		ck_assert_str_eq(buf_text(&key), want);
	}
	rpc_message_finish(&m);
	buf_finish(&key);
}

START_TEST(ids_are_compared_by_value)
{
	struct buf key = BUF_INIT;

	check_key("5", "5");
	check_key("5.0", "5");
	check_key("50e-1", "5");
	check_key("0.5e1", "5");
	check_key("5.00e2", "500");
	check_key("-0", "0");
	check_key("0e5", "0");
	check_key("-120", "-120");
	check_key("-1.2e2", "-120");
	check_key("\"5\"", "\"5");
	check_key("\"\\u0061\"", "\"a");
	check_key("123456789012345678901234567890", "123456789012345678901234567890");
	check_key("1e99999999999", "1e99999999999");
	ck_assert(!rpc_id_key_of_value(NULL, &key));
	ck_assert(!rpc_id_key_of_value(json_true(), &key));
	buf_finish(&key);
}
END_TEST

START_TEST(written_messages_are_one_line_each)
{
	struct buf out = BUF_INIT;

	rpc_write_result(&out, "\"a\"", slice_of("{}"));
	rpc_write_error(&out, "7", -32601, "no \"such\"\nmethod", slice_of("{\"a\":1}"));
	rpc_write_error(&out, NULL, -32700, "x", (struct slice){.len = 0});
	rpc_write_notification(&out, "n", slice_of("{}"));
	ck_assert_str_eq(
		buf_text(&out),
		"{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{}}\n"
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32601,\"message\":\"no "
		"\\\"such\\\"\\nmethod\",\"data\":{\"a\":1}}}\n"
		"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"x\"}}\n"
		"{\"jsonrpc\":\"2.0\",\"method\":\"n\",\"params\":{}}\n");
	buf_finish(&out);
}
END_TEST

static void expect_line(struct rpc_lines *lines, const char *want)
{
	char *line;
	size_t len;

	ck_assert_int_eq(rpc_lines_next(lines, &line, &len), RPC_LINE);
	ck_assert_uint_eq(len, strlen(want));
	ck_assert_mem_eq(line, want, len);
}

START_TEST(lines_are_cut_wherever_the_pieces_end)
{
	static const char input[] = "one\ntwo\r\n\nthree";

	for (size_t piece = 1; piece < sizeof(input); piece++) {
		struct rpc_lines lines = {.is_skipping = false};
		struct buf got = BUF_INIT;
		char *line;
		size_t len;

		for (size_t at = 0; at < sizeof(input) - 1; at += piece) {
			size_t left = sizeof(input) - 1 - at;

			rpc_lines_feed(&lines, input + at, left < piece ? left : piece);
			while (rpc_lines_next(&lines, &line, &len) == RPC_LINE) {
				buf_append(&got, line, len);
				buf_putc(&got, '|');
			}
		}
		ck_assert_str_eq(buf_text(&got), "one|two\r||");
		buf_finish(&got);
		ck_assert_int_eq(rpc_lines_rest(&lines, &line, &len), RPC_LINE);
		ck_assert_uint_eq(len, 5);
		ck_assert_mem_eq(line, "three", 5);
		ck_assert_int_eq(rpc_lines_rest(&lines, &line, &len), RPC_LINE_NONE);
		rpc_lines_finish(&lines);
	}
}
END_TEST

START_TEST(a_line_of_the_largest_size_is_taken)
{
	struct rpc_lines lines = {.is_skipping = false};
	char *big = xmalloc(RPC_LINE_BYTES_MAX + 1);
	char *line;
	size_t len;

	memset(big, 'x', RPC_LINE_BYTES_MAX);
	big[RPC_LINE_BYTES_MAX] = '\n';
	rpc_lines_feed(&lines, big, RPC_LINE_BYTES_MAX + 1);
	ck_assert_int_eq(rpc_lines_next(&lines, &line, &len), RPC_LINE);
	ck_assert_uint_eq(len, RPC_LINE_BYTES_MAX);
	free(big);
	rpc_lines_finish(&lines);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_dropped_and_reported_once)
{
	struct rpc_lines lines = {.is_skipping = false};
	size_t piece = RPC_LINE_BYTES_MAX / 3, reports = 0;
	char *big = xmalloc(piece);
	char *line;
	size_t len;

	memset(big, 'x', piece);
	rpc_lines_feed(&lines, "a\n", 2);
	expect_line(&lines, "a");
	for (int i = 0; i < 8; i++) {
		rpc_lines_feed(&lines, big, piece);
		reports += rpc_lines_next(&lines, &line, &len) == RPC_LINE_TOO_LONG;
		ck_assert_uint_le(lines.in.len, RPC_LINE_BYTES_MAX + 1);
	}
	ck_assert_uint_eq(reports, 1);
	ck_assert_int_eq(rpc_lines_rest(&lines, &line, &len), RPC_LINE_NONE);
	rpc_lines_feed(&lines, "tail\nb\n", 7);
	expect_line(&lines, "b");
	ck_assert_int_eq(rpc_lines_next(&lines, &line, &len), RPC_LINE_NONE);
	free(big);
	rpc_lines_finish(&lines);
}
END_TEST

START_TEST(a_client_knows_its_own_ids)
{
	static const struct {
		const char *line;
		int64_t id; /* -1: none of ours */
	} CASES[] = {
		{"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}", 7},
		{"{\"jsonrpc\":\"2.0\",\"id\":7.0,\"result\":{}}", 7},
		{"{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"result\":{}}", 7},
		{"{\"jsonrpc\":\"2.0\",\"id\":\"7x\",\"result\":{}}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":\"\",\"result\":{}}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":-7,\"result\":{}}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"result\":{}}", -1},
		{"{\"jsonrpc\":\"2.0\",\"error\":{}}", -1},
	};

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
		char *line = xstrdup(CASES[i].line);
		struct rpc_message m;
		int64_t id = -1;

		rpc_read(line, strlen(line), NULL, &m);
		ck_assert_int_eq(m.kind, RPC_RESPONSE);
		ck_assert_int_eq(rpc_own_id(&m, &id), CASES[i].id >= 0);
		ck_assert_int_eq(id, CASES[i].id);
		rpc_message_finish(&m);
		free(line);
	}
}
END_TEST

START_TEST(a_request_is_one_line)
{
	struct buf out = BUF_INIT;

	rpc_write_request(&out, 3, "tools/list", slice_of("{\"a\":1}"));
	rpc_write_request(&out, 4, "ping", (struct slice){.len = 0});
	ck_assert_str_eq(buf_text(&out), "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\","
					 "\"params\":{\"a\":1}}\n"
					 "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"ping\"}\n");
	buf_finish(&out);
}
END_TEST

START_TEST(who_sends_more_values_than_fit_gets_the_id_back)
{
	static const char *const ENDS[] = {"0]},\"id\":\"a1\"}", "0]},\"id\":\"a1\"", "0"};

	for (size_t i = 0; i < ARRAY_LEN(ENDS); i++) {
		struct rpc_message m;
		struct buf b = BUF_INIT;

		buf_puts(&b, "{\"jsonrpc\":\"2.0\",");
		buf_puts(&b, i == 2 ? "\"id\":\"a1\"," : "");
		buf_puts(&b, "\"method\":\"m\",\"params\":{\"a\":[");
		while (b.len < RPC_LINE_BYTES_MAX / 4)
			buf_puts(&b, "{},");
		buf_puts(&b, ENDS[i]);
		read_text(buf_text(&b), &m);
		ck_assert_int_eq(m.kind, RPC_INVALID);
		ck_assert_int_eq(m.error_code, RPC_INVALID_REQUEST);
		ck_assert_str_eq(m.id, "\"a1\"");
		ck_assert_ptr_nonnull(strstr(m.error_text, "64 MiB"));
		rpc_message_finish(&m);
		buf_finish(&b);
	}
}
END_TEST

UNIT_MAIN("rpc", who_sends_more_values_than_fit_gets_the_id_back, ids_are_echoed_as_they_were_spelt,
	  other_ids_are_refused, an_id_has_a_largest_size,
	  bad_messages_say_why_and_give_the_id_back, a_nul_byte_in_the_line_is_no_json,
	  only_the_top_level_id_counts, depth_has_a_limit_and_the_id_comes_back,
	  two_hundred_thousand_brackets_do_no_harm, half_a_surrogate_pair_becomes_a_replacement,
	  responses_are_told_from_requests, items_of_a_batch_keep_their_ids,
	  ids_are_compared_by_value, written_messages_are_one_line_each,
	  lines_are_cut_wherever_the_pieces_end, a_line_of_the_largest_size_is_taken,
	  a_line_that_is_too_long_is_dropped_and_reported_once, a_client_knows_its_own_ids,
	  a_request_is_one_line)
