#include "signals/score.h"

#include "signals/text.h"

#include <string.h>

/* Number of binary digits: doubling the count adds one. */
static int magnitude(size_t n)
{
	int bits = 0;

	for (; n > 0; n >>= 1)
		bits++;
	return bits;
}

static int at_most(int v, int max)
{
	return v < max ? v : max;
}

int score_hiring(size_t open_jobs, size_t added)
{
	if (open_jobs == 0)
		return 0;
	return at_most(15 + 6 * magnitude(open_jobs), 70) + at_most(6 * magnitude(added), 30);
}

int confidence_hiring(enum board_trust trust, bool is_partial)
{
	int base = 0;

	switch (trust) {
	case BOARD_NAMED:
		base = 95;
		break;
	case BOARD_GUESSED_BY_DOMAIN:
		base = 75;
		break;
	case BOARD_GUESSED_BY_NAME:
		base = 60;
		break;
	}
	return is_partial ? base - 15 : base;
}

int score_website(const struct site_change *c)
{
	size_t touched = c->changed_blocks + c->removed_blocks;
	size_t blocks = c->total_blocks > 0 ? c->total_blocks : 1;
	int share = touched >= blocks ? 100 : (int)(touched * 100 / blocks);
	int score = 10 + share * 30 / 100 + at_most(4 * magnitude(c->new_urls), 20);

	return at_most(score + at_most(c->notable, 40), 100);
}

int confidence_website(const struct site_change *c)
{
	/* One block that differs may be a counter, a date or a rotating quote. */
	if (c->notable > 0)
		return 90;
	if (c->changed_blocks + c->removed_blocks > 3 || c->new_urls > 0)
		return 80;
	return c->changed_blocks + c->removed_blocks > 2 ? 65 : 50;
}

static const struct topic {
	const char *word;
	const char *topic;
	int points;
} TOPICS[] = {
	{"careers", "careers", 20},       {"career", "careers", 20},
	{"jobs", "careers", 20},          {"join-us", "careers", 20},
	{"work-with-us", "careers", 20},  {"pricing", "pricing", 20},
	{"plans", "pricing", 20},         {"security", "security", 15},
	{"trust", "security", 15},        {"compliance", "security", 15},
	{"enterprise", "enterprise", 10}, {"partners", "partners", 8},
	{"integrations", "partners", 8},  {"customers", "customers", 6},
	{"case-studies", "customers", 6}, {"press", "press", 5},
	{"investors", "press", 5},
};

static const struct topic *find_topic(struct slice word)
{
	for (size_t i = 0; i < ARRAY_LEN(TOPICS); i++) {
		if (ascii_eq_nocase(word, TOPICS[i].word))
			return &TOPICS[i];
	}
	return NULL;
}

/* One of the first two names of the path, so that /en/careers counts and a blog post that is
 * called "pricing" three levels down does not. */
const char *url_topic(const char *path, int *out_points)
{
	for (int level = 0; level < 2 && *path == '/'; level++) {
		const struct topic *t;
		struct slice word;

		path++;
		word = (struct slice){path, strcspn(path, "/?#")};
		path += word.len;
		for (size_t i = 0; i < word.len; i++) {
			if (word.p[i] == '.')
				word.len = i;
		}
		t = find_topic(word);
		if (t != NULL) {
			*out_points = t->points;
			return t->topic;
		}
	}
	return NULL;
}

static void emit_hundredths(struct emit *e, const char *key, int v)
{
	emit_key(e, key);
	emit_decimal(e, (struct decimal){.digits = v, .scale = 2});
}

void emit_signal(struct emit *e, const struct signal *s)
{
	emit_object(e);
	emit_key_text(e, "type", s->type);
	emit_hundredths(e, "strength", s->strength);
	emit_hundredths(e, "confidence", s->confidence);
	emit_key(e, "event_at");
	if (s->has_event_at)
		emit_walltime(e, s->event_at);
	else
		emit_null(e);
	emit_key(e, "detected_at");
	emit_walltime(e, s->detected_at);
	emit_key_text(e, "source_url", s->source_url);
	emit_key_raw(e, "evidence", s->evidence);
	emit_key_text(e, "fingerprint", s->fingerprint);
	emit_object_end(e);
}

void emit_signals(struct buf *out, const struct signal *signal, bool is_unchanged)
{
	struct emit e;

	emit_init(&e, out);
	emit_object(&e);
	emit_key(&e, "signals");
	emit_array(&e);
	if (signal != NULL)
		emit_signal(&e, signal);
	emit_array_end(&e);
	emit_key_bool(&e, "unchanged", is_unchanged);
	emit_object_end(&e);
	emit_done(&e);
}
