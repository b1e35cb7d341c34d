#ifndef ANY_H
#define ANY_H

/* Random choices of the model-based tests, the same for the same seed (xorshift). */

#include <stdint.h>

static uint64_t seed;

static int64_t any(int64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int64_t)(seed % (uint64_t)below);
}

#endif
