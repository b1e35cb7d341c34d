#include "meter/stored.h"

#include <string.h>

void stored_result_write(const struct meter_call *call, enum meter_outcome outcome, char **out_text,
			 size_t *out_len)
{
	char raw_cost[MONEY_TEXT_SIZE] = "-", markup[MONEY_TEXT_SIZE] = "-";
	struct buf text = BUF_INIT;

	if (call->charge.has_raw_cost) {
		decimal_text(call->charge.raw_cost, raw_cost);
		decimal_text(call->charge.markup, markup);
	}
	buf_printf(&text, "1 %s %zu %s %s\n", outcome == METER_OK ? "ok" : "failed",
		   call->result.structured.len, raw_cost, markup);
	buf_append(&text, buf_text(&call->result.structured), call->result.structured.len);
	buf_append(&text, buf_text(&call->result.content), call->result.content.len);
	*out_len = text.len;
	*out_text = buf_steal(&text);
}

/* The next word of the head line. */
static struct slice word(struct slice *line)
{
	const char *space = memchr(line->p, ' ', line->len);
	struct slice w = {.p = line->p, .len = space ? (size_t)(space - line->p) : line->len};

	line->p += w.len + (space != NULL);
	line->len -= w.len + (space != NULL);
	return w;
}

bool stored_result_read(struct meter_call *call, struct slice text)
{
	const char *newline = memchr(text.p, '\n', text.len);
	struct slice line, w;
	int64_t len;

	if (!newline)
		return false;
	line = (struct slice){.p = text.p, .len = (size_t)(newline - text.p)};
	text.p = newline + 1;
	text.len -= line.len + 1;
	if (!slice_eq(word(&line), "1"))
		return false;
	w = word(&line);
	call->result.outcome = slice_eq(w, "failed") ? PROVIDER_TOOL_FAILED : PROVIDER_OK;
	CHECK(parse_i64(word(&line), 0, (int64_t)text.len, &len));
	w = word(&line);
	if (!slice_eq(w, "-")) {
		call->charge.has_raw_cost = true;
		CHECK(decimal_parse(w, &call->charge.raw_cost));
		CHECK(decimal_parse(word(&line), &call->charge.markup));
	}
	buf_append(&call->result.structured, text.p, (size_t)len);
	buf_append(&call->result.content, text.p + len, text.len - (size_t)len);
	return true;
}
