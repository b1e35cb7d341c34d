#include "bench.h"

#include <time.h>

int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void histogram_add(struct histogram *h, int64_t ns)
{
	uint64_t v = ns < 32 ? 32 : (uint64_t)ns;
	int top = 63 - __builtin_clzll(v);

	h->counts[top][(v >> (top - 5)) & 31]++;
	h->total++;
	if (ns > h->max_ns)
		h->max_ns = ns;
}

double histogram_us(const struct histogram *h, double share)
{
	int64_t left = (int64_t)(share * (double)h->total);

	for (int top = 5; top < 64; top++) {
		for (int i = 0; i < 32; i++) {
			left -= h->counts[top][i];
			if (left < 0)
				return (double)(UINT64_C(33) + (uint64_t)i) *
				       (double)(UINT64_C(1) << (top - 5)) / 1e3;
		}
	}
	return (double)h->max_ns / 1e3;
}
