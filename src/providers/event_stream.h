#ifndef PROVIDERS_EVENT_STREAM_H
#define PROVIDERS_EVENT_STREAM_H

/*
 * Reads text/event-stream (WHATWG HTML, "Server-sent events"): bytes in, the data of one event
 * after the other out. The last id and the retry time are kept for whoever asks for the rest of a
 * stream that broke off; names of events and comments are read over.
 */

#include "base/buf.h"

struct event_stream {
	struct buf in;   /* not read yet */
	size_t read;     /* bytes at the front of in that are */
	size_t scanned;  /* no line ends between read and here */
	struct buf data; /* of the event under way */
	bool has_data;   /* a data line was there, be it empty */
	size_t bytes_max;
	bool is_started;  /* past a byte order mark */
	char *id;         /* of the last event that was whole; NULL for none */
	char *next_id;    /* of the event under way; NULL: as before */
	int64_t retry_ms; /* that the server wants between two tries; -1: it has not said */
};

/* bytes_max bounds a line and an event. */
void event_stream_init(struct event_stream *s, size_t bytes_max);
void event_stream_finish(struct event_stream *s);

/* What comes next is another stream, which goes on behind the last id. */
void event_stream_restart(struct event_stream *s);
/* False when a line or an event passes the bound; the stream is of no use then. */
MUST_USE bool event_stream_feed(struct event_stream *s, struct slice bytes);
/* The data of the next event that is whole; may be changed in place, valid until the next call.
 * False when there is none. */
MUST_USE bool event_stream_next(struct event_stream *s, char **out, size_t *out_len);

#endif
