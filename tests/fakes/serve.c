#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define UPLOAD_BYTES_MAX (16 * 1024 * 1024)

/* Comes once with the headers, then with each part of the body, then for the answer. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct serve *serve = arg;
	struct buf *body = *state;

	(void)version;
	if (!body) {
		*state = xzalloc(sizeof(*body));
		return MHD_YES;
	}
	if (*upload_len > 0) {
		if (body->len + *upload_len > UPLOAD_BYTES_MAX)
			return MHD_NO;
		buf_append(body, upload, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	return serve->answer(serve->arg, c, method, path, body);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct buf *body = *state;

	(void)arg;
	(void)c;
	(void)why;
	if (body)
		buf_finish(body);
	free(body);
	*state = NULL;
}

void serve_listen(struct serve *serve)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	serve->signals = signalfd(-1, &set, SFD_CLOEXEC);
	serve->daemon = MHD_start_daemon(
		MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, serve, MHD_OPTION_SOCK_ADDR,
		&address, MHD_OPTION_NOTIFY_COMPLETED, on_completed, serve, MHD_OPTION_END);
	if (serve->signals < 0 || !serve->daemon) {
		fprintf(stderr, "cannot listen\n");
		exit(EXIT_FAILURE);
	}
	serve->port = MHD_get_daemon_info(serve->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/* False when it is time to end. */
static bool turn(const struct serve *serve)
{
	fd_set in, out, bad;
	int max = serve->signals;
	char skipped[256];

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&bad);
	if (MHD_get_fdset(serve->daemon, &in, &out, &bad, &max) != MHD_YES)
		return false;
	FD_SET(STDIN_FILENO, &in);
	FD_SET(serve->signals, &in);
	if (select(max + 1, &in, &out, &bad, NULL) < 0)
		return errno == EINTR;
	(void)MHD_run_from_select(serve->daemon, &in, &out, &bad);
	if (FD_ISSET(serve->signals, &in))
		return false;
	return !FD_ISSET(STDIN_FILENO, &in) || read(STDIN_FILENO, skipped, sizeof(skipped)) > 0;
}

void serve_run(struct serve *serve)
{
	printf("listening %d\n", serve->port);
	fflush(stdout);
	while (turn(serve))
		;
	/* Connections that were made to hang are never resumed, and a daemon does not stop with
	 * such ones: the kernel ends them. */
	_exit(EXIT_SUCCESS);
}
