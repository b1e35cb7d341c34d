#ifndef BASE_EMBEDDED_H
#define BASE_EMBEDDED_H

/*
 * The data files that the build puts into the program: schemas/tools, schemas/sql and some of
 * schemas itself, named by their path below schemas/ and sorted by it. JSON stands compacted.
 */

#include "base/base.h"

struct embedded_file {
	const char *name;
	const char *text; /* terminated */
	size_t len;
};

extern const struct embedded_file EMBEDDED_FILES[];
extern const size_t EMBEDDED_FILES_COUNT;

/* NULL when there is none. */
const struct embedded_file *embedded_find(const char *name);

#endif
