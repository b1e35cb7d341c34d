#include "providers/llm.h"

#include "base/limits.h"
#include "json/edge.h"
#include "json/schema.h"

#include "api_site.h"
#include "unit.h"

#include <string.h>

#define LONG_MS 20000
#define HELLO   "{'model':'m','messages':[{'role':'user','content':'hello'}]}"

static const char OPENAI_ANSWER[] =
	"{\"id\":\"c1\",\"model\":\"m-2024\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
	"\"assistant\",\"content\":\"Hi \\\"you\\\"\"},\"finish_reason\":\"stop\"}],\"usage\":"
	"{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17,"
	"\"prompt_tokens_details\":{\"cached_tokens\":8},"
	"\"completion_tokens_details\":{\"reasoning_tokens\":2}}}";

static const char ANTHROPIC_ANSWER[] =
	"{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\","
	"\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":"
	"\"Hi\"},{\"type\":\"text\",\"text\":\" you\"}],\"stop_reason\":\"end_turn\","
	"\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":90,"
	"\"cache_creation_input_tokens\":5,\"output_tokens\":7}}";

static const char OPENAI_STREAM[] =
	": a comment\n\n"
	"data: {\"model\":\"m-2024\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":"
	"\"\"},\"finish_reason\":null}],\"usage\":null}\n\n"
	"data: {\"model\":\"m-2024\",\"choices\":[{\"delta\":{\"content\":\"Hi \"}}]}\r\n\r\n"
	"data: {\"choices\":[{\"delta\":{\"content\":\"you\"}}]}\n\n"
	"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n"
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"
	"data: [DONE]\n\n";

static const char ANTHROPIC_STREAM[] =
	"event: message_start\ndata: "
	"{\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\","
	"\"content\":[],\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":4,"
	"\"output_tokens\":1}}}\n\n"
	"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
	"\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
	"event: ping\ndata: {\"type\":\"ping\"}\n\n"
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
	"\"text_delta\",\"text\":\"Hi\"}}\n\n"
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
	"\"text_delta\",\"text\":\" you\"}}\n\n"
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
	"\"max_tokens\"},\"usage\":{\"output_tokens\":6}}\n\n"
	"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

static struct api_reply stream(const char *text, size_t piece_bytes, enum api_end end)
{
	return (struct api_reply){.type = "text/event-stream; charset=utf-8",
				  .body = text,
				  .piece_bytes = piece_bytes,
				  .end = end};
}

static bool usage_is(const struct api_site *s, int64_t input, int64_t cached, int64_t output)
{
	const struct llm_usage *u = &s->result.usage;

	return u->is_known && u->input == input && u->cached_input == cached && u->output == output;
}

static void check_schema(const struct api_site *s)
{
	json_t *ours = llm_description();
	json_t *result = edge_parse(buf_slice(&s->result.structured), NULL);
	struct err err = ERR_INIT;
	struct schema *schema = schema_create(json_object_get(ours, "outputSchema"), &err);
	struct schema_fault fault;

	ck_assert_msg(schema != NULL, "%s", err.text);
	ck_assert_msg(schema_check(schema, result, &fault), "%s %s", fault.field, fault.text);
	schema_destroy(schema);
	json_decref(result);
	json_decref(ours);
}

START_TEST(openai_is_asked_and_read)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "sk-op", 1), 0);
	s.max_output = 77;
	p = api_llm(&s, "{'kind':'llm','api':'openai','base_url':'@/api/v2/',"
			"'key':'${env:FAREBOX_TEST_KEY}','models':{'m':'vendor/m'}}");
	api_say(&s, (struct api_reply){.body = OPENAI_ANSWER});
	ck_assert_int_eq(
		api_run(&s, p,
			"{'model':'m','messages':[{'role':'system','content':'s'},{'role':'user',"
			"'content':'hello'}],'temperature':0.5,'stop':['a','b']}",
			NULL, LONG_MS),
		PROVIDER_OK);
	ck_assert(api_asked_has(&s, 0, "POST /api/v2/chat/completions\n"));
	ck_assert(api_asked_has(&s, 0, "\nAuthorization: Bearer sk-op\n"));
	ck_assert(api_asked_has(&s, 0, "\nContent-Type: application/json\n"));
	ck_assert(api_asked_has(
		&s, 0,
		"\n\n{\"model\":\"vendor/m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
		"{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":77,\"temperature\":0.5,"
		"\"stop\":[\"a\",\"b\"]}"));
	ck_assert_str_eq(api_structured(&s),
			 "{\"model\":\"m-2024\",\"content\":\"Hi \\\"you\\\"\",\"finish_reason\":"
			 "\"stop\",\"usage\":{\"input_tokens\":12,\"cached_input_tokens\":8,"
			 "\"output_tokens\":5}}");
	ck_assert(usage_is(&s, 12, 8, 5));
	check_schema(&s);
	api_reset(&s);
	api_say(&s, (struct api_reply){.body = OPENAI_ANSWER});
	ck_assert_int_eq(api_run(&s, p,
				 "{'model':'x','messages':[{'role':'user','content':''}],"
				 "'max_tokens':5}",
				 NULL, LONG_MS),
			 PROVIDER_OK);
	ck_assert(api_asked_has(&s, 0, "\"model\":\"x\""));
	ck_assert(api_asked_has(&s, 0, "\"max_tokens\":5}"));
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(anthropic_is_asked_and_read)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "sk-ant", 1), 0);
	p = api_llm(&s, "{'api':'anthropic','base_url':'@','key':'${env:FAREBOX_TEST_KEY}'}");
	api_say(&s, (struct api_reply){.body = ANTHROPIC_ANSWER});
	ck_assert_int_eq(
		api_run(&s, p,
			"{'model':'m','messages':[{'role':'system','content':'be'},{'role':'user',"
			"'content':'hello'},{'role':'system','content':'brief'}],'stop':'X'}",
			NULL, LONG_MS),
		PROVIDER_OK);
	ck_assert(api_asked_has(&s, 0, "POST /v1/messages\n"));
	ck_assert(api_asked_has(&s, 0, "\nx-api-key: sk-ant\n"));
	ck_assert(api_asked_has(&s, 0, "\nanthropic-version: 2023-06-01\n"));
	ck_assert(api_asked_has(
		&s, 0,
		"\n\n{\"model\":\"m\",\"max_tokens\":4096,\"system\":\"be\\n\\nbrief\","
		"\"messages\":"
		"[{\"role\":\"user\",\"content\":\"hello\"}],\"stop_sequences\":[\"X\"]}"));
	ck_assert_str_eq(
		api_structured(&s),
		"{\"model\":\"claude-x\",\"content\":\"Hi you\",\"finish_reason\":\"stop\","
		"\"usage\":{\"input_tokens\":105,\"cached_input_tokens\":90,"
		"\"cache_write_tokens\":5,\"output_tokens\":7}}");
	ck_assert(usage_is(&s, 105, 90, 7));
	ck_assert_int_eq(s.result.usage.cache_write, 5);
	check_schema(&s);
	ck_assert_int_eq(api_run(&s, p, "{'model':'m','messages':[{'role':'system','content':''}]}",
				 NULL, LONG_MS),
			 PROVIDER_INVALID);
	ck_assert_str_eq(s.result.field, "messages");
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

static void check_usage(struct api_site *s, const char *api, const char *usage, int64_t input,
			int64_t cached, int64_t output)
{
	bool is_openai = strcmp(api, "openai") == 0;
	CLEANUP(free_charp) char *config = xasprintf("{'api':'%s','base_url':'@'}", api);
	CLEANUP(free_charp)
	char *body = xasprintf(is_openai ? "{\"choices\":[{\"message\":{\"content\":\"x\"},"
					   "\"finish_reason\":\"stop\"}]%s%s}"
					 : "{\"content\":[{\"type\":\"text\",\"text\":\"x\"}],"
					   "\"stop_reason\":\"end_turn\"%s%s}",
			       *usage ? ",\"usage\":" : "", usage);
	struct provider *p = api_llm(s, config);

	api_reset(s);
	api_say(s, (struct api_reply){.body = body});
	ck_assert_int_eq(api_run(s, p, HELLO, NULL, LONG_MS), PROVIDER_OK);
	if (input < 0)
		ck_assert_msg(!s->result.usage.is_known, "%s", usage);
	else
		ck_assert_msg(usage_is(s, input, cached, output), "%s", usage);
	ck_assert_int_eq(strstr(api_structured(s), "\"usage\":null") != NULL, input < 0);
	check_schema(s);
	provider_destroy(p);
}

START_TEST(a_usage_of_zero_is_zero_and_one_that_is_missing_or_mad_is_unknown)
{
	struct api_site s;

	api_init(&s);
	check_usage(&s, "openai", "{\"prompt_tokens\":0,\"completion_tokens\":0}", 0, 0, 0);
	check_usage(&s, "openai",
		    "{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_tokens_details\":null}",
		    9, 0, 1);
	check_usage(&s, "openai",
		    "{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_cache_hit_tokens\":4}",
		    9, 4, 1);
	check_usage(&s, "openai", "", -1, 0, 0);
	check_usage(&s, "openai", "null", -1, 0, 0);
	check_usage(&s, "openai", "{}", -1, 0, 0);
	check_usage(&s, "openai", "{\"prompt_tokens\":9}", -1, 0, 0);
	check_usage(&s, "openai", "{\"prompt_tokens\":9,\"completion_tokens\":-1}", -1, 0, 0);
	check_usage(&s, "openai", "{\"prompt_tokens\":\"9\",\"completion_tokens\":1}", -1, 0, 0);
	check_usage(&s, "openai", "{\"prompt_tokens\":9.5,\"completion_tokens\":1}", -1, 0, 0);
	check_usage(&s, "openai", "{\"prompt_tokens\":9,\"completion_tokens\":1e15}", -1, 0, 0);
	check_usage(&s, "openai",
		    "{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_tokens_details\":"
		    "{\"cached_tokens\":10}}",
		    -1, 0, 0);
	check_usage(&s, "openai",
		    "{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_tokens_details\":"
		    "{\"cached_tokens\":-1}}",
		    -1, 0, 0);
	check_usage(&s, "anthropic", "{\"input_tokens\":0,\"output_tokens\":0}", 0, 0, 0);
	check_usage(&s, "anthropic",
		    "{\"input_tokens\":1,\"output_tokens\":2,\"cache_read_input_tokens\":null}", 1,
		    0, 2);
	check_usage(&s, "anthropic", "", -1, 0, 0);
	check_usage(&s, "anthropic", "{\"output_tokens\":2}", -1, 0, 0);
	check_usage(&s, "anthropic", "{\"input_tokens\":1}", -1, 0, 0);
	check_usage(&s, "anthropic",
		    "{\"input_tokens\":1,\"output_tokens\":2,\"cache_read_input_tokens\":-3}", -1,
		    0, 0);
	api_finish(&s);
}
END_TEST

START_TEST(a_stream_is_put_together_whatever_its_pieces)
{
	static const size_t PIECES[] = {1, 2, 7, 64, 5000};
	struct api_site s;

	api_init(&s);
	for (size_t i = 0; i < 2 * ARRAY_LEN(PIECES); i++) {
		bool is_openai = i % 2 == 0;
		struct provider *p = api_llm(
			&s, is_openai ? "{'api':'openai','base_url':'@','stream':true}"
				      : "{'api':'anthropic','base_url':'@','stream':true}");

		api_reset(&s);
		api_say(&s, stream(is_openai ? OPENAI_STREAM : ANTHROPIC_STREAM, PIECES[i / 2],
				   API_ENDS));
		ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_OK);
		ck_assert(api_asked_has(&s, 0, "\"stream\":true"));
		ck_assert_int_eq(
			api_asked_has(&s, 0, "\"stream_options\":{\"include_usage\":true}"),
			is_openai);
		if (is_openai)
			ck_assert_str_eq(
				api_structured(&s),
				"{\"model\":\"m-2024\",\"content\":\"Hi you\","
				"\"finish_reason\":\"length\",\"usage\":{\"input_tokens\":3,"
				"\"cached_input_tokens\":0,\"output_tokens\":2}}");
		else
			ck_assert_str_eq(
				api_structured(&s),
				"{\"model\":\"claude-x\",\"content\":\"Hi you\","
				"\"finish_reason\":\"length\",\"usage\":{\"input_tokens\":14,"
				"\"cached_input_tokens\":4,\"output_tokens\":6}}");
		provider_destroy(p);
	}
	api_finish(&s);
}
END_TEST

/* The stream up to and with the text. */
static char *cut_after(const char *whole, const char *text)
{
	const char *at = strstr(whole, text);

	ck_assert_ptr_nonnull(at);
	return xstrndup(whole, (size_t)(at - whole) + strlen(text));
}

static void check_cut(struct api_site *s, const char *api, const char *whole, const char *text,
		      enum api_end end, bool has_begun)
{
	CLEANUP(free_charp)
	char *config = xasprintf("{'api':'%s','base_url':'@','stream':true}", api);
	CLEANUP(free_charp) char *part = cut_after(whole, text);
	struct provider *p = api_llm(s, config);

	api_reset(s);
	api_say(s, stream(part, 4096, end));
	ck_assert_int_eq(api_run(s, p, HELLO, NULL, end == API_HANGS ? 400 : LONG_MS),
			 end == API_HANGS ? PROVIDER_TIMEOUT : PROVIDER_FAILED);
	ck_assert_int_eq(s->result.has_begun, has_begun);
	ck_assert_int_eq(s->execution.has_begun, has_begun);
	ck_assert(!s->result.usage.is_known);
	ck_assert_uint_eq(s->result.structured.len, 0);
	ck_assert_uint_eq(s->asked_count, 1);
	provider_destroy(p);
}

START_TEST(a_stream_that_dies_says_whether_it_had_begun)
{
	static const char BEFORE[] = "\"usage\":null}\n\n",
			  AFTER[] = "{\"content\":\"Hi \"}}]}\r\n\r\n";
	static const char START[] = "\"output_tokens\":1}}}\n\n", TEXT[] = "\"text\":\"Hi\"}}\n\n";
	struct api_site s;

	api_init(&s);
	for (int end = API_ENDS; end <= API_HANGS; end++) {
		check_cut(&s, "openai", OPENAI_STREAM, BEFORE, (enum api_end)end, false);
		check_cut(&s, "openai", OPENAI_STREAM, AFTER, (enum api_end)end, true);
		check_cut(&s, "anthropic", ANTHROPIC_STREAM, START, (enum api_end)end, false);
		check_cut(&s, "anthropic", ANTHROPIC_STREAM, TEXT, (enum api_end)end, true);
	}
	/* What is known of the usage is kept. */
	ck_assert_int_eq(s.result.usage.input, 14);
	ck_assert_int_eq(s.result.usage.cached_input, 4);
	api_finish(&s);
}
END_TEST

START_TEST(a_stream_that_is_cut_after_its_content_is_whole)
{
	CLEANUP(free_charp) char *part = cut_after(OPENAI_STREAM, "\"length\"}]}\n\n");
	struct boottime start;
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_llm(&s, "{'api':'openai','base_url':'@','stream':true}");
	api_say(&s, stream(part, 4096, API_BREAKS));
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_OK);
	ck_assert(!s.result.usage.is_known);
	ck_assert_ptr_nonnull(strstr(api_structured(&s), "\"usage\":null"));
	/* Over, and not closed. */
	api_say(&s, stream(OPENAI_STREAM, 4096, API_HANGS));
	start = clock_boot();
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_OK);
	ck_assert_int_lt(clock_boot().ms - start.ms, LONG_MS / 2);
	ck_assert(usage_is(&s, 3, 0, 2));
	/* A server that knows no streams. */
	api_say(&s, (struct api_reply){.body = OPENAI_ANSWER});
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_OK);
	ck_assert(usage_is(&s, 12, 8, 5));
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_stream_may_fail_in_words)
{
	static const char ANTHROPIC[] =
		"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
		"\"message\":\"Overloaded\"}}\n\n";
	static const char OPENAI[] =
		"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
		"data: {\"error\":{\"message\":\"the key sk-op ran dry\"}}\n\n";
	static const char MAD[] = "data: {\"choices\":\n\n";
	struct api_site s;
	struct provider *p;

	api_init(&s);
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "sk-op", 1), 0);
	p = api_llm(&s, "{'api':'anthropic','base_url':'@','stream':true}");
	api_say(&s, stream(ANTHROPIC, 4096, API_HANGS));
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_str_eq(s.result.err.text, "the provider broke off: Overloaded");
	ck_assert(!s.result.has_begun);
	provider_destroy(p);
	p = api_llm(&s, "{'api':'openai','base_url':'@','stream':true,"
			"'key':'${env:FAREBOX_TEST_KEY}'}");
	api_say(&s, stream(OPENAI, 4096, API_HANGS));
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_str_eq(s.result.err.text, "the provider broke off");
	ck_assert(s.result.has_begun);
	api_say(&s, stream(MAD, 4096, API_HANGS));
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
	api_say(&s, stream("data: [DONE]\n\n", 4096, API_HANGS));
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
	api_say(&s, stream("", 4096, API_ENDS));
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
	api_say(&s, (struct api_reply){.type = "text/event-stream", .endless_bytes = 1u << 30});
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_ptr_nonnull(strstr(s.result.err.text, "too large"));
	api_say(&s, (struct api_reply){.endless_bytes = 1u << 30});
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
	ck_assert_ptr_nonnull(strstr(s.result.err.text, "too large"));
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_long_answer_may_come_at_once)
{
	struct buf text = BUF_INIT;
	struct api_site s;
	struct provider *p;

	api_init(&s);
	for (int i = 0; i < 60000; i++)
		buf_puts(&text, "data: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n");
	buf_puts(&text, "data: [DONE]\n\n");
	p = api_llm(&s, "{'api':'openai','base_url':'@','stream':true}");
	api_say(&s, stream(buf_text(&text), 65536, API_ENDS));
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_OK);
	ck_assert_uint_gt(s.result.structured.len, 3 * 60000);
	buf_finish(&text);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(progress_is_reported_while_it_writes)
{
	struct buf text = BUF_INIT;
	struct api_site s;
	struct provider *p;

	api_init(&s);
	for (int i = 0; i < 4; i++)
		buf_puts(&text, "data: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n");
	p = api_llm(&s, "{'api':'openai','base_url':'@','stream':true}");
	api_say(&s, stream(buf_text(&text), 4096, API_HANGS));
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LLM_PROGRESS_MS + 500), PROVIDER_TIMEOUT);
	ck_assert_int_eq(s.progress_count, 1);
	ck_assert_str_eq(s.progress, "12 bytes of the answer so far");
	ck_assert(s.result.has_begun);
	buf_finish(&text);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_status_says_who_is_to_blame)
{
	struct api_site s;

	api_init(&s);
	for (int is_stream = 0; is_stream < 2; is_stream++) {
		struct provider *p = api_llm(
			&s, is_stream ? "{'api':'openai','base_url':'@','stream':true}"
				      : "{'api':'openai','base_url':'@'}");

		api_reset(&s);
		api_say(&s,
			(struct api_reply){.status = 400,
					   .body = "{\"error\":{\"message\":\"no such model\"}}"});
		api_say(&s, (struct api_reply){.status = 429,
					       .body = "{}",
					       .header = "Retry-After",
					       .value = "9"});
		api_say(&s, (struct api_reply){.status = 529, .body = "{}"});
		api_say(&s, (struct api_reply){.body = "{\"choices\":[]}"});
		api_say(&s, (struct api_reply){
				    .body = OPENAI_ANSWER, .piece_bytes = 100, .end = API_BREAKS});
		ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_REJECTED);
		ck_assert_str_eq(s.result.err.text, "the provider answered 400: no such model");
		ck_assert_int_eq(s.result.status, 400);
		ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
		ck_assert_int_eq(s.result.retry_after_s, 9);
		ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
		ck_assert_int_eq(s.result.status, 529);
		ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
		ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_FAILED);
		ck_assert(!s.result.has_begun);
		ck_assert_uint_eq(s.asked_count, 5);
		provider_destroy(p);
	}
	api_finish(&s);
}
END_TEST

START_TEST(the_callers_own_key_is_used_and_asked_for)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	ck_assert_int_eq(setenv("FAREBOX_TEST_KEY", "sk-op", 1), 0);
	p = api_llm(&s, "{'api':'anthropic','base_url':'@/v1','byok':{'name':'ANT'},"
			"'key':'${env:FAREBOX_TEST_KEY}'}");
	api_say(&s, (struct api_reply){.body = ANTHROPIC_ANSWER});
	ck_assert_int_eq(api_run(&s, p, HELLO, "sk-own", LONG_MS), PROVIDER_OK);
	ck_assert(api_asked_has(&s, 0, "\nx-api-key: sk-own\n"));
	ck_assert(!api_asked_has(&s, 0, "sk-op"));
	provider_destroy(p);
	p = api_llm(&s, "{'api':'openai','base_url':'@/v1','byok':{'name':'OAI'}}");
	ck_assert_int_eq(api_run(&s, p, HELLO, NULL, LONG_MS), PROVIDER_REJECTED);
	ck_assert_ptr_nonnull(strstr(s.result.err.text, "FAREBOX_PROVIDER_KEY_OAI"));
	api_say(&s, (struct api_reply){.body = OPENAI_ANSWER});
	ck_assert_int_eq(api_run(&s, p, HELLO, "sk-own", LONG_MS), PROVIDER_OK);
	ck_assert(api_asked_has(&s, 1, "\nAuthorization: Bearer sk-own\n"));
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

static bool is_refused(struct api_site *s, const char *config, const char *says)
{
	struct llm_provider_parts parts = {.loop = s->loop, .http = s->http};
	json_t *json = api_json(s, config);
	struct err err = ERR_INIT;
	struct provider *p = llm_provider_create(&parts, json, &err);

	json_decref(json);
	ck_assert_msg(!p, "%s", config);
	return strstr(err.text, says) != NULL;
}

START_TEST(a_configuration_that_cannot_work_is_a_fault)
{
	struct api_site s;

	api_init(&s);
	ck_assert(is_refused(&s, "{'api':'other','base_url':'@'}", "api"));
	ck_assert(is_refused(&s, "{'api':'openai'}", "url"));
	ck_assert(is_refused(&s, "{'api':'openai','base_url':'@/{x}'}", "{x}"));
	ck_assert(is_refused(&s, "{'api':'openai','base_url':'@/v1?a=b'}", "query"));
	ck_assert(is_refused(&s, "{'api':'openai','base_url':'@','key':'${env:FAREBOX_TEST_NONE}'}",
			     "FAREBOX_TEST_NONE is not set"));
	ck_assert(is_refused(&s, "{'api':'openai','base_url':'@','key':'{model}'}", "{model}"));
	api_finish(&s);
}
END_TEST

START_TEST(arguments_without_a_conversation_are_refused)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_llm(&s, "{'api':'openai','base_url':'@'}");
	ck_assert_int_eq(api_run(&s, p, "{}", NULL, LONG_MS), PROVIDER_INVALID);
	ck_assert_str_eq(s.result.field, "model");
	ck_assert_int_eq(api_run(&s, p, "{'model':'m','messages':[]}", NULL, LONG_MS),
			 PROVIDER_INVALID);
	ck_assert_str_eq(s.result.field, "messages");
	ck_assert_int_eq(
		api_run(&s, p, "{'model':'m','messages':[{'role':'user'}]}", NULL, LONG_MS),
		PROVIDER_INVALID);
	ck_assert_int_eq(api_run(&s, p,
				 "{'model':'m','messages':[{'role':'user','content':'a'}],"
				 "'max_tokens':0}",
				 NULL, LONG_MS),
			 PROVIDER_INVALID);
	ck_assert_str_eq(s.result.field, "max_tokens");
	ck_assert_uint_eq(s.asked_count, 0);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(a_cancelled_stream_is_silent)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_llm(&s, "{'api':'openai','base_url':'@','stream':true}");
	api_say(&s, stream("data: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n", 4096,
			   API_HANGS));
	api_start(&s, p, HELLO, NULL, LONG_MS);
	api_pass(&s, 80);
	provider_cancel(p, &s.execution);
	ck_assert_ptr_null(s.execution.state);
	api_pass(&s, 50);
	ck_assert(!s.is_done);
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

UNIT_MAIN("llm_provider", openai_is_asked_and_read, anthropic_is_asked_and_read,
	  a_usage_of_zero_is_zero_and_one_that_is_missing_or_mad_is_unknown,
	  a_stream_is_put_together_whatever_its_pieces,
	  a_stream_that_dies_says_whether_it_had_begun,
	  a_stream_that_is_cut_after_its_content_is_whole, a_stream_may_fail_in_words,
	  a_long_answer_may_come_at_once, progress_is_reported_while_it_writes,
	  a_status_says_who_is_to_blame, the_callers_own_key_is_used_and_asked_for,
	  a_configuration_that_cannot_work_is_a_fault, arguments_without_a_conversation_are_refused,
	  a_cancelled_stream_is_silent)
