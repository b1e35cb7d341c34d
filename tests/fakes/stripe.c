/*
 * fake-stripe: prints "listening PORT", serves 127.0.0.1, and ends at the end of its input or at
 * SIGTERM. What it is stands in stripe_double.h, how it is told things in stripe_control.c.
 */

#include "stripe_double.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static bool fake_load(struct fake *f, const char *dir)
{
	char *path CLEANUP(free_charp) = xasprintf("%s/shapes.json", dir);
	json_error_t error;

	f->shapes = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (f->shapes == NULL)
		fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
	return f->shapes != NULL;
}

static void fake_init(struct fake *f)
{
	f->objects = json_object();
	f->by_id = json_object();
	f->hidden = json_object();
	f->keys = json_object();
	f->requests = json_array();
	f->denied = json_array();
	f->meter_faults = json_array();
	f->has_portal = true;
}

void fake_clear(struct fake *f)
{
	json_t *of_keys;
	void *next;
	const char *key;

	/* A request that waits still holds its key. */
	json_object_foreach_safe (f->keys, next, key, of_keys) {
		if (!bool_of(of_keys, "in_progress"))
			(void)json_object_del(f->keys, key);
	}
	(void)json_object_clear(f->objects);
	(void)json_object_clear(f->by_id);
	(void)json_object_clear(f->hidden);
	(void)json_array_clear(f->requests);
	(void)json_array_clear(f->denied);
	(void)json_array_clear(f->meter_faults);
	fault_clear(f);
	webhooks_clear(f->webhooks);
	f->clock_offset_s = 0;
	f->has_portal = true;
}

static void fake_finish(struct fake *f)
{
	fault_clear(f);
	webhooks_destroy(f->webhooks);
	json_decref(f->shapes);
	json_decref(f->objects);
	json_decref(f->by_id);
	json_decref(f->hidden);
	json_decref(f->keys);
	json_decref(f->requests);
	json_decref(f->denied);
	json_decref(f->meter_faults);
}

int main(int argc, char **argv)
{
	struct fake fake = {.has_portal = true};
	struct http_fake *http;
	sigset_t set;
	int signals;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (!fake_load(&fake, argc > 1 ? argv[1] : STRIPE_DIR))
		return EXIT_FAILURE;
	fake_init(&fake);
	fake.webhooks = webhooks_create();
	http = http_fake_create(&fake);
	if (signals < 0 || http == NULL) {
		fprintf(stderr, "cannot listen\n");
		return EXIT_FAILURE;
	}
	printf("listening %d\n", fake.port);
	fflush(stdout);
	http_fake_serve(http, STDIN_FILENO, signals);
	http_fake_destroy(http);
	fake_finish(&fake);
	return EXIT_SUCCESS;
}
