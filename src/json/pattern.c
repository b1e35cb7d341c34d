#include "json/pattern.h"

#include "base/limits.h"
#include "json/pattern_text.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Measured: a choice takes 12 ns, and up to 200 where choices are nested, a step of a check about
 * 25, and the matcher passes over 16 bytes of text in the time of a step. */
#define STEPS_PER_CHOICE 4 /* of many; of few it is one */
#define BYTES_PER_STEP   16
/* Where a match is tried first, and by how much more where that was not enough. Nearly all need
 * less than the first. */
#define CHOICES_FIRST    8
#define CHOICES_MORE     4
/* After a match that was larger, the matcher's memory is given back. */
#define CHOICES_KEPT     4096

/* No repeat is made possessive and no start skipped: so each place of a text that is looked at
 * again is paid for with a choice. */
#define OPTIONS                                                                                    \
	(PCRE2_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY |            \
	 PCRE2_MATCH_UNSET_BACKREF | PCRE2_NO_AUTO_POSSESS | PCRE2_NO_START_OPTIMIZE |             \
	 PCRE2_NO_DOTSTAR_ANCHOR)

struct pattern {
	struct pattern *next;
	struct patterns *owner;
	pcre2_code *code;
	struct pattern_shape shape;
	size_t passes; /* how often a text may be passed over for one choice */
	bool is_anchored;
};

struct patterns {
	pcre2_general_context *memory;
	pcre2_compile_context *compiling;
	pcre2_match_context *matching;
	pcre2_match_data *match; /* NULL: none is kept */
	struct pattern *all;
	size_t count, bytes;
};

static void *take_memory(PCRE2_SIZE bytes, void *arg)
{
	(void)arg;
	return xmalloc(bytes);
}

static void free_memory(void *p, void *arg)
{
	(void)arg;
	free(p);
}

struct patterns *patterns_create(void)
{
	struct patterns *ps = xzalloc(sizeof(*ps));

	ps->memory = pcre2_general_context_create(take_memory, free_memory, NULL);
	ps->compiling = pcre2_compile_context_create(ps->memory);
	ps->matching = pcre2_match_context_create(ps->memory);
	CHECK(ps->memory && ps->compiling && ps->matching);
	CHECK(pcre2_set_parens_nest_limit(ps->compiling, SCHEMA_PATTERN_DEPTH_MAX + 2) == 0);
	CHECK(pcre2_set_heap_limit(ps->matching, SCHEMA_MATCH_HEAP_KIB_MAX) == 0);
	CHECK(pcre2_set_depth_limit(ps->matching, SCHEMA_MATCH_DEPTH_MAX) == 0);
	return ps;
}

void patterns_destroy(struct patterns *ps)
{
	if (!ps)
		return;
	while (ps->all) {
		struct pattern *next = ps->all->next;

		pcre2_code_free(ps->all->code);
		free(ps->all);
		ps->all = next;
	}
	pcre2_match_data_free(ps->match);
	pcre2_match_context_free(ps->matching);
	pcre2_compile_context_free(ps->compiling);
	pcre2_general_context_free(ps->memory);
	free(ps);
}

static pcre2_code *compile(struct patterns *ps, struct slice text, bool keeps_groups,
			   struct err *err)
{
	uint32_t options = OPTIONS | (keeps_groups ? 0 : PCRE2_NO_AUTO_CAPTURE);
	char why[128] = "";
	pcre2_code *code;
	PCRE2_SIZE at;
	int fault;

	code = pcre2_compile((PCRE2_SPTR)text.p, text.len, options, &fault, &at, ps->compiling);
	if (code)
		return code;
	(void)pcre2_get_error_message(fault, (PCRE2_UCHAR *)why, sizeof(why));
	(void)err_set(err, "%s", why);
	return NULL;
}

static size_t size_of(const pcre2_code *code)
{
	size_t size = 0;

	CHECK(pcre2_pattern_info(code, PCRE2_INFO_SIZE, &size) == 0);
	return size;
}

static bool is_anchored(const pcre2_code *code)
{
	uint32_t options = 0;

	CHECK(pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options) == 0);
	return options & PCRE2_ANCHORED;
}

/* The matcher counts its choices anew at each start. So there is but one start, and where the
 * pattern may begin anywhere, going there is a part of it. */
static pcre2_code *compile_counted(struct patterns *ps, struct slice text, bool keeps_groups,
				   struct err *err)
{
	pcre2_code *code = compile(ps, text, keeps_groups, err);
	struct buf anywhere = BUF_INIT;

	if (!code || is_anchored(code))
		return code;
	pcre2_code_free(code);
	buf_puts(&anywhere, "^(?s:.*?)(?:");
	buf_append(&anywhere, text.p, text.len);
	buf_putc(&anywhere, ')');
	code = compile(ps, buf_slice(&anywhere), keeps_groups, err);
	buf_finish(&anywhere);
	return code;
}

struct pattern *pattern_create(struct patterns *ps, struct slice text, struct err *err)
{
	struct buf translated = BUF_INIT;
	struct pattern_shape shape;
	const char *why = pattern_translate(text, &translated, &shape);
	pcre2_code *code = NULL;
	struct pattern *p;

	if (ps->count == SCHEMA_PATTERNS_MAX)
		why = "the schema has too many patterns";
	if (why)
		(void)err_set(err, "%s", why);
	else
		code = compile_counted(ps, slice_of(buf_text(&translated)), shape.refers, err);
	if (code && (size_of(code) > SCHEMA_PATTERN_CODE_MAX ||
		     ps->bytes + size_of(code) > SCHEMA_PATTERNS_CODE_MAX)) {
		pcre2_code_free(code);
		code = NULL;
		(void)err_set(err, "it repeats too much");
	}
	buf_finish(&translated);
	if (!code)
		return NULL;
	p = xzalloc(sizeof(*p));
	*p = (struct pattern){.next = ps->all, .owner = ps, .code = code};
	p->shape = shape;
	p->passes = shape.looks ? shape.repeats + 1 : 0;
	p->is_anchored = text.len && text.p[0] == '^';
	ps->all = p;
	ps->count++;
	ps->bytes += size_of(code);
	return p;
}

static int match(struct pattern *p, struct slice text, size_t choices)
{
	struct patterns *ps = p->owner;
	int found;

	if (!ps->match)
		ps->match = pcre2_match_data_create(1, ps->memory);
	CHECK(ps->match);
	CHECK(pcre2_set_match_limit(ps->matching, (uint32_t)choices) == 0);
	found = pcre2_match(p->code, (PCRE2_SPTR)text.p, text.len, 0, 0, ps->match, ps->matching);
	if (choices > CHOICES_KEPT) {
		pcre2_match_data_free(ps->match);
		ps->match = NULL;
	}
	return found;
}

static bool take_steps(size_t *left, size_t n)
{
	if (n > *left) {
		*left = 0;
		return false;
	}
	*left -= n;
	return true;
}

static enum pattern_outcome give_up(size_t *steps_left)
{
	*steps_left = 0;
	return PATTERN_GAVE_UP;
}

/* What passing once over a text takes at most, in bytes. */
static size_t pass_cost(const struct pattern_shape *shape, struct slice text)
{
	size_t points = 0, wide = 0;

	if (shape->per_wide || shape->per_point) {
		for (size_t i = 0; i < text.len; i++) {
			unsigned char c = (unsigned char)text.p[i];

			points += (c & 0xC0) != 0x80;
			wide += c > 0xC3; /* the first of U+0100 and beyond */
		}
	}
	return text.len + points * shape->per_point + wide * shape->per_wide;
}

enum pattern_outcome pattern_match(struct pattern *p, struct slice text, size_t *steps_left)
{
	/* Far from an overflow: a text has at most 16 MiB, and a pattern few repeats and members.
	 */
	size_t pass = pass_cost(&p->shape, text);
	size_t unseen = p->shape.straight + p->passes * pass;
	size_t price = 1 + unseen / BYTES_PER_STEP;
	size_t tried = 0, choices = CHOICES_FIRST + (p->is_anchored ? 0 : text.len);

	if (!take_steps(steps_left, 1 + text.len / BYTES_PER_STEP))
		return PATTERN_GAVE_UP;
	for (;;) {
		int found;

		/* What classes take is taken again by each try. */
		if (!take_steps(steps_left, (pass - text.len) / BYTES_PER_STEP))
			return PATTERN_GAVE_UP;
		if (choices > SCHEMA_MATCH_CHOICES_MAX)
			choices = SCHEMA_MATCH_CHOICES_MAX;
		if (choices > *steps_left / price)
			choices = *steps_left / price;
		if (choices <= tried)
			return give_up(steps_left);
		*steps_left -= choices * price;
		found = match(p, text, choices);
		if (found >= 0)
			return PATTERN_FITS;
		if (found == PCRE2_ERROR_NOMATCH)
			return PATTERN_FITS_NOT;
		if (found != PCRE2_ERROR_MATCHLIMIT)
			return give_up(steps_left);
		tried = choices;
		choices *= CHOICES_MORE;
		/* A try that is mostly the way over the text is not worth making small. */
		if (choices < CHOICES_KEPT && choices * price < pass / BYTES_PER_STEP)
			choices = CHOICES_KEPT;
		if (choices > CHOICES_KEPT)
			price = STEPS_PER_CHOICE + unseen / BYTES_PER_STEP;
	}
}
