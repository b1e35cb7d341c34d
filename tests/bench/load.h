#ifndef LOAD_H
#define LOAD_H

/* The load's servers: processes that speak MCP over pipes. */

#include "bench.h"

#include <stdbool.h>
#include <sys/types.h>

#define SERVERS_MAX   16
#define IN_FLIGHT_MAX 4096

struct bytes {
	char *p;
	size_t len, size;
};

struct server {
	pid_t pid;
	int in_fd, out_fd;
	struct bytes out; /* to be written */
	struct bytes in;  /* read, not yet a whole line */
	bool is_greeted;
	bool waits_for_room;
	int64_t spawned_ns, first_answer_ns;
	int64_t next_id;                   /* of calls, from 1 */
	int64_t written_ns[IN_FLIGHT_MAX]; /* by id modulo its size; 0 when answered */
	int64_t ids[IN_FLIGHT_MAX];
	int64_t counted; /* answers within the window */
	int64_t rss_start_kb, rss_end_kb, cpu_us;
};

struct load {
	int servers_count, in_flight;
	int64_t warm_ns, run_ns;
	int64_t calls; /* to make in all */
	bool is_modern;
	const char *tool;
	const char *arguments; /* NULL: each call has its own number */
	char **argv;

	int epoll_fd;
	struct server servers[SERVERS_MAX];
	struct histogram waits;
	int greeted;
	int64_t sent, answered, errors;
	int64_t start_ns, count_from_ns, count_to_ns, end_ns;
	bool is_stopping;
};

_Noreturn void give_up(const char *why);
/* Starts the process and greets it. */
void server_start(struct load *load, struct server *s);
/* Puts the first calls in flight. */
void server_begin(struct load *load, struct server *s);
/* Reads answers; each makes room for another call. */
void server_read(struct load *load, struct server *s);
void server_write(struct load *load, struct server *s);
int64_t server_rss_kb(const struct server *s);
/* Closes its stdin and waits for its end. */
void server_stop(struct load *load, struct server *s);
void load_finish(struct load *load);

#endif
