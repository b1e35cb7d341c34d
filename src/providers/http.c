#include "providers/http.h"

#include "base/limits.h"
#include "base/secret.h"
#include "loop/loop.h"
#include "providers/http_answer.h"
#include "providers/http_request.h"
#include "providers/session_store.h"

#include <stdlib.h>
#include <string.h>

struct http_provider {
	struct provider base;
	struct loop *loop;
	struct http *http;
	bool allow_private;
	struct sessions *sessions; /* NULL: nobody has one */
	struct http_plan plan;
};

/* One execution: a request, perhaps sent again. */
struct http_run {
	struct http_provider *provider;
	struct execution *execution;
	struct session_read session; /* first of all, where the plan wants one */
	struct http_made made;
	struct http_transfer *transfer; /* NULL between two attempts */
	struct loop_timer retry;
	int attempts;
	struct boottime deadline;
};

static struct http_provider *of(struct provider *p)
{
	return container_of(p, struct http_provider, base);
}

static void run_free(struct http_run *run)
{
	loop_timer_cancel(&run->retry);
	http_made_finish(&run->made);
	session_read_finish(&run->session);
	free(run);
}

static void end(struct http_run *run, struct provider_result *result)
{
	struct execution *x = run->execution;

	run_free(run);
	execution_done(x, result);
}

static int64_t left_ms(const struct http_run *run)
{
	return run->deadline.ms - clock_boot().ms;
}

static bool run_leaks(const void *arg, struct slice text)
{
	const struct http_run *run = arg;
	const char *session = run->session.secret;

	return http_plan_leaks(&run->provider->plan, text) ||
	       (session && memmem(text.p, text.len, session, strlen(session)));
}

static void on_response(void *arg, const struct http_response *r);

static void attempt(struct http_run *run)
{
	const struct http_provider *p = run->provider;
	bool is_get = strcmp(p->plan.method, "GET") == 0;
	struct http_request request = {
		.method = p->plan.method,
		.url = buf_text(&run->made.url),
		.headers = run->made.headers,
		.headers_count = run->made.headers_count,
		.timeout_ms = left_ms(run),
		.body_bytes_max = PROVIDER_BODY_BYTES_MAX,
		.redirects_max = is_get && !http_plan_has_redirects(&p->plan) ? HTTP_REDIRECTS_MAX
									      : 0,
		.stays_at_origin = run->made.is_confined,
		.is_once = true, /* a provider may charge for a GET, too */
		.allow_private = p->allow_private,
	};

	if (run->made.has_body)
		request.body = (struct slice){.p = buf_text(&run->made.body),
					      .len = run->made.body.len};
	run->attempts++;
	run->transfer = http_start(p->http, &request, on_response, run);
}

static void on_retry(void *arg)
{
	attempt(arg);
}

/* What was sent without an answer may have been executed, and is never sent again. */
static bool may_repeat(const struct http_run *run, const struct http_response *r)
{
	const char *method = run->provider->plan.method;

	if (strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0 ||
	    run->attempts > PROVIDER_RETRIES_MAX)
		return false;
	if (r->outcome == HTTP_TRANSPORT)
		return !r->was_sent;
	return r->outcome == HTTP_DONE &&
	       (r->status == 502 || r->status == 503 || r->status == 504) &&
	       !http_plan_is_success(&run->provider->plan, r->status);
}

/* Half of the wait is chance, so that callers who failed together do not come back together. False
 * when the time left does not allow it. */
static bool repeat_later(struct http_run *run, const struct http_response *r)
{
	int64_t wait_ms = (int64_t)PROVIDER_RETRY_MS << (run->attempts - 1);
	int64_t asked_s = r->outcome == HTTP_DONE ? answer_retry_after(r) : -1;
	uint16_t chance;

	random_bytes(&chance, sizeof(chance));
	wait_ms = wait_ms / 2 + chance % (wait_ms / 2 + 1);
	if (asked_s * 1000 > wait_ms)
		wait_ms = asked_s * 1000;
	if (wait_ms + PROVIDER_RETRY_SPARE_MS > left_ms(run))
		return false;
	loop_timer_in(&run->retry, wait_ms);
	return true;
}

static void on_response(void *arg, const struct http_response *r)
{
	struct http_run *run = arg;
	const struct http_plan *plan = &run->provider->plan;
	struct answer_secrets secrets = {.leaks = run_leaks,
					 .arg = run,
					 .own_key = run->execution->own_key,
					 .is_keyless = !run->made.is_confined &&
						       !http_plan_has_secret(plan),
					 .hides_host = plan->hides_host};
	struct provider_result result;

	run->transfer = NULL;
	if (may_repeat(run, r) && repeat_later(run, r))
		return;
	provider_result_init(&result);
	if (r->outcome == HTTP_DONE && http_plan_is_success(plan, r->status))
		answer_read(r, plan->result, &result);
	else
		answer_failed(r, &secrets, &result);
	if (run->session.secret)
		provider_result_strike(&result, run->session.secret);
	end(run, &result);
}

static void refuse(struct http_run *run, enum provider_outcome outcome, const char *text)
{
	struct provider_result result;

	provider_result_init(&result);
	result.outcome = outcome;
	err_set(&result.err, "%s", text);
	end(run, &result);
}

static void send_first(struct http_run *run)
{
	struct execution *x = run->execution;
	struct template_fault fault;

	if (http_make(&run->provider->plan, x->arguments, x->own_key, run->session.secret,
		      &run->made, &fault) == TEMPLATE_OK) {
		attempt(run);
		return;
	}
	run_free(run);
	execution_refuse(x, fault.field, fault.text);
}

static void on_session(struct session_read *read)
{
	struct http_run *run = read->arg;

	if (read->is_failed)
		refuse(run, PROVIDER_FAILED, "the store cannot be read");
	else if (!read->is_found)
		refuse(run, PROVIDER_REJECTED,
		       "this tool needs a connected account: use connect_linkedin first");
	else if (!read->secret)
		refuse(run, PROVIDER_REJECTED, read->err.text);
	else
		send_first(run);
}

static void read_session(struct http_run *run)
{
	const json_t *account = json_object_get(run->execution->arguments, "account");

	run->session.org = run->execution->caller.org;
	run->session.site = run->provider->plan.session;
	run->session.account = json_string_value(account);
	run->session.deadline = run->deadline;
	run->session.done = on_session;
	run->session.arg = run;
	session_read_start(&run->session, run->provider->sessions);
}

static void http_provider_start(struct provider *base, struct execution *x)
{
	struct http_provider *p = of(base);
	struct http_run *run = xzalloc(sizeof(*run));

	run->provider = p;
	run->execution = x;
	run->deadline = boottime_after(clock_boot(), execution_time_ms(x));
	loop_timer_init(&run->retry, p->loop, on_retry, run);
	x->state = run;
	if (p->plan.session)
		read_session(run);
	else
		send_first(run);
}

static void http_provider_cancel(struct provider *base, struct execution *x)
{
	struct http_run *run = x->state;

	(void)base;
	if (!run)
		return;
	if (run->transfer)
		http_cancel(run->transfer);
	run_free(run);
	x->state = NULL;
}

static void http_provider_destroy(struct provider *base)
{
	struct http_provider *p = of(base);

	http_plan_finish(&p->plan);
	free(p);
}

static const struct provider_kind HTTP = {
	.name = "http",
	.start = http_provider_start,
	.cancel = http_provider_cancel,
	.destroy = http_provider_destroy,
};

struct provider *http_provider_create(const struct http_provider_parts *parts, const json_t *config,
				      struct err *err)
{
	struct http_provider *p;
	struct http_plan plan;

	if (!http_plan_read(config, parts->input_schema, &plan, err))
		return NULL;
	if (plan.session && !parts->sessions) {
		http_plan_finish(&plan);
		err_set(err, "session: cannot be kept here");
		return NULL;
	}
	p = xzalloc(sizeof(*p));
	p->base.kind = &HTTP;
	p->loop = parts->loop;
	p->http = parts->http;
	p->allow_private = parts->allow_private;
	p->sessions = parts->sessions;
	p->plan = plan;
	return &p->base;
}

void http_provider_check(const json_t *config, const json_t *input_schema, bool allow_private,
			 struct faults *faults)
{
	struct http_plan plan;

	if (!http_plan_read_all(config, input_schema, &plan, faults))
		return;
	if (!allow_private)
		http_plan_check_host(&plan, "/url", faults);
	http_plan_finish(&plan);
}
