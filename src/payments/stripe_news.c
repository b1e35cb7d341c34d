/*
 * What went back: refunds and disputes, asked for since a time, by charge, or one by its name; and
 * what a webhook event is about.
 */

#include "payments/stripe_flow.h"

#include "base/limits.h"
#include "base/log.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	enum reversal_kind kind;
	const char *path;
	bool is_paid; /* no reversals: what was paid */
	const char *status;
} LISTS[] = {
	{REVERSAL_REFUND, "/v1/refunds", false, NULL},
	{REVERSAL_DISPUTE, "/v1/disputes", false, NULL},
	{0, "/v1/payment_intents", true, NULL},
	{0, "/v1/invoices", true, "paid"},
};
#define LISTS_OF_CHARGE 2 /* those that a charge is looked for in */

struct asking {
	struct stripe_gateway *g;
	struct gateway_news *news;
	struct stripe_call http;
	bool is_calling;
	int64_t pages;
	char *path, *form; /* owned */
};

static void asking_free(struct asking *a)
{
	stripe_call_finish(&a->http);
	free(a->path);
	free(a->form);
	free(a);
}

static void asking_end(struct asking *a, bool is_failed)
{
	struct gateway_news *news = a->news;

	news->is_failed = is_failed;
	news->state = NULL;
	asking_free(a);
	news->done(news);
}

static bool is_one_of(const char *text, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text && strcmp(text, texts[i]) == 0)
			return true;
	}
	return false;
}

/* A refund counts from its making on, as in the charge's refunded amount, and not if it failed. */
static void read_refund(const json_t *object, struct gateway_reversal *r)
{
	static const char *const FAILED[] = {"failed", "canceled"};

	r->is_taken = !is_one_of(r->status, FAILED, ARRAY_LEN(FAILED));
	r->turn = r->is_taken ? 1 : 2;
	r->is_over = !r->is_taken || strcmp(r->status, "succeeded") == 0;
	(void)object;
}

/* On which side the money of a dispute is say its balance transactions, one a change of sides. A
 * dispute without any says it by its status. */
static void read_dispute(const json_t *object, struct gateway_reversal *r)
{
	static const char *const WITHDRAWN[] = {"needs_response", "under_review", "lost"};
	static const char *const OVER[] = {"lost", "won", "warning_closed", "prevented"};
	const json_t *moves = json_object_get(object, "balance_transactions");
	size_t n = json_array_size(moves), i;
	const json_t *move;
	int64_t sum = 0, amount;

	json_array_foreach (moves, i, move) {
		if (edge_i64(json_object_get(move, "amount"), &amount))
			sum += amount;
	}
	r->is_over = is_one_of(r->status, OVER, ARRAY_LEN(OVER));
	r->turn = (int64_t)n;
	r->is_taken = sum < 0;
	if (n) {
		/* Won, and the money is not back yet. */
		r->is_over = r->is_over && (!r->is_taken || strcmp(r->status, "lost") == 0);
		return;
	}
	r->is_taken = is_one_of(r->status, WITHDRAWN, ARRAY_LEN(WITHDRAWN));
	r->turn = r->is_taken ? 1 : 0;
	if (strcmp(r->status, "won") == 0)
		r->turn = 2;
}

/* What a payment's money is known by: its intent; the charge, where it was paid without one, as
 * some ways to pay an invoice are. Borrowed. NULL: neither. */
static const char *money_of(const json_t *object)
{
	const char *intent = stripe_id_member(object, "payment_intent");

	return intent ? intent : stripe_id_member(object, "charge");
}

static bool is_charge(const char *ref)
{
	return ref && (strncmp(ref, "ch_", 3) == 0 || strncmp(ref, "py_", 3) == 0);
}

static void tell_paid(struct asking *a, const json_t *object)
{
	struct gateway_paid paid;

	if (a->news->paid && stripe_paid_read(object, &paid))
		a->news->paid(a->news, &paid);
}

static void tell(struct asking *a, enum reversal_kind kind, const json_t *object)
{
	struct gateway_reversal r = {
		.kind = kind,
		.ref = stripe_text_member(object, "id"),
		.charge_ref = money_of(object),
		.status = stripe_text_member(object, "status"),
		.created = stripe_time_member(object, "created"),
	};

	if (!r.ref || !r.charge_ref || !r.status ||
	    !stripe_cents_member(object, "amount", &r.amount))
		return;
	if (kind == REVERSAL_REFUND)
		read_refund(object, &r);
	else
		read_dispute(object, &r);
	a->news->item(a->news, &r);
}

static void ask_list(struct asking *a);

static size_t list_of(const struct asking *a)
{
	return (size_t)a->news->place.list;
}

/* What is behind the item with this id comes next; NULL: what stands in the next list. */
static void move_on(struct asking *a, const char *last)
{
	struct gateway_place *place = &a->news->place;

	free(place->after);
	place->after = last ? xstrdup(last) : NULL;
	place->list += !last;
}

static void list_failed(struct asking *a)
{
	const struct stripe_call *http = &a->http;

	log_warn("event=reversals_not_read path=%s reason=%s", LISTS[list_of(a)].path,
		 http->text ? log_quote(http->text) : "none");
	/* The item that it was to go on behind is gone. */
	if (a->news->place.after &&
	    (http->outcome == STRIPE_REFUSED || http->outcome == STRIPE_NOT_FOUND)) {
		move_on(a, NULL);
		a->news->place.list = 0;
	}
	asking_end(a, true);
}

static void on_list(struct stripe_call *http)
{
	struct asking *a = http->arg;
	const json_t *data = json_object_get(http->object, "data");
	const json_t *object;
	const char *last;
	size_t i;

	a->is_calling = false;
	if (http->outcome != STRIPE_OK) {
		list_failed(a);
		return;
	}
	json_array_foreach (data, i, object) {
		if (LISTS[list_of(a)].is_paid)
			tell_paid(a, object);
		else
			tell(a, LISTS[list_of(a)].kind, object);
	}
	last = stripe_text_member(json_array_get(data, json_array_size(data) - 1), "id");
	move_on(a, json_is_true(json_object_get(http->object, "has_more")) ? last : NULL);
	if (list_of(a) == (a->news->charge_ref ? LISTS_OF_CHARGE : ARRAY_LEN(LISTS))) {
		a->news->place.list = 0;
		asking_end(a, false);
	} else if (++a->pages < TILL_PAGES_MAX) {
		ask_list(a);
	} else {
		log_info("event=reversals_go_on path=%s", LISTS[list_of(a)].path);
		a->news->is_cut = true;
		asking_end(a, false);
	}
}

static void on_one(struct stripe_call *http)
{
	struct asking *a = http->arg;

	a->is_calling = false;
	if (http->outcome == STRIPE_OK && a->news->paid_ref)
		tell_paid(a, http->object);
	else if (http->outcome == STRIPE_OK)
		tell(a, a->news->kind, http->object);
	asking_end(a, http->outcome != STRIPE_OK && http->outcome != STRIPE_NOT_FOUND);
}

static void get(struct asking *a, TAKES char *path, struct buf *form,
		void (*done)(struct stripe_call *http))
{
	stripe_call_finish(&a->http);
	free(a->path);
	free(a->form);
	a->path = path;
	a->form = xasprintf("%.*s", (int)form->len, form->len ? form->p : "");
	buf_finish(form);
	a->http = (struct stripe_call){
		.method = "GET",
		.path = a->path,
		.form = a->form,
		.give_up = a->news->give_up,
		.done = done,
		.arg = a,
	};
	a->is_calling = true;
	stripe_start(a->g->stripe, &a->http);
}

static void ask_list(struct asking *a)
{
	const struct gateway_news *news = a->news;
	struct buf form = BUF_INIT;

	stripe_form(&form, is_charge(news->charge_ref) ? "charge" : "payment_intent",
		    news->charge_ref);
	if (!news->charge_ref)
		stripe_form_i64(&form, "created[gte]",
				(LISTS[list_of(a)].is_paid ? news->paid_since : news->since).ms /
					1000);
	stripe_form(&form, "status", LISTS[list_of(a)].status);
	stripe_form_i64(&form, "limit", 100);
	stripe_form(&form, "starting_after", news->place.after);
	get(a, xstrdup(LISTS[list_of(a)].path), &form, on_list);
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The session of a page is paid by an intent, which says the same of it. */
static void on_session(struct stripe_call *http)
{
	struct asking *a = http->arg;
	const char *intent = stripe_id_member(http->object, "payment_intent");
	struct buf form = BUF_INIT;

	a->is_calling = false;
	if (http->outcome == STRIPE_OK && intent)
		get(a, xasprintf("/v1/payment_intents/%s", intent), &form, on_one);
	else
		asking_end(a, http->outcome != STRIPE_OK && http->outcome != STRIPE_NOT_FOUND);
}

static void ask_paid(struct asking *a)
{
	const char *ref = a->news->paid_ref;
	struct buf form = BUF_INIT;

	if (starts_with(ref, "cs_"))
		get(a, xasprintf("/v1/checkout/sessions/%s", ref), &form, on_session);
	else
		get(a,
		    xasprintf("%s/%s",
			      starts_with(ref, "in_") ? "/v1/invoices" : "/v1/payment_intents",
			      ref),
		    &form, on_one);
}

void stripe_news(struct gateway *g, struct gateway_news *news)
{
	struct asking *a = xzalloc(sizeof(*a));
	struct buf form = BUF_INIT;

	a->g = container_of(g, struct stripe_gateway, gateway);
	a->news = news;
	news->state = a;
	news->is_cut = false;
	if (news->place.list < 0 || list_of(a) >= ARRAY_LEN(LISTS))
		news->place.list = 0;
	if (news->paid_ref)
		ask_paid(a);
	else if (news->ref)
		get(a,
		    xasprintf("%s/%s", LISTS[news->kind == REVERSAL_DISPUTE ? 1 : 0].path,
			      news->ref),
		    &form, on_one);
	else
		ask_list(a);
}

void stripe_news_abort(struct gateway *g, struct gateway_news *news)
{
	struct asking *a = news->state;

	(void)g;
	if (!a)
		return;
	if (a->is_calling)
		stripe_cancel(&a->http);
	news->state = NULL;
	asking_free(a);
}

static bool text_is(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

bool stripe_notice(struct gateway *g, const json_t *event, struct gateway_notice *out,
		   struct err *err)
{
	static const char *const BACK[] = {"charge.refund", "refund.", "charge.dispute."};
	const struct stripe_gateway *s = container_of(g, struct stripe_gateway, gateway);
	const json_t *object = json_object_get(json_object_get(event, "data"), "object");
	const json_t *livemode = json_object_get(event, "livemode");
	const char *type = stripe_text_member(event, "type");

	/* A thin event has no object: of meters and accounts only, none of ours. */
	if (type && text_is(stripe_text_member(event, "object"), "v2.core.event"))
		return true;
	if (!type || !json_is_object(object))
		return err_set(err, "the body is no event: it has no type or no data.object");
	if (json_is_boolean(livemode) && json_is_true(livemode) != s->is_live)
		return err_set(err, "the event is of %s mode, the key in STRIPE_SECRET_KEY is not",
			       s->is_live ? "test" : "live");
	for (size_t i = 0; i < ARRAY_LEN(BACK); i++) {
		if (starts_with(type, BACK[i]))
			out->charge_ref = money_of(object);
	}
	/* The charge itself. */
	if (!out->charge_ref && starts_with(type, "charge.refund"))
		out->charge_ref = stripe_text_member(object, "id");
	if (!out->charge_ref &&
	    (starts_with(type, "payment_intent.") || starts_with(type, "invoice.") ||
	     starts_with(type, "checkout.session."))) {
		out->payment = stripe_payment_of(object);
		out->ref = stripe_text_member(object, "id");
	}
	return true;
}
