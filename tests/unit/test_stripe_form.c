#include "payments/stripe.h"

#include "unit.h"

START_TEST(keys_and_values_are_escaped)
{
	struct buf b = BUF_INIT;

	stripe_form(&b, "metadata[org_id]", "a b&c=d+e%");
	stripe_form(&b, "description", "5.5% Zo\xc3\xab \xe2\x82\xac\r\n");
	stripe_form(&b, "plain", "AZaz09-._~");
	ck_assert_str_eq(buf_text(&b), "metadata%5Borg_id%5D=a%20b%26c%3Dd%2Be%25"
				       "&description=5.5%25%20Zo%C3%AB%20%E2%82%AC%0D%0A"
				       "&plain=AZaz09-._~");
	buf_finish(&b);
}
END_TEST

START_TEST(nothing_is_left_out_and_empty_is_sent)
{
	struct buf b = BUF_INIT;

	stripe_form(&b, "email", NULL);
	ck_assert_uint_eq(b.len, 0);
	stripe_form(&b, "name", "");
	stripe_form(&b, "email", NULL);
	stripe_form(&b, "x", "1");
	ck_assert_str_eq(buf_text(&b), "name=&x=1");
	buf_finish(&b);
}
END_TEST

START_TEST(numbers_and_money_are_exact)
{
	struct buf b = BUF_INIT;

	stripe_form_i64(&b, "min", INT64_MIN);
	stripe_form_i64(&b, "max", INT64_MAX);
	stripe_form_bool(&b, "yes", true);
	stripe_form_bool(&b, "no", false);
	stripe_form_cents(&b, "amount", (struct cents){2500});
	stripe_form_cents(&b, "amount", (struct cents){0});
	stripe_form_cents(&b, "amount", (struct cents){INT64_MAX});
	ck_assert_str_eq(buf_text(&b),
			 "min=-9223372036854775808&max=9223372036854775807&yes=true&no=false"
			 "&amount=2500&amount=0&amount=9223372036854775807");
	buf_finish(&b);
}
END_TEST

UNIT_MAIN("stripe_form", keys_and_values_are_escaped, nothing_is_left_out_and_empty_is_sent,
	  numbers_and_money_are_exact)
