#include "unit.h"

#include "base/secret.h"
#include "base/vault.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program is started anew, so that the variables stand in the block that the kernel shows. */
static const char PROBE[] = "VAULT_PROBE";

static bool stands_in_the_block(const char *text)
{
	char block[65536];
	int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, block, sizeof(block));

	if (fd >= 0)
		(void)close(fd);
	/* A process that is closed to its own user, who is not root. */
	return n < 0 || memmem(block, (size_t)n, text, strlen(text)) != NULL;
}

static void expect_secret(const char *name, const char *wanted)
{
	struct err err = ERR_INIT;
	char *secret = NULL;

	if (!secret_from_env(name, &secret, &err) || !secret || strcmp(secret, wanted) != 0)
		die("%s is not %s: %s", name, wanted, err.text);
	secret_free(secret);
}

/* Of the program that was started anew. */
static int probe(void)
{
	static const char *const SECRETS[] = {
		"whsec-old,whsec-new", "own-key-secret", "store-password", "seal-key-secret",
		"postgresql://u:pw@h", "named-secret",   "api-key-one"};
	struct rlimit core;
	char text[] = "see named-secret";

	if (!stands_in_the_block(SECRETS[0]))
		return 1;
	vault_open();
	vault_take("NAMED");
	vault_take("HOME");
	for (size_t i = 0; i < ARRAY_LEN(SECRETS); i++) {
		if (geteuid() == 0 && stands_in_the_block(SECRETS[i]))
			return 2;
	}
	expect_secret("STRIPE_WEBHOOK_SECRET", SECRETS[0]);
	expect_secret("FAREBOX_PROVIDER_KEY_X", SECRETS[1]);
	expect_secret("FAREBOX_STORE_PASSWORD", SECRETS[2]);
	expect_secret("FAREBOX_SEAL_KEY", SECRETS[3]);
	expect_secret("NAMED", SECRETS[5]);
	expect_secret("FAREBOX_API_KEY", SECRETS[6]);
	if (getenv("NAMED") || getenv("FAREBOX_STORE") || !getenv("HOME") ||
	    !getenv("FAREBOX_CONFIG") || !getenv("STRIPE_SECRET_KEY_FILE"))
		return 3;
	vault_strike(text);
	if (strcmp(text, "see [secret]") != 0)
		return 4;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0)
		return 5;
	return 0;
}

START_TEST(what_is_secret_leaves_the_environment_and_can_still_be_read)
{
	static char *const ENVIRONMENT[] = {
		(char *)(uintptr_t) "VAULT_PROBE=1",
		(char *)(uintptr_t) "HOME=/somewhere",
		(char *)(uintptr_t) "FAREBOX_API_KEY=api-key-one",
		(char *)(uintptr_t) "FAREBOX_API_KEY=api-key-two",
		(char *)(uintptr_t) "STRIPE_WEBHOOK_SECRET=whsec-old,whsec-new",
		(char *)(uintptr_t) "STRIPE_SECRET_KEY_FILE=/a/path",
		(char *)(uintptr_t) "FAREBOX_CONFIG=/a/path",
		(char *)(uintptr_t) "FAREBOX_PROVIDER_KEY_X=own-key-secret",
		(char *)(uintptr_t) "FAREBOX_STORE_PASSWORD=store-password",
		(char *)(uintptr_t) "FAREBOX_SEAL_KEY=seal-key-secret",
		(char *)(uintptr_t) "FAREBOX_STORE=postgresql://u:pw@h",
		(char *)(uintptr_t) "NAMED=named-secret",
		NULL,
	};
	static char *const ARGUMENTS[] = {(char *)(uintptr_t) "test_vault", NULL};
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)execve("/proc/self/exe", ARGUMENTS, ENVIRONMENT);
		_exit(100);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(before_it_is_open_the_environment_stays)
{
	struct err err = ERR_INIT;
	char *secret = NULL;

	ck_assert_int_eq(setenv("NAMED", "named-secret", 1), 0);
	vault_take("NAMED");
	ck_assert_ptr_null(vault_find("NAMED"));
	ck_assert(secret_from_env("NAMED", &secret, &err));
	ck_assert_str_eq(getenv("NAMED"), secret);
	secret_free(secret);
}
END_TEST

START_TEST(home_is_no_secret)
{
	char text[] = "/somewhere/else named-secret";
	struct err err = ERR_INIT;
	char *secret = NULL;

	ck_assert_int_eq(setenv("HOME", "/somewhere", 1), 0);
	ck_assert(secret_from_env("HOME", &secret, &err));
	secret_free(secret);
	vault_strike(text);
	ck_assert_ptr_nonnull(strstr(text, "/somewhere"));
}
END_TEST

/* Before the suite begins, where the test has started this program anew. */
__attribute__((constructor)) static void begin(void)
{
	if (getenv(PROBE))
		exit(probe());
}

UNIT_MAIN("vault", what_is_secret_leaves_the_environment_and_can_still_be_read,
	  before_it_is_open_the_environment_stays, home_is_no_secret)
