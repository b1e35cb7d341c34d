#ifndef RPC_RPC_H
#define RPC_RPC_H

/*
 * JSON-RPC 2.0 messages, one a line: used by the server and by the client of upstreams. No MCP
 * words here. This is the one reader of message envelopes: jansson parses a line once, and the id
 * is kept as the raw token that stood in the text, so that it is echoed verbatim, whatever kind
 * and size it has.
 */

#include "base/buf.h"
#include "json/reader.h"

#include <jansson.h>

enum rpc_kind {
	RPC_REQUEST,
	RPC_NOTIFICATION,
	RPC_RESPONSE,
	RPC_BATCH,   /* an array; items are read with rpc_read_value */
	RPC_INVALID, /* error_code and error_text say why; id is set when it could be read */
};

enum {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,
};

struct rpc_message {
	enum rpc_kind kind;
	char *id;           /* owned raw token, as in "abc" or 17; NULL for none */
	const char *method; /* borrowed from root */
	json_t *params;     /* borrowed; NULL for none; an object or array */
	json_t *result;     /* RESPONSE */
	json_t *error;      /* RESPONSE */
	json_t *root;       /* owned; a number that is the id may stand as 0 in it */
	size_t bytes;       /* of memory that its values take */
	int error_code;
	const char *error_text; /* static */
};

/* Reads one line (no newline; a trailing \r is taken off). The text may be changed in place. memo,
 * which may be NULL, is the sender's: see json/reader.h. */
void rpc_read(char *line, size_t len, struct reader_memo *memo, struct rpc_message *out);
/* The same of a server of others, in whose answers an integer beyond 64 bits becomes a real. */
void rpc_read_loose(char *line, size_t len, struct rpc_message *out);
/* Reads a message out of a batch, of which it takes so many bytes: takes a reference; the id is
 * rebuilt from the value. */
void rpc_read_value(json_t *value, size_t bytes, struct rpc_message *out);
/* Moves a message to where it outlives its reading; *from is finished. */
struct rpc_message rpc_message_take(struct rpc_message *from);
void rpc_message_finish(struct rpc_message *m);

/* Appends what an id is compared by: the same bytes for 5 and 5.0, or "a" and "\u0061"; an integer
 * never equals a string. m has an id. */
void rpc_id_key(const struct rpc_message *m, struct buf *out);
/* The same for an id within params. False when the value can be no id. */
MUST_USE bool rpc_id_key_of_value(const json_t *value, struct buf *out);

/* Writers append one line with its newline. result and error data are JSON texts. id may be NULL
 * for an error: then the member is left out. */
void rpc_write_result(struct buf *out, const char *id, struct slice result);
void rpc_write_error(struct buf *out, const char *id, int code, const char *message,
		     struct slice data);
void rpc_write_notification(struct buf *out, const char *method, struct slice params);
/* For a client. params is a JSON text; empty leaves the member out. */
void rpc_write_request(struct buf *out, int64_t id, const char *method, struct slice params);
/* The id of a response to one of those, also as a text, which some servers make of it and the
 * official clients accept; false when it is none of ours. */
MUST_USE bool rpc_own_id(const struct rpc_message *m, int64_t *out);

/*
 * Cuts a stream of bytes into lines. A line beyond RPC_LINE_BYTES_MAX is dropped up to its newline
 * and reported once. The line handed out is valid until the next call.
 */
struct rpc_lines {
	struct buf in;
	size_t scanned;   /* no newline from consumed to here */
	size_t consumed;  /* bytes at the front that are handed out or dropped */
	bool is_skipping; /* within a line that is too long */
};

enum rpc_line_kind {
	RPC_LINE,          /* a line */
	RPC_LINE_TOO_LONG, /* one was dropped */
	RPC_LINE_NONE,     /* wait for more input */
};

void rpc_lines_finish(struct rpc_lines *lines);
void rpc_lines_feed(struct rpc_lines *lines, const char *p, size_t len);
enum rpc_line_kind rpc_lines_next(struct rpc_lines *lines, char **out_line, size_t *out_len);
/* After the end of input: what stands there without a newline. */
enum rpc_line_kind rpc_lines_rest(struct rpc_lines *lines, char **out_line, size_t *out_len);

#endif
