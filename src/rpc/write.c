#include "rpc/rpc.h"

#include "json/emit.h"

static void begin(struct emit *e, struct buf *out)
{
	emit_init(e, out);
	emit_object(e);
	emit_key_text(e, "jsonrpc", "2.0");
}

static void end(struct emit *e)
{
	emit_object_end(e);
	emit_done(e);
	buf_putc(e->b, '\n');
}

void rpc_write_result(struct buf *out, const char *id, struct slice result)
{
	struct emit e;

	CHECK(id && result.len);
	begin(&e, out);
	emit_key_raw(&e, "id", slice_of(id));
	emit_key_raw(&e, "result", result);
	end(&e);
}

void rpc_write_error(struct buf *out, const char *id, int code, const char *message,
		     struct slice data)
{
	struct emit e;

	begin(&e, out);
	if (id)
		emit_key_raw(&e, "id", slice_of(id));
	emit_key(&e, "error");
	emit_object(&e);
	emit_key_i64(&e, "code", code);
	emit_key_text(&e, "message", message);
	if (data.len)
		emit_key_raw(&e, "data", data);
	emit_object_end(&e);
	end(&e);
}

void rpc_write_notification(struct buf *out, const char *method, struct slice params)
{
	struct emit e;

	begin(&e, out);
	emit_key_text(&e, "method", method);
	if (params.len)
		emit_key_raw(&e, "params", params);
	end(&e);
}

void rpc_write_request(struct buf *out, int64_t id, const char *method, struct slice params)
{
	struct emit e;

	begin(&e, out);
	emit_key_i64(&e, "id", id);
	emit_key_text(&e, "method", method);
	if (params.len)
		emit_key_raw(&e, "params", params);
	end(&e);
}
