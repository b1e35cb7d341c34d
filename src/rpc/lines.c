#include "rpc/rpc.h"

#include "base/limits.h"

#include <string.h>

/* A rare large line does not keep its memory. */
#define KEPT_BYTES_MAX (2 * 1024 * 1024)

void rpc_lines_finish(struct rpc_lines *lines)
{
	buf_finish(&lines->in);
	*lines = (struct rpc_lines){.is_skipping = false};
}

/* All bytes that are done leave at once, when more come: a move a line would cost the square of
 * the input. */
static void drop_consumed(struct rpc_lines *lines)
{
	lines->scanned -= lines->consumed;
	buf_consume(&lines->in, lines->consumed);
	lines->consumed = 0;
	if (!lines->in.len && lines->in.size > KEPT_BYTES_MAX)
		buf_finish(&lines->in);
}

void rpc_lines_feed(struct rpc_lines *lines, const char *p, size_t len)
{
	drop_consumed(lines);
	buf_append(&lines->in, p, len);
}

/* Nothing but what stands before the newline, or the end, is left of the line. */
static void drop_all(struct rpc_lines *lines)
{
	lines->consumed = lines->in.len;
	lines->scanned = lines->in.len;
	drop_consumed(lines);
}

enum rpc_line_kind rpc_lines_next(struct rpc_lines *lines, char **out_line, size_t *out_len)
{
	for (;;) {
		size_t start = lines->consumed;
		size_t left = lines->in.len - lines->scanned;
		char *newline = left ? memchr(lines->in.p + lines->scanned, '\n', left) : NULL;
		size_t end;

		if (!newline) {
			bool was_skipping = lines->is_skipping;

			lines->scanned = lines->in.len;
			if (!was_skipping && lines->in.len - start <= RPC_LINE_BYTES_MAX)
				return RPC_LINE_NONE;
			lines->is_skipping = true;
			drop_all(lines);
			return was_skipping ? RPC_LINE_NONE : RPC_LINE_TOO_LONG;
		}
		end = (size_t)(newline - lines->in.p);
		lines->consumed = end + 1;
		lines->scanned = end + 1;
		if (lines->is_skipping) {
			lines->is_skipping = false;
			continue;
		}
		if (end - start > RPC_LINE_BYTES_MAX)
			return RPC_LINE_TOO_LONG;
		*newline = '\0';
		*out_line = lines->in.p + start;
		*out_len = end - start;
		return RPC_LINE;
	}
}

enum rpc_line_kind rpc_lines_rest(struct rpc_lines *lines, char **out_line, size_t *out_len)
{
	size_t start = lines->consumed;
	size_t len = lines->in.len - start;

	lines->consumed = lines->in.len;
	lines->scanned = lines->in.len;
	if (!len || lines->is_skipping)
		return RPC_LINE_NONE;
	*out_line = lines->in.p + start;
	*out_len = len;
	return RPC_LINE;
}
