/*
 * Stripe-Signature: t=1700000000,v1=HEX[,v1=HEX][,v0=...]. Several v1 stand there while a secret is
 * being rolled.
 */

#include "base/digest.h"
#include "base/limits.h"
#include "payments/stripe.h"

#include <inttypes.h>
#include <string.h>

/* Takes the next "scheme=value" off the front of rest; false at the end. An item without = has an
 * empty scheme. */
static bool next_item(struct slice *rest, struct slice *scheme, struct slice *value)
{
	const char *end, *sep;
	size_t len;

	if (!rest->len)
		return false;
	end = memchr(rest->p, ',', rest->len);
	len = end ? (size_t)(end - rest->p) : rest->len;
	sep = memchr(rest->p, '=', len);
	*scheme = (struct slice){.p = rest->p, .len = sep ? (size_t)(sep - rest->p) : 0};
	*value = sep ? (struct slice){.p = sep + 1, .len = len - scheme->len - 1}
		     : (struct slice){.p = rest->p, .len = len};
	rest->p += len + (end ? 1 : 0);
	rest->len -= len + (end ? 1 : 0);
	return true;
}

/* The first t, which is the one that is signed, and whether a v1 follows. */
static bool read_header(struct slice header, struct slice *out_t, int64_t *out_s, struct err *err)
{
	struct slice t = {.p = NULL}, scheme, value;
	bool has_v1 = false;
	int64_t s;

	if (!header.len)
		return err_set(err,
			       "there is no signature: the Stripe-Signature header is missing");
	if (header.len > STRIPE_SIGNATURE_BYTES_MAX)
		return err_set(err, "the signature is longer than %d bytes",
			       STRIPE_SIGNATURE_BYTES_MAX);
	while (next_item(&header, &scheme, &value)) {
		if (!t.p && slice_eq(scheme, "t"))
			t = value;
		has_v1 = has_v1 || slice_eq(scheme, "v1");
	}
	if (!t.p)
		return err_set(err, "the signature has no timestamp");
	if (t.len && t.p[0] == '-')
		return err_set(err, "the signature's timestamp is not a count of seconds");
	if (!parse_i64(t, 0, INT64_MAX / 1000, &s))
		return err_set(err, "the signature's timestamp is not a count of seconds");
	if (!has_v1)
		return err_set(err, "there is no v1 signature");
	*out_t = t;
	*out_s = s;
	return true;
}

static bool has_signature(struct slice header, const struct digest *expected)
{
	struct slice scheme, value;
	struct digest got;
	bool is_found = false;

	while (next_item(&header, &scheme, &value)) {
		if (!slice_eq(scheme, "v1") || value.len != 2 * sizeof(got.b))
			continue;
		if (hex_decode(value, got.b))
			is_found |= digest_eq(&got, expected);
	}
	return is_found;
}

static bool is_close(int64_t signed_s, struct walltime now, struct err *err)
{
	int64_t age_s = now.ms / 1000 - signed_s;

	if (age_s >= -STRIPE_SIGNATURE_AGE_S && age_s <= STRIPE_SIGNATURE_AGE_S)
		return true;
	return err_set(err, "the signature's timestamp is %" PRId64 " s in the %s; check the clock",
		       age_s < 0 ? -age_s : age_s, age_s < 0 ? "future" : "past");
}

bool stripe_signature_verify(struct slice body, const char *header, const char *const *secrets,
			     size_t secrets_count, struct walltime now, struct err *err)
{
	struct slice items = slice_of(header ? header : "");
	bool has_secret = false, is_genuine = false;
	struct buf text = BUF_INIT;
	struct slice t = {.len = 0};
	int64_t signed_s = 0;

	if (!read_header(items, &t, &signed_s, err))
		return false;
	buf_append(&text, t.p, t.len);
	buf_putc(&text, '.');
	buf_append(&text, body.p, body.len);
	for (size_t i = 0; i < secrets_count; i++) {
		struct digest expected;

		/* Anybody can sign with an empty one. */
		if (!secrets[i] || !*secrets[i])
			continue;
		has_secret = true;
		expected = hmac_sha256(slice_of(secrets[i]), buf_slice(&text));
		is_genuine |= has_signature(items, &expected);
	}
	buf_finish(&text);
	if (!has_secret)
		return err_set(err, "there is no secret to check signatures with");
	if (!is_genuine)
		return err_set(err, "no signature matches: is this the secret of this endpoint?");
	return is_close(signed_s, now, err);
}
