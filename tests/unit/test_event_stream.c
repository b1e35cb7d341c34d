#include "providers/event_stream.h"

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
	  an_event_is_bounded)
