#include "signals/html.h"

#include "base/limits.h"
#include "signals/markup.h"
#include "signals/text.h"

#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>
#include <string.h>

enum {
	CHARSET_BYTES_MAX = 40,
};

/* Elements that do not end a line of text. */
static const char *const INLINE[] = {
	"a",    "abbr",   "b",      "bdi", "bdo", "big",   "cite", "code", "data", "del",  "dfn",
	"em",   "font",   "i",      "ins", "kbd", "label", "mark", "q",    "s",    "samp", "small",
	"span", "strike", "strong", "sub", "sup", "time",  "tt",   "u",    "var",  "wbr",
};

/* Elements whose inside is not shown. */
static const char *const HIDDEN[] = {
	"audio", "canvas", "noscript", "object", "svg", "template", "video",
};

struct collector {
	htmlParserCtxtPtr parser;
	struct buf *out;
	unsigned depth;
	unsigned hidden;
	bool is_line_open;
	bool wants_blank;
};

static bool is_one_of(const char *const *list, size_t n, const xmlChar *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp((const char *)name, list[i]) == 0)
			return true;
	}
	return false;
}

static void end_line(struct collector *c)
{
	if (c->is_line_open)
		buf_putc(c->out, '\n');
	c->is_line_open = false;
	c->wants_blank = false;
}

static void on_start(void *arg, const xmlChar *name, const xmlChar **attributes)
{
	struct collector *c = arg;

	(void)attributes;
	/* Each end tag makes the parser search what is open: no deeper than any real page. */
	if (++c->depth > PAGE_DEPTH_MAX) {
		xmlStopParser(c->parser);
		return;
	}
	c->hidden += is_one_of(HIDDEN, ARRAY_LEN(HIDDEN), name);
	if (!is_one_of(INLINE, ARRAY_LEN(INLINE), name))
		end_line(c);
}

static void on_end(void *arg, const xmlChar *name)
{
	struct collector *c = arg;

	c->depth -= c->depth > 0;
	if (c->hidden > 0)
		c->hidden -= is_one_of(HIDDEN, ARRAY_LEN(HIDDEN), name);
	if (!is_one_of(INLINE, ARRAY_LEN(INLINE), name))
		end_line(c);
}

static void on_text(void *arg, const xmlChar *text, int len)
{
	struct collector *c = arg;
	const char *p = (const char *)text;
	const char *end = p + len;

	if (c->hidden > 0)
		return;
	while (p < end) {
		size_t n = text_blank_len(p, end);

		if (n > 0) {
			c->wants_blank = true;
			p += n;
			continue;
		}
		if (c->wants_blank && c->is_line_open)
			buf_putc(c->out, ' ');
		c->wants_blank = false;
		c->is_line_open = true;
		buf_putc(c->out, *p++);
	}
}

/* The charset of "text/html; charset=utf-8"; false when it names none. */
static bool read_charset(const char *content_type, char out[CHARSET_BYTES_MAX])
{
	const char *p = strcasestr(content_type, "charset=");
	size_t n;

	if (p == NULL)
		return false;
	p += strlen("charset=");
	p += *p == '"' || *p == '\'';
	n = strcspn(p, "\"'; \t");
	if (n == 0 || n >= CHARSET_BYTES_MAX)
		return false;
	memcpy(out, p, n);
	out[n] = '\0';
	return true;
}

static void set_charset(htmlParserCtxtPtr parser, const char *content_type)
{
	char charset[CHARSET_BYTES_MAX];
	xmlCharEncodingHandlerPtr handler;
	int options = HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR |
		      HTML_PARSE_NOWARNING;

	/* The header wins over the page; a charset that nobody knows is as good as none. */
	if (read_charset(content_type, charset)) {
		handler = xmlFindCharEncodingHandler(charset);
		if (handler != NULL && xmlSwitchToEncoding(parser, handler) == 0)
			options |= HTML_PARSE_IGNORE_ENC;
	}
	(void)htmlCtxtUseOptions(parser, options);
}

bool html_text(struct slice html, const char *content_type, struct buf *out)
{
	struct buf reduced = BUF_INIT;
	struct collector c = {.out = out};
	size_t tags = markup_reduce(html, MARKUP_HTML, &reduced);
	htmlParserCtxtPtr parser;

	if (tags == 0 || reduced.len == 0 || reduced.len > INT32_MAX) {
		buf_finish(&reduced);
		return false;
	}
	parser = htmlCreateMemoryParserCtxt(reduced.p, (int)reduced.len);
	CHECK(parser != NULL);
	c.parser = parser;
	memset(parser->sax, 0, sizeof(*parser->sax));
	parser->sax->startElement = on_start;
	parser->sax->endElement = on_end;
	parser->sax->characters = on_text;
	parser->sax->ignorableWhitespace = on_text;
	parser->userData = &c;
	set_charset(parser, content_type);
	(void)htmlParseDocument(parser);
	end_line(&c);
	htmlFreeParserCtxt(parser);
	buf_finish(&reduced);
	return true;
}
