#ifndef SIGNALS_BOARDS_H
#define SIGNALS_BOARDS_H

/*
 * Public job boards that need no key: where a company's board is and how its answer is read.
 */

#include "base/buf.h"
#include "base/err.h"
#include "signals/posting.h"

/* In the order in which a guessed name is believed. */
enum board_kind {
	BOARD_GREENHOUSE,
	BOARD_LEVER,
	BOARD_ASHBY,
};
#define BOARD_KINDS 3

const char *board_name(enum board_kind kind);
const char *board_base_url(enum board_kind kind); /* the public one */

/* The address of a board below base_url; the caller frees it. The full listing has departments
 * where the short one may lack them, and is many times larger. */
char *board_url(enum board_kind kind, const char *base_url, const char *board, bool is_full);
bool board_has_short_listing(enum board_kind kind);

/* Appends the open jobs of an answer. False when it is not what this board answers; then nothing
 * was added. Prospect posts and unlisted jobs are not open jobs. */
MUST_USE bool board_parse(enum board_kind kind, struct slice body, struct postings *out,
			  struct err *err);

#endif
