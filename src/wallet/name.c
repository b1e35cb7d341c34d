/*
 * What an org may be called: something that is told apart from every other name, and from every id,
 * by whoever reads or types it.
 */

#include "base/limits.h"
#include "wallet/account.h"

#include <string.h>
#include <strings.h>

#define HEX_DIGITS "0123456789abcdefABCDEF"

/* The beginning of a key, or of an id with nothing but digits behind it, however many: ids are
 * shortened, too. */
static bool looks_like_id(const char *name)
{
	static const char *const PREFIXES[] = {"org_", "key_", "call_", "pay_"};

	for (size_t i = 0; i < ARRAY_LEN(PREFIXES); i++) {
		size_t len = strlen(PREFIXES[i]);

		if (strncasecmp(name, PREFIXES[i], len) == 0 && name[len] &&
		    !name[len + strspn(name + len, HEX_DIGITS)])
			return true;
	}
	return strncasecmp(name, "fbx_", 4) == 0;
}

/* UTF-8 of what leaves no mark on a screen, or turns the writing round: controls, blanks other than
 * the space, marks of direction, joiners. */
static bool is_unseen(const unsigned char *p)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return true;
	if (p[0] == 0xc2) /* C1 controls, no-break space, soft hyphen */
		return (p[1] >= 0x80 && p[1] <= 0xa0) || p[1] == 0xad;
	if (p[0] == 0xe2 && p[1] == 0x80) /* U+2000 to 200F, 2028 to 202F */
		return (p[2] >= 0x80 && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xaf);
	if (p[0] == 0xe2 && p[1] == 0x81) /* U+205F to 206F */
		return p[2] >= 0x9f && p[2] <= 0xaf;
	if (p[0] == 0xe3 && p[1] == 0x80) /* ideographic space */
		return p[2] == 0x80;
	return p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf;
}

const char *org_name_fault(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > ORG_NAME_BYTES_MAX)
		return "must have 1 to 100 bytes";
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		if (is_unseen(p))
			return "must not hold characters that cannot be seen";
	}
	if (name[0] == ' ' || name[len - 1] == ' ')
		return "must not begin or end with a blank";
	return looks_like_id(name) ? "looks like an id or a key: choose another name" : NULL;
}
