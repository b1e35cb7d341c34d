/*
 * Who waits for a list or a tool of an upstream, and who is told that the list has changed.
 */

#include "base/limits.h"
#include "tools/internal.h"

#include <stdlib.h>
#include <string.h>

void tools_set_source(struct tools *tools, const struct tools_source *source)
{
	tools->source = *source;
}

bool tools_may_change(const struct tools *tools)
{
	return tools->source.is_listed != NULL;
}

static bool is_over(struct tools *tools, struct slice name)
{
	const struct tools_source *source = &tools->source;

	if (!source->is_listed)
		return true;
	if (!name.len)
		return source->is_listed(source->arg);
	return tools_find(tools, name) || !source->may_have(source->arg, name);
}

static void fire(struct tools_wait *wait)
{
	void (*fn)(void *arg) = wait->fn;
	void *arg = wait->arg;

	tools_wait_cancel(wait);
	fn(arg);
}

static void on_time(void *arg)
{
	fire(arg);
}

bool tools_await(struct tools *tools, struct slice name, struct tools_wait *wait,
		 void (*fn)(void *arg), void *arg)
{
	if (is_over(tools, name))
		return true;
	*wait = (struct tools_wait){.tools = tools, .fn = fn, .arg = arg};
	wait->name = xstrndup(name.p ? name.p : "", name.len);
	wait->next = tools->waits;
	if (wait->next)
		wait->next->prev = wait;
	tools->waits = wait;
	loop_timer_init(&wait->timer, tools->config.loop, on_time, wait);
	loop_timer_in(&wait->timer, name.len ? UPSTREAM_START_MS : UPSTREAM_LIST_WAIT_MS);
	return false;
}

void tools_wait_cancel(struct tools_wait *wait)
{
	if (!wait->tools)
		return;
	loop_timer_cancel(&wait->timer);
	if (wait->prev)
		wait->prev->next = wait->next;
	else
		wait->tools->waits = wait->next;
	if (wait->next)
		wait->next->prev = wait->prev;
	free(wait->name);
	wait->name = NULL;
	wait->tools = NULL;
}

bool tools_are_well(const struct tools *tools, struct slice name, struct err *err)
{
	const struct tools_source *source = &tools->source;

	return !source->is_well || source->is_well(source->arg, name, err);
}

/* Any of them may be gone after one was told; each is looked at once. */
void tools_source_moved(struct tools *tools)
{
	struct tools_wait *wait = tools->waits;
	uint64_t move = ++tools->moves;

	while (wait) {
		if (wait->seen != move && is_over(tools, slice_of(wait->name))) {
			fire(wait);
			wait = tools->waits;
		} else {
			wait->seen = move;
			wait = wait->next;
		}
	}
}

void tools_watch_start(struct tools *tools, struct tools_watch *watch, void (*fn)(void *arg),
		       void *arg)
{
	*watch = (struct tools_watch){.tools = tools, .fn = fn, .arg = arg};
	watch->next = tools->watches;
	if (watch->next)
		watch->next->prev = watch;
	tools->watches = watch;
}

void tools_watch_stop(struct tools_watch *watch)
{
	if (!watch->tools)
		return;
	if (watch->prev)
		watch->prev->next = watch->next;
	else
		watch->tools->watches = watch->next;
	if (watch->next)
		watch->next->prev = watch->prev;
	watch->tools = NULL;
}
