#ifndef DB_SQLITE_IDENTITY_H
#define DB_SQLITE_IDENTITY_H

/*
 * Whether a SQLite file is a store of ours. Found out without writing a byte and without a lock, so
 * that what is refused is as it was.
 */

#include "base/err.h"
#include "db/db.h"

#include <sqlite3.h>

/* "fbox", in the header of every store. */
#define STORE_APPLICATION_ID 0x66626f78

enum store_kind {
	STORE_IS_NEW,     /* empty */
	STORE_IS_OURS,    /* says so */
	STORE_IS_MARKLESS /* has our tables, of before there was a mark; or no table at all */
};

/* handle has been opened and not used; path is the file's own. */
MUST_USE enum db_status store_identify(sqlite3 *handle, const char *path, enum db_purpose purpose,
				       enum store_kind *out, struct err *err);

/* Whether a file that was put there is all there: what is copied just now is not. Says nothing of
 * one with a log beside it. */
bool store_is_whole(sqlite3 *handle, const char *path);

#endif
