#include "signals/text.h"

#include <string.h>

size_t text_blank_len(const char *p, const char *end)
{
	unsigned char c = (unsigned char)*p;

	if (c <= ' ' || c == 0x7f)
		return 1;
	if (c == 0xc2 && end - p > 1 && (unsigned char)p[1] == 0xa0)
		return 2;
	return 0;
}

char *text_clean(struct slice text, size_t bytes_max)
{
	struct buf out = BUF_INIT;
	const char *end = text.len > 0 ? text.p + text.len : text.p;
	bool wants_blank = false;

	for (const char *p = text.p; p < end;) {
		size_t n = text_blank_len(p, end);

		if (n > 0) {
			wants_blank = out.len > 0;
			p += n;
			continue;
		}
		if (wants_blank)
			buf_putc(&out, ' ');
		wants_blank = false;
		buf_putc(&out, *p++);
		if (out.len > bytes_max)
			break;
	}
	if (out.len > bytes_max) {
		size_t cut = bytes_max;

		while (cut > 0 && ((unsigned char)out.p[cut] & 0xc0) == 0x80)
			cut--;
		while (cut > 0 && out.p[cut - 1] == ' ')
			cut--;
		out.p[cut] = '\0';
		out.len = cut;
	}
	return buf_steal(&out);
}

char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool ascii_is_alpha(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool ascii_eq_nocase(struct slice a, const char *b)
{
	size_t i;

	for (i = 0; i < a.len && b[i] != '\0'; i++) {
		if (ascii_lower(a.p[i]) != ascii_lower(b[i]))
			return false;
	}
	return i == a.len && b[i] == '\0';
}
