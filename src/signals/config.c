#include "signals/room.h"
#include "signals/url.h"
#include "json/edge.h"

#include <stdlib.h>
#include <string.h>

/* A member's name as it stands in a JSON pointer. Borrowed from the buffer. */
static const char *pointer_name(const char *name, struct buf *out)
{
	buf_clear(out);
	for (; *name != '\0' && out->len < 100; name++) {
		if (*name == '~')
			buf_puts(out, "~0");
		else if (*name == '/')
			buf_puts(out, "~1");
		else
			buf_putc(out, *name);
	}
	return buf_text(out);
}

static bool unknown_member(const char *where, const char *name, const char *what, struct err *err)
{
	struct buf text = BUF_INIT;

	err_set(err, "%s/%s: %s", where, pointer_name(name, &text), what);
	buf_finish(&text);
	return false;
}

static bool read_flag(const json_t *value, const char *where, bool *out, struct err *err)
{
	if (!json_is_boolean(value))
		return err_set(err, "%s/enabled: must be true or false", where);
	*out = json_is_true(value);
	return true;
}

static bool read_base_url(const json_t *value, char **out, struct err *err)
{
	const char *text = json_string_value(value);
	struct url url = {0};
	size_t n;

	if (text == NULL)
		return err_set(err, "must be a text");
	if (!url_read(text, &url, err))
		return false;
	if (strchr(url.text, '?') != NULL) {
		url_finish(&url);
		return err_set(err, "must not have a query");
	}
	n = strlen(url.text);
	while (n > 0 && url.text[n - 1] == '/')
		n--;
	free(*out);
	*out = xstrndup(url.text, n);
	url_finish(&url);
	return true;
}

static bool read_source(struct signals_source *source, json_t *object, const char *where,
			struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return err_set(err, "%s: must be an object", where);
	json_object_foreach (object, name, value) {
		if (strcmp(name, "base_url") == 0) {
			if (!read_base_url(value, &source->base_url, err)) {
				err_prefix(err, "%s/base_url", where);
				return false;
			}
		} else if (strcmp(name, "enabled") == 0) {
			if (!read_flag(value, where, &source->is_enabled, err))
				return false;
		} else {
			return unknown_member(where, name, "not known here", err);
		}
	}
	return true;
}

static int board_index(const char *name)
{
	for (int kind = 0; kind < BOARD_KINDS; kind++) {
		if (strcmp(name, board_name(kind)) == 0)
			return kind;
	}
	return -1;
}

static bool read_sources(struct signals *s, json_t *sources, const char *detector, struct err *err)
{
	char *where CLEANUP(free_charp) = xasprintf("/detectors/%s/sources", detector);
	const char *name;
	json_t *value;

	if (strcmp(detector, DETECTOR_HIRING.name) != 0)
		return err_set(err, "%s: this detector has no sources to choose", where);
	if (!json_is_object(sources))
		return err_set(err, "%s: must be an object", where);
	json_object_foreach (sources, name, value) {
		int kind = board_index(name);
		char *source_where CLEANUP(free_charp) = NULL;

		if (kind < 0)
			return unknown_member(where, name, "no such source", err);
		source_where = xasprintf("%s/%s", where, name);
		if (!read_source(&s->boards[kind], value, source_where, err))
			return false;
	}
	return true;
}

/* Members that other rooms read. */
static bool is_elsewhere(const char *name)
{
	static const char *const names[] = {"price", "timeout_ms", "rate_limit"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* A setting that nobody reads would be believed to work. */
static bool read_settings(const json_t *settings, const char *where, struct err *err)
{
	char *inside CLEANUP(free_charp) = xasprintf("%s/settings", where);

	if (!json_is_object(settings))
		return err_set(err, "%s: must be an object", inside);
	if (json_object_size(settings) == 0)
		return true;
	return unknown_member(inside,
			      json_object_iter_key(json_object_iter((json_t *)(uintptr_t)settings)),
			      "no such setting", err);
}

static bool read_detector(struct signals *s, const char *detector, json_t *object, struct err *err)
{
	char *where CLEANUP(free_charp) = xasprintf("/detectors/%s", detector);
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return err_set(err, "%s: must be an object", where);
	json_object_foreach (object, name, value) {
		bool is_enabled = true;

		if (strcmp(name, "sources") == 0) {
			if (!read_sources(s, value, detector, err))
				return false;
		} else if (strcmp(name, "enabled") == 0) {
			/* Whether it is a tool at all is for who makes the tools. */
			if (!read_flag(value, where, &is_enabled, err))
				return false;
		} else if (strcmp(name, "settings") == 0) {
			if (!read_settings(value, where, err))
				return false;
		} else if (!is_elsewhere(name)) {
			return unknown_member(where, name, "not known here", err);
		}
	}
	return true;
}

static bool is_detector(const char *name)
{
	for (size_t i = 0; DETECTORS[i] != NULL; i++) {
		if (strcmp(DETECTORS[i]->name, name) == 0)
			return true;
	}
	return false;
}

bool signals_config_read(struct signals *s, const json_t *detectors, struct err *err)
{
	const char *name;
	json_t *value;

	for (int kind = 0; kind < BOARD_KINDS; kind++) {
		s->boards[kind].base_url = xstrdup(board_base_url(kind));
		s->boards[kind].is_enabled = true;
	}
	if (detectors == NULL)
		return true;
	if (!json_is_object(detectors))
		return err_set(err, "/detectors: must be an object");
	/* The iteration of jansson takes no const. */
	json_object_foreach ((json_t *)(uintptr_t)detectors, name, value) {
		if (!is_detector(name))
			return unknown_member("/detectors", name, "no such detector", err);
		if (!read_detector(s, name, value, err))
			return false;
	}
	return true;
}

void signals_config_finish(struct signals *s)
{
	for (int kind = 0; kind < BOARD_KINDS; kind++)
		free_charp(&s->boards[kind].base_url);
}

static void check_source(const json_t *source, const char *at, bool allow_private,
			 struct faults *faults)
{
	CLEANUP(free_charp) char *place = pointer_below(at, "base_url");
	const json_t *value = json_object_get(source, "base_url");
	CLEANUP(free_charp) char *url = NULL;
	CLEANUP(free_charp) char *host = NULL;
	struct err err = ERR_INIT;

	if (!value)
		return;
	if (!read_base_url(value, &url, &err)) {
		faults_add(faults, place, "%s", err.text);
		return;
	}
	host = http_url_host(url);
	if (host && !allow_private && http_host_is_private(host))
		faults_add(faults, place, "%s", HTTP_PRIVATE_WORDS);
}

void signals_check(const struct signals_config *config, struct faults *faults)
{
	const json_t *hiring = json_object_get(config->detectors, DETECTOR_HIRING.name);
	const char *name;
	json_t *source;

	if (config->contact != NULL && !signals_is_contact(config->contact))
		faults_add(faults, "/network/contact", "must not have control characters");
	json_object_foreach (json_object_get(hiring, "sources"), name, source) {
		CLEANUP(free_charp) char *at = pointer_below("/detectors/hiring/sources", name);

		check_source(source, at, config->allow_private, faults);
	}
}
