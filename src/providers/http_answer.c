#include "providers/http_answer.h"

#include "base/digest.h"
#include "base/limits.h"
#include "providers/charset.h"
#include "json/edge.h"
#include "json/emit.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
	/* Of an answer that failed: what is read of it, and what is quoted. */
	REASON_BODY_BYTES_MAX = 64 * 1024,
	REASON_BYTES_MAX = 240,
	MEDIA_TYPE_BYTES_MAX = 100,
};

int64_t answer_retry_after(const struct http_response *r)
{
	const char *text = http_response_header(r, "Retry-After");
	struct tm tm = {.tm_sec = 0};
	const char *end;
	int64_t s;

	if (!text)
		return -1;
	if (parse_i64(slice_of(text), 0, INT32_MAX, &s))
		return s;
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end || *end)
		return -1;
	s = (int64_t)timegm(&tm) - clock_wall().ms / 1000;
	return s > 0 ? s : 0;
}

enum provider_outcome answer_outcome(int status)
{
	if (status == 408 || status == 425 || status == 429)
		return PROVIDER_FAILED;
	return status >= 400 && status < 500 ? PROVIDER_REJECTED : PROVIDER_FAILED;
}

/* "image" of "image/png; q=1". */
static bool type_begins(const char *content_type, const char *family)
{
	return strncasecmp(content_type, family, strlen(family)) == 0;
}

static size_t media_type_len(const char *content_type)
{
	size_t len = strcspn(content_type, "; \t");

	return len;
}

bool answer_is_json(const char *content_type)
{
	size_t len = media_type_len(content_type);

	return (len == 16 && type_begins(content_type, "application/json")) ||
	       (len == 9 && type_begins(content_type, "text/json")) ||
	       (len > 5 && strncasecmp(content_type + len - 5, "+json", 5) == 0);
}

/* Where APIs put the reason of a refusal. */
static struct slice find_reason(json_t *root)
{
	static const char *const PLACES[] = {
		"/error/message", "/error",           "/message",         "/errors/0/message",
		"/errors/0",      "/detail",          "/title",           "/error_description",
		"/detail/0/msg",  "/0/error/message", "/errors/0/detail",
	};

	for (size_t i = 0; i < ARRAY_LEN(PLACES); i++) {
		const json_t *value = edge_pointer(root, PLACES[i]);

		if (json_string_length(value))
			return edge_slice(value);
	}
	return (struct slice){.p = NULL};
}

static void put_one_line(struct slice text, struct buf *out)
{
	size_t len = text.len;

	if (len > REASON_BYTES_MAX) {
		len = REASON_BYTES_MAX;
		while (len && ((unsigned char)text.p[len] & 0xc0) == 0x80)
			len--;
	}
	for (size_t i = 0; i < len; i++)
		buf_putc(out,
			 (unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f ? ' ' : text.p[i]);
	if (len < text.len)
		buf_puts(out, "...");
}

static bool leaks(const struct answer_secrets *secrets, struct slice text)
{
	if (secrets->own_key && *secrets->own_key &&
	    memmem(text.p, text.len, secrets->own_key, strlen(secrets->own_key)))
		return true;
	return secrets->leaks && secrets->leaks(secrets->arg, text);
}

void answer_quote(struct slice words, const struct answer_secrets *secrets, struct buf *out)
{
	if (!words.len || leaks(secrets, words))
		return;
	buf_puts(out, ": ");
	put_one_line(words, out);
}

/* 401 and 403 speak of the key, the operator's unless the caller brought one; a key that is masked
 * in the text is told from no other text, so these words stay here. */
static void put_reason(const struct http_response *r, const struct answer_secrets *secrets,
		       struct buf *out)
{
	json_t *root;

	if ((r->status == 401 || r->status == 403) && !secrets->is_keyless) {
		buf_puts(out, secrets->own_key ? ": it refuses your key"
					       : ": it refuses the operator's key");
		return;
	}
	if (!answer_is_json(r->content_type) || r->body.len > REASON_BODY_BYTES_MAX)
		return;
	root = edge_parse(r->body, NULL);
	answer_quote(find_reason(root), secrets, out);
	json_decref(root);
}

static void failed_status(const struct http_response *r, const struct answer_secrets *secrets,
			  struct provider_result *out)
{
	struct buf text = BUF_INIT;

	out->outcome = answer_outcome(r->status);
	out->retry_after_s = out->outcome == PROVIDER_FAILED ? answer_retry_after(r) : -1;
	out->is_key_refused = r->status >= 401 && r->status <= 403 && !secrets->is_keyless;
	buf_printf(&text, "the provider answered %d", r->status);
	if (r->status >= 300 && r->status < 400)
		buf_puts(&text, ", a redirect that is not followed");
	else
		put_reason(r, secrets, &text);
	err_set(&out->err, "%s", buf_text(&text));
	buf_finish(&text);
}

/* libcurl's words may name the host. */
static void failed_transport(const struct http_response *r, bool hides_host,
			     struct provider_result *out)
{
	const char *colon = hides_host ? "" : ": ";
	const char *words = hides_host ? "" : r->error;

	out->may_have_run = r->was_sent;
	if (r->was_sent)
		err_set(&out->err, "the provider broke off%s%s; it may have executed the request",
			colon, words);
	else
		err_set(&out->err, "the provider cannot be reached%s%s", colon, words);
}

void answer_failed(const struct http_response *r, const struct answer_secrets *secrets,
		   struct provider_result *out)
{
	out->outcome = PROVIDER_FAILED;
	out->status = r->status;
	switch (r->outcome) {
	case HTTP_DONE:
		failed_status(r, secrets, out);
		return;
	case HTTP_TIMEOUT:
		out->outcome = PROVIDER_TIMEOUT;
		out->may_have_run = r->was_sent;
		err_set(&out->err, "the provider did not answer in time");
		return;
	case HTTP_TRANSPORT:
		failed_transport(r, secrets->hides_host, out);
		return;
	case HTTP_TOO_LARGE:
		out->may_have_run = r->was_sent;
		break;
	case HTTP_REFUSED_ADDRESS:
	case HTTP_BAD_URL:
		break;
	}
	err_set(&out->err, "the provider cannot be reached, or broke off: %s", r->error);
}

static void garbage(struct provider_result *out, const char *text)
{
	out->outcome = PROVIDER_FAILED;
	err_set(&out->err, "%s", text);
}

static void put_structured(const json_t *value, struct provider_result *out)
{
	struct emit e;

	if (json_is_object(value)) {
		edge_dump(value, false, &out->structured);
		return;
	}
	out->is_wrapped = true;
	emit_init(&e, &out->structured);
	emit_object(&e);
	emit_key(&e, "result");
	emit_json(&e, value);
	emit_object_end(&e);
	emit_done(&e);
}

static void read_json(struct slice text, const char *pointer, struct provider_result *out)
{
	struct err err = ERR_INIT;
	json_t *root = edge_parse_loose(text, &err);
	const json_t *value = root ? edge_pointer(root, pointer) : NULL;

	if (!root) {
		out->outcome = PROVIDER_FAILED;
		err_set(&out->err, "the provider's answer cannot be read as JSON: %s", err.text);
	} else if (!value) {
		out->outcome = PROVIDER_FAILED;
		err_set(&out->err, "the provider's answer has nothing at %s", pointer);
	} else {
		out->outcome = PROVIDER_OK;
		put_structured(value, out);
	}
	json_decref(root);
}

static void read_text(struct slice body, struct provider_result *out)
{
	json_t *text = json_stringn(body.p ? body.p : "", body.len);
	struct emit e;

	if (!text) {
		garbage(out, "the provider's answer is not UTF-8");
		return;
	}
	out->outcome = PROVIDER_OK;
	emit_init(&e, &out->content);
	emit_array(&e);
	emit_object(&e);
	emit_key_text(&e, "type", "text");
	emit_key(&e, "text");
	emit_json(&e, text);
	emit_object_end(&e);
	emit_array_end(&e);
	emit_done(&e);
	json_decref(text);
}

/* family is the type of the content block, too: image or audio. */
static void read_media(const struct http_response *r, const char *family,
		       struct provider_result *out)
{
	size_t len = media_type_len(r->content_type);
	CLEANUP(free_charp) char *type = xstrndup(r->content_type, len);
	struct buf base64 = BUF_INIT;
	struct emit e;

	if (len > MEDIA_TYPE_BYTES_MAX || strpbrk(type, "\"\\,")) {
		garbage(out, "the provider's answer has no proper content type");
		return;
	}
	if (r->body.len > PROVIDER_IMAGE_BYTES_MAX) {
		out->outcome = PROVIDER_FAILED;
		err_set(&out->err, "the provider's %s is too large", family);
		return;
	}
	base64_encode(r->body, &base64);
	out->outcome = PROVIDER_OK;
	emit_init(&e, &out->content);
	emit_array(&e);
	emit_object(&e);
	emit_key_text(&e, "type", family);
	emit_key_text(&e, "data", buf_text(&base64));
	emit_key_text(&e, "mimeType", type);
	emit_object_end(&e);
	emit_array_end(&e);
	emit_done(&e);
	buf_finish(&base64);
}

/* What people read, and no program of ours. */
static bool is_text(const char *content_type)
{
	static const char *const TYPES[] = {
		"application/xml",        "application/x-ndjson", "application/jsonl",
		"application/javascript", "application/yaml",     "application/x-yaml",
		"application/toml",       "application/json-seq",
	};
	size_t len = media_type_len(content_type);

	for (size_t i = 0; i < ARRAY_LEN(TYPES); i++) {
		if (len == strlen(TYPES[i]) && type_begins(content_type, TYPES[i]))
			return true;
	}
	return type_begins(content_type, "text/") ||
	       (len > 4 && strncasecmp(content_type + len - 4, "+xml", 4) == 0);
}

/* A pointer says that JSON is meant, whatever the server calls it; so does silence. */
static bool is_meant_as_json(const char *content_type, const char *pointer)
{
	return answer_is_json(content_type) || !*content_type ||
	       (*pointer && type_begins(content_type, "text/plain"));
}

static void read_words(const struct http_response *r, const char *pointer,
		       struct provider_result *out)
{
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	if (!charset_decode(r->content_type, r->body, &text, &err)) {
		out->outcome = PROVIDER_FAILED;
		err_set(&out->err, "the provider's answer %s", err.text);
	} else if (!is_meant_as_json(r->content_type, pointer)) {
		read_text(buf_slice(&text), out);
	} else if (text.len || *pointer) {
		read_json(buf_slice(&text), pointer, out);
	} else {
		out->outcome = PROVIDER_OK;
		buf_puts(&out->structured, "{}");
	}
	buf_finish(&text);
}

void answer_read(const struct http_response *r, const char *pointer, struct provider_result *out)
{
	const char *type = r->content_type;

	out->status = r->status;
	if (is_meant_as_json(type, pointer))
		read_words(r, pointer, out);
	else if (*pointer)
		garbage(out, "the provider's answer is not JSON, by its content type");
	else if (type_begins(type, "image/"))
		read_media(r, "image", out);
	else if (type_begins(type, "audio/"))
		read_media(r, "audio", out);
	else if (is_text(type))
		read_words(r, pointer, out);
	else
		garbage(out,
			"the provider's answer is neither JSON nor text nor an image or sound");
}
