#include "detecting.h"

#include "store.h"
#include "json/edge.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static bool on_turn_end(void *arg)
{
	struct world *w = arg;
	int64_t retry_ms;
	bool is_more = wallet_turn(w->wallet, &retry_ms);

	if (retry_ms >= 0)
		loop_timer_in(&w->retry, retry_ms);
	return is_more;
}

static void on_retry(void *arg)
{
	(void)arg;
}

static void on_alarm(void *arg)
{
	(void)arg;
	ck_abort_msg("nothing happened for too long");
}

static void start_fake(struct world *w)
{
	posix_spawn_file_actions_t actions;
	char *argv[] = {getenv("FAKE_COMPANY"), NULL};
	int in[2];
	int out[2];
	char line[64];
	ssize_t n;

	ck_assert_ptr_nonnull(argv[0]);
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	ck_assert_int_eq(posix_spawn(&w->child, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	w->to_child = in[1];
	n = read(out[0], line, sizeof(line) - 1);
	ck_assert_int_gt(n, 0);
	line[n] = '\0';
	ck_assert_int_eq(sscanf(line, "listening %d", &w->port), 1);
	close(out[0]);
}

struct signals *world_signals(struct world *w, bool allow_private)
{
	static const char format[] =
		"{\"hiring\":{\"price\":{},\"sources\":{\"greenhouse\":{\"base_url\":\"http://"
		"127.0.0.1:%d\"},\"lever\":{\"base_url\":\"http://127.0.0.1:%d/\"},\"ashby\":"
		"{\"base_url\":\"http://127.0.0.1:%d\"}}}}";
	char *text = xasprintf(format, w->port, w->port, w->port);
	json_t *detectors = edge_parse(slice_of(text), NULL);
	struct signals_config config = {
		.contact = "ops@tests.example",
		.allow_private = allow_private,
		.detectors = detectors,
	};
	struct err err = ERR_INIT;
	struct signals *s = signals_create(w->loop, w->http, w->wallet, &config, &err);

	ck_assert_msg(s != NULL, "%s", err.text);
	json_decref(detectors);
	free(text);
	return s;
}

void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	edge_init();
	start_fake(w);
	w->loop = loop_create();
	loop_timer_init(&w->retry, w->loop, on_retry, w);
	loop_timer_init(&w->alarm, w->loop, on_alarm, w);
	loop_set_turn_end(w->loop, on_turn_end, w);
	w->http = http_create(w->loop, "tests");
	w->wallet = store_wallet(store_new(), 100);
	w->org = store_default_org(w->wallet);
	w->signals = world_signals(w, true);
}

void world_finish(struct world *w)
{
	int status;

	signals_destroy(w->signals);
	wallet_destroy(w->wallet);
	http_destroy(w->http);
	loop_timer_cancel(&w->retry);
	loop_timer_cancel(&w->alarm);
	loop_destroy(w->loop);
	buf_finish(&w->answer);
	close(w->to_child);
	ck_assert_int_eq(waitpid(w->child, &status, 0), w->child);
	ck_assert_int_eq(status, 0);
}

void world_run(struct world *w)
{
	/* What was submitted before the loop runs waits for the end of a turn. */
	loop_timer_in(&w->retry, 0);
	w->is_done = false;
	loop_timer_in(&w->alarm, 30000);
	loop_run(w->loop);
	loop_timer_cancel(&w->alarm);
	ck_assert(w->is_done);
}

void world_done(struct world *w)
{
	w->is_done = true;
	loop_stop(w->loop);
}

static void on_control(void *arg, const struct http_response *r)
{
	struct world *w = arg;

	ck_assert_int_eq(r->outcome, HTTP_DONE);
	ck_assert_int_eq(r->status, 200);
	buf_clear(&w->answer);
	buf_append(&w->answer, r->body.p, r->body.len);
	world_done(w);
}

static void ask(struct world *w, const char *method, const char *what, struct slice body)
{
	char *url = xasprintf("http://127.0.0.1:%d/control/%s", w->port, what);
	struct http_request request = {
		.method = method,
		.url = url,
		.body = body,
		.timeout_ms = 10000,
		.allow_private = true,
	};

	(void)http_start(w->http, &request, on_control, w);
	world_run(w);
	free(url);
}

const char *world_control(struct world *w, const char *what)
{
	ask(w, strcmp(what, "requests") == 0 ? "GET" : "POST", what, (struct slice){NULL, 0});
	return buf_text(&w->answer);
}

void world_serve(struct world *w, const char *path, const char *type, struct slice text)
{
	char *what = xasprintf("serve?path=%s&type=%s", path, type);

	ask(w, "POST", what, text);
	free(what);
}

size_t count_of_text(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

static void on_detected(struct detection *d)
{
	world_done(d->arg);
}

void probe_start(struct world *w, struct probe *probe, const struct detector *detector,
		 const char *company, int64_t timeout_ms)
{
	struct buf text = BUF_INIT;

	memset(probe, 0, sizeof(*probe));
	for (; *company != '\0'; company++) {
		if (*company == '@')
			buf_printf(&text, "127.0.0.1:%d", w->port);
		else
			buf_putc(&text, *company);
	}
	probe->company = edge_parse(buf_slice(&text), NULL);
	ck_assert_ptr_nonnull(probe->company);
	buf_finish(&text);
	probe->d = (struct detection){
		.detector = detector,
		.org = w->org,
		.company = probe->company,
		.timeout_ms = timeout_ms,
		.done = on_detected,
		.arg = w,
	};
	w->is_done = false;
	signals_start(w->signals, &probe->d);
	ck_assert(!w->is_done);
}

static void on_riders_done(struct wallet_cmd *cmd)
{
	ck_assert_int_eq(cmd->outcome, WALLET_OK);
	world_done(cmd->arg);
}

/* What a settlement does. */
void world_settle(struct world *w, struct rider *riders)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_RIDERS,
						   (struct caller){.org = w->org});

	while (riders != NULL) {
		struct rider *next = riders->next;

		riders->next = NULL;
		wallet_cmd_add_rider(cmd, riders);
		riders = next;
	}
	cmd->deadline = boottime_after(clock_boot(), 10000);
	cmd->now = clock_wall();
	cmd->done = on_riders_done;
	cmd->arg = w;
	wallet_submit(w->wallet, cmd);
	world_run(w);
}

static void check_keys(const json_t *signal)
{
	static const char *const keys[] = {
		"type",        "strength",   "confidence", "event_at",
		"detected_at", "source_url", "evidence",   "fingerprint",
	};

	ck_assert_uint_eq(json_object_size(signal), ARRAY_LEN(keys));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		ck_assert_msg(json_object_get(signal, keys[i]) != NULL, "%s", keys[i]);
	ck_assert_uint_eq(strlen(json_string_value(json_object_get(signal, "fingerprint"))), 64);
}

static void read_result(struct probe *probe)
{
	const json_t *signals;

	if (probe->d.result.len == 0)
		return;
	probe->result = edge_parse(buf_slice(&probe->d.result), NULL);
	signals = json_object_get(probe->result, "signals");
	ck_assert(json_is_array(signals));
	ck_assert_uint_eq(json_array_size(signals), probe->d.signals_count);
	ck_assert_int_eq(json_is_true(json_object_get(probe->result, "unchanged")),
			 probe->d.is_unchanged);
	probe->signal = json_array_get(signals, 0);
	probe->evidence = json_object_get(probe->signal, "evidence");
	if (probe->signal != NULL)
		check_keys(probe->signal);
}

enum detection_outcome probe_end(struct world *w, struct probe *probe)
{
	struct rider *riders;
	bool has_answer;

	world_run(w);
	has_answer = probe->d.outcome == DETECTION_OK || probe->d.outcome == DETECTION_FREE;
	ck_assert_int_eq(has_answer, probe->d.result.len > 0);
	ck_assert_int_eq(!has_answer, err_is_set(&probe->d.err));
	ck_assert(has_answer || probe->d.riders == NULL);
	ck_assert_ptr_null(probe->d.state);
	read_result(probe);
	riders = probe->d.riders;
	probe->d.riders = NULL;
	if (riders != NULL)
		world_settle(w, riders);
	return probe->d.outcome;
}

enum detection_outcome probe_at(struct world *w, struct probe *probe,
				const struct detector *detector, const char *company)
{
	probe_start(w, probe, detector, company, 10000);
	return probe_end(w, probe);
}

void probe_finish(struct probe *probe)
{
	json_decref(probe->result);
	json_decref(probe->company);
	detection_finish(&probe->d);
}

/* The outcome alone. */
enum detection_outcome probe_outcome(struct world *w, const struct detector *detector,
				     const char *company)
{
	struct probe probe;
	enum detection_outcome outcome = probe_at(w, &probe, detector, company);

	probe_finish(&probe);
	return outcome;
}

int64_t evidence_number(const json_t *object, const char *key)
{
	int64_t n = -1;

	ck_assert_msg(edge_i64(json_object_get(object, key), &n), "%s", key);
	return n;
}

const char *json_text_at(const json_t *object, const char *pointer)
{
	return json_string_value(edge_pointer((json_t *)(uintptr_t)object, pointer));
}
