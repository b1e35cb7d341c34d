/*
 * The cheapest API there can be, on 127.0.0.1: each request, whatever it asks, gets the same small
 * JSON object on a connection that stays open. Prints "listening PORT" and ends with its input.
 * Requests have no body.
 */

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX  256
#define REQUEST_MAX 16384

static const char ANSWER[] = "HTTP/1.1 200 OK\r\n"
			     "Content-Type: application/json\r\n"
			     "Content-Length: 34\r\n"
			     "\r\n"
			     "{\"ok\":true,\"name\":\"Tidewater Ltd\"}";

struct peer {
	int fd;
	size_t len; /* of what was read, from the start of a request */
	char request[REQUEST_MAX];
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
	    listen(fd, SOMAXCONN) != 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		fail("bench-api: listen");
	printf("listening %d\n", ntohs(address.sin_port));
	(void)fflush(stdout);
	return fd;
}

static void watch(int epoll_fd, int fd, void *ptr)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		fail("bench-api: epoll");
}

static void greet(int epoll_fd, int listener)
{
	int on = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct peer *peer = calloc(1, sizeof(*peer));

		if (!peer)
			fail("bench-api");
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		peer->fd = fd;
		watch(epoll_fd, fd, peer);
	}
}

/* A closed descriptor leaves the epoll by itself. */
static void part(struct peer *peer)
{
	(void)close(peer->fd);
	free(peer);
}

static void serve(struct peer *peer)
{
	ssize_t n = read(peer->fd, peer->request + peer->len, sizeof(peer->request) - peer->len);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		part(peer);
		return;
	}
	peer->len += (size_t)n;
	while ((end = memmem(peer->request, peer->len, "\r\n\r\n", 4))) {
		size_t used = (size_t)(end + 4 - peer->request);

		peer->len -= used;
		memmove(peer->request, peer->request + used, peer->len);
		if (write(peer->fd, ANSWER, sizeof(ANSWER) - 1) != (ssize_t)sizeof(ANSWER) - 1) {
			part(peer);
			return;
		}
	}
}

int main(void)
{
	struct epoll_event events[EVENTS_MAX];
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC), listener = listen_somewhere();
	char input = 0;

	watch(epoll_fd, listener, NULL);
	watch(epoll_fd, STDIN_FILENO, &input);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			void *ptr = events[i].data.ptr;

			if (!ptr)
				greet(epoll_fd, listener);
			else if (ptr != &input)
				serve(ptr);
			else if (read(STDIN_FILENO, &input, 1) <= 0)
				return 0;
		}
	}
}
