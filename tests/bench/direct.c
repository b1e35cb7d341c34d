/*
 * What calls of an API cost without farebox in between: libcurl's multi interface, with handles and
 * connections that are used again.
 *
 *	bench-direct URL IN_FLIGHT WARMUP_S SECONDS
 *
 * prints one line of JSON, as bench-load does.
 */

#include "bench.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define IN_FLIGHT_MAX 4096

struct direct {
	CURLM *multi;
	const char *url;
	struct histogram waits;
	int64_t count_from_ns, count_to_ns;
	int64_t answered, counted, errors;
	int running;
};

struct call {
	CURL *easy;
	int64_t begun_ns;
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	(void)p;
	(void)arg;
	return size * n;
}

static void fail(const char *why)
{
	fprintf(stderr, "bench-direct: %s\n", why);
	exit(1);
}

static void begin(struct direct *d, struct call *c)
{
	c->begun_ns = now_ns();
	if (curl_multi_add_handle(d->multi, c->easy) != CURLM_OK)
		fail("no transfer");
	d->running++;
}

static void create(struct direct *d, struct call *c)
{
	c->easy = curl_easy_init();
	if (!c->easy)
		fail("no memory");
	(void)curl_easy_setopt(c->easy, CURLOPT_URL, d->url);
	(void)curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	(void)curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, 10000L);
	(void)curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
}

static void end(struct direct *d, const CURLMsg *message)
{
	int64_t now = now_ns();
	struct call *c = NULL;
	long status = 0;

	(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&c);
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	d->errors += message->data.result != CURLE_OK || status != 200;
	d->answered++;
	if (now >= d->count_from_ns && now < d->count_to_ns) {
		d->counted++;
		histogram_add(&d->waits, now - c->begun_ns);
	}
	(void)curl_multi_remove_handle(d->multi, c->easy);
	d->running--;
	if (now < d->count_to_ns)
		begin(d, c);
}

static void run(struct direct *d)
{
	const CURLMsg *message;
	int left;

	while (d->running) {
		if (curl_multi_perform(d->multi, &left) != CURLM_OK)
			fail("the transfers stopped");
		while ((message = curl_multi_info_read(d->multi, &left))) {
			if (message->msg == CURLMSG_DONE)
				end(d, message);
		}
		if (d->running)
			(void)curl_multi_poll(d->multi, NULL, 0, 1000, NULL);
	}
}

static double cpu_us(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
	static struct call calls[IN_FLIGHT_MAX];
	struct direct *d = calloc(1, sizeof(*d));
	int in_flight = argc == 5 ? (int)strtol(argv[2], NULL, 10) : 0;
	double seconds;

	if (!d || in_flight < 1 || in_flight > IN_FLIGHT_MAX)
		fail("usage: see the head of direct.c");
	seconds = strtod(argv[4], NULL);
	d->url = argv[1];
	d->multi = curl_multi_init();
	(void)curl_multi_setopt(d->multi, CURLMOPT_MAXCONNECTS, (long)in_flight + 16);
	d->count_from_ns = now_ns() + (int64_t)(strtod(argv[3], NULL) * 1e9);
	d->count_to_ns = d->count_from_ns + (int64_t)(seconds * 1e9);
	for (int i = 0; i < in_flight; i++) {
		create(d, &calls[i]);
		begin(d, &calls[i]);
	}
	run(d);
	printf("{\"rate\":%.1f,\"calls\":%lld,\"errors\":%lld,\"p50_us\":%.1f,\"p99_us\":%.1f,"
	       "\"cpu_us_per_call\":%.2f}\n",
	       (double)d->counted / seconds, (long long)d->answered, (long long)d->errors,
	       histogram_us(&d->waits, 0.5), histogram_us(&d->waits, 0.99),
	       cpu_us() / (double)d->answered);
	for (int i = 0; i < in_flight; i++)
		curl_easy_cleanup(calls[i].easy);
	(void)curl_multi_cleanup(d->multi);
	return d->errors ? 1 : 0;
}
