/*
 * Who waits for a list or a tool of an upstream, and who is told that the list has changed.
 */

#include "base/limits.h"
#include "tools/internal.h"
#include "wallet/account.h"

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

/* What is known without the store: a caller without a key, and a key that was looked up before. Of
 * others no more is shown than a new key may do. */
static unsigned known_scopes(const struct tools *tools, const char *key, struct digest hash)
{
	if (!key)
		return SCOPES_LOCAL;
	if (tools->has_listed && digest_eq(&tools->listed_hash, &hash))
		return tools->listed_scopes;
	return SCOPE_CALL;
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

static bool scopes_step(struct wallet_query *query, struct db *db)
{
	struct tools_wait *wait = container_of(query, struct tools_wait, query);
	unsigned scopes;

	if (key_scopes_read(db, &wait->key_hash, &wait->is_found, &scopes) != DB_OK)
		query->is_failed = true;
	else
		wait->scopes = wait->is_found ? scopes : SCOPES_ALL;
	return true;
}

static void scopes_done(struct wallet_query *query)
{
	struct tools_wait *wait = container_of(query, struct tools_wait, query);
	struct tools *tools = wait->tools;

	wait->asks = false;
	if (!query->is_failed && wait->is_found) {
		tools->has_listed = true;
		tools->listed_hash = wait->key_hash;
		tools->listed_scopes = wait->scopes;
	}
	if (is_over(tools, slice_of(wait->name)))
		fire(wait);
}

static void ask_scopes(struct tools *tools, struct tools_wait *wait)
{
	wait->asks = true;
	wait->query = (struct wallet_query){
		.step = scopes_step,
		.done = scopes_done,
		.deadline = boottime_after(clock_boot(), LISTING_SCOPES_MS),
	};
	wallet_query(tools->config.wallet, &wait->query);
}

bool tools_await(struct tools *tools, struct slice name, const char *key, struct tools_wait *wait,
		 void (*fn)(void *arg), void *arg)
{
	bool is_ready = is_over(tools, name);
	bool asks = !name.len && key && api_key_looks_right(slice_of(key));

	*wait = (struct tools_wait){.tools = NULL};
	if (asks)
		wait->key_hash = api_key_hash(slice_of(key));
	wait->scopes = key && !asks ? SCOPES_ALL : known_scopes(tools, key, wait->key_hash);
	if (is_ready && !asks)
		return true;
	wait->tools = tools;
	wait->fn = fn;
	wait->arg = arg;
	if (asks)
		ask_scopes(tools, wait);
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
	if (wait->asks)
		wallet_query_cancel(wait->tools->config.wallet, &wait->query);
	wait->asks = false;
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
		if (!wait->asks && wait->seen != move && is_over(tools, slice_of(wait->name))) {
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
