#include "base/suggest.h"

#include "base/limits.h"

#include <string.h>

#define LEN_MAX TOOL_NAME_BYTES_MAX

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t edit_distance(const char *a, const char *b)
{
	/* Rows of the table: that before the last, the last, and the one that is made. */
	size_t rows[3][LEN_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a > LEN_MAX || len_b > LEN_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= len_b; j++)
		last[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[len_b];
}

/* One slip in a short word, one more for every four characters. */
static size_t distance_allowed(const char *typed)
{
	return 1 + strlen(typed) / 4;
}

void suggestion_init(struct suggestion *s, const char *typed)
{
	*s = (struct suggestion){.typed = typed, .distance = distance_allowed(typed) + 1};
}

void suggestion_offer(struct suggestion *s, const char *candidate)
{
	size_t distance = edit_distance(s->typed, candidate);
	size_t len = strlen(s->typed);

	/* A word that was not typed to its end. */
	if (len >= 3 && strncmp(candidate, s->typed, len) == 0 && distance > 1)
		distance = 1;
	if (distance < s->distance) {
		s->distance = distance;
		s->found = candidate;
	}
}
