#include "fuzz.h"

#include "payments/stripe.h"

/* A header and a body: without the secret nothing is ever signed. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const SECRETS[] = {"", "whsec_of_the_fuzzer"};
	struct slice first, second;
	struct err err = ERR_INIT;
	char *header;

	fuzz_split(data, size, &first, &second);
	header = xstrndup(first.p, first.len);
	CHECK(!stripe_signature_verify(second, header, SECRETS, ARRAY_LEN(SECRETS),
				       (struct walltime){1000000}, &err));
	CHECK(err.text[0] && !strstr(err.text, SECRETS[1]));
	free(header);
	return 0;
}
