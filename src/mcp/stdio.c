#include "mcp/stdio.h"

#include "base/limits.h"
#include "base/log.h"
#include "mcp/wire.h"
#include "rpc/rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Only forward, one or more steps at a time. */
enum phase {
	PHASE_SERVING,
	PHASE_DRAINING, /* no more input; calls in flight may end until their deadline */
	PHASE_SETTLING, /* none is in flight; releases become durable, output leaves */
	PHASE_STOPPED,
};

struct stdio_server {
	struct stdio_config config;
	struct mcp_session *session;
	struct wire wire;
	struct rpc_lines lines;
	char *read_bytes; /* RPC_READ_BYTES_PER_TURN */
	struct loop_fd *in;
	uint32_t in_events;
	bool has_ended; /* of the input */
	bool has_lines; /* there may be a line in lines that is not served yet */
	bool is_congested;
	enum phase phase;
	struct loop_timer serve_timer; /* to serve buffered lines in the next turn */
	struct loop_timer phase_timer;
	struct boottime drain_until;
	struct boottime settle_until;
};

int stdio_guard(void)
{
	int wire, null = 0;

	/* A closed descriptor among the first three would be given to the next file. */
	while (null >= 0 && null <= STDERR_FILENO)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		(void)close(null);
	wire = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (wire < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		die("cannot move stdout aside: %s", strerror(errno));
	return wire;
}

static void on_send(void *arg, struct slice lines)
{
	struct stdio_server *s = arg;

	wire_put(&s->wire, lines);
	/* What is put is durable already: a large turn's first replies need not wait for its last,
	 * and the host reads them while we write the rest. */
	if (wire_pending(&s->wire) >= OUT_FLUSH_BYTES)
		wire_flush(&s->wire);
}

/* Cancelled calls that run on count, too: they hold memory just the same. */
static bool is_full(const struct stdio_server *s)
{
	return mcp_session_in_flight(s->session) >= CALLS_IN_FLIGHT_MAX ||
	       tools_in_flight(s->config.tools) >= CALLS_IN_FLIGHT_MAX ||
	       mcp_session_waiting_bytes(s->session) + tools_bytes_in_flight(s->config.tools) >=
		       CALLS_BYTES_IN_FLIGHT_MAX;
}

static bool may_serve(struct stdio_server *s)
{
	size_t pending = wire_pending(&s->wire);

	if (pending > OUT_HIGH_WATER_BYTES)
		s->is_congested = true;
	else if (pending < OUT_LOW_WATER_BYTES)
		s->is_congested = false;
	return s->phase <= PHASE_DRAINING && !s->is_congested && !is_full(s);
}

static void serve_lines(struct stdio_server *s)
{
	for (int i = 0; i < RPC_MESSAGES_PER_TURN && s->has_lines && may_serve(s); i++) {
		enum rpc_line_kind kind;
		char *line;
		size_t len;

		kind = rpc_lines_next(&s->lines, &line, &len);
		if (kind == RPC_LINE_NONE) {
			s->has_lines = false;
			if (s->has_ended)
				kind = rpc_lines_rest(&s->lines, &line, &len);
		}
		if (kind == RPC_LINE)
			mcp_session_line(s->session, line, len);
		else if (kind == RPC_LINE_TOO_LONG)
			mcp_session_line_too_long(s->session);
	}
}

static void on_serve_timer(void *arg)
{
	serve_lines(arg);
}

static bool is_before(struct boottime a, struct boottime b)
{
	return a.ms < b.ms;
}

static void stop_reading(struct stdio_server *s)
{
	loop_fd_remove(s->in);
	s->in = NULL;
}

static void drop_input(struct stdio_server *s)
{
	stop_reading(s);
	s->has_ended = true;
	s->has_lines = false;
}

/* Starts to drain, or shortens it: the earlier of two deadlines holds. */
static void drain(struct stdio_server *s, int64_t drain_ms, int64_t settle_ms)
{
	struct boottime until = boottime_after(loop_now(s->config.loop), drain_ms);

	if (s->phase == PHASE_STOPPED)
		return;
	if (s->phase == PHASE_SERVING || is_before(until, s->drain_until))
		s->drain_until = until;
	until = boottime_after(until, settle_ms);
	if (s->phase == PHASE_SERVING || is_before(until, s->settle_until))
		s->settle_until = until;
	if (s->phase == PHASE_SETTLING)
		return;
	s->phase = PHASE_DRAINING;
	loop_timer_at(&s->phase_timer, s->drain_until);
}

static void settle(struct stdio_server *s)
{
	s->phase = PHASE_SETTLING;
	loop_timer_in(&s->phase_timer, STORE_RETRY_MS);
}

/* Nobody will hear of the calls in flight: they are released. */
static void give_up_calls(struct stdio_server *s)
{
	drop_input(s);
	mcp_session_cancel_all(s->session);
	settle(s);
}

static void stop(struct stdio_server *s)
{
	s->phase = PHASE_STOPPED;
	loop_timer_cancel(&s->phase_timer);
	loop_stop(s->config.loop);
}

static void on_phase_timer(void *arg)
{
	struct stdio_server *s = arg;

	if (s->phase == PHASE_DRAINING) {
		log_warn("event=drain_timeout in_flight=%zu", mcp_session_in_flight(s->session));
		give_up_calls(s);
	} else if (is_before(loop_now(s->config.loop), s->settle_until)) {
		/* The turn's end asks whether all is settled. */
		loop_timer_in(&s->phase_timer, STORE_RETRY_MS);
	} else {
		log_warn("event=settle_timeout output_bytes=%zu", wire_pending(&s->wire));
		stop(s);
	}
}

static void on_input(void *arg, uint32_t events)
{
	struct stdio_server *s = arg;
	ssize_t n = read(s->config.in_fd, s->read_bytes, RPC_READ_BYTES_PER_TURN);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n > 0) {
		rpc_lines_feed(&s->lines, s->read_bytes, (size_t)n);
	} else {
		log_info("event=stdin_closed in_flight=%zu", mcp_session_in_flight(s->session));
		s->has_ended = true;
		stop_reading(s);
		drain(s, DRAIN_MS, SETTLE_MS);
	}
	s->has_lines = true;
	serve_lines(s);
}

struct stdio_server *stdio_create(const struct stdio_config *config)
{
	struct stdio_server *s = xzalloc(sizeof(*s));
	struct mcp_session_config session = {
		.tools = config->tools,
		.loop = config->loop,
		.api_key = config->api_key,
		.send = on_send,
		.may_push = true,
		.arg = s,
	};

	(void)signal(SIGPIPE, SIG_IGN);
	s->config = *config;
	s->session = mcp_session_create(&session);
	s->read_bytes = xmalloc(RPC_READ_BYTES_PER_TURN);
	wire_init(&s->wire, config->loop, config->out_fd);
	wire_widen(config->in_fd);
	loop_timer_init(&s->serve_timer, config->loop, on_serve_timer, s);
	loop_timer_init(&s->phase_timer, config->loop, on_phase_timer, s);
	s->in_events = EPOLLIN;
	s->in = loop_fd_add(config->loop, config->in_fd, EPOLLIN, on_input, s);
	return s;
}

void stdio_destroy(struct stdio_server *s)
{
	if (!s)
		return;
	mcp_session_destroy(s->session);
	loop_timer_cancel(&s->serve_timer);
	loop_timer_cancel(&s->phase_timer);
	loop_fd_remove(s->in);
	wire_finish(&s->wire);
	rpc_lines_finish(&s->lines);
	free(s->read_bytes);
	free(s);
}

void stdio_terminate(struct stdio_server *s)
{
	log_info("event=terminating in_flight=%zu", mcp_session_in_flight(s->session));
	drop_input(s);
	drain(s, TERM_DRAIN_MS, TERM_SETTLE_MS);
	loop_timer_in(&s->serve_timer, 0); /* for a turn to end in */
}

static bool is_settled(const struct stdio_server *s)
{
	return !wire_pending(&s->wire) &&
	       (!s->config.is_settled || s->config.is_settled(s->config.arg));
}

/* A call that ended late in this turn may lead on to the next phase at once. */
static void advance_phase(struct stdio_server *s)
{
	if (s->phase == PHASE_DRAINING && !s->has_lines) {
		mcp_session_close_listens(s->session);
		if (!mcp_session_in_flight(s->session))
			settle(s);
		wire_flush(&s->wire);
	}
	if (s->phase == PHASE_SETTLING && is_settled(s))
		stop(s);
}

/* Input is read when what was read before is served and there is room for what it brings. */
static bool watch_input(struct stdio_server *s)
{
	bool may = may_serve(s);
	uint32_t events = may && !s->has_lines ? EPOLLIN : 0;

	if (s->in && events != s->in_events) {
		s->in_events = events;
		loop_fd_events(s->in, events);
	}
	if (!may || !s->has_lines)
		return false;
	loop_timer_in(&s->serve_timer, 0);
	return true;
}

bool stdio_turn(struct stdio_server *s)
{
	bool has_more = false;

	wire_flush(&s->wire);
	if (s->wire.is_broken && s->phase < PHASE_SETTLING) {
		drain(s, 0, SETTLE_MS);
		give_up_calls(s);
		has_more = true; /* the wallet's turn to release is over for this time */
	}
	advance_phase(s);
	return watch_input(s) || has_more;
}
