#include "base/log.h"

#include "base/printable.h"
#include "base/vault.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level level_now = LOG_WARN;

bool log_level_set(const char *word)
{
	static const char *const WORDS[] = {"error", "warn", "info", "debug"};

	for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
		if (strcmp(word, WORDS[i]) == 0) {
			level_now = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_is_on(enum log_level level)
{
	return level <= level_now;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const NAMES[] = {"fault", "warn", "info", "debug"};
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	int errno_before = errno;
	struct timespec now;
	struct tm utc;
	char line[2048];
	va_list ap;
	size_t n;
	int more;

	if (!log_is_on(level))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	n = strftime(line, sizeof(line), "time=%Y-%m-%dT%H:%M:%S", &utc);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ level=%s ",
			      now.tv_nsec / 1000000, NAMES[level]);
	va_start(ap, fmt);
	more = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (more > 0)
		n += (size_t)more < sizeof(line) - n - 1 ? (size_t)more : sizeof(line) - n - 2;
	n = vault_strike_text(line, n);
	line[n++] = '\n';
	/* Nobody may be reading: a line that would block is dropped. */
	if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT))
		(void)!write(STDERR_FILENO, line, n);
	errno = errno_before;
}

const char *log_quote(const char *text)
{
	static char ring[4][256];
	static unsigned int turn;
	char *out = ring[turn++ % 4];
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
