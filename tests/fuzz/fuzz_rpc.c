#include "rpc/rpc.h"

#include <stdlib.h>
#include <string.h>

/* Any bytes, cut into lines at any places, give messages that keep their promises. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(const struct rpc_message *m)
{
	struct buf key = BUF_INIT;
	json_t *id;

	if (!m->id)
		return;
	CHECK(!strchr(m->id, '\n'));
	if (m->id[0] == '"') {
		struct rpc_message again = {.id = NULL};
		char *line = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}", m->id);

		rpc_read(line, strlen(line), NULL, &again);
		CHECK(again.kind == RPC_REQUEST && again.id);
		rpc_message_finish(&again);
		free(line);
	} else {
		id = json_loads(m->id, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
		CHECK(!id || json_is_real(id)); /* NULL beyond the range of a double */
		json_decref(id);
	}
	if (m->kind == RPC_REQUEST) {
		rpc_id_key(m, &key);
		CHECK(key.len);
	}
	buf_finish(&key);
}

static void check_message(const struct rpc_message *m)
{
	switch (m->kind) {
	case RPC_REQUEST:
		CHECK(m->id && m->method && m->root);
		break;
	case RPC_NOTIFICATION:
		CHECK(!m->id && m->method && m->root);
		break;
	case RPC_RESPONSE:
		CHECK(!m->method && !m->result != !m->error);
		break;
	case RPC_BATCH:
		CHECK(!m->id && json_is_array(m->root));
		break;
	case RPC_INVALID:
		CHECK(m->error_code && m->error_text);
		CHECK(!m->id || m->error_code == RPC_INVALID_REQUEST);
		break;
	}
	check_id(m);
}

static void read_one(const char *text, size_t len)
{
	char *line = xmalloc(len ? len : 1); /* of its own, so that a read beyond is seen */
	struct rpc_message m;

	if (len)
		memcpy(line, text, len);
	rpc_read(line, len, NULL, &m);
	check_message(&m);
	for (size_t i = 0; m.kind == RPC_BATCH && i < json_array_size(m.root); i++) {
		struct rpc_message item;

		rpc_read_value(json_array_get(m.root, i), 0, &item);
		check_message(&item);
		rpc_message_finish(&item);
	}
	rpc_message_finish(&m);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_lines lines = {.is_skipping = false};
	size_t piece, total = 0, len;
	char *line;

	if (!size)
		return 0;
	piece = (size_t)data[0] + 1;
	for (size_t at = 1; at < size; at += piece) {
		rpc_lines_feed(&lines, (const char *)data + at,
			       size - at < piece ? size - at : piece);
		while (rpc_lines_next(&lines, &line, &len) == RPC_LINE) {
			total += len + 1;
			read_one(line, len);
		}
	}
	if (rpc_lines_rest(&lines, &line, &len) == RPC_LINE) {
		total += len;
		read_one(line, len);
	}
	CHECK(total == size - 1);
	rpc_lines_finish(&lines);
	return 0;
}
