#include "cli/cli.h"
#include "cli/print.h"
#include "json/emit.h"

static int run(struct cli *cli)
{
	struct buf json = BUF_INIT;
	struct emit e;

	if (!cli->wants_json) {
		(void)puts("farebox " FAREBOX_VERSION);
		return CLI_OK;
	}
	emit_init(&e, &json);
	emit_object(&e);
	emit_key_text(&e, "name", "farebox");
	emit_key_text(&e, "version", FAREBOX_VERSION);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
	return CLI_OK;
}

const struct command COMMAND_VERSION = {
	.name = "version",
	.summary = "Shows the version.",
	.run = run,
};
