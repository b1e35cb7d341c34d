#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * key=value lines on stderr. Lower layers return, the top logs, once. LOG_FAULT: someone must act;
 * LOG_WARN: we coped; LOG_INFO: life cycle and money moves; LOG_DEBUG: the rest. Secrets, prompts
 * and card data never. Healthy lines do not hold the word "error", because a host marks a server
 * that prints it as failed; that is why the level reads "fault" on the line.
 *
 * A host may never read our stderr: lines are dropped, not waited for, when it would block.
 */

#include "base/clock.h"

enum log_level {
	LOG_FAULT,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* Reads error, warn, info or debug; false for another word. The default is warn. */
MUST_USE bool log_level_set(const char *word);
bool log_is_on(enum log_level level);

/*
 * One line; fmt gives "event=... key=value ...". Quoting is the caller's: use log_quote.
 *
 * Warnings of one event and reason that come again and again are counted: LOG_SAME_MAX of them are
 * printed in a window of LOG_SAME_WINDOW_MS, and after it "event=repeated" says how many were not.
 * One that names a call is a fact of its own and always printed.
 */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Says how many lines were not printed, of the windows that are over, or of all: at the end. */
void log_settle(struct boottime now);
void log_settle_all(void);

/* Formats text of unknown origin as a value: quoted where needed, what is not printable escaped,
 * secrets struck, cut at 200 bytes. Borrowed from a small ring: valid for the next 4 calls. */
const char *log_quote(const char *text);

#define log_fault(...) log_line(LOG_FAULT, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_is_on(LOG_DEBUG))                                                          \
			log_line(LOG_DEBUG, __VA_ARGS__);                                          \
	} while (0)

#endif
