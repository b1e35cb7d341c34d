#include "cli/run.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/suggest.h"
#include "cli/print.h"
#include "json/edge.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tool_run {
	struct cli *cli;
	struct tool_call *call; /* valid until the reply */
	struct tool_reply *reply;
	struct loop_timer give_up;
	bool is_done;
	bool is_given_up;
};

struct app *cli_app(struct cli *cli)
{
	struct err err = ERR_INIT;

	if (cli->app)
		return cli->app;
	cli->app = app_create(&(struct app_options){0}, &err);
	if (!cli->app)
		(void)cli_fail_text(cli, ERROR_INVALID_ARGUMENTS,
				    "Correct it in the environment or in farebox.json; 'farebox "
				    "config check' names every fault of the file.",
				    "%s", err.text);
	return cli->app;
}

static void on_waited(void *arg)
{
	*(bool *)arg = true;
}

static bool has_waited(void *arg)
{
	return *(const bool *)arg;
}

/* Returns what the caller of a list may do. Hosts get a list without what is slow to start; here
 * there is time to wait for it. */
static unsigned await(struct cli *cli, const char *name, const char *key)
{
	struct boottime until = boottime_after(clock_boot(), UPSTREAM_START_MS + CLI_SLACK_MS);
	struct tools_wait wait = {.tools = NULL};
	unsigned scopes = 0;
	bool is_first = true, is_over = false;

	while (!tools_await(app_tools(cli->app), slice_of(name), is_first ? key : NULL, &wait,
			    on_waited, &is_over)) {
		bool is_reached = app_run_until(cli->app, has_waited, &is_over, until);

		tools_wait_cancel(&wait);
		if (is_first)
			scopes = wait.scopes;
		is_first = false;
		if (!is_reached)
			return scopes;
		is_over = false;
	}
	return is_first ? wait.scopes : scopes;
}

void cli_await_tool(struct cli *cli, const char *name)
{
	(void)await(cli, name, NULL);
}

unsigned cli_await_list(struct cli *cli)
{
	return await(cli, "", app_api_key(cli->app));
}

static int refuse_unknown(struct cli *cli, const char *name, const char *operand)
{
	const struct tools *tools = app_tools(cli->app);
	struct err err = ERR_INIT;
	struct suggestion best;

	if (!tools_are_well(tools, slice_of(name), &err))
		return cli_fail_text(cli, ERROR_UPSTREAM_ERROR,
				     "Nothing was charged. Try again when its server runs.",
				     "there is no tool '%s' now: %s", name, err.text);
	suggestion_init(&best, name);
	for (size_t i = 0; i < tools_count(tools); i++)
		suggestion_offer(&best, tool_name(tools_at(tools, i)));
	return cli_usage(cli, &(struct usage_fault){.operand = operand, .suggestion = best.found},
			 "there is no tool '%s'; 'farebox tools' lists them", name);
}

const struct tool *cli_find_tool(struct cli *cli, const char *name, const char *operand,
				 int *out_status)
{
	const struct tool *tool;

	cli_await_tool(cli, name);
	tool = tools_find(app_tools(cli->app), slice_of(name));
	if (!tool)
		*out_status = refuse_unknown(cli, name, operand);
	return tool;
}

static void on_signal(void *arg, int signo)
{
	struct cli *cli = arg;
	struct tool_run *run = cli->running;

	log_info("event=signal number=%d", signo);
	cli->signals++;
	if (!run || run->is_done)
		return;
	if (cli->signals > 1) {
		run->is_given_up = true;
		return;
	}
	loop_timer_in(&run->give_up, CLI_CANCEL_MS);
	tool_call_cancel(run->call);
}

/* From here on Ctrl-C comes through the loop, so that a call can release its hold. */
static void watch_signals(struct cli *cli)
{
	static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};

	if (cli->has_signals)
		return;
	cli->has_signals = true;
	loop_signals(app_loop(cli->app), SIGNALS, ARRAY_LEN(SIGNALS), on_signal, cli);
}

static void on_give_up(void *arg)
{
	struct tool_run *run = arg;

	run->is_given_up = true;
}

static void on_progress(void *arg, const char *message)
{
	(void)arg;
	if (!isatty(STDERR_FILENO))
		return;
	cli_note("%s", message);
}

static void on_reply(void *arg, struct tool_reply *reply)
{
	struct tool_run *run = arg;

	run->is_done = true;
	if (run->is_given_up)
		return;
	run->reply->is_error = reply->is_error;
	run->reply->http_status = reply->http_status;
	buf_append(&run->reply->content, reply->content.p, reply->content.len);
	buf_append(&run->reply->structured, reply->structured.p, reply->structured.len);
	buf_append(&run->reply->meta, reply->meta.p, reply->meta.len);
}

static bool is_over(void *arg)
{
	const struct tool_run *run = arg;

	return run->is_done || run->is_given_up;
}

/* The app ends now, and with it what is still in flight, while its callbacks have where to go. */
static void abandon_app(struct cli *cli)
{
	app_destroy(cli->app);
	cli->app = NULL;
	cli->must_settle = false;
}

bool cli_call(struct cli *cli, const struct tool *tool, json_t *arguments,
	      const struct tool_options *options, struct tool_reply *out)
{
	struct boottime deadline = boottime_after(clock_boot(), CLI_CALL_MS);
	struct tool_run run = {.cli = cli, .reply = out};
	struct tool_call *call;

	tool_reply_init(out);
	watch_signals(cli);
	loop_timer_init(&run.give_up, app_loop(cli->app), on_give_up, &run);
	cli->must_settle = true;
	call = tools_call(app_tools(cli->app), tool, arguments, app_api_key(cli->app), options,
			  deadline, on_progress, on_reply, &run);
	run.call = run.is_done ? NULL : call;
	cli->running = &run;
	if (!app_run_until(cli->app, is_over, &run, boottime_after(deadline, CLI_SLACK_MS)))
		run.is_given_up = true;
	cli->running = NULL;
	loop_timer_cancel(&run.give_up);
	if (run.is_done)
		return true;
	(void)cli_fail_text(cli, ERROR_UPSTREAM_TIMEOUT,
			    "What the call held is released; a payment that was begun is finished "
			    "when farebox runs again, as in 'farebox billing balance'.",
			    "%s was given up.", tool_name(tool));
	abandon_app(cli);
	return false;
}

/* The meta of a reply is the members of an object. */
static json_t *parse_meta(const struct tool_reply *reply)
{
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	json_t *meta;

	buf_putc(&text, '{');
	buf_append(&text, reply->meta.p, reply->meta.len);
	buf_putc(&text, '}');
	meta = edge_parse(buf_slice(&text), &err);
	if (!meta)
		die("the meta of a reply: %s", err.text);
	buf_finish(&text);
	return meta;
}

int cli_fail_reply(struct cli *cli, const struct tool_reply *reply)
{
	CLEANUP(edge_decref) json_t *meta = parse_meta(reply);

	return cli_fail_object(cli, json_object_get(meta, "farebox/error"));
}

static bool read_usd(const json_t *usage, const char *name, char out[MONEY_TEXT_SIZE])
{
	struct microusd a;
	struct decimal d;

	if (!edge_decimal(json_object_get(usage, name), false, &d) ||
	    !microusd_from_usd_exact(&a, d))
		return false;
	usd_text_people(a, out);
	return true;
}

void cli_print_cost(const struct tool *tool, const struct tool_reply *reply)
{
	CLEANUP(edge_decref) json_t *meta = parse_meta(reply);
	const json_t *usage = json_object_get(meta, "farebox/usage");
	const char *call = json_string_value(json_object_get(usage, "call_id"));
	char cost[MONEY_TEXT_SIZE], left[MONEY_TEXT_SIZE];
	CLEANUP(free_charp) char *tokens = NULL;

	if (!usage) {
		if (!reply->is_error && !tool_moves_money(tool))
			cli_note("cost: free");
		return;
	}
	if (!read_usd(usage, "cost", cost) || !read_usd(usage, "credits_remaining", left))
		return;
	tokens = json_cell(json_object_get(usage, "tokens"));
	cli_note("cost: %s tokens ($%s), $%s left%s%s%s", tokens, cost, left, call ? ", " : "",
		 call ? call : "",
		 json_is_true(json_object_get(usage, "replayed")) ? ", replayed" : "");
}

int cli_call_own(struct cli *cli, const char *tool, struct slice arguments, json_t **out)
{
	static const struct tool_options OPTIONS = {
		.client_name = "farebox-cli",
		.is_operator = true,
	};
	CLEANUP(edge_decref) json_t *object = NULL;
	struct tool_reply reply;
	struct err err = ERR_INIT;
	int status = CLI_OK;

	*out = NULL;
	if (!cli_app(cli))
		return CLI_FAILED;
	if (arguments.len) {
		object = edge_parse(arguments, &err);
		if (!object)
			return cli_usage(cli, &(struct usage_fault){0}, "%s", err.text);
	}
	if (!cli_call(cli, tools_find(app_tools(cli->app), slice_of(tool)), object, &OPTIONS,
		      &reply)) {
		status = CLI_FAILED;
	} else if (reply.is_error) {
		status = cli_fail_reply(cli, &reply);
	} else if (cli->wants_json) {
		print_json(cli, buf_slice(&reply.structured));
	} else {
		*out = edge_parse(buf_slice(&reply.structured), &err);
		CHECK(*out);
	}
	tool_reply_finish(&reply);
	return status;
}

static void on_cmd(struct wallet_cmd *cmd)
{
	struct cmd_result *r = cmd->arg;

	r->is_done = true;
	r->outcome = cmd->outcome;
	r->amount = cmd->amount;
	r->after = cmd->after;
	r->receipt = cmd->receipt;
	r->now = cmd->now;
}

static bool cmd_is_done(void *arg)
{
	return ((const struct cmd_result *)arg)->is_done;
}

static int fail_store(struct cli *cli, bool is_broken, const char *why)
{
	return cli_fail_text(cli, is_broken ? ERROR_STORE_BROKEN : ERROR_STORE_UNAVAILABLE, NULL,
			     "The wallet's store cannot be used%s%s%s", is_broken ? "" : " now",
			     *why ? ": " : ".", why);
}

int cli_fail_store(struct cli *cli)
{
	const struct wallet *wallet = app_wallet(cli->app);

	return fail_store(cli, wallet_is_broken(wallet), wallet_trouble(wallet));
}

bool cli_submit(struct cli *cli, TAKES struct wallet_cmd *cmd, struct cmd_result *out)
{
	struct wallet *wallet = app_wallet(cli->app);
	struct cmd_result r = {.outcome = WALLET_UNAVAILABLE};
	struct err err = ERR_INIT;
	bool is_broken;

	cmd->deadline = boottime_after(clock_boot(), CLI_STORE_MS);
	cmd->done = on_cmd;
	cmd->arg = &r;
	wallet_submit(wallet, cmd);
	(void)app_run_until(cli->app, cmd_is_done, &r,
			    boottime_after(clock_boot(), CLI_STORE_MS + CLI_SLACK_MS));
	is_broken = wallet_is_broken(wallet);
	if (!r.is_done || r.outcome == WALLET_UNAVAILABLE)
		err_set(&err, "%s", wallet_trouble(wallet));
	if (!r.is_done)
		abandon_app(cli);
	if (!r.is_done || r.outcome == WALLET_UNAVAILABLE) {
		(void)fail_store(cli, is_broken, err.text);
		return false;
	}
	*out = r;
	return true;
}

static bool is_idle(void *arg)
{
	return wallet_is_idle(arg);
}

static struct db *cli_db_as_it_is(struct cli *cli)
{
	struct app *app = cli_app(cli);
	struct wallet *wallet;
	struct err err = ERR_INIT;

	if (!app)
		return NULL;
	wallet = app_wallet(app);
	/* Open, but the default org could not be made yet: the loop tries again. */
	if (!wallet_open_now(wallet, CLI_STORE_MS, &err) &&
	    !(wallet_is_open(wallet) &&
	      app_run_until(app, is_idle, wallet, boottime_after(clock_boot(), CLI_STORE_MS)))) {
		(void)fail_store(cli, wallet_is_broken(wallet), err.text);
		return NULL;
	}
	return wallet_db(wallet);
}

struct db *cli_db(struct cli *cli)
{
	struct db *db = cli_db_as_it_is(cli);

	if (db)
		wallet_sweep_now(app_wallet(cli->app));
	return db;
}

struct db *cli_db_there(struct cli *cli)
{
	struct app *app = cli_app(cli);
	struct stat st;

	if (!app)
		return NULL;
	if (!strstr(app_store(app), "://") &&
	    (stat(app_store(app), &st) == 0 ? S_ISREG(st.st_mode) && st.st_size == 0
					    : errno == ENOENT)) {
		(void)cli_fail_text(cli, ERROR_STORE_UNAVAILABLE,
				    "The first call makes it; FAREBOX_STORE names another.",
				    "There is no store at %s.", app_store(app));
		return NULL;
	}
	return cli_db_as_it_is(cli);
}

int cli_fail_read(struct cli *cli, struct db *db)
{
	return fail_store(cli, wallet_is_broken(app_wallet(cli->app)), db_error(db));
}

static bool find_default(struct cli *cli, struct db *db, struct org_view *out, int *out_status)
{
	const char *trouble = wallet_default_trouble(app_wallet(cli->app));
	bool is_there = false;

	if (*trouble)
		*out_status = cli_fail_field(cli, "--org", "Or name the org that is meant.", "%s",
					     trouble);
	else if (org_find_default(db, &is_there, out) != DB_OK)
		*out_status = cli_fail_read(cli, db);
	else
		CHECK(is_there); /* since the store is open */
	return is_there;
}

/* An org that was made when that was allowed is called as another one's id. */
static int refuse_ambiguous(struct cli *cli, const struct org_view *named)
{
	CLEANUP(free_charp) char *hint = NULL;
	char id[ID_TEXT_SIZE];

	id_text("org", named->id, id);
	hint = xasprintf("Give the one of that name another: 'farebox orgs rename --org %s --name "
			 "NAME'.",
			 id);
	return cli_fail_field(cli, "--org", hint,
			      "'%s' is the id of one org and the name of another", named->name);
}

bool cli_find_org(struct cli *cli, struct db *db, const char *name, struct org_view *out,
		  int *out_status)
{
	struct org_view by_id = {.name = NULL};
	bool is_there = false, is_id = false;
	enum db_status status;
	struct id id;

	if (!name)
		return find_default(cli, db, out, out_status);
	status = org_find_by_name(db, name, &is_there, out);
	if (status == DB_OK && id_parse("org", slice_of(name), &id))
		status = org_find(db, id, &is_id, &by_id);
	if (status == DB_OK && is_there != is_id) {
		if (is_id)
			*out = by_id;
		return true;
	}
	*out_status = status != DB_OK ? cli_fail_read(cli, db)
		      : is_there      ? refuse_ambiguous(cli, out)
				 : cli_fail_field(cli, "--org", "'farebox orgs list' shows them.",
						  "there is no org '%s'", name);
	if (is_there)
		org_view_finish(out);
	org_view_finish(&by_id);
	return false;
}

struct settling {
	const struct cli *cli;
	int signals;
};

static bool is_settled(void *arg)
{
	const struct settling *s = arg;

	return app_is_settled(s->cli->app) || s->cli->signals > s->signals;
}

void cli_settle(struct cli *cli)
{
	struct settling settling = {.cli = cli, .signals = cli->signals};

	if (cli->app)
		(void)app_run_until(cli->app, is_settled, &settling,
				    boottime_after(clock_boot(), CLI_SETTLE_MS));
}

bool cli_check_text(struct cli *cli, const char *option, const char *text, size_t bytes_max)
{
	const struct usage_fault fault = {.option = option};
	json_t *utf8 = json_string(text);
	size_t len = strlen(text);
	bool is_utf8 = utf8 != NULL;

	json_decref(utf8);
	if (!len || len > bytes_max) {
		(void)cli_usage(cli, &fault, "must have 1 to %zu bytes", bytes_max);
		return false;
	}
	if (!is_utf8) {
		(void)cli_usage(cli, &fault, "is not valid UTF-8");
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
			(void)cli_usage(cli, &fault, "must not hold control characters");
			return false;
		}
	}
	return true;
}
