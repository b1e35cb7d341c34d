/*
 * The load: starts servers over pipes, as hosts do, keeps calls in flight on each and counts what
 * comes back. A call that fails, or gets no answer, fails the run.
 *
 *	bench-load [-k SERVERS] [-n IN_FLIGHT] [-w WARMUP_S] [-s SECONDS | -c CALLS]
 *		[-e modern|legacy] [-t TOOL] [-a ARGUMENTS | -u] -- COMMAND [ARGUMENT ...]
 *
 * prints one line of JSON. With -u each call has arguments of its own: {"text":"call NUMBER"}.
 * Rates are of all servers together; shares are each server's calls as a part of their mean; the
 * wait is from the moment when a call was written to its answer.
 */

#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void parse(struct load *load, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+k:n:w:s:c:e:t:a:u")) != -1) {
		switch (option) {
		case 'k':
			load->servers_count = (int)strtol(optarg, NULL, 10);
			break;
		case 'n':
			load->in_flight = (int)strtol(optarg, NULL, 10);
			break;
		case 'w':
			load->warm_ns = (int64_t)(strtod(optarg, NULL) * 1e9);
			break;
		case 's':
			load->run_ns = (int64_t)(strtod(optarg, NULL) * 1e9);
			break;
		case 'c':
			load->calls = strtoll(optarg, NULL, 10);
			break;
		case 'e':
			load->is_modern = strcmp(optarg, "modern") == 0;
			break;
		case 't':
			load->tool = optarg;
			break;
		case 'a':
			load->arguments = optarg;
			break;
		case 'u':
			load->arguments = NULL;
			break;
		default:
			give_up("usage: see the head of load.c");
		}
	}
	if (optind == argc || load->servers_count < 1 || load->servers_count > SERVERS_MAX ||
	    load->in_flight < 1 || load->in_flight > IN_FLIGHT_MAX)
		give_up("usage: see the head of load.c");
	load->argv = argv + optind;
}

/* One turn: waits for output (or room for input) of any server and serves it. */
static void turn(struct load *load)
{
	struct epoll_event events[SERVERS_MAX];
	int n = epoll_wait(load->epoll_fd, events, SERVERS_MAX, 10000);

	if (n == 0)
		give_up("nothing came for 10 s");
	for (int i = 0; i < n; i++) {
		struct server *s = events[i].data.ptr;

		server_read(load, s);
	}
	for (int i = 0; i < load->servers_count; i++)
		server_write(load, &load->servers[i]);
}

static void run(struct load *load)
{
	for (int i = 0; i < load->servers_count; i++)
		server_start(load, &load->servers[i]);
	while (load->greeted < load->servers_count)
		turn(load);
	for (int i = 0; i < load->servers_count; i++)
		load->servers[i].rss_start_kb = server_rss_kb(&load->servers[i]);
	load->start_ns = now_ns();
	load->count_from_ns = load->start_ns + load->warm_ns;
	load->count_to_ns = load->run_ns ? load->count_from_ns + load->run_ns : INT64_MAX;
	for (int i = 0; i < load->servers_count; i++)
		server_begin(load, &load->servers[i]);
	while (load->answered < load->sent || (!load->is_stopping && load->sent < load->calls)) {
		turn(load);
		if (now_ns() >= load->count_to_ns)
			load->is_stopping = true;
	}
	load->end_ns = now_ns();
	for (int i = 0; i < load->servers_count; i++)
		server_stop(load, &load->servers[i]);
}

static void print(const struct load *load)
{
	const struct server *servers = load->servers;
	int64_t counted = 0, rss_start = 0, rss_end = 0, cpu_us = 0, first = 0;
	double seconds;

	for (int i = 0; i < load->servers_count; i++) {
		counted += servers[i].counted;
		cpu_us += servers[i].cpu_us;
		first += servers[i].first_answer_ns;
		rss_start = rss_start > servers[i].rss_start_kb ? rss_start
								: servers[i].rss_start_kb;
		rss_end = rss_end > servers[i].rss_end_kb ? rss_end : servers[i].rss_end_kb;
	}
	seconds = (double)(load->run_ns ? load->run_ns : load->end_ns - load->count_from_ns) / 1e9;
	printf("{\"rate\":%.1f,\"calls\":%lld,\"errors\":%lld,", (double)counted / seconds,
	       (long long)load->answered, (long long)load->errors);
	printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,", histogram_us(&load->waits, 0.5),
	       histogram_us(&load->waits, 0.99), (double)load->waits.max_ns / 1e3);
	printf("\"first_answer_ms\":%.3f,", (double)first / 1e6 / load->servers_count);
	printf("\"rss_start_kb\":%lld,\"rss_end_kb\":%lld,\"cpu_us_per_call\":%.2f,\"shares\":[",
	       (long long)rss_start, (long long)rss_end,
	       load->answered ? (double)cpu_us / (double)load->answered : 0.0);
	for (int i = 0; i < load->servers_count; i++)
		printf("%s%.4f", i ? "," : "",
		       counted ? (double)servers[i].counted * load->servers_count / (double)counted
			       : 0.0);
	puts("]}");
}

int main(int argc, char **argv)
{
	struct load *load = calloc(1, sizeof(*load));
	bool is_good;

	if (!load)
		give_up("no memory");
	load->servers_count = 1;
	load->in_flight = 1;
	load->is_modern = true;
	load->tool = "ping";
	load->arguments = "{}";
	load->calls = INT64_MAX;
	parse(load, argc, argv);
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	run(load);
	print(load);
	is_good = load->errors == 0;
	load_finish(load);
	return is_good ? 0 : 1;
}
