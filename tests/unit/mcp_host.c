#include "mcp_host.h"

#include <stdio.h>
#include <string.h>

static void on_send(void *arg, struct slice lines)
{
	struct host *h = arg;

	ck_assert_uint_gt(lines.len, 0);
	ck_assert_int_eq(lines.p[lines.len - 1], '\n');
	buf_append(&h->out, lines.p, lines.len);
}

void host_set_up_with(struct host *h, size_t fillers)
{
	struct mcp_session_config config = {.send = on_send, .arg = h, .api_key = "fbx_key"};

	*h = (struct host){.loop = loop_create()};
	h->fake = fake_tools_create(h->loop, fillers);
	config.loop = h->loop;
	config.tools = h->fake->tools;
	h->session = mcp_session_create(&config);
}

void host_set_up(struct host *h)
{
	host_set_up_with(h, 0);
}

void host_tear_down(struct host *h)
{
	mcp_session_destroy(h->session);
	fake_tools_destroy(h->fake);
	loop_destroy(h->loop);
	buf_finish(&h->out);
}

const char *say(struct host *h, const char *text)
{
	char *line = xstrdup(text);

	buf_clear(&h->out);
	mcp_session_line(h->session, line, strlen(line));
	free(line);
	return buf_text(&h->out);
}

bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

void assert_has(const char *text, const char *part)
{
	ck_assert_msg(has(text, part), "no %s in %s", part, text);
}

void assert_code(const char *text, const char *code)
{
	char part[64];

	(void)snprintf(part, sizeof(part), "\"error\":{\"code\":%s,", code);
	assert_has(text, part);
}
