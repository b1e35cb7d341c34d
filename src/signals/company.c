#include "signals/company.h"

#include "base/limits.h"
#include "signals/text.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

/* Second levels under which a country sells names: acme.co.uk, acme.com.br. */
static const char *const SECOND_LEVELS[] = {
	"ac", "co", "com", "edu", "gob", "gov", "ltd", "me", "ne", "net", "or", "org", "plc",
};

static const char *const LEGAL_FORMS[] = {
	"ab",  "ag",           "bv",  "co",      "company", "corp", "corporation", "gmbh",
	"inc", "incorporated", "kg",  "limited", "llc",     "llp",  "ltd",         "nv",
	"oy",  "plc",          "pty", "sa",      "sarl",    "se",   "spa",         "srl",
};

static bool is_one_of(struct slice word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ascii_eq_nocase(word, list[i]))
			return true;
	}
	return false;
}

/* The last name before *end in host, and *end moved in front of it. */
static struct slice last_label(const char *host, size_t *end)
{
	size_t start = *end;
	struct slice label;

	while (start > 0 && host[start - 1] != '.')
		start--;
	label = (struct slice){host + start, *end - start};
	*end = start > 0 ? start - 1 : 0;
	return label;
}

char *slug_of_host(const char *host)
{
	size_t end = strcspn(host, ":");
	struct slice top = last_label(host, &end);
	struct slice label;

	if (host[0] == '[' || strspn(host, "0123456789.:") == strlen(host))
		return NULL;
	if (end == 0)
		return top.len > 0 ? xstrndup(top.p, top.len) : NULL;
	label = last_label(host, &end);
	if (top.len == 2 && end > 0 && is_one_of(label, SECOND_LEVELS, ARRAY_LEN(SECOND_LEVELS)) &&
	    !(end == 3 && strncmp(host, "www", 3) == 0))
		label = last_label(host, &end);
	return label.len > 0 ? xstrndup(label.p, label.len) : NULL;
}

/* Latin letters with marks, U+00C0 to U+00FF, without them. */
static char fold_latin1(unsigned char second)
{
	static const char plain[] =
		"aaaaaaaceeeeiiiidnooooo-ouuuuypsaaaaaaaceeeeiiiidnooooo-ouuuuypy";

	return plain[second - 0x80];
}

static void append_folded(struct buf *out, struct slice word)
{
	for (size_t i = 0; i < word.len; i++) {
		char c = ascii_lower(word.p[i]);

		if ((unsigned char)c == 0xc3 && i + 1 < word.len &&
		    ((unsigned char)word.p[i + 1] & 0xc0) == 0x80) {
			i++;
			c = fold_latin1((unsigned char)word.p[i]);
		}
		if (ascii_is_alpha(c) || ascii_is_digit(c))
			buf_putc(out, c);
	}
}

char *slug_of_name(const char *name)
{
	static const char separators[] = " \t,.()/|";
	struct buf out = BUF_INIT;

	for (const char *p = name + strspn(name, separators); *p != '\0';) {
		struct slice word = {p, strcspn(p, separators)};

		p += word.len;
		p += strspn(p, separators);
		/* A legal form ends the name, unless it is the name. */
		if (out.len > 0 && is_one_of(word, LEGAL_FORMS, ARRAY_LEN(LEGAL_FORMS)) &&
		    *p == '\0')
			break;
		append_folded(&out, word);
	}
	if (out.len > BOARD_NAME_BYTES_MAX || out.len == 0) {
		buf_finish(&out);
		return NULL;
	}
	return buf_steal(&out);
}

/* A text member, cleaned; NULL when it is not given. */
static char *member(const json_t *object, const char *name)
{
	char *text = text_clean(edge_slice(json_object_get(object, name)), URL_BYTES_MAX);

	if (text[0] != '\0')
		return text;
	free(text);
	return NULL;
}

/* People write domains as addresses; what counts is the host. */
static bool read_domain(const char *domain, struct url *out, struct err *err)
{
	char *text CLEANUP(free_charp) = NULL;
	struct url u = {0};
	bool is_good;

	if (strstr(domain, "://") != NULL)
		text = xstrdup(domain);
	else
		text = xasprintf("https://%s", domain);
	if (!url_read(text, &u, NULL))
		return err_set(err, "/company/domain: not a domain name");
	is_good = strpbrk(u.host, " %\\\"<>") == NULL;
	free_charp(&text);
	text = xasprintf("https://%s/", u.host);
	url_finish(&u);
	if (!is_good || !url_read(text, out, NULL))
		return err_set(err, "/company/domain: not a domain name");
	return true;
}

static const char *without_www(const char *host)
{
	return strncmp(host, "www.", 4) == 0 && strchr(host + 4, '.') != NULL ? host + 4 : host;
}

static void read_boards(const json_t *boards, struct company *out)
{
	for (int kind = 0; kind < BOARD_KINDS; kind++) {
		const json_t *name = json_object_get(boards, board_name(kind));
		struct slice s = edge_slice(name);

		if (s.len == 0 || s.len > BOARD_NAME_BYTES_MAX || memchr(s.p, '\0', s.len) != NULL)
			continue;
		out->boards[kind] = json_string_value(name);
		out->has_boards = true;
	}
}

static char *boards_key(const struct company *c)
{
	struct buf key = BUF_INIT;

	for (int kind = 0; kind < BOARD_KINDS; kind++) {
		if (c->boards[kind] != NULL)
			buf_printf(&key, "%s%s:%s", key.len > 0 ? "," : "", board_name(kind),
				   c->boards[kind]);
	}
	return buf_steal(&key);
}

static void set_names(struct company *c, const char *host, const char *name)
{
	if (host != NULL) {
		c->slug = slug_of_host(host);
		c->trust = BOARD_GUESSED_BY_DOMAIN;
	}
	if (c->slug == NULL && name != NULL) {
		c->slug = slug_of_name(name);
		c->trust = BOARD_GUESSED_BY_NAME;
	}
	if (host != NULL)
		c->key = xstrdup(without_www(host));
	else if (c->slug != NULL)
		c->key = xstrdup(c->slug);
	else
		c->key = boards_key(c);
}

bool company_read(const json_t *argument, struct company *out, struct err *err)
{
	struct company c = {0};
	struct url domain = {0};
	char *domain_text CLEANUP(free_charp) = member(argument, "domain");
	char *url_text CLEANUP(free_charp) = member(argument, "url");
	char *name CLEANUP(free_charp) = member(argument, "name");

	if (domain_text != NULL && !read_domain(domain_text, &domain, err))
		return false;
	if (url_text != NULL && !url_read(url_text, &c.home, err)) {
		err_prefix(err, "/company/url");
		url_finish(&domain);
		return false;
	}
	read_boards(json_object_get(argument, "boards"), &c);
	set_names(&c, domain.host != NULL ? domain.host : c.home.host, name);
	if (c.home.text == NULL) {
		c.home = domain;
		domain = (struct url){0};
	}
	url_finish(&domain);
	*out = c;
	return true;
}

void company_finish(struct company *c)
{
	url_finish(&c->home);
	free(c->key);
	free(c->slug);
	memset(c, 0, sizeof(*c));
}
