#include "mcp/stdio.h"

#include "base/limits.h"

#include "fake_tools.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL_FORMAT                                                                                \
	"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\"}}\n"

/* Turns without news after which the server counts as quiet. */
#define QUIET_TURNS 8

/* The server and, on the same loop, the host that it talks to. */
struct fixture {
	struct loop *loop;
	struct fake_tools *fake;
	struct stdio_server *server;
	int to_server, from_server; /* the host's ends, not blocking; -1 once closed */
	int in_fd, out_fd;          /* the server's */
	struct buf input;           /* what the host has still to write */
	struct buf got;             /* what it has read */
	bool is_reading;
	int turns_quiet;
	int unsettled_turns; /* the store asks for more of them */
	struct loop_timer tick;
};

static bool is_settled(void *arg)
{
	struct fixture *f = arg;

	return f->unsettled_turns-- <= 0;
}

static bool host_write(struct fixture *f)
{
	ssize_t n;

	if (f->to_server < 0 || !f->input.len)
		return false;
	n = write(f->to_server, f->input.p, f->input.len);
	if (n > 0)
		buf_consume(&f->input, (size_t)n);
	return n > 0;
}

static bool host_read(struct fixture *f)
{
	char bytes[4096];
	ssize_t n;
	bool has_news = false;

	if (f->from_server < 0 || !f->is_reading)
		return false;
	while ((n = read(f->from_server, bytes, sizeof(bytes))) > 0) {
		buf_append(&f->got, bytes, (size_t)n);
		has_news = true;
	}
	return has_news;
}

static void on_tick(void *arg)
{
	struct fixture *f = arg;

	/* Turns as long as the test wants some, without waiting. */
	loop_timer_in(&f->tick, 0);
}

static bool on_turn_end(void *arg)
{
	struct fixture *f = arg;
	size_t started = f->fake->started;
	bool has_more = stdio_turn(f->server);
	bool has_written = host_write(f), has_read = host_read(f);

	if (has_more || has_written || has_read || f->fake->started != started)
		f->turns_quiet = 0;
	else
		f->turns_quiet++;
	if (loop_timer_is_set(&f->tick) && f->turns_quiet >= QUIET_TURNS)
		loop_stop(f->loop);
	return has_more;
}

static void set_up_with(struct fixture *f, int in_fd, int out_fd, int to_server, int from_server)
{
	struct stdio_config config = {
		.in_fd = in_fd, .out_fd = out_fd, .is_settled = is_settled, .arg = f};

	*f = (struct fixture){.loop = loop_create(), .is_reading = true};
	f->in_fd = in_fd;
	f->out_fd = out_fd;
	f->to_server = to_server;
	f->from_server = from_server;
	f->fake = fake_tools_create(f->loop, 0);
	config.loop = f->loop;
	config.tools = f->fake->tools;
	f->server = stdio_create(&config);
	loop_timer_init(&f->tick, f->loop, on_tick, f);
	loop_set_turn_end(f->loop, on_turn_end, f);
}

static void set_up(struct fixture *f)
{
	int in[2], out[2];

	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(in[1], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
	set_up_with(f, in[0], out[1], in[1], out[0]);
}

static void host_close(int *fd)
{
	if (*fd >= 0)
		ck_assert_int_eq(close(*fd), 0);
	*fd = -1;
}

static void tear_down(struct fixture *f)
{
	stdio_destroy(f->server);
	loop_timer_cancel(&f->tick);
	fake_tools_destroy(f->fake);
	loop_destroy(f->loop);
	buf_finish(&f->input);
	buf_finish(&f->got);
	host_close(&f->to_server);
	host_close(&f->from_server);
	host_close(&f->in_fd);
	host_close(&f->out_fd);
}

/* Runs until nothing happens any more. */
static void run_quiet(struct fixture *f)
{
	f->turns_quiet = 0;
	loop_timer_in(&f->tick, 0);
	loop_run(f->loop);
	loop_timer_cancel(&f->tick);
}

/* Runs until the server ends the loop; what it left in the pipe is read. */
static void run_to_end(struct fixture *f)
{
	loop_run(f->loop);
	(void)host_read(f);
}

static void host_call(struct fixture *f, int id, const char *tool)
{
	buf_printf(&f->input, CALL_FORMAT, id, tool);
}

static size_t count_lines(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->p[i] == '\n';
	return n;
}

static bool has_reply(const struct fixture *f, int id)
{
	char part[64];

	(void)snprintf(part, sizeof(part), "{\"jsonrpc\":\"2.0\",\"id\":%d,", id);
	return strstr(buf_text(&f->got), part) != NULL;
}

static void make_socket_pair(int pair[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
}

START_TEST(pipes_and_sockets_are_served_and_their_mode_left_alone)
{
	for (int kind = 0; kind < 2; kind++) {
		struct fixture f;
		int in[2], out[2];

		if (kind == 0) {
			set_up(&f);
		} else {
			make_socket_pair(in);
			make_socket_pair(out);
			set_up_with(&f, in[0], out[0], in[1], out[1]);
		}
		host_call(&f, 1, "echo");
		host_call(&f, 2, "soon");
		run_quiet(&f);
		ck_assert(has_reply(&f, 1) && has_reply(&f, 2));
		ck_assert_uint_eq(count_lines(&f.got), 2);
		ck_assert_int_eq(fcntl(f.in_fd, F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_eq(fcntl(f.out_fd, F_GETFL) & O_NONBLOCK, 0);
		host_close(&f.to_server);
		run_to_end(&f);
		tear_down(&f);
	}
}
END_TEST

START_TEST(ten_thousand_requests_without_reading_are_held_back)
{
	enum {
		CALLS = 10000,
		ARGUMENT_BYTES = 1000
	};
	struct fixture f;
	char argument[ARGUMENT_BYTES + 1];
	size_t started;

	memset(argument, 'x', ARGUMENT_BYTES);
	argument[ARGUMENT_BYTES] = '\0';
	set_up(&f);
	f.is_reading = false;
	for (int i = 0; i < CALLS; i++)
		buf_printf(&f.input,
			   "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\",\"params\":{"
			   "\"name\":\"echo\",\"arguments\":{\"a\":\"%s\"}}}\n",
			   i, argument);
	run_quiet(&f);
	/* Each reply is about two arguments long. What was run fits into the pipe and the output
	 * up to high water; the rest of the input was not even taken. */
	started = f.fake->started;
	ck_assert_uint_gt(started, 0);
	ck_assert_uint_le(started * 2 * ARGUMENT_BYTES,
			  PIPE_BYTES_WANTED + OUT_HIGH_WATER_BYTES + 2 * ARGUMENT_BYTES);
	ck_assert_uint_gt(f.input.len, (size_t)5 * 1024 * 1024);

	f.is_reading = true;
	run_quiet(&f);
	ck_assert_uint_eq(f.fake->started, CALLS);
	ck_assert_uint_eq(count_lines(&f.got), CALLS);
	ck_assert(has_reply(&f, 0) && has_reply(&f, CALLS - 1));
	tear_down(&f);
}
END_TEST

START_TEST(calls_in_flight_are_limited)
{
	enum {
		CALLS = CALLS_IN_FLIGHT_MAX + 500
	};
	struct fixture f;

	set_up(&f);
	for (int i = 0; i < CALLS; i++)
		host_call(&f, i, "stubborn");
	run_quiet(&f);
	ck_assert_uint_eq(f.fake->started, CALLS_IN_FLIGHT_MAX);
	fake_tools_finish(f.fake);
	run_quiet(&f);
	ck_assert_uint_eq(f.fake->started, CALLS);
	fake_tools_finish(f.fake);
	run_quiet(&f);
	ck_assert_uint_eq(count_lines(&f.got), CALLS);
	tear_down(&f);
}
END_TEST

START_TEST(a_slow_pipe_gets_whole_replies)
{
	struct fixture f;

	set_up(&f);
	ck_assert_int_ge(fcntl(f.from_server, F_SETPIPE_SZ, 4096), 4096);
	host_call(&f, 1, "large");
	host_call(&f, 2, "large");
	host_call(&f, 3, "bare");
	run_quiet(&f);
	ck_assert_uint_eq(count_lines(&f.got), 3);
	ck_assert(has_reply(&f, 1) && has_reply(&f, 2) && has_reply(&f, 3));
	ck_assert_uint_gt(f.got.len, (size_t)2 * 256 * 1024);
	ck_assert_int_eq(f.got.p[f.got.len - 1], '\n');
	tear_down(&f);
}
END_TEST

START_TEST(at_the_end_of_input_calls_in_flight_are_answered)
{
	struct fixture f;

	set_up(&f);
	for (int i = 0; i < 50; i++)
		host_call(&f, i, i % 2 ? "soon" : "echo");
	/* The last line has no newline and counts all the same. */
	buf_puts(&f.input, "{\"jsonrpc\":\"2.0\",\"id\":50,\"method\":\"ping\"}");
	ck_assert(host_write(&f));
	host_close(&f.to_server);
	run_to_end(&f);
	ck_assert_uint_eq(count_lines(&f.got), 51);
	ck_assert(has_reply(&f, 49) && has_reply(&f, 50));
	tear_down(&f);
}
END_TEST

START_TEST(an_empty_input_ends_the_server)
{
	struct fixture f;

	set_up(&f);
	host_close(&f.to_server);
	run_to_end(&f);
	ck_assert_uint_eq(f.got.len, 0);
	tear_down(&f);
}
END_TEST

START_TEST(the_server_waits_until_the_store_is_settled)
{
	struct fixture f;

	set_up(&f);
	f.unsettled_turns = 3;
	host_close(&f.to_server);
	run_to_end(&f);
	ck_assert_int_lt(f.unsettled_turns, 0);
	tear_down(&f);
}
END_TEST

START_TEST(subscriptions_end_with_the_input)
{
	struct fixture f;

	set_up(&f);
	buf_puts(&f.input,
		 "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"subscriptions/listen\",\"params\":{"
		 "\"notifications\":{},\"_meta\":{"
		 "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		 "\"io.modelcontextprotocol/clientCapabilities\":{}}}}\n");
	ck_assert(host_write(&f));
	host_close(&f.to_server);
	run_to_end(&f);
	ck_assert_uint_eq(count_lines(&f.got), 2);
	ck_assert(has_reply(&f, 9));
	tear_down(&f);
}
END_TEST

START_TEST(terminate_without_calls_ends_at_once)
{
	int64_t took_ms = INT64_MAX;
	struct fixture f;
	struct boottime start;

	for (int i = 0; i < UNIT_TRIES && took_ms >= TERM_DRAIN_MS / 2; i++) {
		set_up(&f);
		host_call(&f, 1, "echo");
		run_quiet(&f);
		start = clock_boot();
		stdio_terminate(f.server);
		run_to_end(&f);
		took_ms = clock_boot().ms - start.ms;
		ck_assert(has_reply(&f, 1));
		tear_down(&f);
	}
	ck_assert_int_lt(took_ms, TERM_DRAIN_MS / 2);
}
END_TEST

START_TEST(terminate_gives_calls_half_a_second_and_releases_them)
{
	struct fixture f;
	struct boottime start;

	set_up(&f);
	host_call(&f, 1, "never");
	run_quiet(&f);
	host_close(&f.to_server); /* the long drain has begun */
	run_quiet(&f);
	start = clock_boot();
	stdio_terminate(f.server);
	run_to_end(&f);
	ck_assert_int_lt(clock_boot().ms - start.ms, UNIT_AT_ONCE_MS);
	ck_assert_uint_eq(f.fake->cancelled, 1);
	ck_assert_uint_eq(f.got.len, 0);
	tear_down(&f);
}
END_TEST

START_TEST(terminate_does_not_wait_for_a_store_that_hangs)
{
	struct fixture f;
	struct boottime start = clock_boot();

	set_up(&f);
	f.unsettled_turns = INT32_MAX;
	stdio_terminate(f.server);
	run_to_end(&f);
	ck_assert_int_lt(clock_boot().ms - start.ms, UNIT_AT_ONCE_MS);
	tear_down(&f);
}
END_TEST

START_TEST(a_closed_stdout_ends_an_idle_server_and_releases_its_calls)
{
	struct fixture f;

	set_up(&f);
	host_call(&f, 1, "never");
	run_quiet(&f);
	host_close(&f.from_server);
	run_to_end(&f);
	ck_assert_uint_eq(f.fake->cancelled, 1);
	tear_down(&f);
}
END_TEST

START_TEST(a_stdout_closed_in_the_middle_of_a_reply_ends_the_server)
{
	struct fixture f;

	set_up(&f);
	f.is_reading = false;
	ck_assert_int_ge(fcntl(f.from_server, F_SETPIPE_SZ, 4096), 4096);
	host_call(&f, 1, "large");
	host_call(&f, 2, "never");
	run_quiet(&f);
	host_close(&f.from_server);
	run_to_end(&f);
	ck_assert_uint_eq(f.fake->cancelled, 1);
	tear_down(&f);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_answered_once_and_skipped)
{
	struct fixture f;
	char *big = xmalloc(RPC_LINE_BYTES_MAX + 2);

	memset(big, 'x', RPC_LINE_BYTES_MAX + 1);
	big[RPC_LINE_BYTES_MAX + 1] = '\n';
	set_up(&f);
	buf_append(&f.input, big, RPC_LINE_BYTES_MAX + 2);
	free(big);
	host_call(&f, 1, "echo");
	run_quiet(&f);
	ck_assert_uint_eq(count_lines(&f.got), 2);
	ck_assert_ptr_nonnull(strstr(buf_text(&f.got), "\"error\":{\"code\":-32700,"));
	ck_assert(has_reply(&f, 1));
	tear_down(&f);
}
END_TEST

START_TEST(files_are_served_from_end_to_end)
{
	enum {
		CALLS = RPC_MESSAGES_PER_TURN + 100
	};
	struct fixture f;
	FILE *in = tmpfile(), *out = tmpfile();
	struct buf got = BUF_INIT;
	char bytes[4096];
	ssize_t n;

	ck_assert(in && out);
	for (int i = 0; i < CALLS; i++)
		fprintf(in, CALL_FORMAT, i, i % 2 ? "bare" : "soon");
	rewind(in);
	set_up_with(&f, dup(fileno(in)), dup(fileno(out)), -1, -1);
	run_to_end(&f);
	ck_assert_int_eq(lseek(fileno(out), 0, SEEK_SET), 0);
	while ((n = read(fileno(out), bytes, sizeof(bytes))) > 0)
		buf_append(&got, bytes, (size_t)n);
	ck_assert_uint_eq(count_lines(&got), CALLS);
	buf_finish(&got);
	tear_down(&f);
	ck_assert_int_eq(fclose(in), 0);
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

static void guard_child(int out_fd, int err_fd)
{
	int wire;

	(void)dup2(out_fd, STDOUT_FILENO);
	(void)dup2(err_fd, STDERR_FILENO);
	(void)close(STDIN_FILENO);
	wire = stdio_guard();
	if (wire <= STDERR_FILENO || fcntl(wire, F_GETFD) != FD_CLOEXEC ||
	    fcntl(STDIN_FILENO, F_GETFD) < 0)
		_exit(1);
	if (write(STDOUT_FILENO, "noise", 5) != 5 || write(wire, "wire", 4) != 4)
		_exit(2);
	_exit(0);
}

START_TEST(only_the_wire_reaches_stdout)
{
	int out[2], err[2], status;
	char got[16] = "";
	pid_t child;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		guard_child(out[1], err[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(read(out[0], got, sizeof(got)), 4);
	ck_assert_mem_eq(got, "wire", 4);
	ck_assert_int_eq(read(err[0], got, sizeof(got)), 5);
	ck_assert_mem_eq(got, "noise", 5);
	for (int i = 0; i < 2; i++) {
		host_close(&out[i]);
		host_close(&err[i]);
	}
}
END_TEST

UNIT_MAIN("stdio", pipes_and_sockets_are_served_and_their_mode_left_alone,
	  ten_thousand_requests_without_reading_are_held_back, calls_in_flight_are_limited,
	  a_slow_pipe_gets_whole_replies, at_the_end_of_input_calls_in_flight_are_answered,
	  an_empty_input_ends_the_server, the_server_waits_until_the_store_is_settled,
	  subscriptions_end_with_the_input, terminate_without_calls_ends_at_once,
	  terminate_gives_calls_half_a_second_and_releases_them,
	  terminate_does_not_wait_for_a_store_that_hangs,
	  a_closed_stdout_ends_an_idle_server_and_releases_its_calls,
	  a_stdout_closed_in_the_middle_of_a_reply_ends_the_server,
	  a_line_that_is_too_long_is_answered_once_and_skipped, files_are_served_from_end_to_end,
	  only_the_wire_reaches_stdout)
