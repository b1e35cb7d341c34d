#include "fuzz.h"

#include "providers/template.h"
#include "json/edge.h"

/* A template and the arguments that fill it: what is an argument's leaves no place. */

static bool fits_place(struct slice text, enum template_place place)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (place == PLACE_HEADER && (c < 0x20 || c == 0x7F) && c != '\t')
			return false;
		if ((place == PLACE_SEGMENT || place == PLACE_QUERY || place == PLACE_FORM) &&
		    strchr("/?#&\r\n ", c) && c)
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice first, second;
	struct template t;
	json_t *arguments;

	fuzz_split(data, size, &first, &second);
	arguments = edge_parse(second, NULL);
	if (template_read(first, TEMPLATE_MAY_ARGUMENT, &t, NULL)) {
		for (int place = PLACE_SEGMENT; arguments && place <= PLACE_TEXT; place++) {
			struct template_fault fault = {.text = ""};
			struct buf out = BUF_INIT;

			if (template_fill(&t, (enum template_place)place, arguments, NULL, &out,
					  &fault) == TEMPLATE_OK) {
				CHECK(!template_is_argument(&t) ||
				      fits_place(buf_slice(&out), (enum template_place)place));
			} else {
				CHECK(*fault.text || *fault.field);
			}
			buf_finish(&out);
		}
		template_finish(&t);
	}
	json_decref(arguments);
	return 0;
}
