#include "base/hash.h"

#include "base/secret.h"

#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotated(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotated(s->v1, 13) ^ s->v0;
	s->v3 = rotated(s->v3, 16) ^ s->v2;
	s->v0 = rotated(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = rotated(s->v3, 21) ^ s->v0;
	s->v1 = rotated(s->v1, 17) ^ s->v2;
	s->v2 = rotated(s->v2, 32);
}

static void take(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s);
	s->v0 ^= word;
}

struct hash_key hash_key_make(void)
{
	struct hash_key key;

	random_bytes(&key, sizeof(key));
	return key;
}

uint64_t hash_bytes(const struct hash_key *key, const void *p, size_t len)
{
	/* "somepseudorandomlygeneratedbytes" */
	struct state s = {
		key->a ^ UINT64_C(0x736f6d6570736575),
		key->b ^ UINT64_C(0x646f72616e646f6d),
		key->a ^ UINT64_C(0x6c7967656e657261),
		key->b ^ UINT64_C(0x7465646279746573),
	};
	const unsigned char *at = p;
	uint64_t word = (uint64_t)len << 56;
	size_t left = len;

	for (; left >= 8; left -= 8, at += 8) {
		uint64_t part;

		memcpy(&part, at, 8);
		take(&s, part);
	}
	while (left) {
		left--;
		word |= (uint64_t)at[left] << (8 * left);
	}
	take(&s, word);
	s.v2 ^= 0xff;
	mix(&s);
	mix(&s);
	mix(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
