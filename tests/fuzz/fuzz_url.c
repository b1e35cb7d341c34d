#include "fuzz.h"

#include "providers/http_plan.h"
#include "signals/url.h"

/* An address and a reference: what is read is read again as the same. */

static void try_url(const char *text, const char *reference)
{
	struct url u = {.text = NULL}, again = {.text = NULL};
	char *joined;

	if (!url_read(text, &u, NULL))
		return;
	CHECK(u.path[0] == '/' && u.host[0]);
	CHECK(url_read(u.text, &again, NULL));
	CHECK(strcmp(u.text, again.text) == 0 && strcmp(u.host, again.host) == 0);
	joined = url_join(u.text, slice_of(reference));
	CHECK(!joined || strncmp(joined, "http", 4) == 0);
	free(joined);
	url_finish(&u);
	url_finish(&again);
}

static void try_plan(const char *text)
{
	json_t *config = json_pack("{s:s}", "url", text);
	struct http_plan plan;

	if (config && http_plan_read(config, NULL, &plan, NULL))
		http_plan_finish(&plan);
	json_decref(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice first, second;
	char *text, *reference;

	fuzz_split(data, size, &first, &second);
	text = xstrndup(first.p, first.len);
	reference = xstrndup(second.p, second.len);
	try_url(text, reference);
	try_plan(text);
	free(text);
	free(reference);
	return 0;
}
