#include "base/embedded.h"
#include "base/env.h"
#include "base/file.h"
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

/* NULL: told. */
static const char *choose_file(struct cli *cli)
{
	const char *path = cli_operand(cli, 0);
	struct err err = ERR_INIT;

	if (!path && !env_text("FAREBOX_CONFIG", &path, &err)) {
		(void)cli_fail_field(cli, "FILE", "Give FILE, or correct the environment.", "%s",
				     err.text);
		return NULL;
	}
	return path ? path : DEFAULT_FILE;
}

static void emit_faults(struct emit *e, const struct faults *faults, const char *key,
			bool are_warnings)
{
	emit_key(e, key);
	emit_array(e);
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *f = &faults->items[i];

		if (f->is_warning != are_warnings)
			continue;
		emit_object(e);
		emit_key_text(e, "pointer", f->pointer);
		emit_key_text(e, "text", f->text);
		emit_object_end(e);
	}
	emit_array_end(e);
}

static void print_faults_json(const struct cli *cli, const char *path, const struct faults *faults)
{
	struct buf json = BUF_INIT;
	struct emit e;

	emit_init(&e, &json);
	emit_object(&e);
	emit_key_bool(&e, "ok", !faults_grave(faults));
	emit_key_text(&e, "file", path);
	emit_faults(&e, faults, "faults", false);
	emit_faults(&e, faults, "warnings", true);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static void print_faults(const struct faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *f = &faults->items[i];
		CLEANUP(free_charp) char *line = NULL;

		line = xasprintf("%s%s: %s\n", f->is_warning ? "warning: " : "",
				 *f->pointer ? f->pointer : "the file", f->text);
		print_clean(stdout, line);
	}
	if (!faults_grave(faults))
		(void)puts("ok");
}

static int run_check(struct cli *cli)
{
	const char *path = choose_file(cli);
	struct faults faults = FAULTS_INIT;
	struct err err = ERR_INIT;
	CLEANUP(edge_decref) json_t *config = NULL;
	bool is_good;

	if (!path)
		return CLI_FAILED;
	config = edge_parse_file(path, CONFIG_BYTES_MAX, &faults, &err);
	if (!config) {
		faults_finish(&faults);
		return cli_fail_field(cli, "FILE",
				      "'farebox config init' writes a file to start with.", "%s",
				      err.text);
	}
	app_config_check(config, &faults);
	if (cli_value(cli, "store") && !app_config_check_store(config, &faults, &err)) {
		faults_finish(&faults);
		return cli_fail_text(cli, ERROR_STORE_UNAVAILABLE, NULL, "%s", err.text);
	}
	is_good = faults_grave(&faults) == 0;
	if (cli->wants_json)
		print_faults_json(cli, path, &faults);
	else
		print_faults(&faults);
	faults_finish(&faults);
	return is_good ? CLI_OK : CLI_FAILED;
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
	is_good = file_write(fd, text);
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

	if (!path)
		return CLI_FAILED;
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

static const struct option_spec CHECK_OPTIONS[] = {
	{"store", NULL, "Hold it against what is in the store, too.", false},
	{.name = NULL},
};
static const char *const CHECK_EXAMPLES[] = {
	"farebox config check farebox.json",
	"farebox config check --store",
	NULL,
};
static const char *const INIT_EXAMPLES[] = {"farebox config init ~/.config/farebox.json", NULL};

static const struct command CONFIG_CHECK = {
	.name = "check",
	.summary = "Names every fault of a configuration, with its JSON pointer.",
	.text = "FILE is FAREBOX_CONFIG or farebox.json by default. Secrets are looked for in the "
		"environment\nand programs in PATH, as the host gives them; nothing is started, "
		"called or stored. With\n--store the store is read, too: an org of the file that "
		"is "
		"not there is a fault. Exit status 1\nwhen there is a fault; what may be meant so "
		"is "
		"a warning.",
	.examples = CHECK_EXAMPLES,
	.options = CHECK_OPTIONS,
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
