#include "json/pattern_text.h"

#include "base/limits.h"
#include "json/emit.h"

#include <string.h>

/* PCRE2 takes no more, and says so. */
#define COUNT_MAX    100000
#define CODE_POINTS  0x110000
#define NO_POINT     -1
#define UNKNOWN      "it holds an escape that is not known"
#define OPEN_CLASS   "its [ is not closed"
#define REPEATS_MUCH "it repeats too much"

/* Beyond Latin-1 a class is a list that each character is compared with in turn. What a member of
 * it takes at most, in the time of a byte that is passed over (measured: 1 to 2, 2 to 4 and 2). */
#define SINGLE_COST   2
#define RANGE_COST    4
#define PROPERTY_COST 3
#define LATIN_MAX     0xFF

/* White space and ends of lines, and all the rest. */
#define SPACES                                                                                     \
	"\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"       \
	"\\x{205f}\\x{3000}\\x{feff}"
#define NO_SPACES                                                                                  \
	"\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"           \
	"\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"             \
	"\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

/* Their members beyond Latin-1. */
#define SPACES_COST    (7 * SINGLE_COST + RANGE_COST)
#define NO_SPACES_COST (10 * (RANGE_COST - 1)) /* near ones: of three bytes at most */

struct group {
	size_t straight; /* of what stands before it in the group around it */
	bool is_look;
};

struct translation {
	const char *p, *end;
	struct buf *out;
	struct pattern_shape *shape;
	const char *why; /* the first fault */
	struct group groups[SCHEMA_PATTERN_DEPTH_MAX];
	size_t depth;
	size_t straight;  /* of this group, so far */
	size_t last;      /* of the last item, which a quantifier would repeat */
	bool is_item;     /* there is one */
	bool is_repeated; /* there was, and it has its quantifier */
};

/* What a class may take for one character. */
struct class_cost {
	size_t members;
	bool is_of_all; /* also for one of Latin-1 */
};

/* One member of a class, or what an escape stands for. */
struct atom {
	int32_t point;   /* NO_POINT: a set of them */
	const char *set; /* as members of a class; NULL: the text from p to end, a property */
	struct slice property;
};

static bool fail(struct translation *t, const char *why)
{
	if (!t->why)
		t->why = why;
	return false;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char peek(const struct translation *t, size_t ahead)
{
	return (size_t)(t->end - t->p) > ahead ? t->p[ahead] : '\0';
}

/* A code point of text that is sound. */
static int32_t take_point(struct translation *t)
{
	unsigned char c = (unsigned char)*t->p++;
	int32_t point = c;

	if (c < 0x80)
		return point;
	point = c < 0xE0 ? c & 0x1F : c < 0xF0 ? c & 0x0F : c & 0x07;
	while (t->p < t->end && ((unsigned char)*t->p & 0xC0) == 0x80)
		point = point << 6 | (*t->p++ & 0x3F);
	return point;
}

static void put_point(struct translation *t, int32_t point)
{
	if (point < 0x80 && (is_digit((char)point) || is_letter((char)point)))
		buf_putc(t->out, (char)point);
	else
		buf_printf(t->out, "\\x{%x}", (unsigned)point);
}

static void item(struct translation *t, size_t straight)
{
	t->last = straight;
	t->straight += straight;
	t->is_item = true;
	t->is_repeated = false;
}

static void no_item(struct translation *t)
{
	t->is_item = false;
	t->is_repeated = false;
}

/* So many hexadecimal digits, or at least one before a closing brace. */
static int32_t take_hex(struct translation *t, size_t digits)
{
	int32_t value = 0;
	size_t n = 0;

	for (; t->p < t->end && (!digits || n < digits); n++) {
		char c = *t->p;

		if (is_digit(c))
			value = value * 16 + (c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			value = value * 16 + ((c | 32) - 'a' + 10);
		else
			break;
		if (value >= CODE_POINTS)
			return NO_POINT;
		t->p++;
	}
	return n && (!digits || n == digits) ? value : NO_POINT;
}

/* Behind \u. */
static int32_t take_unicode(struct translation *t)
{
	int32_t unit, low;

	if (peek(t, 0) == '{') {
		t->p++;
		unit = take_hex(t, 0);
		if (peek(t, 0) != '}')
			return NO_POINT;
		t->p++;
		return unit >= 0xD800 && unit <= 0xDFFF ? NO_POINT : unit;
	}
	unit = take_hex(t, 4);
	if (unit < 0xD800 || unit > 0xDFFF)
		return unit;
	if (unit > 0xDBFF || peek(t, 0) != '\\' || peek(t, 1) != 'u')
		return NO_POINT;
	t->p += 2;
	low = take_hex(t, 4);
	if (low < 0xDC00 || low > 0xDFFF)
		return NO_POINT;
	return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

/* Behind \p or \P: a name in braces. PCRE2's own begin with an X and a small letter. */
static bool take_property(struct translation *t, struct atom *out)
{
	const char *start = t->p - 2;

	if (peek(t, 0) != '{' || (peek(t, 1) == 'X' && is_letter(peek(t, 2))))
		return false;
	t->p++;
	while (is_letter(peek(t, 0)) || is_digit(peek(t, 0)) || peek(t, 0) == '_' ||
	       peek(t, 0) == '=')
		t->p++;
	if (peek(t, 0) != '}')
		return false;
	t->p++;
	*out = (struct atom){.point = NO_POINT,
			     .property = {.p = start, .len = (size_t)(t->p - start)}};
	return true;
}

static const char *set_of(char c)
{
	switch (c) {
	case 'd':
		return "\\d";
	case 'D':
		return "\\D";
	case 'w':
		return "\\w";
	case 'W':
		return "\\W";
	case 's':
		return SPACES;
	case 'S':
		return NO_SPACES;
	default:
		return NULL;
	}
}

/* The letter behind a backslash was taken: a character of its own. */
static int32_t take_escaped_point(struct translation *t, char c)
{
	static const char FROM[] = "tnvfr", TO[] = "\t\n\v\f\r";
	const char *at = strchr(FROM, c);

	if (c && at)
		return TO[at - FROM];
	if (c == '0')
		return is_digit(peek(t, 0)) ? NO_POINT : 0;
	if (c == 'c')
		return is_letter(peek(t, 0)) ? *t->p++ & 31 : NO_POINT;
	if (c == 'x')
		return take_hex(t, 2);
	if (c == 'u')
		return take_unicode(t);
	if (c < ' ' || c > '~' || is_letter(c) || is_digit(c))
		return NO_POINT;
	return c;
}

/* Behind a backslash, where both a class and the rest of a pattern read it alike. */
static bool take_escape(struct translation *t, struct atom *out)
{
	char c;

	if (t->p == t->end)
		return fail(t, "it ends in a backslash");
	c = *t->p++;
	*out = (struct atom){.point = NO_POINT, .set = set_of(c)};
	if (out->set)
		return true;
	if (c == 'p' || c == 'P')
		return take_property(t, out) || fail(t, UNKNOWN);
	out->point = take_escaped_point(t, c);
	return out->point != NO_POINT || fail(t, UNKNOWN);
}

static void put_atom(struct translation *t, const struct atom *a)
{
	if (a->point != NO_POINT)
		put_point(t, a->point);
	else if (a->set)
		buf_puts(t->out, a->set);
	else
		buf_append(t->out, a->property.p, a->property.len);
}

static bool take_member(struct translation *t, struct atom *out)
{
	if (t->p == t->end)
		return fail(t, OPEN_CLASS);
	if (*t->p == '[' && strchr(":.=", peek(t, 1)) && peek(t, 1))
		return fail(t, "in it stands [: of POSIX: write \\s, \\d or ranges");
	if (*t->p != '\\') {
		*out = (struct atom){.point = take_point(t)};
		return true;
	}
	t->p++;
	if (peek(t, 0) == 'b') {
		t->p++;
		*out = (struct atom){.point = '\b'};
		return true;
	}
	return take_escape(t, out);
}

static void add_atom(struct class_cost *cost, const struct atom *a)
{
	if (a->point > LATIN_MAX) {
		cost->members += SINGLE_COST;
	} else if (a->point == NO_POINT && !a->set) {
		cost->members += PROPERTY_COST;
		cost->is_of_all = true;
	} else if (a->point == NO_POINT && strcmp(a->set, SPACES) == 0) {
		cost->members += SPACES_COST;
	} else if (a->point == NO_POINT && strcmp(a->set, NO_SPACES) == 0) {
		cost->members += NO_SPACES_COST;
	} else if (a->point == NO_POINT) {
		cost->members += RANGE_COST;
	}
}

/* The dearest class counts: no character of a text is passed over by two of them uncounted. */
static void class_item(struct translation *t, struct class_cost cost)
{
	size_t *dearest = cost.is_of_all ? &t->shape->per_point : &t->shape->per_wide;

	if (*dearest < cost.members)
		*dearest = cost.members;
	item(t, 1 + cost.members);
}

/* A member, or a range of two. */
static bool take_members(struct translation *t, struct class_cost *cost)
{
	struct atom first, last;

	if (!take_member(t, &first))
		return false;
	put_atom(t, &first);
	add_atom(cost, &first);
	if (peek(t, 0) != '-' || peek(t, 1) == ']' || !peek(t, 1))
		return true;
	t->p++;
	if (!take_member(t, &last))
		return false;
	if (first.point == NO_POINT || last.point == NO_POINT)
		buf_puts(t->out, "\\-");
	else if (first.point > last.point)
		return fail(t, "a range in it runs backwards");
	else
		buf_putc(t->out, '-');
	if (last.point > LATIN_MAX)
		cost->members += first.point > LATIN_MAX ? RANGE_COST - SINGLE_COST : RANGE_COST;
	else
		add_atom(cost, &last);
	put_atom(t, &last);
	return true;
}

/* Two that are each the rest of the other: all there is, and it need not be searched for. */
static bool take_everything(struct translation *t)
{
	static const char *const WHOLES[] = {"\\s\\S]", "\\S\\s]"};

	for (size_t i = 0; i < ARRAY_LEN(WHOLES); i++) {
		size_t len = strlen(WHOLES[i]);

		if ((size_t)(t->end - t->p) < len || memcmp(t->p, WHOLES[i], len) != 0)
			continue;
		t->p += len;
		buf_puts(t->out, "\\p{Any}");
		item(t, 1);
		return true;
	}
	return false;
}

/* Behind the opening bracket. */
static bool take_class(struct translation *t)
{
	bool is_negated = peek(t, 0) == '^';
	struct class_cost cost = {.members = 0};

	if (take_everything(t))
		return true;
	t->p += is_negated;
	if (peek(t, 0) == ']') {
		t->p++;
		buf_puts(t->out, is_negated ? "\\p{Any}" : "[^\\x{0}-\\x{10ffff}]");
		item(t, 1);
		return true;
	}
	buf_puts(t->out, is_negated ? "[^" : "[");
	while (t->p < t->end && *t->p != ']') {
		if (!take_members(t, &cost))
			return false;
	}
	if (t->p == t->end)
		return fail(t, OPEN_CLASS);
	t->p++;
	buf_putc(t->out, ']');
	class_item(t, cost);
	return true;
}

/* <name>, with what stands before it. */
static bool take_name(struct translation *t, const char *before)
{
	const char *start = t->p;

	if (peek(t, 0) != '<')
		return fail(t, UNKNOWN);
	t->p++;
	while (is_letter(peek(t, 0)) || is_digit(peek(t, 0)) || peek(t, 0) == '_')
		t->p++;
	if (peek(t, 0) != '>')
		return fail(t, "the name of a group in it is not of letters, digits and _");
	t->p++;
	buf_puts(t->out, before);
	buf_append(t->out, start, (size_t)(t->p - start));
	return true;
}

static bool take_reference(struct translation *t)
{
	size_t number = 0;

	t->shape->looks = t->shape->refers = true;
	t->shape->repeats++;
	item(t, 1);
	if (*t->p == 'k') {
		t->p++;
		return take_name(t, "\\k");
	}
	while (is_digit(peek(t, 0)) && number < COUNT_MAX)
		number = number * 10 + (size_t)(*t->p++ - '0');
	buf_printf(t->out, "\\g{%zu}", number);
	return true;
}

/* Behind a backslash outside of a class. */
static bool take_backslash(struct translation *t)
{
	char c = peek(t, 0);
	struct atom a;

	if (c == 'b' || c == 'B') {
		t->p++;
		no_item(t);
		buf_printf(t->out, "\\%c", c);
		return true;
	}
	if (c == 'k' || (c >= '1' && c <= '9'))
		return take_reference(t);
	if (!take_escape(t, &a))
		return false;
	if (a.set && a.set[1] == 'x') {
		struct class_cost cost = {.members = 0};

		add_atom(&cost, &a);
		class_item(t, cost);
		buf_printf(t->out, "[%s]", a.set);
		return true;
	}
	item(t, 1);
	put_atom(t, &a);
	return true;
}

/* Behind the opening parenthesis. */
static bool take_group(struct translation *t)
{
	static const char *const LOOKS[] = {"?=", "?!", "?<=", "?<!"};
	struct group *g = &t->groups[t->depth];

	if (t->depth == SCHEMA_PATTERN_DEPTH_MAX)
		return fail(t, "its groups are nested too deeply");
	*g = (struct group){.straight = t->straight};
	t->depth++;
	t->straight = 0;
	no_item(t);
	buf_putc(t->out, '(');
	if (peek(t, 0) == '*')
		return fail(t, "nothing stands before a quantifier");
	if (peek(t, 0) != '?')
		return true;
	for (size_t i = 0; i < ARRAY_LEN(LOOKS); i++) {
		size_t len = strlen(LOOKS[i]);

		if ((size_t)(t->end - t->p) < len || memcmp(t->p, LOOKS[i], len) != 0)
			continue;
		t->p += len;
		buf_puts(t->out, LOOKS[i]);
		g->is_look = t->shape->looks = true;
		return true;
	}
	t->p++;
	if (peek(t, 0) == '<')
		return take_name(t, "?");
	if (peek(t, 0) != ':')
		return fail(t, "it holds a kind of group that is not known");
	t->p++;
	buf_puts(t->out, "?:");
	return true;
}

static bool close_group(struct translation *t)
{
	struct group *g;
	size_t inside = t->straight;

	if (!t->depth)
		return fail(t, "a ) closes nothing");
	g = &t->groups[--t->depth];
	t->straight = g->straight;
	item(t, inside);
	if (g->is_look)
		no_item(t);
	buf_putc(t->out, ')');
	return true;
}

/* {n}, {n,} or {n,m}: how long it is, and n; 0 for braces that are only that. */
static size_t counts_len(const struct translation *t, size_t *out_least)
{
	const char *p = t->p + 1;
	size_t least = 0;

	if (p == t->end || !is_digit(*p))
		return 0;
	for (; p < t->end && is_digit(*p); p++)
		least = least < COUNT_MAX ? least * 10 + (size_t)(*p - '0') : least;
	if (p < t->end && *p == ',') {
		for (p++; p < t->end && is_digit(*p); p++)
			;
	}
	*out_least = least;
	return p < t->end && *p == '}' ? (size_t)(p + 1 - t->p) : 0;
}

static bool take_quantifier(struct translation *t, size_t len, size_t least)
{
	size_t more;

	if (t->is_repeated)
		return fail(t, "a quantifier stands behind another");
	if (!t->is_item)
		return fail(t, "nothing stands before a quantifier");
	if (least > 1 && (__builtin_mul_overflow(t->last, least - 1, &more) ||
			  more > SCHEMA_PATTERN_STRAIGHT_MAX))
		return fail(t, REPEATS_MUCH);
	if (least > 1)
		t->straight += more;
	buf_append(t->out, t->p, len);
	t->p += len;
	if (peek(t, 0) == '?')
		buf_putc(t->out, *t->p++);
	t->is_repeated = true;
	t->shape->repeats++;
	return t->straight <= SCHEMA_PATTERN_STRAIGHT_MAX || fail(t, REPEATS_MUCH);
}

static bool take_one(struct translation *t)
{
	size_t len = 1, least = 1;
	char c = *t->p;

	if (c == '{')
		len = counts_len(t, &least);
	if (c == '*' || c == '+' || c == '?' || (c == '{' && len))
		return take_quantifier(t, len, least);
	if (!strchr("\\[(.)|^$", c) || !c) {
		item(t, 1);
		put_point(t, take_point(t));
		return true;
	}
	t->p++;
	switch (c) {
	case '\\':
		return take_backslash(t);
	case '[':
		return take_class(t);
	case '(':
		return take_group(t);
	case ')':
		return close_group(t);
	case '.':
		item(t, 1);
		buf_puts(t->out, "[^\\n\\r\\x{2028}\\x{2029}]");
		return true;
	default:
		no_item(t);
		buf_putc(t->out, c);
		return true;
	}
}

const char *pattern_translate(struct slice text, struct buf *out, struct pattern_shape *shape)
{
	struct translation t = {.p = text.p, .end = text.p + text.len, .out = out, .shape = shape};

	*shape = (struct pattern_shape){.straight = 0};
	if (text.len > SCHEMA_PATTERN_BYTES_MAX)
		return "it is too long";
	if (!utf8_is_sound(text))
		return "it is not UTF-8";
	while (t.p < t.end) {
		if (!take_one(&t))
			return t.why;
	}
	if (t.depth)
		return "its ( is not closed";
	shape->straight = t.straight;
	return NULL;
}
