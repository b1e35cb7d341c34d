/*
 * Events on their way to a webhook endpoint: signed as Stripe signs, one connection each, several
 * at a time. What came back is kept; nothing is sent again unless the test says so.
 */

#include "stripe_double.h"

#include "base/buf.h"
#include "base/digest.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

enum {
	DELIVERY_TIMEOUT_MS = 30 * 1000,
	ANSWER_BYTES_KEPT = 4096,
};

struct webhooks {
	CURLM *multi;
	char *url;
	char *secret;
	bool is_auto;
	json_t *deliveries; /* event, status, error, answer */
	struct delivery *open;
	struct delivery *queue; /* in turn, oldest first; begun is only the first */
};

struct delivery {
	struct webhooks *webhooks;
	CURL *easy;
	struct curl_slist *headers;
	char *payload;
	json_t *record; /* borrowed from deliveries */
	struct buf answer;
	bool is_in_turn;
	bool has_begun;
	struct delivery *next; /* in open or in queue */
	struct delivery **link;
};

char *webhook_signature(struct slice payload, const char *secret, int64_t t)
{
	struct buf text = BUF_INIT;
	struct digest digest;
	char hex[DIGEST_TEXT_SIZE];

	buf_printf(&text, "%" PRId64 ".", t);
	buf_append(&text, payload.p, payload.len);
	digest = hmac_sha256(slice_of(secret), buf_slice(&text));
	buf_finish(&text);
	digest_text(&digest, hex);
	return xasprintf("t=%" PRId64 ",v1=%s", t, hex);
}

struct webhooks *webhooks_create(void)
{
	struct webhooks *w = xzalloc(sizeof(*w));

	CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	w->multi = curl_multi_init();
	CHECK(w->multi != NULL);
	w->deliveries = json_array();
	return w;
}

static void delivery_free(struct delivery *d)
{
	*d->link = d->next;
	if (d->next != NULL)
		d->next->link = d->link;
	if (d->has_begun)
		(void)curl_multi_remove_handle(d->webhooks->multi, d->easy);
	curl_easy_cleanup(d->easy);
	curl_slist_free_all(d->headers);
	free(d->payload);
	buf_finish(&d->answer);
	free(d);
}

void webhooks_clear(struct webhooks *w)
{
	while (w->open != NULL)
		delivery_free(w->open);
	while (w->queue != NULL)
		delivery_free(w->queue);
	(void)json_array_clear(w->deliveries);
	webhooks_aim(w, NULL, NULL, false);
}

void webhooks_destroy(struct webhooks *w)
{
	webhooks_clear(w);
	json_decref(w->deliveries);
	(void)curl_multi_cleanup(w->multi);
	curl_global_cleanup();
	free(w);
}

void webhooks_aim(struct webhooks *w, const char *url, const char *secret, bool is_auto)
{
	free(w->url);
	free(w->secret);
	w->url = url == NULL ? NULL : xstrdup(url);
	w->secret = secret == NULL ? NULL : xstrdup(secret);
	w->is_auto = is_auto;
}

static size_t on_answer(char *p, size_t size, size_t count, void *arg)
{
	struct delivery *d = arg;

	if (d->answer.len < ANSWER_BYTES_KEPT)
		buf_append(&d->answer, p, size * count);
	return size * count;
}

static void set_up(struct delivery *d, const char *url)
{
	CURL *easy = d->easy;

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, d->payload);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(d->payload));
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, d->headers);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)DELIVERY_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, d);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, d);
}

static void delivery_begin(struct delivery *d)
{
	d->has_begun = true;
	CHECK(curl_multi_add_handle(d->webhooks->multi, d->easy) == CURLM_OK);
}

static void delivery_link(struct delivery *d, struct delivery **link)
{
	while (*link != NULL)
		link = &(*link)->next;
	*link = d;
	d->link = link;
}

bool webhooks_send(struct webhooks *w, const char *event, const char *payload, int64_t now,
		   bool is_in_turn)
{
	char *signature CLEANUP(free_charp) = NULL;
	char *header CLEANUP(free_charp) = NULL;
	struct delivery *d;

	if (w->url == NULL || w->secret == NULL)
		return false;
	signature = webhook_signature(slice_of(payload), w->secret, now);
	header = xasprintf("Stripe-Signature: %s", signature);
	d = xzalloc(sizeof(*d));
	d->webhooks = w;
	d->is_in_turn = is_in_turn;
	d->easy = curl_easy_init();
	CHECK(d->easy != NULL);
	d->payload = xstrdup(payload);
	d->headers = curl_slist_append(d->headers, "Content-Type: application/json; charset=utf-8");
	d->headers = curl_slist_append(d->headers,
				       "User-Agent: Stripe/1.0 (+https://stripe.com/docs/"
				       "webhooks)");
	d->headers = curl_slist_append(d->headers, header);
	d->record = json_pack("{s:s, s:n, s:n, s:s}", "event", event, "status", "error", "answer",
			      "");
	(void)json_array_append_new(w->deliveries, d->record);
	set_up(d, w->url);
	delivery_link(d, is_in_turn ? &w->queue : &w->open);
	if (!is_in_turn || w->queue == d)
		delivery_begin(d);
	return true;
}

void webhooks_emitted(struct webhooks *w, const char *event, const char *payload, int64_t now)
{
	if (w->is_auto)
		(void)webhooks_send(w, event, payload, now, false);
}

json_t *webhooks_deliveries(const struct webhooks *w)
{
	return json_deep_copy(w->deliveries);
}

void webhooks_fds(struct webhooks *w, void *in, void *out, void *bad, int *max, int64_t *wait_ms)
{
	int mine = -1;
	long wait = -1;

	(void)curl_multi_fdset(w->multi, in, out, bad, &mine);
	(void)curl_multi_timeout(w->multi, &wait);
	if (mine > *max)
		*max = mine;
	/* Without a descriptor curl wants to be asked again soon. */
	if ((w->open != NULL || w->queue != NULL) && mine < 0 && (wait < 0 || wait > 20))
		wait = 20;
	if (wait >= 0 && (*wait_ms < 0 || wait < *wait_ms))
		*wait_ms = wait;
}

static void delivery_end(struct delivery *d, CURLcode result)
{
	struct webhooks *w = d->webhooks;
	bool is_in_turn = d->is_in_turn;
	long status = 0;

	(void)curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
	if (result == CURLE_OK)
		put_int(d->record, "status", status);
	else
		put_text(d->record, "error", curl_easy_strerror(result));
	/* An answer that is no UTF-8 is left out. */
	(void)json_object_set_new(d->record, "answer", json_string(buf_text(&d->answer)));
	delivery_free(d);
	if (is_in_turn && w->queue != NULL)
		delivery_begin(w->queue);
}

void webhooks_run(struct webhooks *w)
{
	int running;
	int left;
	CURLMsg *message;

	(void)curl_multi_perform(w->multi, &running);
	while ((message = curl_multi_info_read(w->multi, &left)) != NULL) {
		CURLcode result = message->data.result;
		char *private = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		delivery_end((struct delivery *)(void *)private, result);
	}
}
