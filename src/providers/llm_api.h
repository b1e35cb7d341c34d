#ifndef PROVIDERS_LLM_API_H
#define PROVIDERS_LLM_API_H

/*
 * What differs between the APIs: how a request is written, and how an answer and the events of a
 * stream are read. For llm.c only.
 */

#include "base/buf.h"
#include "pricing/price.h"
#include "json/emit.h"

#include <jansson.h>

struct llm_call {
	const char *model;         /* the provider's name */
	const json_t *messages;    /* [{"role", "content"}], checked: see llm_parts.h */
	const json_t *temperature; /* NULL for none */
	const json_t *stop;        /* a text, a list of texts, or NULL */
	int64_t max_tokens;        /* 0 for none */
	bool is_stream;
	const char *max_tokens_name; /* how an openai calls it */
};

/* An answer as far as it came. */
struct llm_answer {
	struct buf content;
	bool has_begun; /* the first byte of the content is there */
	char *model;    /* owned; NULL until it is known */
	char *finish_reason;
	bool has_input; /* of usage, in a stream */
	/* What is not known is 0; is_known says that all is there. */
	struct llm_usage usage;
	bool is_over;  /* the stream has said so */
	bool is_error; /* the stream says what went wrong: in reason */
	struct buf reason;
};

void llm_answer_finish(struct llm_answer *a);

struct llm_api {
	const char *name;
	const char *path; /* below base_url */
	const char *key_header;
	const char *key_format;
	const char *version_header; /* NULL for none */
	const char *version;
	bool needs_max_tokens;
	/* Writes an object. False when the call cannot be put so; *out_fault says why (constant).
	 */
	bool (*write)(const struct llm_call *call, struct emit *e, const char **out_fault);
	/* A whole answer; false when it is none. */
	bool (*read)(json_t *root, struct llm_answer *out);
	/* One event of a stream; false when it makes no sense. */
	bool (*event)(json_t *data, struct llm_answer *out);
};

extern const struct llm_api LLM_OPENAI;
extern const struct llm_api LLM_ANTHROPIC;

/* For both: adds to the content, keeps a text (the first one wins), reads a count of tokens. */
void llm_add_content(struct llm_answer *a, const json_t *text);
void llm_keep_text(char **out, const json_t *text);
/* False when it is no count; absent or null counts as 0 where it may. */
MUST_USE bool llm_count(const json_t *usage, const char *name, bool may_be_absent, int64_t *out);
void llm_note_error(struct llm_answer *a, const json_t *error);

#endif
