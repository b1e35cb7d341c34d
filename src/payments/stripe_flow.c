#include "payments/stripe_flow.h"

#include "base/limits.h"
#include "base/log.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

struct stripe_flow *flow_create(struct stripe_gateway *g, struct gateway_call *call)
{
	struct stripe_flow *f = xzalloc(sizeof(*f));

	f->g = g;
	f->call = call;
	call->state = f;
	return f;
}

static void request_finish(struct stripe_flow *f)
{
	stripe_call_finish(&f->http);
	free(f->key);
	free(f->path);
	free(f->form);
	f->key = f->path = f->form = NULL;
	f->is_stale = false;
	f->is_kept = false;
	f->is_repeat = false;
}

static void flow_free(struct stripe_flow *f)
{
	request_finish(f);
	stripe_facts_finish(&f->facts);
	stripe_objects_finish(&f->objects);
	free(f->card);
	free(f->object);
	free(f);
}

void flow_destroy(struct stripe_flow *f)
{
	if (f->is_calling)
		stripe_cancel(&f->http);
	wallet_query_cancel(f->g->wallet, &f->query);
	f->call->state = NULL;
	f->g = NULL;
	if (!f->is_committing)
		flow_free(f);
}

struct walltime flow_now(const struct stripe_flow *f)
{
	return f->g->now ? f->g->now(f->g->now_arg) : wallet_now(f->g->wallet);
}

static bool was_sent_before(const struct stripe_flow *f)
{
	return f->call->payment && (f->call->payment->ref || f->facts.has_intent ||
				    f->facts.has_session || f->facts.has_invoice);
}

void flow_end(struct stripe_flow *f, enum gateway_result result, const char *reason)
{
	struct gateway_call *call = f->call;

	call->result = result;
	call->is_unheard = call->payment && !was_sent_before(f);
	if (reason && !call->reason)
		call->reason = xstrdup(reason);
	flow_destroy(f);
	call->done(call);
}

/* Not of the customer, whose making says nothing of the payment. */
static bool is_of_payment(const struct stripe_flow *f)
{
	struct id id;

	return f->call->payment &&
	       id_parse("pay", (struct slice){f->key, strcspn(f->key, "-")}, &id);
}

/* Whether a refusal is the last word on the payment. That a question is refused says nothing of
 * what was sent before, nor does a refusal that comes before the key is looked up. */
static bool says_all(const struct stripe_flow *f)
{
	if (f->is_kept && is_of_payment(f))
		return !f->is_repeat || (f->http.outcome != STRIPE_FORBIDDEN && f->http.error);
	return !was_sent_before(f);
}

void flow_end_by_answer(struct stripe_flow *f)
{
	const char *text = f->http.text;

	if (!says_all(f)) {
		flow_end(f, GATEWAY_UNKNOWN, text);
		return;
	}
	switch (f->http.outcome) {
	case STRIPE_FORBIDDEN:
		flow_end(f, GATEWAY_FORBIDDEN, text);
		return;
	case STRIPE_REFUSED:
	case STRIPE_NOT_FOUND:
		flow_end(f, GATEWAY_REFUSED, text);
		return;
	case STRIPE_OK:
	case STRIPE_DECLINED:
	case STRIPE_KEY_MISUSED:
	case STRIPE_UNKNOWN:
		flow_end(f, GATEWAY_UNKNOWN, text);
		return;
	}
	die("stripe outcome %d", (int)f->http.outcome);
}

static bool facts_step(struct wallet_query *query, struct db *db)
{
	struct stripe_flow *f = container_of(query, struct stripe_flow, query);
	struct id payment = f->call->payment ? f->call->payment->id : ID_NONE;

	if (stripe_facts_read(db, f->g->gateway.name, f->call->org, payment, &f->facts) != DB_OK)
		query->is_failed = true;
	return true;
}

static void facts_done(struct wallet_query *query)
{
	struct stripe_flow *f = container_of(query, struct stripe_flow, query);

	if (query->is_failed) {
		flow_end(f, GATEWAY_UNKNOWN, NULL);
		return;
	}
	if (f->g->default_email && f->facts.is_default_org) {
		free(f->facts.email);
		f->facts.email = xstrdup(f->g->default_email);
	}
	f->next(f);
}

void flow_facts(struct stripe_flow *f, flow_fn *next)
{
	stripe_facts_finish(&f->facts);
	f->next = next;
	f->query = (struct wallet_query){
		.step = facts_step,
		.done = facts_done,
		.deadline = f->call->give_up,
	};
	wallet_query(f->g->wallet, &f->query);
}

static void on_answer(struct stripe_call *http)
{
	struct stripe_flow *f = http->arg;

	f->is_calling = false;
	f->next(f);
}

static void send(struct stripe_flow *f, const char *method)
{
	f->http = (struct stripe_call){
		.method = method,
		.path = f->path,
		.form = f->form ? f->form : "",
		.idempotency_key = f->key,
		.give_up = f->call->give_up,
		.done = on_answer,
		.arg = f,
	};
	f->is_calling = true;
	stripe_start(f->g->stripe, &f->http);
}

void flow_get(struct stripe_flow *f, const char *path, const struct buf *form, flow_fn *next)
{
	char *text = xstrdup(path);

	request_finish(f);
	f->path = text;
	f->form = form && form->len ? xasprintf("%.*s", (int)form->len, form->p) : NULL;
	f->next = next;
	send(f, "GET");
}

static void flow_submit(struct stripe_flow *f, TAKES struct wallet_cmd *cmd, wallet_cmd_fn *done)
{
	cmd->done = done;
	cmd->arg = f;
	cmd->deadline = boottime_after(clock_boot(), PAYMENT_STORE_MS);
	f->is_committing = true;
	wallet_submit(f->g->wallet, cmd);
}

/* True when the flow goes on; else it was aborted and is gone, or has ended for lack of a store. */
static bool is_durable(struct stripe_flow *f, const struct wallet_cmd *cmd)
{
	f->is_committing = false;
	if (!f->g) {
		flow_free(f);
		return false;
	}
	if (cmd->outcome == WALLET_OK)
		return true;
	flow_end(f, GATEWAY_UNKNOWN, NULL);
	return false;
}

static void on_kept(struct wallet_cmd *cmd)
{
	struct request_keep *keep = container_of(cmd->riders, struct request_keep, rider);
	struct stripe_flow *f = cmd->arg;

	if (!is_durable(f, cmd))
		return;
	f->path = keep->path;
	f->form = keep->body;
	f->sent = keep->sent;
	keep->path = keep->body = NULL;
	f->is_kept = true;
	f->is_repeat = keep->is_repeat;
	/* Another process has ended the payment: nothing is begun for it any more. */
	if (f->note && f->note->is_over) {
		flow_end(f, GATEWAY_UNKNOWN, NULL);
		return;
	}
	if (!keep->is_stale) {
		send(f, "POST");
		return;
	}
	/* Stripe may have forgotten the key by now, and would do it again. */
	f->is_stale = true;
	f->next(f);
}

void flow_post(struct stripe_flow *f, const char *key, const char *path, TAKES struct buf *form,
	       const char *ref, flow_fn *next)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS,
						   (struct caller){.org = f->call->org});
	char *own = xstrdup(key);
	struct request_keep *keep = request_keep_create(f->g->gateway.name, own, path,
							buf_slice(form), flow_now(f));

	wallet_cmd_add_rider(cmd, &keep->rider);
	f->note = NULL;
	if (f->call->payment) {
		f->note = payment_note_create(f->call->payment->id, ref);
		wallet_cmd_add_rider(cmd, &f->note->rider);
	}
	buf_finish(form);
	request_finish(f);
	f->key = own;
	f->next = next;
	flow_submit(f, cmd, on_kept);
}

bool flow_may_be_under_way(const struct stripe_flow *f)
{
	/* A send is repeated until it is given up. */
	return flow_now(f).ms - f->sent.ms < TILL_GIVE_UP_MS + TILL_MARGIN_MS;
}

void flow_post_once(struct stripe_flow *f, const char *method, const char *path,
		    TAKES struct buf *form, flow_fn *next)
{
	char *text = xstrdup(path);
	char id[ID_TEXT_SIZE];

	request_finish(f);
	id_text("once", wallet_new_id(f->g->wallet), id);
	f->key = xstrdup(id);
	f->path = text;
	f->form = form && form->len ? xasprintf("%.*s", (int)form->len, form->p) : NULL;
	if (form)
		buf_finish(form);
	f->next = next;
	send(f, method);
}

static void on_noted(struct wallet_cmd *cmd)
{
	struct stripe_flow *f = cmd->arg;

	if (is_durable(f, cmd))
		f->next(f);
}

void flow_note(struct stripe_flow *f, const char *ref, flow_fn *next)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS,
						   (struct caller){.org = f->call->org});

	wallet_cmd_add_rider(cmd, &payment_note_create(f->call->payment->id, ref)->rider);
	f->next = next;
	flow_submit(f, cmd, on_noted);
}

static void on_customer_kept(struct wallet_cmd *cmd)
{
	struct customer_keep *keep = container_of(cmd->riders, struct customer_keep, rider);
	struct stripe_flow *f = cmd->arg;

	if (!is_durable(f, cmd))
		return;
	free(f->facts.customer);
	f->facts.customer = keep->customer;
	keep->customer = NULL;
	f->next(f);
}

void flow_keep_customer(struct stripe_flow *f, const char *customer, const char *email,
			flow_fn *next)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS,
						   (struct caller){.org = f->call->org});

	wallet_cmd_add_rider(cmd, &customer_keep_create(f->g->gateway.name, f->call->org, customer,
							email, f->facts.attempt)
					   ->rider);
	free(f->facts.customer_email);
	f->facts.customer_email = email ? xstrdup(email) : NULL;
	f->next = next;
	flow_submit(f, cmd, on_customer_kept);
}

void flow_keep_object(struct stripe_flow *f, const char *name, const char *ref, flow_fn *next)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS,
						   (struct caller){.org = f->call->org});

	wallet_cmd_add_rider(cmd, object_keep_create(f->g->gateway.name, name, ref));
	f->next = next;
	flow_submit(f, cmd, on_noted);
}

void flow_form_since(const struct stripe_flow *f, struct buf *form)
{
	const struct payment_view *p = f->call->payment;

	if (p->created.ms <= flow_now(f).ms)
		stripe_form_i64(form, "created[gte]", p->created.ms / 1000 - TILL_CLOCK_SLACK_S);
}

const char *stripe_text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

const char *stripe_id_member(const json_t *object, const char *name)
{
	const json_t *member = json_object_get(object, name);

	return json_is_object(member) ? stripe_text_member(member, "id")
				      : json_string_value(member);
}

bool stripe_cents_member(const json_t *object, const char *name, struct cents *out)
{
	int64_t n;

	if (!edge_i64(json_object_get(object, name), &n))
		return false;
	*out = cents_of(n);
	return true;
}

struct walltime stripe_time_member(const json_t *object, const char *name)
{
	int64_t s = 0;

	if (!edge_i64(json_object_get(object, name), &s) || s < 0 || s > INT64_MAX / 1000)
		s = 0;
	return (struct walltime){.ms = s * 1000};
}

struct id stripe_payment_of(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *text = json_object_get(metadata, "purchase_id");
	struct id id = ID_NONE;

	if (!text)
		text = json_object_get(metadata, "topup_id");
	if (!json_is_string(text) || !id_parse("pay", edge_slice(text), &id))
		return ID_NONE;
	return id;
}

struct cents stripe_total(const struct payment_view *p)
{
	return cents_plus(p->credit, p->fee);
}
