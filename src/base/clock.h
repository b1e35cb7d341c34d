#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * The only source of time. Wall time is for people and calendars; the boot clock, which counts
 * suspended time and never steps, is for deadlines and leases. The two are different types, so
 * that they cannot be mixed.
 */

#include "base/base.h"

struct walltime {
	int64_t ms; /* since 1970, UTC */
};

struct boottime {
	int64_t ms; /* since boot, CLOCK_BOOTTIME */
};

struct walltime clock_wall(void);
struct boottime clock_boot(void);
/* Processor time of this thread, in nanoseconds: a system call. */
int64_t clock_thread_cpu_ns(void);
struct boottime boottime_after(struct boottime t, int64_t ms);

/* Where a store's time comes from; another one than this machine's stands in for a second machine.
 */
struct clocks {
	struct walltime (*wall)(void *arg);
	struct boottime (*boot)(void *arg);
	uint8_t boot_id[16];
	void *arg;
};

/* This machine's. */
void clocks_init(struct clocks *out);

/* This boot's id, 16 bytes of /proc/sys/kernel/random/boot_id; all zero where there is none. */
void clock_boot_id(uint8_t out[16]);

/* The UTC calendar: days since 1970, and year * 100 + month. */
int64_t walltime_day(struct walltime t);
int64_t walltime_month(struct walltime t);
/* The first instant of the UTC month after the one of t. */
struct walltime walltime_next_month(struct walltime t);
struct walltime walltime_of_day(int64_t day);
struct walltime walltime_of_month(int64_t month);

/* "2026-11-21T08:00:00Z" and "2026-11-21". */
#define WALLTIME_TEXT_SIZE 32
void walltime_text(struct walltime t, char out[WALLTIME_TEXT_SIZE]);
void day_text(int64_t day, char out[WALLTIME_TEXT_SIZE]);
/* Reads "YYYY-MM-DD" strictly, a real date between 1970 and 9999. */
MUST_USE bool day_parse(struct slice text, int64_t *out_day);
/* Reads an RFC 3339 date-time, fraction and offset allowed. */
MUST_USE bool walltime_parse(struct slice text, struct walltime *out);

#endif
