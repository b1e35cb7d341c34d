#include "providers/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"
#define NAME_BYTES_MAX  40
#define CHUNK_BYTES     4096

/* The name behind "charset=", or "" for none. A slash would be an option of iconv's. */
static void name_of(const char *content_type, char out[NAME_BYTES_MAX + 1])
{
	static const char NAME[] = "charset=";
	const char *at = strcasestr(content_type, NAME);
	size_t len;

	out[0] = '\0';
	if (!at)
		return;
	at += strlen(NAME);
	at += *at == '"';
	len = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-");
	if (len > NAME_BYTES_MAX)
		len = 0;
	memcpy(out, at, len);
	out[len] = '\0';
}

static bool convert(iconv_t cd, struct slice body, struct buf *out)
{
	char *from = (char *)(uintptr_t)body.p, chunk[CHUNK_BYTES];
	size_t left = body.len;

	for (;;) {
		char *to = chunk;
		size_t room = sizeof(chunk);
		size_t n = iconv(cd, left ? &from : NULL, &left, &to, &room);

		buf_append(out, chunk, sizeof(chunk) - room);
		if (n == (size_t)-1 && errno != E2BIG)
			return false;
		if (n != (size_t)-1 && !left)
			return true;
	}
}

bool charset_decode(const char *content_type, struct slice body, struct buf *out, struct err *err)
{
	char name[NAME_BYTES_MAX + 1];
	struct slice text;
	bool is_good;
	iconv_t cd;

	name_of(content_type, name);
	if (!*name || strcasecmp(name, "utf-8") == 0 || strcasecmp(name, "utf8") == 0) {
		buf_append(out, body.p, body.len);
	} else {
		cd = iconv_open("UTF-8", name);
		if (cd == (iconv_t)-1) /* NOLINT(performance-no-int-to-ptr): its own constant */
			return err_set(err, "is in a charset that is not known here: %s", name);
		is_good = convert(cd, body, out);
		(void)iconv_close(cd);
		if (!is_good)
			return err_set(err, "is not in the charset that it names: %s", name);
	}
	text = buf_slice(out);
	if (text.len >= 3 && memcmp(text.p, BYTE_ORDER_MARK, 3) == 0)
		buf_consume(out, 3);
	return true;
}
