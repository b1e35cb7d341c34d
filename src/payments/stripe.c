/*
 * A try is one HTTP request. After it the call is over, or waits for the next one: what is repeated
 * is always the same bytes under the same idempotency key, so that Stripe does it once.
 */

#include "payments/stripe.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/vault.h"
#include "json/edge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_BASE  "https://api.stripe.com"
#define BEARER        "Bearer "
#define FORM_TYPE     "application/x-www-form-urlencoded"
#define KEY_IN_A_TEXT "[key]"

struct stripe {
	struct http *http;
	struct loop *loop;
	char *base;
	char *authorization; /* the one place of the key */
	const char *key;     /* in it */
	bool is_loopback;
	struct stripe_call *calls;
};

static const struct {
	const char *prefix;
	enum stripe_mode mode;
	bool is_restricted;
} KEYS[] = {
	{"sk_test_", STRIPE_MODE_TEST, false},
	{"sk_live_", STRIPE_MODE_LIVE, false},
	{"rk_test_", STRIPE_MODE_TEST, true},
	{"rk_live_", STRIPE_MODE_LIVE, true},
};

static bool is_graphic(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

bool stripe_key_mode(const char *key, enum stripe_mode *out_mode, bool *out_is_restricted)
{
	for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
		size_t len = strlen(KEYS[i].prefix);

		if (strncmp(key, KEYS[i].prefix, len) != 0 || !key[len] || !is_graphic(key))
			continue;
		*out_mode = KEYS[i].mode;
		*out_is_restricted = KEYS[i].is_restricted;
		return true;
	}
	return false;
}

static bool check_key(const char *key, struct err *err)
{
	enum stripe_mode mode;
	bool is_restricted;

	if (strlen(key) <= STRIPE_KEY_BYTES_MAX && stripe_key_mode(key, &mode, &is_restricted))
		return true;
	if (strncmp(key, "pk_", 3) == 0)
		return err_set(err, "STRIPE_SECRET_KEY: this is a publishable key; the secret one "
				    "begins with sk_ or rk_");
	return err_set(err, "STRIPE_SECRET_KEY: not a secret key, which begins with sk_test_, "
			    "sk_live_, rk_test_ or rk_live_");
}

struct stripe *stripe_create(struct loop *loop, struct http *http,
			     const struct stripe_config *config, struct err *err)
{
	const char *base = config->api_base ? config->api_base : DEFAULT_BASE;
	bool base_is_loopback;
	struct stripe *s;
	size_t len;

	if (!check_key(config->key, err))
		return NULL;
	if (!http_base_check(base, &base_is_loopback, err)) {
		err_prefix(err, "FAREBOX_STRIPE_API_BASE");
		return NULL;
	}
	s = xzalloc(sizeof(*s));
	s->loop = loop;
	s->http = http;
	for (len = strlen(base); base[len - 1] == '/';)
		len--;
	s->base = xstrndup(base, len);
	s->is_loopback = base_is_loopback;
	s->authorization = xasprintf(BEARER "%s", config->key);
	s->key = s->authorization + strlen(BEARER);
	return s;
}

void stripe_destroy(struct stripe *s)
{
	if (!s)
		return;
	while (s->calls)
		stripe_cancel(s->calls);
	secret_free(s->authorization);
	free(s->base);
	free(s);
}

void stripe_call_finish(struct stripe_call *call)
{
	json_decref(call->object);
	json_decref(call->error);
	free(call->text);
	free(call->request_id);
	call->object = call->error = NULL;
	call->text = call->request_id = NULL;
	call->status = 0;
	call->is_replayed = false;
	call->answered = (struct walltime){.ms = 0};
}

const char *stripe_error_member(const struct stripe_call *call, const char *name)
{
	return json_string_value(json_object_get(call->error, name));
}

static bool is_get(const struct stripe_call *call)
{
	return strcmp(call->method, "GET") == 0;
}

static bool is_post(const struct stripe_call *call)
{
	return strcmp(call->method, "POST") == 0;
}

static void call_unlink(struct stripe_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	call->stripe = NULL;
}

void stripe_cancel(struct stripe_call *call)
{
	if (!call->stripe)
		return;
	if (call->transfer)
		http_cancel(call->transfer);
	call->transfer = NULL;
	loop_timer_cancel(&call->timer);
	call_unlink(call);
}

static void call_over(struct stripe_call *call)
{
	call_unlink(call);
	call->done(call);
}

/* The length of the secret key, or of what is left of one, at the start of text; 0: none. Stripe
 * quotes a wrong key with stars in it. */
static size_t key_at(const char *key, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
		size_t len = strlen(KEYS[i].prefix);

		if (strncmp(text, KEYS[i].prefix, len) != 0)
			continue;
		if (strncmp(text, key, strlen(key)) == 0)
			len = strlen(key);
		while (text[len] &&
		       (strchr("*._-", text[len]) || (text[len] >= '0' && text[len] <= '9') ||
			(text[len] >= 'A' && text[len] <= 'Z') ||
			(text[len] >= 'a' && text[len] <= 'z')))
			len++;
		return len;
	}
	return 0;
}

/* For people: one line, without keys, of a bounded length. The caller frees it. */
static char *clean_text(const char *key, const char *text)
{
	struct buf out = BUF_INIT;
	char *clean;

	while (*text && out.len < STRIPE_TEXT_BYTES_MAX) {
		size_t len = key_at(key, text);

		if (len) {
			buf_puts(&out, KEY_IN_A_TEXT);
			text += len;
			continue;
		}
		buf_putc(&out, (unsigned char)*text < ' ' ? ' ' : *text);
		text++;
	}
	/* Not in the middle of a character. */
	while (*text && ((unsigned char)*text & 0xc0) == 0x80) {
		buf_putc(&out, *text);
		text++;
	}
	if (*text)
		buf_puts(&out, "...");
	clean = buf_steal(&out);
	vault_strike(clean);
	return clean;
}

static void set_text(struct stripe_call *call, const char *text)
{
	char *clean = clean_text(call->stripe->key, text);

	free(call->text);
	call->text = clean;
}

/* Stripe's message may quote the key that it was asked with. */
static void clean_message(struct stripe_call *call)
{
	const char *message = stripe_error_member(call, "message");
	char *clean;

	if (!message)
		return;
	clean = clean_text(call->stripe->key, message);
	/* Refused where a character was damaged; then nothing is kept. */
	if (json_object_set_new(call->error, "message", json_string(clean)) != 0)
		(void)json_object_del(call->error, "message");
	free(clean);
}

static void text_of_error(struct stripe_call *call)
{
	const char *code = stripe_error_member(call, "code");
	const char *decline_code = stripe_error_member(call, "decline_code");
	const char *message = stripe_error_member(call, "message");
	struct buf text = BUF_INIT;

	if (!code)
		code = stripe_error_member(call, "type");
	buf_puts(&text, code ? code : "refused");
	if (decline_code && strcmp(decline_code, code ? code : "") != 0)
		buf_printf(&text, " (%s)", decline_code);
	if (message)
		buf_printf(&text, ": %s", message);
	set_text(call, buf_text(&text));
	buf_finish(&text);
}

/* A 404 may also be of a path that is not Stripe's: nothing is missing then. */
static bool is_missing(const struct stripe_call *call)
{
	static const char NO_PATH[] = "Unrecognized request URL";
	const char *code = stripe_error_member(call, "code");
	const char *message = stripe_error_member(call, "message");

	if (code)
		return strcmp(code, "resource_missing") == 0;
	return call->status == 404 && !(message && strncmp(message, NO_PATH, strlen(NO_PATH)) == 0);
}

static enum stripe_outcome outcome_of(const struct stripe_call *call)
{
	const char *type = stripe_error_member(call, "type");

	if (call->status < 400 || call->status >= 500)
		return STRIPE_UNKNOWN;
	switch (call->status) {
	case 401:
	case 403:
		return STRIPE_FORBIDDEN;
	/* Of a proxy these are not Stripe's word on a card, or on an object. */
	case 402:
		return call->error ? STRIPE_DECLINED : STRIPE_UNKNOWN;
	case 404:
		if (!call->error)
			return STRIPE_UNKNOWN;
		break;
	case 409:
	case 429:
		return STRIPE_UNKNOWN;
	default:
		break;
	}
	if (type && strcmp(type, "idempotency_error") == 0)
		return STRIPE_KEY_MISUSED;
	return is_missing(call) ? STRIPE_NOT_FOUND : STRIPE_REFUSED;
}

/* The answer of a proxy, or one that Stripe gives before it looks the idempotency key up, says
 * nothing about an earlier try. */
static bool says_all(const struct stripe_call *call)
{
	if (is_get(call) || !call->is_doubtful || call->outcome == STRIPE_OK)
		return true;
	return call->error && call->outcome != STRIPE_FORBIDDEN;
}

static void read_headers(struct stripe_call *call, const struct http_response *r)
{
	const char *id = http_response_header(r, "Request-Id");
	const char *replayed = http_response_header(r, "Idempotent-Replayed");
	const char *date = http_response_header(r, "Date");

	call->status = r->status;
	if (id)
		call->request_id = clean_text(call->stripe->key, id);
	call->is_replayed = replayed && strcasecmp(replayed, "true") == 0;
	if (date && !http_date_read(date, &call->answered))
		call->answered.ms = 0;
}

/* True when it is to be asked again. */
static bool no_answer(struct stripe_call *call, const struct http_response *r)
{
	CLEANUP(free_charp) char *text = xasprintf("no answer: %s", r->error);

	call->outcome = STRIPE_UNKNOWN;
	switch (r->outcome) {
	case HTTP_BAD_URL:
		call->outcome = STRIPE_REFUSED; /* never sent, and never will be */
		set_text(call, r->error);
		return false;
	case HTTP_TOO_LARGE:
		set_text(call, text);
		return false; /* it would be the same again */
	case HTTP_DONE:
	case HTTP_TIMEOUT:
	case HTTP_REFUSED_ADDRESS:
	case HTTP_TRANSPORT:
		break;
	}
	set_text(call, text);
	return true;
}

static bool success(struct stripe_call *call, TAKES json_t *body)
{
	if (json_is_object(body)) {
		call->outcome = STRIPE_OK;
		call->object = body;
		return false;
	}
	json_decref(body);
	call->outcome = STRIPE_UNKNOWN;
	set_text(call, "no answer: what came is not a JSON object");
	return true;
}

static bool failure(struct stripe_call *call, const struct http_response *r, TAKES json_t *body)
{
	const char *should_retry = http_response_header(r, "Stripe-Should-Retry");
	json_t *error = json_object_get(body, "error");

	if (json_is_object(error)) {
		call->error = json_incref(error);
		clean_message(call);
		text_of_error(call);
	} else {
		CLEANUP(free_charp)
		char *text = xasprintf("HTTP status %d without a word of Stripe's", call->status);

		set_text(call, text);
	}
	json_decref(body);
	call->outcome = outcome_of(call);
	/* What is kept under the key stays the answer. */
	if (call->outcome == STRIPE_DECLINED || (call->is_replayed && call->status >= 500))
		return false;
	if (should_retry && strcasecmp(should_retry, "true") == 0)
		return true;
	if (should_retry && strcasecmp(should_retry, "false") == 0)
		return false;
	return call->outcome == STRIPE_UNKNOWN && call->status >= 400;
}

/* Fills the answer in; true when it is to be asked again. */
static bool read_answer(struct stripe_call *call, const struct http_response *r)
{
	json_t *body;

	stripe_call_finish(call);
	read_headers(call, r);
	if (r->outcome != HTTP_DONE)
		return no_answer(call, r);
	body = edge_parse(r->body, NULL);
	if (r->status >= 200 && r->status < 300)
		return success(call, body);
	return failure(call, r, body);
}

static void log_try(const struct stripe_call *call)
{
	log_debug("event=stripe_try method=%s path=%s status=%d request=%s try=%d ms=%" PRId64,
		  call->method, log_quote(call->path), call->status,
		  call->request_id ? log_quote(call->request_id) : "none", call->tries,
		  clock_boot().ms - call->started.ms);
}

static void give_up(struct stripe_call *call)
{
	call->outcome = STRIPE_UNKNOWN;
	if (!call->text)
		set_text(call, "no answer: there was no time to ask");
	log_warn("event=stripe_given_up method=%s path=%s status=%d request=%s tries=%d reason=%s",
		 call->method, log_quote(call->path), call->status,
		 call->request_id ? log_quote(call->request_id) : "none", call->tries,
		 log_quote(call->text));
	call_over(call);
}

static int64_t backoff_ms(int tries)
{
	int64_t most = STRIPE_BACKOFF_MS;
	uint32_t dice;

	for (int i = 1; i < tries && most < STRIPE_BACKOFF_MS_MAX; i++)
		most *= 2;
	if (most > STRIPE_BACKOFF_MS_MAX)
		most = STRIPE_BACKOFF_MS_MAX;
	random_bytes(&dice, sizeof(dice));
	return most / 2 + dice % (most / 2 + 1);
}

/* Stripe's own wish, when it is longer than ours. */
static int64_t wait_ms(const struct stripe_call *call, const struct http_response *r)
{
	const char *wish = http_response_header(r, "Retry-After");
	int64_t ms = backoff_ms(call->tries);
	int64_t s;

	if (!wish || !parse_i64(slice_of(wish), 0, INT64_MAX, &s))
		return ms;
	if (s > STRIPE_RETRY_AFTER_S_MAX)
		s = STRIPE_RETRY_AFTER_S_MAX;
	return s * 1000 > ms ? s * 1000 : ms;
}

static bool has_time(const struct stripe_call *call, struct boottime at)
{
	return boottime_after(at, STRIPE_TRY_MS_MIN).ms <= call->ends.ms;
}

static void on_response(void *arg, const struct http_response *r)
{
	struct stripe_call *call = arg;
	struct boottime next;
	bool is_asked_again;

	call->transfer = NULL;
	is_asked_again = read_answer(call, r);
	log_try(call);
	if (!is_asked_again) {
		if (!says_all(call))
			give_up(call);
		else
			call_over(call);
		return;
	}
	/* A call that is too fast was not looked at; any other may have been executed. */
	if (call->status != 429)
		call->is_doubtful = true;
	next = boottime_after(clock_boot(), wait_ms(call, r));
	if (call->tries < STRIPE_TRIES_MAX && has_time(call, next))
		loop_timer_at(&call->timer, next);
	else
		give_up(call);
}

static char *call_url(const struct stripe_call *call)
{
	const char *base = call->stripe->base;

	if (is_post(call) || !call->form || !*call->form)
		return xasprintf("%s%s", base, call->path);
	return xasprintf("%s%s%c%s", base, call->path, strchr(call->path, '?') ? '&' : '?',
			 call->form);
}

static void start_try(void *arg)
{
	struct stripe_call *call = arg;
	struct stripe *s = call->stripe;
	struct http_header headers[4];
	struct http_request request = {.method = call->method, .headers = headers};
	CLEANUP(free_charp) char *url = NULL;
	size_t n = 0;

	call->started = clock_boot();
	if (!has_time(call, call->started)) {
		give_up(call);
		return;
	}
	headers[n++] = (struct http_header){"Authorization", s->authorization};
	headers[n++] = (struct http_header){"Stripe-Version", STRIPE_VERSION};
	if (is_post(call)) {
		headers[n++] = (struct http_header){"Content-Type", FORM_TYPE};
		request.body = slice_of(call->form ? call->form : "");
		if (call->idempotency_key)
			headers[n++] = (struct http_header){"Idempotency-Key",
							    call->idempotency_key};
	}
	url = call_url(call);
	request.url = url;
	request.headers_count = n;
	request.timeout_ms = call->ends.ms - call->started.ms;
	if (request.timeout_ms > STRIPE_TRY_MS)
		request.timeout_ms = STRIPE_TRY_MS;
	request.allow_private = s->is_loopback;
	request.no_proxy = true;
	call->tries++;
	call->transfer = http_start(s->http, &request, on_response, call);
}

void stripe_start(struct stripe *s, struct stripe_call *call)
{
	CHECK(!call->stripe && !call->object && !call->error && !call->text && !call->request_id);
	call->stripe = s;
	call->next = s->calls;
	call->link = &s->calls;
	if (call->next)
		call->next->link = &call->next;
	s->calls = call;
	call->tries = 0;
	call->is_doubtful = false;
	call->ends = call->give_up;
	if (!call->ends.ms)
		call->ends = boottime_after(clock_boot(), STRIPE_GIVE_UP_MS);
	loop_timer_init(&call->timer, s->loop, start_try, call);
	loop_timer_in(&call->timer, 0);
}
