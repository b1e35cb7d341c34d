/*
 * API keys of the local store. A key is printed once, when it is made; the store keeps its hash.
 */

#include "base/limits.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/emit.h"

#include <stdlib.h>
#include <string.h>

static const char LIST_HINT[] = "'farebox keys list' shows them.";

static void emit_key_view(struct emit *e, const struct key_view *key, const char *secret)
{
	emit_object(e);
	emit_key_id(e, "id", "key", key->id);
	emit_key_text(e, "prefix", key->prefix);
	emit_key_text(e, "label", key->label);
	emit_key_id(e, "org", "org", key->org);
	emit_key(e, "created");
	emit_walltime(e, key->created);
	if (key->limits.has_daily)
		emit_key_tokens(e, "daily_tokens", key->limits.daily);
	if (key->limits.has_monthly)
		emit_key_tokens(e, "monthly_tokens", key->limits.monthly);
	if (key->limits.rate.calls) {
		emit_key(e, "rate");
		emit_object(e);
		emit_key_i64(e, "calls", key->limits.rate.calls);
		emit_key_i64(e, "per_s", key->limits.rate.per_s);
		emit_object_end(e);
	}
	emit_key(e, "scopes");
	emit_array(e);
	for (size_t i = 0; scope_at(i); i++) {
		if (key->scopes & scope_at(i))
			emit_text(e, scope_name(scope_at(i)));
	}
	emit_array_end(e);
	if (secret)
		emit_key_text(e, "api_key", secret);
	else
		emit_key_bool(e, "revoked", key->is_revoked);
	emit_object_end(e);
}

static void print_key_json(const struct cli *cli, const struct key_view *key, const char *secret)
{
	struct buf json = BUF_INIT;
	struct emit e;

	emit_init(&e, &json);
	emit_key_view(&e, key, secret);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	explicit_bzero(json.p, json.len);
	buf_finish(&json);
}

/* The key alone on stdout, so that a script can take it. */
static void print_new_key(const struct cli *cli, const struct key_view *key, const char *secret)
{
	char id[ID_TEXT_SIZE];

	if (cli->wants_json) {
		print_key_json(cli, key, secret);
		return;
	}
	(void)puts(secret);
	id_text("key", key->id, id);
	cli_note("%s: keep it now, it is not shown again", id);
}

/* Makes a key of key->org with key->label; it replaces another unless that is ID_NONE. scopes 0:
 * those of the other. */
static int make_key(struct cli *cli, struct key_view *key, struct id replaces, unsigned scopes)
{
	struct wallet *wallet = app_wallet(cli->app);
	struct caller caller = {.org = key->org, .scopes = SCOPES_ALL};
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_KEY_CREATE, caller);
	char secret[API_KEY_SIZE];
	struct cmd_result result;
	int status = CLI_FAILED;

	api_key_make(secret);
	key->id = wallet_new_id(wallet);
	cmd->id = key->id;
	cmd->hash = api_key_hash(slice_of(secret));
	cmd->prefix = xstrndup(secret, API_KEY_PREFIX_LEN);
	cmd->label = xstrdup(key->label);
	cmd->replaces = replaces;
	cmd->limits = key->limits;
	cmd->scopes = scopes;
	if (scopes)
		key->scopes = scopes;
	memcpy(key->prefix, secret, API_KEY_PREFIX_LEN);
	key->prefix[API_KEY_PREFIX_LEN] = '\0';
	if (!cli_submit(cli, cmd, &result)) {
		status = CLI_FAILED;
	} else if (result.outcome == WALLET_GONE) {
		status = cli_fail_field(cli, "KEY", LIST_HINT, "it was revoked a moment ago");
	} else {
		CHECK(result.outcome == WALLET_OK);
		key->created = result.now;
		print_new_key(cli, key, secret);
		status = CLI_OK;
	}
	explicit_bzero(secret, sizeof(secret));
	return status;
}

/* False: told. */
static bool read_tokens(struct cli *cli, const char *option, bool *out_has, struct microusd *out)
{
	const char *text = cli_value(cli, option);
	struct decimal tokens;

	if (!text)
		return true;
	if (!decimal_parse(slice_of(text), &tokens) || decimal_sign(tokens) < 0 ||
	    !microusd_from_tokens_exact(out, tokens)) {
		(void)cli_usage(cli, &(struct usage_fault){.option = option},
				"must be a number of tokens that is not negative, with at most "
				"four decimals");
		return false;
	}
	*out_has = true;
	return true;
}

/* "60/10": 60 calls in 10 seconds. False: told. */
static bool read_rate(struct cli *cli, struct rate_limit *out)
{
	const char *text = cli_value(cli, "rate"), *slash = text ? strchr(text, '/') : NULL;

	if (!text)
		return true;
	if (slash &&
	    parse_i64((struct slice){.p = text, .len = (size_t)(slash - text)}, 1, RATE_CALLS_MAX,
		      &out->calls) &&
	    parse_i64(slice_of(slash + 1), 1, RATE_SECONDS_MAX, &out->per_s))
		return true;
	(void)cli_usage(cli, &(struct usage_fault){.option = "rate"},
			"must be CALLS/SECONDS, as in 60/10; at most %d calls and %d seconds",
			RATE_CALLS_MAX, RATE_SECONDS_MAX);
	return false;
}

static unsigned scope_of(struct slice word)
{
	for (size_t i = 0; scope_at(i); i++) {
		if (slice_eq(word, scope_name(scope_at(i))))
			return scope_at(i);
	}
	return 0;
}

static bool refuse_scope(struct cli *cli, struct slice word, bool is_twice)
{
	const struct usage_fault fault = {.option = "scopes"};

	if (is_twice)
		(void)cli_usage(cli, &fault, "'%.*s' is there twice", (int)word.len, word.p);
	else if (word.len)
		(void)cli_usage(cli, &fault,
				"there is no scope '%.*s'; they are call, billing and admin",
				(int)word.len, word.p);
	else
		(void)cli_usage(cli, &fault,
				"must be call, billing or admin, or several of them with commas "
				"between them");
	return false;
}

/* "call,billing". Stays as it is without the option. False: told. */
static bool read_scopes(struct cli *cli, unsigned *scopes)
{
	const char *at = cli_value(cli, "scopes");
	unsigned found = 0;

	while (at) {
		struct slice word = {.p = at, .len = strcspn(at, ",")};
		unsigned scope = scope_of(word);

		if (!scope || scope & found)
			return refuse_scope(cli, word, scope != 0);
		found |= scope;
		at = at[word.len] ? at + word.len + 1 : NULL;
	}
	if (found)
		*scopes = found;
	return true;
}

static bool read_limits(struct cli *cli, struct key_limits *out)
{
	return read_tokens(cli, "daily-tokens", &out->has_daily, &out->daily) &&
	       read_tokens(cli, "monthly-tokens", &out->has_monthly, &out->monthly) &&
	       read_rate(cli, &out->rate);
}

static int run_create(struct cli *cli)
{
	const char *label = cli_value(cli, "label");
	struct key_view key = {.label = xstrdup(label ? label : ""), .scopes = SCOPE_CALL};
	struct org_view org;
	struct db *db;
	int status = CLI_FAILED;

	if ((label && !cli_check_text(cli, "label", label, KEY_LABEL_BYTES_MAX)) ||
	    !read_limits(cli, &key.limits) || !read_scopes(cli, &key.scopes)) {
		status = CLI_USAGE;
	} else {
		db = cli_db(cli);
		if (db && cli_find_org(cli, db, cli_value(cli, "org"), &org, &status)) {
			key.org = org.id;
			org_view_finish(&org);
			status = make_key(cli, &key, ID_NONE, key.scopes);
		}
	}
	free(key.label);
	return status;
}

static void print_keys_json(const struct cli *cli, const struct key_list *list)
{
	struct buf json = BUF_INIT;
	struct emit e;

	emit_init(&e, &json);
	emit_object(&e);
	emit_key(&e, "keys");
	emit_array(&e);
	for (size_t i = 0; i < list->count; i++)
		emit_key_view(&e, &list->items[i], NULL);
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

/* "5 a day, 100 a month, 60 calls in 10 s"; "-" for none. Owned by the caller. */
static char *limits_cell(const struct key_limits *limits)
{
	char daily[MONEY_TEXT_SIZE], monthly[MONEY_TEXT_SIZE];
	struct buf cell = BUF_INIT;

	tokens_text(limits->daily, daily);
	tokens_text(limits->monthly, monthly);
	if (limits->has_daily)
		buf_printf(&cell, "%s tokens a day", daily);
	if (limits->has_monthly)
		buf_printf(&cell, "%s%s tokens a month", cell.len ? ", " : "", monthly);
	if (limits->rate.calls)
		buf_printf(&cell, "%s%lld calls in %lld s", cell.len ? ", " : "",
			   (long long)limits->rate.calls, (long long)limits->rate.per_s);
	if (!cell.len)
		buf_putc(&cell, '-');
	return buf_steal(&cell);
}

static bool is_limited(const struct key_view *key)
{
	return key->limits.has_daily || key->limits.has_monthly || key->limits.rate.calls;
}

/* "call,billing", as --scopes takes it. Owned by the caller. */
static char *scopes_cell(unsigned scopes)
{
	struct buf cell = BUF_INIT;

	for (size_t i = 0; scope_at(i); i++) {
		if (scopes & scope_at(i))
			buf_printf(&cell, "%s%s", cell.len ? "," : "", scope_name(scope_at(i)));
	}
	if (!cell.len)
		buf_putc(&cell, '-');
	return buf_steal(&cell);
}

static void print_keys(const struct key_list *list)
{
	static const struct column COLUMNS[] = {
		{"ID", COLUMN_TEXT},     {"PREFIX", COLUMN_TEXT}, {"CREATED", COLUMN_TEXT},
		{"STATE", COLUMN_TEXT},  {"SCOPES", COLUMN_TEXT}, {"LABEL", COLUMN_TEXT},
		{"LIMITS", COLUMN_TEXT},
	};
	bool has_limits = false;
	struct table *t;

	for (size_t i = 0; i < list->count; i++)
		has_limits = has_limits || is_limited(&list->items[i]);
	/* The last column only where there is something in it. */
	t = table_create(COLUMNS, ARRAY_LEN(COLUMNS) - !has_limits, true);
	for (size_t i = 0; i < list->count; i++) {
		const struct key_view *key = &list->items[i];
		char id[ID_TEXT_SIZE], created[WALLTIME_TEXT_SIZE];
		CLEANUP(free_charp) char *limits = limits_cell(&key->limits);
		CLEANUP(free_charp) char *scopes = scopes_cell(key->scopes);

		id_text("key", key->id, id);
		walltime_text(key->created, created);
		table_row(t, (const char *const[]){id, key->prefix, created,
						   key->is_revoked ? "revoked" : "valid", scopes,
						   key->label, limits});
	}
	table_print(t);
}

static int run_list(struct cli *cli)
{
	struct key_list list = {.count = 0};
	struct org_view org;
	struct db *db = cli_db(cli);
	int status = CLI_FAILED;

	if (!db || !cli_find_org(cli, db, cli_value(cli, "org"), &org, &status))
		return status;
	if (key_list_read(db, org.id, &list) != DB_OK) {
		status = cli_fail_read(cli, db);
	} else {
		if (cli->wants_json)
			print_keys_json(cli, &list);
		else
			print_keys(&list);
		status = CLI_OK;
	}
	key_list_finish(&list);
	org_view_finish(&org);
	return status;
}

/* A valid key by its id or prefix, of any org; label is the caller's to free. False: told. */
static bool find_key(struct cli *cli, struct db *db, const char *name, struct key_view *out,
		     int *out_status)
{
	struct key_list list = {.count = 0};
	size_t valid = 0, revoked = 0;
	struct id id = ID_NONE;
	bool is_id = id_parse("key", slice_of(name), &id);

	if (key_list_read(db, ID_NONE, &list) != DB_OK) {
		*out_status = cli_fail_read(cli, db);
		key_list_finish(&list);
		return false;
	}
	for (size_t i = 0; i < list.count; i++) {
		struct key_view *key = &list.items[i];

		if (is_id ? !id_eq(key->id, id) : strcmp(key->prefix, name) != 0)
			continue;
		if (key->is_revoked) {
			revoked++;
		} else if (valid++ == 0) {
			*out = *key;
			out->label = xstrdup(key->label);
		}
	}
	key_list_finish(&list);
	if (valid == 1)
		return true;
	if (valid > 1)
		free(out->label);
	*out_status = cli_fail_field(cli, "KEY", LIST_HINT,
				     valid     ? "'%s' is the prefix of several keys: give the id"
				     : revoked ? "'%s' is revoked already"
					       : "there is no key '%s'",
				     name);
	return false;
}

static int run_revoke(struct cli *cli)
{
	struct db *db = cli_db(cli);
	struct cmd_result result;
	struct wallet_cmd *cmd;
	struct key_view key;
	int status = CLI_FAILED;

	if (!db || !find_key(cli, db, cli_operand(cli, 0), &key, &status))
		return status;
	cmd = wallet_cmd_create(WALLET_OP_KEY_REVOKE, (struct caller){.org = key.org});
	cmd->id = key.id;
	/* GONE: somebody else was faster, and it is revoked all the same. */
	if (cli_submit(cli, cmd, &result)) {
		CHECK(result.outcome == WALLET_OK || result.outcome == WALLET_GONE);
		key.is_revoked = true;
		status = CLI_OK;
		if (cli->wants_json)
			print_key_json(cli, &key, NULL);
		else
			(void)printf("revoked %s\n", key.prefix);
	}
	free(key.label);
	return status;
}

static int run_rotate(struct cli *cli)
{
	unsigned scopes = 0;
	struct key_view key;
	int status = CLI_FAILED;
	struct db *db;

	if (!read_scopes(cli, &scopes))
		return CLI_USAGE;
	db = cli_db(cli);
	if (!db || !find_key(cli, db, cli_operand(cli, 0), &key, &status))
		return status;
	status = make_key(cli, &key, key.id, scopes);
	free(key.label);
	return status;
}

static const struct option_spec CREATE_OPTIONS[] = {
	{"org", "ORG", "Whose key, by name or id; the default org without it.", false},
	{"label", "TEXT", "What it is for, to tell keys apart.", false},
	{"scopes", "SCOPES",
	 "What it may do: call, billing, admin, or several with commas between.", false},
	{"daily-tokens", "N", "What it may spend in a UTC day.", false},
	{"monthly-tokens", "N", "What it may spend in a UTC month.", false},
	{"rate", "CALLS/SECONDS", "How many paid calls it may make in how long.", false},
	{.name = NULL},
};
static const char *const CREATE_EXAMPLES[] = {
	"farebox keys create --label laptop",
	"FAREBOX_API_KEY=$(farebox keys create --org acme)",
	"farebox keys create --label intern --daily-tokens 50 --rate 10/60",
	"farebox keys create --label buyer --scopes call,billing",
	NULL,
};
static const struct option_spec LIST_OPTIONS[] = {
	{"org", "ORG", "Whose keys, by name or id; the default org's without it.", false},
	{.name = NULL},
};
static const char *const REVOKE_EXAMPLES[] = {"farebox keys revoke fbx_1a2b3c4d", NULL};
static const struct option_spec ROTATE_OPTIONS[] = {
	{"scopes", "SCOPES", "What the new one may do, instead of what the old one may.", false},
	{.name = NULL},
};
static const char *const ROTATE_EXAMPLES[] = {
	"farebox keys rotate fbx_1a2b3c4d",
	"farebox keys rotate fbx_1a2b3c4d --scopes call",
	NULL,
};

static const struct command CREATE = {
	.name = "create",
	.summary = "Makes an API key and prints it, this once.",
	.text = "With the scope call a key runs paid tools and reads the wallet; that is all a key "
		"may do without\n--scopes. billing is for buying tokens, preferences and keys, "
		"admin "
		"for other orgs. None of them\nincludes another.",
	.examples = CREATE_EXAMPLES,
	.options = CREATE_OPTIONS,
	.run = run_create,
};
static const struct command LIST = {
	.name = "list",
	.summary = "Lists an org's keys, newest first.",
	.options = LIST_OPTIONS,
	.run = run_list,
};
static const struct command REVOKE = {
	.name = "revoke",
	.summary = "Makes a key invalid, at once and for good.",
	.text = "KEY is the id or the prefix that 'farebox keys list' shows.",
	.examples = REVOKE_EXAMPLES,
	.operands = {"KEY"},
	.operands_required = 1,
	.run = run_revoke,
};
static const struct command ROTATE = {
	.name = "rotate",
	.summary = "Puts a new key in the place of one, which is revoked; prints it, this once.",
	.text = "KEY is the id or the prefix that 'farebox keys list' shows. The label stays, and "
		"so do its scopes,\nits limits and what was spent of them.",
	.examples = ROTATE_EXAMPLES,
	.options = ROTATE_OPTIONS,
	.operands = {"KEY"},
	.operands_required = 1,
	.run = run_rotate,
};

static const struct command *const COMMANDS[] = {&CREATE, &LIST, &REVOKE, &ROTATE, NULL};

const struct command COMMAND_KEYS = {
	.name = "keys",
	.summary = "API keys of the local store: make, list, revoke, rotate.",
	.examples = CREATE_EXAMPLES,
	.commands = COMMANDS,
};
