/*
 * What a model costs: its tokens at USD a million, exact in pico-dollars, x markup, rounded up once
 * to a micro-USD. The bound is that of an estimated prompt and all the output that may come.
 */

#include "base/limits.h"
#include "pricing/internal.h"
#include "json/edge.h"
#include "json/emit.h"

#include <stdlib.h>
#include <string.h>

/* A million tokens of a price of so many decimals cost whole pico-dollars each. */
#define MODEL_DECIMALS_MAX 6
#define MODEL_NAMES_SHOWN  8
/* Of the text of a prompt. */
#define TOKEN_BYTES        2
/* The mark-up of a number in nested arguments. */
#define SCALAR_BYTES       8

struct llm_fields {
	const char *kind;
	json_t *models;
	json_t *markup;
};

static const struct field LLM_FIELDS[] = {
	{"kind", FIELD_TEXT, true, offsetof(struct llm_fields, kind), FIELD_NO_SEEN},
	{"models", FIELD_JSON, true, offsetof(struct llm_fields, models), FIELD_NO_SEEN},
	{"markup", FIELD_JSON, false, offsetof(struct llm_fields, markup), FIELD_NO_SEEN},
};

struct model_fields {
	json_t *input, *cached_input, *cache_write, *output;
	int64_t max_output, image_tokens;
};

static const struct field MODEL_FIELDS[] = {
	{"input", FIELD_JSON, true, offsetof(struct model_fields, input), FIELD_NO_SEEN},
	{"cached_input", FIELD_JSON, false, offsetof(struct model_fields, cached_input),
	 FIELD_NO_SEEN},
	{"cache_write", FIELD_JSON, false, offsetof(struct model_fields, cache_write),
	 FIELD_NO_SEEN},
	{"output", FIELD_JSON, true, offsetof(struct model_fields, output), FIELD_NO_SEEN},
	{"max_output", FIELD_I64, false, offsetof(struct model_fields, max_output), FIELD_NO_SEEN},
	{"image_tokens", FIELD_I64, false, offsetof(struct model_fields, image_tokens),
	 FIELD_NO_SEEN},
};

static void read_rate(const char *at, const json_t *value, struct decimal *out,
		      struct faults *faults)
{
	struct decimal rate, rounded;

	if (!edge_decimal(value, true, &rate) || decimal_sign(rate) < 0)
		faults_add(faults, at, "must be a number that is not negative");
	else if (!decimal_ceil_places(&rounded, rate, MODEL_DECIMALS_MAX) ||
		 decimal_cmp(rounded, rate) != 0)
		faults_add(faults, at, "has more than six decimals");
	else if (decimal_cmp(rate, (struct decimal){.digits = LLM_USD_PER_MILLION_MAX}) > 0)
		faults_add(faults, at, "must be at most %d", LLM_USD_PER_MILLION_MAX);
	else
		*out = rounded;
}

static void read_model(const json_t *config, struct llm_model *m, struct faults *faults)
{
	struct model_fields f = {.max_output = LLM_MAX_OUTPUT_DEFAULT,
				 .image_tokens = LLM_TOKENS_PER_IMAGE};

	if (!price_fields(MODEL_FIELDS, ARRAY_LEN(MODEL_FIELDS), config, &f, faults))
		return;
	read_rate("/input", f.input, &m->input, faults);
	read_rate("/output", f.output, &m->output, faults);
	m->cached_input = m->input;
	if (f.cached_input)
		read_rate("/cached_input", f.cached_input, &m->cached_input, faults);
	m->cache_write = m->input;
	if (f.cache_write)
		read_rate("/cache_write", f.cache_write, &m->cache_write, faults);
	if (f.max_output < 1 || f.max_output > LLM_TOKENS_MAX)
		faults_add(faults, "/max_output", "must be between 1 and %d", LLM_TOKENS_MAX);
	m->max_output = f.max_output;
	if (f.image_tokens < 1 || f.image_tokens > LLM_TOKENS_PER_IMAGE_MAX)
		faults_add(faults, "/image_tokens", "must be between 1 and %d",
			   LLM_TOKENS_PER_IMAGE_MAX);
	m->image_tokens = f.image_tokens;
}

static int compare_models(const void *a, const void *b)
{
	const struct llm_model *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void llm_read(const json_t *config, struct price *p, struct faults *faults)
{
	struct llm_fields f = {.markup = NULL};
	const char *name;
	json_t *model;

	if (!price_fields(LLM_FIELDS, ARRAY_LEN(LLM_FIELDS), config, &f, faults))
		return;
	price_read_markup(f.markup, p, faults);
	if (!json_is_object(f.models) || !json_object_size(f.models)) {
		faults_add(faults, "/models", "must be an object with a model at least");
		return;
	}
	p->models = xarray(json_object_size(f.models), sizeof(*p->models));
	json_object_foreach (f.models, name, model) {
		CLEANUP(free_charp) char *at = pointer_below("/models", name);
		struct llm_model *m = &p->models[p->models_count++];
		struct faults found = FAULTS_INIT;

		*m = (struct llm_model){.name = xstrdup(name)};
		read_model(model, m, &found);
		faults_take(faults, at, &found);
	}
	qsort(p->models, p->models_count, sizeof(*p->models), compare_models);
}

void llm_finish(struct price *p)
{
	for (size_t i = 0; i < p->models_count; i++)
		free(p->models[i].name);
	free(p->models);
}

static const struct llm_model *find_model(const struct price *p, const char *name)
{
	struct llm_model key = {.name = (char *)(uintptr_t)name};

	return name ? bsearch(&key, p->models, p->models_count, sizeof(*p->models), compare_models)
		    : NULL;
}

static bool refuse_model(const struct price *p, const char *name, struct err *err)
{
	struct buf names = BUF_INIT;

	for (size_t i = 0; i < p->models_count && i < MODEL_NAMES_SHOWN; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", p->models[i].name);
	if (p->models_count > MODEL_NAMES_SHOWN)
		buf_printf(&names, " and %zu more", p->models_count - MODEL_NAMES_SHOWN);
	(void)err_set(err, "model: %s; those with one are %s",
		      name ? "there is no price for it" : "is required", buf_text(&names));
	buf_finish(&names);
	return false;
}

/* The model and the output that the arguments ask for. */
static const struct llm_model *read_arguments(const struct price *p, const json_t *arguments,
					      int64_t *out_max, struct err *err)
{
	const json_t *max = json_object_get(arguments, "max_tokens");
	const char *name = json_string_value(json_object_get(arguments, "model"));
	const struct llm_model *model = find_model(p, name);

	if (!model) {
		(void)refuse_model(p, name, err);
		return NULL;
	}
	*out_max = model->max_output;
	if (max && !json_is_null(max) &&
	    (!edge_i64(max, out_max) || *out_max < 1 || *out_max > LLM_TOKENS_MAX)) {
		(void)err_set(err, "max_tokens: must be between 1 and %d", LLM_TOKENS_MAX);
		return NULL;
	}
	return model;
}

int64_t price_llm_max_output(const struct price *p, const json_t *arguments)
{
	int64_t max;

	return p->kind == PRICE_LLM && read_arguments(p, arguments, &max, NULL) ? max : 0;
}

bool llm_model_has_cache_write(const struct llm_model *m)
{
	return decimal_cmp(m->cache_write, m->input) != 0;
}

struct prompt {
	int64_t bytes, tokens;
	int64_t image_tokens;
};

/* What a part is that is not text. */
static int64_t media_tokens(const json_t *part, const struct prompt *prompt)
{
	const char *type = json_string_value(json_object_get(part, "type"));

	if (!type)
		return 0;
	if (strstr(type, "image"))
		return prompt->image_tokens;
	return strstr(type, "audio") || strstr(type, "file") || strstr(type, "document")
		       ? LLM_TOKENS_PER_MEDIA
		       : 0;
}

static void count_text(const json_t *value, struct prompt *prompt);

/* skipped is the name of a member that is no text; NULL for none. */
static void count_members(const json_t *object, const char *skipped, struct prompt *prompt)
{
	const char *key;
	json_t *member;

	prompt->tokens += LLM_TOKENS_PER_MESSAGE;
	/* Iterating does not change it. */
	json_object_foreach ((json_t *)(uintptr_t)object, key, member) {
		prompt->bytes += (int64_t)strlen(key);
		if (!skipped || strcmp(key, skipped) != 0)
			count_text(member, prompt);
	}
}

static void count_object(const json_t *object, struct prompt *prompt)
{
	const json_t *type = json_object_get(object, "type");
	const json_t *image = json_object_get(object, "image_url");
	bool is_image = json_is_string(type) && json_is_object(image) &&
			strcmp(json_string_value(type), "image_url") == 0;

	prompt->tokens += media_tokens(object, prompt);
	count_members(object, is_image ? "image_url" : NULL, prompt);
	/* The data in its URL are no text, and any other URL is not what the model reads. */
	if (is_image)
		count_members(image, "url", prompt);
}

/* The reader's depth bounds the recursion. */
static void count_text(const json_t *value, struct prompt *prompt)
{
	json_t *member;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_STRING:
		prompt->bytes += (int64_t)json_string_length(value);
		return;
	case JSON_OBJECT:
		count_object(value, prompt);
		return;
	case JSON_ARRAY:
		json_array_foreach (value, i, member)
			count_text(member, prompt);
		return;
	case JSON_INTEGER:
	case JSON_REAL:
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		prompt->bytes += SCALAR_BYTES;
		return;
	}
}

int64_t price_llm_prompt_tokens(const json_t *arguments, int64_t image_tokens)
{
	struct prompt prompt = {.image_tokens = image_tokens};

	if (arguments)
		count_text(arguments, &prompt);
	return prompt.tokens + (prompt.bytes + TOKEN_BYTES - 1) / TOKEN_BYTES;
}

/* False when the sum does not fit. */
static bool cost(const struct price *p, const struct llm_model *m, const struct llm_usage *usage,
		 bool is_own_key, struct charge *out)
{
	const struct unit_line lines[] = {
		{usage->input - usage->cached_input - usage->cache_write, m->input},
		{usage->cached_input, m->cached_input},
		{usage->cache_write, m->cache_write},
		{usage->output, m->output},
	};
	struct charge c = {.has_raw_cost = true, .markup = is_own_key ? p->fee : p->markup};

	if (!microusd_lines_ceil(&c.amount, lines, ARRAY_LEN(lines), c.markup) ||
	    !decimal_of_lines(&c.raw_cost, lines, ARRAY_LEN(lines)))
		return false;
	*out = c;
	return true;
}

/* All of the prompt may be read from a cache or written to one, which may be dearer than another
 * token (Anthropic's writes are): the dearest of the three. */
static bool bound_of(const struct price *p, const struct llm_model *m, int64_t prompt_tokens,
		     int64_t max_output, bool is_own_key, struct microusd *out)
{
	struct llm_usage usage = {.input = prompt_tokens, .output = max_output};
	struct decimal dearest = m->input;
	struct charge c;

	if (decimal_cmp(m->cached_input, dearest) > 0) {
		usage.cached_input = prompt_tokens;
		dearest = m->cached_input;
	}
	if (decimal_cmp(m->cache_write, dearest) > 0) {
		usage.cached_input = 0;
		usage.cache_write = prompt_tokens;
	}
	if (!cost(p, m, &usage, is_own_key, &c))
		return false;
	*out = c.amount;
	return true;
}

bool llm_bound(const struct price *p, const json_t *arguments, bool is_own_key,
	       struct microusd *out, struct err *err)
{
	int64_t max;
	const struct llm_model *model = read_arguments(p, arguments, &max, err);

	if (!model)
		return false;
	if (!bound_of(p, model, price_llm_prompt_tokens(arguments, model->image_tokens), max,
		      is_own_key, out))
		return err_set(err, "max_tokens: is too large");
	return true;
}

bool price_llm_affordable(const struct price *p, const json_t *arguments, bool is_own_key,
			  struct microusd limit, int64_t *out)
{
	int64_t fits = 0, above, prompt;
	CLEANUP(edge_decref) json_t *again = NULL;
	const struct llm_model *model = p->kind == PRICE_LLM
						? read_arguments(p, arguments, &above, NULL)
						: NULL;

	if (!model)
		return false;
	/* max_tokens itself is counted when it comes, also where there was none before. */
	again = json_copy((json_t *)(uintptr_t)arguments);
	CHECK(json_object_set_new(again, "max_tokens", json_integer(1)) == 0);
	prompt = price_llm_prompt_tokens(again, model->image_tokens);
	/* More than was asked for is not proposed: fits <= asked < above. */
	above++;
	while (above - fits > 1) {
		int64_t middle = fits + (above - fits) / 2;
		struct microusd bound;

		if (bound_of(p, model, prompt, middle, is_own_key, &bound) &&
		    microusd_cmp(bound, limit) <= 0)
			fits = middle;
		else
			above = middle;
	}
	if (!fits)
		return false;
	*out = fits;
	return true;
}

static bool usage_is_sound(const struct llm_usage *u)
{
	return u->is_known && u->input >= 0 && u->output >= 0 && u->cached_input >= 0 &&
	       u->cached_input <= u->input && u->cache_write >= 0 &&
	       u->cache_write <= u->input - u->cached_input;
}

bool llm_charge(const struct price *p, const struct price_facts *facts, struct charge *out,
		struct err *err)
{
	int64_t max;
	const struct llm_model *model = read_arguments(p, facts->arguments, &max, NULL);

	if (!facts->usage.is_known)
		return err_set(err, "the provider did not say its usage");
	if (!usage_is_sound(&facts->usage))
		return err_set(err, "the provider's usage is not possible");
	if (!model || !cost(p, model, &facts->usage, facts->is_own_key, out))
		return err_set(err, "the provider's usage is beyond all bounds");
	return true;
}

struct charge price_estimate(const struct price *p, const struct price_facts *facts,
			     size_t output_bytes)
{
	struct charge c = {.amount = facts->is_own_key ? p->bound_own_key : p->bound};
	struct llm_usage usage = {.is_known = true};
	const struct llm_model *model;
	int64_t max;

	if (p->kind != PRICE_LLM)
		return c;
	model = read_arguments(p, facts->arguments, &max, NULL);
	CHECK(model); /* there was a bound */
	usage.input = price_llm_prompt_tokens(facts->arguments, model->image_tokens);
	usage.output = ((int64_t)output_bytes + TOKEN_BYTES - 1) / TOKEN_BYTES;
	if (usage.output > max)
		usage.output = max;
	CHECK(cost(p, model, &usage, facts->is_own_key, &c));
	return c;
}
