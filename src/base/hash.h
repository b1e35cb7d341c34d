#ifndef BASE_HASH_H
#define BASE_HASH_H

/*
 * SipHash-1-3 (Aumasson and Bernstein): a hash under a secret key, for sets of what others send.
 * Without the key nobody can choose values that fall together. No digest: 64 bits only.
 */

#include "base/base.h"

struct hash_key {
	uint64_t a, b;
};

/* From the kernel's random source. */
struct hash_key hash_key_make(void);
uint64_t hash_bytes(const struct hash_key *key, const void *p, size_t len);

#endif
