/*
 * Looks everything over that payments and calls stand on, and says what to do. It changes nothing:
 * a store that is not there is not made, and Stripe is only read. It stands beside the app, not on
 * it, so that one fault does not hide the others, and so that no open payment is taken up.
 */

#include "cli/doctor.h"

#include "base/env.h"
#include "base/limits.h"
#include "base/secret.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/edge.h"
#include "json/emit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void doctor_add(struct doctor *d, enum finding_level level, const char *check, const char *remedy,
		const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->rows = xrealloc_array(d->rows, d->count + 1, sizeof(*d->rows));
	d->rows[d->count++] = (struct finding_row){
		.level = level,
		.check = check,
		.text = xstrdup(text),
		.remedy = remedy ? xstrdup(remedy) : NULL,
	};
	d->warned += level == FINDING_WARN;
	d->failed += level == FINDING_FAIL;
}

/* Faults of the file with their pointers, the first of them told. */
static void check_file(struct doctor *d, const char *path)
{
	struct faults faults = FAULTS_INIT;
	struct err err = ERR_INIT;
	CLEANUP(edge_decref) json_t *root = edge_parse_file(path, CONFIG_BYTES_MAX, NULL, &err);
	const struct fault *first;
	size_t n;

	if (!root) {
		doctor_add(d, FINDING_FAIL, "config",
			   "Correct FAREBOX_CONFIG or the file; 'farebox config init' writes one "
			   "to start "
			   "with.",
			   "%s", err.text);
		return;
	}
	app_config_check(root, &faults);
	n = faults_grave(&faults);
	first = faults_first(&faults, "");
	if (first)
		doctor_add(d, FINDING_FAIL, "config", "'farebox config check' names every fault.",
			   "%s: %zu %s, the first at %s: %s", path, n, n == 1 ? "fault" : "faults",
			   first->pointer, first->text);
	else
		doctor_add(d, FINDING_OK, "config", NULL, "%s", path);
	/* What follows reads it where it can be read. */
	if (!app_config_read(path, &d->config, &err))
		d->config.root = NULL;
	faults_finish(&faults);
}

static void check_config(struct doctor *d)
{
	const char *path;
	struct err err = ERR_INIT;

	if (!env_text("FAREBOX_CONFIG", &path, &err))
		doctor_add(d, FINDING_FAIL, "config",
			   "Set FAREBOX_CONFIG to farebox.json, or unset it.", "%s", err.text);
	else if (path)
		check_file(d, path);
	else
		doctor_add(d, FINDING_OK, "config", NULL,
			   "FAREBOX_CONFIG is not set: the built-in tools only");
	/* What follows reads it, also where the file is at fault. */
	if (!d->config.root)
		CHECK(app_config_read(NULL, &d->config, NULL));
}

static void check_log(struct doctor *d)
{
	struct err err = ERR_INIT;

	if (!app_choose_log(&err))
		doctor_add(d, FINDING_FAIL, "log",
			   "Set FAREBOX_LOG to error, warn, info or debug, or leave it out.", "%s",
			   err.text);
}

/* A secret in a file is only as secret as the file. */
void doctor_check_secret_file(struct doctor *d, const char *check, const char *variable)
{
	const char *path = getenv(variable);
	CLEANUP(free_charp) char *remedy = NULL;
	struct stat st;

	if (!path || !*path || stat(path, &st) != 0 || !(st.st_mode & SECRET_MODE_BAD))
		return;
	remedy = xasprintf("chmod 600 %s", path);
	doctor_add(d, FINDING_WARN, check, remedy,
		   "%s: others than its owner may read %s (mode %04o)", variable, path,
		   (unsigned)(st.st_mode & 07777));
}

static const char *level_name(enum finding_level level)
{
	switch (level) {
	case FINDING_OK:
		return "ok";
	case FINDING_WARN:
		return "warn";
	case FINDING_FAIL:
		return "fail";
	}
	die("finding level %d", (int)level);
}

static void print_rows_json(const struct cli *cli, const struct doctor *d)
{
	struct buf json = BUF_INIT;
	struct emit e;

	emit_init(&e, &json);
	emit_object(&e);
	emit_key_bool(&e, "ok", !d->failed);
	emit_key(&e, "checks");
	emit_array(&e);
	for (size_t i = 0; i < d->count; i++) {
		emit_object(&e);
		emit_key_text(&e, "status", level_name(d->rows[i].level));
		emit_key_text(&e, "check", d->rows[i].check);
		emit_key_text(&e, "text", d->rows[i].text);
		emit_key_text(&e, "remedy", d->rows[i].remedy);
		emit_object_end(&e);
	}
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static void print_rows(const struct doctor *d)
{
	static const struct column COLUMNS[] = {
		{"STATUS", COLUMN_TEXT},
		{"CHECK", COLUMN_TEXT},
		{"FOUND", COLUMN_TEXT},
	};
	struct table *t = table_create(COLUMNS, ARRAY_LEN(COLUMNS), true);

	for (size_t i = 0; i < d->count; i++) {
		const struct finding_row *row = &d->rows[i];

		table_row(t, (const char *const[]){level_name(row->level), row->check, row->text});
		if (row->remedy) {
			CLEANUP(free_charp) char *remedy = xasprintf("-> %s", row->remedy);

			table_row(t, (const char *const[]){"", "", remedy});
		}
	}
	table_print(t);
	cli_note("%zu checks: %zu failed, %zu warned", d->count, d->failed, d->warned);
}

static void doctor_finish(struct doctor *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->rows[i].text);
		free(d->rows[i].remedy);
	}
	free(d->rows);
	free(d->store);
	secret_free(d->key);
	app_config_finish(&d->config);
}

/* The one thing that is changed: the operator says that the clock is right. */
static bool believe_clock(struct cli *cli)
{
	struct cmd_result result;

	if (!cli_db_there(cli))
		return false;
	return cli_submit(
		cli, wallet_cmd_create(WALLET_OP_BELIEVE_CLOCK, (struct caller){.org = ID_NONE}),
		&result);
}

static int run(struct cli *cli)
{
	struct doctor d = {.payments = {.mode = PAYMENTS_OFF}};
	int status;

	if (cli_value(cli, "believe-clock") && !believe_clock(cli))
		return CLI_FAILED;
	check_log(&d);
	check_config(&d);
	doctor_check_store(&d);
	doctor_check_payments(&d);
	if (cli->wants_json)
		print_rows_json(cli, &d);
	else
		print_rows(&d);
	status = d.failed ? CLI_FAILED : CLI_OK;
	doctor_finish(&d);
	return status;
}

static const struct option_spec OPTIONS[] = {
	{"believe-clock", NULL,
	 "The clock of this machine is right: periods go by it, as they did before it jumped.",
	 false},
	{.name = NULL},
};

static const char *const EXAMPLES[] = {
	"farebox doctor",
	"STRIPE_SECRET_KEY_FILE=~/.config/farebox/stripe.key farebox doctor",
	NULL,
};

const struct command COMMAND_DOCTOR = {
	.name = "doctor",
	.summary = "Checks configuration, store and payments, and says what to do.",
	.text = "Without --believe-clock it changes nothing. It uses the network only to ask "
		"Stripe, when payments go "
		"through it.\nExit status 1 when a check failed; warnings do not count.",
	.examples = EXAMPLES,
	.options = OPTIONS,
	.run = run,
};
