#include "tools/error.h"

#include "base/vault.h"
#include "json/emit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct error_kind {
	const char *name;
	const char *type;
	int http_status;
	bool is_retryable;
	const char *message;
	const char *hint;
};

static const struct error_kind KINDS[] = {
	[ERROR_INVALID_ARGUMENTS] = {"INVALID_ARGUMENTS", "invalid_request", 400, false,
				     "The arguments are not valid.",
				     "Correct the named field and call again."},
	[ERROR_UNAUTHENTICATED] = {"UNAUTHENTICATED", "authentication", 401, false,
				   "The API key is missing, unknown or revoked.",
				   "Set FAREBOX_API_KEY to a key made by 'farebox keys create'."},
	[ERROR_FORBIDDEN] = {"FORBIDDEN", "auth", 403, false, "This key may not do that.",
			     "Nothing was done. Do not retry: ask the operator."},
	[ERROR_INSUFFICIENT_CREDITS] =
		{"INSUFFICIENT_CREDITS", "billing", 402, false,
		 "Usage limit reached or insufficient credits",
		 "Nothing was executed. Buy tokens with buy_tokens or top_up_credits, then call "
		 "again; do not retry before that."},
	[ERROR_BUDGET_EXCEEDED] = {"BUDGET_EXCEEDED", "billing", 402, false,
				   "A spending limit does not allow this call.",
				   "Nothing was executed. Wait for the reset, or ask the user to "
				   "raise the limit."},
	[ERROR_PAYMENT_DECLINED] = {"PAYMENT_DECLINED", "billing", 402, false,
				    "The card was declined.",
				    "Nothing was charged. Ask the user for another card: "
				    "billing_portal gives the page."},
	[ERROR_PAYMENT_ACTION_REQUIRED] =
		{"PAYMENT_ACTION_REQUIRED", "billing", 402, false,
		 "The bank wants the user to confirm the payment.",
		 "Ask the user to open the url; the tokens arrive when it is confirmed."},
	[ERROR_PURCHASE_LIMIT] =
		{"PURCHASE_LIMIT", "billing", 403, false,
		 "A ceiling of purchases that the operator set does not allow this.",
		 "Nothing was charged. Do not retry unchanged: buy less, wait for resets_at where "
		 "it is given, or ask the operator, who sets 'purchases' in farebox.json."},
	[ERROR_IDEMPOTENCY_CONFLICT] =
		{"IDEMPOTENCY_CONFLICT", "idempotency", 409, false,
		 "This idempotency key was used with other arguments.",
		 "Use a new key for a new request, or repeat the first request unchanged."},
	[ERROR_RATE_LIMITED] = {"RATE_LIMITED", "rate_limit", 429, true,
				"Too many calls in too short a time.",
				"Nothing was executed. Wait for retry_after_s before calling "
				"again."},
	[ERROR_LOOP_DETECTED] = {"LOOP_DETECTED", "rate_limit", 429, false,
				 "The same call was made again and again.",
				 "Nothing was executed. Do not repeat this call: change its "
				 "arguments, do something "
				 "else, or ask the user."},
	[ERROR_UPSTREAM_REJECTED] = {"UPSTREAM_REJECTED", "upstream", 422, false,
				     "The provider refused the request.",
				     "The tokens are back. Change the arguments before calling "
				     "again."},
	[ERROR_UPSTREAM_ERROR] = {"UPSTREAM_ERROR", "upstream", 502, true, "The provider failed.",
				  "The tokens are back. Try again later."},
	[ERROR_UPSTREAM_TIMEOUT] = {"UPSTREAM_TIMEOUT", "upstream", 504, true,
				    "The provider did not answer in time.",
				    "The tokens are back. Try again later."},
	[ERROR_PAYMENTS_NOT_CONFIGURED] = {"PAYMENTS_NOT_CONFIGURED", "configuration", 503, false,
					   "Payments are not configured.",
					   "The operator sets STRIPE_SECRET_KEY, or "
					   "FAREBOX_PAYMENTS=sandbox for play money."},
	[ERROR_STORE_UNAVAILABLE] = {"STORE_UNAVAILABLE", "unavailable", 503, true,
				     "The wallet's store cannot be used now.",
				     "Nothing was charged. Try again later."},
	[ERROR_STORE_BROKEN] = {"STORE_BROKEN", "configuration", 503, false,
				"The wallet's store cannot be used.",
				"Nothing was charged. The operator mends it: 'farebox doctor' says "
				"what is wrong and what to do."},
};

const char *error_code_name(enum error_code code)
{
	return KINDS[code].name;
}

int error_code_http_status(enum error_code code)
{
	return KINDS[code].http_status;
}

void tool_error_init(struct tool_error *e, enum error_code code)
{
	*e = (struct tool_error){.code = code};
	tool_error_message(e, "%s", KINDS[code].message);
	tool_error_hint(e, "%s", KINDS[code].hint);
}

void tool_error_finish(struct tool_error *e)
{
	buf_finish(&e->members);
}

void tool_error_message(struct tool_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	vault_strike(e->message); /* it may quote a provider, or Stripe */
}

void tool_error_hint(struct tool_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
}

void tool_error_field(struct tool_error *e, const char *field, const char *text)
{
	struct emit emit;

	tool_error_message(e, "%s%s%s", field, *field ? ": " : "", text);
	emit_init(&emit, &e->members);
	emit.wants_comma = e->members.len > 0;
	emit_key_text(&emit, "field", field);
}

void tool_error_fault(struct tool_error *e, const char *text)
{
	const char *colon = strstr(text, ": ");
	CLEANUP(free_charp) char *field = NULL;

	CHECK(colon);
	field = xstrndup(text, (size_t)(colon - text));
	tool_error_field(e, field, colon + 2);
}

void tool_error_write(const struct tool_error *error, struct buf *out)
{
	const struct error_kind *kind = &KINDS[error->code];
	struct emit e;

	emit_init(&e, out);
	emit_object(&e);
	emit_key(&e, "error");
	emit_object(&e);
	emit_key_text(&e, "code", kind->name);
	emit_key_text(&e, "type", kind->type);
	emit_key_text(&e, "message", error->message);
	emit_key_i64(&e, "http_status", kind->http_status);
	emit_key_bool(&e, "retryable", kind->is_retryable && !error->is_final);
	emit_key_text(&e, "resolution_hint", error->hint);
	emit_raw_members(&e, buf_slice(&error->members));
	emit_object_end(&e);
	emit_object_end(&e);
	emit_done(&e);
}
