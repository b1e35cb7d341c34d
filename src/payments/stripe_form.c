/*
 * application/x-www-form-urlencoded, as a body and as a query alike. Stripe takes brackets escaped.
 */

#include "payments/stripe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define I64_TEXT_SIZE 24

static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c));
}

static void escape(struct buf *out, const char *text)
{
	static const char DIGITS[] = "0123456789ABCDEF";

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (is_plain(c)) {
			buf_putc(out, *text);
			continue;
		}
		buf_putc(out, '%');
		buf_putc(out, DIGITS[c >> 4]);
		buf_putc(out, DIGITS[c & 15]);
	}
}

void stripe_form(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	if (out->len)
		buf_putc(out, '&');
	escape(out, key);
	buf_putc(out, '=');
	escape(out, value);
}

void stripe_form_i64(struct buf *out, const char *key, int64_t value)
{
	char text[I64_TEXT_SIZE];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	stripe_form(out, key, text);
}

void stripe_form_bool(struct buf *out, const char *key, bool value)
{
	stripe_form(out, key, value ? "true" : "false");
}

void stripe_form_cents(struct buf *out, const char *key, struct cents value)
{
	char text[MONEY_TEXT_SIZE];

	cents_text(value, text);
	stripe_form(out, key, text);
}
