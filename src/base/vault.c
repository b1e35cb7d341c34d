#include "base/vault.h"

#include "base/limits.h"
#include "base/strike.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILE_SUFFIX "_FILE"
/* A few of them can be locked by a user whose limit is 64 KiB. */
#define ROOM_BYTES  ((size_t)12 * 1024)

/* The leak detector attaches to its own process as a debugger does, and cannot do that to one that
 * is closed: builds with sanitizers stay open, and say nothing of this in a release. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_WATCHED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_WATCHED true
#endif
#endif
#ifndef IS_WATCHED
#define IS_WATCHED false
#endif

struct taken {
	const char *name;
	const char *value;
};

struct vault {
	bool is_open;
	struct taken *taken;
	size_t count;
	const char **known;
	size_t known_count;
	struct strike strike;
	char *room; /* what is left of the last mapping */
	size_t room_left;
};

static struct vault vault;

/* A copy in memory of our own, which stays. */
static const char *keep(const char *text, size_t len)
{
	size_t size = len + 1;
	char *copy;

	if (size > vault.room_left) {
		size_t page = (size_t)sysconf(_SC_PAGESIZE);
		size_t bytes = (size + ROOM_BYTES + page - 1) / page * page;

		vault.room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);
		CHECK(vault.room != MAP_FAILED);
		vault.room_left = bytes;
		/* Each as far as the kernel and the limits go: none is a condition. */
		(void)madvise(vault.room, bytes, MADV_DONTDUMP);
		(void)madvise(vault.room, bytes, MADV_WIPEONFORK);
		(void)mlock(vault.room, bytes);
	}
	copy = vault.room;
	memcpy(copy, text, len);
	copy[len] = '\0';
	vault.room += size;
	vault.room_left -= size;
	return copy;
}

static void close_process(void)
{
	struct rlimit core;

	if (getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = 0;
		(void)setrlimit(RLIMIT_CORE, &core);
	}
	if (!IS_WATCHED)
		CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

/* What programs and libraries look for in the environment, and what children get of it. */
static bool is_common(const char *name)
{
	static const char *const NAMES[] = {
		"HOME", "PATH", "LANG", "TMPDIR", "TERM", "USER", "SHELL", "LOGNAME", "PWD", "TZ",
	};
	static const char *const PREFIXES[] = {"LC_", "XDG_"};

	for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
		if (strcmp(name, NAMES[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(PREFIXES); i++) {
		if (strncmp(name, PREFIXES[i], strlen(PREFIXES[i])) == 0)
			return true;
	}
	return false;
}

/* The variables of ours that hold a secret, not the path of a file with one; and the URL of a
 * store, in which a password may stand. */
static bool is_secret(const char *name, const char *value)
{
	static const char *const WORDS[] = {"KEY", "SECRET", "PASSWORD", "TOKEN"};
	size_t len = strlen(name), suffix = strlen(FILE_SUFFIX);

	if (strncmp(name, "FAREBOX_", 8) != 0 && strncmp(name, "STRIPE_", 7) != 0)
		return false;
	if (len > suffix && strcmp(name + len - suffix, FILE_SUFFIX) == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
		if (strstr(name, WORDS[i]))
			return true;
	}
	return strncmp(name, "FAREBOX_STORE", 13) == 0 && strstr(value, "://");
}

/* The first of several is the one that getenv finds; all are wiped. */
static void take(const char *name)
{
	const char *value = getenv(name);
	size_t len = strlen(name);

	if (!value)
		return;
	vault.taken = xrealloc_array(vault.taken, vault.count + 1, sizeof(*vault.taken));
	vault.taken[vault.count++] = (struct taken){.name = keep(name, len),
						    .value = keep(value, strlen(value))};
	for (char **variable = environ; *variable; variable++) {
		if (strncmp(*variable, name, len) == 0 && (*variable)[len] == '=')
			explicit_bzero(*variable + len + 1, strlen(*variable + len + 1));
	}
	CHECK(unsetenv(name) == 0);
}

/* Taking a variable moves those behind it. */
static bool take_next(void)
{
	for (char **variable = environ; variable && *variable; variable++) {
		const char *equals = strchr(*variable, '=');
		CLEANUP(free_charp) char *name = NULL;

		if (!equals || equals == *variable)
			continue;
		name = xstrndup(*variable, (size_t)(equals - *variable));
		if (is_secret(name, equals + 1)) {
			take(name);
			return true;
		}
	}
	return false;
}

void vault_open(void)
{
	close_process();
	vault.is_open = true;
	while (take_next())
		;
}

void vault_take(const char *name)
{
	if (vault.is_open && !is_common(name) && !vault_find(name))
		take(name);
}

const char *vault_find(const char *name)
{
	for (size_t i = 0; i < vault.count; i++) {
		if (strcmp(vault.taken[i].name, name) == 0)
			return vault.taken[i].value;
	}
	return NULL;
}

size_t vault_count(void)
{
	return vault.count;
}

const char *vault_name(size_t i)
{
	CHECK(i < vault.count);
	return vault.taken[i].name;
}

bool vault_know(const char *name, const char *secret)
{
	size_t len = strlen(secret);
	const char *kept;

	if (len < STRIKE_BYTES_MIN || is_common(name))
		return true;
	for (size_t i = 0; i < vault.known_count; i++) {
		if (strcmp(vault.known[i], secret) == 0)
			return true;
	}
	if (vault.known_count == VAULT_SECRETS_MAX)
		return false;
	kept = keep(secret, len);
	vault.known = xrealloc_array(vault.known, vault.known_count + 1, sizeof(*vault.known));
	vault.known[vault.known_count++] = kept;
	strike_add(&vault.strike, kept, len);
	return true;
}

size_t vault_strike_text(char *text, size_t len)
{
	return strike_text(&vault.strike, text, len);
}

size_t vault_strike_json(char *json, size_t len)
{
	return strike_json(&vault.strike, json, len);
}

void vault_strike(char *text)
{
	size_t len;

	if (!vault.strike.count)
		return;
	len = strlen(text);
	text[vault_strike_text(text, len)] = '\0';
}
