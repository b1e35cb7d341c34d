#include "base/watchdog.h"

#include "base/limits.h"
#include "base/log.h"

#define NS_PER_MS 1000000

void watchdog_start(struct watchdog *w)
{
	w->read_at = clock_boot();
	w->cpu_ns = clock_thread_cpu_ns();
}

bool watchdog_is_due(const struct watchdog *w)
{
	return w && clock_boot().ms != w->read_at.ms;
}

void watchdog_lap(struct watchdog *w, const char *what, const char *detail)
{
	int64_t before_ns, used_ms;

	if (!watchdog_is_due(w))
		return;
	before_ns = w->cpu_ns;
	watchdog_start(w);
	used_ms = (w->cpu_ns - before_ns) / NS_PER_MS;
	if (used_ms < HANDLER_CPU_MS_MAX)
		return;
	log_warn("event=slow_handler handler=%s detail=%s cpu_ms=%lld", log_quote(what),
		 log_quote(detail ? detail : "-"), (long long)used_ms);
	if (w->fatal_ms && used_ms >= w->fatal_ms)
		die("%s (%s) took %lld ms of the processor", what, detail ? detail : "-",
		    (long long)used_ms);
}
