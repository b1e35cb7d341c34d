#include "pricing/price.h"

#include "base/buf.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

/* cost_plus charges are rounded up to $0.0001. */
#define COST_PLUS_QUANTUM ((struct microusd){100})
#define MARKUP_DEFAULT    ((struct decimal){.digits = 105, .scale = 2})

struct flat_fields {
	const char *kind;
	struct decimal tokens;
};

struct cost_plus_fields {
	const char *kind;
	json_t *raw_cost_usd;
	struct decimal max_raw_cost_usd;
	bool has_max;
	struct decimal markup;
	bool has_markup;
};

static const struct field FLAT_FIELDS[] = {
	{"kind", FIELD_TEXT, true, offsetof(struct flat_fields, kind), FIELD_NO_SEEN},
	{"tokens", FIELD_DECIMAL, true, offsetof(struct flat_fields, tokens), FIELD_NO_SEEN},
};

static const struct field COST_PLUS_FIELDS[] = {
	{"kind", FIELD_TEXT, true, offsetof(struct cost_plus_fields, kind), FIELD_NO_SEEN},
	{"raw_cost_usd", FIELD_JSON, true, offsetof(struct cost_plus_fields, raw_cost_usd),
	 FIELD_NO_SEEN},
	{"max_raw_cost_usd", FIELD_DECIMAL, false,
	 offsetof(struct cost_plus_fields, max_raw_cost_usd),
	 offsetof(struct cost_plus_fields, has_max)},
	{"markup", FIELD_DECIMAL, false, offsetof(struct cost_plus_fields, markup),
	 offsetof(struct cost_plus_fields, has_markup)},
};

static bool read_flat(const json_t *config, struct price *p, struct err *err)
{
	struct flat_fields f = {0};

	if (!fields_read_strict(FLAT_FIELDS, ARRAY_LEN(FLAT_FIELDS), config, &f, err))
		return false;
	if (decimal_sign(f.tokens) < 0)
		return err_set(err, "tokens: must not be negative");
	if (!microusd_from_tokens_exact(&p->flat, f.tokens))
		return err_set(err, "tokens: has more than four decimals or is too large");
	p->bound = p->flat;
	return true;
}

static bool read_raw_cost(const struct cost_plus_fields *f, struct price *p, struct err *err)
{
	const char *pointer = json_string_value(json_object_get(f->raw_cost_usd, "pointer"));

	if (!json_is_object(f->raw_cost_usd)) {
		if (!edge_decimal(f->raw_cost_usd, true, &p->raw_cost) ||
		    decimal_sign(p->raw_cost) < 0)
			return err_set(err, "raw_cost_usd: must be a number that is not negative, "
					    "or {\"pointer\": \"/result/...\"}");
		if (f->has_max)
			return err_set(err, "max_raw_cost_usd: only with a pointer");
		p->raw_cost_max = p->raw_cost;
		return true;
	}
	if (!pointer || json_object_size(f->raw_cost_usd) != 1 ||
	    (strncmp(pointer, "/result", 7) != 0 && strncmp(pointer, "/arguments", 10) != 0))
		return err_set(err, "raw_cost_usd: a pointer starts with /result or /arguments");
	if (!f->has_max || decimal_sign(f->max_raw_cost_usd) < 0)
		return err_set(err, "max_raw_cost_usd: is required with a pointer: it bounds the "
				    "hold");
	p->raw_cost_pointer = xstrdup(pointer);
	p->raw_cost_max = f->max_raw_cost_usd;
	return true;
}

static bool read_cost_plus(const json_t *config, struct price *p, struct err *err)
{
	struct cost_plus_fields f = {.markup = MARKUP_DEFAULT};

	if (!fields_read_strict(COST_PLUS_FIELDS, ARRAY_LEN(COST_PLUS_FIELDS), config, &f, err))
		return false;
	if (decimal_cmp(f.markup, (struct decimal){.digits = 1}) < 0)
		return err_set(err, "markup: must be at least 1");
	p->markup = f.markup;
	if (!read_raw_cost(&f, p, err))
		return false;
	if (!microusd_product_ceil(&p->bound, p->raw_cost_max, p->markup, COST_PLUS_QUANTUM)) {
		price_finish(p);
		return err_set(err, "raw_cost_usd: is too large");
	}
	return true;
}

bool price_read(const json_t *config, int64_t version, struct price *out, struct err *err)
{
	const char *kind = json_string_value(json_object_get(config, "kind"));
	struct price p = {.version = version};

	if (!json_is_object(config))
		return err_set(err, "must be an object with a kind");
	if (!kind)
		return err_set(err, "kind: is required: flat or cost_plus");
	if (strcmp(kind, "flat") == 0) {
		p.kind = PRICE_FLAT;
		if (!read_flat(config, &p, err))
			return false;
	} else if (strcmp(kind, "cost_plus") == 0) {
		p.kind = PRICE_COST_PLUS;
		if (!read_cost_plus(config, &p, err))
			return false;
	} else {
		return err_set(err, "kind: must be flat or cost_plus");
	}
	*out = p;
	return true;
}

void price_finish(struct price *p)
{
	free(p->raw_cost_pointer);
	p->raw_cost_pointer = NULL;
}

const char *price_kind_name(enum price_kind kind)
{
	switch (kind) {
	case PRICE_FLAT:
		return "flat";
	case PRICE_COST_PLUS:
		return "cost_plus";
	}
	die("price kind %d", (int)kind);
}

bool price_needs_result(const struct price *p)
{
	return p->raw_cost_pointer != NULL;
}

static bool charge_cost_plus(const struct price *p, json_t *root, struct charge *out,
			     struct err *err)
{
	struct charge c = {.has_raw_cost = true, .raw_cost = p->raw_cost, .markup = p->markup};

	if (p->raw_cost_pointer) {
		json_t *value = edge_pointer(root, p->raw_cost_pointer);

		if (!value || !edge_decimal(value, true, &c.raw_cost) ||
		    decimal_sign(c.raw_cost) < 0)
			return err_set(err, "no cost at %s in the answer", p->raw_cost_pointer);
	}
	if (decimal_cmp(c.raw_cost, p->raw_cost_max) > 0 ||
	    !microusd_product_ceil(&c.amount, c.raw_cost, p->markup, COST_PLUS_QUANTUM))
		c.amount = p->bound;
	/* Never above what the hold took. */
	c.amount = microusd_min(c.amount, p->bound);
	*out = c;
	return true;
}

bool price_charge(const struct price *p, json_t *root, struct charge *out, struct err *err)
{
	switch (p->kind) {
	case PRICE_FLAT:
		*out = (struct charge){.amount = p->flat};
		return true;
	case PRICE_COST_PLUS:
		return charge_cost_plus(p, root, out, err);
	}
	die("price kind %d", (int)p->kind);
}

void price_sentence(const struct price *p, struct buf *out)
{
	char tokens[MONEY_TEXT_SIZE], usd[MONEY_TEXT_SIZE];

	tokens_text(p->bound, tokens);
	usd_text_people(p->bound, usd);
	buf_printf(out, "Costs %s%s %s ($%s) per call; failed calls are refunded.",
		   p->raw_cost_pointer ? "at most " : "", tokens,
		   strcmp(tokens, "1") == 0 ? "token" : "tokens", usd);
}

void price_members(const struct price *p, struct buf *out)
{
	char text[MONEY_TEXT_SIZE];

	buf_printf(out, "\"kind\":\"%s\"", price_kind_name(p->kind));
	tokens_text(p->bound, text);
	if (p->kind == PRICE_FLAT) {
		buf_printf(out, ",\"tokens\":%s", text);
		return;
	}
	buf_printf(out, ",\"max_tokens\":%s", text);
	if (!p->raw_cost_pointer) {
		decimal_text(p->raw_cost, text);
		buf_printf(out, ",\"raw_cost_usd\":%s", text);
	} else {
		decimal_text(p->raw_cost_max, text);
		buf_printf(out, ",\"max_raw_cost_usd\":%s", text);
	}
	decimal_text(p->markup, text);
	buf_printf(out, ",\"markup\":%s", text);
}
