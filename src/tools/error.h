#ifndef TOOLS_ERROR_H
#define TOOLS_ERROR_H

/*
 * The one error object that mcp, web and the command line wrap:
 * {"error":{"code","type","message","http_status","retryable","resolution_hint",...}}
 */

#include "base/buf.h"
#include "base/err.h"
#include "base/money.h"

enum error_code {
	ERROR_INVALID_ARGUMENTS,
	ERROR_UNAUTHENTICATED,
	ERROR_FORBIDDEN,
	ERROR_INSUFFICIENT_CREDITS,
	ERROR_BUDGET_EXCEEDED,
	ERROR_PAYMENT_DECLINED,
	ERROR_PAYMENT_ACTION_REQUIRED,
	ERROR_PURCHASE_LIMIT,
	ERROR_IDEMPOTENCY_CONFLICT,
	ERROR_RATE_LIMITED,
	ERROR_LOOP_DETECTED,
	ERROR_UPSTREAM_REJECTED,
	ERROR_UPSTREAM_ERROR,
	ERROR_UPSTREAM_TIMEOUT,
	ERROR_PAYMENTS_NOT_CONFIGURED,
	ERROR_STORE_UNAVAILABLE,
	ERROR_STORE_BROKEN, /* as STORE_UNAVAILABLE, until a person does something */
};

struct tool_error {
	enum error_code code;
	bool is_final;      /* not retryable although the code's kind is */
	char message[512];  /* set by tool_error_init to the code's own; may be replaced */
	char hint[400];     /* resolution_hint; likewise */
	struct buf members; /* further members, ready JSON: "field":"amount_usd" */
};

void tool_error_init(struct tool_error *e, enum error_code code);
void tool_error_finish(struct tool_error *e);
void tool_error_message(struct tool_error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void tool_error_hint(struct tool_error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* INVALID_ARGUMENTS that names the field. */
void tool_error_field(struct tool_error *e, const char *field, const char *text);
/* The same, of "FIELD: text". */
void tool_error_fault(struct tool_error *e, const char *text);

const char *error_code_name(enum error_code code);
int error_code_http_status(enum error_code code);
/* The object {"error":{...}}. */
void tool_error_write(const struct tool_error *e, struct buf *out);

#endif
