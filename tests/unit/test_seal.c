#include "base/seal.h"

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct seal_key key_of(char c)
{
	struct seal_key key;

	memset(key.b, c, sizeof(key.b));
	return key;
}

START_TEST(what_is_sealed_opens_with_its_key_at_its_place_only)
{
	struct seal_key key = key_of('a'), other = key_of('b');
	struct buf sealed = BUF_INIT, again = BUF_INIT, text = BUF_INIT;

	seal(&key, slice_of("place"), slice_of("secret"), &sealed);
	seal(&key, slice_of("place"), slice_of("secret"), &again);
	ck_assert_uint_eq(sealed.len, 29 + 6);
	ck_assert_ptr_null(memmem(sealed.p, sealed.len, "secret", 6));
	ck_assert_int_ne(memcmp(sealed.p, again.p, sealed.len), 0);
	ck_assert(!unseal(&other, slice_of("place"), buf_slice(&sealed), &text));
	ck_assert(!unseal(&key, slice_of("other"), buf_slice(&sealed), &text));
	ck_assert_uint_eq(text.len, 0);
	ck_assert(unseal(&key, slice_of("place"), buf_slice(&sealed), &text));
	ck_assert_str_eq(buf_text(&text), "secret");
	buf_finish(&sealed);
	buf_finish(&again);
	buf_finish(&text);
}
END_TEST

START_TEST(what_was_changed_or_cut_does_not_open)
{
	struct seal_key key = key_of('a');
	struct buf sealed = BUF_INIT, text = BUF_INIT;

	seal(&key, slice_of(""), slice_of("secret"), &sealed);
	for (size_t i = 0; i < sealed.len; i++) {
		sealed.p[i] ^= 1;
		ck_assert(!unseal(&key, slice_of(""), buf_slice(&sealed), &text));
		sealed.p[i] ^= 1;
		ck_assert(!unseal(&key, slice_of(""), (struct slice){.p = sealed.p, .len = i},
				  &text));
	}
	ck_assert(unseal(&key, slice_of(""), buf_slice(&sealed), &text));
	buf_clear(&sealed);
	buf_clear(&text);
	seal(&key, slice_of("x"), slice_of(""), &sealed);
	ck_assert(unseal(&key, slice_of("x"), buf_slice(&sealed), &text));
	ck_assert_uint_eq(text.len, 0);
	buf_finish(&sealed);
	buf_finish(&text);
}
END_TEST

START_TEST(the_key_is_a_file_of_the_owner_or_a_long_text)
{
	char dir[] = "/tmp/farebox-seal-XXXXXX";
	CLEANUP(free_charp) char *store = NULL;
	CLEANUP(free_charp) char *path = NULL;
	struct seal_key first, second;
	struct err err = ERR_INIT;
	struct stat st;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	store = xasprintf("%s/wallet.db", dir);
	path = xasprintf("%s.seal", store);
	ck_assert(seal_key_read(store, &first, &err));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert(seal_key_read(store, &second, &err));
	ck_assert_int_eq(memcmp(&first, &second, sizeof(first)), 0);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert(!seal_key_read(store, &second, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "only its owner"));
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(truncate(path, 10), 0);
	ck_assert(!seal_key_read(store, &second, NULL));
	ck_assert(!seal_key_read("postgresql://h/db", &second, NULL));
	ck_assert_int_eq(setenv("FAREBOX_SEAL_KEY", "short", 1), 0);
	ck_assert(!seal_key_read(store, &second, NULL));
	ck_assert_int_eq(setenv("FAREBOX_SEAL_KEY", "0123456789abcdef0123456789abcdef", 1), 0);
	ck_assert(seal_key_read("postgresql://h/db", &second, NULL));
	ck_assert_int_ne(memcmp(&first, &second, sizeof(first)), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(a_link_to_the_store_has_the_same_key)
{
	char dir[] = "/tmp/farebox-seal-XXXXXX";
	CLEANUP(free_charp) char *store = NULL;
	CLEANUP(free_charp) char *link = NULL;
	CLEANUP(free_charp) char *store_key = NULL;
	CLEANUP(free_charp) char *link_key = NULL;
	struct seal_key first, second;
	struct err err = ERR_INIT;
	int fd;

	ck_assert(unsetenv("FAREBOX_SEAL_KEY") == 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	store = xasprintf("%s/wallet.db", dir);
	link = xasprintf("%s/link.db", dir);
	store_key = xasprintf("%s.seal", store);
	link_key = xasprintf("%s.seal", link);
	fd = open(store, O_WRONLY | O_CREAT, 0600);
	ck_assert(fd >= 0 && close(fd) == 0 && symlink(store, link) == 0);
	ck_assert_msg(seal_key_read(link, &first, &err), "%s", err.text);
	ck_assert(access(store_key, F_OK) == 0 && access(link_key, F_OK) != 0);
	ck_assert(seal_key_read(store, &second, &err));
	ck_assert_mem_eq(first.b, second.b, sizeof(first.b));
	/* One that was made beside the link is not lost. */
	ck_assert(rename(store_key, link_key) == 0);
	ck_assert_msg(seal_key_read(link, &second, &err), "%s", err.text);
	ck_assert_mem_eq(first.b, second.b, sizeof(first.b));
	ck_assert(access(store_key, F_OK) == 0 && access(link_key, F_OK) != 0);
}
END_TEST

UNIT_MAIN("seal", what_is_sealed_opens_with_its_key_at_its_place_only,
	  what_was_changed_or_cut_does_not_open, the_key_is_a_file_of_the_owner_or_a_long_text,
	  a_link_to_the_store_has_the_same_key)
