#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define READ_BYTES 262144

static const char META[] = "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
			   "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"bench\","
			   "\"version\":\"1\"},"
			   "\"io.modelcontextprotocol/clientCapabilities\":{}}";

void give_up(const char *why)
{
	fprintf(stderr, "bench-load: %s\n", why);
	exit(1);
}

static void reserve(struct bytes *b, size_t more)
{
	if (b->size - b->len >= more)
		return;
	b->size = 2 * (b->len + more);
	b->p = realloc(b->p, b->size);
	if (!b->p)
		give_up("no memory");
}

static void put(struct bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct bytes *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

static void greet(const struct load *load, struct server *s)
{
	if (load->is_modern) {
		put(&s->out,
		    "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"server/"
		    "discover\",\"params\":{%s}}\n",
		    META);
	} else {
		put(&s->out, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":"
			     "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},"
			     "\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}\n");
	}
}

void server_start(struct load *load, struct server *s)
{
	posix_spawn_file_actions_t actions;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
		give_up("no pipe");
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, to[0], 0);
	(void)posix_spawn_file_actions_adddup2(&actions, from[1], 1);
	s->spawned_ns = now_ns();
	if (posix_spawnp(&s->pid, load->argv[0], &actions, NULL, load->argv, environ) != 0)
		give_up("cannot start the server");
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(to[0]);
	(void)close(from[1]);
	s->in_fd = to[1];
	s->out_fd = from[0];
	(void)fcntl(s->in_fd, F_SETFL, O_NONBLOCK);
	(void)fcntl(s->out_fd, F_SETFL, O_NONBLOCK);
	(void)epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, s->out_fd, &event);
	s->next_id = 1;
	greet(load, s);
	server_write(load, s);
}

static void call(struct load *load, struct server *s)
{
	size_t slot = (size_t)s->next_id % IN_FLIGHT_MAX;

	if (s->ids[slot])
		give_up("an old call was never answered");
	put(&s->out,
	    "{\"jsonrpc\":\"2.0\",\"id\":%" PRId64 ",\"method\":\"tools/call\",\"params\":{"
	    "\"name\":\"%s\",\"arguments\":",
	    s->next_id, load->tool);
	if (load->arguments)
		put(&s->out, "%s", load->arguments);
	else
		put(&s->out, "{\"text\":\"call %010" PRId64 "\"}", s->next_id);
	put(&s->out, "%s%s}}\n", load->is_modern ? "," : "", load->is_modern ? META : "");
	s->ids[slot] = s->next_id++;
	s->written_ns[slot] = now_ns();
	load->sent++;
}

void server_begin(struct load *load, struct server *s)
{
	if (!load->is_modern)
		put(&s->out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
	for (int i = 0; i < load->in_flight && load->sent < load->calls; i++)
		call(load, s);
	server_write(load, s);
}

static void complain(struct load *load, const char *what, const char *line, size_t len)
{
	if (load->errors++ == 0)
		fprintf(stderr, "bench-load: %s: %.*s\n", what, (int)(len < 2000 ? len : 2000),
			line);
}

static void answer(struct load *load, struct server *s, const char *line, size_t len)
{
	static const char ID[] = "\"id\":";
	const char *at = memmem(line, len < 64 ? len : 64, ID, sizeof(ID) - 1);
	int64_t now = now_ns(), id;
	size_t slot;
	char *end;

	if (!at) {
		if (!memmem(line, len, "\"method\":", 9))
			complain(load, "a line without an id", line, len);
		return;
	}
	id = strtoll(at + sizeof(ID) - 1, &end, 10);
	if (memcmp(end, ",\"result\"", 9) != 0 || memmem(line, len, "\"isError\":true", 14))
		complain(load, "a failed call", line, len);
	if (id == 0 && !s->is_greeted) {
		s->is_greeted = true;
		s->first_answer_ns = now - s->spawned_ns;
		load->greeted++;
		return;
	}
	slot = (size_t)id % IN_FLIGHT_MAX;
	if (id <= 0 || s->ids[slot] != id) {
		complain(load, "an answer to no call", line, len);
		return;
	}
	s->ids[slot] = 0;
	load->answered++;
	if (now >= load->count_from_ns && now < load->count_to_ns) {
		s->counted++;
		histogram_add(&load->waits, now - s->written_ns[slot]);
	}
	if (!load->is_stopping && load->sent < load->calls)
		call(load, s);
}

void server_read(struct load *load, struct server *s)
{
	size_t begun = 0;
	char *newline;
	ssize_t n;

	do {
		reserve(&s->in, READ_BYTES + 1);
		n = read(s->out_fd, s->in.p + s->in.len, READ_BYTES);
		if (n == 0)
			give_up("a server closed its output");
		if (n > 0)
			s->in.len += (size_t)n;
	} while (n == READ_BYTES);
	/* So that a number at the end of a cut line ends, too. */
	s->in.p[s->in.len] = '\0';
	while ((newline = memchr(s->in.p + begun, '\n', s->in.len - begun))) {
		answer(load, s, s->in.p + begun, (size_t)(newline - s->in.p) - begun);
		begun = (size_t)(newline - s->in.p) + 1;
	}
	s->in.len -= begun;
	memmove(s->in.p, s->in.p + begun, s->in.len);
}

void server_write(struct load *load, struct server *s)
{
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = s};
	size_t done = 0;
	ssize_t n = 0;

	while (done < s->out.len && (n = write(s->in_fd, s->out.p + done, s->out.len - done)) > 0)
		done += (size_t)n;
	if (n < 0 && errno != EAGAIN)
		give_up("a server closed its input");
	s->out.len -= done;
	memmove(s->out.p, s->out.p + done, s->out.len);
	if ((s->out.len > 0) == s->waits_for_room)
		return;
	s->waits_for_room = s->out.len > 0;
	(void)epoll_ctl(load->epoll_fd, s->waits_for_room ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->in_fd,
			&event);
}

int64_t server_rss_kb(const struct server *s)
{
	char path[64], line[256];
	long long kb = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)s->pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "VmRSS:", 6) == 0)
			kb = strtoll(line + 6, NULL, 10);
	}
	(void)fclose(f);
	return kb;
}

void server_stop(struct load *load, struct server *s)
{
	struct rusage usage;
	int status;

	s->rss_end_kb = server_rss_kb(s);
	(void)close(s->in_fd);
	if (wait4(s->pid, &status, 0, &usage) != s->pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 0) {
		fprintf(stderr, "bench-load: a server ended with wait status %d\n", status);
		load->errors++;
	}
	(void)close(s->out_fd);
	s->cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
		    usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

void load_finish(struct load *load)
{
	(void)close(load->epoll_fd);
	for (int i = 0; i < load->servers_count; i++) {
		free(load->servers[i].in.p);
		free(load->servers[i].out.p);
	}
	free(load);
}
