/* The JSON template of a request's body. */

#include "providers/http_plan.h"

#include "base/limits.h"
#include "json/edge.h"
#include "json/emit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum body_kind {
	BODY_CONSTANT,
	BODY_TEXT,
	BODY_OBJECT,
	BODY_ARRAY,
};

struct body_node {
	enum body_kind kind;
	json_t *constant;
	struct template text;
	char **keys; /* of an object */
	struct body_node **items;
	size_t count;
};

static bool body_add(struct body_node *node, const char *key, const json_t *value,
		     const json_t *schema, TAKES char *at, struct faults *faults)
{
	struct body_node *item = body_read(value, schema, at, faults);

	free(at);
	if (!item)
		return false;
	node->items = xrealloc_array(node->items, node->count + 1, sizeof(struct body_node *));
	node->keys = xrealloc_array(node->keys, node->count + 1, sizeof(char *));
	node->items[node->count] = item;
	node->keys[node->count] = key ? xstrdup(key) : NULL;
	node->count++;
	return true;
}

static bool body_add_all(struct body_node *node, const json_t *config, const json_t *schema,
			 const char *at, struct faults *faults)
{
	bool is_good = true;
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_array(config)) {
		json_array_foreach (config, i, value)
			is_good = body_add(node, NULL, value, schema, xasprintf("%s/%zu", at, i),
					   faults) &&
				  is_good;
		return is_good;
	}
	json_object_foreach ((json_t *)(uintptr_t)config, key, value)
		is_good = body_add(node, key, value, schema, pointer_below(at, key), faults) &&
			  is_good;
	return is_good;
}

static bool body_read_text(struct body_node *node, const json_t *config, const json_t *schema,
			   const char *at, struct faults *faults)
{
	struct err err = ERR_INIT;

	node->kind = BODY_TEXT;
	if (template_read(edge_slice(config), TEMPLATE_MAY_ARGUMENT | TEMPLATE_MAY_SECRET,
			  &node->text, &err) &&
	    template_is_known(&node->text, schema, &err))
		return true;
	faults_add(faults, at, "%s", err.text);
	return false;
}

/* As deep as the configuration, whose depth is bounded. */
struct body_node *body_read(const json_t *config, const json_t *schema, const char *at,
			    struct faults *faults)
{
	struct body_node *node = xzalloc(sizeof(*node));
	bool is_good = true;

	if (json_is_string(config)) {
		is_good = body_read_text(node, config, schema, at, faults);
	} else if (json_is_object(config) || json_is_array(config)) {
		node->kind = json_is_object(config) ? BODY_OBJECT : BODY_ARRAY;
		is_good = body_add_all(node, config, schema, at, faults);
	} else {
		node->constant = json_incref((json_t *)(uintptr_t)config);
	}
	if (is_good)
		return node;
	body_destroy(node);
	return NULL;
}

void body_destroy(struct body_node *node)
{
	if (!node)
		return;
	json_decref(node->constant);
	template_finish(&node->text);
	for (size_t i = 0; i < node->count; i++) {
		free(node->keys[i]);
		body_destroy(node->items[i]);
	}
	free(node->keys);
	free(node->items);
	free(node);
}

bool body_has_secret(const struct body_node *node)
{
	for (size_t i = 0; i < node->count; i++) {
		if (body_has_secret(node->items[i]))
			return true;
	}
	return template_has(&node->text, TEMPLATE_SECRET);
}

bool body_leaks(const struct body_node *node, struct slice text)
{
	for (size_t i = 0; i < node->count; i++) {
		if (body_leaks(node->items[i], text))
			return true;
	}
	return template_leaks(&node->text, text);
}

/* False when an argument that it is made of is missing. */
static bool is_there(const struct body_node *node, json_t *arguments)
{
	for (size_t i = 0; i < node->text.count; i++) {
		if (node->text.parts[i].kind == TEMPLATE_ARGUMENT &&
		    !template_argument(&node->text.parts[i], arguments))
			return false;
	}
	return true;
}

struct filler {
	struct emit emit;
	json_t *arguments;
	struct template_fault *fault;
};

/* Looked at after each value, so that a body is never built further than one value beyond. */
static enum template_outcome check_size(const struct filler *f)
{
	if (f->emit.b->len <= PROVIDER_SENT_BYTES_MAX)
		return TEMPLATE_OK;
	f->fault->field[0] = '\0';
	(void)snprintf(f->fault->text, sizeof(f->fault->text),
		       "the arguments make the body too long");
	return TEMPLATE_UNFIT;
}

static enum template_outcome fill_text(struct filler *f, const struct template *t)
{
	struct buf text = BUF_INIT;
	enum template_outcome outcome = TEMPLATE_OK;

	if (template_is_argument(t)) {
		emit_json(&f->emit, template_argument(&t->parts[0], f->arguments));
		return check_size(f);
	}
	outcome = template_fill(t, PLACE_TEXT, f->arguments, NULL, &text, f->fault);
	if (outcome == TEMPLATE_OK) {
		emit_slice(&f->emit, buf_slice(&text));
		outcome = check_size(f);
	}
	buf_finish(&text);
	return outcome;
}

static enum template_outcome fill_node(struct filler *f, const struct body_node *node)
{
	enum template_outcome outcome = TEMPLATE_OK;

	switch (node->kind) {
	case BODY_CONSTANT:
		emit_json(&f->emit, node->constant);
		return TEMPLATE_OK;
	case BODY_TEXT:
		return fill_text(f, &node->text);
	case BODY_ARRAY:
		emit_array(&f->emit);
		for (size_t i = 0; i < node->count && outcome == TEMPLATE_OK; i++) {
			if (is_there(node->items[i], f->arguments))
				outcome = fill_node(f, node->items[i]);
		}
		emit_array_end(&f->emit);
		break;
	case BODY_OBJECT:
		emit_object(&f->emit);
		for (size_t i = 0; i < node->count && outcome == TEMPLATE_OK; i++) {
			if (!is_there(node->items[i], f->arguments))
				continue;
			emit_key_slice(&f->emit, slice_of(node->keys[i]));
			outcome = fill_node(f, node->items[i]);
		}
		emit_object_end(&f->emit);
		break;
	}
	return outcome;
}

enum template_outcome body_fill(const struct body_node *node, json_t *arguments, struct buf *out,
				struct template_fault *fault)
{
	struct filler f = {.arguments = arguments, .fault = fault};
	enum template_outcome outcome;

	if (!is_there(node, arguments))
		return template_fill(&node->text, PLACE_TEXT, arguments, NULL, out, fault);
	emit_init(&f.emit, out);
	outcome = fill_node(&f, node);
	emit_done(&f.emit);
	return outcome;
}
