#ifndef BENCH_H
#define BENCH_H

/* What the benchmark's programs share: time, and the distribution of many durations. */

#include <stddef.h>
#include <stdint.h>

int64_t now_ns(void);

/* Counts durations in buckets that are at most 3 % wide. */
struct histogram {
	int64_t counts[64][32];
	int64_t total;
	int64_t max_ns;
};

void histogram_add(struct histogram *h, int64_t ns);
/* The upper end of the bucket that holds the given share (0.5: the median), in microseconds. */
double histogram_us(const struct histogram *h, double share);

#endif
