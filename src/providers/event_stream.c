#include "providers/event_stream.h"

#include <string.h>

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

void event_stream_init(struct event_stream *s, size_t bytes_max)
{
	*s = (struct event_stream){.bytes_max = bytes_max};
}

void event_stream_finish(struct event_stream *s)
{
	buf_finish(&s->in);
	buf_finish(&s->data);
}

bool event_stream_feed(struct event_stream *s, struct slice bytes)
{
	buf_consume(&s->in, s->read);
	s->scanned -= s->read;
	s->read = 0;
	if (s->in.len + s->data.len + bytes.len > s->bytes_max)
		return false;
	buf_append(&s->in, bytes.p, bytes.len);
	return true;
}

/* A line ends with LF, CR or CR LF; a CR at the end of what came may be half of the latter. */
static bool take_line(struct event_stream *s, struct slice *out)
{
	const char *p = s->in.p + s->read;
	size_t left = s->in.len - s->read;
	size_t len = s->scanned - s->read;
	size_t end;

	while (len < left && p[len] != '\n' && p[len] != '\r')
		len++;
	s->scanned = s->read + len;
	if (len == left || (p[len] == '\r' && len + 1 == left))
		return false;
	end = len + 1;
	if (p[len] == '\r' && p[end] == '\n')
		end++;
	*out = (struct slice){.p = p, .len = len};
	s->read += end;
	s->scanned = s->read;
	return true;
}

static void take_field(struct event_stream *s, struct slice line)
{
	static const char DATA[] = "data";
	size_t len = sizeof(DATA) - 1;

	if (line.len < len || memcmp(line.p, DATA, len) != 0)
		return;
	if (line.len > len && line.p[len] != ':')
		return;
	len += line.len > len;
	if (line.len > len && line.p[len] == ' ')
		len++;
	if (s->has_data)
		buf_putc(&s->data, '\n');
	s->has_data = true;
	buf_append(&s->data, line.p + len, line.len - len);
}

bool event_stream_next(struct event_stream *s, char **out, size_t *out_len)
{
	struct slice line;

	if (!s->has_data)
		buf_clear(&s->data);
	while (take_line(s, &line)) {
		if (!s->is_started && line.len >= 3 && memcmp(line.p, BYTE_ORDER_MARK, 3) == 0)
			line = (struct slice){.p = line.p + 3, .len = line.len - 3};
		s->is_started = true;
		if (line.len) {
			take_field(s, line);
			continue;
		}
		if (!s->has_data)
			continue;
		s->has_data = false; /* cleared by the next call */
		buf_append(&s->data, "", 0);
		*out = s->data.p;
		*out_len = s->data.len;
		return true;
	}
	return false;
}
