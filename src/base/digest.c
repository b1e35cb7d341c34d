#include "base/digest.h"

#include "base/buf.h"

/* The direct calls are marked as deprecated, and are what each ledger entry is hashed with: the way
 * through EVP costs twice the hash itself. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

struct digest sha256(const void *p, size_t len)
{
	struct digest d;
	SHA256_CTX ctx;

	CHECK(SHA256_Init(&ctx) == 1 && SHA256_Update(&ctx, p, len) == 1);
	CHECK(SHA256_Final(d.b, &ctx) == 1);
	return d;
}

struct digest hmac_sha256(struct slice key, struct slice text)
{
	struct digest d;
	unsigned int n = sizeof(d.b);

	CHECK(key.len <= INT32_MAX);
	CHECK(HMAC(EVP_sha256(), key.p, (int)key.len, (const unsigned char *)text.p, text.len, d.b,
		   &n) != NULL);
	CHECK(n == sizeof(d.b));
	return d;
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
	return CRYPTO_memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void hex_encode(const uint8_t *p, size_t len, char *out)
{
	static const char DIGITS[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = DIGITS[p[i] >> 4];
		*out++ = DIGITS[p[i] & 15];
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_decode(struct slice text, uint8_t *out)
{
	if (text.len % 2)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (hex_value(text.p[i]) < 0)
			return false;
	}
	for (size_t i = 0; i < text.len; i += 2)
		out[i / 2] = (uint8_t)(hex_value(text.p[i]) << 4 | hex_value(text.p[i + 1]));
	return true;
}

void digest_text(const struct digest *d, char out[DIGEST_TEXT_SIZE])
{
	hex_encode(d->b, sizeof(d->b), out);
}

void base64_encode(struct slice bytes, struct buf *out)
{
	static const unsigned char NOTHING[1];
	const unsigned char *p = bytes.len ? (const unsigned char *)bytes.p : NOTHING;
	size_t len = (bytes.len + 2) / 3 * 4;

	CHECK(bytes.len < (size_t)1 << 30 && buf_reserve(out, len + 1));
	CHECK(EVP_EncodeBlock((unsigned char *)out->p + out->len, p, (int)bytes.len) == (int)len);
	out->len += len;
	out->p[out->len] = '\0';
}
