/*
 * prices import: the models of a LiteLLM price file (model_prices_and_context_window.json) as the
 * `models` of an llm price, USD for a million tokens. The file's floats are taken by their text.
 */

#include "base/file.h"
#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/edge.h"
#include "json/emit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a price may have, so that a token costs whole pico-dollars. */
#define DECIMALS_MAX 6

struct import {
	struct buf models; /* the object */
	struct emit emit;
	const char *provider; /* NULL: of all */
	size_t taken, others, without_price, rounded;
};

/* USD a token as USD a million, up to the pico-dollar a token. False: not a price. */
static bool read_rate(struct import *import, const json_t *value, struct decimal *out)
{
	struct decimal million, rate;

	if (!edge_decimal_million(value, &million) || decimal_sign(million) < 0 ||
	    !decimal_ceil_places(&rate, million, DECIMALS_MAX) ||
	    decimal_cmp(rate, (struct decimal){.digits = LLM_USD_PER_MILLION_MAX}) > 0)
		return false;
	import->rounded += decimal_cmp(rate, million) != 0;
	*out = rate;
	return true;
}

static bool is_wanted(const struct import *import, const json_t *entry)
{
	const char *mode = json_string_value(json_object_get(entry, "mode"));
	const char *provider = json_string_value(json_object_get(entry, "litellm_provider"));

	if (!mode || strcmp(mode, "chat") != 0)
		return false;
	return !import->provider || (provider && strcmp(provider, import->provider) == 0);
}

static void emit_rate(struct emit *e, const char *key, struct decimal rate)
{
	emit_key(e, key);
	emit_decimal(e, rate);
}

static void take_entry(struct import *import, const char *name, const json_t *entry)
{
	const json_t *cached = json_object_get(entry, "cache_read_input_token_cost");
	const json_t *max = json_object_get(entry, "max_output_tokens");
	const json_t *write = json_object_get(entry, "cache_creation_input_token_cost");
	struct decimal input, output, cached_input, cache_write;
	struct emit *e = &import->emit;
	int64_t max_output;

	if (!is_wanted(import, entry) || strlen(name) > LLM_NAME_BYTES_MAX) {
		import->others++;
		return;
	}
	if (!read_rate(import, json_object_get(entry, "input_cost_per_token"), &input) ||
	    !read_rate(import, json_object_get(entry, "output_cost_per_token"), &output)) {
		import->without_price++;
		return;
	}
	emit_key_slice(e, slice_of(name));
	emit_object(e);
	emit_rate(e, "input", input);
	if (cached && read_rate(import, cached, &cached_input))
		emit_rate(e, "cached_input", cached_input);
	if (write && read_rate(import, write, &cache_write))
		emit_rate(e, "cache_write", cache_write);
	emit_rate(e, "output", output);
	if (edge_i64(max, &max_output) && max_output >= 1 && max_output <= LLM_TOKENS_MAX)
		emit_key_i64(e, "max_output", max_output);
	emit_object_end(e);
	import->taken++;
}

static void read_models(struct import *import, json_t *file)
{
	const char *name;
	json_t *entry;

	emit_init(&import->emit, &import->models);
	emit_object(&import->emit);
	json_object_foreach (file, name, entry)
		take_entry(import, name, entry);
	emit_object_end(&import->emit);
	emit_done(&import->emit);
}

/* In the place of the old file, whole or not at all, with its mode. */
static bool replace_file(const char *path, struct slice text, struct err *err)
{
	CLEANUP(free_charp) char *beside = xasprintf("%s.new-%d", path, (int)getpid());
	struct stat st;
	bool is_good;
	int fd;

	if (stat(path, &st) != 0)
		return err_set(err, "%s: %s", path, strerror(errno));
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
	if (fd < 0)
		return err_set(err, "%s: %s", beside, strerror(errno));
	is_good = file_write(fd, text);
	if (close(fd) != 0 || !is_good || rename(beside, path) != 0) {
		err_set(err, "%s: %s", path, strerror(errno));
		(void)unlink(beside);
		return false;
	}
	return true;
}

/* Other faults of the file are no concern here: a secret may be missing where prices are edited. */
static bool is_price_sound(json_t *config, const char *tool, struct err *err)
{
	CLEANUP(free_charp) char *at = pointer_below("/tools", tool);
	CLEANUP(free_charp) char *price = pointer_below(at, "price");
	struct faults faults = FAULTS_INIT;
	const struct fault *first;

	app_config_check(config, &faults);
	first = faults_first(&faults, price);
	if (first)
		err_set(err, "%s: %s", first->pointer, first->text);
	faults_finish(&faults);
	return !err_is_set(err);
}

/* What no such file says stays as the operator has set it. */
static void keep_image_tokens(const json_t *from, json_t *models)
{
	const char *name;
	json_t *model;

	json_object_foreach (models, name, model) {
		json_t *kept = json_object_get(json_object_get(from, name), "image_tokens");

		if (kept)
			CHECK(json_object_set(model, "image_tokens", kept) == 0);
	}
}

/* Puts the models into the price of a tool: those of the same name are replaced, others stay. */
static int merge(struct cli *cli, struct import *import, const char *path, const char *tool)
{
	CLEANUP(edge_decref) json_t *models = NULL;
	CLEANUP(edge_decref) json_t *config = NULL;
	struct buf text = BUF_INIT, pretty = BUF_INIT;
	struct err err = ERR_INIT;
	json_t *price, *into;
	const char *kind;
	int status = CLI_OK;

	config = edge_parse_file(path, CONFIG_BYTES_MAX, NULL, &err);
	if (!config)
		return cli_fail_field(cli, "into", NULL, "%s", err.text);
	price = json_object_get(json_object_get(json_object_get(config, "tools"), tool), "price");
	kind = json_string_value(json_object_get(price, "kind"));
	into = json_object_get(price, "models");
	if (!kind || strcmp(kind, "llm") != 0 || !json_is_object(into))
		return cli_fail_field(cli, "tool", NULL,
				      "'%s' is no tool of %s with a price of kind llm", tool, path);
	models = edge_parse(buf_slice(&import->models), &err);
	CHECK(models);
	keep_image_tokens(into, models);
	CHECK(json_object_update(into, models) == 0);
	edge_dump(config, false, &text);
	json_indent(buf_slice(&text), &pretty);
	buf_putc(&pretty, '\n');
	if (!is_price_sound(config, tool, &err))
		status = cli_fail_text(cli, ERROR_INVALID_ARGUMENTS, "The file was left as it is.",
				       "%s: %s", path, err.text);
	else if (!replace_file(path, buf_slice(&pretty), &err))
		status = cli_fail_text(cli, ERROR_INVALID_ARGUMENTS, NULL, "%s", err.text);
	buf_finish(&text);
	buf_finish(&pretty);
	return status;
}

static void tell(const struct import *import)
{
	cli_note("%zu models; left out: %zu without a price by token, %zu others", import->taken,
		 import->without_price, import->others);
	if (import->rounded)
		cli_note("%zu prices were rounded up to a pico-dollar a token", import->rounded);
}

static int run_import(struct cli *cli)
{
	const char *into = cli_value(cli, "into"), *tool = cli_value(cli, "tool");
	struct import import = {.provider = cli_value(cli, "provider")};
	struct err err = ERR_INIT;
	CLEANUP(edge_decref) json_t *file = NULL;
	int status = CLI_OK;

	if (!into != !tool)
		return cli_usage(cli, &(struct usage_fault){.option = into ? "tool" : "into"},
				 "is required with --%s", into ? "into" : "tool");
	file = edge_parse_file(cli_operand(cli, 0), PRICE_FILE_BYTES_MAX, NULL, &err);
	if (!json_is_object(file))
		return cli_fail_field(cli, "FILE", NULL, "%s",
				      file ? "must hold an object" : err.text);
	read_models(&import, file);
	if (!import.taken) {
		status = cli_fail_field(cli, "FILE", NULL, "there is no model of mode chat%s%s%s",
					import.provider ? " of provider '" : "",
					import.provider ? import.provider : "",
					import.provider ? "'" : "");
	} else if (into) {
		status = merge(cli, &import, into, tool);
	} else {
		print_json(cli, buf_slice(&import.models));
	}
	if (status == CLI_OK)
		tell(&import);
	buf_finish(&import.models);
	return status;
}

static const char *const EXAMPLES[] = {
	"farebox prices import model_prices_and_context_window.json --provider openai",
	"farebox prices import prices.json --into farebox.json --tool chat_completion",
	NULL,
};

static const struct option_spec OPTIONS[] = {
	{"provider", "NAME", "Only models whose litellm_provider is NAME.", false},
	{"into", "CONFIG", "Puts the models into this farebox.json; with --tool.", false},
	{"tool", "NAME", "The tool of CONFIG whose price, of kind llm, gets the models.", false},
	{.name = NULL},
};

static const struct command IMPORT = {
	.name = "import",
	.summary = "Reads a LiteLLM price file into the form of an llm price.",
	.text = "FILE is a model_prices_and_context_window.json. Models of mode chat with a price "
		"by "
		"token are\ntaken; without --into they are printed, in USD for a million tokens.",
	.examples = EXAMPLES,
	.options = OPTIONS,
	.operands = {"FILE"},
	.operands_required = 1,
	.run = run_import,
};

static const struct command *const COMMANDS[] = {&IMPORT, NULL};

const struct command COMMAND_PRICES = {
	.name = "prices",
	.summary = "Prices of models: import them.",
	.examples = EXAMPLES,
	.commands = COMMANDS,
};
