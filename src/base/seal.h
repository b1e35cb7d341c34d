#ifndef BASE_SEAL_H
#define BASE_SEAL_H

/*
 * Secrets at rest: AES-256-GCM (NIST SP 800-38D) with a random nonce. What is sealed is bound to a
 * place: it opens with the same key and the same words of where it belongs only.
 *
 * The key is the SHA-256 of the text in FAREBOX_SEAL_KEY (or the file that FAREBOX_SEAL_KEY_FILE
 * names); without one, of a file that is made beside the store, mode 0600.
 */

#include "base/buf.h"
#include "base/err.h"

struct seal_key {
	uint8_t b[32];
};

/* store is the path or URL of the store; a URL has no place for a file. False: there is no key, and
 * err says why. Makes the file when it is needed; two processes that do so agree. */
MUST_USE bool seal_key_read(const char *store, struct seal_key *out, struct err *err);
void seal_key_wipe(struct seal_key *key);

/* Appends to out: 29 bytes more than the text. */
void seal(const struct seal_key *key, struct slice place, struct slice text, struct buf *out);
/* False when it was sealed with another key, for another place, or was changed. Appends to out. */
MUST_USE bool unseal(const struct seal_key *key, struct slice place, struct slice sealed,
		     struct buf *out);

#endif
