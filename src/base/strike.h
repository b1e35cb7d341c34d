#ifndef BASE_STRIKE_H
#define BASE_STRIKE_H

/*
 * Strikes secrets from texts of others: an API that repeats its request in an answer would hand our
 * keys to whoever reads it. A secret is found as it is, and in the forms that it takes on its way:
 * percent-encoded, escaped for JSON or HTML (also twice), and within base64 at any place, as a
 * header for Basic authentication carries it.
 *
 * What is struck becomes STRUCK, within base64 a run of x; a JSON number that is a secret becomes
 * null. So a text never grows, and JSON stays JSON. Secrets of fewer than STRIKE_BYTES_MIN bytes
 * are not looked for: they would spoil texts that know nothing of them.
 */

#include "base/base.h"

#define STRUCK           "[secret]"
#define STRIKE_BYTES_MIN 8

#define STRIKE_BEGIN_WORDS 512

struct strike_form {
	const char *secret;
	size_t len;
	int skip;          /* bits in front of the first whole letter of base64; -1: not base64 */
	int next;          /* the next form that begins with the same byte; -1: none */
	bool is_ambiguous; /* holds characters with which others are encoded */
};

/* The secrets are borrowed. All zero: none. Most of a text is passed over by kind and begins, which
 * know the first bytes of the forms. */
struct strike {
	struct strike_form *forms;
	size_t count;
	int first[256]; /* 1 + the index of a form by its first byte; 0: none */
	unsigned char kind[256];
	uint64_t begins[STRIKE_BEGIN_WORDS]; /* a set of the first three bytes, by a hash */
};

/* Shorter ones are left out. */
void strike_add(struct strike *s, const char *secret, size_t len);
void strike_finish(struct strike *s);

/* Strikes in place and returns the length that is left; nothing is put behind it. A secret that the
 * end of the text cuts off is struck, too, where STRIKE_CUT_BYTES of it are there. */
#define STRIKE_CUT_BYTES 12
MUST_USE size_t strike_text(const struct strike *s, char *text, size_t len);
/* The same for a JSON text: in its strings, names and numbers. */
MUST_USE size_t strike_json(const struct strike *s, char *json, size_t len);

#endif
