#include "base/embedded.h"
#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/edge.h"
#include "json/emit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_FILE "farebox.json"
#define EXAMPLE_NAME "farebox.example.json"
#define FILE_MODE    0644

static const char *choose_file(const struct cli *cli)
{
	const char *given = cli_operand(cli, 0);
	const char *configured = getenv("FAREBOX_CONFIG");

	if (given)
		return given;
	return configured && *configured ? configured : DEFAULT_FILE;
}

/* "POINTER: fault" as an object. */
static void emit_fault(struct emit *e, struct slice line)
{
	const char *colon = memmem(line.p, line.len, ": ", 2);
	size_t len = colon ? (size_t)(colon - line.p) : 0;
	size_t behind = colon ? len + 2 : 0;

	emit_object(e);
	emit_key(e, "pointer");
	emit_slice(e, (struct slice){.p = line.p, .len = len});
	emit_key(e, "text");
	emit_slice(e, (struct slice){.p = line.p + behind, .len = line.len - behind});
	emit_object_end(e);
}

static void print_faults_json(const struct cli *cli, const char *path, const char *faults)
{
	struct buf json = BUF_INIT;
	struct emit e;

	emit_init(&e, &json);
	emit_object(&e);
	emit_key_bool(&e, "ok", !*faults);
	emit_key_text(&e, "file", path);
	emit_key(&e, "faults");
	emit_array(&e);
	while (*faults) {
		size_t len = strcspn(faults, "\n");

		emit_fault(&e, (struct slice){.p = faults, .len = len});
		faults += len + (faults[len] == '\n');
	}
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static int run_check(struct cli *cli)
{
	const char *path = choose_file(cli);
	struct buf faults = BUF_INIT;
	struct err err = ERR_INIT;
	CLEANUP(edge_decref) json_t *config = edge_parse_file(path, CONFIG_BYTES_MAX, NULL, &err);
	size_t n;

	if (!config)
		return cli_fail_field(cli, "FILE",
				      "'farebox config init' writes a file to start with.", "%s",
				      err.text);
	n = app_config_check(config, &faults);
	if (cli->wants_json)
		print_faults_json(cli, path, buf_text(&faults));
	else if (n)
		print_clean(stdout, buf_text(&faults));
	else
		(void)puts("ok");
	buf_finish(&faults);
	return n ? CLI_FAILED : CLI_OK;
}

static bool write_all(int fd, struct slice text)
{
	while (text.len) {
		ssize_t n = write(fd, text.p, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text.p += n;
		text.len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

/* Never over a file that is there. */
static bool write_new(const char *path, struct slice text, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	bool is_good;

	if (fd < 0)
		return err_set(err, "%s: %s", path,
			       errno == EEXIST ? "is there already, and is left as it is"
					       : strerror(errno));
	is_good = write_all(fd, text);
	if (!is_good)
		err_set(err, "%s: %s", path, strerror(errno));
	(void)close(fd);
	if (!is_good)
		(void)unlink(path);
	return is_good;
}

/* Hosts start the program in any folder, so the whole path is told. */
static void print_written(const struct cli *cli, const char *path)
{
	CLEANUP(free_charp) char *whole = realpath(path, NULL);
	struct buf json = BUF_INIT;
	struct emit e;

	if (!whole)
		whole = xstrdup(path);
	if (!cli->wants_json) {
		print_clean(stdout, whole);
		(void)putchar('\n');
		cli_note("next: set FAREBOX_CONFIG to it; 'farebox tools' then lists its tools");
		return;
	}
	emit_init(&e, &json);
	emit_object(&e);
	emit_key_text(&e, "file", whole);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static int run_init(struct cli *cli)
{
	const struct embedded_file *example = embedded_find(EXAMPLE_NAME);
	const char *path = choose_file(cli);
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	bool is_written;

	CHECK(example);
	json_indent((struct slice){.p = example->text, .len = example->len}, &text);
	buf_putc(&text, '\n');
	is_written = write_new(path, buf_slice(&text), &err);
	buf_finish(&text);
	if (!is_written)
		return cli_fail_field(cli, "FILE", "Give another FILE, or move that one away.",
				      "%s", err.text);
	print_written(cli, path);
	return CLI_OK;
}

static const char *const CHECK_EXAMPLES[] = {"farebox config check farebox.json", NULL};
static const char *const INIT_EXAMPLES[] = {"farebox config init ~/.config/farebox.json", NULL};

static const struct command CONFIG_CHECK = {
	.name = "check",
	.summary = "Names every fault of a configuration, with its JSON pointer.",
	.text = "FILE is FAREBOX_CONFIG or farebox.json by default. Exit status 1 when there is a "
		"fault.",
	.examples = CHECK_EXAMPLES,
	.operands = {"FILE"},
	.run = run_check,
};
static const struct command CONFIG_INIT = {
	.name = "init",
	.summary = "Writes a farebox.json to start with; never over a file that is there.",
	.text = "FILE is FAREBOX_CONFIG or farebox.json by default. Its tools show each kind of "
		"price; put\nyour own in their place. Add \"email\" to \"org\" before real "
		"payments: invoices go there.",
	.examples = INIT_EXAMPLES,
	.operands = {"FILE"},
	.run = run_init,
};

static const struct command *const COMMANDS[] = {&CONFIG_CHECK, &CONFIG_INIT, NULL};

const struct command COMMAND_CONFIG = {
	.name = "config",
	.summary = "The configuration: check it, or write one to start with.",
	.examples = CHECK_EXAMPLES,
	.commands = COMMANDS,
};
