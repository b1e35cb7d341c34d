#include "base/id.h"

#include "base/digest.h"
#include "base/secret.h"

#include <string.h>

const struct id ID_NONE;

void id_source_init(struct id_source *s)
{
	memset(s, 0, sizeof(*s));
	s->random_used = sizeof(s->random);
}

struct id id_make(struct id_source *s, struct walltime now)
{
	struct id id;

	/* At 4096 ids a millisecond the counter runs over into the next one. */
	if (now.ms > s->ms) {
		s->ms = now.ms;
		s->counter = 0;
	} else if (++s->counter > 0xfff) {
		s->ms++;
		s->counter = 0;
	}
	if (s->random_used + 8 > sizeof(s->random)) {
		random_bytes(s->random, sizeof(s->random));
		s->random_used = 0;
	}
	for (int i = 0; i < 6; i++)
		id.b[i] = (uint8_t)(s->ms >> (40 - 8 * i));
	id.b[6] = (uint8_t)(0x70 | s->counter >> 8);
	id.b[7] = (uint8_t)s->counter;
	memcpy(id.b + 8, s->random + s->random_used, 8);
	s->random_used += 8;
	id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
	return id;
}

struct walltime id_time(struct id id)
{
	struct walltime t = {0};

	for (int i = 0; i < 6; i++)
		t.ms = t.ms << 8 | id.b[i];
	return t;
}

bool id_eq(struct id a, struct id b)
{
	return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

bool id_is_none(struct id a)
{
	return id_eq(a, ID_NONE);
}

void id_text(const char *prefix, struct id id, char out[ID_TEXT_SIZE])
{
	size_t n = strlen(prefix);

	CHECK(n + 1 + 2 * sizeof(id.b) + 1 <= ID_TEXT_SIZE);
	memcpy(out, prefix, n);
	out[n] = '_';
	hex_encode(id.b, sizeof(id.b), out + n + 1);
}

bool id_parse(const char *prefix, struct slice text, struct id *out)
{
	size_t n = strlen(prefix);
	struct id id;

	if (text.len != n + 1 + 2 * sizeof(id.b) || memcmp(text.p, prefix, n) != 0 ||
	    text.p[n] != '_')
		return false;
	if (!hex_decode((struct slice){.p = text.p + n + 1, .len = text.len - n - 1}, id.b))
		return false;
	*out = id;
	return true;
}
