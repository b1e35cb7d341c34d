/*
 * The calls that the double serves, each with every parameter that Stripe knows for it, derived
 * from the types of Stripe's own client for 2026-10-28.endive. How to read the texts stands in
 * stripe_params.c.
 */

#include "stripe_double.h"

#include <string.h>

#define PAYMENT_METHOD_TYPES                                                                       \
	"(acss_debit|affirm|afterpay_clearpay|alipay|alma|amazon_pay|"                             \
	"au_becs_debit|bacs_debit|bancontact|billie|bizum|blik|boleto|card|"                       \
	"cashapp|crypto|customer_balance|eps|fpx|giropay|grabpay|ideal|"                           \
	"kakao_pay|klarna|konbini|kr_card|link|mb_way|mobilepay|multibanco|"                       \
	"naver_pay|nz_bank_account|oxxo|p24|pay_by_bank|payco|paynow|paypal|"                      \
	"paypay|payto|pix|promptpay|revolut_pay|samsung_pay|satispay|scalapay|"                    \
	"sepa_debit|sequra|sofort|sunbit|swish|twint|upi|us_bank_account|"                         \
	"wechat_pay|zip)"

/* clang-format off: the texts are lists */
static const struct call_spec CALLS[] = {
	{"GET", "/v1/account", account_get, "expand:[s]"},
	{"POST", "/v1/customers", customer_create,
	 "address:{city:s country:s line1:s line2:s postal_code:s state:s}? description:s "
	 "email:s expand:[s] invoice_settings:{default_payment_method:s footer:s "
	 "custom_fields rendering_options} metadata:m name:s payment_method:s phone:s "
	 "preferred_locales:[s] tax_exempt:(exempt|none|reverse)? balance business_name "
	 "cash_balance individual_name invoice_prefix next_invoice_sequence shipping "
	 "source tax tax_id_data test_clock validate"},
	{"GET", "/v1/customers", customer_list,
	 "created:r email:s ending_before:s expand:[s] limit:i starting_after:s "
	 "test_clock"},
	{"GET", "/v1/customers/{id}", customer_get, "expand:[s]"},
	{"POST", "/v1/customers/{id}", customer_update,
	 "address:{city:s country:s line1:s line2:s postal_code:s state:s}? description:s "
	 "email:s expand:[s] invoice_settings:{default_payment_method:s footer:s "
	 "custom_fields rendering_options} metadata:m name:s phone:s "
	 "preferred_locales:[s] tax_exempt:(exempt|none|reverse)? balance business_name "
	 "cash_balance default_source individual_name invoice_prefix "
	 "next_invoice_sequence shipping source tax validate"},
	{"DELETE", "/v1/customers/{id}", customer_delete, ""},
	{"GET", "/v1/customers/{id}/payment_methods", customer_cards,
	 "allow_redisplay:(always|limited|unspecified) ending_before:s expand:[s] limit:i "
	 "starting_after:s type:" PAYMENT_METHOD_TYPES},
	{"GET", "/v1/payment_methods", cards_of_params,
	 "allow_redisplay:(always|limited|unspecified) customer:s ending_before:s expand:[s] "
	 "limit:i starting_after:s type:" PAYMENT_METHOD_TYPES " customer_account"},
	{"GET", "/v1/payment_methods/{id}", card_get, "expand:[s]"},
	{"POST", "/v1/payment_methods/{id}/attach", card_attach,
	 "customer:s expand:[s] customer_account"},
	{"POST", "/v1/payment_methods/{id}/detach", card_detach, "expand:[s]"},
	{"POST", "/v1/payment_intents", intent_create,
	 "allowed_payment_method_types:[" PAYMENT_METHOD_TYPES "] amount:i! "
	 "automatic_payment_methods:{allow_redirects:(always|never) enabled:b!} "
	 "capture_method:(automatic|manual|automatic_async) confirm:b currency:s! "
	 "customer:s description:s error_on_requires_action:b "
	 "excluded_payment_method_types:[" PAYMENT_METHOD_TYPES "] expand:[s] metadata:m "
	 "off_session:b/(recurring|one_off) payment_method:s "
	 "payment_method_configuration:s receipt_email:s return_url:s "
	 "setup_future_usage:(off_session|on_session) statement_descriptor:s "
	 "statement_descriptor_suffix:s amount_details application_fee_amount "
	 "confirmation_method confirmation_token customer_account hooks mandate "
	 "mandate_data on_behalf_of payment_details payment_method_data "
	 "payment_method_options radar_options shipping transfer_data transfer_group "
	 "use_stripe_sdk"},
	{"GET", "/v1/payment_intents", intent_list,
	 "created:r customer:s ending_before:s expand:[s] limit:i starting_after:s "
	 "customer_account"},
	{"GET", "/v1/payment_intents/{id}", intent_get, "client_secret:s expand:[s]"},
	{"POST", "/v1/payment_intents/{id}/cancel", intent_cancel,
	 "cancellation_reason:(abandoned|duplicate|requested_by_customer|fraudulent) "
	 "expand:[s]"},
	{"POST", "/v1/setup_intents", setup_create,
	 "allowed_payment_method_types:[" PAYMENT_METHOD_TYPES "] "
	 "automatic_payment_methods:{allow_redirects:(always|never) enabled:b!} confirm:b "
	 "customer:s description:s expand:[s] metadata:m payment_method:s return_url:s "
	 "usage:(off_session|on_session) attach_to_self confirmation_token "
	 "customer_account excluded_payment_method_types flow_directions mandate_data "
	 "on_behalf_of payment_method_configuration payment_method_data "
	 "payment_method_options single_use use_stripe_sdk"},
	{"GET", "/v1/setup_intents/{id}", setup_get, "client_secret:s expand:[s]"},
	{"GET", "/v1/charges", charge_list,
	 "created:r customer:s ending_before:s expand:[s] limit:i payment_intent:s "
	 "starting_after:s transfer_group"},
	{"GET", "/v1/charges/{id}", charge_get, "expand:[s]"},
	{"POST", "/v1/refunds", refund_create,
	 "amount:i charge:s expand:[s] metadata:m payment_intent:s "
	 "reason:(duplicate|requested_by_customer|fraudulent) currency customer "
	 "instructions_email origin refund_application_fee reverse_transfer"},
	{"GET", "/v1/refunds", refund_list,
	 "charge:s created:r ending_before:s expand:[s] limit:i payment_intent:s "
	 "starting_after:s"},
	{"GET", "/v1/refunds/{id}", refund_get, "expand:[s]"},
	{"GET", "/v1/disputes", dispute_list,
	 "charge:s created:r ending_before:s expand:[s] limit:i payment_intent:s "
	 "starting_after:s"},
	{"GET", "/v1/disputes/{id}", dispute_get, "expand:[s]"},
	{"GET", "/v1/balance_transactions/{id}", balance_transaction_get, "expand:[s]"},
	{"POST", "/v1/checkout/sessions", session_create,
	 "allowed_payment_method_types:[" PAYMENT_METHOD_TYPES
	 "] cancel_url:s client_reference_id:s "
	 "currency:s customer:s customer_creation:(always|if_required) customer_email:s "
	 "expand:[s] expires_at:i line_items:[{price:s price_data:{currency:s! product:s "
	 "product_data:{description:s name:s! images metadata tax_code tax_details "
	 "unit_label} unit_amount:i recurring tax_behavior unit_amount_decimal} "
	 "quantity:i adjustable_quantity metadata tax_rates}] locale:s metadata:m "
	 "mode:(payment|setup|subscription) payment_intent_data:{description:s metadata:m "
	 "receipt_email:s setup_future_usage:(off_session|on_session) "
	 "application_fee_amount capture_method on_behalf_of shipping "
	 "statement_descriptor statement_descriptor_suffix transfer_data transfer_group} "
	 "setup_intent_data:{description:s metadata:m on_behalf_of} "
	 "submit_type:(auto|book|donate|pay|subscribe) success_url:s "
	 "ui_mode:(elements|embedded_page|form|hosted_page) adaptive_pricing "
	 "after_expiration allow_promotion_codes automatic_tax billing_address_collection "
	 "branding_settings consent_collection custom_fields custom_text customer_account "
	 "customer_update discounts excluded_payment_method_types integration_identifier "
	 "invoice_creation managed_payments name_collection optional_items origin_context "
	 "payment_method_collection payment_method_configuration payment_method_data "
	 "payment_method_options permissions phone_number_collection "
	 "redirect_on_completion return_url saved_payment_method_options "
	 "shipping_address_collection shipping_options subscription_data "
	 "tax_id_collection wallet_options"},
	{"GET", "/v1/checkout/sessions", session_list,
	 "created:r customer:s ending_before:s expand:[s] limit:i payment_intent:s "
	 "starting_after:s status:(complete|expired|open) customer_account "
	 "customer_details payment_link subscription"},
	{"GET", "/v1/checkout/sessions/{id}", session_get, "expand:[s]"},
	{"POST", "/v1/checkout/sessions/{id}/expire", session_expire, "expand:[s]"},
	{"POST", "/v1/invoices", invoice_create,
	 "auto_advance:b collection_method:(charge_automatically|send_invoice) currency:s "
	 "customer:s days_until_due:i default_payment_method:s description:s due_date:i "
	 "expand:[s] footer:s metadata:m "
	 "payment_settings:{payment_method_types:[" PAYMENT_METHOD_TYPES "]? "
	 "default_mandate payment_method_options} "
	 "pending_invoice_items_behavior:(exclude|include) statement_descriptor:s "
	 "account_tax_ids application_fee_amount automatic_tax automatically_finalizes_at "
	 "custom_fields customer_account default_source default_tax_rates discounts "
	 "effective_at from_invoice issuer number on_behalf_of rendering shipping_cost "
	 "shipping_details subscription transfer_data"},
	{"GET", "/v1/invoices", invoice_list,
	 "collection_method:(charge_automatically|send_invoice) created:r customer:s "
	 "ending_before:s expand:[s] limit:i starting_after:s "
	 "status:(open|draft|paid|uncollectible|void) customer_account due_date "
	 "subscription"},
	{"GET", "/v1/invoices/{id}", invoice_get, "expand:[s]"},
	{"DELETE", "/v1/invoices/{id}", invoice_delete, ""},
	{"POST", "/v1/invoices/{id}/add_lines", invoice_add_lines,
	 "expand:[s] invoice_metadata:m lines:[{amount:i description:s metadata:m "
	 "discountable discounts invoice_item period price_data pricing quantity "
	 "quantity_decimal tax_amounts tax_rates}]!"},
	{"POST", "/v1/invoices/{id}/finalize", invoice_finalize, "auto_advance:b expand:[s]"},
	{"POST", "/v1/invoices/{id}/pay", invoice_pay,
	 "expand:[s] off_session:b paid_out_of_band:b payment_method:s forgive mandate "
	 "source"},
	{"POST", "/v1/invoices/{id}/void", invoice_void, "expand:[s]"},
	{"POST", "/v1/invoices/{id}/mark_uncollectible", invoice_mark_uncollectible, "expand:[s]"},
	{"POST", "/v1/invoiceitems", invoiceitem_create,
	 "amount:i currency:s customer:s description:s expand:[s] invoice:s metadata:m "
	 "quantity:i customer_account discountable discounts period price_data "
	 "unit_amount_decimal pricing quantity_decimal subscription tax_behavior tax_code "
	 "tax_rates"},
	{"GET", "/v1/invoice_payments", invoice_payment_list,
	 "created:r ending_before:s expand:[s] invoice:s limit:i "
	 "payment:{payment_intent:s type:(payment_intent|payment_record)! payment_record} "
	 "starting_after:s status:(open|paid|canceled)"},
	{"POST", "/v1/billing_portal/sessions", portal_session_create,
	 "configuration:s customer:s expand:[s] "
	 "flow_data:{after_completion:{redirect:{return_url:s!} "
	 "type:(hosted_confirmation|portal_homepage|redirect)! hosted_confirmation} "
	 "type:(customer_update|payment_method_update|subscription_cancel|subscription_pause|"
	 "subscription_update|subscription_update_confirm)! "
	 "subscription_cancel subscription_pause subscription_update "
	 "subscription_update_confirm} locale:s return_url:s after_expiration "
	 "customer_account on_behalf_of"},
	{"GET", "/v1/billing_portal/configurations", portal_configuration_list,
	 "active:b ending_before:s expand:[s] is_default:b limit:i starting_after:s"},
	{"GET", "/v1/events", event_list,
	 "created:r ending_before:s expand:[s] limit:i starting_after:s type:s types:[s] "
	 "delivery_success"},
	{"GET", "/v1/events/{id}", event_get, "expand:[s]"},
	{"POST", "/v1/billing/meters", meter_create,
	 "customer_mapping:{event_payload_key:s! type:(by_id)!} "
	 "default_aggregation:{formula:(count|last|sum)!}! display_name:s! event_name:s! "
	 "event_time_window:(day|hour) expand:[s] value_settings:{event_payload_key:s!}"},
	{"GET", "/v1/billing/meters", meter_list,
	 "ending_before:s expand:[s] limit:i starting_after:s status:(active|inactive)"},
	{"GET", "/v1/billing/meters/{id}", meter_get, "expand:[s]"},
	{"GET", "/v1/billing/meters/{id}/event_summaries", meter_sums,
	 "customer:s! end_time:i! ending_before:s expand:[s] limit:i start_time:i! "
	 "starting_after:s value_grouping_window:(day|hour)"},
	{"POST", "/v1/billing/meter_events", meter_event_create,
	 "event_name:s! expand:[s] identifier:s payload:p! timestamp:i"},
	{"POST", "/v1/billing/credit_grants", grant_create,
	 "amount:{monetary:{currency:s! value:i!} type:(monetary)!}! "
	 "applicability_config:{scope:{price_type:(metered) prices}!}! "
	 "category:(paid|promotional) customer:s effective_at:i expand:[s] expires_at:i "
	 "metadata:m name:s priority:i customer_account"},
	{"GET", "/v1/billing/credit_grants", grant_list,
	 "customer:s ending_before:s expand:[s] limit:i starting_after:s customer_account"},
	{"GET", "/v1/billing/credit_balance_summary", credit_summary_get,
	 "customer:s expand:[s] filter:{applicability_scope:{price_type:(metered) prices} "
	 "credit_grant:s type:(applicability_scope|credit_grant)!}! customer_account"},
	{"POST", "/v1/products", product_create,
	 "active:b description:s expand:[s] id:s metadata:m name:s! "
	 "statement_descriptor:s unit_label:s default_price_data images "
	 "marketing_features package_dimensions shippable tax_code tax_details type url"},
	{"POST", "/v1/prices", price_create,
	 "active:b billing_scheme:(per_unit|tiered) currency:s! expand:[s] lookup_key:s "
	 "metadata:m nickname:s product:s recurring:{interval:(day|month|week|year)! "
	 "interval_count:i meter:s usage_type:(metered|licensed) trial_period_days} "
	 "tax_behavior:(unspecified|exclusive|inclusive) unit_amount:i "
	 "unit_amount_decimal:d currency_options custom_unit_amount product_data tiers "
	 "tiers_mode transfer_lookup_key transform_quantity"},
	{"GET", "/v1/prices", price_list,
	 "active:b created:r currency:s ending_before:s expand:[s] limit:i "
	 "product:s starting_after:s type:(recurring|one_time) lookup_keys recurring"},
	{"POST", "/v1/subscriptions", subscription_create,
	 "billing_thresholds:{amount_gte:i reset_billing_cycle_anchor}? "
	 "cancel_at_period_end:b collection_method:(charge_automatically|send_invoice) "
	 "currency:s customer:s default_payment_method:s description:s expand:[s] "
	 "items:[{metadata:m price:s quantity:i billing_thresholds current_trial "
	 "discounts plan price_data tax_rates}] metadata:m off_session:b "
	 "add_invoice_items application_fee_percent automatic_tax backdate_start_date "
	 "billing_cycle_anchor billing_cycle_anchor_config billing_mode billing_schedules "
	 "cancel_at customer_account days_until_due default_source default_tax_rates "
	 "discounts invoice_settings on_behalf_of payment_behavior payment_settings "
	 "pending_invoice_item_interval proration_behavior transfer_data trial_end "
	 "trial_from_plan trial_period_days trial_settings"},
	{"GET", "/v1/subscriptions", subscription_list,
	 "collection_method:(charge_automatically|send_invoice) created:r customer:s "
	 "ending_before:s expand:[s] limit:i starting_after:s automatic_tax "
	 "current_period_end current_period_start customer_account plan price status "
	 "test_clock"},
	{"GET", "/v1/subscriptions/{id}", subscription_get, "expand:[s]"},
};
/* clang-format on */

/* Whether the path is that of the call; {id} stands for one part of it. */
static bool path_fits(const char *pattern, const char *path, struct slice *out_id)
{
	static const char mark[] = "{id}";
	const char *hit = strstr(pattern, mark);
	size_t before;
	size_t len;

	if (hit == NULL)
		return strcmp(pattern, path) == 0;
	before = (size_t)(hit - pattern);
	if (strncmp(pattern, path, before) != 0)
		return false;
	len = strcspn(path + before, "/");
	*out_id = (struct slice){path + before, len};
	return len > 0 && strcmp(path + before + len, hit + sizeof(mark) - 1) == 0;
}

const struct call_spec *find_call(const char *method, const char *path, char **out_id)
{
	for (size_t i = 0; i < ARRAY_LEN(CALLS); i++) {
		struct slice id = {NULL, 0};

		if (strcmp(CALLS[i].method, method) == 0 && path_fits(CALLS[i].path, path, &id)) {
			*out_id = id.p == NULL ? NULL : xstrndup(id.p, id.len);
			return &CALLS[i];
		}
	}
	return NULL;
}
