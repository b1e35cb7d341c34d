#include "pricing/price.h"

#include "base/buf.h"
#include "base/digest.h"
#include "pricing/internal.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

/* cost_plus charges are rounded up to $0.0001. */
#define COST_PLUS_QUANTUM ((struct microusd){100})
/* What a JSON reader with doubles keeps exact. */
#define VERSION_BITS      53

struct flat_fields {
	const char *kind;
	json_t *tokens;
};

struct per_unit_fields {
	const char *kind;
	json_t *tokens_per_unit;
	json_t *units;
	int64_t max_units;
};

struct cost_plus_fields {
	const char *kind;
	json_t *raw_cost_usd;
	json_t *max_raw_cost_usd;
	json_t *markup;
};

static const struct field FLAT_FIELDS[] = {
	{"kind", FIELD_TEXT, true, offsetof(struct flat_fields, kind), FIELD_NO_SEEN},
	{"tokens", FIELD_JSON, true, offsetof(struct flat_fields, tokens), FIELD_NO_SEEN},
};

static const struct field PER_UNIT_FIELDS[] = {
	{"kind", FIELD_TEXT, true, offsetof(struct per_unit_fields, kind), FIELD_NO_SEEN},
	{"tokens_per_unit", FIELD_JSON, true, offsetof(struct per_unit_fields, tokens_per_unit),
	 FIELD_NO_SEEN},
	{"units", FIELD_JSON, true, offsetof(struct per_unit_fields, units), FIELD_NO_SEEN},
	{"max_units", FIELD_I64, true, offsetof(struct per_unit_fields, max_units), FIELD_NO_SEEN},
};

static const struct field COST_PLUS_FIELDS[] = {
	{"kind", FIELD_TEXT, true, offsetof(struct cost_plus_fields, kind), FIELD_NO_SEEN},
	{"raw_cost_usd", FIELD_JSON, true, offsetof(struct cost_plus_fields, raw_cost_usd),
	 FIELD_NO_SEEN},
	{"max_raw_cost_usd", FIELD_JSON, false, offsetof(struct cost_plus_fields, max_raw_cost_usd),
	 FIELD_NO_SEEN},
	{"markup", FIELD_JSON, false, offsetof(struct cost_plus_fields, markup), FIELD_NO_SEEN},
};

/* A number or a decimal in a string, not negative. */
static bool read_amount(const char *at, const json_t *value, struct decimal *out,
			struct faults *faults)
{
	if (edge_decimal(value, true, out) && decimal_sign(*out) >= 0)
		return true;
	faults_add(faults, at, "must be a number that is not negative");
	return false;
}

static bool read_tokens(const char *at, const json_t *value, struct microusd *out,
			struct faults *faults)
{
	struct decimal tokens;

	if (!read_amount(at, value, &tokens, faults))
		return false;
	if (microusd_from_tokens_exact(out, tokens))
		return true;
	faults_add(faults, at, "has more than four decimals or is too large");
	return false;
}

static bool starts_with(const char *pointer, const char *member)
{
	size_t len = strlen(member);

	return strncmp(pointer, member, len) == 0 && (!pointer[len] || pointer[len] == '/');
}

/* {"pointer": "/result/..."}; a text of its own. */
static void read_pointer(const char *at, const json_t *value, char **out, struct faults *faults)
{
	const char *pointer = json_string_value(json_object_get(value, "pointer"));

	if (!pointer || json_object_size(value) != 1 ||
	    !(starts_with(pointer, "/result") || starts_with(pointer, "/arguments")))
		faults_add(faults, at, "a pointer starts with /result or /arguments");
	else if (!edge_is_pointer(pointer))
		faults_add(faults, at, "is not a JSON pointer: ~ is written as ~0");
	else
		*out = xstrdup(pointer);
}

static void read_flat(const json_t *config, struct price *p, struct faults *faults)
{
	struct flat_fields f = {0};

	if (price_fields(FLAT_FIELDS, ARRAY_LEN(FLAT_FIELDS), config, &f, faults) &&
	    read_tokens("/tokens", f.tokens, &p->tokens, faults))
		p->bound = p->bound_own_key = p->tokens;
}

static void read_per_unit(const json_t *config, struct price *p, struct faults *faults)
{
	struct per_unit_fields f = {0};
	bool is_read;

	if (!price_fields(PER_UNIT_FIELDS, ARRAY_LEN(PER_UNIT_FIELDS), config, &f, faults))
		return;
	is_read = read_tokens("/tokens_per_unit", f.tokens_per_unit, &p->tokens, faults);
	if (f.max_units < 1)
		faults_add(faults, "/max_units", "must be at least 1");
	else if (is_read && !microusd_mul(&p->bound, p->tokens, f.max_units))
		faults_add(faults, "/max_units", "is too large");
	p->max_units = f.max_units;
	p->bound_own_key = p->bound;
	read_pointer("/units", f.units, &p->units_pointer, faults);
}

bool price_read_markup(const json_t *value, struct price *p, struct faults *faults)
{
	struct decimal one = {.digits = 1}, markup = MARKUP_DEFAULT;

	if (value && !read_amount("/markup", value, &markup, faults))
		return false;
	p->markup = markup;
	if (decimal_cmp(markup, one) < 0)
		faults_add(faults, "/markup", "must be at least 1");
	else if (!decimal_sub(&p->fee, markup, one))
		faults_add(faults, "/markup", "has too many digits");
	else
		return true;
	return false;
}

static bool read_raw_cost(const struct cost_plus_fields *f, struct price *p, struct faults *faults)
{
	if (!json_is_object(f->raw_cost_usd)) {
		if (f->max_raw_cost_usd)
			faults_add(faults, "/max_raw_cost_usd", "only with a pointer");
		if (!edge_decimal(f->raw_cost_usd, true, &p->raw_cost) ||
		    decimal_sign(p->raw_cost) < 0) {
			faults_add(faults, "/raw_cost_usd",
				   "must be a number that is not negative, or "
				   "{\"pointer\": \"/result/...\"}");
			return false;
		}
		p->raw_cost_max = p->raw_cost;
		return true;
	}
	read_pointer("/raw_cost_usd", f->raw_cost_usd, &p->raw_cost_pointer, faults);
	if (f->max_raw_cost_usd)
		return read_amount("/max_raw_cost_usd", f->max_raw_cost_usd, &p->raw_cost_max,
				   faults);
	faults_add(faults, "/max_raw_cost_usd", "is required with a pointer: it bounds the hold");
	return false;
}

static void read_cost_plus(const json_t *config, struct price *p, struct faults *faults)
{
	struct cost_plus_fields f = {.markup = NULL};
	bool has_markup, has_cost;

	if (!price_fields(COST_PLUS_FIELDS, ARRAY_LEN(COST_PLUS_FIELDS), config, &f, faults))
		return;
	has_markup = price_read_markup(f.markup, p, faults);
	has_cost = read_raw_cost(&f, p, faults);
	if (!has_markup || !has_cost)
		return;
	if (!microusd_product_ceil(&p->bound, p->raw_cost_max, p->markup, COST_PLUS_QUANTUM) ||
	    !microusd_product_ceil(&p->bound_own_key, p->raw_cost_max, p->fee, COST_PLUS_QUANTUM))
		faults_add(faults, p->raw_cost_pointer ? "/max_raw_cost_usd" : "/raw_cost_usd",
			   "is too large");
}

bool price_fields(const struct field *table, size_t n, const json_t *config, void *out,
		  struct faults *faults)
{
	struct err err = ERR_INIT;

	if (fields_read_strict(table, n, config, out, &err))
		return true;
	faults_add(faults, "", "%s", err.text);
	return false;
}

/* Which price this is. */
static void name_version(const json_t *config, struct price *p)
{
	struct buf text = BUF_INIT;
	struct digest digest;
	uint64_t version = 0;

	edge_dump(config, true, &text);
	digest = sha256(buf_text(&text), text.len);
	for (int i = 0; i < 8; i++)
		version = version << 8 | digest.b[i];
	p->version = (int64_t)(version >> (64 - VERSION_BITS));
	p->text = buf_steal(&text);
}

static void read_kind(const json_t *config, struct price *p, struct faults *faults)
{
	static const struct {
		const char *name;
		enum price_kind kind;
		void (*read)(const json_t *config, struct price *p, struct faults *faults);
	} KINDS[] = {
		{"flat", PRICE_FLAT, read_flat},
		{"per_unit", PRICE_PER_UNIT, read_per_unit},
		{"cost_plus", PRICE_COST_PLUS, read_cost_plus},
		{"llm", PRICE_LLM, llm_read},
	};
	const char *kind = json_string_value(json_object_get(config, "kind"));

	for (size_t i = 0; kind && i < ARRAY_LEN(KINDS); i++) {
		if (strcmp(kind, KINDS[i].name) != 0)
			continue;
		p->kind = KINDS[i].kind;
		KINDS[i].read(config, p, faults);
		return;
	}
	faults_add(faults, json_is_object(config) ? "/kind" : "",
		   "%s flat, per_unit, cost_plus or llm",
		   !json_is_object(config) ? "must be an object with a kind:"
		   : kind                  ? "must be"
					   : "is required:");
}

bool price_read_all(const json_t *config, struct price *out, struct faults *faults)
{
	struct faults found = FAULTS_INIT;
	struct price p = {.kind = PRICE_FLAT};
	bool is_good;

	read_kind(config, &p, &found);
	is_good = found.count == 0;
	faults_take(faults, "", &found);
	if (!is_good) {
		price_finish(&p);
		return false;
	}
	name_version(config, &p);
	*out = p;
	return true;
}

bool price_read(const json_t *config, struct price *out, struct err *err)
{
	struct faults faults = FAULTS_INIT;
	bool is_good = price_read_all(config, out, &faults);

	CHECK(faults_are_none(&faults, err) == is_good);
	faults_finish(&faults);
	return is_good;
}

void price_finish(struct price *p)
{
	free(p->text);
	free(p->units_pointer);
	free(p->raw_cost_pointer);
	llm_finish(p);
	*p = (struct price){.kind = p->kind};
}

const char *price_kind_name(enum price_kind kind)
{
	switch (kind) {
	case PRICE_FLAT:
		return "flat";
	case PRICE_PER_UNIT:
		return "per_unit";
	case PRICE_COST_PLUS:
		return "cost_plus";
	case PRICE_LLM:
		return "llm";
	}
	die("price kind %d", (int)kind);
}

bool unknown_usage_read(const char *name, enum unknown_usage *out)
{
	static const char *const NAMES[] = {
		[UNKNOWN_USAGE_HOLD] = "hold",
		[UNKNOWN_USAGE_ZERO] = "zero",
		[UNKNOWN_USAGE_ESTIMATE] = "estimate",
	};

	if (!name) {
		*out = UNKNOWN_USAGE_HOLD;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
		if (strcmp(NAMES[i], name) == 0) {
			*out = (enum unknown_usage)i;
			return true;
		}
	}
	return false;
}

bool price_needs_result(const struct price *p)
{
	return p->raw_cost_pointer || p->units_pointer;
}

bool price_bound(const struct price *p, const json_t *arguments, bool is_own_key,
		 struct microusd *out, struct err *err)
{
	if (p->kind == PRICE_LLM)
		return llm_bound(p, arguments, is_own_key, out, err);
	*out = is_own_key ? p->bound_own_key : p->bound;
	return true;
}

/* What a pointer of the configuration points at. Borrowed from the facts. */
static json_t *look_up(const struct price_facts *facts, const char *pointer)
{
	CLEANUP(edge_decref) json_t *root = json_object();

	CHECK(json_object_set(root, "arguments", facts->arguments) == 0);
	CHECK(json_object_set_new(root, "result",
				  facts->result ? json_incref(facts->result) : json_null()) == 0);
	return edge_pointer(root, pointer);
}

/*
 * Units are a number that is not negative, also in a string, or an array, which counts its items.
 * They may have decimals (12.5 seconds): each part of a unit costs its part, and the sum is rounded
 * up to a micro-USD.
 */
static bool charge_per_unit(const struct price *p, const struct price_facts *facts,
			    struct charge *out, struct err *err)
{
	const json_t *value = look_up(facts, p->units_pointer);
	struct charge c = {.amount = MICROUSD_ZERO};
	struct decimal units;

	if (json_is_array(value))
		units = (struct decimal){.digits = (int64_t)json_array_size(value)};
	else if (!value || !edge_decimal_up(value, &units) || decimal_sign(units) < 0)
		return err_set(err, "no number of units at %s", p->units_pointer);
	if (decimal_cmp(units, (struct decimal){.digits = p->max_units}) > 0 ||
	    !microusd_times_ceil(&c.amount, p->tokens, units))
		c.amount = p->bound;
	*out = c;
	return true;
}

static bool charge_cost_plus(const struct price *p, const struct price_facts *facts,
			     struct charge *out, struct err *err)
{
	struct charge c = {
		.has_raw_cost = true,
		.raw_cost = p->raw_cost,
		.markup = facts->is_own_key ? p->fee : p->markup,
	};
	struct microusd bound = facts->is_own_key ? p->bound_own_key : p->bound;

	if (p->raw_cost_pointer) {
		const json_t *value = look_up(facts, p->raw_cost_pointer);

		if (!value || !edge_decimal_up(value, &c.raw_cost) || decimal_sign(c.raw_cost) < 0)
			return err_set(err, "no cost at %s", p->raw_cost_pointer);
	}
	if (decimal_cmp(c.raw_cost, p->raw_cost_max) > 0 ||
	    !microusd_product_ceil(&c.amount, c.raw_cost, c.markup, COST_PLUS_QUANTUM))
		c.amount = bound;
	/* Never above what the hold took. */
	c.amount = microusd_min(c.amount, bound);
	*out = c;
	return true;
}

bool price_charge(const struct price *p, const struct price_facts *facts, struct charge *out,
		  struct err *err)
{
	switch (p->kind) {
	case PRICE_FLAT:
		*out = (struct charge){.amount = p->tokens};
		return true;
	case PRICE_PER_UNIT:
		return charge_per_unit(p, facts, out, err);
	case PRICE_COST_PLUS:
		return charge_cost_plus(p, facts, out, err);
	case PRICE_LLM:
		return llm_charge(p, facts, out, err);
	}
	die("price kind %d", (int)p->kind);
}
