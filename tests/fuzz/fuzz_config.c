#include "fuzz.h"

#include "app/app.h"
#include "json/edge.h"

/* farebox.json: each fault has a place and words, and to look again finds the same. */

static size_t faults_of(struct slice text)
{
	struct faults faults = FAULTS_INIT;
	json_t *config = edge_parse_all(text, &faults, NULL);
	size_t n;

	if (config)
		app_config_check(config, &faults);
	for (size_t i = 0; i < faults.count; i++) {
		CHECK(faults.items[i].text[0]);
		CHECK(edge_is_pointer(faults.items[i].pointer));
	}
	n = faults.count;
	faults_finish(&faults);
	json_decref(config);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy(data, size);
	struct slice text = {.p = copy, .len = size};

	CHECK(faults_of(text) == faults_of(text));
	free(copy);
	return 0;
}
