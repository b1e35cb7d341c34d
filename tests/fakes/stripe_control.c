/*
 * The control interface, without authorization. GET:
 *
 *	/_control/requests      every request of the API: method, path, params, key, status, ...
 *	/_control/objects       by type, in order of creation
 *	/_control/events        id, type and payload: the exact bytes of a delivery
 *	/_control/invariants    charges by purchase and top-up, customers by org
 *	/_control/deliveries    what became of the webhooks
 *
 * POST with a JSON object:
 *
 *	reset                as at the start
 *	faults/add           mode, [method, path (how it begins), skip, count, ms, status, code,
 *	                     message, reason, retry_after, should_retry, saved]; see stripe_faults.c
 *	faults/clear
 *	clock                offset_s (absolute), or advance_s
 *	keys/forget          [key]: as after 24 hours
 *	permissions          denied: ["POST /v1/refunds", ...] for the restricted key
 *	portal               configured
 *	events/sign          secret, and payload or event, [t]: {signature, payload}
 *	events/copy          event: the same fact under another event id
 *	webhooks             url, secret, [auto]: without auto only on demand
 *	webhooks/send        events: ids, one after the other, as often as they stand here
 *
 * and what stripe_control_money.c lists.
 */

#include "stripe_double.h"

#include <stdlib.h>
#include <string.h>

static json_t *events_list(const struct fake *f)
{
	const json_t *all = store_all(f, "event");
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *event = json_array_get(all, i);
		char *payload = json_dumps(event, JSON_INDENT(2));

		(void)json_array_append_new(list, json_pack("{s:O, s:O, s:s}", "id",
							    json_object_get(event, "id"), "type",
							    json_object_get(event, "type"),
							    "payload", payload));
		free(payload);
	}
	return list;
}

static json_t *control_get(struct fake *f, const char *path)
{
	if (strcmp(path, "requests") == 0)
		return json_deep_copy(f->requests);
	if (strcmp(path, "objects") == 0)
		return json_deep_copy(f->objects);
	if (strcmp(path, "events") == 0)
		return events_list(f);
	if (strcmp(path, "invariants") == 0)
		return report_invariants(f);
	if (strcmp(path, "deliveries") == 0)
		return webhooks_deliveries(f->webhooks);
	return NULL;
}

static json_t *done(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static json_t *act_reset(struct fake *f, const json_t *body, const char **out_why)
{
	(void)body;
	(void)out_why;
	fake_clear(f);
	return done();
}

static json_t *act_faults_add(struct fake *f, const json_t *body, const char **out_why)
{
	return fault_add(f, body, out_why) ? done() : NULL;
}

static json_t *act_faults_clear(struct fake *f, const json_t *body, const char **out_why)
{
	(void)body;
	(void)out_why;
	fault_clear(f);
	return done();
}

static json_t *act_clock(struct fake *f, const json_t *body, const char **out_why)
{
	if (has(body, "offset_s") == has(body, "advance_s")) {
		*out_why = "one of offset_s and advance_s";
		return NULL;
	}
	f->clock_offset_s = has(body, "offset_s") ? int_of(body, "offset_s")
						  : f->clock_offset_s + int_of(body, "advance_s");
	store_tick(f);
	return json_pack("{s:I}", "now", (json_int_t)fake_now(f));
}

static json_t *act_keys_forget(struct fake *f, const json_t *body, const char **out_why)
{
	const char *key = text_of(body, "key");

	if (key == NULL)
		(void)json_object_clear(f->keys);
	else if (json_object_del(f->keys, key) != 0)
		*out_why = "there is no such key";
	return *out_why == NULL ? done() : NULL;
}

static json_t *act_permissions(struct fake *f, const json_t *body, const char **out_why)
{
	json_t *denied = json_object_get(body, "denied");

	if (!json_is_array(denied)) {
		*out_why = "denied is a list of \"METHOD /path\"";
		return NULL;
	}
	json_decref(f->denied);
	f->denied = json_deep_copy(denied);
	return done();
}

static json_t *act_portal(struct fake *f, const json_t *body, const char **out_why)
{
	(void)out_why;
	f->has_portal = bool_of(body, "configured");
	return done();
}

static json_t *act_sign(struct fake *f, const json_t *body, const char **out_why)
{
	const json_t *event = store_find(f, "event", text_of(body, "event"));
	char *made = event == NULL ? NULL : json_dumps(event, JSON_INDENT(2));
	const char *payload = event == NULL ? text_of(body, "payload") : made;
	int64_t t = has(body, "t") ? int_of(body, "t") : fake_now(f);
	char *signature CLEANUP(free_charp) = NULL;
	json_t *answer = NULL;

	if (payload == NULL || !has(body, "secret")) {
		*out_why = "secret, and payload or event";
	} else {
		signature = webhook_signature(slice_of(payload), text_of(body, "secret"), t);
		answer = json_pack("{s:s, s:s}", "signature", signature, "payload", payload);
	}
	free(made);
	return answer;
}

static json_t *act_copy(struct fake *f, const json_t *body, const char **out_why)
{
	const json_t *event = store_find(f, "event", text_of(body, "event"));

	if (event == NULL) {
		*out_why = "there is no such event";
		return NULL;
	}
	emit(f, text_of(event, "type"), json_object_get(json_object_get(event, "data"), "object"));
	event = json_array_get(store_all(f, "event"), json_array_size(store_all(f, "event")) - 1);
	return json_pack("{s:O}", "id", json_object_get(event, "id"));
}

static json_t *act_webhooks(struct fake *f, const json_t *body, const char **out_why)
{
	(void)out_why;
	webhooks_aim(f->webhooks, text_of(body, "url"), text_of(body, "secret"),
		     bool_of(body, "auto"));
	return done();
}

static json_t *act_send(struct fake *f, const json_t *body, const char **out_why)
{
	const json_t *ids = json_object_get(body, "events");
	size_t i;
	json_t *id;

	json_array_foreach ((json_t *)(uintptr_t)ids, i, id) {
		const json_t *event = store_find(f, "event", json_string_value(id));
		char *payload = event == NULL ? NULL : json_dumps(event, JSON_INDENT(2));

		if (event == NULL)
			*out_why = "there is no such event";
		else if (!webhooks_send(f->webhooks, text_of(event, "id"), payload, fake_now(f),
					true))
			*out_why = "tell where to first: webhooks";
		free(payload);
		if (*out_why != NULL)
			return NULL;
	}
	return done();
}

static const struct {
	const char *path;
	json_t *(*act)(struct fake *f, const json_t *body, const char **out_why);
} ACTS[] = {
	{"clock", act_clock},
	{"events/copy", act_copy},
	{"events/sign", act_sign},
	{"faults/add", act_faults_add},
	{"faults/clear", act_faults_clear},
	{"keys/forget", act_keys_forget},
	{"permissions", act_permissions},
	{"portal", act_portal},
	{"reset", act_reset},
	{"webhooks", act_webhooks},
	{"webhooks/send", act_send},
};

json_t *control(struct fake *f, const char *method, const char *path, const json_t *body,
		unsigned *out_status)
{
	const char *why = NULL;
	json_t *answer = NULL;

	if (strcmp(method, "GET") == 0) {
		answer = control_get(f, path);
	} else if (json_is_object(body)) {
		size_t i = 0;

		while (i < ARRAY_LEN(ACTS) && strcmp(ACTS[i].path, path) != 0)
			i++;
		answer = i < ARRAY_LEN(ACTS) ? ACTS[i].act(f, body, &why)
					     : control_money(f, path, body, &why);
	} else {
		why = "the body is not a JSON object";
	}
	*out_status = answer != NULL ? 200 : why != NULL ? 400 : 404;
	return answer != NULL ? answer
			      : json_pack("{s:s}", "error", why == NULL ? "not found" : why);
}
