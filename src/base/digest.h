#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

/*
 * SHA-256 and HMAC-SHA-256 by libcrypto, hex and base64.
 */

#include "base/base.h"

struct digest {
	uint8_t b[32];
};

struct digest sha256(const void *p, size_t len);
struct digest hmac_sha256(struct slice key, struct slice text);
/* In constant time. */
bool digest_eq(const struct digest *a, const struct digest *b);

/* Lower case; writes 2 * len digits and a NUL. */
void hex_encode(const uint8_t *p, size_t len, char *out);
/* Exactly text.len / 2 bytes; refuses odd lengths and other characters than 0-9 a-f. */
MUST_USE bool hex_decode(struct slice text, uint8_t *out);

/* RFC 4648 section 4, padded; appended to out. len is below 1 GiB. */
struct buf;
void base64_encode(struct slice bytes, struct buf *out);

#define DIGEST_TEXT_SIZE 65
void digest_text(const struct digest *d, char out[DIGEST_TEXT_SIZE]);

#endif
