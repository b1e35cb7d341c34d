#include "db/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

/* After the first alarm it rings on, in case that it rang just before flock began to wait. */
#define ALARM_AGAIN_US 5000

static void on_alarm(int signo)
{
	(void)signo;
}

static bool open_one(const char *path, const char *suffix, int *out_fd, struct err *err)
{
	CLEANUP(free_charp) char *name = xasprintf("%s%s", path, suffix);
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set(err, "%s: %s", name, strerror(errno));
	*out_fd = fd;
	return true;
}

bool turn_open(struct turn *turn, const char *path, struct err *err)
{
	/* Without SA_RESTART: the alarm exists to interrupt flock. */
	struct sigaction action = {.sa_handler = on_alarm};

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	return open_one(path, "-queue", &turn->queue_fd, err) &&
	       open_one(path, "-lock", &turn->lock_fd, err);
}

void turn_close(struct turn *turn)
{
	if (turn->queue_fd >= 0)
		(void)close(turn->queue_fd);
	if (turn->lock_fd >= 0)
		(void)close(turn->lock_fd);
	turn->queue_fd = -1;
	turn->lock_fd = -1;
}

static void set_alarm(int64_t ms)
{
	struct itimerval timer = {
		.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000},
		.it_interval = {.tv_usec = ms ? ALARM_AGAIN_US : 0},
	};

	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static bool wait_for(int fd, int64_t wait_ms, bool *is_armed)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (wait_ms <= 0)
		return false;
	if (!*is_armed)
		set_alarm(wait_ms);
	*is_armed = true;
	return flock(fd, LOCK_EX) == 0;
}

bool turn_take(struct turn *turn, int64_t wait_ms)
{
	bool is_armed = false, is_ours = false;

	if (wait_for(turn->queue_fd, wait_ms, &is_armed)) {
		is_ours = wait_for(turn->lock_fd, wait_ms, &is_armed);
		(void)flock(turn->queue_fd, LOCK_UN);
	}
	if (is_armed)
		set_alarm(0);
	return is_ours;
}

void turn_leave(struct turn *turn)
{
	(void)flock(turn->lock_fd, LOCK_UN);
}
