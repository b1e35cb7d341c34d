#include "base/seal.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	VERSION = 1,
	NONCE_BYTES = 12,
	TAG_BYTES = 16,
	KEY_TEXT_BYTES_MIN = 32,
	KEY_FILE_BYTES = 64,
};

static void key_of_text(struct slice text, struct seal_key *out)
{
	struct digest d = sha256(text.p, text.len);

	memcpy(out->b, d.b, sizeof(out->b));
	explicit_bzero(&d, sizeof(d));
}

/* Only the owner may read it. */
static bool read_key_file(const char *path, struct seal_key *out, struct err *err)
{
	char text[KEY_FILE_BYTES + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return err_set(err, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		(void)close(fd);
		return err_set(err, "%s: must be a file that only its owner may read", path);
	}
	n = read(fd, text, sizeof(text));
	(void)close(fd);
	if (n != KEY_FILE_BYTES)
		return err_set(err, "%s: is not a key that farebox made", path);
	key_of_text((struct slice){.p = text, .len = KEY_FILE_BYTES}, out);
	explicit_bzero(text, sizeof(text));
	return true;
}

/* Written whole under another name, then linked: the first one wins and nobody sees half. */
static bool make_key_file(const char *path, struct err *err)
{
	uint8_t bytes[KEY_FILE_BYTES / 2];
	char text[KEY_FILE_BYTES + 1];
	CLEANUP(free_charp) char *draft = xasprintf("%s.%d", path, (int)getpid());
	bool is_good;
	int fd;

	(void)unlink(draft);
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, "%s: %s", draft, strerror(errno));
	random_bytes(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), text);
	is_good = file_write(fd, (struct slice){.p = text, .len = KEY_FILE_BYTES});
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(text, sizeof(text));
	(void)close(fd);
	is_good = is_good && (link(draft, path) == 0 || errno == EEXIST);
	if (!is_good)
		err_set(err, "%s: %s", path, strerror(errno));
	(void)unlink(draft);
	return is_good;
}

/* Beside the file itself, whichever name was given for it: a link to a store is the same store. A
 * key that was made beside a link moves there. */
static char *key_path(const char *store)
{
	CLEANUP(free_charp) char *resolved = realpath(store, NULL);
	char *given = xasprintf("%s.seal", store), *path;

	if (!resolved || strcmp(resolved, store) == 0)
		return given;
	path = xasprintf("%s.seal", resolved);
	if (access(path, F_OK) != 0 && access(given, F_OK) == 0) {
		if (link(given, path) != 0 && errno != EEXIST) {
			free(path);
			return given;
		}
		(void)unlink(given);
	}
	free(given);
	return path;
}

static bool key_beside(const char *store, struct seal_key *out, struct err *err)
{
	CLEANUP(free_charp) char *path = key_path(store);

	if (strstr(store, "://"))
		return err_set(err, "FAREBOX_SEAL_KEY is needed to keep secrets in this store");
	if (access(path, F_OK) != 0 && !make_key_file(path, err))
		return false;
	return read_key_file(path, out, err);
}

bool seal_key_read(const char *store, struct seal_key *out, struct err *err)
{
	char *text = NULL;
	bool is_good;

	if (!secret_from_env("FAREBOX_SEAL_KEY", &text, err))
		return false;
	if (!text)
		return key_beside(store, out, err);
	is_good = strlen(text) >= KEY_TEXT_BYTES_MIN;
	if (is_good)
		key_of_text(slice_of(text), out);
	else
		err_set(err, "FAREBOX_SEAL_KEY: has fewer than %d characters", KEY_TEXT_BYTES_MIN);
	secret_free(text);
	return is_good;
}

void seal_key_wipe(struct seal_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

static const unsigned char *bytes_of(struct slice s)
{
	static const unsigned char NOTHING[1];

	return s.len ? (const unsigned char *)s.p : NOTHING;
}

void seal(const struct seal_key *key, struct slice place, struct slice text, struct buf *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[NONCE_BYTES];
	size_t more = 1 + NONCE_BYTES + text.len + TAG_BYTES;
	unsigned char *at;
	int n;

	CHECK(ctx && text.len < INT32_MAX && place.len < INT32_MAX && buf_reserve(out, more));
	random_bytes(nonce, sizeof(nonce));
	buf_putc(out, VERSION);
	buf_append(out, nonce, sizeof(nonce));
	at = (unsigned char *)out->p + out->len;
	CHECK(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->b, nonce) == 1 &&
	      EVP_EncryptUpdate(ctx, NULL, &n, bytes_of(place), (int)place.len) == 1 &&
	      EVP_EncryptUpdate(ctx, at, &n, bytes_of(text), (int)text.len) == 1 &&
	      n == (int)text.len && EVP_EncryptFinal_ex(ctx, at + n, &n) == 1 && n == 0 &&
	      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, at + text.len) == 1);
	out->len += text.len + TAG_BYTES;
	out->p[out->len] = '\0';
	EVP_CIPHER_CTX_free(ctx);
}

bool unseal(const struct seal_key *key, struct slice place, struct slice sealed, struct buf *out)
{
	const unsigned char *p = bytes_of(sealed);
	EVP_CIPHER_CTX *ctx;
	unsigned char tag[TAG_BYTES], *at;
	size_t len;
	bool is_good;
	int n;

	if (sealed.len < 1 + NONCE_BYTES + TAG_BYTES || p[0] != VERSION || sealed.len > INT32_MAX ||
	    place.len > INT32_MAX)
		return false;
	len = sealed.len - 1 - NONCE_BYTES - TAG_BYTES;
	memcpy(tag, p + 1 + NONCE_BYTES + len, TAG_BYTES);
	ctx = EVP_CIPHER_CTX_new();
	CHECK(ctx && buf_reserve(out, len + 1));
	at = (unsigned char *)out->p + out->len;
	CHECK(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->b, p + 1) == 1 &&
	      EVP_DecryptUpdate(ctx, NULL, &n, bytes_of(place), (int)place.len) == 1 &&
	      EVP_DecryptUpdate(ctx, at, &n, p + 1 + NONCE_BYTES, (int)len) == 1 &&
	      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1);
	is_good = EVP_DecryptFinal_ex(ctx, at + len, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (is_good)
		out->len += len;
	else
		explicit_bzero(at, len);
	out->p[out->len] = '\0';
	return is_good;
}
