#include "rpc/id.h"

#include "base/limits.h"
#include "rpc/rpc.h"
#include "json/edge.h"

#include <stdio.h>
#include <string.h>

/* More would not fit into an id's text anyway, and sums of it stay far from overflow. */
#define EXPONENT_MAX 1000000

/* value = whole.fraction x 10^exponent; the fraction has no zeros at its end. */
struct number {
	bool is_negative;
	struct slice whole;
	struct slice fraction;
	int64_t exponent;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct slice take_digits(struct slice *text)
{
	struct slice digits = {.p = text->p, .len = 0};

	while (digits.len < text->len && is_digit(text->p[digits.len]))
		digits.len++;
	text->p += digits.len;
	text->len -= digits.len;
	return digits;
}

static bool take(struct slice *text, char a, char b)
{
	if (!text->len || (*text->p != a && *text->p != b))
		return false;
	text->p++;
	text->len--;
	return true;
}

static bool take_exponent(struct slice *text, int64_t *out)
{
	bool is_negative = false;
	struct slice digits;
	int64_t v = 0;

	if (!take(text, 'e', 'E'))
		return true;
	if (take(text, '-', '-'))
		is_negative = true;
	else
		(void)take(text, '+', '+');
	digits = take_digits(text);
	if (!digits.len)
		return false;
	for (size_t i = 0; i < digits.len && v < EXPONENT_MAX; i++)
		v = v * 10 + (digits.p[i] - '0');
	*out = is_negative ? -v : v;
	return true;
}

/* The grammar of JSON. */
static bool number_parse(struct slice text, struct number *out)
{
	struct number n = {.is_negative = take(&text, '-', '-')};

	n.whole = take_digits(&text);
	if (!n.whole.len || (n.whole.len > 1 && n.whole.p[0] == '0'))
		return false;
	if (take(&text, '.', '.')) {
		n.fraction = take_digits(&text);
		if (!n.fraction.len)
			return false;
	}
	if (!take_exponent(&text, &n.exponent) || text.len)
		return false;
	while (n.fraction.len && n.fraction.p[n.fraction.len - 1] == '0')
		n.fraction.len--;
	*out = n;
	return true;
}

/* The power of ten of the last digit that is not zero; false for zero itself. */
static bool number_last_power(const struct number *n, int64_t *out)
{
	size_t zeros = 0;

	if (n->fraction.len) {
		*out = n->exponent - (int64_t)n->fraction.len;
		return true;
	}
	while (zeros < n->whole.len && n->whole.p[n->whole.len - 1 - zeros] == '0')
		zeros++;
	*out = n->exponent + (int64_t)zeros;
	return zeros < n->whole.len;
}

bool id_number_is_integer(struct slice text)
{
	struct number n;
	int64_t power;

	if (!number_parse(text, &n))
		return false;
	return !number_last_power(&n, &power) || power >= 0;
}

void id_number_plain(struct slice text, struct buf *out)
{
	struct buf digits = BUF_INIT;
	struct number n;
	int64_t power, zeros;
	size_t skip = 0;

	if (!number_parse(text, &n)) {
		buf_append(out, text.p, text.len);
		return;
	}
	if (!number_last_power(&n, &power)) {
		buf_putc(out, '0');
		return;
	}
	zeros = n.exponent - (int64_t)n.fraction.len;
	if (power < 0 || zeros > RPC_ID_BYTES_MAX) {
		buf_append(out, text.p, text.len);
		return;
	}
	buf_append(&digits, n.whole.p, n.whole.len);
	if (n.fraction.len)
		buf_append(&digits, n.fraction.p, n.fraction.len);
	for (; zeros > 0; zeros--)
		buf_putc(&digits, '0');
	digits.len -= (size_t)-zeros; /* zeros of a negative power */
	while (digits.p[skip] == '0')
		skip++;
	if (n.is_negative)
		buf_putc(out, '-');
	buf_append(out, digits.p + skip, digits.len - skip);
	buf_finish(&digits);
}

char *id_of_value(const json_t *value)
{
	struct buf text = BUF_INIT;
	bool is_ok = json_is_string(value) || json_is_number(value);

	if (is_ok)
		edge_dump(value, false, &text);
	if (is_ok && json_is_real(value))
		is_ok = id_number_is_integer(buf_slice(&text));
	if (!is_ok || text.len > RPC_ID_BYTES_MAX) {
		buf_finish(&text);
		return NULL;
	}
	return buf_steal(&text);
}

void rpc_id_key(const struct rpc_message *m, struct buf *out)
{
	CHECK(m->id);
	if (m->id[0] == '"')
		CHECK(rpc_id_key_of_value(json_object_get(m->root, "id"), out));
	else
		id_number_plain(slice_of(m->id), out);
}

bool rpc_id_key_of_value(const json_t *value, struct buf *out)
{
	char *text CLEANUP(free_charp) = NULL;

	if (json_is_string(value)) {
		buf_putc(out, '"');
		buf_append(out, json_string_value(value), json_string_length(value));
		return true;
	}
	text = id_of_value(value);
	if (!text)
		return false;
	id_number_plain(slice_of(text), out);
	return true;
}

bool rpc_own_id(const struct rpc_message *m, int64_t *out)
{
	struct buf plain = BUF_INIT;
	size_t len = m->id ? strlen(m->id) : 0;
	bool is_ours;

	if (!len)
		return false;
	if (m->id[0] == '"')
		return parse_i64((struct slice){.p = m->id + 1, .len = len - 2}, 0, INT64_MAX, out);
	id_number_plain(slice_of(m->id), &plain);
	is_ours = parse_i64(buf_slice(&plain), 0, INT64_MAX, out);
	buf_finish(&plain);
	return is_ours;
}
