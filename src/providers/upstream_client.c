/*
 * The protocol as a client: a handshake that finds the era, requests and their answers by id, and
 * what a server says unasked.
 */

#include "base/limits.h"
#include "base/log.h"
#include "base/vault.h"
#include "providers/upstream_room.h"
#include "json/edge.h"
#include "json/emit.h"

#include <stdlib.h>
#include <string.h>

#define UNSUPPORTED_VERSION (-32022)
#define META_PREFIX         "io.modelcontextprotocol/"
#define CLIENT_INFO         "{\"name\":\"farebox\",\"version\":\"" FAREBOX_VERSION "\"}"
#define WORDS_MAX           300

/* Revisions with a handshake, newest first. */
static const char *const LEGACY_VERSIONS[] = {MCP_LEGACY, "2025-06-18", "2025-03-26", "2024-11-05"};

static const char *legacy_version(const json_t *version)
{
	const char *text = json_string_value(version);

	for (size_t i = 0; text && i < ARRAY_LEN(LEGACY_VERSIONS); i++) {
		if (strcmp(text, LEGACY_VERSIONS[i]) == 0)
			return LEGACY_VERSIONS[i];
	}
	return NULL;
}

static struct upstream_request **bucket(struct upstream *up, int64_t id)
{
	return &up->requests[(uint64_t)id % UPSTREAM_BUCKETS];
}

static struct upstream_request *find(struct upstream *up, int64_t id)
{
	struct upstream_request *r = *bucket(up, id);

	while (r && r->id != id)
		r = r->next;
	return r;
}

static void take_out(struct upstream_request *r)
{
	struct upstream_request **at = bucket(r->up, r->id);

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->up->requests_count--;
	if (r->up->listen == r)
		r->up->listen = NULL;
	if (r->link_state)
		r->up->kind->release(r);
}

void client_answer(struct upstream_request *r, const struct upstream_answer *answer)
{
	upstream_answer_fn *fn = r->answer;
	void *arg = r->arg;

	take_out(r);
	free(r);
	fn(arg, answer);
}

void client_lose(struct upstream_request *r, enum provider_outcome outcome, const char *why)
{
	client_answer(r, &(struct upstream_answer){.kind = ANSWER_LOST,
						   .outcome = outcome,
						   .message = why,
						   .retry_after_s = -1,
						   .may_have_run = true});
}

void client_lose_all(struct upstream *up, const char *why)
{
	/* What an answer asks anew goes to another link, and must not be lost here. */
	int64_t last_id = up->last_id;

	for (size_t i = 0; i < UPSTREAM_BUCKETS; i++) {
		while (up->requests[i] && up->requests[i]->id <= last_id)
			client_lose(up->requests[i], PROVIDER_FAILED, why);
	}
}

static void emit_modern_meta(struct emit *e)
{
	emit_key_text(e, META_PREFIX "protocolVersion", MCP_MODERN);
	emit_key_raw(e, META_PREFIX "clientInfo", slice_of(CLIENT_INFO));
	emit_key_raw(e, META_PREFIX "clientCapabilities", slice_of("{}"));
}

static void write_params(const struct upstream *up, const struct upstream_question *q, int64_t id,
			 struct buf *out)
{
	bool is_modern = up->era != ERA_LEGACY && !q->is_legacy;
	struct emit e;

	if (!q->members.len && !is_modern && !q->progress)
		return;
	emit_init(&e, out);
	emit_object(&e);
	emit_raw_members(&e, q->members);
	if (is_modern || q->progress) {
		emit_key(&e, "_meta");
		emit_object(&e);
		if (is_modern)
			emit_modern_meta(&e);
		if (q->progress)
			emit_key_i64(&e, "progressToken", id);
		emit_object_end(&e);
	}
	emit_object_end(&e);
	emit_done(&e);
}

struct upstream_request *client_ask(struct upstream *up, const struct upstream_question *question)
{
	struct upstream_request *r = xzalloc(sizeof(*r));
	struct upstream_line line = {.request = r, .question = question};
	struct buf params = BUF_INIT, text = BUF_INIT;
	bool is_sent;

	r->up = up;
	r->id = ++up->last_id;
	r->answer = question->answer;
	r->progress = question->progress;
	r->arg = question->arg;
	r->next = *bucket(up, r->id);
	*bucket(up, r->id) = r;
	up->requests_count++;
	write_params(up, question, r->id, &params);
	rpc_write_request(&text, r->id, question->method, buf_slice(&params));
	line.text = buf_slice(&text);
	is_sent = up->kind->send(up, &line);
	buf_finish(&params);
	buf_finish(&text);
	if (is_sent)
		return r;
	take_out(r);
	free(r);
	return NULL;
}

/* A notification, or an answer to what the server asks. */
static void tell(struct upstream *up, const char *method, struct slice members, bool is_legacy)
{
	struct upstream_question q = {.method = method, .members = members, .is_legacy = is_legacy};
	struct upstream_line line = {.question = &q};
	struct buf params = BUF_INIT, text = BUF_INIT;

	write_params(up, &q, 0, &params);
	rpc_write_notification(&text, method, buf_slice(&params));
	line.text = buf_slice(&text);
	(void)up->kind->send(up, &line);
	buf_finish(&params);
	buf_finish(&text);
}

void client_cancel(struct upstream_request *r)
{
	struct upstream *up = r->up;
	struct buf members = BUF_INIT;
	int64_t id = r->id;
	struct emit e;

	take_out(r);
	free(r);
	/* In the newest revision over HTTP the end of the transfer says it. */
	if (up->kind == &UPSTREAM_HTTP && up->era == ERA_MODERN)
		return;
	emit_init(&e, &members);
	emit_key_i64(&e, "requestId", id);
	emit_key_text(&e, "reason", "cancelled, or out of time");
	tell(up, "notifications/cancelled", buf_slice(&members), up->era == ERA_LEGACY);
	buf_finish(&members);
}

/* In the server's words, for a person. */
static void give_up(struct upstream *up, const char *step, const struct upstream_answer *a)
{
	struct err why = ERR_INIT;

	if (a->kind == ANSWER_LOST)
		err_set(&why, "%s", a->message);
	else
		err_set(&why, "%s: it answered %lld: %.*s", step, (long long)a->code, WORDS_MAX,
			a->message);
	upstream_down(up, why.text);
}

static void on_initialized(void *arg, const struct upstream_answer *a)
{
	struct upstream *up = arg;
	const json_t *tools;
	const char *version;

	up->is_shaking = false;
	/* A modern server, asked twice because it was slow to start: its first answer counts, and
	 * may be yet to come. */
	if (up->era == ERA_MODERN)
		return;
	if (a->kind != ANSWER_RESULT) {
		if (a->kind == ANSWER_LOST || !up->is_probing)
			give_up(up, "initialize", a);
		return;
	}
	version = legacy_version(json_object_get(a->result, "protocolVersion"));
	if (!version) {
		upstream_down(up, "initialize: it speaks no revision that is known here");
		return;
	}
	tools = json_object_get(json_object_get(a->result, "capabilities"), "tools");
	up->is_probing = false;
	up->is_guess = false;
	up->era = ERA_LEGACY;
	up->version = version;
	up->tells_changes = json_is_true(json_object_get(tools, "listChanged"));
	tell(up, "notifications/initialized", (struct slice){.len = 0}, true);
	if (up->kind->shaken)
		up->kind->shaken(up);
	upstream_shaken(up);
}

static void initialize(struct upstream *up)
{
	static const char MEMBERS[] = "\"protocolVersion\":\"" MCP_LEGACY "\","
				      "\"capabilities\":{},\"clientInfo\":" CLIENT_INFO;
	struct upstream_question q = {
		.method = "initialize",
		.members = slice_of(MEMBERS),
		.timeout_ms = up->start_ms,
		.is_legacy = true,
		.answer = on_initialized,
		.arg = up,
	};

	loop_timer_cancel(&up->probe_timer);
	up->is_shaking = true;
	if (!client_ask(up, &q))
		upstream_down(up, "it does not read its input");
}

static bool list_has(const json_t *list, bool (*is_known)(const json_t *))
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (is_known(json_array_get(list, i)))
			return true;
	}
	return false;
}

static bool is_modern_version(const json_t *version)
{
	const char *text = json_string_value(version);

	return text && strcmp(text, MCP_MODERN) == 0;
}

static bool is_legacy_version(const json_t *version)
{
	return legacy_version(version) != NULL;
}

static void take_discovered(struct upstream *up, const struct upstream_answer *a)
{
	const json_t *tools = json_object_get(json_object_get(a->result, "capabilities"), "tools");
	const json_t *versions = json_object_get(a->result, "supportedVersions");

	if (!list_has(versions, is_modern_version)) {
		if (!up->is_shaking && list_has(versions, is_legacy_version))
			initialize(up);
		else if (!up->is_shaking)
			upstream_down(up, "it speaks no revision that is known here");
		return;
	}
	up->is_guess = false;
	up->era = ERA_MODERN;
	up->version = MCP_MODERN;
	up->tells_changes = json_is_true(json_object_get(tools, "listChanged"));
	upstream_shaken(up);
}

/* Any failure but one that names its versions means an older server: there is no single code. */
static void on_discovered(void *arg, const struct upstream_answer *a)
{
	struct upstream *up = arg;

	if (!up->is_probing)
		return; /* too late: initialize was answered first */
	up->is_probing = false;
	if (a->kind == ANSWER_RESULT) {
		take_discovered(up, a);
		return;
	}
	if (up->is_shaking)
		return;
	if (a->kind == ANSWER_LOST && (a->status < 400 || a->status >= 500 || a->status == 401 ||
				       a->status == 403 || a->status == 429)) {
		give_up(up, "server/discover", a);
		return;
	}
	if (a->kind == ANSWER_ERROR && a->code == UNSUPPORTED_VERSION &&
	    !list_has(json_object_get(a->data, "supported"), is_legacy_version)) {
		give_up(up, "server/discover", a);
		return;
	}
	initialize(up);
}

static void on_silence(void *arg)
{
	struct upstream *up = arg;

	/* Its answer may still come, from a server that is slow to start. */
	if (up->is_probing && !up->is_shaking)
		initialize(up);
}

void client_shake(struct upstream *up)
{
	struct upstream_question q = {
		.method = "server/discover",
		.timeout_ms = up->start_ms,
		.answer = on_discovered,
		.arg = up,
	};

	if (up->era == ERA_LEGACY) {
		initialize(up);
		return;
	}
	up->era = ERA_UNKNOWN;
	up->is_probing = true;
	loop_timer_init(&up->probe_timer, up->config.loop, on_silence, up);
	loop_timer_in(&up->probe_timer, UPSTREAM_PROBE_MS);
	if (!client_ask(up, &q))
		upstream_down(up, "it does not read its input");
}

static void log_garbage(struct upstream *up, const char *what, const char *line)
{
	up->garbage_lines++;
	if (upstream_may_log(up))
		log_warn("event=upstream_garbage upstream=%s what=%s text=%s", up->name,
			 log_quote(what), log_quote(line));
	if (up->garbage_lines > UPSTREAM_GARBAGE_LINES_MAX)
		upstream_down(up, "it prints what is not MCP, line after line");
}

/* Lines that answer nothing cost us time each. */
static void count_noise(struct upstream *up)
{
	struct boottime now = loop_now(up->config.loop);

	if (now.ms - up->noise_since.ms >= 1000) {
		up->noise_since = now;
		up->noise = 0;
	}
	if (++up->noise > UPSTREAM_NOISE_PER_S_MAX)
		upstream_down(up, "it floods us with messages");
}

static void take_response(struct upstream *up, const struct rpc_message *m)
{
	const json_t *code = json_object_get(m->error, "code");
	const char *message = json_string_value(json_object_get(m->error, "message"));
	struct upstream_request *r = NULL;
	int64_t id;

	if (rpc_own_id(m, &id))
		r = find(up, id);
	if (!r) { /* of a call that was cancelled, as a rule */
		count_noise(up);
		return;
	}
	up->garbage_lines = 0;
	if (m->result)
		client_answer(
			r, &(struct upstream_answer){.kind = ANSWER_RESULT, .result = m->result});
	else
		client_answer(r,
			      &(struct upstream_answer){.kind = ANSWER_ERROR,
							.code = json_integer_value(code),
							.data = json_object_get(m->error, "data"),
							.message = message ? message : ""});
}

/* We offer nothing that a server may ask for, but to say that we live. */
static void take_request(struct upstream *up, const struct rpc_message *m)
{
	struct upstream_line line = {.request = NULL};
	struct buf text = BUF_INIT;

	if (strcmp(m->method, "ping") == 0)
		rpc_write_result(&text, m->id, slice_of("{}"));
	else
		rpc_write_error(&text, m->id, RPC_METHOD_NOT_FOUND, "Method not found",
				(struct slice){.len = 0});
	line.text = buf_slice(&text);
	(void)up->kind->send(up, &line);
	buf_finish(&text);
	count_noise(up);
}

static void take_notification(struct upstream *up, const struct rpc_message *m)
{
	const json_t *token = json_object_get(m->params, "progressToken");
	struct upstream_request *r;

	if (strcmp(m->method, "notifications/progress") == 0 && json_is_integer(token)) {
		r = find(up, json_integer_value(token));
		if (r && r->progress)
			r->progress(r->arg, m->params);
	} else if (strcmp(m->method, "notifications/tools/list_changed") == 0) {
		upstream_relist(up);
	}
	count_noise(up);
}

/* An answer to a question of ours, by its id, that cannot be read: who waits for it is told. */
static void take_bad_answer(struct upstream *up, const struct rpc_message *m, const char *line)
{
	bool is_answer = m->root ? !json_object_get(m->root, "method")
				 : strstr(line, "\"result\"") || strstr(line, "\"error\"");
	struct upstream_request *r = NULL;
	struct err err = ERR_INIT;
	int64_t id;

	if (is_answer && m->id && rpc_own_id(m, &id))
		r = find(up, id);
	if (!r)
		return;
	err_set(&err, "upstream %s: its answer makes no sense: %s", up->name, m->error_text);
	client_lose(r, PROVIDER_FAILED, err.text);
}

static void take_message(struct upstream *up, const struct rpc_message *m, const char *line)
{
	switch (m->kind) {
	case RPC_RESPONSE:
		take_response(up, m);
		return;
	case RPC_REQUEST:
		take_request(up, m);
		return;
	case RPC_NOTIFICATION:
		take_notification(up, m);
		return;
	case RPC_BATCH: /* within a batch */
	case RPC_INVALID:
		log_garbage(up, m->error_text ? m->error_text : "an array", line);
		if (m->kind == RPC_INVALID)
			take_bad_answer(up, m, line);
		return;
	}
}

/* Some servers of 2025-03-26 send arrays. */
static void take_batch(struct upstream *up, const struct rpc_message *m, const char *line)
{
	uint64_t generation = up->generation;
	size_t n = json_array_size(m->root);

	if (!n || n > RPC_BATCH_ITEMS_MAX) {
		log_garbage(up, "an array", line);
		return;
	}
	for (size_t i = 0; i < n && up->generation == generation; i++) {
		struct rpc_message item;

		rpc_read_value(json_array_get(m->root, i), 0, &item);
		take_message(up, &item, line);
		rpc_message_finish(&item);
	}
}

static void take_text(struct upstream *up, char *line, size_t len)
{
	struct rpc_message m;

	rpc_read_loose(line, len, &m);
	if (m.kind == RPC_BATCH)
		take_batch(up, &m, line);
	else
		take_message(up, &m, line);
	rpc_message_finish(&m);
}

void client_take(struct upstream *up, char *line, size_t len)
{
	struct slice text;
	struct buf mended = BUF_INIT;
	size_t left;

	while (len && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
		line[--len] = '\0';
	if (!len)
		return;
	/* Whatever it tells, it does not tell our secrets: results, notifications and lists. */
	left = vault_strike_json(line, len);
	if (left < len)
		line[left] = '\0';
	len = left;
	up->line_bytes = len;
	text = (struct slice){.p = line, .len = len};
	if (utf8_is_sound(text)) {
		take_text(up, line, len);
		return;
	}
	/* A byte of another charset within a text, as a rule: no reason to lose the message. */
	utf8_mend(text, &mended);
	take_text(up, mended.p, mended.len);
	buf_finish(&mended);
}

void client_take_too_long(struct upstream *up)
{
	upstream_down(up, "it sent a line that is too long");
}
