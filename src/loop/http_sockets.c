#include "loop/http_sockets.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void http_sockets_finish(struct http_sockets *s)
{
	free(s->items);
	*s = (struct http_sockets){.items = NULL};
}

void http_sockets_add(struct http_sockets *s, int fd)
{
	if (s->count == s->capacity) {
		s->capacity = s->capacity ? 2 * s->capacity : 16;
		s->items = xrealloc_array(s->items, s->capacity, sizeof(*s->items));
	}
	s->items[s->count++] = (struct http_ends){.fd = fd};
}

void http_sockets_remove(struct http_sockets *s, int fd)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->items[i].fd == fd) {
			s->items[i] = s->items[--s->count];
			return;
		}
	}
}

static bool read_end(const struct sockaddr_storage *end, char *text, int *out_port)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)end;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)end;
	bool is_v6 = end->ss_family == AF_INET6;

	if (!is_v6 && end->ss_family != AF_INET)
		return false;
	*out_port = ntohs(is_v6 ? in6->sin6_port : in->sin_port);
	return inet_ntop(end->ss_family, is_v6 ? (const void *)&in6->sin6_addr : &in->sin_addr,
			 text, INET6_ADDRSTRLEN) != NULL;
}

/* Once for each connection; they do not change. */
static void learn_ends(struct http_ends *e)
{
	struct sockaddr_storage local, peer;
	socklen_t local_len = sizeof(local), peer_len = sizeof(peer);
	char ours[INET6_ADDRSTRLEN];

	if (getsockname(e->fd, (struct sockaddr *)&local, &local_len) != 0 ||
	    getpeername(e->fd, (struct sockaddr *)&peer, &peer_len) != 0 ||
	    !read_end(&peer, e->peer, &e->peer_port) || !read_end(&local, ours, &e->local_port))
		e->local_port = 0;
}

/* What the peer has still said is there to be read, which is no sign of life. */
static bool has_ended(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

bool http_sockets_has_ended(struct http_sockets *s, const char *peer, int peer_port, int local_port)
{
	for (size_t i = 0; i < s->count; i++) {
		struct http_ends *e = &s->items[i];

		if (!e->local_port)
			learn_ends(e);
		/* One local port may serve connections to several peers. */
		if (e->local_port == local_port && e->peer_port == peer_port &&
		    strcmp(e->peer, peer) == 0)
			return has_ended(e->fd);
	}
	return false;
}
