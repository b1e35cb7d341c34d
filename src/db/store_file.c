#include "db/store_file.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file system may stamp two changes within one tick of its clock with the same time. */
#define TICK_MS      100
/* SQLite locks the store itself from here on: PENDING_BYTE, RESERVED_BYTE, the shared range. */
#define SHARED_FIRST 0x40000002
#define SHARED_SIZE  510
#define RECORD_BYTES 200

static const char *const SUFFIXES[STORE_PARTS] = {
	[STORE_LOG] = "-wal",
	[STORE_INDEX] = "-shm",
	[STORE_QUEUE] = "-queue",
	[STORE_LOCK] = "-lock",
};

static struct file_mark mark_of(const struct stat *st)
{
	return (struct file_mark){.dev = st->st_dev, .ino = st->st_ino};
}

static bool mark_eq(struct file_mark a, struct file_mark b)
{
	return a.dev == b.dev && a.ino == b.ino;
}

/* Another try does not help, a person does. */
static enum db_status status_of_errno(int code)
{
	switch (code) {
	case EACCES:
	case EPERM:
	case EROFS:
	case ENOTDIR:
	case ENAMETOOLONG:
	case ELOOP:
	case ENOENT: /* of a folder that cannot be made */
		return DB_BROKEN;
	case ENOSPC:
	case EDQUOT:
		return DB_FULL;
	default:
		return DB_FAILED;
	}
}

static enum db_status fail_errno(const char *path, struct err *err)
{
	enum db_status status = status_of_errno(errno);

	err_set(err, "%s: %s", path, strerror(errno));
	return status;
}

/* Makes the folders above path, private ones. */
static enum db_status make_folders(const char *path, struct err *err)
{
	CLEANUP(free_charp) char *folder = xstrdup(path);

	for (char *p = folder + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(folder, 0700) != 0 && errno != EEXIST)
			return fail_errno(folder, err);
		*p = '/';
	}
	return DB_OK;
}

/*
 * The file exists and only its owner may read it, before SQLite copies its mode to the log. A file
 * that is there already is not opened: closing a second descriptor would drop the POSIX locks that
 * another connection of this process holds on it.
 */
static enum db_status make_file(const char *path, struct err *err)
{
	enum db_status status = make_folders(path, err);
	int fd;

	if (status != DB_OK)
		return status;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return fail_errno(path, err);
	if (fd >= 0)
		(void)close(fd);
	return DB_OK;
}

static enum db_status absent(const char *name, enum db_purpose purpose, struct err *err)
{
	struct stat st;

	if (lstat(name, &st) == 0 && S_ISLNK(st.st_mode)) {
		err_set(err,
			"%s: is a symbolic link to a file that is not there; correct the link, or "
			"make the file that it names, empty",
			name);
		return DB_BROKEN;
	}
	if (purpose == DB_MAKE)
		return make_file(name, err);
	err_set(err,
		purpose == DB_KEEP
			? "%s: the file is gone; put it back, or start farebox again to begin a "
			  "new one"
			: "%s: there is no such file",
		name);
	return DB_FAILED;
}

/* A file that is mounted by itself has its log in another folder for each of its names. */
static bool is_mounted_alone(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, 0, STATX_TYPE, &st) == 0 &&
	       (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static enum db_status check_kind(const char *path, const struct stat *st, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		err_set(err, "%s: not a regular file; set FAREBOX_STORE to a file", path);
	else if (st->st_nlink != 1)
		err_set(err,
			"%s: has %d names (hard links), and a store may have one only: remove the "
			"others, or make copies of them",
			path, (int)st->st_nlink);
	else if (is_mounted_alone(path))
		err_set(err,
			"%s: is mounted as a single file, so its log would be lost: mount the "
			"folder that it is in",
			path);
	else
		return DB_OK;
	return DB_BROKEN;
}

static enum db_status open_folder(struct store_file *f, struct err *err)
{
	CLEANUP(free_charp) char *folder = xstrdup(f->path);
	char *slash = strrchr(folder, '/');

	CHECK(slash);
	slash[slash == folder] = '\0';
	f->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return f->folder < 0 ? fail_errno(folder, err) : DB_OK;
}

enum db_status store_file_find(struct store_file *f, const char *name, enum db_purpose purpose,
			       struct err *err)
{
	enum db_status status = DB_OK;
	struct stat st;

	*f = (struct store_file){.name = xstrdup(name), .folder = -1};
	if (stat(name, &st) != 0) {
		if (errno != ENOENT)
			return fail_errno(name, err);
		status = absent(name, purpose, err);
		if (status != DB_OK)
			return status;
		if (stat(name, &st) != 0)
			return fail_errno(name, err);
	}
	f->main = mark_of(&st);
	status = check_kind(name, &st, err);
	if (status != DB_OK)
		return status;
	f->path = realpath(name, NULL);
	if (!f->path)
		return fail_errno(name, err);
	for (int i = 0; i < STORE_PARTS; i++)
		f->beside[i] = xasprintf("%s%s", f->path, SUFFIXES[i]);
	return open_folder(f, err);
}

void store_file_finish(struct store_file *f)
{
	if (f->folder >= 0 && f->name)
		(void)close(f->folder);
	for (int i = 0; i < STORE_PARTS; i++)
		free(f->beside[i]);
	free(f->name);
	free(f->path);
	*f = (struct store_file){.folder = -1};
}

/* Through a descriptor that only names the file: no link is followed, no lock dropped. */
static bool narrow(const char *path)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char name[64];
	struct stat st;
	bool is_good;
	int error;

	if (fd < 0)
		return errno == ENOENT;
	is_good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	if (is_good && (st.st_mode & 077)) {
		(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		is_good = chmod(name, st.st_mode & 0700) == 0;
		if (is_good)
			log_warn("event=mode_narrowed file=%s was=%04o", log_quote(path),
				 (unsigned)(st.st_mode & 07777));
	}
	error = errno;
	(void)close(fd);
	errno = error;
	return is_good;
}

enum db_status store_file_narrow(struct store_file *f, struct err *err)
{
	const char *bad = narrow(f->path) ? NULL : f->path;

	for (int i = 0; i < STORE_PARTS && !bad; i++)
		bad = narrow(f->beside[i]) ? NULL : f->beside[i];
	if (!bad)
		return DB_OK;
	/* Too little to look with, which passes. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		err_set(err, "%s: %s", bad, strerror(errno));
		return DB_FAILED;
	}
	err_set(err,
		"%s: others may read or write it, and its mode is not ours to change: chmod 600 it "
		"as its owner",
		bad);
	return DB_BROKEN;
}

bool store_file_has(const struct store_file *f, enum store_part part, bool *out_is_there)
{
	struct stat st;

	*out_is_there = fstatat(f->folder, strrchr(f->beside[part], '/') + 1, &st,
				AT_SYMLINK_NOFOLLOW) == 0;
	return *out_is_there && mark_eq(mark_of(&st), f->parts[part]);
}

/*
 * What stands in the lock file: which file the log belongs to. It counts only where lock file and
 * log are the very ones that it was written for, so that a copy of the whole folder is no
 * replacement.
 */
static void write_mark(const struct store_file *f, const struct stat *lock, char out[RECORD_BYTES])
{
	struct statx st = {.stx_mask = 0};
	struct stat log = {.st_ino = 0};

	/* A number of an inode may be given again; its time of birth tells the two apart. */
	if (statx(AT_FDCWD, f->path, 0, STATX_BTIME, &st) != 0 || !(st.stx_mask & STATX_BTIME))
		st.stx_btime = (struct statx_timestamp){.tv_sec = 0};
	if (stat(f->beside[STORE_LOG], &log) != 0)
		log.st_ino = 0;
	(void)snprintf(out, RECORD_BYTES, "lock %llu log %llu store %llu %lld.%09u\n",
		       (unsigned long long)lock->st_ino, (unsigned long long)log.st_ino,
		       (unsigned long long)f->main.ino, (long long)st.stx_btime.tv_sec,
		       st.stx_btime.tv_nsec);
}

static void read_mark(const struct turn *turn, char out[RECORD_BYTES])
{
	ssize_t n = pread(turn->lock_fd, out, RECORD_BYTES - 1, 0);

	out[n < 0 ? 0 : n] = '\0';
}

static bool log_is_anothers(const struct store_file *f, const struct turn *turn)
{
	char record[RECORD_BYTES], now[RECORD_BYTES];
	const char *store_then, *store_now;
	struct stat lock;

	if (fstat(turn->lock_fd, &lock) != 0)
		return false;
	read_mark(turn, record);
	write_mark(f, &lock, now);
	store_then = strstr(record, " store ");
	store_now = strstr(now, " store ");
	if (!store_then || store_then - record != store_now - now ||
	    memcmp(record, now, (size_t)(store_now - now)) != 0)
		return false;
	return strcmp(store_then, store_now) != 0;
}

static enum db_status set_aside(const struct store_file *f, struct err *err)
{
	CLEANUP(free_charp) char *aside = NULL;
	struct stat st;

	if (stat(f->beside[STORE_LOG], &st) != 0)
		return DB_OK;
	aside = xasprintf("%s-replaced-%lld", f->beside[STORE_LOG], (long long)clock_wall().ms);
	/* The index first: with it gone, the log is not taken for this file's by anybody. */
	if ((unlink(f->beside[STORE_INDEX]) != 0 && errno != ENOENT) ||
	    rename(f->beside[STORE_LOG], aside) != 0)
		return fail_errno(f->beside[STORE_LOG], err);
	log_fault("event=store_replaced file=%s log_of_the_old_one=%s bytes=%lld",
		  log_quote(f->path), log_quote(aside), (long long)st.st_size);
	return DB_OK;
}

/* Whether another process has the store open in SQLite. */
static bool is_in_use(const struct store_file *f)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = SHARED_FIRST,
		.l_len = SHARED_SIZE,
	};
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	bool is_used;

	if (fd < 0)
		return false;
	is_used = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	(void)close(fd);
	return is_used;
}

enum db_status store_file_claim(struct store_file *f, const struct turn *turn,
				enum db_purpose purpose, struct err *err)
{
	struct stat st;

	if (log_is_anothers(f, turn) && purpose != DB_LOOK)
		return set_aside(f, err);
	if (log_is_anothers(f, turn)) {
		err_set(err,
			"%s: the file was replaced, and the log beside it is of the one before; "
			"the next call sets that aside",
			f->path);
		return DB_FAILED;
	}
	/* A file of pages has a log while it is in use. */
	if (stat(f->beside[STORE_LOG], &st) == 0 || errno != ENOENT || stat(f->path, &st) != 0 ||
	    st.st_size == 0 || !is_in_use(f))
		return DB_OK;
	err_set(err,
		"%s: was removed under another process, which puts that right within seconds; try "
		"again, or end that process",
		f->beside[STORE_LOG]);
	return DB_BUSY;
}

void store_file_mark(struct store_file *f, const struct turn *turn, enum db_purpose purpose)
{
	char record[RECORD_BYTES], now[RECORD_BYTES];
	struct stat st;

	for (int i = 0; i < STORE_QUEUE; i++)
		f->parts[i] = stat(f->beside[i], &st) == 0 ? mark_of(&st) : (struct file_mark){0};
	if (fstat(turn->queue_fd, &st) == 0)
		f->parts[STORE_QUEUE] = mark_of(&st);
	if (fstat(turn->lock_fd, &st) != 0)
		return;
	f->parts[STORE_LOCK] = mark_of(&st);
	f->is_quiet = false;
	if (purpose == DB_LOOK)
		return;
	read_mark(turn, record);
	write_mark(f, &st, now);
	/* Not synced: it tells of what happens while this machine runs. */
	if (strcmp(record, now) != 0 &&
	    (ftruncate(turn->lock_fd, 0) != 0 || pwrite(turn->lock_fd, now, strlen(now), 0) < 0))
		log_debug("event=mark_not_written file=%s", log_quote(f->beside[STORE_LOCK]));
}

enum store_state store_file_look(struct store_file *f)
{
	struct timespec changed;
	struct stat st;
	bool is_there;

	if (stat(f->name, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR ? STORE_GONE : STORE_FAULT;
	if (!mark_eq(mark_of(&st), f->main))
		return STORE_OTHER;
	if (st.st_nlink != 1)
		return STORE_LINKED;
	if (fstat(f->folder, &st) != 0)
		return STORE_FAULT;
	changed = st.st_ctim;
	if (f->is_quiet && changed.tv_sec == f->folder_changed.tv_sec &&
	    changed.tv_nsec == f->folder_changed.tv_nsec)
		return STORE_SAME;
	for (int i = 0; i < STORE_PARTS; i++) {
		if (f->parts[i].ino && !store_file_has(f, (enum store_part)i, &is_there))
			return STORE_BESIDE;
	}
	f->folder_changed = changed;
	f->is_quiet = clock_wall().ms - changed.tv_sec * 1000 - changed.tv_nsec / 1000000 > TICK_MS;
	return STORE_SAME;
}

bool store_file_has_log(const struct store_file *f)
{
	struct stat st;

	return stat(f->beside[STORE_LOG], &st) == 0 && st.st_size > 0;
}
