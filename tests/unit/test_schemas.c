#include "base/embedded.h"
#include "json/edge.h"
#include "json/schema.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

#define TOOLS "tools/"

/* What a full configuration looks like. */
static const char FULL[] =
	"{\"org\":{\"name\":\"default\",\"email\":\"billing@example.com\",\"starter_tokens\":100},"
	"\"guard\":{\"released\":5,\"repeated\":100,\"window_s\":60},"
	"\"fees\":{\"top_up_credits\":{\"percent\":5.5,\"minimum_usd\":0.80}},"
	"\"tools\":{\"enrich_company\":{\"description\":\"Company facts by domain\","
	"\"inputSchema\":{\"type\":\"object\",\"properties\":{\"domain\":{\"type\":\"string\"}},"
	"\"required\":[\"domain\"]},\"price\":{\"kind\":\"flat\",\"tokens\":10},"
	"\"provider\":{\"kind\":\"http\",\"method\":\"GET\","
	"\"url\":\"https://api.example.com/v1/companies/{domain}\","
	"\"headers\":{\"Authorization\":\"Bearer ${env:EXAMPLE_KEY}\"}},\"timeout_ms\":20000,"
	"\"rate_limit\":{\"calls\":60,\"per_s\":60}},"
	"\"chat_completion\":{\"price\":{\"kind\":\"llm\",\"markup\":1.05,\"models\":"
	"{\"gpt-4o-mini\":{\"input\":0.15,\"cached_input\":0.075,\"output\":0.6}}},"
	"\"provider\":{\"kind\":\"llm\",\"api\":\"openai\","
	"\"base_url\":\"https://api.openai.com/v1\",\"key\":\"${env:OPENAI_API_KEY}\"},"
	"\"unknown_usage\":\"hold\"},"
	"\"count\":{\"price\":{\"kind\":\"per_unit\",\"tokens_per_unit\":0.5,\"units\":"
	"{\"pointer\":\"/result/count\"},\"max_units\":100},\"provider\":{\"kind\":\"echo\","
	"\"delay_ms\":0,\"outcome\":\"ok\"}},"
	"\"fixed\":{\"price\":{\"kind\":\"cost_plus\",\"raw_cost_usd\":0.005,\"markup\":1.05},"
	"\"provider\":{\"kind\":\"echo\"}},"
	"\"asked\":{\"price\":{\"kind\":\"cost_plus\",\"raw_cost_usd\":{\"pointer\":"
	"\"/result/cost\"},\"max_raw_cost_usd\":0.02},\"provider\":{\"kind\":\"http\","
	"\"method\":\"POST\",\"url\":\"https://api.example.com/\",\"body\":{\"q\":\"{q}\"},"
	"\"result\":\"/data\",\"success\":[200,201],\"byok\":{\"name\":\"EXAMPLE\","
	"\"header\":\"X-Key\",\"format\":\"{key}\"}},\"charge_on_error\":true}},"
	"\"upstreams\":{\"files\":{\"command\":[\"npx\",\"some-mcp-server\"],\"prices\":"
	"{\"search\":{\"kind\":\"flat\",\"tokens\":3},\"*\":{\"kind\":\"flat\",\"tokens\":1}}},"
	"\"far\":{\"url\":\"https://mcp.example.com/mcp\",\"prefix\":\"\",\"prices\":{}}},"
	"\"detectors\":{\"hiring\":{\"price\":{\"kind\":\"flat\",\"tokens\":5},\"sources\":"
	"{\"greenhouse\":{\"base_url\":\"https://boards-api.greenhouse.io\"},"
	"\"lever\":{\"base_url\":\"https://api.lever.co\"},"
	"\"ashby\":{\"base_url\":\"https://api.ashbyhq.com\"}}},"
	"\"website_change\":{\"enabled\":false}},"
	"\"network\":{\"allow_private\":false,\"contact\":\"ops@example.com\"},"
	"\"stripe\":{\"return_url\":\"https://example.com/billing\",\"meter\":false},"
	"\"clients\":{\"some-client\":{\"pay\":\"error\"}},"
	"\"orgs\":{\"acme\":{\"prices\":{\"enrich_company\":{\"kind\":\"flat\",\"tokens\":8}}}}}";

static json_t *parsed(const char *text)
{
	struct err err = ERR_INIT;
	json_t *value = edge_parse(slice_of(text), &err);

	ck_assert_msg(value, "%s: %s", text, err.text);
	return value;
}

static json_t *file_parsed(const char *name)
{
	const struct embedded_file *file = embedded_find(name);

	ck_assert_msg(file, "%s", name);
	return parsed(file->text);
}

static struct schema *compiled(json_t *document, const char *what)
{
	struct err err = ERR_INIT;
	struct schema *s = schema_create(document, &err);

	ck_assert_msg(s, "%s: %s", what, err.text);
	return s;
}

static bool is_tool(const struct embedded_file *file)
{
	return strncmp(file->name, TOOLS, strlen(TOOLS)) == 0;
}

static void check_schema_of_object(json_t *tool, const char *key, bool is_closed)
{
	json_t *document = json_object_get(tool, key);
	json_t *additional = json_object_get(document, "additionalProperties");
	const char *name = json_string_value(json_object_get(tool, "name"));

	ck_assert_msg(slice_eq(edge_slice(json_object_get(document, "type")), "object"), "%s %s",
		      name, key);
	ck_assert_msg(!is_closed || json_is_false(additional), "%s %s", name, key);
	schema_destroy(compiled(document, name));
}

static void check_annotations(json_t *annotations, const char *name)
{
	static const char *const HINTS[] = {"readOnlyHint", "destructiveHint", "idempotentHint",
					    "openWorldHint"};

	ck_assert_uint_eq(json_object_size(annotations), ARRAY_LEN(HINTS));
	for (size_t i = 0; i < ARRAY_LEN(HINTS); i++)
		ck_assert_msg(json_is_boolean(json_object_get(annotations, HINTS[i])), "%s %s",
			      name, HINTS[i]);
}

START_TEST(each_tool_file_is_a_tool)
{
	size_t n = 0;

	edge_init();
	for (size_t i = 0; i < EMBEDDED_FILES_COUNT; i++) {
		const struct embedded_file *file = &EMBEDDED_FILES[i];
		char expected[128];
		struct slice description;
		const char *name;
		json_t *tool;

		if (!is_tool(file))
			continue;
		n++;
		tool = parsed(file->text);
		name = json_string_value(json_object_get(tool, "name"));
		ck_assert_msg(name, "%s", file->name);
		(void)snprintf(expected, sizeof(expected), TOOLS "%s.json", name);
		ck_assert_str_eq(file->name, expected);
		ck_assert_uint_gt(edge_slice(json_object_get(tool, "title")).len, 0);
		description = edge_slice(json_object_get(tool, "description"));
		ck_assert_msg(description.len > 0 && description.len < 1024, "%s", name);
		check_schema_of_object(tool, "inputSchema", true);
		check_schema_of_object(tool, "outputSchema", false);
		check_annotations(json_object_get(tool, "annotations"), name);
		ck_assert_uint_eq(json_object_size(tool), json_object_get(tool, "_meta") ? 7 : 6);
		json_decref(tool);
	}
	ck_assert_uint_ge(n, 18);
}
END_TEST

START_TEST(tools_that_move_money_want_a_person)
{
	static const char *const MONEY[] = {"buy_tokens", "top_up_credits", "set_auto_reload",
					    "set_billing_preferences"};

	for (size_t i = 0; i < ARRAY_LEN(MONEY); i++) {
		char name[128];
		json_t *tool;

		(void)snprintf(name, sizeof(name), TOOLS "%s.json", MONEY[i]);
		tool = file_parsed(name);
		ck_assert(json_is_true(json_object_get(json_object_get(tool, "_meta"),
						       "anthropic/requiresUserInteraction")));
		ck_assert(json_is_false(edge_pointer(tool, "/annotations/readOnlyHint")));
		json_decref(tool);
	}
}
END_TEST

struct check_case {
	const char *tool, *value;
	const char *fault; /* "field: text"; NULL: none */
};

static void check_value(struct schema *s, const struct check_case *c)
{
	json_t *value = parsed(c->value);
	struct schema_fault fault = {.field = "?", .text = "?"};
	bool is_ok = schema_check(s, value, &fault);
	char text[512] = "";

	if (!is_ok)
		(void)snprintf(text, sizeof(text), "%s: %s", fault.field, fault.text);
	ck_assert_msg(is_ok == !c->fault, "%s %s: \"%s\"", c->tool, c->value, text);
	if (c->fault)
		ck_assert_str_eq(text, c->fault);
	json_decref(value);
}

static void check_cases(const char *key, const struct check_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct schema *s;
		char name[128];
		json_t *tool;

		(void)snprintf(name, sizeof(name), TOOLS "%s.json", cases[i].tool);
		tool = file_parsed(name);
		s = compiled(json_object_get(tool, key), cases[i].tool);
		check_value(s, &cases[i]);
		schema_destroy(s);
		json_decref(tool);
	}
}

static const struct check_case ARGUMENTS[] = {
	{"ping", "{}", NULL},
	{"ping", "{\"a\":1}", "a: is not a known field"},
	{"buy_tokens", "{}", "amount_usd: is required"},
	{"buy_tokens", "{\"amount_usd\":5}", NULL},
	{"buy_tokens", "{\"amount_usd\":4.99}", "amount_usd: must be at least 5"},
	{"buy_tokens", "{\"amount_usd\":10000.00}", NULL},
	{"buy_tokens", "{\"amount_usd\":10000.01}", "amount_usd: must be at most 10000"},
	{"buy_tokens", "{\"amount_usd\":19.99}", NULL},
	{"buy_tokens", "{\"amount_usd\":19.999}", "amount_usd: has more than two decimals"},
	{"buy_tokens", "{\"amount_usd\":\"25\"}", "amount_usd: must be a number, not a string"},
	{"buy_tokens", "{\"amount_usd\":25,\"idempotency_key\":\"\"}",
	 "idempotency_key: must not be empty"},
	{"buy_tokens", "{\"amount\":25}", "amount: is not a known field"},
	{"top_up_credits", "{\"amount_usd\":4}", "amount_usd: must be at least 5"},
	{"top_up_credits", "{\"amount_usd\":20}", NULL},
	{"set_billing_preferences", "{}", ": must have at least one field"},
	{"set_billing_preferences", "{\"budget_limit\":null}", NULL},
	{"set_billing_preferences", "{\"budget_limit\":0}", NULL},
	{"set_billing_preferences", "{\"budget_limit\":-1}", "budget_limit: must be at least 0"},
	{"set_billing_preferences", "{\"budget_limit\":1.005}",
	 "budget_limit: has more than two decimals"},
	{"set_billing_preferences", "{\"auto_reload_amount\":0.99}",
	 "auto_reload_amount: must be at least 1"},
	{"set_billing_preferences", "{\"auto_reload_amount\":500}", NULL},
	{"set_billing_preferences", "{\"auto_reload_amount\":500.01}",
	 "auto_reload_amount: must be at most 500"},
	{"set_billing_preferences", "{\"auto_reload_threshold\":null}",
	 "auto_reload_threshold: must be a number, not null"},
	{"set_billing_preferences", "{\"auto_reload_threshold\":10000.01}",
	 "auto_reload_threshold: must be at most 10000"},
	{"set_auto_reload", "{}", ": must have at least one field"},
	{"set_auto_reload", "{\"enabled\":true,\"threshold_tokens\":500,\"topup_usd\":20}", NULL},
	{"set_auto_reload", "{\"threshold_tokens\":0.5}",
	 "threshold_tokens: must be a whole number"},
	{"list_invoices", "{\"limit\":100,\"cursor\":\"c\"}", NULL},
	{"list_invoices", "{\"limit\":101}", "limit: must be at most 100"},
	{"list_invoices", "{\"limit\":0}", "limit: must be at least 1"},
	{"get_usage", "{\"from\":\"2026-11-01\",\"to\":\"2026-11-30\"}", NULL},
	{"get_usage", "{\"from\":\"2026-11-1\"}", "from: must match ^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
	{"get_usage", "{\"group_by\":\"org\"}",
	 "group_by: must be one of \"tool\", \"day\", \"key\""},
	{"get_api_key", "{\"rotate\":true}", NULL},
	{"quote", "{\"tool\":\"detect_hiring\",\"arguments\":{\"x\":1}}", NULL},
	{"quote", "{\"arguments\":{}}", "tool: is required"},
	{"set_signals_order", "{\"order\":[\"hiring\",\"website_change\"]}", NULL},
	{"set_signals_order", "{\"order\":[\"hiring\",\"hiring\"]}",
	 "order.1: repeats an earlier item"},
	{"detect_signal", "{\"company\":{\"domain\":\"localhost:8080\"}}", NULL},
	{"detect_signal", "{\"company\":{\"name\":\"a\",\"size\":5},\"mode\":\"first\"}", NULL},
	{"detect_signal", "{\"company\":{}}",
	 "company: must have at least one of name, domain, url, boards"},
	{"detect_signal", "{\"company\":{\"name\":\"a\"},\"mode\":\"any\"}",
	 "mode: must be one of \"all\", \"first\""},
	{"detect_signal", "{\"company\":{\"name\":\"a\"},\"signals\":[1]}",
	 "signals.0: must be a string, not a number"},
	{"detect_hiring", "{\"company\":{\"boards\":{\"lever\":\"matchgroup\"}}}", NULL},
	{"detect_hiring", "{\"company\":{\"boards\":{\"lever\":\"a/../b\"}}}",
	 "company.boards.lever: must match ^[A-Za-z0-9._-]{1,100}$"},
	{"detect_hiring", "{\"company\":{\"boards\":{\"workday\":\"a\"}}}",
	 "company.boards.workday: is not a known field"},
	{"detect_hiring", "{\"company\":\"example.com\"}",
	 "company: must be an object, not a string"},
	{"detect_website_change", "{}", "company: is required"},
};

START_TEST(arguments_have_their_limits)
{
	check_cases("inputSchema", ARGUMENTS, ARRAY_LEN(ARGUMENTS));
}
END_TEST

#define USAGE                                                                                      \
	"\"usage\":{\"cost\":0.0053,\"currency\":\"USD\",\"tokens\":0.53,"                         \
	"\"credits_remaining\":9.9947,\"raw_cost\":0.005,\"markup\":1.05,\"call_id\":\"call_1\","  \
	"\"receipt\":\"00\"}"
#define SIGNAL                                                                                     \
	"{\"type\":\"hiring\",\"strength\":0.5,\"confidence\":0.9,\"event_at\":null,"              \
	"\"detected_at\":\"2026-11-21T08:00:00Z\",\"source_url\":\"https://example.com\","         \
	"\"evidence\":{\"open_jobs\":3,\"departments\":{},\"locations\":{},\"newest\":null},"      \
	"\"fingerprint\":\"00\"}"

static const struct check_case RESULTS[] = {
	{"ping", "{\"ok\":true,\"name\":\"farebox\",\"version\":\"0.1.0\"}", NULL},
	{"ping", "{\"ok\":false,\"name\":\"farebox\",\"version\":\"0.1.0\"}", "ok: must be true"},
	{"get_token_balance",
	 "{\"tokens\":100,\"held_tokens\":0,\"usd\":1,\"tokens_per_usd\":100,\"prices\":"
	 "[{\"tool\":\"detect_hiring\",\"kind\":\"flat\",\"tokens\":5}],\"auto_reload\":"
	 "{\"enabled\":false,\"last_error\":null}}",
	 NULL},
	{"buy_tokens",
	 "{\"status\":\"succeeded\",\"amount_usd\":25,\"tokens\":2500,\"balance_tokens\":"
	 "2600,\"payment_id\":\"pay_1\",\"replayed\":false,\"sandbox\":true}",
	 NULL},
	{"buy_tokens", "{\"status\":\"pending\",\"payment_id\":\"pay_1\"}", NULL},
	{"buy_tokens", "{\"status\":\"requires_payment\",\"url\":\"https://e.com\"}", NULL},
	{"buy_tokens", "{\"status\":\"requires_payment\"}", "url: is required"},
	{"top_up_credits",
	 "{\"url\":\"https://e.com\",\"credit_usd\":20,\"fee_usd\":1.1,\"total_usd\":21.1,"
	 "\"status\":\"open\",\"payment_id\":\"pay_1\"}",
	 NULL},
	{"check_balance", "{\"available_usd\":9.5,\"message\":\"Balance: $9.50 USD available.\"}",
	 NULL},
	{"get_billing_preferences",
	 "{\"auto_reload_enabled\":false,\"auto_reload_threshold\":5,"
	 "\"auto_reload_amount\":20,\"budget_limit\":null}",
	 NULL},
	{"set_billing_preferences",
	 "{\"message\":\"Billing preferences updated.\",\"auto_reload_enabled\":false,"
	 "\"auto_reload_threshold\":5,\"auto_reload_amount\":20,\"budget_limit\":50}",
	 NULL},
	{"set_auto_reload",
	 "{\"enabled\":true,\"threshold_tokens\":500,\"topup_usd\":20,\"budget_limit\":"
	 "null}",
	 NULL},
	{"billing_portal", "{\"url\":\"https://e.com\"}", NULL},
	{"list_invoices",
	 "{\"items\":[{\"id\":\"in_1\",\"type\":\"invoice\",\"status\":\"paid\","
	 "\"amount_usd\":20,\"created\":\"2026-11-21T08:00:00Z\",\"url\":null}],"
	 "\"next_cursor\":null}",
	 NULL},
	{"get_usage",
	 "{\"from\":\"2026-11-01\",\"to\":\"2026-11-30\",\"group_by\":\"tool\",\"groups\":"
	 "[{\"group\":\"detect_hiring\",\"calls\":3,\"charged\":2,\"refunded\":1,"
	 "\"tokens\":10,\"refunded_tokens\":5}],\"totals\":{\"calls\":3,\"charged\":2,"
	 "\"refunded\":1,\"tokens\":10,\"refunded_tokens\":5}}",
	 NULL},
	{"get_api_key",
	 "{\"prefix\":\"fbx_1\",\"label\":\"default\",\"created\":"
	 "\"2026-11-21T08:00:00Z\"}",
	 NULL},
	{"quote",
	 "{\"tool\":\"t\",\"kind\":\"flat\",\"hold_tokens\":30,\"max_usd\":0.3,"
	 "\"affordable\":true,\"balance_tokens\":100}",
	 NULL},
	{"get_signals_order", "{\"order\":[\"hiring\"]}", NULL},
	{"set_signals_order", "{\"order\":[\"hiring\"]}", NULL},
	{"detect_signal",
	 "{\"company\":{\"name\":\"a\"},\"signals\":[" SIGNAL "],\"ran\":[{\"detector\":"
	 "\"hiring\",\"status\":\"hit\",\"tokens\":5}]," USAGE "}",
	 NULL},
	{"detect_hiring", "{\"signals\":[" SIGNAL "],\"unchanged\":false," USAGE "}", NULL},
	{"detect_website_change", "{\"signals\":[],\"unchanged\":true," USAGE "}", NULL},
	{"detect_hiring", "{\"signals\":[],\"unchanged\":true}", "usage: is required"},
};

START_TEST(results_have_their_shape)
{
	check_cases("outputSchema", RESULTS, ARRAY_LEN(RESULTS));
}
END_TEST

START_TEST(a_configuration_is_read_whole)
{
	json_t *document = file_parsed("config.json");
	struct schema *s = compiled(document, "config.json");

	check_value(s, &(struct check_case){"config", "{}", NULL});
	check_value(s, &(struct check_case){"config", FULL, NULL});
	schema_destroy(s);
	json_decref(document);
}
END_TEST

#define TOOL(price, provider) "{\"tools\":{\"t\":{\"price\":" price ",\"provider\":" provider "}}}"
#define FLAT                  "{\"kind\":\"flat\",\"tokens\":1}"
#define ECHO                  "{\"kind\":\"echo\"}"

START_TEST(a_fault_in_a_configuration_is_named)
{
	static const struct check_case CASES[] = {
		{"config", TOOL(FLAT, ECHO), NULL},
		{"config", "{\"tool\":{}}", "tool: is not a known field"},
		{"config", "{\"tools\":{\"my tool\":{}}}",
		 "tools.my tool: the name must match ^[A-Za-z0-9_-]{1,64}$"},
		{"config", "{\"tools\":{\"t\":{\"provider\":" ECHO "}}}",
		 "tools.t.price: is required"},
		{"config", TOOL("{\"kind\":\"flat\"}", ECHO), "tools.t.price.tokens: is required"},
		{"config", TOOL("{\"kind\":\"free\"}", ECHO),
		 "tools.t.price.kind: must be one of \"flat\", \"per_unit\", \"cost_plus\", "
		 "\"llm\""},
		{"config", TOOL("{\"kind\":\"flat\",\"tokens\":-1}", ECHO),
		 "tools.t.price.tokens: must be at least 0"},
		{"config", TOOL("{\"kind\":\"flat\",\"tokens\":0.00005}", ECHO),
		 "tools.t.price.tokens: has more than four decimals"},
		{"config", TOOL("{\"kind\":\"flat\",\"tokens\":1,\"token\":1}", ECHO),
		 "tools.t.price.token: is not a known field"},
		{"config",
		 TOOL("{\"kind\":\"cost_plus\",\"raw_cost_usd\":{\"pointer\":\"/result/c\"}}",
		      ECHO),
		 "tools.t.price.max_raw_cost_usd: is required"},
		{"config", TOOL("{\"kind\":\"cost_plus\",\"raw_cost_usd\":1,\"markup\":0.9}", ECHO),
		 "tools.t.price.markup: must be at least 1"},
		{"config", TOOL("{\"kind\":\"llm\",\"models\":{\"m\":{\"input\":1}}}", ECHO),
		 "tools.t.price.models.m.output: is required"},
		{"config", TOOL(FLAT, "{\"kind\":\"echo\",\"delay_ms\":-1}"),
		 "tools.t.provider.delay_ms: must be at least 0"},
		{"config", TOOL(FLAT, "{\"kind\":\"echo\",\"outcome\":\"6xx\"}"),
		 "tools.t.provider.outcome: must be one of \"ok\", \"5xx\", \"4xx\", \"timeout\", "
		 "\"garbage\", \"broken\", \"stalled\""},
		{"config", TOOL(FLAT, "{\"kind\":\"http\",\"url\":\"ftp://e.com\"}"),
		 "tools.t.provider.url: must match "
		 "^(https?://|\\$\\{env:[A-Za-z_][A-Za-z0-9_]*\\})"},
		{"config", TOOL(FLAT, "{\"kind\":\"http\",\"url\":\"${env:URL}/x\"}"), NULL},
		{"config",
		 TOOL(FLAT, "{\"kind\":\"http\",\"url\":\"http://e\",\"body\":1,\"form\":{}}"),
		 "tools.t.provider: must not have body and form at once"},
		{"config", "{\"upstreams\":{\"u\":{\"prices\":{}}}}",
		 "upstreams.u: must have one of command, url"},
		{"config",
		 "{\"upstreams\":{\"u\":{\"command\":[\"a\"],\"url\":\"http://a\",\"prices\":{}}}}",
		 "upstreams.u: must have only one of command, url"},
		{"config", "{\"org\":{\"email\":\"nobody\"}}",
		 "org.email: must match ^[^@\\s]+@[^@\\s]+$"},
		{"config", "{\"clients\":{\"a b\":{\"pay\":\"no\"}}}",
		 "clients.a b.pay: must be one of \"url\", \"error\""},
		{"config", "{\"detectors\":{\"hiring\":{\"sources\":{\"workday\":{}}}}}",
		 "detectors.hiring.sources.workday: is not a known field"},
	};
	json_t *document = file_parsed("config.json");
	struct schema *s = compiled(document, "config.json");

	for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
		check_value(s, &CASES[i]);
	schema_destroy(s);
	json_decref(document);
}
END_TEST

UNIT_MAIN("schemas", each_tool_file_is_a_tool, tools_that_move_money_want_a_person,
	  arguments_have_their_limits, results_have_their_shape, a_configuration_is_read_whole,
	  a_fault_in_a_configuration_is_named)
