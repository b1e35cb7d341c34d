#include "loop/child.h"

#include "base/buf.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* All that a child inherits of our environment. */
static const char *const CHILD_ENVIRONMENT[] = {
	"HOME", "PATH", "LANG", "TMPDIR", "TERM", "USER", "SHELL", "LOGNAME",
};

/* How long SIGKILL may take before we leave a child to init. */
#define KILL_WAIT_MS 200
/* A child that has closed its stdout is expected to end. */
#define EOF_WAIT_MS  500

enum pipe_end {
	PIPE_IN,
	PIPE_OUT,
	PIPE_ERR,
	PIPES,
};

struct stream {
	int fd; /* -1: closed */
	struct loop_fd *watch;
	child_bytes_fn *fn;
	struct child *child;
};

struct child {
	struct child_config config;
	struct loop *loop;
	pid_t pid; /* 0 once it is reaped */
	int pidfd;
	struct loop_fd *pid_watch;
	int in_fd; /* -1: closed */
	struct loop_fd *in_watch;
	struct buf pending; /* for its stdin */
	size_t written;     /* bytes at the front of pending that have left */
	struct stream out, err;
	struct loop_timer timer; /* SIGKILL */
	bool is_stopping;
	char how[32];
};

/* Away from 0 to 2, which may be closed in this process and are set in the child. */
static int move_up(int fd)
{
	int up;

	if (fd > STDERR_FILENO)
		return fd;
	up = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	(void)close(fd);
	return up;
}

static bool open_pipe(int ends[2], struct err *err)
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_set(err, "no pipe: %s", strerror(errno));
	ends[0] = move_up(ends[0]);
	ends[1] = move_up(ends[1]);
	if (ends[0] < 0 || ends[1] < 0)
		return err_set(err, "no pipe: %s", strerror(errno));
	return true;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void close_pipes(int pipes[PIPES][2])
{
	for (int i = 0; i < PIPES; i++) {
		close_fd(&pipes[i][0]);
		close_fd(&pipes[i][1]);
	}
}

static bool open_pipes(int pipes[PIPES][2], struct err *err)
{
	for (int i = 0; i < PIPES; i++) {
		if (open_pipe(pipes[i], err))
			continue;
		close_pipes(pipes);
		return false;
	}
	return true;
}

static bool is_set_in(const char *const *environment, const char *name)
{
	size_t len = strlen(name);

	for (; environment && *environment; environment++) {
		if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
			return true;
	}
	return false;
}

/* Ended by NULL; each text and the array are the caller's. */
static char **clean_environment(const char *const *more)
{
	size_t n = 0, count = 0;
	char **env;

	while (more && more[count])
		count++;
	env = xarray(ARRAY_LEN(CHILD_ENVIRONMENT) + count + 1, sizeof(*env));
	for (size_t i = 0; i < ARRAY_LEN(CHILD_ENVIRONMENT); i++) {
		const char *name = CHILD_ENVIRONMENT[i];
		const char *value = getenv(name);

		if (value && !is_set_in(more, name))
			env[n++] = xasprintf("%s=%s", name, value);
	}
	for (size_t i = 0; i < count; i++)
		env[n++] = xstrdup(more[i]);
	env[n] = NULL;
	return env;
}

static void free_environment(char **env)
{
	for (size_t i = 0; env[i]; i++) {
		/* They may hold secrets of the operator's. */
		explicit_bzero(env[i], strlen(env[i]));
		free(env[i]);
	}
	free(env);
}

/* Our signals are blocked, and SIGPIPE is ignored: not so in the child. */
static void set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	CHECK(sigemptyset(&none) == 0 && sigfillset(&all) == 0);
	CHECK(posix_spawnattr_init(attr) == 0);
	CHECK(posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						     POSIX_SPAWN_SETSIGDEF) == 0);
	CHECK(posix_spawnattr_setpgroup(attr, 0) == 0);
	CHECK(posix_spawnattr_setsigmask(attr, &none) == 0);
	CHECK(posix_spawnattr_setsigdefault(attr, &all) == 0);
}

static void set_actions(posix_spawn_file_actions_t *actions, int pipes[PIPES][2])
{
	CHECK(posix_spawn_file_actions_init(actions) == 0);
	CHECK(posix_spawn_file_actions_adddup2(actions, pipes[PIPE_IN][0], STDIN_FILENO) == 0);
	CHECK(posix_spawn_file_actions_adddup2(actions, pipes[PIPE_OUT][1], STDOUT_FILENO) == 0);
	CHECK(posix_spawn_file_actions_adddup2(actions, pipes[PIPE_ERR][1], STDERR_FILENO) == 0);
	/* Also what our host left open in us. */
	CHECK(posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1) == 0);
}

static bool spawn(const struct child_config *config, int pipes[PIPES][2], pid_t *out_pid,
		  struct err *err)
{
	char **env = clean_environment(config->environment);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int fault;

	set_attributes(&attr);
	set_actions(&actions, pipes);
	fault = posix_spawnp(out_pid, config->argv[0], &actions, &attr,
			     (char *const *)(uintptr_t)config->argv, env);
	CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
	CHECK(posix_spawnattr_destroy(&attr) == 0);
	free_environment(env);
	if (fault)
		return err_set(err, "cannot start %s: %s", config->argv[0], strerror(fault));
	return true;
}

static bool is_program(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_set(err, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
		return err_set(err, "%s: cannot be executed", path);
	return true;
}

/* As posix_spawnp looks for it. */
bool child_command_check(const char *command, struct err *err)
{
	const char *path = getenv("PATH");
	struct err why = ERR_INIT;

	if (strchr(command, '/'))
		return is_program(command, err);
	path = path ? path : "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(path, ":");
		CLEANUP(free_charp) char *file = NULL;

		file = xasprintf("%.*s%s%s", (int)len, path, len ? "/" : "", command);
		if (is_program(file, &why))
			return true;
		if (!path[len])
			return err_set(err, "%s is not found in PATH, or cannot be executed",
				       command);
		path += len + 1;
	}
}

static void signal_group(const struct child *c, int signo)
{
	/* The group outlives its leader only while the leader is not reaped, or has members. */
	if (c->pid)
		(void)kill(-c->pid, signo);
}

static void close_in(struct child *c)
{
	loop_fd_remove(c->in_watch);
	c->in_watch = NULL;
	close_fd(&c->in_fd);
	buf_finish(&c->pending);
	c->written = 0;
}

static void close_stream(struct stream *s)
{
	loop_fd_remove(s->watch);
	s->watch = NULL;
	close_fd(&s->fd);
}

/* What has left is moved away when it is most of what there is, not with each write. */
static void drop_written(struct child *c)
{
	if (c->written < c->pending.len && c->written < CHILD_KEPT_BYTES)
		return;
	if (c->written < c->pending.len / 2)
		return;
	buf_consume(&c->pending, c->written);
	c->written = 0;
	if (!c->pending.len && c->pending.size > CHILD_KEPT_BYTES)
		buf_finish(&c->pending);
}

static void flush(struct child *c)
{
	while (c->in_fd >= 0 && c->written < c->pending.len) {
		ssize_t n = write(c->in_fd, c->pending.p + c->written, c->pending.len - c->written);

		if (n >= 0)
			c->written += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			close_in(c); /* it reads no more; its end will tell */
	}
	if (c->in_fd < 0)
		return;
	drop_written(c);
	loop_fd_events(c->in_watch, c->written < c->pending.len ? EPOLLOUT : 0);
}

static void on_writable(void *arg, uint32_t events)
{
	(void)events;
	flush(arg);
}

bool child_write(struct child *c, struct slice bytes)
{
	if (c->in_fd < 0 || c->is_stopping)
		return false;
	if (c->pending.len - c->written + bytes.len > CHILD_PENDING_BYTES_MAX)
		return false;
	buf_append(&c->pending, bytes.p, bytes.len);
	flush(c);
	return true;
}

static void on_kill_time(void *arg)
{
	signal_group(arg, SIGKILL);
}

/* Reads once. False: nothing is there now, or ever. */
static bool read_some(struct stream *s)
{
	struct child *c = s->child;
	char bytes[CHILD_READ_BYTES];
	ssize_t n = s->fd >= 0 ? read(s->fd, bytes, sizeof(bytes)) : -1;

	if (n > 0) {
		if (!c->is_stopping)
			s->fn(c->config.arg, (struct slice){.p = bytes, .len = (size_t)n});
		return true;
	}
	if (s->fd >= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR)))
		close_stream(s);
	return false;
}

static void on_readable(void *arg, uint32_t events)
{
	struct stream *s = arg;
	struct child *c = s->child;

	(void)events;
	(void)read_some(s);
	if (c->out.fd < 0 && !loop_timer_is_set(&c->timer))
		loop_timer_in(&c->timer, EOF_WAIT_MS);
}

static void describe(struct child *c, int status)
{
	if (WIFSIGNALED(status))
		(void)snprintf(c->how, sizeof(c->how), "signal %d", WTERMSIG(status));
	else
		(void)snprintf(c->how, sizeof(c->how), "exit status %d", WEXITSTATUS(status));
}

/* True once it is reaped. What it left behind in its group goes with it, before its id is free. */
static bool reap(struct child *c)
{
	siginfo_t info = {.si_pid = 0};
	int status;

	if (!c->pid)
		return true;
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid)
		return false;
	signal_group(c, SIGKILL);
	if (waitpid(c->pid, &status, 0) != c->pid)
		return false;
	c->pid = 0;
	describe(c, status);
	return true;
}

static void on_end(void *arg, uint32_t events)
{
	struct child *c = arg;

	(void)events;
	if (!reap(c))
		return;
	loop_fd_remove(c->pid_watch);
	c->pid_watch = NULL;
	loop_timer_cancel(&c->timer);
	/* Its last words, an answer among them perhaps. */
	for (int i = 0; i < CHILD_LAST_READS && read_some(&c->out); i++)
		;
	for (int i = 0; i < CHILD_LAST_READS && read_some(&c->err); i++)
		;
	c->config.end(c->config.arg, c->how);
}

static void watch_stream(struct child *c, struct stream *s, int *fd, child_bytes_fn *fn)
{
	s->child = c;
	s->fd = *fd;
	*fd = -1;
	s->fn = fn;
	CHECK(fcntl(s->fd, F_SETFL, O_NONBLOCK) == 0);
	s->watch = loop_fd_add(c->loop, s->fd, EPOLLIN, on_readable, s);
}

static struct child *watch(struct loop *loop, const struct child_config *config, pid_t pid,
			   int pidfd, int pipes[PIPES][2])
{
	struct child *c = xzalloc(sizeof(*c));

	c->config = *config;
	c->config.argv = NULL;
	c->config.environment = NULL;
	c->loop = loop;
	c->pid = pid;
	c->pidfd = pidfd;
	c->in_fd = pipes[PIPE_IN][1];
	pipes[PIPE_IN][1] = -1;
	CHECK(fcntl(c->in_fd, F_SETFL, O_NONBLOCK) == 0);
	c->in_watch = loop_fd_add(loop, c->in_fd, 0, on_writable, c);
	watch_stream(c, &c->out, &pipes[PIPE_OUT][0], config->out);
	watch_stream(c, &c->err, &pipes[PIPE_ERR][0], config->err);
	c->pid_watch = loop_fd_add(loop, pidfd, EPOLLIN, on_end, c);
	loop_timer_init(&c->timer, loop, on_kill_time, c);
	return c;
}

struct child *child_start(struct loop *loop, const struct child_config *config, struct err *err)
{
	int pipes[PIPES][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
	struct child *c = NULL;
	int pidfd;
	pid_t pid;

	(void)signal(SIGPIPE, SIG_IGN);
	if (!open_pipes(pipes, err))
		return NULL;
	if (spawn(config, pipes, &pid, err)) {
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd >= 0) {
			c = watch(loop, config, pid, pidfd, pipes);
		} else {
			err_set(err, "pidfd_open: %s", strerror(errno));
			(void)kill(-pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
		}
	}
	close_pipes(pipes);
	return c;
}

void child_stop(struct child *c)
{
	if (c->is_stopping)
		return;
	c->is_stopping = true;
	close_in(c);
	signal_group(c, SIGTERM);
	loop_timer_in(&c->timer, CHILD_TERM_MS);
}

void child_close_stdin(struct child *c)
{
	close_in(c);
}

void child_terminate(struct child *c)
{
	signal_group(c, SIGTERM);
}

bool child_wait(struct child *c, int64_t ms)
{
	struct boottime until = boottime_after(clock_boot(), ms);
	struct pollfd p = {.fd = c->pidfd, .events = POLLIN};

	/* Nobody reads any more: a child that writes on must not wait for us. */
	close_stream(&c->out);
	close_stream(&c->err);
	while (!reap(c)) {
		int64_t left_ms = until.ms - clock_boot().ms;

		if (left_ms <= 0)
			return false;
		(void)poll(&p, 1, (int)left_ms);
	}
	return true;
}

void child_destroy(struct child *c)
{
	if (!c)
		return;
	if (c->pid) {
		signal_group(c, SIGKILL);
		(void)child_wait(c, KILL_WAIT_MS);
	}
	loop_timer_cancel(&c->timer);
	loop_fd_remove(c->pid_watch);
	close_fd(&c->pidfd);
	close_in(c);
	close_stream(&c->out);
	close_stream(&c->err);
	free(c);
}

int child_pid(const struct child *c)
{
	return (int)c->pid;
}
