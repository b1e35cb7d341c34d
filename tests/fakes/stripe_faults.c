/*
 * What is to go wrong with coming requests. Faults wait in the order in which they were asked for;
 * one that is used up is gone.
 */

#include "stripe_double.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum fault_kind kind;
	unsigned status; /* unless another is given */
	const char *code;
	bool is_html;
	bool is_saved;
} KINDS[] = {
	{"error_before", FAULT_ERROR_BEFORE, 500, NULL, false, false},
	{"error_after", FAULT_ERROR_AFTER, 500, NULL, false, true},
	{"rate_limit", FAULT_ERROR_BEFORE, 429, "rate_limit", false, false},
	{"lock_timeout", FAULT_ERROR_BEFORE, 429, "lock_timeout", false, false},
	{"key_in_use", FAULT_ERROR_BEFORE, 409, "idempotency_key_in_use", false, false},
	{"html", FAULT_ERROR_BEFORE, 503, NULL, true, false},
	{"html_after", FAULT_ERROR_AFTER, 503, NULL, true, false},
	{"drop_before", FAULT_DROP_BEFORE, 0, NULL, false, false},
	{"drop_after", FAULT_DROP_AFTER, 0, NULL, false, false},
	{"truncate", FAULT_TRUNCATE, 0, NULL, false, false},
	{"delay_before", FAULT_DELAY_BEFORE, 0, NULL, false, false},
	{"delay_after", FAULT_DELAY_AFTER, 0, NULL, false, false},
};

static char *copy_of(const json_t *what, const char *name, const char *otherwise)
{
	const char *text = has(what, name) ? text_of(what, name) : otherwise;

	return text == NULL ? NULL : xstrdup(text);
}

static void fault_free(struct fault *fault)
{
	free(fault->method);
	free(fault->path);
	free(fault->code);
	free(fault->message);
	free(fault->reason);
	free(fault->retry_after);
	free(fault->should_retry);
	free(fault);
}

static bool names_are_known(const json_t *what, const char **out_why)
{
	static const char *const names[] = {
		"mode",    "method", "path",        "skip",         "count", "status", "code",
		"message", "reason", "retry_after", "should_retry", "saved", "ms"};
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)what, name, value) {
		bool is_known = false;

		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			is_known = is_known || strcmp(name, names[i]) == 0;
		if (!is_known) {
			*out_why = "a fault has mode, method, path, skip, count, status, code, "
				   "message, reason, retry_after, should_retry, saved, ms";
			return false;
		}
	}
	return true;
}

bool fault_add(struct fake *f, const json_t *what, const char **out_why)
{
	struct fault **end = &f->faults;
	struct fault *fault;
	size_t i = 0;

	while (i < ARRAY_LEN(KINDS) && !text_is(what, "mode", KINDS[i].name))
		i++;
	if (i == ARRAY_LEN(KINDS)) {
		*out_why = "there is no such mode";
		return false;
	}
	if (!names_are_known(what, out_why))
		return false;
	fault = xzalloc(sizeof(*fault));
	*fault = (struct fault){
		.name = KINDS[i].name,
		.kind = KINDS[i].kind,
		.method = copy_of(what, "method", NULL),
		.path = copy_of(what, "path", "/"),
		.skip = int_of(what, "skip"),
		.count = has(what, "count") ? int_of(what, "count") : 1,
		.status = has(what, "status") ? (unsigned)int_of(what, "status") : KINDS[i].status,
		.code = copy_of(what, "code", KINDS[i].code),
		.message = copy_of(what, "message", NULL),
		.reason = copy_of(what, "reason",
				  strcmp(KINDS[i].name, "rate_limit") == 0 ? "global-rate" : NULL),
		.retry_after = copy_of(what, "retry_after", NULL),
		.should_retry = copy_of(what, "should_retry", NULL),
		.is_html = KINDS[i].is_html,
		.is_saved = has(what, "saved") ? bool_of(what, "saved") : KINDS[i].is_saved,
		.ms = int_of(what, "ms"),
	};
	while (*end != NULL)
		end = &(*end)->next;
	*end = fault;
	return true;
}

const struct fault *fault_take(struct fake *f, enum fault_kind first, enum fault_kind last,
			       const char *method, const char *path)
{
	for (struct fault *fault = f->faults; fault != NULL; fault = fault->next) {
		if (fault->count == 0 || fault->kind < first || fault->kind > last ||
		    (fault->method != NULL && strcmp(fault->method, method) != 0) ||
		    strncmp(fault->path, path, strlen(fault->path)) != 0)
			continue;
		if (fault->skip > 0) {
			fault->skip--;
			continue;
		}
		fault->count--;
		return fault;
	}
	return NULL;
}

void fault_clear(struct fake *f)
{
	while (f->faults != NULL) {
		struct fault *next = f->faults->next;

		fault_free(f->faults);
		f->faults = next;
	}
}

json_t *fault_body(const struct fault *fault, const char *request_id)
{
	const char *type = fault->status == 409   ? "idempotency_error"
			   : fault->status >= 500 ? "api_error"
						  : "invalid_request_error";
	const char *message = fault->message;

	if (message == NULL)
		message = fault->status == 409   ? "There is currently another in-progress request "
						   "using this Idempotent Key."
			  : fault->status == 429 ? "Request rate limit exceeded."
						 : "An unknown error occurred";
	return error_body(type, fault->code, NULL, message, request_id);
}
