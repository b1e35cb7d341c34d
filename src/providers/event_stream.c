#include "providers/event_stream.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

void event_stream_init(struct event_stream *s, size_t bytes_max)
{
	*s = (struct event_stream){.bytes_max = bytes_max, .retry_ms = -1};
}

void event_stream_finish(struct event_stream *s)
{
	buf_finish(&s->in);
	buf_finish(&s->data);
	free(s->id);
	free(s->next_id);
}

void event_stream_restart(struct event_stream *s)
{
	buf_clear(&s->in);
	buf_clear(&s->data);
	s->read = 0;
	s->scanned = 0;
	s->has_data = false;
	s->is_started = false;
	free(s->next_id);
	s->next_id = NULL;
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

/* The value of the field with this name; one space before it is taken off. */
static bool is_field(struct slice line, const char *name, struct slice *out)
{
	size_t len = strlen(name);

	if (line.len < len || memcmp(line.p, name, len) != 0)
		return false;
	if (line.len > len && line.p[len] != ':')
		return false;
	len += line.len > len;
	if (line.len > len && line.p[len] == ' ')
		len++;
	*out = (struct slice){.p = line.p + len, .len = line.len - len};
	return true;
}

/* It is sent back in a header. */
static void take_id(struct event_stream *s, struct slice id)
{
	if (id.len > EVENT_ID_BYTES_MAX || memchr(id.p, '\0', id.len))
		return;
	free(s->next_id);
	s->next_id = xstrndup(id.p, id.len);
}

static void take_field(struct event_stream *s, struct slice line)
{
	struct slice value;
	int64_t ms;

	if (is_field(line, "data", &value)) {
		if (s->has_data)
			buf_putc(&s->data, '\n');
		s->has_data = true;
		buf_append(&s->data, value.p, value.len);
	} else if (is_field(line, "id", &value)) {
		take_id(s, value);
	} else if (is_field(line, "retry", &value) && parse_i64(value, 0, INT32_MAX, &ms)) {
		s->retry_ms = ms;
	}
}

/* An event without data has an id, too. */
static void end_event(struct event_stream *s)
{
	if (!s->next_id)
		return;
	free(s->id);
	s->id = s->next_id[0] ? s->next_id : NULL;
	if (!s->id)
		free(s->next_id);
	s->next_id = NULL;
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
		end_event(s);
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
