/* The content of messages: texts and images, as callers write them and as each API gets them. */

#include "providers/llm.h"

#include "json/edge.h"
#include "json/schema.h"

#include "api_site.h"
#include "unit.h"

#define LONG_MS 20000

static const char OPENAI_ANSWER[] =
	"{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"Hi\"},\"finish_reason\":"
	"\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5}}";

static const char ANTHROPIC_ANSWER[] =
	"{\"type\":\"message\",\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],"
	"\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":10,\"output_tokens\":7}}";

#define TEXT_PART  "{'type':'text','text':'what is it?'}"
#define DATA_PART  "{'type':'image_url','image_url':{'url':'data:image/png;base64,aGk='}}"
#define URL_PART   "{'type':'image_url','image_url':{'url':'https://x.example/a.jpg','detail':'low'}}"
#define OF_USER(c) "{'model':'m','messages':[{'role':'user','content':" c "}]}"

START_TEST(openai_gets_parts_as_they_are)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_llm(&s, "{'api':'openai','base_url':'@'}");
	api_say(&s, (struct api_reply){.body = OPENAI_ANSWER});
	ck_assert_int_eq(api_run(&s, p, OF_USER("[" TEXT_PART "," DATA_PART "," URL_PART "]"), NULL,
				 LONG_MS),
			 PROVIDER_OK);
	ck_assert(api_asked_has(
		&s, 0,
		"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
		"\"what is it?\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
		"\"data:image/png;base64,aGk=\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":"
		"\"https://x.example/a.jpg\",\"detail\":\"low\"}}]}]"));
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(anthropic_gets_images_with_their_source)
{
	struct api_site s;
	struct provider *p;

	api_init(&s);
	p = api_llm(&s, "{'api':'anthropic','base_url':'@'}");
	api_say(&s, (struct api_reply){.body = ANTHROPIC_ANSWER});
	ck_assert_int_eq(
		api_run(&s, p,
			"{'model':'m','messages':[{'role':'system','content':[{'type':'text',"
			"'text':'be'},{'type':'text','text':'brief'}]},{'role':'user','content':"
			"[" TEXT_PART "," DATA_PART "," URL_PART "]},{'role':'assistant','content':"
			"[{'type':'text','text':'a cat'}]},{'role':'user','content':'sure?'}]}",
			NULL, LONG_MS),
		PROVIDER_OK);
	ck_assert(api_asked_has(
		&s, 0,
		"\"system\":\"be\\n\\nbrief\",\"messages\":[{\"role\":\"user\",\"content\":["
		"{\"type\":\"text\",\"text\":\"what is it?\"},{\"type\":\"image\",\"source\":{"
		"\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"aGk=\"}},"
		"{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":"
		"\"https://x.example/a.jpg\"}}]},{\"role\":\"assistant\",\"content\":[{\"type\":"
		"\"text\",\"text\":\"a cat\"}]},{\"role\":\"user\",\"content\":\"sure?\"}]"));
	provider_destroy(p);
	api_finish(&s);
}
END_TEST

START_TEST(parts_that_no_provider_reads_are_refused)
{
	static const char *const BAD[] = {
		OF_USER("[]"),
		OF_USER("[{'type':'input_audio','text':'x'}]"),
		OF_USER("[{'type':'text'}]"),
		OF_USER("[{'type':'image_url','image_url':{'url':'http://x.example/a.png'}}]"),
		OF_USER("[{'type':'image_url','image_url':{'url':'file:///etc/passwd'}}]"),
		OF_USER("[{'type':'image_url','image_url':{'url':'data:text/html;base64,aGk='}}]"),
		OF_USER("[{'type':'image_url','image_url':{'url':'data:image/png;base64,'}}]"),
		OF_USER("[{'type':'image_url','image_url':'https://x.example/a.png'}]"),
		"{'model':'m','messages':[{'role':'system','content':[" DATA_PART "]}]}",
		"{'model':'m','messages':[{'role':'assistant','content':[" URL_PART "]}]}",
	};
	struct api_site s;
	struct provider *p;

	api_init(&s);
	for (size_t i = 0; i < 2 * ARRAY_LEN(BAD); i++) {
		p = api_llm(&s, i % 2 ? "{'api':'anthropic','base_url':'@'}"
				      : "{'api':'openai','base_url':'@'}");
		ck_assert_msg(api_run(&s, p, BAD[i / 2], NULL, LONG_MS) == PROVIDER_INVALID, "%s",
			      BAD[i / 2]);
		ck_assert_str_eq(s.result.field, "messages");
		provider_destroy(p);
		api_reset(&s);
	}
	api_finish(&s);
}
END_TEST

START_TEST(our_schema_takes_what_is_mapped)
{
	static const char *const GOOD[] = {
		OF_USER("'x'"),
		OF_USER("[" TEXT_PART "," DATA_PART "," URL_PART "]"),
	};
	static const char *const BAD[] = {
		OF_USER("[]"),
		OF_USER("[{'type':'file','file':{}}]"),
		OF_USER("[{'type':'text','text':'x','more':1}]"),
		OF_USER("5"),
	};
	struct schema_fault fault;
	struct err err = ERR_INIT;
	struct schema *schema;
	struct api_site s;
	json_t *ours;

	api_init(&s); /* sets up JSON's memory, too */
	ours = llm_description();
	schema = schema_create(json_object_get(ours, "inputSchema"), &err);
	ck_assert_msg(schema != NULL, "%s", err.text);
	for (size_t i = 0; i < ARRAY_LEN(GOOD) + ARRAY_LEN(BAD); i++) {
		bool is_good = i < ARRAY_LEN(GOOD);
		json_t *arguments = api_json(&s, is_good ? GOOD[i] : BAD[i - ARRAY_LEN(GOOD)]);

		ck_assert_msg(schema_check(schema, arguments, &fault) == is_good, "%zu: %s %s", i,
			      fault.field, fault.text);
		json_decref(arguments);
	}
	schema_destroy(schema);
	json_decref(ours);
	api_finish(&s);
}
END_TEST

UNIT_MAIN("llm_parts", openai_gets_parts_as_they_are, anthropic_gets_images_with_their_source,
	  parts_that_no_provider_reads_are_refused, our_schema_takes_what_is_mapped)
