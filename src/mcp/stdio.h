#ifndef MCP_STDIO_H
#define MCP_STDIO_H

/*
 * MCP over stdin and stdout. stdio_guard, called first thing in the process, moves descriptor 1
 * aside and points it at stderr, so that nothing but this writer reaches the wire.
 *
 * Input is not read while the output holds more than OUT_HIGH_WATER_BYTES or too many calls are in
 * flight: a host that sends without reading is slowed down, and memory stays flat. At end of input
 * calls in flight get DRAIN_MS; at SIGTERM, SIGINT or SIGHUP TERM_DRAIN_MS; then they are
 * cancelled, released, and the process ends. A closed stdout ends it likewise.
 */

#include "mcp/mcp.h"

struct stdio_server;

/* Returns the descriptor of the wire. */
int stdio_guard(void);

struct stdio_config {
	struct loop *loop;
	struct tools *tools;
	const char *api_key;
	int in_fd, out_fd;
	/* All is released and the store is idle: asked each turn while shutting down. */
	bool (*is_settled)(void *arg);
	void *arg;
};

struct stdio_server *stdio_create(const struct stdio_config *config);
void stdio_destroy(struct stdio_server *s);
/* Writes what the turn produced: called at the turn's end, after the wallet. True when there is
 * buffered input left that can be served now. */
bool stdio_turn(struct stdio_server *s);
/* SIGTERM and its kin. */
void stdio_terminate(struct stdio_server *s);

#endif
