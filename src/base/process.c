#include "base/process.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static void on_alarm(int signo)
{
	(void)signo;
}

static void set_signals(void)
{
	/* Rings while we wait for our turn at the store; at any other time it means nothing. */
	struct sigaction alarm = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	sigset_t none;

	CHECK(sigemptyset(&none) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0);
	CHECK(sigaction(SIGALRM, &alarm, NULL) == 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	/* Ignored, children would vanish without telling how they ended. */
	(void)signal(SIGCHLD, SIG_DFL);
}

/* A closed descriptor among the first three would be given to the store's file. */
static bool fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static int count_free_descriptors(void)
{
	int fds[DESCRIPTORS_MIN], n = 0;

	while (n < DESCRIPTORS_MIN) {
		fds[n] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (fds[n] < 0)
			break;
		n++;
	}
	for (int i = 0; i < n; i++)
		(void)close(fds[i]);
	return n;
}

static bool check_memory(struct err *err)
{
	void *p = mmap(NULL, MEMORY_MIN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		return err_set(err,
			       "%d MiB of memory are needed and cannot be had; raise the limit, as "
			       "with 'ulimit -v unlimited'",
			       MEMORY_MIN_BYTES >> 20);
	(void)munmap(p, MEMORY_MIN_BYTES);
	return true;
}

static bool check_descriptors(struct err *err)
{
	struct rlimit limit = {0};
	int n = count_free_descriptors();

	if (n == DESCRIPTORS_MIN)
		return true;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	return err_set(
		err,
		"%d descriptors are free, with a limit of %llu, and %d are needed; raise the "
		"limit, as with 'ulimit -n 1024'",
		n, (unsigned long long)limit.rlim_cur, DESCRIPTORS_MIN);
}

bool process_prepare(struct err *err)
{
	set_signals();
	if (!fill_descriptors() && errno != EMFILE && errno != ENFILE)
		return err_set(err, "/dev/null: %s", strerror(errno));
	return check_descriptors(err) && check_memory(err);
}
