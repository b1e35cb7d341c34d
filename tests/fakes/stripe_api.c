/*
 * One request of the API, in Stripe's order: who asks, in which version, for what; then the
 * idempotency key; then the parameters and the endpoint. Around it the faults that a test has asked
 * for. A request that the gate refuses uses up no fault.
 */

#include "stripe_double.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_BYTES_MAX = 255,
};

static void answer_text(struct request *r, unsigned status, TAKES json_t *body)
{
	free(r->text);
	r->status = status;
	r->text = json_dumps(body, JSON_INDENT(2));
	json_decref(body);
}

static void turn_away(struct request *r, unsigned status, const char *type, const char *code,
		      TAKES char *message)
{
	answer_text(r, status, error_body(type, code, NULL, message, r->request_id));
	free(message);
}

static void turn_away_invalid(struct request *r, unsigned status, TAKES char *message)
{
	turn_away(r, status, "invalid_request_error", NULL, message);
}

/* Basic has the key as the user and an empty password. */
static bool is_key(const char *authorization, const char *key)
{
	char *pair CLEANUP(free_charp) = xasprintf("%s:", key);
	char *basic CLEANUP(free_charp) = xzalloc(strlen(pair) * 2 + 8);

	if (strncmp(authorization, "Bearer ", 7) == 0)
		return strcmp(authorization + 7, key) == 0;
	(void)EVP_EncodeBlock((unsigned char *)basic, (const unsigned char *)pair,
			      (int)strlen(pair));
	return strncmp(authorization, "Basic ", 6) == 0 && strcmp(authorization + 6, basic) == 0;
}

static bool may_ask(struct request *r)
{
	char *what CLEANUP(free_charp) = xasprintf("%s %s", r->method, r->path);
	size_t i;
	json_t *denied;

	if (r->authorization == NULL) {
		turn_away_invalid(r, 401, xstrdup("You did not provide an API key."));
		return false;
	}
	if (is_key(r->authorization, SECRET_KEY))
		return true;
	if (!is_key(r->authorization, RESTRICTED_KEY)) {
		turn_away_invalid(r, 401, xstrdup("Invalid API Key provided"));
		return false;
	}
	json_array_foreach (r->fake->denied, i, denied) {
		const char *begin = json_string_value(denied);

		if (begin != NULL && strncmp(what, begin, strlen(begin)) == 0) {
			turn_away_invalid(
				r, 403,
				xasprintf("The provided key 'rk_test_***' does not have the "
					  "required permissions for this endpoint (%s).",
					  what));
			return false;
		}
	}
	return true;
}

static bool is_plain(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

static bool is_well_formed(struct request *r)
{
	bool is_post = strcmp(r->method, "POST") == 0;
	struct slice form = is_post ? r->body : slice_of(r->query);
	char *fault = NULL;

	if (!is_post && r->body.len > 0)
		fault = xstrdup("Parameters of GET and DELETE go into the query, not into a body");
	else if (is_post && *r->query != '\0')
		fault = xstrdup("Parameters of POST go into the body, not into the query");
	else if (is_post && r->body.len > 0 &&
		 (r->content_type == NULL ||
		  strncmp(r->content_type, "application/x-www-form-urlencoded", 33) != 0))
		fault = xstrdup("The body of a POST is application/x-www-form-urlencoded");
	else if (is_post && r->key == NULL)
		fault = xstrdup("This double wants an Idempotency-Key with every POST");
	else if (is_post &&
		 (*r->key == '\0' || strlen(r->key) > KEY_BYTES_MAX || !is_plain(r->key)))
		fault = xstrdup("Idempotency-Key must have 1 to 255 plain characters");
	if (fault == NULL)
		r->tree = form_decode(form, &fault);
	if (fault == NULL)
		return true;
	turn_away_invalid(r, 400, fault);
	return false;
}

static bool pass_gate(struct request *r)
{
	if (!may_ask(r))
		return false;
	if (r->version == NULL || strcmp(r->version, STRIPE_VERSION) != 0) {
		turn_away_invalid(r, 400,
				  xasprintf("Invalid Stripe API version: this double speaks %s and "
					    "nothing else",
					    STRIPE_VERSION));
		return false;
	}
	if (is_plain(r->path))
		r->spec = find_call(r->method, r->path, &r->id);
	if (r->spec == NULL) {
		turn_away_invalid(r, 404,
				  xasprintf("Unrecognized request URL (%s: %s).", r->method,
					    is_plain(r->path) ? r->path : "?"));
		return false;
	}
	return is_well_formed(r);
}

static bool pass_key(struct request *r)
{
	json_t *record;

	if (strcmp(r->method, "POST") != 0)
		return true;
	switch (key_begin(r->fake, r->key, r->method, r->path, r->tree, &record)) {
	case KEY_NEW:
		r->holds_key = true;
		return true;
	case KEY_REPLAY:
		r->record = json_incref(record);
		return true;
	case KEY_BUSY:
		turn_away(r, 409, "idempotency_error", "idempotency_key_in_use",
			  xasprintf("There is currently another in-progress request using this "
				    "Idempotent Key (that probably means you submitted twice, and "
				    "the other request is still going through): %s",
				    r->key));
		return false;
	case KEY_OTHER_PATH:
		turn_away(r, 400, "idempotency_error", NULL,
			  xasprintf("Keys for idempotent requests can only be used for the same "
				    "endpoint they were first used for ('%s' vs '%s'). Try using a "
				    "key other than '%s' if you meant to execute a different "
				    "request.",
				    r->path, text_of(record, "path"), r->key));
		return false;
	case KEY_OTHER_PARAMS:
		turn_away(r, 400, "idempotency_error", NULL,
			  xasprintf("Keys for idempotent requests can only be used with the same "
				    "parameters they were first used with. Try using a key other "
				    "than '%s' if you meant to execute a different request.",
				    r->key));
		return false;
	}
	return false;
}

int64_t api_begin(struct request *r)
{
	const struct fault *delay;

	r->request_id = random_id("req_", 14);
	r->log = json_pack("{s:s, s:s, s:s?, s:s, s:I}", "method", r->method, "path", r->path,
			   "key", r->key, "request_id", r->request_id, "at",
			   (json_int_t)fake_now(r->fake));
	(void)json_array_append(r->fake->requests, r->log);
	store_tick(r->fake);
	if (pass_gate(r) && pass_key(r)) {
		delay = fault_take(r->fake, FAULT_DELAY_BEFORE, FAULT_DELAY_BEFORE, r->method,
				   r->path);
		return delay == NULL ? 0 : delay->ms;
	}
	return 0;
}

static void replay(struct request *r)
{
	r->status = (unsigned)int_of(r->record, "status");
	r->text = xstrdup(text_of(r->record, "text"));
	r->original = xstrdup(text_of(r->record, "request"));
}

static void execute(struct request *r)
{
	struct call call = {
		.fake = r->fake,
		.spec = r->spec,
		.key = strcmp(r->method, "POST") == 0 ? r->key : NULL,
		.request_id = r->request_id,
		.id = r->id,
	};

	r->fake->current = &call;
	params_check(&call, r->tree);
	if (call.status == 0)
		r->spec->handle(&call);
	r->fake->current = NULL;
	CHECK(call.status != 0);
	answer_text(r, call.status, call.body);
	json_decref(call.params);
	/* Parameters that were refused leave the key as it was. */
	if (r->holds_key)
		key_end(r->fake, r->key, r->status, call.is_invalid ? NULL : r->text,
			r->request_id);
	r->holds_key = false;
}

static char *copy(const char *text)
{
	return text == NULL ? NULL : xstrdup(text);
}

static void go_wrong(struct request *r, const struct fault *fault)
{
	put_text(r->log, "fault", fault->name);
	if (fault->kind == FAULT_DROP_BEFORE || fault->kind == FAULT_DROP_AFTER) {
		r->how = SEND_NOTHING;
	} else if (fault->kind == FAULT_TRUNCATE) {
		r->how = SEND_HALF;
	} else {
		answer_text(r, fault->status, fault_body(fault, r->request_id));
		r->reason = copy(fault->reason);
		r->retry_after = copy(fault->retry_after);
		r->should_retry = copy(fault->should_retry);
	}
	if (fault->is_html) {
		free(r->text);
		r->text = xstrdup("<html><body><h1>Service Unavailable</h1></body></html>\n");
		r->is_html = true;
	}
	if (fault->is_saved && strcmp(r->method, "POST") == 0) {
		key_end(r->fake, r->key, r->status, r->text, r->request_id);
		r->holds_key = false;
	}
	/* Not replayed as such: it is this fault that answers. */
	free(r->original);
	r->original = NULL;
}

int64_t api_run(struct request *r)
{
	struct fake *f = r->fake;
	const struct fault *fault = fault_take(f, FAULT_ERROR_BEFORE, FAULT_DROP_BEFORE, r->method,
					       r->path);

	if (fault != NULL) {
		go_wrong(r, fault);
	} else {
		if (r->record != NULL)
			replay(r);
		else
			execute(r);
		fault = fault_take(f, FAULT_ERROR_AFTER, FAULT_TRUNCATE, r->method, r->path);
		if (fault != NULL)
			go_wrong(r, fault);
	}
	fault = fault_take(f, FAULT_DELAY_AFTER, FAULT_DELAY_AFTER, r->method, r->path);
	return fault == NULL ? 0 : fault->ms;
}

void api_finish(struct request *r)
{
	if (r->log != NULL) {
		put(r->log, "params", r->tree == NULL ? json_null() : json_incref(r->tree));
		put_int(r->log, "status", r->how == SEND_NOTHING ? 0 : r->status);
		put_bool(r->log, "replayed", r->original != NULL);
	}
	if (r->holds_key)
		key_end(r->fake, r->key, 0, NULL, NULL);
	json_decref(r->log);
	json_decref(r->tree);
	json_decref(r->record);
	free(r->text);
	free(r->id);
	free(r->request_id);
	free(r->original);
	free(r->reason);
	free(r->retry_after);
	free(r->should_retry);
}
