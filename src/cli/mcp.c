#include "mcp/stdio.h"

#include "app/app.h"
#include "cli/cli.h"
#include "cli/run.h"

#include <signal.h>
#include <unistd.h>

struct serving {
	struct app *app;
	struct stdio_server *server;
};

static bool on_turn_end(void *arg)
{
	return stdio_turn(arg);
}

static bool is_settled(void *arg)
{
	return app_is_settled(arg);
}

static void on_signal(void *arg, int signo)
{
	struct serving *serving = arg;

	(void)signo;
	/* Hosts kill after a second. */
	app_hurry(serving->app);
	stdio_terminate(serving->server);
}

static int run(struct cli *cli)
{
	static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};
	int wire = stdio_guard(); /* before anything could print */
	struct stdio_server *server;
	struct serving serving;
	struct app *app;

	/* From here on what would go to stdout is on stderr, so failures are told in words. */
	cli->wants_json = false;
	app = cli_app(cli);
	if (!app)
		return CLI_FAILED;
	server = stdio_create(&(struct stdio_config){
		.loop = app_loop(app),
		.tools = app_tools(app),
		.api_key = app_api_key(app),
		.in_fd = STDIN_FILENO,
		.out_fd = wire,
		.is_settled = is_settled,
		.arg = app,
	});
	serving = (struct serving){.app = app, .server = server};
	app_set_turn_end(app, on_turn_end, server);
	loop_signals(app_loop(app), SIGNALS, ARRAY_LEN(SIGNALS), on_signal, &serving);
	loop_run(app_loop(app));
	app_set_turn_end(app, NULL, NULL);
	stdio_destroy(server);
	return CLI_OK;
}

static const char *const EXAMPLES[] = {
	"farebox mcp",
	"claude mcp add farebox -- farebox mcp",
	NULL,
};

const struct command COMMAND_MCP = {
	.name = "mcp",
	.summary = "Serves MCP on stdin and stdout, as agent hosts start it.",
	.text = "It ends with its input, or on SIGTERM; calls in flight are finished or released.",
	.examples = EXAMPLES,
	.run = run,
};
