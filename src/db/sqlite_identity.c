#include "db/sqlite_identity.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The header of a SQLite file (https://www.sqlite.org/fileformat2.html#the_database_header). */
enum {
	HEADER_BYTES = 100,
	AT_PAGE_SIZE = 16,
	AT_CHANGES = 24,
	AT_PAGES = 28,
	AT_USER_VERSION = 60,
	AT_APPLICATION_ID = 68,
	AT_PAGES_VALID_FOR = 92,
};

#define LOG_CHUNK_BYTES (64 * 1024)

static const char MAGIC[16] = "SQLite format 3";
static const char ADVICE[] = "nothing was changed in it; set FAREBOX_STORE to a file of its own";

static uint32_t number_at(const unsigned char *p, int at)
{
	return (uint32_t)p[at] << 24 | (uint32_t)p[at + 1] << 16 | (uint32_t)p[at + 2] << 8 |
	       p[at + 3];
}

/* What was copied there so far may be half of it. */
static bool is_whole(const unsigned char *header, int64_t size)
{
	int64_t page = header[AT_PAGE_SIZE] << 8 | header[AT_PAGE_SIZE + 1];

	if (number_at(header, AT_CHANGES) != number_at(header, AT_PAGES_VALID_FOR))
		return true;
	return size >= (page == 1 ? 65536 : page) * (int64_t)number_at(header, AT_PAGES);
}

/* The first transaction of a store, which may stand in its log alone: the text of its first table.
 */
static bool log_begins_ours(const char *path)
{
	static const char TEXT[] = "CREATE TABLE migration (version BIGINT NOT NULL PRIMARY KEY";
	CLEANUP(free_charp) char *name = xasprintf("%s-wal", path);
	char chunk[LOG_CHUNK_BYTES];
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t kept = 0;
	bool is_found = false;
	ssize_t n;

	if (fd < 0)
		return false;
	while (!is_found && (n = read(fd, chunk + kept, LOG_CHUNK_BYTES - kept)) > 0) {
		size_t len = kept + (size_t)n;

		is_found = memmem(chunk, len, TEXT, sizeof(TEXT) - 1) != NULL;
		kept = len < sizeof(TEXT) ? len : sizeof(TEXT);
		memmove(chunk, chunk + len - kept, kept);
	}
	(void)close(fd);
	return is_found;
}

static bool log_is_empty(const char *path)
{
	CLEANUP(free_charp) char *name = xasprintf("%s-wal", path);
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char first;
	bool is_empty;

	if (fd < 0)
		return true;
	is_empty = read(fd, &first, 1) <= 0;
	(void)close(fd);
	return is_empty;
}

static int64_t count_of(sqlite3 *handle, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW)
		n = sqlite3_column_int64(s, 0);
	(void)sqlite3_finalize(s);
	return n;
}

static void append_uri(struct buf *out, const char *path)
{
	buf_printf(out, "file:");
	for (; *path; path++) {
		if (strchr("?#%", *path))
			buf_printf(out, "%%%02x", (unsigned char)*path);
		else
			buf_putc(out, *path);
	}
	buf_printf(out, "?immutable=1");
}

/* Reads the file alone, as if it could not change: no lock, no log, no index. */
static bool has_our_shape(const char *path)
{
	static const char TABLES[] = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
	static const char OURS[] =
		"SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND "
		"(name IN ('org', 'wallet', 'entry', 'hold', 'api_key') OR (name = 'migration' AND "
		"sql LIKE 'CREATE TABLE migration (version BIGINT NOT NULL PRIMARY KEY%'))";
	struct buf uri = BUF_INIT;
	sqlite3 *handle = NULL;
	int64_t tables = -1, ours = -1;

	append_uri(&uri, path);
	if (sqlite3_open_v2(buf_text(&uri), &handle,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			    NULL) == SQLITE_OK) {
		tables = count_of(handle, TABLES);
		ours = count_of(handle, OURS);
	}
	(void)sqlite3_close(handle);
	buf_finish(&uri);
	if (tables == 0)
		return log_is_empty(path) || log_begins_ours(path);
	return ours == 6;
}

static enum db_status refuse(const char *path, struct err *err, const char *what)
{
	err_set(err, "%s: %s; %s", path, what, ADVICE);
	return DB_BROKEN;
}

static enum db_status identify_header(const unsigned char *header, const char *path,
				      enum store_kind *out, struct err *err)
{
	uint32_t id = number_at(header, AT_APPLICATION_ID);

	if (memcmp(header, MAGIC, sizeof(MAGIC)) != 0)
		return refuse(path, err, "is no store of farebox, or damaged");
	*out = id == STORE_APPLICATION_ID ? STORE_IS_OURS : STORE_IS_MARKLESS;
	if (*out == STORE_IS_OURS)
		return DB_OK;
	if (id || number_at(header, AT_USER_VERSION) || !has_our_shape(path))
		return refuse(path, err, "is the database of another program");
	return DB_OK;
}

/* Through SQLite's own descriptor: closing another would drop its locks. */
static bool read_header(sqlite3 *handle, unsigned char *header)
{
	sqlite3_file *file = NULL;

	return sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file) ==
		       SQLITE_OK &&
	       file->pMethods && file->pMethods->xRead(file, header, HEADER_BYTES, 0) == SQLITE_OK;
}

enum db_status store_identify(sqlite3 *handle, const char *path, enum db_purpose purpose,
			      enum store_kind *out, struct err *err)
{
	unsigned char header[HEADER_BYTES] = {0};
	struct stat st;

	*out = STORE_IS_NEW;
	if (stat(path, &st) != 0) {
		err_set(err, "%s: %s", path, strerror(errno));
		return DB_FAILED;
	}
	if (st.st_size == 0) {
		if (purpose == DB_MAKE)
			return DB_OK;
		err_set(err,
			"%s: is empty; put the store back, or start farebox again to begin a new "
			"one",
			path);
		return DB_FAILED;
	}
	if (st.st_size < HEADER_BYTES)
		return refuse(path, err, "is no store of farebox, or damaged");
	if (!read_header(handle, header)) {
		err_set(err, "%s: cannot be read", path);
		return DB_FAILED;
	}
	return identify_header(header, path, out, err);
}

bool store_is_whole(sqlite3 *handle, const char *path)
{
	unsigned char header[HEADER_BYTES] = {0};
	struct stat st;

	return stat(path, &st) == 0 && read_header(handle, header) && is_whole(header, st.st_size);
}
