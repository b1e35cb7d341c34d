#include "mcp/session.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

/* A rare large reply does not keep its memory. */
#define KEPT_BYTES_MAX (1024 * 1024)

static void begin(struct mcp_session *s, const char *id, const char *result_type, struct emit *e)
{
	CHECK(!s->out.len);
	emit_init(e, &s->out);
	emit_object(e);
	emit_key_text(e, "jsonrpc", "2.0");
	emit_key_raw(e, "id", slice_of(id));
	emit_key(e, "result");
	emit_object(e);
	if (result_type)
		emit_key_text(e, "resultType", result_type);
}

void reply_begin(struct mcp_session *s, const char *id, bool is_modern, struct emit *e)
{
	begin(s, id, is_modern ? "complete" : NULL, e);
}

void reply_begin_as(struct mcp_session *s, const char *id, const char *result_type, struct emit *e)
{
	begin(s, id, result_type, e);
}

void reply_end(struct mcp_session *s, struct mcp_batch *batch, bool is_modern, struct slice meta,
	       struct emit *e)
{
	if (is_modern || meta.len) {
		emit_key(e, "_meta");
		emit_object(e);
		if (is_modern) {
			emit_key(e, META_SERVER_INFO);
			emit_server_info(e);
		}
		emit_raw_members(e, meta);
		emit_object_end(e);
	}
	emit_object_end(e);
	emit_object_end(e);
	emit_done(e);
	buf_putc(&s->out, '\n');
	reply_send(s, batch);
}

void reply_error_data(struct mcp_session *s, const struct request *r, int code, const char *message,
		      struct slice data)
{
	CHECK(!s->out.len);
	rpc_write_error(&s->out, r->m->id, code, message, data);
	reply_send(s, r->batch);
}

void reply_error(struct mcp_session *s, const struct request *r, int code, const char *message)
{
	reply_error_data(s, r, code, message, (struct slice){.len = 0});
}

void reply_send(struct mcp_session *s, struct mcp_batch *batch)
{
	if (batch) {
		buf_putc(&batch->items, batch->items.len ? ',' : '[');
		buf_append(&batch->items, s->out.p, s->out.len - 1); /* without the newline */
	} else {
		s->config.send(s->config.arg, buf_slice(&s->out));
	}
	if (s->out.size > KEPT_BYTES_MAX)
		buf_finish(&s->out);
	buf_clear(&s->out);
}

void batch_release(struct mcp_session *s, struct mcp_batch *batch)
{
	if (--batch->pending)
		return;
	if (s && batch->items.len) {
		buf_puts(&batch->items, "]\n");
		s->config.send(s->config.arg, buf_slice(&batch->items));
	}
	buf_finish(&batch->items);
	free(batch);
}

void emit_server_info(struct emit *e)
{
	emit_raw(e, slice_of("{\"name\":\"farebox\",\"title\":\"farebox\","
			     "\"version\":\"" FAREBOX_VERSION "\"}"));
}

void emit_server_words(struct emit *e, const struct mcp_session *s)
{
	emit_key_raw(e, "capabilities",
		     slice_of(session_tells_changes(s) ? "{\"tools\":{\"listChanged\":true}}"
						       : "{\"tools\":{}}"));
	emit_key_text(
		e, "instructions",
		"Paid tools draw on a prepaid wallet of tokens ($1 = 100 tokens); each states "
		"its price, and a call that fails is not charged. get_token_balance tells what "
		"is left. When a call is refused for insufficient credits, top up with "
		"buy_tokens, or with top_up_credits, which returns a payment link for the "
		"user, and call again; where these tools are not offered, ask the user.");
}

bool tools_page_check(struct mcp_session *s, const struct request *r, size_t *out_first)
{
	const json_t *cursor = json_object_get(r->params, "cursor");
	struct slice text = {.p = json_string_value(cursor), .len = json_string_length(cursor)};
	int64_t last = (int64_t)tools_count(s->config.tools) - 1;
	int64_t first = 0;

	if (cursor &&
	    (!text.p || !parse_i64(text, 1, last, &first) || first % TOOLS_PER_PAGE != 0)) {
		reply_error(s, r, RPC_INVALID_PARAMS, "Invalid cursor");
		return false;
	}
	*out_first = (size_t)first;
	return true;
}

/* Of the tools of a page those that are the caller's: a cursor is a place in the whole registry. */
void emit_tools_page(struct emit *e, const struct tools *tools, size_t first, unsigned scopes)
{
	size_t count = tools_count(tools);
	size_t end = count - first > TOOLS_PER_PAGE ? first + TOOLS_PER_PAGE : count;

	emit_key(e, "tools");
	emit_array(e);
	for (size_t i = first; i < end; i++) {
		if (tool_is_for(tools_at(tools, i), scopes))
			emit_raw(e, tool_listing(tools_at(tools, i)));
	}
	emit_array_end(e);
	if (end < count) {
		char cursor[24];

		(void)snprintf(cursor, sizeof(cursor), "%zu", end);
		emit_key_text(e, "nextCursor", cursor);
	}
}
