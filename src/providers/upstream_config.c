#include "providers/upstream_room.h"

#include "base/secret.h"
#include "loop/child.h"
#include "loop/http.h"
#include "providers/http_plan.h"
#include "providers/upstream.h"

#include <stdlib.h>
#include <string.h>

#define REFERENCE "${env:"

/* The wallet's own secrets are for nobody else. */
static bool is_ours(struct slice name)
{
	static const char *const PREFIXES[] = {"FAREBOX_", "STRIPE_"};

	for (size_t i = 0; i < ARRAY_LEN(PREFIXES); i++) {
		size_t len = strlen(PREFIXES[i]);

		if (name.len >= len && memcmp(name.p, PREFIXES[i], len) == 0)
			return true;
	}
	return false;
}

static bool is_name(struct slice name)
{
	bool is_good = name.len > 0 && !(name.p[0] >= '0' && name.p[0] <= '9');

	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];

		is_good = is_good && (c == '_' || (c >= '0' && c <= '9') ||
				      (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
	}
	return is_good;
}

/* The name in the reference that stands at p; false and err when it is none that may be read. */
static bool read_reference(const char *p, struct slice *out, struct err *err)
{
	const char *name = p + strlen(REFERENCE);

	*out = (struct slice){.p = name, .len = strcspn(name, "}")};
	if (name[out->len] != '}' || !is_name(*out))
		return err_set(err, "${env:NAME} is not well formed");
	if (is_ours(*out))
		return err_set(err, "%.*s is the wallet's own and goes to no upstream",
			       (int)out->len, out->p);
	return true;
}

static bool check_text(const char *text, struct err *err)
{
	struct slice name;

	while ((text = strstr(text, REFERENCE))) {
		if (!read_reference(text, &name, err))
			return false;
		text = name.p + name.len;
	}
	return true;
}

static bool append_secret(struct buf *b, struct slice name, struct err *err)
{
	CLEANUP(free_charp) char *variable = xstrndup(name.p, name.len);
	char *value;

	if (!secret_from_env(variable, &value, err))
		return false;
	if (!value)
		return err_set(err, "the environment variable %s is not set", variable);
	buf_puts(b, value);
	secret_free(value);
	return true;
}

char *upstream_expand(const char *text, struct err *err)
{
	struct buf b = BUF_INIT;
	const char *at;
	struct slice name;

	while ((at = strstr(text, REFERENCE))) {
		buf_append(&b, text, (size_t)(at - text));
		if (!read_reference(at, &name, err) || !append_secret(&b, name, err)) {
			buf_finish(&b);
			return NULL;
		}
		text = name.p + name.len + 1;
	}
	buf_puts(&b, text);
	return buf_steal(&b);
}

static void check_variable(const char *name, const char *at, struct faults *faults)
{
	if (!is_name(slice_of(name)))
		faults_add(faults, at, "%s is not a name of a variable", name);
	else if (is_ours(slice_of(name)))
		faults_add(faults, at, "FAREBOX_ and STRIPE_ go to no upstream");
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

static void check_members(const json_t *config, const char *member, struct faults *faults)
{
	CLEANUP(free_charp) char *place = pointer_below("", member);
	bool is_env = strcmp(member, "env") == 0;
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(config, member), name, value) {
		CLEANUP(free_charp) char *at = pointer_below(place, name);
		const char *text = json_string_value(value);
		struct err err = ERR_INIT;

		if (is_env)
			check_variable(name, at, faults);
		else if (!http_header_name_check(name, &err))
			faults_add(faults, at, "%s", err.text);
		err = (struct err)ERR_INIT;
		if (!is_env && text && has_control(text))
			faults_add(faults, at, "holds a control character");
		if (text && !check_text(text, &err))
			faults_add(faults, at, "%s", err.text);
	}
}

static void config_faults(const json_t *config, struct faults *faults)
{
	const char *url = json_string_value(json_object_get(config, "url"));
	struct err err = ERR_INIT;

	if (url && json_object_get(config, "env"))
		faults_add(faults, "/env", "is for a command, not for a url");
	if (!url && json_object_get(config, "headers"))
		faults_add(faults, "/headers", "is for a url, not for a command");
	if (url && !check_text(url, &err))
		faults_add(faults, "/url", "%s", err.text);
	check_members(config, "env", faults);
	check_members(config, "headers", faults);
}

bool upstream_config_check(const json_t *config, struct err *err)
{
	struct faults faults = FAULTS_INIT;
	bool is_good;

	config_faults(config, &faults);
	is_good = faults_are_none(&faults, err);
	faults_finish(&faults);
	return is_good;
}

/* Each secret that a text names is there. What it is stays in here. */
static void check_secrets(const json_t *config, const char *member, struct faults *faults)
{
	CLEANUP(free_charp) char *place = pointer_below("", member);
	const char *name;
	json_t *value;

	json_object_foreach (json_object_get(config, member), name, value) {
		CLEANUP(free_charp) char *at = pointer_below(place, name);
		const char *text = json_string_value(value);
		struct err err = ERR_INIT;

		if (text && !faults_first(faults, at)) {
			secret_free(upstream_expand(text, &err));
			if (err_is_set(&err))
				faults_add(faults, at, "%s", err.text);
		}
	}
}

static void check_url(const char *text, bool allow_private, struct faults *faults)
{
	CLEANUP(free_charp) char *host = NULL;
	struct err err = ERR_INIT;
	char *url;

	if (faults_first(faults, "/url"))
		return;
	url = upstream_expand(text, &err);
	host = url ? http_url_host(url) : NULL;
	if (!url)
		faults_add(faults, "/url", "%s", err.text);
	else if (!host)
		faults_add(faults, "/url", "is not a URL with http or https and a host");
	else if (!allow_private && http_host_is_private(host))
		faults_add(faults, "/url", "%s", HTTP_PRIVATE_WORDS);
	secret_free(url);
}

void upstream_check(const json_t *config, bool allow_private, struct faults *faults)
{
	const json_t *command = json_array_get(json_object_get(config, "command"), 0);
	const char *program = json_string_value(command);
	const char *url = json_string_value(json_object_get(config, "url"));
	struct faults found = FAULTS_INIT;
	struct err err = ERR_INIT;

	config_faults(config, &found);
	check_secrets(config, "env", &found);
	check_secrets(config, "headers", &found);
	if (url)
		check_url(url, allow_private, &found);
	if (program && !child_command_check(program, &err))
		faults_add(&found, "/command/0", "%s", err.text);
	faults_take(faults, "", &found);
}
