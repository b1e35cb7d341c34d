#include "base/printable.h"

#include <stdio.h>

static bool must_escape(int32_t code)
{
	static const struct {
		int32_t first, last;
	} RANGES[] = {
		{0x00, 0x1f},       /* C0 */
		{0x7f, 0x9f},       /* DEL and C1 */
		{0xad, 0xad},       /* a hyphen that is not seen */
		{0x61c, 0x61c},     /* Arabic letter mark */
		{0x115f, 0x1160},   /* fillers */
		{0x180b, 0x180f},   /* Mongolian selectors and separator */
		{0x200b, 0x200f},   /* zero width, and marks of direction */
		{0x2028, 0x202e},   /* separators of lines; embeddings and overrides */
		{0x2060, 0x206f},   /* invisible operators, isolates */
		{0x3164, 0x3164},   /* a filler */
		{0xd800, 0xdfff},   /* surrogates */
		{0xfeff, 0xfeff},   /* byte order mark */
		{0xfff9, 0xfffb},   /* interlinear marks */
		{0xe0000, 0xe0fff}, /* tags */
	};

	for (size_t i = 0; i < ARRAY_LEN(RANGES); i++) {
		if (code >= RANGES[i].first && code <= RANGES[i].last)
			return true;
	}
	return false;
}

size_t printable_next(struct slice text, int32_t *out_code)
{
	static const int32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text.p;
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	int32_t code = len == 1 ? p[0] : p[0] & (0x7f >> len);

	*out_code = PRINTABLE_NO_UTF8;
	if ((p[0] >= 0x80 && p[0] < 0xc0) || p[0] > 0xf4 || len > text.len)
		return 1;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 1;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < LEAST[len])
		return 1;
	*out_code = must_escape(code) ? code : PRINTABLE_AS_IT_IS;
	return len;
}

size_t printable_escape(int32_t code, char byte, char out[PRINTABLE_ESCAPE_BYTES_MAX + 1])
{
	unsigned point = (unsigned)code;
	int n;

	if (code == PRINTABLE_NO_UTF8)
		n = snprintf(out, PRINTABLE_ESCAPE_BYTES_MAX + 1, "\\x%02x", (unsigned char)byte);
	else if (code < 0x10000)
		n = snprintf(out, PRINTABLE_ESCAPE_BYTES_MAX + 1, "\\u%04x", point);
	else
		n = snprintf(out, PRINTABLE_ESCAPE_BYTES_MAX + 1, "\\u%04x\\u%04x",
			     0xd800 + ((point - 0x10000) >> 10), 0xdc00 + (point & 0x3ff));
	return (size_t)n;
}

void printable_append(struct slice text, bool may_break, struct buf *out)
{
	char escape[PRINTABLE_ESCAPE_BYTES_MAX + 1];

	for (size_t i = 0; i < text.len;) {
		struct slice rest = {.p = text.p + i, .len = text.len - i};
		int32_t code;
		size_t len = printable_next(rest, &code);

		if (code == PRINTABLE_AS_IT_IS || (may_break && (code == '\n' || code == '\t')))
			buf_append(out, rest.p, len);
		else
			buf_append(out, escape, printable_escape(code, *rest.p, escape));
		i += len;
	}
}
