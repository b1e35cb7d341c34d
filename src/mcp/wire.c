#include "mcp/wire.h"

#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What has left is taken off the buffer when it is this much and most of it. */
#define WRITTEN_BYTES_MAX (64 * 1024)
/* A rare large reply does not keep its memory. */
#define KEPT_BYTES_MAX    (2 * OUT_HIGH_WATER_BYTES)

void wire_widen(int fd)
{
	(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES_WANTED);
}

static void drop_output(struct wire *w)
{
	if (w->out.size > KEPT_BYTES_MAX)
		buf_finish(&w->out);
	buf_clear(&w->out);
	w->written = 0;
}

static void become_broken(struct wire *w)
{
	w->is_broken = true;
	loop_fd_remove(w->watch);
	w->watch = NULL;
	drop_output(w);
}

static void on_event(void *arg, uint32_t events)
{
	struct wire *w = arg;

	if (events & (EPOLLERR | EPOLLHUP))
		become_broken(w);
	else
		w->is_blocked = false; /* the turn's end writes */
}

/* A description of our own for the same pipe or terminal; -1 when that does not work. */
static int open_anew(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static void unblock(struct wire *w)
{
	int anew = open_anew(w->fd);
	int flags;

	if (anew >= 0) {
		w->fd = anew;
		w->is_ours = true;
		return;
	}
	flags = fcntl(w->fd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK) && fcntl(w->fd, F_SETFL, flags | O_NONBLOCK) == 0)
		w->flags_before = flags;
}

void wire_init(struct wire *w, struct loop *loop, int fd)
{
	struct stat st;

	*w = (struct wire){.fd = fd, .flags_before = -1};
	if (fstat(fd, &st) != 0) {
		w->is_broken = true;
		return;
	}
	w->is_socket = S_ISSOCK(st.st_mode);
	/* A file or a device like /dev/null takes everything at once. */
	if (!w->is_socket && !S_ISFIFO(st.st_mode) && !isatty(fd))
		return;
	wire_widen(fd);
	if (!w->is_socket)
		unblock(w);
	w->watch = loop_fd_add(loop, w->fd, EPOLLERR, on_event, w);
}

void wire_finish(struct wire *w)
{
	loop_fd_remove(w->watch);
	w->watch = NULL;
	if (w->flags_before >= 0)
		(void)fcntl(w->fd, F_SETFL, w->flags_before);
	if (w->is_ours)
		(void)close(w->fd);
	w->is_ours = false;
	w->fd = -1;
	buf_finish(&w->out);
}

void wire_put(struct wire *w, struct slice bytes)
{
	if (w->is_broken)
		return;
	if (w->written > WRITTEN_BYTES_MAX && w->written > w->out.len / 2) {
		buf_consume(&w->out, w->written);
		w->written = 0;
	}
	buf_append(&w->out, bytes.p, bytes.len);
}

size_t wire_pending(const struct wire *w)
{
	return w->out.len - w->written;
}

static ssize_t write_some(struct wire *w)
{
	const char *p = w->out.p + w->written;

	if (w->is_socket)
		return send(w->fd, p, wire_pending(w), MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(w->fd, p, wire_pending(w));
}

void wire_flush(struct wire *w)
{
	if (w->is_blocked)
		return;
	while (wire_pending(w)) {
		ssize_t n = write_some(w);

		if (n >= 0) {
			w->written += (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			w->is_blocked = true;
			break;
		} else if (errno != EINTR) {
			log_info("event=stdout_closed reason=%s", log_quote(strerror(errno)));
			become_broken(w);
			return;
		}
	}
	if (!wire_pending(w))
		drop_output(w);
	if (w->watch)
		loop_fd_events(w->watch, w->is_blocked ? EPOLLOUT : EPOLLERR);
}
