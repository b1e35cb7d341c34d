#include "payments/stripe_secrets.h"

#include "base/limits.h"
#include "base/secret.h"
#include "base/vault.h"

#include <stdlib.h>
#include <string.h>

#define NAME "STRIPE_WEBHOOK_SECRET"

static bool split(struct stripe_secrets *s, struct err *err)
{
	static const char BETWEEN[] = ", \t\r\n";
	char *at = s->text;

	for (;;) {
		size_t len;

		at += strspn(at, BETWEEN);
		len = strcspn(at, BETWEEN);
		if (!len)
			return s->count > 0 || err_set(err, NAME " is set, but holds no secret: "
								 "give one, or unset it");
		if (s->count == STRIPE_SECRETS_MAX)
			return err_set(err, NAME ": more than %d secrets", STRIPE_SECRETS_MAX);
		s->items[s->count++] = at;
		at += len;
		if (*at)
			*at++ = '\0';
		if (!vault_know(NAME, s->items[s->count - 1]))
			return err_set(err, NAME ": too many secrets were read");
	}
}

bool stripe_secrets_read(struct stripe_secrets *out, struct err *err)
{
	struct stripe_secrets s = {.count = 0};

	if (!secret_from_env(NAME, &s.text, err))
		return false;
	if (s.text) {
		s.text_len = strlen(s.text);
		s.items = xarray(STRIPE_SECRETS_MAX, sizeof(*s.items));
		if (!split(&s, err)) {
			stripe_secrets_finish(&s);
			return false;
		}
	}
	*out = s;
	return true;
}

void stripe_secrets_finish(struct stripe_secrets *secrets)
{
	if (secrets->text)
		explicit_bzero(secrets->text, secrets->text_len);
	free(secrets->text);
	free(secrets->items);
	*secrets = (struct stripe_secrets){.count = 0};
}
