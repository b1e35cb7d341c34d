#include "base/log.h"

#include "base/limits.h"
#include "base/printable.h"
#include "base/vault.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUOTED_SIZE  256
#define QUOTED_TEXTS 4

/* Warnings of one event and reason, in their window. */
struct sort {
	uint64_t hash; /* 0: free */
	struct boottime since;
	size_t printed, left_out;
	char event[48];
};

static struct {
	enum log_level level;
	struct sort sorts[LOG_SORTS_MAX];
	size_t left_out; /* of all of them */
	char quoted[QUOTED_TEXTS][QUOTED_SIZE];
	unsigned int turn;
} state = {.level = LOG_WARN};

bool log_level_set(const char *word)
{
	static const char *const WORDS[] = {"error", "warn", "info", "debug"};

	for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
		if (strcmp(word, WORDS[i]) == 0) {
			state.level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_is_on(enum log_level level)
{
	return level <= state.level;
}

static void print(enum log_level level, const char *text)
{
	static const char *const NAMES[] = {"fault", "warn", "info", "debug"};
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	struct timespec now;
	struct tm utc;
	char line[2048];
	size_t n;
	int more;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	n = strftime(line, sizeof(line), "time=%Y-%m-%dT%H:%M:%S", &utc);
	more = snprintf(line + n, sizeof(line) - n - 1, ".%03ldZ level=%s %s",
			now.tv_nsec / 1000000, NAMES[level], text);
	if (more > 0)
		n += (size_t)more < sizeof(line) - n - 1 ? (size_t)more : sizeof(line) - n - 2;
	n = vault_strike_text(line, n);
	line[n++] = '\n';
	/* Nobody may be reading: a line that would block is dropped. */
	if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT))
		(void)!write(STDERR_FILENO, line, n);
}

/* The value behind a key, with its quotes; empty when the line has none. */
static struct slice value_of(const char *text, const char *key)
{
	const char *p = strstr(text, key);
	size_t len = 0;

	if (!p)
		return (struct slice){.p = "", .len = 0};
	p += strlen(key);
	if (*p == '"') {
		for (len = 1; p[len] && p[len] != '"'; len++)
			len += p[len] == '\\' && p[len + 1];
	} else {
		len = strcspn(p, " ");
	}
	return (struct slice){.p = p, .len = len};
}

/* FNV-1a. */
static uint64_t hash_more(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.p[i]) * UINT64_C(0x100000001b3);
	return hash * UINT64_C(0x100000001b3);
}

static void end_sort(struct sort *sort)
{
	char text[128];

	if (sort->left_out) {
		(void)snprintf(text, sizeof(text), "event=repeated of=%s repeated=%zu", sort->event,
			       sort->left_out);
		print(LOG_WARN, text);
	}
	state.left_out -= sort->left_out;
	*sort = (struct sort){.hash = 0};
}

static bool is_over(const struct sort *sort, struct boottime now)
{
	return sort->hash && now.ms - sort->since.ms >= LOG_SAME_WINDOW_MS;
}

void log_settle(struct boottime now)
{
	for (size_t i = 0; state.left_out && i < LOG_SORTS_MAX; i++) {
		if (is_over(&state.sorts[i], now))
			end_sort(&state.sorts[i]);
	}
}

void log_settle_all(void)
{
	for (size_t i = 0; i < LOG_SORTS_MAX; i++)
		end_sort(&state.sorts[i]);
}

/* The one that it belongs to; a new one takes the place of the oldest. */
static struct sort *sort_of(uint64_t hash, struct slice event, struct boottime now)
{
	struct sort *oldest = &state.sorts[0];

	for (size_t i = 0; i < LOG_SORTS_MAX; i++) {
		struct sort *sort = &state.sorts[i];

		if (sort->hash == hash && !is_over(sort, now))
			return sort;
		if (!sort->hash || (oldest->hash && sort->since.ms < oldest->since.ms))
			oldest = sort;
	}
	end_sort(oldest);
	*oldest = (struct sort){.hash = hash, .since = now};
	(void)snprintf(oldest->event, sizeof(oldest->event), "%.*s", (int)event.len, event.p);
	return oldest;
}

/* Counts it; true when there were enough of its sort. */
static bool is_repeated(const char *text)
{
	struct slice event = value_of(text, "event=");
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct sort *sort;

	if (!event.len || strstr(text, " call="))
		return false;
	hash = hash_more(hash_more(hash, event), value_of(text, " reason="));
	sort = sort_of(hash | 1, event, clock_boot());
	if (sort->printed < LOG_SAME_MAX) {
		sort->printed++;
		return false;
	}
	sort->left_out++;
	state.left_out++;
	return true;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int errno_before = errno;
	char text[2048];
	va_list ap;

	if (!log_is_on(level))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (level != LOG_WARN || !is_repeated(text))
		print(level, text);
	errno = errno_before;
}

const char *log_quote(const char *text)
{
	char *out = state.quoted[state.turn++ % QUOTED_TEXTS];
	char escape[PRINTABLE_ESCAPE_BYTES_MAX + 1];
	bool is_plain = text[0] != '\0';
	char clean[512];
	struct slice rest = {.p = clean, .len = strnlen(text, sizeof(clean))};
	size_t n = 0, len;
	int32_t code;

	/* Before the text is cut, or half of a secret would be left. */
	memcpy(clean, text, rest.len);
	rest.len = vault_strike_text(clean, rest.len);
	for (size_t i = 0; i < rest.len && is_plain; i++)
		is_plain = clean[i] > ' ' && clean[i] < 0x7f && !strchr("\"\\=", clean[i]);
	if (is_plain && rest.len <= 200) {
		memcpy(out, clean, rest.len);
		out[rest.len] = '\0';
		return out;
	}
	out[n++] = '"';
	for (; rest.len && n < 200; rest.p += len, rest.len -= len) {
		len = printable_next(rest, &code);
		if (code != PRINTABLE_AS_IT_IS) {
			/* One within a line reads as the space that it was. */
			bool is_space = code > 0 && code < ' ' && strchr("\t\n\r", code);
			size_t size = printable_escape(code, *rest.p, escape);

			memcpy(out + n, is_space ? " " : escape, is_space ? 1 : size);
			n += is_space ? 1 : size;
			continue;
		}
		if (*rest.p == '"' || *rest.p == '\\')
			out[n++] = '\\';
		memcpy(out + n, rest.p, len);
		n += len;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}
