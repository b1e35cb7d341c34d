#include "fuzz.h"

#include "json/edge.h"
#include "json/reader.h"

/* Takes what jansson takes; keys that stand twice are the only difference of the lax one; what was
 * read is written and read again. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
	char *copy = fuzz_copy(data, size);
	struct slice text = {.p = copy, .len = size};
	enum reader_fault fault = READER_OK;
	struct faults twice = FAULTS_INIT;
	struct buf out = BUF_INIT;
	json_t *ours, *theirs, *again, *all;
	size_t at;

	ours = reader_parse(text, NULL, &fault, &at);
	theirs = json_loadb(copy, size, flags, NULL);
	CHECK(!ours == (fault != READER_OK));
	/* Behind a number that stands alone jansson takes a NUL for the end. */
	if (memchr(copy, '\0', size) && !ours && theirs) {
		json_decref(theirs);
		theirs = NULL;
	}
	CHECK(fault == READER_DEPTH || fault == READER_ROOM || !ours == !theirs);
	CHECK(!ours || json_equal(ours, theirs));
	all = edge_parse_all(text, &twice, NULL);
	CHECK(!ours == !(all && !twice.count));
	if (ours) {
		edge_dump(ours, false, &out);
		again = edge_parse(buf_slice(&out), NULL);
		CHECK(again && json_equal(ours, again));
		json_decref(again);
	}
	json_decref(ours);
	json_decref(theirs);
	json_decref(all);
	faults_finish(&twice);
	buf_finish(&out);
	free(copy);
	return 0;
}
