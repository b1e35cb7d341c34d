#include "fuzz.h"

#include "providers/event_stream.h"

#define BYTES_MAX 1024

/* However it is cut, a stream holds the same events. */

static bool read_pieces(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
	struct event_stream s;
	bool is_good = true;
	size_t len;
	char *event;

	event_stream_init(&s, BYTES_MAX);
	for (size_t at = 0; is_good && at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		char *copy = fuzz_copy(data + at, n);

		is_good = event_stream_feed(&s, (struct slice){.p = copy, .len = n});
		free(copy);
		while (is_good && event_stream_next(&s, &event, &len)) {
			CHECK(len <= BYTES_MAX);
			buf_append(out, event, len);
			buf_putc(out, '\n');
		}
	}
	event_stream_finish(&s);
	return is_good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf a = BUF_INIT, b = BUF_INIT;

	if (!size)
		return 0;
	if (read_pieces(data + 1, size - 1, (size_t)data[0] + 1, &a) &&
	    read_pieces(data + 1, size - 1, 1, &b))
		CHECK(a.len == b.len && memcmp(buf_text(&a), buf_text(&b), a.len) == 0);
	buf_finish(&a);
	buf_finish(&b);
	return 0;
}
