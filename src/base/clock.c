#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS_PER_DAY (INT64_C(24) * 60 * 60 * 1000)

struct walltime clock_wall(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
	return (struct walltime){.ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

struct boottime clock_boot(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_BOOTTIME, &t) == 0);
	return (struct boottime){.ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

int64_t clock_thread_cpu_ns(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct boottime boottime_after(struct boottime t, int64_t ms)
{
	return (struct boottime){.ms = t.ms + ms};
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

void clock_boot_id(uint8_t out[16])
{
	char text[64];
	size_t digits = 0;
	ssize_t n = -1;
	int fd;

	memset(out, 0, 16);
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text));
		(void)close(fd);
	}
	for (ssize_t i = 0; i < n && digits < 32; i++) {
		int d = hex_digit(text[i]);

		if (d < 0)
			continue;
		out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | d);
		digits++;
	}
}

static struct walltime real_wall(void *arg)
{
	(void)arg;
	return clock_wall();
}

static struct boottime real_boot(void *arg)
{
	(void)arg;
	return clock_boot();
}

void clocks_init(struct clocks *out)
{
	*out = (struct clocks){.wall = real_wall, .boot = real_boot};
	clock_boot_id(out->boot_id);
}

/* Days of the civil calendar, after Howard Hinnant's public description of the algorithm. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	int64_t era, yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, int64_t *m, int64_t *d)
{
	int64_t era, doe, yoe, doy, mp;

	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = yoe + era * 400 + (*m <= 2);
}

int64_t walltime_day(struct walltime t)
{
	return t.ms >= 0 ? t.ms / MS_PER_DAY : -((-t.ms + MS_PER_DAY - 1) / MS_PER_DAY);
}

int64_t walltime_month(struct walltime t)
{
	int64_t y, m, d;

	civil_from_days(walltime_day(t), &y, &m, &d);
	return y * 100 + m;
}

struct walltime walltime_of_month(int64_t month)
{
	return (struct walltime){.ms = days_from_civil(month / 100, month % 100, 1) * MS_PER_DAY};
}

struct walltime walltime_of_day(int64_t day)
{
	return (struct walltime){.ms = day * MS_PER_DAY};
}

struct walltime walltime_next_month(struct walltime t)
{
	int64_t month = walltime_month(t);

	return walltime_of_month(month % 100 == 12 ? month + 89 : month + 1);
}

void walltime_text(struct walltime t, char out[WALLTIME_TEXT_SIZE])
{
	int64_t day = walltime_day(t);
	int64_t s = (t.ms - day * MS_PER_DAY) / 1000;
	int64_t y, m, d;

	civil_from_days(day, &y, &m, &d);
	(void)snprintf(out, WALLTIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)y, (int)m,
		       (int)d, (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

void day_text(int64_t day, char out[WALLTIME_TEXT_SIZE])
{
	int64_t y, m, d;

	civil_from_days(day, &y, &m, &d);
	(void)snprintf(out, WALLTIME_TEXT_SIZE, "%04d-%02d-%02d", (int)y, (int)m, (int)d);
}

/* Reads n digits at p. */
static bool digits(const char *p, size_t n, int64_t max, int64_t *out)
{
	return parse_i64((struct slice){.p = p, .len = n}, 0, max, out) && p[0] != '-';
}

bool day_parse(struct slice text, int64_t *out_day)
{
	int64_t y, m, d, y2, m2, d2, day;

	if (text.len != 10 || text.p[4] != '-' || text.p[7] != '-')
		return false;
	if (!digits(text.p, 4, 9999, &y) || !digits(text.p + 5, 2, 12, &m) ||
	    !digits(text.p + 8, 2, 31, &d) || y < 1970)
		return false;
	day = days_from_civil(y, m, d);
	civil_from_days(day, &y2, &m2, &d2);
	if (y != y2 || m != m2 || d != d2)
		return false;
	*out_day = day;
	return true;
}

bool walltime_parse(struct slice text, struct walltime *out)
{
	int64_t day, h, min, s, ms = 0, scale = 100, off_h = 0, off_min = 0, sign = 0;
	size_t at = 19;

	if (text.len < 20 || !day_parse((struct slice){.p = text.p, .len = 10}, &day))
		return false;
	if ((text.p[10] != 'T' && text.p[10] != 't' && text.p[10] != ' ') || text.p[13] != ':' ||
	    text.p[16] != ':')
		return false;
	if (!digits(text.p + 11, 2, 23, &h) || !digits(text.p + 14, 2, 59, &min) ||
	    !digits(text.p + 17, 2, 60, &s))
		return false;
	if (text.p[at] == '.') {
		for (at++; at < text.len && text.p[at] >= '0' && text.p[at] <= '9'; at++) {
			ms += (text.p[at] - '0') * scale;
			scale /= 10;
		}
	}
	if (at + 1 == text.len && (text.p[at] == 'Z' || text.p[at] == 'z')) {
		sign = 0;
	} else if (at + 6 == text.len && (text.p[at] == '+' || text.p[at] == '-') &&
		   text.p[at + 3] == ':') {
		sign = text.p[at] == '+' ? -1 : 1;
		if (!digits(text.p + at + 1, 2, 23, &off_h) ||
		    !digits(text.p + at + 4, 2, 59, &off_min))
			return false;
	} else {
		return false;
	}
	out->ms = day * MS_PER_DAY + (h * 3600 + min * 60 + s) * 1000 + ms +
		  sign * (off_h * 60 + off_min) * 60 * 1000;
	return true;
}
