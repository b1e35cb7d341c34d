#include "providers/upstream.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/vault.h"
#include "providers/upstream_list.h"
#include "providers/upstream_room.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

static void start(struct upstream *up);
static void list(struct upstream *up);

static void on_start_time(void *arg)
{
	struct upstream *up = arg;
	struct err why = ERR_INIT;

	err_set(&why, "it did not answer %s within %lld ms",
		up->is_listing ? "tools/list" : "initialize", (long long)up->start_ms);
	upstream_down(up, why.text);
}

static void on_restart_time(void *arg)
{
	start(arg);
}

static void on_list_time(void *arg)
{
	list(arg);
}

static int64_t start_ms_of(const json_t *config)
{
	int64_t ms = UPSTREAM_START_MS;
	const json_t *value = json_object_get(config, "start_timeout_ms");

	if (value)
		CHECK(edge_i64(value, &ms)); /* the shape says so */
	return ms;
}

struct upstream *upstream_create(const struct upstream_config *config, struct err *err)
{
	struct upstream *up;

	if (!upstream_config_check(config->config, err))
		return NULL;
	up = xzalloc(sizeof(*up));
	up->config = *config;
	up->name = xstrdup(config->name);
	up->config.name = up->name;
	json_incref(up->config.config);
	up->kind = json_object_get(config->config, "url") ? &UPSTREAM_HTTP : &UPSTREAM_STDIO;
	up->start_ms = start_ms_of(config->config);
	up->backoff_ms = UPSTREAM_BACKOFF_MS;
	up->queue_end = &up->queue;
	loop_timer_init(&up->start_timer, config->loop, on_start_time, up);
	loop_timer_init(&up->restart_timer, config->loop, on_restart_time, up);
	loop_timer_init(&up->list_timer, config->loop, on_list_time, up);
	return up;
}

static void cancel_timers(struct upstream *up)
{
	loop_timer_cancel(&up->start_timer);
	loop_timer_cancel(&up->probe_timer);
	loop_timer_cancel(&up->restart_timer);
	loop_timer_cancel(&up->list_timer);
}

void upstream_destroy(struct upstream *up)
{
	if (!up)
		return;
	up->state = UPSTREAM_ENDED;
	cancel_timers(up);
	client_lose_all(up, "farebox is ending");
	calls_fail(up);
	if (up->link)
		up->kind->destroy(up);
	json_decref(up->pages);
	json_decref(up->tools);
	json_decref(up->config.config);
	free(up->name);
	free(up);
}

const char *upstream_name(const struct upstream *up)
{
	return up->name;
}

bool upstream_is_ready(const struct upstream *up)
{
	return up->state == UPSTREAM_READY;
}

bool upstream_has_failed(const struct upstream *up)
{
	return up->has_failed;
}

const char *upstream_trouble(const struct upstream *up)
{
	return up->has_failed ? up->trouble.text : "";
}

struct digest upstream_identity(const struct upstream *up)
{
	json_t *what = json_object();
	struct digest d;

	/* The values of headers and variables may be secrets, and say nothing of the tools. */
	CHECK(json_object_set_new(what, "name", json_string(up->name)) == 0);
	for (size_t i = 0; i < 2; i++) {
		const char *member = i ? "url" : "command";
		json_t *value = json_object_get(up->config.config, member);

		if (value)
			CHECK(json_object_set(what, member, value) == 0);
	}
	d = edge_digest(what);
	json_decref(what);
	return d;
}

/* In a list: what was read so far is dropped. */
static void forget_list(struct upstream *up)
{
	json_decref(up->pages);
	up->pages = NULL;
	up->pages_count = 0;
	up->pages_bytes = 0;
	up->is_listing = false;
	up->is_list_stale = false;
}

/* Returns in how many milliseconds: doubling, until one run was long enough. */
static int64_t plan_restart(struct upstream *up)
{
	struct boottime now = loop_now(up->config.loop);
	int64_t ms;

	if (!up->has_failed && now.ms - up->ready_at.ms >= UPSTREAM_STABLE_MS)
		up->backoff_ms = UPSTREAM_BACKOFF_MS;
	ms = up->backoff_ms;
	up->backoff_ms = 2 * ms < UPSTREAM_BACKOFF_MS_MAX ? 2 * ms : UPSTREAM_BACKOFF_MS_MAX;
	loop_timer_in(&up->restart_timer, ms);
	return ms;
}

/* A server that ends when it is asked for its era is asked the older way, once. */
static bool try_legacy(struct upstream *up)
{
	if (!up->is_probing || up->is_shaking || up->is_guess || up->kind != &UPSTREAM_STDIO)
		return false;
	up->is_guess = true;
	up->era = ERA_LEGACY;
	return true;
}

void upstream_down(struct upstream *up, const char *why)
{
	bool was_ready = up->state == UPSTREAM_READY;
	bool is_again;

	if (up->state != UPSTREAM_STARTING && !was_ready)
		return;
	is_again = !was_ready && try_legacy(up);
	up->state = UPSTREAM_WAITING;
	up->generation++;
	up->is_probing = false;
	up->is_shaking = false;
	cancel_timers(up);
	forget_list(up);
	up->trouble = (struct err)ERR_INIT;
	err_set(&up->trouble, "%s", why);
	err_prefix(&up->trouble, "upstream %s", up->name);
	vault_strike(up->trouble.text);
	client_lose_all(up, up->trouble.text);
	up->kind->stop(up);
	if (is_again) {
		log_info("event=upstream_retry upstream=%s how=initialize", up->name);
		loop_timer_in(&up->restart_timer, 0);
		return;
	}
	if (up->is_guess) { /* a wrong one, perhaps */
		up->is_guess = false;
		up->era = ERA_UNKNOWN;
	}
	up->has_failed = !was_ready;
	log_warn("event=upstream_down upstream=%s reason=%s restart_in_ms=%lld", up->name,
		 log_quote(why), (long long)plan_restart(up));
	calls_fail(up);
	if (up->has_failed)
		up->config.on_moved(up->config.arg);
}

static void start(struct upstream *up)
{
	struct err err = ERR_INIT;

	CHECK(up->state == UPSTREAM_IDLE || up->state == UPSTREAM_WAITING);
	up->state = UPSTREAM_STARTING;
	up->generation++;
	up->garbage_lines = 0;
	loop_timer_in(&up->start_timer, up->start_ms);
	if (!up->kind->start(up, &err)) {
		upstream_down(up, err.text);
		return;
	}
	log_info("event=upstream_start upstream=%s", up->name);
	client_shake(up);
}

void upstream_shaken(struct upstream *up)
{
	loop_timer_cancel(&up->probe_timer);
	log_info("event=upstream_shaken upstream=%s revision=%s", up->name, up->version);
	list(up);
}

void upstream_lost_session(struct upstream *up)
{
	if (up->state != UPSTREAM_READY)
		return;
	up->state = UPSTREAM_STARTING;
	loop_timer_in(&up->start_timer, up->start_ms);
	forget_list(up);
	client_shake(up);
}

static void listen_again(struct upstream *up);

static void on_listened(void *arg, const struct upstream_answer *a)
{
	(void)arg; /* the next want begins anew */
	(void)a;
}

/* A modern server tells of changes only to those who listen. */
static void listen_again(struct upstream *up)
{
	struct upstream_question q = {
		.method = "subscriptions/listen",
		.members = slice_of("\"notifications\":{\"toolsListChanged\":true}"),
		.timeout_ms = INT32_MAX,
		.answer = on_listened,
		.arg = up,
	};

	if (up->era == ERA_MODERN && up->tells_changes && !up->listen)
		up->listen = client_ask(up, &q);
}

static void become_ready(struct upstream *up)
{
	bool is_news = up->has_failed;

	loop_timer_cancel(&up->start_timer);
	up->state = UPSTREAM_READY;
	up->ready_at = loop_now(up->config.loop);
	up->has_failed = false;
	log_info("event=upstream_ready upstream=%s tools=%zu%s", up->name,
		 json_array_size(up->tools), is_news ? " recovered=1" : "");
	listen_again(up);
	calls_begin(up);
	up->config.on_moved(up->config.arg);
}

static void end_list(struct upstream *up)
{
	bool is_stale = up->is_list_stale;
	struct digest raw = edge_digest(up->pages);
	bool is_news = !up->tools || !digest_eq(&raw, &up->raw_tools);

	json_decref(up->tools);
	up->raw_tools = raw;
	up->tools = tools_sift(up->name, up->pages, is_news);
	forget_list(up);
	up->listed_at = loop_now(up->config.loop);
	up->config.on_tools(up->config.arg, up->tools);
	if (up->state == UPSTREAM_STARTING)
		become_ready(up);
	if (is_stale)
		loop_timer_in(&up->list_timer, UPSTREAM_RELIST_MS);
}

static void ask_page(struct upstream *up, const char *cursor);

static void fail_list(struct upstream *up, const char *why, bool is_session_gone)
{
	struct err err = ERR_INIT;

	err_set(&err, "tools/list: %s", why);
	if (up->state == UPSTREAM_STARTING) {
		upstream_down(up, err.text);
		return;
	}
	forget_list(up);
	log_warn("event=upstream_list upstream=%s reason=%s", up->name, log_quote(err.text));
	if (is_session_gone)
		upstream_lost_session(up);
}

static void on_page(void *arg, const struct upstream_answer *a)
{
	struct upstream *up = arg;
	const char *cursor;

	if (!up->is_listing) /* it is gone, and all is told */
		return;
	if (a->kind != ANSWER_RESULT) {
		fail_list(up, a->message, a->kind == ANSWER_LOST && a->is_unsent);
		return;
	}
	up->pages_bytes += up->line_bytes;
	if (!json_is_array(json_object_get(a->result, "tools"))) {
		fail_list(up, "the answer holds no tools", false);
		return;
	}
	if (up->pages_bytes > UPSTREAM_LIST_BYTES_MAX) {
		fail_list(up, "the list is too large", false);
		return;
	}
	CHECK(json_array_extend(up->pages, json_object_get(a->result, "tools")) == 0);
	cursor = json_string_value(json_object_get(a->result, "nextCursor"));
	if (cursor && ++up->pages_count < UPSTREAM_LIST_PAGES_MAX)
		ask_page(up, cursor);
	else
		end_list(up);
}

static void ask_page(struct upstream *up, const char *cursor)
{
	struct buf members = BUF_INIT;
	struct upstream_question q = {
		.method = "tools/list",
		.timeout_ms = up->start_ms,
		.answer = on_page,
		.arg = up,
	};

	if (cursor)
		tools_write_cursor(&members, cursor);
	q.members = buf_slice(&members);
	if (!client_ask(up, &q))
		upstream_down(up, "it does not read its input");
	buf_finish(&members);
}

static void list(struct upstream *up)
{
	if (up->is_listing) {
		up->is_list_stale = true;
		return;
	}
	up->is_listing = true;
	up->pages = json_array();
	ask_page(up, NULL);
}

void upstream_relist(struct upstream *up)
{
	struct boottime at = boottime_after(up->listed_at, UPSTREAM_RELIST_MS);

	if (up->state != UPSTREAM_READY)
		up->is_list_stale = up->is_listing;
	else if (!loop_timer_is_set(&up->list_timer))
		loop_timer_at(&up->list_timer, at);
}

void upstream_want(struct upstream *up)
{
	struct boottime now = loop_now(up->config.loop);

	if (up->state == UPSTREAM_IDLE) {
		start(up);
	} else if (up->state == UPSTREAM_READY) {
		listen_again(up);
		if (now.ms - up->listed_at.ms > UPSTREAM_LIST_MS && !up->is_listing)
			list(up);
	}
}

bool upstream_may_log(struct upstream *up)
{
	struct boottime now = loop_now(up->config.loop);

	if (now.ms - up->log_since.ms >= UPSTREAM_LOG_WINDOW_MS) {
		if (up->not_logged)
			log_warn("event=upstream_not_logged upstream=%s lines=%zu", up->name,
				 up->not_logged);
		up->log_since = now;
		up->logged = 0;
		up->not_logged = 0;
	}
	if (up->logged >= UPSTREAM_LOG_LINES_MAX) {
		up->not_logged++;
		return false;
	}
	up->logged++;
	return true;
}

static int64_t left_ms(struct boottime until)
{
	int64_t ms = until.ms - clock_boot().ms;

	return ms > 0 ? ms : 0;
}

static bool wait_all(struct upstream *const *ups, size_t n, int64_t ms)
{
	struct boottime until = boottime_after(clock_boot(), ms);
	bool is_all = true;

	/* Servers behind a URL first: children end in the meantime by themselves. */
	for (size_t i = 0; i < 2 * n; i++) {
		struct upstream *up = ups[i % n];

		if (up->link && (up->kind == &UPSTREAM_HTTP) == (i < n))
			is_all = up->kind->wait(up, left_ms(until)) && is_all;
	}
	return is_all;
}

void upstreams_end(struct upstream *const *ups, size_t n, int64_t grace_ms)
{
	for (size_t i = 0; i < n; i++) {
		ups[i]->state = UPSTREAM_ENDED;
		if (ups[i]->link && ups[i]->kind->close_input)
			ups[i]->kind->close_input(ups[i]);
	}
	if (wait_all(ups, n, grace_ms))
		return;
	for (size_t i = 0; i < n; i++) {
		if (ups[i]->link && ups[i]->kind->terminate)
			ups[i]->kind->terminate(ups[i]);
	}
	(void)wait_all(ups, n, UPSTREAM_TERM_MS);
}
