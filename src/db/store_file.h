#ifndef DB_STORE_FILE_H
#define DB_STORE_FILE_H

/*
 * The file that a SQLite store is, and the files beside it: under which name it is, whether the
 * files at those names are still the ones that are open. All names are made from the resolved path,
 * so that a symbolic link is the same store; a file with a second name of its own is refused,
 * because a log belongs to one name.
 */

#include "base/err.h"
#include "db/db.h"
#include "db/turn.h"

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct file_mark {
	dev_t dev;
	ino_t ino; /* 0: none */
};

/* Those of STORE_BESIDE first, in the order of its suffixes. */
enum store_part {
	STORE_LOG,
	STORE_INDEX,
	STORE_QUEUE,
	STORE_LOCK,
	STORE_PARTS,
};

enum store_state {
	STORE_SAME,
	STORE_GONE,   /* nothing is at the store's path */
	STORE_OTHER,  /* another file is there */
	STORE_LINKED, /* it has a second name */
	STORE_BESIDE, /* a file beside it was removed or replaced */
	STORE_FAULT,  /* errno */
};

struct store_file {
	char *name; /* as it was given */
	char *path; /* resolved */
	char *beside[STORE_PARTS];
	int folder;
	struct file_mark main, parts[STORE_PARTS];
	/* While the folder has not changed since then, nothing beside the file has. */
	bool is_quiet;
	struct timespec folder_changed;
};

/* Finds the file, makes it where purpose allows it, refuses what cannot be a store. Nothing is left
 * behind when it is refused. */
MUST_USE enum db_status store_file_find(struct store_file *f, const char *name,
					enum db_purpose purpose, struct err *err);
/* Of one that is all zero, too. */
void store_file_finish(struct store_file *f);

/* Only its owner may read it and what lies beside it. Modes that are too wide are narrowed; where
 * that is not allowed, it is refused. */
MUST_USE enum db_status store_file_narrow(struct store_file *f, struct err *err);

/*
 * Within the turn, before SQLite reads anything: a log whose file was replaced is set aside, so
 * that it is not taken for the new file's. DB_BUSY while another process still has to save a log
 * that was removed under it.
 */
MUST_USE enum db_status store_file_claim(struct store_file *f, const struct turn *turn,
					 enum db_purpose purpose, struct err *err);
/* Within the turn, when SQLite has opened its log: what store_file_look compares with. */
void store_file_mark(struct store_file *f, const struct turn *turn, enum db_purpose purpose);

/* Costs one stat of the file and one of its folder as long as that is quiet. */
enum store_state store_file_look(struct store_file *f);
/* Whether the file of that part is the one that was marked; *out_is_there: there is any. */
bool store_file_has(const struct store_file *f, enum store_part part, bool *out_is_there);

/* Whether there is a log with something in it. */
bool store_file_has_log(const struct store_file *f);

#endif
