/*
 * The records of idempotency keys: method, path and parameters of the first use, and its answer.
 * A key is forgotten 24 hours after its first use, by the double's clock.
 */

#include "stripe_double.h"

#include <string.h>

enum key_state key_begin(struct fake *f, const char *key, const char *method, const char *path,
			 const json_t *tree, json_t **out_record)
{
	json_t *record = json_object_get(f->keys, key);

	if (record != NULL && !bool_of(record, "in_progress") &&
	    int_of(record, "at") + DAY_S <= fake_now(f)) {
		(void)json_object_del(f->keys, key);
		record = NULL;
	}
	*out_record = record;
	if (record == NULL) {
		put(f->keys, key,
		    json_pack("{s:s, s:s, s:O, s:b, s:I}", "method", method, "path", path, "params",
			      tree, "in_progress", 1, "at", (json_int_t)fake_now(f)));
		return KEY_NEW;
	}
	if (!text_is(record, "path", path) || !text_is(record, "method", method))
		return KEY_OTHER_PATH;
	if (!json_equal(json_object_get(record, "params"), tree))
		return KEY_OTHER_PARAMS;
	return bool_of(record, "in_progress") ? KEY_BUSY : KEY_REPLAY;
}

void key_end(struct fake *f, const char *key, unsigned status, const char *text,
	     const char *request_id)
{
	json_t *record = json_object_get(f->keys, key);

	if (text == NULL) {
		(void)json_object_del(f->keys, key);
		return;
	}
	put_bool(record, "in_progress", false);
	put_int(record, "status", status);
	put_text(record, "text", text);
	put_text(record, "request", request_id);
}
