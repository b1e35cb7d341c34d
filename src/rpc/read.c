#include "rpc/rpc.h"

#include "base/limits.h"
#include "rpc/id.h"

#include <stdlib.h>
#include <string.h>

/* What a pass over a text that is not plain finds before it is parsed. Everything else, also
 * whether it is JSON and UTF-8 at all, is the reader's to say. */
struct scan {
	struct slice id;    /* the token of the top-level "id": a string or a number */
	bool is_id_refused; /* there is one, but of another kind, or twice */
	bool is_too_deep;
	bool has_surrogate; /* an escape \uD800 to \uDFFF */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Whether none of eight bytes is a quote or a backslash. */
static bool is_plain_8(const char *p)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t x, quotes, backslashes;

	memcpy(&x, p, sizeof(x));
	quotes = x ^ each * '"';
	backslashes = x ^ each * '\\';
	quotes = (quotes - each) & ~quotes;
	backslashes = (backslashes - each) & ~backslashes;
	return ((quotes | backslashes) & each * 0x80) == 0;
}

static bool is_surrogate_escape(const char *p, const char *end)
{
	return end - p >= 6 && p[1] == 'u' && (p[2] == 'd' || p[2] == 'D') &&
	       strchr("89abcdefABCDEF", p[3]) && p[3];
}

/* From behind the opening quote to the closing one, or the end. */
static const char *string_end(const char *p, const char *end, struct scan *scan)
{
	for (;;) {
		while (end - p >= 8 && is_plain_8(p))
			p += 8;
		while (p < end && *p != '"' && *p != '\\')
			p++;
		if (end - p < 2 || *p == '"')
			return p < end && *p == '"' ? p : end;
		if (is_surrogate_escape(p, end))
			scan->has_surrogate = true;
		p += 2;
	}
}

/* From behind the key "id" to behind its value; an object or array is left to the caller. */
static const char *scan_id(const char *p, const char *end, struct scan *scan)
{
	const char *start;

	while (p < end && is_blank(*p))
		p++;
	if (p == end || *p != ':')
		return p;
	p++;
	while (p < end && is_blank(*p))
		p++;
	start = p;
	if (p < end && *p == '"') {
		p = string_end(p + 1, end, scan);
		p += p < end;
	} else {
		while (p < end && !is_blank(*p) && !strchr(",}]{[\"", *p))
			p++;
	}
	if (scan->id.p || start == p || !strchr("\"-0123456789", *start))
		scan->is_id_refused = true;
	scan->id = (struct slice){.p = start, .len = (size_t)(p - start)};
	return p;
}

static void scan_text(const char *p, size_t len, struct scan *scan)
{
	const char *end = p + len;
	size_t depth = 0;
	bool is_object = false, is_key = false; /* of the top level */

	while (p < end) {
		char c = *p++;

		if (c == '"') {
			const char *key = p;

			p = string_end(p, end, scan);
			p += p < end;
			if (depth == 1 && is_key && p - key == 3 && memcmp(key, "id", 2) == 0)
				p = scan_id(p, end, scan);
			is_key = false;
		} else if (c == '{' || c == '[') {
			if (++depth == 1)
				is_object = is_key = c == '{';
			if (depth > RPC_DEPTH_MAX)
				scan->is_too_deep = true;
		} else if (c == '}' || c == ']') {
			if (!depth)
				return;
			depth--;
		} else if (c == ',' && depth == 1) {
			is_key = is_object;
		}
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The code unit of an escape \uXXXX; -1 when there is none here. */
static int escape_unit(const char *p, const char *end)
{
	int unit = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = hex_value(p[i]);

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	return unit;
}

static bool is_low_surrogate(int unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Clients cut texts between the halves of a pair; what is left of it becomes U+FFFD, as in every
 * encoder, instead of failing a message whose sender waits for an answer. */
static void mend_surrogates(char *p, const char *end)
{
	while (p < end) {
		int unit;

		if (*p != '\\') {
			p++;
			continue;
		}
		unit = escape_unit(p, end);
		if (unit < 0xD800 || unit > 0xDFFF) {
			p += end - p > 1 ? 2 : 1;
		} else if (!is_low_surrogate(unit) && is_low_surrogate(escape_unit(p + 6, end))) {
			p += 12;
		} else {
			memcpy(p + 2, "fffd", 4);
			p += 6;
		}
	}
}

/* Keeps the id's text. In the line a number becomes 0: it may be larger than 64 bits hold. */
static void keep_id(const struct scan *scan, char *line, struct rpc_message *out, bool *is_refused)
{
	bool is_text;

	*is_refused = scan->is_id_refused;
	if (!scan->id.p || *is_refused)
		return;
	is_text = *scan->id.p == '"';
	if (scan->id.len > RPC_ID_BYTES_MAX || (!is_text && !id_number_is_integer(scan->id))) {
		*is_refused = true;
		return;
	}
	out->id = xstrndup(scan->id.p, scan->id.len);
	if (!is_text) {
		char *token = line + (scan->id.p - line);

		memset(token, ' ', scan->id.len);
		token[0] = '0';
	}
}

static void drop_id(struct rpc_message *m)
{
	free(m->id);
	m->id = NULL;
}

static void refuse(struct rpc_message *m, int code, const char *text)
{
	m->kind = RPC_INVALID;
	m->error_code = code;
	m->error_text = text;
}

/* The text was not parsed to its end: an id is echoed when it is sound by itself. */
static void refuse_unparsed(struct rpc_message *m, const char *text)
{
	if (m->id && m->id[0] == '"') {
		json_t *id = json_loads(m->id, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

		if (!id)
			drop_id(m);
		json_decref(id);
	}
	refuse(m, RPC_INVALID_REQUEST, text);
}

static void refuse_unread(struct rpc_message *m, enum reader_fault fault)
{
	switch (fault) {
	/* These are JSON, and the sender waits: it gets its id back. */
	case READER_DUPLICATE:
		refuse_unparsed(m, "Invalid Request: a key stands twice");
		return;
	case READER_RANGE:
		refuse_unparsed(m, "Invalid Request: a number is out of range");
		return;
	case READER_NUL_KEY:
		refuse_unparsed(m, "Invalid Request: a key holds NUL");
		return;
	case READER_ROOM:
		refuse_unparsed(m, "Invalid Request: it holds more values than fit into 64 MiB");
		return;
	case READER_DEPTH:
	case READER_SYNTAX:
	case READER_OK:
		drop_id(m);
		refuse(m, RPC_PARSE_ERROR, "Parse error");
		return;
	}
}

static void read_call(struct rpc_message *m, const json_t *method, bool is_id_refused)
{
	m->method = json_string_value(method);
	m->params = json_object_get(m->root, "params");
	if (!m->method || strlen(m->method) != json_string_length(method))
		refuse(m, RPC_INVALID_REQUEST, "Invalid Request: method is not a text");
	else if (is_id_refused)
		refuse(m, RPC_INVALID_REQUEST, "Invalid Request: id is not a string or an integer");
	else if (m->params && !json_is_object(m->params) && !json_is_array(m->params))
		refuse(m, RPC_INVALID_REQUEST, "Invalid Request: params is not an object");
	else
		m->kind = m->id ? RPC_REQUEST : RPC_NOTIFICATION;
}

static void read_response(struct rpc_message *m, bool is_id_refused)
{
	/* An error that answers an unreadable message has the id null, or none. */
	bool is_id_null = m->error && json_is_null(json_object_get(m->root, "id"));

	if (!m->result == !m->error)
		refuse(m, RPC_INVALID_REQUEST, "Invalid Request: no method");
	else if (m->error && !json_is_object(m->error))
		refuse(m, RPC_INVALID_REQUEST, "Invalid Request: error is not an object");
	else if ((is_id_refused && !is_id_null) || (m->result && !m->id))
		refuse(m, RPC_INVALID_REQUEST, "Invalid Request: id is not a string or an integer");
	else
		m->kind = RPC_RESPONSE;
}

static void read_root(struct rpc_message *m, bool is_id_refused)
{
	const json_t *version, *method, *id;

	if (json_is_array(m->root)) {
		m->kind = RPC_BATCH;
		return;
	}
	if (!json_is_object(m->root)) {
		refuse(m, RPC_INVALID_REQUEST, "Invalid Request: not an object");
		return;
	}
	id = json_object_get(m->root, "id");
	if (id && !m->id && !is_id_refused) { /* from a batch, or a key spelt "\u0069d" */
		m->id = id_of_value(id);
		is_id_refused = !m->id;
	}
	version = json_object_get(m->root, "jsonrpc");
	method = json_object_get(m->root, "method");
	m->result = json_object_get(m->root, "result");
	m->error = json_object_get(m->root, "error");
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		refuse(m, RPC_INVALID_REQUEST, "Invalid Request: jsonrpc is not \"2.0\"");
	else if (method)
		read_call(m, method, is_id_refused);
	else
		read_response(m, is_id_refused);
}

/* Whether it is JSON to its end is not known, and its size is what counts. */
static void refuse_crowded(char *line, size_t len, struct rpc_message *out)
{
	struct scan scan = {.is_too_deep = false};
	bool is_id_refused;

	scan_text(line, len, &scan);
	keep_id(&scan, line, out, &is_id_refused);
	refuse_unread(out, READER_ROOM);
}

/* The way of nearly all messages: the reader takes the text as it stands and says where the id is.
 * What it refuses, and an id of another kind, goes the long way, which finds out why; a text of too
 * many values is not read again. */
static bool read_plain(char *line, size_t len, struct reader_memo *memo, struct rpc_message *out)
{
	enum reader_fault fault;
	const struct slice *id = &memo->id;
	size_t at;

	out->root = reader_parse((struct slice){.p = line, .len = len}, memo, &fault, &at);
	out->bytes = at;
	if (!out->root && fault == READER_ROOM)
		refuse_crowded(line, len, out);
	if (!out->root)
		return fault == READER_ROOM;
	if (id->p &&
	    (id->len > RPC_ID_BYTES_MAX || (*id->p != '"' && !id_number_is_integer(*id)))) {
		json_decref(out->root);
		out->root = NULL;
		return false;
	}
	if (id->p)
		out->id = xstrndup(id->p, id->len);
	read_root(out, false);
	return true;
}

static void read_mending(char *line, size_t len, bool is_loose, struct rpc_message *out)
{
	struct slice text = {.p = line, .len = len};
	struct scan scan = {.is_too_deep = false};
	bool is_id_refused = false;
	enum reader_fault fault;
	size_t at;

	scan_text(line, len, &scan);
	keep_id(&scan, line, out, &is_id_refused);
	if (scan.is_too_deep) {
		refuse_unparsed(out, "Invalid Request: nested too deeply");
		if (!out->id)
			refuse(out, RPC_PARSE_ERROR, "Parse error: nested too deeply");
		return;
	}
	if (scan.has_surrogate)
		mend_surrogates(line, line + len);
	out->root = is_loose ? reader_parse_loose(text, &fault, &at)
			     : reader_parse(text, NULL, &fault, &at);
	out->bytes = at;
	if (out->root)
		read_root(out, is_id_refused);
	else
		refuse_unread(out, fault);
}

static size_t begin(const char *line, size_t len, struct rpc_message *out)
{
	*out = (struct rpc_message){.kind = RPC_INVALID};
	return len && line[len - 1] == '\r' ? len - 1 : len;
}

void rpc_read(char *line, size_t len, struct reader_memo *memo, struct rpc_message *out)
{
	len = begin(line, len, out);
	if (!memo || !read_plain(line, len, memo, out))
		read_mending(line, len, false, out);
}

void rpc_read_loose(char *line, size_t len, struct rpc_message *out)
{
	len = begin(line, len, out);
	read_mending(line, len, true, out);
}

void rpc_read_value(json_t *value, size_t bytes, struct rpc_message *out)
{
	*out = (struct rpc_message){
		.kind = RPC_INVALID, .root = json_incref(value), .bytes = bytes};
	read_root(out, false);
}

struct rpc_message rpc_message_take(struct rpc_message *from)
{
	struct rpc_message taken = *from;

	*from = (struct rpc_message){.kind = RPC_INVALID};
	return taken;
}

void rpc_message_finish(struct rpc_message *m)
{
	free(m->id);
	json_decref(m->root);
	*m = (struct rpc_message){.kind = RPC_INVALID};
}
