#include "base/digest.h"
#include "base/limits.h"
#include "base/secret.h"
#include "payments/stripe.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

/* Made with openssl and with Stripe's own client. */
#define SECRET "whsec_test"
#define BODY   "{\"id\":\"evt_test\"}"
#define V1     "14c4f43763339dcb1c15f41a1ff31a94f2f09f8de278f8b4392ca0d7cbcd257e"
#define OTHER  "abababababababababababababababababababababababababababababababab"
#define T      INT64_C(1700000000)

static bool verify_at(const char *body, const char *header, const char *secret, int64_t now_s,
		      struct err *err)
{
	const struct walltime now = {.ms = now_s * 1000};

	*err = (struct err)ERR_INIT;
	return stripe_signature_verify(slice_of(body), header, &secret, 1, now, err);
}

static bool verify(const char *header, struct err *err)
{
	return verify_at(BODY, header, SECRET, T, err);
}

static void check_refused(const char *header, const char *why)
{
	struct err err;

	ck_assert_msg(!verify(header, &err), "%s", header ? header : "no header");
	ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
	ck_assert_ptr_null(strstr(err.text, SECRET));
}

START_TEST(the_signature_of_the_raw_body_is_taken)
{
	struct err err;

	ck_assert(verify("t=1700000000,v1=" V1, &err));
	ck_assert(!err_is_set(&err));
	ck_assert(verify_at(
		"{\n  \"id\": \"evt_1\",\n  \"object\": \"event\",\n  \"data\": {\"object\": "
		"{\"name\": \"Zo\xc3\xab \xe2\x80\x93 5 \xe2\x82\xac\"}}\n}",
		"t=1795000000,"
		"v1=300b6fdd18c3b7e4cf5be4767b35fc851b0d6a4b203af114e2312c0e2a45cbe6",
		"whsec_4f9c2b7e1a", 1795000000, &err));
	/* The order of the items does not matter. */
	ck_assert(verify("v1=" V1 ",t=1700000000", &err));
}
END_TEST

START_TEST(one_of_several_signatures_suffices_and_other_schemes_are_ignored)
{
	struct err err;

	ck_assert(verify("t=1700000000,v1=" OTHER ",v1=" V1 ",v0=cdcdcdcd", &err));
	ck_assert(verify("t=1700000000,v1=short,v1=,v1=" V1, &err));
	check_refused("t=1700000000,v0=" V1, "no v1 signature");
	check_refused("t=1700000000,v1=" OTHER ",v0=" V1, "no signature matches");
	check_refused("t=1700000000,v11=" V1 ",1=" V1, "no v1 signature");
}
END_TEST

START_TEST(a_changed_byte_anywhere_is_refused)
{
	char body[] = BODY;
	char header[] = "t=1700000000,v1=" V1;
	struct err err;

	for (size_t i = 0; i < strlen(body); i++) {
		body[i] ^= 1;
		ck_assert(!verify_at(body, header, SECRET, T, &err));
		body[i] ^= 1;
	}
	for (size_t i = strlen("t="); i < strlen(header); i++) {
		header[i] ^= 1;
		ck_assert_msg(!verify(header, &err), "%s", header);
		header[i] ^= 1;
	}
	ck_assert(verify_at(body, header, SECRET, T, &err));
	ck_assert(!verify_at(BODY " ", header, SECRET, T, &err));
	ck_assert(!verify_at("", header, SECRET, T, &err));
	ck_assert(!verify_at(BODY, header, "whsec_tesu", T, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "no signature matches"));
}
END_TEST

START_TEST(a_header_out_of_shape_is_refused)
{
	char is_long[STRIPE_SIGNATURE_BYTES_MAX + 2];

	check_refused(NULL, "there is no signature");
	check_refused("", "there is no signature");
	check_refused("v1=" V1, "no timestamp");
	check_refused("t=1700000000", "no v1 signature");
	check_refused("t=,v1=" V1, "not a count of seconds");
	check_refused("t=now,v1=" V1, "not a count of seconds");
	check_refused("t=-1700000000,v1=" V1, "not a count of seconds");
	check_refused("t=1700000000.0,v1=" V1, "not a count of seconds");
	check_refused("t=9223372036854775807,v1=" V1, "not a count of seconds");
	check_refused("t=99999999999999999999999,v1=" V1, "not a count of seconds");
	check_refused("t:1700000000;v1:" V1, "no timestamp");
	check_refused("t=1700000000,v1=14C4F43763339DCB1C15F41A1FF31A94F2F09F8DE278F8B4392CA0D7CBC"
		      "D257E",
		      "no signature matches");
	/* The first t is what is signed. */
	check_refused("t=1700000001,t=1700000000,v1=" V1, "no signature matches");
	memset(is_long, ',', sizeof(is_long));
	memcpy(is_long, "t=1700000000,v1=" V1, strlen("t=1700000000,v1=" V1));
	is_long[sizeof(is_long) - 1] = '\0';
	check_refused(is_long, "longer than");
}
END_TEST

START_TEST(a_second_time_in_the_header_changes_nothing)
{
	struct err err;

	ck_assert(verify("t=1700000000,t=1,v1=" V1, &err));
}
END_TEST

START_TEST(the_time_may_be_300_s_away_either_way)
{
	const char *header = "t=1700000000,v1=" V1;
	struct err err;

	ck_assert(verify_at(BODY, header, SECRET, T + 300, &err));
	ck_assert(verify_at(BODY, header, SECRET, T - 300, &err));
	ck_assert(!verify_at(BODY, header, SECRET, T + 301, &err));
	ck_assert_str_eq(err.text,
			 "the signature's timestamp is 301 s in the past; check the clock");
	ck_assert(!verify_at(BODY, header, SECRET, T - 301, &err));
	ck_assert_str_eq(err.text,
			 "the signature's timestamp is 301 s in the future; check the clock");
	/* A fraction of a second is not a second. */
	err = (struct err)ERR_INIT;
	ck_assert(stripe_signature_verify(slice_of(BODY), header, &(const char *){SECRET}, 1,
					  (struct walltime){.ms = (T + 300) * 1000 + 999}, &err));
}
END_TEST

START_TEST(each_secret_counts_and_an_empty_one_never_does)
{
	const char *const secrets[] = {"whsec_old", NULL, "", SECRET};
	const struct walltime now = {.ms = T * 1000};
	char forged[DIGEST_TEXT_SIZE], header[128];
	struct digest d = hmac_sha256(slice_of(""), slice_of("1700000000." BODY));
	struct err err = ERR_INIT;

	ck_assert(stripe_signature_verify(slice_of(BODY), "t=1700000000,v1=" V1, secrets, 4, now,
					  &err));
	ck_assert(!stripe_signature_verify(slice_of(BODY), "t=1700000000,v1=" V1, secrets, 3, now,
					   &err));
	digest_text(&d, forged);
	(void)snprintf(header, sizeof(header), "t=1700000000,v1=%s", forged);
	err = (struct err)ERR_INIT;
	ck_assert(!stripe_signature_verify(slice_of(BODY), header, secrets, 3, now, &err));
	err = (struct err)ERR_INIT;
	ck_assert(!stripe_signature_verify(slice_of(BODY), header, secrets + 1, 2, now, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "no secret"));
	ck_assert(!stripe_signature_verify(slice_of(BODY), header, NULL, 0, now, NULL));
}
END_TEST

START_TEST(the_body_is_bytes)
{
	static const char body[] = "a\0b";
	struct slice text = {.p = body, .len = 3};
	struct slice whole = {.p = "1700000000.a\0b", .len = 14};
	struct digest d = hmac_sha256(slice_of(SECRET), whole);
	char hex[DIGEST_TEXT_SIZE], header[128];
	const char *secret = SECRET;
	struct walltime now = {.ms = T * 1000};
	struct err err = ERR_INIT;

	digest_text(&d, hex);
	(void)snprintf(header, sizeof(header), "t=1700000000,v1=%s", hex);
	ck_assert(stripe_signature_verify(text, header, &secret, 1, now, &err));
	text.len = 1;
	ck_assert(!stripe_signature_verify(text, header, &secret, 1, now, &err));
	text = (struct slice){.p = NULL};
	ck_assert(!stripe_signature_verify(text, header, &secret, 1, now, &err));
}
END_TEST

START_TEST(no_header_breaks_the_reader)
{
	static const char *const PIECES[] = {"t",
					     "=",
					     ",",
					     "v1",
					     "v0",
					     "1700000000",
					     OTHER,
					     " ",
					     "t=",
					     "v1=",
					     "-9223372036854775808",
					     "\xff"};
	const char *secret = SECRET;

	for (int i = 0; i < 50000; i++) {
		struct buf header = BUF_INIT;
		uint8_t dice[12];
		char *exact;

		random_bytes(dice, sizeof(dice));
		for (size_t k = 0; k < dice[0] % sizeof(dice); k++) {
			if (i % 2)
				buf_puts(&header, PIECES[dice[k] % ARRAY_LEN(PIECES)]);
			else
				buf_putc(&header, (char)(dice[k] ? dice[k] : 1));
		}
		/* A memory of its own, so that a read beyond the end is seen. */
		exact = xstrdup(buf_text(&header));
		ck_assert(!stripe_signature_verify(slice_of(BODY), exact, &secret, 1,
						   (struct walltime){.ms = T * 1000}, NULL));
		free(exact);
		buf_finish(&header);
	}
}
END_TEST

UNIT_MAIN("stripe_signature", the_signature_of_the_raw_body_is_taken,
	  one_of_several_signatures_suffices_and_other_schemes_are_ignored,
	  a_changed_byte_anywhere_is_refused, a_header_out_of_shape_is_refused,
	  a_second_time_in_the_header_changes_nothing, the_time_may_be_300_s_away_either_way,
	  each_secret_counts_and_an_empty_one_never_does, the_body_is_bytes,
	  no_header_breaks_the_reader)
