#include "signals/marks.h"

#include "base/digest.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
	MARK_TEXT_LEN = 16,
	RANK_MAX = 15,
	RANK_SHIFT = 60,
};

/* FNV-1a, then the bits are mixed so that the smallest are a fair sample. */
uint64_t mark_of(struct slice text, unsigned rank)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (unsigned char)text.p[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	if (rank > RANK_MAX)
		rank = RANK_MAX;
	return h >> 4 | (uint64_t)rank << RANK_SHIFT;
}

void marks_add(struct marks *m, uint64_t mark)
{
	if (m->n == m->size) {
		m->size = m->size == 0 ? 64 : m->size * 2;
		m->v = xrealloc_array(m->v, m->size, sizeof(*m->v));
	}
	m->v[m->n++] = mark;
}

static int compare_marks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void marks_settle(struct marks *m)
{
	size_t n = 0;

	if (m->n == 0)
		return;
	qsort(m->v, m->n, sizeof(*m->v), compare_marks);
	for (size_t i = 0; i < m->n; i++) {
		if (n == 0 || m->v[n - 1] != m->v[i])
			m->v[n++] = m->v[i];
	}
	m->n = n;
	if (m->n > MARKS_MAX) {
		m->n = MARKS_MAX;
		m->is_cut = true;
	}
}

void marks_finish(struct marks *m)
{
	free(m->v);
	memset(m, 0, sizeof(*m));
}

bool marks_is_new(const struct marks *before, uint64_t mark)
{
	if (before->n == 0)
		return true;
	if (before->is_cut && mark > before->v[before->n - 1])
		return false;
	return bsearch(&mark, before->v, before->n, sizeof(mark), compare_marks) == NULL;
}

size_t marks_count_new(const struct marks *before, const struct marks *now)
{
	size_t n = 0;

	for (size_t i = 0; i < now->n; i++)
		n += marks_is_new(before, now->v[i]);
	return n;
}

void marks_write(const struct marks *m, struct buf *out)
{
	char text[MARK_TEXT_LEN + 1];

	for (size_t i = 0; i < m->n; i++) {
		uint8_t b[8];

		for (size_t k = 0; k < sizeof(b); k++)
			b[k] = (uint8_t)(m->v[i] >> (56 - 8 * k));
		hex_encode(b, sizeof(b), text);
		buf_append(out, text, MARK_TEXT_LEN);
	}
	if (m->is_cut)
		buf_putc(out, '+');
}

static bool read_mark(const char *p, uint64_t *out)
{
	uint8_t b[8];
	uint64_t v = 0;

	if (!hex_decode((struct slice){p, MARK_TEXT_LEN}, b))
		return false;
	for (size_t k = 0; k < sizeof(b); k++)
		v = v << 8 | b[k];
	*out = v;
	return true;
}

bool marks_read(struct slice text, struct marks *out)
{
	struct marks m = {0};
	size_t n = text.len / MARK_TEXT_LEN;

	if (text.len % MARK_TEXT_LEN == 1 && text.p[text.len - 1] == '+')
		m.is_cut = true;
	else if (text.len % MARK_TEXT_LEN != 0)
		return false;
	if (n > MARKS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint64_t mark;

		if (!read_mark(text.p + i * MARK_TEXT_LEN, &mark) ||
		    (i > 0 && mark <= m.v[i - 1])) {
			marks_finish(&m);
			return false;
		}
		marks_add(&m, mark);
	}
	*out = m;
	return true;
}
