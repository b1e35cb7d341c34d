#include "cli/print.h"

#include "base/printable.h"
#include "base/vault.h"
#include "json/edge.h"
#include "json/emit.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INDENT_SPACES 2

void print_clean(FILE *out, const char *text)
{
	struct buf clean = BUF_INIT;

	printable_append(slice_of(text), true, &clean);
	(void)fwrite(buf_text(&clean), 1, clean.len, out);
	buf_finish(&clean);
}

/* In one line: what is quoted in it cannot begin another, such as a hint of its own. */
static void print_line(FILE *out, const char *text)
{
	struct buf clean = BUF_INIT;

	printable_append(slice_of(text), false, &clean);
	if (clean.len)
		(void)fwrite(clean.p, 1, vault_strike_text(clean.p, clean.len), out);
	buf_finish(&clean);
}

void cli_note(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)fflush(stdout);
	print_line(stderr, line);
	(void)fputc('\n', stderr);
}

static void print_error_json(const struct tool_error *error)
{
	struct buf object = BUF_INIT;

	tool_error_write(error, &object);
	(void)fputs(buf_text(&object), stdout);
	(void)fputc('\n', stdout);
	buf_finish(&object);
}

static void print_error_lines(const char *message, const char *hint, const char *code)
{
	(void)fflush(stdout);
	(void)fputs("farebox: ", stderr);
	print_line(stderr, message);
	(void)fputs("\nhint: ", stderr);
	print_line(stderr, hint);
	(void)fputs("\ncode: ", stderr);
	print_line(stderr, code);
	(void)fputc('\n', stderr);
}

static void print_error(const struct cli *cli, const struct tool_error *error)
{
	if (cli->wants_json)
		print_error_json(error);
	else
		print_error_lines(error->message, error->hint, error_code_name(error->code));
}

int cli_fail(struct cli *cli, TAKES struct tool_error *error)
{
	print_error(cli, error);
	tool_error_finish(error);
	return CLI_FAILED;
}

int cli_fail_code(struct cli *cli, enum error_code code)
{
	struct tool_error error;

	tool_error_init(&error, code);
	return cli_fail(cli, &error);
}

int cli_fail_text(struct cli *cli, enum error_code code, const char *hint, const char *fmt, ...)
{
	struct tool_error error;
	va_list ap;

	tool_error_init(&error, code);
	va_start(ap, fmt);
	(void)vsnprintf(error.message, sizeof(error.message), fmt, ap);
	va_end(ap);
	if (hint)
		tool_error_hint(&error, "%s", hint);
	return cli_fail(cli, &error);
}

int cli_fail_field(struct cli *cli, const char *field, const char *hint, const char *fmt, ...)
{
	struct tool_error error;
	char text[sizeof(error.message)];
	va_list ap;

	tool_error_init(&error, ERROR_INVALID_ARGUMENTS);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tool_error_field(&error, field, text);
	if (hint)
		tool_error_hint(&error, "%s", hint);
	return cli_fail(cli, &error);
}

static void hint_for_usage(const struct cli *cli, const struct usage_fault *fault,
			   struct tool_error *error)
{
	const char *space = *cli->path ? " " : "";

	if (fault->suggestion)
		tool_error_hint(error, "Did you mean '%s%s'? See 'farebox%s%s --help'.",
				fault->is_option ? "--" : "", fault->suggestion, space, cli->path);
	else
		tool_error_hint(error, "See 'farebox%s%s --help'.", space, cli->path);
}

int cli_usage(struct cli *cli, const struct usage_fault *fault, const char *fmt, ...)
{
	char text[sizeof(((struct tool_error *)NULL)->message)];
	char field[64] = "";
	struct tool_error error;
	va_list ap;

	tool_error_init(&error, ERROR_INVALID_ARGUMENTS);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (fault->option)
		(void)snprintf(field, sizeof(field), "--%s", fault->option);
	else if (fault->operand)
		(void)snprintf(field, sizeof(field), "%s", fault->operand);
	if (*field)
		tool_error_field(&error, field, text);
	else
		tool_error_message(&error, "%s", text);
	hint_for_usage(cli, fault, &error);
	print_error(cli, &error);
	tool_error_finish(&error);
	return CLI_USAGE;
}

static const char *member_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

int cli_fail_object(struct cli *cli, const json_t *object)
{
	const json_t *error = json_object_get(object, "error");
	const char *url = member_text(error, "url");

	if (cli->wants_json) {
		struct buf b = BUF_INIT;

		edge_dump(object, false, &b);
		(void)fputs(buf_text(&b), stdout);
		(void)fputc('\n', stdout);
		buf_finish(&b);
		return CLI_FAILED;
	}
	print_error_lines(member_text(error, "message"), member_text(error, "resolution_hint"),
			  member_text(error, "code"));
	if (!*url)
		url = member_text(json_object_get(error, "top_up"), "url");
	if (*url) {
		(void)fputs("url: ", stderr);
		print_line(stderr, url);
		(void)fputc('\n', stderr);
	}
	return CLI_FAILED;
}

/* An earlier write may have met the broken pipe and thrown its bytes away. */
static bool reader_is_gone(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP));
}

bool cli_flush(void)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	/* A reader that has seen enough, as in 'farebox tools | head -1', is no news. */
	if (errno != EPIPE && !reader_is_gone())
		(void)fprintf(stderr, "farebox: stdout: %s\n",
			      errno ? strerror(errno) : "could not be written");
	return false;
}

static void new_line(struct buf *out, size_t depth)
{
	buf_putc(out, '\n');
	for (size_t i = 0; i < depth * INDENT_SPACES; i++)
		buf_putc(out, ' ');
}

/* Copies the string that starts at i, quotes included; returns the place behind it. */
static size_t copy_string(struct slice json, size_t i, struct buf *out)
{
	size_t from = i++;

	while (i < json.len && json.p[i] != '"')
		i += json.p[i] == '\\' ? 2 : 1;
	i = i < json.len ? i + 1 : json.len;
	printable_append((struct slice){.p = json.p + from, .len = i - from}, false, out);
	return i;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_spaces(struct slice json, size_t i)
{
	while (i < json.len && is_space(json.p[i]))
		i++;
	return i;
}

void json_indent(struct slice json, struct buf *out)
{
	size_t depth = 0, i = 0;

	while ((i = skip_spaces(json, i)) < json.len) {
		char c = json.p[i];

		if (c == '"') {
			i = copy_string(json, i, out);
			continue;
		}
		i++;
		if (c == '{' || c == '[') {
			size_t next = skip_spaces(json, i);

			buf_putc(out, c);
			if (next < json.len && (json.p[next] == '}' || json.p[next] == ']')) {
				buf_putc(out, json.p[next]);
				i = next + 1;
			} else {
				new_line(out, ++depth);
			}
		} else if (c == '}' || c == ']') {
			depth -= depth > 0;
			new_line(out, depth);
			buf_putc(out, c);
		} else {
			buf_putc(out, c);
			if (c == ',')
				new_line(out, depth);
			else if (c == ':')
				buf_putc(out, ' ');
		}
	}
}

void print_json(const struct cli *cli, struct slice json)
{
	struct buf b = BUF_INIT;

	if (cli->out_is_terminal && !cli->wants_json)
		json_indent(json, &b);
	else
		buf_append(&b, json.p, json.len);
	buf_putc(&b, '\n');
	(void)fwrite(b.p, 1, b.len, stdout);
	buf_finish(&b);
}

char *json_cell(const json_t *value)
{
	char text[MONEY_TEXT_SIZE];
	struct buf b = BUF_INIT;
	struct decimal d;

	if (!value || json_is_null(value))
		return xstrdup("-");
	if (json_is_string(value))
		return xstrdup(json_string_value(value));
	if (json_is_boolean(value))
		return xstrdup(json_is_true(value) ? "yes" : "no");
	if (edge_decimal(value, false, &d)) {
		decimal_text(d, text);
		return xstrdup(text);
	}
	edge_dump(value, false, &b);
	return buf_steal(&b);
}
