#ifndef FAKE_TOOLS_H
#define FAKE_TOOLS_H

/*
 * A stand-in for the registry behind tools/tools.h, for tests of the protocol. Its tools:
 *   echo       done before tools_call returns; structured content is the arguments
 *   fail       likewise, an error that carries structured content by mistake
 *   bare       likewise, with nothing at all in its reply
 *   steps      reports two steps at once, then waits for fake_tools_finish
 *   soon       done by a timer in the next turn of the loop
 *   never      ends only when it is cancelled
 *   stubborn   goes on when it is cancelled, until fake_tools_finish
 *   large      done at once with 256 KiB
 * and as many fillers, named filler_0000 and so on, as were asked for.
 */

#include "loop/loop.h"
#include "tools/tools.h"

struct fake_tools {
	struct tools *tools;
	size_t started, cancelled;
	/* Of the last call. */
	char client_name[64];
	bool has_url_elicitation;
	char key[64];
	struct boottime deadline;
	char arguments[256];
};

struct fake_tools *fake_tools_create(struct loop *loop, size_t fillers);
void fake_tools_destroy(struct fake_tools *fake);
/* Ends all calls that wait. */
void fake_tools_finish(struct fake_tools *fake);
/* Lets all calls that wait report a step. */
void fake_tools_progress(struct fake_tools *fake, const char *message);

#endif
