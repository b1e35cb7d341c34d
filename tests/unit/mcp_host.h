#ifndef MCP_HOST_H
#define MCP_HOST_H

/* A session with the fake tools behind it, for tests that speak the protocol to it line by line. */

#include "base/buf.h"
#include "mcp/mcp.h"

#include "fake_tools.h"
#include "unit.h"

#define CLAIM                                                                                      \
	"\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                              \
	"\"io.modelcontextprotocol/clientCapabilities\":{}"
#define META        "\"_meta\":{" CLAIM "}"
#define SERVER      "{\"name\":\"farebox\",\"title\":\"farebox\",\"version\":\"" FAREBOX_VERSION "\"}"
#define SERVER_META "\"io.modelcontextprotocol/serverInfo\":" SERVER
#define HELLO(version)                                                                             \
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":" \
	"\"" version                                                                               \
	"\",\"capabilities\":{\"elicitation\":{\"url\":{}}},\"clientInfo\":{\"name\":"             \
	"\"x\",\"version\":\"1\"}}}"
#define REQUEST(id, method, params)                                                                \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define CALL(id, tool)        REQUEST(id, "tools/call", "{\"name\":\"" tool "\",\"arguments\":{}}")
#define MODERN_CALL(id, tool) REQUEST(id, "tools/call", "{\"name\":\"" tool "\"," META "}")
#define CANCEL(id)                                                                                 \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"                                         \
	"cancelled\",\"params\":{\"requestId\":" id "}}"
#define DONE "\"content\":[{\"type\":\"text\",\"text\":\"done\"}]"

#define LISTEN(id)                                                                                 \
	REQUEST(id, "subscriptions/listen",                                                        \
		"{\"notifications\":{\"toolsListChanged\":true}," META "}")

struct host {
	struct loop *loop;
	struct fake_tools *fake;
	struct mcp_session *session;
	struct buf out;
};

void host_set_up(struct host *h);
void host_set_up_with(struct host *h, size_t fillers);
void host_tear_down(struct host *h);
/* Sends one line and gives back all that was sent since the last time; borrowed until the next. */
const char *say(struct host *h, const char *text);

bool has(const char *text, const char *part);
void assert_has(const char *text, const char *part);
/* The text is an error of JSON-RPC with this code, as in "-32602". */
void assert_code(const char *text, const char *code);

#endif
