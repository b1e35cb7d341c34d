#include "wallet/holds.h"
#include "wallet/verify.h"

#include "base/printable.h"
#include "cli/print.h"
#include "cli/run.h"
#include "json/emit.h"

#include <string.h>

/* Each line of the text as a string of the array. */
static void emit_lines(struct emit *e, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		emit_slice(e, (struct slice){.p = text, .len = len});
		text += len + (text[len] == '\n');
	}
}

static void emit_holds(struct emit *e, const struct hold_list *holds)
{
	emit_array(e);
	for (size_t i = 0; i < holds->items_count; i++) {
		const struct hold_view *h = &holds->items[i];

		emit_object(e);
		emit_key_id(e, "call", "call", h->id);
		emit_key_id(e, "org", "org", h->org);
		emit_key_text(e, "tool", h->tool);
		emit_key_tokens(e, "tokens", h->amount);
		emit_key_i64(e, "age_s", h->age_ms / 1000);
		emit_object_end(e);
	}
	emit_array_end(e);
}

static void print_report_json(const struct cli *cli, const struct verify_report *report,
			      const struct hold_list *holds, const struct buf *faults)
{
	char root[DIGEST_TEXT_SIZE];
	struct buf json = BUF_INIT;
	struct emit e;

	digest_text(&report->root, root);
	emit_init(&e, &json);
	emit_object(&e);
	emit_key_bool(&e, "ok", report->faults == 0);
	emit_key_i64(&e, "orgs", report->orgs);
	emit_key_i64(&e, "entries", report->entries);
	emit_key_i64(&e, "open_holds", report->open_holds);
	emit_key(&e, "oldest_holds");
	emit_holds(&e, holds);
	emit_key_text(&e, "root", root);
	emit_key_i64(&e, "faults", report->faults);
	emit_key(&e, "fault_texts");
	emit_array(&e);
	emit_lines(&e, buf_text(faults));
	emit_array_end(&e);
	emit_object_end(&e);
	emit_done(&e);
	print_json(cli, buf_slice(&json));
	buf_finish(&json);
}

static void add_count(struct table *t, const char *name, int64_t n)
{
	CLEANUP(free_charp) char *text = xasprintf("%lld", (long long)n);

	pairs_add(t, name, text);
}

/* Those of living processes are seconds old. */
static void add_holds(struct table *t, const struct hold_list *holds)
{
	for (size_t i = 0; i < holds->items_count; i++) {
		const struct hold_view *h = &holds->items[i];
		char tokens[MONEY_TEXT_SIZE], call[ID_TEXT_SIZE];
		CLEANUP(free_charp) char *text = NULL;

		tokens_text(h->amount, tokens);
		id_text("call", h->id, call);
		text = xasprintf("%s: %s tokens for %s, %lld s old", call, tokens, h->tool,
				 (long long)(h->age_ms / 1000));
		pairs_add(t, i ? "" : "the oldest", text);
	}
}

static void print_report(const struct verify_report *report, const struct hold_list *holds,
			 const struct buf *faults)
{
	struct table *t = pairs_create();
	char root[DIGEST_TEXT_SIZE];

	digest_text(&report->root, root);
	add_count(t, "orgs", report->orgs);
	add_count(t, "entries", report->entries);
	add_count(t, "open holds", report->open_holds);
	add_holds(t, holds);
	pairs_add(t, "root hash", root);
	add_count(t, "faults", report->faults);
	table_print(t);
	print_clean(stdout, buf_text(faults));
}

static int run_verify(struct cli *cli)
{
	struct verify_report report = {.orgs = 0};
	struct hold_list holds = {.count = 0};
	struct buf faults = BUF_INIT;
	int64_t of_payments = 0;
	struct db *db = cli_db_there(cli);
	int status = CLI_OK;

	if (!db)
		return CLI_FAILED;
	if (ledger_verify(db, &report) != DB_OK ||
	    payments_verify(db, &of_payments, &faults) != DB_OK ||
	    hold_list_read(db, &holds) != DB_OK) {
		status = cli_fail_read(cli, db);
	} else {
		struct buf all = BUF_INIT;

		report.faults += of_payments;
		buf_puts(&all, buf_text(&report.faults_text));
		buf_puts(&all, buf_text(&faults));
		if (cli->wants_json)
			print_report_json(cli, &report, &holds, &all);
		else
			print_report(&report, &holds, &all);
		buf_finish(&all);
		status = report.faults ? CLI_FAILED : CLI_OK;
	}
	hold_list_finish(&holds);
	verify_report_finish(&report);
	buf_finish(&faults);
	return status;
}

/* What ref names follows from the kind of entry. */
static const char *ref_prefix(enum entry_kind kind)
{
	switch (kind) {
	case ENTRY_STARTER:
		return "org";
	case ENTRY_GRANT:
	case ENTRY_ADJUSTMENT:
		return "grant";
	case ENTRY_PURCHASE:
	case ENTRY_RELOAD:
	case ENTRY_REFUND:
	case ENTRY_DISPUTE:
	case ENTRY_DISPUTE_REVERSAL:
		return "pay";
	case ENTRY_HOLD:
	case ENTRY_CAPTURE:
	case ENTRY_RELEASE:
	case ENTRY_EXPIRE:
	case ENTRY_WRITEOFF:
		return "call";
	}
	return "ref";
}

static void emit_id_or_null(struct emit *e, const char *key, const char *prefix, struct id id)
{
	if (id_is_none(id))
		emit_key_text(e, key, NULL);
	else
		emit_key_id(e, key, prefix, id);
}

static void emit_entry(struct emit *e, const struct ledger_entry *entry)
{
	char hash[DIGEST_TEXT_SIZE];

	digest_text(&entry->hash, hash);
	emit_object(e);
	emit_key_id(e, "org", "org", entry->org);
	emit_key_i64(e, "seq", entry->seq);
	emit_key_text(e, "kind", entry_kind_name(entry->kind));
	emit_key_text(e, "from", account_name(entry->from));
	emit_key_text(e, "to", account_name(entry->to));
	emit_key_usd(e, "amount_usd", entry->amount);
	emit_key_tokens(e, "tokens", entry->amount);
	emit_id_or_null(e, "ref", ref_prefix(entry->kind), entry->ref);
	emit_id_or_null(e, "key", "key", entry->key);
	emit_key_text(e, "tool", entry->tool);
	emit_key_bool(e, "closing", entry->is_closing);
	emit_key_i64(e, "price_version", entry->price_version);
	emit_key(e, "at");
	emit_walltime(e, entry->at);
	emit_key_i64(e, "at_ms", entry->at.ms);
	emit_key_text(e, "note", entry->note);
	emit_key_text(e, "hash", hash);
	emit_object_end(e);
}

struct export
{
	struct buf line;
	struct buf shown; /* the line as a terminal may see it */
	bool is_shown;
};

static void on_entry(void *arg, const struct ledger_entry *entry)
{
	struct export *x = arg;
	struct emit e;

	if (ferror(stdout))
		return;
	buf_clear(&x->line);
	emit_init(&e, &x->line);
	emit_entry(&e, entry);
	emit_done(&e);
	buf_clear(&x->shown);
	if (x->is_shown)
		printable_append(buf_slice(&x->line), false, &x->shown);
	else
		buf_append(&x->shown, x->line.p, x->line.len);
	buf_putc(&x->shown, '\n');
	(void)fwrite(x->shown.p, 1, x->shown.len, stdout);
}

static int run_export(struct cli *cli)
{
	const char *name = cli_value(cli, "org");
	struct export x = {.line = BUF_INIT,
			   .shown = BUF_INIT,
			   .is_shown = cli->out_is_terminal && !cli->wants_json};
	struct org_view org = {.id = ID_NONE};
	struct db *db = cli_db_there(cli);
	int status = CLI_FAILED;

	if (!db || (name && !cli_find_org(cli, db, name, &org, &status)))
		return status;
	status = CLI_OK;
	if (ledger_each(db, org.id, on_entry, &x) != DB_OK)
		status = cli_fail_read(cli, db);
	buf_finish(&x.line);
	buf_finish(&x.shown);
	org_view_finish(&org);
	return status;
}

static const char *const VERIFY_EXAMPLES[] = {"farebox ledger verify", NULL};
static const struct option_spec EXPORT_OPTIONS[] = {
	{"org", "ORG", "Of one org, by name or id; of all without it.", false},
	{.name = NULL},
};
static const char *const EXPORT_EXAMPLES[] = {
	"farebox ledger export > ledger.jsonl",
	"farebox ledger export --org acme | tail -1",
	NULL,
};

static const struct command VERIFY = {
	.name = "verify",
	.summary = "Checks that the ledger is whole: chains, sums, holds and payments.",
	.text = "Exit status 1 when it finds a fault. The root hash stands for all entries: keep "
		"it\nelsewhere to prove later that nothing before it was changed.",
	.examples = VERIFY_EXAMPLES,
	.run = run_verify,
};
static const struct command EXPORT = {
	.name = "export",
	.summary = "Prints the entries, one JSON object a line.",
	.text = "Each entry's hash is SHA-256 over the hash before it (32 zero bytes at first) and "
		"its\nfields, as src/wallet/verify.h says.",
	.examples = EXPORT_EXAMPLES,
	.options = EXPORT_OPTIONS,
	.run = run_export,
};

static const struct command *const COMMANDS[] = {&VERIFY, &EXPORT, NULL};

const struct command COMMAND_LEDGER = {
	.name = "ledger",
	.summary = "The ledger of the local store: verify, export.",
	.examples = VERIFY_EXAMPLES,
	.commands = COMMANDS,
};
