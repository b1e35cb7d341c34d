/*
 * The link to a server that is a child process: lines on its stdin and stdout.
 */

#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "loop/child.h"
#include "providers/upstream_room.h"

#include <stdlib.h>
#include <string.h>

struct stdio_link {
	struct upstream *up;
	struct child *child; /* NULL: none runs */
	bool is_stopped;     /* what it does is of no interest any more */
	struct rpc_lines lines;
	struct buf words; /* of its stderr, a line that is not whole yet */
	bool is_cut;
};

static struct stdio_link *link_of(const struct upstream *up)
{
	return (struct stdio_link *)(void *)up->link;
}

static void on_out(void *arg, struct slice bytes)
{
	struct stdio_link *l = arg;
	uint64_t generation = l->up->generation;
	enum rpc_line_kind kind;
	char *line;
	size_t len;

	if (l->is_stopped)
		return;
	rpc_lines_feed(&l->lines, bytes.p, bytes.len);
	while (l->up->generation == generation) {
		kind = rpc_lines_next(&l->lines, &line, &len);
		if (kind == RPC_LINE_NONE)
			return;
		if (kind == RPC_LINE)
			client_take(l->up, line, len);
		else
			client_take_too_long(l->up);
	}
}

static void log_words(struct stdio_link *l)
{
	const char *text = buf_text(&l->words);

	if (l->words.len && log_is_on(LOG_INFO) && upstream_may_log(l->up))
		log_info("event=upstream_stderr upstream=%s text=%s", l->up->name, log_quote(text));
	buf_clear(&l->words);
	l->is_cut = false;
}

static void on_err(void *arg, struct slice bytes)
{
	struct stdio_link *l = arg;

	for (size_t i = 0; i < bytes.len; i++) {
		char c = bytes.p[i];

		if (c == '\n')
			log_words(l);
		else if (l->words.len < UPSTREAM_LOG_LINE_BYTES)
			buf_putc(&l->words, c ? c : ' ');
	}
}

static void on_end(void *arg, const char *how)
{
	struct stdio_link *l = arg;
	struct err why = ERR_INIT;
	bool was_stopped = l->is_stopped;

	err_set(&why, "it ended with %s", how);
	log_words(l);
	child_destroy(l->child);
	l->child = NULL;
	if (!was_stopped)
		upstream_down(l->up, why.text);
}

static void free_texts(char **texts)
{
	for (size_t i = 0; texts && texts[i]; i++)
		secret_free(texts[i]);
	free(texts);
}

/* Ended by NULL; NULL and err when a value is missing. */
static char **read_environment(const struct upstream *up, struct err *err)
{
	json_t *env = json_object_get(up->config.config, "env");
	char **texts = xarray(json_object_size(env) + 1, sizeof(*texts));
	const char *name;
	json_t *value;
	size_t n = 0;

	texts[0] = NULL;
	json_object_foreach (env, name, value) {
		char *expanded = upstream_expand(json_string_value(value), err);

		if (!expanded) {
			err_prefix(err, "env: %s", name);
			free_texts(texts);
			return NULL;
		}
		texts[n++] = xasprintf("%s=%s", name, expanded);
		texts[n] = NULL;
		secret_free(expanded);
	}
	return texts;
}

static const char **read_command(const struct upstream *up)
{
	const json_t *command = json_object_get(up->config.config, "command");
	size_t n = json_array_size(command);
	const char **argv = xarray(n + 1, sizeof(*argv));

	for (size_t i = 0; i < n; i++)
		argv[i] = json_string_value(json_array_get(command, i));
	argv[n] = NULL;
	return argv;
}

static bool start_child(struct stdio_link *l, struct err *err)
{
	struct upstream *up = l->up;
	char **environment = read_environment(up, err);
	const char **argv;

	if (!environment)
		return false;
	argv = read_command(up);
	l->child = child_start(up->config.loop,
			       &(struct child_config){
				       .argv = argv,
				       .environment = (const char *const *)environment,
				       .out = on_out,
				       .err = on_err,
				       .end = on_end,
				       .arg = l,
			       },
			       err);
	free(argv);
	free_texts(environment);
	return l->child != NULL;
}

static bool stdio_start(struct upstream *up, struct err *err)
{
	struct stdio_link *l = link_of(up);

	if (!l) {
		l = xzalloc(sizeof(*l));
		l->up = up;
		up->link = (struct upstream_link *)(void *)l;
	}
	child_destroy(l->child); /* a last one that is slow to go */
	l->child = NULL;
	l->is_stopped = false;
	rpc_lines_finish(&l->lines);
	buf_clear(&l->words);
	return start_child(l, err);
}

static bool stdio_send(struct upstream *up, const struct upstream_line *line)
{
	struct stdio_link *l = link_of(up);

	return l->child && !l->is_stopped && child_write(l->child, line->text);
}

static void stdio_release(struct upstream_request *r)
{
	(void)r; /* it has no state here */
}

static void stdio_stop(struct upstream *up)
{
	struct stdio_link *l = link_of(up);

	l->is_stopped = true;
	if (l->child)
		child_stop(l->child);
}

static void stdio_destroy(struct upstream *up)
{
	struct stdio_link *l = link_of(up);

	child_destroy(l->child);
	rpc_lines_finish(&l->lines);
	buf_finish(&l->words);
	free(l);
	up->link = NULL;
}

static void stdio_close_input(struct upstream *up)
{
	struct stdio_link *l = link_of(up);

	l->is_stopped = true;
	if (l->child)
		child_close_stdin(l->child);
}

static void stdio_terminate(struct upstream *up)
{
	if (link_of(up)->child)
		child_terminate(link_of(up)->child);
}

static bool stdio_wait(struct upstream *up, int64_t ms)
{
	return !link_of(up)->child || child_wait(link_of(up)->child, ms);
}

const struct upstream_link_kind UPSTREAM_STDIO = {
	.start = stdio_start,
	.send = stdio_send,
	.release = stdio_release,
	.stop = stdio_stop,
	.destroy = stdio_destroy,
	.close_input = stdio_close_input,
	.terminate = stdio_terminate,
	.wait = stdio_wait,
};
