#include "providers/event_stream.h"

#include "base/limits.h"
#include "unit.h"

#include <string.h>

/* Feeds a text in pieces of a size and joins the events with '|'. */
static char *events_of(const char *text, size_t len, size_t piece)
{
	struct event_stream s;
	struct buf out = BUF_INIT;
	char *event;
	size_t event_len;

	event_stream_init(&s, 1 << 20);
	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		ck_assert(event_stream_feed(&s, (struct slice){.p = text + at, .len = n}));
		while (event_stream_next(&s, &event, &event_len)) {
			ck_assert_uint_eq(strlen(event), event_len);
			buf_append(&out, event, event_len);
			buf_putc(&out, '|');
		}
	}
	event_stream_finish(&s);
	return buf_steal(&out);
}

static void expect(const char *text, const char *events)
{
	for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
		char *got = events_of(text, strlen(text), piece);

		ck_assert_str_eq(got, events);
		free(got);
	}
}

START_TEST(events_end_with_an_empty_line_wherever_the_pieces_end)
{
	expect("data: a\n\ndata: b\n\n", "a|b|");
	expect("data: a\r\n\r\ndata: b\r\n\r\nx", "a|b|");
	expect("data: a\r\rdata: b\r\rx", "a|b|");
	expect("data: a\n\ndata: b\n", "a|");
}
END_TEST

START_TEST(data_lines_are_joined_and_one_space_is_taken_off)
{
	expect("data: {\ndata:  \"a\":1\ndata:}\n\n", "{\n \"a\":1\n}|");
	expect("data\n\n", "|");
	expect("data:\n\n", "|");
}
END_TEST

START_TEST(other_fields_and_comments_are_read_over)
{
	expect(": hello\n\nevent: message\nid: 5\nretry: 10\ndata: a\ndatum: b\n\n", "a|");
	expect("\xEF\xBB\xBF"
	       "data: a\n\n",
	       "a|");
	expect("event: x\n\n", "");
}
END_TEST

static void feed(struct event_stream *s, const char *text)
{
	char *event;
	size_t len;

	ck_assert(event_stream_feed(s, slice_of(text)));
	while (event_stream_next(s, &event, &len))
		;
}

START_TEST(the_id_is_that_of_the_last_whole_event)
{
	struct event_stream s;
	char long_id[EVENT_ID_BYTES_MAX + 16];

	event_stream_init(&s, 1 << 20);
	ck_assert_ptr_null(s.id);
	feed(&s, "id: a\n");
	ck_assert_ptr_null(s.id);
	feed(&s, "data: x\n\n");
	ck_assert_str_eq(s.id, "a");
	feed(&s, "data: without one\n\nid: b\ndata: not yet wh");
	ck_assert_str_eq(s.id, "a");
	/* What is left of the old stream is nothing in the next. */
	event_stream_restart(&s);
	feed(&s, "data: y\n\n");
	ck_assert_str_eq(s.id, "a");
	feed(&s, "id:c\n\n"); /* without data */
	ck_assert_str_eq(s.id, "c");
	memset(long_id, 'x', sizeof(long_id));
	memcpy(long_id, "id:", 3);
	memcpy(long_id + sizeof(long_id) - 3, "\n\n", 3);
	feed(&s, long_id);
	ck_assert_str_eq(s.id, "c");
	feed(&s, "id\n\n"); /* an empty one takes it back */
	ck_assert_ptr_null(s.id);
	event_stream_finish(&s);
}
END_TEST

START_TEST(the_time_to_come_back_is_digits_only)
{
	struct event_stream s;

	event_stream_init(&s, 1 << 20);
	ck_assert_int_eq(s.retry_ms, -1);
	feed(&s, "retry: 1500\n\n");
	ck_assert_int_eq(s.retry_ms, 1500);
	feed(&s, "retry: -1\nretry: 2s\nretry:\nretry: 99999999999\n\n");
	ck_assert_int_eq(s.retry_ms, 1500);
	event_stream_restart(&s);
	ck_assert_int_eq(s.retry_ms, 1500);
	feed(&s, "retry:0\n\n");
	ck_assert_int_eq(s.retry_ms, 0);
	event_stream_finish(&s);
}
END_TEST

START_TEST(an_event_is_bounded)
{
	struct event_stream s;
	char *event;
	size_t len;

	event_stream_init(&s, 20);
	ck_assert(event_stream_feed(&s, slice_of("data: 12345678\n")));
	ck_assert(!event_stream_next(&s, &event, &len));
	ck_assert(!event_stream_feed(&s, slice_of("data: 1234567")));
	event_stream_finish(&s);
	/* What is done does not count. */
	event_stream_init(&s, 20);
	for (int i = 0; i < 100; i++) {
		ck_assert(event_stream_feed(&s, slice_of("data: 12345678\n\n")));
		ck_assert(event_stream_next(&s, &event, &len));
		ck_assert(!event_stream_next(&s, &event, &len));
	}
	event_stream_finish(&s);
}
END_TEST

UNIT_MAIN("event_stream", events_end_with_an_empty_line_wherever_the_pieces_end,
	  data_lines_are_joined_and_one_space_is_taken_off, other_fields_and_comments_are_read_over,
	  the_id_is_that_of_the_last_whole_event, the_time_to_come_back_is_digits_only,
	  an_event_is_bounded)
