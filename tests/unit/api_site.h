#ifndef API_SITE_H
#define API_SITE_H

/*
 * A scripted API on 127.0.0.1 and one execution of a provider against it, on a loop of its own. The
 * server says what it was told, in order, and keeps what it was asked.
 */

#include "loop/http.h"
#include "providers/provider.h"

#include <pthread.h>

enum api_end {
	API_ENDS,
	API_BREAKS, /* cuts the connection */
	API_HANGS,  /* says no more */
};

struct api_reply {
	int status;       /* 0 = 200 */
	const char *type; /* NULL: application/json; "": none */
	const char *body;
	size_t body_len;    /* 0 = strlen */
	size_t piece_bytes; /* 0 = with a length, else in pieces */
	enum api_end end;
	uint64_t endless_bytes; /* so many bytes of x instead */
	const char *header, *value;
};

#define API_REPLIES_MAX 32

struct api_site {
	struct loop *loop;
	struct http *http;
	struct MHD_Daemon *daemon;
	int port;
	pthread_mutex_t lock;
	struct api_reply replies[API_REPLIES_MAX];
	size_t replies_count, replies_next;
	/* "POST /path?query\nName: value\n...\n\nbody" of each request. */
	struct buf asked[API_REPLIES_MAX];
	size_t asked_count;

	/* The last execution. */
	struct execution execution;
	struct provider_result result;
	bool is_done, is_waiting;
	int64_t max_output; /* of the next execution */
	int progress_count;
	char progress[256];
	json_t *arguments;
};

void api_init(struct api_site *s);
void api_finish(struct api_site *s);

/* Adds to the script. */
void api_say(struct api_site *s, struct api_reply reply);
/* Forgets script and requests. */
void api_reset(struct api_site *s);

/* JSON with ' for " and @ for the server's address. */
json_t *api_json(const struct api_site *s, const char *text);
/* A provider of kind http at the API; config is as for api_json. */
struct provider *api_provider(struct api_site *s, const char *config);
/* A language model at the API; the configuration is as for api_json. */
struct provider *api_llm(struct api_site *s, const char *config);

/* Runs one execution to its end; out fields are in s->result. */
enum provider_outcome api_run(struct api_site *s, struct provider *p, const char *arguments,
			      const char *own_key, int64_t timeout_ms);
/* Starts it only. */
void api_start(struct api_site *s, struct provider *p, const char *arguments, const char *own_key,
	       int64_t timeout_ms);
void api_wait(struct api_site *s);
/* Lets the loop run for a while. */
void api_pass(struct api_site *s, int64_t ms);

/* Of the i-th request. */
const char *api_asked(struct api_site *s, size_t i);
bool api_asked_has(struct api_site *s, size_t i, const char *text);
/* The structured result, "" when there is none. */
const char *api_structured(const struct api_site *s);

#endif
